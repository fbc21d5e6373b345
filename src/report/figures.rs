//! The figures of one run.

use plotters::style::RGBColor;

use super::axis::{Axis, Measure, Scale, label};
use super::canvas::{Fault, PALETTE};
use super::line::{Curve, LineChart, Reference};
use super::{ReportError, Run, judged_figures, timeline};
use crate::protocol::rows::{EvaluationRow, IntervalRow, RoundRow};
use crate::record::directory::FIGURES;
use crate::record::{References, Status};

/// A drawn figure.
#[derive(Debug)]
pub(super) struct Figure {
    /// File name.
    pub(super) file: String,
    /// What it shows, for its link.
    pub(super) caption: String,
    pub(super) svg: String,
}

impl Figure {
    /// The figure, if it could be drawn.
    pub(super) fn new(
        file: impl Into<String>,
        caption: String,
        svg: Result<String, Fault>,
    ) -> Result<Self, ReportError> {
        let file = file.into();
        match svg {
            Ok(svg) => Ok(Self { file, caption, svg }),
            Err(reason) => Err(ReportError::Drawing { figure: file, reason }),
        }
    }

    /// Its place in a run directory.
    pub(super) fn path(&self) -> String {
        format!("{FIGURES}/{}", self.file)
    }
}

const TICKS_X: usize = 8;
const TICKS_Y: usize = 6;

/// What losses are drawn against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abscissa {
    Rounds,
    Time,
    Bytes,
    Tokens,
}

impl Abscissa {
    pub(super) fn of(self, row: &EvaluationRow) -> f64 {
        match self {
            Self::Rounds => f64::from(row.round),
            Self::Time => row.time_s,
            Self::Bytes => row.bytes_up as f64,
            Self::Tokens => row.tokens as f64,
        }
    }

    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Rounds => "loss-rounds.svg",
            Self::Time => "loss-time.svg",
            Self::Bytes => "loss-bytes.svg",
            Self::Tokens => "loss-tokens.svg",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Rounds => "Validation loss by round",
            Self::Time => "Validation loss over simulated time",
            Self::Bytes => "Validation loss by bytes uploaded",
            Self::Tokens => "Validation loss by tokens trained on",
        }
    }

    /// The axis for points at these values.
    pub(super) fn axis(self, values: &[f64], scale: Scale) -> Axis {
        let (title, measure) = match self {
            Self::Rounds => ("outer steps", Measure::Count),
            Self::Time => ("simulated time", Measure::Seconds),
            Self::Bytes => ("uploaded by all peers, deployment scale", Measure::Bytes),
            Self::Tokens => ("tokens behind the aggregates, proxy scale", Measure::Tokens),
        };
        let high = values.iter().copied().fold(0.0, f64::max);
        let low = match scale {
            Scale::Linear => 0.0,
            Scale::Logarithmic => values.iter().copied().filter(|value| *value > 0.0).fold(high, f64::min),
        };
        Axis::new(title, measure, scale, low, high, TICKS_X)
    }
}

/// The axis for losses, with room above and below.
pub(super) fn loss_axis(values: &[f64]) -> Axis {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let scale = Axis::suitable_scale(finite());
    let (low, high) = finite()
        .filter(|value| scale == Scale::Linear || *value > 0.0)
        .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = match scale {
        Scale::Linear => (low - 0.06 * (high - low), high + 0.06 * (high - low)),
        Scale::Logarithmic => (low / 1.3, high * 1.3),
    };
    Axis::new("validation loss [nats/token]", Measure::Number, scale, low, high, TICKS_Y)
}

/// The horizontal lines for known losses.
pub(super) fn references(references: &References) -> Vec<Reference> {
    let line = |name: &str, value: Option<f64>, dash| {
        let value = value.filter(|value| value.is_finite())?;
        Some(Reference { label: format!("{name} {}", label(Measure::Number, value)), value, dash })
    };
    let unigram = line("unigram entropy", references.unigram, 8);
    unigram.into_iter().chain(line("entropy rate", references.floor, 3)).collect()
}

/// All figures of a run; those for which it has no data are left out.
pub(super) fn of_run(run: &Run) -> Result<Vec<Figure>, ReportError> {
    let mut figures = Vec::new();
    if !run.evaluations.is_empty() {
        for abscissa in [Abscissa::Rounds, Abscissa::Time, Abscissa::Bytes] {
            let chart = loss_chart(run, abscissa);
            figures.push(Figure::new(abscissa.file(), chart.title.clone(), chart.svg())?);
        }
    }
    let chart = peers_chart(run);
    figures.push(Figure::new("peers.svg", chart.title.clone(), chart.svg())?);
    let chart = utilisation_chart(run);
    figures.push(Figure::new("utilisation.svg", chart.title.clone(), chart.svg())?);
    figures.extend(judged_figures::of_run(run, &identity(run))?);
    let intervals: Vec<IntervalRow> = run.directory.read_table()?;
    if let Some(timeline) = timeline::Timeline::from_middle(&intervals, &run.rounds, &identity(run)) {
        figures.push(Figure::new("timeline.svg", timeline.title(), timeline.svg())?);
    }
    Ok(figures)
}

/// Whose figure it is: `covenant-72b, seed 1`.
fn identity(run: &Run) -> String {
    let scenario = &run.manifest.scenario;
    let interrupted = match run.manifest.status {
        Status::Finished => String::new(),
        Status::Interrupted => {
            format!(", interrupted after {} of {} rounds", run.manifest.rounds_done, scenario.rounds)
        }
    };
    format!("{}, seed {}{interrupted}", scenario.name, run.manifest.seed)
}

fn curve(label: String, colour: RGBColor, points: Vec<[f64; 2]>) -> Curve {
    Curve { label, colour, dashed: false, marked: false, points, band: Vec::new() }
}

fn loss_chart(run: &Run, abscissa: Abscissa) -> LineChart {
    let points: Vec<_> = run.evaluations.iter().map(|row| [abscissa.of(row), row.validation_loss]).collect();
    let references = references(&run.manifest.references);
    let known = references.iter().map(|reference| reference.value);
    let losses: Vec<_> = points.iter().map(|point| point[1]).chain(known).collect();
    let abscissas: Vec<_> = points.iter().map(|point| point[0]).collect();
    let last = points.last().map_or(f64::NAN, |point| point[1]);
    let curve = curve(format!("validation loss, {last:.3} at the end"), PALETTE[0], points);
    LineChart {
        title: abscissa.title().to_owned(),
        subtitle: identity(run),
        x: abscissa.axis(&abscissas, Scale::Linear),
        y: loss_axis(&losses),
        curves: vec![Curve { marked: true, ..curve }],
        references,
    }
}

fn by_round(run: &Run, value: impl Fn(&RoundRow) -> f64) -> Vec<[f64; 2]> {
    run.rounds.iter().map(|row| [f64::from(row.round), value(row)]).collect()
}

fn round_axis(run: &Run) -> Axis {
    let (first, last) = (f64::from(run.rounds[0].round), f64::from(run.last_round().round));
    Axis::new("round", Measure::Count, Scale::Linear, first, last, TICKS_X)
}

fn peers_chart(run: &Run) -> LineChart {
    let (active, contributing) = (by_round(run, |row| row.active.into()), by_round(run, |row| row.contributing.into()));
    let high = active.iter().map(|point| point[1]).fold(1.0, f64::max) * 1.08;
    let means = [run.mean(|row| row.active.into()), run.mean(|row| row.contributing.into())];
    LineChart {
        title: "Peers per round".to_owned(),
        subtitle: identity(run),
        x: round_axis(run),
        y: Axis::new("peers", Measure::Count, Scale::Linear, 0.0, high, TICKS_Y),
        curves: vec![
            curve(format!("active, mean {:.1}", means[0]), PALETTE[0], active),
            curve(format!("contributing, mean {:.1}", means[1]), PALETTE[1], contributing),
        ],
        references: Vec::new(),
    }
}

fn utilisation_chart(run: &Run) -> LineChart {
    let mean = run.utilisation();
    let points = by_round(run, |row| row.utilisation);
    LineChart {
        title: "Utilisation: share of time in inner steps".to_owned(),
        subtitle: identity(run),
        x: round_axis(run),
        y: Axis::new("time computing", Measure::Share, Scale::Linear, 0.0, 1.0, TICKS_Y),
        curves: vec![curve("mean over active peers".to_owned(), PALETTE[0], points)],
        references: vec![Reference {
            label: format!("mean over rounds {}", label(Measure::Share, mean)),
            value: mean,
            dash: 8,
        }],
    }
}
