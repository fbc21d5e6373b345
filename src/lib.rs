//! A wind tunnel for permissionless low-communication training.
//!
//! A discrete-event simulation moves churning peers, their GPUs, links and payloads through virtual time, at the size of
//! a real deployment, while every peer really trains a scaled-down model and every payload is really compressed, decoded
//! and aggregated.
//!
//! ```text
//! cli ──> host ──> scenario    one YAML file, checked whole
//!           │ ───> protocol    peers, rounds, selection: state transitions
//!           │        ├──> sim        the clock, the queue, named randomness, the audit
//!           │        ├──> adversary  peers that lie
//!           │        ├──> net        links shared max-min fairly, rings
//!           │        ├──> cost       devices, deployment shapes, distributions
//!           │        ├──> validator  Gauntlet: ratings, penalties, weights, the list
//!           │        ├──> algorithm  codec, aggregation, outer step: numerics on slices
//!           │        └──> training   the seam to what really trains
//!           │ ───> training    llama and quadratic, data, one thread a peer
//!           └ ───> record ──> report   rows to tables, tables to figures
//! quantity  bytes, durations, bandwidths: everybody's
//! ```
//!
//! The same scenario, seed and program give the same events, the same audit hash and the same tables, for any number of
//! threads, with or without an interruption. `tests/house.rs` keeps the arrows.

pub mod adversary;
pub mod algorithm;
pub mod cli;
pub mod cost;
pub mod host;
pub mod net;
pub mod protocol;
pub mod quantity;
pub mod record;
pub mod report;
pub mod scenario;
pub mod sim;
pub mod training;
pub mod validator;
