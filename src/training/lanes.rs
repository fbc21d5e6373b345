//! Building blocks of the vector loops: sixteen lanes, a polynomial exponential, ordered sums.
//!
//! Everything here is inlined into loops that `pulp` compiles once per instruction set and picks at run time
//! ([`vectorised`]), so no target flags are needed. Sums run over sixteen partial sums (element i goes to lane i mod 16) that are added
//! pairwise at the end, and multiplications feed fused multiply-adds, so the order of a reduction is fixed by this
//! file and not by the width of the machine's vectors.

use pulp::Arch;

pub use crate::algorithm::vectorised::vectorised;

/// Partial sums of a reduction.
pub const LANES: usize = 16;

/// Sixteen values that are worked on together.
pub type Lanes = [f32; LANES];

/// e^x by range reduction to |r| ≤ ln 2 / 2 and a polynomial of degree seven (Cephes `expf`).
///
/// x is clamped to \[−87, 88\]; within that range the relative error is below 2e-7 (tested against f64).
/// At and below −87 the result is about 1.6e-38, not zero: callers that need a zero write one.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5·2^23 rounds to the nearest integer and leaves it in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let power = shifted - ROUND;
    let r = power.mul_add(-LN_2_LOW, power.mul_add(-LN_2_HIGH, x));
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 5e-1);
    let mantissa = p.mul_add(r * r, r) + 1.0;
    f32::from_bits(mantissa.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// 1 / (1 + e^−x).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The lanes' sum, pairwise.
#[inline(always)]
pub fn sum(mut lanes: Lanes) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Σ f(a, b) over two slices of one length, where f adds its term to a partial sum.
#[inline(always)]
pub fn reduce(a: &[f32], b: &[f32], term: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] = term(lanes[lane], a[lane], b[lane]);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane = term(*lane, a, b);
    }
    sum(lanes)
}

/// Σ a·b.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    reduce(a, b, |sum, a, b| a.mul_add(b, sum))
}

/// Σ a·b·c.
#[inline(always)]
pub fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_tail), (b, b_tail), (c, c_tail)) =
        (a.as_chunks::<LANES>(), b.as_chunks::<LANES>(), c.as_chunks::<LANES>());
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for lane in 0..LANES {
            lanes[lane] = (a[lane] * b[lane]).mul_add(c[lane], lanes[lane]);
        }
    }
    for (lane, ((&a, &b), &c)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail).zip(c_tail)) {
        *lane = (a * b).mul_add(c, *lane);
    }
    sum(lanes)
}

/// The L2 norm, summed in f64 over partial sums of at most 4096 squares.
pub fn norm(values: &[f32]) -> f64 {
    let mut sum = 0.0;
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            for part in values.chunks(4096) {
                sum += f64::from(dot(part, part));
            }
        },
    );
    f64::sqrt(sum)
}

/// The largest value; −∞ of an empty slice.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, tail) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(tail) {
        *lane = larger(*lane, value);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = larger(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_ten_millionths() {
        let mut worst = 0.0_f64;
        for step in -87_000..=88_000 {
            let x = (step as f32 * 1e-3).clamp(-87.0, 88.0);
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        assert!(worst < 2e-7, "largest relative error {worst:e}");
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn exp_saturates() {
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
        assert!(exp(1e30).is_finite());
        assert!(exp(f32::NAN).is_nan(), "a broken model must not look healthy");
    }

    #[test]
    fn tails_count() {
        let values: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(dot(&values, &values), 16_206.0);
        assert_eq!(dot3(&values, &[2.0; 37], &values), 32_412.0);
        assert_eq!(max(&values), 36.0);
        assert_eq!(max(&[-3.0, -2.0]), -2.0);
    }
}
