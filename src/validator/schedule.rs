//! Bins and draws: whom to evaluate, in which order newcomers come.

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

/// Orders peers as if they were drawn one after another, each with a probability proportional to its weight among
/// those left; `exponential` is a draw of the unit exponential distribution for each peer.
///
/// The first of independent exponential arrivals with rates w is peer i with probability w_i/Σw, and what is left is
/// again memoryless. Each peer having its own draw, one that comes or goes shifts nobody else's.
#[must_use]
pub fn draw_weighted(peers: &[(PeerId, u32)], mut exponential: impl FnMut(PeerId) -> f64) -> Vec<PeerId> {
    let mut arrivals: Vec<(f64, PeerId)> =
        peers.iter().map(|&(peer, weight)| (exponential(peer) / f64::from(weight), peer)).collect();
    arrivals.sort_by(|(a, first), (b, second)| a.total_cmp(b).then(first.cmp(second)));
    arrivals.into_iter().map(|(_, peer)| peer).collect()
}
