//! `AdamW`'s step on flat slices: one pass over parameters, gradient and moments.
//!
//! ```text
//! g ← scale·g     m ← β₁m + (1−β₁)g     v ← β₂v + (1−β₂)g²
//! θ ← (1 − lr·decay)·θ − lr/(1−β₁ᵗ) · m / (√v / √(1−β₂ᵗ) + ε)
//! ```
//!
//! as `PyTorch` does it. The operations and their order are the same on every instruction set.

use super::spec::AdamW;

/// One step; `step` counts from 1, the gradient is multiplied by `gradient_scale` first.
pub fn adamw_step(
    spec: &AdamW,
    theta: &mut [f32],
    gradient: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    step: u64,
    lr: f32,
    gradient_scale: f32,
) {
    let [beta1, beta2] = spec.betas;
    let correction = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
    let step_size = (f64::from(lr) / correction(beta1)) as f32;
    let root_scale = (1.0 / correction(beta2).sqrt()) as f32;
    let (keep, epsilon) = (1.0 - lr * spec.weight_decay, spec.epsilon);
    pulp::Arch::new().dispatch(|| {
        for (((theta, &gradient), m), v) in theta.iter_mut().zip(gradient).zip(&mut *m).zip(&mut *v) {
            let g = gradient * gradient_scale;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *theta = keep * *theta - step_size * *m / (v.sqrt() * root_scale + epsilon);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::spec::Schedule;

    #[test]
    fn the_first_step_is_lr_times_the_sign() {
        // After bias correction m̂/√v̂ is the sign of the gradient; decay takes lr·0.1·θ besides.
        let spec = AdamW {
            learning_rate: 0.1,
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay: 0.1,
            gradient_clip: None,
            schedule: Schedule::Constant,
        };
        let (mut theta, mut m, mut v) = ([1.0, -1.0], [0.0; 2], [0.0; 2]);
        adamw_step(&spec, &mut theta, &[3.0, -0.01], &mut m, &mut v, 1, 0.1, 1.0);
        assert!((theta[0] - 0.89).abs() < 1e-6 && (theta[1] + 0.89).abs() < 1e-5, "{theta:?}");
    }
}
