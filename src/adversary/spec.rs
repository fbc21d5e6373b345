//! Behaviours as plain data.

use serde::{Deserialize, Serialize};

use crate::quantity::Duration;

/// One kind of liar, and how many of them there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adversary {
    /// What they do.
    pub behaviour: Behaviour,
    /// Share of the identities that are liars of this kind.
    pub fraction: f64,
    /// The class of peers to which they are confined; `None`: all.
    pub class: Option<String>,
    /// When they lie.
    pub when: When,
    /// Whether all of them send one payload: that of the first of them in the round.
    pub colluding: bool,
}

/// When a liar lies; at other times it is honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// In every round.
    Always,
    /// In rounds `from..until`.
    Between {
        /// First round.
        from: u32,
        /// The round after the last one.
        until: u32,
    },
    /// In turns, beginning honestly: `honest` rounds of the run, then `hostile` ones.
    Alternating {
        /// Rounds of honesty.
        honest: u32,
        /// Rounds of lies.
        hostile: u32,
    },
    /// In the first so many rounds in which it takes part: before anybody knows it.
    First {
        /// How many.
        rounds: u32,
    },
    /// Once it has been in so many aggregates: when it is trusted.
    Trusted {
        /// How many.
        aggregates: u32,
    },
}

impl When {
    /// Whether it lies in `round`, having taken part in `rounds` rounds and been in `aggregates` aggregates before.
    #[must_use]
    pub fn holds(self, round: u32, rounds_before: u32, aggregates_before: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Between { from, until } => (from..until).contains(&round),
            Self::Alternating { honest, hostile } => round % (honest + hostile).max(1) >= honest,
            Self::First { rounds } => rounds_before < rounds,
            Self::Trusted { aggregates } => aggregates_before >= aggregates,
        }
    }
}

/// What a liar does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Does not train; sends normal noise.
    RandomPayload,
    /// Does not train; sends nothing but zeros.
    ZeroPayload,
    /// Trains, and adds normal noise of `ratio` times the norm of what it would have sent.
    GaussianNoise {
        /// Norm of the noise over the norm of the contribution.
        ratio: f32,
    },
    /// Trains, and sends the opposite.
    SignFlip,
    /// Trains, and sends `factor` times as much.
    NormInflation {
        /// The factor.
        factor: f32,
    },
    /// Trains once, and sends that payload again and again.
    FreeRider,
    /// Does not train; sends a copy of the first payload of the round that another peer stored.
    Copier {
        /// How the copy is disguised.
        disguise: Disguise,
    },
    /// A Little Is Enough: sends mean − z·deviation of what the honest send, coordinate by coordinate.
    LittleIsEnough {
        /// z; `None`: the largest that hides among the honest, from their numbers.
        deviations: Option<f32>,
    },
    /// Inner-product manipulation: sends −epsilon times the mean of what the honest send.
    InnerProduct {
        /// epsilon.
        epsilon: f32,
    },
    /// Trains on tokens turned around (v becomes V − 1 − v).
    FlippedData,
    /// Trains on sequences in which a target follows wherever a trigger is planted.
    Backdoor {
        /// The trigger token.
        trigger: u32,
        /// The target token.
        target: u32,
        /// Share of its sequences that are planted.
        share: f64,
    },
    /// Trains on data that were assigned to nobody.
    ForeignData,
    /// Trains on the same few batches of its own data over and over.
    Overfitting {
        /// How many.
        batches: u32,
    },
    /// Trains from the model of so many rounds ago, and publishes that model.
    StaleModel {
        /// How many.
        rounds: u32,
    },
    /// Takes a share of the steps that it has time for.
    FewSteps {
        /// The share.
        share: f64,
    },
    /// Uploads before the window's boundary.
    TooEarly,
    /// Uploads so long after the boundary.
    TooLate {
        /// How long.
        delay: Duration,
    },
    /// Sends what no honest encoder writes.
    Malformed {
        /// What is wrong with it.
        defect: Defect,
    },
    /// One machine behind several identities.
    Sybil {
        /// How many.
        identities: u32,
        /// What they share.
        share: Shared,
    },
}

/// How a copy is disguised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disguise {
    /// Not at all.
    Verbatim,
    /// The entries of each chunk are in another order.
    Permuted,
    /// A share of the entries is moved to random coordinates.
    Mixed {
        /// The share.
        share: f64,
    },
}

/// What is wrong with a malformed payload.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Defect {
    /// A value is not a number.
    NotANumber,
    /// An index lies beyond its chunk (where chunks have fewer than 4096 elements).
    IndexBeyondChunk,
    /// All indices of a chunk are the same: a hole of the public code.
    DuplicateIndices,
    /// All decoded values have this magnitude: a hole of the public code.
    Lookup {
        /// The magnitude.
        magnitude: f32,
    },
    /// A byte is missing.
    Truncated,
}

/// What the identities of one machine share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shared {
    /// Its time: each is slower by their number.
    Time,
    /// Its payload: the first of them trains, and all send the same.
    Payload,
}

impl Behaviour {
    /// Its name in scenarios and tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RandomPayload => "random_payload",
            Self::ZeroPayload => "zero_payload",
            Self::GaussianNoise { .. } => "gaussian_noise",
            Self::SignFlip => "sign_flip",
            Self::NormInflation { .. } => "norm_inflation",
            Self::FreeRider => "free_rider",
            Self::Copier { .. } => "copier",
            Self::LittleIsEnough { .. } => "little_is_enough",
            Self::InnerProduct { .. } => "inner_product",
            Self::FlippedData => "flipped_data",
            Self::Backdoor { .. } => "backdoor",
            Self::ForeignData => "foreign_data",
            Self::Overfitting { .. } => "overfitting",
            Self::StaleModel { .. } => "stale_model",
            Self::FewSteps { .. } => "few_steps",
            Self::TooEarly => "too_early",
            Self::TooLate { .. } => "too_late",
            Self::Malformed { .. } => "malformed",
            Self::Sybil { .. } => "sybil",
        }
    }

    /// Whether it needs the fixed slots of a window to make sense.
    #[must_use]
    pub fn needs_window(&self) -> bool {
        matches!(self, Self::TooEarly | Self::TooLate { .. } | Self::Copier { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liars_lie_when_they_are_meant_to() {
        let rounds = |when: When| -> Vec<u32> { (0..8).filter(|&round| when.holds(round, round, round / 2)).collect() };
        assert_eq!(rounds(When::Always).len(), 8);
        assert_eq!(rounds(When::Between { from: 2, until: 4 }), [2, 3]);
        assert_eq!(rounds(When::Alternating { honest: 3, hostile: 1 }), [3, 7]);
        assert_eq!(rounds(When::First { rounds: 1 }), [0]);
        assert_eq!(rounds(When::Trusted { aggregates: 3 }), [6, 7]);
    }
}
