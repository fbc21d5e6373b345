//! The machine against the reference's test cases and tables, and as a whole.

mod draws;

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::quantity::Seed;
use crate::validator::penalty::{Cause, Penalty};
use crate::validator::score::Losses;
use crate::validator::spec::Gauntlet;

const NO_DATES: &BTreeMap<PeerId, u64> = &BTreeMap::new();

fn peers(ids: impl IntoIterator<Item = u32>) -> Vec<PeerId> {
    ids.into_iter().map(PeerId).collect()
}

fn validator(spec: Gauntlet) -> Validator {
    Validator::new(spec, Streams::new(Seed(1)), 0)
}

/// A validator of production that gave peer 1 a final score and an indicator average of 1.
fn with_peer_1() -> Validator {
    let mut validator = validator(Gauntlet::production());
    *record(&mut validator, 1) = Record { final_score: 1.0, indicator_average: 1.0, ..Record::default() };
    validator
}

fn record(validator: &mut Validator, peer: u32) -> &mut Record {
    validator.records.entry(PeerId(peer)).or_default()
}

/// Final score and indicator average.
fn standing(validator: &Validator, peer: u32) -> (f64, f64) {
    let record = &validator.records[&PeerId(peer)];
    (record.final_score, record.indicator_average)
}

/// T and F as in the reference's tests.
fn history(text: &str) -> VecDeque<bool> {
    text.chars().map(|entry| entry == 'T').collect()
}

/// A gather of peers 1 to 10 from which `missing` are missing; everybody is in sync.
struct Gather {
    active: Vec<PeerId>,
    missing: Vec<PeerId>,
    gathered: Vec<PeerId>,
    overlaps: Vec<(PeerId, PeerId, f64)>,
    steps_behind: BTreeMap<PeerId, Option<f64>>,
    round: u32,
}

fn gather(missing: &[u32]) -> Gather {
    let active = peers(1..=10);
    Gather {
        missing: peers(missing.iter().copied()),
        gathered: active.iter().copied().filter(|peer| !missing.contains(&peer.0)).collect(),
        overlaps: Vec::new(),
        steps_behind: active.iter().map(|&peer| (peer, Some(0.0))).collect(),
        round: 100,
        active,
    }
}

impl Gather {
    fn show(&self, validator: &mut Validator, window: u32) -> Vec<Penalty> {
        let seen = Gathering {
            active: &self.active,
            requested: &peers(1..=10),
            missing: &self.missing,
            gathered: &self.gathered,
            round: self.round,
            overlaps: &self.overlaps,
            dates: NO_DATES,
            steps_behind: &self.steps_behind,
        };
        validator.gathered(window, &seen)
    }
}

/// An evaluation with this score, better on own data.
fn measured(peer: u32, score: f64) -> Evaluation {
    let losses = Losses {
        own_before: 2.0,
        own_after: 2.0 * (1.0 - score) - 0.1,
        random_before: 2.0,
        random_after: 2.0 * (1.0 - score),
    };
    Evaluation::Measured { peer: PeerId(peer), losses, steps_behind: Some(0.0) }
}

/// As [`measured`], worse on own data.
fn measured_elsewhere(peer: u32, score: f64) -> Evaluation {
    match measured(peer, score) {
        Evaluation::Measured { peer, losses, steps_behind } => {
            Evaluation::Measured { peer, losses: Losses { own_after: 2.0, own_before: 2.0, ..losses }, steps_behind }
        }
        other => other,
    }
}

/// Scores of five peers that are fine, so that the round is not bad.
fn fine() -> Vec<Evaluation> {
    (11..=15).map(|peer| measured(peer, 0.1 + f64::from(peer) * 0.01)).collect()
}

fn has(penalties: &[Penalty], peer: u32, cause: Cause) -> bool {
    penalties.iter().any(|penalty| penalty.peer == PeerId(peer) && penalty.cause == cause)
}

#[test]
fn misses_in_a_row_cost_ever_more() {
    let mut validator = with_peer_1();
    for (window, standing_after) in [0.75, 0.375, 0.0].into_iter().enumerate() {
        gather(&[1]).show(&mut validator, window as u32);
        assert_eq!(standing(&validator, 1), (standing_after, standing_after), "window {window}");
    }
}

#[test]
fn a_payload_that_comes_ends_the_row_of_misses() {
    let mut validator = with_peer_1();
    for (window, missing) in [vec![1], vec![], vec![1]].into_iter().enumerate() {
        gather(&missing).show(&mut validator, window as u32);
    }
    assert_eq!(standing(&validator, 1).0, 0.75 * 0.75);
}

#[test]
fn a_miss_costs_everything_where_hardly_anybody_was_gathered() {
    let mut validator = with_peer_1();
    let penalties = gather(&[1, 2, 3, 4, 5, 6, 7]).show(&mut validator, 0);
    assert_eq!(standing(&validator, 1), (0.0, 0.0), "3 of 10 are less than 0.4");
    assert_eq!(penalties[0], Penalty { peer: PeerId(1), cause: Cause::MissingGather, factor: 0.0 });
    let mut validator = with_peer_1();
    gather(&[1, 2, 3, 4, 5, 6]).show(&mut validator, 0);
    assert_eq!(standing(&validator, 1).0, 0.75);
}

#[test]
fn who_misses_half_of_the_last_eight_is_naughty() {
    // The reference: TFTTFTFT and a miss.
    let mut validator = with_peer_1();
    record(&mut validator, 1).misses = history("TFTTFTFT");
    let penalties = gather(&[1]).show(&mut validator, 0);
    assert!(has(&penalties, 1, Cause::MissingOften));
    let peer = &validator.records[&PeerId(1)];
    assert_eq!((peer.final_score, peer.naughty_windows, peer.misses.len()), (0.0, 20, 0));
    assert!(!validator.candidates.contains_key(&PeerId(1)), "a reset peer is not evaluated in this window");

    // The reference: TFFFTFF, one miss in a row, and another: three of eight.
    let mut validator = with_peer_1();
    record(&mut validator, 1).misses = history("TFFFTFF");
    record(&mut validator, 1).misses_in_row = 1;
    let penalties = gather(&[1]).show(&mut validator, 0);
    assert!(has(&penalties, 1, Cause::MissingGather));
    assert_eq!(standing(&validator, 1).0, 0.5);
}

#[test]
fn who_misses_often_without_a_score_is_naughty_but_not_reset() {
    let mut validator = with_peer_1();
    record(&mut validator, 1).misses = history("TTTTTTT");
    record(&mut validator, 1).final_score = -1.0;
    gather(&[1]).show(&mut validator, 0);
    let peer = &validator.records[&PeerId(1)];
    assert_eq!((peer.final_score, peer.indicator_average, peer.naughty_windows), (-1.0, 1.0, 20));
    assert!(validator.candidates.contains_key(&PeerId(1)), "and still evaluated in this window");
}

#[test]
fn what_is_missing_loses_the_match() {
    let mut validator = with_peer_1();
    gather(&[1]).show(&mut validator, 0);
    let verdict = validator.judge(0, &[measured(2, 0.1), measured(3, -0.1)]);
    let scores: Vec<(u32, f64)> = verdict.rows.iter().map(|row| (row.peer.0, row.score)).collect();
    assert_eq!((scores[0], scores.len()), ((1, -99.0), 3));
    assert!(verdict.rows[0].mu < verdict.rows[2].mu && verdict.rows[2].mu < verdict.rows[1].mu);
}

#[test]
fn copies_are_punished_by_how_much_they_resemble() {
    for (overlap, cause, score, naughty) in [
        (0.45, Cause::OverlapHigh, 0.5, 0),
        (0.55, Cause::OverlapMax, 0.0, 0),
        // The window in which it happens counts already: 20 becomes 19, as 200 becomes 199 in the reference's test.
        (0.65, Cause::OverlapMega, 0.0, 19),
    ] {
        let mut validator = with_peer_1();
        let mut gather = gather(&[]);
        gather.overlaps = vec![(PeerId(1), PeerId(2), overlap)];
        let penalties = gather.show(&mut validator, 0);
        assert!(has(&penalties, 1, cause) && !has(&penalties, 2, cause), "of equal dates the first is blamed");
        assert_eq!(standing(&validator, 1), (score, score));
        assert_eq!(validator.records[&PeerId(1)].naughty_windows, naughty);
        assert_eq!(validator.candidates.contains_key(&PeerId(1)), cause == Cause::OverlapHigh);
    }
}

#[test]
fn nobody_is_a_copier_in_the_first_rounds() {
    let mut validator = with_peer_1();
    let mut gather = gather(&[]);
    gather.overlaps = vec![(PeerId(1), PeerId(2), 1.0)];
    gather.round = 19;
    assert_eq!(gather.show(&mut validator, 0), []);
    assert_eq!(standing(&validator, 1), (1.0, 1.0));
    gather.round = 20;
    assert_eq!(gather.show(&mut validator, 1).len(), 1);
}

#[test]
fn the_naughty_are_left_out_until_their_time_is_over() {
    let mut validator = with_peer_1();
    let mut copied = gather(&[]);
    copied.overlaps = vec![(PeerId(1), PeerId(2), 1.0)];
    copied.show(&mut validator, 0);
    for window in 1..=19 {
        assert_eq!(validator.records[&PeerId(1)].naughty_windows, 20 - window, "before window {window}");
        validator.refreshed = None;
        validator.refresh(window, &peers(1..=3), 20, 10);
        assert!(!validator.list(window).0.contains(&PeerId(1)));
        record(&mut validator, 1).indicator_average = 1.0;
        let penalties = gather(&[]).show(&mut validator, window);
        assert!(has(&penalties, 1, Cause::Naughty));
        assert_eq!(standing(&validator, 1), (0.0, 0.0), "its record is reset every window");
        assert!(!validator.choose(window, &peers(1..=10), 20).contains(&PeerId(1)));
    }
    assert_eq!(gather(&[]).show(&mut validator, 20), []);
    assert!(validator.choose(20, &peers(1..=10), 20).contains(&PeerId(1)));
    validator.refreshed = None;
    validator.refresh(21, &peers(1..=3), 20, 10);
    assert!(validator.list(21).0.contains(&PeerId(1)));
}

#[test]
fn who_is_out_of_sync_or_shows_nothing_is_slashed() {
    for behind in [None, Some(2.01), Some(f64::INFINITY)] {
        let mut validator = with_peer_1();
        let mut gather = gather(&[]);
        gather.steps_behind.insert(PeerId(1), behind);
        assert!(has(&gather.show(&mut validator, 0), 1, Cause::OutOfSync), "{behind:?}");
        assert_eq!(standing(&validator, 1), (0.75, 0.75));
    }
    let mut validator = with_peer_1();
    let mut gather = gather(&[]);
    gather.steps_behind.insert(PeerId(1), Some(2.0));
    assert_eq!(gather.show(&mut validator, 0), []);
}

#[test]
fn the_inactive_fade_and_are_forgotten() {
    let mut validator = with_peer_1();
    gather(&[]).show(&mut validator, 0);
    let mut without = gather(&[]);
    without.active = peers(2..=10);
    let mut score = 1.0;
    for window in 1..=3 {
        assert!(has(&without.show(&mut validator, window), 1, Cause::Inactive));
        score *= 0.75;
        assert_eq!(standing(&validator, 1), (score, 1.0), "only the final score fades");
    }
    assert!(has(&without.show(&mut validator, 4), 1, Cause::Forgotten));
    assert_eq!(standing(&validator, 1), (0.0, 0.0));
    assert_eq!(without.show(&mut validator, 5), [], "once is enough");
}

#[test]
fn who_comes_back_in_time_is_not_forgotten() {
    let mut validator = with_peer_1();
    gather(&[]).show(&mut validator, 0);
    let mut without = gather(&[]);
    without.active = peers(2..=10);
    without.show(&mut validator, 1);
    assert_eq!(gather(&[]).show(&mut validator, 2), []);
    assert_eq!(standing(&validator, 1), (0.75, 1.0));
}

#[test]
fn a_window_without_a_gather_punishes_only_the_inactive() {
    let mut validator = with_peer_1();
    gather(&[]).show(&mut validator, 0);
    let mut nothing = gather(&[2, 3, 4, 5, 6, 7, 8, 9, 10]);
    nothing.active = peers(2..=10);
    nothing.gathered = Vec::new();
    let penalties = nothing.show(&mut validator, 1);
    assert_eq!(penalties, [Penalty { peer: PeerId(1), cause: Cause::Inactive, factor: 0.75 }]);
}

#[test]
fn a_missing_payload_at_evaluation_is_slashed_and_an_invalid_one_loses_everything() {
    let mut validator = with_peer_1();
    validator.judge(0, &[Evaluation::Missing { peer: PeerId(1) }]);
    assert_eq!(standing(&validator, 1), (0.75, 0.75), "alone it is in no match");
    let mut validator = with_peer_1();
    validator.judge(0, &[Evaluation::Invalid { peer: PeerId(1) }]);
    assert_eq!(standing(&validator, 1), (0.0, 1.0));
    let mut validator = with_peer_1();
    let infinite = Losses { own_before: 2.0, own_after: f64::INFINITY, random_before: 2.0, random_after: 1.0 };
    validator.judge(0, &[Evaluation::Measured { peer: PeerId(1), losses: infinite, steps_behind: Some(0.0) }]);
    assert_eq!(standing(&validator, 1), (0.0, 1.0), "a payload that blows the model up is invalid");
}

#[test]
fn nobody_is_to_blame_for_the_network() {
    let mut validator = with_peer_1();
    let before = validator.records[&PeerId(1)].clone();
    let verdict = validator.judge(0, &[Evaluation::Unreachable { peer: PeerId(1) }]);
    assert_eq!((verdict.rows.len(), verdict.penalties.len()), (0, 0));
    assert_eq!(validator.records[&PeerId(1)], before);
}

#[test]
fn scores_below_the_minimum_become_zero() {
    let mut validator = with_peer_1();
    record(&mut validator, 1).final_score = 1.3e-4;
    validator.judge(0, &[Evaluation::Missing { peer: PeerId(1) }]);
    assert_eq!(standing(&validator, 1), (0.0, 0.75));
}

#[test]
fn more_than_half_negative_of_the_last_eight_cost_three_quarters() {
    // The reference: TFTTFTFT and a negative one; and exactly four of eight.
    for (before, slashed) in [("TFTTFTFT", true), ("FFFTFTFT", false), ("TTTTTT", false)] {
        let mut validator = with_peer_1();
        record(&mut validator, 1).negatives = history(before);
        let mut evaluations = fine();
        evaluations.push(measured(1, -0.1));
        let verdict = validator.judge(0, &evaluations);
        assert_eq!(has(&verdict.penalties, 1, Cause::Negative), slashed, "{before}");
        let average = 0.95 + 0.05;
        assert_eq!(standing(&validator, 1).1, if slashed { 0.25 * average } else { average });
    }
}

#[test]
fn a_negative_history_costs_every_window_even_without_an_evaluation() {
    let mut validator = with_peer_1();
    record(&mut validator, 1).negatives = history("TTTTTFFF");
    for window in 1..=2 {
        assert!(has(&validator.judge(window, &fine()).penalties, 1, Cause::Negative));
        assert_eq!(standing(&validator, 1).0, 0.25_f64.powi(window as i32));
    }
}

#[test]
fn a_bad_round_has_no_penalties_for_negative_scores() {
    let mut validator = with_peer_1();
    record(&mut validator, 1).negatives = history("TTTTTTTT");
    record(&mut validator, 1).negatives_in_row = 8;
    let bad: Vec<Evaluation> = (11..=15).map(|peer| measured(peer, 0.125 - 0.01 * f64::from(peer))).collect();
    let verdict = validator.judge(0, &bad);
    assert!(verdict.is_bad_round);
    assert_eq!(verdict.penalties, []);
    assert_eq!(standing(&validator, 1), (1.0, 1.0));
}

#[test]
fn three_negative_scores_in_a_row_keep_a_peer_off_the_list_until_a_positive_one() {
    let mut validator = with_peer_1();
    let mut is_listed = |window, score| {
        let mut evaluations = fine();
        evaluations.push(measured(1, score));
        let excluded = has(&validator.judge(window, &evaluations).penalties, 1, Cause::Excluded);
        validator.refreshed = None;
        validator.refresh(window, &peers(1..=3), 20, 10);
        (validator.list(window).0.contains(&PeerId(1)), validator.records[&PeerId(1)].is_excluded, excluded)
    };
    assert_eq!(is_listed(0, -0.1), (true, false, false));
    assert_eq!(is_listed(1, -0.1), (true, false, false));
    assert_eq!(is_listed(2, -0.1), (false, true, true));
    assert_eq!(is_listed(3, -0.1), (false, true, false), "it is said once");
    assert_eq!(is_listed(4, 0.1), (true, false, false));
}

#[test]
fn excluded_peers_are_taken_back_where_nobody_else_is() {
    let mut validator = with_peer_1();
    record(&mut validator, 1).negatives_in_row = 5;
    record(&mut validator, 2).negatives_in_row = 3;
    validator.refresh(0, &peers([1, 2]), 20, 10);
    assert_eq!(validator.list(0), (&peers([2])[..], &[][..]), "the one with fewer negative scores");
}

#[test]
fn slashes_of_the_final_score_are_overwritten_in_the_same_window_and_those_of_the_average_persist() {
    let mut clean = with_peer_1();
    let mut slashed = with_peer_1();
    let mut out_of_sync = gather(&[]);
    out_of_sync.steps_behind.insert(PeerId(1), Some(2.5));
    gather(&[]).show(&mut clean, 0);
    out_of_sync.show(&mut slashed, 0);
    assert_eq!(standing(&slashed, 1), (0.75, 0.75));
    let evaluations = [measured(1, 0.2), measured(2, 0.1)];
    let (clean_row, slashed_row) = (clean.judge(0, &evaluations).rows[0], slashed.judge(0, &evaluations).rows[0]);
    assert_eq!(clean_row.mu, slashed_row.mu);
    assert!((slashed_row.indicator_average - (0.95 * 0.75 + 0.05)).abs() < 1e-12);
    let expected = (slashed_row.mu - 3.0 * slashed_row.sigma) * slashed_row.indicator_average;
    assert!((slashed_row.final_score - expected).abs() < 1e-12, "nothing is left of the final score's 0.75");

    // So even an invalid payload leaves a score, if there is a match.
    let mut invalid = with_peer_1();
    record(&mut invalid, 1).sync = 1.0;
    record(&mut invalid, 1).rating = Some(Rating { mu: 40.0, sigma: 3.0 });
    let verdict = invalid.judge(0, &[Evaluation::Invalid { peer: PeerId(1) }, measured(2, 0.1)]);
    assert!(verdict.rows[0].final_score > 0.0 && verdict.rows[0].mu < 40.0);
}

#[test]
fn a_match_needs_two_and_a_single_score_waits() {
    let mut validator = validator(Gauntlet::production());
    let verdict = validator.judge(0, &[measured(1, 0.1)]);
    assert_eq!((verdict.rows[0].mu, verdict.rows[0].final_score), (25.0, 0.0));
    let verdict = validator.judge(1, &[measured(2, 0.2)]);
    let rows: Vec<(u32, f64)> = verdict.rows.iter().map(|row| (row.peer.0, (row.mu * 1e6).round() / 1e6)).collect();
    assert_eq!(rows, [(1, 22.743_791), (2, 27.256_209)], "as openskill rates two newcomers");
    assert_eq!(validator.scores, []);
}

#[test]
fn the_indicator_average_grows_as_in_the_reference() {
    let mut validator = validator(Gauntlet::production());
    // The reference's table, in its third digit.
    let table: BTreeMap<u32, f64> = [(2, 0.0975), (10, 0.401), (20, 0.642), (40, 0.872)].into();
    for evaluations in 1..=40 {
        let average = validator.judge(evaluations, &[measured(1, 0.1), measured(2, 0.2)]).rows[0].indicator_average;
        assert!((average - (1.0 - 0.95_f64.powi(evaluations as i32))).abs() < 1e-12);
        if let Some(expected) = table.get(&evaluations) {
            assert!((average - expected).abs() < 1e-3, "{evaluations}: {average}");
        }
    }
}

#[test]
fn a_small_indicator_average_counts_as_nothing_once_the_run_is_warm() {
    let mut validator = validator(Gauntlet::production());
    // The chain is a window ahead: the run is ten windows old when the tenth, window 9, is worked on.
    for (window, is_paid) in [(0, true), (8, true), (9, false)] {
        gather(&[]).show(&mut validator, window);
        *record(&mut validator, 1) =
            Record { indicator_average: 0.05, rating: Some(Rating { mu: 40.0, sigma: 3.0 }), ..Record::default() };
        let row = validator.judge(window, &[measured_elsewhere(2, 0.1), measured(1, 0.2)]).rows[0];
        assert!(row.indicator_average < 0.1);
        assert_eq!(row.final_score > 0.0, is_paid, "window {window}");
    }
}

#[test]
fn the_sync_score_is_a_factor_and_nothing_shown_is_zero() {
    let final_score = |steps_behind, spec: Gauntlet| {
        let mut validator = validator(spec);
        record(&mut validator, 1).rating = Some(Rating { mu: 40.0, sigma: 3.0 });
        let Evaluation::Measured { peer, losses, .. } = measured(1, 0.2) else { unreachable!("it is measured") };
        let evaluation = Evaluation::Measured { peer, losses, steps_behind };
        validator.judge(0, &[evaluation, measured(2, 0.1)]).rows[0].final_score
    };
    let in_sync = final_score(Some(0.0), Gauntlet::production());
    assert!((final_score(Some(1.0), Gauntlet::production()) / in_sync - 0.3629).abs() < 1e-4);
    assert_eq!(final_score(None, Gauntlet::production()), 0.0);
    assert_eq!(final_score(None, Gauntlet { sync: None, ..Gauntlet::production() }), in_sync);
    assert!(final_score(None, Gauntlet::paper()) > 0.0, "in the paper it is no factor");
}
