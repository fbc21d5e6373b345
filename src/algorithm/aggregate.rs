//! Contributions to one aggregate.
//!
//! For each tensor: factor_r = 1, or min(1, m / (n_r + 1e-8)) with n_r the L2 norm of peer r's entries and m the lower
//! median of the n_r (only large contributions are scaled, and only down). Then for each coordinate
//!
//! ```text
//! contributors:  Δ = Σ factor_r · v_r / number of entries sent for it, 0 where there are none
//! peers:         Δ = Σ factor_r · v_r / R
//! ```
//!
//! Sums go over peers in the order given, in f32. A tensor whose aggregate is not finite becomes zero and is reported.
//! Source: `batch_decompress` of the public code; the paper divides by R.

use super::contribution::Contribution;
use super::layout::Layout;
use super::spec::{Aggregation, Average, Clip};

/// What happened besides.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Each tensor's lower median norm, where it was wanted.
    pub medians: Vec<f64>,
    /// Tensors (numbers in the layout) that were not finite.
    pub skipped: Vec<usize>,
}

/// Combines `contributions` into `out`, P values that are overwritten.
pub fn aggregate(
    aggregation: &Aggregation,
    layout: &Layout,
    contributions: &[&Contribution],
    out: &mut [f32],
) -> Summary {
    let mut summary = Summary::default();
    let mut counts = Vec::new();
    out.fill(0.0);
    for (number, tensor) in layout.tensors().iter().enumerate() {
        let factors = factors(aggregation.clip, number, contributions, &mut summary);
        let range = tensor.range();
        let sums = &mut out[range.clone()];
        counts.clear();
        counts.resize(sums.len(), 0_u32);
        for (contribution, factor) in contributions.iter().zip(factors) {
            let part = contribution.tensors[number].clone();
            let values = &contribution.values[part.clone()];
            match &contribution.indices {
                Some(indices) => {
                    for (&index, value) in indices[part].iter().zip(values) {
                        let place = index as usize - range.start;
                        sums[place] += factor * value;
                        counts[place] += 1;
                    }
                }
                None => {
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
                    counts.iter_mut().for_each(|count| *count += 1);
                }
            }
        }
        match aggregation.average {
            Average::Contributors => {
                sums.iter_mut().zip(&counts).for_each(|(sum, &count)| *sum /= count.max(1) as f32);
            }
            Average::Peers => sums.iter_mut().for_each(|sum| *sum /= contributions.len().max(1) as f32),
        }
        if !sums.iter().all(|value| value.is_finite()) {
            sums.fill(0.0);
            summary.skipped.push(number);
        }
    }
    summary
}

fn factors(clip: Clip, tensor: usize, contributions: &[&Contribution], summary: &mut Summary) -> Vec<f32> {
    match clip {
        Clip::None => vec![1.0; contributions.len()],
        Clip::MedianNorm => {
            let norms: Vec<f64> = contributions.iter().map(|contribution| contribution.norm(tensor)).collect();
            let median = lower_median(&norms);
            summary.medians.push(median);
            norms.iter().map(|norm| (median / (norm + 1e-8)).min(1.0) as f32).collect()
        }
    }
}

/// The middle value, the lower of the two where the count is even; 0 of nothing.
#[must_use]
pub fn lower_median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.is_empty() { 0.0 } else { sorted[(sorted.len() - 1) / 2] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(len: usize) -> Layout {
        let mut layout = Layout::new();
        layout.push("w", &[len]);
        layout
    }

    fn sparse(entries: &[(u32, f32)]) -> Contribution {
        let (indices, values): (Vec<u32>, Vec<f32>) = entries.iter().copied().unzip();
        Contribution { tensors: std::iter::once(0..values.len()).collect(), indices: Some(indices), values }
    }

    fn combine(aggregation: &Aggregation, contributions: &[Contribution]) -> Vec<f32> {
        let mut out = vec![f32::NAN; 4];
        aggregate(aggregation, &layout(4), &contributions.iter().collect::<Vec<_>>(), &mut out);
        out
    }

    fn assert_close(actual: &[f32], expected: [f32; 4]) {
        assert!(actual.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-4), "{actual:?} is not {expected:?}");
    }

    // Expected numbers: obtained by running the public code (facts, section 1.6).
    #[test]
    fn each_coordinate_is_averaged_over_the_peers_that_sent_it() {
        let two = [sparse(&[(0, 1.0), (1, 3.0)]), sparse(&[(1, 5.0), (2, 7.0)])];
        let plain = Aggregation { average: Average::Contributors, clip: Clip::None };
        assert_close(&combine(&plain, &two), [1.0, 4.0, 7.0, 0.0]);
        let clipped = Aggregation { average: Average::Contributors, clip: Clip::MedianNorm };
        assert_close(&combine(&clipped, &two), [1.0, 2.41902, 2.57325, 0.0]);
        let over_r = Aggregation { average: Average::Peers, clip: Clip::None };
        assert_close(&combine(&over_r, &two), [0.5, 4.0, 3.5, 0.0]);
    }

    #[test]
    fn the_median_clip_bounds_a_scaled_attack() {
        let three = [sparse(&[(0, 1.0), (1, 3.0)]), sparse(&[(1, 5.0), (2, 7.0)]), sparse(&[(0, 100.0), (3, -100.0)])];
        let clipped = Aggregation { average: Average::Contributors, clip: Clip::MedianNorm };
        assert_close(&combine(&clipped, &three), [3.54138, 4.0, 7.0, -6.08276]);
    }

    #[test]
    fn a_tensor_that_is_not_finite_is_skipped() {
        let poison = [sparse(&[(0, f32::MAX)]), sparse(&[(0, f32::MAX)])];
        let aggregation = Aggregation { average: Average::Peers, clip: Clip::None };
        let mut out = vec![1.0; 4];
        let summary = aggregate(&aggregation, &layout(4), &poison.iter().collect::<Vec<_>>(), &mut out);
        assert_eq!((out, summary.skipped), (vec![0.0; 4], vec![0]));
    }
}
