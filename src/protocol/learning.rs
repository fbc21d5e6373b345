//! What is learnt: the shared model, every peer's own state, and the phases that still have to be run.
//!
//! Per round, for each peer r of the gather set S:
//!   1. θ_r ← H inner steps from θ(t)
//!   2. Δ_r = θ(t) − θ_r
//!   3. e_r ← β·e_r + Δ_r;  payload_r = Q(TopK(e_r));  e_r ← e_r − decode(payload_r)
//!   4. Δ = aggregate of decode(payload_r), r in S, ascending
//!   5. θ(t+1) = outer step on (θ(t), Δ)
//!
//! Steps 1 to 3 are values until somebody needs one of them; then all outstanding ones run together.
//! Error feedback is not rolled back when a payload is late or not selected, as in the reference.
//! Liars' payloads are forged when all honest ones are there (see [`forgery`](super::forgery)).
//! Earlier models are kept for as many rounds as somebody looks back: a validator one, a stale liar as many as it is stale.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::spec::Protocol;
use crate::algorithm::aggregate::aggregate;
use crate::algorithm::codec::{self, DecodeError, Encoded};
use crate::algorithm::outer::OuterState;
use crate::algorithm::{Contribution, Layout};
use crate::quantity::{PeerId, Round};
use crate::training::spec::Poison;
use crate::training::{InnerPhase, InnerState, PhaseOutcome, TrainingBackend};

/// What a peer carries from round to round: 12 bytes a parameter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Learner {
    /// The inner optimizer's state.
    pub inner: InnerState,
    /// The residual e; empty before the first payload.
    pub error_feedback: Vec<f32>,
}

/// A phase that was done in virtual time and not yet in truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Who trained.
    pub peer: PeerId,
    /// Name of the streams that select its data.
    pub entity: u64,
    /// Inner steps.
    pub steps: u32,
    /// Age in rounds of the model from which it started; the oldest that is kept if that is younger.
    pub stale_rounds: u32,
    /// What it did to its batches.
    pub poison: Option<Poison>,
    /// How many batches it repeated.
    pub distinct_batches: Option<u32>,
}

/// A phase's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The payload.
    pub payload: Vec<u8>,
    /// Loss and tokens; `None` if nothing was trained for it.
    pub outcome: Option<PhaseOutcome>,
}

/// What an outer step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OuterStep {
    /// L2 norm of the aggregate.
    pub aggregate_norm: f64,
    /// Mean training loss of the contributors that trained.
    pub training_loss: Option<f64>,
    /// Tokens behind the contributions.
    pub tokens: u64,
}

/// The shared model and its learners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    theta: Vec<f32>,
    /// θ(t−1), θ(t−2), …, at most `depth`.
    earlier: VecDeque<Vec<f32>>,
    depth: usize,
    outer: OuterState,
    learners: BTreeMap<PeerId, Learner>,
    pending: Vec<Phase>,
    sent: BTreeMap<PeerId, Sent>,
}

/// One phase's place to put its results, locked by the one worker that runs it.
struct Slot<'a> {
    error_feedback: &'a mut Vec<f32>,
    encoded: Option<Encoded>,
}

impl Learning {
    /// θ(0) and nobody who has learnt anything; the last `depth` models are kept beside the current one.
    #[must_use]
    pub fn new(backend: &dyn TrainingBackend, depth: usize) -> Self {
        Self {
            theta: backend.initial_parameters(),
            earlier: VecDeque::new(),
            depth,
            outer: OuterState::default(),
            learners: BTreeMap::new(),
            pending: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// θ(t).
    #[must_use]
    pub fn theta(&self) -> &[f32] {
        &self.theta
    }

    /// θ(t − age), or the oldest model that is kept.
    #[must_use]
    pub fn theta_before(&self, age: usize) -> &[f32] {
        match age.min(self.earlier.len()) {
            0 => &self.theta,
            age => &self.earlier[age - 1],
        }
    }

    /// Notes that a peer did inner steps in the current round.
    ///
    /// # Panics
    /// If it did so already since the last outer step.
    pub fn note_phase(&mut self, phase: Phase) {
        assert!(self.pending.iter().all(|other| other.peer != phase.peer), "peer {} trains once a round", phase.peer);
        self.pending.push(phase);
    }

    /// Forgets a phase that nobody can need any more, and all that the peer had learnt (a crash).
    pub fn lose(&mut self, peer: PeerId) {
        self.pending.retain(|phase| phase.peer != peer);
        self.learners.remove(&peer);
    }

    /// What the peer sends in the round, once it is known.
    #[must_use]
    pub fn sent(&self, peer: PeerId) -> Option<&Sent> {
        self.sent.get(&peer)
    }

    /// All that is sent in the round, as far as it is known, ascending by peer.
    pub fn all_sent(&self) -> impl Iterator<Item = (PeerId, &Sent)> {
        self.sent.iter().map(|(&peer, sent)| (peer, sent))
    }

    /// Puts a payload in the place of what the peer would have sent.
    pub fn replace(&mut self, peer: PeerId, payload: Vec<u8>) {
        let outcome = self.sent.get(&peer).and_then(|sent| sent.outcome);
        self.sent.insert(peer, Sent { payload, outcome });
    }

    /// The decoded payload of a peer.
    ///
    /// # Errors
    /// The payload is refused.
    ///
    /// # Panics
    /// If it has sent nothing.
    pub fn decode(&self, protocol: &Protocol, layout: &Layout, peer: PeerId) -> Result<Contribution, DecodeError> {
        let sent = self.sent.get(&peer).expect("because only what was sent is decoded");
        codec::decode_checked(protocol.checks, &protocol.compression, layout, &sent.payload)
    }

    /// Runs all outstanding phases of `round`, one peer a thread.
    pub fn join(&mut self, protocol: &Protocol, backend: &dyn TrainingBackend, round: Round) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_unstable_by_key(|phase| phase.peer);
        for phase in &pending {
            self.learners.entry(phase.peer).or_default();
        }
        let mut phases = Vec::with_capacity(pending.len());
        let mut slots = Vec::with_capacity(pending.len());
        let mut wanted = pending.iter().peekable();
        for (&peer, learner) in &mut self.learners {
            let Some(phase) = wanted.next_if(|phase| phase.peer == peer) else { continue };
            phases.push(InnerPhase {
                peer,
                entity: phase.entity,
                start: match (phase.stale_rounds as usize).min(self.earlier.len()) {
                    0 => &self.theta,
                    age => &self.earlier[age - 1],
                },
                state: &mut learner.inner,
                first_step: u64::from(round.0) * u64::from(protocol.inner_steps),
                steps: phase.steps,
                poison: phase.poison,
                distinct_batches: phase.distinct_batches,
            });
            slots.push(Mutex::new(Slot { error_feedback: &mut learner.error_feedback, encoded: None }));
        }
        let scratches = Mutex::new(Vec::new());
        let layout = backend.layout();
        let encode = |index: usize, delta: &mut [f32]| {
            let mut scratch = scratches.lock().expect("because no encoder panics with it").pop().unwrap_or_default();
            let mut slot = slots[index].lock().expect("because each phase is run by one worker");
            let slot = &mut *slot;
            slot.encoded = Some(codec::encode(&protocol.compression, layout, delta, slot.error_feedback, &mut scratch));
            scratches.lock().expect("because no encoder panics with it").push(scratch);
        };
        let outcomes = backend.train(&mut phases, &encode);
        for ((phase, outcome), slot) in pending.iter().zip(outcomes).zip(slots) {
            let slot = slot.into_inner().expect("because no worker panicked");
            let encoded = slot.encoded.expect("because the backend hands over every pseudo-gradient");
            self.sent.insert(phase.peer, Sent { payload: encoded.bytes, outcome: Some(outcome) });
        }
    }

    /// Combines `contributions` (ascending by peer) and takes the outer step. Without one θ stays as it is.
    pub fn outer_step(
        &mut self,
        protocol: &Protocol,
        backend: &dyn TrainingBackend,
        round: Round,
        contributions: &[(PeerId, &Contribution)],
    ) -> Option<OuterStep> {
        assert!(contributions.is_sorted_by_key(|(peer, _)| *peer), "reductions go in ascending peer order");
        self.keep_theta();
        if contributions.is_empty() {
            return None;
        }
        let layout = backend.layout();
        let decoded: Vec<&Contribution> = contributions.iter().map(|&(_, contribution)| contribution).collect();
        let mut combined = vec![0.0; layout.parameters()];
        aggregate(&protocol.aggregation, layout, &decoded, &mut combined);
        self.outer.step(&protocol.outer_optimizer, layout, &mut self.theta, &combined, u64::from(round.0));
        let norm_squared: f64 = combined.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let outcomes: Vec<PhaseOutcome> =
            contributions.iter().filter_map(|(peer, _)| self.sent.get(peer)?.outcome).collect();
        let loss_sum: f64 = outcomes.iter().map(|outcome| outcome.training_loss).sum();
        Some(OuterStep {
            aggregate_norm: norm_squared.sqrt(),
            training_loss: (!outcomes.is_empty()).then(|| loss_sum / outcomes.len() as f64),
            tokens: outcomes.iter().map(|outcome| outcome.tokens).sum(),
        })
    }

    /// θ(t) becomes an earlier model; its oldest predecessor's memory is used again.
    fn keep_theta(&mut self) {
        if self.depth == 0 {
            return;
        }
        let mut place =
            if self.earlier.len() == self.depth { self.earlier.pop_back().unwrap_or_default() } else { Vec::new() };
        place.clone_from(&self.theta);
        self.earlier.push_front(place);
    }

    /// Forgets the round's results.
    pub fn close_round(&mut self) {
        self.sent.clear();
    }
}
