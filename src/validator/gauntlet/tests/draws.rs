//! Whom the machine evaluates and lists.

use super::*;

#[test]
fn evaluations_are_drawn_by_how_long_ago_the_last_attempt_was() {
    let mut validator = validator(Gauntlet::production());
    let active = peers(1..=10);
    gather(&[]).show(&mut validator, 0);
    let chosen = validator.choose(0, &active, 3);
    assert_eq!(chosen.len(), 3, "what the validator's time allows");
    for peer in &active {
        assert_eq!(validator.candidates[peer], if chosen.contains(peer) { 1 } else { 2 });
        assert_eq!(
            validator.records.get(peer).and_then(|record| record.last_evaluated),
            chosen.contains(peer).then_some(0)
        );
    }
    assert_eq!(validator.choose(1, &active, 0), []);
    assert!(validator.candidates.values().all(|&counter| counter >= 2));
    assert_eq!(validator.choose(2, &peers(1..=2), 20).len(), 2);
}

#[test]
fn nobody_waits_for_ever_for_an_evaluation() {
    let mut spec = Gauntlet::production();
    spec.peers_per_window = 2;
    spec.bins = 1;
    let mut validator = validator(spec);
    let mut attempts = BTreeMap::new();
    for window in 0..200 {
        gather(&[]).show(&mut validator, window);
        for peer in validator.choose(window, &peers(1..=10), 20) {
            *attempts.entry(peer).or_insert(0) += 1;
        }
    }
    // Drawn without regard to the last attempt the counts would spread around 40 by 5.7.
    assert!(attempts.len() == 10 && attempts.values().all(|count| (30..=50).contains(count)), "{attempts:?}");
}

#[test]
fn many_peers_are_evaluated_bin_by_bin() {
    let mut spec = Gauntlet::production();
    spec.peers_per_window = 2;
    let mut validator = validator(spec);
    for peer in 1..=10 {
        record(&mut validator, peer).rating = Some(Rating { mu: f64::from(peer), sigma: 0.0 });
    }
    let mut seen = [false; 5];
    for window in 0..50 {
        gather(&[]).show(&mut validator, window);
        let mut chosen: Vec<u32> = validator.choose(window, &peers(1..=10), 20).iter().map(|peer| peer.0).collect();
        chosen.sort_unstable();
        assert!(chosen[0] % 2 == 1 && chosen[1] == chosen[0] + 1, "neighbours in rating: {chosen:?}");
        seen[chosen[0] as usize / 2] = true;
    }
    assert_eq!(seen, [true; 5]);
}

#[test]
fn a_new_list_holds_two_windows_later_and_the_first_one_at_once() {
    let mut validator = validator(Gauntlet::production());
    assert_eq!(validator.list(7), (&[][..], &[][..]));
    validator.refresh(7, &[], 3, 2);
    assert_eq!(validator.refreshed, None, "of nobody no list is made");
    validator.refresh(7, &peers(1..=5), 3, 2);
    let first = (validator.list(7).0.to_vec(), validator.list(7).1.to_vec());
    assert_eq!((first.0.len(), first.1.len()), (3, 2));

    record(&mut validator, 9).weight = 0.1;
    record(&mut validator, 8).weight = 0.2;
    validator.refresh(8, &peers(1..=9), 3, 2);
    validator.refresh(9, &peers(1..=9), 3, 2);
    for window in 7..=10 {
        assert_eq!(validator.list(window), (&first.0[..], &first.1[..]), "window {window}");
    }
    assert_eq!(validator.list(11).0[..2], peers([8, 9]), "the best come first, newcomers fill the rest");
    assert_eq!((validator.list(11).0.len(), validator.list(11).1.len()), (3, 2));
    for window in 10..100 {
        validator.refresh(window, &peers(1..=9), 3, 2);
    }
    assert!(validator.lists.len() <= 3, "superseded lists are dropped");
}

#[test]
fn newcomers_come_in_an_order_that_others_do_not_shift() {
    let first = |active: &[PeerId], seed, window| {
        let mut validator = Validator::new(Gauntlet::production(), Streams::new(Seed(seed)), 0);
        validator.refresh(window, active, 20, 10);
        validator.list(window).0.to_vec()
    };
    let all = first(&peers(0..20), 1, 0);
    assert_ne!(all, peers(0..20));
    assert_ne!(all, first(&peers(0..20), 2, 0));
    assert_ne!(all, first(&peers(0..20), 1, 1));
    let fewer: Vec<PeerId> = all.iter().copied().filter(|peer| peer.0 != 7).collect();
    assert_eq!(first(&peers((0..20).filter(|&peer| peer != 7)), 1, 0), fewer);
}
