//! Learning that another swarm has done: what two swarms have to agree in, and how one tells the other what came out.
//!
//! What is learnt depends on the clock through three things alone, between one outer step and the next: who did how many
//! inner steps from θ(t), who lost its state, and whose contributions are combined. A [`Trace`] hashes this sequence. Two
//! swarms with the same learning (model, data, protocol, seed) and the same trace learn the same in every bit, whatever
//! their links and devices are; then one of them can learn, and the other takes its losses and norms from a [`Script`].
//!
//! Within a round the order in which peers report does not matter: phases are joined in ascending order of peers, and a
//! lost state is lost before the peer's next phase. Not covered: validators, whose verdicts depend on more.

use std::collections::{BTreeMap, BTreeSet};

use super::learning::OuterStep;
use super::rows::{Outcome, Rows};
use crate::quantity::PeerId;
use crate::sim::Audit;

/// The hash of everything that a swarm asks of its learning.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    pending: BTreeMap<PeerId, (u64, u32)>,
    lost: BTreeSet<PeerId>,
    audit: Audit,
}

impl Trace {
    /// The peer did `steps` inner steps from θ(t).
    pub(super) fn note_phase(&mut self, peer: PeerId, entity: u64, steps: u32) {
        self.pending.insert(peer, (entity, steps));
    }

    /// The peer lost all that it had learnt, and its phase with it.
    pub(super) fn lose(&mut self, peer: PeerId) {
        self.pending.remove(&peer);
        self.lost.insert(peer);
    }

    /// The outer step of `round` combines these contributions.
    pub(super) fn outer_step(&mut self, round: u32, contributors: &[PeerId]) {
        let audit = &mut self.audit;
        // Each list is fed with its length, so that no two sequences are fed alike.
        audit.u64(round.into());
        audit.u64(self.lost.len() as u64);
        self.lost.iter().for_each(|peer| audit.u64(peer.0.into()));
        audit.u64(self.pending.len() as u64);
        for (peer, (entity, steps)) in &self.pending {
            audit.u64(peer.0.into());
            audit.u64(*entity);
            audit.u64((*steps).into());
        }
        audit.u64(contributors.len() as u64);
        contributors.iter().for_each(|peer| audit.u64(peer.0.into()));
        self.pending.clear();
        self.lost.clear();
    }

    /// The hash of all outer steps so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.audit.value()
    }
}

/// What a swarm's learning came to, by rounds.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Training loss and norm of what was sent, by round and peer.
    trained: BTreeMap<(u32, u32), (Option<f64>, Option<f64>)>,
    steps: BTreeMap<u32, OuterStep>,
    /// Validation loss by outer steps taken before.
    losses: BTreeMap<u32, f64>,
    /// Who did how many steps and was combined, by round and peer.
    taken: BTreeMap<(u32, u32), (u32, bool)>,
}

impl Script {
    /// What the swarm that left these rows has learnt.
    #[must_use]
    pub fn of(rows: &Rows) -> Self {
        let trained = rows.peers.iter().map(|row| ((row.round, row.peer), (row.training_loss, row.payload_norm)));
        let mut steps = BTreeMap::new();
        let mut tokens = 0;
        for row in &rows.rounds {
            if let (Some(training_loss), Some(aggregate_norm)) = (row.training_loss, row.aggregate_norm) {
                let training_loss = Some(training_loss);
                let step = OuterStep { aggregate_norm, training_loss, tokens: row.tokens - tokens };
                steps.insert(row.round, step);
            }
            tokens = row.tokens;
        }
        let losses = rows.evaluations.iter().map(|row| (row.round, row.validation_loss)).collect();
        Self { trained: trained.collect(), steps, losses, taken: taken(rows) }
    }

    /// Whether these rows are of a swarm that asked for the same learning, as far as rows tell.
    #[must_use]
    pub fn agrees_with(&self, rows: &Rows) -> bool {
        self.taken == taken(rows)
    }

    pub(super) fn trained(&self, round: u32, peer: PeerId) -> Option<(Option<f64>, Option<f64>)> {
        self.trained.get(&(round, peer.0)).copied()
    }

    pub(super) fn outer_step(&self, round: u32) -> Option<OuterStep> {
        self.steps.get(&round).copied()
    }

    pub(super) fn validation_loss(&self, outer_steps: u32) -> Option<f64> {
        self.losses.get(&outer_steps).copied()
    }
}

fn taken(rows: &Rows) -> BTreeMap<(u32, u32), (u32, bool)> {
    let is_combined = |outcome| matches!(outcome, Outcome::Gathered | Outcome::Reserve);
    rows.peers.iter().map(|row| ((row.round, row.peer), (row.steps, is_combined(row.outcome)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(feed: impl Fn(&mut Trace)) -> u64 {
        let mut trace = Trace::default();
        feed(&mut trace);
        trace.outer_step(0, &[PeerId(1)]);
        trace.value()
    }

    #[test]
    fn the_order_of_peers_within_a_round_does_not_matter_and_everything_else_does() {
        let note = |trace: &mut Trace, peer, steps| trace.note_phase(PeerId(peer), u64::from(peer), steps);
        let both = trace(|trace| [1, 2].into_iter().for_each(|peer| note(trace, peer, 5)));
        assert_eq!(both, trace(|trace| [2, 1].into_iter().for_each(|peer| note(trace, peer, 5))));
        let others = [
            trace(|trace| note(trace, 1, 5)),
            trace(|trace| [1, 2].into_iter().for_each(|peer| note(trace, peer, 4))),
            trace(|trace| {
                trace.lose(PeerId(2));
                [1, 2].into_iter().for_each(|peer| note(trace, peer, 5));
            }),
            trace(|trace| {
                [1, 2].into_iter().for_each(|peer| note(trace, peer, 5));
                trace.lose(PeerId(2));
            }),
        ];
        assert!(others.iter().all(|other| *other != both));
        assert_ne!(others[2], others[3], "lost before the phase is not lost after it");
    }
}
