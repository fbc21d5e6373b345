//! Validators: a preset of rules, and whatever departs from it.

use super::population;
use crate::cost::{Device, device};
use crate::protocol::spec::{Compute, Protocol, RoundRule, Seat, Validation};
use crate::quantity::Bandwidth;
use crate::scenario::document::{Node, Value};
use crate::scenario::reader::{Fields, Reader};
use crate::validator::spec::{
    BadRound, Exclusion, Gauntlet, Inactive, Indicator, List, MissingGather, Negative, Often, Overlap, Rating, Sync,
    Tiers, WeightRule, Weights,
};

/// Most windows, rounds or peers of a rule.
const COUNT_MAX: u64 = 1_000_000;
/// Most sequences of an evaluation.
const SEQUENCES_MAX: u64 = 1 << 16;

/// `none` or `gauntlet: {…}`.
pub fn validator(reader: &Reader, node: &Node, protocol: Option<&Protocol>) -> Option<Option<Validation>> {
    let variant = reader.variant(node, "validator", &["none", "gauntlet"])?;
    if variant.name == "none" {
        return Some(None);
    }
    if protocol.is_some_and(|protocol| matches!(protocol.round, RoundRule::Barrier(_))) {
        return reader.report(variant.place, "a validator works in windows", "use `round: {window: …}`");
    }
    let empty = Node::empty_map(variant.place);
    reader.map(variant.content.unwrap_or(&empty), "`gauntlet`", |fields| {
        let rules = rules(reader, fields);
        let device = fields.optional("device", |node| population::device(reader, node));
        let evaluation_time = fields.optional("evaluation_time", |node| reader.span(node));
        let downlink =
            fields.or("downlink", Bandwidth::from_bits_per_second(10e9), |node| reader.quantity::<Bandwidth>(node));
        let seats = fields.or("seats", vec![Seat { stake: 1.0, outages: Vec::new() }], |node| seats(reader, node));
        let failover = fields.or("failover", false, |node| reader.truth(node));
        let compute = match (device?, evaluation_time?) {
            (Some(_), Some(_)) => {
                return reader.report(
                    fields.place_of("evaluation_time"),
                    "give either `device` or `evaluation_time`",
                    "",
                );
            }
            (Some(device), None) => Compute::Device(device),
            (None, Some(time)) => Compute::StepTime(time),
            // The public code's validators have four of them.
            (None, None) => {
                let model = device::find("h200").expect("because it is in the table");
                Compute::Device(Device { name: model.name.to_owned(), count: 4, tflops: model.tflops })
            }
        };
        let validation = Validation { rules: rules?, seats: seats?, failover: failover?, compute, downlink: downlink? };
        for problem in validation.rules.problems() {
            let field = problem.field.split('.').next().unwrap_or(problem.field);
            reader.report::<()>(fields.place_of(field), problem.to_string(), "");
        }
        Some(Some(validation))
    })
}

fn seats(reader: &Reader, node: &Node) -> Option<Vec<Seat>> {
    let items = reader.list(node, "`seats`")?;
    if items.is_empty() {
        return reader.report(node.place, "somebody has to judge", "leave `seats` out, or set `validator: none`");
    }
    let round = |node: &Node| reader.integer(node, 0, COUNT_MAX).map(|round| round as u32);
    let outages = |node: &Node| {
        let items = reader.list(node, "`outages`")?;
        let read = items.iter().map(|item| {
            let [from, until] = reader.list(item, "an outage")? else {
                return reader.report(item.place, "an outage has two rounds", "write `[10, 20]`");
            };
            let (from, until) = (round(from)?, round(until)?);
            if until <= from {
                return reader.report(item.place, format!("from round {from} until round {until} is no time"), "");
            }
            Some([from, until])
        });
        read.collect()
    };
    let read: Vec<Option<Seat>> = items
        .iter()
        .map(|item| {
            reader.map(item, "a validator's seat", |fields| {
                let stake = fields.or("stake", 1.0, |node| reader.positive(node));
                let outages = fields.or("outages", Vec::new(), outages);
                Some(Seat { stake: stake?, outages: outages? })
            })
        })
        .collect();
    read.into_iter().collect()
}

/// A field that is a number, with the preset's value as default.
struct Numbers<'r, 'f, 'a> {
    reader: &'r Reader,
    fields: &'f Fields<'a>,
}

impl Numbers<'_, '_, '_> {
    fn number(&self, name: &'static str, preset: f64) -> Option<f64> {
        self.fields.or(name, preset, |node| self.reader.number(node, "a number", |_| true))
    }

    fn share(&self, name: &'static str, preset: f64) -> Option<f64> {
        self.fields.or(name, preset, |node| self.reader.share(node))
    }

    fn count(&self, name: &'static str, preset: u32) -> Option<u32> {
        self.fields.or(name, preset, |node| self.reader.integer(node, 0, COUNT_MAX).map(|count| count as u32))
    }

    /// A rule that can be switched off: `none`, or a map that departs from the preset, or from production's where the
    /// preset has none.
    fn rule<T: Clone>(
        &self,
        name: &'static str,
        preset: Option<&T>,
        production: Option<&T>,
        read: impl FnOnce(&Numbers<'_, '_, '_>, T) -> Option<T>,
    ) -> Option<Option<T>> {
        self.fields.or(name, preset.cloned(), |node| {
            if matches!(&node.value, Value::Scalar(text) if text == "none") {
                return Some(None);
            }
            let base = preset.or(production).expect("because production has every rule").clone();
            self.map(node, name, |numbers| read(numbers, base)).map(Some)
        })
    }

    fn map<T>(&self, node: &Node, name: &str, read: impl FnOnce(&Numbers<'_, '_, '_>) -> Option<T>) -> Option<T> {
        let reader = self.reader;
        reader.map(node, &format!("`{name}`"), |fields| read(&Numbers { reader, fields }))
    }
}

fn rules(reader: &Reader, fields: &Fields<'_>) -> Option<Gauntlet> {
    let production = Gauntlet::production();
    let preset = fields.or("rules", Gauntlet::production(), |node| {
        let variant = reader.variant(node, "preset of rules", &["production", "paper"])?;
        Some(if variant.name == "paper" { Gauntlet::paper() } else { Gauntlet::production() })
    });
    // Fields are asked for even where the preset is wrong, so that no other mistake hides behind it.
    let base = preset.clone().unwrap_or_default();
    let numbers = Numbers { reader, fields };
    let peers_per_window = numbers.count("peers_per_window", base.peers_per_window);
    let bins = numbers.count("bins", base.bins);
    let sequences =
        fields.or("sequences", base.sequences, |node| reader.integer(node, 1, SEQUENCES_MAX).map(|count| count as u32));
    let own_trained_share = numbers.share("own_trained_share", base.own_trained_share);
    let trial_factor = numbers.number("trial_factor", f64::from(base.trial_factor));
    let rating = fields.or("rating", base.rating, |node| numbers.map(node, "rating", |it| rating(it, base.rating)));
    let indicator = fields.or("indicator", base.indicator, |node| {
        numbers.map(node, "indicator", |it| {
            let alpha = it.share("alpha", base.indicator.alpha);
            let threshold = it.share("threshold", base.indicator.threshold);
            let warmup_windows = it.count("warmup_windows", base.indicator.warmup_windows);
            Some(Indicator { alpha: alpha?, threshold: threshold?, warmup_windows: warmup_windows? })
        })
    });
    let sync = numbers.rule("sync", base.sync.as_ref(), production.sync.as_ref(), |it, base| {
        let (steps_max, power) = (it.number("steps_max", base.steps_max), it.number("power", base.power));
        let (behind_max, slash) = (it.number("behind_max", base.behind_max), it.share("slash", base.slash));
        let is_factor = it.fields.or("is_factor", base.is_factor, |node| it.reader.truth(node));
        Some(Sync {
            steps_max: steps_max?,
            power: power?,
            is_factor: is_factor?,
            behind_max: behind_max?,
            slash: slash?,
        })
    });
    let missing_gather = numbers.rule(
        "missing_gather",
        base.missing_gather.as_ref(),
        production.missing_gather.as_ref(),
        missing_gather,
    );
    let missing_evaluation = fields.or("missing_evaluation", base.missing_evaluation, |node| match &node.value {
        Value::Scalar(text) if text == "none" => Some(None),
        _ => reader.share(node).map(Some),
    });
    let inactive = numbers.rule("inactive", base.inactive.as_ref(), production.inactive.as_ref(), |it, base| {
        let (factor, reset_after) = (it.share("factor", base.factor), it.count("reset_after", base.reset_after));
        Some(Inactive { factor: factor?, reset_after: reset_after? })
    });
    let overlap = numbers.rule("overlap", base.overlap.as_ref(), production.overlap.as_ref(), |it, base| {
        let (threshold, max) = (it.number("threshold", base.threshold), it.number("max", base.max));
        let (mega, high_factor) = (it.number("mega", base.mega), it.share("high_factor", base.high_factor));
        let from_round = it.count("from_round", base.from_round);
        Some(Overlap {
            threshold: threshold?,
            max: max?,
            mega: mega?,
            high_factor: high_factor?,
            from_round: from_round?,
        })
    });
    let negative = numbers.rule("negative", base.negative.as_ref(), production.negative.as_ref(), |it, base| {
        let (share, of) = (it.share("share", base.share), it.count("of", base.of));
        Some(Negative { share: share?, of: of?, factor: it.share("factor", base.factor)? })
    });
    let exclusion = numbers.rule("exclusion", base.exclusion.as_ref(), production.exclusion.as_ref(), |it, base| {
        Some(Exclusion { consecutive: it.count("consecutive", base.consecutive)? })
    });
    let bad_round = numbers.rule("bad_round", base.bad_round.as_ref(), production.bad_round.as_ref(), |it, base| {
        Some(BadRound { rank: it.count("rank", base.rank)? })
    });
    let naughty_windows = numbers.count("naughty_windows", base.naughty_windows);
    let weights =
        fields.or("weights", base.weights, |node| numbers.map(node, "weights", |it| weights(it, base.weights)));
    let list = fields.or("list", base.list, |node| {
        numbers.map(node, "list", |it| {
            let refresh_windows = it.count("refresh_windows", base.list.refresh_windows);
            let margin_windows = it.count("margin_windows", base.list.margin_windows);
            let peers_min = it.count("peers_min", base.list.peers_min);
            Some(List { refresh_windows: refresh_windows?, margin_windows: margin_windows?, peers_min: peers_min? })
        })
    });
    Some(Gauntlet {
        peers_per_window: peers_per_window?,
        bins: bins?,
        sequences: sequences?,
        own_trained_share: own_trained_share?,
        trial_factor: trial_factor? as f32,
        rating: rating?,
        indicator: indicator?,
        sync: sync?,
        missing_gather: missing_gather?,
        missing_evaluation: missing_evaluation?,
        inactive: inactive?,
        overlap: overlap?,
        negative: negative?,
        exclusion: exclusion?,
        naughty_windows: naughty_windows?,
        bad_round: bad_round?,
        weights: weights?,
        list: list?,
        ..preset?
    })
}

fn rating(it: &Numbers<'_, '_, '_>, base: Rating) -> Option<Rating> {
    let (beta, tau) = (it.number("beta", base.beta), it.number("tau", base.tau));
    let missing_score = it.fields.or("missing_score", base.missing_score, |node| match &node.value {
        Value::Scalar(text) if text == "none" => Some(None),
        _ => it.reader.number(node, "a number or `none`", |_| true).map(Some),
    });
    Some(Rating { beta: beta?, tau: tau?, missing_score: missing_score?, ..base })
}

fn missing_gather(it: &Numbers<'_, '_, '_>, base: MissingGather) -> Option<MissingGather> {
    let factors = it.fields.or("factors", base.factors, |node| {
        let items = it.reader.list(node, "`factors`")?;
        if items.is_empty() {
            return it.reader.report(node.place, "there is at least one factor", "");
        }
        items.iter().map(|item| it.reader.share(item)).collect()
    });
    let success_min = it.share("success_min", base.success_min);
    let production = Often { misses: 4, of: 8 };
    let often = it.rule("often", base.often.as_ref(), Some(&production), |it, base| {
        let (misses, of) = (it.count("misses", base.misses), it.count("of", base.of));
        Some(Often { misses: misses?, of: of? })
    });
    Some(MissingGather { factors: factors?, success_min: success_min?, often: often? })
}

fn weights(it: &Numbers<'_, '_, '_>, base: Weights) -> Option<Weights> {
    let burn = it.share("burn", base.burn);
    let rule = it.fields.or("rule", base.rule, |node| {
        let variant = it.reader.variant(node, "rule of weights", &["tiers", "power"])?;
        let empty = Node::empty_map(variant.place);
        let content = variant.content.unwrap_or(&empty);
        it.map(content, variant.name, |it| {
            if variant.name == "power" {
                return Some(WeightRule::Power { exponent: it.number("exponent", 2.0)? });
            }
            let gather_share = it.share("gather_share", 0.75);
            let top_ratio = it.number("top_ratio", 2.0);
            let reserve_decay = it.share("reserve_decay", 0.5);
            Some(WeightRule::Tiers(Tiers {
                gather_share: gather_share?,
                top_ratio: top_ratio?,
                reserve_decay: reserve_decay?,
            }))
        })
    });
    Some(Weights { burn: burn?, rule: rule? })
}
