//! `swarmloco recommend`: the cell of a sweep that reaches a loss soonest.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::cli::{Failure, Format};
use crate::record::SweepDirectory;
use crate::report::ReportError;
use crate::report::sweep::SweepReport;
use crate::report::sweep::recommend::recommend;

/// Say which cell of a sweep reaches a loss soonest, with the runner-up and how sure that is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco recommend results/runs/h-k
  swarmloco recommend results/runs/h-k --target-loss 2.5 --format json")]
pub struct Args {
    /// A sweep directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The loss to reach, in nats per token [default: the sweep's own, or one that half of its cells reach]
    #[arg(long, value_name = "LOSS")]
    target_loss: Option<f64>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Error, Diagnostic)]
#[error("no cell reaches the target loss with every seed")]
#[diagnostic(help("choose a higher `--target-loss`, or sweep with more rounds"))]
struct NothingReaches;

/// Prints the answer to stdout.
///
/// # Errors
/// The sweep is unusable, or no cell reaches the loss.
pub fn execute(args: &Args) -> Result<(), Failure> {
    let directory = SweepDirectory::open(&args.directory).map_err(Failure::unusable)?;
    let report = SweepReport::read(directory, args.target_loss).map_err(failure)?;
    let answers = recommend(&report);
    match args.format {
        Format::Text => answers.iter().for_each(|answer| print!("{}", answer.text())),
        Format::Json => {
            println!("{}", serde_json::to_string_pretty(&answers).expect("because answers are plain data"));
        }
    }
    if answers.iter().all(|answer| answer.best.is_none()) { Err(Failure::failed(NothingReaches)) } else { Ok(()) }
}

fn failure(error: ReportError) -> Failure {
    if error.is_input() { Failure::unusable(error) } else { Failure::failed(error) }
}
