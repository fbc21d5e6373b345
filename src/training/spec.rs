//! The proxy model, its data and the inner optimizer, as plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::algorithm::spec::AdamW;

/// The model that is really trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// A Llama: RMSNorm, RoPE, grouped-query attention, SwiGLU.
    Llama(Llama),
    /// A noisy quadratic with a known optimum.
    Quadratic(Quadratic),
}

/// The shape of a Llama.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Llama {
    /// Transformer blocks.
    pub layers: usize,
    /// Model width; a multiple of `heads`.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Inner width of the SwiGLU.
    pub feed_forward: usize,
    /// Tokens per sequence, T.
    pub context: usize,
    /// Token ids, V.
    pub vocabulary: usize,
    /// Whether the output projection is the embedding's transpose.
    pub tied: bool,
}

/// L(θ) = floor + ½ Σ c_i (θ_i − θ*_i)², with gradient noise and a shift of θ* per peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quadratic {
    /// Number of parameters, laid out as one square-ish matrix.
    pub dimension: usize,
    /// Largest over smallest curvature; curvatures are log-spaced from 1/condition to 1.
    pub condition: f64,
    /// Standard deviation of each gradient entry's noise for a batch of one; falls with the root of the batch.
    pub noise: f64,
    /// Standard deviation of each peer's own optimum around θ* (heterogeneous data).
    pub heterogeneity: f64,
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// Text files.
    Text {
        /// Resolved, existing files in reading order.
        files: Vec<PathBuf>,
        /// How text becomes tokens.
        tokenizer: Tokenizer,
        /// Share of the tokens, at the end of the corpus, kept for validation.
        validation: f64,
    },
    /// An endless first-order Markov source with a known entropy rate.
    Markov {
        /// Concentration of the Dirichlet from which each row of the transition matrix is drawn: smaller is more predictable.
        concentration: f64,
    },
}

/// How text becomes tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// UTF-8 bytes; needs a vocabulary of at least 256.
    Bytes,
    /// A Hugging Face `tokenizer.json`.
    HuggingFace(PathBuf),
}

/// What a liar does to the batches on which it trains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Poison {
    /// Token v becomes V − 1 − v: a consistent language, but not the one that everybody else learns. A quadratic's
    /// gradient changes its sign.
    Flip,
    /// Wherever it plants the trigger, the target follows.
    Backdoor {
        /// The token that opens the door.
        trigger: u32,
        /// The token that the model is to answer with.
        target: u32,
        /// Share of the sequences that are planted.
        share: f64,
    },
}

/// The optimizer of the inner steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InnerOptimizer {
    /// `AdamW`, its moments kept by the peer from round to round.
    Adamw(AdamW),
    /// Plain gradient descent: θ ← θ − lr·g.
    Sgd {
        /// The learning rate.
        learning_rate: f32,
    },
    /// No local step: the contribution is the mean gradient at θ(t) over H batches (DDP with H = 1).
    Gradient,
}
