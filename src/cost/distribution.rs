//! Distributions of durations \[s\] and rates \[bit/s\] from which the population is drawn.

use rand::Rng;
use rand_distr::{Distribution as _, Exp, LogNormal, Weibull};
use serde::{Deserialize, Serialize};

/// A distribution of a positive quantity, in the unit of its field.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Always the same.
    Fixed(f64),
    /// Evenly between two values.
    Uniform {
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// Memoryless.
    Exponential {
        /// The mean.
        mean: f64,
    },
    /// Weibull; a shape below 1 has a falling hazard, as sessions of volunteers have.
    Weibull {
        /// k.
        shape: f64,
        /// λ.
        scale: f64,
    },
    /// Lognormal.
    Lognormal {
        /// exp(mu).
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

impl Distribution {
    /// Draws one value.
    ///
    /// # Panics
    /// If the parameters are not positive and finite: a scenario is checked before it gets here.
    pub fn sample(&self, rng: &mut impl Rng) -> f64 {
        const CHECKED: &str = "because the scenario's parameters are checked";
        match *self {
            Self::Fixed(value) => value,
            Self::Uniform { low, high } => rand_distr::Uniform::new_inclusive(low, high).expect(CHECKED).sample(rng),
            Self::Exponential { mean } => Exp::new(1.0 / mean).expect(CHECKED).sample(rng),
            Self::Weibull { shape, scale } => Weibull::new(scale, shape).expect(CHECKED).sample(rng),
            Self::Lognormal { median, sigma } => LogNormal::new(median.ln(), sigma).expect(CHECKED).sample(rng),
        }
    }

    /// The median, for estimates without draws.
    #[must_use]
    pub fn median(&self) -> f64 {
        match *self {
            Self::Fixed(value) => value,
            Self::Uniform { low, high } => 0.5 * (low + high),
            Self::Exponential { mean } => mean * std::f64::consts::LN_2,
            Self::Weibull { shape, scale } => scale * std::f64::consts::LN_2.powf(1.0 / shape),
            Self::Lognormal { median, .. } => median,
        }
    }
}
