//! RMSNorm, SwiGLU and cross-entropy, forward and backward, one pass each over rows.
//!
//! Every function is a loop that inlines into `pulp`'s dispatcher, which runs it with the widest vectors there are.

use pulp::Arch;

use crate::training::lanes::{self, dot, dot3, exp, reduce, sigmoid, vectorised};

/// Added to the mean square in an RMSNorm.
pub const EPSILON: f32 = 1e-5;

/// Normalises rows: s = 1/√(mean(x²) + ε), n = s·x·gain; keeps s for the backward pass.
pub fn rms_norm(arch: Arch, x: &[f32], gain: &[f32], scales: &mut [f32], n: &mut [f32]) {
    let width = gain.len();
    vectorised(
        arch,
        #[inline(always)]
        || {
            for ((x, n), scale) in x.chunks_exact(width).zip(n.chunks_exact_mut(width)).zip(&mut *scales) {
                *scale = normalise(x, gain, n);
            }
        },
    );
}

/// Adds a branch to the residual stream and normalises the sum: x ← x + residual, then as [`rms_norm`].
pub fn add_rms_norm(arch: Arch, x: &mut [f32], residual: &[f32], gain: &[f32], scales: &mut [f32], n: &mut [f32]) {
    let width = gain.len();
    vectorised(
        arch,
        #[inline(always)]
        || {
            let rows = x.chunks_exact_mut(width).zip(residual.chunks_exact(width)).zip(n.chunks_exact_mut(width));
            for (((x, residual), n), scale) in rows.zip(&mut *scales) {
                for (x, &residual) in x.iter_mut().zip(residual) {
                    *x += residual;
                }
                *scale = normalise(x, gain, n);
            }
        },
    );
}

#[inline(always)]
fn normalise(x: &[f32], gain: &[f32], n: &mut [f32]) -> f32 {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + EPSILON).sqrt();
    for ((n, &x), &gain) in n.iter_mut().zip(x).zip(gain) {
        *n = x * scale * gain;
    }
    scale
}

/// Normalises rows again with the scales that the forward pass kept.
pub fn rms_norm_again(arch: Arch, x: &[f32], gain: &[f32], scales: &[f32], n: &mut [f32]) {
    let width = gain.len();
    vectorised(
        arch,
        #[inline(always)]
        || {
            for ((x, n), &scale) in x.chunks_exact(width).zip(n.chunks_exact_mut(width)).zip(scales) {
                for ((n, &x), &gain) in n.iter_mut().zip(x).zip(gain) {
                    *n = x * scale * gain;
                }
            }
        },
    );
}

/// Backward of [`rms_norm`], adding to dx and to the gain's gradient.
///
/// dx += s·(dn·gain − x·s²·mean(dn·gain·x)); dgain += Σ rows dn·s·x.
pub fn rms_norm_backward(
    arch: Arch,
    dx: &mut [f32],
    d_gain: &mut [f32],
    dn: &[f32],
    x: &[f32],
    gain: &[f32],
    scales: &[f32],
) {
    let width = gain.len();
    let d_gain = &mut d_gain[..width];
    vectorised(
        arch,
        #[inline(always)]
        || {
            let rows = dx.chunks_exact_mut(width).zip(dn.chunks_exact(width)).zip(x.chunks_exact(width));
            for (((dx, dn), x), &scale) in rows.zip(scales) {
                let pull = scale * scale * dot3(dn, gain, x) / width as f32;
                let columns = dx.iter_mut().zip(&mut *d_gain).zip(dn).zip(x).zip(gain);
                for ((((dx, d_gain), &dn), &x), &gain) in columns {
                    *dx = scale.mul_add(dn.mul_add(gain, -x * pull), *dx);
                    *d_gain = dn.mul_add(scale * x, *d_gain);
                }
            }
        },
    );
}

/// h = silu(gate)·up with rows \[gate | up\] of width 2F.
pub fn swiglu(arch: Arch, gate_up: &[f32], h: &mut [f32], feed_forward: usize) {
    vectorised(
        arch,
        #[inline(always)]
        || {
            for (row, h) in gate_up.chunks_exact(2 * feed_forward).zip(h.chunks_exact_mut(feed_forward)) {
                let (gate, up) = row.split_at(feed_forward);
                for ((h, &gate), &up) in h.iter_mut().zip(gate).zip(up) {
                    *h = gate * sigmoid(gate) * up;
                }
            }
        },
    );
}

/// Backward of [`swiglu`]: turns \[gate | up\] into its gradient, and dh into h, which the weights' gradient needs.
pub fn swiglu_backward(arch: Arch, gate_up: &mut [f32], dh: &mut [f32], feed_forward: usize) {
    vectorised(
        arch,
        #[inline(always)]
        || {
            for (row, dh) in gate_up.chunks_exact_mut(2 * feed_forward).zip(dh.chunks_exact_mut(feed_forward)) {
                let (gate, up) = row.split_at_mut(feed_forward);
                for ((dh, gate), up) in dh.iter_mut().zip(gate).zip(up) {
                    let s = sigmoid(*gate);
                    let silu = *gate * s;
                    let d = *dh;
                    *dh = silu * *up;
                    *gate = d * *up * s.mul_add(1.0 - silu, silu);
                    *up = d * silu;
                }
            }
        },
    );
}

/// Cross-entropy of each row of logits [nats]: loss = ln Σ e^z − z\[target\].
pub fn cross_entropy(arch: Arch, logits: &[f32], targets: &[u32], losses: &mut [f32]) {
    vectorised(
        arch,
        #[inline(always)]
        || {
            let vocabulary = logits.len() / targets.len();
            for ((logits, &target), loss) in logits.chunks_exact(vocabulary).zip(targets).zip(&mut *losses) {
                let max = lanes::max(logits);
                let sum = reduce(logits, logits, |sum, z, _| sum + exp(z - max));
                *loss = sum.ln() + max - logits[target as usize];
            }
        },
    );
}

/// As [`cross_entropy`], and turns the logits into their gradient, (softmax(z) − onehot(target))·weight.
pub fn cross_entropy_gradient(arch: Arch, logits: &mut [f32], targets: &[u32], losses: &mut [f32], weight: f32) {
    vectorised(
        arch,
        #[inline(always)]
        || {
            let vocabulary = logits.len() / targets.len();
            for ((logits, &target), loss) in logits.chunks_exact_mut(vocabulary).zip(targets).zip(&mut *losses) {
                let max = lanes::max(logits);
                let aim = logits[target as usize];
                for z in &mut *logits {
                    *z = exp(*z - max);
                }
                let sum = reduce(logits, logits, |sum, z, _| sum + z);
                *loss = sum.ln() + max - aim;
                let factor = weight / sum;
                for z in &mut *logits {
                    *z *= factor;
                }
                logits[target as usize] -= weight;
            }
        },
    );
}
