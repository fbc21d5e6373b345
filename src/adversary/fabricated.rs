//! Payloads that are made up.
//!
//! `random_payload`: standard normal values at every coordinate, encoded as any other vector: full norm, no information.
//! `zero_payload`: a contribution of zeros, well formed; it takes a place in the gather set and moves nothing.
//! `gaussian_noise`: the own contribution plus normal noise of `ratio` times its norm, on the coordinates that it sends.
//!
//! None of them knows anything but the codec. Source: the usual baselines of Byzantine-robust learning, e.g. Blanchard
//! et al., "Machine Learning with Adversaries" (Gaussian attack); zero payloads are the cheapest free ride.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use super::forge::Knowledge;

pub(super) fn random(knowledge: &Knowledge<'_>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    // The size of an honest contribution, where one is known: a payload of norm 1 would harm nobody.
    let parameters = knowledge.layout.parameters();
    let norm = knowledge.honest.first().map_or(1.0, |honest| honest.norm());
    let deviation = (norm / (parameters as f64).sqrt()) as f32;
    knowledge.encode((0..parameters).map(|_| deviation * normal(rng)).collect())
}

pub(super) fn zero(knowledge: &Knowledge<'_>) -> Vec<u8> {
    knowledge.encode(vec![0.0; knowledge.layout.parameters()])
}

pub(super) fn noisy(knowledge: &Knowledge<'_>, ratio: f32, rng: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let own = knowledge.decode(knowledge.own?)?;
    let deviation = ratio * (own.norm() / (own.kept().max(1) as f64).sqrt()) as f32;
    let mut values = own.to_dense(knowledge.layout);
    values.iter_mut().filter(|value| **value != 0.0).for_each(|value| *value += deviation * normal(rng));
    Some(knowledge.encode(values))
}

fn normal(rng: &mut ChaCha8Rng) -> f32 {
    StandardNormal.sample(rng)
}
