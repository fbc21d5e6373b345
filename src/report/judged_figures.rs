//! Figures of what validators found out: of one run, and of several beside each other.

use super::axis::{Axis, Measure, Scale, label};
use super::canvas::PALETTE;
use super::figures::Figure;
use super::judged::{Judged, Kind, characteristic, honest_overlaps};
use super::line::{Curve, LineChart, Reference};
use super::statistics::Estimate;
use super::{ReportError, Run};
use crate::protocol::rows::{HONEST, ScoreRow};

const TICKS_X: usize = 8;
const TICKS_Y: usize = 6;
/// Methods that one chart can show.
const METHODS_MAX: usize = 12;

/// The figures of one judged run.
pub(super) fn of_run(run: &Run, subtitle: &str) -> Result<Vec<Figure>, ReportError> {
    let Some(judged) = Judged::of(&run.scores, &run.peers) else { return Ok(Vec::new()) };
    let by_round = |title: &str, y_title: &str, measure, curves: Vec<Curve>| {
        let values: Vec<f64> = curves.iter().flat_map(|curve| &curve.points).map(|point| point[1]).collect();
        LineChart {
            title: title.to_owned(),
            subtitle: subtitle.to_owned(),
            x: Axis::new("round", Measure::Count, Scale::Linear, 0.0, f64::from(run.last_round().round), TICKS_X),
            y: padded(y_title, measure, &values),
            curves,
            references: Vec::new(),
        }
    };
    let kinds = judged.kinds();
    let curves = |value: fn(&ScoreRow) -> Option<f64>| -> Vec<Curve> {
        let curve = |(at, kind): (usize, &&str)| curve(at, (*kind).to_owned(), judged.by_round(kind, value));
        kinds.iter().enumerate().map(curve).collect()
    };
    let mut figures = Vec::new();
    let mut draw = |file: &str, chart: LineChart| -> Result<(), ReportError> {
        figures.push(Figure::new(file, chart.title.clone(), chart.svg())?);
        Ok(())
    };
    draw(
        "score.svg",
        by_round(
            "Raw scores: relative improvement of the loss on random data",
            "score, mean over peers",
            Measure::Share,
            curves(|row| row.score),
        ),
    )?;
    draw(
        "rating.svg",
        by_round(
            "Ratings: mu − 3 sigma",
            "ordinal, mean over peers",
            Measure::Number,
            curves(|row| Some(row.mu? - 3.0 * row.sigma?)),
        ),
    )?;
    draw(
        "pay.svg",
        by_round("Pay of a peer", "share of all pay, mean over peers", Measure::Share, curves(|row| Some(row.pay))),
    )?;
    Ok(figures)
}

/// Curves of several methods, each with all its seeds: who is found at which price, and how alike the honest are.
pub(super) fn of_methods(methods: &[(String, Vec<&Run>)], subtitle: &str) -> Result<Vec<Figure>, ReportError> {
    let mut figures = Vec::new();
    // More curves than colours tell nobody anything.
    if methods.len() > METHODS_MAX {
        return Ok(figures);
    }
    let mut draw = |file: &str, chart: Option<LineChart>| -> Result<(), ReportError> {
        if let Some(chart) = chart {
            figures.push(Figure::new(file, chart.title.clone(), chart.svg())?);
        }
        Ok(())
    };
    draw("detection.svg", detection(methods, subtitle))?;
    draw("overlap.svg", overlap(methods, subtitle))?;
    Ok(figures)
}

fn detection(methods: &[(String, Vec<&Run>)], subtitle: &str) -> Option<LineChart> {
    let mut curves = Vec::new();
    for (at, (name, runs)) in methods.iter().enumerate() {
        let judged: Vec<Judged<'_>> = runs.iter().filter_map(|run| Judged::of(&run.scores, &run.peers)).collect();
        let Some(points) = characteristic(&judged) else { continue };
        curves.push(curve(at, format!("{name}, area {:.3}", area(&points)), points));
    }
    (!curves.is_empty()).then(|| LineChart {
        title: "Liars found against false alarms, by final score".to_owned(),
        subtitle: subtitle.to_owned(),
        x: Axis::new("share of the honest below the threshold", Measure::Share, Scale::Linear, 0.0, 1.0, TICKS_X),
        y: Axis::new("share of liars below it", Measure::Share, Scale::Linear, 0.0, 1.02, TICKS_Y),
        curves,
        references: Vec::new(),
    })
}

fn overlap(methods: &[(String, Vec<&Run>)], subtitle: &str) -> Option<LineChart> {
    let mut curves = Vec::new();
    for (at, (name, runs)) in methods.iter().enumerate() {
        let points = honest_overlaps(runs.iter().flat_map(|run| &run.overlaps));
        if !points.is_empty() {
            let highest = points.last().map_or(0.0, |point| point[1]);
            curves.push(curve(at, format!("{name}, at most {}", label(Measure::Share, highest)), points));
        }
    }
    let threshold = methods
        .iter()
        .flat_map(|(_, runs)| runs)
        .find_map(|run| run.manifest.scenario.validator.as_ref()?.rules.overlap.map(|rule| rule.threshold));
    let references = threshold.map(|value| Reference {
        label: format!("accused from {} on", label(Measure::Share, value)),
        value,
        dash: 8,
    });
    let values = curves.iter().flat_map(|curve| &curve.points).map(|point| point[1]);
    let high = values.chain(threshold).fold(0.0, f64::max) * 1.06;
    (!curves.is_empty()).then(|| LineChart {
        title: "Overlap of the indices of honest pairs".to_owned(),
        subtitle: subtitle.to_owned(),
        x: Axis::new("share of pairs with less", Measure::Share, Scale::Linear, 0.0, 1.0, TICKS_X),
        y: Axis::new("equal indices", Measure::Share, Scale::Linear, 0.0, high, TICKS_Y),
        curves,
        references: references.into_iter().collect(),
    })
}

/// What became of each kind of peer, as a table; nothing if nobody judged.
pub(super) fn table(run: &Run) -> Option<String> {
    let judged = Judged::of(&run.scores, &run.peers)?;
    let mut text = String::from("| kind | peers | accused | delay, rounds | aggregates a peer | pay a peer |\n");
    text += "|---|--:|--:|--:|--:|--:|\n";
    text.extend(judged.outcomes().into_iter().map(|kind| {
        let delay = kind.delay.map_or_else(|| "–".to_owned(), |delay| format!("{delay:.1}"));
        let pay = 100.0 * kind.pay;
        let (name, peers, accused, aggregates) = (kind.name, kind.peers, kind.accused, kind.aggregates);
        format!("| {name} | {peers} | {accused} | {delay} | {aggregates:.1} | {pay:.2} % |\n")
    }));
    if let Some([false_alarms, misses]) = judged.operating_point() {
        text.extend([format!(
            "\nOf the honest, {} of all tests in the second half went unpaid; of the liars, {} were paid.\n",
            label(Measure::Share, false_alarms),
            label(Measure::Share, misses)
        )]);
    }
    Some(text)
}

/// What the columns of [`methods_table`] mean.
pub(super) const LEGEND: &str = "Delay from a liar's first lie to its first accusation; pay of a liar over that of an \
    honest peer. The last two columns are tests of each peer in each round of the second half: the honest that went \
    unpaid, the liars that were paid. Mean over seeds ± half of the 95 % confidence interval.\n\n";

/// What became of the liars under each method, over all its seeds; nothing if nobody judged, or nobody lied.
pub(super) fn methods_table(methods: &[(String, Vec<&Run>)]) -> Option<String> {
    let mut lines = String::new();
    for (name, runs) in methods {
        let judged: Vec<Judged<'_>> = runs.iter().filter_map(|run| Judged::of(&run.scores, &run.peers)).collect();
        let outcomes: Vec<Vec<Kind>> = judged.iter().map(Judged::outcomes).collect();
        let mut kinds: Vec<&str> = outcomes.iter().flatten().map(|kind| kind.name.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let points: Vec<[f64; 2]> = judged.iter().filter_map(Judged::operating_point).collect();
        let share = |at: usize| {
            let values: Vec<f64> = points.iter().map(|point| 100.0 * point[at]).collect();
            Estimate::of(&values).map_or_else(|| "–".to_owned(), |it| format!("{} %", it.text(0)))
        };
        for kind in kinds.into_iter().filter(|kind| *kind != HONEST) {
            let of_kind = || outcomes.iter().flatten().filter(|outcome| outcome.name == kind);
            let (peers, accused) =
                of_kind().fold((0, 0), |(peers, accused), it| (peers + it.peers, accused + it.accused));
            let delays: Vec<f64> = of_kind().filter_map(|it| it.delay).collect();
            let delay = Estimate::of(&delays).map_or_else(|| "–".to_owned(), |it| it.text(1));
            let aggregates: Vec<f64> = of_kind().map(|it| it.aggregates).collect();
            let aggregates = Estimate::of(&aggregates).map_or_else(|| "–".to_owned(), |it| it.text(1));
            let pay: Vec<f64> = outcomes
                .iter()
                .filter_map(|run| {
                    let of = |name: &str| run.iter().find(|outcome| outcome.name == name).map(|outcome| outcome.pay);
                    Some(of(kind)? / of(HONEST)?)
                })
                .filter(|ratio| ratio.is_finite())
                .collect();
            let pay = Estimate::of(&pay).map_or_else(|| "–".to_owned(), |it| it.text(2));
            let (alarms, misses) = (share(0), share(1));
            lines.extend([format!(
                "| {name} | {kind} | {accused} of {peers} | {delay} | {aggregates} | {pay} | {alarms} | {misses} |\n"
            )]);
        }
    }
    (!lines.is_empty()).then(|| {
        let mut text =
            String::from("| method | liars | accused | delay, rounds | aggregates a liar | pay, liar : honest ");
        text += "| honest unpaid | liars paid |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
        text + &lines
    })
}

/// Area under a curve by trapezoids.
fn area(points: &[[f64; 2]]) -> f64 {
    points.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * f64::midpoint(pair[0][1], pair[1][1])).sum()
}

fn curve(at: usize, label: String, points: Vec<[f64; 2]>) -> Curve {
    let colour = PALETTE[at % PALETTE.len()];
    Curve { label, colour, dashed: at >= PALETTE.len(), marked: false, points, band: Vec::new() }
}

fn padded(title: &str, measure: Measure, values: &[f64]) -> Axis {
    let (low, high) = values.iter().fold((0.0_f64, 1e-6_f64), |(low, high), &value| (low.min(value), high.max(value)));
    let room = 0.06 * (high - low);
    Axis::new(title, measure, Scale::Linear, if low < 0.0 { low - room } else { 0.0 }, high + room, TICKS_Y)
}
