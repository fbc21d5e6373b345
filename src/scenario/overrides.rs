//! `--set PATH=VALUE`: changes to the tree before it is resolved.
//!
//! A path is keys and list positions joined by dots; the value is YAML. Where the path leads through an enum whose
//! present variant is another (`protocol.compression.top_k.k` while `compression` is `int8`), the variant is replaced.

use super::document::{self, Key, Node, Value};
use super::problem::{Place, Problem};

/// The fields that hold an enum: a map under them has one key, the variant.
const ENUMS: &[&str] = &[
    "model",
    "data",
    "compression",
    "round",
    "inner_optimizer",
    "outer_optimizer",
    "schedule",
    "wait",
    "rule",
    "mixing",
];

/// Applies one override, the `source`-th text.
///
/// # Errors
/// It is no assignment, its value is no YAML, or its path leads through a value.
pub fn apply(root: &mut Node, text: &str, source: usize) -> Result<(), Problem> {
    let whole = Place { source, start: 0, end: text.len() };
    let Some((path, value)) = text.split_once('=') else {
        return Err(Problem::new(whole, "expected `PATH=VALUE`", "for instance `protocol.inner_steps=15`"));
    };
    let offset = path.len() + 1;
    let mut value = document::parse(value, source).map_err(|problem| shifted(problem, offset))?;
    shift(&mut value, offset);
    assign(root, path, Place { source, start: 0, end: path.len() }, value)
}

/// Puts `value` at `path`, which stands at `place`.
///
/// # Errors
/// The path leads through a value, or past the end of a list.
pub fn assign(root: &mut Node, path: &str, place: Place, value: Node) -> Result<(), Problem> {
    let mut node = root;
    let mut start = place.start;
    let mut parent = "";
    for step in path.split('.') {
        let place = Place { start, end: start + step.len(), ..place };
        start = place.end + 1;
        node = descend(node, parent, step, place)?;
        parent = step;
    }
    *node = value;
    Ok(())
}

fn descend<'a>(node: &'a mut Node, parent: &str, step: &str, place: Place) -> Result<&'a mut Node, Problem> {
    if ENUMS.contains(&parent) {
        let is_other = match &node.value {
            Value::Map(entries) => entries.iter().all(|(key, _)| key.name != step),
            Value::Scalar(_) => true,
            Value::List(_) => false,
        };
        if is_other {
            *node = Node::empty_map(place);
        }
    }
    match &mut node.value {
        Value::Map(entries) => {
            if let Some(index) = entries.iter().position(|(key, _)| key.name == step) {
                return Ok(&mut entries[index].1);
            }
            entries.push((Key { name: step.to_owned(), place }, Node::empty_map(place)));
            Ok(&mut entries.last_mut().expect("because it was just pushed").1)
        }
        Value::List(items) => {
            let count = items.len();
            step.parse::<usize>().ok().and_then(|index| items.get_mut(index)).ok_or_else(|| {
                Problem::new(place, format!("`{step}` is no place in a list of {count}"), "places count from 0")
            })
        }
        Value::Scalar(_) => Err(Problem::new(place, format!("there is nothing under which `{step}` could stand"), "")),
    }
}

fn shifted(mut problem: Problem, offset: usize) -> Problem {
    problem.place.start += offset;
    problem.place.end += offset;
    problem
}

fn shift(node: &mut Node, offset: usize) {
    node.place.start += offset;
    node.place.end += offset;
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| shift(item, offset)),
        Value::Map(entries) => {
            for (key, node) in entries {
                key.place.start += offset;
                key.place.end += offset;
                shift(node, offset);
            }
        }
    }
}
