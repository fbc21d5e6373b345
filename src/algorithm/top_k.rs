//! The k entries of a chunk with the largest magnitude.
//!
//! Order: larger |v| first, the lower index first among equals, NaN above everything. The chosen indices come out
//! ascending, so two encoders that agree on the values agree on the bytes.
//!
//! Method: the chunk is folded into groups (element i belongs to group i mod G, G ≥ 2k), and the k-th largest of the
//! groups' maxima, rounded down, is a lower bound of the k-th largest element: k groups reach it with at least one
//! element each. Elements below the bound are dropped unseen, which leaves little more than k to select from by
//! quickselect. For 64 of 4096 Gaussian values about 76 remain.

#![expect(
    clippy::inline_always,
    reason = "what runs inside `dispatch` is compiled for the registers found at run time"
)]

use pulp::Arch;

/// Clears the sign of an f32's bits; what remains orders as |v| does.
const MAGNITUDE: u32 = 0x7fff_ffff;

/// Groups per kept entry: more make the bound tighter and dearer.
const GROUPS_PER_KEPT: usize = 4;

/// The lowest bit of the bound that is looked for: six bits of mantissa, a bound at most 1.6 % too low.
const BOUND_BIT_MIN: u32 = 17;

/// Reusable memory of a selection.
#[derive(Debug, Default)]
pub struct Selector {
    maxima: Vec<u32>,
    groups: Vec<u32>,
    candidates: Vec<u64>,
    marks: Vec<u64>,
}

impl Selector {
    /// Appends to `chosen` the indices of the `k` entries of `chunk` (bits of f32 values), ascending.
    ///
    /// # Panics
    /// If `k` is larger than the chunk, or the chunk has more than 2^16 elements.
    pub fn select(&mut self, chunk: &[u32], k: usize, chosen: &mut Vec<u16>) {
        assert!(k <= chunk.len() && chunk.len() <= 1 << 16, "{k} of {} elements", chunk.len());
        if k == chunk.len() {
            chosen.extend((0..k).map(|index| index as u16));
            return;
        }
        let rows = chunk.len() / (GROUPS_PER_KEPT * k).max(1);
        if rows >= 2 {
            let groups = chunk.len() / rows;
            let bound = Arch::new().dispatch(
                #[inline(always)]
                || fold_and_bound(chunk, groups, k, &mut self.maxima),
            );
            self.collect(chunk, groups, bound);
        } else {
            self.candidates.clear();
            self.candidates.extend(chunk.iter().zip(0..).map(|(&bits, index)| rank(bits, index)));
        }
        self.keep(chunk.len(), k, chosen);
    }

    /// Lists the elements that reach `bound`.
    fn collect(&mut self, chunk: &[u32], groups: usize, bound: u32) {
        // Written without branches: which element passes is as good as random.
        self.groups.resize(groups + 1, 0);
        let mut reaching = 0;
        for (group, &maximum) in (0..).zip(&self.maxima) {
            self.groups[reaching] = group;
            reaching += usize::from(maximum >= bound);
        }
        self.candidates.resize(chunk.len() + 1, 0);
        let mut count = 0;
        for (row, from) in chunk.chunks(groups).zip((0..).step_by(groups)) {
            for &group in &self.groups[..reaching] {
                let Some(&bits) = row.get(group as usize) else { break };
                self.candidates[count] = rank(bits, from + group);
                count += usize::from(bits & MAGNITUDE >= bound);
            }
        }
        self.candidates.truncate(count);
    }

    /// Appends the indices of the `k` highest candidates, ascending.
    fn keep(&mut self, chunk_len: usize, k: usize, chosen: &mut Vec<u16>) {
        if k == 0 {
            return;
        }
        if k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        }
        self.marks.clear();
        self.marks.resize(chunk_len.div_ceil(64), 0);
        for &candidate in &self.candidates[..k] {
            let index = !(candidate as u32);
            self.marks[index as usize / 64] |= 1 << (index % 64);
        }
        for (word, &marks) in self.marks.iter().enumerate() {
            let mut marks = marks;
            while marks != 0 {
                chosen.push((64 * word) as u16 + marks.trailing_zeros() as u16);
                marks &= marks - 1;
            }
        }
    }
}

/// A candidate's place in the order: magnitude, then the lower index.
#[inline(always)]
fn rank(bits: u32, index: u32) -> u64 {
    u64::from(bits & MAGNITUDE) << 32 | u64::from(!index)
}

/// The groups' maxima, and the largest multiple of 2^17 that `k` of them reach.
#[inline(always)]
fn fold_and_bound(chunk: &[u32], groups: usize, k: usize, maxima: &mut Vec<u32>) -> u32 {
    maxima.clear();
    maxima.resize(groups, 0);
    for row in chunk.chunks(groups) {
        for (maximum, &bits) in maxima.iter_mut().zip(row) {
            *maximum = (bits & MAGNITUDE).max(*maximum);
        }
    }
    let mut bound = 0;
    for bit in (BOUND_BIT_MIN..31).rev() {
        let higher = bound | 1 << bit;
        let reaching: u32 = maxima.iter().map(|&maximum| u32::from(maximum >= higher)).sum();
        if reaching as usize >= k {
            bound = higher;
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The obvious way: sort everything.
    fn oracle(chunk: &[f32], k: usize) -> Vec<u16> {
        let mut order: Vec<u16> = (0..chunk.len()).map(|index| index as u16).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(chunk[usize::from(index)].abs().to_bits()));
        order.truncate(k);
        order.sort_unstable();
        order
    }

    fn select(chunk: &[f32], k: usize) -> Vec<u16> {
        let bits: Vec<u32> = chunk.iter().map(|value| value.to_bits()).collect();
        let mut selector = Selector::default();
        let mut chosen = Vec::new();
        // Twice, since the memory is reused.
        selector.select(&bits, k, &mut chosen);
        chosen.clear();
        selector.select(&bits, k, &mut chosen);
        chosen
    }

    #[test]
    fn the_lower_index_wins_a_tie() {
        assert_eq!(select(&[1.0, -2.0, 2.0, 2.0, 0.5], 2), [1, 2]);
        assert_eq!(select(&[0.0; 4096], 64), (0..64).collect::<Vec<u16>>());
        assert_eq!(select(&[-0.0, 0.0, -0.0], 1), [0]);
    }

    #[test]
    fn nan_is_sent_first_rather_than_hidden() {
        let mut chunk = [1.0; 256];
        chunk[200] = f32::NAN;
        chunk[100] = f32::NEG_INFINITY;
        assert_eq!(select(&chunk, 2), [100, 200]);
    }

    fn values() -> impl Strategy<Value = Vec<f32>> {
        let value = prop_oneof![
            4 => -1.0_f32..1.0,
            2 => (-3_i8..3).prop_map(f32::from),
            1 => any::<f32>(),
            1 => Just(0.0),
        ];
        proptest::collection::vec(value, 1..600)
    }

    proptest! {
        #[test]
        fn selection_is_what_sorting_finds(chunk in values(), share in 0.0..1.0_f64) {
            for k in [(chunk.len() as f64 * share) as usize, chunk.len() / 64, chunk.len()] {
                prop_assert_eq!(select(&chunk, k), oracle(&chunk, k));
            }
        }
    }
}
