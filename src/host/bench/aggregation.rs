//! How fast this machine combines the contributions of a round, on one thread, rule by rule.

use std::hint::black_box;

use serde::Serialize;

use super::codec::normal;
use super::median_call;
use crate::algorithm::aggregate::aggregate;
use crate::algorithm::codec::{Scratch, decode, encode};
use crate::algorithm::spec::{Aggregation, Average, Clip, Compression, Mixing, Rule};
use crate::algorithm::{Contribution, Layout};

/// Side of the one matrix that is aggregated; 2^20 coordinates in 256 chunks.
const SIDE: usize = 1024;

/// The work to time: normal noise of every peer, dense and as production payloads (64 of each 64 × 64 block, 2 bits).
///
/// Peers choose their coordinates independently of each other, so there are as many to combine as there can be.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregationBench {
    /// Contributions.
    pub peers: usize,
    /// How many of them the rules tolerate.
    pub f: usize,
    /// How long to measure each part \[s\].
    pub seconds: f64,
}

/// How long it took; seconds are medians on one thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AggregationRate {
    /// Coordinates.
    pub params: u64,
    /// Contributions.
    pub peers: usize,
    /// How many of them the rules tolerate.
    pub f: usize,
    /// Rule by rule.
    pub rules: Vec<RuleRate>,
}

/// One rule's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleRate {
    /// As in a scenario, with the mixing before it.
    pub name: &'static str,
    /// Of dense contributions.
    pub dense_seconds: f64,
    /// Of decoded payloads.
    pub sparse_seconds: f64,
}

impl AggregationBench {
    /// Measures one rule after the other.
    #[must_use]
    pub fn run(&self) -> AggregationRate {
        let mut layout = Layout::new();
        layout.push("matrix", &[SIDE, SIDE]);
        let compression = Compression::production();
        let noise = |peer: usize| normal(layout.parameters(), peer as u64);
        let dense: Vec<Contribution> = (0..self.peers).map(|peer| Contribution::dense(&layout, noise(peer))).collect();
        let sparse: Vec<Contribution> = (0..self.peers)
            .map(|peer| {
                let encoded = encode(&compression, &layout, &mut noise(peer), &mut Vec::new(), &mut Scratch::default());
                decode(&compression, &layout, &encoded.bytes).expect("an honest payload decodes")
            })
            .collect();
        let mut out = vec![0.0; layout.parameters()];
        let mut time = |aggregation: &Aggregation, contributions: &[Contribution]| {
            let contributions: Vec<&Contribution> = contributions.iter().collect();
            median_call(self.seconds, || {
                aggregate(aggregation, &layout, black_box(&contributions), &mut out);
            })
        };
        let rules = self
            .rules()
            .into_iter()
            .map(|(name, mixing, rule)| {
                let aggregation = Aggregation { mixing, rule, ..Aggregation::averaging(Average::Peers, Clip::None) };
                let dense_seconds = time(&aggregation, &dense);
                RuleRate { name, dense_seconds, sparse_seconds: time(&aggregation, &sparse) }
            })
            .collect();
        AggregationRate { params: layout.parameters() as u64, peers: self.peers, f: self.f, rules }
    }

    fn rules(&self) -> Vec<(&'static str, Mixing, Rule)> {
        let f = self.f;
        let nearest = Mixing::NearestNeighbours { f };
        vec![
            ("average", Mixing::None, Rule::Average),
            ("median", Mixing::None, Rule::Median),
            ("trimmed_mean", Mixing::None, Rule::TrimmedMean { f }),
            ("mean_around_median", Mixing::None, Rule::MeanAroundMedian { f }),
            ("sign_majority", Mixing::None, Rule::SignMajority { magnitude: 1.0 }),
            ("krum", Mixing::None, Rule::Krum { f }),
            ("multi_krum", Mixing::None, Rule::MultiKrum { f }),
            ("geometric_median", Mixing::None, Rule::GeometricMedian { smoothing: 0.1, iterations: 3 }),
            ("centred_clipping", Mixing::None, Rule::CentredClipping { radius: 100.0, iterations: 1 }),
            ("nearest_neighbours, average", nearest, Rule::Average),
            ("nearest_neighbours, trimmed_mean", nearest, Rule::TrimmedMean { f }),
            ("nearest_neighbours, krum", nearest, Rule::Krum { f }),
        ]
    }
}
