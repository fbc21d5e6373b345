//! Whether a peer holds the current parameters: how many outer steps its are away from the validator's.
//!
//! A peer shows two parameters of each tensor. Their distance from the validator's, each over a moving average of how
//! far that parameter moves in an outer step, gives one number a parameter; the mean of those between the quartiles
//! (both included) is how many steps the peer is behind, x:
//!
//! ```text
//! average ← 0.8·average + 0.2·|θ(t+1) − θ(t)|       (starts as the first difference; at least 1e-9 in the division)
//! score = max(0, 1 − min(x, steps_max)/steps_max)^power
//! ```
//!
//! Until there is an average, the outer learning rate stands in for it, as in the public code.
//! Not modelled: that production shows values of one shard of each tensor.

use serde::{Deserialize, Serialize};

use super::spec::Sync;
use crate::algorithm::Layout;

/// Weight of the newest difference in the moving average.
const AVERAGE_ALPHA: f32 = 0.2;

/// Floor of the moving average in the division.
const STEP_MIN: f64 = 1e-9;

/// Which of a tensor's values are shown.
const SHOWN: std::ops::Range<usize> = 10..12;

/// How far the shown parameters move in an outer step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepSizes {
    previous: Option<Vec<f32>>,
    average: Option<Vec<f32>>,
}

impl StepSizes {
    /// Takes in what [`shown`] gives after an outer step.
    pub fn observe(&mut self, shown: &[f32]) {
        if let Some(previous) = self.previous.replace(shown.to_vec()) {
            let steps = shown.iter().zip(&previous).map(|(now, before)| (now - before).abs());
            match &mut self.average {
                None => self.average = Some(steps.collect()),
                Some(average) => {
                    for (average, step) in average.iter_mut().zip(steps) {
                        *average = (1.0 - AVERAGE_ALPHA) * *average + AVERAGE_ALPHA * step;
                    }
                }
            }
        }
    }

    /// [`steps_behind`] with these step sizes, or with `learning_rate` as long as there are none.
    #[must_use]
    pub fn steps_behind(&self, own: &[f32], theirs: &[f32], learning_rate: f32) -> f64 {
        match &self.average {
            Some(average) => steps_behind(own, theirs, average),
            None => steps_behind(own, theirs, &vec![learning_rate; own.len()]),
        }
    }
}

/// The parameters that are shown: two of each tensor, the last ones where it is too short.
#[must_use]
pub fn shown(layout: &Layout, theta: &[f32]) -> Vec<f32> {
    let of_tensor = |values: &[f32]| {
        let end = SHOWN.end.min(values.len());
        values[end.saturating_sub(SHOWN.len())..end].to_vec()
    };
    layout.tensors().iter().flat_map(|tensor| of_tensor(&theta[tensor.range()])).collect()
}

/// How many outer steps `theirs` is away from `own`; infinite if something is not a number, missing or too much.
#[must_use]
pub fn steps_behind(own: &[f32], theirs: &[f32], step_average: &[f32]) -> f64 {
    if own.is_empty() || own.len() != theirs.len() || own.len() != step_average.len() {
        return f64::INFINITY;
    }
    let ratio =
        |((&own, &theirs), &step): ((&f32, &f32), &f32)| f64::from(own - theirs).abs() / f64::from(step).max(STEP_MIN);
    let mut ratios: Vec<f64> = own.iter().zip(theirs).zip(step_average).map(ratio).collect();
    if !ratios.iter().all(|ratio| ratio.is_finite()) {
        return f64::INFINITY;
    }
    ratios.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&ratios, 0.25), quantile(&ratios, 0.75));
    let between = || ratios.iter().filter(|&&ratio| low <= ratio && ratio <= high);
    match between().count() {
        // With two values neither lies between the quartiles: production's mean of nothing is NaN, which is not
        // behind by its comparison; here it is their mean.
        0 => ratios.iter().sum::<f64>() / ratios.len() as f64,
        count => between().sum::<f64>() / count as f64,
    }
}

/// The sync score of a peer that is so many steps behind.
#[must_use]
pub fn sync_score(steps_behind: f64, spec: &Sync) -> f64 {
    (1.0 - steps_behind.min(spec.steps_max) / spec.steps_max).max(0.0).powf(spec.power)
}

/// Linear interpolation between the sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    below + (sorted[place.ceil() as usize] - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validator::spec::Gauntlet;

    #[test]
    fn the_sync_score_falls_as_in_the_reference() {
        let rule = Gauntlet::production().sync.expect("production asks");
        // Obtained by running the reference.
        let table =
            [(0.0, 1.0), (0.25, 0.8045), (0.5, 0.6339), (1.0, 0.3629), (1.5, 0.1768), (2.0, 0.0642), (3.0, 0.0)];
        for (behind, score) in table {
            assert!((sync_score(behind, &rule) - score).abs() < 5e-5, "{behind} steps behind: {score}");
        }
        assert_eq!(sync_score(f64::INFINITY, &rule), 0.0);
    }

    #[test]
    fn the_mean_is_of_what_lies_between_the_quartiles() {
        // Ratios 0, 1, 2, 100: the quartiles are 0.75 and 26.5.
        let own = [0.0; 4];
        assert_eq!(steps_behind(&own, &[0.0, 2.0, -4.0, 200.0], &[2.0; 4]), 1.5);
        // Five values: the quartiles are values themselves and count.
        assert_eq!(steps_behind(&[0.0; 5], &[9.0, 1.0, 4.0, 2.0, 0.0], &[1.0; 5]), (1.0 + 2.0 + 4.0) / 3.0);
        // Neither of two values lies between; their mean stands in.
        assert_eq!(steps_behind(&own[..2], &[1.0, 3.0], &[1.0; 2]), 2.0);
    }

    #[test]
    fn a_parameter_that_never_moves_has_a_floor() {
        assert_eq!(steps_behind(&[1.0], &[1.0], &[0.0]), 0.0);
        assert!(steps_behind(&[0.0], &[1.0], &[0.0]) > 9e8);
    }

    #[test]
    fn what_cannot_be_compared_is_infinitely_behind() {
        for theirs in [&[f32::NAN, 0.0][..], &[f32::INFINITY, 0.0], &[0.0], &[]] {
            assert_eq!(steps_behind(&[0.0, 0.0], theirs, &[1.0, 1.0]), f64::INFINITY);
        }
        assert_eq!(steps_behind(&[], &[], &[]), f64::INFINITY);
    }

    #[test]
    fn a_peer_that_missed_one_step_is_one_step_behind() {
        let mut steps = StepSizes::default();
        assert_eq!(steps.steps_behind(&[0.0; 4], &[0.4; 4], 0.4), 1.0, "the learning rate stands in at first");
        for round in 0..10_u16 {
            steps.observe(&[0.25 * f32::from(round); 4]);
        }
        assert_eq!(steps.steps_behind(&[2.25; 4], &[2.0; 4], 0.4), 1.0);
        assert_eq!(steps.steps_behind(&[2.25; 4], &[1.5; 4], 0.4), 3.0);
        // The average moves by a fifth of what is new: 0.8 · 0.25 + 0.2 · 1.25 = 0.45.
        steps.observe(&[3.5; 4]);
        assert!((steps.steps_behind(&[0.45; 4], &[0.0; 4], 0.4) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn two_values_of_each_tensor_are_shown() {
        let mut layout = Layout::new();
        layout.push("long", &[4, 5]);
        layout.push("short", &[3]);
        layout.push("single", &[1]);
        let theta: Vec<f32> = (0..24_u16).map(f32::from).collect();
        assert_eq!(shown(&layout, &theta), [10.0, 11.0, 21.0, 22.0, 23.0]);
    }
}
