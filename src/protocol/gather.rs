//! Whose payloads make a round's aggregate, and how everybody gets them.
//!
//! Where validators rank, their leader's list says who is the gather set and who stands in (see
//! [`judging`](super::judging)). Otherwise: of the peers that trained in the round, the first `gather` by registration are
//! the gather set and the next `reserve` stand in for those of them whose payload is not in the store in time.
//! A payload is in time if the store dates it so ([`LastModified`](crate::net::store::LastModified)). The set is fixed when all
//! of the gather set have arrived, and at the deadline at the latest; where an upload is dated by its start, one that
//! is under way at the deadline may still count, and is waited for until the gather's time-out.
//!
//! A peer begins to gather when its own upload is over, and asks for each payload of the gather set as soon as it is in
//! the store; stand-ins follow in a second phase, when the first is through (as in the public code). All that a peer
//! downloads in a gather is one transfer that grows as payloads arrive: they share the peer's downlink, so it ends when
//! as many parallel transfers would. Not modelled: the interval at which a store is polled, failing requests, and that
//! a peer with several parallel transfers takes a larger share of a store whose egress is limited.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::peer::Activity;
use super::rows::Outcome;
use super::spec::RoundRule;
use super::swarm::{Swarm, tag};
use crate::net::FlowId;
use crate::net::store::{ObjectKey, ObjectKind};
use crate::quantity::{Bytes, PeerId, Round};
use crate::sim::{Outbox, SimTime};

/// Whose payloads a round waits for, and which of them are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The round t of the payloads.
    pub round: u32,
    /// The gather set, in order of registration.
    pub gather: Vec<PeerId>,
    /// Stand-ins, in order of registration.
    pub reserve: Vec<PeerId>,
    /// Peers whose payload was in the store, and dated in time, before the set was fixed.
    pub stored: BTreeSet<PeerId>,
    /// Peers whose payload is there and not well formed.
    pub refused: BTreeSet<PeerId>,
    /// Peers whose payload will not come.
    pub failed: BTreeSet<PeerId>,
    /// The set that everybody applies, once it is fixed.
    pub fixed: Option<Fixed>,
    /// Whether a gather may still begin or go on.
    pub open: bool,
    /// When the exchange began.
    pub since: SimTime,
    /// The latest date of a payload that counts.
    pub deadline: SimTime,
}

/// A set that is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// When.
    pub at: SimTime,
    /// Members of the gather set that made it, ascending.
    pub primary: Vec<PeerId>,
    /// Stand-ins that are used, ascending.
    pub substitutes: Vec<PeerId>,
}

impl Selection {
    /// A selection of which nothing is there yet.
    #[must_use]
    pub fn new(round: u32, gather: Vec<PeerId>, reserve: Vec<PeerId>, now: SimTime, deadline: SimTime) -> Self {
        Self {
            round,
            gather,
            reserve,
            stored: BTreeSet::new(),
            refused: BTreeSet::new(),
            failed: BTreeSet::new(),
            fixed: None,
            open: true,
            since: now,
            deadline,
        }
    }

    /// Whether every member of the gather set has arrived.
    #[must_use]
    pub fn all_arrived(&self) -> bool {
        self.gather.iter().all(|peer| self.stored.contains(peer))
    }

    /// Whether the stand-ins that are there are as many as are needed, or all are there.
    #[must_use]
    pub fn needs_no_stand_in(&self) -> bool {
        let needed = self.gather.iter().filter(|peer| self.refused.contains(peer)).count();
        let is_there = |peer: &&PeerId| self.stored.contains(peer);
        let there = self.reserve.iter().filter(is_there).filter(|peer| !self.refused.contains(peer)).count();
        there >= needed || self.reserve.iter().all(|peer| self.stored.contains(peer))
    }

    /// Whether no member of the gather set is still to come.
    #[must_use]
    pub fn none_to_come(&self) -> bool {
        self.gather.iter().all(|peer| self.stored.contains(peer) || self.failed.contains(peer))
    }

    /// Settles the set with what is in the store; returns the contributors, ascending.
    pub fn fix(&mut self, now: SimTime) -> Vec<PeerId> {
        assert!(self.fixed.is_none(), "the set of round {} is fixed once", self.round);
        let stored = |peer: &&PeerId| self.stored.contains(peer) && !self.refused.contains(peer);
        let mut primary: Vec<PeerId> = self.gather.iter().filter(stored).copied().collect();
        let missing = self.gather.len() - primary.len();
        let mut substitutes: Vec<PeerId> = self.reserve.iter().filter(stored).take(missing).copied().collect();
        primary.sort_unstable();
        substitutes.sort_unstable();
        self.fixed = Some(Fixed { at: now, primary, substitutes });
        self.contributors()
    }

    /// Whose payloads everybody applies, ascending; nobody's before the set is fixed.
    #[must_use]
    pub fn contributors(&self) -> Vec<PeerId> {
        let Some(fixed) = &self.fixed else { return Vec::new() };
        let mut contributors: Vec<PeerId> = fixed.primary.iter().chain(&fixed.substitutes).copied().collect();
        contributors.sort_unstable();
        contributors
    }

    /// What became of the payload of a peer that trained in the round.
    #[must_use]
    pub fn outcome(&self, peer: PeerId) -> Option<Outcome> {
        let fixed = self.fixed.as_ref()?;
        if fixed.primary.binary_search(&peer).is_ok() {
            Some(Outcome::Gathered)
        } else if fixed.substitutes.binary_search(&peer).is_ok() {
            Some(Outcome::Reserve)
        } else if self.refused.contains(&peer) {
            Some(Outcome::Refused)
        } else if self.stored.contains(&peer) {
            Some(Outcome::NotSelected)
        } else {
            None
        }
    }

    /// Payloads of the gather set that are there for `peer` to get.
    fn available_to(&self, peer: PeerId) -> u64 {
        let there = match &self.fixed {
            Some(fixed) => &fixed.primary,
            None => &self.gather,
        };
        there.iter().filter(|other| **other != peer && self.stored.contains(other)).count() as u64
    }

    fn substitutes_for(&self, peer: PeerId) -> u64 {
        let others = |fixed: &Fixed| fixed.substitutes.iter().filter(|other| **other != peer).count() as u64;
        self.fixed.as_ref().map_or(0, others)
    }
}

impl Swarm<'_> {
    /// Sends the peer's payload to the store.
    pub(super) fn begin_upload(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        let flow = self.upload(peer, now, outbox);
        self.turn_to(peer, now, Activity::Uploading { flow });
    }

    /// The peer's payload is in the store.
    pub(super) fn uploaded(&mut self, peer: PeerId, bytes: Bytes, now: SimTime, outbox: &mut Outbox<Event>) {
        self.state.bytes_up += bytes.0;
        let state = &self.state.peers[peer.index()];
        let (began, round) = (state.since, state.activity_round);
        let key = ObjectKey { round: Round(round), peer, kind: ObjectKind::Payload };
        self.state.store.put(key, bytes, began, now);
        if let Some(row) = self.state.recorder.peer(peer) {
            row.upload_s = Some((now - began).as_secs_f64());
        }
        let dated = self.state.store.head(key).map(|object| object.last_modified);
        let counts = |selection: &&mut Selection| {
            selection.round == round && dated.is_some_and(|date| date <= selection.deadline)
        };
        match self.state.selection.as_mut().filter(counts) {
            Some(selection) if selection.fixed.is_none() => {
                selection.stored.insert(peer);
                if selection.gather.contains(&peer) {
                    self.announce(peer, now, outbox);
                }
            }
            // In time, and nobody waits for it. What was waited for and came too late to be gathered stays late.
            Some(selection) if !selection.gather.contains(&peer) => {
                if let Some(row) = self.state.recorder.peer(peer).filter(|row| row.round == round) {
                    row.outcome = Outcome::NotSelected;
                }
            }
            Some(_) | None => {}
        }
        self.offer_to_copiers(peer, round, now, outbox);
        self.next_activity(peer, now, outbox);
        self.fix_if_settled(now, outbox);
    }

    /// The peer's upload was given up.
    pub(super) fn upload_failed(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        if let Some(selection) = self.state.selection.as_mut() {
            selection.failed.insert(peer);
        }
        self.next_activity(peer, now, outbox);
        self.fix_if_settled(now, outbox);
    }

    /// Everybody who gathers asks for the payload of `source`, which has just arrived.
    fn announce(&mut self, source: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        for index in 0..self.state.peers.len() {
            let peer = PeerId(index as u32);
            if peer != source && matches!(self.state.peers[index].activity, Activity::Gathering { .. }) {
                self.request(peer, 1, now, outbox);
            }
        }
    }

    /// The peer begins to gather.
    pub(super) fn begin_gather(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        let selection = self.state.selection.as_ref().expect("because a gather has a selection");
        let (round, available) = (selection.round, selection.available_to(peer));
        self.turn_to(peer, now, Activity::Gathering { flow: None, second_phase: false });
        self.peer(peer).activity_round = round;
        if available > 0 {
            self.request(peer, available, now, outbox);
        } else {
            self.go_on_gathering(peer, now, outbox);
        }
    }

    /// The peer asks the store for `payloads` more of them.
    fn request(&mut self, peer: PeerId, payloads: u64, now: SimTime, outbox: &mut Outbox<Event>) {
        let bytes = Bytes(payloads * self.spec.payload.0);
        if let Activity::Gathering { flow: Some(flow), .. } = self.state.peers[peer.index()].activity
            && self.state.network.extend_flow(now, flow, bytes)
        {
            return;
        }
        let endpoint = self.state.peers[peer.index()].endpoint;
        let started = self.state.network.start_flow(
            now,
            self.state.store_endpoint,
            endpoint,
            bytes,
            tag(peer, super::swarm::purpose::GATHER),
        );
        self.limit(peer, started, self.spec.network.get_timeout, now, outbox);
        match &mut self.peer(peer).activity {
            Activity::Gathering { flow, .. } => *flow = Some(started),
            _ => unreachable!("because only a gathering peer requests"),
        }
    }

    /// All that the peer asked for has arrived.
    pub(super) fn downloaded(&mut self, peer: PeerId, bytes: Bytes, now: SimTime, outbox: &mut Outbox<Event>) {
        self.state.bytes_down += bytes.0;
        if let Activity::Gathering { flow, .. } = &mut self.peer(peer).activity {
            *flow = None;
        }
        self.go_on_gathering(peer, now, outbox);
    }

    /// Nothing is in flight to the peer: it waits, asks for the stand-ins, or is through.
    fn go_on_gathering(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        let Some(selection) = self.state.selection.as_ref() else { return };
        if selection.fixed.is_none() {
            return;
        }
        let (substitutes, next_round, since) = (selection.substitutes_for(peer), selection.round + 1, selection.since);
        match &mut self.peer(peer).activity {
            Activity::Gathering { flow: Some(_), .. } => return,
            Activity::Gathering { second_phase, .. } if !*second_phase && substitutes > 0 => {
                *second_phase = true;
                return self.request(peer, substitutes, now, outbox);
            }
            _ => {}
        }
        let began = self.state.peers[peer.index()].since.max(since);
        if let Some(row) = self.state.recorder.peer(peer) {
            row.download_s = Some((now - began).as_secs_f64());
        }
        self.peer(peer).held = Some(next_round);
        self.next_activity(peer, now, outbox);
    }

    /// Fixes the set as soon as nothing more has to be waited for.
    pub(super) fn fix_if_settled(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        let Some(selection) = self.state.selection.as_ref().filter(|selection| selection.fixed.is_none()) else {
            return;
        };
        let settled = match self.spec.protocol.round {
            // A reader cannot know that a payload will never come, so it asks until the deadline.
            RoundRule::Window(_) => {
                let all_arrived = selection.all_arrived() && !selection.gather.is_empty();
                all_arrived && {
                    self.find_refused();
                    self.state.selection.as_ref().is_some_and(Selection::needs_no_stand_in)
                }
            }
            RoundRule::Barrier(_) => selection.none_to_come(),
        };
        if settled {
            self.fix_selection(now, outbox);
        }
    }

    /// Looks into the payloads that are there: some may not be well formed.
    fn find_refused(&mut self) {
        self.make_payloads();
        let selection = self.state.selection.as_ref().expect("because there is something to look into");
        let candidates = selection.gather.iter().chain(&selection.reserve);
        let there: Vec<PeerId> = candidates.copied().filter(|peer| selection.stored.contains(peer)).collect();
        let refused: BTreeSet<PeerId> = there.into_iter().filter(|&peer| self.is_refused(peer)).collect();
        self.state.selection.as_mut().expect("because it was there").refused = refused;
    }

    /// Fixes the set, takes the outer step with it, and lets everyone who waited go on.
    pub(super) fn fix_selection(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        self.find_refused();
        let selection = self.state.selection.as_mut().expect("because there is something to fix");
        let contributors = selection.fix(now);
        for (peer, row) in self.state.recorder.peers() {
            if let Some(outcome) = selection.outcome(peer) {
                row.outcome = outcome;
            }
        }
        self.take_outer_step(&contributors, now);
        for index in 0..self.state.peers.len() {
            if matches!(self.state.peers[index].activity, Activity::Gathering { flow: None, .. }) {
                self.go_on_gathering(PeerId(index as u32), now, outbox);
            }
        }
    }

    /// The peer's gather has failed: it does not hold θ(t+1) and must catch up.
    pub(super) fn fail_gather(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        if let Activity::Gathering { flow: Some(flow), .. } = self.state.peers[peer.index()].activity {
            self.abort(now, flow, false);
        }
        self.begin_catch_up(peer, now, outbox);
    }

    /// A transfer has lasted too long.
    pub(super) fn transfer_timeout(&mut self, peer: PeerId, late: FlowId, now: SimTime, outbox: &mut Outbox<Event>) {
        match self.state.peers[peer.index()].activity {
            Activity::Uploading { flow } if flow == late => {
                self.abort(now, flow, true);
                self.upload_failed(peer, now, outbox);
            }
            Activity::Copying { flow } if flow == late => {
                self.abort(now, flow, false);
                self.next_activity(peer, now, outbox);
            }
            Activity::Gathering { flow: Some(flow), .. } if flow == late => self.fail_gather(peer, now, outbox),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(ids: &[u32]) -> Vec<PeerId> {
        ids.iter().copied().map(PeerId).collect()
    }

    #[test]
    fn stand_ins_replace_the_missing_in_order_of_registration() {
        // The reference's test: gather [1, 2], only 1 there, reserve [3, 4] gives [1, 3].
        let mut selection = Selection::new(0, peers(&[1, 2]), peers(&[3, 4]), SimTime::ZERO, SimTime::MAX);
        selection.stored.extend(peers(&[1, 3, 4]));
        assert_eq!(selection.fix(SimTime::ZERO), peers(&[1, 3]));
        assert_eq!(selection.outcome(PeerId(3)), Some(Outcome::Reserve));
        assert_eq!(selection.outcome(PeerId(4)), Some(Outcome::NotSelected));
        assert_eq!(selection.outcome(PeerId(2)), None, "it is late or gone");
    }

    #[test]
    fn nobody_stands_in_where_nobody_is_missing() {
        let mut selection = Selection::new(0, peers(&[5, 1]), peers(&[3]), SimTime::ZERO, SimTime::MAX);
        selection.stored.extend(peers(&[1, 3, 5]));
        assert_eq!(selection.fix(SimTime::ZERO), peers(&[1, 5]));
    }

    #[test]
    fn a_refused_payload_is_as_good_as_missing() {
        let mut selection = Selection::new(0, peers(&[1, 2]), peers(&[3]), SimTime::ZERO, SimTime::MAX);
        selection.stored.extend(peers(&[1, 2, 3]));
        selection.refused.extend(peers(&[2]));
        assert_eq!(selection.fix(SimTime::ZERO), peers(&[1, 3]));
        assert_eq!(selection.outcome(PeerId(2)), Some(Outcome::Refused));
        assert_eq!(selection.outcome(PeerId(3)), Some(Outcome::Reserve));
    }
}
