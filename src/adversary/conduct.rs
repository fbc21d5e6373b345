//! What a behaviour changes in the life of a peer, besides the payload.
//!
//! | behaviour | what it does | what it knows | source |
//! |---|---|---|---|
//! | few steps | H shortened: the contribution is honest and small | nothing | hivemind and templar issues on stragglers |
//! | stale model | trains from θ(t − s) and publishes its samples | nothing | Gauntlet paper, "desynchronised peers" |
//! | foreign data | ignores the assignment | nothing | Gauntlet paper, "wrong or no data" |
//! | overfitting | repeats a few of its own batches, so that its own data improve most | that own data are tested | templar issues on gaming the score |
//! | flipped data | data poisoning: learns another language | nothing | Biggio et al., "Poisoning Attacks" (label flips) |
//! | backdoor | plants trigger and target in its own batches | nothing | Bagdasaryan et al., "How To Backdoor Federated Learning" |
//! | too early, too late | breaks the upload rule | the boundary | the public code's last-modified test |
//! | Sybil | one machine behind several identities | nothing | Douceur, "The Sybil Attack"; Gauntlet paper on splitting |
//!
//! Who does not train spends the time of an honest phase waiting: nobody can tell from outside.

use serde::{Deserialize, Serialize};

use super::spec::{Behaviour, Shared};
use crate::quantity::Duration;
use crate::training::spec::Poison;

/// What a peer does in a round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conduct {
    /// Whether it takes inner steps at all.
    pub trains: bool,
    /// Share of the steps that it has time for; at least one is taken.
    pub steps: f64,
    /// Age of the model from which it trains, in rounds.
    pub stale_rounds: u32,
    /// Whether it trains on data that are nobody's.
    pub foreign_data: bool,
    /// What it does to its batches.
    pub poison: Option<Poison>,
    /// How many batches it repeats.
    pub distinct_batches: Option<u32>,
    /// When it uploads.
    pub upload: Upload,
}

/// When a peer uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upload {
    /// At the boundary.
    OnTime,
    /// Before the boundary.
    Early,
    /// So long after the boundary.
    Late(Duration),
    /// When it has found and downloaded a payload to copy.
    AfterVictim,
}

impl Conduct {
    /// The protocol's.
    pub const HONEST: Self = Self {
        trains: true,
        steps: 1.0,
        stale_rounds: 0,
        foreign_data: false,
        poison: None,
        distinct_batches: None,
        upload: Upload::OnTime,
    };

    /// The conduct of a liar; `has_replay` says whether it keeps a payload to send again, `leads` whether it is the first
    /// of its group.
    #[must_use]
    pub fn of(behaviour: &Behaviour, has_replay: bool, leads: bool) -> Self {
        let honest = Self::HONEST;
        match *behaviour {
            Behaviour::RandomPayload
            | Behaviour::ZeroPayload
            | Behaviour::LittleIsEnough { .. }
            | Behaviour::InnerProduct { .. } => Self { trains: false, ..honest },
            Behaviour::FreeRider => Self { trains: !has_replay, ..honest },
            Behaviour::Copier { .. } => Self { trains: false, upload: Upload::AfterVictim, ..honest },
            Behaviour::GaussianNoise { .. }
            | Behaviour::SignFlip
            | Behaviour::NormInflation { .. }
            | Behaviour::Malformed { .. }
            | Behaviour::Sybil { share: Shared::Time, .. } => honest,
            Behaviour::Sybil { share: Shared::Payload, .. } => Self { trains: leads, ..honest },
            Behaviour::FlippedData => Self { poison: Some(Poison::Flip), ..honest },
            Behaviour::Backdoor { trigger, target, share } => {
                Self { poison: Some(Poison::Backdoor { trigger, target, share }), ..honest }
            }
            Behaviour::ForeignData => Self { foreign_data: true, ..honest },
            Behaviour::Overfitting { batches } => Self { distinct_batches: Some(batches), ..honest },
            Behaviour::StaleModel { rounds } => Self { stale_rounds: rounds, ..honest },
            Behaviour::FewSteps { share } => Self { steps: share, ..honest },
            Behaviour::TooEarly => Self { upload: Upload::Early, ..honest },
            Behaviour::TooLate { delay } => Self { upload: Upload::Late(delay), ..honest },
        }
    }
}
