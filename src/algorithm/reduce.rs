//! Long sums of f32 in f64, in one fixed order.
//!
//! Element i goes to partial sum i mod 16; the sixteen are added in order at the end. So the loop fits wide registers
//! and the result is the same on all of them.

#![expect(
    clippy::inline_always,
    reason = "what runs inside `dispatch` is compiled for the registers found at run time"
)]

use pulp::Arch;

const LANES: usize = 16;

/// Σ v.
#[must_use]
pub fn sum(values: &[f32]) -> f64 {
    Arch::new().dispatch(|| reduce(values, |value| value))
}

/// Σ v².
#[must_use]
pub fn sum_of_squares(values: &[f32]) -> f64 {
    Arch::new().dispatch(|| reduce(values, |value| value * value))
}

/// Σ (v − shift)², the differences rounded to f32 first, as tensor libraries do.
#[must_use]
pub fn sum_of_squares_around(values: &[f32], shift: f32) -> f64 {
    Arch::new().dispatch(|| {
        reduce_f32(values, |value| {
            let centred = f64::from(value - shift);
            centred * centred
        })
    })
}

/// ‖v‖, the L2 norm.
#[must_use]
pub fn norm(values: &[f32]) -> f64 {
    sum_of_squares(values).sqrt()
}

#[inline(always)]
fn reduce(values: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    reduce_f32(
        values,
        #[inline(always)]
        |value| term(f64::from(value)),
    )
}

#[inline(always)]
fn reduce_f32(values: &[f32], term: impl Fn(f32) -> f64) -> f64 {
    let mut partial = [0.0; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for (sum, &value) in partial.iter_mut().zip(group) {
            *sum += term(value);
        }
    }
    for (sum, &value) in partial.iter_mut().zip(rest) {
        *sum += term(value);
    }
    partial.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_where_f64_is() {
        let values: Vec<f32> = (1..=1000_u16).map(f32::from).collect();
        assert_eq!(sum(&values), 500_500.0);
        assert_eq!(sum_of_squares(&values), 333_833_500.0);
        assert_eq!(sum_of_squares_around(&values[..3], 2.0), 2.0);
        assert_eq!(norm(&[3.0, 4.0]), 5.0);
        assert_eq!(sum(&[]), 0.0);
    }
}
