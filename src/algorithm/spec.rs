//! The choices of the algorithm, as plain data.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::pack::INDEX_END;

mod aggregation;

pub use aggregation::{Absent, Aggregation, Average, Clip, Mixing, Rule};

/// How a pseudo-gradient becomes a payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Every value, at `value_bits` (32: f32, 16: bf16) each.
    Dense {
        /// 32 or 16.
        value_bits: u32,
    },
    /// Every value in one byte: per-tensor mean-shifted 256-bin quantisation over 6 sigma, no error feedback.
    Int8,
    /// Per-chunk top-k with error feedback (SparseLoCo).
    TopK(TopK),
}

impl Compression {
    /// Covenant-72B's: 64 of each 64 × 64 block, 2 bits, values really packed, decay 0.95.
    #[must_use]
    pub const fn production() -> Self {
        Self::TopK(TopK {
            chunk: [64, 64],
            vectors: VectorChunk::Side,
            k: 64,
            even_k: true,
            quantizer: Some(Quantizer { bits: 2, range: 6.0, coding: ValueCoding::Packed }),
            index_coding: IndexCoding::Fixed,
            error_feedback: Some(0.95),
        })
    }
}

/// Chunk-wise top-k with a statistical quantiser and error feedback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// Target block of a matrix; each side becomes the largest divisor of the dimension that is not larger.
    pub chunk: [usize; 2],
    /// How vectors (1-D tensors) are cut.
    pub vectors: VectorChunk,
    /// Entries kept per chunk, before clamping.
    pub k: usize,
    /// `true`: k is clamped to \[2, C\] and rounded down to even (12-bit pair packing); `false`: to \[1, C\].
    pub even_k: bool,
    /// Quantiser of the kept values; `None` sends f32.
    pub quantizer: Option<Quantizer>,
    /// How indices are written.
    pub index_coding: IndexCoding,
    /// Decay beta of the error feedback; `None` switches error feedback off.
    pub error_feedback: Option<f32>,
}

/// How 1-D tensors are chunked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorChunk {
    /// Chunks of the largest divisor not above the chunk's row length, k as given (templar: 64 of 64 are sent).
    Side,
    /// Chunks of the largest divisor not above the whole block area, k as given (the report: contiguous chunks of 4096).
    Area,
    /// As `Area`, with k scaled to keep the block's density: k = max(1, round(length·k/area)) (`CCLoco`'s `rate_2d`).
    AreaRate,
}

/// The statistical quantiser: bins over `range` standard deviations around the mean of a tensor's kept values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantizer {
    /// Bits per value: 2, 4 or 8; 2^bits bins.
    pub bits: u32,
    /// Width of all bins together in standard deviations; the reference uses 6.
    pub range: f32,
    /// How the bin numbers go on the wire.
    pub coding: ValueCoding,
}

/// How quantised values go on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueCoding {
    /// `bits` each, really packed (the report's 14 bits per kept value).
    Packed,
    /// One byte each (as the public code does: 20 bits per kept value).
    Byte,
}

/// How indices within a chunk go on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexCoding {
    /// 12 bits each, two in three bytes.
    Fixed,
}

/// A compression that no codec can do.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CompressionError {
    /// Dense values of an unknown width.
    #[error("dense values have 16 or 32 bits, not {0}")]
    DenseBits(u32),
    /// A chunk without elements, or with more than 12-bit indices reach.
    #[error("a chunk has 1 to {INDEX_END} elements, not {}x{}", .0[0], .0[1])]
    Chunk([usize; 2]),
    /// Nothing is kept.
    #[error("at least one entry is kept per chunk")]
    NothingKept,
    /// Bins that do not pack into bytes.
    #[error("quantised values have 2, 4 or 8 bits, not {0}")]
    ValueBits(u32),
    /// A quantiser without extent.
    #[error("the quantiser's range is a positive number of standard deviations, not {0}")]
    Range(f32),
    /// A decay that lets the residual grow.
    #[error("the decay of the error feedback is between 0 and 1, not {0}")]
    Decay(f32),
}

impl Compression {
    /// Whether the codec can do it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), CompressionError> {
        let top_k = match self {
            Self::Dense { value_bits: 16 | 32 } | Self::Int8 => return Ok(()),
            &Self::Dense { value_bits } => return Err(CompressionError::DenseBits(value_bits)),
            Self::TopK(top_k) => top_k,
        };
        let [height, width] = top_k.chunk;
        if !height.checked_mul(width).is_some_and(|area| (1..=INDEX_END).contains(&area)) {
            return Err(CompressionError::Chunk(top_k.chunk));
        }
        if top_k.k == 0 {
            return Err(CompressionError::NothingKept);
        }
        if let Some(quantizer) = &top_k.quantizer {
            if !matches!(quantizer.bits, 2 | 4 | 8) {
                return Err(CompressionError::ValueBits(quantizer.bits));
            }
            if !(quantizer.range.is_finite() && quantizer.range > 0.0) {
                return Err(CompressionError::Range(quantizer.range));
            }
        }
        match top_k.error_feedback {
            Some(beta) if !(0.0..=1.0).contains(&beta) => Err(CompressionError::Decay(beta)),
            _ => Ok(()),
        }
    }
}

/// The outer optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OuterOptimizer {
    /// θ ← θ − alpha·Δ.
    Sgd {
        /// alpha.
        learning_rate: f32,
    },
    /// m ← mu·m + Δ; θ ← θ − alpha·(Δ + mu·m).
    Nesterov {
        /// alpha.
        learning_rate: f32,
        /// mu.
        momentum: f32,
    },
    /// `AdamW` on the aggregate (DDP, with `inner_optimizer: gradient`).
    Adamw(AdamW),
}

impl OuterOptimizer {
    /// alpha.
    #[must_use]
    pub fn learning_rate(&self) -> f32 {
        match self {
            Self::Sgd { learning_rate } | Self::Nesterov { learning_rate, .. } => *learning_rate,
            Self::Adamw(adamw) => adamw.learning_rate,
        }
    }
}

/// Adam with decoupled weight decay and bias correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// Peak learning rate.
    pub learning_rate: f32,
    /// (beta1, beta2).
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled: θ ← θ − lr·decay·θ, for every tensor.
    pub weight_decay: f32,
    /// Largest global L2 norm of a gradient.
    pub gradient_clip: Option<f32>,
    /// Multiplier of the learning rate over steps.
    pub schedule: Schedule,
}

/// A learning-rate multiplier over steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// Linear from 0 over `warmup` steps, then a half cosine from 1 to `last` at step `steps`, `last` afterwards.
    Cosine {
        /// Steps of linear warm-up.
        warmup: u64,
        /// The multiplier at the end.
        last: f32,
        /// The step at which the cosine ends.
        steps: u64,
    },
}

impl Schedule {
    /// The multiplier for the step with index `step`, counted from 0.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^53")]
    pub fn multiplier(&self, step: u64) -> f32 {
        match *self {
            Self::Constant => 1.0,
            Self::Cosine { warmup, .. } if step < warmup => ((step + 1) as f64 / (warmup + 1) as f64) as f32,
            Self::Cosine { last, steps, .. } if step >= steps => last,
            Self::Cosine { warmup, last, steps } => {
                let progress = (step - warmup) as f64 / (steps - warmup).max(1) as f64;
                let wave = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
                (f64::from(last) + (1.0 - f64::from(last)) * wave) as f32
            }
        }
    }
}
