//! Anything as a payload: see `harness.rs` for what is done with it and what has to hold.

#![no_main]

use std::sync::OnceLock;

#[path = "../harness.rs"]
mod harness;

static CASES: OnceLock<Vec<harness::Case>> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::try_input(CASES.get_or_init(harness::cases), data));
