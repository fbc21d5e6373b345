//! `swarmloco schema`: the JSON Schema of scenario files.

use crate::cli::Failure;
use crate::scenario;

/// Print the JSON Schema (draft-07) of scenario files, for editors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco schema > scenarios/schema.json")]
pub struct Args {}

/// Prints the schema to stdout.
///
/// # Errors
/// None: the schema is part of the program.
pub fn execute(_: &Args) -> Result<(), Failure> {
    println!("{}", scenario::schema_text());
    Ok(())
}
