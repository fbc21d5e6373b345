//! The outer step: θ(t) and the aggregate Δ give θ(t+1).
//!
//! ```text
//! SGD       θ ← θ − alpha·Δ
//! Nesterov  m ← mu·m + Δ;  θ ← θ − alpha·(Δ + mu·m)      (PyTorch's; m starts as Δ)
//! AdamW     see `adamw`, with the global norm clipped and the learning rate scheduled
//! ```
//!
//! Δ is start minus end, a descent direction. A tensor whose aggregate was not finite arrives as zeros.

use pulp::Arch;
use serde::{Deserialize, Serialize};

use super::adamw::{adamw_step, clip_factor};
use super::layout::Layout;
use super::spec::OuterOptimizer;

/// What the outer optimizer remembers between steps; the same on all peers.
#[derive(Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OuterState {
    /// Nesterov's m, or `AdamW`'s first moment; empty until needed.
    first_moment: Vec<f32>,
    /// `AdamW`'s second moment; empty until needed.
    second_moment: Vec<f32>,
    /// Steps taken (bias correction).
    steps: u64,
}

impl OuterState {
    /// Takes one step; `step` is its index from 0 in the learning-rate schedule.
    ///
    /// # Panics
    /// If `theta` or `aggregate` has not P values.
    pub fn step(
        &mut self,
        optimizer: &OuterOptimizer,
        layout: &Layout,
        theta: &mut [f32],
        aggregate: &[f32],
        step: u64,
    ) {
        let parameters = layout.parameters();
        assert!(theta.len() == parameters && aggregate.len() == parameters, "an outer step is on P values");
        self.steps += 1;
        match *optimizer {
            OuterOptimizer::Sgd { learning_rate } => Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (theta, &delta) in theta.iter_mut().zip(aggregate) {
                        *theta -= learning_rate * delta;
                    }
                },
            ),
            OuterOptimizer::Nesterov { learning_rate, momentum } => {
                self.first_moment.resize(parameters, 0.0);
                let first_moment = &mut self.first_moment;
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for ((theta, &delta), m) in theta.iter_mut().zip(aggregate).zip(first_moment) {
                            *m = momentum * *m + delta;
                            *theta -= learning_rate * (delta + momentum * *m);
                        }
                    },
                );
            }
            OuterOptimizer::Adamw(ref spec) => {
                self.first_moment.resize(parameters, 0.0);
                self.second_moment.resize(parameters, 0.0);
                adamw_step(
                    spec,
                    theta,
                    aggregate,
                    &mut self.first_moment,
                    &mut self.second_moment,
                    self.steps,
                    spec.learning_rate * spec.schedule.multiplier(step),
                    clip_factor(aggregate, spec.gradient_clip),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::spec::{AdamW, Schedule};

    fn layout(parameters: usize) -> Layout {
        let mut layout = Layout::new();
        layout.push("w", &[parameters]);
        layout
    }

    fn run(optimizer: &OuterOptimizer, deltas: &[f32]) -> f32 {
        let mut state = OuterState::default();
        let mut theta = [1.0];
        for (step, &delta) in deltas.iter().enumerate() {
            state.step(optimizer, &layout(1), &mut theta, &[delta], step as u64);
        }
        theta[0]
    }

    #[test]
    fn sgd_with_alpha_1_lands_where_a_single_peer_stands() {
        // θ − (θ − θ_r) = θ_r
        assert_eq!(run(&OuterOptimizer::Sgd { learning_rate: 1.0 }, &[1.0 - 0.25]), 0.25);
    }

    #[test]
    fn nesterov_is_pytorchs() {
        // torch.optim.SGD(lr=0.5, momentum=0.5, nesterov=True) by its documentation, g = 0.5 then 0.25:
        // b = 0.5, θ = 1 − 0.5·(0.5 + 0.25) = 0.625; b = 0.5, θ = 0.625 − 0.5·(0.25 + 0.25) = 0.375.
        let nesterov = OuterOptimizer::Nesterov { learning_rate: 0.5, momentum: 0.5 };
        assert_eq!(run(&nesterov, &[0.5]), 0.625);
        assert_eq!(run(&nesterov, &[0.5, 0.25]), 0.375);
    }

    #[test]
    fn nesterov_without_momentum_is_sgd() {
        let deltas = [0.3, -0.2, 0.7];
        let nesterov = OuterOptimizer::Nesterov { learning_rate: 0.7, momentum: 0.0 };
        assert_eq!(run(&nesterov, &deltas), run(&OuterOptimizer::Sgd { learning_rate: 0.7 }, &deltas));
    }

    #[test]
    fn adamw_clips_and_follows_its_schedule() {
        let spec = |gradient_clip, schedule| {
            OuterOptimizer::Adamw(AdamW {
                learning_rate: 0.1,
                betas: [0.9, 0.95],
                epsilon: 1.0,
                weight_decay: 0.0,
                gradient_clip,
                schedule,
            })
        };
        // With ε = 1 the step is lr·g/(g + 1): 0.1·1/2 for a gradient clipped to 1.
        let clipped = run(&spec(Some(1.0), Schedule::Constant), &[50.0]);
        assert!((clipped - 0.95).abs() < 1e-6, "{clipped}");
        // Warm-up over 1 step: the first step has half the rate.
        let warm = run(&spec(Some(1.0), Schedule::Cosine { warmup: 1, last: 0.1, steps: 10 }), &[50.0]);
        assert!((warm - 0.975).abs() < 1e-6, "{warm}");
    }
}
