//! The sweep directory: many run directories, what they are, and one table of how they ended.
//!
//! ```text
//! sweep.json         what was swept: axes, cells, seeds, which run directory holds which cell
//! cells.parquet      one row a cell and seed: the values on each axis and the last numbers
//! cells/HASH/        run directories, named by the hash of program and resolved scenario with its seed
//! summary.md, figures/*.svg, statistics.parquet
//! ```
//!
//! Two cells that resolve to the same scenario share a run directory, and a run directory that is finished is not made
//! again. The columns of `cells.parquet` are in `results/README.md`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use polars::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::atomic::{self, Witness};
use super::directory::{lock, parse, read_text};
use super::manifest::{FORMAT, Program};
use super::{RecordError, directory};
use crate::quantity::Seed;
use crate::scenario::Scenario;
use crate::scenario::sweep::{Axis, Halving};

/// The file that makes a directory a sweep directory.
pub const SWEEP: &str = "sweep.json";
/// The table of how cells ended.
pub const CELLS: &str = "cells.parquet";
/// Where run directories are.
pub const RUNS: &str = "cells";
/// The table of statistics over seeds, made by reports.
pub const STATISTICS: &str = "statistics.parquet";

/// What this program leaves in a sweep directory.
const OURS: &[&str] =
    &[directory::LOCK, SWEEP, CELLS, RUNS, STATISTICS, directory::SUMMARY, directory::FIGURES, "recommendation.md"];

/// What was swept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepManifest {
    /// The format of run directories.
    pub format: u32,
    /// Who wrote it.
    pub program: Program,
    /// The sweep's name.
    pub name: String,
    /// The command that made it.
    pub command: String,
    /// What changes.
    pub axes: Vec<Axis>,
    /// What each cell meets.
    pub seeds: Vec<Seed>,
    /// The cell that others are compared with.
    pub baseline: usize,
    /// The loss to which time and bytes are counted \[nats per token\].
    pub target_loss: Option<f64>,
    /// Whether hopeless cells are stopped early.
    pub halving: Option<Halving>,
    /// One a combination of values.
    pub cells: Vec<SweptCell>,
}

/// One combination of values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweptCell {
    /// The place of its value on each axis.
    pub at: Vec<usize>,
    /// The hash of each seed's run, 16 hexadecimal digits: the name of its directory.
    pub runs: Vec<String>,
}

/// How a run of a sweep stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellStatus {
    /// All rounds are done.
    Finished,
    /// Not begun, or interrupted.
    Pending,
    /// Stopped early as hopeless.
    Stopped,
    /// Its swarm died out.
    Deserted,
    /// It could not be run.
    Failed,
}

/// How one cell ended with one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct CellRow {
    /// Which cell.
    pub cell: u32,
    /// Which seed.
    pub seed: u64,
    /// Its run directory under [`RUNS`].
    pub run: String,
    /// How it stands.
    pub status: CellStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// Outer steps taken.
    pub rounds: u32,
    /// Of the last evaluation \[nats per token\].
    pub validation_loss: Option<f64>,
    /// Of the last round \[nats per token\].
    pub training_loss: Option<f64>,
    /// Virtual time of the last aggregate \[s\].
    pub time_s: Option<f64>,
    /// Proxy tokens.
    pub tokens: Option<u64>,
    /// Deployment tokens.
    pub deployment_tokens: Option<u64>,
    /// Uploaded by all peers.
    pub bytes_up: Option<u64>,
    /// Downloaded by all peers.
    pub bytes_down: Option<u64>,
    /// One peer's payload.
    pub payload_bytes: Option<u64>,
    /// Mean over rounds of the share of time in inner phases.
    pub utilisation: Option<f64>,
    /// Mean over rounds of contributing peers.
    pub contributing: Option<f64>,
}

/// A sweep directory.
#[derive(Debug)]
pub struct SweepDirectory {
    path: PathBuf,
    /// Held until the directory is dropped; `None` for readers.
    _lock: Option<File>,
}

/// The name of a run's directory in a sweep: the hash of the program and the resolved scenario, seed included.
#[must_use]
pub fn run_name(scenario: &Scenario) -> String {
    let named = serde_json::to_vec(&(Program::this(), scenario));
    format!("{:016x}", xxh3_64(&named.expect("because a scenario is plain data with string keys")))
}

impl CellStatus {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Pending => "pending",
            Self::Stopped => "stopped",
            Self::Deserted => "deserted",
            Self::Failed => "failed",
        }
    }
}

impl SweepDirectory {
    /// Takes a directory for writing, made if it is not there, and keeps others out until it is dropped.
    ///
    /// With `resume` or `overwrite` a sweep that is there may be another one than last time: runs of cells that both have
    /// stay, and the others are kept for a sweep that wants them (`resume`) or removed (`overwrite`).
    ///
    /// # Errors
    /// The directory cannot be made or written, is another process's, holds anything but a sweep, or holds one and
    /// nobody said what to do with it: then nothing was changed.
    pub fn create(path: &Path, resume: bool, overwrite: bool) -> Result<Self, RecordError> {
        fs::create_dir_all(path).map_err(RecordError::io("create", path))?;
        if let Some(found) = directory::foreign_entry(path, OURS).map_err(RecordError::io("read", path))? {
            return Err(RecordError::ForeignSweep { path: path.to_owned(), found });
        }
        let lock = lock(path)?;
        if path.join(SWEEP).exists() {
            if overwrite {
                directory::clear(path, OURS).map_err(RecordError::io("clear", path))?;
            } else if !resume {
                return Err(RecordError::SweepExists { path: path.to_owned() });
            }
        }
        Ok(Self { path: path.to_owned(), _lock: Some(lock) })
    }

    /// Opens a sweep for reading (and for its figures and statistics, which are made again from its runs).
    ///
    /// # Errors
    /// It is not there.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        if Self::is_at(path) {
            Ok(Self { path: path.to_owned(), _lock: None })
        } else {
            Err(RecordError::NotASweep { path: path.to_owned() })
        }
    }

    /// Whether there is a sweep at `path`.
    #[must_use]
    pub fn is_at(path: &Path) -> bool {
        path.join(SWEEP).is_file()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a run is.
    #[must_use]
    pub fn run(&self, name: &str) -> PathBuf {
        self.path.join(RUNS).join(name)
    }

    /// Writes what was swept.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_manifest(&self, manifest: &SweepManifest) -> Result<(), RecordError> {
        atomic::write(&self.path, SWEEP, |file| {
            serde_json::to_writer_pretty(&mut *file, manifest)?;
            file.write_all(b"\n")
        })
    }

    /// Reads what was swept.
    ///
    /// # Errors
    /// The file is missing, malformed, or in another format.
    pub fn read_manifest(&self) -> Result<SweepManifest, RecordError> {
        let path = self.path.join(SWEEP);
        let text = read_text(&path)?.ok_or_else(|| RecordError::NotASweep { path: self.path.clone() })?;
        let manifest: SweepManifest = parse(&path, &text)?;
        if manifest.format != FORMAT {
            return Err(RecordError::Format { path, found: manifest.format, expected: FORMAT });
        }
        Ok(manifest)
    }

    /// Writes how the cells stand.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_cells(&self, manifest: &SweepManifest, rows: &[CellRow]) -> Result<(), RecordError> {
        self.write_frame(CELLS, frame(manifest, rows))
    }

    /// Writes a table.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_frame(&self, name: &str, mut frame: DataFrame) -> Result<(), RecordError> {
        atomic::write(&self.path, name, |file| {
            let mut witness = Witness::new(file);
            let written = ParquetWriter::new(&mut witness).set_parallel(false).finish(&mut frame);
            written.map(drop).map_err(|error| witness.cause(error))
        })
    }

    /// How each run stands, in order of cells and seeds.
    ///
    /// # Errors
    /// The table is missing or malformed.
    pub fn read_statuses(&self) -> Result<Vec<String>, RecordError> {
        let path = self.path.join(CELLS);
        let malformed = |error: PolarsError| RecordError::Malformed { path: path.clone(), reason: error.to_string() };
        let file = File::open(&path).map_err(RecordError::io("read", &path))?;
        let frame = ParquetReader::new(file).finish().map_err(malformed)?;
        let statuses = frame.column("status").and_then(|column| column.str()).map_err(malformed)?;
        Ok(statuses.iter().map(|word| word.unwrap_or_default().to_owned()).collect())
    }

    /// Writes a text file; `name` may be in a subdirectory. Returns its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<PathBuf, RecordError> {
        directory::write_text(&self.path.join(name), text)
    }
}

/// A column of each axis's values for rows of these cells, beside columns that are named already.
#[must_use]
pub fn axis_columns(manifest: &SweepManifest, cells: &[u32], named: &[&str]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (index, axis) in manifest.axes.iter().enumerate() {
        let values = || cells.iter().map(|&cell| &axis.values[manifest.cells[cell as usize].at[index]]);
        let mut name = axis.name.clone();
        while named.contains(&name.as_str()) || columns.iter().any(|column| column.name() == name.as_str()) {
            name.insert_str(0, "axis_");
        }
        columns.push(match axis.unit {
            Some(_) => Column::new(name.into(), values().map(|value| value.number).collect::<Vec<_>>()),
            None => Column::new(name.into(), values().map(|value| value.label.as_str()).collect::<Vec<_>>()),
        });
    }
    columns
}

fn frame(manifest: &SweepManifest, rows: &[CellRow]) -> DataFrame {
    macro_rules! columns {
        ($($field:ident),+) => {
            vec![$(Column::new(
                stringify!($field).into(),
                rows.iter().map(|row| row.$field.clone()).collect::<Vec<_>>(),
            )),+]
        };
    }
    let statuses: Vec<&str> = rows.iter().map(|row| row.status.word()).collect();
    let mut first = columns![cell, seed, run];
    first.push(Column::new("status".into(), statuses));
    first.extend(columns![error]);
    let last = columns![
        rounds,
        validation_loss,
        training_loss,
        time_s,
        tokens,
        deployment_tokens,
        bytes_up,
        bytes_down,
        payload_bytes,
        utilisation,
        contributing
    ];
    let named: Vec<&str> = first.iter().chain(&last).map(|column| column.name().as_str()).collect();
    let cells: Vec<u32> = rows.iter().map(|row| row.cell).collect();
    let axes = axis_columns(manifest, &cells, &named);
    let columns = first.into_iter().chain(axes).chain(last).collect();
    DataFrame::new(rows.len(), columns).expect("because each column has one cell a row and its own name")
}
