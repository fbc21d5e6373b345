//! Assembles rows: a round's are open while its transfers last, and close in order of round and peer.
//!
//! Rows are fed to the audit as they close, so that the manifest's hash covers the tables too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rows::{EvaluationRow, HONEST, IntervalRow, Outcome, OverlapRow, PeerRow, Phase, RoundRow, Rows, ScoreRow};
use crate::quantity::{Duration, PeerId};
use crate::sim::{Audit, SimTime};

/// The rows of a run, and those still open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorder {
    rows: Rows,
    round: Option<RoundRow>,
    peers: BTreeMap<PeerId, PeerRow>,
    /// Rows of the round in which nobody is paid yet.
    scores: Vec<ScoreRow>,
    timeline: bool,
    audit: Audit,
}

impl Recorder {
    /// Nothing recorded; `timeline` says whether intervals are kept.
    #[must_use]
    pub fn new(timeline: bool) -> Self {
        Self {
            rows: Rows::default(),
            round: None,
            peers: BTreeMap::new(),
            scores: Vec::new(),
            timeline,
            audit: Audit::default(),
        }
    }

    /// What is recorded.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The hash of all closed rows.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// A peer has done its inner steps.
    pub fn phase_done(
        &mut self,
        round: u32,
        peer: PeerId,
        class: &str,
        behaviour: Option<&str>,
        steps: u32,
        compute: Duration,
    ) {
        let row = PeerRow {
            round,
            peer: peer.0,
            class: class.to_owned(),
            behaviour: behaviour.unwrap_or(HONEST).to_owned(),
            steps,
            training_loss: None,
            outcome: Outcome::Late,
            compute_s: compute.as_secs_f64(),
            upload_s: None,
            download_s: None,
            payload_norm: None,
        };
        let before = self.peers.insert(peer, row);
        assert!(before.is_none(), "peer {peer} trains once a round");
    }

    /// The open row of a peer that takes part in the round.
    pub fn peer(&mut self, peer: PeerId) -> Option<&mut PeerRow> {
        self.peers.get_mut(&peer)
    }

    /// The open rows in order of peer.
    pub fn peers(&mut self) -> impl Iterator<Item = (PeerId, &mut PeerRow)> {
        self.peers.iter_mut().map(|(&peer, row)| (peer, row))
    }

    /// How many peers took part in the round.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.peers.len() as u32
    }

    /// Mean over the round's peers of compute time over `length`.
    fn utilisation(&self, length: Duration) -> f64 {
        if self.peers.is_empty() || length == Duration::ZERO {
            return 0.0;
        }
        let compute_s: f64 = self.peers.values().map(|row| row.compute_s).sum();
        compute_s / self.peers.len() as f64 / length.as_secs_f64()
    }

    /// The round's aggregate is fixed; utilisation and bytes are filled in when the round closes.
    pub fn round_fixed(&mut self, row: RoundRow) {
        assert!(self.round.is_none(), "round {} is closed before the next is fixed", row.round);
        self.round = Some(row);
    }

    /// The round, which took `length`, is over with its transfers: its rows close. Without an aggregate they are dropped.
    pub fn close_round(&mut self, length: Duration, bytes_up: u64, bytes_down: u64) {
        let utilisation = self.utilisation(length);
        let peers = std::mem::take(&mut self.peers);
        let Some(mut round) = self.round.take() else { return };
        round.utilisation = utilisation;
        round.bytes_up = bytes_up;
        round.bytes_down = bytes_down;
        feed_round(&mut self.audit, &round);
        self.rows.rounds.push(round);
        for row in peers.into_values() {
            feed_peer(&mut self.audit, &row);
            self.rows.peers.push(row);
        }
    }

    /// The shared model was evaluated.
    pub fn evaluation(&mut self, row: EvaluationRow) {
        for word in [
            u64::from(row.round),
            row.time_s.to_bits(),
            row.tokens,
            row.validation_loss.to_bits(),
            row.backdoor_success.map_or(u64::MAX, f64::to_bits),
        ] {
            self.audit.u64(word);
        }
        self.rows.evaluations.push(row);
    }

    /// A validator has judged a peer.
    pub fn score(&mut self, row: ScoreRow) {
        self.scores.push(row);
    }

    /// Two gathered payloads were compared.
    pub fn overlap(&mut self, row: OverlapRow) {
        for word in [row.round.into(), row.first.into(), row.second.into(), row.honest.into(), row.overlap.to_bits()] {
            self.audit.u64(word);
        }
        self.rows.overlaps.push(row);
    }

    /// Everybody is paid: the judged rows of the round close.
    pub fn pay(&mut self, pay: &BTreeMap<PeerId, f64>) {
        for mut row in std::mem::take(&mut self.scores) {
            row.pay = pay.get(&PeerId(row.peer)).copied().unwrap_or(0.0);
            feed_score(&mut self.audit, &row);
            self.rows.scores.push(row);
        }
    }

    /// A peer was in `phase` from `start` to `end`.
    pub fn interval(&mut self, peer: PeerId, round: u32, phase: Phase, start: SimTime, end: SimTime) {
        if !self.timeline || start >= end {
            return;
        }
        let row = IntervalRow { peer: peer.0, round, phase, start_s: start.as_secs_f64(), end_s: end.as_secs_f64() };
        for word in [u64::from(row.peer), phase as u64, row.start_s.to_bits(), row.end_s.to_bits()] {
            self.audit.u64(word);
        }
        self.rows.timeline.push(row);
    }
}

fn feed_round(audit: &mut Audit, row: &RoundRow) {
    let bits = |value: Option<f64>| value.map_or(u64::MAX, f64::to_bits);
    for word in [
        row.round.into(),
        row.time_s.to_bits(),
        bits(row.validation_loss),
        bits(row.training_loss),
        row.tokens,
        row.deployment_tokens,
        row.active.into(),
        row.contributing.into(),
        row.bytes_up,
        row.bytes_down,
        row.payload_bytes,
        row.utilisation.to_bits(),
        bits(row.aggregate_norm),
    ] {
        audit.u64(word);
    }
}

fn feed_peer(audit: &mut Audit, row: &PeerRow) {
    let bits = |value: Option<f64>| value.map_or(u64::MAX, f64::to_bits);
    audit.update(row.class.as_bytes());
    audit.update(row.behaviour.as_bytes());
    for word in [
        row.round.into(),
        row.peer.into(),
        row.steps.into(),
        bits(row.training_loss),
        row.outcome as u64,
        row.compute_s.to_bits(),
        bits(row.upload_s),
        bits(row.download_s),
        bits(row.payload_norm),
    ] {
        audit.u64(word);
    }
}

fn feed_score(audit: &mut Audit, row: &ScoreRow) {
    let bits = |value: Option<f64>| value.map_or(u64::MAX, f64::to_bits);
    audit.update(row.behaviour.as_bytes());
    audit.update(row.penalties.as_bytes());
    for word in [
        row.round.into(),
        row.validator.into(),
        row.peer.into(),
        row.listed as u64,
        row.verdict as u64,
        bits(row.own_before),
        bits(row.own_after),
        bits(row.random_before),
        bits(row.random_after),
        row.indicator_average.to_bits(),
        row.sync.to_bits(),
        bits(row.mu),
        bits(row.sigma),
        row.final_score.to_bits(),
        row.weight.to_bits(),
        row.pay.to_bits(),
    ] {
        audit.u64(word);
    }
}
