//! Speed of the codec beside a plain memory copy of the same flat buffer.
//!
//! Throughput is bytes of the flat f32 buffer (4 P), whatever an operation really moves, so all figures compare with
//! `copy`. Chunks and k are those of production: 64 of 64x64, 2 bits, 20 payloads an aggregate.

#![allow(missing_docs, reason = "criterion's macros define undocumented items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use swarmloco::algorithm::aggregate::aggregate;
use swarmloco::algorithm::codec::{Scratch, decode, encode};
use swarmloco::algorithm::outer::OuterState;
use swarmloco::algorithm::spec::{AdamW, Aggregation, Average, Clip, Compression, OuterOptimizer, Schedule};
use swarmloco::algorithm::{Contribution, Layout};
use swarmloco::quantity::PeerId;
use swarmloco::validator::overlap::overlaps;

const PEERS: u64 = 20;

/// Two layers of width 768: 14.2 million parameters in 64x64 blocks.
fn layout() -> Layout {
    let mut layout = Layout::new();
    for layer in 0..2 {
        for (name, rows, columns) in [
            ("query", 768, 768),
            ("key", 768, 768),
            ("value", 768, 768),
            ("output", 768, 768),
            ("gate", 2048, 768),
            ("up", 2048, 768),
            ("down", 768, 2048),
        ] {
            layout.push(format!("layers.{layer}.{name}"), &[rows, columns]);
        }
        layout.push(format!("layers.{layer}.norm"), &[768]);
    }
    layout
}

fn normal(length: usize, seed: u64) -> Vec<f32> {
    StandardNormal.sample_iter(ChaCha8Rng::seed_from_u64(seed)).take(length).collect()
}

fn codec(criterion: &mut Criterion) {
    let layout = layout();
    let parameters = layout.parameters();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Bytes(4 * parameters as u64));

    let delta = normal(parameters, 0);
    let mut copy = vec![0.0; parameters];
    group.bench_function("copy", |bencher| bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&delta))));

    let mut scratch = Scratch::default();
    for (name, compression) in [
        ("encode", Compression::production()),
        ("encode int8", Compression::Int8),
        ("encode bf16", Compression::Dense { value_bits: 16 }),
    ] {
        let (mut delta, mut residual) = (delta.clone(), normal(parameters, 1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| encode(&compression, &layout, black_box(&mut delta), &mut residual, &mut scratch));
        });
    }

    let payloads: Vec<Vec<u8>> = (0..PEERS)
        .map(|peer| {
            encode(&Compression::production(), &layout, &mut normal(parameters, peer), &mut Vec::new(), &mut scratch)
                .bytes
        })
        .collect();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode(&Compression::production(), &layout, black_box(&payloads[0])));
    });

    let decoded: Vec<Contribution> = payloads
        .iter()
        .map(|payload| decode(&Compression::production(), &layout, payload).expect("an honest payload"))
        .collect();
    let contributions: Vec<&Contribution> = decoded.iter().collect();
    let mut out = vec![0.0; parameters];
    let aggregation = Aggregation::averaging(Average::Contributors, Clip::MedianNorm);
    group.bench_function("aggregate of 20", |bencher| {
        bencher.iter(|| aggregate(&aggregation, &layout, black_box(&contributions), &mut out));
    });
    let named: Vec<(PeerId, &Contribution)> = (0..).map(PeerId).zip(contributions.iter().copied()).collect();
    group.bench_function("index overlap of 20", |bencher| bencher.iter(|| overlaps(black_box(&named), &layout)));

    let adamw = AdamW {
        learning_rate: 1e-3,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weight_decay: 0.1,
        gradient_clip: None,
        schedule: Schedule::Constant,
    };
    for (name, optimizer) in [
        ("outer sgd", OuterOptimizer::Sgd { learning_rate: 0.65 }),
        ("outer nesterov", OuterOptimizer::Nesterov { learning_rate: 0.7, momentum: 0.9 }),
        ("outer adamw", OuterOptimizer::Adamw(adamw)),
    ] {
        let (mut state, mut theta) = (OuterState::default(), normal(parameters, 2));
        group.bench_function(name, |bencher| {
            bencher.iter(|| state.step(&optimizer, &layout, black_box(&mut theta), &out, 0));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(3));
    targets = codec
}
criterion_main!(benches);
