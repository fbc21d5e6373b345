//! Scores from losses before and after a payload was tried.
//!
//! ```text
//! improvement = (before − after) / before
//! score       = improvement on random data
//! indicator   = +1 if the improvement on own data is larger than on random data, else −1
//! ```

use serde::{Deserialize, Serialize};

use super::spec::BadRound;

/// Losses before and after a payload was tried \[nats a token\].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// On the peer's own data, before.
    pub own_before: f64,
    /// On the peer's own data, after.
    pub own_after: f64,
    /// On random data, before.
    pub random_before: f64,
    /// On random data, after.
    pub random_after: f64,
}

impl Losses {
    /// The score by which peers are compared.
    #[must_use]
    pub fn score(&self) -> f64 {
        improvement(self.random_before, self.random_after)
    }

    /// +1 if the payload helped more where the peer was to train, else −1.
    #[must_use]
    pub fn indicator(&self) -> f64 {
        if improvement(self.own_before, self.own_after) > self.score() { 1.0 } else { -1.0 }
    }

    /// Whether all four are numbers; a payload that makes a loss infinite is invalid.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        [self.own_before, self.own_after, self.random_before, self.random_after].iter().all(|loss| loss.is_finite())
    }
}

/// Relative improvement of a loss; 0 where there is nothing to improve.
fn improvement(before: f64, after: f64) -> f64 {
    if before > 0.0 { (before - after) / before } else { 0.0 }
}

/// Whether the match's scores are those of a bad round; a match of nobody is not.
#[must_use]
pub fn is_bad_round(scores: impl IntoIterator<Item = f64>, rule: BadRound) -> bool {
    let mut scores: Vec<f64> = scores.into_iter().collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let rank = (rule.rank.max(1) as usize).min(scores.len());
    rank.checked_sub(1).is_some_and(|index| scores[index] < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_data_must_improve_more_than_random_data() {
        let losses = |own_after, random_after| Losses { own_before: 4.0, own_after, random_before: 2.0, random_after };
        assert_eq!((losses(3.0, 1.9).score(), losses(3.0, 1.9).indicator()), (0.050_000_000_000_000_044, 1.0));
        assert_eq!(losses(3.9, 1.9).indicator(), -1.0, "2.5 % are less than 5 %");
        assert_eq!(losses(3.8, 1.9).indicator(), -1.0, "equal is not more");
        assert!(losses(3.8, 2.1).score() < 0.0);
        assert!(!losses(f64::NAN, 1.0).is_finite());
    }

    #[test]
    fn the_fifth_best_score_decides_whether_the_round_is_bad() {
        // The reference's test cases.
        let is_bad = |scores: &[f64]| is_bad_round(scores.iter().copied(), BadRound { rank: 5 });
        assert!(is_bad(&[0.5, 0.3, 0.1, 0.05, -0.1, -0.2, -0.3]));
        assert!(!is_bad(&[0.5, 0.3, 0.2, 0.1, 0.05, -0.1, -0.2]));
        assert!(is_bad(&[0.3, 0.1, -0.2]), "with three peers the worst decides");
        assert!(!is_bad(&[]));
    }
}
