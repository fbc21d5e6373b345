//! Liars in a swarm: who lies in a round, and the payloads that are forged for them.
//!
//! A round's payloads are made in this order, whatever the order of uploads:
//!   1. everybody who trains, trains; every such payload is known
//!   2. liars forge theirs, ascending, knowing what the honest send
//!   3. accomplices that share one payload take that of the first of their group
//!   4. a copier's is forged when its victim is settled: it copies whoever stored a payload first
//!
//! A free rider keeps the first payload that it makes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::peer::Activity;
use super::rows::{HONEST, Outcome};
use super::swarm::{Swarm, purpose, tag};
use crate::adversary::conduct::{Conduct, Upload};
use crate::adversary::forge::{Knowledge, forge};
use crate::adversary::membership::{self, Role};
use crate::adversary::spec::{Adversary, Behaviour, Shared};
use crate::algorithm::Contribution;
use crate::net::store::{ObjectKey, ObjectKind};
use crate::quantity::{Bytes, PeerId, Round, Seed};
use crate::sim::{Outbox, SimTime, Streams};
use crate::training::TrainingBackend;

/// What is known of the liars.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hostility {
    /// By peer; empty if nobody lies.
    roles: Vec<Option<Role>>,
    /// Rounds in which a liar took part, and aggregates in which it was.
    past: BTreeMap<PeerId, Past>,
    /// Payloads that free riders send again.
    replays: BTreeMap<PeerId, Vec<u8>>,
    /// Who lies in the round, and how.
    hostile: BTreeMap<PeerId, (Role, Conduct)>,
    /// Copiers that have found nobody yet.
    pub(super) searching: BTreeSet<PeerId>,
    /// Whom a copier copies.
    pub(super) victims: BTreeMap<PeerId, PeerId>,
    /// Liars whose payload of the round is final.
    forged: BTreeSet<PeerId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Past {
    rounds: u32,
    aggregates: u32,
}

/// Who lies, and how much slower its machine is than one of its own.
pub(super) fn roles(adversaries: &[Adversary], identities: &[(&str, u64)], seed: Seed) -> Vec<Option<Role>> {
    if adversaries.is_empty() {
        return Vec::new();
    }
    membership::assign(adversaries, identities, Streams::new(seed))
}

impl Hostility {
    pub(super) fn new(roles: Vec<Option<Role>>) -> Self {
        Self { roles, ..Self::default() }
    }

    /// The round is over.
    pub(super) fn close_round(&mut self) {
        self.hostile.clear();
        self.searching.clear();
        self.victims.clear();
        self.forged.clear();
    }

    /// What the peer keeps is lost in a crash.
    pub(super) fn lose(&mut self, peer: PeerId) {
        self.replays.remove(&peer);
        self.searching.remove(&peer);
    }
}

impl Swarm<'_> {
    /// The peer takes part in the current round: what it does, and the name of its behaviour if it lies.
    pub(super) fn take_part(&mut self, peer: PeerId) -> (Conduct, Option<&'static str>) {
        let hostility = &mut self.state.hostility;
        let Some(role) = hostility.roles.get(peer.index()).copied().flatten() else { return (Conduct::HONEST, None) };
        let past = hostility.past.entry(peer).or_default();
        let adversary = &self.spec.adversaries[role.kind];
        let lies = adversary.when.holds(self.state.round, past.rounds, past.aggregates);
        past.rounds += 1;
        if !lies {
            return (Conduct::HONEST, None);
        }
        // Peers take part in ascending order, so the first of a group leads it.
        let of_group = |other: &Role| (other.kind, other.group) == (role.kind, role.group);
        let leads = !hostility.hostile.values().any(|(other, _)| of_group(other));
        let conduct = Conduct::of(&adversary.behaviour, hostility.replays.contains_key(&peer), leads);
        hostility.hostile.insert(peer, (role, conduct));
        (conduct, Some(adversary.behaviour.name()))
    }

    /// Liars were in the aggregate of the round.
    pub(super) fn note_aggregated(&mut self, contributors: &[PeerId]) {
        for peer in contributors {
            if self.state.hostility.roles.get(peer.index()).copied().flatten().is_some() {
                self.state.hostility.past.entry(*peer).or_default().aggregates += 1;
            }
        }
    }

    /// When the peer, which takes part in the round, uploads.
    pub(super) fn upload_conduct(&self, peer: PeerId) -> Upload {
        self.state.hostility.hostile.get(&peer).map_or(Upload::OnTime, |(_, conduct)| conduct.upload)
    }

    /// What the peer does in the round, for the tables.
    pub(super) fn known_behaviour(&self, peer: PeerId) -> &'static str {
        let lies = self.state.hostility.hostile.get(&peer);
        lies.map_or(HONEST, |(role, _)| self.spec.adversaries[role.kind].behaviour.name())
    }

    /// Age of the model that the peer holds in the round.
    pub(super) fn stale_rounds(&self, peer: PeerId) -> u32 {
        self.state.hostility.hostile.get(&peer).map_or(0, |(_, conduct)| conduct.stale_rounds)
    }

    /// Runs what is outstanding and forges what liars send, as far as it can be known now.
    pub(super) fn make_payloads(&mut self) {
        let (Some(learning), Some(backend)) = (self.state.learning.as_mut(), self.backend) else { return };
        learning.join(&self.spec.protocol, backend, Round(self.state.round));
        self.forge_payloads(self.state.round, backend);
    }

    /// Forges what liars send in `round`, as far as it can be known now.
    pub(super) fn forge_payloads(&mut self, round: u32, backend: &dyn TrainingBackend) {
        let hostility = &self.state.hostility;
        let waiting: Vec<(PeerId, Role)> = hostility
            .hostile
            .iter()
            .filter(|(peer, _)| !hostility.forged.contains(peer))
            .map(|(&peer, &(role, _))| (peer, role))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let honest = self.honest_contributions(backend);
        let honest: Vec<&Contribution> = honest.iter().collect();
        for &(peer, role) in &waiting {
            self.forge_one(round, peer, role, &honest, backend);
        }
        for &(peer, role) in &waiting {
            self.share_payload(peer, role);
        }
    }

    /// What the honest send, where a liar asks for it.
    fn honest_contributions(&self, backend: &dyn TrainingBackend) -> Vec<Contribution> {
        let asks = |(role, _): &(Role, Conduct)| {
            matches!(
                self.spec.adversaries[role.kind].behaviour,
                Behaviour::LittleIsEnough { .. } | Behaviour::InnerProduct { .. } | Behaviour::RandomPayload
            )
        };
        let (Some(learning), true) = (&self.state.learning, self.state.hostility.hostile.values().any(asks)) else {
            return Vec::new();
        };
        let is_honest = |peer: &PeerId| !self.state.hostility.hostile.contains_key(peer);
        let peers = learning.all_sent().map(|(peer, _)| peer).filter(is_honest);
        peers.filter_map(|peer| learning.decode(&self.spec.protocol, backend.layout(), peer).ok()).collect()
    }

    fn forge_one(
        &mut self,
        round: u32,
        peer: PeerId,
        role: Role,
        honest: &[&Contribution],
        backend: &dyn TrainingBackend,
    ) {
        let behaviour = self.spec.adversaries[role.kind].behaviour;
        let hostility = &self.state.hostility;
        let learning = self.state.learning.as_ref().expect("because payloads are forged where something trains");
        let victim = hostility.victims.get(&peer).and_then(|&victim| learning.sent(victim));
        if matches!(behaviour, Behaviour::Copier { .. }) && victim.is_none() {
            return;
        }
        let own = learning.sent(peer).map(|sent| &*sent.payload);
        let knowledge = Knowledge {
            compression: &self.spec.protocol.compression,
            layout: backend.layout(),
            own,
            replay: hostility.replays.get(&peer).map(|payload| &**payload),
            victim: victim.map(|sent| &*sent.payload),
            honest,
            accomplices: hostility.hostile.values().filter(|(other, _)| other.kind == role.kind).count(),
        };
        let entity = self.state.peers[peer.index()].profile.entity;
        let mut rng = Streams::new(self.spec.seed).rng("forge", entity, u64::from(round));
        let forged = forge(&behaviour, &knowledge, &mut rng);
        let first = if behaviour == Behaviour::FreeRider && forged.is_none() { own.map(<[u8]>::to_vec) } else { None };
        self.state.hostility.forged.insert(peer);
        if let Some(payload) = first {
            self.state.hostility.replays.insert(peer, payload);
        }
        if let Some(payload) = forged {
            self.replace_payload(peer, payload);
        }
    }

    /// A member of a group that shares one payload sends the first member's.
    fn share_payload(&mut self, peer: PeerId, role: Role) {
        let shares = |adversary: &Adversary| {
            let sybil = matches!(adversary.behaviour, Behaviour::Sybil { share: Shared::Payload, .. });
            adversary.colluding || sybil
        };
        if !shares(&self.spec.adversaries[role.kind]) {
            return;
        }
        let of_group = |other: &Role| (other.kind, other.group) == (role.kind, role.group);
        let learning = self.state.learning.as_ref().expect("because payloads are forged where something trains");
        let members = self.state.hostility.hostile.iter().filter(|(_, (other, _))| of_group(other));
        let first = members.map(|(&member, _)| member).find(|&member| learning.sent(member).is_some());
        if let Some(first) = first.filter(|&first| first != peer) {
            let payload = learning.sent(first).expect("because it was found").payload.clone();
            self.replace_payload(peer, payload);
        }
    }

    fn replace_payload(&mut self, peer: PeerId, payload: Vec<u8>) {
        let learning = self.state.learning.as_mut().expect("because payloads are forged where something trains");
        learning.replace(peer, payload);
        self.decoded.remove(&peer);
    }

    /// What the peer's payload says; `None` if it has sent none, or one that is refused.
    pub(super) fn decoded(&mut self, peer: PeerId) -> Option<&Contribution> {
        let (learning, backend) = (self.state.learning.as_ref()?, self.backend?);
        learning.sent(peer)?;
        let protocol = &self.spec.protocol;
        let entry = self.decoded.entry(peer);
        entry.or_insert_with(|| learning.decode(protocol, backend.layout(), peer).ok()).as_ref()
    }

    /// Whether receivers refuse what the peer has uploaded: it is not well formed, or empty since the liar had nothing to
    /// forge it from. Nobody looks into payloads where nothing trains.
    pub(super) fn is_refused(&mut self, peer: PeerId) -> bool {
        self.state.learning.is_some() && self.decoded(peer).is_none()
    }

    /// What was trained and sent goes into the rows of the round.
    pub(super) fn note_payloads(&mut self) {
        let peers: Vec<PeerId> = match &self.state.learning {
            Some(learning) => learning.all_sent().map(|(peer, _)| peer).collect(),
            None => return,
        };
        for peer in peers {
            let norm = self.decoded(peer).map(Contribution::norm);
            let learning = self.state.learning.as_ref().expect("because something was sent");
            let loss = learning.sent(peer).and_then(|sent| sent.outcome).map(|outcome| outcome.training_loss);
            if let Some(row) = self.state.recorder.peer(peer) {
                row.training_loss = loss;
                row.payload_norm = norm;
                if norm.is_none() {
                    row.outcome = Outcome::Refused;
                }
            }
        }
    }
}

/// Uploads out of time.
impl Swarm<'_> {
    /// The payload was in the store just before the boundary: it cost its bytes, and no reader takes it.
    pub(super) fn upload_early(&mut self, peer: PeerId, now: SimTime, outbox: &mut Outbox<Event>) {
        self.state.bytes_up += self.spec.payload.0;
        let before = SimTime::from_nanos(now.as_nanos() - 1);
        let key = ObjectKey { round: Round(self.state.round), peer, kind: ObjectKind::Payload };
        self.state.store.put(key, self.spec.payload, before, before);
        if let Some(row) = self.state.recorder.peer(peer) {
            row.outcome = Outcome::Early;
        }
        if let Some(selection) = self.state.selection.as_mut() {
            selection.failed.insert(peer);
        }
        self.next_activity(peer, now, outbox);
    }

    /// A peer that waited begins its upload, if it still can.
    pub(super) fn late_upload(&mut self, peer: PeerId, round: u32, now: SimTime, outbox: &mut Outbox<Event>) {
        let state = &self.state.peers[peer.index()];
        let waits = state.activity == Activity::Idle && state.activity_round == round && state.is_present();
        if waits && self.state.selection.as_ref().is_some_and(|selection| selection.round == round) {
            self.begin_upload(peer, now, outbox);
            self.peer(peer).activity_round = round;
        } else if waits {
            self.next_activity(peer, now, outbox);
        }
    }

    /// Copiers that have found nobody yet take the payload that `victim` has just stored.
    pub(super) fn offer_to_copiers(&mut self, victim: PeerId, round: u32, now: SimTime, outbox: &mut Outbox<Event>) {
        let copies = self.upload_conduct(victim) == Upload::AfterVictim;
        let current = self.state.selection.as_ref().is_some_and(|selection| selection.round == round);
        if copies || !current || self.state.hostility.searching.is_empty() {
            return;
        }
        for peer in std::mem::take(&mut self.state.hostility.searching) {
            self.state.hostility.victims.insert(peer, victim);
            let (store, endpoint) = (self.state.store_endpoint, self.state.peers[peer.index()].endpoint);
            let tag = tag(peer, purpose::COPY);
            let flow = self.state.network.start_flow(now, store, endpoint, self.spec.payload, tag);
            self.limit(peer, flow, self.spec.network.get_timeout, now, outbox);
            self.turn_to(peer, now, Activity::Copying { flow });
            self.peer(peer).activity_round = round;
        }
    }

    /// The payload to copy is there.
    pub(super) fn copied(&mut self, peer: PeerId, bytes: Bytes, now: SimTime, outbox: &mut Outbox<Event>) {
        self.state.bytes_down += bytes.0;
        let round = self.state.peers[peer.index()].activity_round;
        self.begin_upload(peer, now, outbox);
        self.peer(peer).activity_round = round;
    }
}
