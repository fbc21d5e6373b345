//! `AdamW`'s step on flat slices, until `algorithm` has one.
//!
//! m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; θ ← θ − lr·decay·θ − lr·m̂/(√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ):
//! `PyTorch`'s `AdamW`.

use pulp::Arch;

use super::lanes::vectorised;

use crate::algorithm::spec::AdamW;

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
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            for (((theta, &gradient), m), v) in theta.iter_mut().zip(gradient).zip(&mut *m).zip(&mut *v) {
                let g = gradient * gradient_scale;
                *m = beta1.mul_add(*m, (1.0 - beta1) * g);
                *v = beta2.mul_add(*v, (1.0 - beta2) * g * g);
                *theta = theta.mul_add(keep, -step_size * *m / v.sqrt().mul_add(root_scale, epsilon));
            }
        },
    );
}
