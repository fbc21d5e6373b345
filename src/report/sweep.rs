//! What a sweep says: loss along each axis, fields of two axes, what nothing beats, and which cell to take.
//!
//! Everything is made from `sweep.json` and the run directories. A number of a cell is the mean over its seeds with half
//! the width of its 95 % confidence interval; a difference to the baseline cell is taken seed by seed first, which is
//! what makes it narrow: cells of one seed meet the same churn, links and data.
//!
//! A run reaches the target loss between two evaluations, where the straight line between them crosses it; its bytes
//! then are those that all peers have moved, up and down, by the ends of the rounds. A run that never reaches it has no
//! such time, and a cell has one only if all its seeds have. A loss that is not a number counts as diverged.
//!
//! Runs that have not come to their end are listed and count nowhere.

mod curves;
mod figures;
mod outcome;
mod pareto;
mod pivot;
pub mod recommend;
mod table;

use std::path::PathBuf;

use super::axis::{Measure, label};
use super::label::short_key;
use super::statistics::Estimate;
use super::{ReportError, Run, judged_figures};
use crate::quantity::Seed;
use crate::record::directory::{FIGURES, SUMMARY};
use crate::record::sweep::{STATISTICS, SweepManifest};
use crate::record::{RunDirectory, SweepDirectory};
use crate::scenario::sweep::{Axis, Unit};
use outcome::Outcome;

/// A sweep as its report sees it.
#[derive(Debug)]
pub struct SweepReport {
    directory: SweepDirectory,
    manifest: SweepManifest,
    cells: Vec<Swept>,
    target: Option<f64>,
    /// Whether the target was chosen here.
    is_own_target: bool,
}

/// One cell with what its seeds came to.
#[derive(Debug)]
struct Swept {
    /// The place of its value on each axis.
    at: Vec<usize>,
    /// One for each of the sweep's seeds; `None` where the run has not come to its end.
    outcomes: Vec<Option<Outcome>>,
    /// The density k/C of its payloads, where they have one.
    density: Option<f64>,
}

impl SweepReport {
    /// Reads a sweep; `target_loss` replaces its own.
    ///
    /// Where neither is given, the target is one that half of the cells reach with every seed: the median of their highest
    /// final losses, rounded up to a hundredth.
    ///
    /// # Errors
    /// A file is malformed, or no run has come to its end.
    pub fn read(directory: SweepDirectory, target_loss: Option<f64>) -> Result<Self, ReportError> {
        let manifest = directory.read_manifest()?;
        let mut cells = Vec::with_capacity(manifest.cells.len());
        for cell in &manifest.cells {
            let mut density = None;
            let mut outcomes = Vec::with_capacity(cell.runs.len());
            for name in &cell.runs {
                let read = outcome::read(&directory.run(name))?;
                density = density.or(read.as_ref().and_then(|(_, density)| *density));
                outcomes.push(read.map(|(outcome, _)| outcome));
            }
            cells.push(Swept { at: cell.at.clone(), outcomes, density });
        }
        if cells.iter().all(|cell| cell.outcomes.iter().all(Option::is_none)) {
            return Err(ReportError::EmptySweep { path: directory.path().to_owned() });
        }
        let given = target_loss.or(manifest.target_loss);
        let mut report = Self { directory, manifest, cells, target: given, is_own_target: given.is_none() };
        report.target = given.or_else(|| report.reachable_loss());
        for outcome in report.cells.iter_mut().flat_map(|cell| cell.outcomes.iter_mut().flatten()) {
            outcome.find_target(report.target);
        }
        Ok(report)
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &SweepDirectory {
        &self.directory
    }

    fn reachable_loss(&self) -> Option<f64> {
        let highest = |cell: &Swept| {
            let losses: Option<Vec<f64>> = cell.present().map(|outcome| outcome.loss).collect();
            losses?.into_iter().max_by(f64::total_cmp)
        };
        let mut losses: Vec<f64> = self.cells.iter().filter_map(highest).collect();
        losses.sort_by(f64::total_cmp);
        losses.get(losses.len().saturating_sub(1) / 2).map(|median| (median * 100.0).ceil() / 100.0)
    }

    fn axes(&self) -> &[Axis] {
        &self.manifest.axes
    }

    fn baseline(&self) -> &Swept {
        &self.cells[self.manifest.baseline]
    }

    fn label_of(&self, cell: &Swept) -> String {
        let value = |(axis, &at): (&Axis, &usize)| format!("{} = {}", title(axis), axis.values[at].label);
        self.axes().iter().zip(&cell.at).map(value).collect::<Vec<_>>().join(", ")
    }

    /// The cell at these places.
    fn cell_at(&self, at: &[usize]) -> Option<&Swept> {
        self.cells.iter().find(|cell| cell.at == at)
    }

    /// The finished runs of the cells in which validators judged.
    fn judged(&self) -> Result<Vec<(String, Vec<Run>)>, ReportError> {
        let mut judged = Vec::new();
        for (cell, named) in self.cells.iter().zip(&self.manifest.cells) {
            if !cell.present().any(|outcome| outcome.is_judged) {
                continue;
            }
            let finished = named.runs.iter().zip(&cell.outcomes).filter(|(_, outcome)| outcome.is_some());
            let runs = finished.map(|(name, _)| Run::read(RunDirectory::open(&self.directory.run(name))?));
            judged.push((self.label_of(cell), runs.collect::<Result<_, ReportError>>()?));
        }
        Ok(judged)
    }

    fn seeds_text(&self) -> String {
        match self.manifest.seeds.len() {
            1 => "one seed".to_owned(),
            several => format!("{several} seeds together"),
        }
    }

    /// Whether there is a cell for each combination of values.
    fn is_grid(&self) -> bool {
        self.cells.len() == self.axes().iter().map(|axis| axis.values.len()).product::<usize>()
    }

    /// Runs that have not come to their end.
    fn missing(&self) -> Vec<(&Swept, Seed)> {
        let of_cell = |cell: &'_ Swept| {
            let seeds = cell.outcomes.iter().zip(&self.manifest.seeds);
            seeds.filter(|(outcome, _)| outcome.is_none()).map(|(_, seed)| *seed).collect::<Vec<_>>()
        };
        self.cells.iter().flat_map(|cell| of_cell(cell).into_iter().map(move |seed| (cell, seed))).collect()
    }
}

impl Swept {
    /// The outcomes that there are.
    fn present(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().flatten()
    }

    fn diverged(&self) -> usize {
        self.present().filter(|outcome| outcome.has_diverged).count()
    }

    fn all(&self, value: impl Fn(&Outcome) -> Option<f64>) -> Option<Estimate> {
        let values: Option<Vec<f64>> = self.present().map(value).collect();
        Estimate::of(&values?)
    }

    /// Final loss; `None` if there is none or a seed has diverged.
    fn loss(&self) -> Option<Estimate> {
        self.all(|outcome| outcome.loss)
    }

    fn seconds_to_target(&self) -> Option<Estimate> {
        self.all(|outcome| outcome.reached.map(|reached| reached.time_s))
    }

    fn bytes_to_target(&self) -> Option<Estimate> {
        self.all(|outcome| outcome.reached.map(|reached| reached.bytes))
    }

    fn utilisation(&self) -> Option<Estimate> {
        self.all(|outcome| Some(outcome.utilisation))
    }

    /// `value` of both for each seed that both have.
    fn pairs<'a>(&'a self, other: &'a Self, value: impl Fn(&Outcome) -> Option<f64> + 'a) -> Vec<[f64; 2]> {
        let twins = self.outcomes.iter().zip(&other.outcomes);
        twins.filter_map(|(one, other)| Some([value(one.as_ref()?)?, value(other.as_ref()?)?])).collect()
    }

    /// `value` minus that of `other`, seed by seed.
    fn difference(&self, other: &Self, value: impl Fn(&Outcome) -> Option<f64>) -> Option<Estimate> {
        let pairs = self.pairs(other, value);
        Estimate::of(&pairs.iter().map(|[one, other]| one - other).collect::<Vec<_>>())
    }

    /// Final loss minus that of `other`, seed by seed.
    fn loss_difference(&self, other: &Self) -> Option<Estimate> {
        self.difference(other, |outcome| outcome.loss)
    }

    /// The same as a share of the other's loss.
    fn relative_loss_difference(&self, other: &Self) -> Option<Estimate> {
        let pairs = self.pairs(other, |outcome| outcome.loss);
        Estimate::of(&pairs.iter().map(|[one, other]| one / other - 1.0).collect::<Vec<_>>())
    }
}

/// The axis's name, or the letter of the field at the end of its path.
fn title(axis: &Axis) -> String {
    match axis.paths.as_slice() {
        [path] if *path == axis.name => short_key(path.rsplit('.').next().unwrap_or(path)).to_owned(),
        _ => axis.name.clone(),
    }
}

/// How values of the axis are written.
fn measure(axis: &Axis) -> Option<Measure> {
    axis.unit.map(|unit| match unit {
        Unit::Number => Measure::Number,
        Unit::BitsPerSecond => Measure::BitsPerSecond,
        Unit::Seconds => Measure::Seconds,
        Unit::Bytes => Measure::Bytes,
    })
}

/// A name of a file.
fn slug(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    letters.collect()
}

/// `2.31`, with as many decimals as the target was given.
fn target_text(target: f64) -> String {
    label(Measure::Number, target)
}

/// Makes figures, tables and summary of a sweep; returns the paths written.
///
/// # Errors
/// A file cannot be written.
pub fn write(report: &SweepReport) -> Result<Vec<PathBuf>, ReportError> {
    let mut figures = figures::of_sweep(report)?;
    let judged = report.judged()?;
    let methods: Vec<(String, Vec<&Run>)> =
        judged.iter().map(|(label, runs)| (label.clone(), runs.iter().collect())).collect();
    figures.extend(judged_figures::of_methods(&methods, &report.seeds_text())?);
    let mut written = Vec::new();
    for figure in &figures {
        written.push(report.directory.write_text(&format!("{FIGURES}/{}", figure.file), &figure.svg)?);
    }
    report.directory.write_frame(STATISTICS, table::frame(report))?;
    written.push(report.directory.path().join(STATISTICS));
    written.push(
        report
            .directory
            .write_text(SUMMARY, &table::summary(report, judged_figures::methods_table(&methods), &figures))?,
    );
    Ok(written)
}
