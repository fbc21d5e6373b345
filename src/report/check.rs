//! Whether a change has moved a convergence curve: runs of two programs compared cell by cell and seed by seed.
//!
//! Two numbers of a curve are tested: the final validation loss, and the area under the curve (the mean loss over outer
//! steps, by the trapezoid rule). A number is the same if two one-sided t-tests both show, at 5 %, that the difference of
//! the means is above −m and below +m, where the margin m is a stated share of the baseline's mean: that is, if the 90 %
//! confidence interval of the difference lies within ±m. So a shift of m or more passes in at most 5 % of cases, however
//! noisy the losses are; noise makes an unchanged program fail instead, and then more seeds are the remedy.
//!
//! Where two seeds or more are on both sides, differences are taken seed by seed (a paired test); otherwise the two
//! sides are independent samples (Welch's test). Curves that are equal in every bit are the same without a test.
//!
//! What the clock charges is no matter of chance: times and bytes of seeds that are on both sides have to be equal.
//!
//! The band of the figure is, at each evaluation, the margin and half the width of the 90 % confidence interval of the
//! difference around the baseline's mean. It is for the eye: no verdict depends on it.

mod equivalence;
mod figure;
mod print;
mod side;

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use super::ReportError;
use super::figures::Figure;
use equivalence::Sample;
use side::{Curve, Side};

/// A comparison that cannot be made.
#[derive(Debug, Error, Diagnostic)]
pub enum CheckError {
    /// A run or sweep could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Report(#[from] ReportError),
    /// A run has not come to its end.
    #[error("`{}` has not come to its end", path.display())]
    #[diagnostic(help("`--resume` goes on with it"))]
    Unfinished {
        /// The run directory.
        path: PathBuf,
    },
    /// A cell of the baseline is missing.
    #[error("`{}` has no cell `{cell}`, which the baseline has", path.display())]
    #[diagnostic(help("compare two sweeps over the same axes"))]
    NoCell {
        /// The directory.
        path: PathBuf,
        /// Its label.
        cell: String,
    },
    /// The curves have different points.
    #[error("the runs of `{cell}` were evaluated after different rounds")]
    #[diagnostic(help("compare runs with the same `rounds` and `evaluation.every`"))]
    OtherRounds {
        /// Its label.
        cell: String,
    },
    /// There is no loss to compare.
    #[error("`{}` has no validation losses", path.display())]
    #[diagnostic(help("a run with `training: none` has no convergence to check"))]
    NoLoss {
        /// The run directory.
        path: PathBuf,
    },
    /// Chance cannot be told from change.
    #[error("`{cell}` has one seed to compare, and its curve has changed: chance cannot be told from change")]
    #[diagnostic(help("run both sides with several seeds: `swarmloco sweep SCENARIO --seeds 1..5`"))]
    OneSeed {
        /// Its label.
        cell: String,
    },
}

/// What two sides came to.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The margin as a share of the baseline's mean.
    pub margin: f64,
    /// One for each cell of the baseline.
    pub cells: Vec<CellCheck>,
}

/// One cell of both sides.
#[derive(Debug, Serialize)]
pub struct CellCheck {
    /// Its values; a run's name where there is no sweep.
    pub cell: String,
    /// Seeds of the baseline and of what is checked; pairs, if the test is paired.
    pub seeds: [usize; 2],
    /// Whether differences are taken seed by seed.
    pub is_paired: bool,
    /// Final loss and area.
    pub metrics: Vec<Metric>,
    /// Times and bytes.
    pub columns: Vec<ColumnCheck>,
    #[serde(skip)]
    points: Vec<figure::Spot>,
}

/// A number of the curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// `final loss` or `area under the curve`.
    pub name: &'static str,
    /// The baseline's mean \[nats per token\].
    pub baseline: f64,
    /// The mean of what is checked \[nats per token\].
    pub checked: f64,
    /// The difference as a share of the baseline.
    pub change: f64,
    /// Half the width of the 90 % confidence interval of that share; `None` where no test was needed.
    pub half_width: Option<f64>,
    /// How sure it is that the change lies within the margin.
    pub certainty_same: f64,
    /// How sure it is that the loss has risen at all.
    pub certainty_worse: f64,
    /// What that means.
    pub verdict: Verdict,
    /// About how many seeds would show that nothing has changed, if nothing has; where that was not shown.
    pub seeds_needed: Option<usize>,
}

/// What is to be thought of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the margin.
    Same,
    /// Beyond it, and higher.
    Worse,
    /// Beyond it, and lower.
    Better,
    /// It may be within the margin or beyond.
    Undecided,
}

/// A column of what the clock charges.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnCheck {
    /// Its name in `rounds.parquet`.
    pub column: &'static str,
    /// Seeds on both sides.
    pub seeds: usize,
    /// The first value that differs.
    pub difference: Option<ColumnDifference>,
}

/// Where a column differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDifference {
    /// Which seed.
    pub seed: u64,
    /// Which round.
    pub round: u32,
    /// The baseline's value.
    pub baseline: f64,
    /// The value that is checked.
    pub checked: f64,
}

impl Check {
    /// Whether nothing has moved.
    #[must_use]
    pub fn is_same(&self) -> bool {
        let is_same = |cell: &CellCheck| {
            cell.metrics.iter().all(|metric| metric.verdict == Verdict::Same)
                && cell.columns.iter().all(|column| column.difference.is_none())
        };
        self.cells.iter().all(is_same)
    }

    /// For a person at a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        print::text(self)
    }

    /// Markdown, for a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        print::markdown(self)
    }

    /// `JUnit` XML: a test case for each number and column of each cell.
    #[must_use]
    pub fn junit(&self) -> String {
        print::junit(self)
    }

    /// Curves of both sides for each cell: (file name, SVG).
    ///
    /// # Errors
    /// A figure cannot be drawn.
    pub fn figures(&self) -> Result<Vec<(String, String)>, ReportError> {
        let of_cell = |(index, cell): (usize, &CellCheck)| {
            let file = if self.cells.len() == 1 { "curves.svg".to_owned() } else { format!("curves-{index}.svg") };
            let chart = figure::chart(cell, self.margin);
            Figure::new(file, chart.title.clone(), chart.svg()).map(|figure| (figure.file, figure.svg))
        };
        self.cells.iter().enumerate().map(of_cell).collect()
    }
}

/// Compares the runs in `directory` with those in `baseline`; each is a run directory or a sweep directory.
///
/// # Errors
/// They cannot be compared: see [`CheckError`].
pub fn check(directory: &Path, baseline: &Path, margin: f64) -> Result<Check, CheckError> {
    let [checked, base] = [Side::read(directory)?, Side::read(baseline)?];
    // Two runs are compared whatever they are called; cells of sweeps by their values.
    let is_lone = checked.cells.len() == 1 && base.cells.len() == 1;
    let compare = |(label, curves): &(String, Vec<Curve>)| {
        let twin = checked.cells.iter().find(|(other, _)| is_lone || other == label);
        let Some((_, twins)) = twin else {
            return Err(CheckError::NoCell { path: directory.to_owned(), cell: label.clone() });
        };
        cell(label, twins, curves, margin)
    };
    Ok(Check { margin, cells: base.cells.iter().map(compare).collect::<Result<_, _>>()? })
}

fn cell(label: &str, checked: &[Curve], baseline: &[Curve], margin: f64) -> Result<CellCheck, CheckError> {
    let rounds: Vec<u32> = baseline[0].losses.iter().map(|(round, _)| *round).collect();
    let is_other = |curve: &Curve| !curve.losses.iter().map(|(round, _)| round).eq(&rounds);
    if checked.iter().chain(baseline).any(is_other) {
        return Err(CheckError::OtherRounds { cell: label.to_owned() });
    }
    let twin = |curve: &Curve| checked.iter().find(|twin| twin.seed == curve.seed);
    let pairs: Vec<[&Curve; 2]> = baseline.iter().filter_map(|curve| Some([curve, twin(curve)?])).collect();
    let are_equal = pairs.len() == baseline.len() && pairs.iter().all(|[one, other]| one.has_same_losses(other));
    let is_paired = pairs.len() >= 2 || are_equal;
    if !is_paired && (checked.len() < 2 || baseline.len() < 2) {
        return Err(CheckError::OneSeed { cell: label.to_owned() });
    }
    let sample = |value: &dyn Fn(&Curve) -> f64| {
        if is_paired {
            Sample::paired(pairs.iter().map(|pair| pair.map(value)).collect())
        } else {
            Sample::independent(baseline.iter().map(value).collect(), checked.iter().map(value).collect())
        }
    };
    let metrics = vec![
        equivalence::metric("final loss", &sample(&Curve::final_loss), margin),
        equivalence::metric("area under the curve", &sample(&Curve::area), margin),
    ];
    let points = (0..rounds.len()).map(|index| {
        let estimate = sample(&|curve: &Curve| curve.losses[index].1).difference();
        figure::Spot {
            round: rounds[index],
            baseline: estimate.baseline,
            checked: estimate.checked,
            half_width: estimate.half_width().unwrap_or(0.0),
        }
    });
    let seeds = if is_paired { [pairs.len(); 2] } else { [baseline.len(), checked.len()] };
    let points = points.collect();
    let columns = side::columns(&pairs);
    Ok(CellCheck { cell: label.to_owned(), seeds, is_paired, metrics, columns, points })
}
