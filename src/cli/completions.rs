//! `swarmloco completions`: what a shell needs to complete this program's words.

use std::io::{self, Write};

use clap_complete::Shell;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::{Failure, NAME, command};

/// Print the completions of commands and options for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco completions bash > ~/.local/share/bash-completion/completions/swarmloco
  swarmloco completions zsh > ~/.zfunc/_swarmloco   # with ~/.zfunc in fpath
  swarmloco completions fish > ~/.config/fish/completions/swarmloco.fish")]
pub struct Args {
    /// Whose language
    shell: Shell,
}

#[derive(Debug, Error, Diagnostic)]
#[error("cannot print the completions: {0}")]
struct Unprintable(io::Error);

/// Prints the completions to stdout.
///
/// # Errors
/// stdout is gone.
pub fn execute(args: &Args) -> Result<(), Failure> {
    // First into memory: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), NAME, &mut script);
    io::stdout().write_all(&script).map_err(|error| Failure::failed(Unprintable(error)))
}
