//! From final scores to weights: by rank in two tiers (production), or by a power of the score (the paper).
//!
//! Tiers, for G places in the gather set, R in reserve and n peers with a positive score:
//!
//! ```text
//! gather tier   the best min(n, G): linear from top_ratio to 1, together gather_share
//! reserve tier  the next R: geometric with reserve_decay, together 1 − gather_share
//! if the first of the reserve would get more than the last of the gather tier, the reserve tier is multiplied by
//! (last of gather / first of reserve) · reserve_decay; then everything is scaled to 1 − burn together
//! ```
//!
//! So with 20 + 10 peers the gather tier really gets 96.8 % of what is not burnt. Weights of peers sum to 1 − burn, or
//! to 0 if nobody has a positive score: then all is burnt.

use std::collections::BTreeMap;

use super::spec::{Tiers, WeightRule, Weights};
use crate::quantity::PeerId;

/// The weights of those with a positive score; ties rank by [`PeerId`].
#[must_use]
pub fn weights(scores: &BTreeMap<PeerId, f64>, spec: &Weights, gather: usize, reserve: usize) -> BTreeMap<PeerId, f64> {
    let mut ranked: Vec<(PeerId, f64)> =
        scores.iter().map(|(&peer, &score)| (peer, score)).filter(|&(_, score)| score > 0.0).collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let shares: Vec<f64> = match spec.rule {
        WeightRule::Tiers(tiers) => tier_shares(ranked.len(), &tiers, gather, reserve),
        WeightRule::Power { exponent } => ranked.iter().map(|(_, score)| score.powf(exponent)).collect(),
    };
    let total: f64 = shares.iter().sum();
    if total <= 0.0 {
        return BTreeMap::new();
    }
    let scale = (1.0 - spec.burn) / total;
    ranked.iter().zip(shares).map(|(&(peer, _), share)| (peer, share * scale)).collect()
}

/// Shares of the ranks, not yet scaled; those behind the reserve get none.
fn tier_shares(ranked: usize, tiers: &Tiers, gather: usize, reserve: usize) -> Vec<f64> {
    let gather = ranked.min(gather);
    let reserve = (ranked - gather).min(reserve);
    let ramp = |place: usize| match gather {
        1 => tiers.top_ratio,
        _ => tiers.top_ratio + (1.0 - tiers.top_ratio) * place as f64 / (gather - 1) as f64,
    };
    let mut shares: Vec<f64> = (0..gather).map(ramp).collect();
    scale_to(&mut shares, tiers.gather_share);
    let mut tail: Vec<f64> = (0..reserve).map(|place| tiers.reserve_decay.powi(place as i32)).collect();
    scale_to(&mut tail, 1.0 - tiers.gather_share);
    if let (Some(&last), Some(&first)) = (shares.last(), tail.first())
        && first > last
    {
        scale_to_first(&mut tail, last * tiers.reserve_decay);
    }
    shares.extend(tail);
    shares
}

fn scale_to(shares: &mut [f64], total: f64) {
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share *= total / sum);
}

fn scale_to_first(shares: &mut [f64], first: f64) {
    let factor = first / shares[0];
    shares.iter_mut().for_each(|share| *share *= factor);
}

/// What several validators say together: the stake-weighted mean of their weights.
#[must_use]
pub fn combine(weights: &[(f64, BTreeMap<PeerId, f64>)]) -> BTreeMap<PeerId, f64> {
    let stake: f64 = weights.iter().map(|(stake, _)| stake).sum();
    let mut combined = BTreeMap::new();
    for (own, weights) in weights {
        for (&peer, weight) in weights {
            *combined.entry(peer).or_insert(0.0) += own / stake * weight;
        }
    }
    combined
}

/// The leader: of the live validators (`Some` stake) the first with the highest stake.
#[must_use]
pub fn leader(stakes: &[Option<f64>]) -> Option<usize> {
    let live = stakes.iter().enumerate().filter_map(|(index, stake)| Some((index, (*stake)?)));
    live.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validator::spec::Gauntlet;

    /// Peers 0, 1, ... with falling scores.
    fn falling(peers: u32) -> BTreeMap<PeerId, f64> {
        (0..peers).map(|peer| (PeerId(peer), 100.0 - f64::from(peer))).collect()
    }

    fn paid(peers: u32, spec: &Gauntlet) -> Vec<f64> {
        let weights = weights(&falling(peers), &spec.weights, 20, 10);
        assert!(weights.keys().copied().eq((0..weights.len() as u32).map(PeerId)), "the best are paid");
        weights.into_values().collect()
    }

    #[test]
    fn twenty_and_ten_peers_are_paid_as_in_the_reference() {
        let paid = paid(40, &Gauntlet::production());
        // Derived from the reference's arithmetic.
        for (rank, weight) in [(0, 0.032_259), (19, 0.016_130), (20, 0.008_065), (21, 0.004_032)] {
            assert!((paid[rank] - weight).abs() < 1e-6, "rank {rank}: {} is not {weight}", paid[rank]);
        }
        assert_eq!(paid.len(), 30, "behind the reserve nobody is paid");
        let (gather, all) = (paid[..20].iter().sum::<f64>(), paid.iter().sum::<f64>());
        assert!((all - 0.5).abs() < 1e-12, "half is burnt");
        assert!((gather / all - 0.968).abs() < 5e-4, "the gather tier really gets 96.8 %, not 75 %");
    }

    #[test]
    fn without_a_reserve_the_gather_tier_gets_all_that_is_not_burnt() {
        for peers in [1, 2, 3, 20] {
            let paid = paid(peers, &Gauntlet::production());
            assert!((paid.iter().sum::<f64>() - 0.5).abs() < 1e-12);
            if peers > 1 {
                assert!((paid[0] / paid[peers as usize - 1] - 2.0).abs() < 1e-12, "the first gets twice the last");
            }
        }
    }

    #[test]
    fn who_has_no_positive_score_gets_nothing() {
        let scores = BTreeMap::from([(PeerId(0), 0.0), (PeerId(1), -3.0), (PeerId(2), f64::NAN)]);
        assert_eq!(weights(&scores, &Gauntlet::production().weights, 20, 10), BTreeMap::new());
        assert_eq!(weights(&scores, &Gauntlet::paper().weights, 20, 10), BTreeMap::new());
    }

    #[test]
    fn squared_scores_make_splitting_a_loss() {
        let scores = |scores: &[f64]| (0..).map(PeerId).zip(scores.iter().copied()).collect();
        let pay = |all: &[f64]| weights(&scores(all), &Gauntlet::paper().weights, 15, 0);
        assert_eq!(pay(&[3.0, 4.0]), BTreeMap::from([(PeerId(0), 9.0 / 25.0), (PeerId(1), 16.0 / 25.0)]));
        let (whole, halves) = (pay(&[2.0, 2.0]), pay(&[2.0, 1.0, 1.0]));
        assert!(halves[&PeerId(1)] + halves[&PeerId(2)] < whole[&PeerId(1)]);
    }

    #[test]
    fn validators_count_by_their_stake() {
        let one = BTreeMap::from([(PeerId(0), 0.5)]);
        let other = BTreeMap::from([(PeerId(0), 0.1), (PeerId(1), 0.4)]);
        assert_eq!(combine(&[(3.0, one.clone())]), one);
        let both = combine(&[(3.0, one), (1.0, other)]);
        assert!((both[&PeerId(0)] - 0.4).abs() < 1e-15 && (both[&PeerId(1)] - 0.1).abs() < 1e-15);
        assert_eq!(combine(&[]), BTreeMap::new());
    }

    #[test]
    fn the_live_validator_with_the_highest_stake_leads() {
        assert_eq!(leader(&[Some(1.0), Some(3.0), None, Some(3.0)]), Some(1));
        assert_eq!(leader(&[None, Some(2.0)]), Some(1));
        assert_eq!(leader(&[None, None]), None);
    }
}
