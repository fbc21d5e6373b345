//! The seam between the protocol and whatever trains: a phase of inner steps is a value.
//!
//! A phase is described by (θ(t), optimizer state, data cursor, steps); its virtual duration is somebody
//! else's business. The protocol collects phases as they start and hands over all outstanding ones at once.

use serde::{Deserialize, Serialize};

use super::spec::Poison;
use crate::algorithm::Layout;
use crate::quantity::PeerId;

/// A peer's inner optimizer state: 8 bytes a parameter for `AdamW`, nothing for the others.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InnerState {
    /// First moments, P values; empty until the first step and for optimizers without moments.
    pub first_moment: Vec<f32>,
    /// Second moments, P values.
    pub second_moment: Vec<f32>,
    /// Steps taken with these moments (bias correction).
    pub steps: u64,
}

/// One peer's inner steps of one round.
#[derive(Debug)]
pub struct InnerPhase<'a> {
    /// Who trains.
    pub peer: PeerId,
    /// Name of the peer's random streams: with the index of a step it selects that step's batch, so peers of two
    /// scenarios that differ in H or in other peers read the same tokens.
    pub entity: u64,
    /// θ(t), shared by all peers that hold it; P values.
    pub start: &'a [f32],
    /// The peer's optimizer state, advanced in place.
    pub state: &'a mut InnerState,
    /// Index of the first step, counted over the whole run (t·H): in the learning-rate schedule and in the data.
    pub first_step: u64,
    /// Inner steps to take; at most the protocol's H.
    pub steps: u32,
    /// What is done to its batches; `None` for the honest.
    pub poison: Option<Poison>,
    /// The phase reads the batches of its first so many steps over and over; `None` for the honest: a new one each step.
    pub distinct_batches: Option<u32>,
}

/// One sequence of the training data by its name: a row of the batch that is given to `entity` for `step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceName {
    /// Name of a peer's random streams.
    pub entity: u64,
    /// Index of a step.
    pub step: u64,
    /// Row of the batch; taken modulo B.
    pub row: u32,
}

/// What is done to a copy of a model before its loss is taken.
pub type Change<'a> = dyn Fn(&mut [f32]) + Sync + 'a;

/// A model whose loss on given sequences is asked for.
pub struct Trial<'a> {
    /// The model, P values.
    pub parameters: &'a [f32],
    /// What is done to the worker's copy of it first.
    pub change: Option<&'a Change<'a>>,
    /// On what; at least one.
    pub sequences: &'a [SequenceName],
}

/// What came out of a phase besides the pseudo-gradient.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PhaseOutcome {
    /// Mean loss over the steps' batches, each before its step \[nats per token\].
    pub training_loss: f64,
    /// Tokens seen.
    pub tokens: u64,
}

/// What receives a phase's pseudo-gradient: `(index of the phase, Δ = θ(t) − θ_r)`, P values, on the worker's thread.
///
/// The slice is the worker's buffer: it may be overwritten by the receiver and is gone when the call returns.
/// With [`InnerOptimizer::Gradient`](super::spec::InnerOptimizer::Gradient) it is the mean gradient instead.
pub type PseudoGradientSink<'a> = dyn Fn(usize, &mut [f32]) + Sync + 'a;

/// Trains and evaluates the proxy model.
///
/// Results depend on the arguments and the backend's own configuration only: never on the number of threads,
/// on the order of phases in a call, or on how phases are grouped into calls.
pub trait TrainingBackend: Send {
    /// The layout of θ.
    fn layout(&self) -> &Layout;

    /// θ(0); P values, a function of the seed.
    fn initial_parameters(&self) -> Vec<f32>;

    /// Runs all `phases`, one peer a thread, and passes each pseudo-gradient to `sink`.
    ///
    /// Outcomes are in the order of `phases`.
    fn train(&self, phases: &mut [InnerPhase<'_>], sink: &PseudoGradientSink<'_>) -> Vec<PhaseOutcome>;

    /// Mean loss of `parameters` over the fixed validation sequences \[nats per token\].
    fn validation_loss(&self, parameters: &[f32]) -> f64;

    /// Mean training loss of each trial's model over its sequences \[nats per token\], in the order of the trials.
    fn trial_losses(&self, trials: &[Trial<'_>]) -> Vec<f64>;

    /// Share of the validation sequences in which `parameters` answer a trigger planted in the middle with its target;
    /// `None` where there are no tokens.
    fn backdoor_success(&self, parameters: &[f32], trigger: u32, target: u32) -> Option<f64>;

    /// The loss that no model can beat \[nats per token\], where it is known: the source's entropy rate.
    fn loss_floor(&self) -> Option<f64>;

    /// The unigram entropy of the data \[nats per token\], where there are tokens: what knowing only frequencies achieves.
    fn unigram_entropy(&self) -> Option<f64>;
}
