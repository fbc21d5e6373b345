//! A tree to a [`Scenario`]: types, units, meaning; every mistake is collected.

mod adversary;
mod aggregation;
mod algorithm;
mod population;
mod training;
mod validator;

use super::document::Node;
use super::reader::{Fields, Reader, meant};
use super::{Evaluation, Scenario, Training};
use crate::adversary::spec::{Adversary, Behaviour};
use crate::algorithm::spec::Compression;
use crate::cost::deployment::{self, Deployment, Shape};
use crate::protocol::spec::Checks;
use crate::protocol::spec::{Exchange, LastModified, NetworkSpec, Protocol, RoundRule};
use crate::quantity::{Bandwidth, Seed};
use crate::training::spec::{InnerOptimizer, Model};

/// Most rounds of a scenario.
const ROUNDS_MAX: u64 = 10_000_000;
/// Share of the devices' peak that training reaches where nothing is said: the one that Covenant-72B's report implies.
const FLOPS_UTILISATION: f64 = 0.24;

/// Resolves a tree; `None` if a mistake was reported to `reader`.
pub fn scenario(reader: &Reader, root: &Node) -> Option<Scenario> {
    reader.map(root, "a scenario", |fields| {
        let name = fields.required("name", |node| name(reader, node));
        let seed = fields.or("seed", Seed(1), |node| reader.integer(node, 0, u64::MAX).map(Seed));
        let rounds = fields.required("rounds", |node| reader.integer(node, 1, ROUNDS_MAX));
        let training = fields.or("training", Training::Model, |node| {
            let variant = reader.variant(node, "training", &["model", "none"])?;
            Some(if variant.name == "none" { Training::None } else { Training::Model })
        });
        let model = fields.required("model", |node| training::model(reader, node));
        let batch = fields.required("batch", |node| reader.integer(node, 1, 1 << 20));
        let initial_model =
            fields.optional("initial_model", |node| training::initial_model(reader, node, model.as_ref()));
        let data = data(reader, fields, model.as_ref(), training.as_ref());
        let evaluation = fields.or("evaluation", Evaluation { every: 1, sequences: 64 }, |node| {
            reader.map(node, "evaluation", |fields| {
                let every = fields.or("every", 1, |node| reader.integer(node, 1, ROUNDS_MAX));
                let sequences = fields.or("sequences", 64, |node| reader.integer(node, 1, 1 << 20));
                Some(Evaluation { every: every? as u32, sequences: sequences? as u32 })
            })
        });
        let deployment = deployment(reader, fields, model.as_ref(), batch);
        let protocol = fields.required("protocol", |node| protocol(reader, node, rounds.unwrap_or(1)));
        let peers = fields.required("peers", |node| population::peers(reader, node));
        let network = fields.or("network", NetworkSpec::default(), |node| network(reader, node));
        let adversaries =
            fields.or("adversaries", Vec::new(), |node| adversary::adversaries(reader, node, peers.as_deref()));
        if let Some(adversaries) = &adversaries {
            check_adversaries(reader, fields, adversaries, model.as_ref(), protocol.as_ref());
        }
        let validator = fields.or("validator", None, |node| validator::validator(reader, node, protocol.as_ref()));
        Some(Scenario {
            name: name?,
            seed: seed?,
            rounds: rounds? as u32,
            training: training?,
            model: model?,
            initial_model: initial_model?,
            data: data?,
            batch: batch? as u32,
            evaluation: evaluation?,
            deployment: deployment?,
            protocol: protocol?,
            peers: peers?,
            network: network?,
            adversaries: adversaries?,
            validator: validator?,
        })
    })
}

/// Liars that the model or the round rule has no place for.
fn check_adversaries(
    reader: &Reader,
    fields: &Fields<'_>,
    adversaries: &[Adversary],
    model: Option<&Model>,
    protocol: Option<&Protocol>,
) {
    let place = fields.place_of("adversaries");
    for behaviour in adversaries.iter().map(|adversary| adversary.behaviour) {
        let name = behaviour.name();
        if behaviour.needs_window() && protocol.is_some_and(|it| matches!(it.round, RoundRule::Barrier(_))) {
            let message = format!("`{name}` plays with the boundary of a window, and this round has none");
            reader.report::<()>(place, message, "use `round: {window: …}`");
        }
        if let (Behaviour::Backdoor { trigger, target, .. }, Some(model)) = (behaviour, model) {
            let vocabulary = match model {
                Model::Llama(llama) => llama.vocabulary as u64,
                Model::Quadratic(_) => 0,
            };
            if u64::from(trigger.max(target)) >= vocabulary {
                let message =
                    format!("the backdoor's tokens {trigger} and {target} are not below {vocabulary}, the vocabulary");
                reader.report::<()>(place, message, "a quadratic has no tokens");
            }
        }
    }
}

fn name(reader: &Reader, node: &Node) -> Option<String> {
    let expected = "a name of lower-case letters, digits, `-`, `_` and `.`";
    let text = reader.text(node, expected)?;
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if text.starts_with('.') || !text.chars().all(is_good) {
        return reader.report(node.place, format!("expected {expected}, found `{text}`"), "it names the run directory");
    }
    Some(text.to_owned())
}

fn data(
    reader: &Reader,
    fields: &Fields<'_>,
    model: Option<&Model>,
    training: Option<&Training>,
) -> Option<Option<crate::training::spec::Data>> {
    let data = fields.optional("data", |node| training::data(reader, node, model))?;
    let needs_data = matches!(model, Some(Model::Llama(_))) && training == Some(&Training::Model);
    if data.is_none() && needs_data {
        return reader.report(fields.place(), "`data` is missing", "a llama trains on `text` or `markov` data");
    }
    Some(data)
}

fn deployment(reader: &Reader, fields: &Fields<'_>, model: Option<&Model>, batch: Option<u64>) -> Option<Deployment> {
    let given = fields.optional("deployment", |node| {
        reader.map(node, "deployment", |fields| {
            let shape = fields.optional("model", |node| shape(reader, node));
            let parameters = fields.optional("parameters", |node| reader.integer(node, 1, 1 << 50));
            let batch = fields.required("batch", |node| reader.integer(node, 1, 1 << 30));
            let context = fields.required("context", |node| reader.integer(node, 1, 1 << 30));
            let utilisation = fields.or("flops_utilisation", FLOPS_UTILISATION, |node| {
                reader.number(node, "a number above 0 and at most 1", |number| number > 0.0 && number <= 1.0)
            });
            let shape = match (shape?, parameters?) {
                (Some(shape), None) => shape,
                (None, Some(parameters)) => Shape::Parameters(parameters),
                _ => {
                    let hint = "`model` for tensor shapes, `parameters` for a bare count";
                    return reader.report(fields.place(), "give either `model` or `parameters`", hint);
                }
            };
            Some(Deployment { shape, batch: batch?, context: context?, flops_utilisation: utilisation? })
        })
    })?;
    if given.is_some() {
        return given;
    }
    let (shape, context) = match model? {
        Model::Llama(llama) => (Shape::Llama(llama.clone()), llama.context as u64),
        Model::Quadratic(quadratic) => (Shape::Parameters(quadratic.dimension as u64), 1),
    };
    Some(Deployment { shape, batch: batch?, context, flops_utilisation: FLOPS_UTILISATION })
}

fn shape(reader: &Reader, node: &Node) -> Option<Shape> {
    if matches!(node.value, super::document::Value::Map(_)) {
        let variant = reader.variant(node, "deployment model", &["llama"])?;
        return training::llama(reader, variant.content?).map(Shape::Llama);
    }
    let name = reader.text(node, "the name of a model, or `llama: {…}`")?;
    deployment::named(name).or_else(|| {
        let known: Vec<&str> = deployment::names().collect();
        let message = format!("`{name}` is no deployment model; expected one of {}", known.join(", "));
        reader.report(node.place, message, meant(name, &known))
    })
}

fn protocol(reader: &Reader, node: &Node, rounds: u64) -> Option<Protocol> {
    reader.map(node, "protocol", |fields| {
        let inner_steps = fields.required("inner_steps", |node| reader.integer(node, 1, 1_000_000));
        let steps = rounds * inner_steps.unwrap_or(1);
        let inner_optimizer = fields.required("inner_optimizer", |node| training::inner_optimizer(reader, node, steps));
        let compression = fields.required("compression", |node| algorithm::compression(reader, node));
        let checks = fields.or("checks", Checks::Production, |node| {
            let variant = reader.variant(node, "strictness of checks", &["production", "strict"])?;
            Some(if variant.name == "strict" { Checks::Strict } else { Checks::Production })
        });
        let exchange = fields.or("exchange", Exchange::ObjectStore, |node| {
            let variant = reader.variant(node, "exchange", &["object_store", "ring", "all_to_all"])?;
            Some(match variant.name {
                "ring" => Exchange::Ring,
                "all_to_all" => Exchange::AllToAll,
                _ => Exchange::ObjectStore,
            })
        });
        let aggregation = fields.required("aggregation", |node| aggregation::aggregation(reader, node));
        let outer_optimizer =
            fields.required("outer_optimizer", |node| algorithm::outer_optimizer(reader, node, rounds));
        let round = fields.required("round", |node| population::round(reader, node));
        if let (Some(RoundRule::Window(window)), Some(aggregation)) = (&round, &aggregation) {
            aggregation::check_tolerance(reader, fields.place_of("aggregation"), aggregation, window.gather);
        }
        if exchange == Some(Exchange::Ring) && matches!(compression, Some(Compression::TopK(_))) {
            let hint = "a ring adds dense payloads; use `object_store` or `all_to_all`";
            reader.report::<()>(fields.place_of("exchange"), "top-k payloads cannot go around a ring", hint);
        }
        if exchange.is_some_and(|exchange| exchange != Exchange::ObjectStore)
            && matches!(round, Some(RoundRule::Window(_)))
        {
            let message = "windows exchange over the object store";
            reader.report::<()>(fields.place_of("exchange"), message, "use `round: {barrier: …}`");
        }
        if matches!(inner_optimizer, Some(InnerOptimizer::Gradient)) && inner_steps.is_some_and(|steps| steps > 1) {
            let message =
                "with `inner_optimizer: gradient` nobody steps: `inner_steps` is the number of batches a round";
            let hint = "set `inner_steps: 1`, and a larger `batch` for more";
            reader.report::<()>(fields.place_of("inner_steps"), message, hint);
        }
        Some(Protocol {
            inner_steps: inner_steps? as u32,
            inner_optimizer: inner_optimizer?,
            compression: compression?,
            checks: checks?,
            exchange: exchange?,
            aggregation: aggregation?,
            outer_optimizer: outer_optimizer?,
            round: round?,
        })
    })
}

fn network(reader: &Reader, node: &Node) -> Option<NetworkSpec> {
    reader.map(node, "network", |fields| {
        let store_ingress = fields.optional("store_ingress", |node| reader.quantity::<Bandwidth>(node));
        let store_egress = fields.optional("store_egress", |node| reader.quantity::<Bandwidth>(node));
        let put_timeout = fields.optional("put_timeout", |node| reader.span(node));
        let get_timeout = fields.optional("get_timeout", |node| reader.span(node));
        let last_modified = fields.or("last_modified", LastModified::UploadEnd, |node| {
            let variant = reader.variant(node, "date of an upload", &["upload_end", "upload_start"])?;
            Some(if variant.name == "upload_start" { LastModified::UploadStart } else { LastModified::UploadEnd })
        });
        Some(NetworkSpec {
            store_ingress: store_ingress?,
            store_egress: store_egress?,
            put_timeout: put_timeout?,
            get_timeout: get_timeout?,
            last_modified: last_modified?,
        })
    })
}
