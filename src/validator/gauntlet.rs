//! The state of one validator: its records, its lists, its draws.
//!
//! ```text
//! gather  what a gather shows is punished
//! judge   what evaluations show becomes ratings, final scores and weights
//! ```

mod gather;
mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rand::{Rng as _, RngExt as _};
use rand_distr::{Distribution as _, Exp1};
use serde::{Deserialize, Serialize};

pub use self::gather::Gathering;
pub use self::judge::{Evaluation, Row, Verdict};
use super::rating::Rating;
use super::record::Record;
use super::{schedule, score, spec};
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
        let draw = |peer| self.streams.rng("validator-newcomer", self.entity(peer), u64::from(window)).next_u64();
        eligible.sort_by_cached_key(|&peer| (draw(peer), peer));
        eligible.sort_by(|&a, &b| self.weight(b).total_cmp(&self.weight(a)));
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
        let bin = self.streams.rng("validator-bin", self.number, u64::from(window)).random_range(0..bins.len());
        let weighted: Vec<(PeerId, u32)> = bins[bin].iter().map(|&peer| (peer, self.candidates[&peer])).collect();
        let mut chosen = schedule::draw_weighted(&weighted, |peer| {
            Exp1.sample(&mut self.streams.rng("validator-evaluation", self.entity(peer), u64::from(window)))
        });
        chosen.truncate(per_window.min(limit));
        for counter in self.candidates.values_mut() {
            *counter += 1;
        }
        for &peer in &chosen {
            self.candidates.insert(peer, 1);
            self.records.entry(peer).or_default().last_evaluated = Some(window);
        }
        chosen
    }

    /// Names the streams of what this validator draws for a peer.
    fn entity(&self, peer: PeerId) -> u64 {
        (self.number << 32) | u64::from(peer.0)
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
}
