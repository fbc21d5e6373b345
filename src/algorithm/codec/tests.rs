//! What a payload keeps, loses and refuses.

use proptest::prelude::*;

use super::*;
use crate::algorithm::spec::{IndexCoding, VectorChunk};

fn top_k(k: usize, quantizer: Option<Quantizer>, error_feedback: Option<f32>) -> Compression {
    Compression::TopK(TopK {
        chunk: [4, 4],
        vectors: VectorChunk::Side,
        k,
        even_k: true,
        quantizer,
        index_coding: IndexCoding::Fixed,
        error_feedback,
    })
}

fn layout() -> Layout {
    let mut layout = Layout::new();
    layout.push("matrix", &[8, 12]);
    layout.push("vector", &[7]);
    layout
}

fn wave(len: usize) -> Vec<f32> {
    (0..len).map(|i| (0.7 * i as f32).sin() * (1.0 + 0.05 * i as f32)).collect()
}

fn dense_of(contribution: &Contribution, len: usize) -> Vec<f32> {
    let mut buffer = vec![0.0; len];
    contribution.add_to(&mut buffer);
    buffer
}

fn two_bits(coding: ValueCoding) -> Quantizer {
    Quantizer { bits: 2, range: 6.0, coding }
}

#[test]
fn all_of_a_chunk_without_quantisation_is_lossless() {
    let (layout, compression) = (layout(), top_k(16, None, Some(0.0)));
    let mut delta = wave(layout.parameters());
    let expected = delta.clone();
    let mut residual = Vec::new();
    let encoded = encode(&compression, &layout, &mut delta, &mut residual, &mut Scratch::default());
    let decoded = decode(&compression, &layout, &encoded.bytes).expect("an honest payload");
    assert_eq!(dense_of(&decoded, expected.len()), expected);
    assert!(residual.iter().all(|&e| e == 0.0));
}

#[test]
fn what_is_not_sent_is_remembered() {
    let (layout, compression) = (layout(), top_k(4, Some(two_bits(ValueCoding::Packed)), Some(0.5)));
    let mut residual = vec![1.0; layout.parameters()];
    let mut delta = wave(layout.parameters());
    let sum: Vec<f32> = delta.iter().map(|delta| 0.5 + delta).collect();
    let encoded = encode(&compression, &layout, &mut delta, &mut residual, &mut Scratch::default());
    let decoded = decode(&compression, &layout, &encoded.bytes).expect("an honest payload");
    for ((sent, kept), sum) in dense_of(&decoded, sum.len()).iter().zip(&residual).zip(&sum) {
        assert!((sent + kept - sum).abs() < 1e-5);
    }
    assert!((encoded.norm - reduce::norm(&decoded.values)).abs() < 1e-6);
}

#[test]
fn packed_and_byte_codings_decode_alike() {
    let layout = layout();
    let decoded = [ValueCoding::Packed, ValueCoding::Byte].map(|coding| {
        let compression = top_k(4, Some(two_bits(coding)), None);
        let mut delta = wave(layout.parameters());
        let encoded = encode(&compression, &layout, &mut delta, &mut Vec::new(), &mut Scratch::default());
        decode(&compression, &layout, &encoded.bytes).expect("an honest payload")
    });
    assert_eq!(decoded[0], decoded[1]);
}

#[test]
fn a_bad_index_and_a_bad_length_are_refused() {
    let (layout, compression) = (layout(), top_k(4, None, None));
    let mut delta = wave(layout.parameters());
    let mut bytes = encode(&compression, &layout, &mut delta, &mut Vec::new(), &mut Scratch::default()).bytes;
    assert!(matches!(decode(&compression, &layout, &bytes[1..]), Err(DecodeError::Length { .. })));
    bytes[0] = 0xff;
    assert!(matches!(decode(&compression, &layout, &bytes), Err(DecodeError::Index { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        mut noise in proptest::collection::vec(any::<u8>(), 200),
        which in 0..4_usize,
        cut in 0..200_usize,
    ) {
        let layout = layout();
        let compression = [
            Compression::Int8,
            Compression::Dense { value_bits: 16 },
            top_k(4, Some(two_bits(ValueCoding::Packed)), None),
            top_k(2, None, None),
        ][which].clone();
        let _ = decode(&compression, &layout, &noise[..cut]);
        let length: u64 = layout.tensors().iter().map(|t| payload_bytes(&compression, &t.shape)).sum();
        noise.resize(length as usize, 0x5a);
        let _ = decode(&compression, &layout, &noise);
    }
}
