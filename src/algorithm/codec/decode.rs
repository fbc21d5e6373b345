//! From payload to contribution. Payloads come from strangers: nothing in one may panic or allocate beyond its length.

use thiserror::Error;

use super::{Checks, HEADER_BYTES, INT8, MAGIC, Parts, VERSION, from_bf16, total_bytes};
use crate::algorithm::chunk::Cut;
use crate::algorithm::contribution::Contribution;
use crate::algorithm::layout::{Layout, Tensor};
use crate::algorithm::pack;
use crate::algorithm::quantize::Codebook;
use crate::algorithm::spec::{Compression, TopK, ValueCoding};

/// Bounds of |scale|, from the public code.
const SCALE_MIN: f32 = 1e-12;
const SCALE_MAX: f32 = 1e4;

/// Why a payload is refused as a whole.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DecodeError {
    /// Truncated, or made for another layout or compression.
    #[error("the payload has {found} bytes where its layout needs {expected}")]
    Length {
        /// From the layout and the compression.
        expected: u64,
        /// Of the payload.
        found: u64,
    },
    /// Not a payload.
    #[error("the payload does not start with the magic bytes `SLCO`")]
    Magic,
    /// Of another time.
    #[error("the payload has version {found}, this program reads version 1")]
    Version {
        /// Of the payload.
        found: u32,
    },
    /// An index beyond its chunk.
    #[error("tensor `{tensor}`: index {index} is outside its chunk of {chunk_len} elements")]
    Index {
        /// Name.
        tensor: String,
        /// Within the chunk.
        index: u16,
        /// C.
        chunk_len: usize,
    },
    /// A value that names no bin.
    #[error("tensor `{tensor}`: there is no bin {bin} among {bins}")]
    Bin {
        /// Name.
        tensor: String,
        /// What was sent.
        bin: u8,
        /// 2^bits.
        bins: usize,
    },
    /// Bits that carry nothing are set.
    #[error("tensor `{tensor}`: padding bits are not zero")]
    Padding {
        /// Name.
        tensor: String,
    },
    /// A shift that is infinite or NaN.
    #[error("tensor `{tensor}`: the shift is not finite: {shift}")]
    Shift {
        /// Name.
        tensor: String,
        /// What was sent.
        shift: f32,
    },
    /// A scale that is not finite, too small or too large.
    #[error("tensor `{tensor}`: the scale is not within 1e-12 and 1e4: {scale}")]
    Scale {
        /// Name.
        tensor: String,
        /// What was sent.
        scale: f32,
    },
    /// A lookup entry that is infinite or NaN.
    #[error("tensor `{tensor}`: the lookup of bin {bin} is not finite: {value}")]
    Lookup {
        /// Name.
        tensor: String,
        /// Which.
        bin: usize,
        /// What was sent.
        value: f32,
    },
    /// A value that is infinite or NaN.
    #[error("tensor `{tensor}`: a value is not finite: {value}")]
    Value {
        /// Name.
        tensor: String,
        /// What was sent, or what it decodes to.
        value: f32,
    },
    /// An index that comes again in its chunk; of strict checks.
    #[error("tensor `{tensor}`: coordinate {index} comes more than once")]
    Duplicate {
        /// Name.
        tensor: String,
        /// In the flat buffer.
        index: u32,
    },
    /// A lookup entry farther from the mean than any value can be; of strict checks.
    #[error("tensor `{tensor}`: the lookup of bin {bin} is {value}, but the scale allows at most {limit}")]
    LookupMagnitude {
        /// Name.
        tensor: String,
        /// Which.
        bin: usize,
        /// What was sent.
        value: f32,
        /// What the scale allows.
        limit: f64,
    },
    /// A value that is too large; of strict checks.
    #[error("tensor `{tensor}`: a value is larger than 1e4: {value}")]
    ValueMagnitude {
        /// Name.
        tensor: String,
        /// What was sent, or what it decodes to.
        value: f32,
    },
}

/// The parts of one tensor's body, the codebook already checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Section<'a> {
    /// The tensor.
    pub tensor: &'a Tensor,
    /// Entries carried.
    pub kept: usize,
    /// Packed indices; empty for dense payloads.
    pub indices: &'a [u8],
    /// Values as on the wire.
    pub values: &'a [u8],
    /// Of quantised values.
    pub codebook: Option<Codebook>,
}

/// Splits a payload into its tensors.
///
/// # Errors
/// Wrong length, magic or version, or a codebook out of bounds.
///
/// # Panics
/// If the compression does not pass its [`check`](Compression::check).
pub fn sections<'a>(
    compression: &Compression,
    layout: &'a Layout,
    bytes: &'a [u8],
) -> Result<Vec<Section<'a>>, DecodeError> {
    compression.check().unwrap_or_else(|error| panic!("a compression is checked before it is used: {error}"));
    let (expected, found) = (total_bytes(compression, layout), bytes.len() as u64);
    if expected != found {
        return Err(DecodeError::Length { expected, found });
    }
    let (header, mut rest) = bytes.split_at(HEADER_BYTES as usize);
    if header[..4] != MAGIC {
        return Err(DecodeError::Magic);
    }
    let version = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    if version != VERSION {
        return Err(DecodeError::Version { found: version });
    }
    let mut take = |count: u64| {
        let (part, behind) = rest.split_at(count as usize);
        rest = behind;
        part
    };
    let mut sections = Vec::with_capacity(layout.tensors().len());
    for tensor in layout.tensors() {
        let parts = Parts::of(compression, &tensor.shape);
        let (indices, values, codebook) = (take(parts.indices), take(parts.values), take(parts.codebook));
        let codebook = if codebook.is_empty() { None } else { Some(read_codebook(&tensor.name, codebook)?) };
        sections.push(Section { tensor, kept: parts.kept as usize, indices, values, codebook });
    }
    Ok(sections)
}

/// Decodes a payload, with the checks of the public code's receiver.
///
/// # Errors
/// What is wrong with it; nothing of it is to be used then.
///
/// # Panics
/// As [`decode_checked`].
pub fn decode(compression: &Compression, layout: &Layout, bytes: &[u8]) -> Result<Contribution, DecodeError> {
    decode_checked(Checks::Production, compression, layout, bytes)
}

/// Decodes a payload.
///
/// # Errors
/// What is wrong with it; nothing of it is to be used then.
///
/// # Panics
/// If the compression does not pass its [`check`](Compression::check), or P is beyond `u32`.
pub fn decode_checked(
    checks: Checks,
    compression: &Compression,
    layout: &Layout,
    bytes: &[u8],
) -> Result<Contribution, DecodeError> {
    assert!(u32::try_from(layout.parameters()).is_ok(), "flat indices of contributions are u32");
    let sections = sections(compression, layout, bytes)?;
    match compression {
        Compression::TopK(top_k) => {
            let kept = sections.iter().map(|section| section.kept).sum();
            let mut contribution = Contribution::sparse(kept, sections.len());
            let mut reader = SparseReader { checks, ..SparseReader::default() };
            for section in &sections {
                let cut = Cut::of(top_k, &section.tensor.shape);
                contribution
                    .push_tensor(cut.chunks(), |indices, values| reader.read(top_k, cut, section, indices, values))?;
            }
            Ok(contribution)
        }
        Compression::Dense { .. } | Compression::Int8 => {
            let mut values = Vec::with_capacity(layout.parameters());
            for section in &sections {
                let name = &section.tensor.name;
                match (compression, &section.codebook) {
                    (_, Some(book)) => {
                        checks.codebook(name, book, &INT8, section.kept)?;
                        let decoded = finite(name, book.decoded())?;
                        values.extend(section.values.iter().map(|&bin| decoded[usize::from(bin)]));
                    }
                    (Compression::Dense { value_bits: 16 }, None) => {
                        let (pairs, _) = section.values.as_chunks();
                        values.extend(pairs.iter().map(|&pair| from_bf16(u16::from_le_bytes(pair))));
                    }
                    (_, None) => values.extend(floats(section.values)),
                }
                check_finite(name, &values[section.tensor.range()])?;
                checks.values(name, &values[section.tensor.range()])?;
            }
            Ok(Contribution::dense(layout, values))
        }
    }
}

/// Reusable memory of a decoder.
#[derive(Default)]
struct SparseReader {
    checks: Checks,
    offsets: Vec<u32>,
    local: Vec<u16>,
    bins: Vec<u8>,
}

impl SparseReader {
    /// Appends a tensor's entries.
    fn read(
        &mut self,
        top_k: &TopK,
        cut: Cut,
        section: &Section<'_>,
        indices: &mut Vec<u32>,
        values: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let start = values.len();
        self.read_values(top_k, section, values)?;
        self.checks.values(&section.tensor.name, &values[start..])?;
        pack::unpack_indices(section.indices, &mut self.local);
        cut.offsets(&mut self.offsets);
        for (chunk, local) in self.local.chunks_exact(cut.k).enumerate() {
            let origin = section.tensor.offset + cut.origin(chunk);
            let mut ascending = true;
            let mut previous = None;
            for &index in local {
                let Some(&offset) = self.offsets.get(usize::from(index)) else {
                    return Err(self.refuse_index(section, index));
                };
                indices.push(origin as u32 + offset);
                ascending &= previous.replace(index) < Some(index);
            }
            if !ascending {
                let first = start + chunk * cut.k;
                tidy(&mut indices[first..], &mut values[first..first + cut.k]);
                self.checks.indices(&section.tensor.name, &indices[first..])?;
            }
        }
        Ok(())
    }

    fn read_values(&mut self, top_k: &TopK, section: &Section<'_>, values: &mut Vec<f32>) -> Result<(), DecodeError> {
        let name = &section.tensor.name;
        let (Some(quantizer), Some(book)) = (&top_k.quantizer, &section.codebook) else {
            let start = values.len();
            values.extend(floats(section.values));
            return check_finite(name, &values[start..]);
        };
        self.checks.codebook(name, book, quantizer, section.kept)?;
        let decoded = finite(name, book.decoded())?;
        match quantizer.coding {
            ValueCoding::Packed => {
                if !pack::unpack_values(section.values, quantizer.bits, section.kept, &mut self.bins) {
                    return Err(DecodeError::Padding { tensor: name.clone() });
                }
                values.extend(self.bins.iter().map(|&bin| decoded[usize::from(bin)]));
            }
            ValueCoding::Byte => {
                for &bin in section.values {
                    let Some(&value) = decoded.get(usize::from(bin)) else {
                        return Err(DecodeError::Bin { tensor: name.clone(), bin, bins: decoded.len() });
                    };
                    values.push(value);
                }
            }
        }
        Ok(())
    }

    /// Tells an index beyond its chunk from padding behind an odd last index.
    fn refuse_index(&self, section: &Section<'_>, index: u16) -> DecodeError {
        let tensor = section.tensor.name.clone();
        if usize::from(index) >= pack::INDEX_END {
            return DecodeError::Padding { tensor };
        }
        DecodeError::Index { tensor, index, chunk_len: self.offsets.len() }
    }
}

/// Brings a chunk's entries into ascending order and gives those of one coordinate their mean.
fn tidy(indices: &mut [u32], values: &mut [f32]) {
    let mut entries: Vec<(u32, f32)> = indices.iter().copied().zip(values.iter().copied()).collect();
    entries.sort_by_key(|&(index, _)| index);
    for same in entries.chunk_by_mut(|a, b| a.0 == b.0) {
        let mean = (same.iter().map(|&(_, value)| f64::from(value)).sum::<f64>() / same.len() as f64) as f32;
        same.iter_mut().for_each(|entry| entry.1 = mean);
    }
    for ((index, value), entry) in indices.iter_mut().zip(values).zip(entries) {
        (*index, *value) = entry;
    }
}

fn read_codebook(tensor: &str, bytes: &[u8]) -> Result<Codebook, DecodeError> {
    let mut numbers = floats(bytes);
    let mut next = || numbers.next().expect("because a codebook starts with two numbers");
    let (shift, scale) = (next(), next());
    let lookup: Vec<f32> = numbers.collect();
    let tensor = || tensor.to_owned();
    if !shift.is_finite() {
        return Err(DecodeError::Shift { tensor: tensor(), shift });
    }
    if !(SCALE_MIN..=SCALE_MAX).contains(&scale.abs()) {
        return Err(DecodeError::Scale { tensor: tensor(), scale });
    }
    match lookup.iter().position(|value| !value.is_finite()) {
        Some(bin) => Err(DecodeError::Lookup { tensor: tensor(), bin, value: lookup[bin] }),
        None => Ok(Codebook { shift, scale, lookup }),
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word))
}

fn check_finite(tensor: &str, values: &[f32]) -> Result<(), DecodeError> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(DecodeError::Value { tensor: tensor.to_owned(), value }),
        None => Ok(()),
    }
}

fn finite(tensor: &str, values: Vec<f32>) -> Result<Vec<f32>, DecodeError> {
    check_finite(tensor, &values).map(|()| values)
}
