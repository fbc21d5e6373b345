//! Whole swarms: the contract of determinism, and what a swarm is equal to where theory says so.

use swarmloco::host::plan;
use swarmloco::protocol::rows::Rows;
use swarmloco::protocol::{Event, Swarm, SwarmState};
use swarmloco::scenario::Scenario;
use swarmloco::sim::Kernel;
use swarmloco::training::{self, BackendSpec, TrainingBackend};

const SCENARIO: &str = "\
name: test
rounds: 6
model: {llama: {layers: 1, width: 16, heads: 2, feed_forward: 32, context: 8, vocabulary: 16}}
data: {markov: {concentration: 0.1}}
batch: 2
evaluation: {sequences: 4}
protocol:
  inner_steps: 4
  inner_optimizer: {adamw: {learning_rate: 1e-2}}
  compression: {top_k: {chunk: [16, 16], k: 16}}
  aggregation: {clip: median_norm}
  outer_optimizer: {sgd: {learning_rate: 0.7}}
  round: {window: {length: 60 s, upload_deadline: 10 s, gather: 4, reserve: 2, gather_timeout: 30 s}}
peers:
  - name: steady
    count: 3
    step_time: 5 s
    uplink: 1 Mbit/s
    downlink: 4 Mbit/s
  - name: churning
    count: 4
    step_time: 8 s
    jitter: {peer: 0.3, step: 0.2}
    uplink: {lognormal: {median: 100 kbit/s, sigma: 1.0}}
    downlink: {lognormal: {median: 400 kbit/s, sigma: 1.0}}
    availability: {session: {exponential: {mean: 2 min}}, absence: {exponential: {mean: 30 s}}, crash: 0.5}
    arrivals: {mean_interval: 1 min, cap: 6}
";

fn scenario(overrides: &[&str]) -> Scenario {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Scenario::from_text("test", SCENARIO, &overrides).unwrap_or_else(|errors| panic!("{:?}", errors.mistakes))
}

fn backend(scenario: &Scenario, threads: usize) -> Box<dyn TrainingBackend> {
    training::build(&BackendSpec {
        model: &scenario.model,
        data: scenario.data.as_ref(),
        batch: scenario.batch,
        optimizer: &scenario.protocol.inner_optimizer,
        validation_sequences: scenario.evaluation.sequences,
        seed: scenario.seed,
        threads,
    })
    .expect("the test's data are embedded")
}

/// Events and rows of a run, with everything written and read back after `pause` events.
fn run(scenario: &Scenario, threads: usize, pause: Option<u64>) -> (u64, Rows) {
    let backend = backend(scenario, threads);
    let mut kernel = Kernel::new();
    let mut swarm = Swarm::new(plan::swarm_spec(scenario, true), Some(&*backend));
    kernel.prepare(|outbox| swarm.start(outbox));
    while !swarm.is_finished() && kernel.step(&mut swarm) {
        if pause == Some(kernel.dispatched()) {
            let bytes = postcard::to_stdvec(&(&kernel, swarm.state())).expect("plain data");
            let (restored, state): (Kernel<Event>, SwarmState) =
                postcard::from_bytes(&bytes).expect("what was written");
            kernel = restored;
            swarm = Swarm::from_state(plan::swarm_spec(scenario, true), state, Some(&*backend));
        }
    }
    assert!(swarm.is_finished(), "the swarm does not die out");
    (kernel.audit().value(), swarm.recorder().rows().clone())
}

#[test]
fn threads_and_interruptions_change_nothing() {
    let scenario = scenario(&[]);
    let expected = run(&scenario, 1, None);
    assert!(expected.1.rounds.iter().any(|row| row.contributing > 1), "the test's swarm works together");
    assert_eq!(run(&scenario, 2, None), expected);
    for pause in [1, 10, 50] {
        assert_eq!(run(&scenario, 2, Some(pause)), expected, "after {pause} events");
    }
}

#[test]
fn every_round_rule_and_exchange_runs_to_its_end_under_churn() {
    for overrides in [
        ["protocol.round=barrier", "protocol.exchange=object_store"].as_slice(),
        &["protocol.round=barrier", "protocol.exchange=all_to_all"],
        &["protocol.round={barrier: {wait: {quorum: 0.6}, timeout: 40 s}}", "protocol.exchange=object_store"],
        &["protocol.round=barrier", "protocol.exchange=ring", "protocol.compression=none"],
        &["protocol.round=barrier", "protocol.exchange=ring", "protocol.compression=int8"],
        &["network={store_egress: 1 Mbit/s, put_timeout: 20 s, get_timeout: 30 s}"],
    ] {
        for seed in ["seed=1", "seed=2", "seed=3"] {
            let scenario = scenario(&[overrides, &[seed]].concat());
            let (_, rows) = run(&scenario, 2, None);
            assert_eq!(rows.rounds.len(), 6, "{overrides:?}");
            assert!(rows.rounds.iter().any(|row| row.contributing > 0), "{overrides:?}");
            assert!(rows.rounds.is_sorted_by_key(|row| (row.time_s, row.bytes_up, row.bytes_down)));
        }
    }
}

#[test]
fn one_peer_with_an_outer_step_of_one_adopts_its_local_model() {
    let alone = |compression: &str, steps: &str, rounds: &str| {
        let scenario = scenario(&[
            "peers=[{name: steady, count: 1, step_time: 1 s, uplink: 1 Gbit/s, downlink: 1 Gbit/s}]",
            "protocol.outer_optimizer={sgd: {learning_rate: 1.0}}",
            &format!("protocol.compression={compression}"),
            &format!("protocol.inner_steps={steps}"),
            &format!("rounds={rounds}"),
        ]);
        run(&scenario, 1, None).1.evaluations.last().expect("the last model is evaluated").validation_loss
    };
    // R = 1, alpha = 1, dense: rounds of H steps are one long AdamW run, whatever H is.
    let (often, seldom) = (alone("none", "2", "6"), alone("none", "6", "2"));
    assert!((often / seldom - 1.0).abs() < 1e-5, "{often} is not {seldom}");
    // k = C without quantisation and beta = 0 is dense.
    let sparse = alone("{top_k: {chunk: [16, 16], k: 256, value_bits: none, error_feedback: 0}}", "6", "2");
    assert!((sparse / seldom - 1.0).abs() < 1e-6, "{sparse} is not {seldom}");
}

#[test]
fn an_idle_peer_shifts_nobody_elses_draws() {
    let before = run(&scenario(&[]), 1, None).1;
    let idle = "{name: idle, count: 1, step_time: 1 h, uplink: 1 Gbit/s, downlink: 1 Gbit/s}";
    let text = SCENARIO.replace("peers:\n", &format!("peers:\n  - {idle}\n"));
    let joined = Scenario::from_text("test", &text, &[]).unwrap_or_else(|errors| panic!("{:?}", errors.mistakes));
    let after = run(&joined, 1, None).1;
    let numbers = |rows: &Rows, shift: u32| -> Vec<_> {
        let rows = rows.peers.iter().filter(|row| row.class != "idle");
        rows.map(|row| (row.round, row.peer - shift, row.steps, row.compute_s.to_bits(), row.training_loss)).collect()
    };
    assert_eq!(numbers(&before, 0), numbers(&after, 1));
}
