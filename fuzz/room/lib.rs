//! The algorithm room of the program, alone: `algorithm.rs` and `algorithm/` here are links to it.

pub mod algorithm;
