//! Real training of the proxy model on every virtual peer.

pub mod backend;
pub mod spec;

pub use backend::{InnerPhase, InnerState, PhaseOutcome, TrainingBackend};
