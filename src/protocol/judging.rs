//! Validators in a swarm: what they see of a round, what it costs them, and what follows.
//!
//! ```text
//! boundary: round t uploads | set fixed, outer step      | boundary
//!   list(t) is gathered     | validators gather the set  | penalties, evaluations, ratings, weights of round t
//!                           | and evaluate until the end | list refreshed, in force two rounds later
//! ```
//!
//! A validator gathers what everybody gathers, over its own downlink, and then evaluates one peer after the other until
//! the window ends: how many it manages follows from its compute and its downlink, at deployment scale. An evaluation
//! downloads the payload once more and takes three forward passes over the sequences (own data before and after, random
//! data after; random data before is taken once a window). Losses are real: θ(t) before, and θ(t) minus a small step
//! along the payload alone after, clipped to the gathered set's lower-median norm per tensor where the aggregation clips.
//! All of it is worked out at the window's end, when it is known which payloads came in time.
//!
//! A peer's own data are the batches that it was given for the round, with the share that production's pool gives them,
//! and batches of the same stream on which nobody trains for the rest of the pool.
//!
//! A peer shows its parameters if it took part in the round before, so nobody does in the first; they are the current
//! ones unless it is stale.
//! The leader is the validator of highest stake: its list is everybody's. A validator that is out does nothing; its
//! weights stand. Without `failover` the list of a leader that is out stands, too, as in the public code.
//!
//! Where nothing trains there are no losses: nobody is judged, and lists are drawn.
//!
//! Not modelled: validators that lie, downloads of a validator that fail, the chain's interval between weights, evaluation of payloads of another version.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::gather::Selection;
use super::rows::{HONEST, Listed, OverlapRow, ScoreRow, Verdict};
use super::spec::{Validation, Window};
use super::swarm::Swarm;
use crate::algorithm::aggregate::lower_median;
use crate::algorithm::spec::Clip;
use crate::algorithm::{Contribution, Layout};
use crate::net::store::{ObjectKey, ObjectKind};
use crate::quantity::{PeerId, Round};
use crate::sim::{SimTime, Streams};
use crate::training::{SequenceName, TrainingBackend, Trial};
use crate::validator::score::Losses;
use crate::validator::sync::{StepSizes, shown};
use crate::validator::{Evaluation, Gathering, Penalty, Validator, overlap, weights};

/// Rounds for which a payload keeps a peer active, the current one included.
const ACTIVE_ROUNDS: u32 = 3;
/// Steps from here on are nobody's: the part of a peer's pool on which it does not train.
const POOL: u64 = 1 << 62;
/// Batches of a peer's pool in a round, beyond those on which it trains.
const POOL_BATCHES: u64 = 1 << 16;
/// Batches of the random data of a round.
const RANDOM_BATCHES: u64 = 1 << 16;

/// The validators of a swarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validators {
    /// One a seat.
    pub(super) seats: Vec<Validator>,
    /// How far the shown parameters move in an outer step.
    pub(super) steps: StepSizes,
}

/// What a validator evaluates in a window, and with what.
struct Docket {
    peer: PeerId,
    own: Vec<SequenceName>,
}

impl Validators {
    /// Validators that know nobody.
    #[must_use]
    pub fn new(validation: &Validation, streams: Streams) -> Self {
        let seats = (0..validation.seats.len() as u64)
            .map(|number| Validator::new(validation.rules.clone(), streams, number))
            .collect();
        Self { seats, steps: StepSizes::default() }
    }
}

impl Swarm<'_> {
    /// Everybody who put a payload into the store in the last rounds up to `round`, ascending.
    fn active_peers(&self, round: u32) -> Vec<PeerId> {
        let rounds = (round + 1).saturating_sub(ACTIVE_ROUNDS)..=round;
        let active: BTreeSet<PeerId> =
            rounds.flat_map(|round| self.state.store.list(Round(round)).map(|(key, _)| key.peer)).collect();
        active.into_iter().collect()
    }

    /// Whose list holds in `round`.
    fn leader(&self, validation: &Validation, round: u32) -> usize {
        let live: Vec<Option<f64>> = validation
            .seats
            .iter()
            .map(|seat| (!validation.failover || seat.is_live(round)).then_some(seat.stake))
            .collect();
        weights::leader(&live).unwrap_or(0)
    }

    /// Whom everybody gathers in the round that begins to upload, of which `candidates` took part: the gather set and
    /// the stand-ins, best first.
    pub(super) fn listed(&mut self, window: &Window, candidates: &[PeerId]) -> (Vec<PeerId>, Vec<PeerId>) {
        let (gather, reserve) = (window.gather as usize, window.reserve as usize);
        let round = self.state.round;
        let Some(validation) = self.spec.validation.clone() else {
            let (first, rest) = candidates.split_at(gather.min(candidates.len()));
            return (first.to_vec(), rest[..reserve.min(rest.len())].to_vec());
        };
        // Who took part has announced itself, though its payload is still on its way.
        let active: BTreeSet<PeerId> = self.active_peers(round).into_iter().chain(candidates.iter().copied()).collect();
        let active: Vec<PeerId> = active.into_iter().collect();
        let leader = self.leader(&validation, round);
        let validators = self.state.validators.as_mut().expect("because there are rules for them");
        for (validator, seat) in validators.seats.iter_mut().zip(&validation.seats) {
            if seat.is_live(round) {
                validator.refresh(round, &active, gather, reserve);
            }
        }
        let (gather, reserve) = validators.seats[leader].list(round);
        (gather.to_vec(), reserve.to_vec())
    }

    /// The window ends: every validator that is there judges the round whose set was fixed in it.
    pub(super) fn judge_round(&mut self, now: SimTime) {
        let (Some(validation), Some(selection)) = (self.spec.validation.clone(), self.state.selection.clone()) else {
            return;
        };
        let Some(backend) = self.backend else { return };
        let round = selection.round;
        self.forge_payloads(round, backend);
        self.note_payloads();
        let active = self.active_peers(round);
        let steps_behind = self.steps_behind(round, &active, backend);
        let overlaps = self.overlaps(&selection, backend.layout());
        for &(first, second, overlap) in &overlaps {
            let honest = [first, second].iter().all(|&peer| self.known_behaviour(peer) == HONEST);
            let (first, second, honest) = (first.0, second.0, u32::from(honest));
            self.state.recorder.overlap(OverlapRow { round, first, second, honest, overlap });
        }
        let dates = self.dates(round.checked_sub(1), &active);
        let limit = self.evaluations_max(&selection, &validation, now);
        let gathered = selection.contributors();
        let is_missing = |peer: &&PeerId| gathered.binary_search(peer).is_err();
        let missing: Vec<PeerId> = selection.gather.iter().filter(is_missing).copied().collect();
        let seen = Gathering {
            active: &active,
            requested: &selection.gather,
            missing: &missing,
            gathered: &gathered,
            round,
            overlaps: &overlaps,
            dates: &dates,
            steps_behind: &steps_behind,
        };
        let mut validators = self.state.validators.take().expect("because there are rules for them");
        for (number, seat) in validation.seats.iter().enumerate() {
            if !seat.is_live(round) {
                continue;
            }
            let validator = &mut validators.seats[number];
            let mut penalties = validator.gathered(round, &seen);
            let mut evaluations = Vec::new();
            if !gathered.is_empty() {
                let chosen = validator.choose(round, &active, limit);
                evaluations = self.evaluate_peers(&selection, number as u64, &chosen, &steps_behind, &validation);
                penalties.extend(validator.judge(round, &evaluations).penalties);
            }
            self.note_scores(&selection, number, &active, validator, &evaluations, &penalties);
        }
        self.state.validators = Some(validators);
        self.note_pay(&validation);
    }

    /// θ has moved: how far its shown parameters do.
    pub(super) fn observe_step(&mut self) {
        if let (Some(validators), Some(learning), Some(backend)) =
            (self.state.validators.as_mut(), &self.state.learning, self.backend)
        {
            validators.steps.observe(&shown(backend.layout(), learning.theta()));
        }
    }

    /// By how many outer steps each active peer is behind; `None`: it showed nothing, since it did not take part before.
    fn steps_behind(
        &self,
        round: u32,
        active: &[PeerId],
        backend: &dyn TrainingBackend,
    ) -> BTreeMap<PeerId, Option<f64>> {
        let learning_rate = self.spec.protocol.outer_optimizer.learning_rate();
        let learning = self.state.learning.as_ref().expect("because something trains");
        let validators = self.state.validators.as_ref().expect("because there are rules for them");
        // The outer step has been taken: θ(t) is one step back.
        let current = shown(backend.layout(), learning.theta_before(1));
        let behind = |peer: PeerId| {
            let took_part = round.checked_sub(1).is_some_and(|before| self.date(before, peer).is_some());
            took_part.then(|| match self.stale_rounds(peer) {
                0 => 0.0,
                stale => {
                    let theirs = shown(backend.layout(), learning.theta_before(1 + stale as usize));
                    validators.steps.steps_behind(&current, &theirs, learning_rate)
                }
            })
        };
        active.iter().map(|&peer| (peer, behind(peer))).collect()
    }

    /// The overlaps of the payloads in the aggregate.
    fn overlaps(&mut self, selection: &Selection, layout: &Layout) -> Vec<(PeerId, PeerId, f64)> {
        let contributors = selection.contributors();
        for &peer in &contributors {
            self.decoded(peer);
        }
        let decoded: Vec<(PeerId, &Contribution)> =
            contributors.iter().filter_map(|peer| Some((*peer, self.decoded.get(peer)?.as_ref()?))).collect();
        overlap::overlaps(&decoded, layout)
    }

    /// When the payloads of a round came, in nanoseconds; nothing before the first round.
    fn dates(&self, round: Option<u32>, peers: &[PeerId]) -> BTreeMap<PeerId, u64> {
        let Some(round) = round else { return BTreeMap::new() };
        peers.iter().filter_map(|&peer| Some((peer, self.date(round, peer)?.as_nanos()))).collect()
    }

    fn date(&self, round: u32, peer: PeerId) -> Option<SimTime> {
        let key = ObjectKey { round: Round(round), peer, kind: ObjectKind::Payload };
        self.state.store.head(key).map(|object| object.last_modified)
    }

    /// How many evaluations fit between the end of the gather and the end of the window.
    fn evaluations_max(&self, selection: &Selection, validation: &Validation, now: SimTime) -> usize {
        let Some(fixed) = &selection.fixed else { return 0 };
        let payload_s = self.spec.payload.0 as f64 / validation.downlink.bytes_per_second();
        let gather_s = payload_s * selection.contributors().len() as f64;
        let available_s = ((now - fixed.at).as_secs_f64() - gather_s).max(0.0);
        let evaluations = available_s / (payload_s + self.spec.evaluation_time.as_secs_f64());
        if evaluations.is_finite() { evaluations as usize } else { usize::MAX }
    }

    /// Takes the losses of the chosen peers' payloads.
    fn evaluate_peers(
        &mut self,
        selection: &Selection,
        number: u64,
        chosen: &[PeerId],
        steps_behind: &BTreeMap<PeerId, Option<f64>>,
        validation: &Validation,
    ) -> Vec<Evaluation> {
        let round = selection.round;
        let mut dockets = Vec::new();
        let mut evaluations = Vec::with_capacity(chosen.len());
        for &peer in chosen {
            let in_time = |date: SimTime| date >= selection.since && date <= selection.deadline;
            if !self.date(round, peer).is_some_and(in_time) {
                evaluations.push(Evaluation::Missing { peer });
                continue;
            }
            if self.decoded(peer).is_none() {
                evaluations.push(Evaluation::Invalid { peer });
            } else {
                dockets.push(Docket { peer, own: self.own_sequences(peer, round, number, validation) });
            }
        }
        let random = self.random_sequences(round, number, validation);
        for (docket, losses) in dockets.iter().zip(self.try_payloads(selection, &dockets, &random, validation)) {
            let peer = docket.peer;
            evaluations.push(Evaluation::Measured {
                peer,
                losses,
                steps_behind: steps_behind.get(&peer).copied().flatten(),
            });
        }
        evaluations.sort_by_key(|evaluation| chosen.iter().position(|&peer| peer == evaluation.peer()));
        evaluations
    }

    /// Losses before and after each payload alone was applied.
    fn try_payloads(
        &self,
        selection: &Selection,
        dockets: &[Docket],
        random: &[SequenceName],
        validation: &Validation,
    ) -> Vec<Losses> {
        let (Some(learning), Some(backend)) = (&self.state.learning, self.backend) else { return Vec::new() };
        if dockets.is_empty() {
            return Vec::new();
        }
        let theta = learning.theta_before(1);
        let limits = self.norm_limits(selection, backend.layout());
        let step = validation.rules.trial_factor * self.spec.protocol.outer_optimizer.learning_rate();
        let changes: Vec<_> = dockets
            .iter()
            .map(|docket| {
                let contribution = self.decoded[&docket.peer].as_ref().expect("because it was not invalid");
                let limits = &limits;
                move |theta: &mut [f32]| {
                    for (tensor, limit) in limits.iter().enumerate() {
                        let norm = contribution.tensor_norm(tensor) as f32;
                        let factor = if norm > *limit { limit / norm } else { 1.0 };
                        contribution.add_tensor_to(tensor, -step * factor, theta);
                    }
                }
            })
            .collect();
        let mut trials = vec![Trial { parameters: theta, change: None, sequences: random }];
        for (docket, change) in dockets.iter().zip(&changes) {
            trials.push(Trial { parameters: theta, change: None, sequences: &docket.own });
            trials.push(Trial { parameters: theta, change: Some(change), sequences: &docket.own });
            trials.push(Trial { parameters: theta, change: Some(change), sequences: random });
        }
        let losses = backend.trial_losses(&trials);
        let (random_before, rest) = (losses[0], &losses[1..]);
        let taken = rest.as_chunks().0.iter().map(|&[own_before, own_after, random_after]| Losses {
            own_before,
            own_after,
            random_before,
            random_after,
        });
        taken.collect()
    }

    /// Per tensor, the norm to which a single payload is clipped.
    fn norm_limits(&self, selection: &Selection, layout: &Layout) -> Vec<f32> {
        let gathered: Vec<&Contribution> =
            selection.contributors().iter().filter_map(|peer| self.decoded.get(peer)?.as_ref()).collect();
        let limit = |tensor: usize| {
            let norms: Vec<f32> = gathered.iter().map(|one| one.tensor_norm(tensor) as f32).collect();
            lower_median(&norms)
        };
        match self.spec.protocol.aggregation.clip {
            Clip::MedianNorm => (0..layout.tensors().len()).map(limit).collect(),
            Clip::None => vec![f32::INFINITY; layout.tensors().len()],
        }
    }

    /// Sequences of the data that the peer was given for the round.
    fn own_sequences(&self, peer: PeerId, round: u32, number: u64, validation: &Validation) -> Vec<SequenceName> {
        let entity = self.state.peers[peer.index()].profile.entity;
        let mut rng = Streams::new(self.spec.seed).rng("own-sequences", entity ^ number, u64::from(round));
        let inner_steps = u64::from(self.spec.protocol.inner_steps);
        let mut draw = |_| {
            let is_trained = rng.random::<f64>() < validation.rules.own_trained_share;
            let step = if is_trained {
                u64::from(round) * inner_steps + rng.random_range(0..inner_steps)
            } else {
                POOL + u64::from(round) * POOL_BATCHES + rng.random_range(0..POOL_BATCHES)
            };
            SequenceName { entity, step, row: rng.random() }
        };
        (0..validation.rules.sequences).map(&mut draw).collect()
    }

    /// Sequences of data that were given to nobody.
    fn random_sequences(&self, round: u32, number: u64, validation: &Validation) -> Vec<SequenceName> {
        let mut rng = Streams::new(self.spec.seed).rng("random-sequences", number, u64::from(round));
        let entity = rng.random();
        let mut draw = |_| SequenceName { entity, step: rng.random_range(0..RANDOM_BATCHES), row: rng.random() };
        (0..validation.rules.sequences).map(&mut draw).collect()
    }

    /// One row for everybody whom the validator knows.
    fn note_scores(
        &mut self,
        selection: &Selection,
        number: usize,
        active: &[PeerId],
        validator: &Validator,
        evaluations: &[Evaluation],
        penalties: &[Penalty],
    ) {
        let records: BTreeMap<PeerId, _> = validator.records().collect();
        let known: BTreeSet<PeerId> = records.keys().chain(active).copied().collect();
        for peer in known {
            let record = records.get(&peer);
            let evaluation = evaluations.iter().find(|evaluation| evaluation.peer() == peer);
            let losses = match evaluation {
                Some(Evaluation::Measured { losses, .. }) => Some(losses),
                _ => None,
            };
            let rating = record.and_then(|record| record.rating);
            let causes: Vec<&str> =
                penalties.iter().filter(|penalty| penalty.peer == peer).map(|penalty| penalty.cause.name()).collect();
            self.state.recorder.score(ScoreRow {
                round: selection.round,
                validator: number as u32,
                peer: peer.0,
                behaviour: self.known_behaviour(peer).to_owned(),
                listed: if selection.gather.contains(&peer) {
                    Listed::Gather
                } else if selection.reserve.contains(&peer) {
                    Listed::Reserve
                } else {
                    Listed::No
                },
                verdict: match evaluation {
                    None => Verdict::NotEvaluated,
                    Some(Evaluation::Missing { .. }) => Verdict::Missing,
                    Some(Evaluation::Invalid { .. }) => Verdict::Invalid,
                    Some(Evaluation::Unreachable { .. }) => Verdict::Unreachable,
                    Some(Evaluation::Measured { .. }) => Verdict::Measured,
                },
                own_before: losses.map(|losses| losses.own_before),
                own_after: losses.map(|losses| losses.own_after),
                random_before: losses.map(|losses| losses.random_before),
                random_after: losses.map(|losses| losses.random_after),
                score: losses.map(Losses::score),
                indicator: losses.map(Losses::indicator),
                indicator_average: record.map_or(0.0, |record| record.indicator_average),
                sync: record.map_or(0.0, |record| record.sync),
                mu: rating.map(|rating| rating.mu),
                sigma: rating.map(|rating| rating.sigma),
                final_score: record.map_or(0.0, |record| record.final_score),
                weight: record.map_or(0.0, |record| record.weight),
                pay: 0.0,
                penalties: causes.join("+"),
            });
        }
    }

    /// What everybody earns in the round, by the stake-weighted weights.
    fn note_pay(&mut self, validation: &Validation) {
        let validators = self.state.validators.as_ref().expect("because there are rules for them");
        let said: Vec<(f64, BTreeMap<PeerId, f64>)> =
            validation.seats.iter().zip(&validators.seats).map(|(seat, it)| (seat.stake, it.weights())).collect();
        let pay = weights::combine(&said);
        self.state.recorder.pay(&pay);
    }
}
