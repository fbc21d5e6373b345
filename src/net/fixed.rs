//! Volumes and rates as whole numbers, so that sharing a link is exact.
//!
//! A volume counts 2⁻⁵⁶ byte, a rate 2⁻⁵⁶ byte per nanosecond (about 10⁻⁷ bit/s). Then rate · time = volume without
//! rounding, sums do not depend on their order, and no comparison needs a tolerance. A share is rounded down, so that
//! shares never add up to more than their link; a time is rounded up, so that what should have moved by then has.
//!
//! Bounds: 2⁷¹ bytes over one link before the counter overflows, which is two zettabytes.

use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Serialize};

use crate::quantity::{Bandwidth, Bytes, Duration};

const FRACTION_BITS: u32 = 56;
const ONE: f64 = (1_u64 << FRACTION_BITS) as f64;
const BITS_PER_SECOND: f64 = ONE / 8e9;

/// A number of bytes \[2⁻⁵⁶ byte\].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Volume(i128);

/// Bytes per time \[2⁻⁵⁶ byte/ns\].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Rate(i128);

impl Volume {
    pub const ZERO: Self = Self(0);

    pub const fn from_bytes(bytes: Bytes) -> Self {
        Self((bytes.0 as i128) << FRACTION_BITS)
    }

    /// Whole bytes, rounded down.
    pub const fn whole_bytes(self) -> Bytes {
        Bytes((self.0 >> FRACTION_BITS) as u64)
    }

    /// The time in which this moves at `rate`, rounded up; at most [`Duration::MAX`].
    pub fn time_at(self, rate: Rate) -> Duration {
        if self.0 <= 0 {
            return Duration::ZERO;
        }
        if rate.0 == 0 {
            return Duration::MAX;
        }
        let nanos = divide(self.0 + (rate.0 - 1), rate.0);
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }
}

impl Rate {
    pub const ZERO: Self = Self(0);

    /// `None`: without a limit.
    pub fn from_bandwidth(bandwidth: Bandwidth) -> Option<Self> {
        let rate = bandwidth.bits_per_second();
        rate.is_finite().then(|| Self(((rate * BITS_PER_SECOND).round() as i128).max(1)))
    }

    pub fn bits_per_second(self) -> f64 {
        self.0 as f64 / BITS_PER_SECOND
    }

    /// The equal share of each of `flows`, rounded down.
    pub fn shared_by(self, flows: u32) -> Self {
        Self(divide(self.0, i128::from(flows)))
    }

    /// What `flows` of this rate take together.
    pub const fn of_all(self, flows: u32) -> Self {
        Self(self.0 * flows as i128)
    }

    /// What moves in a time.
    pub const fn over(self, time: Duration) -> Volume {
        Volume(self.0 * time.as_nanos() as i128)
    }

    /// Orders by descending rate.
    pub const fn descending(self) -> Self {
        Self(-self.0)
    }
}

/// Division of non-negative numbers, without 128-bit steps where 64 bits are enough.
fn divide(dividend: i128, divisor: i128) -> i128 {
    debug_assert!(dividend >= 0 && divisor > 0, "{dividend} / {divisor}");
    match (u64::try_from(dividend), u64::try_from(divisor)) {
        (Ok(dividend), Ok(divisor)) => i128::from(dividend / divisor),
        _ => (dividend as u128 / divisor as u128) as i128,
    }
}

macro_rules! additive {
    ($name:ident) => {
        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
    };
}

additive!(Volume);
additive!(Rate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabit_moves_125_bytes_in_a_microsecond() {
        let rate = Rate::from_bandwidth(Bandwidth::from_bits_per_second(1e9)).unwrap();
        assert_eq!(rate.over(Duration::from_nanos(1000)), Volume::from_bytes(Bytes(125)));
        assert_eq!(Volume::from_bytes(Bytes(125)).time_at(rate), Duration::from_nanos(1000));
        assert_eq!(Volume::from_bytes(Bytes(1)).time_at(rate), Duration::from_nanos(8));
        assert!((rate.bits_per_second() - 1e9).abs() < 1e-6);
    }

    #[test]
    fn shares_never_exceed_their_link() {
        let rate = Rate::from_bandwidth(Bandwidth::from_bits_per_second(110e6)).unwrap();
        for flows in 1..100 {
            let together = rate.shared_by(flows).of_all(flows);
            assert!(together <= rate && rate - together < Rate(i128::from(flows)));
        }
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(Rate::from_bandwidth(Bandwidth::UNLIMITED), None);
        assert_eq!(Volume::from_bytes(Bytes(u64::MAX)).time_at(Rate(1)), Duration::MAX);
        assert_eq!(Volume::from_bytes(Bytes(1)).time_at(Rate::ZERO), Duration::MAX);
        assert_eq!(Volume::ZERO.time_at(Rate::ZERO), Duration::ZERO);
    }
}
