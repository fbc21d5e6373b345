//! Penalties: what a misdeed is called, and what it costs.
//!
//! A factor multiplies the final score and the indicator average, of a positive score only. A final score is computed
//! afresh for everybody in the window's match, so there only what was taken from the indicator average persists.

use serde::{Deserialize, Serialize};

use crate::quantity::PeerId;

/// One misdeed of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Penalty {
    /// Who.
    pub peer: PeerId,
    /// For what.
    pub cause: Cause,
    /// By what a positive score was multiplied.
    pub factor: f64,
}

/// What a peer is punished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was there and is not any more; final score only.
    Inactive,
    /// It has not been there for too long: forgotten.
    Forgotten,
    /// It is still naughty: its record is reset.
    Naughty,
    /// Its payload resembles an earlier one.
    OverlapHigh,
    /// Its payload resembles an earlier one closely: its record is reset.
    OverlapMax,
    /// Its payload is another one's: its record is reset and it is naughty.
    OverlapMega,
    /// It does not hold the current parameters, or does not show them.
    OutOfSync,
    /// Its payload was missing in the gather.
    MissingGather,
    /// Its payloads are often missing in the gather: naughty.
    MissingOften,
    /// Its payload was missing at evaluation.
    MissingEvaluation,
    /// Its payload was no payload; final score only.
    Invalid,
    /// It often makes the model worse.
    Negative,
    /// It always makes the model worse: off the list.
    Excluded,
}

impl Cause {
    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Forgotten => "forgotten",
            Self::Naughty => "naughty",
            Self::OverlapHigh => "overlap_high",
            Self::OverlapMax => "overlap_max",
            Self::OverlapMega => "overlap_mega",
            Self::OutOfSync => "out_of_sync",
            Self::MissingGather => "missing_gather",
            Self::MissingOften => "missing_often",
            Self::MissingEvaluation => "missing_evaluation",
            Self::Invalid => "invalid",
            Self::Negative => "negative",
            Self::Excluded => "excluded",
        }
    }
}
