//! The codec and the aggregation against numbers obtained by running the public code on a CPU.
//!
//! `templar_compressor.json`: one-covenant/templar at 142666f0 (v2.1.28, the Covenant-72B code).
//! `ccloco_two_workers.json`: tplr-y/CCLoco at 5bfce52 (`SparseLoCo`'s reference code), two workers.
//! Every entry of both files is tested here.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;
use swarmloco::algorithm::aggregate::{Summary, aggregate};
use swarmloco::algorithm::chunk::{Cut, clamp_k, largest_divisor};
use swarmloco::algorithm::codec::{Scratch, Section, decode, encode, sections};
use swarmloco::algorithm::outer::OuterState;
use swarmloco::algorithm::quantize::quantize;
use swarmloco::algorithm::spec::{
    Aggregation, Average, Clip, Compression, IndexCoding, OuterOptimizer, Quantizer, TopK, ValueCoding, VectorChunk,
};
use swarmloco::algorithm::{Contribution, Layout, pack, reduce};

const TEMPLAR: &str = include_str!("fixtures/templar_compressor.json");
const CCLOCO: &str = include_str!("fixtures/ccloco_two_workers.json");

/// The public code keeps statistics in f32; ours are rounded once.
const TOLERANCE: f64 = 1e-5;

fn fixture(text: &str, pointer: &str) -> Value {
    let all: Value = serde_json::from_str(text).expect("a fixture is JSON");
    all.pointer(pointer).unwrap_or_else(|| panic!("the fixture has {pointer}")).clone()
}

fn cases(section: &str) -> Vec<Value> {
    let cases = fixture(TEMPLAR, section).as_array().expect("a list of cases").clone();
    assert!(!cases.is_empty());
    cases
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn count(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a count")).expect("a small count")
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().expect("a list").iter().map(|value| number(value) as f32).collect()
}

fn counts(value: &Value) -> Vec<usize> {
    value.as_array().expect("a list").iter().map(count).collect()
}

/// All numbers of nested lists.
fn flat(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![number(value) as f32],
    }
}

#[track_caller]
fn assert_close(found: impl Into<f64>, expected: &Value, unit: f64, what: &str) {
    let (found, expected) = (found.into(), number(expected));
    assert!((found - expected).abs() <= TOLERANCE * unit, "{what}: {found}, the public code has {expected}");
}

#[track_caller]
fn assert_all_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let unit = f64::from(expected.abs()).max(1e-3);
        assert!(f64::from((found - expected).abs()) <= TOLERANCE * unit, "{what}: {found}, the public code {expected}");
    }
}

fn matrix(rows: usize, columns: usize) -> Layout {
    let mut layout = Layout::new();
    layout.push("weight", &[rows, columns]);
    layout
}

/// The compressor of the public codes at 4 bins, or without a quantiser.
fn top_k(chunk: [usize; 2], k: usize, bits: Option<u32>, even_k: bool, beta: Option<f32>) -> TopK {
    TopK {
        chunk,
        vectors: VectorChunk::Side,
        k,
        even_k,
        quantizer: bits.map(|bits| Quantizer { bits, range: 6.0, coding: ValueCoding::Byte }),
        index_coding: IndexCoding::Fixed,
        error_feedback: beta,
    }
}

fn contribution(top_k: &TopK, layout: &Layout, delta: &[f32], residual: &mut Vec<f32>) -> (Contribution, Vec<u8>) {
    let compression = Compression::TopK(top_k.clone());
    let bytes = encode(&compression, layout, &mut delta.to_vec(), residual, &mut Scratch::default()).bytes;
    (decode(&compression, layout, &bytes).expect("an honest payload"), bytes)
}

#[test]
fn indices_pack_into_the_same_bytes() {
    for case in cases("/pack12") {
        let indices: Vec<u16> = counts(&case["idx"]).into_iter().map(|index| index as u16).collect();
        let expected: Vec<u8> = counts(&case["bytes"]).into_iter().map(|byte| byte as u8).collect();
        let (mut bytes, mut back) = (Vec::new(), Vec::new());
        pack::pack_indices(&indices, &mut bytes);
        assert_eq!(bytes, expected);
        pack::unpack_indices(&bytes, &mut back);
        assert_eq!(back, indices);
    }
}

#[test]
fn values_fall_into_the_same_bins_and_decode_alike() {
    for case in cases("/quant") {
        let values = floats(&case["vals"]);
        let bin_count = count(&case["bins"]);
        let bits = bin_count.trailing_zeros();
        let mut bins = Vec::new();
        let (book, bin_counts) = quantize(&values, bits, number(&case["range"]) as f32, &mut bins);
        let expected_bins = counts(&case["q"]);
        assert_eq!(bins.iter().map(|&bin| usize::from(bin)).collect::<Vec<_>>(), expected_bins, "{case}");
        assert_close(book.shift, &case["shift"], 1.0, "shift");
        assert_close(book.scale, &case["scale"], number(&case["scale"]), "scale");
        assert_eq!(bin_count / 2, count(&case["offset"]));
        let nonzero = case["lookup_nonzero"].as_object().expect("a map");
        for (bin, &found) in book.lookup.iter().enumerate() {
            let expected = nonzero.get(&bin.to_string()).map_or(0.0, number) as f32;
            assert_all_close(&[found], &[expected], "lookup");
        }
        let decoded = book.decoded();
        let found: Vec<f32> = bins.iter().map(|&bin| decoded[usize::from(bin)]).collect();
        assert_all_close(&found, &floats(&case["deq"]), "decoded");
        for (bin, &found) in bin_counts.iter().enumerate() {
            assert_eq!(found as usize, expected_bins.iter().filter(|&&expected| expected == bin).count());
        }
    }
}

#[test]
fn dimensions_split_by_the_same_divisors() {
    for case in cases("/split") {
        assert_eq!(largest_divisor(count(&case["n"]), count(&case["target"])), count(&case["chunk"]), "{case}");
    }
}

#[test]
fn contributions_aggregate_alike() {
    let layout = matrix(1, 4);
    let spec = top_k([1, 4], 2, None, true, None);
    for case in cases("/agg") {
        let peers = case["idx"].as_array().expect("a list").iter().zip(case["vals"].as_array().expect("a list"));
        let contributions: Vec<Contribution> = peers
            .map(|(indices, values)| {
                let mut delta = [0.0; 4];
                counts(indices).into_iter().zip(floats(values)).for_each(|(index, value)| delta[index] = value);
                contribution(&spec, &layout, &delta, &mut Vec::new()).0
            })
            .collect();
        let clip = if case["clip"] == Value::Bool(true) { Clip::MedianNorm } else { Clip::None };
        let aggregation = Aggregation::averaging(Average::Contributors, clip);
        let mut out = [0.0; 4];
        aggregate(&aggregation, &layout, &contributions.iter().collect::<Vec<_>>(), &mut out);
        assert_all_close(&out, &flat(&case["out"]), "aggregate");
    }
}

#[test]
fn vectors_are_cut_alike() {
    let case = fixture(TEMPLAR, "/oned");
    let spec = top_k([4, 4], count(&case["requested_k"]), Some(2), true, None);
    let cut = Cut::of(&spec, &[count(&case["n"])]);
    // The public code keeps a vector's chunks as rows: 2 chunks of 4.
    assert_eq!([cut.chunks(), cut.chunk_len()].as_slice(), counts(&case["chunk"]));
    assert_eq!(cut.k, count(&case["k_used"]));
}

#[test]
fn k_is_clamped_alike_but_for_the_chunk_that_crashes_the_public_code() {
    for case in cases("/clampk") {
        let chunk_len = count(&case["chunk_elems"]);
        let used = clamp_k(count(&case["requested"]), chunk_len, true);
        // It asks for 2 of 1 element; here that one is sent.
        assert_eq!(used, count(&case["used"]).min(chunk_len), "{case}");
    }
}

/// g[i] = sin(0.7 i + 1.3 peer + 0.9 round)·(1 + 0.05 i), as the fixture says.
fn pseudo_gradient(peer: usize, round: usize) -> Vec<f32> {
    (0..64)
        .map(|i| {
            let phase = 0.7 * f64::from(i) + 1.3 * peer as f64 + 0.9 * round as f64;
            (phase.sin() * (1.0 + 0.05 * f64::from(i))) as f32
        })
        .collect()
}

/// Rounds of the fixtures' 8x8 matrix in 4x4 chunks.
struct Rounds {
    spec: TopK,
    layout: Layout,
    theta: Vec<f32>,
    residuals: Vec<Vec<f32>>,
    contributions: Vec<Contribution>,
    payloads: Vec<Vec<u8>>,
    aggregate: Vec<f32>,
}

impl Rounds {
    fn new(peers: usize, even_k: bool) -> Self {
        Self {
            spec: top_k([4, 4], 4, Some(2), even_k, Some(0.95)),
            layout: matrix(8, 8),
            theta: vec![0.0; 64],
            residuals: vec![Vec::new(); peers],
            contributions: Vec::new(),
            payloads: Vec::new(),
            aggregate: vec![0.0; 64],
        }
    }

    fn take(&mut self, round: usize, clip: Clip, learning_rate: f32) -> Summary {
        self.contributions.clear();
        self.payloads.clear();
        for (peer, residual) in self.residuals.iter_mut().enumerate() {
            let delta = pseudo_gradient(peer, round);
            let (contribution, payload) = contribution(&self.spec, &self.layout, &delta, residual);
            self.contributions.push(contribution);
            self.payloads.push(payload);
        }
        let aggregation = Aggregation::averaging(Average::Contributors, clip);
        let contributions: Vec<&Contribution> = self.contributions.iter().collect();
        let summary = aggregate(&aggregation, &self.layout, &contributions, &mut self.aggregate);
        let sgd = OuterOptimizer::Sgd { learning_rate };
        OuterState::default().step(&sgd, &self.layout, &mut self.theta, &self.aggregate, round as u64);
        summary
    }

    fn compression(&self) -> Compression {
        Compression::TopK(self.spec.clone())
    }
}

/// Indices within the chunk, chunk by chunk.
fn local_indices(section: &Section<'_>) -> Vec<usize> {
    let mut indices = Vec::new();
    pack::unpack_indices(section.indices, &mut indices);
    indices.into_iter().map(usize::from).collect()
}

#[test]
fn three_rounds_of_three_peers_agree() {
    let mut rounds = Rounds::new(3, true);
    for (number_of_round, round) in cases("/ef3/rounds").iter().enumerate() {
        assert_eq!(count(&round["round"]), number_of_round);
        let summary = rounds.take(number_of_round, Clip::MedianNorm, 0.4);
        let compression = rounds.compression();
        for (peer, expected) in round["peers"].as_array().expect("a list").iter().enumerate() {
            let section = sections(&compression, &rounds.layout, &rounds.payloads[peer]).expect("honest").remove(0);
            let expected_indices: Vec<usize> =
                flat(&expected["idx_sorted"]).iter().map(|&index| index as usize).collect();
            assert_eq!(local_indices(&section), expected_indices);
            let unit = number(&expected["sent_l2"]);
            let book = section.codebook.as_ref().expect("quantised");
            assert_close(book.shift, &expected["shift"], unit, "shift");
            assert_close(book.scale, &expected["scale"], unit, "scale");
            for (found, expected) in book.lookup.iter().zip(expected["lookup"].as_array().expect("a list")) {
                assert_close(*found, expected, unit, "lookup");
            }
            let mut bin_counts = vec![0; 4];
            section.values.iter().for_each(|&bin| bin_counts[usize::from(bin)] += 1);
            assert_eq!(bin_counts, counts(&expected["bincount"]));
            assert_close(rounds.contributions[peer].norm(), &expected["sent_l2"], unit, "sent");
            let residual = reduce::norm(&rounds.residuals[peer]);
            assert_close(residual, &expected["ef_l2_after"], number(&expected["ef_l2_after"]), "residual");
            assert_close(rounds.contributions[peer].tensor_norm(0), &round["norms"][peer], unit, "norm");
        }
        assert_close(summary.medians[0], &round["median"], number(&round["median"]), "median");
        assert_close(reduce::norm(&rounds.aggregate), &round["agg_l2"], number(&round["agg_l2"]), "aggregate");
        assert_eq!(summary.nonzeros[0], round["agg_nnz"].as_u64().expect("a count"));
        assert_close(reduce::norm(&rounds.theta), &round["theta_l2"], number(&round["theta_l2"]), "theta");
        assert_all_close(&rounds.theta[..8], &floats(&round["theta_row0"]), "first row of theta");
    }
}

#[test]
fn three_rounds_of_two_ccloco_workers_agree() {
    // No clip, alpha = 1, k not forced even; its residuals equal those of templar's peers 0 and 1.
    let mut rounds = Rounds::new(2, false);
    for round in 0..3 {
        rounds.take(round, Clip::None, 1.0);
    }
    for (worker, name) in ["/0/q3", "/1/q3"].into_iter().enumerate() {
        let expected = fixture(CCLOCO, name);
        assert_close(reduce::norm(&rounds.theta), &expected["theta_l2"], number(&expected["theta_l2"]), "theta");
        assert_all_close(&rounds.theta[..8], &floats(&expected["theta_row0"]), "first row of theta");
        let residual = reduce::norm(&rounds.residuals[worker]);
        assert_close(residual, &expected["ef_l2"], number(&expected["ef_l2"]), "residual");
    }
}

#[test]
fn ccloco_applies_its_learning_rate_twice() {
    // It adds lr·Δ to the residual and steps by lr again; here that is a scaled Δ. All of Δ = 1 is sent.
    let layout = matrix(4, 4);
    let lr = 0.5;
    let spec = top_k([4, 4], 16, None, false, Some(0.95));
    let (contribution, _) = contribution(&spec, &layout, &[lr; 16], &mut Vec::new());
    let aggregation = Aggregation::averaging(Average::Contributors, Clip::None);
    let (mut delta, mut theta) = ([0.0; 16], [0.0; 16]);
    aggregate(&aggregation, &layout, &[&contribution], &mut delta);
    let sgd = OuterOptimizer::Sgd { learning_rate: lr };
    OuterState::default().step(&sgd, &layout, &mut theta, &delta, 0);
    for worker in ["/0/lr0.5_full_k_step", "/1/lr0.5_full_k_step"] {
        assert_eq!(theta, [number(&fixture(CCLOCO, worker)) as f32; 16]);
    }
}

#[test]
fn disjoint_workers_each_get_their_full_value_and_keep_the_rest() {
    // Worker r sends its largest entry, r + 2 at coordinate r, and keeps 0.1 at the last one.
    let layout = matrix(4, 4);
    let spec = top_k([4, 4], 1, None, false, Some(0.95));
    let mut residuals = [Vec::new(), Vec::new()];
    let contributions: Vec<Contribution> = residuals
        .iter_mut()
        .enumerate()
        .map(|(worker, residual)| {
            let mut delta = [0.0; 16];
            delta[worker] = worker as f32 + 2.0;
            delta[15] = 0.1;
            contribution(&spec, &layout, &delta, residual).0
        })
        .collect();
    let aggregation = Aggregation::averaging(Average::Contributors, Clip::None);
    let (mut delta, mut theta) = ([0.0; 16], [0.0; 16]);
    aggregate(&aggregation, &layout, &contributions.iter().collect::<Vec<_>>(), &mut delta);
    let sgd = OuterOptimizer::Sgd { learning_rate: 1.0 };
    OuterState::default().step(&sgd, &layout, &mut theta, &delta, 0);
    for (worker, residual) in residuals.iter().enumerate() {
        assert_eq!(theta.as_slice(), flat(&fixture(CCLOCO, &format!("/{worker}/disjoint"))));
        assert_eq!(*residual, flat(&fixture(CCLOCO, &format!("/{worker}/ef"))));
    }
}

#[test]
fn ccloco_vectors_send_as_many_by_either_rate() {
    // A vector of 64 at k = 32: `rate_1d` sends 32 of 64, `rate_2d` keeps the density 32/4096 and sends 1.
    let sent = |vectors| {
        let spec = TopK { vectors, ..top_k([64, 64], 32, None, false, None) };
        Cut::of(&spec, &[64]).kept()
    };
    for worker in 0..2 {
        assert_eq!(sent(VectorChunk::Side), count(&fixture(CCLOCO, &format!("/{worker}/1d_rate1d_nnz"))));
        assert_eq!(sent(VectorChunk::AreaRate), count(&fixture(CCLOCO, &format!("/{worker}/1d_rate2d_nnz"))));
    }
}

/// Draws of the random input: the public code's numbers are one such draw.
const DRAWS: u64 = 6;

/// 400 chunks of 64x64 whose standard deviations are lognormal with sigma `spread`.
fn unequal_chunks(spread: f64, seed: u64) -> (Layout, Vec<f32>) {
    let layout = matrix(64, 64 * 400);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let scales: Vec<f64> = (0..400).map(|_| (spread * normal()).exp()).collect();
    let values = (0..layout.parameters()).map(|i| (scales[i % (64 * 400) / 64] * normal()) as f32).collect();
    (layout, values)
}

/// What one draw shows.
struct Draw {
    error: f64,
    energy: f64,
    bin_counts: Vec<f64>,
}

fn quantise_draw(layout: &Layout, delta: &[f32], bits: u32) -> Draw {
    let spec = top_k([64, 64], 64, Some(bits), true, None);
    let (contribution, payload) = contribution(&spec, layout, delta, &mut Vec::new());
    let kept: Vec<f32> = contribution.indices(0).expect("sparse").iter().map(|&i| delta[i as usize]).collect();
    let errors: Vec<f32> = kept.iter().zip(contribution.values(0)).map(|(kept, sent)| kept - sent).collect();
    let compression = Compression::TopK(spec);
    let section = sections(&compression, layout, &payload).expect("honest").remove(0);
    let mut bin_counts = vec![0.0; 1 << bits];
    section.values.iter().for_each(|&bin| bin_counts[usize::from(bin)] += 1.0);
    Draw {
        error: reduce::norm(&errors) / reduce::norm(&kept),
        energy: reduce::sum_of_squares(&kept) / reduce::sum_of_squares(delta),
        bin_counts,
    }
}

/// The expected value is no outlier among the draws: within four of their standard deviations, and `unit`.
#[track_caller]
fn assert_typical(draws: &[Draw], of: impl Fn(&Draw) -> f64, expected: f64, unit: f64, what: &str) {
    let values: Vec<f64> = draws.iter().map(of).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    let deviation = variance.sqrt();
    assert!(
        (expected - mean).abs() <= 4.0 * deviation + unit,
        "{what}: {mean} ± {deviation}, the public code has {expected}"
    );
}

#[test]
fn quantisation_errs_as_much_as_the_public_code_on_unequal_chunks() {
    for (input, spread) in
        [("iid gaussian", 0.0), ("chunk scale lognormal s=0.5", 0.5), ("chunk scale lognormal s=1", 1.0)]
    {
        let inputs: Vec<_> = (0..DRAWS).map(|seed| unequal_chunks(spread, seed)).collect();
        let cases: Vec<Value> =
            cases("/quant_stats_400x4096_k64").into_iter().filter(|case| case["input"] == input).collect();
        assert_eq!(cases.len(), 3, "{input} is measured with 4, 16 and 256 bins");
        for case in cases {
            let bits = count(&case["bins"]).trailing_zeros();
            let draws: Vec<Draw> = inputs.iter().map(|(layout, delta)| quantise_draw(layout, delta, bits)).collect();
            let name = format!("{input}, {bits} bits");
            assert_typical(&draws, |draw| draw.error, number(&case["rel_quant_err_l2"]), 1e-4, &name);
            assert_typical(&draws, |draw| draw.energy, number(&case["topk_energy_frac"]), 1e-4, &name);
            if !case["bincount"].is_null() {
                for (bin, expected) in counts(&case["bincount"]).into_iter().enumerate() {
                    let name = format!("{name}, bin {bin}");
                    assert_typical(&draws, |draw| draw.bin_counts[bin], expected as f64, 8.0, &name);
                }
            }
            let used = |draw: &Draw| draw.bin_counts.iter().filter(|&&count| count > 0.0).count() as f64;
            assert_typical(&draws, used, number(&case["used_bins"]), 1.0, &name);
        }
    }
}
