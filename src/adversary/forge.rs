//! The payload that a liar sends instead of the honest one.

use rand_chacha::ChaCha8Rng;

use super::spec::Behaviour;
use super::{colluding, copied, fabricated, malformed, scaled};
use crate::algorithm::codec::{self, Scratch};
use crate::algorithm::spec::Compression;
use crate::algorithm::{Contribution, Layout};

/// All that a liar may know.
#[derive(Debug)]
pub struct Knowledge<'a> {
    /// How payloads are made.
    pub compression: &'a Compression,
    /// Of what.
    pub layout: &'a Layout,
    /// What it would have sent, if it trained.
    pub own: Option<&'a [u8]>,
    /// What it sent before, if it keeps it.
    pub replay: Option<&'a [u8]>,
    /// The payload that it copies.
    pub victim: Option<&'a [u8]>,
    /// What the honest send, ascending by peer.
    pub honest: &'a [&'a Contribution],
    /// Liars of its kind in the round, itself included.
    pub accomplices: usize,
}

impl Knowledge<'_> {
    /// Encodes a whole vector, without any residual.
    pub(super) fn encode(&self, mut values: Vec<f32>) -> Vec<u8> {
        codec::encode(self.compression, self.layout, &mut values, &mut Vec::new(), &mut Scratch::default()).bytes
    }

    /// What a payload that somebody made says; `None` if it says nothing.
    pub(super) fn decode(&self, payload: &[u8]) -> Option<Contribution> {
        codec::decode(self.compression, self.layout, payload).ok()
    }
}

/// The forged payload; `None` where the behaviour leaves the payload as it is, or has nothing to make one from.
#[must_use]
pub fn forge(behaviour: &Behaviour, knowledge: &Knowledge<'_>, rng: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    match *behaviour {
        Behaviour::RandomPayload => Some(fabricated::random(knowledge, rng)),
        Behaviour::ZeroPayload => Some(fabricated::zero(knowledge)),
        Behaviour::GaussianNoise { ratio } => fabricated::noisy(knowledge, ratio, rng),
        Behaviour::SignFlip => scaled::times(knowledge, -1.0),
        Behaviour::NormInflation { factor } => scaled::times(knowledge, factor),
        Behaviour::FreeRider => copied::replayed(knowledge),
        Behaviour::Copier { disguise } => copied::disguised(knowledge, disguise, rng),
        Behaviour::LittleIsEnough { deviations } => colluding::little_is_enough(knowledge, deviations),
        Behaviour::InnerProduct { epsilon } => colluding::inner_product(knowledge, epsilon),
        Behaviour::Malformed { defect } => malformed::with(knowledge, defect),
        Behaviour::FlippedData
        | Behaviour::Backdoor { .. }
        | Behaviour::ForeignData
        | Behaviour::Overfitting { .. }
        | Behaviour::StaleModel { .. }
        | Behaviour::FewSteps { .. }
        | Behaviour::TooEarly
        | Behaviour::TooLate { .. }
        | Behaviour::Sybil { .. } => None,
    }
}

#[cfg(test)]
mod tests;
