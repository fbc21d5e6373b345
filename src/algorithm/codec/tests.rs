//! The codec against the obvious one, and against strangers.

use proptest::prelude::*;

use super::*;
use crate::algorithm::quantize::quantize;
use crate::algorithm::spec::{IndexCoding, VectorChunk};

fn layout(shapes: &[Vec<usize>]) -> Layout {
    let mut layout = Layout::new();
    for (number, shape) in shapes.iter().enumerate() {
        layout.push(format!("t{number}"), shape);
    }
    layout
}

fn top_k(chunk: [usize; 2], k: usize, bits: Option<u32>) -> TopK {
    TopK {
        chunk,
        vectors: VectorChunk::Side,
        k,
        even_k: true,
        quantizer: bits.map(|bits| Quantizer { bits, range: 6.0, coding: ValueCoding::Packed }),
        index_coding: IndexCoding::Fixed,
        error_feedback: Some(0.95),
    }
}

/// Deterministic values without structure.
fn noise(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    };
    (0..length).map(|_| next() + next() + next()).collect()
}

fn encode_once(compression: &Compression, layout: &Layout, delta: &[f32], residual: &mut Vec<f32>) -> Encoded {
    encode(compression, layout, &mut delta.to_vec(), residual, &mut Scratch::default())
}

/// The obvious codec: one thing after the other, by sorting; returns what is decoded and the new residual.
fn oracle(top_k: &TopK, layout: &Layout, delta: &[f32], residual: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let beta = top_k.error_feedback.unwrap_or(0.0);
    let mut sum: Vec<f32> = delta
        .iter()
        .enumerate()
        .map(|(i, delta)| if residual.is_empty() || beta == 0.0 { *delta } else { residual[i] * beta + delta })
        .collect();
    let mut decoded = vec![0.0; delta.len()];
    for tensor in layout.tensors() {
        let cut = Cut::of(top_k, &tensor.shape);
        let across = cut.columns / cut.block[1];
        let mut kept = Vec::new();
        for chunk in 0..cut.chunks() {
            let mut places = Vec::new();
            for row in 0..cut.block[0] {
                for column in 0..cut.block[1] {
                    let (y, x) = ((chunk / across) * cut.block[0] + row, (chunk % across) * cut.block[1] + column);
                    places.push(tensor.offset + y * cut.columns + x);
                }
            }
            places.sort_by(|&a, &b| sum[b].abs().total_cmp(&sum[a].abs()));
            places.truncate(cut.k);
            places.sort_unstable();
            kept.extend(places);
        }
        let mut values: Vec<f32> = kept.iter().map(|&place| sum[place]).collect();
        if let Some(quantizer) = &top_k.quantizer {
            let mut bins = Vec::new();
            let (book, _) = quantize(&values, quantizer.bits, quantizer.range, &mut bins);
            values = bins.iter().map(|&bin| book.lookup[usize::from(bin)] + book.shift).collect();
        }
        for (place, value) in kept.into_iter().zip(values) {
            decoded[place] = value;
            sum[place] -= value;
        }
    }
    (decoded, sum)
}

fn shapes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let side = prop_oneof![Just(1_usize), Just(7), Just(24), 1..40_usize];
    proptest::collection::vec(proptest::collection::vec(side, 1..=2), 1..4)
}

fn specs() -> impl Strategy<Value = TopK> {
    let vectors = prop_oneof![Just(VectorChunk::Side), Just(VectorChunk::Area), Just(VectorChunk::AreaRate)];
    let coding = prop_oneof![Just(ValueCoding::Packed), Just(ValueCoding::Byte)];
    let bits = prop_oneof![Just(None), Just(Some(2)), Just(Some(4)), Just(Some(8))];
    let decay = prop_oneof![Just(None), Just(Some(0.0)), Just(Some(0.95))];
    (1..17_usize, 1..17_usize, 1..20_usize, any::<bool>(), vectors, coding, bits, decay).prop_map(
        |(height, width, k, even_k, vectors, coding, bits, decay)| TopK {
            vectors,
            even_k,
            quantizer: bits.map(|bits| Quantizer { bits, range: 6.0, coding }),
            error_feedback: decay,
            ..top_k([height, width], k, None)
        },
    )
}

proptest! {
    #[test]
    fn three_rounds_agree_with_the_obvious_codec(shapes in shapes(), spec in specs(), seed in any::<u32>()) {
        let layout = layout(&shapes);
        let compression = Compression::TopK(spec.clone());
        let mut scratch = Scratch::default();
        let (mut residual, mut expected_residual) = (Vec::new(), Vec::new());
        for round in 0..3 {
            let delta = noise(layout.parameters(), seed.wrapping_add(round));
            let encoded = encode(&compression, &layout, &mut delta.clone(), &mut residual, &mut scratch);
            let (expected, next) = oracle(&spec, &layout, &delta, &expected_residual);
            let contribution = decode(&compression, &layout, &encoded.bytes).expect("an honest payload");
            prop_assert_eq!(contribution.to_dense(&layout), expected.clone());
            let norm = expected.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            prop_assert!((encoded.norm - norm).abs() <= 1e-12 * norm, "{} {}", encoded.norm, norm);
            prop_assert!((contribution.norm() - norm).abs() <= 1e-12 * norm);
            prop_assert_eq!(contribution.kept() as u64, encoded.kept);
            prop_assert_eq!(encoded.bytes.len() as u64, total_bytes(&compression, &layout));
            if spec.error_feedback.is_some() {
                prop_assert_eq!(&residual, &next);
                expected_residual = next;
            } else {
                prop_assert!(residual.is_empty());
            }
        }
    }

    #[test]
    fn strict_checks_let_honest_payloads_pass(shapes in shapes(), spec in specs(), seed in any::<u32>(), size in -9..4_i32) {
        let layout = layout(&shapes);
        let delta: Vec<f32> =
            noise(layout.parameters(), seed).into_iter().map(|value| value * 10.0_f32.powi(size)).collect();
        for compression in [Compression::TopK(spec), Compression::Int8, Compression::Dense { value_bits: 16 }] {
            let bytes = encode_once(&compression, &layout, &delta, &mut Vec::new()).bytes;
            let production = decode(&compression, &layout, &bytes);
            prop_assert_eq!(decode_checked(Checks::Strict, &compression, &layout, &bytes), production);
        }
    }

    #[test]
    fn nothing_is_lost_between_payload_and_residual(shapes in shapes(), spec in specs(), seed in any::<u32>()) {
        let layout = layout(&shapes);
        let spec = TopK { error_feedback: Some(0.95), ..spec };
        let compression = Compression::TopK(spec);
        let before = noise(layout.parameters(), seed);
        let delta = noise(layout.parameters(), seed.wrapping_add(1));
        let mut residual = before.clone();
        let encoded = encode_once(&compression, &layout, &delta, &mut residual);
        let decoded = decode(&compression, &layout, &encoded.bytes).expect("an honest payload").to_dense(&layout);
        for i in 0..delta.len() {
            let mass = f64::from(before[i]) * f64::from(0.95_f32) + f64::from(delta[i]);
            let kept = f64::from(residual[i]) + f64::from(decoded[i]);
            prop_assert!((mass - kept).abs() < 1e-6, "{} {}", mass, kept);
        }
    }

    #[test]
    fn byte_and_packed_values_decode_alike(shapes in shapes(), spec in specs(), seed in any::<u32>()) {
        let layout = layout(&shapes);
        let delta = noise(layout.parameters(), seed);
        let [packed, byte] = [ValueCoding::Packed, ValueCoding::Byte].map(|coding| {
            let quantizer = spec.quantizer.clone().map(|quantizer| Quantizer { coding, ..quantizer });
            let compression = Compression::TopK(TopK { quantizer, ..spec.clone() });
            let mut residual = Vec::new();
            let encoded = encode_once(&compression, &layout, &delta, &mut residual);
            (decode(&compression, &layout, &encoded.bytes).expect("an honest payload"), residual, encoded.norm)
        });
        prop_assert_eq!(packed, byte);
    }

    #[test]
    fn a_decoder_survives_strangers(
        shapes in shapes(),
        spec in specs(),
        seed in any::<u32>(),
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        cut in any::<prop::sample::Index>(),
        random in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let layout = layout(&shapes);
        for compression in [Compression::TopK(spec), Compression::Int8, Compression::Dense { value_bits: 16 }] {
            let encoded = encode_once(&compression, &layout, &noise(layout.parameters(), seed), &mut Vec::new());
            let mut mutated = encoded.bytes.clone();
            for (index, byte) in &mutations {
                let at = index.index(mutated.len());
                mutated[at] = *byte;
            }
            if let Ok(contribution) = decode(&compression, &layout, &mutated) {
                prop_assert!(contribution.to_dense(&layout).iter().all(|value| value.is_finite()));
            }
            let truncated = &encoded.bytes[..cut.index(encoded.bytes.len())];
            prop_assert!(matches!(decode(&compression, &layout, truncated), Err(DecodeError::Length { .. })), "truncated");
            let _ = decode(&compression, &layout, &random);
            let mut body = encoded.bytes.clone();
            body.iter_mut().skip(8).zip(&random).for_each(|(byte, random)| *byte = *random);
            let _ = decode(&compression, &layout, &body);
        }
    }
}

#[test]
fn keeping_everything_without_quantisation_is_lossless() {
    let layout = layout(&[vec![6, 10], vec![7, 1], vec![5]]);
    let mut delta = noise(layout.parameters(), 1);
    delta[3] = -0.0;
    delta[4] = f32::MIN_POSITIVE / 4.0;
    for error_feedback in [None, Some(0.0)] {
        let spec = TopK { even_k: false, error_feedback, ..top_k([64, 64], usize::MAX, None) };
        let compression = Compression::TopK(spec);
        let mut residual = Vec::new();
        for _ in 0..2 {
            let encoded = encode_once(&compression, &layout, &delta, &mut residual);
            let decoded = decode(&compression, &layout, &encoded.bytes).expect("an honest payload").to_dense(&layout);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&decoded), bits(&delta));
            assert!(residual.iter().all(|&e| e == 0.0));
        }
    }
}

#[test]
fn dense_payloads_carry_f32_exactly_and_bf16_to_8_bits() {
    let layout = layout(&[vec![3, 5], vec![4]]);
    let delta = noise(19, 5);
    for value_bits in [32, 16] {
        let compression = Compression::Dense { value_bits };
        let mut residual = Vec::new();
        let encoded = encode_once(&compression, &layout, &delta, &mut residual);
        assert!(residual.is_empty());
        assert_eq!(encoded.bytes.len() as u64, HEADER_BYTES + 19 * u64::from(value_bits) / 8);
        let decoded = decode(&compression, &layout, &encoded.bytes).expect("an honest payload").to_dense(&layout);
        for (decoded, delta) in decoded.iter().zip(&delta) {
            let tolerance = if value_bits == 32 { 0.0 } else { delta.abs() / 256.0 };
            assert!((decoded - delta).abs() <= tolerance, "{decoded} {delta}");
        }
    }
}

#[test]
fn bf16_rounds_to_nearest_even() {
    #[expect(clippy::excessive_precision, reason = "the halves between two bf16 numbers are written out")]
    for (value, expected) in [(1.0, 1.0), (1.003_906_25, 1.0), (1.011_718_75, 1.015_625), (-1.004, -1.007_812_5)] {
        assert_eq!(from_bf16(to_bf16(value)), expected, "{value}");
    }
    assert!(from_bf16(to_bf16(f32::from_bits(0x7f80_0001))).is_nan());
    assert_eq!(from_bf16(to_bf16(f32::MAX)), f32::INFINITY);
}

#[test]
fn int8_errs_by_half_a_bin_within_three_sigma() {
    let layout = layout(&[vec![64, 64]]);
    let delta = noise(4096, 9);
    let encoded = encode_once(&Compression::Int8, &layout, &delta, &mut Vec::new());
    let section = sections(&Compression::Int8, &layout, &encoded.bytes).expect("an honest payload").remove(0);
    let scale = section.codebook.expect("quantised").scale;
    let decoded = decode(&Compression::Int8, &layout, &encoded.bytes).expect("an honest payload").to_dense(&layout);
    let inside = |delta: f32| delta.abs() < 2.9 * scale * 256.0 / 6.0;
    for (decoded, &delta) in decoded.iter().zip(&delta).filter(|&(_, &delta)| inside(delta)) {
        assert!((decoded - delta).abs() <= scale, "{decoded} {delta} {scale}");
    }
}

#[test]
fn a_diverged_pseudo_gradient_gives_a_payload_that_is_refused() {
    let layout = layout(&[vec![8, 8]]);
    let mut delta = noise(64, 2);
    delta[9] = f32::NAN;
    for bits in [None, Some(2)] {
        let compression = Compression::TopK(top_k([4, 4], 4, bits));
        let encoded = encode_once(&compression, &layout, &delta, &mut Vec::new());
        let error = decode(&compression, &layout, &encoded.bytes).expect_err("NaN is refused");
        assert!(matches!(error, DecodeError::Shift { .. } | DecodeError::Value { .. }), "{error}");
    }
}

/// A payload of one 4x4 tensor, k = 4, 2 bits in bytes: indices at 8..14, values at 14..18, then the codebook.
fn small() -> (Compression, Layout, Vec<u8>) {
    let mut spec = top_k([4, 4], 4, Some(2));
    spec.quantizer = Some(Quantizer { bits: 2, range: 6.0, coding: ValueCoding::Byte });
    let (compression, layout) = (Compression::TopK(spec), layout(&[vec![4, 4]]));
    let bytes = encode_once(&compression, &layout, &noise(16, 3), &mut Vec::new()).bytes;
    assert_eq!(bytes.len(), 8 + 6 + 4 + 8 + 16);
    (compression, layout, bytes)
}

#[test]
fn each_check_refuses_with_its_own_reason() {
    let (compression, layout, bytes) = small();
    let refusal = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        decode(&compression, &layout, &bytes).map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = |reason: &str| Err(reason.to_owned());
    assert_eq!(refusal(0, b"PK"), refused("the payload does not start with the magic bytes `SLCO`"));
    assert_eq!(refusal(4, &[9]), refused("the payload has version 9, this program reads version 1"));
    assert_eq!(refusal(8, &[16, 0]), refused("tensor `t0`: index 16 is outside its chunk of 16 elements"));
    assert_eq!(refusal(14, &[4]), refused("tensor `t0`: there is no bin 4 among 4"));
    assert_eq!(refusal(18, &f32::NAN.to_le_bytes()), refused("tensor `t0`: the shift is not finite: NaN"));
    for scale in [0.0, 1e-13, 2e4, f32::INFINITY] {
        let reason = format!("tensor `t0`: the scale is not within 1e-12 and 1e4: {scale}");
        assert_eq!(refusal(22, &scale.to_le_bytes()), Err(reason));
    }
    let infinite = f32::NEG_INFINITY.to_le_bytes();
    assert_eq!(refusal(30, &infinite), refused("tensor `t0`: the lookup of bin 1 is not finite: -inf"));
    assert_eq!(refusal(22, &(-1.0_f32).to_le_bytes()), Ok(()), "the sign of the scale is not checked");
    let longer = [bytes.as_slice(), &[0]].concat();
    let error = decode(&compression, &layout, &longer).expect_err("too long");
    assert_eq!(error, DecodeError::Length { expected: 42, found: 43 });
}

#[test]
fn padding_is_zero_or_refused() {
    // Three chunks of one element: 3 indices leave 4 bits, 3 values of 2 bits leave 2.
    let compression = Compression::TopK(top_k([64, 64], 64, Some(2)));
    let layout = layout(&[vec![3, 1]]);
    let compression = match compression {
        Compression::TopK(spec) => Compression::TopK(TopK { chunk: [1, 1], ..spec }),
        other => other,
    };
    let bytes = encode_once(&compression, &layout, &[1.0, 2.0, -3.0], &mut Vec::new()).bytes;
    assert!(decode(&compression, &layout, &bytes).is_ok());
    for (at, bit) in [(12, 0x10), (13, 0x40)] {
        let mut bytes = bytes.clone();
        bytes[at] |= bit;
        let error = decode(&compression, &layout, &bytes).expect_err("padding");
        assert!(matches!(error, DecodeError::Padding { .. }), "{error}");
    }
}

#[test]
fn two_holes_of_the_public_code_stay_open() {
    let (compression, layout, mut bytes) = small();
    // A lookup of any magnitude.
    bytes[26..42].copy_from_slice(&[1e30_f32, -1e30, 3.0, 5.0].map(f32::to_le_bytes).concat());
    bytes[18..22].copy_from_slice(&0.0_f32.to_le_bytes());
    // Indices 7, 2, 7, 2 in bins 2, 2, 3, 2: duplicates are averaged and order does not matter.
    let mut indices = Vec::new();
    pack::pack_indices(&[7, 2, 7, 2], &mut indices);
    bytes[8..14].copy_from_slice(&indices);
    bytes[14..18].copy_from_slice(&[2, 2, 3, 2]);
    let contribution = decode(&compression, &layout, &bytes).expect("it passes all checks");
    assert_eq!(contribution.indices(0), Some([2, 2, 7, 7].as_slice()));
    assert_eq!(contribution.values(0), [3.0, 3.0, 4.0, 4.0]);
    let mut target = vec![0.0; 16];
    contribution.add_to(2.0, &mut target);
    assert_eq!((target[2], target[7]), (6.0, 8.0));
    bytes[14] = 0;
    assert!(decode(&compression, &layout, &bytes).is_ok());
}

#[test]
fn strict_checks_close_the_holes() {
    let (compression, layout, bytes) = small();
    let refusal = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        assert!(decode(&compression, &layout, &bytes).is_ok(), "the production checks let it pass");
        decode_checked(Checks::Strict, &compression, &layout, &bytes).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(refusal(0, b"SLCO"), Ok(()));
    let mut indices = Vec::new();
    pack::pack_indices(&[7, 2, 7, 3], &mut indices);
    assert_eq!(refusal(8, &indices), Err("tensor `t0`: coordinate 7 comes more than once".to_owned()));
    pack::pack_indices(&[7, 2, 5, 3], &mut indices);
    assert_eq!(refusal(8, &indices[6..]), Ok(()), "the order is free");
    assert_eq!(
        refusal(18, &2e4_f32.to_le_bytes()).map_err(|error| error.contains("a value is larger than 1e4: 2")),
        Err(true)
    );
    // σ = 0.5·4/6 for a scale of 0.5; the mean of one of four values is at most √3 of it away.
    let scale_and_lookup = |centre: f32| [0.5, 0.0, centre, 0.0, 0.0].map(f32::to_le_bytes).concat();
    assert_eq!(refusal(22, &scale_and_lookup(0.577)), Ok(()));
    let error = refusal(22, &scale_and_lookup(-0.578)).expect_err("too far");
    assert!(
        error.starts_with("tensor `t0`: the lookup of bin 1 is -0.578, but the scale allows at most 0.5779"),
        "{error}"
    );
}

#[test]
fn a_compression_that_cannot_be_done_is_named() {
    let problem = |spec: TopK| Compression::TopK(spec).check().expect_err("unusable").to_string();
    let usable = top_k([64, 64], 64, Some(2));
    assert_eq!(Compression::TopK(usable.clone()).check(), Ok(()));
    let chunk = |chunk| problem(TopK { chunk, ..usable.clone() });
    assert_eq!(chunk([65, 64]), "a chunk has 1 to 4096 elements, not 65x64");
    assert_eq!(chunk([0, 64]), "a chunk has 1 to 4096 elements, not 0x64");
    assert_eq!(problem(TopK { k: 0, ..usable.clone() }), "at least one entry is kept per chunk");
    let quantizer =
        |bits, range| TopK { quantizer: Some(Quantizer { bits, range, coding: ValueCoding::Byte }), ..usable.clone() };
    assert_eq!(problem(quantizer(3, 6.0)), "quantised values have 2, 4 or 8 bits, not 3");
    assert!(problem(quantizer(2, f32::NAN)).ends_with("not NaN"));
    assert_eq!(
        problem(TopK { error_feedback: Some(1.5), ..usable.clone() }),
        "the decay of the error feedback is between 0 and 1, not 1.5"
    );
    let dense = Compression::Dense { value_bits: 8 }.check().expect_err("unusable");
    assert_eq!(dense.to_string(), "dense values have 16 or 32 bits, not 8");
}
