//! Pseudo-gradients to payloads and back.
//!
//! A payload is the tensors' bodies in order of the layout, without names or lengths: layout and compression are common
//! knowledge, so its length is known beforehand. Little endian throughout.
//!
//! ```text
//! dense   f32 or bf16 (rounded to even) of every value
//! int8    bin u8 of every value | shift f32 | scale f32 | lookup f32[256]
//! top-k   indices, 12 bits each | values: bins of `bits`, bins of one byte, or f32
//!         | shift f32 | scale f32 | lookup f32[2^bits]      (if quantised)
//! ```
//!
//! Within a tensor entries go chunk by chunk, ascending. A decoder refuses what the public code's receiver refuses:
//! wrong length, indices outside of their chunk, values, shift, scale or lookup that are not finite, a scale outside of
//! \[1e-12, 1e4\]. Like that code it lets two things through: a lookup of any finite magnitude, and the same index
//! twice in a chunk (whose values are averaged when contributions are).

use thiserror::Error;

use super::chunk::Cut;
use super::contribution::Contribution;
use super::error_feedback::Accumulation;
use super::layout::{Layout, Tensor};
use super::pack;
use super::quantize::{Codebook, quantize};
use super::reduce;
use super::spec::{Compression, Quantizer, TopK, ValueCoding};
use super::top_k::Selector;

/// The quantiser of `int8`: 8 bits over 6 standard deviations.
const INT8: Quantizer = Quantizer { bits: 8, range: 6.0, coding: ValueCoding::Byte };
/// Magnitudes of a scale that a receiver accepts.
const SCALES: std::ops::RangeInclusive<f32> = 1e-12..=1e4;

/// A payload and what it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The payload.
    pub bytes: Vec<u8>,
    /// L2 norm of what it decodes to.
    pub norm: f64,
    /// Number of values in it.
    pub kept: u64,
}

/// Memory of an encoder, reused from payload to payload.
#[derive(Debug, Default)]
pub struct Scratch {
    bits: Vec<u32>,
    chunk: Vec<u32>,
    offsets: Vec<u32>,
    chosen: Vec<u16>,
    values: Vec<f32>,
    bins: Vec<u8>,
    selector: Selector,
}

/// A payload that a receiver refuses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is too short or too long.
    #[error("a payload has {expected} bytes, not {found}")]
    Length {
        /// What layout and compression ask for.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// An index lies outside of its chunk.
    #[error("`{tensor}`: index {index} lies outside of a chunk of {chunk_len}")]
    Index {
        /// Where.
        tensor: String,
        /// The index.
        index: u16,
        /// Elements of a chunk.
        chunk_len: usize,
    },
    /// A number is not finite.
    #[error("`{tensor}`: {what} is not finite")]
    NotFinite {
        /// Where.
        tensor: String,
        /// Which number.
        what: &'static str,
    },
    /// The scale is absurd.
    #[error("`{tensor}`: the scale {scale} is outside of 1e-12 to 1e4")]
    Scale {
        /// Where.
        tensor: String,
        /// What it is.
        scale: String,
    },
    /// Bits behind the last packed value are set.
    #[error("`{tensor}`: bits behind the last value are not zero")]
    Padding {
        /// Where.
        tensor: String,
    },
}

/// Bytes of one tensor's body.
#[must_use]
pub fn payload_bytes(compression: &Compression, shape: &[usize]) -> u64 {
    let elements = shape.iter().map(|&side| side as u64).product::<u64>();
    match compression {
        Compression::Dense { value_bits } => elements * u64::from(*value_bits) / 8,
        Compression::Int8 => elements + codebook_bytes(INT8.bits),
        Compression::TopK(top_k) => {
            let kept = Cut::of(top_k, shape).kept() as u64;
            pack::index_bytes(kept) + values_bytes(top_k.quantizer.as_ref(), kept)
        }
    }
}

fn values_bytes(quantizer: Option<&Quantizer>, kept: u64) -> u64 {
    match quantizer {
        None => 4 * kept,
        Some(quantizer) => pack::value_bytes(kept, bits_on_wire(quantizer)) + codebook_bytes(quantizer.bits),
    }
}

fn bits_on_wire(quantizer: &Quantizer) -> u32 {
    match quantizer.coding {
        ValueCoding::Packed => quantizer.bits,
        ValueCoding::Byte => 8,
    }
}

fn codebook_bytes(bits: u32) -> u64 {
    8 + (4 << bits)
}

/// Encodes a pseudo-gradient `delta` (P values, may be overwritten).
///
/// With error feedback, `error_feedback` is the residual of P values, empty before the first payload, and is brought up
/// to date; without it is left alone.
pub fn encode(
    compression: &Compression,
    layout: &Layout,
    delta: &mut [f32],
    error_feedback: &mut Vec<f32>,
    scratch: &mut Scratch,
) -> Encoded {
    assert_eq!(delta.len(), layout.parameters(), "a pseudo-gradient has P values");
    let length: u64 = layout.tensors().iter().map(|tensor| payload_bytes(compression, &tensor.shape)).sum();
    let mut bytes = Vec::with_capacity(length as usize);
    let (mut square, mut kept) = (0.0, 0);
    match compression {
        Compression::Dense { value_bits: 16 } => {
            for value in delta.iter() {
                let rounded = bf16_bits(*value);
                square += f64::from(bf16_value(rounded)).powi(2);
                bytes.extend(rounded.to_le_bytes());
            }
            kept = delta.len() as u64;
        }
        Compression::Dense { .. } => {
            delta.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
            square = reduce::sum_of_squares(delta);
            kept = delta.len() as u64;
        }
        Compression::Int8 => {
            for tensor in layout.tensors() {
                let book = write_quantised(&INT8, &delta[tensor.range()], &mut scratch.bins, &mut bytes);
                let decoded = book.decoded();
                square += scratch.bins.iter().map(|&bin| f64::from(decoded[usize::from(bin)]).powi(2)).sum::<f64>();
            }
            kept = delta.len() as u64;
        }
        Compression::TopK(top_k) => {
            let accumulation = Accumulation::of(top_k.error_feedback.unwrap_or(0.0), error_feedback);
            let mut unkept = Vec::new();
            let residual = if top_k.error_feedback.is_some() { error_feedback } else { &mut unkept };
            residual.resize(delta.len(), 0.0);
            for tensor in layout.tensors() {
                let range = tensor.range();
                let (residual, delta) = (&mut residual[range.clone()], &delta[range]);
                square += encode_tensor(top_k, accumulation, tensor, residual, delta, scratch, &mut bytes);
                kept += scratch.values.len() as u64;
            }
        }
    }
    debug_assert_eq!(bytes.len() as u64, length, "the arithmetic of payload sizes is the encoder's");
    Encoded { bytes, norm: square.sqrt(), kept }
}

/// Encodes one tensor; returns the sum of squares of what it decodes to.
fn encode_tensor(
    top_k: &TopK,
    accumulation: Accumulation,
    tensor: &Tensor,
    residual: &mut [f32],
    delta: &[f32],
    scratch: &mut Scratch,
    bytes: &mut Vec<u8>,
) -> f64 {
    let Scratch { bits, chunk, offsets, chosen, values, bins, selector } = scratch;
    bits.resize(delta.len(), 0);
    pulp::Arch::new().dispatch(|| accumulation.add(residual, delta, bits));
    let cut = Cut::of(top_k, &tensor.shape);
    cut.offsets(offsets);
    chosen.clear();
    values.clear();
    for number in 0..cut.chunks() {
        let origin = cut.origin(number);
        chunk.clear();
        chunk.extend(offsets.iter().map(|&offset| bits[origin + offset as usize]));
        let before = chosen.len();
        selector.select(chunk, cut.k, chosen);
        values.extend(chosen[before..].iter().map(|&index| f32::from_bits(chunk[usize::from(index)])));
    }
    pack::pack_indices(chosen, bytes);
    if let Some(quantizer) = &top_k.quantizer {
        let decoded = write_quantised(quantizer, values, bins, bytes).decoded();
        values.iter_mut().zip(bins.iter()).for_each(|(value, &bin)| *value = decoded[usize::from(bin)]);
    } else {
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    }
    for (entry, (&index, value)) in chosen.iter().zip(values.iter()).enumerate() {
        residual[cut.origin(entry / cut.k) + offsets[usize::from(index)] as usize] -= value;
    }
    reduce::sum_of_squares(values)
}

/// Appends bins and codebook of `values`; leaves the bins in `bins`.
fn write_quantised(quantizer: &Quantizer, values: &[f32], bins: &mut Vec<u8>, bytes: &mut Vec<u8>) -> Codebook {
    let (book, _) = quantize(values, quantizer.bits, quantizer.range, bins);
    pack::pack_values(bins, bits_on_wire(quantizer), bytes);
    for number in [book.shift, book.scale].iter().chain(&book.lookup) {
        bytes.extend(number.to_le_bytes());
    }
    book
}

/// Decodes a payload, with a receiver's checks.
///
/// # Errors
/// The payload is malformed in one of the ways that [`DecodeError`] lists.
pub fn decode(compression: &Compression, layout: &Layout, bytes: &[u8]) -> Result<Contribution, DecodeError> {
    let expected: u64 = layout.tensors().iter().map(|tensor| payload_bytes(compression, &tensor.shape)).sum();
    if bytes.len() as u64 != expected {
        return Err(DecodeError::Length { expected, found: bytes.len() as u64 });
    }
    let mut reader = Reader { rest: bytes };
    let mut values = Vec::new();
    let mut indices = Vec::new();
    let mut tensors = Vec::with_capacity(layout.tensors().len());
    let (mut locals, mut bins, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    for tensor in layout.tensors() {
        let begin = values.len();
        let refuse = |what| DecodeError::NotFinite { tensor: tensor.name.clone(), what };
        match compression {
            Compression::Dense { value_bits } => {
                let width = *value_bits as usize / 8;
                let decoded = reader.take(width * tensor.len()).chunks_exact(width).map(|bytes| match *bytes {
                    [low, high] => bf16_value(u16::from_le_bytes([low, high])),
                    [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                    _ => unreachable!("because values have 2 or 4 bytes"),
                });
                values.extend(decoded);
            }
            Compression::Int8 => reader.quantised(&INT8, tensor, tensor.len(), &mut bins, &mut values)?,
            Compression::TopK(top_k) => {
                let cut = Cut::of(top_k, &tensor.shape);
                let kept = cut.kept();
                pack::unpack_indices(reader.take(pack::index_bytes(kept as u64) as usize), &mut locals);
                let chunk_len = cut.chunk_len();
                if let Some(&index) = locals.iter().find(|&&index| usize::from(index) >= chunk_len) {
                    return Err(DecodeError::Index { tensor: tensor.name.clone(), index, chunk_len });
                }
                cut.offsets(&mut offsets);
                indices.extend(locals.iter().enumerate().map(|(entry, &index)| {
                    (tensor.offset + cut.origin(entry / cut.k)) as u32 + offsets[usize::from(index)]
                }));
                match &top_k.quantizer {
                    Some(quantizer) => reader.quantised(quantizer, tensor, kept, &mut bins, &mut values)?,
                    None => values.extend((0..kept).map(|_| reader.f32())),
                }
            }
        }
        if !values[begin..].iter().all(|value| value.is_finite()) {
            return Err(refuse("a value"));
        }
        tensors.push(begin..values.len());
    }
    let indices = matches!(compression, Compression::TopK(_)).then_some(indices);
    Ok(Contribution { indices, values, tensors })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn f32(&mut self) -> f32 {
        f32::from_le_bytes(self.take(4).try_into().expect("because four bytes were taken"))
    }

    fn quantised(
        &mut self,
        quantizer: &Quantizer,
        tensor: &Tensor,
        count: usize,
        bins: &mut Vec<u8>,
        values: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let bits = bits_on_wire(quantizer);
        let packed = self.take(pack::value_bytes(count as u64, bits) as usize);
        if !pack::unpack_values(packed, bits, count, bins) {
            return Err(DecodeError::Padding { tensor: tensor.name.clone() });
        }
        let (shift, scale) = (self.f32(), self.f32());
        let lookup: Vec<f32> = (0..1 << quantizer.bits).map(|_| self.f32()).collect();
        let refuse = |what| DecodeError::NotFinite { tensor: tensor.name.clone(), what };
        if !shift.is_finite() {
            return Err(refuse("the shift"));
        }
        if !SCALES.contains(&scale.abs()) {
            return Err(DecodeError::Scale { tensor: tensor.name.clone(), scale: scale.to_string() });
        }
        if !lookup.iter().all(|value| value.is_finite()) {
            return Err(refuse("the lookup"));
        }
        let decoded = Codebook { shift, scale, lookup }.decoded();
        for &bin in bins.iter() {
            let value = decoded.get(usize::from(bin));
            let index = u16::from(bin);
            values.push(*value.ok_or(DecodeError::Index {
                tensor: tensor.name.clone(),
                index,
                chunk_len: decoded.len(),
            })?);
        }
        Ok(())
    }
}

/// The upper half of an f32, rounded to nearest even.
fn bf16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

fn bf16_value(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests;
