//! What a validator remembers of one peer.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::rating::Rating;

/// What a validator remembers of one peer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    /// The rating, once the peer was in a match.
    pub rating: Option<Rating>,
    /// The last measured score.
    pub score: f64,
    /// The last indicator.
    pub indicator: f64,
    /// Moving average of the indicator.
    pub indicator_average: f64,
    /// The last sync score.
    pub sync: f64,
    /// What the weight follows from.
    pub final_score: f64,
    /// Share of all pay.
    pub weight: f64,
    /// Whether it was ever evaluated, or missed when it should have been gathered.
    pub is_known: bool,
    /// The last window in which an evaluation was attempted.
    pub last_evaluated: Option<u32>,
    /// Misses in the gather in a row.
    pub misses_in_row: u32,
    /// Misses of the last windows in which it was to be gathered, newest last.
    pub misses: VecDeque<bool>,
    /// Negative scores in a row.
    pub negatives_in_row: u32,
    /// Negative scores of the last evaluations, newest last.
    pub negatives: VecDeque<bool>,
    /// Whether negative scores keep it off the list.
    pub is_excluded: bool,
    /// The window since which it is inactive.
    pub inactive_since: Option<u32>,
    /// Windows for which it is still naughty.
    pub naughty_windows: u32,
}

impl Record {
    /// Forgets everything but that it is known and naughty.
    pub(super) fn reset(&mut self) {
        *self = Self {
            is_known: self.is_known,
            last_evaluated: self.last_evaluated,
            naughty_windows: self.naughty_windows,
            ..Self::default()
        };
    }

    /// Multiplies a positive final score and its indicator average.
    pub(super) fn slash(&mut self, factor: f64) {
        if self.final_score > 0.0 {
            self.final_score *= factor;
            self.indicator_average *= factor;
        }
    }

    /// [`Self::slash`], and a score below `score_min` becomes 0.
    pub(super) fn slash_to_zero(&mut self, factor: f64, score_min: f64) {
        if self.final_score > 0.0 {
            self.slash(factor);
            if self.final_score < score_min {
                self.final_score = 0.0;
            }
        }
    }

    /// Appends to a history of at most `of` entries.
    pub(super) fn remember(history: &mut VecDeque<bool>, entry: bool, of: u32) {
        history.push_back(entry);
        while history.len() > of as usize {
            history.pop_front();
        }
    }
}
