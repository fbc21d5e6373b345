//! The scenario: one YAML file, read strictly, checked whole, resolved to plain data.
//!
//! `document` (text to a tree with positions) → `overrides` → `resolve` (collects every mistake) → [`Scenario`]. Nothing
//! here writes to disk. Files that a scenario names are relative to the current directory.

mod document;
mod overrides;
mod problem;
mod reader;
mod resolve;
mod schema;
pub mod sweep;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::adversary::spec::Adversary;
use crate::cost::Deployment;
use crate::protocol::spec::{NetworkSpec, PeerClass, Protocol, Validation};
use crate::quantity::Seed;
use crate::training::spec::{Data, Model};
pub use problem::{Mistake, ScenarioError, ScenarioErrors};
pub use sweep::Sweep;

/// A scenario in which nothing is left to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its name: lower-case letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// The root of all randomness.
    pub seed: Seed,
    /// Outer steps.
    pub rounds: u32,
    /// Whether the proxy is really trained (`model`) or only the clock runs (`none`).
    pub training: Training,
    /// The proxy model.
    pub model: Model,
    /// A Hugging Face directory that holds θ(0); `None`: θ(0) is drawn from the seed.
    pub initial_model: Option<PathBuf>,
    /// Its data; `None` for models that make their own.
    pub data: Option<Data>,
    /// Sequences per peer and inner step at proxy scale.
    pub batch: u32,
    /// When and on how much the shared model is evaluated.
    pub evaluation: Evaluation,
    /// What is charged.
    pub deployment: Deployment,
    /// The algorithm and the rules of a round.
    pub protocol: Protocol,
    /// Who takes part.
    pub peers: Vec<PeerClass>,
    /// What lies between them.
    pub network: NetworkSpec,
    /// Who of them lies.
    pub adversaries: Vec<Adversary>,
    /// Who judges them; `None`: nobody.
    pub validator: Option<Validation>,
}

/// Whether the proxy is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Training {
    /// Every peer trains.
    Model,
    /// The clock alone.
    None,
}

/// Evaluation of the shared model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Every this many rounds; the initial and the last model are always evaluated.
    pub every: u32,
    /// Validation sequences, the same each time.
    pub sequences: u32,
}

impl Scenario {
    /// Reads the scenario in `path`, with `overrides` of the form `PATH=VALUE`.
    ///
    /// # Errors
    /// The file cannot be read, or there are mistakes in it or in the overrides: all of them.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ScenarioError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| ScenarioError::Unreadable { path: name.clone(), error })?;
        Ok(Self::from_text(&name, &text, overrides).map_err(Box::new)?)
    }

    /// Reads a scenario from `text`, which messages call `name`.
    ///
    /// # Errors
    /// There are mistakes: all of them.
    pub fn from_text(name: &str, text: &str, overrides: &[String]) -> Result<Self, ScenarioErrors> {
        let given = overrides.iter().map(|text| ("--set".to_owned(), text.clone()));
        let sources: Vec<(String, String)> = std::iter::once((name.to_owned(), text.to_owned())).chain(given).collect();
        let mut root = document::parse(text, 0).map_err(|problem| ScenarioErrors::new(&sources, vec![problem]))?;
        let applied =
            overrides.iter().zip(1..).filter_map(|(text, source)| overrides::apply(&mut root, text, source).err());
        let problems: Vec<problem::Problem> = applied.collect();
        if !problems.is_empty() {
            return Err(ScenarioErrors::new(&sources, problems));
        }
        let reader = reader::Reader::default();
        match resolve::scenario(&reader, &root) {
            Some(scenario) if reader.is_clean() => Ok(scenario),
            _ => Err(ScenarioErrors::new(&sources, reader.into_problems())),
        }
    }
}

/// The JSON Schema (draft-07) of scenario files.
#[must_use]
pub fn schema_text() -> String {
    serde_json::to_string_pretty(&schema::schema()).expect("because a schema is plain data")
}
