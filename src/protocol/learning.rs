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

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::spec::Protocol;
use crate::algorithm::aggregate::aggregate;
use crate::algorithm::codec::{self, Encoded};
use crate::algorithm::outer::OuterState;
use crate::quantity::{PeerId, Round};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    peer: PeerId,
    entity: u64,
    steps: u32,
}

/// A phase's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The encoded pseudo-gradient.
    pub payload: Vec<u8>,
    /// L2 norm of what the payload decodes to.
    pub norm: f64,
    /// Loss and tokens.
    pub outcome: PhaseOutcome,
}

/// What an outer step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OuterStep {
    /// L2 norm of the aggregate.
    pub aggregate_norm: f64,
    /// Mean training loss of the contributors.
    pub training_loss: f64,
    /// Tokens behind the contributions.
    pub tokens: u64,
}

/// The shared model and its learners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    theta: Vec<f32>,
    outer: OuterState,
    learners: BTreeMap<PeerId, Learner>,
    pending: Vec<Pending>,
    trained: BTreeMap<PeerId, Trained>,
}

/// One phase's place to put its results, locked by the one worker that runs it.
struct Slot<'a> {
    error_feedback: &'a mut Vec<f32>,
    encoded: Option<Encoded>,
}

impl Learning {
    /// θ(0) and nobody who has learnt anything.
    #[must_use]
    pub fn new(backend: &dyn TrainingBackend) -> Self {
        Self {
            theta: backend.initial_parameters(),
            outer: OuterState::default(),
            learners: BTreeMap::new(),
            pending: Vec::new(),
            trained: BTreeMap::new(),
        }
    }

    /// θ(t).
    #[must_use]
    pub fn theta(&self) -> &[f32] {
        &self.theta
    }

    /// Notes that the peer, whose streams are named by `entity`, did `steps` inner steps from θ(t).
    ///
    /// # Panics
    /// If it did so already since the last outer step.
    pub fn note_phase(&mut self, peer: PeerId, entity: u64, steps: u32) {
        assert!(self.pending.iter().all(|phase| phase.peer != peer), "peer {peer} trains once a round");
        self.pending.push(Pending { peer, entity, steps });
    }

    /// Forgets a phase that nobody can need any more, and all that the peer had learnt (a crash).
    pub fn lose(&mut self, peer: PeerId) {
        self.pending.retain(|phase| phase.peer != peer);
        self.learners.remove(&peer);
    }

    /// The results of the peer's phase since the last outer step, if it was run.
    #[must_use]
    pub fn trained(&self, peer: PeerId) -> Option<&Trained> {
        self.trained.get(&peer)
    }

    /// Runs all outstanding phases of `round`, one peer a thread.
    pub fn join(&mut self, protocol: &Protocol, backend: &dyn TrainingBackend, round: Round) {
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
                start: &self.theta,
                state: &mut learner.inner,
                first_step: u64::from(round.0) * u64::from(protocol.inner_steps),
                steps: phase.steps,
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
            let Encoded { bytes, norm, .. } =
                slot.encoded.expect("because the backend hands over every pseudo-gradient");
            self.trained.insert(phase.peer, Trained { payload: bytes, norm, outcome });
        }
    }

    /// Decodes the payloads of `contributors` (ascending), combines them and takes the outer step.
    ///
    /// Results of phases are gone afterwards. Without a contributor θ stays as it is.
    ///
    /// # Panics
    /// If a contributor's phase was not joined, or its payload does not decode: honest payloads do.
    pub fn outer_step(
        &mut self,
        protocol: &Protocol,
        backend: &dyn TrainingBackend,
        round: Round,
        contributors: &[PeerId],
    ) -> Option<OuterStep> {
        assert!(contributors.is_sorted(), "reductions go in ascending peer order");
        if contributors.is_empty() {
            return None;
        }
        let layout = backend.layout();
        let trained: Vec<&Trained> = contributors
            .iter()
            .map(|peer| self.trained.get(peer).expect("because contributors have trained"))
            .collect();
        let decoded: Vec<_> = trained
            .iter()
            .map(|result| {
                codec::decode(&protocol.compression, layout, &result.payload)
                    .expect("because an honest payload decodes")
            })
            .collect();
        let mut combined = vec![0.0; layout.parameters()];
        aggregate(&protocol.aggregation, layout, &decoded.iter().collect::<Vec<_>>(), &mut combined);
        self.outer.step(&protocol.outer_optimizer, layout, &mut self.theta, &combined, u64::from(round.0));
        let norm_squared: f64 = combined.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let loss_sum: f64 = trained.iter().map(|result| result.outcome.training_loss).sum();
        Some(OuterStep {
            aggregate_norm: norm_squared.sqrt(),
            training_loss: loss_sum / contributors.len() as f64,
            tokens: trained.iter().map(|result| result.outcome.tokens).sum(),
        })
    }

    /// Forgets the round's results.
    pub fn close_round(&mut self) {
        self.trained.clear();
    }
}
