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
//! The columns are the fields of [`rows`](crate::protocol::rows), in their order. Losses are in nats per token of the
//! proxy, times are virtual seconds since the start of the run, bytes are at deployment scale; "null" says when a value
//! is absent.
//!
//! | table | column | type | unit | meaning |
//! |---|---|---|---|---|
//! | rounds | `round` | u32 | | round t, from 0 |
//! | | `time_s` | f64 | s | when the aggregate was fixed |
//! | | `validation_loss` | f64 | nats/token | of θ(t+1); null where it was not evaluated |
//! | | `training_loss` | f64 | nats/token | mean over contributing peers; null without training |
//! | | `tokens` | u64 | tokens | proxy tokens behind all applied contributions, cumulative |
//! | | `deployment_tokens` | u64 | tokens | the same at deployment scale, cumulative |
//! | | `active` | u32 | peers | took part in the round |
//! | | `contributing` | u32 | peers | are in the aggregate |
//! | | `bytes_up`, `bytes_down` | u64 | bytes | moved by all peers, cumulative |
//! | | `payload_bytes` | u64 | bytes | one peer's payload |
//! | | `utilisation` | f64 | 1 | time in inner phases over time, mean over active peers |
//! | | `aggregate_norm` | f64 | | L2 norm of the aggregate; null without training |
//! | peers | `round`, `peer` | u32 | | which round, who |
//! | | `class` | string | | name of the peer class |
//! | | `behaviour` | string | | `honest`, or what the peer did instead |
//! | | `steps` | u32 | steps | inner steps done |
//! | | `training_loss` | f64 | nats/token | mean over the steps; null without training |
//! | | `outcome` | string | | `gathered`, `reserve`, `not_selected`, `late`, `gone`, `early` or `refused` |
//! | | `compute_s` | f64 | s | in the inner phase |
//! | | `upload_s`, `download_s` | f64 | s | in the transfers; null if they never ended |
//! | | `payload_norm` | f64 | | L2 norm of what was sent; null without training, or if it is refused |
//! | evaluations | `round` | u32 | | outer steps taken before |
//! | | `time_s` | f64 | s | when |
//! | | `tokens`, `bytes_up` | u64 | tokens, bytes | as in rounds |
//! | | `validation_loss` | f64 | nats/token | of the shared model |
//! | | `backdoor_success` | f64 | 1 | share of sequences in which a trigger is answered; null where nobody plants one |
//! | scores | `round`, `validator`, `peer` | u32 | | in which round, whose view, of whom |
//! | | `behaviour` | string | | as in peers |
//! | | `listed` | string | | on the round's list: `gather`, `reserve` or `no` |
//! | | `verdict` | string | | `not_evaluated`, `measured`, `missing`, `invalid` or `unreachable` |
//! | | `own_before`, `own_after`, `random_before`, `random_after` | f64 | nats/token | before and after the payload alone; null where it was not measured |
//! | | `score` | f64 | 1 | relative improvement on random data; null as above |
//! | | `indicator` | f64 | | +1 if own data improved more, else −1; null as above |
//! | | `indicator_average` | f64 | | its moving average |
//! | | `sync` | f64 | 1 | the last sync score |
//! | | `mu`, `sigma` | f64 | | the rating; null before the first match |
//! | | `final_score` | f64 | | what the weight follows from |
//! | | `weight`, `pay` | f64 | 1 | share of all pay, by this validator and by all |
//! | | `penalties` | string | | for what it was punished, joined by `+` |
//! | overlaps | `round`, `first`, `second` | u32 | | in which round, which two peers |
//! | | `honest` | u32 | | 1 if both are, else 0 |
//! | | `overlap` | f64 | 1 | share of equal indices |
//! | timeline | `peer`, `round` | u32 | | who, in which round |
//! | | `phase` | string | | `compute`, `upload`, `download`, `exchange`, `catch_up` or `idle` |
//! | | `start_s`, `end_s` | f64 | s | from when to when |

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
