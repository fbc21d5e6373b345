//! The protocol as pure state machines: peers, rounds, selection, catch-up.
//!
//! ```text
//! spec        the rules, as plain data
//! population  what each peer is: links, speed, sessions; all of it drawn
//! peer        one participant's state
//! swarm       everybody under one clock: one state transition per event
//! lifecycle     register, leave, crash, return, catch up
//! window        rounds in fixed slots of wall-clock
//! barrier       rounds that wait for their peers
//! gather        who is selected, and getting their payloads
//! forgery     liars: who lies, the payloads that are forged, uploads out of time
//! judging     validators: what they see of a round, and what follows
//! learning    θ(t), the learners, and the phases still to be run
//! script      learning that another swarm has done
//! rows        what is recorded; recorder: how it is assembled
//! ```
//!
//! A handler changes the state and puts what shall happen later into the outbox; it never sees the queue.

pub mod barrier;
pub mod event;
pub mod forgery;
pub mod gather;
pub mod judging;
pub mod learning;
mod lifecycle;
pub mod peer;
pub mod population;
pub mod recorder;
pub mod rows;
pub mod script;
pub mod spec;
pub mod swarm;
mod window;

pub use event::Event;
pub use swarm::{Swarm, SwarmSpec, SwarmState};
