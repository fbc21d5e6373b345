//! Rounds that wait for their peers: synchronous exchange among those who are done.
//!
//! ```text
//! begin      everyone who is there, idle and holds θ(t) is a member and trains H steps
//! wait       for all members, for a quorum of them, or until the time-out (then for the first who is done)
//! exchange   object store: upload, then get the others';  all to all: one transfer for each ordered pair;
//!            ring: all-reduce in ring order of registration (see `net::ring`)
//! end        outer step; the next round begins at once
//! ```
//!
//! Whoever is not done when the exchange begins has trained in vain: the phase is dropped, with what it would have done
//! to the optimizer state. A member that crashes is waited for no longer; if it crashes in the exchange, its
//! contribution is lost too: a ring starts again without it, the others go on. Peers that come back or join in
//! mid-round wait for the next. Not modelled: the wire protocol of a barrier, retries that are limited in number.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::gather::Selection;
use super::peer::Activity;
use super::rows::Outcome;
use super::spec::{Exchange, RoundRule, Wait};
use super::swarm::{Swarm, purpose, tag};
use crate::net::{FlowId, ring};
use crate::quantity::{Bytes, Duration, PeerId, Round};
use crate::sim::{Outbox, SimTime};

/// Where the round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Stage {
    /// Between two rounds, or nobody is there.
    #[default]
    Waiting,
    /// Members take inner steps.
    Training,
    /// Payloads are on their way.
    Exchanging,
}

/// The barrier's view of the round in progress.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BarrierRound {
    stage: Stage,
    /// Who began the round and is still there.
    members: BTreeSet<PeerId>,
    /// Members whose inner steps are done; those of them that are still there contribute.
    done: BTreeSet<PeerId>,
    /// The time-out has passed.
    overdue: bool,
    /// How many rings have been started in the round.
    attempt: u32,
    /// Transfers of an all-to-all, with their two ends.
    flows: BTreeMap<FlowId, [PeerId; 2]>,
}

impl BarrierRound {
    /// Whether the peer takes part in the round in progress.
    #[must_use]
    pub fn has_member(&self, peer: PeerId) -> bool {
        self.members.contains(&peer)
    }

    /// Whether the exchange may begin.
    fn is_complete(&self, wait: Wait) -> bool {
        let wanted = match wait {
            Wait::All => self.members.len(),
            Wait::Quorum(share) => (share * self.members.len() as f64).ceil() as usize,
        };
        !self.done.is_empty() && (self.overdue || self.done.len() >= wanted)
    }
}

impl Swarm<'_> {
    /// Begins a round with everyone who can, unless one is in progress.
    pub(super) fn begin_barrier_round(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        if self.state.barrier.stage != Stage::Waiting || self.all_rounds_done() {
            return;
        }
        let round = self.state.round;
        let ready = |peer: &&super::peer::Peer| {
            peer.is_present() && !peer.leaving && peer.held == Some(round) && peer.activity == Activity::Idle
        };
        let members: BTreeSet<PeerId> = self.state.peers.iter().filter(ready).map(|peer| peer.id).collect();
        if members.is_empty() {
            return;
        }
        for &peer in &members {
            let state = &self.state.peers[peer.index()];
            let steps = self.spec.protocol.inner_steps;
            let progress = self.state.population.progress(&state.profile, round, steps, Duration::MAX);
            outbox.at(now + progress.elapsed, Event::TrainingDone { peer, round, session: state.session });
            self.turn_to(peer, now, Activity::Training);
        }
        self.state.round_start = now;
        if let Some(timeout) = self.barrier_spec().timeout {
            outbox.at(now + timeout, Event::BarrierTimeout { round });
        }
        self.state.barrier = BarrierRound { stage: Stage::Training, members, ..BarrierRound::default() };
    }

    fn barrier_spec(&self) -> &super::spec::Barrier {
        match &self.spec.protocol.round {
            RoundRule::Barrier(barrier) => barrier,
            RoundRule::Window(_) => unreachable!("because only barriers wait"),
        }
    }

    /// A member's inner steps are done.
    pub(super) fn training_done(
        &mut self,
        peer: PeerId,
        round: u32,
        session: u64,
        now: SimTime,
        outbox: &mut Outbox<Event>,
    ) {
        let state = &self.state.peers[peer.index()];
        let stale = round != self.state.round || session != state.session || state.activity != Activity::Training;
        if stale || self.state.barrier.stage != Stage::Training {
            return;
        }
        self.note_phase(peer, self.spec.protocol.inner_steps, now - state.since);
        self.turn_to(peer, now, Activity::Idle);
        self.state.barrier.done.insert(peer);
        self.exchange_if_complete(now, outbox);
    }

    /// The barrier waits no longer than for the first.
    pub(super) fn barrier_timeout(&mut self, round: u32, now: SimTime, outbox: &mut Outbox<Event>) {
        if round == self.state.round && self.state.barrier.stage == Stage::Training {
            self.state.barrier.overdue = true;
            self.exchange_if_complete(now, outbox);
        }
    }

    fn exchange_if_complete(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        if self.state.barrier.is_complete(self.barrier_spec().wait) {
            self.drop_stragglers(now);
            self.state.barrier.stage = Stage::Exchanging;
            self.begin_exchange(now, outbox);
        }
    }

    /// Members that are not done stop where they are.
    fn drop_stragglers(&mut self, now: SimTime) {
        let barrier = &self.state.barrier;
        let stragglers: Vec<PeerId> = barrier.members.difference(&barrier.done).copied().collect();
        for peer in stragglers {
            let state = &self.state.peers[peer.index()];
            let (elapsed, steps) = (now - state.since, self.spec.protocol.inner_steps);
            let progress = self.state.population.progress(&state.profile, self.state.round, steps, elapsed);
            let class = self.class(peer).name.clone();
            self.state.recorder.phase_done(self.state.round, peer, &class, None, progress.steps, elapsed);
            self.turn_to(peer, now, Activity::Idle);
        }
    }

    fn begin_exchange(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        let members: Vec<PeerId> = self.state.barrier.members.iter().copied().collect();
        let contributors: Vec<PeerId> = self.state.barrier.done.iter().copied().collect();
        match self.spec.protocol.exchange {
            Exchange::ObjectStore => {
                self.state.store.remove_before(Round(self.state.round));
                self.state.selection =
                    Some(Selection::new(self.state.round, contributors.clone(), Vec::new(), now, SimTime::MAX));
                for &peer in &contributors {
                    self.begin_upload(peer, now, outbox);
                }
                for peer in members.into_iter().filter(|peer| !contributors.contains(peer)) {
                    self.begin_gather(peer, now, outbox);
                }
            }
            Exchange::AllToAll => {
                for &from in &contributors {
                    self.turn_to(from, now, Activity::Exchanging);
                    for &to in contributors.iter().filter(|to| **to != from) {
                        let ends = [from, to].map(|peer| self.state.peers[peer.index()].endpoint);
                        let tag = tag(to, purpose::EXCHANGE);
                        let flow = self.state.network.start_flow(now, ends[0], ends[1], self.spec.payload, tag);
                        self.state.barrier.flows.insert(flow, [from, to]);
                    }
                }
                self.end_all_to_all_if_through(now, outbox);
            }
            Exchange::Ring => {
                for &peer in &contributors {
                    self.turn_to(peer, now, Activity::Exchanging);
                }
                self.begin_ring(now, outbox);
            }
        }
    }

    fn begin_ring(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        let barrier = &mut self.state.barrier;
        barrier.attempt += 1;
        let attempt = barrier.attempt;
        let members: Vec<ring::RingMember> = barrier
            .done
            .iter()
            .map(|peer| {
                let profile = &self.state.peers[peer.index()].profile;
                ring::RingMember { uplink: profile.uplink, downlink: profile.downlink, latency: profile.latency }
            })
            .collect();
        // Who is left alone has nobody to exchange with.
        let length = ring::ring_time(&members, self.spec.payload).unwrap_or(Duration::ZERO);
        outbox.at(now + length, Event::RingDone { round: self.state.round, attempt });
    }

    /// The ring's hops have all been made.
    pub(super) fn ring_done(&mut self, round: u32, attempt: u32, now: SimTime, outbox: &mut Outbox<Event>) {
        let barrier = &self.state.barrier;
        if round != self.state.round || attempt != barrier.attempt || barrier.stage != Stage::Exchanging {
            return;
        }
        let members = barrier.done.len();
        let bytes = ring::ring_bytes_per_member(members, self.spec.payload).map_or(0, |bytes| bytes.0) * members as u64;
        self.state.bytes_up += bytes;
        self.state.bytes_down += bytes;
        self.conclude_exchange(now, outbox);
    }

    /// A transfer of an all-to-all has ended.
    pub(super) fn exchanged(&mut self, flow: FlowId, bytes: Bytes, now: SimTime, outbox: &mut Outbox<Event>) {
        self.state.bytes_up += bytes.0;
        self.state.bytes_down += bytes.0;
        self.state.barrier.flows.remove(&flow);
        self.end_all_to_all_if_through(now, outbox);
    }

    fn end_all_to_all_if_through(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        if self.state.barrier.stage == Stage::Exchanging && self.state.barrier.flows.is_empty() {
            self.conclude_exchange(now, outbox);
        }
    }

    /// Ring or all-to-all is through: its members take the outer step and hold θ(t+1).
    fn conclude_exchange(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        let contributors: Vec<PeerId> = self.state.barrier.done.iter().copied().collect();
        for &peer in &contributors {
            let seconds = (now - self.state.peers[peer.index()].since).as_secs_f64();
            if let Some(row) = self.state.recorder.peer(peer) {
                row.outcome = Outcome::Gathered;
                row.upload_s = Some(seconds);
                row.download_s = Some(seconds);
            }
        }
        self.take_outer_step(&contributors, now);
        for &peer in &contributors {
            self.peer(peer).held = Some(self.state.round);
        }
        self.end_barrier_round(now, outbox);
    }

    /// Ends an exchange over the store once everyone who could gather has.
    pub(super) fn end_store_round_if_through(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        let fixed = self.state.selection.as_ref().is_some_and(|selection| selection.fixed.is_some());
        let busy = |peer: &PeerId| {
            matches!(self.state.peers[peer.index()].activity, Activity::Uploading { .. } | Activity::Gathering { .. })
        };
        if self.state.barrier.stage == Stage::Exchanging && fixed && !self.state.barrier.members.iter().any(busy) {
            self.end_barrier_round(now, outbox);
        }
    }

    fn end_barrier_round(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        self.state.selection = None;
        let ended = std::mem::take(&mut self.state.barrier);
        self.close_round(now - self.state.round_start);
        if self.all_rounds_done() {
            self.state.finished = true;
            return;
        }
        for peer in ended.members {
            let state = &self.state.peers[peer.index()];
            if matches!(state.activity, Activity::Idle | Activity::Exchanging) {
                self.next_activity(peer, now, outbox);
            }
        }
        self.begin_barrier_round(now, outbox);
    }

    /// A peer has crashed: the round goes on without it.
    pub(super) fn member_gone(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        let barrier = &mut self.state.barrier;
        if !barrier.members.remove(&peer) {
            return;
        }
        let contributed = barrier.done.remove(&peer);
        match (barrier.stage, self.spec.protocol.exchange) {
            (Stage::Training, _) if barrier.members.is_empty() => {
                self.state.barrier = BarrierRound::default();
                self.begin_barrier_round(now, outbox);
            }
            (Stage::Training, _) => self.exchange_if_complete(now, outbox),
            (Stage::Exchanging, Exchange::ObjectStore) => {
                self.fix_if_settled(now, outbox);
                self.end_store_round_if_through(now, outbox);
            }
            (Stage::Exchanging, Exchange::Ring) if contributed => self.begin_ring(now, outbox),
            (Stage::Exchanging, Exchange::AllToAll) if contributed => {
                let gone: Vec<(FlowId, [PeerId; 2])> = barrier
                    .flows
                    .iter()
                    .map(|(&flow, &ends)| (flow, ends))
                    .filter(|(_, ends)| ends.contains(&peer))
                    .collect();
                for (flow, _) in gone {
                    self.state.barrier.flows.remove(&flow);
                    self.abort(now, flow, true);
                }
                self.end_all_to_all_if_through(now, outbox);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(members: u32, done: u32, overdue: bool) -> BarrierRound {
        BarrierRound {
            stage: Stage::Training,
            members: (0..members).map(PeerId).collect(),
            done: (0..done).map(PeerId).collect(),
            overdue,
            ..BarrierRound::default()
        }
    }

    #[test]
    fn a_barrier_waits_for_all_for_a_quorum_or_for_time() {
        assert!(!round(5, 4, false).is_complete(Wait::All));
        assert!(round(5, 5, false).is_complete(Wait::All));
        assert!(!round(5, 3, false).is_complete(Wait::Quorum(0.75)), "3 of 5 are not 75 %, rounded up");
        assert!(round(5, 4, false).is_complete(Wait::Quorum(0.75)));
        assert!(round(5, 1, true).is_complete(Wait::All), "after the time-out the first is enough");
        assert!(!round(5, 0, true).is_complete(Wait::All), "nobody has anything to exchange");
    }
}
