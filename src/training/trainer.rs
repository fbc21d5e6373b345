//! Inner phases of any objective: many peers, one thread each, one set of buffers per thread.
//!
//! A phase of H steps, for i = 0 … H−1 with s = `first_step` + i:
//!   1. g ← gradient on the peer's batch of step s
//!   2. θ ← inner optimizer (θ, g), at learning rate η·multiplier(s)
//!
//! and its pseudo-gradient is Δ = θ(t) − θ. With `InnerOptimizer::Gradient` θ stays and Δ is the mean of the g.
//! `AdamW`'s bias correction counts the steps that its moments have seen, the schedule counts the run's.
//! θ, g and the objective's buffers belong to the thread; a peer owns nothing but its moments.

use super::backend::{InnerPhase, InnerState, PhaseOutcome, PseudoGradientSink, SequenceName, TrainingBackend, Trial};
use super::lanes;
use super::pool::Pool;
use super::spec::{InnerOptimizer, Poison};
use crate::algorithm::Layout;
use crate::algorithm::adamw::adamw_step;
use crate::algorithm::spec::AdamW;

/// What is minimised.
pub(super) trait Objective: Send + Sync {
    /// One thread's buffers.
    type Buffers: Send;

    /// The layout of θ.
    fn layout(&self) -> &Layout;

    /// θ(0).
    fn initial_parameters(&self) -> Vec<f32>;

    /// Buffers for one thread.
    fn buffers(&self) -> Self::Buffers;

    /// Overwrites `gradient` with that of the loss on a batch; returns that loss.
    fn gradient(&self, buffers: &mut Self::Buffers, theta: &[f32], batch: Batch, gradient: &mut [f32]) -> f64;

    /// Mean loss over sequences of the training data.
    fn sequences_loss(&self, buffers: &mut Self::Buffers, theta: &[f32], sequences: &[SequenceName]) -> f64;

    /// See [`TrainingBackend::backdoor_success`].
    fn backdoor_success(&self, theta: &[f32], trigger: u32, target: u32) -> Option<f64>;

    /// Tokens of a batch.
    fn batch_tokens(&self) -> u64;

    /// Number of parts in which the validation loss is computed.
    fn validation_parts(&self) -> usize;

    /// One part's share of the validation loss; all parts' shares, added in order, are the loss.
    fn validation_part(&self, buffers: &mut Self::Buffers, theta: &[f32], part: usize) -> f64;

    /// See [`TrainingBackend::loss_floor`].
    fn loss_floor(&self) -> Option<f64>;

    /// See [`TrainingBackend::unigram_entropy`].
    fn unigram_entropy(&self) -> Option<f64>;
}

/// The batch of a peer's step, and what a liar does to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// Name of the peer's random streams.
    pub entity: u64,
    /// Index of the step in the data.
    pub step: u64,
    pub poison: Option<Poison>,
}

/// Trains an objective with an inner optimizer.
#[derive(Debug)]
pub(super) struct Trainer<O: Objective> {
    objective: O,
    optimizer: InnerOptimizer,
    pool: Pool<Buffers<O::Buffers>>,
}

/// One thread's buffers.
#[derive(Debug)]
struct Buffers<B> {
    /// θ of the phase in work; the sum of gradients where no step is taken.
    theta: Vec<f32>,
    gradient: Vec<f32>,
    objective: B,
}

impl<O: Objective> Trainer<O> {
    pub(super) fn new(objective: O, optimizer: InnerOptimizer, threads: usize) -> Self {
        Self { objective, optimizer, pool: Pool::new(threads) }
    }

    fn buffers(&self) -> Buffers<O::Buffers> {
        let zeros = || vec![0.0; self.objective.layout().parameters()];
        Buffers { theta: zeros(), gradient: zeros(), objective: self.objective.buffers() }
    }

    /// Runs one phase; its pseudo-gradient is left in `buffers.theta`.
    fn phase(&self, buffers: &mut Buffers<O::Buffers>, phase: &mut InnerPhase<'_>) -> PhaseOutcome {
        let Buffers { theta, gradient, objective } = buffers;
        assert_eq!(phase.start.len(), theta.len(), "θ(t) has the layout's length");
        let steps = phase.first_step..phase.first_step + u64::from(phase.steps);
        let (entity, poison) = (phase.entity, phase.poison);
        let batch = |step: u64| {
            let within = step - phase.first_step;
            let within = phase.distinct_batches.map_or(within, |batches| within % u64::from(batches.max(1)));
            Batch { entity, step: phase.first_step + within, poison }
        };
        let mut losses = 0.0;
        if matches!(self.optimizer, InnerOptimizer::Gradient) {
            theta.fill(0.0);
            let share = 1.0 / phase.steps as f32;
            for step in steps {
                losses += self.objective.gradient(objective, phase.start, batch(step), gradient);
                theta.iter_mut().zip(&*gradient).for_each(|(sum, &value)| *sum += value * share);
            }
        } else {
            theta.copy_from_slice(phase.start);
            for step in steps {
                losses += self.objective.gradient(objective, theta, batch(step), gradient);
                self.step(theta, gradient, phase.state, step);
            }
            theta.iter_mut().zip(phase.start).for_each(|(theta, &start)| *theta = start - *theta);
        }
        PhaseOutcome {
            training_loss: losses / f64::from(phase.steps.max(1)),
            tokens: u64::from(phase.steps) * self.objective.batch_tokens(),
        }
    }

    fn step(&self, theta: &mut [f32], gradient: &[f32], state: &mut InnerState, step: u64) {
        match &self.optimizer {
            InnerOptimizer::Adamw(spec) => {
                state.first_moment.resize(theta.len(), 0.0);
                state.second_moment.resize(theta.len(), 0.0);
                state.steps += 1;
                let lr = spec.learning_rate * spec.schedule.multiplier(step);
                let (m, v) = (&mut state.first_moment, &mut state.second_moment);
                adamw_step(spec, theta, gradient, m, v, state.steps, lr, clip(spec, gradient));
            }
            InnerOptimizer::Sgd { learning_rate } => {
                theta.iter_mut().zip(gradient).for_each(|(theta, &value)| *theta -= learning_rate * value);
            }
            InnerOptimizer::Gradient => unreachable!("no step is taken"),
        }
    }
}

/// What a gradient is multiplied by so that its global L2 norm is within the limit.
fn clip(spec: &AdamW, gradient: &[f32]) -> f32 {
    let Some(limit) = spec.gradient_clip else { return 1.0 };
    let norm = lanes::norm(gradient);
    if norm > f64::from(limit) { (f64::from(limit) / norm) as f32 } else { 1.0 }
}

impl<O: Objective> TrainingBackend for Trainer<O> {
    fn layout(&self) -> &Layout {
        self.objective.layout()
    }

    fn initial_parameters(&self) -> Vec<f32> {
        self.objective.initial_parameters()
    }

    fn train(&self, phases: &mut [InnerPhase<'_>], sink: &PseudoGradientSink<'_>) -> Vec<PhaseOutcome> {
        let cost = |phase: &&mut InnerPhase<'_>| u64::from(phase.steps);
        self.pool.run(
            phases,
            cost,
            || self.buffers(),
            |buffers, index, phase| {
                let outcome = self.phase(buffers, phase);
                sink(index, &mut buffers.theta);
                outcome
            },
        )
    }

    fn validation_loss(&self, parameters: &[f32]) -> f64 {
        let parts = 0..self.objective.validation_parts();
        let shares = self.pool.run(
            parts,
            |_| 1,
            || self.buffers(),
            |buffers, _, part| self.objective.validation_part(&mut buffers.objective, parameters, part),
        );
        shares.into_iter().sum()
    }

    fn trial_losses(&self, trials: &[Trial<'_>]) -> Vec<f64> {
        let cost = |trial: &&Trial<'_>| trial.sequences.len() as u64;
        self.pool.run(
            trials,
            cost,
            || self.buffers(),
            |buffers, _, trial| {
                let Some(change) = trial.change else {
                    return self.objective.sequences_loss(&mut buffers.objective, trial.parameters, trial.sequences);
                };
                buffers.theta.copy_from_slice(trial.parameters);
                change(&mut buffers.theta);
                self.objective.sequences_loss(&mut buffers.objective, &buffers.theta, trial.sequences)
            },
        )
    }

    fn backdoor_success(&self, parameters: &[f32], trigger: u32, target: u32) -> Option<f64> {
        self.objective.backdoor_success(parameters, trigger, target)
    }

    fn loss_floor(&self) -> Option<f64> {
        self.objective.loss_floor()
    }

    fn unigram_entropy(&self) -> Option<f64> {
        self.objective.unigram_entropy()
    }
}
