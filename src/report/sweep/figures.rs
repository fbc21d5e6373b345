//! The figures of a sweep.

use super::pivot::Pivot;
use super::{SweepReport, Swept, measure, pareto, slug, target_text, title};
use crate::report::ReportError;
use crate::report::axis::{Axis as Scaled, Measure, Scale, label};
use crate::report::canvas::PALETTE;
use crate::report::figures::{Figure, loss_axis};
use crate::report::heat::{Field, HeatMap};
use crate::report::line::{Curve, LineChart};
use crate::report::scatter::{Point, Scatter};
use crate::report::statistics::Estimate;

/// Curves of a figure: more than there are colours cannot be told apart.
const CURVES_MAX: usize = PALETTE.len();
/// An axis with more values has ticks at round numbers.
const TICKS_MAX: usize = 10;
/// Points of a scatter chart with a name.
const NAMES_MAX: usize = 12;
/// Numbers that grow by about the same factor are further apart than this from the first to the last.
const GEOMETRIC_FROM: f64 = 8.0;

/// A number of a cell.
type Value = fn(&Swept) -> Option<Estimate>;

/// All figures; those for which the sweep has no data are left out.
pub(super) fn of_sweep(report: &SweepReport) -> Result<Vec<Figure>, ReportError> {
    let mut figures = Vec::new();
    let has_losses = report.cells.iter().any(|cell| cell.loss().is_some());
    if has_losses {
        for axis in 0..report.axes().len() {
            let is_numeric = report.axes()[axis].unit.is_some() && report.axes()[axis].values.len() > 1;
            if is_numeric {
                figures.extend(along(report, axis)?);
            }
        }
    }
    if let Some(pivot) = Pivot::of(report) {
        figures.extend(fields(report, &pivot)?);
    }
    if has_losses && report.cells.len() > 1 {
        figures.extend(fronts(report)?);
    }
    Ok(figures)
}

fn seeds(report: &SweepReport) -> String {
    match report.manifest.seeds.len() {
        1 => "one seed".to_owned(),
        count => format!("mean of {count} seeds; band: 95 % confidence interval of the difference to the baseline"),
    }
}

/// The number of an axis's value for a cell; of a k the density that it makes.
fn abscissa(report: &SweepReport, axis: usize, cell: &Swept) -> Option<f64> {
    if is_k(report, axis) { cell.density } else { report.axes()[axis].values[cell.at[axis]].number }
}

fn is_k(report: &SweepReport, axis: usize) -> bool {
    report.axes()[axis].paths == ["protocol.compression.top_k.k"]
        && report.cells.iter().all(|cell| cell.density.is_some())
}

fn x_axis(report: &SweepReport, axis: usize) -> Scaled {
    let values: Vec<f64> = report.cells.iter().filter_map(|cell| abscissa(report, axis, cell)).collect();
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    let scale = if low > 0.0 && high > low * GEOMETRIC_FROM { Scale::Logarithmic } else { Scale::Linear };
    let (name, measure) = if is_k(report, axis) {
        ("density k/C".to_owned(), Measure::Share)
    } else {
        (title(&report.axes()[axis]), measure(&report.axes()[axis]).unwrap_or(Measure::Number))
    };
    let (low, high) = match scale {
        Scale::Linear => (low - 0.04 * (high - low), high + 0.04 * (high - low)),
        Scale::Logarithmic => (low / 1.15, high * 1.15),
    };
    let mut scaled = Scaled::new(&name, measure, scale, low, high, 8);
    let mut own: Vec<(f64, String)> =
        values.iter().filter_map(|&value| Some((scaled.position(value)?, label(measure, value)))).collect();
    own.sort_by(|a, b| a.0.total_cmp(&b.0));
    own.dedup_by(|a, b| a.0 == b.0);
    // Few values are ticks themselves.
    if own.len() <= TICKS_MAX {
        scaled.ticks = own;
    }
    scaled
}

/// Final loss along one axis, a curve for each value of the first other axis.
fn along(report: &SweepReport, axis: usize) -> Result<Option<Figure>, ReportError> {
    let what = if is_k(report, axis) { "density".to_owned() } else { title(&report.axes()[axis]) };
    let file = format!("loss-by-{}.svg", slug(&what));
    let caption = format!("Final validation loss by {what}");
    if !report.is_grid() {
        let points =
            report.cells.iter().filter_map(|cell| Some(([abscissa(report, axis, cell)?, cell.loss()?.mean], cell)));
        let points: Vec<_> = points.map(|(at, _)| Point { at, label: String::new(), is_best: false }).collect();
        let losses: Vec<f64> = points.iter().map(|point| point.at[1]).collect();
        let chart = Scatter {
            title: caption.clone(),
            subtitle: format!("{}, a point a cell", report.manifest.name),
            x: x_axis(report, axis),
            y: loss_axis(&losses),
            points,
            best: String::new(),
            others: String::new(),
        };
        return Ok(Some(Figure::new(file, caption, chart.svg())?));
    }
    let is_shown = |other: &usize| {
        let values = report.axes()[*other].values.len();
        *other != axis && values > 1 && values <= CURVES_MAX
    };
    let other = (0..report.axes().len()).find(is_shown);
    let choices: Vec<Option<usize>> = match other {
        Some(other) => (0..report.axes()[other].values.len()).map(Some).collect(),
        None => vec![None],
    };
    let mut curves = Vec::new();
    for (index, choice) in choices.into_iter().enumerate() {
        let mut points: Vec<(f64, Estimate, Option<f64>)> = (0..report.axes()[axis].values.len())
            .filter_map(|place| {
                let mut at = report.baseline().at.clone();
                at[axis] = place;
                if let (Some(other), Some(choice)) = (other, choice) {
                    at[other] = choice;
                }
                let cell = report.cell_at(&at)?;
                let difference = cell.loss_difference(report.baseline()).and_then(|it| it.half_width);
                Some((abscissa(report, axis, cell)?, cell.loss()?, difference))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if points.is_empty() {
            continue;
        }
        let label = match (other, choice) {
            (Some(other), Some(choice)) => {
                let other = &report.axes()[other];
                format!("{} = {}", title(other), other.values[choice].label)
            }
            _ => "final validation loss".to_owned(),
        };
        let band = |&(x, loss, half_width): &(f64, Estimate, Option<f64>)| {
            Some([x, loss.mean - half_width?, loss.mean + half_width?])
        };
        curves.push(Curve {
            label,
            colour: PALETTE[index],
            dashed: false,
            marked: true,
            band: points.iter().filter_map(band).collect(),
            points: points.iter().map(|(x, loss, _)| [*x, loss.mean]).collect(),
        });
    }
    if curves.is_empty() {
        return Ok(None);
    }
    let bands = curves.iter().flat_map(|curve| curve.band.iter().flat_map(|&[_, low, high]| [low, high]));
    let losses: Vec<f64> = curves.iter().flat_map(|curve| curve.points.iter().map(|at| at[1])).chain(bands).collect();
    let chart = LineChart {
        title: caption.clone(),
        subtitle: format!("{}, {}", report.manifest.name, seeds(report)),
        x: x_axis(report, axis),
        y: loss_axis(&losses),
        curves,
        references: Vec::new(),
    };
    Ok(Some(Figure::new(file, caption, chart.svg())?))
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
