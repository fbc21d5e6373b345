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

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution as _, Exp1};

    use super::*;
    use crate::quantity::Seed;
    use crate::sim::Streams;

    #[test]
    fn few_peers_are_one_bin() {
        let peers: Vec<(PeerId, f64)> = (0..99).map(|peer| (PeerId(peer), f64::from(peer))).collect();
        assert_eq!(bins(&peers, 5, 20), [peers.iter().map(|&(peer, _)| peer).collect::<Vec<_>>()]);
        assert_eq!(bins(&[], 5, 20), [Vec::<PeerId>::new()]);
    }

    #[test]
    fn bins_are_by_rating_and_the_first_get_the_remainder() {
        let peers: Vec<(PeerId, f64)> = (0..103).map(|peer| (PeerId(peer), f64::from(peer))).collect();
        let bins = bins(&peers, 5, 20);
        assert_eq!(bins.iter().map(Vec::len).collect::<Vec<_>>(), [21, 21, 21, 20, 20]);
        assert!(bins.concat().into_iter().eq((0..103).rev().map(PeerId)), "the best come first");
    }

    #[test]
    fn the_first_drawn_are_in_proportion_to_their_weights() {
        let peers = [(PeerId(0), 1), (PeerId(1), 2), (PeerId(2), 5)];
        let streams = Streams::new(Seed(1));
        let draws = 20_000;
        let mut first = [0_u32; 3];
        let mut second_after_2 = [0_u32; 3];
        for draw in 0..draws {
            let drawn = draw_weighted(&peers, |peer| Exp1.sample(&mut streams.rng("test", u64::from(peer.0), draw)));
            first[drawn[0].index()] += 1;
            if drawn[0] == PeerId(2) {
                second_after_2[drawn[1].index()] += 1;
            }
        }
        // Five standard deviations of a binomial count.
        let is_near = |count: u32, of: f64, share: f64| {
            (f64::from(count) - of * share).abs() < 5.0 * (of * share * (1.0 - share)).sqrt()
        };
        for (count, &(_, weight)) in first.iter().zip(&peers) {
            assert!(is_near(*count, draws as f64, f64::from(weight) / 8.0), "{first:?}");
        }
        // Of those left, again by weight: 1 to 2.
        assert!(is_near(second_after_2[1], f64::from(first[2]), 2.0 / 3.0), "{second_after_2:?}");
    }
}
