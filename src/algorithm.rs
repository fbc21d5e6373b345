//! Numerics on slices: no time, no network, no tensors library.
//!
//! Legend: R peers, H inner steps, C chunk length, k kept per chunk, P parameters.

pub mod aggregate;
pub mod chunk;
pub mod codec;
pub mod error_feedback;
pub mod layout;
pub mod outer;
pub mod pack;
pub mod quantize;
pub mod spec;
pub mod top_k;

pub use layout::{Layout, Tensor};
