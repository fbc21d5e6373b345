//! `swarmloco validate`: is a scenario right?

use std::path::PathBuf;

use miette::Report;

use crate::cli::Failure;
use crate::scenario::Scenario;

/// Check scenarios: every mistake with its place and what was expected.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco validate scenarios/*.yaml
  swarmloco validate scenarios/quickstart.yaml --set protocol.inner_steps=15")]
pub struct Args {
    /// Scenario files
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Change a value first, e.g. `protocol.inner_steps=15`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
}

/// Checks all of them; prints the name of each good one to stdout and the mistakes of the others to stderr.
///
/// # Errors
/// A scenario has mistakes or cannot be read.
pub fn execute(args: &Args) -> Result<(), Failure> {
    let mut failure = None;
    for path in &args.scenarios {
        match Scenario::load(path, &args.overrides) {
            Ok(scenario) => println!("ok: {}", scenario.name),
            Err(errors) => {
                if let Some(Failure::Unusable(report)) = failure.replace(Failure::Unusable(Report::new(errors))) {
                    eprintln!("{report:?}");
                }
            }
        }
    }
    failure.map_or(Ok(()), Err)
}
