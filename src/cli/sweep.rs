//! `swarmloco sweep`: one scenario along axes and seeds, in one sweep directory.

mod progress;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::cli::Failure;
use crate::host::run::CHECKPOINT_INTERVAL_S;
use crate::host::sweep::{self, SweepOptions};
use crate::host::{HostError, Interrupt};
use crate::scenario::Sweep;
use crate::scenario::sweep::Additions;

/// Run a scenario along axes of values, with several seeds: cells side by side, each done once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco sweep scenarios/ablations/h-k.yaml
  swarmloco sweep scenarios/quickstart.yaml --axis protocol.inner_steps=5,15,30 --seeds 1..3
  swarmloco sweep scenarios/quickstart.yaml \\
    --axis 'protocol.inner_optimizer.adamw.learning_rate={log_uniform: {low: 1e-4, high: 1e-2, samples: 8}}'")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// A sweep file (it names its `scenario`), or a scenario
    #[arg(value_name = "SWEEP")]
    sweep: PathBuf,
    /// One more axis, e.g. `protocol.inner_steps=5,15,30`
    #[arg(long = "axis", value_name = "PATH=v1,v2")]
    axes: Vec<String>,
    /// Change a value in all cells, e.g. `rounds=10`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// Seeds instead of the file's: `1..5` (both included) or `1,2,7`
    #[arg(long, value_name = "A..B")]
    seeds: Option<String>,
    /// Runs at a time [default: as many as there are cores]; jobs times threads never exceed the cores
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// The sweep directory [default: `results/runs/NAME`]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the sweep in the sweep directory; finished runs are used as they are
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Replace the sweep in the sweep directory
    #[arg(long)]
    overwrite: bool,
    /// Train every cell by itself, also those whose learning is the same; results do not depend on it
    #[arg(long)]
    unshared: bool,
    /// Seconds of wall-clock between two checkpoints; results do not depend on it
    #[arg(long, value_name = "SECONDS", default_value_t = CHECKPOINT_INTERVAL_S)]
    checkpoint_every: f64,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Error, Diagnostic)]
enum SweepError {
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(std::io::Error),
    #[error("{failed} of {runs} runs failed, for the reasons above")]
    #[diagnostic(help("the others are done; `--resume` tries these again"))]
    Failed { failed: usize, runs: usize },
}

/// Sweeps; prints the sweep directory to stdout.
///
/// # Errors
/// The sweep or its directory is unusable, a run fails, or somebody interrupts.
pub fn execute(args: &Args) -> Result<(), Failure> {
    let additions = Additions { overrides: args.overrides.clone(), axes: args.axes.clone(), seeds: args.seeds.clone() };
    let sweep = Sweep::load(&args.sweep, &additions).map_err(Failure::unusable)?;
    let runs = sweep::works(&sweep).len();
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (jobs, threads) = share(cores, args.jobs.map(NonZeroUsize::get), runs);
    let options = SweepOptions {
        out: args.out.clone().unwrap_or_else(|| PathBuf::from("results/runs").join(&sweep.name)),
        jobs,
        threads,
        checkpoint_interval_s: args.checkpoint_every,
        sharing: !args.unshared,
        resume: args.resume,
        overwrite: args.overwrite,
        command: command(args),
    };
    let interrupt = Interrupt::listen().map_err(|error| Failure::failed(SweepError::Signals(error)))?;
    let display = progress::Display::new(args.quiet, &sweep);
    let end = sweep::sweep(&sweep, &options, &interrupt, &|work, notice| display.show(work, &notice));
    display.finish();
    let end = end.map_err(failure)?;
    if end.is_interrupted {
        return Err(Failure::Interrupted);
    }
    println!("{}", options.out.display());
    if end.failed > 0 {
        return Err(Failure::failed(SweepError::Failed { failed: end.failed, runs: end.runs }));
    }
    Ok(())
}

fn failure(error: HostError) -> Failure {
    if error.is_input() { Failure::unusable(error) } else { Failure::failed(error) }
}

/// Jobs and threads of each, never more in all than cores.
fn share(cores: usize, wanted: Option<usize>, runs: usize) -> (usize, usize) {
    let jobs = wanted.unwrap_or(cores).min(cores).min(runs).max(1);
    (jobs, cores / jobs)
}

/// The command that makes the same tables: what only decides where and how fast is left out.
fn command(args: &Args) -> String {
    let mut words = vec!["swarmloco sweep".to_owned(), quoted(&args.sweep.display().to_string())];
    let options = [("--set", &args.overrides), ("--axis", &args.axes)];
    words.extend(
        options.iter().flat_map(|(option, values)| values.iter().map(move |it| format!("{option} {}", quoted(it)))),
    );
    words.extend(args.seeds.iter().map(|seeds| format!("--seeds {}", quoted(seeds))));
    words.join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=,:+@".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_times_threads_never_exceed_the_cores() {
        for cores in 1..9 {
            for wanted in [None, Some(1), Some(3), Some(100)] {
                for runs in [1, 2, 5, 100] {
                    let (jobs, threads) = share(cores, wanted, runs);
                    assert!(jobs >= 1 && threads >= 1 && jobs * threads <= cores, "{cores} {wanted:?} {runs}");
                }
            }
        }
        assert_eq!(share(8, None, 100), (8, 1));
        assert_eq!(share(8, None, 2), (2, 4));
    }

    #[test]
    fn words_with_blanks_are_quoted() {
        assert_eq!(quoted("a/b.yaml"), "a/b.yaml");
        assert_eq!(quoted("x={a: 'b'}"), "'x={a: '\\''b'\\''}'");
    }
}
