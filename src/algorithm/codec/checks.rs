//! What a receiver checks of a well-formed payload.
//!
//! The checks of the public code leave three holes, which attacks go through: the magnitude of what decodes is not
//! bounded (only the median clip of the aggregation limits it), nor is the lookup's, and an index may come more than
//! once in a chunk (its values are averaged). The strict checks close them. Over n kept values v with mean μ, quantised
//! in b bins over `range` deviations σ = scale·b/range:
//!
//! ```text
//! |lookup_i| ≤ 1.001·σ·√(n − 1)     since Σ (v − μ)² = σ²·(n − 1), no honest value lies farther from the mean
//! |value| ≤ 1e4                     of whatever decodes, as the scale already is
//! ```
//!
//! and an index comes once. No honest payload is refused for the first and the third.

use serde::{Deserialize, Serialize};

use super::decode::DecodeError;
use crate::algorithm::quantize::Codebook;
use crate::algorithm::spec::Quantizer;

/// Largest magnitude of a value in strict checks.
pub const VALUE_MAX: f32 = 1e4;

/// Room for the rounding of scale and lookup to f32.
const SLACK: f64 = 1.001;

/// How much a receiver checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checks {
    /// What the public code does, holes included.
    #[default]
    Production,
    /// Magnitudes are bounded and indices unique, too.
    Strict,
}

impl Checks {
    /// Whether the lookup can be that of `kept` values.
    pub(super) fn codebook(
        self,
        tensor: &str,
        book: &Codebook,
        quantizer: &Quantizer,
        kept: usize,
    ) -> Result<(), DecodeError> {
        if self == Self::Production {
            return Ok(());
        }
        let deviation = f64::from(book.scale).abs() * book.lookup.len() as f64 / f64::from(quantizer.range);
        let limit = SLACK * deviation * (kept.saturating_sub(1) as f64).sqrt();
        match book.lookup.iter().position(|&value| f64::from(value).abs() > limit) {
            Some(bin) => {
                Err(DecodeError::LookupMagnitude { tensor: tensor.to_owned(), bin, value: book.lookup[bin], limit })
            }
            None => Ok(()),
        }
    }

    /// Whether the values are small enough.
    pub(super) fn values(self, tensor: &str, values: &[f32]) -> Result<(), DecodeError> {
        let is_large = |value: &&f32| value.abs() > VALUE_MAX;
        match values.iter().find(is_large) {
            Some(&value) if self == Self::Strict => {
                Err(DecodeError::ValueMagnitude { tensor: tensor.to_owned(), value })
            }
            _ => Ok(()),
        }
    }

    /// Whether a chunk's indices, in ascending order, are unique.
    pub(super) fn indices(self, tensor: &str, indices: &[u32]) -> Result<(), DecodeError> {
        match indices.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) if self == Self::Strict => {
                Err(DecodeError::Duplicate { tensor: tensor.to_owned(), index: pair[0] })
            }
            _ => Ok(()),
        }
    }
}
