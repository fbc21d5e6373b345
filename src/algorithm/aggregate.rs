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
//! The other rules take the same clipped contributions: see `columns` for those that go coordinate by coordinate and
//! `weights` for those by distances between whole contributions (all tensors together). What a peer did not send is
//! zero to distances and to mixing, after which the average is over R; rules by coordinate also know [`Absent::Skip`],
//! unless contributions are mixed.
//!
//! A tensor whose aggregate is not finite is zeroed and reported: its outer step is skipped.
//!
//! [`Average::Contributors`]: super::spec::Average::Contributors
//! [`Absent::Skip`]: super::spec::Absent::Skip

mod average;
mod block;
mod columns;
mod combination;
mod gram;
mod weights;

#[cfg(test)]
mod tests;

use combination::{Combination, Round};
use pulp::Arch;

use super::contribution::Contribution;
use super::layout::Layout;
use super::spec::{Aggregation, Clip};
use super::vectorised::vectorised;

/// Keeps the factor of a zero contribution finite.
const NORM_EPSILON: f32 = 1e-8;

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
    let (medians, factors): (Vec<f32>, Vec<Vec<f32>>) =
        (0..layout.tensors().len()).map(|number| clip(aggregation.clip, contributions, number)).unzip();
    let mut summary = Summary { medians, ..Summary::default() };
    let mut round = Round::new(layout, contributions, &factors);
    let combination = Combination::of(aggregation, &mut round);
    for (number, tensor) in layout.tensors().iter().enumerate() {
        let target = &mut out[tensor.range()];
        let mut found = combination.combine(&mut round, number, target);
        if !found.finite {
            target.fill(0.0);
            summary.skipped.push(number);
            found.nonzeros = 0;
        }
        summary.nonzeros.push(found.nonzeros);
    }
    summary
}

/// The median norm of the contributions to a tensor, and what each is multiplied by.
fn clip(clip: Clip, contributions: &[&Contribution], number: usize) -> (f32, Vec<f32>) {
    let norms: Vec<f32> = contributions.iter().map(|contribution| contribution.tensor_norm(number) as f32).collect();
    let median = lower_median(&norms);
    let factors = match clip {
        Clip::None => vec![1.0; norms.len()],
        Clip::MedianNorm => norms.iter().map(|norm| (median / (norm + NORM_EPSILON)).min(1.0)).collect(),
    };
    (median, factors)
}

/// The middle value, the lower of two; 0 of nothing.
#[must_use]
pub fn lower_median(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// What became of a tensor, or of a part of it.
#[derive(Clone, Copy)]
struct Found {
    nonzeros: u64,
    finite: bool,
}

impl Found {
    const NOTHING: Self = Self { nonzeros: 0, finite: true };

    /// Of values that stand there.
    fn of(values: &[f32]) -> Self {
        let mut found = Self::NOTHING;
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                for values in values.chunks(1 << 16) {
                    let (mut nonzeros, mut infinite) = (0_u32, 0_u32);
                    for &value in values {
                        nonzeros += u32::from(value != 0.0);
                        infinite += u32::from(!value.is_finite());
                    }
                    found.nonzeros += u64::from(nonzeros);
                    found.finite &= infinite == 0;
                }
            },
        );
        found
    }

    fn note(&mut self, value: f32) {
        self.nonzeros += u64::from(value != 0.0);
        self.finite &= value.is_finite();
    }
}
