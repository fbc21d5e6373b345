//! Flows per second of the network, and what one event costs.
//!
//! The shapes are those in which SimGrid was measured: clients with links of 10 Mbit/s to 1 Gbit/s send 4 MB messages
//! to one place. `spread`: clients begin within a minute, over a hub of 10 Gbit/s; `burst`: all at once, over 1 Gbit/s.
//! Each client sends its messages one after the other. `covenant` is 6,190 windows in which 26 peers get 20
//! payloads each from an unlimited store and put one, `steady` the cost of an end and the start that follows it while
//! so many flows share a limited store.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use swarmloco::net::oracle::OracleNetwork;
use swarmloco::net::{Completion, EndpointId, Network};
use swarmloco::quantity::{Bandwidth, Bytes, Duration};
use swarmloco::sim::SimTime;

const MESSAGE: Bytes = Bytes(4_000_000);
const UNLIMITED: Bandwidth = Bandwidth::UNLIMITED;

fn bits_per_second(rate: f64) -> Bandwidth {
    Bandwidth::from_bits_per_second(rate)
}

/// The `index`-th of numbers spread evenly over 0 to 1.
fn spread(index: usize) -> f64 {
    ((index + 1) as f64 * 0.618_033_988_749_895).fract()
}

/// Clients around a hub, and how many messages each sends.
#[derive(Clone, Copy)]
struct Star {
    clients: usize,
    messages: usize,
    hub: f64,
    jitter_s: f64,
}

impl Star {
    fn client(index: usize) -> Bandwidth {
        bits_per_second(1e7 + spread(index) * 9.9e8)
    }

    fn begin(self, index: usize) -> SimTime {
        SimTime::ZERO + Duration::from_secs_f64(spread(index * 7) * self.jitter_s)
    }

    fn flows(self) -> u64 {
        (self.clients * self.messages) as u64
    }

    /// Start times with their clients, in order.
    fn starts(self) -> Vec<(SimTime, usize)> {
        let mut starts: Vec<_> = (0..self.clients).map(|client| (self.begin(client), client)).collect();
        starts.sort_unstable();
        starts
    }

    fn incremental(self) -> u64 {
        let mut network = Network::new();
        let hub = network.add_endpoint(UNLIMITED, bits_per_second(self.hub), Duration::ZERO);
        let clients: Vec<EndpointId> = (0..self.clients)
            .map(|client| network.add_endpoint(Self::client(client), UNLIMITED, Duration::ZERO))
            .collect();
        let mut left = vec![self.messages; self.clients];
        let mut completions = Vec::new();
        let mut ended = 0;
        let mut starts = self.starts().into_iter().peekable();
        loop {
            let start = starts.peek().map(|&(time, _)| time);
            let Some(now) = start.into_iter().chain(network.next_event_time()).min() else { break };
            network.advance(now, &mut completions);
            ended += completions.len() as u64;
            let again = completions.drain(..).map(|completion| completion.tag as usize);
            let first = std::iter::from_fn(|| starts.next_if(|&(time, _)| time <= now)).map(|(_, client)| client);
            for client in again.chain(first) {
                if left[client] > 0 {
                    left[client] -= 1;
                    network.start_flow(now, clients[client], hub, MESSAGE, client as u64);
                }
            }
        }
        assert_eq!(ended, self.flows());
        ended
    }

    fn oracle(self) -> u64 {
        let mut network = OracleNetwork::new();
        network.add_endpoint(UNLIMITED, bits_per_second(self.hub), Duration::ZERO);
        for client in 0..self.clients {
            network.add_endpoint(Self::client(client), UNLIMITED, Duration::ZERO);
        }
        let mut left = vec![self.messages; self.clients];
        let mut completions = Vec::new();
        let mut ended = 0;
        let mut starts = self.starts().into_iter().peekable();
        loop {
            let start = starts.peek().map(|&(time, _)| time);
            let Some(now) = start.into_iter().chain(network.next_event_time()).min() else { break };
            network.advance(now, &mut completions);
            ended += completions.len() as u64;
            let again = completions.drain(..).map(|(_, tag)| tag as usize);
            let first = std::iter::from_fn(|| starts.next_if(|&(time, _)| time <= now)).map(|(_, client)| client);
            for client in again.chain(first) {
                if left[client] > 0 {
                    left[client] -= 1;
                    network.start_flow(now, client + 1, 0, MESSAGE, client as u64);
                }
            }
        }
        assert_eq!(ended, self.flows());
        ended
    }
}

fn shared_link(criterion: &mut Criterion) {
    let shapes = [
        ("spread", Star { clients: 100, messages: 50, hub: 1e10, jitter_s: 60.0 }),
        ("spread", Star { clients: 1000, messages: 10, hub: 1e10, jitter_s: 60.0 }),
        ("burst", Star { clients: 20, messages: 50, hub: 1e9, jitter_s: 0.0 }),
        ("burst", Star { clients: 100, messages: 20, hub: 1e9, jitter_s: 0.0 }),
        ("burst", Star { clients: 1000, messages: 3, hub: 1e9, jitter_s: 0.0 }),
        ("burst", Star { clients: 5000, messages: 1, hub: 1e9, jitter_s: 0.0 }),
    ];
    let mut group = criterion.benchmark_group("flows");
    group.sample_size(10);
    for (name, star) in shapes {
        group.throughput(Throughput::Elements(star.flows()));
        group.bench_function(BenchmarkId::new(format!("{name}/incremental"), star.clients), |bencher| {
            bencher.iter(|| black_box(star.incremental()));
        });
        if star.clients <= 100 {
            group.bench_function(BenchmarkId::new(format!("{name}/oracle"), star.clients), |bencher| {
                bencher.iter(|| black_box(star.oracle()));
            });
        }
    }
    group.finish();
}

/// Windows in which each peer puts one payload and gets `gather` of them, all ready at once.
fn rounds(rounds: u64, peers: usize, gather: u64, hub: Bandwidth) -> u64 {
    let mut network = Network::new();
    let store = network.add_endpoint(hub, hub, Duration::ZERO);
    let peers: Vec<EndpointId> = (0..peers)
        .map(|peer| {
            let uplink = bits_per_second(3e8 + spread(peer) * 1e9);
            let downlink = bits_per_second(1e9 + spread(peer) * 4e9);
            network.add_endpoint(uplink, downlink, Duration::from_secs_f64(0.01 + 0.1 * spread(peer * 3)))
        })
        .collect();
    let mut completions = Vec::new();
    let mut ended = 0;
    for round in 0..rounds {
        let now = SimTime::ZERO + Duration::from_secs(round * 100_000);
        for (tag, &peer) in peers.iter().enumerate() {
            let tag = (tag as u64) << 32;
            network.start_flow(now, peer, store, MESSAGE, tag);
            for source in 0..gather {
                network.start_flow(now, store, peer, MESSAGE, tag | source);
            }
        }
        while let Some(next) = network.next_event_time() {
            network.advance(next, &mut completions);
            ended += completions.drain(..).len() as u64;
        }
    }
    ended
}

fn object_store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("object-store");
    group.sample_size(10);
    group.throughput(Throughput::Elements(6190 * 26 * 21));
    group.bench_function("covenant/6190-windows", |bencher| {
        bencher.iter(|| black_box(rounds(6190, 26, 20, UNLIMITED)));
    });
    group.throughput(Throughput::Elements(10_000 * 21));
    group.bench_function("10000-peers/1-round/unlimited-store", |bencher| {
        bencher.iter(|| black_box(rounds(1, 10_000, 20, UNLIMITED)));
    });
    group.bench_function("10000-peers/1-round/limited-store", |bencher| {
        bencher.iter(|| black_box(rounds(1, 10_000, 20, bits_per_second(1e13))));
    });
    group.finish();
}

/// A store of 1 Tbit/s with so many downloads at a time, each followed by another.
struct Steady {
    network: Network,
    store: EndpointId,
    peers: Vec<EndpointId>,
    completions: Vec<Completion>,
    size: u64,
}

impl Steady {
    fn new(flows: usize) -> Self {
        let mut network = Network::new();
        let store = network.add_endpoint(bits_per_second(1e12), UNLIMITED, Duration::ZERO);
        let peers: Vec<EndpointId> = (0..flows.div_ceil(20))
            .map(|peer| network.add_endpoint(UNLIMITED, bits_per_second(1e8 + spread(peer) * 1e10), Duration::ZERO))
            .collect();
        let mut steady = Self { network, store, peers, completions: Vec::new(), size: 1 };
        for flow in 0..flows {
            steady.start(SimTime::ZERO, flow % steady.peers.len());
        }
        steady
    }

    fn start(&mut self, now: SimTime, peer: usize) {
        self.size = self.size.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bytes = Bytes(1_000_000 + (self.size >> 42));
        self.network.start_flow(now, self.store, self.peers[peer], bytes, peer as u64);
    }

    fn run(&mut self, events: u64) {
        let mut done = 0;
        while done < events {
            let now = self.network.next_event_time().expect("because each end is followed by a start");
            let mut completions = std::mem::take(&mut self.completions);
            self.network.advance(now, &mut completions);
            done += completions.len() as u64;
            for completion in completions.drain(..) {
                self.start(now, completion.tag as usize);
            }
            self.completions = completions;
        }
    }
}

fn cost_of_an_event(criterion: &mut Criterion) {
    const EVENTS: u64 = 20_000;
    let mut group = criterion.benchmark_group("steady");
    group.sample_size(10).throughput(Throughput::Elements(EVENTS));
    for flows in [100, 1_000, 10_000, 100_000] {
        let mut steady = Steady::new(flows);
        steady.run(flows as u64);
        group.bench_function(BenchmarkId::from_parameter(flows), |bencher| {
            bencher.iter_batched(|| (), |()| steady.run(EVENTS), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, shared_link, object_store, cost_of_an_event);
criterion_main!(benches);
