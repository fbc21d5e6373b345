//! Rounds in fixed slots of wall-clock, as in production.
//!
//! ```text
//! window w                      | window w+1
//! train on θ(t) ........ idle   | upload payload t, gather, outer step; train on θ(t+1) ....
//!                               ^ boundary        ^ upload deadline       ^ gather timeout
//! ```
//!
//! Training stops at the boundary, with fewer than H steps where a peer is slow or came late. Uploads begin at the
//! boundary and count until the deadline; a late payload is not gathered, and its error feedback is not rolled back.
//! Communication eats into the next window. A round in which nobody's payload arrives leaves θ as it is.
//! Not modelled: the last partial step that the public code takes at the boundary.

use super::event::Event;
use super::gather::Selection;
use super::peer::Activity;
use super::rows::Phase;
use super::spec::{RoundRule, Window};
use super::swarm::Swarm;
use crate::adversary::conduct::Upload;
use crate::net::store::LastModified;
use crate::quantity::{PeerId, Round};
use crate::sim::{Outbox, SimTime};

/// Rounds whose payloads the store keeps.
const ROUNDS_KEPT: u32 = 2;

impl Swarm<'_> {
    /// The first window: everyone who is there trains.
    pub(super) fn start_windows(&mut self, window: &Window, now: SimTime, outbox: &mut Outbox<Event>) {
        outbox.at(now + window.length, Event::Boundary);
    }

    fn window(&self) -> &Window {
        match &self.spec.protocol.round {
            RoundRule::Window(window) => window,
            RoundRule::Barrier(_) => unreachable!("because only windows have boundaries"),
        }
    }

    /// A window ends: whoever trained uploads.
    pub(super) fn boundary(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        let window = self.window().clone();
        // An upload that is dated by its start may be under way for longer than the window.
        if self.state.selection.as_ref().is_some_and(|selection| selection.fixed.is_none()) {
            self.fix_selection(now, outbox);
        }
        self.judge_round(now);
        self.close_round(window.length);
        if self.all_rounds_done() {
            self.state.finished = true;
            return;
        }
        self.state.round_start = now;
        let trained = self.stop_training(now);
        let mut candidates = trained.clone();
        candidates.sort_unstable_by_key(|peer| (self.state.peers[peer.index()].registered, *peer));
        let (gather, reserve) = self.listed(&window, &candidates);
        let deadline = now + window.upload_deadline;
        self.state.selection = Some(Selection::new(self.state.round, gather, reserve, now, deadline));
        self.state.store.remove_before(Round(self.state.round.saturating_sub(ROUNDS_KEPT)));
        outbox.at(now + window.upload_deadline, Event::UploadDeadline);
        outbox.at(now + window.gather_timeout, Event::GatherTimeout { round: self.state.round });
        outbox.at(now + window.length, Event::Boundary);
        for &peer in &trained {
            match self.upload_conduct(peer) {
                Upload::OnTime => self.begin_upload(peer, now, outbox),
                Upload::Early => self.upload_early(peer, now, outbox),
                Upload::Late(delay) => {
                    let round = self.state.round;
                    self.turn_to(peer, now, Activity::Idle);
                    outbox.at(now + delay, Event::LateUpload { peer, round });
                }
                Upload::AfterVictim => {
                    self.turn_to(peer, now, Activity::Idle);
                    self.state.hostility.searching.insert(peer);
                }
            }
        }
        for index in 0..self.state.peers.len() {
            let peer = PeerId(index as u32);
            let state = &self.state.peers[index];
            match state.activity {
                // What the last round left unfinished is of no use to anybody any more.
                Activity::Uploading { flow } if state.activity_round < self.state.round => {
                    self.abort(now, flow, true);
                    self.next_activity(peer, now, outbox);
                }
                Activity::Copying { flow } => {
                    self.abort(now, flow, false);
                    self.next_activity(peer, now, outbox);
                }
                Activity::Gathering { .. } => self.fail_gather(peer, now, outbox),
                // It holds θ(t) but had no time for a step.
                Activity::Training => self.next_activity(peer, now, outbox),
                _ => {}
            }
        }
    }

    /// Stops everyone who trains; returns, ascending, who did at least one step.
    fn stop_training(&mut self, now: SimTime) -> Vec<PeerId> {
        let (round, inner_steps) = (self.state.round, self.spec.protocol.inner_steps);
        let mut trained = Vec::new();
        for index in 0..self.state.peers.len() {
            let peer = &self.state.peers[index];
            if peer.activity != Activity::Training {
                continue;
            }
            let (id, began) = (peer.id, peer.since);
            let progress = self.state.population.progress(&peer.profile, round, inner_steps, now - began);
            if progress.steps == 0 {
                continue;
            }
            self.note_phase(id, progress.steps, progress.elapsed);
            let done = began + progress.elapsed;
            self.state.recorder.interval(id, round, Phase::Compute, began, done);
            let peer = self.peer(id);
            peer.activity = Activity::Idle;
            peer.since = done;
            trained.push(id);
        }
        trained
    }

    /// Uploads count no longer, unless they are under way and dated by their start.
    pub(super) fn upload_deadline(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        for peer in std::mem::take(&mut self.state.hostility.searching) {
            self.next_activity(peer, now, outbox);
        }
        let Some(selection) = self.state.selection.as_ref().filter(|selection| selection.fixed.is_none()) else {
            return;
        };
        let may_count = self.spec.network.last_modified == LastModified::UploadStart
            && selection
                .gather
                .iter()
                .any(|peer| matches!(self.state.peers[peer.index()].activity, Activity::Uploading { .. }));
        if !may_count {
            self.fix_selection(now, outbox);
        }
    }

    /// Gathers of `round` have failed if they are not through.
    pub(super) fn gather_timeout(&mut self, round: u32, now: SimTime, outbox: &mut Outbox<Event>) {
        let current = |selection: &&mut Selection| selection.round == round;
        match self.state.selection.as_mut().filter(current) {
            Some(selection) if selection.fixed.is_none() && now >= selection.deadline => {
                self.fix_selection(now, outbox);
            }
            Some(_) => {}
            None => return,
        }
        if let Some(selection) = self.state.selection.as_mut() {
            selection.open = false;
        }
        for index in 0..self.state.peers.len() {
            if matches!(self.state.peers[index].activity, Activity::Gathering { .. }) {
                self.fail_gather(PeerId(index as u32), now, outbox);
            }
        }
    }
}
