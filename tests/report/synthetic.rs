//! Runs that never were: rows as a window protocol at Covenant's scale would leave them, without the hour of training.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::path::Path;

use swarmloco::algorithm::spec::{AdamW, Aggregation, Average, Clip, Compression, OuterOptimizer, Schedule};
use swarmloco::cost::deployment::named;
use swarmloco::cost::{Deployment, Device, Distribution};
use swarmloco::protocol::rows::{EvaluationRow, IntervalRow, Outcome, PeerRow, Phase, RoundRow, Rows};
use swarmloco::protocol::spec::{Compute, Exchange, Jitter, NetworkSpec, PeerClass, Protocol, RoundRule, Window};
use swarmloco::quantity::{Bandwidth, Duration, Seed};
use swarmloco::record::{HostReport, Manifest, References, RunDirectory, Status};
use swarmloco::scenario::{Evaluation, Scenario, Training};
use swarmloco::training::spec::{Data, InnerOptimizer, Llama, Model};

/// A scenario of the synthetic runs.
pub fn scenario(name: &str, seed: u64, inner_steps: u32) -> Scenario {
    let adamw = AdamW {
        learning_rate: 1.2e-3,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weight_decay: 0.1,
        gradient_clip: Some(1.0),
        schedule: Schedule::Cosine { warmup: 50, last: 0.1, steps: 1800 },
    };
    Scenario {
        initial_model: None,
        name: name.to_owned(),
        seed: Seed(seed),
        rounds: ROUNDS,
        training: Training::Model,
        model: Model::Llama(Llama {
            layers: 4,
            width: 128,
            heads: 4,
            kv_heads: 2,
            feed_forward: 344,
            context: 64,
            vocabulary: 256,
            tied: true,
        }),
        data: Some(Data::Markov { concentration: 0.1 }),
        batch: 12,
        evaluation: Evaluation { every: 1, sequences: 64 },
        deployment: Deployment {
            shape: named("covenant-72b").expect("a named shape"),
            batch: 192,
            context: 2048,
            flops_utilisation: 0.24,
        },
        protocol: Protocol {
            inner_steps,
            inner_optimizer: InnerOptimizer::Adamw(adamw),
            compression: Compression::production(),
            checks: swarmloco::algorithm::codec::Checks::Production,
            exchange: Exchange::ObjectStore,
            aggregation: Aggregation::averaging(Average::Contributors, Clip::MedianNorm),
            outer_optimizer: OuterOptimizer::Sgd { learning_rate: 0.65 },
            round: RoundRule::Window(Window {
                length: Duration::from_secs(1380),
                upload_deadline: Duration::from_secs(70),
                gather: 20,
                reserve: 10,
                gather_timeout: Duration::from_secs(600),
            }),
        },
        peers: vec![PeerClass {
            name: "b200-node".to_owned(),
            count: PEERS,
            compute: Compute::Device(Device { name: "b200".to_owned(), count: 8, tflops: 2250.0 }),
            jitter: Jitter { peer: 0.05, step: 0.01 },
            uplink: Distribution::Lognormal { median: 1e9, sigma: 0.4 },
            downlink: Distribution::Lognormal { median: 4e9, sigma: 0.4 },
            latency: Distribution::Fixed(0.02),
            availability: None,
            arrivals: None,
        }],
        adversaries: Vec::new(),
        validator: None,
        network: NetworkSpec {
            last_modified: swarmloco::net::store::LastModified::UploadEnd,
            store_ingress: None,
            store_egress: Some(Bandwidth::from_bits_per_second(4e11)),
            put_timeout: None,
            get_timeout: None,
        },
    }
}

/// Identities in a synthetic run.
pub const PEERS: u32 = 26;
/// Rounds of a synthetic run.
pub const ROUNDS: u32 = 60;

/// A fixed sequence of numbers in [0, 1).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }
}

/// The rows of `rounds` rounds; `ease` is how fast the loss falls, `payload` what a peer sends.
pub fn rows(seed: u64, rounds: u32, ease: f64, payload: u64) -> Rows {
    const WINDOW_S: f64 = 1380.0;
    let mut noise = Noise(seed);
    let speeds: Vec<f64> = (0..PEERS).map(|_| 1150.0 + 160.0 * noise.next()).collect();
    let uploads: Vec<f64> = (0..PEERS).map(|_| 15.0 + 45.0 * noise.next().powi(2)).collect();
    let mut there = vec![true; PEERS as usize];
    let mut rows = Rows::default();
    let (mut bytes_up, mut bytes_down, mut tokens) = (0, 0, 0);
    let luck = 0.2 * (noise.next() - 0.5);
    let mut loss = 5.545;
    rows.evaluations.push(EvaluationRow {
        round: 0,
        time_s: 0.0,
        tokens: 0,
        bytes_up: 0,
        validation_loss: loss,
        backdoor_success: None,
    });
    for round in 0..rounds {
        let start = f64::from(round) * WINDOW_S;
        let (mut active, mut contributing, mut share) = (0, 0, 0.0);
        for peer in 0..PEERS {
            let at = peer as usize;
            let was_there = there[at];
            there[at] = if was_there { noise.next() > 0.03 } else { noise.next() < 0.3 };
            let mut draw = |phase, from: f64, to: f64| {
                rows.timeline.push(IntervalRow { peer, round, phase, start_s: start + from, end_s: start + to });
            };
            if !was_there {
                if there[at] {
                    draw(Phase::CatchUp, 200.0, 900.0);
                    draw(Phase::Idle, 900.0, WINDOW_S);
                }
                continue;
            }
            if !there[at] {
                draw(Phase::Compute, 110.0, 300.0 + 800.0 * noise.next());
                continue;
            }
            let download = uploads[at] + 20.0 + 50.0 * noise.next();
            let end = (download + speeds[at]).min(WINDOW_S);
            draw(Phase::Upload, 0.0, uploads[at]);
            draw(Phase::Idle, uploads[at], uploads[at] + 10.0);
            draw(Phase::Download, uploads[at] + 10.0, download);
            draw(Phase::Compute, download, end);
            draw(Phase::Idle, end, WINDOW_S);
            active += 1;
            share += (end - download) / WINDOW_S;
            let outcome = match noise.next() {
                x if x < 0.72 => Outcome::Gathered,
                x if x < 0.78 => Outcome::Reserve,
                x if x < 0.93 => Outcome::NotSelected,
                x if x < 0.98 => Outcome::Late,
                _ => Outcome::Gone,
            };
            contributing += u32::from(matches!(outcome, Outcome::Gathered | Outcome::Reserve));
            rows.peers.push(PeerRow {
                behaviour: "honest".into(),
                round,
                peer,
                class: "b200-node".to_owned(),
                steps: 30,
                training_loss: Some(loss + 0.05 * noise.next()),
                outcome,
                compute_s: end - download,
                upload_s: (outcome != Outcome::Gone).then_some(uploads[at]),
                download_s: Some(download - uploads[at] - 10.0),
                payload_norm: Some(0.8 + 0.1 * noise.next()),
            });
            bytes_up += payload;
            bytes_down += 19 * payload;
        }
        tokens += u64::from(contributing) * 30 * 12 * 64;
        let age = f64::from(round + 1);
        loss = 1.62
            + 3.925 * (1.0 + age / (6.0 / ease)).powf(-1.1)
            + luck * (age / 10.0).min(1.0)
            + 0.03 * (noise.next() - 0.5);
        let time_s = start + WINDOW_S + 70.0;
        rows.evaluations.push(EvaluationRow {
            round: round + 1,
            time_s,
            tokens,
            bytes_up,
            validation_loss: loss,
            backdoor_success: None,
        });
        rows.rounds.push(RoundRow {
            round,
            time_s,
            validation_loss: Some(loss),
            training_loss: (round % 7 != 3).then_some(loss + 0.02),
            tokens,
            deployment_tokens: tokens * 512,
            active,
            contributing,
            bytes_up,
            bytes_down,
            payload_bytes: payload,
            utilisation: share / f64::from(active.max(1)),
            aggregate_norm: Some(0.4 + 0.1 * noise.next()),
        });
    }
    rows
}

/// What the losses are compared with.
pub const REFERENCES: References = References { unigram: Some(4.71), floor: Some(1.57) };

/// Writes a synthetic run.
pub fn write(path: &Path, scenario: Scenario, rows: &Rows) -> RunDirectory {
    let run = RunDirectory::create(path, false).expect("a writable directory");
    run.write_tables(rows).expect("writable");
    run.write_host(&HostReport { wall_s: 12.5, threads: 2, device: "cpu".to_owned(), ..HostReport::default() })
        .expect("writable");
    let done = rows.rounds.len() as u32;
    let status = if done == scenario.rounds { Status::Finished } else { Status::Interrupted };
    let manifest = Manifest::new(scenario, REFERENCES, "00000000deadbeef".to_owned(), done, status);
    run.write_manifest(&manifest).expect("writable");
    run
}
