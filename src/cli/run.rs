//! `swarmloco run`: one scenario, one run directory.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::Failure;
use crate::host::run::CHECKPOINT_INTERVAL_S;
use crate::host::{self, End, Interrupt, Options};
use crate::protocol::rows::RoundRow;
use crate::quantity::{Duration, Seed};
use crate::scenario::Scenario;

/// Run a scenario: every peer trains, and tables and figures go into a run directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco run scenarios/quickstart.yaml
  swarmloco run scenarios/quickstart.yaml --set protocol.inner_steps=15 --seed 2 --out results/runs/h15
  swarmloco run scenarios/quickstart.yaml --resume   # after an interruption")]
pub struct Args {
    /// The scenario file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Change a value, e.g. `protocol.inner_steps=15`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// The seed, instead of the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The run directory [default: `results/runs/NAME-seedN`]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads that train [default: all cores]; results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Continue the interrupted run in the run directory
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Replace the run in the run directory
    #[arg(long)]
    overwrite: bool,
    /// Seconds of wall-clock between two checkpoints; results do not depend on it
    #[arg(long, value_name = "SECONDS", default_value_t = CHECKPOINT_INTERVAL_S)]
    checkpoint_every: f64,
    /// No progress bar
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Error, Diagnostic)]
enum RunError {
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(std::io::Error),
    #[error("nobody is left: the swarm died out before the last round")]
    #[diagnostic(help("give some peers longer sessions, shorter absences, or let new ones arrive"))]
    Deserted,
}

/// Runs; prints the run directory to stdout.
///
/// # Errors
/// The scenario or the run directory is unusable, a file cannot be written, or somebody interrupts.
pub fn execute(args: &Args) -> Result<(), Failure> {
    let mut scenario = Scenario::load(&args.scenario, &args.overrides).map_err(Failure::unusable)?;
    if let Some(seed) = args.seed {
        scenario.seed = Seed(seed);
    }
    let default_out = || PathBuf::from(format!("results/runs/{}-seed{}", scenario.name, scenario.seed));
    let options = Options {
        out: args.out.clone().unwrap_or_else(default_out),
        threads: args.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get),
        checkpoint_interval_s: args.checkpoint_every,
        resume: args.resume,
        overwrite: args.overwrite,
    };
    let interrupt = Interrupt::listen().map_err(|error| Failure::failed(RunError::Signals(error)))?;
    let bar = progress_bar(args.quiet, &scenario);
    let end = host::run(&scenario, &options, &interrupt, |row| show(&bar, row));
    bar.finish_and_clear();
    match end {
        Ok(End::Finished) => {
            println!("{}", options.out.display());
            Ok(())
        }
        Ok(End::Interrupted) => Err(Failure::Interrupted),
        Ok(End::Deserted) => Err(Failure::failed(RunError::Deserted)),
        Err(error) if error.is_input() => Err(Failure::unusable(error)),
        Err(error) => Err(Failure::failed(error)),
    }
}

fn progress_bar(quiet: bool, scenario: &Scenario) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:24} round {pos}/{len} {msg}, {eta} left")
        .expect("because the template is well-formed");
    ProgressBar::new(u64::from(scenario.rounds)).with_style(style).with_prefix(scenario.name.clone())
}

fn show(bar: &ProgressBar, row: &RoundRow) {
    bar.set_position(u64::from(row.round) + 1);
    let time = Duration::from_secs_f64(row.time_s);
    match row.validation_loss.or(row.training_loss) {
        Some(loss) => bar.set_message(format!("loss {loss:.3}, {time} simulated")),
        None => bar.set_message(format!("{time} simulated")),
    }
}
