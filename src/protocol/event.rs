//! Everything that can happen in a swarm.

use serde::{Deserialize, Serialize};

use crate::net::FlowId;
use crate::quantity::PeerId;
use crate::sim::{Audit, Audited};

/// One event; what became stale by the time it happens carries the number by which it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Transfers have ended or may begin to flow.
    NetworkWake,
    /// A window ends and the next begins.
    Boundary,
    /// Uploads of the round count no longer; the gather set is fixed.
    UploadDeadline,
    /// Gathers of the round that are not done have failed.
    GatherTimeout {
        /// The round whose gather it is.
        round: u32,
    },
    /// A peer has done its inner steps (barrier).
    TrainingDone {
        /// Who.
        peer: PeerId,
        /// In which round.
        round: u32,
        /// In which session.
        session: u64,
    },
    /// The barrier waits no longer.
    BarrierTimeout {
        /// In which round.
        round: u32,
    },
    /// The ring's hops have all been made.
    RingDone {
        /// In which round.
        round: u32,
        /// The how-manieth ring of the round.
        attempt: u32,
    },
    /// A transfer has lasted too long.
    TransferTimeout {
        /// Whose transfer.
        peer: PeerId,
        /// Which.
        flow: FlowId,
    },
    /// A peer that uploads late begins to.
    LateUpload {
        /// Who.
        peer: PeerId,
        /// In which round.
        round: u32,
    },
    /// A new identity registers.
    Arrival {
        /// Who; identities are numbered beforehand.
        peer: PeerId,
    },
    /// A peer comes back.
    SessionStart {
        /// Who.
        peer: PeerId,
        /// The session that begins.
        session: u64,
    },
    /// A peer wants to leave, or crashes.
    SessionEnd {
        /// Who.
        peer: PeerId,
        /// The session that ends.
        session: u64,
    },
    /// A peer leaves for good.
    ResidenceEnd {
        /// Who.
        peer: PeerId,
    },
}

impl Audited for Event {
    fn feed(&self, audit: &mut Audit) {
        let (kind, a, b): (u64, u64, u64) = match *self {
            Self::NetworkWake => (0, 0, 0),
            Self::Boundary => (1, 0, 0),
            Self::UploadDeadline => (2, 0, 0),
            Self::GatherTimeout { round } => (3, round.into(), 0),
            Self::TrainingDone { peer, round, session } => (4, u64::from(peer.0) << 32 | u64::from(round), session),
            Self::BarrierTimeout { round } => (5, round.into(), 0),
            Self::RingDone { round, attempt } => (6, round.into(), attempt.into()),
            Self::TransferTimeout { peer, flow } => (7, peer.0.into(), flow.as_u64()),
            Self::Arrival { peer } => (8, peer.0.into(), 0),
            Self::SessionStart { peer, session } => (9, peer.0.into(), session),
            Self::SessionEnd { peer, session } => (10, peer.0.into(), session),
            Self::ResidenceEnd { peer } => (11, peer.0.into(), 0),
            Self::LateUpload { peer, round } => (12, peer.0.into(), round.into()),
        };
        audit.u64(kind);
        audit.u64(a);
        audit.u64(b);
    }
}
