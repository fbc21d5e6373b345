//! An inner step of the reference work beside candle's automatic differentiation and the bound that matrix products set.
//!
//! Reference work: 792 k parameters (4 layers, width 128, 4 heads, 2 kv heads, feed-forward 344, V 256), context 64,
//! batch 12, f32, one thread. The bound: all products of forward and backward, 6 FLOP a parameter and token, at the rate
//! that `gemm` reaches on these shapes, and nothing else.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use swarmloco::algorithm::adamw::adamw_step;
use swarmloco::quantity::Seed;
use swarmloco::sim::Streams;
use swarmloco::training::llama::Network;
use swarmloco::training::spec::Llama;
use swarmloco::training::yardstick::{self, ADAMW, BATCH, REFERENCE};

fn shape(width: usize) -> Llama {
    Llama { width, feed_forward: yardstick::feed_forward(width), ..REFERENCE }
}

fn steps(criterion: &mut Criterion) {
    for width in [64, 128, 256] {
        let network = Network::new(&shape(width));
        let streams = Streams::new(Seed(1));
        let mut theta = network.initial_parameters(streams);
        let tokens: Vec<u32> = (0..BATCH * 65).map(|i| (i * 7919 % 256) as u32).collect();
        let mut group = criterion.benchmark_group(format!("inner step/{width}"));
        group.sample_size(10).throughput(Throughput::Elements((BATCH * 64) as u64));

        let mut buffers = network.buffers(BATCH);
        let (mut gradient, mut m, mut v) = (vec![0.0; theta.len()], vec![0.0; theta.len()], vec![0.0; theta.len()]);
        let mut step = 0;
        group.bench_function("engine", |bencher| {
            bencher.iter(|| {
                step += 1;
                let loss = network.gradient(&mut buffers, &theta, &tokens, &mut gradient);
                adamw_step(&ADAMW, &mut theta, &gradient, &mut m, &mut v, step, 1e-5, 1.0);
                loss
            });
        });
        let mut candle = yardstick::candle(&shape(width), BATCH);
        group.bench_function("candle", |bencher| bencher.iter(&mut candle));
        let mut products = yardstick::products(&shape(width), BATCH);
        group.bench_function("bound", |bencher| bencher.iter(&mut products));
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
