//! The algorithm room of the program, alone.

#[path = "../src/algorithm.rs"]
pub mod algorithm;
