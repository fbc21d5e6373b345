//! The part of the schema that is about liars.

use schemars::JsonSchema;

use super::Duration;

/// One kind of liar.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Adversary {
    /// What they do.
    behaviour: Behaviour,
    /// Share of the identities.
    fraction: f64,
    /// The class of peers to which they are confined. Default: all.
    class: Option<String>,
    /// When they lie. Default `always`.
    when: Option<When>,
    /// Whether all of them send the payload of the first of them. Default `false`.
    colluding: Option<bool>,
}

/// A bare word stands for the defaults of its parameters.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Behaviour {
    /// With its defaults.
    Word(BehaviourWord),
    /// With parameters.
    Parameters(BehaviourParameters),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BehaviourWord {
    RandomPayload,
    ZeroPayload,
    GaussianNoise,
    SignFlip,
    NormInflation,
    FreeRider,
    Copier,
    LittleIsEnough,
    InnerProduct,
    FlippedData,
    ForeignData,
    Overfitting,
    StaleModel,
    FewSteps,
    TooEarly,
    TooLate,
    Sybil,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum BehaviourParameters {
    /// Does not train; sends normal noise.
    RandomPayload {},
    /// Does not train; sends zeros.
    ZeroPayload {},
    /// Adds noise to what it learnt.
    GaussianNoise {
        /// Norm of the noise over the norm of the contribution. Default 1.
        ratio: Option<f64>,
    },
    /// Sends the opposite of what it learnt.
    SignFlip {},
    /// Sends a multiple of what it learnt.
    NormInflation {
        /// Default 10.
        factor: Option<f64>,
    },
    /// Trains once and sends that payload for ever.
    FreeRider {},
    /// Sends the first payload that another peer stored.
    Copier {
        /// Default `verbatim`.
        disguise: Option<Disguise>,
    },
    /// Mean minus z deviations of what the honest send.
    LittleIsEnough {
        /// z. Default: the largest that hides among the honest.
        deviations: Option<f64>,
    },
    /// Minus epsilon times the mean of what the honest send.
    InnerProduct {
        /// Default 1.
        epsilon: Option<f64>,
    },
    /// Trains on tokens turned around.
    FlippedData {},
    /// Plants a trigger and its target in what it trains on.
    Backdoor {
        /// A token.
        trigger: u32,
        /// A token.
        target: u32,
        /// Share of its sequences that are planted. Default 0.5.
        share: Option<f64>,
    },
    /// Trains on data that were assigned to nobody.
    ForeignData {},
    /// Repeats a few batches of its own data.
    Overfitting {
        /// Default 1.
        batches: Option<u32>,
    },
    /// Trains from an old model.
    StaleModel {
        /// Its age. Default 3.
        rounds: Option<u32>,
    },
    /// Takes a share of the steps.
    FewSteps {
        /// Default 0.1.
        share: Option<f64>,
    },
    /// Uploads before the boundary.
    TooEarly {},
    /// Uploads after the deadline.
    TooLate {
        /// After the boundary. Default 120 s.
        delay: Option<Duration>,
    },
    /// Sends what no honest encoder writes.
    Malformed {
        /// What is wrong.
        defect: Defect,
    },
    /// One machine behind several identities.
    Sybil {
        /// Default 4.
        identities: Option<u32>,
        /// Default `time`.
        share: Option<Shared>,
    },
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Disguise {
    Verbatim,
    Permuted,
    /// Entries moved to random coordinates.
    Mixed {
        /// Share of the entries. Default 0.65.
        share: Option<f64>,
    },
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Defect {
    NotANumber,
    IndexBeyondChunk,
    DuplicateIndices,
    Truncated,
    /// An absurd lookup.
    Lookup {
        /// Default 1e6.
        magnitude: Option<f64>,
    },
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Shared {
    /// Each identity is slower by their number.
    Time,
    /// All send the payload of the first.
    Payload,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum When {
    Always,
    /// A stretch of rounds.
    Between {
        /// First round. Default 0.
        from: Option<u32>,
        /// The round after the last. Default: the end.
        until: Option<u32>,
    },
    /// In turns.
    Alternating {
        /// Rounds of honesty.
        honest: u32,
        /// Rounds of lies.
        hostile: u32,
    },
    /// Before anybody knows it.
    First {
        /// The first rounds in which it takes part.
        rounds: u32,
    },
    /// Once it is trusted.
    Trusted {
        /// Aggregates in which it was.
        aggregates: u32,
    },
}
