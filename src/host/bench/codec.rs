//! How fast this machine compresses, on one thread: what a peer does after its inner steps, and what everybody does with
//! the payloads of a round.

use std::hint::black_box;

use rand_distr::{Distribution as _, StandardNormal};
use serde::Serialize;

use super::median_call;
use crate::algorithm::Contribution;
use crate::algorithm::aggregate::aggregate;
use crate::algorithm::codec::{Scratch, decode, encode};
use crate::algorithm::outer::OuterState;
use crate::algorithm::spec::{Aggregation, Average, Clip, Compression, OuterOptimizer};
use crate::quantity::Seed;
use crate::sim::Streams;
use crate::training::llama::Network;
use crate::training::spec::Llama;

/// The work to time: the production codec (64 of each 64 × 64 block, 2 bits, decay 0.95) on a model's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct CodecBench {
    /// The model whose tensors are compressed.
    pub model: Llama,
    /// Payloads in an aggregate.
    pub peers: usize,
    /// How long to measure each part \[s\].
    pub seconds: f64,
}

/// How long it took; seconds are medians on one thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CodecRate {
    /// Parameters of the model.
    pub params: u64,
    /// Payloads in an aggregate.
    pub peers: usize,
    /// One payload.
    pub payload_bytes: u64,
    /// Copying the flat buffer, 4 bytes a parameter.
    pub copy_seconds: f64,
    /// Pseudo-gradient, error feedback, top-k, quantisation, packing.
    pub encode_seconds: f64,
    /// Unpacking and checking all payloads, clipping, averaging, outer step.
    pub apply_seconds: f64,
    /// Bytes of the flat buffer over `encode_seconds`.
    pub encode_bytes_per_second: f64,
    /// Bytes of the flat buffer over `copy_seconds`.
    pub copy_bytes_per_second: f64,
}

impl CodecBench {
    /// Measures copy, encoding and application, one after the other.
    ///
    /// # Panics
    /// If the model's sizes contradict each other.
    #[must_use]
    pub fn run(&self) -> CodecRate {
        let network = Network::new(&self.model);
        let (layout, compression) = (network.layout(), Compression::production());
        let params = layout.parameters();
        let start = normal(params, 0);
        let mut buffer = vec![0.0; params];
        let copy_seconds = median_call(self.seconds, || buffer.copy_from_slice(black_box(&start)));

        let (trained, mut residual, mut scratch) = (normal(params, 1), vec![0.0; params], Scratch::default());
        let encode_seconds = median_call(self.seconds, || {
            // As after inner steps: θ(t) − θ in the worker's buffer, which the codec may use up.
            buffer.iter_mut().zip(start.iter().zip(&trained)).for_each(|(delta, (start, end))| *delta = start - end);
            black_box(encode(&compression, layout, &mut buffer, &mut residual, &mut scratch));
        });

        let payload = |peer: usize| {
            let mut delta = normal(params, 2 + peer as u64);
            encode(&compression, layout, &mut delta, &mut Vec::new(), &mut scratch).bytes
        };
        let payloads: Vec<Vec<u8>> = (0..self.peers).map(payload).collect();
        let aggregation = Aggregation::averaging(Average::Contributors, Clip::MedianNorm);
        let optimizer = OuterOptimizer::Sgd { learning_rate: 0.65 };
        let (mut outer, mut theta) = (OuterState::default(), start.clone());
        let apply_seconds = median_call(self.seconds, || {
            let decoded: Vec<Contribution> = payloads
                .iter()
                .map(|payload| decode(&compression, layout, payload).expect("an honest payload decodes"))
                .collect();
            aggregate(&aggregation, layout, &decoded.iter().collect::<Vec<_>>(), &mut buffer);
            outer.step(&optimizer, layout, &mut theta, &buffer, 0);
        });
        let bytes = 4.0 * params as f64;
        CodecRate {
            params: params as u64,
            peers: self.peers,
            payload_bytes: payloads.first().map_or(0, |payload| payload.len() as u64),
            copy_seconds,
            encode_seconds,
            apply_seconds,
            encode_bytes_per_second: bytes / encode_seconds,
            copy_bytes_per_second: bytes / copy_seconds,
        }
    }
}

/// Values of one name, each N(0, 1).
pub(super) fn normal(length: usize, name: u64) -> Vec<f32> {
    StandardNormal.sample_iter(Streams::new(Seed(1)).rng("bench", name, 0)).take(length).collect()
}
