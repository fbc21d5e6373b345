//! What a liar can do to the bytes of a payload without knowing what they mean.
//!
//! Every change keeps the length that the layout and the compression prescribe, except [`Tampering::Truncate`], so that
//! only the decoder's checks stand in its way.

use super::{HEADER_BYTES, Parts, from_bf16, to_bf16};
use crate::algorithm::chunk::Cut;
use crate::algorithm::layout::Layout;
use crate::algorithm::pack;
use crate::algorithm::spec::{Compression, TopK, ValueCoding};

/// A change of a payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tampering {
    /// Everything that is decoded is multiplied by a factor; the kept coordinates stay.
    Scale(f32),
    /// The first value, or the lookup of the first bin, of every tensor is not a number.
    NotANumber,
    /// All entries of a chunk name the chunk's first kept coordinate; top-k only.
    DuplicateIndices,
    /// The first entry of every chunk lies beyond it, where the chunk has fewer than 4096 elements; top-k only.
    IndexBeyondChunk,
    /// Every bin decodes to this magnitude, with its sign; quantised values only, others are set to it.
    Lookup(f32),
    /// The last byte is missing.
    Truncate,
}

/// Changes a payload that [`encode`](super::encode) wrote.
///
/// # Panics
/// If the payload's length is not that of the compression and the layout.
pub fn tamper(compression: &Compression, layout: &Layout, payload: &mut Vec<u8>, tampering: Tampering) {
    for_each_body(compression, layout, payload, |shape, parts, body| {
        let (indices, rest) = body.split_at_mut(parts.indices as usize);
        let (values, codebook) = rest.split_at_mut(parts.values as usize);
        match (tampering, compression) {
            (Tampering::Scale(factor), _) => map_values(compression, values, codebook, |value| value * factor),
            (Tampering::Lookup(magnitude), _) => {
                map_values(compression, values, codebook, |value| magnitude.copysign(value));
            }
            (Tampering::NotANumber, _) => {
                let mut is_first = true;
                map_values(
                    compression,
                    values,
                    codebook,
                    |value| {
                        if std::mem::take(&mut is_first) { f32::NAN } else { value }
                    },
                );
            }
            (Tampering::DuplicateIndices, Compression::TopK(top_k)) => {
                map_indices(top_k, shape, indices, |chunk| chunk.fill(chunk[0]));
            }
            (Tampering::IndexBeyondChunk, Compression::TopK(top_k)) => {
                map_indices(top_k, shape, indices, |chunk| chunk[0] = pack::INDEX_END as u16 - 1);
            }
            (Tampering::DuplicateIndices | Tampering::IndexBeyondChunk | Tampering::Truncate, _) => {}
        }
    });
    if tampering == Tampering::Truncate {
        payload.pop();
    }
}

/// Puts the entries of every chunk into another order, which changes the bytes and nothing of what they say.
///
/// `below` draws a number below its argument.
///
/// # Panics
/// As [`tamper`].
pub fn permute(compression: &Compression, layout: &Layout, payload: &mut [u8], mut below: impl FnMut(usize) -> usize) {
    let Compression::TopK(top_k) = compression else { return };
    let mut bins = Vec::new();
    for_each_body(compression, layout, payload, |shape, parts, body| {
        let (indices, rest) = body.split_at_mut(parts.indices as usize);
        let values = &mut rest[..parts.values as usize];
        let (mut locals, mut packed) = (Vec::new(), Vec::new());
        pack::unpack_indices(indices, &mut locals);
        let kept = Cut::of(top_k, shape).k;
        let bits = match &top_k.quantizer {
            Some(quantizer) if quantizer.coding == ValueCoding::Packed => {
                pack::unpack_values(values, quantizer.bits, locals.len(), &mut bins);
                Some(quantizer.bits)
            }
            _ => None,
        };
        let width = if top_k.quantizer.is_some() { 1 } else { 4 };
        for first in (0..locals.len()).step_by(kept) {
            for last in (1..kept).rev() {
                let (a, b) = (first + last, first + below(last + 1));
                locals.swap(a, b);
                if bits.is_some() {
                    bins.swap(a, b);
                } else {
                    (0..width).for_each(|byte| values.swap(a * width + byte, b * width + byte));
                }
            }
        }
        pack::pack_indices(&locals, &mut packed);
        indices.copy_from_slice(&packed);
        if let Some(bits) = bits {
            packed.clear();
            pack::pack_values(&bins, bits, &mut packed);
            values.copy_from_slice(&packed);
        }
    });
}

/// Hands over the shape, the sizes and the bytes of each tensor's body.
fn for_each_body(
    compression: &Compression,
    layout: &Layout,
    payload: &mut [u8],
    mut change: impl FnMut(&[usize], Parts, &mut [u8]),
) {
    let mut rest = &mut payload[HEADER_BYTES as usize..];
    for tensor in layout.tensors() {
        let parts = Parts::of(compression, &tensor.shape);
        let (body, behind) = rest.split_at_mut(parts.total() as usize);
        change(&tensor.shape, parts, body);
        rest = behind;
    }
    assert!(rest.is_empty(), "a payload has the length that its arithmetic says");
}

/// Changes all that decides what a tensor decodes to: shift and lookup of quantised values, or the values.
///
/// A shift is only scaled: a map that is not linear gets the bins' decoded values and sets the shift to 0.
fn map_values(compression: &Compression, values: &mut [u8], codebook: &mut [u8], mut map: impl FnMut(f32) -> f32) {
    if !codebook.is_empty() {
        let (head, lookup) = codebook.split_at_mut(8);
        let shift = f32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        head[..4].fill(0);
        for word in lookup.as_chunks_mut().0 {
            *word = map(f32::from_le_bytes(*word) + shift).to_le_bytes();
        }
    } else if matches!(compression, Compression::Dense { value_bits: 16 }) {
        for pair in values.as_chunks_mut().0 {
            *pair = to_bf16(map(from_bf16(u16::from_le_bytes(*pair)))).to_le_bytes();
        }
    } else {
        for word in values.as_chunks_mut().0 {
            *word = map(f32::from_le_bytes(*word)).to_le_bytes();
        }
    }
}

fn map_indices(top_k: &TopK, shape: &[usize], indices: &mut [u8], mut map: impl FnMut(&mut [u16])) {
    let (mut locals, mut packed) = (Vec::new(), Vec::new());
    pack::unpack_indices(indices, &mut locals);
    locals.chunks_exact_mut(Cut::of(top_k, shape).k).for_each(&mut map);
    pack::pack_indices(&locals, &mut packed);
    indices.copy_from_slice(&packed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::codec::{DecodeError, Scratch, decode, encode};

    fn layout() -> Layout {
        let mut layout = Layout::new();
        layout.push("w", &[8, 12]);
        layout.push("b", &[6]);
        layout
    }

    fn compressions() -> Vec<Compression> {
        let Compression::TopK(production) = Compression::production() else { unreachable!("production is top-k") };
        let top_k = TopK { chunk: [4, 4], k: 4, ..production };
        let mut byte = top_k.clone();
        byte.quantizer.as_mut().expect("production quantises").coding = ValueCoding::Byte;
        let plain = TopK { quantizer: None, ..top_k.clone() };
        let top_ks = [top_k, byte, plain].map(Compression::TopK);
        let dense = [Compression::Dense { value_bits: 32 }, Compression::Dense { value_bits: 16 }, Compression::Int8];
        top_ks.into_iter().chain(dense).collect()
    }

    fn payload(compression: &Compression) -> Vec<u8> {
        let mut delta: Vec<f32> = (0..102).map(|i| (i as f32 * 0.7).sin() * (1.0 + i as f32)).collect();
        encode(compression, &layout(), &mut delta, &mut Vec::new(), &mut Scratch::default()).bytes
    }

    #[test]
    fn a_scaled_payload_decodes_to_scaled_values() {
        for compression in compressions() {
            let honest = payload(&compression);
            let mut scaled = honest.clone();
            tamper(&compression, &layout(), &mut scaled, Tampering::Scale(-4.0));
            let values = |bytes: &[u8]| decode(&compression, &layout(), bytes).expect("it decodes").to_dense(&layout());
            for (scaled, honest) in values(&scaled).into_iter().zip(values(&honest)) {
                assert!((scaled + 4.0 * honest).abs() <= 1e-5 * honest.abs(), "{compression:?}: {scaled} {honest}");
            }
        }
    }

    #[test]
    fn another_order_says_the_same() {
        for compression in compressions() {
            let honest = payload(&compression);
            let mut permuted = honest.clone();
            permute(&compression, &layout(), &mut permuted, |end| (end * 7 + 3) % end.max(1) / 2);
            let decoded = |bytes: &[u8]| decode(&compression, &layout(), bytes).expect("it decodes");
            assert_eq!(decoded(&permuted).to_dense(&layout()), decoded(&honest).to_dense(&layout()));
            assert_eq!(permuted != honest, matches!(compression, Compression::TopK(_)), "{compression:?}");
        }
    }

    #[test]
    fn malformed_payloads_are_refused_for_what_they_are() {
        for compression in compressions() {
            let refused = |tampering| {
                let mut bytes = payload(&compression);
                tamper(&compression, &layout(), &mut bytes, tampering);
                decode(&compression, &layout(), &bytes)
            };
            assert!(refused(Tampering::NotANumber).is_err(), "{compression:?}");
            assert!(matches!(refused(Tampering::Truncate), Err(DecodeError::Length { .. })));
            let beyond = refused(Tampering::IndexBeyondChunk);
            assert_eq!(
                matches!(beyond, Err(DecodeError::Index { .. })),
                matches!(compression, Compression::TopK(_)),
                "{compression:?}: {beyond:?}"
            );
        }
    }

    #[test]
    fn an_absurd_lookup_passes_the_checks_of_the_public_code() {
        let compression = &compressions()[0];
        let mut bytes = payload(compression);
        tamper(compression, &layout(), &mut bytes, Tampering::Lookup(1e30));
        let decoded = decode(compression, &layout(), &bytes).expect("the magnitude is not bounded");
        assert!(decoded.values(0).iter().all(|value| value.abs() == 1e30));
    }
}
