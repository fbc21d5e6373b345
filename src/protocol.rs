//! The protocol as pure state machines: peers, rounds, selection, catch-up.

pub mod rows;
pub mod spec;
