//! The run directory: what a run leaves behind, and how it is read again.
//!
//! ```text
//! manifest.json      what was run: resolved scenario, seed, program, audit hash, rounds done, status, references
//! host.json          what the host measured: wall-clock, memory, threads; nothing else may depend on it
//! rounds.parquet     one row an outer step
//! peers.parquet      one row a peer and round
//! evaluations.parquet, timeline.parquet
//! scores.parquet     one row a validator, peer and round; overlaps.parquet: one a pair of gathered payloads
//! checkpoint/        the last two checkpoints
//! summary.md, figures/*.svg
//! ```
//!
//! Equal rows give byte-identical tables, whatever the host. Every file is written to a temporary file in its directory,
//! synced and renamed: under a final name there is always a whole file. One process at a time holds a run directory.
//!
//! The columns are the fields of [`rows`](crate::protocol::rows), in their order; `results/README.md` gives the type, unit
//! and meaning of each.

mod atomic;
pub mod checkpoint;
pub mod directory;
pub mod error;
pub mod manifest;
pub mod sweep;
pub mod tables;

pub use checkpoint::{Restored, scenario_hash};
pub use directory::RunDirectory;
pub use error::RecordError;
pub use manifest::{HostReport, Manifest, References, Status};
pub use sweep::SweepDirectory;
pub use tables::Table;
