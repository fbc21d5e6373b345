//! Quantities with their units: what every room of the house may speak of.
//!
//! Conversions are named and say how they round. Text forms are the scenario file's
//! (`110 Mbit/s`, `23 min`, `2.76 GB`); SI prefixes are powers of ten, `KiB` and its kin powers of two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A quantity's text could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not {expected}")]
pub struct QuantityError {
    /// What was written.
    pub text: String,
    /// What would have been right, with an example.
    pub expected: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identifier!(
    /// A participant, numbered in order of registration; ties anywhere are broken by it.
    PeerId(u32)
);
identifier!(
    /// The index t of an outer step: round t turns θ(t) into θ(t+1).
    Round(u32)
);
identifier!(
    /// The number from which every random stream of a run is derived.
    Seed(u64)
);

impl Round {
    /// The round after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl PeerId {
    /// The identifier as an index into per-peer storage.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// A span of virtual time in whole nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(u64);

/// A data rate \[bit/s\]; positive and finite, or [`Bandwidth::UNLIMITED`].
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bandwidth(f64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span; used as "never".
    pub const MAX: Self = Self(u64::MAX);

    /// A span of whole nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// Seconds rounded to the nearest nanosecond; negative and NaN become zero, too large becomes [`Self::MAX`].
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what is documented"
    )]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1e9).round() as u64)
    }

    /// Whole nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds, rounded to the nearest double.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a double holds nanoseconds exactly for 104 days and to 2^-53 beyond"
    )]
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The sum, at most [`Self::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Bandwidth {
    /// A link that never is the bottleneck.
    pub const UNLIMITED: Self = Self(f64::INFINITY);

    /// A rate in bits per second.
    ///
    /// # Panics
    /// If the rate is not positive: a scenario is checked before it gets here.
    #[must_use]
    pub fn from_bits_per_second(rate: f64) -> Self {
        assert!(rate > 0.0, "a bandwidth is positive, got {rate} bit/s");
        Self(rate)
    }

    /// The rate in bits per second.
    #[must_use]
    pub fn bits_per_second(self) -> f64 {
        self.0
    }

    /// The rate in bytes per second.
    #[must_use]
    pub fn bytes_per_second(self) -> f64 {
        self.0 / 8.0
    }
}

/// Splits `text` into its number and its unit; underscores in the number are allowed.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|&(at, c)| {
            let exponent = matches!(c, 'e' | 'E')
                && text[at + 1..].starts_with(|d: char| d.is_ascii_digit() || d == '-' || d == '+');
            let sign = matches!(c, '-' | '+') && (at == 0 || matches!(text.as_bytes()[at - 1], b'e' | b'E'));
            !(c.is_ascii_digit() || c == '.' || c == '_' || exponent || sign)
        })
        .map_or(text.len(), |(at, _)| at);
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    number.is_finite().then(|| (number, text[end..].trim()))
}

fn read(text: &str, expected: &'static str, units: &[(&str, f64)]) -> Result<f64, QuantityError> {
    split(text)
        .and_then(|(number, unit)| {
            let &(_, scale) = units.iter().find(|(name, _)| *name == unit)?;
            (number >= 0.0).then_some(number * scale)
        })
        .ok_or_else(|| QuantityError { text: text.to_owned(), expected })
}

impl FromStr for Bytes {
    type Err = QuantityError;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates; the number is not negative"
    )]
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const UNITS: &[(&str, f64)] = &[
            ("B", 1.0),
            ("kB", 1e3),
            ("MB", 1e6),
            ("GB", 1e9),
            ("TB", 1e12),
            ("KiB", 1024.0),
            ("MiB", 1_048_576.0),
            ("GiB", 1_073_741_824.0),
            ("TiB", 1_099_511_627_776.0),
        ];
        let bytes = read(text, "a size such as `2.76 GB` (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)", UNITS)?;
        Ok(Self(bytes.round() as u64))
    }
}

impl FromStr for Duration {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const UNITS: &[(&str, f64)] = &[
            ("ns", 1e-9),
            ("us", 1e-6),
            ("µs", 1e-6),
            ("ms", 1e-3),
            ("s", 1.0),
            ("min", 60.0),
            ("h", 3600.0),
            ("d", 86400.0),
        ];
        read(text, "a duration such as `23 min` (ns, us, ms, s, min, h, d)", UNITS).map(Self::from_secs_f64)
    }
}

impl FromStr for Bandwidth {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const EXPECTED: &str =
            "a positive bandwidth such as `110 Mbit/s` (bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s, B/s, kB/s, MB/s, GB/s)";
        const UNITS: &[(&str, f64)] = &[
            ("bit/s", 1.0),
            ("kbit/s", 1e3),
            ("Mbit/s", 1e6),
            ("Gbit/s", 1e9),
            ("Tbit/s", 1e12),
            ("B/s", 8.0),
            ("kB/s", 8e3),
            ("MB/s", 8e6),
            ("GB/s", 8e9),
        ];
        let rate = read(text, EXPECTED, UNITS)?;
        if rate > 0.0 { Ok(Self(rate)) } else { Err(QuantityError { text: text.to_owned(), expected: EXPECTED }) }
    }
}

/// Writes `value` with the largest unit that keeps it at least one, three significant digits.
fn scaled(f: &mut fmt::Formatter<'_>, value: f64, units: &[(&str, f64)]) -> fmt::Result {
    let &(unit, scale) = units.iter().find(|(_, scale)| value >= *scale).unwrap_or(&units[units.len() - 1]);
    let value = value / scale;
    let decimals = if value >= 100.0 || value == value.trunc() {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    write!(f, "{value:.decimals$} {unit}")
}

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0 as f64, &[("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)])
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units =
            [("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)];
        scaled(f, self.as_secs_f64(), &units)
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_infinite() {
            return f.write_str("unlimited");
        }
        scaled(f, self.0, &[("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3), ("bit/s", 1.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written() {
        assert_eq!("2.76 GB".parse(), Ok(Bytes(2_760_000_000)));
        assert_eq!("1 MiB".parse(), Ok(Bytes(1_048_576)));
        assert_eq!("23 min".parse(), Ok(Duration::from_secs(1380)));
        assert_eq!("23.3ms".parse(), Ok(Duration::from_nanos(23_300_000)));
        assert_eq!("1e3 s".parse(), Ok(Duration::from_secs(1000)));
        assert_eq!("110 Mbit/s".parse(), Ok(Bandwidth::from_bits_per_second(110e6)));
        assert_eq!("110 MB/s".parse(), Ok(Bandwidth::from_bits_per_second(880e6)));
        assert_eq!(Bytes(1_989_184_736).to_string(), "1.99 GB");
        assert_eq!(Duration::from_secs(70).to_string(), "1.17 min");
        assert_eq!(Bandwidth::from_bits_per_second(110e6).to_string(), "110 Mbit/s");
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["23", "23 minutes", "-3 s", "min", "", "nan s", "1e999 s", "3 GB"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        assert!("0 Mbit/s".parse::<Bandwidth>().is_err());
        assert!("12 Mb/s".parse::<Bandwidth>().is_err(), "Mb is ambiguous to a reader");
    }
}
