//! Numbers of the cells along each numeric axis: final loss, time to the target, utilisation.
//!
//! A grid has a curve for each value of the first other axis, with the rest at the baseline cell's values; other sweeps
//! have a point for each cell. The axis of a top-k's k is drawn as the density k/C.

use super::outcome::Outcome;
use super::{SweepReport, Swept, measure, slug, target_text, title};
use crate::report::ReportError;
use crate::report::axis::{Axis as Scaled, Measure, Scale, label};
use crate::report::canvas::PALETTE;
use crate::report::figures::{Figure, loss_axis};
use crate::report::line::{Curve, LineChart};
use crate::report::scatter::{Point, Scatter};
use crate::report::statistics::Estimate;

/// Curves of a figure: more than there are colours cannot be told apart.
const CURVES_MAX: usize = PALETTE.len();
/// An axis with more values has ticks at round numbers.
const TICKS_MAX: usize = 10;
/// Numbers that are further apart than this, from the first to the last, are drawn on a logarithmic axis.
const GEOMETRIC_FROM: f64 = 8.0;
/// Utilisation that differs by less between cells is no figure.
const UTILISATION_RANGE_MIN: f64 = 0.01;

/// A number of a run that is drawn along axes.
struct Quantity {
    /// What files begin with.
    file: &'static str,
    caption: String,
    value: fn(&Outcome) -> Option<f64>,
    axis: fn(&[f64]) -> Scaled,
    /// Whether the axis is to hold the bands; of a time they may reach below zero, and are cut off.
    has_room_for_bands: bool,
}

/// All such figures; those for which the sweep has no data are left out.
pub(super) fn of_sweep(report: &SweepReport) -> Result<Vec<Figure>, ReportError> {
    let mut figures = Vec::new();
    for quantity in quantities(report) {
        for axis in 0..report.axes().len() {
            let is_numeric = report.axes()[axis].unit.is_some() && report.axes()[axis].values.len() > 1;
            if is_numeric {
                figures.extend(along(report, axis, &quantity)?);
            }
        }
    }
    Ok(figures)
}

fn quantities(report: &SweepReport) -> Vec<Quantity> {
    let mut quantities = Vec::new();
    if report.cells.iter().any(|cell| cell.loss().is_some()) {
        let caption = "Final validation loss".to_owned();
        quantities.push(Quantity {
            file: "loss",
            caption,
            value: |outcome| outcome.loss,
            axis: loss_axis,
            has_room_for_bands: true,
        });
    }
    if let Some(target) = report.target.filter(|_| report.cells.iter().any(|cell| cell.seconds_to_target().is_some())) {
        quantities.push(Quantity {
            file: "time",
            caption: format!("Simulated time to a loss of {}", target_text(target)),
            value: |outcome| outcome.reached.map(|reached| reached.time_s),
            axis: |values| from_zero("simulated time", Measure::Seconds, values),
            has_room_for_bands: false,
        });
    }
    let shares: Vec<f64> = report.cells.iter().filter_map(|cell| Some(cell.utilisation()?.mean)).collect();
    let [low, high] = range(&shares);
    if high - low > UTILISATION_RANGE_MIN {
        quantities.push(Quantity {
            file: "utilisation",
            caption: "Utilisation".to_owned(),
            value: |outcome| Some(outcome.utilisation),
            axis: |_| Scaled::new("time in inner steps", Measure::Share, Scale::Linear, 0.0, 1.0, 6),
            has_room_for_bands: false,
        });
    }
    quantities
}

fn range(values: &[f64]) -> [f64; 2] {
    values.iter().fold([f64::MAX, f64::MIN], |[low, high], &value| [low.min(value), high.max(value)])
}

fn from_zero(title: &str, measure: Measure, values: &[f64]) -> Scaled {
    let [low, high] = range(values);
    match Scaled::suitable_scale(values.iter().copied()) {
        Scale::Logarithmic if low > 0.0 => Scaled::new(title, measure, Scale::Logarithmic, low / 1.3, high * 1.3, 6),
        _ => Scaled::new(title, measure, Scale::Linear, 0.0, high * 1.06, 6),
    }
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
    let has_density = || report.cells.iter().all(|cell| cell.density.is_some());
    report.axes()[axis].paths == ["protocol.compression.top_k.k"] && has_density()
}

fn x_axis(report: &SweepReport, axis: usize) -> Scaled {
    let values: Vec<f64> = report.cells.iter().filter_map(|cell| abscissa(report, axis, cell)).collect();
    let [low, high] = range(&values);
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

fn along(report: &SweepReport, axis: usize, quantity: &Quantity) -> Result<Option<Figure>, ReportError> {
    let what = if is_k(report, axis) { "density".to_owned() } else { title(&report.axes()[axis]) };
    let file = format!("{}-by-{}.svg", quantity.file, slug(&what));
    let caption = format!("{} by {what}", quantity.caption);
    let svg = if report.is_grid() {
        let mut curves = curves(report, axis, quantity);
        if curves.is_empty() {
            return Ok(None);
        }
        let values: Vec<f64> = curves.iter().flat_map(|curve| curve.points.iter().map(|at| at[1])).collect();
        let bands = curves.iter().flat_map(|curve| curve.band.iter().flat_map(|&[_, low, high]| [low, high]));
        let y = if quantity.has_room_for_bands {
            (quantity.axis)(&values.iter().copied().chain(bands).collect::<Vec<_>>())
        } else {
            (quantity.axis)(&values)
        };
        for [_, low, high] in curves.iter_mut().flat_map(|curve| &mut curve.band) {
            (*low, *high) = (y.nearest(*low), y.nearest(*high));
        }
        let chart = LineChart {
            title: caption.clone(),
            subtitle: format!("{}, {}", report.manifest.name, seeds(report)),
            x: x_axis(report, axis),
            y,
            curves,
            references: Vec::new(),
        };
        chart.svg()
    } else {
        let at = |cell: &Swept| Some([abscissa(report, axis, cell)?, cell.all(quantity.value)?.mean]);
        let points: Vec<[f64; 2]> = report.cells.iter().filter_map(at).collect();
        if points.is_empty() {
            return Ok(None);
        }
        let chart = Scatter {
            title: caption.clone(),
            subtitle: format!("{}, a point a cell", report.manifest.name),
            x: x_axis(report, axis),
            y: (quantity.axis)(&points.iter().map(|at| at[1]).collect::<Vec<_>>()),
            points: points.into_iter().map(|at| Point { at, label: String::new(), is_best: false }).collect(),
            best: String::new(),
            others: String::new(),
        };
        chart.svg()
    };
    Ok(Some(Figure::new(file, caption, svg)?))
}

/// A curve for each value of the first other axis.
fn curves(report: &SweepReport, axis: usize, quantity: &Quantity) -> Vec<Curve> {
    let is_shown = |other: &usize| {
        let values = report.axes()[*other].values.len();
        *other != axis && values > 1 && values <= CURVES_MAX
    };
    let Some(other) = (0..report.axes().len()).find(is_shown) else {
        let points = points(report, axis, quantity, &report.baseline().at);
        return curve(&quantity.caption.to_lowercase(), 0, &points).into_iter().collect();
    };
    let values = report.axes()[other].values.iter().enumerate();
    let of_value = |(place, value): (usize, &crate::scenario::sweep::AxisValue)| {
        let mut at = report.baseline().at.clone();
        at[other] = place;
        let label = format!("{} = {}", title(&report.axes()[other]), value.label);
        curve(&label, place, &points(report, axis, quantity, &at))
    };
    values.filter_map(of_value).collect()
}

/// The abscissa, the number, and half the width of the interval of its difference to the baseline.
type Spot = (f64, Estimate, Option<f64>);

/// The cells that differ from the one at `at` along the axis alone.
fn points(report: &SweepReport, axis: usize, quantity: &Quantity, at: &[usize]) -> Vec<Spot> {
    let place = |place: usize| {
        let mut at = at.to_vec();
        at[axis] = place;
        let cell = report.cell_at(&at)?;
        let difference = cell.difference(report.baseline(), quantity.value).and_then(|it| it.half_width);
        Some((abscissa(report, axis, cell)?, cell.all(quantity.value)?, difference))
    };
    let mut points: Vec<Spot> = (0..report.axes()[axis].values.len()).filter_map(place).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn curve(label: &str, index: usize, points: &[Spot]) -> Option<Curve> {
    let band = |&(x, value, half_width): &Spot| Some([x, value.mean - half_width?, value.mean + half_width?]);
    (!points.is_empty()).then(|| Curve {
        label: label.to_owned(),
        colour: PALETTE[index],
        dashed: false,
        marked: true,
        band: points.iter().filter_map(band).collect(),
        points: points.iter().map(|(x, value, _)| [*x, value.mean]).collect(),
    })
}
