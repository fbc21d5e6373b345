//! Plackett-Luce ratings: one match among all peers of a window.
//!
//! With sigma² increased by tau² first, c² = Σ (sigma² + beta²), and for every peer q
//! S_q = Σ exp(mu_s/c) over all s that are not better than q, A_q the number of peers that tie with q (itself included):
//!
//! ```text
//! p_iq  = exp(mu_i/c) / S_q
//! omega = Σ over q tied with i or i itself (1 − p_iq)/A_q − Σ over q better than i p_iq/A_q
//! delta = Σ over q not worse than i        p_iq·(1 − p_iq)/A_q
//! mu    ← mu + sigma²/c · omega
//! sigma ← sigma·sqrt(max(1 − sigma/c · sigma²/c² · delta, 1e-4))
//! ordinal = mu − 3·sigma
//! ```
//!
//! Two quirks of the library that production uses are kept. Of tied peers each gains as if it had beaten the other.
//! A score of exactly 0 counts as minus its place in the match, from 0: a payload that changes nothing is ranked behind
//! every small negative score, unless it comes first.
//! Source: Weng and Lin 2011, algorithm 4, as in openskill 6.1.3; the tests hold numbers obtained by running that.

use serde::{Deserialize, Serialize};

use super::spec;

/// What sigma² keeps of itself in one match, at least.
const VARIANCE_KEPT_MIN: f64 = 1e-4;

/// A belief about a peer's skill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rating {
    /// Mean.
    pub mu: f64,
    /// Standard deviation.
    pub sigma: f64,
}

impl Rating {
    /// A newcomer's.
    #[must_use]
    pub const fn newcomer(spec: &spec::Rating) -> Self {
        Self { mu: spec.mu, sigma: spec.sigma }
    }

    /// The skill that the peer has almost certainly.
    #[must_use]
    pub fn ordinal(&self) -> f64 {
        self.mu - 3.0 * self.sigma
    }
}

/// The ratings after a match; more score is better.
///
/// # Panics
/// If there are not as many scores as ratings.
#[must_use]
pub fn plackett_luce(ratings: &[Rating], scores: &[f64], spec: &spec::Rating) -> Vec<Rating> {
    assert_eq!(ratings.len(), scores.len(), "every peer of a match has a rating and a score");
    let variance: Vec<f64> = ratings.iter().map(|rating| rating.sigma.powi(2) + spec.tau.powi(2)).collect();
    let c = variance.iter().map(|variance| variance + spec.beta.powi(2)).sum::<f64>().sqrt();
    let strength: Vec<f64> = ratings.iter().map(|rating| (rating.mu / c).exp()).collect();
    let scores: Vec<f64> =
        scores.iter().enumerate().map(|(place, &score)| if score == 0.0 { -(place as f64) } else { score }).collect();

    let sum: Vec<f64> = scores
        .iter()
        .map(|q| scores.iter().zip(&strength).filter(|(i, _)| *i <= q).map(|(_, strength)| strength).sum())
        .collect();
    let tied: Vec<f64> = scores.iter().map(|q| scores.iter().filter(|i| *i == q).count() as f64).collect();

    let rate = |i: usize| {
        let (mut omega, mut delta) = (0.0, 0.0);
        for q in (0..scores.len()).filter(|&q| scores[q] >= scores[i]) {
            let p = strength[i] / sum[q];
            delta += p * (1.0 - p) / tied[q];
            omega += if scores[q] == scores[i] { (1.0 - p) / tied[q] } else { -p / tied[q] };
        }
        let gamma = variance[i].sqrt() / c;
        let kept = (1.0 - gamma * variance[i] / c.powi(2) * delta).max(VARIANCE_KEPT_MIN);
        Rating { mu: ratings[i].mu + variance[i] / c * omega, sigma: (variance[i] * kept).sqrt() }
    };
    (0..ratings.len()).map(rate).collect()
}
