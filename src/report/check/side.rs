//! One side of a comparison: the curves of a run or of a sweep's cells.

use std::path::Path;

use super::{CheckError, ColumnCheck, ColumnDifference};
use crate::protocol::rows::{EvaluationRow, RoundRow};
use crate::quantity::Seed;
use crate::record::{RunDirectory, Status, SweepDirectory};
use crate::report::ReportError;

/// Curves by cell, in the sweep's order.
pub(super) struct Side {
    pub(super) cells: Vec<(String, Vec<Curve>)>,
}

/// One run's curve and what it was charged.
pub(super) struct Curve {
    pub(super) seed: Seed,
    /// Outer steps taken, and the loss after them.
    pub(super) losses: Vec<(u32, f64)>,
    rounds: Vec<RoundRow>,
}

/// A column of `rounds.parquet` as a number.
type Value = fn(&RoundRow) -> f64;

/// What the clock charges.
const COLUMNS: [(&str, Value); 6] = [
    ("time_s", |row| row.time_s),
    ("bytes_up", |row| row.bytes_up as f64),
    ("bytes_down", |row| row.bytes_down as f64),
    ("payload_bytes", |row| row.payload_bytes as f64),
    ("contributing", |row| row.contributing.into()),
    ("utilisation", |row| row.utilisation),
];

impl Side {
    pub(super) fn read(path: &Path) -> Result<Self, CheckError> {
        if !SweepDirectory::is_at(path) {
            let (name, curve) = Curve::read(path)?;
            return Ok(Self { cells: vec![(name, vec![curve])] });
        }
        let sweep = SweepDirectory::open(path).map_err(ReportError::from)?;
        let manifest = sweep.read_manifest().map_err(ReportError::from)?;
        let mut cells = Vec::with_capacity(manifest.cells.len());
        for cell in &manifest.cells {
            let values = manifest.axes.iter().zip(&cell.at);
            let values = values.map(|(axis, &at)| format!("{} = {}", axis.name, axis.values[at].label));
            let label = values.collect::<Vec<_>>().join(", ");
            let read = |name: &String| Curve::read(&sweep.run(name)).map(|(_, curve)| curve);
            let curves = cell.runs.iter().map(read).collect::<Result<Vec<_>, CheckError>>()?;
            cells.push((if label.is_empty() { manifest.name.clone() } else { label }, curves));
        }
        Ok(Self { cells })
    }
}

impl Curve {
    /// The scenario's name and the curve.
    fn read(path: &Path) -> Result<(String, Self), CheckError> {
        let (run, manifest) = RunDirectory::open_any(path).map_err(ReportError::from)?;
        if manifest.status != Status::Finished {
            return Err(CheckError::Unfinished { path: path.to_owned() });
        }
        let evaluations: Vec<EvaluationRow> = run.read_table().map_err(ReportError::from)?;
        if evaluations.is_empty() {
            return Err(CheckError::NoLoss { path: path.to_owned() });
        }
        let losses = evaluations.iter().map(|row| (row.round, row.validation_loss)).collect();
        let rounds = run.read_table().map_err(ReportError::from)?;
        Ok((manifest.scenario.name, Self { seed: manifest.seed, losses, rounds }))
    }

    pub(super) fn final_loss(&self) -> f64 {
        self.losses[self.losses.len() - 1].1
    }

    /// Mean loss over outer steps, by the trapezoid rule.
    pub(super) fn area(&self) -> f64 {
        let (first, last) = (self.losses[0], self.losses[self.losses.len() - 1]);
        if first.0 == last.0 {
            return last.1;
        }
        let parts = self.losses.windows(2).map(|pair| {
            let width = f64::from(pair[1].0 - pair[0].0);
            width * f64::midpoint(pair[0].1, pair[1].1)
        });
        parts.sum::<f64>() / f64::from(last.0 - first.0)
    }

    pub(super) fn has_same_losses(&self, other: &Self) -> bool {
        let bits = |curve: &Self| curve.losses.iter().map(|(round, loss)| (*round, loss.to_bits())).collect::<Vec<_>>();
        bits(self) == bits(other)
    }
}

/// Compares what was charged on (baseline, checked) pairs of one seed each.
pub(super) fn columns(pairs: &[[&Curve; 2]]) -> Vec<ColumnCheck> {
    let column = |&(column, value): &(&'static str, Value)| {
        let difference = pairs.iter().find_map(|[baseline, checked]| first_difference(baseline, checked, value));
        ColumnCheck { column, seeds: pairs.len(), difference }
    };
    COLUMNS.iter().map(column).collect()
}

fn first_difference(baseline: &Curve, checked: &Curve, value: Value) -> Option<ColumnDifference> {
    let rows = baseline.rounds.iter().zip(&checked.rounds);
    let differs = |(one, other): &(&RoundRow, &RoundRow)| value(one).to_bits() != value(other).to_bits();
    rows.into_iter().find(differs).map(|(one, other)| ColumnDifference {
        seed: baseline.seed.0,
        round: one.round,
        baseline: value(one),
        checked: value(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_mean_loss_over_outer_steps() {
        let curve = |losses: &[(u32, f64)]| Curve { seed: Seed(1), losses: losses.to_vec(), rounds: Vec::new() };
        assert!((curve(&[(0, 4.0), (1, 2.0), (3, 2.0)]).area() - (3.0 + 4.0) / 3.0).abs() < 1e-12);
        assert!((curve(&[(0, 4.0)]).area() - 4.0).abs() < 1e-12);
    }
}
