//! Gauntlet as in production: who is worth listening to, and what it is paid.
//!
//! One window of a validator, in order:
//!   1. every other window a new list of whom everybody gathers, by weight ([`Validator::refresh`])
//!   2. what the gather showed: inactive, copying, out-of-sync and missing peers ([`Validator::gathered`])
//!   3. whom to evaluate ([`Validator::choose`])
//!   4. what the evaluations say: indicator averages, ratings, final scores, weights ([`Validator::judge`])
//!
//! final score = (mu − 3·sigma) · max(0, indicator average) · sync score
//!
//! ```text
//! spec      every number and switch, as plain data
//! gauntlet  the state of one validator, and its transitions
//! record    what it remembers of one peer
//! score     losses before and after a payload was tried
//! rating    Plackett-Luce ratings of a window's scores
//! sync      how many outer steps a peer is behind
//! overlap   how much of two payloads' indices is the same
//! penalty   what a misdeed is called
//! schedule  bins and draws: evaluations, newcomers
//! weights   from final scores to pay; several validators
//! ```
//!
//! A validator gets numbers and returns decisions: it knows no clock, no network and holds no parameters. All of its
//! state is plain data, and the same calls give the same decisions.
//!
//! Not modelled: reuse of an identity by another key (a naughty one is forgiven there), the chain's own smoothing of
//! weights, f32 rounding of scores.
//! Source: the public code of Covenant-72B (`validator.py`, `neurons.py`, v2.1.28), whose quirks are kept and named
//! where they arise; the Gauntlet paper (arXiv 2505.21684) for [`spec::Gauntlet::paper`].

pub mod gauntlet;
pub mod overlap;
pub mod penalty;
pub mod rating;
pub mod record;
pub mod schedule;
pub mod score;
pub mod spec;
pub mod sync;
pub mod weights;

pub use gauntlet::{Evaluation, Gathering, Row, Validator, Verdict};
pub use penalty::{Cause, Penalty};
pub use record::Record;
