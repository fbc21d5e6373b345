//! The outer optimizer: the update of θ(t) with an aggregate Δ, which is a descent direction.

use serde::{Deserialize, Serialize};

use super::adamw::adamw_step;
use super::layout::Layout;
use super::reduce;
use super::spec::OuterOptimizer;

/// What the outer optimizer remembers; empty before its first step and for plain SGD.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OuterState {
    momentum: Vec<f32>,
    second_moment: Vec<f32>,
    steps: u64,
}

impl OuterState {
    /// θ ← θ − step on `aggregate`; `step` is the index of the outer step, for schedules.
    ///
    /// SGD: θ ← θ − α·Δ. Nesterov: m ← μ·m + Δ; θ ← θ − α·(Δ + μ·m). `AdamW`: [`adamw_step`], with the aggregate clipped
    /// to the global L2 norm that the optimizer allows.
    pub fn step(
        &mut self,
        optimizer: &OuterOptimizer,
        layout: &Layout,
        theta: &mut [f32],
        aggregate: &[f32],
        step: u64,
    ) {
        assert_eq!((theta.len(), aggregate.len()), (layout.parameters(), layout.parameters()), "both have P values");
        self.steps += 1;
        match optimizer {
            OuterOptimizer::Sgd { learning_rate } => {
                theta.iter_mut().zip(aggregate).for_each(|(theta, delta)| *theta -= learning_rate * delta);
            }
            OuterOptimizer::Nesterov { learning_rate, momentum } => {
                self.momentum.resize(theta.len(), 0.0);
                for ((theta, &delta), buffer) in theta.iter_mut().zip(aggregate).zip(&mut self.momentum) {
                    *buffer = momentum * *buffer + delta;
                    *theta -= learning_rate * (delta + momentum * *buffer);
                }
            }
            OuterOptimizer::Adamw(spec) => {
                self.momentum.resize(theta.len(), 0.0);
                self.second_moment.resize(theta.len(), 0.0);
                let norm = reduce::norm(aggregate);
                let scale = spec.gradient_clip.map_or(1.0, |limit| (f64::from(limit) / (norm + 1e-6)).min(1.0)) as f32;
                let lr = spec.learning_rate * spec.schedule.multiplier(step);
                let (m, v) = (&mut self.momentum, &mut self.second_moment);
                adamw_step(spec, theta, aggregate, m, v, self.steps, lr, scale);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(optimizer: &OuterOptimizer, steps: u64) -> f32 {
        let mut layout = Layout::new();
        layout.push("w", &[1]);
        let (mut state, mut theta) = (OuterState::default(), [0.0]);
        (0..steps).for_each(|step| state.step(optimizer, &layout, &mut theta, &[1.0], step));
        theta[0]
    }

    #[test]
    fn sgd_subtracts_alpha_times_the_aggregate() {
        assert_eq!(run(&OuterOptimizer::Sgd { learning_rate: 0.5 }, 3), -1.5);
    }

    #[test]
    fn nesterov_is_pytorchs() {
        // torch.optim.SGD(lr=1, momentum=0.5, nesterov=True), gradient 1: steps of 1.5, 1.75, 1.875.
        let optimizer = OuterOptimizer::Nesterov { learning_rate: 1.0, momentum: 0.5 };
        assert!((run(&optimizer, 3) + 5.125).abs() < 1e-6);
    }
}
