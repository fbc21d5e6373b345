//! The sweep's file: a tree to axes, seeds and what to do with them; every mistake is collected.

use std::path::{Path, PathBuf};

use super::sample::{self, Spread};
use super::{Assignment, Axis, AxisValue, Cell, Combination, DRAWS, Draft, Halving, Unit};
use crate::quantity::{Bandwidth, Bytes, Duration, Seed};
use crate::scenario::document::{self, Node, Value};
use crate::scenario::problem::Place;
use crate::scenario::reader::{Fields, Reader, meant};

/// Most seeds of a sweep.
const SEEDS_MAX: u64 = 100_000;
/// Most values that an axis draws.
const SAMPLES_MAX: u64 = 10_000;

/// A sweep's file as it is written.
pub(super) struct File {
    pub(super) name: String,
    pub(super) scenario: PathBuf,
    pub(super) scenario_place: Place,
    pub(super) set: Vec<Assignment>,
    pub(super) axes: Vec<Draft>,
    pub(super) combination: Combination,
    pub(super) seeds: Option<Vec<Seed>>,
    /// Axis and label, each with its place.
    pub(super) baseline: Vec<[(String, Place); 2]>,
    pub(super) target_loss: Option<f64>,
    pub(super) halving: Option<Halving>,
    pub(super) draws: Seed,
}

/// Whether this is a sweep rather than a scenario: it names one.
pub(super) fn is_sweep(root: &Node) -> bool {
    matches!(&root.value, Value::Map(entries) if entries.iter().any(|(key, _)| key.name == "scenario"))
}

/// Reads the file at `path`.
pub(super) fn read(reader: &Reader, root: &Node, path: &Path) -> Option<File> {
    reader.map(root, "a sweep", |fields| {
        let scenario = fields.required("scenario", |node| {
            Some((PathBuf::from(reader.text(node, "the path of a scenario")?), node.place))
        });
        let stem = path.file_stem().map_or_else(|| "sweep".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let name = fields.or("name", stem, |node| reader.text(node, "a name").map(str::to_owned));
        let set = fields.or("set", Vec::new(), |node| changes(reader, node));
        let draws = fields.or("sampling_seed", DRAWS, |node| reader.integer(node, 0, u64::MAX).map(Seed));
        let axes = fields.or("axes", Vec::new(), |node| axes(reader, node, draws.unwrap_or(DRAWS)));
        let combination = fields.or("cells", Combination::Grid, |node| combination(reader, node));
        let seeds = fields.optional("seeds", |node| seeds(reader, node));
        let baseline = fields.or("baseline", Vec::new(), |node| baseline(reader, node));
        let target_loss = fields.optional("target_loss", |node| reader.positive(node));
        let halving = fields.optional("halving", |node| halving(reader, node));
        let (scenario, scenario_place) = scenario?;
        Some(File {
            name: name?,
            scenario,
            scenario_place,
            set: set?,
            axes: axes?,
            combination: combination?,
            seeds: seeds?,
            baseline: baseline?,
            target_loss: target_loss?,
            halving: halving?,
            draws: draws?,
        })
    })
}

/// A map of paths to values.
fn changes(reader: &Reader, node: &Node) -> Option<Vec<Assignment>> {
    let Value::Map(entries) = &node.value else {
        let found = node.value.kind();
        return reader.report(node.place, format!("`set` is a map, not {found}"), "write `set: {rounds: 10}`");
    };
    let assignment = |(key, value): &(document::Key, Node)| Assignment {
        path: key.name.clone(),
        place: key.place,
        value: value.clone(),
    };
    Some(entries.iter().map(assignment).collect())
}

fn axes(reader: &Reader, node: &Node, draws: Seed) -> Option<Vec<Draft>> {
    let items = reader.list(node, "`axes`")?;
    let drafts: Vec<_> = items.iter().zip(0..).map(|(item, index)| axis(reader, item, index, draws)).collect();
    let drafts = drafts.into_iter().collect::<Option<Vec<_>>>()?;
    for (index, draft) in drafts.iter().enumerate() {
        if drafts[..index].iter().any(|before| before.axis.name == draft.axis.name) {
            let message = format!("there are two axes `{}`", draft.axis.name);
            return reader.report(draft.place, message, "give one of them another `name`");
        }
    }
    Some(drafts)
}

fn axis(reader: &Reader, node: &Node, index: u64, draws: Seed) -> Option<Draft> {
    reader.map(node, "an axis", |fields| {
        let name = fields.optional("name", |node| reader.text(node, "a name").map(str::to_owned))?;
        let path = fields
            .optional("path", |node| Some((reader.text(node, "a path into the scenario")?.to_owned(), node.place)))?;
        let values = fields.optional("values", |node| reader.list(node, "`values`").map(<[Node]>::to_vec))?;
        let uniform = fields.optional("uniform", |node| sampled(reader, node, index, Spread::Uniform, draws))?;
        let log_uniform =
            fields.optional("log_uniform", |node| sampled(reader, node, index, Spread::LogUniform, draws))?;
        let is_given = fields.or("given", false, |node| truth(reader, node))?;
        let given: Vec<_> = [values, uniform, log_uniform].into_iter().flatten().collect();
        let [values] = given.as_slice() else {
            let message = "an axis has one of `values`, `uniform`, `log_uniform`";
            return reader.report(fields.place(), message, "");
        };
        let mut draft = match path {
            Some((path, place)) => along_path(reader, fields.place(), name, &path, place, values),
            None => bundles(reader, fields, name, values),
        }?;
        draft.axis.given = is_given;
        Some(draft)
    })
}

/// An axis from the command line: `PATH=v1,v2`, or `PATH={log_uniform: {…}}`.
pub(super) fn axis_of_text(reader: &Reader, text: &str, source: usize, index: u64, draws: Seed) -> Option<Draft> {
    let whole = Place { source, start: 0, end: text.len() };
    let Some((path, values)) = text.split_once('=').filter(|(_, values)| !values.is_empty()) else {
        return reader.report(whole, "expected `PATH=v1,v2`", "for instance `protocol.inner_steps=5,15,30`");
    };
    let place = Place { end: path.len(), ..whole };
    // In brackets, so that commas within a value's own brackets stay within it; blanks keep each byte at its place.
    let listed = format!("{}[{values}]", " ".repeat(path.len()));
    let node = reader.take(document::parse(&listed, source).map_err(|problem| shortened(problem, text.len())))?;
    let Value::List(items) = node.value else { unreachable!("because it is in brackets") };
    let items = match items.as_slice() {
        [Node { value: Value::Map(entries), .. }] if entries.len() == 1 => match entries[0].0.name.as_str() {
            "uniform" => sampled(reader, &entries[0].1, index, Spread::Uniform, draws)?,
            "log_uniform" => sampled(reader, &entries[0].1, index, Spread::LogUniform, draws)?,
            _ => items,
        },
        _ => items,
    };
    along_path(reader, whole, None, path, place, &items)
}

/// The added bracket stands behind the end of the text.
fn shortened(mut problem: crate::scenario::problem::Problem, length: usize) -> crate::scenario::problem::Problem {
    problem.place.start = problem.place.start.min(length);
    problem.place.end = problem.place.end.min(length);
    problem
}

fn along_path(
    reader: &Reader,
    place: Place,
    name: Option<String>,
    path: &str,
    path_place: Place,
    values: &[Node],
) -> Option<Draft> {
    let labels: Vec<String> = values.iter().map(written).collect();
    let change = |value: &Node| vec![Assignment { path: path.to_owned(), place: path_place, value: value.clone() }];
    let changes = values.iter().map(change).collect();
    let name = name.unwrap_or_else(|| path.to_owned());
    draft(reader, place, name, vec![path.to_owned()], labels, changes)
}

fn bundles(reader: &Reader, fields: &Fields<'_>, name: Option<String>, values: &[Node]) -> Option<Draft> {
    let Some(name) = name else {
        return reader.report(fields.place(), "an axis has a `path`, or a `name` and values with a `set` each", "");
    };
    let bundle = |node: &Node| {
        reader.map(node, "a value of an axis without a `path`", |fields| {
            let name = fields.required("name", |node| reader.text(node, "a name").map(str::to_owned));
            let set = fields.required("set", |node| changes(reader, node));
            Some((name?, set?))
        })
    };
    let bundles = values.iter().map(bundle).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
    let (labels, changes): (Vec<_>, Vec<_>) = bundles.into_iter().unzip();
    let mut paths: Vec<String> = changes.iter().flatten().map(|change: &Assignment| change.path.clone()).collect();
    paths.sort();
    paths.dedup();
    draft(reader, fields.place(), name, paths, labels, changes)
}

fn draft(
    reader: &Reader,
    place: Place,
    name: String,
    paths: Vec<String>,
    labels: Vec<String>,
    changes: Vec<Vec<Assignment>>,
) -> Option<Draft> {
    if labels.is_empty() {
        return reader.report(place, format!("`{name}` has no values"), "");
    }
    if let Some((_, label)) = labels.iter().enumerate().find(|(index, label)| labels[..*index].contains(label)) {
        return reader.report(place, format!("`{name}` has the value `{label}` twice"), "remove one");
    }
    let unit = unit(&labels);
    let value = |label: String| {
        let number = unit.and_then(|unit| number(unit, &label));
        AxisValue { label, number }
    };
    let values = labels.into_iter().map(value).collect();
    Some(Draft { axis: Axis { name, paths, unit, given: false, values }, place, changes })
}

/// The first unit in which all labels are numbers.
fn unit(labels: &[String]) -> Option<Unit> {
    let units = [Unit::Number, Unit::BitsPerSecond, Unit::Seconds, Unit::Bytes];
    units.into_iter().find(|unit| labels.iter().all(|label| number(*unit, label).is_some()))
}

fn number(unit: Unit, label: &str) -> Option<f64> {
    match unit {
        Unit::Number => label.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite()),
        Unit::BitsPerSecond => label.parse().ok().map(Bandwidth::bits_per_second),
        Unit::Seconds => label.parse().ok().map(Duration::as_secs_f64),
        Unit::Bytes => label.parse().ok().map(|Bytes(bytes)| bytes as f64),
    }
}

fn truth(reader: &Reader, node: &Node) -> Option<bool> {
    match reader.text(node, "`true` or `false`")? {
        "true" => Some(true),
        "false" => Some(false),
        other => reader.report(node.place, format!("expected `true` or `false`, found `{other}`"), ""),
    }
}

/// The values that an axis draws.
fn sampled(reader: &Reader, node: &Node, index: u64, spread: Spread, draws: Seed) -> Option<Vec<Node>> {
    reader.map(node, "a range to draw from", |fields| {
        let bound = |node: &Node| match spread {
            Spread::Uniform => reader.number(node, "a number", |_| true),
            Spread::LogUniform => reader.positive(node),
        };
        let (low, high) = (fields.required("low", bound), fields.required("high", bound));
        let samples = fields.required("samples", |node| reader.integer(node, 1, SAMPLES_MAX));
        let whole = fields.or("whole", false, |node| truth(reader, node));
        let (low, high, samples, whole) = (low?, high?, samples?, whole?);
        if low >= high {
            return reader.report(fields.place_of("high"), "`high` is not above `low`", "");
        }
        let place = node.place;
        let values = sample::values(draws, index, spread, [low, high], samples, whole);
        Some(values.into_iter().map(|value| Node { value: Value::Scalar(value.to_string()), place }).collect())
    })
}

fn combination(reader: &Reader, node: &Node) -> Option<Combination> {
    let variant = reader.variant(node, "way to make cells", &["grid", "list", "random"])?;
    match (variant.name, variant.content) {
        ("random", Some(content)) => reader.map(content, "`random`", |fields| {
            let cells = fields.required("cells", |node| reader.integer(node, 1, super::CELLS_MAX as u64))?;
            Some(Combination::Random(cells as usize))
        }),
        ("random", None) => reader.report(variant.place, "how many cells?", "write `random: {cells: 20}`"),
        ("list", _) => Some(Combination::List),
        _ => Some(Combination::Grid),
    }
}

/// Seeds: `[1, 2, 7]`, `1..3` with both ends, or a single one.
fn seeds(reader: &Reader, node: &Node) -> Option<Vec<Seed>> {
    let expected = "seeds such as `1..5` (both included) or `[1, 2, 7]`";
    let seeds = match &node.value {
        Value::List(items) => {
            let seeds: Vec<_> = items.iter().map(|item| reader.integer(item, 0, u64::MAX)).collect();
            seeds.into_iter().collect::<Option<Vec<_>>>()?
        }
        _ => {
            let text = reader.text(node, expected)?;
            let ends = match text.split_once("..") {
                Some((first, last)) => first.trim().parse().ok().zip(last.trim_start_matches('=').trim().parse().ok()),
                None => text.trim().parse().ok().map(|seed: u64| (seed, seed)),
            };
            match ends {
                Some((first, last)) if first <= last && last - first < SEEDS_MAX => (first..=last).collect(),
                _ => return reader.report(node.place, format!("expected {expected}, found `{text}`"), ""),
            }
        }
    };
    let mut sorted = seeds.clone();
    sorted.sort_unstable();
    if seeds.is_empty() || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return reader.report(node.place, format!("expected {expected}, each once"), "");
    }
    Some(seeds.into_iter().map(Seed).collect())
}

/// Seeds from the command line: as in a file, brackets optional.
pub(super) fn seeds_of_text(reader: &Reader, text: &str, source: usize) -> Option<Vec<Seed>> {
    let is_bare_list = text.contains(',') && !text.starts_with('[');
    let place = Place { source, start: 0, end: text.len() };
    let listed = if is_bare_list { format!("[{text}]") } else { text.to_owned() };
    let mut node = reader.take(document::parse(&listed, source))?;
    place_at(&mut node, place);
    seeds(reader, &node)
}

fn place_at(node: &mut Node, place: Place) {
    node.place = place;
    if let Value::List(items) = &mut node.value {
        items.iter_mut().for_each(|item| place_at(item, place));
    }
}

fn baseline(reader: &Reader, node: &Node) -> Option<Vec<[(String, Place); 2]>> {
    let Value::Map(entries) = &node.value else {
        let found = node.value.kind();
        let hint = "write `baseline: {axis: value}`";
        return reader.report(node.place, format!("`baseline` is a map of axes to values, not {found}"), hint);
    };
    Some(entries.iter().map(|(key, node)| [(key.name.clone(), key.place), (written(node), node.place)]).collect())
}

/// The index of the cell that is to be compared with.
pub(super) fn find_baseline(
    reader: &Reader,
    axes: &[Axis],
    cells: &[Cell],
    wanted: &[[(String, Place); 2]],
) -> Option<usize> {
    let mut choices = Vec::new();
    for [(name, name_place), (label, label_place)] in wanted {
        let Some(axis) = axes.iter().position(|axis| axis.name == *name) else {
            let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
            return reader.report(*name_place, format!("there is no axis `{name}`"), meant(name, &names));
        };
        let values = &axes[axis].values;
        let Some(at) = values.iter().position(|value| value.label == *label) else {
            let labels: Vec<&str> = values.iter().map(|value| value.label.as_str()).collect();
            let message = format!("`{name}` has no value `{label}`");
            return reader.report(*label_place, message, meant(label, &labels));
        };
        choices.push((axis, at));
    }
    let is_chosen = |cell: &Cell| choices.iter().all(|&(axis, at)| cell.at[axis] == at);
    match cells.iter().position(is_chosen) {
        None if cells.is_empty() => None,
        None => reader.report(wanted[0][0].1, "no cell has these values", "choose a cell that is in the sweep"),
        found => found,
    }
}

fn halving(reader: &Reader, node: &Node) -> Option<Halving> {
    reader.map(node, "`halving`", |fields| {
        let share = |node: &Node| reader.number(node, "a share between 0 and 1", |share| share > 0.0 && share < 1.0);
        let rungs = fields.required("rungs", |node| {
            let rungs: Vec<_> = reader.list(node, "`rungs`")?.iter().map(share).collect();
            let rungs = rungs.into_iter().collect::<Option<Vec<_>>>()?;
            if rungs.is_empty() || !rungs.windows(2).all(|pair| pair[0] < pair[1]) {
                return reader.report(node.place, "expected ascending shares of the rounds", "such as `[0.25, 0.5]`");
            }
            Some(rungs)
        });
        let keep = fields.or("keep", 0.5, share);
        Some(Halving { rungs: rungs?, keep: keep? })
    })
}

/// A value as it might have been written, on one line.
fn written(node: &Node) -> String {
    match &node.value {
        Value::Scalar(text) if text.is_empty() => "null".to_owned(),
        Value::Scalar(text) => text.clone(),
        Value::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| format!("{}: {}", key.name, written(node)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}
