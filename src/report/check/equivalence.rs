//! Two one-sided t-tests on paired or independent samples.
//!
//! ```text
//! paired:       d_i = x_i − b_i,  d = mean,  SE = s_d / √n,  ν = n − 1
//! independent:  d = mean x − mean b,  SE² = s_x²/n_x + s_b²/n_b,  ν by Welch and Satterthwaite
//! p = max(P(t_ν > (d + m)/SE), P(t_ν > (m − d)/SE));  the same if p < 0.05
//! ```
//!
//! Without any spread the difference itself decides.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Metric, Verdict};

/// What a shift of the margin may pass with.
const LEVEL: f64 = 0.05;
/// The share of unchanged programs that a recommended number of seeds lets pass.
const POWER: f64 = 0.95;

/// Values of both sides.
#[derive(Debug, Clone)]
pub(super) enum Sample {
    /// (baseline, checked) of one seed each.
    Paired(Vec<[f64; 2]>),
    /// Baseline and checked.
    Independent([Vec<f64>; 2]),
}

/// The difference of two means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    pub(super) baseline: f64,
    pub(super) checked: f64,
    /// SE; `None` where every pair is equal or a single pair is all there is.
    standard_error: Option<f64>,
    degrees: f64,
}

impl Sample {
    pub(super) fn paired(pairs: Vec<[f64; 2]>) -> Self {
        Self::Paired(pairs)
    }

    pub(super) fn independent(baseline: Vec<f64>, checked: Vec<f64>) -> Self {
        Self::Independent([baseline, checked])
    }

    pub(super) fn difference(&self) -> Difference {
        match self {
            Self::Paired(pairs) => {
                let baseline = mean(&pairs.iter().map(|pair| pair[0]).collect::<Vec<_>>());
                let checked = mean(&pairs.iter().map(|pair| pair[1]).collect::<Vec<_>>());
                let differences: Vec<f64> = pairs.iter().map(|[baseline, checked]| checked - baseline).collect();
                let n = pairs.len() as f64;
                let error = (variance(&differences) / n).sqrt();
                Difference {
                    baseline,
                    checked,
                    standard_error: Some(error).filter(|error| *error > 0.0),
                    degrees: n - 1.0,
                }
            }
            Self::Independent([baseline, checked]) => {
                let share = |values: &[f64]| variance(values) / values.len() as f64;
                let (one, other) = (share(baseline), share(checked));
                let part = |share: f64, values: &[f64]| share * share / (values.len() as f64 - 1.0);
                let error = (one + other).sqrt();
                Difference {
                    baseline: mean(baseline),
                    checked: mean(checked),
                    standard_error: Some(error).filter(|error| *error > 0.0),
                    degrees: (one + other).powi(2) / (part(one, baseline) + part(other, checked)),
                }
            }
        }
    }
}

impl Difference {
    fn mean(&self) -> f64 {
        self.checked - self.baseline
    }

    /// P(t > value).
    fn above(&self, value: f64) -> f64 {
        let student = StudentsT::new(0.0, 1.0, self.degrees).expect("because there are two values at least");
        student.cdf(-value)
    }

    /// Half the width of the 90 % confidence interval.
    pub(super) fn half_width(&self) -> Option<f64> {
        let student = |error: f64| {
            let student = StudentsT::new(0.0, 1.0, self.degrees).expect("because there are two values at least");
            error * student.inverse_cdf(1.0 - LEVEL)
        };
        self.standard_error.map(student)
    }

    /// The larger p of the two tests against ±`margin`.
    fn p(&self, margin: f64) -> f64 {
        match self.standard_error {
            Some(error) => {
                let low = self.above((self.mean() + margin) / error);
                low.max(self.above((margin - self.mean()) / error))
            }
            None => f64::from(u8::from(self.mean().abs() >= margin)),
        }
    }

    /// How sure it is that the checked mean is higher.
    fn certainty_higher(&self) -> f64 {
        match self.standard_error {
            Some(error) => 1.0 - self.above(self.mean() / error),
            None if self.mean() == 0.0 => 0.5,
            None => f64::from(u8::from(self.mean() > 0.0)),
        }
    }

    /// About how many times as many seeds would let an unchanged program pass with [`POWER`]; at least 1.
    ///
    /// SE has to shrink to m / (t_{0.95} + t_{0.975}); it shrinks with the root of the number of seeds.
    fn seeds_factor(&self, margin: f64) -> f64 {
        let Some(error) = self.standard_error else { return 1.0 };
        let student = StudentsT::new(0.0, 1.0, self.degrees).expect("because there are two values at least");
        let quantiles = student.inverse_cdf(1.0 - LEVEL) + student.inverse_cdf(f64::midpoint(1.0, POWER));
        (error * quantiles / margin).powi(2).max(1.0)
    }
}

/// Tests a number of the curve; `margin` is a share of the baseline's mean.
pub(super) fn metric(name: &'static str, sample: &Sample, margin: f64) -> Metric {
    let difference = sample.difference();
    let scale = difference.baseline.abs();
    let size = match sample {
        Sample::Paired(pairs) => pairs.len(),
        Sample::Independent([baseline, checked]) => baseline.len().min(checked.len()),
    };
    let is_known = difference.baseline.is_finite() && difference.checked.is_finite();
    if !is_known {
        // A curve that has diverged on one side alone has moved; on both, there is nothing to tell apart.
        let is_same = difference.baseline.is_finite() == difference.checked.is_finite();
        let verdict = match (is_same, difference.checked.is_finite()) {
            (true, _) => Verdict::Same,
            (false, true) => Verdict::Better,
            (false, false) => Verdict::Worse,
        };
        return Metric {
            name,
            baseline: difference.baseline,
            checked: difference.checked,
            change: f64::NAN,
            half_width: None,
            certainty_same: f64::from(u8::from(is_same)),
            certainty_worse: f64::from(u8::from(verdict == Verdict::Worse)),
            verdict,
            seeds_needed: None,
        };
    }
    let change = difference.mean() / scale;
    let half_width = difference.half_width().map(|half_width| half_width / scale);
    let p = difference.p(margin * scale);
    let verdict = if p < LEVEL {
        Verdict::Same
    } else if change - half_width.unwrap_or(0.0) >= 0.0 && change > margin {
        Verdict::Worse
    } else if change + half_width.unwrap_or(0.0) <= 0.0 && change < -margin {
        Verdict::Better
    } else {
        Verdict::Undecided
    };
    let needed = (size as f64 * difference.seeds_factor(margin * scale)).ceil() as usize;
    Metric {
        name,
        baseline: difference.baseline,
        checked: difference.checked,
        change,
        half_width,
        certainty_same: 1.0 - p,
        certainty_worse: difference.certainty_higher(),
        verdict,
        seeds_needed: (verdict == Verdict::Undecided && needed > size).then_some(needed),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of a single value 0.
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paired_test_is_that_of_the_textbook() {
        // d = 0.1, 0.2, 0.3, 0.4: mean 0.25, s = 0.1291, SE = 0.06455, ν = 3; with m = 0.5 t = 3.873, p = 0.0152.
        let pairs = [0.1, 0.2, 0.3, 0.4].map(|d| [10.0, 10.0 + d]).to_vec();
        let difference = Sample::paired(pairs).difference();
        assert!((difference.p(0.5) - 0.015_234).abs() < 1e-4, "{}", difference.p(0.5));
        // t(0.95, 3) = 2.3534.
        let half_width = difference.half_width().expect("there is spread");
        assert!((half_width - 2.353_4 * 0.064_55).abs() < 1e-4, "{half_width}");
    }

    #[test]
    fn the_test_passes_exactly_if_the_interval_lies_within_the_margin() {
        for shift in [0.0, 0.05, 0.1, 0.2, 0.3] {
            let baseline = vec![10.0, 10.1, 9.9, 10.05, 9.95];
            let checked = baseline.iter().map(|value| value + shift).rev().collect();
            let difference = Sample::independent(baseline, checked).difference();
            let half_width = difference.half_width().expect("there is spread");
            let is_within = difference.mean().abs() + half_width < 0.2;
            assert_eq!(difference.p(0.2) < LEVEL, is_within, "shift {shift}");
        }
    }

    #[test]
    fn equal_variances_give_welch_all_degrees_of_freedom() {
        let sample = Sample::independent(vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]);
        assert!((sample.difference().degrees - 4.0).abs() < 1e-12);
    }

    #[test]
    fn without_spread_the_difference_decides() {
        let metric = |shift| metric("loss", &Sample::paired(vec![[2.0, 2.0 + shift]; 3]), 0.01).verdict;
        assert_eq!([metric(0.0), metric(0.019), metric(0.021), metric(-0.021)], {
            use Verdict::{Better, Same, Worse};
            [Same, Same, Worse, Better]
        });
    }

    #[test]
    fn noise_alone_is_undecided_and_says_how_many_seeds_would_tell() {
        let sample = Sample::paired(vec![[2.0, 2.1], [2.0, 1.9], [2.0, 2.05], [2.0, 1.95]]);
        let metric = metric("loss", &sample, 0.01);
        assert_eq!(metric.verdict, Verdict::Undecided);
        assert!(metric.seeds_needed.is_some_and(|seeds| seeds > 4), "{metric:?}");
    }

    #[test]
    fn divergence_on_one_side_is_a_change() {
        let verdict = |pair: [f64; 2]| metric("loss", &Sample::paired(vec![pair; 2]), 0.01).verdict;
        assert_eq!(verdict([2.0, f64::NAN]), Verdict::Worse);
        assert_eq!(verdict([f64::INFINITY, 2.0]), Verdict::Better);
        assert_eq!(verdict([f64::NAN, f64::NAN]), Verdict::Same);
    }
}
