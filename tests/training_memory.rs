//! What a swarm costs in memory: 12 bytes a parameter and peer (two moments, error feedback), and one set of work buffers
//! a thread, however many peers there are.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use swarmloco::host::plan;
use swarmloco::protocol::Swarm;
use swarmloco::scenario::Scenario;
use swarmloco::sim::Kernel;
use swarmloco::training::{self, BackendSpec};

/// The system's allocator, counting.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SCENARIO: &str = "\
name: memory
rounds: 2
model: {llama: {layers: 2, width: 128, heads: 4, feed_forward: 256, context: 8, vocabulary: 256}}
data: {markov: {concentration: 0.1}}
batch: 2
evaluation: {sequences: 2}
protocol:
  inner_steps: 1
  inner_optimizer: {adamw: {learning_rate: 1e-3}}
  compression: {top_k: {k: 64}}
  aggregation: {clip: median_norm}
  outer_optimizer: {sgd: {learning_rate: 0.7}}
  round: {window: {length: 60 s, upload_deadline: 10 s, gather: 100}}
peers:
  - {name: node, count: 4, step_time: 5 s, uplink: 1 Gbit/s, downlink: 1 Gbit/s}
";

/// Parameters, and the most that was ever allocated at once beyond what was before \[bytes\].
fn peak(peers: usize, threads: usize) -> (usize, usize) {
    let overrides =
        [format!("peers=[{{name: node, count: {peers}, step_time: 5 s, uplink: 1 Gbit/s, downlink: 1 Gbit/s}}]")];
    let scenario = Scenario::from_text("memory", SCENARIO, &overrides).expect("a scenario");
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let backend = training::build(&BackendSpec {
        model: &scenario.model,
        initial: None,
        data: scenario.data.as_ref(),
        batch: scenario.batch,
        optimizer: &scenario.protocol.inner_optimizer,
        validation_sequences: scenario.evaluation.sequences,
        seed: scenario.seed,
        threads,
    })
    .expect("the test's data are embedded");
    let mut swarm = Swarm::new(plan::swarm_spec(&scenario, false), Some(&*backend));
    let mut kernel = Kernel::new();
    kernel.prepare(|outbox| swarm.start(outbox));
    kernel.run_while(&mut swarm, |swarm| !swarm.is_finished());
    assert_eq!(swarm.recorder().rows().rounds[1].contributing as usize, peers, "every peer has trained and sent");
    (backend.layout().parameters(), PEAK.load(Relaxed) - before)
}

#[test]
fn a_peer_costs_twelve_bytes_a_parameter_and_a_thread_its_buffers() {
    let (parameters, few) = peak(20, 1);
    let (_, many) = peak(60, 1);
    let per_peer = (many - few) as f64 / 40.0 / parameters as f64;
    // Payloads of a round and what they decode to are sparse: 14 bits for each of 64 in 4096, then 6 bytes.
    assert!((12.0..12.5).contains(&per_peer), "{per_peer} bytes a parameter and peer");

    let (_, threads) = peak(20, 4);
    let per_thread = (threads - few) as f64 / 3.0 / parameters as f64;
    // θ and gradient of the peer in work, the codec's scratch, and activations of this test's small batch.
    assert!(per_thread < 16.0, "{per_thread} bytes a parameter and thread");
}
