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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::algorithm::codec::{self, Scratch};
    use crate::algorithm::spec::{Compression, IndexCoding, TopK, VectorChunk};
    use crate::validator::spec::Gauntlet;

    /// What a peer with this pseudo-gradient sends: the k largest of each chunk.
    fn sent(compression: &Compression, layout: &Layout, delta: &[f32]) -> Contribution {
        let (mut delta, mut error_feedback) = (delta.to_vec(), Vec::new());
        let encoded = codec::encode(compression, layout, &mut delta, &mut error_feedback, &mut Scratch::default());
        codec::decode(compression, layout, &encoded.bytes).expect("it was encoded just now")
    }

    fn top_k(chunk: [usize; 2], k: usize) -> Compression {
        Compression::TopK(TopK {
            chunk,
            vectors: VectorChunk::Side,
            k,
            even_k: false,
            quantizer: None,
            index_coding: IndexCoding::Fixed,
            error_feedback: Some(0.95),
        })
    }

    /// Values that are large at these places of a vector of this length.
    fn large_at(length: usize, places: &[usize]) -> Vec<f32> {
        (0..length).map(|place| if places.contains(&place) { 9.0 } else { 0.1 }).collect()
    }

    #[test]
    fn half_of_the_indices_in_common_is_an_overlap_of_one_half() {
        // The reference's test cases: {0,1,2,3} and {2,3,4,5}; two chunks, one with everything and one with nothing.
        let compression = top_k([1, 8], 4);
        let mut layout = Layout::new();
        layout.push("vector", &[8]);
        let vector = |places: &[usize]| sent(&compression, &layout, &large_at(8, places));
        assert_eq!(index_overlap(&vector(&[0, 1, 2, 3]), &vector(&[2, 3, 4, 5]), &layout), Some(0.5));
        assert_eq!(index_overlap(&vector(&[0, 1, 2, 3]), &vector(&[4, 5, 6, 7]), &layout), Some(0.0));

        let mut layout = Layout::new();
        layout.push("vector", &[16]);
        let vector = |places: &[usize]| sent(&compression, &layout, &large_at(16, places));
        let (a, b) = (vector(&[0, 1, 2, 3, 8, 9, 10, 11]), vector(&[0, 1, 2, 3, 12, 13, 14, 15]));
        assert_eq!(index_overlap(&a, &b, &layout), Some(0.5));
    }

    #[test]
    fn dense_contributions_have_no_overlap_to_speak_of() {
        let mut layout = Layout::new();
        layout.push("vector", &[4]);
        let dense = Contribution::dense(&layout, vec![1.0; 4]);
        assert_eq!(index_overlap(&dense, &dense, &layout), None);
        assert_eq!(overlaps(&[(PeerId(0), &dense), (PeerId(1), &dense)], &layout), []);
    }

    #[test]
    fn of_three_copies_the_two_later_ones_are_to_blame() {
        // The reference's test case: three identical peers with dates 100 < 200 < 300.
        let rule = Gauntlet::production().overlap.expect("production looks for copies");
        let [first, second, third] = [PeerId(0), PeerId(1), PeerId(2)];
        let pairs = [(first, second, 1.0), (first, third, 1.0), (second, third, 1.0)];
        let dates = BTreeMap::from([(first, 100), (second, 200), (third, 300)]);
        let blamed = BTreeMap::from([(second, Level::Mega), (third, Level::Mega)]);
        assert_eq!(offenders(&pairs, &dates, &rule), blamed);
        // Dates are what counts, not the order of the pair.
        let dates = BTreeMap::from([(first, 300), (second, 200), (third, 100)]);
        assert_eq!(offenders(&pairs, &dates, &rule).into_keys().collect::<Vec<_>>(), [first, second]);
        // Of equal dates, and of none, the first of the pair is blamed.
        assert_eq!(offenders(&pairs[..1], &BTreeMap::new(), &rule).into_keys().collect::<Vec<_>>(), [first]);
        // A peer that has no date yet is not to blame.
        let dates = BTreeMap::from([(first, 100)]);
        assert_eq!(offenders(&pairs[..1], &dates, &rule).into_keys().collect::<Vec<_>>(), [first]);
    }

    #[test]
    fn the_last_suspicious_pair_gives_the_level() {
        let rule = Gauntlet::production().overlap.expect("production looks for copies");
        let pairs = [(PeerId(0), PeerId(2), 0.9), (PeerId(1), PeerId(2), 0.45), (PeerId(0), PeerId(1), 0.39)];
        let dates = BTreeMap::from([(PeerId(0), 1), (PeerId(1), 2), (PeerId(2), 3)]);
        assert_eq!(offenders(&pairs, &dates, &rule), BTreeMap::from([(PeerId(2), Level::High)]));
    }

    #[test]
    fn levels_begin_where_the_reference_has_them() {
        let rule = Gauntlet::production().overlap.expect("production looks for copies");
        let level = |overlap| Level::of(overlap, &rule);
        assert_eq!([level(0.399), level(0.40), level(0.499)], [None, Some(Level::High), Some(Level::High)]);
        assert_eq!([level(0.5), level(0.501), level(0.599)], [Some(Level::Max); 3]);
        assert_eq!([level(0.6), level(0.601), level(1.0)], [Some(Level::Mega); 3]);
    }

    proptest! {
        #[test]
        fn the_overlap_is_that_of_sets(
            rows in 1_usize..20,
            columns in 1_usize..20,
            length in 1_usize..40,
            k in 1_usize..10,
            values in proptest::collection::vec(-1000_i32..1000, 2 * (20 * 20 + 40)),
        ) {
            let compression = top_k([4, 5], k);
            let mut layout = Layout::new();
            layout.push("matrix", &[rows, columns]);
            layout.push("vector", &[length]);
            let parameters = layout.parameters();
            let values: Vec<f32> = values.iter().map(|&value| value as f32 + 0.5).collect();
            let a = sent(&compression, &layout, &values[..parameters]);
            let b = sent(&compression, &layout, &values[parameters..2 * parameters]);

            // Chunks do not meet, so the sets of a whole tensor do. Every tensor weighs as many entries as it sends.
            let set = |contribution: &Contribution, tensor| -> BTreeSet<u32> {
                contribution.indices(tensor).expect("top-k is sparse").iter().copied().collect()
            };
            let (mut weighted, mut weight) = (0.0, 0.0);
            for tensor in 0..2 {
                let (in_a, in_b) = (set(&a, tensor), set(&b, tensor));
                weighted += in_a.intersection(&in_b).count() as f64;
                weight += in_a.len() as f64;
            }
            prop_assert_eq!(index_overlap(&a, &b, &layout), Some(weighted / weight));
            prop_assert_eq!(index_overlap(&b, &a, &layout), Some(weighted / weight));
            prop_assert_eq!(index_overlap(&a, &a, &layout), Some(1.0));
        }

        #[test]
        fn entries_of_the_first_that_are_in_the_second_are_counted(
            mut a in proptest::collection::vec(0_u32..30, 0..20),
            mut b in proptest::collection::vec(0_u32..30, 0..20),
        ) {
            a.sort_unstable();
            b.sort_unstable();
            prop_assert_eq!(count_shared(&a, &b), a.iter().filter(|index| b.contains(index)).count());
        }
    }
}
