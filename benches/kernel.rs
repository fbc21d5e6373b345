//! Events per second of the kernel beside nexosim's and a bare binary heap.
//!
//! A million events: actors that schedule themselves again after a pseudo-random delay. Ours is the whole kernel with
//! its audit, nexosim runs on one thread, and the heap is the least that any of them has to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use nexosim::model::{Context, Model, schedulable};
use nexosim::simulation::{Mailbox, SimInit, Simulation};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};
use swarmloco::quantity::Duration;
use swarmloco::sim::{Audit, Audited, Kernel, Outbox, SimTime, World};

const EVENTS: u64 = 1_000_000;
const ACTORS: [u64; 3] = [20, 1_000, 10_000];

/// The delays of one actor: 1 ns to about 1 ms, from Knuth's linear congruential generator.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Delays(u64);

impl Delays {
    fn next_nanos(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (self.0 >> 44)
    }
}

#[derive(Clone, Copy)]
struct Tick {
    actor: u32,
}

impl Audited for Tick {
    fn feed(&self, audit: &mut Audit) {
        audit.u64(u64::from(self.actor));
    }
}

struct Actors(Vec<Delays>);

impl World for Actors {
    type Event = Tick;

    fn handle(&mut self, _now: SimTime, event: Tick, outbox: &mut Outbox<Tick>) {
        let delay = self.0[event.actor as usize].next_nanos();
        outbox.after(Duration::from_nanos(delay), event);
    }
}

fn ours(actors: u64) -> (Kernel<Tick>, Actors) {
    let mut kernel = Kernel::new();
    let mut world = Actors((0..actors).map(Delays).collect());
    kernel.prepare(|outbox| {
        for actor in 0..actors as u32 {
            world.handle(SimTime::ZERO, Tick { actor }, outbox);
        }
    });
    (kernel, world)
}

#[derive(Serialize, Deserialize)]
struct Actor {
    delays: Delays,
    left: u64,
}

#[Model]
#[expect(clippy::unused_async, reason = "the macro asks for an async initialiser")]
impl Actor {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        self.tick((), cx);
    }

    #[nexosim(schedulable)]
    fn tick(&mut self, (): (), cx: &Context<Self>) {
        if self.left > 0 {
            self.left -= 1;
            let delay = time::Duration::from_nanos(self.delays.next_nanos());
            cx.schedule_event(delay, schedulable!(Self::tick), ()).expect("because the delay is not zero");
        }
    }
}

fn nexosim(actors: u64) -> Simulation {
    let mut bench = SimInit::with_num_threads(1);
    for actor in 0..actors {
        bench = bench.add_model(Actor { delays: Delays(actor), left: EVENTS / actors }, Mailbox::new(), "actor");
    }
    bench.init(MonotonicTime::EPOCH).expect("because nothing can fail at the start")
}

fn events(criterion: &mut Criterion) {
    for actors in ACTORS {
        let mut group = criterion.benchmark_group(format!("events/{actors}"));
        group.sample_size(10).throughput(Throughput::Elements(EVENTS));
        group.bench_function("kernel", |bencher| {
            bencher.iter_batched(
                || ours(actors),
                |(mut kernel, mut world)| {
                    for _ in 0..EVENTS {
                        kernel.step(&mut world);
                    }
                    kernel.audit()
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function("nexosim", |bencher| {
            bencher.iter_batched(
                || nexosim(actors),
                |mut simulation| simulation.run().expect("because nothing fails"),
                BatchSize::PerIteration,
            );
        });
        group.bench_function("binary-heap", |bencher| {
            bencher.iter_batched(
                || {
                    let mut delays: Vec<_> = (0..actors).map(Delays).collect();
                    let first =
                        delays.iter_mut().enumerate().map(|(actor, delays)| Reverse((delays.next_nanos(), actor)));
                    let heap: BinaryHeap<_> = first.collect();
                    (heap, delays)
                },
                |(mut heap, mut delays)| {
                    for _ in 0..EVENTS {
                        let Reverse((now, actor)) = heap.pop().expect("because each event schedules another");
                        heap.push(Reverse((now + delays[actor].next_nanos(), actor)));
                    }
                    black_box(heap)
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, events);
criterion_main!(benches);
