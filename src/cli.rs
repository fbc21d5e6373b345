//! The command line: parse, dispatch, say what went wrong.
//!
//! stdout is data, stderr is progress and messages. Exit status: 0 done, 1 the run failed, 2 the input was unusable,
//! 130 interrupted and resumable.

pub mod bench;
pub mod check;
pub mod codec;
pub mod completions;
pub mod estimate;
mod failure;
pub mod man;
pub mod recommend;
pub mod report;
pub mod run;
pub mod schema;
pub mod sweep;
pub mod validate;

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

pub use failure::Failure;

/// What the program is called.
const NAME: &str = env!("CARGO_PKG_NAME");

/// A wind tunnel for permissionless low-communication training.
///
/// Simulates a churning swarm in virtual time, while every peer really trains a small model and every payload is really
/// compressed.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  swarmloco run scenarios/quickstart.yaml
  swarmloco sweep scenarios/quickstart.yaml --axis protocol.inner_steps=5,15,30 --seeds 1..3
  swarmloco help sweep")]
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
    Completions(completions::Args),
    Man(man::Args),
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
        Verb::Completions(args) => completions::execute(args),
        Verb::Man(args) => man::execute(args),
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

/// The command line's grammar.
fn command() -> clap::Command {
    Command::command()
}

/// Messages are readable without colour, and coloured where [`is_coloured`] says so.
#[expect(clippy::disallowed_methods, reason = "the command line may look: colour feeds into no run")]
fn prepare_messages() {
    let is_terminal = std::io::stderr().is_terminal();
    let coloured = is_coloured(is_terminal, std::env::var_os("NO_COLOR").as_deref());
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(coloured).without_time().with_target(false).init();
    let hooked = miette::set_hook(Box::new(move |_| {
        Box::new(miette::MietteHandlerOpts::new().color(coloured).unicode(is_terminal).width(120).build())
    }));
    hooked.expect("because the hook is set once");
}

/// On a terminal only, and not where `NO_COLOR` is set to anything but nothing (no-color.org).
fn is_coloured(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(command: &clap::Command, look: &mut impl FnMut(&clap::Command)) {
        look(command);
        command.get_subcommands().for_each(|command| visit(command, look));
    }

    fn built() -> clap::Command {
        let mut root = command().disable_help_subcommand(true);
        root.build();
        root
    }

    /// The examples in the help of a command, each on one line.
    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let text = help.strip_prefix("Examples:\n").unwrap_or_default().replace("\\\n", "");
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_an_example_of_it() {
        visit(&built(), &mut |command| {
            let name = command.get_display_name().unwrap_or(NAME).replace('-', " ");
            assert!(examples(command).iter().any(|line| line.starts_with(&name)), "`{name} --help` shows no example");
        });
    }

    #[test]
    fn every_example_is_understood() {
        let mut seen = 0;
        visit(&built(), &mut |tree| {
            for line in examples(tree).iter().filter(|line| line.starts_with("swarmloco ")) {
                // What is behind `>` is the shell's.
                let words = shlex::split(line).expect("it is quoted as a shell wants it");
                let words = words.into_iter().take_while(|word| word != ">");
                match command().try_get_matches_from(words) {
                    Ok(_) => seen += 1,
                    Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => seen += 1,
                    Err(error) => panic!("{line}\n{error}"),
                }
            }
        });
        assert!(seen >= 20, "{seen} examples");
    }

    #[test]
    fn no_color_takes_colour_from_a_terminal_and_nothing_gives_it_to_a_file() {
        let set = OsStr::new("1");
        assert!(is_coloured(true, None) && is_coloured(true, Some(OsStr::new(""))));
        assert!(!is_coloured(true, Some(set)) && !is_coloured(false, None));
    }
}
