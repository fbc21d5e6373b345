//! Gauntlet's ratings against numbers obtained by running the library that production uses.
//!
//! Both fixtures: openskill 6.1.3, `PlackettLuce(beta=7, tau=0.1).rate(teams, scores=scores)`, `rounds` times in a row
//! from `init` (pairs of mu and sigma; null: the library's default), six digits. The second one adds unequal starts,
//! ties of unequal peers, scores of exactly 0 (to which the library gives minus their place) and matches of twenty.

use serde::Deserialize;
use swarmloco::validator::rating::{Rating, plackett_luce};
use swarmloco::validator::spec::Gauntlet;

const FIXTURES: [&str; 2] = [
    include_str!("fixtures/openskill_plackett_luce_beta7_tau0.1.json"),
    include_str!("fixtures/openskill_plackett_luce_more.json"),
];

/// Starts are given to six digits, results are rounded to six.
const TOLERANCE: f64 = 1e-5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    scores: Vec<f64>,
    init: Option<Vec<(f64, f64)>>,
    rounds: u32,
    mu: Vec<f64>,
    sigma: Vec<f64>,
    ordinal: Vec<f64>,
}

#[test]
fn ratings_are_those_of_openskill() {
    let spec = Gauntlet::production().rating;
    let mut cases = 0;
    for fixture in FIXTURES {
        for case in serde_json::from_str::<Vec<Case>>(fixture).expect("a fixture is a list of cases") {
            let mut ratings: Vec<Rating> = match &case.init {
                Some(init) => init.iter().map(|&(mu, sigma)| Rating { mu, sigma }).collect(),
                None => vec![Rating::newcomer(&spec); case.scores.len()],
            };
            for _ in 0..case.rounds {
                ratings = plackett_luce(&ratings, &case.scores, &spec);
            }
            for (peer, rating) in ratings.iter().enumerate() {
                let is_near = |ours: f64, theirs: f64| (ours - theirs).abs() < TOLERANCE;
                assert!(
                    is_near(rating.mu, case.mu[peer])
                        && is_near(rating.sigma, case.sigma[peer])
                        && is_near(rating.ordinal(), case.ordinal[peer]),
                    "peer {peer} has {rating:?} with ordinal {} after {case:?}",
                    rating.ordinal()
                );
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 14, "all cases of both fixtures");
}

#[test]
fn the_order_of_a_match_does_not_matter_unless_a_score_is_zero() {
    let spec = Gauntlet::production().rating;
    let newcomer = Rating::newcomer(&spec);
    let forwards = plackett_luce(&[newcomer; 3], &[0.3, 0.2, 0.1], &spec);
    let backwards = plackett_luce(&[newcomer; 3], &[0.1, 0.2, 0.3], &spec);
    for (a, b) in forwards.iter().zip(backwards.iter().rev()) {
        assert!((a.mu - b.mu).abs() < 1e-12 && (a.sigma - b.sigma).abs() < 1e-12);
    }
    // A payload that changes nothing beats one that does a little harm only if it comes first.
    let first = plackett_luce(&[newcomer; 2], &[0.0, -0.01], &spec);
    let second = plackett_luce(&[newcomer; 2], &[-0.01, 0.0], &spec);
    assert!(first[0].mu > first[1].mu && second[0].mu > second[1].mu);
}
