//! How a command ends badly, and the exit status that says so.

use miette::{Diagnostic, Report};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The input was unusable; nothing was written. Exit status 2.
    Unusable(Report),
    /// The work failed. Exit status 1.
    Failed(Report),
    /// Interrupted; what was done is readable. Exit status 130.
    Interrupted,
}

impl Failure {
    /// The input's fault.
    pub fn unusable(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self::Unusable(Report::new(error))
    }

    /// Ours, or the machine's.
    pub fn failed(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self::Failed(Report::new(error))
    }

    /// The process's exit status.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Unusable(_) => 2,
            Self::Interrupted => 130,
        }
    }
}
