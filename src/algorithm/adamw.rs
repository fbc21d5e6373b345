//! The `AdamW` step on slices, one pass; inner and outer optimizer use the same.
//!
//! ```text
//! g ← gradient_scale · g
//! m ← m + (1 − β1)·(g − m)         v ← β2·v + (1 − β2)·g²
//! θ ← θ − lr·decay·θ − lr/(1 − β1^t) · m / (√v / √(1 − β2^t) + ε)
//! ```
//!
//! The order of operations is `PyTorch`'s (`torch.optim.AdamW`, not fused): constants of a step are computed in f64 and
//! rounded to f32 once, elements are f32 without fused multiply-adds, on every instruction set.

use pulp::Arch;

use super::reduce;
use super::spec::AdamW;

/// Keeps the factor of a zero gradient finite, as `torch.nn.utils.clip_grad_norm_` does.
const NORM_EPSILON: f64 = 1e-6;

/// The factor that limits a gradient's global L2 norm to `limit`; 1 without a limit.
#[must_use]
pub fn clip_factor(gradient: &[f32], limit: Option<f32>) -> f32 {
    limit.map_or(1.0, |limit| (f64::from(limit) / (reduce::norm(gradient) + NORM_EPSILON)).min(1.0) as f32)
}

/// Takes step number `step` (from 1) with learning rate `lr`; all slices have one length.
///
/// Of `spec` it uses betas, epsilon and weight decay: clipping is `gradient_scale`, the schedule is in `lr`.
///
/// # Panics
/// If lengths differ or `step` is 0.
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
    let length = theta.len();
    assert!(gradient.len() == length && m.len() == length && v.len() == length, "a moment belongs to each parameter");
    assert!(step > 0, "steps count from 1");
    let [beta1, beta2] = spec.betas.map(f64::from);
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    let step_size = (f64::from(lr) / correction(beta1)) as f32;
    let root_correction = correction(beta2).sqrt() as f32;
    let (gain1, gain2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
    let (beta2, epsilon) = (spec.betas[1], spec.epsilon);
    let keep = (1.0 - f64::from(lr) * f64::from(spec.weight_decay)) as f32;
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (((theta, &g), m), v) in theta.iter_mut().zip(gradient).zip(m).zip(v) {
                let g = g * gradient_scale;
                *m += gain1 * (g - *m);
                *v = beta2 * *v + gain2 * (g * g);
                let root = v.sqrt() / root_correction + epsilon;
                *theta = *theta * keep - step_size * (*m / root);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::spec::Schedule;

    fn spec(weight_decay: f32) -> AdamW {
        AdamW {
            learning_rate: 0.01,
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay,
            gradient_clip: None,
            schedule: Schedule::Constant,
        }
    }

    #[test]
    fn the_first_step_moves_by_the_learning_rate_against_the_sign() {
        let mut theta = [1.0, 1.0, 1.0];
        adamw_step(&spec(0.0), &mut theta, &[0.3, -2.0, 0.0], &mut [0.0; 3], &mut [0.0; 3], 1, 0.01, 1.0);
        for (theta, expected) in theta.into_iter().zip([0.99, 1.01, 1.0]) {
            assert!((theta - expected).abs() < 1e-6, "{theta}");
        }
    }

    #[test]
    fn a_hundred_steps_follow_the_textbook_in_f64() {
        let spec = spec(0.1);
        let (mut theta, mut m, mut v) = ([0.5_f32; 37], [0.0_f32; 37], [0.0_f32; 37]);
        let (mut exact, mut exact_m, mut exact_v) = ([0.5_f64; 37], [0.0_f64; 37], [0.0_f64; 37]);
        let (b1, b2) = (f64::from(0.9_f32), f64::from(0.95_f32));
        for step in 1..=100_u64 {
            let gradient: Vec<f32> = (0..37).map(|i| ((i as f32 + 0.1 * step as f32) * 0.7).sin()).collect();
            let lr = 0.01 / step as f32;
            adamw_step(&spec, &mut theta, &gradient, &mut m, &mut v, step, lr, 0.5);
            for i in 0..37 {
                let g = 0.5 * f64::from(gradient[i]);
                exact_m[i] = b1 * exact_m[i] + (1.0 - b1) * g;
                exact_v[i] = b2 * exact_v[i] + (1.0 - b2) * g * g;
                let mean = exact_m[i] / (1.0 - b1.powi(step as i32));
                let spread = (exact_v[i] / (1.0 - b2.powi(step as i32))).sqrt() + 1e-8;
                exact[i] -= f64::from(lr) * (0.1 * exact[i] + mean / spread);
            }
        }
        for (theta, exact) in theta.into_iter().zip(exact) {
            assert!((f64::from(theta) - exact).abs() < 2e-6, "{theta} {exact}");
        }
    }

    #[test]
    fn clipping_limits_the_norm() {
        assert_eq!(clip_factor(&[3.0, 4.0], None), 1.0);
        assert_eq!(clip_factor(&[3.0, 4.0], Some(10.0)), 1.0);
        assert!((clip_factor(&[3.0, 4.0], Some(1.0)) - 0.2).abs() < 1e-6);
        assert_eq!(clip_factor(&[0.0, 0.0], Some(1.0)), 1.0);
    }
}
