//! Random values of an axis and random cells of a grid, each from its named stream.

use rand::RngExt as _;

use crate::quantity::Seed;
use crate::sim::Streams;

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// Evenly.
    Uniform,
    /// Evenly in the logarithm.
    LogUniform,
}

/// `samples` values between `low` and `high` for the axis, ascending, of three significant digits (`whole`: integers).
///
/// Values that rounding makes equal are one.
pub(super) fn values(
    draws: Seed,
    axis: u64,
    spread: Spread,
    [low, high]: [f64; 2],
    samples: u64,
    whole: bool,
) -> Vec<f64> {
    let draw = |index| {
        let share: f64 = Streams::new(draws).rng("sweep-axis", axis, index).random();
        let value = match spread {
            Spread::Uniform => low + share * (high - low),
            Spread::LogUniform => low * (high / low).powf(share),
        };
        if whole { value.round() } else { three_digits(value).clamp(low, high) }
    };
    let mut values: Vec<f64> = (0..samples).map(draw).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().expect("because a printed number is a number")
}

/// `count` different indices below `size`, ascending.
pub(super) fn distinct(draws: Seed, size: usize, count: usize) -> Vec<usize> {
    let mut rng = Streams::new(draws).rng("sweep-cells", 0, 0);
    let mut chosen = rand::seq::index::sample(&mut rng, size, count).into_vec();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_uniform_values_fall_evenly_into_decades() {
        let values = values(Seed(1), 0, Spread::LogUniform, [1e-4, 1e-2], 400, false);
        let below = values.iter().filter(|value| **value < 1e-3).count() as f64 / values.len() as f64;
        // The deviation of a share of 400 coin tosses is 0.025; rounding merges a few.
        assert!((below - 0.5).abs() < 0.1, "{below}");
        assert!(values.is_sorted() && values[0] >= 1e-4 && values[values.len() - 1] <= 1e-2);
    }

    #[test]
    fn distinct_indices_are_distinct_and_inside() {
        let chosen = distinct(Seed(3), 50, 20);
        assert_eq!(chosen.len(), 20);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen[19] < 50);
        assert_eq!(distinct(Seed(3), 4, 4), [0, 1, 2, 3]);
    }
}
