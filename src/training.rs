//! Real training of the proxy model on every virtual peer.
//!
//! `backend` is the seam to the protocol; `trainer` runs inner phases of an objective, one peer a thread (`pool`);
//! objectives are `language` (`llama` on `corpus` or `markov`) and `quadratic`. `oracle` is the Llama once more, by
//! automatic differentiation, for tests and benchmarks.

pub mod backend;
pub mod corpus;
mod lanes;
mod language;
pub mod llama;
pub mod markov;
pub mod oracle;
mod pool;
mod quadratic;
pub mod spec;
mod trainer;

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use self::language::Language;
use self::quadratic::NoisyQuadratic;
use self::spec::{Data, InnerOptimizer, Model};
use self::trainer::Trainer;
use crate::quantity::Seed;
use crate::sim::Streams;

pub use backend::{InnerPhase, InnerState, PhaseOutcome, TrainingBackend};

/// All that a backend is made from.
#[derive(Debug, Clone, Copy)]
pub struct BackendSpec<'a> {
    /// The proxy model.
    pub model: &'a Model,
    /// Its data; a quadratic needs none.
    pub data: Option<&'a Data>,
    /// Sequences of an inner step.
    pub batch: u32,
    /// The inner optimizer.
    pub optimizer: &'a InnerOptimizer,
    /// Sequences of the validation set.
    pub validation_sequences: u32,
    /// The root of initial parameters and data.
    pub seed: Seed,
    /// Threads; results do not depend on it.
    pub threads: usize,
}

/// Data that cannot be trained on.
#[derive(Debug, Error, Diagnostic)]
pub enum TrainingError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A tokenizer cannot be read, or a text not be encoded.
    #[error("cannot tokenize with `{}`: {reason}", path.display())]
    Tokenizer {
        /// The tokenizer or the text.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A token is not in the model's vocabulary.
    #[error("the data has the token {token}, the model only {vocabulary} tokens")]
    #[diagnostic(help("raise `model.llama.vocabulary` above the largest token"))]
    Vocabulary {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// The corpus is too short.
    #[error("the corpus is too short: its smaller part has {found} tokens, a sequence needs {needed}")]
    #[diagnostic(help("shorten `model.llama.context`, or add text"))]
    TooShort {
        /// Tokens of the smaller of training and validation part.
        found: usize,
        /// T + 1.
        needed: usize,
    },
    /// There is no data.
    #[error("a llama needs data")]
    NoData,
}

/// Makes the backend of a run.
///
/// # Errors
/// The data cannot be trained on.
pub fn build(spec: &BackendSpec<'_>) -> Result<Box<dyn TrainingBackend>, TrainingError> {
    let streams = Streams::new(spec.seed);
    match spec.model {
        Model::Llama(shape) => {
            let data = spec.data.ok_or(TrainingError::NoData)?;
            let language = Language::new(shape, data, spec.batch, spec.validation_sequences, streams)?;
            Ok(Box::new(Trainer::new(language, spec.optimizer.clone(), spec.threads)))
        }
        Model::Quadratic(quadratic) => {
            let objective = NoisyQuadratic::new(quadratic, spec.batch, streams);
            Ok(Box::new(Trainer::new(objective, spec.optimizer.clone(), spec.threads)))
        }
    }
}
