//! What evaluations show: indicator averages, penalties for negative scores, the match, final scores, weights.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Validator;
use crate::quantity::PeerId;
use crate::validator::penalty::{Cause, Penalty};
use crate::validator::rating::{self, Rating};
use crate::validator::record::Record;
use crate::validator::score::Losses;
use crate::validator::sync::sync_score;
use crate::validator::weights;

/// What became of the evaluation of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Evaluation {
    /// Its payload was not there, or not in time.
    Missing {
        /// Whose.
        peer: PeerId,
    },
    /// Its payload was refused by the decoder.
    Invalid {
        /// Whose.
        peer: PeerId,
    },
    /// The network failed; nobody is to blame.
    Unreachable {
        /// Whose.
        peer: PeerId,
    },
    /// Its payload was tried.
    Measured {
        /// Whose.
        peer: PeerId,
        /// Before and after.
        losses: Losses,
        /// Outer steps by which it is behind; `None`: it did not show its parameters.
        steps_behind: Option<f64>,
    },
}

impl Evaluation {
    /// Of whom it is.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        match *self {
            Self::Missing { peer }
            | Self::Invalid { peer }
            | Self::Unreachable { peer }
            | Self::Measured { peer, .. } => peer,
        }
    }
}

/// What a validator makes of a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Everybody in the window's match, ascending.
    pub rows: Vec<Row>,
    /// Penalties of this step, in the order in which they were given.
    pub penalties: Vec<Penalty>,
    /// Whether everybody was bad.
    pub is_bad_round: bool,
}

/// One peer after a window's match.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Who.
    pub peer: PeerId,
    /// Its score in the match.
    pub score: f64,
    /// Its last indicator; 0: never measured.
    pub indicator: f64,
    /// Moving average of the indicator.
    pub indicator_average: f64,
    /// Its last sync score.
    pub sync: f64,
    /// Mean of its rating.
    pub mu: f64,
    /// Standard deviation of its rating.
    pub sigma: f64,
    /// What its weight follows from.
    pub final_score: f64,
    /// Its share of all pay.
    pub weight: f64,
}

impl Validator {
    /// Takes in what the evaluations showed: indicator averages, penalties, the match, final scores, weights.
    pub fn judge(&mut self, window: u32, evaluations: &[Evaluation]) -> Verdict {
        let mut penalties = Vec::new();
        for evaluation in evaluations {
            self.take_in(evaluation, &mut penalties);
        }
        let is_bad_round = self.is_bad_round();
        self.punish_negative(is_bad_round, &mut penalties);
        let mut judged = self.scores.clone();
        self.rate(window);
        self.weigh();
        judged.sort_by_key(|&(peer, _)| peer);
        let rows = judged.into_iter().map(|(peer, score)| self.row(peer, score)).collect();
        Verdict { rows, penalties, is_bad_round }
    }

    fn take_in(&mut self, evaluation: &Evaluation, penalties: &mut Vec<Penalty>) {
        match *evaluation {
            Evaluation::Unreachable { .. } => {}
            Evaluation::Missing { peer } => {
                if let Some(factor) = self.spec.missing_evaluation {
                    self.records.entry(peer).or_default().slash_to_zero(factor, self.spec.score_min);
                    penalties.push(Penalty { peer, cause: Cause::MissingEvaluation, factor });
                }
                self.enter_missing(peer);
            }
            Evaluation::Measured { peer, losses, steps_behind } if losses.is_finite() => {
                self.take_in_measured(peer, &losses, steps_behind);
            }
            Evaluation::Invalid { peer } | Evaluation::Measured { peer, .. } => {
                let record = self.records.entry(peer).or_default();
                record.final_score = record.final_score.min(0.0);
                penalties.push(Penalty { peer, cause: Cause::Invalid, factor: 0.0 });
                self.enter_missing(peer);
            }
        }
    }

    fn take_in_measured(&mut self, peer: PeerId, losses: &Losses, steps_behind: Option<f64>) {
        let record = self.records.entry(peer).or_default();
        record.is_known = true;
        record.score = losses.score();
        record.indicator = losses.indicator();
        let alpha = self.spec.indicator.alpha;
        record.indicator_average = (1.0 - alpha) * record.indicator_average + alpha * record.indicator;
        record.sync = match &self.spec.sync {
            Some(rule) => steps_behind.map_or(0.0, |behind| sync_score(behind, rule)),
            None => 1.0,
        };
        let is_negative = record.score < 0.0;
        record.negatives_in_row = if is_negative { record.negatives_in_row + 1 } else { 0 };
        record.is_excluded &= is_negative;
        if let Some(rule) = self.spec.negative {
            Record::remember(&mut record.negatives, is_negative, rule.of);
        }
        let score = record.score;
        self.enter(peer, score);
    }

    /// Peers that often or always make the model worse, whether or not they were evaluated in this window.
    fn punish_negative(&mut self, is_bad_round: bool, penalties: &mut Vec<Penalty>) {
        if is_bad_round {
            return;
        }
        for (&peer, record) in &mut self.records {
            if let Some(rule) = self.spec.negative {
                let negatives = record.negatives.iter().filter(|&&negative| negative).count();
                let is_full = record.negatives.len() >= rule.of as usize;
                if is_full && negatives as f64 > rule.share * f64::from(rule.of) {
                    record.slash_to_zero(rule.factor, self.spec.score_min);
                    penalties.push(Penalty { peer, cause: Cause::Negative, factor: rule.factor });
                }
            }
            if let Some(rule) = self.spec.exclusion
                && record.negatives_in_row >= rule.consecutive
                && !record.is_excluded
            {
                record.is_excluded = true;
                penalties.push(Penalty { peer, cause: Cause::Excluded, factor: 1.0 });
            }
        }
    }

    /// The match, and the final scores of those in it.
    fn rate(&mut self, window: u32) {
        if self.scores.len() < 2 {
            return;
        }
        let (peers, scores): (Vec<PeerId>, Vec<f64>) = std::mem::take(&mut self.scores).into_iter().unzip();
        let newcomer = Rating::newcomer(&self.spec.rating);
        let before: Vec<Rating> = peers.iter().map(|peer| self.records[peer].rating.unwrap_or(newcomer)).collect();
        let after = rating::plackett_luce(&before, &scores, &self.spec.rating);
        let windows = window + self.spec.lag_windows - self.first_window.unwrap_or(window);
        let is_warm = windows >= self.spec.indicator.warmup_windows;
        for (peer, rating) in peers.into_iter().zip(after) {
            let record = self.records.get_mut(&peer).expect("because whoever is in a match has a record");
            let average = record.indicator_average.max(0.0);
            let average = if is_warm && average < self.spec.indicator.threshold { 0.0 } else { average };
            let sync = match &self.spec.sync {
                Some(rule) if rule.is_factor => record.sync,
                _ => 1.0,
            };
            record.rating = Some(rating);
            record.final_score = rating.ordinal() * average * sync;
        }
    }

    /// Weights of all who were ever evaluated.
    fn weigh(&mut self) {
        let scores: BTreeMap<PeerId, f64> = self
            .records
            .iter()
            .filter(|(_, record)| record.is_known)
            .map(|(&peer, record)| (peer, record.final_score))
            .collect();
        let weights = weights::weights(&scores, &self.spec.weights, self.places.0, self.places.1);
        for (peer, record) in &mut self.records {
            record.weight = weights.get(peer).copied().unwrap_or(0.0);
        }
    }

    fn row(&self, peer: PeerId, score: f64) -> Row {
        let record = &self.records[&peer];
        let rating = record.rating.unwrap_or(Rating::newcomer(&self.spec.rating));
        Row {
            peer,
            score,
            indicator: record.indicator,
            indicator_average: record.indicator_average,
            sync: record.sync,
            mu: rating.mu,
            sigma: rating.sigma,
            final_score: record.final_score,
            weight: record.weight,
        }
    }
}
