//! The state of one validator, and its transitions.

use std::collections::BTreeMap;

use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use super::overlap::{self, Level};
use super::penalty::{Cause, Penalty};
use super::rating::{self, Rating};
use super::record::Record;
use super::schedule;
use super::score::{self, Losses};
use super::spec;
use super::sync::sync_score;
use super::weights;
use crate::quantity::PeerId;
use crate::sim::Streams;

/// One validator. Windows are given as numbers that grow; each is gathered, chosen and judged once, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validator {
    spec: spec::Gauntlet,
    streams: Streams,
    /// Names its streams among those of other validators.
    number: u64,
    records: BTreeMap<PeerId, Record>,
    /// Whom it may evaluate, and the windows since it last tried to, plus one.
    candidates: BTreeMap<PeerId, u32>,
    /// Scores of the match to come, in order of arrival. A match needs two: a single score waits for the next window.
    scores: Vec<(PeerId, f64)>,
    /// Lists in force and to come, oldest first.
    lists: Vec<List>,
    /// When the last list was made.
    refreshed: Option<u32>,
    /// Places in the gather set and in reserve.
    places: (usize, usize),
    /// The first window that it worked on.
    first_window: Option<u32>,
}

/// Whom everybody gathers from a window on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    from: u32,
    gather: Vec<PeerId>,
    reserve: Vec<PeerId>,
}

/// What a gather showed.
#[derive(Debug, Clone, Copy)]
pub struct Gathering<'a> {
    /// Who was active in the last windows, ascending.
    pub active: &'a [PeerId],
    /// The gather set.
    pub requested: &'a [PeerId],
    /// Those of the gather set whose payloads did not come in time.
    pub missing: &'a [PeerId],
    /// Whose payloads came, stand-ins included; nobody: the window is skipped.
    pub gathered: &'a [PeerId],
    /// The index of the outer step to come.
    pub round: u32,
    /// Overlap of pairs of those gathered, see [`overlap::overlaps`].
    pub overlaps: &'a [(PeerId, PeerId, f64)],
    /// Dates of payloads, any unit; see [`overlap`].
    pub dates: &'a BTreeMap<PeerId, u64>,
    /// Outer steps by which members of the gather set are behind; `None` or absent: it did not show its parameters.
    pub steps_behind: &'a BTreeMap<PeerId, Option<f64>>,
}

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
    /// A validator that knows nobody.
    #[must_use]
    pub fn new(spec: spec::Gauntlet, streams: Streams, number: u64) -> Self {
        Self {
            spec,
            streams,
            number,
            records: BTreeMap::new(),
            candidates: BTreeMap::new(),
            scores: Vec::new(),
            lists: Vec::new(),
            refreshed: None,
            places: (0, 0),
            first_window: None,
        }
    }

    /// The rules.
    #[must_use]
    pub fn spec(&self) -> &spec::Gauntlet {
        &self.spec
    }

    /// What it remembers of everybody, ascending.
    pub fn records(&self) -> impl Iterator<Item = (PeerId, &Record)> {
        self.records.iter().map(|(&peer, record)| (peer, record))
    }

    /// A peer's share of all pay.
    #[must_use]
    pub fn weight(&self, peer: PeerId) -> f64 {
        self.records.get(&peer).map_or(0.0, |record| record.weight)
    }

    /// All positive weights.
    #[must_use]
    pub fn weights(&self) -> BTreeMap<PeerId, f64> {
        self.records().filter(|(_, record)| record.weight > 0.0).map(|(peer, record)| (peer, record.weight)).collect()
    }

    /// Makes a new list, if it is time to: the best by weight of those active, not naughty and not excluded.
    ///
    /// Who has no weight fills empty places in an order that is drawn. The first list of a run is drawn as a whole and
    /// holds at once; others hold from `lag + margin` windows later on. As in the public code the list looks at
    /// negative scores in a row when the match is over: a bad round delays only the mark in the record.
    pub fn refresh(&mut self, window: u32, active: &[PeerId], gather: usize, reserve: usize) {
        self.places = (gather, reserve);
        if self.refreshed.is_some_and(|last| window < last + self.spec.list.refresh_windows) {
            return;
        }
        let is_naughty = |peer: &PeerId| self.records.get(peer).is_some_and(|record| record.naughty_windows > 0);
        let (mut eligible, mut excluded): (Vec<PeerId>, Vec<PeerId>) =
            active.iter().filter(|peer| !is_naughty(peer)).partition(|peer| !self.is_kept_off(**peer));
        let peers_min = self.spec.list.peers_min as usize;
        if eligible.len() < peers_min {
            excluded.sort_by_key(|peer| self.records[peer].negatives_in_row);
            eligible.extend(excluded.into_iter().take(peers_min - eligible.len()));
        }
        if eligible.len() < peers_min || eligible.is_empty() {
            return;
        }
        eligible.sort_unstable();
        eligible.shuffle(&mut self.streams.rng("validator-newcomers", self.number, u64::from(window)));
        // Equal weights other than 0 do not wait for a draw: they rank by number.
        eligible.sort_by(|&a, &b| {
            let (weight_a, weight_b) = (self.weight(a), self.weight(b));
            let by_weight = weight_b.total_cmp(&weight_a);
            if weight_a > 0.0 { by_weight.then(a.cmp(&b)) } else { by_weight }
        });
        eligible.truncate(gather + reserve);
        let reserve = eligible.split_off(gather.min(eligible.len()));
        let from = match self.refreshed.replace(window) {
            None => window,
            Some(_) => window + self.spec.lag_windows + self.spec.list.margin_windows,
        };
        let in_force = self.lists.iter().rposition(|list| list.from <= window).unwrap_or(0);
        self.lists.drain(..in_force);
        self.lists.push(List { from, gather: eligible, reserve });
    }

    /// The list in force in this window: the gather set and the reserve, each best first.
    #[must_use]
    pub fn list(&self, window: u32) -> (&[PeerId], &[PeerId]) {
        match self.lists.iter().rfind(|list| list.from <= window) {
            Some(list) => (&list.gather, &list.reserve),
            None => (&[], &[]),
        }
    }

    /// Takes in what the gather showed, and punishes. If nothing was gathered only the inactive are.
    pub fn gathered(&mut self, window: u32, seen: &Gathering<'_>) -> Vec<Penalty> {
        let mut penalties = Vec::new();
        self.first_window.get_or_insert(window);
        self.take_in_active(window, seen.active, &mut penalties);
        if seen.gathered.is_empty() {
            return penalties;
        }
        self.punish_copies(seen, &mut penalties);
        self.punish_out_of_sync(seen, &mut penalties);
        self.punish_missing(window, seen, &mut penalties);
        penalties
    }

    /// Whom to evaluate, in order: those of `active` that were candidates when the window was gathered, at most
    /// `limit`, which is what the validator's time allows.
    pub fn choose(&mut self, window: u32, active: &[PeerId], limit: usize) -> Vec<PeerId> {
        let ordinal = |peer: &PeerId| {
            self.records.get(peer).and_then(|record| record.rating).map_or(0.0, |rating| rating.ordinal())
        };
        let rated: Vec<(PeerId, f64)> = active
            .iter()
            .filter(|peer| self.candidates.contains_key(peer))
            .map(|&peer| (peer, ordinal(&peer)))
            .collect();
        let per_window = self.spec.peers_per_window as usize;
        let bins = schedule::bins(&rated, self.spec.bins as usize, per_window);
        let mut rng = self.streams.rng("validator-evaluations", self.number, u64::from(window));
        let bin = &bins[schedule::draw_bin(bins.len(), &mut rng)];
        let weighted: Vec<(PeerId, u32)> = bin.iter().map(|&peer| (peer, self.candidates[&peer])).collect();
        let mut chosen = schedule::draw_weighted(&weighted, per_window, &mut rng);
        chosen.truncate(limit);
        for counter in self.candidates.values_mut() {
            *counter += 1;
        }
        for &peer in &chosen {
            self.candidates.insert(peer, 1);
            self.records.entry(peer).or_default().last_evaluated = Some(window);
        }
        chosen
    }

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

    /// Whether negative scores keep a peer off the list.
    fn is_kept_off(&self, peer: PeerId) -> bool {
        let Some(exclusion) = self.spec.exclusion else { return false };
        let in_row = self.records.get(&peer).map_or(0, |record| record.negatives_in_row);
        in_row >= exclusion.consecutive && !self.is_bad_round()
    }

    fn is_bad_round(&self) -> bool {
        self.spec.bad_round.is_some_and(|rule| score::is_bad_round(self.scores.iter().map(|&(_, score)| score), rule))
    }

    /// Candidates are the active that are not naughty; who was a candidate and is not active any more is inactive.
    fn take_in_active(&mut self, window: u32, active: &[PeerId], penalties: &mut Vec<Penalty>) {
        for (peer, _) in self.candidates.iter().filter(|(peer, _)| active.binary_search(peer).is_err()) {
            self.records.entry(*peer).or_default().inactive_since.get_or_insert(window);
        }
        let is_naughty = |peer: &PeerId| self.records.get(peer).is_some_and(|record| record.naughty_windows > 0);
        self.candidates = active
            .iter()
            .filter(|peer| !is_naughty(peer))
            .map(|&peer| (peer, self.candidates.get(&peer).copied().unwrap_or(1)))
            .collect();
        for (&peer, record) in &mut self.records {
            let Some(since) = record.inactive_since else { continue };
            if self.candidates.contains_key(&peer) {
                record.inactive_since = None;
                continue;
            }
            let Some(rule) = self.spec.inactive else { continue };
            if window + self.spec.lag_windows - since > rule.reset_after {
                record.reset();
                penalties.push(Penalty { peer, cause: Cause::Forgotten, factor: 0.0 });
            } else {
                if record.final_score > 0.0 {
                    record.final_score *= rule.factor;
                }
                penalties.push(Penalty { peer, cause: Cause::Inactive, factor: rule.factor });
            }
        }
    }

    /// Copiers and the naughty. Who becomes naughty has its first window behind it at once.
    fn punish_copies(&mut self, seen: &Gathering<'_>, penalties: &mut Vec<Penalty>) {
        let mut causes: BTreeMap<PeerId, Cause> = self
            .records
            .iter()
            .filter(|(_, record)| record.naughty_windows > 0)
            .map(|(&peer, _)| (peer, Cause::Naughty))
            .collect();
        let mut high_factor = 1.0;
        if let Some(rule) = &self.spec.overlap {
            // The public code leaves the naughty alone, too, until copies count.
            if seen.round < rule.from_round {
                return;
            }
            high_factor = rule.high_factor;
            let cause = |level| match level {
                Level::High => Cause::OverlapHigh,
                Level::Max => Cause::OverlapMax,
                Level::Mega => Cause::OverlapMega,
            };
            let offenders = overlap::offenders(seen.overlaps, seen.dates, rule);
            causes.extend(offenders.into_iter().map(|(peer, level)| (peer, cause(level))));
        }
        for (peer, cause) in causes {
            let record = self.records.entry(peer).or_default();
            let factor = if cause == Cause::OverlapHigh { high_factor } else { 0.0 };
            if cause == Cause::OverlapHigh {
                record.slash(factor);
            } else {
                record.reset();
                self.candidates.remove(&peer);
            }
            if cause == Cause::OverlapMega {
                record.naughty_windows = self.spec.naughty_windows;
            }
            record.naughty_windows = record.naughty_windows.saturating_sub(1);
            penalties.push(Penalty { peer, cause, factor });
        }
    }

    /// Members of the gather set that are too far behind, or do not show their parameters.
    fn punish_out_of_sync(&mut self, seen: &Gathering<'_>, penalties: &mut Vec<Penalty>) {
        let Some(rule) = &self.spec.sync else { return };
        for &peer in seen.requested {
            let behind = seen.steps_behind.get(&peer).copied().flatten();
            if !behind.is_some_and(|behind| behind <= rule.behind_max) {
                self.records.entry(peer).or_default().slash(rule.slash);
                penalties.push(Penalty { peer, cause: Cause::OutOfSync, factor: rule.slash });
            }
        }
    }

    /// Members of the gather set whose payloads did not come in time.
    fn punish_missing(&mut self, window: u32, seen: &Gathering<'_>, penalties: &mut Vec<Penalty>) {
        let Some(rule) = self.spec.missing_gather.clone() else { return };
        let success = seen.gathered.len() as f64 / seen.requested.len().max(1) as f64;
        let of = rule.often.map_or(0, |often| often.of);
        for &peer in seen.missing {
            let record = self.records.entry(peer).or_default();
            record.misses_in_row += 1;
            Record::remember(&mut record.misses, true, of);
            let misses = record.misses.iter().filter(|&&missed| missed).count();
            let is_often = |often: spec::Often| record.misses.len() >= of as usize && misses >= often.misses as usize;
            if rule.often.is_some_and(is_often) {
                record.naughty_windows = self.spec.naughty_windows;
                if record.final_score > 0.0 {
                    record.reset();
                    self.candidates.remove(&peer);
                }
                penalties.push(Penalty { peer, cause: Cause::MissingOften, factor: 0.0 });
            } else {
                let nth = (record.misses_in_row as usize).min(rule.factors.len());
                let factor = match nth.checked_sub(1) {
                    _ if success < rule.success_min => 0.0,
                    Some(index) => rule.factors[index],
                    None => 1.0,
                };
                record.slash_to_zero(factor, self.spec.score_min);
                penalties.push(Penalty { peer, cause: Cause::MissingGather, factor });
            }
            record.last_evaluated = Some(window);
            self.enter_missing(peer);
        }
        for &peer in seen.gathered {
            let record = self.records.entry(peer).or_default();
            record.misses_in_row = 0;
            Record::remember(&mut record.misses, false, of);
        }
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

    /// Enters a score into the match to come.
    fn enter(&mut self, peer: PeerId, score: f64) {
        let newcomer = Rating::newcomer(&self.spec.rating);
        self.records.entry(peer).or_default().rating.get_or_insert(newcomer);
        match self.scores.iter_mut().find(|(other, _)| *other == peer) {
            Some((_, entered)) => *entered = score,
            None => self.scores.push((peer, score)),
        }
    }

    fn enter_missing(&mut self, peer: PeerId) {
        self.records.entry(peer).or_default().is_known = true;
        if let Some(score) = self.spec.rating.missing_score {
            self.enter(peer, score);
        }
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
