//! The scenario: one YAML file, read strictly, checked whole, resolved to plain data.
//!
//! `document` (text to a tree with positions) → `raw` (serde mirror, everything optional) → `resolve` (collects every
//! problem) → [`Scenario`]. Nothing here writes to disk.

use serde::{Deserialize, Serialize};

use crate::cost::Deployment;
use crate::protocol::spec::{NetworkSpec, PeerClass, Protocol};
use crate::quantity::Seed;
use crate::training::spec::{Data, Model};

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
