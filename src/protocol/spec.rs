//! The rules of a round and the population, as plain data.

use serde::{Deserialize, Serialize};

pub use crate::algorithm::codec::Checks;
use crate::algorithm::spec::{Aggregation, Compression, OuterOptimizer};
use crate::cost::{Device, Distribution};
pub use crate::net::store::LastModified;
use crate::quantity::{Bandwidth, Duration};
use crate::training::spec::InnerOptimizer;
use crate::validator::spec::Gauntlet;

/// The algorithm and the round rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// H.
    pub inner_steps: u32,
    /// The local optimizer.
    pub inner_optimizer: InnerOptimizer,
    /// How pseudo-gradients become payloads.
    pub compression: Compression,
    /// How much a receiver checks of a payload.
    pub checks: Checks,
    /// How payloads reach the others.
    pub exchange: Exchange,
    /// How contributions are combined.
    pub aggregation: Aggregation,
    /// The update of θ(t).
    pub outer_optimizer: OuterOptimizer,
    /// When a round ends.
    pub round: RoundRule,
}

/// How payloads reach the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Everyone puts its payload into an object store and gets the others' from it.
    ObjectStore,
    /// Ring all-reduce; barrier rounds with dense or int8 payloads only.
    Ring,
    /// Everyone sends its payload to everyone; barrier rounds only.
    AllToAll,
}

/// When a round ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundRule {
    /// Fixed slots of wall-clock.
    Window(Window),
    /// The round ends when its peers do.
    Barrier(Barrier),
}

/// Fixed slots of wall-clock, as in production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Length of a window; inner steps stop at its end.
    pub length: Duration,
    /// Uploads count until this long after the boundary.
    pub upload_deadline: Duration,
    /// Size of the gather set.
    pub gather: u32,
    /// Stand-ins for missing payloads.
    pub reserve: u32,
    /// A gather that takes longer than this from the boundary fails, and the peer must catch up.
    pub gather_timeout: Duration,
}

/// Rounds that wait for their peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Barrier {
    /// For whom the exchange waits.
    pub wait: Wait,
    /// The exchange starts at the latest this long after the round began, with those that are done.
    pub timeout: Option<Duration>,
}

/// For whom a barrier waits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Everyone who began the round and is still there.
    All,
    /// This share of those who began the round and are still there, rounded up.
    Quorum(f64),
}

/// A kind of peer, and how many of them there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerClass {
    /// Name of the class.
    pub name: String,
    /// Identities that are registered at the start.
    pub count: u32,
    /// What computes.
    pub compute: Compute,
    /// Spread of compute speed.
    pub jitter: Jitter,
    /// Uplink \[bit/s\], drawn once a peer.
    pub uplink: Distribution,
    /// Downlink \[bit/s\], drawn once a peer.
    pub downlink: Distribution,
    /// One-way latency to the store or to another peer \[s\], drawn once a peer.
    pub latency: Distribution,
    /// Sessions and absences; `None`: always there.
    pub availability: Option<Availability>,
    /// New identities over time; `None`: nobody else arrives.
    pub arrivals: Option<Arrivals>,
}

impl PeerClass {
    /// Identities of the class over the whole run.
    #[must_use]
    pub fn identities(&self) -> u32 {
        self.arrivals.as_ref().map_or(self.count, |arrivals| arrivals.cap.max(self.count))
    }
}

/// How long an inner step takes; of a validator, an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// From the FLOPs of the deployment model.
    Device(Device),
    /// As stated.
    StepTime(Duration),
}

/// Spread of compute speed: lognormal factors with median 1 on the time of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Jitter {
    /// Sigma of the factor drawn once a peer.
    pub peer: f64,
    /// Sigma of the factor drawn each step.
    pub step: f64,
}

/// Sessions and absences of a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Availability {
    /// Length of a session \[s\].
    pub session: Distribution,
    /// Length of an absence \[s\].
    pub absence: Distribution,
    /// Probability that a session ends in a crash (at once, optimizer state and error feedback lost) rather than
    /// gracefully (after the round in progress, state kept).
    pub crash: f64,
    /// Time from arrival until an identity leaves for good \[s\]; `None`: never.
    pub residence: Option<Distribution>,
}

/// Poisson arrivals of new identities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    /// Mean time between arrivals.
    pub mean_interval: Duration,
    /// No more identities of the class than this, those of the start included.
    pub cap: u32,
}

/// Validators: their rules, and what they compute with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// What they do.
    pub rules: Gauntlet,
    /// Who they are; at least one.
    pub seats: Vec<Seat>,
    /// Whether another takes over the list of a leader that is out.
    pub failover: bool,
    /// What a validator computes with: a device, or the stated time of an evaluation.
    pub compute: Compute,
    /// What a validator downloads with.
    pub downlink: Bandwidth,
}

/// One validator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    /// Its stake, in any unit.
    pub stake: f64,
    /// Rounds `from..until` in which it is out.
    pub outages: Vec<[u32; 2]>,
}

impl Seat {
    /// Whether it works in `round`.
    #[must_use]
    pub fn is_live(&self, round: u32) -> bool {
        !self.outages.iter().any(|&[from, until]| (from..until).contains(&round))
    }
}

/// The object store and its patience.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// What the store takes in from all peers together; `None`: no limit.
    pub store_ingress: Option<Bandwidth>,
    /// What the store gives out to all peers together; `None`: no limit.
    pub store_egress: Option<Bandwidth>,
    /// An upload that lasts longer is given up and leaves nothing; `None`: never.
    pub put_timeout: Option<Duration>,
    /// A download that lasts longer is given up; `None`: never.
    pub get_timeout: Option<Duration>,
    /// How the store dates an upload; by this date a payload is in time or late.
    pub last_modified: LastModified,
}
