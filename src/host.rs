//! The only place with wall-clock, threads of its own, signals and tokio: it drives a swarm and keeps what it makes.

pub mod bench;
pub mod interrupt;
pub mod measure;
pub mod plan;
pub mod run;
pub mod sweep;

pub use interrupt::Interrupt;
pub use run::{End, HostError, Options, run};
pub use sweep::sweep;
