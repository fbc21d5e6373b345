//! How much of two payloads' indices is the same: a copy keeps its original's.
//!
//! overlap of A and B = Σ over chunks |A ∩ B| / Σ over chunks k, the size-weighted mean of |A ∩ B|/k. Order does not
//! matter, nor values; an index that comes more than once in A counts each time.
//!
//! Of a suspicious pair the one whose payload came later is to blame, by the date of its payload of the window before
//! (the public code looks one window back); of two equal dates, the first of the pair; without a date, as if it were
//! the earliest. Where a peer is in several suspicious pairs the last one gives the level, as in the public code.

use std::collections::BTreeMap;

use super::spec::Overlap;
use crate::algorithm::{Contribution, Layout};
use crate::quantity::PeerId;

/// How suspicious a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Suspicious.
    High,
    /// Closely alike.
    Max,
    /// The same.
    Mega,
}

impl Level {
    /// The level of a pair with this overlap, if it is suspicious.
    #[must_use]
    pub fn of(overlap: f64, spec: &Overlap) -> Option<Self> {
        if overlap < spec.threshold {
            None
        } else if overlap >= spec.mega {
            Some(Self::Mega)
        } else if overlap >= spec.max {
            Some(Self::Max)
        } else {
            Some(Self::High)
        }
    }
}

/// Share of equal indices of two contributions of the same compression; `None` if they are dense.
///
/// # Panics
/// If they do not have the same chunks.
#[must_use]
pub fn index_overlap(a: &Contribution, b: &Contribution, layout: &Layout) -> Option<f64> {
    let (mut same, mut all) = (0, 0);
    for tensor in 0..layout.tensors().len() {
        let (in_a, in_b) = (a.indices(tensor)?, b.indices(tensor)?);
        let chunks = a.chunks(tensor);
        assert!(
            in_a.len() == in_b.len() && chunks == b.chunks(tensor),
            "contributions of one compression have the same chunks"
        );
        if in_a.is_empty() {
            continue;
        }
        let kept = in_a.len() / chunks;
        same += in_a.chunks_exact(kept).zip(in_b.chunks_exact(kept)).map(|(a, b)| count_shared(a, b)).sum::<usize>();
        all += in_a.len();
    }
    Some(if all == 0 { 0.0 } else { same as f64 / all as f64 })
}

/// The overlap of every pair, in the order of the contributions; none if they are dense.
#[must_use]
pub fn overlaps(contributions: &[(PeerId, &Contribution)], layout: &Layout) -> Vec<(PeerId, PeerId, f64)> {
    let mut pairs = Vec::new();
    for (index, &(first, a)) in contributions.iter().enumerate() {
        for &(second, b) in &contributions[index + 1..] {
            pairs.extend(index_overlap(a, b, layout).map(|overlap| (first, second, overlap)));
        }
    }
    pairs
}

/// Who is to blame for suspicious pairs, and how much.
#[must_use]
pub fn offenders(
    overlaps: &[(PeerId, PeerId, f64)],
    dates: &BTreeMap<PeerId, u64>,
    spec: &Overlap,
) -> BTreeMap<PeerId, Level> {
    let date = |peer: &PeerId| dates.get(peer).copied().unwrap_or(0);
    let mut levels = BTreeMap::new();
    for (first, second, overlap) in overlaps {
        if let Some(level) = Level::of(*overlap, spec) {
            let offender = if date(first) >= date(second) { first } else { second };
            levels.insert(*offender, level);
        }
    }
    levels
}

/// Entries of `a` that are in `b`; both ascending. A merge without branches that a processor could mispredict.
fn count_shared(a: &[u32], b: &[u32]) -> usize {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let (in_a, in_b) = (a[i], b[j]);
        shared += usize::from(in_a == in_b);
        i += usize::from(in_a <= in_b);
        j += usize::from(in_b < in_a);
    }
    shared
}
