//! The swarm: peers, network and learning under one clock.
//!
//! A state transition per event and nothing else: what shall happen later goes into the outbox, what shall be kept
//! into the recorder. Transfers that end at the same instant as anything else are delivered first, in ascending
//! order of receiving peer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::barrier::BarrierRound;
use super::event::Event;
use super::forgery::{self, Hostility};
use super::gather::Selection;
use super::judging::Validators;
use super::learning::{Learning, Phase};
use super::peer::{Activity, Peer, Presence};
use super::population::Population;
use super::recorder::Recorder;
use super::rows::{EvaluationRow, RoundRow};
use super::script::{Script, Trace};
use super::spec::{NetworkSpec, PeerClass, Protocol, RoundRule, Validation};
use crate::adversary::spec::{Adversary, Behaviour};
use crate::algorithm::Contribution;
use crate::net::store::ObjectStore;
use crate::net::{Completion, EndpointId, FlowId, Network};
use crate::quantity::{Bandwidth, Bytes, Duration, PeerId, Round, Seed};
use crate::sim::{EventKey, Outbox, SimTime, Streams, World};
use crate::training::TrainingBackend;

/// All that a swarm has to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwarmSpec {
    /// The root of all randomness.
    pub seed: Seed,
    /// Outer steps to take.
    pub rounds: u32,
    /// Rounds between evaluations.
    pub evaluation_every: u32,
    /// The algorithm and the rules.
    pub protocol: Protocol,
    /// Who takes part.
    pub classes: Vec<PeerClass>,
    /// Each class's step time without jitter.
    pub step_times: Vec<Duration>,
    /// What lies between them.
    pub network: NetworkSpec,
    /// One payload at deployment scale.
    pub payload: Bytes,
    /// The model at deployment scale, in f32.
    pub checkpoint: Bytes,
    /// Tokens of one peer's inner step at deployment scale.
    pub deployment_tokens_per_step: u64,
    /// Who lies.
    pub adversaries: Vec<Adversary>,
    /// Who judges; `None`: nobody, the gather set is by registration.
    pub validation: Option<Validation>,
    /// Compute of one evaluation; a download of the payload comes on top.
    pub evaluation_time: Duration,
    /// Whether the timeline is recorded.
    pub timeline: bool,
}

impl SwarmSpec {
    /// How many earlier models somebody looks back at.
    fn models_kept(&self) -> usize {
        let stale = self.adversaries.iter().map(|adversary| match adversary.behaviour {
            Behaviour::StaleModel { rounds } => rounds as usize,
            _ => 0,
        });
        stale.max().unwrap_or(0) + usize::from(self.validation.is_some())
    }
}

/// The state of a swarm: plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwarmState {
    pub(super) population: Population,
    pub(super) network: Network,
    pub(super) store: ObjectStore,
    pub(super) store_endpoint: EndpointId,
    pub(super) peers: Vec<Peer>,
    /// The t of the current θ(t).
    pub(super) round: u32,
    /// When the current round began: its window, or its barrier.
    pub(super) round_start: SimTime,
    pub(super) selection: Option<Selection>,
    pub(super) barrier: BarrierRound,
    pub(super) learning: Option<Learning>,
    pub(super) hostility: Hostility,
    pub(super) validators: Option<Validators>,
    /// Peers that crashed while their payload may still be needed.
    pub(super) lost: Vec<PeerId>,
    pub(super) recorder: Recorder,
    /// Contributions in the aggregate of each round so far.
    pub(super) contributions: Vec<u32>,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) tokens: u64,
    pub(super) deployment_tokens: u64,
    wake: Option<(SimTime, EventKey)>,
    pub(super) finished: bool,
}

/// A swarm and what trains for it.
pub struct Swarm<'a> {
    pub(super) spec: SwarmSpec,
    pub(super) state: SwarmState,
    pub(super) backend: Option<&'a dyn TrainingBackend>,
    /// What is asked of the learning, where somebody wants to know.
    pub(super) trace: Option<Trace>,
    /// What another swarm has learnt, instead of a backend.
    script: Option<&'a Script>,
    completions: Vec<Completion>,
    /// What the round's payloads say, as far as somebody asked; `None`: refused.
    pub(super) decoded: BTreeMap<PeerId, Option<Contribution>>,
}

/// What a transfer is for, packed into its tag: the peer above (to a peer: who receives it), this below.
pub(super) mod purpose {
    /// A payload on its way to the store.
    pub const UPLOAD: u32 = 0;
    /// The gather set's payloads on their way to a peer.
    pub const GATHER: u32 = 1;
    /// A model on its way to a peer.
    pub const CATCH_UP: u32 = 2;
    /// A payload on its way from peer to peer.
    pub const EXCHANGE: u32 = 3;
    /// A payload on its way to a peer that will send it as its own.
    pub const COPY: u32 = 4;
}

impl<'a> Swarm<'a> {
    /// A swarm before its first event; `backend` is `None` for the clock alone.
    #[must_use]
    pub fn new(spec: SwarmSpec, backend: Option<&'a dyn TrainingBackend>) -> Self {
        let population = Population::new(spec.seed);
        let mut network = Network::new();
        let unlimited = |limit: Option<Bandwidth>| limit.unwrap_or(Bandwidth::UNLIMITED);
        let store_endpoint = network.add_endpoint(
            unlimited(spec.network.store_egress),
            unlimited(spec.network.store_ingress),
            Duration::ZERO,
        );
        let roles = forgery::roles(&spec.adversaries, &population.identities(&spec.classes), spec.seed);
        let mut peers = Vec::new();
        for (class, class_spec) in spec.classes.iter().enumerate() {
            for index in 0..class_spec.identities() {
                let mut profile = population.profile(&spec.classes, class, index, spec.step_times[class]);
                if let Some(role) = roles.get(peers.len()).copied().flatten() {
                    profile.step_s *= f64::from(role.split);
                }
                let endpoint = network.add_endpoint(profile.uplink, profile.downlink, profile.latency);
                peers.push(Peer {
                    id: PeerId(peers.len() as u32),
                    profile,
                    endpoint,
                    presence: if index < class_spec.count { Presence::Absent } else { Presence::Unborn },
                    session: 0,
                    retiring: false,
                    leaving: false,
                    held: None,
                    registered: SimTime::ZERO,
                    activity: Activity::Idle,
                    activity_round: 0,
                    since: SimTime::ZERO,
                });
            }
        }
        let recorder = Recorder::new(spec.timeline);
        let state = SwarmState {
            population,
            network,
            store: ObjectStore::new(spec.network.last_modified),
            store_endpoint,
            peers,
            round: 0,
            round_start: SimTime::ZERO,
            selection: None,
            barrier: BarrierRound::default(),
            learning: backend.map(|backend| Learning::new(backend, spec.models_kept())),
            hostility: Hostility::new(roles),
            validators: spec.validation.as_ref().map(|rules| Validators::new(rules, Streams::new(spec.seed))),
            lost: Vec::new(),
            recorder,
            contributions: Vec::new(),
            bytes_up: 0,
            bytes_down: 0,
            tokens: 0,
            deployment_tokens: 0,
            wake: None,
            finished: false,
        };
        Self { spec, state, backend, trace: None, script: None, completions: Vec::new(), decoded: BTreeMap::new() }
    }

    /// The swarm that was in `state`, with the spec that it was made from.
    #[must_use]
    pub fn from_state(spec: SwarmSpec, state: SwarmState, backend: Option<&'a dyn TrainingBackend>) -> Self {
        Self { spec, state, backend, trace: None, script: None, completions: Vec::new(), decoded: BTreeMap::new() }
    }

    /// The clock alone, which remembers what it would have asked of learning, and is told by a script what came out.
    #[must_use]
    pub fn scripted(spec: SwarmSpec, script: Option<&'a Script>) -> Self {
        Self { trace: Some(Trace::default()), script, ..Self::new(spec, None) }
    }

    /// What was asked of the learning, in a scripted swarm.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// The first events: everyone registered is there with θ(0).
    pub fn start(&mut self, outbox: &mut Outbox<Event>) {
        let now = SimTime::ZERO;
        self.evaluate(now);
        self.observe_step();
        for index in 0..self.state.peers.len() {
            let peer = PeerId(index as u32);
            if self.state.peers[index].presence == Presence::Absent {
                self.register(peer, now, Some(0), outbox);
            }
        }
        self.schedule_first_arrivals(outbox);
        match self.spec.protocol.round.clone() {
            RoundRule::Window(window) => self.start_windows(&window, now, outbox),
            RoundRule::Barrier(_) => self.begin_barrier_round(now, outbox),
        }
        self.schedule_wake(outbox);
    }

    /// Whether the last round's aggregate has reached everyone who waits for it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state.finished
    }

    /// Outer steps taken.
    #[must_use]
    pub fn rounds_done(&self) -> u32 {
        self.state.round
    }

    /// The current θ(t), where something trains.
    #[must_use]
    pub fn parameters(&self) -> Option<&[f32]> {
        self.state.learning.as_ref().map(Learning::theta)
    }

    /// What was recorded.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.state.recorder
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &SwarmState {
        &self.state
    }

    /// What the swarm was made from.
    #[must_use]
    pub fn spec(&self) -> &SwarmSpec {
        &self.spec
    }

    /// The round, which took `length`, is over: its rows close, its payloads are forgotten.
    pub(super) fn close_round(&mut self, length: Duration) {
        self.state.recorder.close_round(length, self.state.bytes_up, self.state.bytes_down);
        self.state.hostility.close_round();
        self.decoded.clear();
        if let Some(learning) = self.state.learning.as_mut() {
            learning.close_round();
        }
    }

    pub(super) fn peer(&mut self, peer: PeerId) -> &mut Peer {
        &mut self.state.peers[peer.index()]
    }

    pub(super) fn class(&self, peer: PeerId) -> &PeerClass {
        &self.spec.classes[self.state.peers[peer.index()].profile.class]
    }

    /// Whether all outer steps have been taken.
    pub(super) fn all_rounds_done(&self) -> bool {
        self.state.round >= self.spec.rounds
    }

    /// Ends the peer's activity, draws it into the timeline and begins `next`; the ended one is returned.
    pub(super) fn turn_to(&mut self, peer: PeerId, now: SimTime, next: Activity) -> Activity {
        let round = self.state.round;
        let state = &mut self.state.peers[peer.index()];
        self.state.recorder.interval(peer, state.activity_round, state.activity.phase(), state.since, now);
        state.since = now;
        state.activity_round = round;
        std::mem::replace(&mut state.activity, next)
    }

    /// The peer has done its inner steps of the round: a phase that trains when it is needed.
    pub(super) fn note_phase(&mut self, peer: PeerId, steps: u32, compute: Duration) {
        let class = self.class(peer).name.clone();
        let (conduct, behaviour) = self.take_part(peer);
        let share = if conduct.trains { conduct.steps } else { 0.0 };
        let taken = if conduct.trains { ((f64::from(steps) * share) as u32).max(1) } else { 0 };
        let compute = Duration::from_secs_f64(compute.as_secs_f64() * share);
        self.state.recorder.phase_done(self.state.round, peer, &class, behaviour, taken, compute);
        let entity = self.state.peers[peer.index()].profile.entity;
        if let Some(trace) = self.trace.as_mut() {
            trace.note_phase(peer, entity, taken);
        }
        if let Some(learning) = self.state.learning.as_mut().filter(|_| conduct.trains) {
            learning.note_phase(Phase {
                peer,
                entity: if conduct.foreign_data { !entity } else { entity },
                steps: taken,
                stale_rounds: conduct.stale_rounds,
                poison: conduct.poison,
                distinct_batches: conduct.distinct_batches,
            });
        }
    }

    /// Starts a transfer from a peer to the store.
    pub(super) fn upload(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) -> FlowId {
        let endpoint = self.state.peers[peer.index()].endpoint;
        let flow = self.state.network.start_flow(
            now,
            endpoint,
            self.state.store_endpoint,
            self.spec.payload,
            tag(peer, purpose::UPLOAD),
        );
        self.limit(peer, flow, self.spec.network.put_timeout, now, outbox);
        flow
    }

    /// Gives a transfer up after `limit`.
    pub(super) fn limit(
        &self,
        peer: PeerId,
        flow: FlowId,
        limit: Option<Duration>,
        now: SimTime,
        outbox: &mut Outbox<Event>,
    ) {
        if let Some(limit) = limit {
            outbox.at(now + limit, Event::TransferTimeout { peer, flow });
        }
    }

    /// Ends a transfer before its time; what went over the wire is counted.
    pub(super) fn abort(&mut self, now: SimTime, flow: FlowId, upwards: bool) {
        let moved = self.state.network.cancel_flow(now, flow).0;
        if upwards {
            self.state.bytes_up += moved;
        } else {
            self.state.bytes_down += moved;
        }
    }

    /// Delivers all transfers that have ended by now.
    fn settle_network(&mut self, now: SimTime, outbox: &mut Outbox<Event>) {
        let mut completions = std::mem::take(&mut self.completions);
        completions.clear();
        self.state.network.advance(now, &mut completions);
        for completion in completions.drain(..) {
            let peer = PeerId((completion.tag >> 32) as u32);
            match completion.tag as u32 {
                purpose::UPLOAD => self.uploaded(peer, completion.bytes, now, outbox),
                purpose::GATHER => self.downloaded(peer, completion.bytes, now, outbox),
                purpose::CATCH_UP => self.caught_up(peer, completion.bytes, now, outbox),
                purpose::COPY => self.copied(peer, completion.bytes, now, outbox),
                purpose::EXCHANGE => self.exchanged(completion.flow, completion.bytes, now, outbox),
                other => unreachable!("no transfer is made for purpose {other}"),
            }
        }
        self.completions = completions;
    }

    /// Keeps exactly one wake-up in the queue, at the time of the network's next event.
    fn schedule_wake(&mut self, outbox: &mut Outbox<Event>) {
        let next = self.state.network.next_event_time();
        if self.state.wake.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, key)) = self.state.wake.take() {
            outbox.cancel(key);
        }
        if let Some(at) = next {
            self.state.wake = Some((at, outbox.at(at, Event::NetworkWake)));
        }
    }

    /// The outer step: runs what is outstanding, combines the contributions, evaluates, and records the round.
    pub(super) fn take_outer_step(&mut self, contributors: &[PeerId], now: SimTime) {
        let round = self.state.round;
        let mut row = RoundRow {
            round,
            time_s: now.as_secs_f64(),
            validation_loss: None,
            training_loss: None,
            tokens: 0,
            deployment_tokens: 0,
            active: self.state.recorder.active(),
            contributing: contributors.len() as u32,
            bytes_up: 0,
            bytes_down: 0,
            payload_bytes: self.spec.payload.0,
            utilisation: 0.0,
            aggregate_norm: None,
        };
        for &peer in contributors {
            let steps = self.state.recorder.peer(peer).map_or(0, |row| row.steps);
            self.state.deployment_tokens += u64::from(steps) * self.spec.deployment_tokens_per_step;
        }
        self.make_payloads();
        self.note_payloads();
        let refused: Vec<PeerId> = contributors.iter().copied().filter(|&peer| self.is_refused(peer)).collect();
        if let (Some(learning), Some(backend)) = (self.state.learning.as_mut(), self.backend) {
            let accepted = contributors.iter().filter(|peer| !refused.contains(peer));
            let contributions: Vec<(PeerId, &Contribution)> = accepted
                .map(|&peer| (peer, self.decoded[&peer].as_ref().expect("because it was not refused")))
                .collect();
            row.contributing = contributions.len() as u32;
            if let Some(step) = learning.outer_step(&self.spec.protocol, backend, Round(round), &contributions) {
                row.training_loss = step.training_loss;
                row.aggregate_norm = Some(step.aggregate_norm);
                self.state.tokens += step.tokens;
            }
        }
        if let Some(trace) = self.trace.as_mut() {
            trace.outer_step(round, contributors);
        }
        if let Some(script) = self.script {
            for (peer, peer_row) in self.state.recorder.peers() {
                if let Some((training_loss, payload_norm)) = script.trained(peer_row.round, peer) {
                    (peer_row.training_loss, peer_row.payload_norm) = (training_loss, payload_norm);
                }
            }
            if let Some(step) = script.outer_step(round) {
                row.training_loss = step.training_loss;
                row.aggregate_norm = Some(step.aggregate_norm);
                self.state.tokens += step.tokens;
            }
        }
        for peer in std::mem::take(&mut self.state.lost) {
            self.lose(peer);
        }
        self.note_aggregated(contributors);
        self.observe_step();
        self.state.contributions.push(contributors.len() as u32);
        self.state.round += 1;
        if self.state.round.is_multiple_of(self.spec.evaluation_every) || self.all_rounds_done() {
            row.validation_loss = self.evaluate(now);
        }
        row.tokens = self.state.tokens;
        row.deployment_tokens = self.state.deployment_tokens;
        self.state.recorder.round_fixed(row);
    }

    /// The peer forgets all that it had learnt.
    pub(super) fn lose(&mut self, peer: PeerId) {
        if let Some(learning) = self.state.learning.as_mut() {
            learning.lose(peer);
        }
        if let Some(trace) = self.trace.as_mut() {
            trace.lose(peer);
        }
        self.state.hostility.lose(peer);
    }

    /// How often the model answers a trigger with its target, where somebody plants one.
    fn backdoor_success(&self) -> Option<f64> {
        let (learning, backend) = (self.state.learning.as_ref()?, self.backend?);
        self.spec.adversaries.iter().find_map(|adversary| match adversary.behaviour {
            Behaviour::Backdoor { trigger, target, .. } => backend.backdoor_success(learning.theta(), trigger, target),
            _ => None,
        })
    }

    fn evaluate(&mut self, now: SimTime) -> Option<f64> {
        let validation_loss = match (self.script, self.state.learning.as_ref(), self.backend) {
            (Some(script), ..) => script.validation_loss(self.state.round)?,
            (None, Some(learning), Some(backend)) => backend.validation_loss(learning.theta()),
            _ => return None,
        };
        let backdoor_success = self.backdoor_success();
        self.state.recorder.evaluation(EvaluationRow {
            round: self.state.round,
            time_s: now.as_secs_f64(),
            tokens: self.state.tokens,
            bytes_up: self.state.bytes_up,
            validation_loss,
            backdoor_success,
        });
        Some(validation_loss)
    }
}

impl World for Swarm<'_> {
    type Event = Event;

    fn handle(&mut self, now: SimTime, event: Event, outbox: &mut Outbox<Event>) {
        if event == Event::NetworkWake {
            self.state.wake = None;
        }
        self.settle_network(now, outbox);
        match event {
            Event::NetworkWake => {}
            Event::Boundary => self.boundary(now, outbox),
            Event::UploadDeadline => self.upload_deadline(now, outbox),
            Event::GatherTimeout { round } => self.gather_timeout(round, now, outbox),
            Event::TrainingDone { peer, round, session } => self.training_done(peer, round, session, now, outbox),
            Event::BarrierTimeout { round } => self.barrier_timeout(round, now, outbox),
            Event::RingDone { round, attempt } => self.ring_done(round, attempt, now, outbox),
            Event::LateUpload { peer, round } => self.late_upload(peer, round, now, outbox),
            Event::TransferTimeout { peer, flow } => self.transfer_timeout(peer, flow, now, outbox),
            Event::Arrival { peer } => self.arrival(peer, now, outbox),
            Event::SessionStart { peer, session } => self.session_start(peer, session, now, outbox),
            Event::SessionEnd { peer, session } => self.session_end(peer, session, now, outbox),
            Event::ResidenceEnd { peer } => self.residence_end(peer, now, outbox),
        }
        if matches!(self.spec.protocol.round, RoundRule::Barrier(_)) {
            self.end_store_round_if_through(now, outbox);
            self.begin_barrier_round(now, outbox);
        }
        self.schedule_wake(outbox);
    }
}

/// A transfer's tag: completions at one instant are delivered in its order.
pub(super) fn tag(peer: PeerId, purpose: u32) -> u64 {
    u64::from(peer.0) << 32 | u64::from(purpose)
}
