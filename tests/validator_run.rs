//! A validator over many windows: who ends up with what, and that the same calls give the same decisions.

use std::collections::BTreeMap;

use rand_distr::{Distribution as _, StandardNormal};
use swarmloco::quantity::{PeerId, Seed};
use swarmloco::sim::Streams;
use swarmloco::validator::score::Losses;
use swarmloco::validator::spec::Gauntlet;
use swarmloco::validator::{Cause, Evaluation, Gathering, Validator, Verdict, weights};

const GATHER: usize = 8;
const RESERVE: usize = 4;

/// What a peer of the test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conduct {
    Honest,
    /// Sends what helps all data alike.
    NotOnOwnData,
    /// Sends peer 0's payload, later.
    Copier,
    /// Makes the model worse.
    Harmful,
    /// Is missing every other window.
    Unreliable,
    /// Works on old parameters.
    Stale,
}

fn conduct(peer: PeerId) -> Conduct {
    match peer.0 {
        10 => Conduct::NotOnOwnData,
        11 => Conduct::Copier,
        12 => Conduct::Harmful,
        13 => Conduct::Unreliable,
        14 => Conduct::Stale,
        _ => Conduct::Honest,
    }
}

const PEERS: u32 = 15;

/// Some noise of a peer in a window.
fn noise(purpose: &'static str, peer: PeerId, window: u32) -> f64 {
    StandardNormal.sample(&mut Streams::new(Seed(9)).rng(purpose, u64::from(peer.0), u64::from(window)))
}

fn evaluation(peer: PeerId, window: u32) -> Evaluation {
    let conduct = conduct(peer);
    if conduct == Conduct::Unreliable && window % 2 == 1 {
        return Evaluation::Missing { peer };
    }
    let (own, random) = match conduct {
        Conduct::NotOnOwnData => (0.010, 0.010),
        Conduct::Harmful => (-0.010, -0.010),
        _ => (0.014, 0.010),
    };
    let losses = Losses {
        own_before: 3.0,
        own_after: 3.0 * (1.0 - own - 0.002 * noise("own", peer, window)),
        random_before: 3.0,
        random_after: 3.0 * (1.0 - random - 0.002 * noise("random", peer, window)),
    };
    let steps_behind = Some(if conduct == Conduct::Stale { 2.5 } else { 0.1 });
    Evaluation::Measured { peer, losses, steps_behind }
}

/// One window, as the protocol will drive it.
fn window(validator: &mut Validator, window: u32, causes: &mut Vec<(PeerId, Cause)>) -> Verdict {
    let active: Vec<PeerId> = (0..PEERS).map(PeerId).collect();
    validator.refresh(window, &active, GATHER, RESERVE);
    let (requested, reserve) = validator.list(window);
    let (requested, reserve) = (requested.to_vec(), reserve.to_vec());
    for (peer, record) in validator.records() {
        // A list that holds was made three windows ago at the earliest.
        let was_naughty = record.naughty_windows > 0 && record.naughty_windows < 16;
        assert!(!was_naughty || !requested.contains(&peer), "window {window}: naughty {peer} is gathered");
    }
    let is_missing = |peer: &&PeerId| conduct(**peer) == Conduct::Unreliable && window % 2 == 1;
    let missing: Vec<PeerId> = requested.iter().filter(is_missing).copied().collect();
    let present = requested.iter().filter(|peer| !is_missing(peer));
    let gathered: Vec<PeerId> = present.chain(reserve.iter().take(missing.len())).copied().collect();
    let mut overlaps = Vec::new();
    for (index, &first) in gathered.iter().enumerate() {
        for &second in &gathered[index + 1..] {
            let are_alike = [first, second].contains(&PeerId(0)) && [first, second].contains(&PeerId(11));
            overlaps.push((first, second, if are_alike { 1.0 } else { 0.1 }));
        }
    }
    let dates = active.iter().map(|&peer| (peer, u64::from(peer.0))).collect();
    let steps_behind =
        requested.iter().map(|&peer| (peer, Some(if conduct(peer) == Conduct::Stale { 2.5 } else { 0.1 }))).collect();
    let seen = Gathering {
        active: &active,
        requested: &requested,
        missing: &missing,
        gathered: &gathered,
        round: window,
        overlaps: &overlaps,
        dates: &dates,
        steps_behind: &steps_behind,
    };
    let penalties = validator.gathered(window, &seen);
    let chosen = validator.choose(window, &active, 12);
    assert!(chosen.len() <= 12);
    let evaluations: Vec<Evaluation> = chosen.into_iter().map(|peer| evaluation(peer, window)).collect();
    let verdict = validator.judge(window, &evaluations);
    causes.extend(penalties.iter().chain(&verdict.penalties).map(|penalty| (penalty.peer, penalty.cause)));
    let paid: f64 = validator.weights().values().sum();
    assert!(paid == 0.0 || (paid - 0.5).abs() < 1e-12, "window {window}: {paid} is paid");
    verdict
}

#[test]
fn production_tells_the_honest_from_the_others() {
    let mut validator = Validator::new(Gauntlet::production(), Streams::new(Seed(1)), 0);
    let mut causes = Vec::new();
    let mut pay = BTreeMap::new();
    for number in 0..120 {
        window(&mut validator, number, &mut causes);
        if number >= 60 {
            for (peer, weight) in validator.weights() {
                *pay.entry(peer).or_insert(0.0) += weight / 60.0;
            }
        }
    }
    let of = |peer: u32| pay.get(&PeerId(peer)).copied().unwrap_or(0.0);
    let least_honest = (0..10).map(of).fold(f64::INFINITY, f64::min);
    assert!(least_honest > 0.0, "every honest peer is paid: {pay:?}");
    for peer in [10, 12, 14] {
        assert!(of(peer) < least_honest, "{:?} gets less than the worst honest peer: {pay:?}", conduct(PeerId(peer)));
    }
    assert_eq!(of(12), 0.0, "who makes the model worse is not paid");
    let has = |peer: u32, cause| causes.contains(&(PeerId(peer), cause));
    assert!(has(12, Cause::Excluded) && has(12, Cause::Negative));
    assert!(has(11, Cause::OverlapMega) && has(11, Cause::Naughty) && !has(0, Cause::OverlapMega));
    assert!(has(13, Cause::MissingEvaluation) && has(13, Cause::MissingGather));
    assert!(has(14, Cause::OutOfSync));
    assert!((0..10).all(|peer| !causes.iter().any(|(other, _)| *other == PeerId(peer))), "the honest are left alone");
}

#[test]
fn the_paper_does_not_mind_copies() {
    let spec = Gauntlet { weights: Gauntlet::production().weights, ..Gauntlet::paper() };
    let mut validator = Validator::new(spec, Streams::new(Seed(1)), 0);
    let mut causes = Vec::new();
    for number in 0..60 {
        window(&mut validator, number, &mut causes);
    }
    assert!(!causes.iter().any(|&(peer, _)| peer == PeerId(11)));
    assert!(validator.weight(PeerId(11)) > 0.0);
    assert!(causes.contains(&(PeerId(13), Cause::MissingEvaluation)));
}

#[test]
fn the_same_calls_give_the_same_decisions_even_if_the_state_was_written_and_read_between() {
    let run = |is_written| {
        let mut validator = Validator::new(Gauntlet::production(), Streams::new(Seed(3)), 1);
        let mut verdicts = Vec::new();
        for number in 0..50 {
            verdicts.push(window(&mut validator, number, &mut Vec::new()));
            if is_written {
                let bytes = postcard::to_stdvec(&validator).expect("a validator is plain data");
                let read: Validator = postcard::from_bytes(&bytes).expect("it was written just now");
                assert_eq!(read, validator);
                validator = read;
            }
        }
        (validator, verdicts)
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn two_validators_of_one_run_draw_differently_and_agree_on_average() {
    let mut validators: Vec<Validator> =
        (0..2).map(|number| Validator::new(Gauntlet::production(), Streams::new(Seed(3)), number)).collect();
    for number in 0..50 {
        for validator in &mut validators {
            window(validator, number, &mut Vec::new());
        }
    }
    let [one, other] = [&validators[0], &validators[1]].map(Validator::weights);
    assert_ne!(one, other);
    let combined = weights::combine(&[(2.0, one.clone()), (1.0, other.clone())]);
    for (peer, weight) in combined {
        let of = |weights: &BTreeMap<PeerId, f64>| weights.get(&peer).copied().unwrap_or(0.0);
        assert!((weight - (2.0 * of(&one) + of(&other)) / 3.0).abs() < 1e-12);
    }
}
