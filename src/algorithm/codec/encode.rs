//! From pseudo-gradient to payload.

use std::ops::Range;

use pulp::Arch;

use super::{INT8, MAGIC, VERSION, from_bf16, to_bf16, total_bytes};
use crate::algorithm::chunk::Cut;
use crate::algorithm::error_feedback::Accumulation;
use crate::algorithm::layout::{Layout, Tensor};
use crate::algorithm::quantize::{Codebook, quantize};
use crate::algorithm::spec::{Compression, TopK, ValueCoding};
use crate::algorithm::top_k::Selector;
use crate::algorithm::{pack, reduce};

/// An encoded pseudo-gradient.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encoded {
    /// The payload.
    pub bytes: Vec<u8>,
    /// L2 norm of what it decodes to.
    pub norm: f64,
    /// Entries that it carries.
    pub kept: u64,
}

/// Reusable memory of an encoder.
#[derive(Debug, Default)]
pub struct Scratch {
    selector: Selector,
    /// Bits of one chunk's values.
    chunk: Vec<u32>,
    /// Distance of each element from its chunk's origin.
    offsets: Vec<u32>,
    /// Kept of one tensor: index in the chunk, value, bin.
    indices: Vec<u16>,
    values: Vec<f32>,
    bins: Vec<u8>,
}

/// Encodes the pseudo-gradient Δ and updates the residual e.
///
/// `delta` has P values and may be overwritten. `error_feedback` has P values or, before the first payload, none;
/// afterwards it holds the new residual. It is not touched where the compression has no error feedback.
/// Values that are not finite do not panic: they give a payload that [`decode`](super::decode) refuses.
///
/// # Panics
/// If the compression does not pass its [`check`](Compression::check), or lengths do not fit the layout.
pub fn encode(
    compression: &Compression,
    layout: &Layout,
    delta: &mut [f32],
    error_feedback: &mut Vec<f32>,
    scratch: &mut Scratch,
) -> Encoded {
    compression.check().unwrap_or_else(|error| panic!("a compression is checked before it is used: {error}"));
    assert_eq!(delta.len(), layout.parameters(), "a pseudo-gradient has P values");
    let length = total_bytes(compression, layout);
    let mut writer = Writer { bytes: Vec::with_capacity(length as usize), norm_squared: 0.0, kept: 0 };
    writer.bytes.extend(MAGIC);
    writer.bytes.extend(VERSION.to_le_bytes());
    match compression {
        &Compression::Dense { value_bits } => writer.dense(value_bits, delta),
        Compression::Int8 => layout.tensors().iter().for_each(|tensor| writer.int8(&delta[tensor.range()], scratch)),
        Compression::TopK(top_k) => writer.top_k(top_k, layout, delta, error_feedback, scratch),
    }
    assert_eq!(writer.bytes.len() as u64, length, "a payload has the length that its arithmetic says");
    Encoded { bytes: writer.bytes, norm: writer.norm_squared.sqrt(), kept: writer.kept }
}

struct Writer {
    bytes: Vec<u8>,
    norm_squared: f64,
    kept: u64,
}

impl Writer {
    fn dense(&mut self, value_bits: u32, delta: &mut [f32]) {
        if value_bits == 16 {
            for value in delta.iter_mut() {
                let bits = to_bf16(*value);
                self.bytes.extend(bits.to_le_bytes());
                *value = from_bf16(bits);
            }
        } else {
            self.floats(delta);
        }
        self.kept += delta.len() as u64;
        self.norm_squared += reduce::sum_of_squares(delta);
    }

    fn int8(&mut self, values: &[f32], scratch: &mut Scratch) {
        let (book, counts) = quantize(values, INT8.bits, INT8.range, &mut scratch.bins);
        self.bytes.extend_from_slice(&scratch.bins);
        self.codebook(&book);
        self.tally(&book.decoded(), &counts);
    }

    fn top_k(
        &mut self,
        top_k: &TopK,
        layout: &Layout,
        delta: &mut [f32],
        error_feedback: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        let Some(beta) = top_k.error_feedback else {
            for tensor in layout.tensors() {
                let cut = Cut::of(top_k, &tensor.shape);
                select(cut, tensor, &mut Source::Plain(delta), scratch);
                self.kept_entries(top_k, scratch);
            }
            return;
        };
        let how = Accumulation::of(beta, error_feedback);
        error_feedback.resize(layout.parameters(), 0.0);
        for tensor in layout.tensors() {
            let cut = Cut::of(top_k, &tensor.shape);
            select(cut, tensor, &mut Source::Residual { residual: error_feedback, delta, how }, scratch);
            let decoded = self.kept_entries(top_k, scratch);
            subtract(cut, &mut error_feedback[tensor.range()], decoded.as_deref(), scratch);
        }
    }

    /// Writes the selected entries of one tensor; returns the value of each bin, `None` if they are sent as they are.
    fn kept_entries(&mut self, top_k: &TopK, scratch: &mut Scratch) -> Option<Vec<f32>> {
        pack::pack_indices(&scratch.indices, &mut self.bytes);
        let Some(quantizer) = &top_k.quantizer else {
            self.floats(&scratch.values);
            self.kept += scratch.values.len() as u64;
            self.norm_squared += reduce::sum_of_squares(&scratch.values);
            return None;
        };
        let (book, counts) = quantize(&scratch.values, quantizer.bits, quantizer.range, &mut scratch.bins);
        match quantizer.coding {
            ValueCoding::Packed => pack::pack_values(&scratch.bins, quantizer.bits, &mut self.bytes),
            ValueCoding::Byte => self.bytes.extend_from_slice(&scratch.bins),
        }
        self.codebook(&book);
        let decoded = book.decoded();
        self.tally(&decoded, &counts);
        Some(decoded)
    }

    fn codebook(&mut self, book: &Codebook) {
        self.floats(&[book.shift, book.scale]);
        self.floats(&book.lookup);
    }

    fn floats(&mut self, values: &[f32]) {
        self.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn tally(&mut self, decoded: &[f32], counts: &[u64]) {
        self.kept += counts.iter().sum::<u64>();
        let squares = decoded.iter().zip(counts).filter(|&(_, &count)| count > 0);
        self.norm_squared += squares.map(|(&value, &count)| count as f64 * f64::from(value).powi(2)).sum::<f64>();
    }
}

/// Where the values to select from come from.
enum Source<'a> {
    /// Δ as it is.
    Plain(&'a [f32]),
    /// e, to which Δ is added first.
    Residual { residual: &'a mut [f32], delta: &'a [f32], how: Accumulation },
}

impl Source<'_> {
    /// The values at `place`; asked for once.
    fn values(&mut self, place: Range<usize>) -> &[f32] {
        match self {
            Self::Plain(delta) => &delta[place],
            Self::Residual { residual, delta, how } => {
                let (how, sum, delta) = (*how, &mut residual[place.clone()], &delta[place.clone()]);
                // Moved and not borrowed: a shim around a closure that borrows is compiled without the instruction set.
                Arch::new().dispatch(
                    #[inline(always)]
                    move || how.add(sum, delta),
                );
                &residual[place]
            }
        }
    }
}

/// Fills `indices` and `values` of the scratch with what is kept of a tensor.
///
/// A row of blocks is one contiguous stretch of the buffer: Δ is added to e in one sweep over it, which the memory
/// prefetches well, and its blocks are then gathered from the cache.
fn select(cut: Cut, tensor: &Tensor, source: &mut Source<'_>, scratch: &mut Scratch) {
    let Scratch { selector, chunk, indices, values, .. } = scratch;
    indices.clear();
    values.clear();
    chunk.resize(cut.chunk_len(), 0);
    let [height, width] = cut.block;
    let stretch = height * cut.columns;
    for first in (tensor.offset..tensor.offset + tensor.len()).step_by(stretch) {
        let stretch = source.values(first..first + stretch);
        for column in (0..cut.columns).step_by(width) {
            for (bits, row) in chunk.chunks_exact_mut(width).zip(stretch.chunks_exact(cut.columns)) {
                for (bits, value) in bits.iter_mut().zip(&row[column..column + width]) {
                    *bits = value.to_bits();
                }
            }
            let chosen = indices.len();
            selector.select(chunk, cut.k, indices);
            values.extend(indices[chosen..].iter().map(|&index| f32::from_bits(chunk[usize::from(index)])));
        }
    }
}

/// e ← e − decoded at the kept entries of one tensor.
fn subtract(cut: Cut, residual: &mut [f32], decoded: Option<&[f32]>, scratch: &mut Scratch) {
    let Scratch { offsets, indices, values, bins, .. } = scratch;
    cut.offsets(offsets);
    for (number, indices) in indices.chunks_exact(cut.k).enumerate() {
        let residual = &mut residual[cut.origin(number)..];
        let first = number * cut.k;
        if let Some(decoded) = decoded {
            for (&index, &bin) in indices.iter().zip(&bins[first..]) {
                residual[offsets[usize::from(index)] as usize] -= decoded[usize::from(bin)];
            }
        } else {
            for (&index, &value) in indices.iter().zip(&values[first..]) {
                residual[offsets[usize::from(index)] as usize] -= value;
            }
        }
    }
}
