//! What is done with bytes from strangers, and what has to hold whatever they are.
//!
//! The first two bytes of an input choose a case (a compression, a layout, an honest payload) and what becomes of the
//! others:
//!
//! ```text
//! 0  they are the payload
//! 1  they are the body: magic and version stand before them, and they are repeated up to the length that is expected
//! 2  they are XORed onto the honest payload, from a place that they say
//! 3  they are three-byte edits of the honest payload: place, place, value
//! ```

use swarmloco::algorithm::Layout;
use swarmloco::algorithm::codec::{Checks, HEADER_BYTES, Scratch, VALUE_MAX, decode_checked, encode, total_bytes};
use swarmloco::algorithm::spec::{Compression, IndexCoding, Quantizer, TopK, ValueCoding, VectorChunk};

/// A receiver's expectation, and a payload that meets it.
pub struct Case {
    pub compression: Compression,
    pub layout: Layout,
    pub honest: Vec<u8>,
}

/// Every kind of compression that the codec knows, on tensors that leave odd rests.
pub fn cases() -> Vec<Case> {
    let mut compressions = vec![
        Compression::Dense { value_bits: 32 },
        Compression::Dense { value_bits: 16 },
        Compression::Int8,
        Compression::production(),
    ];
    let codings = [ValueCoding::Packed, ValueCoding::Byte];
    let quantizers =
        [2, 4, 8].into_iter().flat_map(|bits| codings.map(|coding| Quantizer { bits, range: 6.0, coding }));
    for quantizer in quantizers.map(Some).chain([None]) {
        for (vectors, even_k, chunk, k) in [
            (VectorChunk::Side, true, [4, 4], 5),
            (VectorChunk::Area, false, [4, 8], 3),
            (VectorChunk::AreaRate, false, [64, 64], 64),
        ] {
            let (quantizer, index_coding) = (quantizer.clone(), IndexCoding::Fixed);
            let top_k = TopK { chunk, vectors, k, even_k, quantizer, index_coding, error_feedback: None };
            compressions.push(Compression::TopK(top_k));
        }
    }
    compressions.into_iter().map(case).collect()
}

fn case(compression: Compression) -> Case {
    let mut layout = Layout::new();
    for (name, shape) in [("matrix", &[8, 12][..]), ("vector", &[10]), ("prime", &[7, 3]), ("one", &[1])] {
        layout.push(name, shape);
    }
    let mut delta: Vec<f32> =
        (0..layout.parameters()).map(|i| (0.7 * i as f32).sin() * (1.0 + 0.05 * i as f32)).collect();
    let honest = encode(&compression, &layout, &mut delta, &mut Vec::new(), &mut Scratch::default()).bytes;
    Case { compression, layout, honest }
}

/// Makes a payload of an input and tries it.
pub fn try_input(cases: &[Case], input: &[u8]) {
    let &[case, way, ref data @ ..] = input else { return };
    let case = &cases[usize::from(case) % cases.len()];
    let length = total_bytes(&case.compression, &case.layout) as usize;
    let mut payload = case.honest.clone();
    match way % 4 {
        0 => payload = data.to_vec(),
        1 if data.is_empty() => {}
        1 => {
            payload.truncate(HEADER_BYTES as usize);
            payload.extend(data.iter().cycle().take(length - HEADER_BYTES as usize));
        }
        2 => {
            let Some((&first, data)) = data.split_first() else { return };
            let from = usize::from(first) * length / 256;
            payload[from..].iter_mut().zip(data).for_each(|(byte, noise)| *byte ^= noise);
        }
        _ => {
            for &[high, low, value] in data.as_chunks().0 {
                payload[usize::from(u16::from_be_bytes([high, low])) % length] = value;
            }
        }
    }
    try_payload(case, &payload);
}

/// Decodes with both kinds of checks.
///
/// # Panics
/// If something is accepted that must not be.
pub fn try_payload(case: &Case, payload: &[u8]) {
    let Case { compression, layout, .. } = case;
    let production = decode_checked(Checks::Production, compression, layout, payload);
    let strict = decode_checked(Checks::Strict, compression, layout, payload);
    let contribution = match &production {
        Ok(contribution) => contribution,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "a refusal has a reason");
            assert!(strict.is_err(), "strict checks refuse all that production's do");
            return;
        }
    };
    assert_eq!(payload.len() as u64, total_bytes(compression, layout), "another length is refused");
    let dense = contribution.to_dense(layout);
    assert!(dense.iter().all(|value| value.is_finite()), "what is not finite is refused");
    let mut is_unique = true;
    for (number, tensor) in layout.tensors().iter().enumerate() {
        let Some(indices) = contribution.indices(number) else { continue };
        let kept = indices.len() / contribution.chunks(number);
        assert!(indices.iter().all(|&index| tensor.range().contains(&(index as usize))), "an index is in its tensor");
        assert!(indices.chunks_exact(kept).all(<[u32]>::is_sorted), "indices ascend within a chunk");
        is_unique &= indices.chunks_exact(kept).all(|chunk| chunk.windows(2).all(|pair| pair[0] != pair[1]));
    }
    if let Ok(strict) = strict {
        assert_eq!(&strict, contribution, "checks change nothing");
        assert!(is_unique, "strict checks find what comes again");
        assert!(dense.iter().all(|value| value.abs() <= VALUE_MAX), "strict checks bound what decodes");
    }
}
