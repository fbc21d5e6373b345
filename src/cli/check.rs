//! `swarmloco check`: has a change moved a convergence curve?

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use crate::cli::{Failure, Format};
use crate::record::RecordError;
use crate::record::directory::write_text;
use crate::report::check::{Check, CheckError, check};

/// Say whether a change has moved a convergence curve: runs of several seeds against those of a baseline.
///
/// Exit status: 0 the same, 1 moved, 2 not comparable.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco sweep scenarios/quickstart.yaml --seeds 1..5 --out before   # with the old program
  swarmloco sweep scenarios/quickstart.yaml --seeds 1..5 --out after    # with the new one
  swarmloco check after --baseline before --junit check.xml --markdown check.md")]
pub struct Args {
    /// What is checked: a run directory or a sweep directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// What it is compared with: a run directory or a sweep directory
    #[arg(long, value_name = "DIR")]
    baseline: PathBuf,
    /// The largest change of a mean loss that counts as none, as a share of the baseline's
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = margin)]
    margin: f64,
    /// Write the findings as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the findings as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Where figures of both curves go [default: the checked directory's name and `-check`, beside it]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Error, Diagnostic)]
#[error("something has moved")]
#[diagnostic(help("if that is intended, make the checked runs the new baseline"))]
struct Moved;

fn margin(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a share between 0 and 1, for instance 0.01".to_owned()),
    }
}

/// Prints the findings to stdout, and writes figures and the files that were asked for.
///
/// # Errors
/// The runs cannot be compared, a file cannot be written, or something has moved.
pub fn execute(args: &Args) -> Result<(), Failure> {
    let check = check(&args.directory, &args.baseline, args.margin).map_err(failure)?;
    write(args, &check).map_err(Failure::failed)?;
    match args.format {
        Format::Text => print!("{}", check.text()),
        Format::Json => println!("{}", serde_json::to_string_pretty(&check).expect("because findings are plain data")),
    }
    if check.is_same() { Ok(()) } else { Err(Failure::failed(Moved)) }
}

fn write(args: &Args, check: &Check) -> Result<(), CheckError> {
    let keep = |path: &Path, text: &str| -> Result<(), RecordError> { write_text(path, text).map(drop) };
    let out = args.out.clone().unwrap_or_else(|| {
        let name = args.directory.file_name().map(|name| format!("{}-check", name.to_string_lossy()));
        args.directory.with_file_name(name.unwrap_or_else(|| "check".to_owned()))
    });
    for (file, svg) in check.figures()? {
        keep(&out.join(file), &svg).map_err(crate::report::ReportError::from)?;
    }
    if let Some(path) = &args.junit {
        keep(path, &check.junit()).map_err(crate::report::ReportError::from)?;
    }
    if let Some(path) = &args.markdown {
        keep(path, &check.markdown()).map_err(crate::report::ReportError::from)?;
    }
    Ok(())
}

fn failure(error: CheckError) -> Failure {
    match &error {
        CheckError::Report(report) if !report.is_input() => Failure::failed(error),
        _ => Failure::unusable(error),
    }
}
