//! The figures of a sweep.

use super::pivot::Pivot;
use super::{SweepReport, Swept, curves, pareto, target_text};
use crate::report::ReportError;
use crate::report::axis::{Axis as Scaled, Measure, Scale, label};
use crate::report::figures::{Figure, loss_axis};
use crate::report::heat::{Field, HeatMap};
use crate::report::scatter::{Point, Scatter};
use crate::report::statistics::Estimate;

/// Points of a scatter chart with a name.
const NAMES_MAX: usize = 12;

/// A number of a cell.
type Value = fn(&Swept) -> Option<Estimate>;

/// All figures; those for which the sweep has no data are left out.
pub(super) fn of_sweep(report: &SweepReport) -> Result<Vec<Figure>, ReportError> {
    let mut figures = Vec::new();
    let has_losses = report.cells.iter().any(|cell| cell.loss().is_some());
    figures.extend(curves::of_sweep(report)?);
    if let Some(pivot) = Pivot::of(report) {
        figures.extend(fields(report, &pivot)?);
    }
    if has_losses && report.cells.len() > 1 {
        figures.extend(fronts(report)?);
    }
    Ok(figures)
}

/// Fields of two axes: final loss, and time and bytes to the target.
fn fields(report: &SweepReport, pivot: &Pivot<'_>) -> Result<Vec<Figure>, ReportError> {
    let target = report.target.map(target_text).unwrap_or_default();
    let maps: [(&str, String, Measure, Value); 3] = [
        ("final-loss.svg", "Final validation loss [nats/token]".to_owned(), Measure::Number, Swept::loss),
        (
            "time-to-target.svg",
            format!("Simulated time to a loss of {target}"),
            Measure::Seconds,
            Swept::seconds_to_target,
        ),
        (
            "bytes-to-target.svg",
            format!("Bytes moved up to a loss of {target}"),
            Measure::Bytes,
            Swept::bytes_to_target,
        ),
    ];
    let mut figures = Vec::new();
    for (file, caption, measure, value) in maps {
        if report.cells.iter().all(|cell| value(cell).is_none()) {
            continue;
        }
        let field = |cell: Option<&Swept>| {
            let estimate = cell.and_then(value);
            let number = estimate.map(|estimate| estimate.mean);
            let text = match (number, cell) {
                (Some(number), _) if measure == Measure::Number => format!("{number:.3}"),
                (Some(number), _) => label(measure, number),
                (None, Some(cell)) if cell.diverged() > 0 => "diverged".to_owned(),
                (None, Some(cell)) if cell.present().next().is_some() => "not reached".to_owned(),
                (None, _) => "–".to_owned(),
            };
            Field { value: number, text }
        };
        let [rows, columns] = [pivot.labels(0), pivot.labels(1)];
        let map = HeatMap {
            title: caption.clone(),
            subtitle: format!(
                "{}, {}; darker is worse; framed: the baseline{}",
                report.manifest.name,
                if report.manifest.seeds.len() == 1 {
                    "one seed".to_owned()
                } else {
                    format!("mean of {} seeds", report.manifest.seeds.len())
                },
                pivot.others().map_or_else(String::new, |others| format!("; {others}")),
            ),
            column_title: pivot.title(1),
            row_title: pivot.title(0),
            fields: (0..rows.len())
                .map(|row| (0..columns.len()).map(|column| field(pivot.cell(row, column))).collect())
                .collect(),
            rows,
            columns,
            framed: Some(pivot.baseline()),
        };
        figures.push(Figure::new(file, caption, map.svg())?);
    }
    Ok(figures)
}

/// Final loss against simulated time and against bytes, with what nothing beats.
fn fronts(report: &SweepReport) -> Result<Vec<Figure>, ReportError> {
    let time: Value = |cell| cell.all(|outcome| Some(outcome.time_s));
    let bytes: Value = |cell| cell.all(|outcome| Some(outcome.bytes_up + outcome.bytes_down));
    let mut figures = Vec::new();
    let charts: [(&str, &str, &str, Measure, Value); 2] = [
        (
            "loss-time-cells.svg",
            "Final loss against simulated time",
            "simulated time of the run",
            Measure::Seconds,
            time,
        ),
        (
            "loss-bytes-cells.svg",
            "Final loss against bytes moved",
            "moved by all peers, up and down",
            Measure::Bytes,
            bytes,
        ),
    ];
    for (file, caption, x_title, measure, value) in charts {
        let placed: Vec<_> =
            report.cells.iter().filter_map(|cell| Some((cell, [value(cell)?.mean, cell.loss()?.mean]))).collect();
        let best = pareto::front(&placed.iter().map(|(_, at)| *at).collect::<Vec<_>>());
        let names = best.iter().filter(|is_best| **is_best).count();
        let point = |((cell, at), &is_best): (&(&Swept, [f64; 2]), &bool)| Point {
            at: *at,
            label: if is_best && names <= NAMES_MAX { report.label_of(cell) } else { String::new() },
            is_best,
        };
        let points: Vec<Point> = placed.iter().zip(&best).map(point).collect();
        let abscissas: Vec<f64> = points.iter().map(|point| point.at[0]).collect();
        let (low, high) = abscissas.iter().fold((f64::MAX, 0.0_f64), |(low, high), &x| (low.min(x), high.max(x)));
        let scale = if low > 0.0 { Scaled::suitable_scale(abscissas.iter().copied()) } else { Scale::Linear };
        let x = match scale {
            Scale::Linear => Scaled::new(x_title, measure, scale, 0.0, high * 1.06, 8),
            Scale::Logarithmic => Scaled::new(x_title, measure, scale, low / 1.3, high * 1.3, 8),
        };
        let chart = Scatter {
            title: caption.to_owned(),
            subtitle: format!("{}, a point a cell", report.manifest.name),
            x,
            y: loss_axis(&points.iter().map(|point| point.at[1]).collect::<Vec<_>>()),
            points,
            best: "cells that no other beats in both".to_owned(),
            others: "other cells".to_owned(),
        };
        figures.push(Figure::new(file, caption.to_owned(), chart.svg())?);
    }
    Ok(figures)
}
