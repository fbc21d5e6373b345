//! What a run records: plain rows, emitted in event order.
//!
//! Times are virtual seconds since the start of the run. Bytes are at deployment scale, cumulative where said.
//! Losses are in nats per token of the proxy.

use serde::{Deserialize, Serialize};

/// How a peer is called in the tables that keeps to the protocol.
pub const HONEST: &str = "honest";

/// One outer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundRow {
    /// Round t, from 0.
    pub round: u32,
    /// When the aggregate of the round was fixed \[s\].
    pub time_s: f64,
    /// Validation loss of θ(t+1), where it was evaluated.
    pub validation_loss: Option<f64>,
    /// Mean over contributing peers of their training loss; `None` without training.
    pub training_loss: Option<f64>,
    /// Proxy tokens behind all applied contributions so far (cumulative).
    pub tokens: u64,
    /// Deployment tokens behind all applied contributions so far (cumulative).
    pub deployment_tokens: u64,
    /// Peers that took part in the round: uploaded in time or not.
    pub active: u32,
    /// Contributions in the aggregate.
    pub contributing: u32,
    /// Bytes uploaded by all peers so far (cumulative).
    pub bytes_up: u64,
    /// Bytes downloaded by all peers so far (cumulative).
    pub bytes_down: u64,
    /// One peer's payload \[bytes\].
    pub payload_bytes: u64,
    /// Time in inner phases over time, mean over the peers active in the round.
    pub utilisation: f64,
    /// L2 norm of the aggregate; `None` without training.
    pub aggregate_norm: Option<f64>,
}

/// One peer in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Round t.
    pub round: u32,
    /// Who.
    pub peer: u32,
    /// The peer class's name.
    pub class: String,
    /// What the peer did: `honest`, or the name of its behaviour.
    pub behaviour: String,
    /// Inner steps done, at most H.
    pub steps: u32,
    /// Mean training loss over the steps; `None` without training or if the phase was never needed.
    pub training_loss: Option<f64>,
    /// What became of the contribution.
    pub outcome: Outcome,
    /// Seconds in the inner phase.
    pub compute_s: f64,
    /// Seconds uploading; `None` if the upload never ended.
    pub upload_s: Option<f64>,
    /// Seconds gathering; `None` if the gather never ended.
    pub download_s: Option<f64>,
    /// L2 norm of what was sent; `None` without training, or if it is refused.
    pub payload_norm: Option<f64>,
}

/// What became of a peer's contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// In the aggregate, from the gather set.
    Gathered,
    /// In the aggregate, standing in for a missing one.
    Reserve,
    /// In time, but neither in the gather set nor needed from the reserve.
    NotSelected,
    /// Uploaded after the deadline or after the gather was given up, or not at all.
    Late,
    /// The peer left or crashed before its upload ended.
    Gone,
    /// Uploaded before the boundary.
    Early,
    /// In time, but not well formed: no receiver takes it.
    Refused,
}

/// What a validator holds of a peer after a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// Round t.
    pub round: u32,
    /// Whose view it is.
    pub validator: u32,
    /// Of whom.
    pub peer: u32,
    /// What the peer did: `honest`, or the name of its behaviour.
    pub behaviour: String,
    /// Where it stood on the list of the round.
    pub listed: Listed,
    /// What became of its evaluation in the round.
    pub verdict: Verdict,
    /// Loss on its own data before its payload; `None` where it was not measured.
    pub own_before: Option<f64>,
    /// Loss on its own data after its payload.
    pub own_after: Option<f64>,
    /// Loss on random data before its payload.
    pub random_before: Option<f64>,
    /// Loss on random data after its payload.
    pub random_after: Option<f64>,
    /// Relative improvement on random data.
    pub score: Option<f64>,
    /// +1 if own data improved more, else −1.
    pub indicator: Option<f64>,
    /// Moving average of the indicator.
    pub indicator_average: f64,
    /// The last sync score.
    pub sync: f64,
    /// Mean of the rating; `None` before its first match.
    pub mu: Option<f64>,
    /// Deviation of the rating.
    pub sigma: Option<f64>,
    /// What the weight follows from.
    pub final_score: f64,
    /// Share of all pay, by this validator.
    pub weight: f64,
    /// Share of all pay, by all validators.
    pub pay: f64,
    /// For what it was punished in the round, joined by `+`.
    pub penalties: String,
}

/// How much of two gathered payloads' indices is the same, where validators look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverlapRow {
    /// Round t.
    pub round: u32,
    /// The one with the lower number.
    pub first: u32,
    /// The other.
    pub second: u32,
    /// 1 if both are honest, else 0.
    pub honest: u32,
    /// Share of equal indices.
    pub overlap: f64,
}

/// Where a peer stood on the list of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listed {
    /// In the gather set.
    Gather,
    /// Among the stand-ins.
    Reserve,
    /// Not at all.
    No,
}

/// What became of a peer's evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was not its turn, or the window ended before.
    NotEvaluated,
    /// Its payload was tried.
    Measured,
    /// Its payload was not there, or not in time.
    Missing,
    /// Its payload was refused.
    Invalid,
    /// The network failed.
    Unreachable,
}

/// One evaluation of the shared model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// Outer steps taken before the evaluation (0: the initial model).
    pub round: u32,
    /// Virtual time \[s\].
    pub time_s: f64,
    /// Proxy tokens behind all applied contributions so far.
    pub tokens: u64,
    /// Bytes uploaded so far.
    pub bytes_up: u64,
    /// Validation loss.
    pub validation_loss: f64,
    /// Share of the validation sequences in which the model answers a planted trigger with its target; `None` where
    /// nobody plants one.
    pub backdoor_success: Option<f64>,
}

/// A peer's time in one phase, for the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalRow {
    /// Who.
    pub peer: u32,
    /// The round it belongs to.
    pub round: u32,
    /// What the peer did.
    pub phase: Phase,
    /// Start \[s\].
    pub start_s: f64,
    /// End \[s\].
    pub end_s: f64,
}

/// What a peer does at a time. Time in none of the intervals is absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Inner steps.
    Compute,
    /// Sending its payload.
    Upload,
    /// Receiving payloads.
    Download,
    /// Sending and receiving at once (ring, all to all).
    Exchange,
    /// Downloading the model to join or to come back.
    CatchUp,
    /// Present, waiting for others or for the window's boundary.
    Idle,
}

/// All rows of a run so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rows {
    /// One a round.
    pub rounds: Vec<RoundRow>,
    /// One a peer and round.
    pub peers: Vec<PeerRow>,
    /// One an evaluation.
    pub evaluations: Vec<EvaluationRow>,
    /// The timeline.
    pub timeline: Vec<IntervalRow>,
    /// One a validator, peer and round.
    pub scores: Vec<ScoreRow>,
    /// One a pair of gathered payloads and round.
    pub overlaps: Vec<OverlapRow>,
}
