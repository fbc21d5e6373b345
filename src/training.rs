//! Real training of the proxy model on every virtual peer.
//!
//! Many peers of one architecture train at once, one thread each: [`build`] turns a description into a
//! [`TrainingBackend`], which runs phases (inner steps of a peer from θ(t)) and hands over their pseudo-gradients.
//!
//! - what is minimised: [`llama`] by hand-written passes on a [`corpus`] or a [`markov`] source, or a noisy quadratic;
//! - how: one trainer for all of them with `AdamW`, SGD or plain gradients, on a pool of threads that own all buffers;
//! - and against what it is tested: [`oracle`], the same Llama by automatic differentiation.
//!
//! A phase needs 8 bytes a parameter that a peer keeps (its moments) and nothing else of its own; a thread keeps θ, the
//! gradient and the activations of one batch.

pub mod backend;
pub mod corpus;
pub mod interchange;
mod lanes;
mod language;
pub mod llama;
pub mod markov;
pub mod oracle;
mod pool;
mod quadratic;
pub mod spec;
mod trainer;
pub mod yardstick;

use std::path::Path;

use thiserror::Error;

pub use self::backend::{InnerPhase, InnerState, PhaseOutcome, SequenceName, TrainingBackend, Trial};
use self::corpus::{Corpus, CorpusError};
use self::interchange::InterchangeError;
use self::language::{LanguageModel, Source};
use self::llama::Network;
use self::markov::{Markov, VOCABULARY_MAX};
use self::quadratic::NoisyQuadratic;
use self::spec::{Data, InnerOptimizer, Llama, Model, Quadratic};
use self::trainer::Trainer;
use crate::quantity::Seed;
use crate::sim::Streams;

/// What is to be trained, on what and how.
#[derive(Debug, Clone, Copy)]
pub struct BackendSpec<'a> {
    /// The proxy model.
    pub model: &'a Model,
    /// A directory with θ(0); `None`: drawn from the seed.
    pub initial: Option<&'a Path>,
    /// Its data; a quadratic needs none.
    pub data: Option<&'a Data>,
    /// Sequences per peer and inner step, B.
    pub batch: u32,
    /// The optimizer of the inner steps.
    pub optimizer: &'a InnerOptimizer,
    /// Fixed sequences on which the validation loss is measured.
    pub validation_sequences: u32,
    /// Of the initial parameters, the data and the noise.
    pub seed: Seed,
    /// Threads that train; results do not depend on it.
    pub threads: usize,
}

/// Why there is nothing to train; nothing was started.
#[derive(Debug, Error, miette::Diagnostic)]
pub enum TrainingError {
    /// A size that has to be positive is zero.
    #[error("`{name}` is at least 1")]
    Zero {
        /// Which.
        name: &'static str,
    },
    /// The heads do not share the width.
    #[error("`width` {width} is a multiple of twice `heads`, 2 × {heads}: rotation turns pairs of a head's values")]
    HeadWidth {
        /// Model width.
        width: usize,
        /// Query heads.
        heads: usize,
    },
    /// The query heads do not share the key and value heads.
    #[error("`kv_heads` {kv_heads} divides `heads` {heads}")]
    KvHeads {
        /// Query heads.
        heads: usize,
        /// Key and value heads.
        kv_heads: usize,
    },
    /// A number is out of its range.
    #[error("`{name}` is {expected}, not {value}")]
    Range {
        /// Which.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        value: f64,
    },
    /// A Llama without tokens.
    #[error("a `llama` needs `data`")]
    NoData,
    /// A transition matrix would not fit.
    #[error("a `markov` source has at most {VOCABULARY_MAX} token ids, not {vocabulary}")]
    MarkovVocabulary {
        /// Token ids of the model.
        vocabulary: usize,
    },
    /// The model to start from cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Initial(#[from] InterchangeError),
    /// The text cannot be used.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
}

/// Builds a backend: checks the description, reads the data, makes no thread yet.
///
/// # Errors
/// If the description is contradictory or the data cannot be used.
pub fn build(spec: &BackendSpec<'_>) -> Result<Box<dyn TrainingBackend>, TrainingError> {
    positive("batch", spec.batch as usize)?;
    positive("validation_sequences", spec.validation_sequences as usize)?;
    positive("threads", spec.threads)?;
    let (streams, optimizer) = (Streams::new(spec.seed), spec.optimizer.clone());
    match spec.model {
        Model::Quadratic(shape) => {
            check_quadratic(shape)?;
            let objective = NoisyQuadratic::new(shape, spec.batch, streams);
            Ok(Box::new(Trainer::new(objective, optimizer, spec.threads)))
        }
        Model::Llama(shape) => {
            check_llama(shape)?;
            let source = source(spec.data.ok_or(TrainingError::NoData)?, shape, streams)?;
            let (batch, sequences) = (spec.batch as usize, spec.validation_sequences as usize);
            let network = Network::new(shape);
            let initial = spec.initial.map(|directory| interchange::read(directory, &network)).transpose()?;
            let objective = LanguageModel::new(network, initial, source, batch, sequences, streams);
            Ok(Box::new(Trainer::new(objective, optimizer, spec.threads)))
        }
    }
}

fn source(data: &Data, shape: &Llama, streams: Streams) -> Result<Source, TrainingError> {
    match data {
        Data::Text { files, tokenizer, validation } => {
            Ok(Source::Corpus(Corpus::read(files, tokenizer, *validation, shape.context, shape.vocabulary)?))
        }
        Data::Markov { concentration } => {
            let vocabulary = shape.vocabulary;
            if vocabulary > VOCABULARY_MAX {
                return Err(TrainingError::MarkovVocabulary { vocabulary });
            }
            in_range("concentration", "positive", *concentration, |value| value > 0.0)?;
            Ok(Source::Markov(Markov::new(vocabulary, *concentration, streams)))
        }
    }
}

/// Whether the sizes of a Llama fit together.
///
/// # Errors
/// One is zero, or heads do not divide what they share.
pub fn check_llama(shape: &Llama) -> Result<(), TrainingError> {
    let &Llama { layers, width, heads, kv_heads, feed_forward, context, vocabulary, tied: _ } = shape;
    let sizes = [
        ("layers", layers),
        ("width", width),
        ("heads", heads),
        ("kv_heads", kv_heads),
        ("feed_forward", feed_forward),
        ("context", context),
        ("vocabulary", vocabulary),
    ];
    sizes.into_iter().try_for_each(|(name, size)| positive(name, size))?;
    if !width.is_multiple_of(2 * heads) {
        return Err(TrainingError::HeadWidth { width, heads });
    }
    if !heads.is_multiple_of(kv_heads) {
        return Err(TrainingError::KvHeads { heads, kv_heads });
    }
    Ok(())
}

fn check_quadratic(shape: &Quadratic) -> Result<(), TrainingError> {
    positive("dimension", shape.dimension)?;
    in_range("condition", "at least 1", shape.condition, |value| value >= 1.0)?;
    in_range("noise", "not negative", shape.noise, |value| value >= 0.0)?;
    in_range("heterogeneity", "not negative", shape.heterogeneity, |value| value >= 0.0)
}

fn positive(name: &'static str, size: usize) -> Result<(), TrainingError> {
    if size == 0 { Err(TrainingError::Zero { name }) } else { Ok(()) }
}

fn in_range(
    name: &'static str,
    expected: &'static str,
    value: f64,
    fits: impl Fn(f64) -> bool,
) -> Result<(), TrainingError> {
    if value.is_finite() && fits(value) { Ok(()) } else { Err(TrainingError::Range { name, expected, value }) }
}
