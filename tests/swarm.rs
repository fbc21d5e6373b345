//! Whole swarms: the contract of determinism, and what a swarm is equal to where theory says so.

#[path = "support/swarms.rs"]
mod swarms;

use rand::Rng;
use swarmloco::algorithm::Layout;
use swarmloco::host::plan;
use swarmloco::protocol::Swarm;
use swarmloco::protocol::rows::{Outcome, Rows};
use swarmloco::quantity::Seed;
use swarmloco::scenario::Scenario;
use swarmloco::sim::{Kernel, Streams};
use swarmloco::training::backend::PseudoGradientSink;
use swarmloco::training::llama::Network;
use swarmloco::training::spec::Llama;
use swarmloco::training::{InnerPhase, PhaseOutcome, TrainingBackend, Trial};
use swarms::run;

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
fn robust_rules_train_the_same_model_whatever_the_threads() {
    let average = run(&scenario(&[]), 1, None).1;
    for aggregation in [
        "{rule: {krum: {f: 1}}}",
        "{rule: {trimmed_mean: {f: 1}}, clip: median_norm, absent: skip}",
        "{rule: geometric_median, mixing: {nearest_neighbours: {f: 1}}}",
    ] {
        let scenario = scenario(&[&format!("protocol.aggregation={aggregation}")]);
        let (audit, rows) = run(&scenario, 1, None);
        let losses: Vec<f64> = rows.evaluations.iter().map(|row| row.validation_loss).collect();
        assert!(losses.last() < losses.first(), "{aggregation}: {losses:?}");
        assert_ne!(rows.evaluations, average.evaluations, "{aggregation} is not the average");
        assert_eq!(run(&scenario, 2, Some(50)).0, audit, "{aggregation}");
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
        &["network={last_modified: upload_start}"],
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
fn an_upload_dated_by_its_start_is_late_only_when_nobody_can_get_it() {
    // A payload is 0.7 kB: the slow peer's takes 19 s, and the deadline is 10 s after the boundary.
    let late = |overrides: &[&str]| {
        let slow = "peers=[{name: quick, count: 2, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}, \
                    {name: slow, count: 1, step_time: 5 s, uplink: 300 bit/s, downlink: 4 Mbit/s}]";
        let (_, rows) = run(&scenario(&[&[slow], overrides].concat()), 1, None);
        let slow = rows.peers.iter().filter(|row| row.class == "slow");
        let outcomes: Vec<(Outcome, f64)> = slow.map(|row| (row.outcome, row.upload_s.unwrap_or(f64::NAN))).collect();
        outcomes
    };
    let (by_end, by_start) = (late(&[]), late(&["network={last_modified: upload_start}"]));
    assert!(by_end.iter().all(|(outcome, seconds)| *outcome == Outcome::Late && *seconds > 10.0), "{by_end:?}");
    assert!(by_start.iter().all(|(outcome, _)| *outcome == Outcome::Gathered), "{by_start:?}");
    let cut = late(&["network={last_modified: upload_start}", "protocol.round.window.gather_timeout=12 s"]);
    assert!(cut.iter().all(|(outcome, _)| *outcome == Outcome::Late), "{cut:?}");
    // At 20 bit/s it outlasts the window itself, and the default time-out does, too: whoever gathers waits for it through
    // the whole window, and trains in the one after.
    let slow = "peers=[{name: quick, count: 2, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}, \
                {name: slow, count: 1, step_time: 5 s, uplink: 20 bit/s, downlink: 4 Mbit/s}]";
    let beyond = ["network={last_modified: upload_start}", "protocol.round.window.gather_timeout=600 s", slow];
    let rounds = run(&scenario(&beyond), 1, None).1.rounds;
    assert_eq!(rounds.iter().map(|row| row.contributing).collect::<Vec<_>>(), [2, 0, 2, 0, 2, 0]);
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

/// Gradients on batches that are told by number: peer p of a backend that folds n batches has those from p·n on.
struct Numbered {
    network: Network,
    folds: u32,
}

impl Numbered {
    const BATCH: usize = 2;

    fn new(folds: u32) -> Self {
        let shape = Llama {
            layers: 1,
            width: 16,
            heads: 2,
            kv_heads: 2,
            feed_forward: 32,
            context: 8,
            vocabulary: 16,
            tied: false,
        };
        Self { network: Network::new(&shape), folds }
    }

    fn tokens(batch: u32, step: u64) -> impl Iterator<Item = u32> {
        let mut rng = Streams::new(Seed(5)).rng("tokens", u64::from(batch), step);
        (0..Self::BATCH * 9).map(move |_| rng.next_u32() % 16)
    }
}

impl TrainingBackend for Numbered {
    fn layout(&self) -> &Layout {
        self.network.layout()
    }

    fn initial_parameters(&self) -> Vec<f32> {
        self.network.initial_parameters(Streams::new(Seed(1)))
    }

    fn train(&self, phases: &mut [InnerPhase<'_>], sink: &PseudoGradientSink<'_>) -> Vec<PhaseOutcome> {
        let mut buffers = self.network.buffers(Self::BATCH * self.folds as usize);
        let mut gradient = vec![0.0; self.layout().parameters()];
        let train = |(index, phase): (usize, &mut InnerPhase<'_>)| {
            let batches = phase.peer.0 * self.folds..(phase.peer.0 + 1) * self.folds;
            let tokens: Vec<u32> = batches.flat_map(|batch| Self::tokens(batch, phase.first_step)).collect();
            let training_loss = self.network.gradient(&mut buffers, phase.start, &tokens, &mut gradient);
            sink(index, &mut gradient);
            PhaseOutcome { training_loss, tokens: tokens.len() as u64 }
        };
        phases.iter_mut().enumerate().map(train).collect()
    }

    fn validation_loss(&self, parameters: &[f32]) -> f64 {
        let tokens: Vec<u32> = Self::tokens(1000, 0).collect();
        self.network.loss_sum(&mut self.network.buffers(Self::BATCH), parameters, &tokens)
    }

    fn trial_losses(&self, _: &[Trial<'_>]) -> Vec<f64> {
        unreachable!("nobody validates")
    }

    fn backdoor_success(&self, _: &[f32], _: u32, _: u32) -> Option<f64> {
        unreachable!("nobody poisons")
    }

    fn loss_floor(&self) -> Option<f64> {
        None
    }

    fn unigram_entropy(&self) -> Option<f64> {
        None
    }
}

#[test]
fn data_parallel_peers_are_one_peer_with_a_larger_batch() {
    let losses = |peers: u32, folds: u32| -> Vec<f64> {
        let scenario = scenario(&[
            &format!("peers=[{{name: node, count: {peers}, step_time: 1 s, uplink: 1 Gbit/s, downlink: 1 Gbit/s}}]"),
            "protocol.inner_optimizer=gradient",
            "protocol.inner_steps=1",
            "protocol.compression=none",
            "protocol.exchange=ring",
            "protocol.aggregation={average: peers}",
            "protocol.outer_optimizer={adamw: {learning_rate: 1e-2}}",
            "protocol.round=barrier",
        ]);
        let backend = Numbered::new(folds);
        let mut kernel = Kernel::new();
        let mut swarm = Swarm::new(plan::swarm_spec(&scenario, false), Some(&backend));
        kernel.prepare(|outbox| swarm.start(outbox));
        kernel.run_while(&mut swarm, |swarm| !swarm.is_finished());
        swarm.recorder().rows().evaluations.iter().map(|row| row.validation_loss).collect()
    };
    let (four, one) = (losses(4, 1), losses(1, 4));
    assert_eq!(four.len(), 7);
    assert!(four[6] != four[0], "something is learnt");
    for (four, one) in four.iter().zip(&one) {
        assert!((four / one - 1.0).abs() < 1e-5, "{four} is not {one}");
    }
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
