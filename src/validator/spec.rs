//! The rules of Gauntlet, as plain data: every number of the production code, every rule with its switch.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The rules; the default is production's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gauntlet {
    /// Peers evaluated in a window, at most.
    pub peers_per_window: u32,
    /// Bins of similar rating, of which one is evaluated a window; fewer than `bins · peers_per_window` candidates
    /// are one bin.
    pub bins: u32,
    /// Sequences of an evaluation, from the peer's own data and from random data each.
    pub sequences: u32,
    /// Share of the own sequences on which the peer was to train: the pool from which they are drawn is larger.
    pub own_trained_share: f64,
    /// A payload is tried with this part of the outer learning rate.
    pub trial_factor: f32,
    /// Windows by which the validator is behind: it works on window w while the peers are in w + this.
    pub lag_windows: u32,
    /// Ratings of relative performance.
    pub rating: Rating,
    /// The moving average that tells who trains on its own data.
    pub indicator: Indicator,
    /// Peers must hold the current parameters; `None`: nobody asks.
    pub sync: Option<Sync>,
    /// Payloads missing in the gather; `None`: no penalty.
    pub missing_gather: Option<MissingGather>,
    /// Factor for a payload missing at evaluation; `None`: no penalty.
    pub missing_evaluation: Option<f64>,
    /// Peers that vanish; `None`: no penalty.
    pub inactive: Option<Inactive>,
    /// Copied payloads; `None`: nobody looks.
    pub overlap: Option<Overlap>,
    /// Peers that often make the model worse; `None`: no penalty.
    pub negative: Option<Negative>,
    /// Peers that always make the model worse; `None`: they stay on the list.
    pub exclusion: Option<Exclusion>,
    /// Windows for which a naughty peer is neither gathered nor evaluated.
    pub naughty_windows: u32,
    /// Rounds in which everybody is bad have no penalties for it; `None`: they have.
    pub bad_round: Option<BadRound>,
    /// A final score that a penalty takes below this becomes 0.
    pub score_min: f64,
    /// From final scores to weights.
    pub weights: Weights,
    /// The list of whom everybody gathers.
    pub list: List,
}

/// Plackett-Luce ratings (OpenSkill's).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rating {
    /// Spread of one performance around the skill.
    pub beta: f64,
    /// Uncertainty that returns before every match.
    pub tau: f64,
    /// A newcomer's mu.
    pub mu: f64,
    /// A newcomer's sigma.
    pub sigma: f64,
    /// The score with which a missing or invalid payload enters the match; `None`: it does not.
    pub missing_score: Option<f64>,
}

/// The indicator: +1 where own data improved more than random data, else −1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Indicator {
    /// average ← (1 − alpha)·average + alpha·indicator, from 0.
    pub alpha: f64,
    /// A smaller average counts as 0.
    pub threshold: f64,
    /// The threshold holds after this many windows of the run.
    pub warmup_windows: u32,
}

/// Peers must hold the current parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sync {
    /// Steps behind at which the sync score is 0.
    pub steps_max: f64,
    /// Exponent of the sync score.
    pub power: f64,
    /// Whether the sync score is a factor of the final score.
    pub is_factor: bool,
    /// A member of the gather set that is further behind is slashed.
    pub behind_max: f64,
    /// The factor of that.
    pub slash: f64,
}

/// Payloads missing in the gather.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissingGather {
    /// Factors for the first, second, ... miss in a row; the last one stays.
    pub factors: Vec<f64>,
    /// With a smaller share of the gather set gathered, whoever is missing gets factor 0 at once.
    pub success_min: f64,
    /// Who misses so often is naughty; `None`: nobody is.
    pub often: Option<Often>,
}

/// So many of the last so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Often {
    /// At least this many misses
    pub misses: u32,
    /// in this many windows.
    pub of: u32,
}

/// Peers that vanish.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Inactive {
    /// Factor of the final score, each window.
    pub factor: f64,
    /// After more windows than this the peer is forgotten.
    pub reset_after: u32,
}

/// Two payloads with the same indices: the later one is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Share of equal indices from which a pair is suspicious: factor `high_factor`.
    pub threshold: f64,
    /// From here on the copier's record is reset.
    pub max: f64,
    /// From here on it is naughty, too.
    pub mega: f64,
    /// Factor of a suspicious peer.
    pub high_factor: f64,
    /// Nobody is punished before this round.
    pub from_round: u32,
}

/// Peers that often make the model worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Negative {
    /// With more than this share of negative scores
    pub share: f64,
    /// in the last so many evaluations
    pub of: u32,
    /// the peer gets this factor, every window.
    pub factor: f64,
}

/// Peers that always make the model worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Negative scores in a row after which a peer is off the list until it has a positive one.
    pub consecutive: u32,
}

/// A round in which everybody is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRound {
    /// The round is bad if the score with this rank (the worst, if there are fewer) is negative.
    pub rank: u32,
}

/// From final scores to weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Share of all pay that nobody gets.
    pub burn: f64,
    /// How the rest is divided.
    pub rule: WeightRule,
}

/// How weights follow from final scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightRule {
    /// By rank: as many as are gathered, then as many as are in reserve.
    Tiers(Tiers),
    /// weight ∝ score^exponent (the paper).
    Power {
        /// More than 1 makes it a loss to split hardware over many identities.
        exponent: f64,
    },
}

/// Pay by rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tiers {
    /// Share of the gather tier, before the reserve is capped.
    pub gather_share: f64,
    /// Weight of the first over weight of the last in the gather tier, linear between.
    pub top_ratio: f64,
    /// Weight of a reserve peer over its predecessor's.
    pub reserve_decay: f64,
}

/// The list of whom everybody gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Windows from one list to the next.
    pub refresh_windows: u32,
    /// Windows from the one in which the peers are until a new list holds.
    pub margin_windows: u32,
    /// A list of fewer peers takes excluded ones back, and is not made if they are too few.
    pub peers_min: u32,
}

/// A number that makes no rule.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{field}` is {expected}, not {found}")]
pub struct RuleError {
    /// Where it stands, e.g. `overlap.max`.
    pub field: &'static str,
    /// What would have been right.
    pub expected: &'static str,
    /// What was written.
    pub found: f64,
}

impl Gauntlet {
    /// Everything that is wrong with the rules; empty: nothing.
    #[must_use]
    pub fn problems(&self) -> Vec<RuleError> {
        let mut problems = Vec::new();
        let mut expect = |is_right: bool, field, expected, found| {
            if !is_right {
                problems.push(RuleError { field, expected, found });
            }
        };
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let is_positive = |value: f64| value.is_finite() && value > 0.0;

        for (field, count) in [
            ("peers_per_window", self.peers_per_window),
            ("bins", self.bins),
            ("sequences", self.sequences),
            ("list.refresh_windows", self.list.refresh_windows),
            ("list.peers_min", self.list.peers_min),
            ("missing_gather.often.misses", self.missing_gather.as_ref().and_then(|r| r.often).map_or(1, |r| r.misses)),
            ("negative.of", self.negative.map_or(1, |rule| rule.of)),
            ("exclusion.consecutive", self.exclusion.map_or(1, |rule| rule.consecutive)),
            ("bad_round.rank", self.bad_round.map_or(1, |rule| rule.rank)),
        ] {
            expect(count > 0, field, "at least 1", f64::from(count));
        }
        for (field, value) in [
            ("own_trained_share", Some(self.own_trained_share)),
            ("indicator.alpha", Some(self.indicator.alpha)),
            ("indicator.threshold", Some(self.indicator.threshold)),
            ("sync.slash", self.sync.map(|rule| rule.slash)),
            ("missing_gather.success_min", self.missing_gather.as_ref().map(|rule| rule.success_min)),
            ("missing_evaluation", self.missing_evaluation),
            ("inactive.factor", self.inactive.map(|rule| rule.factor)),
            ("overlap.high_factor", self.overlap.map(|rule| rule.high_factor)),
            ("negative.share", self.negative.map(|rule| rule.share)),
            ("negative.factor", self.negative.map(|rule| rule.factor)),
            ("weights.burn", Some(self.weights.burn)),
        ] {
            let value = value.unwrap_or(0.0);
            expect(is_share(value), field, "between 0 and 1", value);
        }
        for (field, value) in [
            ("trial_factor", Some(f64::from(self.trial_factor))),
            ("rating.beta", Some(self.rating.beta)),
            ("rating.sigma", Some(self.rating.sigma)),
            ("sync.steps_max", self.sync.map(|rule| rule.steps_max)),
            ("sync.power", self.sync.map(|rule| rule.power)),
        ] {
            let value = value.unwrap_or(1.0);
            expect(is_positive(value), field, "a positive number", value);
        }
        for (field, value) in [
            ("rating.tau", self.rating.tau),
            ("sync.behind_max", self.sync.map_or(0.0, |rule| rule.behind_max)),
            ("overlap.threshold", self.overlap.map_or(0.0, |rule| rule.threshold)),
            ("score_min", self.score_min),
        ] {
            expect(value >= 0.0, field, "not negative", value);
        }
        expect(self.rating.mu.is_finite(), "rating.mu", "a number", self.rating.mu);
        let missing_score = self.rating.missing_score.unwrap_or(0.0);
        expect(missing_score.is_finite(), "rating.missing_score", "a number", missing_score);
        if let Some(rule) = &self.missing_gather {
            for &factor in &rule.factors {
                expect(is_share(factor), "missing_gather.factors", "a list of factors between 0 and 1", factor);
            }
            if let Some(often) = rule.often {
                let is_right = often.misses <= often.of;
                let expected = "not less than `missing_gather.often.misses`";
                expect(is_right, "missing_gather.often.of", expected, f64::from(often.of));
            }
        }
        if let Some(rule) = self.overlap {
            expect(rule.threshold <= rule.max, "overlap.max", "not less than `overlap.threshold`", rule.max);
            expect(rule.max <= rule.mega, "overlap.mega", "not less than `overlap.max`", rule.mega);
        }
        match self.weights.rule {
            WeightRule::Power { exponent } => {
                expect(is_positive(exponent), "weights.rule.power.exponent", "a positive number", exponent);
            }
            WeightRule::Tiers(tiers) => {
                let (share, ratio, decay) = (tiers.gather_share, tiers.top_ratio, tiers.reserve_decay);
                expect(is_share(share), "weights.rule.tiers.gather_share", "between 0 and 1", share);
                expect(ratio.is_finite() && ratio >= 1.0, "weights.rule.tiers.top_ratio", "at least 1", ratio);
                expect(is_share(decay), "weights.rule.tiers.reserve_decay", "between 0 and 1", decay);
            }
        }
        problems
    }

    /// Covenant-72B's, v2.1.28.
    #[must_use]
    pub fn production() -> Self {
        Self {
            peers_per_window: 20,
            bins: 5,
            sequences: 8,
            own_trained_share: 0.1875,
            trial_factor: 0.2,
            lag_windows: 1,
            rating: Rating { beta: 7.0, tau: 0.1, mu: 25.0, sigma: 25.0 / 3.0, missing_score: Some(-99.0) },
            indicator: Indicator { alpha: 0.05, threshold: 0.10, warmup_windows: 10 },
            sync: Some(Sync { steps_max: 3.0, power: 2.5, is_factor: true, behind_max: 2.0, slash: 0.75 }),
            missing_gather: Some(MissingGather {
                factors: vec![0.75, 0.5, 0.0],
                success_min: 0.4,
                often: Some(Often { misses: 4, of: 8 }),
            }),
            missing_evaluation: Some(0.75),
            inactive: Some(Inactive { factor: 0.75, reset_after: 3 }),
            overlap: Some(Overlap { threshold: 0.40, max: 0.5, mega: 0.6, high_factor: 0.5, from_round: 20 }),
            negative: Some(Negative { share: 0.5, of: 8, factor: 0.25 }),
            exclusion: Some(Exclusion { consecutive: 3 }),
            naughty_windows: 20,
            bad_round: Some(BadRound { rank: 5 }),
            score_min: 1e-4,
            weights: Weights {
                burn: 0.5,
                rule: WeightRule::Tiers(Tiers { gather_share: 0.75, top_ratio: 2.0, reserve_decay: 0.5 }),
            },
            list: List { refresh_windows: 2, margin_windows: 1, peers_min: 1 },
        }
    }

    /// The paper's (arXiv 2505.21684) and the code's of its time: five peers evaluated a window, one factor 0.75 for
    /// whatever fails the fast evaluation, pay by squared scores, nothing against copies. It gathered 15 peers.
    #[must_use]
    pub fn paper() -> Self {
        let fast_evaluation = 0.75;
        Self {
            peers_per_window: 5,
            bins: 1,
            rating: Rating { missing_score: None, ..Self::production().rating },
            indicator: Indicator { alpha: 0.05, threshold: 0.0, warmup_windows: 0 },
            sync: Some(Sync { steps_max: 5.0, power: 2.5, is_factor: false, behind_max: 3.0, slash: fast_evaluation }),
            missing_gather: Some(MissingGather { factors: vec![fast_evaluation], success_min: 0.0, often: None }),
            missing_evaluation: Some(fast_evaluation),
            inactive: Some(Inactive { factor: 0.75, reset_after: 25 }),
            overlap: None,
            negative: None,
            exclusion: None,
            bad_round: None,
            weights: Weights { burn: 0.0, rule: WeightRule::Power { exponent: 2.0 } },
            ..Self::production()
        }
    }
}

impl Default for Gauntlet {
    fn default() -> Self {
        Self::production()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_rules() {
        assert_eq!(Gauntlet::production().problems(), []);
        assert_eq!(Gauntlet::paper().problems(), []);
        assert_eq!(Gauntlet::default(), Gauntlet::production());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let mut spec = Gauntlet::production();
        spec.bins = 0;
        spec.indicator.alpha = f64::NAN;
        spec.overlap = spec.overlap.map(|rule| Overlap { max: 0.3, ..rule });
        spec.missing_gather = spec.missing_gather.map(|rule| MissingGather { factors: vec![0.5, 2.0], ..rule });
        spec.weights.rule = WeightRule::Power { exponent: -1.0 };
        let said: Vec<String> = spec.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "`bins` is at least 1, not 0",
                "`indicator.alpha` is between 0 and 1, not NaN",
                "`missing_gather.factors` is a list of factors between 0 and 1, not 2",
                "`overlap.max` is not less than `overlap.threshold`, not 0.3",
                "`weights.rule.power.exponent` is a positive number, not -1",
            ]
        );
    }

    #[test]
    fn rules_survive_being_written_and_read() {
        for spec in [Gauntlet::production(), Gauntlet::paper()] {
            let text = serde_json::to_string(&spec).expect("rules are plain data");
            assert_eq!(serde_json::from_str::<Gauntlet>(&text).expect("rules were written"), spec);
        }
    }
}
