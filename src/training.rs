//! Real training of the proxy model on every virtual peer.

pub mod adamw;
pub mod backend;
mod lanes;
pub mod llama;
pub mod oracle;
pub mod spec;

pub use backend::{InnerPhase, InnerState, PhaseOutcome, TrainingBackend};
