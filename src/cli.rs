//! The command line: parse, dispatch, say what went wrong.
//!
//! stdout is data, stderr is progress and messages. Exit status: 0 done, 1 the run failed, 2 the input was unusable,
//! 130 interrupted and resumable.

pub mod bench;
pub mod check;
pub mod codec;
pub mod estimate;
mod failure;
pub mod recommend;
pub mod report;
pub mod run;
pub mod schema;
pub mod sweep;
pub mod validate;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

pub use failure::Failure;

/// A wind tunnel for permissionless low-communication training.
///
/// Simulates a churning swarm in virtual time, while every peer really trains a small model and every payload is really
/// compressed.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Sweep(sweep::Args),
    Report(report::Args),
    Recommend(recommend::Args),
    Check(check::Args),
    Estimate(estimate::Args),
    Validate(validate::Args),
    Schema(schema::Args),
    Codec(codec::Args),
    Bench(bench::Args),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person.
    Text,
    /// One JSON object.
    Json,
}

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let command = Command::parse();
    prepare_messages();
    let outcome = match &command.verb {
        Verb::Run(args) => run::execute(args),
        Verb::Sweep(args) => sweep::execute(args),
        Verb::Report(args) => report::execute(args),
        Verb::Recommend(args) => recommend::execute(args),
        Verb::Check(args) => check::execute(args),
        Verb::Estimate(args) => estimate::execute(args),
        Verb::Validate(args) => validate::execute(args),
        Verb::Schema(args) => schema::execute(args),
        Verb::Codec(args) => codec::execute(args),
        Verb::Bench(args) => bench::execute(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match &failure {
                Failure::Failed(report) | Failure::Unusable(report) => eprintln!("{report:?}"),
                Failure::Interrupted => eprintln!("interrupted; what is done is on disk, `--resume` continues"),
            }
            ExitCode::from(failure.exit_status())
        }
    }
}

/// Messages are coloured on a terminal only, and readable without colour.
fn prepare_messages() {
    let coloured = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(coloured).without_time().with_target(false).init();
    let hooked = miette::set_hook(Box::new(move |_| {
        Box::new(miette::MietteHandlerOpts::new().color(coloured).unicode(coloured).width(120).build())
    }));
    hooked.expect("because the hook is set once");
}
