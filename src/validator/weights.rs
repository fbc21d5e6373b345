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
