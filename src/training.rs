//! Real training of the proxy model on every virtual peer.

pub mod adamw;
pub mod backend;
mod lanes;
pub mod llama;
pub mod oracle;
mod pool;
mod quadratic;
pub mod spec;
mod trainer;

pub use backend::{InnerPhase, InnerState, PhaseOutcome, TrainingBackend};
