//! Rules that go coordinate by coordinate: median, trimmed mean, mean around the median, sign majority.
//!
//! Sixteen coordinates at a time are brought in order by one sorting network (Batcher's merge exchange), without the
//! exchanges that the rule's places do not depend on. Of n sorted values x_0 ≤ … ≤ x_{n−1} and k = n − f, with median m:
//!
//! ```text
//! median              x_{(n−1)/2} and x_{n/2}, their mean
//! trimmed mean        mean of x_f … x_{n−f−1}
//! around the median   1/k (Σ_{f ≤ i < k} x_i + Σ_{s < f} (x_{s+k} − m < m − x_s ? x_{s+k} : x_s))
//! ```
//!
//! The last one takes the k values nearest to m: they lie side by side, and of x_s and x_{s+k} one is among them. Of
//! two equally near ones it is the smaller value.
//!
//! Where fewer values are there than f needs, f is lowered to the largest with 2f < n.

use super::block::{LANES, Lanes};
use super::weights::tolerable;
use crate::algorithm::spec::Rule;

/// A rule for columns of a fixed number of values.
#[derive(Debug, Clone)]
pub struct ColumnRule {
    rule: Rule,
    /// f that can be tolerated.
    f: usize,
    exchanges: Vec<(u32, u32)>,
}

impl ColumnRule {
    /// For columns of `rows` values each.
    ///
    /// # Panics
    /// If the rule does not go coordinate by coordinate, or there is no row.
    pub fn new(rule: Rule, rows: usize) -> Self {
        assert!(rows > 0, "a statistic is of at least one value");
        let f = tolerable(rule.tolerance(), rows);
        let wanted = match rule {
            Rule::Median => (rows - 1) / 2..rows / 2 + 1,
            Rule::TrimmedMean { .. } => f..rows - f,
            Rule::MeanAroundMedian { .. } => 0..rows,
            Rule::SignMajority { .. } => 0..0,
            _ => panic!("{rule:?} does not go coordinate by coordinate"),
        };
        let mut is_wanted = vec![false; rows];
        is_wanted[wanted].fill(true);
        Self { rule, f, exchanges: pruned(merge_exchange(rows), is_wanted) }
    }

    /// The aggregate of a tile's columns, whose order is lost.
    #[inline(always)]
    pub fn apply(&self, tile: &mut [Lanes]) -> Lanes {
        for &(low, high) in &self.exchanges {
            exchange(tile, low as usize, high as usize);
        }
        let (n, f) = (tile.len(), self.f);
        match self.rule {
            Rule::Median => middle(tile),
            Rule::TrimmedMean { .. } => scaled(sum(&tile[f..n - f]), 1.0 / (n - 2 * f) as f32),
            Rule::MeanAroundMedian { .. } => {
                let (k, median) = (n - f, middle(tile));
                let mut total = sum(&tile[f..k]);
                for s in 0..f {
                    let (low, high) = (&tile[s], &tile[s + k]);
                    for lane in 0..LANES {
                        let high_is_nearer = high[lane] - median[lane] < median[lane] - low[lane];
                        total[lane] += if high_is_nearer { high[lane] } else { low[lane] };
                    }
                }
                scaled(total, 1.0 / k as f32)
            }
            Rule::SignMajority { magnitude } => {
                let mut votes = [0.0; LANES];
                for row in &*tile {
                    for lane in 0..LANES {
                        votes[lane] += sign(row[lane]);
                    }
                }
                votes.map(
                    #[inline(always)]
                    |votes| magnitude * sign(votes),
                )
            }
            _ => unreachable!("because no other rule is made"),
        }
    }
}

/// The aggregate of one column of at least one value, the obvious way; sorts it.
pub fn column(rule: Rule, values: &mut [f32]) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let n = values.len();
    let f = tolerable(rule.tolerance(), n);
    let mean =
        |values: &[f32]| (values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64) as f32;
    let median = |values: &[f32]| 0.5 * values[(n - 1) / 2] + 0.5 * values[n / 2];
    match rule {
        Rule::Median => median(values),
        Rule::TrimmedMean { .. } => mean(&values[f..n - f]),
        Rule::MeanAroundMedian { .. } => {
            let median = median(values);
            values.sort_by(|a, b| (a - median).abs().total_cmp(&(b - median).abs()));
            mean(&values[..n - f])
        }
        Rule::SignMajority { magnitude } => magnitude * sign(values.iter().map(|&value| sign(value)).sum()),
        _ => panic!("{rule:?} does not go coordinate by coordinate"),
    }
}

/// −1, 0 or 1.
#[inline(always)]
pub fn sign(value: f32) -> f32 {
    let positive = if value > 0.0 { 1.0 } else { 0.0 };
    let negative = if value < 0.0 { 1.0 } else { 0.0 };
    positive - negative
}

/// The median of sorted columns; halves are added, since the sum of two large values may overflow.
#[inline(always)]
fn middle(tile: &[Lanes]) -> Lanes {
    let (low, high) = (&tile[(tile.len() - 1) / 2], &tile[tile.len() / 2]);
    let mut middle = [0.0; LANES];
    for lane in 0..LANES {
        middle[lane] = 0.5 * low[lane] + 0.5 * high[lane];
    }
    middle
}

#[inline(always)]
fn sum(rows: &[Lanes]) -> Lanes {
    let mut sum = [0.0; LANES];
    for row in rows {
        for lane in 0..LANES {
            sum[lane] += row[lane];
        }
    }
    sum
}

#[inline(always)]
fn scaled(mut lanes: Lanes, factor: f32) -> Lanes {
    for lane in &mut lanes {
        *lane *= factor;
    }
    lanes
}

/// Replaces each row by the mean of the rows listed for it; `mixed` is memory.
#[inline(always)]
pub fn mix(tile: &mut [Lanes], neighbours: &[Vec<usize>], mixed: &mut Vec<Lanes>) {
    mixed.clear();
    for rows in neighbours {
        let mut total = [0.0; LANES];
        for &row in rows {
            let row = &tile[row];
            for lane in 0..LANES {
                total[lane] += row[lane];
            }
        }
        mixed.push(scaled(total, 1.0 / rows.len() as f32));
    }
    tile.copy_from_slice(mixed);
}

/// Puts the smaller of two rows' values into the first.
#[inline(always)]
fn exchange(tile: &mut [Lanes], low: usize, high: usize) {
    let (a, b) = (tile[low], tile[high]);
    for lane in 0..LANES {
        tile[low][lane] = if b[lane] < a[lane] { b[lane] } else { a[lane] };
        tile[high][lane] = if b[lane] < a[lane] { a[lane] } else { b[lane] };
    }
}

/// The comparisons of Batcher's merge exchange for `count` values (Knuth, volume 3, algorithm 5.2.2 M).
fn merge_exchange(count: usize) -> Vec<(u32, u32)> {
    let mut exchanges = Vec::new();
    let top = count.next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut distance) = (top, 0, p);
        loop {
            for low in (0..count.saturating_sub(distance)).filter(|low| low & p == r) {
                exchanges.push((low as u32, (low + distance) as u32));
            }
            if q == p {
                break;
            }
            distance = q - p;
            q /= 2;
            r = p;
        }
        p /= 2;
    }
    exchanges
}

/// The exchanges on which the wanted places depend.
fn pruned(exchanges: Vec<(u32, u32)>, mut is_wanted: Vec<bool>) -> Vec<(u32, u32)> {
    let mut kept: Vec<(u32, u32)> = exchanges
        .into_iter()
        .rev()
        .filter(|&(low, high)| {
            let places = [low as usize, high as usize];
            let matters = places.iter().any(|&place| is_wanted[place]);
            if matters {
                places.iter().for_each(|&place| is_wanted[place] = true);
            }
            matters
        })
        .collect();
    kept.reverse();
    kept
}
