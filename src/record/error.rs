//! What can go wrong between a run and its directory.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

/// A run directory could not be written or read. Files that were there before are whole, old or new.
#[derive(Debug, Error, Diagnostic)]
pub enum RecordError {
    /// The operating system refused.
    #[error("cannot {action} `{}`", path.display())]
    #[diagnostic(help("{}", advice(source)))]
    Io {
        /// What was tried: `write`, `read`, …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The directory is somebody else's.
    #[error("`{}` is not empty and not a run directory: it holds `{found}`", path.display())]
    #[diagnostic(help("choose a new directory, or empty this one"))]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of its entries.
        found: String,
    },
    /// The directory holds a finished run.
    #[error("`{}` holds a finished run already", path.display())]
    #[diagnostic(help("`--overwrite` replaces it, `--out` puts the run elsewhere"))]
    Finished {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is somebody else's.
    #[error("`{}` is not empty and not a sweep directory: it holds `{found}`", path.display())]
    #[diagnostic(help("choose a new directory, or empty this one"))]
    ForeignSweep {
        /// The directory.
        path: PathBuf,
        /// One of its entries.
        found: String,
    },
    /// The directory holds a sweep.
    #[error("`{}` holds a sweep already", path.display())]
    #[diagnostic(help("`--resume` goes on with it, `--overwrite` replaces it, `--out` puts the sweep elsewhere"))]
    SweepExists {
        /// The directory.
        path: PathBuf,
    },
    /// There is no `sweep.json`.
    #[error("`{}` is not a sweep directory: it has no `{}`", path.display(), super::sweep::SWEEP)]
    #[diagnostic(help("name a directory that `swarmloco sweep` has written"))]
    NotASweep {
        /// The directory.
        path: PathBuf,
    },
    /// Somebody else writes there.
    #[error("another process uses `{}`", path.display())]
    #[diagnostic(help("wait for it to end, or choose another directory"))]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// There is no manifest.
    #[error("`{}` is not a run directory: it has no `{}`", path.display(), super::manifest::MANIFEST)]
    #[diagnostic(help("name a directory that `swarmloco run` has written"))]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the run is not there.
    #[error("the run directory has no `{}`", path.display())]
    #[diagnostic(help(
        "the run was interrupted before it was written, or somebody removed it: run the scenario again"
    ))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The directory was written in another format.
    #[error("`{}` has format {found}, this program reads {expected}", path.display())]
    #[diagnostic(help("use the version of the program that wrote it, or run the scenario again"))]
    Format {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The manifest has our format, but its scenario has other fields than ours.
    #[error("`{}` was written by another build of the program, or was changed: {reason}", path.display())]
    #[diagnostic(help("run the scenario again with `--overwrite`"))]
    OtherBuild {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not what its name says.
    #[error("`{}` cannot be read: {reason}", path.display())]
    #[diagnostic(help("it was changed or damaged after it was written: run the scenario again"))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There are checkpoints, but none can be resumed from.
    #[error("no usable checkpoint in `{}`: {}", path.display(), reasons.join("; "))]
    #[diagnostic(help("resume with the program and the scenario that wrote it, or start afresh"))]
    NoCheckpoint {
        /// The directory of checkpoints.
        path: PathBuf,
        /// For each of them, why not.
        reasons: Vec<String>,
    },
}

impl RecordError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the fault lies in what was read, rather than in writing.
    #[must_use]
    pub fn is_input(&self) -> bool {
        match self {
            Self::Io { action, .. } => *action == "read",
            Self::Locked { .. } => false,
            Self::Foreign { .. }
            | Self::ForeignSweep { .. }
            | Self::SweepExists { .. }
            | Self::NotASweep { .. }
            | Self::Finished { .. }
            | Self::NotARun { .. }
            | Self::Missing { .. }
            | Self::Format { .. }
            | Self::OtherBuild { .. }
            | Self::Malformed { .. }
            | Self::NoCheckpoint { .. } => true,
        }
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "check who may write there",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a part of the path is a file: choose another directory"
        }
        _ => "check the path and the disk",
    }
}
