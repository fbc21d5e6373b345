//! One aggregate out of many contributions.
//!
//! Per tensor, over contributions r in the order given (ascending peers):
//!
//! ```text
//! factor_r = min(1, median / (n_r + 1e-8))       n_r = ‖contribution_r‖ of this tensor, the lower median for even R
//! out_i    = Σ_r factor_r · v_ri / divisor_i     divisor_i = entries sent for coordinate i, or R
//! ```
//!
//! Large contributions are scaled down, small ones are not scaled up. A coordinate that nobody sent is zero. With
//! [`Average::Contributors`] a coordinate that a single peer sent takes that peer's full value. Dense contributions send
//! every coordinate, so both divisors are R. Sums are f32, in the order of the contributions, as in the public code.
//!
//! A tensor whose aggregate is not finite is zeroed and reported: its outer step is skipped.

use super::contribution::Contribution;
use super::layout::{Layout, Tensor};
use super::spec::{Aggregation, Average, Clip};

/// Keeps the factor of a zero contribution finite.
const NORM_EPSILON: f32 = 1e-8;

/// Coordinates of a dense tensor that are summed over all contributions before the next ones.
const STRETCH: usize = 4096;

/// What an aggregation found, per tensor of the layout.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Lower median of the contributions' norms; 0 without contributions.
    pub medians: Vec<f32>,
    /// Coordinates of the aggregate that are not zero.
    pub nonzeros: Vec<u64>,
    /// Indices of tensors that were zeroed, ascending.
    pub skipped: Vec<usize>,
}

/// Combines `contributions` into `out`, a flat buffer of P values whose old contents do not matter.
///
/// # Panics
/// If the contributions are not all of one layout and compression.
pub fn aggregate(
    aggregation: &Aggregation,
    layout: &Layout,
    contributions: &[&Contribution],
    out: &mut [f32],
) -> Summary {
    assert_eq!(out.len(), layout.parameters(), "an aggregate has P values");
    out.fill(0.0);
    let largest = layout.tensors().iter().map(Tensor::len).max().unwrap_or(0);
    let sparse = contributions.iter().any(|contribution| contribution.is_sparse());
    let mut entries = if sparse { vec![0; largest] } else { Vec::new() };
    let mut summary = Summary::default();
    for (number, tensor) in layout.tensors().iter().enumerate() {
        let norms: Vec<f32> =
            contributions.iter().map(|contribution| contribution.tensor_norm(number) as f32).collect();
        let median = lower_median(&norms);
        let factors: Vec<f32> = match aggregation.clip {
            Clip::None => vec![1.0; norms.len()],
            Clip::MedianNorm => norms.iter().map(|norm| (median / (norm + NORM_EPSILON)).min(1.0)).collect(),
        };
        let weighted = Weighted { contributions, factors: &factors, number };
        let target = &mut out[tensor.range()];
        let mut found = if sparse {
            weighted.sparse_mean(aggregation.average, tensor.offset, target, &mut entries[..tensor.len()])
        } else {
            weighted.dense_mean(target)
        };
        if !found.finite {
            target.fill(0.0);
            summary.skipped.push(number);
            found.nonzeros = 0;
        }
        summary.medians.push(median);
        summary.nonzeros.push(found.nonzeros);
    }
    summary
}

/// The middle value, the lower of two; 0 of nothing.
#[must_use]
pub fn lower_median(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// All contributions to the tensor with this number.
struct Weighted<'a> {
    contributions: &'a [&'a Contribution],
    factors: &'a [f32],
    number: usize,
}

/// What became of a tensor, or of a part of it.
#[derive(Clone, Copy)]
struct Found {
    nonzeros: u64,
    finite: bool,
}

impl Found {
    const NOTHING: Self = Self { nonzeros: 0, finite: true };

    fn note(&mut self, value: f32) {
        self.nonzeros += u64::from(value != 0.0);
        self.finite &= value.is_finite();
    }
}

impl Weighted<'_> {
    /// Chunk by chunk, so that a chunk's coordinates stay in the cache while all contributions pass over them.
    ///
    /// `entries` counts what was sent for each coordinate; it is all zero before and after.
    fn sparse_mean(&self, average: Average, offset: usize, out: &mut [f32], entries: &mut [u32]) -> Found {
        let Some(first) = self.contributions.first() else { return Found::NOTHING };
        let chunks = first.chunks(self.number);
        for contribution in self.contributions {
            let kept = |contribution: &Contribution| contribution.values(self.number).len();
            let alike = contribution.is_sparse()
                && contribution.chunks(self.number) == chunks
                && kept(contribution) == kept(first);
            assert!(alike, "contributions are of one compression");
        }
        let peers = self.contributions.len() as f32;
        let mut found = Found::NOTHING;
        for chunk in 0..chunks {
            for (contribution, &factor) in self.contributions.iter().zip(self.factors) {
                let sent = contribution.chunk(self.number, chunk);
                let mut previous = None;
                for (&index, &value) in sent.indices.iter().zip(sent.values) {
                    let repeated = previous.replace(index) == Some(index);
                    if repeated && average == Average::Peers {
                        continue; // a peer counts once, however often it sends a coordinate
                    }
                    let at = index as usize - offset;
                    out[at] += factor * value;
                    entries[at] += 1;
                }
            }
            for contribution in self.contributions {
                for &index in contribution.chunk(self.number, chunk).indices {
                    let at = index as usize - offset;
                    let count = std::mem::take(&mut entries[at]);
                    if count > 0 {
                        let divisor = match average {
                            Average::Contributors => count as f32,
                            Average::Peers => peers,
                        };
                        out[at] /= divisor;
                        found.note(out[at]);
                    }
                }
            }
        }
        found
    }

    fn dense_mean(&self, out: &mut [f32]) -> Found {
        let peers = self.contributions.len() as f32;
        let mut found = Found::NOTHING;
        if self.contributions.is_empty() {
            return found;
        }
        for (out, from) in out.chunks_mut(STRETCH).zip((0..).step_by(STRETCH)) {
            for (contribution, &factor) in self.contributions.iter().zip(self.factors) {
                for (sum, &value) in out.iter_mut().zip(&contribution.values(self.number)[from..]) {
                    *sum += factor * value;
                }
            }
            for sum in out {
                *sum /= peers;
                found.note(*sum);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::codec::{Scratch, decode, encode};
    use crate::algorithm::spec::{Compression, IndexCoding, TopK, VectorChunk};

    const MEAN: Aggregation = Aggregation { average: Average::Contributors, clip: Clip::None };

    fn layout() -> Layout {
        let mut layout = Layout::new();
        layout.push("w", &[2, 4]);
        layout.push("b", &[4]);
        layout
    }

    fn sparse(k: usize, values: [f32; 12]) -> Contribution {
        let compression = Compression::TopK(TopK {
            chunk: [2, 2],
            vectors: VectorChunk::Area,
            k,
            even_k: false,
            quantizer: None,
            index_coding: IndexCoding::Fixed,
            error_feedback: None,
        });
        let layout = layout();
        let mut delta = values.to_vec();
        let encoded = encode(&compression, &layout, &mut delta, &mut Vec::new(), &mut Scratch::default());
        decode(&compression, &layout, &encoded.bytes).expect("an honest payload")
    }

    #[test]
    fn the_order_of_peers_and_their_number_decide_the_mean() {
        let a = sparse(1, [9., 0., 0., 1., 0., 0., 0., 0., 4., 0., 0., 0.]);
        let b = sparse(1, [3., 0., 0., 0., 0., 0., 5., 0., 0., 2., 0., 0.]);
        let mut out = vec![7.0; 12];
        let summary = aggregate(&MEAN, &layout(), &[&a, &b], &mut out);
        assert_eq!(out, [6., 0., 0., 1., 0., 0., 5., 0., 4., 2., 0., 0.]);
        assert_eq!(summary.nonzeros, [3, 2]);
        let peers = Aggregation { average: Average::Peers, ..MEAN };
        aggregate(&peers, &layout(), &[&a, &b], &mut out);
        assert_eq!(out, [6., 0., 0., 0.5, 0., 0., 2.5, 0., 2., 1., 0., 0.]);
    }

    #[test]
    fn nobody_contributes_nothing() {
        let mut out = vec![7.0; 12];
        let summary = aggregate(&MEAN, &layout(), &[], &mut out);
        assert_eq!(out, [0.0; 12]);
        assert_eq!((summary.medians, summary.nonzeros, summary.skipped), (vec![0.0; 2], vec![0; 2], vec![]));
    }

    #[test]
    fn dense_and_full_sparse_contributions_have_the_same_mean() {
        let values = [[1., -2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 0.], [0.1; 12], [-3.; 12]];
        for clip in [Clip::None, Clip::MedianNorm] {
            for average in [Average::Contributors, Average::Peers] {
                let aggregation = Aggregation { average, clip };
                let full: Vec<_> = values.iter().map(|&values| sparse(4, values)).collect();
                let dense: Vec<_> =
                    values.iter().map(|values| Contribution::dense(&layout(), values.to_vec())).collect();
                let (mut a, mut b) = (vec![0.0; 12], vec![0.0; 12]);
                let of_full = aggregate(&aggregation, &layout(), &full.iter().collect::<Vec<_>>(), &mut a);
                let of_dense = aggregate(&aggregation, &layout(), &dense.iter().collect::<Vec<_>>(), &mut b);
                assert_eq!((a, of_full), (b, of_dense));
            }
        }
    }

    #[test]
    fn a_tensor_that_overflows_is_zeroed_and_reported_and_the_others_stay() {
        let mut values = [1.0; 12];
        values[2] = f32::MAX;
        let huge = Contribution::dense(&layout(), values.to_vec());
        let mut out = vec![0.0; 12];
        let summary = aggregate(&MEAN, &layout(), &[&huge, &huge], &mut out);
        assert_eq!(out, [[0.0; 8].as_slice(), &[1.0; 4]].concat());
        assert_eq!((summary.skipped, summary.nonzeros), (vec![0], vec![0, 4]));
    }

    #[test]
    fn an_attack_by_magnitude_is_cut_to_the_median() {
        let honest = Contribution::dense(&layout(), vec![1.0; 12]);
        let attack = Contribution::dense(&layout(), vec![-1e6; 12]);
        let mut out = vec![0.0; 12];
        let clip = Aggregation { clip: Clip::MedianNorm, ..MEAN };
        aggregate(&clip, &layout(), &[&honest, &honest, &attack], &mut out);
        assert!(out.iter().all(|&value| (value - 1.0 / 3.0).abs() < 1e-6), "{out:?}");
    }
}
