//! A mean over seeds and how far it can be trusted.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with the half width of its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    /// The mean.
    pub(super) mean: f64,
    /// t(0.975, n − 1) · s / √n; `None` for a single value.
    pub(super) half_width: Option<f64>,
}

impl Estimate {
    /// The estimate from independent values; `None` without values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let half_width = (values.len() > 1).then(|| {
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let student = StudentsT::new(0.0, 1.0, n - 1.0).expect("because there is at least one degree of freedom");
            student.inverse_cdf(0.975) * (variance / n).sqrt()
        });
        Some(Self { mean, half_width })
    }

    /// The estimate in another unit.
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self { mean: factor * self.mean, half_width: self.half_width.map(|half_width| factor * half_width) }
    }

    /// How sure it is that the true mean is below zero, by a one-sided t-test; `None` for a single value.
    ///
    /// Values that are all the same leave no doubt.
    pub(super) fn certainty_below_zero(values: &[f64]) -> Option<f64> {
        let estimate = Self::of(values)?;
        let n = values.len() as f64;
        estimate.half_width?;
        let variance = values.iter().map(|value| (value - estimate.mean).powi(2)).sum::<f64>() / (n - 1.0);
        if variance == 0.0 {
            return Some(if estimate.mean == 0.0 { 0.5 } else { f64::from(u8::from(estimate.mean < 0.0)) });
        }
        let student = StudentsT::new(0.0, 1.0, n - 1.0).expect("because there is at least one degree of freedom");
        Some(student.cdf(-estimate.mean / (variance / n).sqrt()))
    }

    /// Written with `decimals`: `2.131 ± 0.004`.
    pub(super) fn text(&self, decimals: usize) -> String {
        let mean = self.mean;
        match self.half_width {
            Some(half_width) => format!("{mean:.decimals$} ± {half_width:.decimals$}"),
            None => format!("{mean:.decimals$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_values_have_the_interval_of_the_table() {
        // t(0.975, 3) = 3.182 from any table of Student's t; s = 1.2910 for 1, 2, 3, 4.
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0]).expect("four values");
        assert!((estimate.mean - 2.5).abs() < 1e-12);
        let half_width = estimate.half_width.expect("more than one value");
        assert!((half_width - 3.182_446 * 1.290_994 / 2.0).abs() < 1e-4, "{half_width}");
    }

    #[test]
    fn certainty_is_that_of_the_table() {
        // t = 2.5 / (1.2910 / 2) = 3.873 with 3 degrees of freedom: one-sided p = 0.0152.
        let certainty = Estimate::certainty_below_zero(&[-1.0, -2.0, -3.0, -4.0]).expect("four values");
        assert!((certainty - (1.0 - 0.015_234)).abs() < 1e-4, "{certainty}");
        assert_eq!(Estimate::certainty_below_zero(&[-1.0, -1.0]), Some(1.0));
        assert_eq!(Estimate::certainty_below_zero(&[0.0, 0.0]), Some(0.5));
        assert_eq!(Estimate::certainty_below_zero(&[-1.0]), None);
    }

    #[test]
    fn one_value_claims_no_interval() {
        assert_eq!(Estimate::of(&[2.0]).map(|estimate| estimate.text(2)), Some("2.00".to_owned()));
        assert_eq!(Estimate::of(&[]), None);
    }
}
