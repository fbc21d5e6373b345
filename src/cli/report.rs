//! `swarmloco report`: figures and summaries of runs and sweeps made again from the tables, and runs side by side.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use crate::cli::{Failure, Format};
use crate::record::{RunDirectory, SweepDirectory};
use crate::report::sweep::SweepReport;
use crate::report::{self, ReportError, Run};

/// Make figures and summary of each run or sweep again, and compare runs if there are several.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco report results/runs/quickstart-seed1
  swarmloco report results/runs/h-k --target-loss 2.5   # a sweep
  swarmloco report results/runs/quickstart-seed1 results/runs/h15 --out results/runs/comparison")]
pub struct Args {
    /// Run directories, of which those that differ only in the seed are averaged, and sweep directories
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Where the comparison goes [default: `comparison` beside the first directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The loss to which a sweep's times and bytes are counted, instead of the sweep's own
    #[arg(long, value_name = "LOSS")]
    target_loss: Option<f64>,
    /// How the written paths are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    runs: Vec<WrittenRun>,
    sweeps: Vec<WrittenRun>,
    comparison: Option<WrittenRun>,
}

/// What was written about one run, or about all.
#[derive(Debug, Serialize)]
struct WrittenRun {
    directory: PathBuf,
    files: Vec<PathBuf>,
}

/// stdout is gone.
#[derive(Debug, Error, Diagnostic)]
#[error("cannot print the result: {0}")]
struct Unprintable(#[from] io::Error);

/// Reads all runs before anything is written, then writes, then prints what was written to stdout.
///
/// # Errors
/// A run is unusable (nothing was written then), or a file cannot be written.
pub fn execute(args: &Args) -> Result<(), Failure> {
    execute_to(args, &mut io::stdout().lock())
}

/// The same, printing to `out`.
///
/// # Errors
/// As [`execute`].
pub fn execute_to(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let read = |path: &PathBuf| RunDirectory::open(path).map_err(ReportError::from).and_then(Run::read);
    let read_sweep = |path: &PathBuf| {
        let directory = SweepDirectory::open(path)?;
        SweepReport::read(directory, args.target_loss)
    };
    let (sweeps, runs): (Vec<_>, Vec<_>) = args.directories.iter().partition(|path| SweepDirectory::is_at(path));
    let sweeps = sweeps.into_iter().map(read_sweep).collect::<Result<Vec<_>, _>>().map_err(failure)?;
    let runs = runs.into_iter().map(read).collect::<Result<Vec<_>, _>>().map_err(failure)?;
    let mut written = Written { runs: Vec::new(), sweeps: Vec::new(), comparison: None };
    for sweep in &sweeps {
        let files = report::sweep::write(sweep).map_err(failure)?;
        written.sweeps.push(WrittenRun { directory: sweep.directory().path().to_owned(), files });
    }
    for run in &runs {
        let files = report::write(run).map_err(failure)?;
        written.runs.push(WrittenRun { directory: run.directory().path().to_owned(), files });
    }
    if runs.len() > 1 {
        let directory = args.out.clone().unwrap_or_else(|| beside(&args.directories[0]));
        let files = report::compare(&runs, &directory).map_err(failure)?;
        written.comparison = Some(WrittenRun { directory, files });
    }
    print(&written, args.format, out).map_err(|error| Failure::failed(Unprintable(error)))
}

fn failure(error: ReportError) -> Failure {
    if error.is_input() { Failure::unusable(error) } else { Failure::failed(error) }
}

/// `comparison` beside a directory.
fn beside(directory: &Path) -> PathBuf {
    match directory.parent() {
        Some(parent) => parent.join("comparison"),
        None => directory.join("comparison"),
    }
}

fn print(written: &Written, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, written)?;
            writeln!(out)
        }
        Format::Text => {
            for file in written.runs.iter().chain(&written.sweeps).chain(&written.comparison).flat_map(|run| &run.files)
            {
                writeln!(out, "{}", file.display())?;
            }
            Ok(())
        }
    }
}
