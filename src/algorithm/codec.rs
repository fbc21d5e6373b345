//! Payloads: a pseudo-gradient as bytes and back.
//!
//! What a peer does each round with its pseudo-gradient Δ and residual e:
//!   1. e ← β·e + Δ
//!   2. per chunk, the k entries of largest magnitude
//!   3. per tensor, quantisation of all that was kept
//!   4. e ← e − what the payload decodes to
//!
//! Wire format, everything little-endian, no padding between parts. Names and shapes are not on the wire: everybody
//! knows the layout and the compression, so the length of a payload is known before it arrives and any other length is
//! refused at once.
//!
//! ```text
//! payload = magic "SLCO" | version u32 = 1 | one body per tensor, in the layout's order
//! top-k   = indices, 12 bits each  | values | shift f32 | scale f32 | lookup f32[2^bits]
//!           values: `bits` each (packed), 8 bits each (byte), or f32 and no codebook behind them (no quantiser)
//! int8    = values u8[n] | shift f32 | scale f32 | lookup f32[256]
//! dense   = values f32[n] or bf16[n]
//! ```
//!
//! The decoder does the checks of the public code's receiver: indices within the chunk, finite values, shift and
//! lookup, 1e-12 ≤ |scale| ≤ 1e4. The public code's holes are left open on purpose, so that attacks through them can be
//! simulated: the magnitude of the lookup is not bounded (only the median clip of the aggregation limits it), and an
//! index may come more than once in a chunk (its values are averaged). [`Checks::Strict`] closes them.
//!
//! Departures from the public code: indices ascend within a chunk where they come in any order there; a chunk of one
//! element is sent where the encoder crashes there.
//!
//! Not modelled: the DCT of DeMo, entropy coding of indices, the container format (pickle in zip) of the public code.

mod checks;
mod decode;
mod encode;
pub mod tamper;

pub use checks::{Checks, VALUE_MAX};
pub use decode::{DecodeError, Section, decode, decode_checked, sections};
pub use encode::{Encoded, Scratch, encode};

use super::chunk::Cut;
use super::layout::Layout;
use super::pack;
use super::spec::{Compression, Quantizer, TopK, ValueCoding};

/// Bytes before the first body: magic and version.
pub const HEADER_BYTES: u64 = 8;

const MAGIC: [u8; 4] = *b"SLCO";
const VERSION: u32 = 1;

/// The quantiser of [`Compression::Int8`].
const INT8: Quantizer = Quantizer { bits: 8, range: 6.0, coding: ValueCoding::Byte };

/// Sizes of the parts of a tensor's body \[bytes\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    /// Entries carried.
    kept: u64,
    indices: u64,
    values: u64,
    codebook: u64,
}

impl Parts {
    fn of(compression: &Compression, shape: &[usize]) -> Self {
        let elements = || shape.iter().map(|&side| side as u64).product();
        match compression {
            Compression::Dense { value_bits } => {
                let kept = elements();
                Self { kept, indices: 0, values: kept * u64::from(value_bits / 8), codebook: 0 }
            }
            Compression::Int8 => {
                let kept = elements();
                Self { kept, indices: 0, values: kept, codebook: codebook_bytes(INT8.bits) }
            }
            Compression::TopK(top_k) => {
                let cut = Cut::of(top_k, shape);
                let kept = cut.chunks() as u64 * cut.k as u64;
                let codebook = top_k.quantizer.as_ref().map_or(0, |quantizer| codebook_bytes(quantizer.bits));
                Self {
                    kept,
                    indices: pack::index_bytes(kept),
                    values: pack::value_bytes(kept, wire_bits(top_k)),
                    codebook,
                }
            }
        }
    }

    fn total(self) -> u64 {
        self.indices + self.values + self.codebook
    }
}

/// Shift, scale and lookup.
const fn codebook_bytes(bits: u32) -> u64 {
    4 + 4 + (4 << bits)
}

/// Bits of a value on the wire.
fn wire_bits(top_k: &TopK) -> u32 {
    match &top_k.quantizer {
        None => 32,
        Some(Quantizer { coding: ValueCoding::Byte, .. }) => 8,
        Some(Quantizer { coding: ValueCoding::Packed, bits, .. }) => *bits,
    }
}

/// Bytes of the body of one tensor of this shape: the arithmetic by which payloads are written and read.
///
/// # Panics
/// As [`encode`].
#[must_use]
pub fn payload_bytes(compression: &Compression, shape: &[usize]) -> u64 {
    Parts::of(compression, shape).total()
}

/// Bytes of a whole payload.
#[must_use]
pub fn total_bytes(compression: &Compression, layout: &Layout) -> u64 {
    HEADER_BYTES + layout.tensors().iter().map(|tensor| payload_bytes(compression, &tensor.shape)).sum::<u64>()
}

/// f32 to bf16, to nearest, ties to even; NaN stays NaN.
fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// bf16 to f32, exactly.
fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests;
