//! What tells methods apart: the values in which their scenarios differ.

use serde_json::Value;

use crate::quantity::Seed;
use crate::scenario::Scenario;

/// Values named by a method's label; more than that say less.
const VALUES_MAX: usize = 4;

/// A label for each scenario: its name where the names differ, else the values in which it differs from the others.
pub(super) fn labels(scenarios: &[&Scenario]) -> Vec<String> {
    let mut names: Vec<_> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() == scenarios.len() {
        return scenarios.iter().map(|scenario| scenario.name.clone()).collect();
    }
    let trees: Vec<Value> = scenarios
        .iter()
        .map(|scenario| {
            let nameless = Scenario { seed: Seed(0), name: String::new(), ..(*scenario).clone() };
            serde_json::to_value(nameless).expect("because a scenario is plain data with string keys")
        })
        .collect();
    let mut differences = Vec::new();
    collect_differences(&trees.iter().collect::<Vec<_>>(), "", &mut differences);
    let label = |at: usize| {
        let values = differences.iter().take(VALUES_MAX).map(|(key, values)| format!("{key} = {}", values[at]));
        let values = values.collect::<Vec<_>>().join(", ");
        if names.len() == 1 { values } else { format!("{}: {values}", scenarios[at].name) }
    };
    (0..scenarios.len()).map(label).collect()
}

/// A key, and each scenario's value for it.
type Difference = (String, Vec<String>);

/// Descends as long as all trees have the same branches.
fn collect_differences(trees: &[&Value], key: &str, differences: &mut Vec<Difference>) {
    if trees.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let branches: Option<Vec<_>> = trees.iter().map(|tree| tree.as_object()).collect();
    match branches {
        Some(branches) if branches.iter().all(|branch| branch.keys().eq(branches[0].keys())) => {
            for name in branches[0].keys() {
                let below: Vec<_> = branches.iter().map(|branch| &branch[name]).collect();
                collect_differences(&below, name, differences);
            }
        }
        _ => differences.push((short_key(key).to_owned(), trees.iter().map(|tree| short_value(tree)).collect())),
    }
}

/// The field's letter where it has one.
pub(super) fn short_key(key: &str) -> &str {
    match key {
        "inner_steps" => "H",
        "batch" => "B",
        "learning_rate" => "lr",
        key => key,
    }
}

/// A scalar as it is, an alternative by its name, anything else by its size.
fn short_value(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(branches) if branches.len() == 1 => branches.keys().next().cloned().unwrap_or_default(),
        Value::Array(items) => format!("{} items", items.len()),
        Value::Object(branches) => format!("{} values", branches.len()),
        other => other.to_string(),
    }
}
