//! Liars: what they do, how many there are, when.

use crate::adversary::spec::{Adversary, Behaviour, Defect, Disguise, Shared, When};
use crate::protocol::spec::PeerClass;
use crate::quantity::Duration;
use crate::scenario::document::Node;
use crate::scenario::reader::{Fields, Reader, Variant, meant};

/// Most rounds, batches or identities that a behaviour may name.
const COUNT_MAX: u64 = 1_000_000;
/// Most models that are kept for a stale liar.
const STALE_ROUNDS_MAX: u64 = 1_000;

/// Names of the behaviours, in the order of their documentation.
const BEHAVIOURS: &[&str] = &[
    "random_payload",
    "zero_payload",
    "gaussian_noise",
    "sign_flip",
    "norm_inflation",
    "free_rider",
    "copier",
    "little_is_enough",
    "inner_product",
    "flipped_data",
    "backdoor",
    "foreign_data",
    "overfitting",
    "stale_model",
    "few_steps",
    "too_early",
    "too_late",
    "malformed",
    "sybil",
];

/// The list of kinds of liars.
pub fn adversaries(reader: &Reader, node: &Node, peers: Option<&[PeerClass]>) -> Option<Vec<Adversary>> {
    let items = reader.list(node, "`adversaries`")?;
    let read: Vec<Option<Adversary>> =
        items.iter().map(|item| reader.map(item, "an adversary", |fields| adversary(reader, fields, peers))).collect();
    let adversaries: Vec<Adversary> = read.into_iter().collect::<Option<_>>()?;
    let unconfined: f64 = adversaries.iter().filter(|one| one.class.is_none()).map(|one| one.fraction).sum();
    if unconfined > 1.0 + 1e-9 {
        let message = format!("the liars' fractions add up to {unconfined}, more than everybody");
        return reader.report(node.place, message, "lower a `fraction`");
    }
    Some(adversaries)
}

fn adversary(reader: &Reader, fields: &Fields<'_>, peers: Option<&[PeerClass]>) -> Option<Adversary> {
    let behaviour = fields.required("behaviour", |node| behaviour(reader, node));
    let fraction = fields.required("fraction", |node| reader.share(node));
    let class = fields.optional("class", |node| {
        let name = reader.text(node, "the name of a peer class")?;
        let known: Vec<&str> = peers.unwrap_or_default().iter().map(|class| class.name.as_str()).collect();
        if peers.is_some() && !known.contains(&name) {
            let message = format!("there is no peer class `{name}`; expected one of {}", known.join(", "));
            return reader.report(node.place, message, meant(name, &known));
        }
        Some(name.to_owned())
    });
    let when = fields.or("when", When::Always, |node| when(reader, node));
    let colluding = fields.or("colluding", false, |node| reader.truth(node));
    Some(Adversary { behaviour: behaviour?, fraction: fraction?, class: class?, when: when?, colluding: colluding? })
}

fn when(reader: &Reader, node: &Node) -> Option<When> {
    let variant = reader.variant(node, "time to lie", &["always", "between", "alternating", "first", "trusted"])?;
    if variant.name == "always" {
        return Some(When::Always);
    }
    let count = |node: &Node| reader.integer(node, 1, COUNT_MAX).map(|count| count as u32);
    parameters(reader, &variant, |fields| match variant.name {
        "between" => {
            let from = fields.or("from", 0, |node| reader.integer(node, 0, COUNT_MAX).map(|round| round as u32));
            let until = fields.or("until", u32::MAX, count);
            let (from, until) = (from?, until?);
            if until <= from {
                let message = format!("from round {from} until round {until} is no time");
                return reader.report(fields.place_of("until"), message, "`until` is the round after the last one");
            }
            Some(When::Between { from, until })
        }
        "alternating" => {
            let (honest, hostile) = (fields.required("honest", count), fields.required("hostile", count));
            Some(When::Alternating { honest: honest?, hostile: hostile? })
        }
        "first" => Some(When::First { rounds: fields.required("rounds", count)? }),
        _ => Some(When::Trusted { aggregates: fields.required("aggregates", count)? }),
    })
}

fn behaviour(reader: &Reader, node: &Node) -> Option<Behaviour> {
    let variant = reader.variant(node, "behaviour", BEHAVIOURS)?;
    let positive = |node: &Node| reader.positive(node).map(|number| number as f32);
    let count = |node: &Node| reader.integer(node, 1, COUNT_MAX).map(|count| count as u32);
    let share = |node: &Node| reader.share(node);
    parameters(reader, &variant, |fields| {
        Some(match variant.name {
            "random_payload" => Behaviour::RandomPayload,
            "zero_payload" => Behaviour::ZeroPayload,
            "gaussian_noise" => Behaviour::GaussianNoise { ratio: fields.or("ratio", 1.0, positive)? },
            "sign_flip" => Behaviour::SignFlip,
            "norm_inflation" => Behaviour::NormInflation { factor: fields.or("factor", 10.0, positive)? },
            "free_rider" => Behaviour::FreeRider,
            "copier" => Behaviour::Copier {
                disguise: fields.or("disguise", Disguise::Verbatim, |node| disguise(reader, node))?,
            },
            "little_is_enough" => Behaviour::LittleIsEnough { deviations: fields.optional("deviations", positive)? },
            "inner_product" => Behaviour::InnerProduct { epsilon: fields.or("epsilon", 1.0, positive)? },
            "flipped_data" => Behaviour::FlippedData,
            "backdoor" => {
                let token = |node: &Node| reader.integer(node, 0, u64::from(u32::MAX)).map(|token| token as u32);
                let (trigger, target) = (fields.required("trigger", token), fields.required("target", token));
                let share = fields.or("share", 0.5, share);
                Behaviour::Backdoor { trigger: trigger?, target: target?, share: share? }
            }
            "foreign_data" => Behaviour::ForeignData,
            "overfitting" => Behaviour::Overfitting { batches: fields.or("batches", 1, count)? },
            "stale_model" => {
                let rounds = |node: &Node| reader.integer(node, 1, STALE_ROUNDS_MAX).map(|rounds| rounds as u32);
                Behaviour::StaleModel { rounds: fields.or("rounds", 3, rounds)? }
            }
            "few_steps" => Behaviour::FewSteps { share: fields.or("share", 0.1, share)? },
            "too_early" => Behaviour::TooEarly,
            "too_late" => {
                Behaviour::TooLate { delay: fields.or("delay", Duration::from_secs(120), |node| reader.span(node))? }
            }
            "malformed" => Behaviour::Malformed { defect: fields.required("defect", |node| defect(reader, node))? },
            _ => {
                let identities = fields.or("identities", 4, count);
                let share = fields.or("share", Shared::Time, |node| {
                    let variant = reader.variant(node, "what a sybil's identities share", &["time", "payload"])?;
                    Some(if variant.name == "payload" { Shared::Payload } else { Shared::Time })
                });
                Behaviour::Sybil { identities: identities?, share: share? }
            }
        })
    })
}

fn disguise(reader: &Reader, node: &Node) -> Option<Disguise> {
    let variant = reader.variant(node, "disguise of a copy", &["verbatim", "permuted", "mixed"])?;
    parameters(reader, &variant, |fields| match variant.name {
        "verbatim" => Some(Disguise::Verbatim),
        "permuted" => Some(Disguise::Permuted),
        _ => Some(Disguise::Mixed { share: fields.or("share", 0.65, |node| reader.share(node))? }),
    })
}

fn defect(reader: &Reader, node: &Node) -> Option<Defect> {
    let known = ["not_a_number", "index_beyond_chunk", "duplicate_indices", "lookup", "truncated"];
    let variant = reader.variant(node, "defect", &known)?;
    parameters(reader, &variant, |fields| {
        Some(match variant.name {
            "not_a_number" => Defect::NotANumber,
            "index_beyond_chunk" => Defect::IndexBeyondChunk,
            "duplicate_indices" => Defect::DuplicateIndices,
            "truncated" => Defect::Truncated,
            _ => {
                let magnitude = fields.or("magnitude", 1e6, |node| reader.positive(node));
                Defect::Lookup { magnitude: magnitude? as f32 }
            }
        })
    })
}

/// What stands under a variant; a bare word has the defaults.
fn parameters<T>(reader: &Reader, variant: &Variant<'_>, read: impl FnOnce(&Fields<'_>) -> Option<T>) -> Option<T> {
    let empty = Node::empty_map(variant.place);
    reader.map(variant.content.unwrap_or(&empty), &format!("`{}`", variant.name), read)
}
