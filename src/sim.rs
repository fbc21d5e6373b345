//! The discrete-event kernel: virtual time, the event queue, named random streams and the rolling audit.
//!
//! Order of events is (time, sequence): integer nanoseconds first, then the order in which they were scheduled. An
//! event is dispatched to the [`World`], which changes its state and writes what shall follow into an [`Outbox`]; it
//! never sees the queue, so that a test can hand an event to a world and read the effects without a kernel:
//!
//! ```
//! use swarmloco::quantity::Duration;
//! use swarmloco::sim::{Audit, Audited, Kernel, Outbox, SimTime, World};
//!
//! /// Halves its delay until nothing is left of it.
//! struct Bouncing(u64);
//!
//! struct Bounce;
//!
//! impl Audited for Bounce {
//!     fn feed(&self, _: &mut Audit) {}
//! }
//!
//! impl World for Bouncing {
//!     type Event = Bounce;
//!
//!     fn handle(&mut self, _now: SimTime, _event: Bounce, outbox: &mut Outbox<Bounce>) {
//!         self.0 /= 2;
//!         if self.0 > 0 {
//!             outbox.after(Duration::from_nanos(self.0), Bounce);
//!         }
//!     }
//! }
//!
//! let mut kernel = Kernel::new();
//! kernel.prepare(|outbox| outbox.at(SimTime::from_nanos(1), Bounce));
//! let mut world = Bouncing(8);
//! while kernel.step(&mut world) {}
//! assert_eq!(kernel.now(), SimTime::from_nanos(1 + 4 + 2 + 1));
//! assert_eq!(kernel.dispatched(), 4);
//! ```
//!
//! Nothing here knows a peer or a tensor. Everything is plain data: a kernel that is written, read back and continued
//! dispatches the same events in the same order and arrives at the same audit hash.

mod audit;
mod kernel;
mod queue;
mod streams;
mod time;

pub use audit::{Audit, Audited};
pub use kernel::{Kernel, Outbox, World};
pub use queue::{EventKey, EventQueue};
pub use streams::Streams;
pub use time::SimTime;
