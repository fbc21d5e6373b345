//! What validators found out in a run: who was caught, how soon, at what price for the honest.
//!
//! A peer is accused in the round of its first penalty for what it sent: an overlap, negative scores, exclusion, a refused
//! payload, parameters that are out of date, naughtiness. Penalties for not being there accuse nobody, since the honest get
//! them, too; nor does it accuse a newcomer that it has not shown its parameters yet. The delay is the number of rounds from a peer's first lie to its first accusation.
//!
//! As a test for liars a validator's final score has a rate of false alarms (the honest below a threshold) and of misses
//! (liars above it), one pair for each threshold: the curve that they trace is the receiver operating characteristic. Every
//! round of the run's second half, when ratings have had time, is one test of every peer. Its operating point is pay: who
//! is paid has passed.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::rows::{HONEST, Outcome, OverlapRow, PeerRow, ScoreRow};

/// What accuses.
const ACCUSATIONS: &[&str] =
    &["overlap_high", "overlap_max", "overlap_mega", "negative", "excluded", "invalid", "naughty"];

/// Accuses whoever had the round before to show its parameters.
const OUT_OF_SYNC: &str = "out_of_sync";

/// A run's scores, by the leader.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    scores: Vec<&'a ScoreRow>,
    peers: &'a [PeerRow],
    /// The behaviour by which a peer is known: its first lie's.
    kinds: BTreeMap<u32, &'a str>,
    rounds: u32,
}

/// What became of the peers of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    pub(super) name: String,
    /// Peers of the kind.
    pub(super) peers: usize,
    /// Of them, accused at least once.
    pub(super) accused: usize,
    /// Median rounds from the first lie to the accusation; `None` if nobody was accused.
    pub(super) delay: Option<f64>,
    /// Contributions in aggregates, a peer.
    pub(super) aggregates: f64,
    /// Mean share of all pay, a peer and round.
    pub(super) pay: f64,
}

impl<'a> Judged<'a> {
    /// The scores of a run; `None` if nobody judged it.
    pub(super) fn of(scores: &'a [ScoreRow], peers: &'a [PeerRow]) -> Option<Self> {
        let leader = scores.first()?.validator;
        let rounds = scores.iter().map(|row| row.round).max()? + 1;
        let scores = scores.iter().filter(|row| row.validator == leader).collect();
        let mut kinds = BTreeMap::new();
        for row in peers {
            let kind = kinds.entry(row.peer).or_insert(HONEST);
            if *kind == HONEST {
                *kind = &row.behaviour;
            }
        }
        Some(Self { scores, peers, kinds, rounds })
    }

    /// The kinds of peers that there are, the honest first.
    pub(super) fn kinds(&self) -> Vec<&'a str> {
        let names: BTreeSet<&str> = self.kinds.values().copied().collect();
        let liars = names.iter().copied().filter(|name| *name != HONEST);
        names.iter().copied().filter(|name| *name == HONEST).chain(liars).collect()
    }

    fn kind_of(&self, peer: u32) -> &'a str {
        self.kinds.get(&peer).copied().unwrap_or(HONEST)
    }

    /// What became of each kind.
    pub(super) fn outcomes(&self) -> Vec<Kind> {
        self.kinds().into_iter().map(|name| self.outcome(name)).collect()
    }

    fn outcome(&self, name: &str) -> Kind {
        let members: Vec<u32> = self.kinds.iter().filter(|(_, kind)| **kind == name).map(|(&peer, _)| peer).collect();
        let delays: Vec<f64> = members.iter().filter_map(|&peer| self.delay(peer)).collect();
        let is_member = |peer: u32| members.binary_search(&peer).is_ok();
        let in_aggregate = |row: &&PeerRow| matches!(row.outcome, Outcome::Gathered | Outcome::Reserve);
        let aggregates = self.peers.iter().filter(|row| is_member(row.peer)).filter(in_aggregate).count();
        let pay: f64 = self.scores.iter().filter(|row| is_member(row.peer)).map(|row| row.pay).sum();
        let count = members.len().max(1) as f64;
        Kind {
            name: name.to_owned(),
            peers: members.len(),
            accused: delays.len(),
            delay: median(delays),
            aggregates: aggregates as f64 / count,
            pay: pay / count / f64::from(self.rounds),
        }
    }

    /// Rounds from the peer's first lie, or its first appearance if it is honest, to its first accusation.
    fn delay(&self, peer: u32) -> Option<f64> {
        let rows: Vec<&PeerRow> = self.peers.iter().filter(|row| row.peer == peer).collect();
        let first = rows.iter().find(|row| row.behaviour != HONEST).or(rows.first())?.round;
        let took_part_before = |round: u32| rows.binary_search_by_key(&round, |row| row.round + 1).is_ok();
        let accuses = |row: &&ScoreRow| {
            row.penalties
                .split('+')
                .any(|cause| ACCUSATIONS.contains(&cause) || (cause == OUT_OF_SYNC && took_part_before(row.round)))
        };
        let mut judged = self.scores.iter().copied().filter(|row| row.peer == peer && row.round >= first);
        judged.find(accuses).map(|row| f64::from(row.round - first))
    }

    /// Tests of the second half: (final score, whether the peer lied, whether it was paid).
    fn tests(&self) -> impl Iterator<Item = (f64, bool, bool)> {
        let tested = self.scores.iter().filter(|row| row.round >= self.rounds / 2);
        tested.map(|row| (row.final_score, self.kind_of(row.peer) != HONEST, row.pay > 0.0))
    }

    /// Share of the honest that are not paid, and of liars that are; `None` without liars.
    pub(super) fn operating_point(&self) -> Option<[f64; 2]> {
        let share = |of_liars: bool, paid: bool| {
            let tests: Vec<bool> = self.tests().filter(|test| test.1 == of_liars).map(|test| test.2 == paid).collect();
            let hits = tests.iter().filter(|&&hit| hit).count();
            (!tests.is_empty()).then(|| hits as f64 / tests.len() as f64)
        };
        Some([share(false, false)?, share(true, true)?])
    }

    /// By round, the mean over the peers of a kind of what `value` says of a row.
    pub(super) fn by_round(&self, kind: &str, value: impl Fn(&ScoreRow) -> Option<f64>) -> Vec<[f64; 2]> {
        let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for row in self.scores.iter().filter(|row| self.kind_of(row.peer) == kind) {
            if let Some(value) = value(row) {
                let sum = sums.entry(row.round).or_default();
                *sum = (sum.0 + value, sum.1 + 1.0);
            }
        }
        sums.into_iter().map(|(round, (sum, count))| [f64::from(round), sum / count]).collect()
    }
}

/// The receiver operating characteristic of several runs together: (false alarms, liars found), from (0, 0) to (1, 1);
/// `None` unless there are both honest and liars.
pub(super) fn characteristic(runs: &[Judged<'_>]) -> Option<Vec<[f64; 2]>> {
    let mut tests: Vec<(f64, bool)> =
        runs.iter().flat_map(Judged::tests).map(|(score, lies, _)| (score, lies)).collect();
    let liars = tests.iter().filter(|test| test.1).count() as f64;
    let honest = tests.len() as f64 - liars;
    if liars == 0.0 || honest == 0.0 {
        return None;
    }
    tests.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut points = vec![[0.0, 0.0]];
    let (mut alarms, mut found) = (0.0, 0.0);
    // Equal scores are told apart by no threshold: they are one step.
    for equal in tests.chunk_by(|a, b| a.0 == b.0) {
        found += equal.iter().filter(|test| test.1).count() as f64 / liars;
        alarms += equal.iter().filter(|test| !test.1).count() as f64 / honest;
        points.push([alarms, found]);
    }
    Some(points)
}

/// Share of equal indices of honest pairs by quantile: (share of the pairs below, overlap).
pub(super) fn honest_overlaps<'a>(rows: impl Iterator<Item = &'a OverlapRow>) -> Vec<[f64; 2]> {
    let mut overlaps: Vec<f64> = rows.filter(|row| row.honest == 1).map(|row| row.overlap).collect();
    overlaps.sort_by(f64::total_cmp);
    let last = overlaps.len().saturating_sub(1);
    let quantiles = 0..=QUANTILES.min(last);
    let place = |index: usize| index * last / QUANTILES.min(last).max(1);
    if overlaps.is_empty() {
        return Vec::new();
    }
    quantiles.map(|index| [place(index) as f64 / last.max(1) as f64, overlaps[place(index)]]).collect()
}

/// Points of a distribution.
const QUANTILES: usize = 200;

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[values.len() / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rows::{Listed, Verdict};

    fn score(round: u32, peer: u32, final_score: f64, penalties: &str) -> ScoreRow {
        ScoreRow {
            round,
            validator: 0,
            peer,
            behaviour: String::new(),
            listed: Listed::Gather,
            verdict: Verdict::Measured,
            own_before: None,
            own_after: None,
            random_before: None,
            random_after: None,
            score: None,
            indicator: None,
            indicator_average: 0.0,
            sync: 1.0,
            mu: None,
            sigma: None,
            final_score,
            weight: final_score,
            pay: final_score.max(0.0),
            penalties: penalties.to_owned(),
        }
    }

    fn peer(round: u32, peer: u32, behaviour: &str, outcome: Outcome) -> PeerRow {
        PeerRow {
            round,
            peer,
            class: String::new(),
            behaviour: behaviour.to_owned(),
            steps: 1,
            training_loss: None,
            outcome,
            compute_s: 0.0,
            upload_s: None,
            download_s: None,
            payload_norm: None,
        }
    }

    /// Two honest peers, and one that lies from round 1 on and is excluded in round 3.
    fn rows() -> (Vec<ScoreRow>, Vec<PeerRow>) {
        let (mut scores, mut peers) = (Vec::new(), Vec::new());
        for round in 0..4 {
            let lies = if round > 0 { "sign_flip" } else { HONEST };
            peers.extend([
                peer(round, 0, HONEST, Outcome::Gathered),
                peer(round, 1, HONEST, Outcome::NotSelected),
                peer(round, 2, lies, if round < 3 { Outcome::Gathered } else { Outcome::NotSelected }),
            ]);
            let penalties = if round == 3 { "missing_gather+excluded" } else { "" };
            let liar = if round == 2 { 0.1 } else { -1.0 };
            scores.extend([
                score(round, 0, 0.3, ""),
                score(round, 1, if round == 3 { 0.0 } else { 0.2 }, "missing_gather"),
                score(round, 2, liar, penalties),
            ]);
        }
        (scores, peers)
    }

    #[test]
    fn the_delay_runs_from_the_first_lie_to_the_first_accusation() {
        let (scores, peers) = rows();
        let judged = Judged::of(&scores, &peers).expect("it was judged");
        assert_eq!(judged.kinds(), [HONEST, "sign_flip"]);
        let [honest, liar] = judged.outcomes().try_into().expect("two kinds");
        assert_eq!((honest.accused, honest.delay), (0, None), "who is missing is not accused");
        assert_eq!((liar.peers, liar.accused, liar.delay), (1, 1, Some(2.0)));
        assert_eq!(liar.aggregates, 3.0);
        assert!((liar.pay - 0.1 / 4.0).abs() < 1e-12);
    }

    #[test]
    fn misses_and_false_alarms_are_counted_in_the_second_half() {
        let (scores, peers) = rows();
        let judged = Judged::of(&scores, &peers).expect("it was judged");
        // Honest tests: 0.3, 0.2, 0.3, 0.0 (not paid); the liar's: 0.1 (paid), −1.
        assert_eq!(judged.operating_point(), Some([0.25, 0.5]));
        let curve = characteristic(&[judged]).expect("both are there");
        assert_eq!(curve, [[0.0, 0.0], [0.0, 0.5], [0.25, 0.5], [0.25, 1.0], [0.5, 1.0], [1.0, 1.0]]);
    }

    #[test]
    fn a_distribution_goes_from_the_least_to_the_largest_overlap() {
        let row = |honest, overlap| OverlapRow { round: 0, first: 0, second: 1, honest, overlap };
        let rows = [row(1, 0.3), row(0, 0.9), row(1, 0.1), row(1, 0.2)];
        assert_eq!(honest_overlaps(rows.iter()), [[0.0, 0.1], [0.5, 0.2], [1.0, 0.3]]);
    }
}
