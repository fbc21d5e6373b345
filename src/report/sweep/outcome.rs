//! What one run of a sweep came to.

use std::path::Path;

use super::super::ReportError;
use crate::algorithm::spec::Compression;
use crate::protocol::rows::{EvaluationRow, RoundRow};
use crate::record::{RecordError, RunDirectory, Status};

/// The end of a finished run, and when it reached the target.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// The last validation loss, if it is a number.
    pub(super) loss: Option<f64>,
    /// Whether the last validation loss is no number.
    pub(super) has_diverged: bool,
    pub(super) time_s: f64,
    pub(super) bytes_up: f64,
    pub(super) bytes_down: f64,
    /// Mean over rounds of the share of time in inner phases.
    pub(super) utilisation: f64,
    pub(super) reached: Option<Reached>,
    /// Whether validators judged.
    pub(super) is_judged: bool,
    curve: Vec<Passed>,
}

/// When the target was reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reached {
    pub(super) time_s: f64,
    /// Moved by all peers, up and down.
    pub(super) bytes: f64,
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Passed {
    loss: f64,
    at: Reached,
}

/// The outcome and the density k/C of the payloads; `None` if the run is not there or has not come to its end.
pub(super) fn read(path: &Path) -> Result<Option<(Outcome, Option<f64>)>, ReportError> {
    let run = match RunDirectory::open(path) {
        Ok(run) => run,
        Err(RecordError::NotARun { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let manifest = run.read_manifest()?;
    let is_whole = manifest.status == Status::Finished && manifest.rounds_done == manifest.scenario.rounds;
    let rounds: Vec<RoundRow> = run.read_table()?;
    let Some(last) = rounds.last().filter(|_| is_whole) else { return Ok(None) };
    let evaluations: Vec<EvaluationRow> = run.read_table()?;
    let density = match &manifest.scenario.protocol.compression {
        Compression::TopK(top_k) => Some(top_k.k as f64 / (top_k.chunk[0] * top_k.chunk[1]) as f64),
        Compression::Dense { .. } | Compression::Int8 => None,
    };
    let loss = evaluations.last().map(|row| row.validation_loss);
    let outcome = Outcome {
        loss: loss.filter(|loss| loss.is_finite()),
        is_judged: manifest.scenario.validator.is_some(),
        has_diverged: loss.is_some_and(|loss| !loss.is_finite()),
        time_s: last.time_s,
        bytes_up: last.bytes_up as f64,
        bytes_down: last.bytes_down as f64,
        utilisation: rounds.iter().map(|row| row.utilisation).sum::<f64>() / rounds.len() as f64,
        reached: None,
        curve: evaluations.iter().map(|row| passed(row, &rounds)).collect(),
    };
    Ok(Some((outcome, density)))
}

fn passed(evaluation: &EvaluationRow, rounds: &[RoundRow]) -> Passed {
    let before = (evaluation.round as usize).checked_sub(1).and_then(|index| rounds.get(index));
    let bytes = before.map_or(0.0, |row| row.bytes_up as f64 + row.bytes_down as f64);
    Passed { loss: evaluation.validation_loss, at: Reached { time_s: evaluation.time_s, bytes } }
}

impl Outcome {
    /// Finds when the target was reached first.
    pub(super) fn find_target(&mut self, target: Option<f64>) {
        self.reached = target.and_then(|target| crossing(&self.curve, target));
    }
}

fn crossing(curve: &[Passed], target: f64) -> Option<Reached> {
    let first = curve.iter().position(|passed| passed.loss <= target)?;
    let after = &curve[first];
    let Some(before) = first.checked_sub(1).map(|index| &curve[index]).filter(|before| before.loss.is_finite()) else {
        return Some(after.at);
    };
    let share = (before.loss - target) / (before.loss - after.loss);
    let between = |from: f64, to: f64| from + share * (to - from);
    Some(Reached {
        time_s: between(before.at.time_s, after.at.time_s),
        bytes: between(before.at.bytes, after.at.bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_reached_where_the_line_crosses_it() {
        let curve = [(4.0, 0.0), (3.0, 10.0), (2.0, 30.0), (2.5, 50.0), (1.0, 60.0)];
        let curve = curve.map(|(loss, time_s)| Passed { loss, at: Reached { time_s, bytes: 2.0 * time_s } });
        assert_eq!(crossing(&curve, 2.75), Some(Reached { time_s: 15.0, bytes: 30.0 }));
        assert_eq!(crossing(&curve, 2.0), Some(Reached { time_s: 30.0, bytes: 60.0 }), "the first time");
        assert_eq!(crossing(&curve, 5.0), Some(Reached { time_s: 0.0, bytes: 0.0 }));
        assert_eq!(crossing(&curve, 0.5), None);
    }
}
