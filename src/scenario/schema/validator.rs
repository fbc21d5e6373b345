//! The part of the schema that is about validators.

use schemars::JsonSchema;

use super::{Bandwidth, Device, Duration, OrNone};

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Validator {
    /// Real losses, ratings, penalties, lists. What is left out is the preset's.
    Gauntlet(Box<Gauntlet>),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gauntlet {
    /// The preset. Default `production`.
    rules: Option<Preset>,
    /// Peers evaluated in a window, at most.
    peers_per_window: Option<u32>,
    /// Bins of similar rating, of which one is evaluated a window.
    bins: Option<u32>,
    /// Sequences of an evaluation, own and random each.
    sequences: Option<u32>,
    /// Share of the own sequences on which the peer was to train.
    own_trained_share: Option<f64>,
    /// A payload is tried with this part of the outer learning rate.
    trial_factor: Option<f64>,
    /// Plackett-Luce ratings.
    rating: Option<Rating>,
    /// The moving average that tells who trains on its own data.
    indicator: Option<Indicator>,
    /// Peers must hold the current parameters.
    sync: Option<OrNone<Sync>>,
    /// Payloads missing in the gather.
    missing_gather: Option<OrNone<MissingGather>>,
    /// Factor for a payload missing at evaluation.
    missing_evaluation: Option<OrNone<f64>>,
    /// Peers that vanish.
    inactive: Option<OrNone<Inactive>>,
    /// Copied payloads.
    overlap: Option<OrNone<Overlap>>,
    /// Peers that often make the model worse.
    negative: Option<OrNone<Negative>>,
    /// Peers that always make the model worse.
    exclusion: Option<OrNone<Exclusion>>,
    /// Windows for which a naughty peer is neither gathered nor evaluated.
    naughty_windows: Option<u32>,
    /// Rounds in which everybody is bad have no penalties for it.
    bad_round: Option<OrNone<BadRound>>,
    /// From final scores to weights.
    weights: Option<Weights>,
    /// The list of whom everybody gathers.
    list: Option<List>,
    /// What a validator computes with. Default: four h200.
    device: Option<Device>,
    /// Or how long an evaluation takes.
    evaluation_time: Option<Duration>,
    /// What it downloads with. Default 10 Gbit/s.
    downlink: Option<Bandwidth>,
    /// The validators. Default: one.
    seats: Option<Vec<Seat>>,
    /// Whether another takes over the list of a leader that is out. Default `false`.
    failover: Option<bool>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Preset {
    /// Covenant-72B's public code, v2.1.28.
    Production,
    /// The Gauntlet paper's.
    Paper,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rating {
    /// Spread of one performance around the skill.
    beta: Option<f64>,
    /// Uncertainty that returns before every match.
    tau: Option<f64>,
    /// The score of a missing or invalid payload.
    missing_score: Option<OrNone<f64>>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Indicator {
    /// Weight of the newest indicator.
    alpha: Option<f64>,
    /// A smaller average counts as 0.
    threshold: Option<f64>,
    /// Windows after which the threshold holds.
    warmup_windows: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sync {
    /// Steps behind at which the score is 0.
    steps_max: Option<f64>,
    /// Exponent of the score.
    power: Option<f64>,
    /// Who is further behind is slashed.
    behind_max: Option<f64>,
    /// By this factor.
    slash: Option<f64>,
    /// Whether the score is a factor of the final score.
    is_factor: Option<bool>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct MissingGather {
    /// Factors for the first, second, ... miss in a row.
    factors: Option<Vec<f64>>,
    /// With a smaller share gathered, whoever is missing gets 0.
    success_min: Option<f64>,
    /// Who misses so often is naughty.
    often: Option<OrNone<Often>>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Often {
    /// At least this many misses
    misses: Option<u32>,
    /// in this many windows.
    of: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inactive {
    /// Of the final score, each window.
    factor: Option<f64>,
    /// After more windows the peer is forgotten.
    reset_after: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Overlap {
    /// Share of equal indices from which a pair is suspicious.
    threshold: Option<f64>,
    /// From here on the copier's record is reset.
    max: Option<f64>,
    /// From here on it is naughty.
    mega: Option<f64>,
    /// Factor of a suspicious peer.
    high_factor: Option<f64>,
    /// Nobody is punished before this round.
    from_round: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Negative {
    /// More than this share of negative scores
    share: Option<f64>,
    /// in so many evaluations
    of: Option<u32>,
    /// gives this factor.
    factor: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Exclusion {
    /// Negative scores in a row.
    consecutive: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct BadRound {
    /// The round is bad if the score with this rank is negative.
    rank: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Weights {
    /// Share of all pay that nobody gets.
    burn: Option<f64>,
    /// How the rest is divided.
    rule: Option<WeightRule>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WeightRule {
    /// By rank.
    Tiers {
        /// Share of the gather tier.
        gather_share: Option<f64>,
        /// First over last weight in the gather tier.
        top_ratio: Option<f64>,
        /// A reserve peer's weight over its predecessor's.
        reserve_decay: Option<f64>,
    },
    /// weight ∝ score^exponent.
    Power {
        /// Default 2.
        exponent: Option<f64>,
    },
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// Windows from one list to the next.
    refresh_windows: Option<u32>,
    /// Windows until a new list holds.
    margin_windows: Option<u32>,
    /// Fewer peers make no list.
    peers_min: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Seat {
    /// In any unit. Default 1.
    stake: Option<f64>,
    /// Rounds `[from, until]` in which it is out.
    outages: Option<Vec<[u32; 2]>>,
}
