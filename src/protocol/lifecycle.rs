//! A participant's life: it registers, trains in sessions, leaves or crashes, comes back, and catches up.
//!
//! A graceful leave waits until the peer's part in the round is over, and keeps θ, optimizer state and error feedback.
//! A crash happens at once and loses all three. Catching up costs the cheaper of the model itself and the aggregates
//! of the rounds missed, at their real bytes, from the store; it repeats until nothing is missing.
//! Not modelled: downloading data shards, checkpoints that are older than the current model, learning-rate re-warm-up.

use super::event::Event;
use super::peer::{Activity, Presence};
use super::rows::Outcome;
use super::spec::RoundRule;
use super::swarm::{Swarm, purpose, tag};
use crate::quantity::{Bytes, PeerId};
use crate::sim::{Outbox, SimTime};

impl Swarm<'_> {
    /// The peer registers, with θ(`held`) or with nothing, and its first session begins.
    pub(super) fn register(&mut self, peer: PeerId, now: SimTime, held: Option<u32>, outbox: &mut Outbox<Event>) {
        let profile = &self.state.peers[peer.index()].profile;
        if let Some(residence) = self.state.population.residence(self.class(peer), profile) {
            outbox.at(now + residence, Event::ResidenceEnd { peer });
        }
        let state = self.peer(peer);
        state.registered = now;
        state.held = held;
        self.begin_session(peer, 0, now, outbox);
    }

    fn begin_session(&mut self, peer: PeerId, session: u64, now: SimTime, outbox: &mut Outbox<Event>) {
        let profile = &self.state.peers[peer.index()].profile;
        if let Some(length) = self.state.population.session(self.class(peer), profile, session) {
            outbox.at(now + length, Event::SessionEnd { peer, session });
        }
        let state = self.peer(peer);
        state.presence = Presence::Present;
        state.session = session;
        state.activity = Activity::Idle;
        state.since = now;
        self.next_activity(peer, now, outbox);
    }

    /// The first arrival of every class.
    pub(super) fn schedule_first_arrivals(&mut self, outbox: &mut Outbox<Event>) {
        for class in 0..self.spec.classes.len() {
            self.schedule_arrival(class, SimTime::ZERO, outbox);
        }
    }

    fn schedule_arrival(&self, class: usize, now: SimTime, outbox: &mut Outbox<Event>) {
        let mut identities = self.state.peers.iter().filter(|peer| peer.profile.class == class);
        let unborn = identities.clone().find(|peer| peer.presence == Presence::Unborn);
        if let (Some(first), Some(unborn)) = (identities.next(), unborn) {
            let index = unborn.id.0 - first.id.0;
            if let Some(gap) = self.state.population.arrival_gap(&self.spec.classes[class], index) {
                outbox.at(now + gap, Event::Arrival { peer: unborn.id });
            }
        }
    }

    /// A new identity registers.
    pub(super) fn arrival(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        self.register(peer, now, None, outbox);
        self.schedule_arrival(self.state.peers[peer.index()].profile.class, now, outbox);
    }

    /// A peer comes back.
    pub(super) fn session_start(&mut self, peer: PeerId, session: u64, now: SimTime, outbox: &mut Outbox<Event>) {
        if self.state.peers[peer.index()].presence == Presence::Absent {
            self.begin_session(peer, session, now, outbox);
        }
    }

    /// The peer's session ends: by a crash, or as soon as the round lets it go.
    pub(super) fn session_end(&mut self, peer: PeerId, session: u64, now: SimTime, outbox: &mut Outbox<Event>) {
        let state = &self.state.peers[peer.index()];
        if !state.is_present() || state.session != session {
            return;
        }
        if self.state.population.crashes(self.class(peer), &state.profile, session) {
            self.crash(peer, now, outbox);
        } else {
            self.wish_to_leave(peer, now, outbox);
        }
    }

    /// The peer leaves for good as soon as the round lets it go.
    pub(super) fn residence_end(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        self.peer(peer).retiring = true;
        match self.state.peers[peer.index()].presence {
            Presence::Present => self.wish_to_leave(peer, now, outbox),
            Presence::Absent => self.peer(peer).presence = Presence::Gone,
            Presence::Unborn | Presence::Gone => {}
        }
    }

    fn wish_to_leave(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        self.peer(peer).leaving = true;
        match self.state.peers[peer.index()].activity {
            Activity::Idle if !self.state.barrier.has_member(peer) => self.leave(peer, now, outbox),
            Activity::CatchingUp { flow, .. } => {
                self.abort(now, flow, false);
                self.leave(peer, now, outbox);
            }
            Activity::Idle
            | Activity::Training
            | Activity::Copying { .. }
            | Activity::Uploading { .. }
            | Activity::Gathering { .. }
            | Activity::Exchanging => {}
        }
    }

    fn leave(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        self.turn_to(peer, now, Activity::Idle);
        self.state.hostility.searching.remove(&peer);
        let state = self.peer(peer);
        state.leaving = false;
        state.presence = if state.retiring { Presence::Gone } else { Presence::Absent };
        let session = state.session;
        if self.state.peers[peer.index()].presence == Presence::Absent {
            let profile = &self.state.peers[peer.index()].profile;
            if let Some(length) = self.state.population.absence(self.class(peer), profile, session) {
                outbox.at(now + length, Event::SessionStart { peer, session: session + 1 });
            }
        }
    }

    /// The peer is gone at once, and with it all it had learnt, except a payload that is in the store already.
    fn crash(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        let activity = self.state.peers[peer.index()].activity.clone();
        match activity {
            Activity::Uploading { flow } => {
                self.abort(now, flow, true);
                if let Some(selection) = self.state.selection.as_mut() {
                    selection.failed.insert(peer);
                }
            }
            Activity::Gathering { flow: Some(flow), .. }
            | Activity::Copying { flow }
            | Activity::CatchingUp { flow, .. } => {
                self.abort(now, flow, false);
            }
            Activity::Gathering { flow: None, .. } | Activity::Idle | Activity::Training | Activity::Exchanging => {}
        }
        let needed =
            |selection: &super::gather::Selection| selection.fixed.is_none() && selection.stored.contains(&peer);
        if self.state.selection.as_ref().is_some_and(needed) {
            self.state.lost.push(peer);
        } else {
            if let Some(row) = self.state.recorder.peer(peer)
                && row.outcome == Outcome::Late
            {
                row.outcome = Outcome::Gone;
            }
            self.lose(peer);
        }
        self.peer(peer).held = None;
        self.leave(peer, now, outbox);
        match self.spec.protocol.round {
            RoundRule::Window(_) => {}
            RoundRule::Barrier(_) => self.member_gone(peer, now, outbox),
        }
    }

    /// Whatever a present peer does next, given what it holds.
    pub(super) fn next_activity(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        let state = &self.state.peers[peer.index()];
        let gathers = |selection: &super::gather::Selection| selection.open && state.held == Some(selection.round);
        if state.leaving && !self.state.barrier.has_member(peer) {
            self.leave(peer, now, outbox);
        } else if self.state.selection.as_ref().is_some_and(gathers) {
            self.begin_gather(peer, now, outbox);
        } else if self.all_rounds_done() {
            self.turn_to(peer, now, Activity::Idle);
        } else if state.held != Some(self.state.round) {
            self.begin_catch_up(peer, now, outbox);
        } else {
            match self.spec.protocol.round {
                RoundRule::Window(_) => {
                    self.turn_to(peer, now, Activity::Training);
                }
                RoundRule::Barrier(_) => {
                    self.turn_to(peer, now, Activity::Idle);
                }
            }
        }
    }

    /// The peer gets what separates it from θ(t).
    pub(super) fn begin_catch_up(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        if self.state.peers[peer.index()].leaving {
            return self.leave(peer, now, outbox);
        }
        let target = self.state.round;
        let bytes = self.catch_up_bytes(self.state.peers[peer.index()].held);
        if bytes == Bytes(0) {
            self.peer(peer).held = Some(target);
            return self.next_activity(peer, now, outbox);
        }
        let endpoint = self.state.peers[peer.index()].endpoint;
        let store = self.state.store_endpoint;
        let flow = self.state.network.start_flow(now, store, endpoint, bytes, tag(peer, purpose::CATCH_UP));
        self.turn_to(peer, now, Activity::CatchingUp { flow, target });
    }

    /// The cheaper of the model and the aggregates of the rounds since θ(`held`).
    fn catch_up_bytes(&self, held: Option<u32>) -> Bytes {
        let Some(held) = held else { return self.spec.checkpoint };
        let missed: u64 = self.state.contributions[held as usize..].iter().copied().map(u64::from).sum();
        Bytes(missed.saturating_mul(self.spec.payload.0)).min(self.spec.checkpoint)
    }

    /// The peer holds the θ it asked for, which may be an old one by now.
    pub(super) fn caught_up(&mut self, peer: PeerId, bytes: Bytes, now: SimTime, outbox: &mut Outbox<Event>) {
        self.state.bytes_down += bytes.0;
        if let Activity::CatchingUp { target, .. } = self.state.peers[peer.index()].activity {
            self.peer(peer).held = Some(target);
        }
        self.next_activity(peer, now, outbox);
    }
}
