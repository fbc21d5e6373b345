//! What was run, and what the host measured.

use serde::{Deserialize, Serialize};

use crate::quantity::Seed;
use crate::scenario::Scenario;

/// The manifest's file name; a directory that has it is a run directory.
pub const MANIFEST: &str = "manifest.json";
/// The host report's file name.
pub const HOST: &str = "host.json";
/// The format of run directories; raised when their files change in a way that older programs cannot read.
pub const FORMAT: u32 = 2;

/// What was run and how far it came. A function of scenario, seed and program: nothing from the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Who wrote it.
    pub program: Program,
    /// The root of all randomness; also in the scenario.
    pub seed: Seed,
    /// Whether the run came to its end.
    pub status: Status,
    /// Outer steps taken.
    pub rounds_done: u32,
    /// The hash of all events and rows, 16 hexadecimal digits.
    pub audit: String,
    /// Losses to compare with.
    pub references: References,
    /// The scenario in which nothing is left to decide.
    pub scenario: Scenario,
}

/// As much of a manifest as another version of the program can read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Brief {
    /// [`FORMAT`].
    pub format: u32,
    /// Who wrote it.
    pub program: Program,
    /// The root of all randomness.
    pub seed: Seed,
    /// Whether the run came to its end.
    pub status: Status,
    /// Outer steps taken.
    pub rounds_done: u32,
    /// Of the scenario only its name.
    pub scenario: Named,
}

/// A scenario's name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Whether a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All rounds are done.
    Finished,
    /// It was stopped, or it still runs; it can be resumed from its checkpoint.
    Interrupted,
}

/// Losses of known predictors on the run's data \[nats per token\].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct References {
    /// What knowing only token frequencies achieves.
    pub unigram: Option<f64>,
    /// What no model can beat: the source's entropy rate.
    pub floor: Option<f64>,
}

/// Everything measured on the host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HostReport {
    /// Wall-clock of the whole run \[s\], resumed stretches included as far as they are known.
    pub wall_s: f64,
    /// Wall-clock of its parts, in the order in which they are to be read.
    pub parts: Vec<HostPart>,
    /// Largest resident set \[bytes\]; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Threads that trained.
    pub threads: u32,
    /// What trained: `cpu`, `cuda:0`.
    pub device: String,
}

/// One part of the wall-clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostPart {
    /// What was done: `training`, `evaluation`, `checkpoint`, …
    pub name: String,
    /// For how long \[s\].
    pub wall_s: f64,
}

impl Program {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

impl Manifest {
    /// The manifest of a run by this program; `audit` is the hash as it prints itself.
    #[must_use]
    pub fn new(scenario: Scenario, references: References, audit: String, rounds_done: u32, status: Status) -> Self {
        Self {
            format: FORMAT,
            program: Program::this(),
            seed: scenario.seed,
            status,
            rounds_done,
            audit,
            references,
            scenario,
        }
    }
}
