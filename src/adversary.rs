//! Peers that lie: what they do instead of the protocol, and what they know.
//!
//! ```text
//! spec        behaviours, and when they are taken up, as plain data
//! membership  which identities lie
//! conduct     what a behaviour changes in the life of a peer: steps, data, model, moment of the upload
//! forge       the payload that is sent instead of the honest one
//!   fabricated    made up: random, zero, noise added
//!   scaled        the own payload, turned around or blown up
//!   copied        somebody's: an own old one, another peer's
//!   colluding     made from what the honest sent: A Little Is Enough, inner-product manipulation
//!   malformed     what no honest encoder writes
//! ```
//!
//! A liar is otherwise an ordinary peer: it has a device and links, comes and goes, downloads and catches up. Lying is
//! known to nobody in the simulation but the tables, where every row of a peer says how it behaved in the round.
//!
//! Not modelled: attacks on the store, the chain or the links themselves, and liars that adapt to a validator's published
//! weights beyond what [`spec::When`] can say.

pub mod conduct;
pub mod forge;
pub mod membership;
pub mod spec;

mod colluding;
mod copied;
mod fabricated;
mod malformed;
mod scaled;
