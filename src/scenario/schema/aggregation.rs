//! The part of the schema under `protocol.aggregation`.

use schemars::JsonSchema;

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    /// Over the peers that sent a coordinate, or over all R; for `rule: average` without mixing. Default `contributors`.
    average: Option<Average>,
    /// Default `none`.
    clip: Option<Clip>,
    /// What replaces contributions before they are combined. Default `none`.
    mixing: Option<Mixing>,
    /// How contributions are combined. Default `average`.
    rule: Option<Rule>,
    /// What a coordinate counts as that a peer did not send; `skip` is for rules by coordinate. Default `zero`.
    absent: Option<Absent>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Average {
    Contributors,
    Peers,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Clip {
    None,
    MedianNorm,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Absent {
    /// Zero.
    Zero,
    /// Nothing: statistics are over those who sent it.
    Skip,
}

/// Contributions that may be false.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tolerance {
    /// How many may be false; less than half. Rounds with too few contributions tolerate as many as they can.
    f: u32,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mixing {
    /// Each by the mean of the R − f nearest to it.
    NearestNeighbours(Tolerance),
    #[serde(untagged)]
    Word(NoMixing),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NoMixing {
    None,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Rule {
    /// By coordinate, without the f smallest and the f largest.
    TrimmedMean(Tolerance),
    /// By coordinate, the mean of the R − f nearest to the median (MeaMed).
    MeanAroundMedian(Tolerance),
    /// By coordinate, the sign that more peers sent.
    SignMajority(SignMajority),
    /// The contribution with the nearest neighbours.
    Krum(Tolerance),
    /// The mean of the R − f contributions with the nearest neighbours.
    MultiKrum(Tolerance),
    /// The point with the least sum of distances, by Weiszfeld's iteration.
    GeometricMedian(GeometricMedian),
    /// The mean of differences from a centre, each cut to a radius.
    CentredClipping(CentredClipping),
    #[serde(untagged)]
    Word(RuleWord),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RuleWord {
    /// The mean.
    Average,
    /// By coordinate, the median.
    Median,
    GeometricMedian,
    SignMajority,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignMajority {
    /// The size of each coordinate of the aggregate. Default 1.
    magnitude: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct GeometricMedian {
    /// Distances below this count as this. Default 1e-6.
    smoothing: Option<f64>,
    /// Default 8.
    iterations: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct CentredClipping {
    /// Largest L2 norm of a difference from the centre.
    radius: f64,
    /// The first centre is 0. Default 1.
    iterations: Option<u32>,
}
