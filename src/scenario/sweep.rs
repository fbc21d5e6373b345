//! A sweep: one scenario, the axes along which its values change, and the seeds.
//!
//! ```yaml
//! scenario: quickstart.yaml            # relative to this file
//! set: {rounds: 10}                    # changes that all cells share
//! axes:
//!   - path: protocol.inner_steps
//!     values: [5, 15, 30]
//!   - path: protocol.inner_optimizer.adamw.learning_rate
//!     log_uniform: {low: 1e-4, high: 1e-2, samples: 5}
//!   - name: attack                     # each value sets several paths
//!     given: true                      # a circumstance, not a choice: what to take is answered for each value
//!     values:
//!       - {name: none, set: {adversaries: []}}
//! cells: grid                          # or list (axes side by side), or random: {cells: 20}
//! seeds: 1..3                          # both included; or [1, 2, 7]
//! baseline: {attack: none}             # the cell that others are compared with; first values where nothing is said
//! target_loss: 2.3                     # whose time and bytes are reported
//! halving: {rungs: [0.25, 0.5], keep: 0.5}
//! ```
//!
//! A cell is a choice of one value on each axis, resolved to a [`Scenario`] of its own; every cell meets every seed. As
//! randomness is named by purpose and entity, cells of one seed meet the same churn, links and data as far as their
//! values leave these alone, so that their differences are paired. In a grid the last axis changes fastest.
//!
//! Random values come from the stream (`sweep-axis`, axis, sample) of `sampling_seed`, rounded to three significant
//! digits so that they can be written down.

mod file;
mod sample;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::document::{self, Node};
use super::problem::Place;
use super::reader::Reader;
use super::{Scenario, ScenarioError, ScenarioErrors, overrides, resolve};
use crate::quantity::Seed;

/// Most cells of a sweep.
const CELLS_MAX: usize = 100_000;
/// The seed of random values and cells where nothing is said.
const DRAWS: Seed = Seed(1);

/// A sweep in which nothing is left to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Its name: that of the sweep's file, or the scenario's.
    pub name: String,
    /// What changes.
    pub axes: Vec<Axis>,
    /// One a combination of values.
    pub cells: Vec<Cell>,
    /// The seeds that each cell meets.
    pub seeds: Vec<Seed>,
    /// The cell that others are compared with.
    pub baseline: usize,
    /// The loss to which time and bytes are counted \[nats per token\].
    pub target_loss: Option<f64>,
    /// Whether and when hopeless cells are stopped.
    pub halving: Option<Halving>,
}

/// What changes from cell to cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// The given name, or the path.
    pub name: String,
    /// The paths it sets.
    pub paths: Vec<String>,
    /// What its values measure; `None` where they are only names.
    pub unit: Option<Unit>,
    /// Whether its values are circumstances rather than choices: what to take is answered for each.
    #[serde(default)]
    pub given: bool,
    /// Its values, in the order given.
    pub values: Vec<AxisValue>,
}

/// What the values of an axis measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Plain numbers.
    Number,
    /// Bits a second.
    BitsPerSecond,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AxisValue {
    /// As it was written, or the name that it was given.
    pub label: String,
    /// In the axis's unit.
    pub number: Option<f64>,
}

/// One combination of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The place of its value on each axis.
    pub at: Vec<usize>,
    /// The scenario that this makes; its seed is to be replaced by each of the sweep's.
    pub scenario: Scenario,
}

/// Successive halving: at each rung only the best cells go on.
///
/// Cells are compared by the mean over seeds of their last validation loss when each has done the same share of its
/// rounds; a cell without a loss is the worst.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Halving {
    /// Shares of the rounds, ascending.
    pub rungs: Vec<f64>,
    /// The share of cells that goes on, at least one.
    pub keep: f64,
}

/// One change to the tree of a scenario.
#[derive(Debug, Clone)]
struct Assignment {
    path: String,
    place: Place,
    value: Node,
}

/// An axis and the changes that its values make.
struct Draft {
    axis: Axis,
    place: Place,
    /// One list a value.
    changes: Vec<Vec<Assignment>>,
}

/// How cells are made of axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combination {
    /// Each value with each.
    Grid,
    /// The first values of all axes, the second values, …
    List,
    /// So many different cells of the grid, at random.
    Random(usize),
}

/// What the command line adds to a file.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    /// `PATH=VALUE`: changes that all cells share, after the file's own.
    pub overrides: Vec<String>,
    /// `PATH=v1,v2`: axes after the file's own.
    pub axes: Vec<String>,
    /// Instead of the file's seeds.
    pub seeds: Option<String>,
}

impl Sweep {
    /// Reads the sweep in `path`, or a plain scenario that `additions` make a sweep of.
    ///
    /// # Errors
    /// The file cannot be read, or there are mistakes in it, in its scenario or in the additions: all of them.
    pub fn load(path: &Path, additions: &Additions) -> Result<Self, ScenarioError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| ScenarioError::Unreadable { path: name.clone(), error })?;
        let mut sources = vec![(name, text)];
        let reader = Reader::default();
        match load(path, additions, &mut sources, &reader) {
            Some(sweep) if reader.is_clean() => Ok(sweep),
            _ => Err(Box::new(ScenarioErrors::new(&sources, reader.into_problems())).into()),
        }
    }
}

impl Cell {
    /// The cell's label: `H = 30, k = 64`.
    #[must_use]
    pub fn label(&self, axes: &[Axis]) -> String {
        let values = axes.iter().zip(&self.at).map(|(axis, &at)| format!("{} = {}", axis.name, axis.values[at].label));
        let label = values.collect::<Vec<_>>().join(", ");
        if label.is_empty() { self.scenario.name.clone() } else { label }
    }
}

/// The sweep; mistakes go to `reader`, texts that are read on the way to `sources`.
fn load(path: &Path, additions: &Additions, sources: &mut Vec<(String, String)>, reader: &Reader) -> Option<Sweep> {
    let root = reader.take(document::parse(&sources[0].1, 0))?;
    let file = if file::is_sweep(&root) { Some(file::read(reader, &root, path)?) } else { None };
    let mut base = match &file {
        Some(file) => {
            let scenario = path.parent().unwrap_or(Path::new("")).join(&file.scenario);
            let text = match std::fs::read_to_string(&scenario) {
                Ok(text) => text,
                Err(error) => {
                    let message = format!("cannot read the scenario `{}`: {error}", scenario.display());
                    return reader.report(file.scenario_place, message, "its path is relative to this file");
                }
            };
            sources.push((scenario.display().to_string(), text));
            reader.take(document::parse(&sources[1].1, 1))?
        }
        None => root,
    };
    let mut drafts = Vec::new();
    let mut seeds = None;
    let mut combination = Combination::Grid;
    let (mut baseline, mut target_loss, mut halving) = (Vec::new(), None, None);
    let (mut name, mut draws) = (None, DRAWS);
    if let Some(file) = file {
        apply(reader, &mut base, &file.set);
        draws = file.draws;
        (drafts, seeds, combination) = (file.axes, file.seeds, file.combination);
        (baseline, target_loss, halving, name) = (file.baseline, file.target_loss, file.halving, Some(file.name));
    }
    for text in &additions.overrides {
        sources.push(("--set".to_owned(), text.clone()));
        reader.take(overrides::apply(&mut base, text, sources.len() - 1));
    }
    for text in &additions.axes {
        sources.push(("--axis".to_owned(), text.clone()));
        drafts.extend(file::axis_of_text(reader, text, sources.len() - 1, drafts.len() as u64, draws));
    }
    if let Some(text) = &additions.seeds {
        sources.push(("--seeds".to_owned(), text.clone()));
        seeds = file::seeds_of_text(reader, text, sources.len() - 1);
    }
    if !reader.is_clean() {
        return None;
    }
    let axes: Vec<Axis> = drafts.iter().map(|draft| draft.axis.clone()).collect();
    let places = combine(reader, &drafts, combination, draws)?;
    let cells: Vec<_> = places.into_iter().filter_map(|at| cell(reader, &base, &drafts, at)).collect();
    let baseline = file::find_baseline(reader, &axes, &cells, &baseline);
    let first = cells.first()?;
    Some(Sweep {
        name: name.unwrap_or_else(|| format!("{}-sweep", first.scenario.name)),
        seeds: seeds.unwrap_or_else(|| vec![first.scenario.seed]),
        axes,
        baseline: baseline?,
        target_loss,
        halving,
        cells,
    })
}

fn apply(reader: &Reader, tree: &mut Node, changes: &[Assignment]) {
    for Assignment { path, place, value } in changes {
        reader.take(overrides::assign(tree, path, *place, value.clone()));
    }
}

fn cell(reader: &Reader, base: &Node, drafts: &[Draft], at: Vec<usize>) -> Option<Cell> {
    let mut tree = base.clone();
    for (draft, &at) in drafts.iter().zip(&at) {
        apply(reader, &mut tree, &draft.changes[at]);
    }
    Some(Cell { at, scenario: resolve::scenario(reader, &tree)? })
}

/// The places of each cell's values.
fn combine(reader: &Reader, drafts: &[Draft], combination: Combination, draws: Seed) -> Option<Vec<Vec<usize>>> {
    let counts: Vec<usize> = drafts.iter().map(|draft| draft.changes.len()).collect();
    let size = counts.iter().try_fold(1_usize, |product, count| product.checked_mul(*count));
    let places = |mut index: usize| {
        let mut at: Vec<usize> = Vec::with_capacity(counts.len());
        for count in counts.iter().rev() {
            at.push(index % count);
            index /= count;
        }
        at.reverse();
        at
    };
    let too_many = || {
        let hint = "fewer values, or `cells: {random: {cells: 100}}`";
        reader.report(drafts[0].place, format!("these axes make a grid of more than {CELLS_MAX} cells"), hint)
    };
    match (combination, size) {
        (Combination::Grid, Some(size)) if size <= CELLS_MAX => Some((0..size).map(places).collect()),
        (Combination::Random(cells), Some(size)) => {
            let chosen = sample::distinct(draws, size, cells.min(size));
            Some(chosen.into_iter().map(places).collect())
        }
        (Combination::Grid | Combination::Random(_), _) => too_many(),
        (Combination::List, _) => {
            if let Some(odd) = drafts.iter().find(|draft| draft.changes.len() != counts[0]) {
                let message = format!("`{}` has {} values", odd.axis.name, odd.changes.len());
                let hint = format!("in a list every axis has as many as the first, {}", counts[0]);
                return reader.report(odd.place, message, hint);
            }
            let count = counts.first().copied().unwrap_or(1);
            Some((0..count).map(|index| vec![index; counts.len()]).collect())
        }
    }
}
