//! What a payload could not carry is remembered and sent later.
//!
//! ```text
//! e ← β·e + Δ      before the selection
//! e ← e − decoded  at the kept entries: the quantisation error stays, too
//! ```
//!
//! The learning rate of the outer step is not part of it. The order of operations is the public code's.

#![expect(
    clippy::inline_always,
    reason = "what runs inside `dispatch` is compiled for the registers found at run time"
)]

/// How Δ enters the residual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accumulation {
    /// e ← β·e + Δ.
    Decayed(f32),
    /// e ← Δ: there is no residual yet, or β is 0.
    Fresh,
}

impl Accumulation {
    /// For a residual that is kept with decay `beta` and is empty before the first payload.
    #[must_use]
    pub fn of(beta: f32, residual: &[f32]) -> Self {
        if beta == 0.0 || residual.is_empty() { Self::Fresh } else { Self::Decayed(beta) }
    }

    /// Adds `delta` to the residual; both of one length.
    #[inline(always)]
    pub fn add(self, residual: &mut [f32], delta: &[f32]) {
        match self {
            Self::Decayed(beta) => residual.iter_mut().zip(delta).for_each(|(e, &delta)| *e = *e * beta + delta),
            Self::Fresh => residual.copy_from_slice(delta),
        }
    }
}
