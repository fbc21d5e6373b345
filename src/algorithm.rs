//! Numerics on slices: no time, no network, no tensors library.
//!
//! Legend: R peers, H inner steps, C chunk length, k kept per chunk, P parameters.
//!
//! A peer's round is [`codec::encode`], everybody's is [`codec::decode`], [`aggregate::aggregate`] and
//! [`outer::OuterState::step`]. Results depend on the arguments alone: loops that run on wide registers do the same
//! operations in the same order on every instruction set, without fused multiply-adds.

pub mod adamw;
pub mod aggregate;
pub mod chunk;
pub mod codec;
pub mod contribution;
pub mod error_feedback;
pub mod layout;
pub mod outer;
pub mod pack;
pub mod quantize;
pub mod reduce;
pub mod spec;
pub mod top_k;
pub mod vectorised;

pub use contribution::Contribution;
pub use layout::{Layout, Tensor};
