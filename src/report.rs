//! Rows to figures, a summary for a person, and a comparison of several runs.
//!
//! Everything is made from a run directory's tables and manifest alone, so it can be made again at any time and is a
//! function of them. Figures are SVG, in the colours of Okabe and Ito, which colour-blind readers tell apart.
//!
//! Statistics over seeds: the mean, and half the width of its 95 % confidence interval by Student's t. Curves of several
//! seeds are averaged point by point, the points matched by round: where seeds reach a round at different times or after
//! different numbers of bytes, the mean loss stands at the mean abscissa.

mod axis;
mod canvas;
pub mod check;
mod comparison;
mod figures;
mod heat;
mod judged;
mod judged_figures;
mod label;
mod line;
mod scatter;
mod statistics;
mod summary;
pub mod sweep;
mod timeline;

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::protocol::rows::{EvaluationRow, OverlapRow, PeerRow, RoundRow, ScoreRow};
use crate::record::directory::SUMMARY;
use crate::record::{Manifest, RecordError, RunDirectory};

pub use comparison::compare;

/// A report could not be made.
#[derive(Debug, Error, Diagnostic)]
pub enum ReportError {
    /// A run could not be read, or a file not written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Record(#[from] RecordError),
    /// There is nothing to report on.
    #[error("`{}` has no rounds: the run was interrupted before its first outer step", path.display())]
    #[diagnostic(help("resume it with `swarmloco run --resume`"))]
    Empty {
        /// The run directory.
        path: PathBuf,
    },
    /// There is nothing to report on yet.
    #[error("no run of the sweep in `{}` has come to its end", path.display())]
    #[diagnostic(help("go on with it with `swarmloco sweep --resume`"))]
    EmptySweep {
        /// The sweep directory.
        path: PathBuf,
    },
    /// One run was named twice.
    #[error("`{}` and `{}` hold the same run: scenario and seed are equal", first.display(), second.display())]
    #[diagnostic(help("name each run once: counted twice it would make the confidence intervals too narrow"))]
    Twice {
        /// The run directory that comes first.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A figure could not be drawn.
    #[error("cannot draw `{figure}`: {reason}")]
    Drawing {
        /// Its file name.
        figure: String,
        /// Why.
        reason: String,
    },
}

impl ReportError {
    /// Whether the fault lies in the runs, rather than in writing about them.
    #[must_use]
    pub fn is_input(&self) -> bool {
        match self {
            Self::Record(error) => error.is_input(),
            Self::Empty { .. } | Self::EmptySweep { .. } | Self::Twice { .. } => true,
            Self::Drawing { .. } => false,
        }
    }
}

/// A run as reports see it. The timeline, by far the largest table, is read when it is drawn.
#[derive(Debug)]
pub struct Run {
    directory: RunDirectory,
    manifest: Manifest,
    rounds: Vec<RoundRow>,
    peers: Vec<PeerRow>,
    evaluations: Vec<EvaluationRow>,
    scores: Vec<ScoreRow>,
    overlaps: Vec<OverlapRow>,
}

impl Run {
    /// Reads a run.
    ///
    /// # Errors
    /// A file is missing or malformed, or the run has no rounds.
    pub fn read(directory: RunDirectory) -> Result<Self, ReportError> {
        let manifest = directory.read_manifest()?;
        let rounds = directory.read_table()?;
        if rounds.is_empty() {
            return Err(ReportError::Empty { path: directory.path().to_owned() });
        }
        let (peers, evaluations) = (directory.read_table()?, directory.read_table()?);
        let (scores, overlaps) = (directory.read_table()?, directory.read_table()?);
        Ok(Self { directory, manifest, rounds, peers, evaluations, scores, overlaps })
    }

    /// The run directory.
    #[must_use]
    pub fn directory(&self) -> &RunDirectory {
        &self.directory
    }

    fn last_round(&self) -> &RoundRow {
        self.rounds.last().expect("because a run without rounds is not read")
    }

    fn final_loss(&self) -> Option<f64> {
        self.evaluations.last().map(|row| row.validation_loss)
    }

    /// Mean over rounds.
    fn utilisation(&self) -> f64 {
        self.mean(|row| row.utilisation)
    }

    fn mean(&self, value: impl Fn(&RoundRow) -> f64) -> f64 {
        self.rounds.iter().map(value).sum::<f64>() / self.rounds.len() as f64
    }
}

/// Makes the figures and the summary of one run; returns the paths written.
///
/// # Errors
/// The timeline cannot be read, or a file cannot be written.
pub fn write(run: &Run) -> Result<Vec<PathBuf>, ReportError> {
    let figures = figures::of_run(run)?;
    let mut written = Vec::new();
    for figure in &figures {
        written.push(run.directory.write_text(&figure.path(), &figure.svg)?);
    }
    written.push(run.directory.write_text(SUMMARY, &summary::text(run, &figures))?);
    Ok(written)
}
