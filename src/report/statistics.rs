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
    fn one_value_claims_no_interval() {
        assert_eq!(Estimate::of(&[2.0]).map(|estimate| estimate.text(2)), Some("2.00".to_owned()));
        assert_eq!(Estimate::of(&[]), None);
    }
}
