//! How fast this machine trains, compresses and aggregates: whole inner phases of many peers, and whole rounds' payloads,
//! timed from outside.

pub mod aggregation;
pub mod codec;

use serde::Serialize;

use super::measure::{Stopwatch, peak_memory_bytes};
use crate::quantity::{PeerId, Seed};
use crate::training::spec::{Data, InnerOptimizer, Llama, Model};
use crate::training::{self, BackendSpec, InnerPhase, InnerState, TrainingError, yardstick};

/// Rates are medians over at least this many calls.
const CALLS_MIN: usize = 3;

/// What trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// This program's.
    Fused,
    /// Candle's automatic differentiation, one thread a peer.
    Candle,
    /// The matrix products alone, which bound the others.
    Products,
}

/// The work to time.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingBench {
    /// What trains.
    pub engine: Engine,
    /// The model.
    pub model: Llama,
    /// Sequences per peer and step.
    pub batch: usize,
    /// Peers, each with weights and moments of its own.
    pub peers: usize,
    /// Threads.
    pub threads: usize,
    /// Inner steps of each peer in a call.
    pub steps: u32,
    /// How long to measure \[s\].
    pub seconds: f64,
}

/// How fast it went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingRate {
    /// What trained.
    pub engine: Engine,
    /// Parameters of the model.
    pub params: u64,
    /// Peers.
    pub peers: usize,
    /// Threads.
    pub threads: usize,
    /// Tokens of a peer's step.
    pub tokens_per_step: u64,
    /// Tokens of all peers together.
    pub tokens_per_second: f64,
    /// Inner steps of all peers together.
    pub peer_steps_per_second: f64,
    /// 6 FLOP a parameter and token, in 10⁹ a second.
    pub gflops: f64,
    /// Largest resident set.
    pub peak_memory_bytes: Option<u64>,
}

impl TrainingBench {
    /// Trains until the time is over.
    ///
    /// # Errors
    /// The model's sizes contradict each other.
    ///
    /// # Panics
    /// If candle, as the engine, fails.
    pub fn run(&self) -> Result<TrainingRate, TrainingError> {
        let model = Model::Llama(self.model.clone());
        let backend = training::build(&BackendSpec {
            model: &model,
            initial: None,
            data: Some(&Data::Markov { concentration: 0.1 }),
            batch: u32::try_from(self.batch).unwrap_or(u32::MAX),
            optimizer: &InnerOptimizer::Adamw(yardstick::ADAMW),
            validation_sequences: 1,
            seed: Seed(1),
            threads: self.threads,
        })?;
        let seconds_per_call = match self.engine {
            Engine::Fused => {
                let theta = backend.initial_parameters();
                let mut states = vec![InnerState::default(); self.peers];
                let mut first_step = 0;
                median_call(self.seconds, || {
                    let phase = |(peer, state)| InnerPhase {
                        peer: PeerId(peer as u32),
                        entity: peer as u64,
                        start: &theta,
                        state,
                        first_step,
                        steps: self.steps,
                        poison: None,
                        distinct_batches: None,
                    };
                    let mut phases: Vec<InnerPhase<'_>> = states.iter_mut().enumerate().map(phase).collect();
                    backend.train(&mut phases, &|_, _| ());
                    first_step += u64::from(self.steps);
                })
            }
            Engine::Candle => self.on_threads(|| yardstick::candle(&self.model, self.batch)),
            Engine::Products => self.on_threads(|| yardstick::products(&self.model, self.batch)),
        };
        let params = backend.layout().parameters() as u64;
        let tokens_per_step = (self.batch * self.model.context) as u64;
        let peer_steps_per_second = f64::from(self.steps) * self.peers as f64 / seconds_per_call;
        let tokens_per_second = peer_steps_per_second * tokens_per_step as f64;
        Ok(TrainingRate {
            engine: self.engine,
            params,
            peers: self.peers,
            threads: self.threads,
            tokens_per_step,
            tokens_per_second,
            peer_steps_per_second,
            gflops: 6.0 * params as f64 * tokens_per_second / 1e9,
            peak_memory_bytes: peak_memory_bytes(),
        })
    }

    /// Median wall-clock of the peers' steps where each thread repeats a step of its own.
    fn on_threads(&self, make: impl Fn() -> yardstick::Step) -> f64 {
        let mut steps: Vec<yardstick::Step> = (0..self.threads).map(|_| make()).collect();
        let (repeats, threads) = (self.peers * self.steps as usize, self.threads);
        median_call(self.seconds, || {
            std::thread::scope(|scope| {
                for (thread, step) in steps.iter_mut().enumerate() {
                    let share = repeats / threads + usize::from(thread < repeats % threads);
                    scope.spawn(move || (0..share).for_each(|_| step()));
                }
            });
        })
    }
}

/// Median wall-clock of a call \[s\] over `seconds`, the first one, which touches all memory, left out.
fn median_call(seconds: f64, mut call: impl FnMut()) -> f64 {
    call();
    let (total, mut calls) = (Stopwatch::start(), Vec::new());
    while calls.len() < CALLS_MIN || total.since_lap_s() < seconds {
        let stopwatch = Stopwatch::start();
        call();
        calls.push(stopwatch.since_lap_s());
    }
    calls.sort_by(f64::total_cmp);
    calls[calls.len() / 2]
}
