//! `swarmloco man`: a manual page of each command, from the same words as `--help`.

use std::io;
use std::path::PathBuf;

use clap_mangen::Man;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::{Failure, command};
use crate::record::RecordError;
use crate::record::directory::write_bytes;

/// Write manual pages, one a command, into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco man --out ~/.local/share/man/man1
  man swarmloco-sweep")]
pub struct Args {
    /// Where the pages go; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Error, Diagnostic)]
enum ManError {
    #[error("cannot make a manual page: {0}")]
    Render(#[from] io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Writes the pages; prints their paths to stdout.
///
/// # Errors
/// A page cannot be written.
pub fn execute(args: &Args) -> Result<(), Failure> {
    // Built, so that each command knows its full name; `help` is no page.
    let mut root = command().disable_help_subcommand(true);
    root.build();
    write(args, &root).map_err(Failure::failed)
}

fn write(args: &Args, command: &clap::Command) -> Result<(), ManError> {
    let page = Man::new(command.clone());
    let path = args.out.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    // Under their own heading and unfilled: commands are not prose.
    let text = text.replacen(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n", 1);
    write_bytes(&path, text.as_bytes())?;
    println!("{}", path.display());
    command.get_subcommands().try_for_each(|command| write(args, command))
}
