//! One participant: where it is in its life and in the round.

use serde::{Deserialize, Serialize};

use super::population::Profile;
use super::rows::Phase;
use crate::net::{EndpointId, FlowId};
use crate::quantity::PeerId;
use crate::sim::SimTime;

/// A participant's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Who.
    pub id: PeerId,
    /// What it is.
    pub profile: Profile,
    /// Its place in the network.
    pub endpoint: EndpointId,
    /// Whether it is there.
    pub presence: Presence,
    /// The session that runs or ran last.
    pub session: u64,
    /// Its residence is over: the next leave is for good.
    pub retiring: bool,
    /// It leaves when the round lets it.
    pub leaving: bool,
    /// The t of the θ(t) it holds; `None`: none, or lost in a crash.
    pub held: Option<u32>,
    /// When it registered; with the number it gives the order of registration.
    pub registered: SimTime,
    /// What it does.
    pub activity: Activity,
    /// The round that the activity belongs to.
    pub activity_round: u32,
    /// Since when.
    pub since: SimTime,
}

/// Whether a peer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// Has not registered yet.
    Unborn,
    /// There.
    Present,
    /// Between two sessions.
    Absent,
    /// Left for good.
    Gone,
}

/// What a present peer does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Activity {
    /// Waits for the others or for a boundary.
    Idle,
    /// Takes inner steps.
    Training,
    /// Sends its payload to the store.
    Uploading {
        /// The transfer.
        flow: FlowId,
    },
    /// Gets another's payload, to send it as its own.
    Copying {
        /// The transfer.
        flow: FlowId,
    },
    /// Gets the gather set's payloads from the store.
    Gathering {
        /// The transfer under way; `None` while it waits for payloads that have not arrived in the store.
        flow: Option<FlowId>,
        /// Whether stand-ins have been asked for.
        second_phase: bool,
    },
    /// Takes part in a ring or an all-to-all.
    Exchanging,
    /// Gets the model.
    CatchingUp {
        /// The transfer.
        flow: FlowId,
        /// The t of the θ(t) that it gets.
        target: u32,
    },
}

impl Activity {
    /// The phase in which the activity is drawn.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Idle => Phase::Idle,
            Self::Training => Phase::Compute,
            Self::Uploading { .. } => Phase::Upload,
            Self::Copying { .. } | Self::Gathering { .. } => Phase::Download,
            Self::Exchanging => Phase::Exchange,
            Self::CatchingUp { .. } => Phase::CatchUp,
        }
    }
}

impl Peer {
    /// Whether it is there.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.presence == Presence::Present
    }
}
