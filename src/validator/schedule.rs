//! Bins and draws: whom to evaluate, in which order newcomers come.

use rand::Rng;
use rand::RngExt as _;

use crate::quantity::PeerId;

/// Cuts peers into bins of similar rating, best first; the first bins get the remainder. Fewer than
/// `bins · per_window` peers are one bin.
#[must_use]
pub fn bins(peers: &[(PeerId, f64)], bins: usize, per_window: usize) -> Vec<Vec<PeerId>> {
    if peers.len() < bins * per_window || bins < 2 {
        return vec![peers.iter().map(|&(peer, _)| peer).collect()];
    }
    let mut sorted = peers.to_vec();
    sorted.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let (size, remainder) = (sorted.len() / bins, sorted.len() % bins);
    let mut rest = sorted.as_slice();
    (0..bins)
        .map(|bin| {
            let (own, others) = rest.split_at(size + usize::from(bin < remainder));
            rest = others;
            own.iter().map(|&(peer, _)| peer).collect()
        })
        .collect()
}

/// Draws a bin; if there is only one it is that one.
#[must_use]
pub fn draw_bin(bins: usize, rng: &mut impl Rng) -> usize {
    rng.random_range(0..bins)
}

/// Draws `count` peers one after another, each with a probability proportional to its weight among those left.
#[must_use]
pub fn draw_weighted(peers: &[(PeerId, u32)], count: usize, rng: &mut impl Rng) -> Vec<PeerId> {
    let mut left = peers.to_vec();
    let mut total: u64 = left.iter().map(|&(_, weight)| u64::from(weight)).sum();
    let mut drawn = Vec::new();
    while drawn.len() < count && total > 0 {
        let mut point = rng.random_range(0..total);
        let is_hit = |&(_, weight): &(PeerId, u32)| match point.checked_sub(u64::from(weight)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        };
        let index = left.iter().position(is_hit).expect("because the point is within the total");
        let (peer, weight) = left.remove(index);
        total -= u64::from(weight);
        drawn.push(peer);
    }
    drawn
}
