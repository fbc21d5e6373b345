//! The sweep's summary in Markdown and its statistics as a table.
//!
//! `statistics.parquet` has one row a cell; its columns are in `results/README.md`.

use polars::prelude::{Column, DataFrame};

use super::pivot::Pivot;
use super::recommend::{Recommendation, recommend};
use super::{SweepReport, Swept, pareto, target_text, title};
use crate::record::sweep::axis_columns;
use crate::report::axis::{Measure, label};
use crate::report::figures::Figure;
use crate::report::judged_figures;
use crate::report::statistics::Estimate;

type Value = fn(&Swept) -> Option<Estimate>;

/// The numbers of a cell that need no other cell.
const VALUES: [(&str, Value); 7] = [
    ("loss", Swept::loss),
    ("time_s", |cell| cell.all(|outcome| Some(outcome.time_s))),
    ("bytes_up", |cell| cell.all(|outcome| Some(outcome.bytes_up))),
    ("bytes_down", |cell| cell.all(|outcome| Some(outcome.bytes_down))),
    ("time_to_target_s", Swept::seconds_to_target),
    ("bytes_to_target", Swept::bytes_to_target),
    ("utilisation", Swept::utilisation),
];

/// The statistics of all cells.
pub(super) fn frame(report: &SweepReport) -> DataFrame {
    let cells: Vec<u32> = (0..report.cells.len() as u32).collect();
    let count = |value: fn(&Swept) -> usize| report.cells.iter().map(|cell| value(cell) as u32).collect::<Vec<_>>();
    let mut columns = vec![
        Column::new("seeds".into(), count(|cell| cell.present().count())),
        Column::new("diverged".into(), count(Swept::diverged)),
    ];
    let mut estimates = |name: &str, values: Vec<Option<Estimate>>| {
        let means: Vec<Option<f64>> = values.iter().map(|value| value.map(|value| value.mean)).collect();
        let halves: Vec<Option<f64>> = values.iter().map(|value| value.and_then(|value| value.half_width)).collect();
        columns.push(Column::new(name.into(), means));
        columns.push(Column::new(format!("{name}_half_width").into(), halves));
    };
    for (name, value) in VALUES {
        estimates(name, report.cells.iter().map(value).collect());
        if name == "loss" {
            let baseline = report.baseline();
            estimates("loss_difference", report.cells.iter().map(|cell| cell.loss_difference(baseline)).collect());
        }
    }
    columns.push(Column::new("target_loss".into(), vec![report.target; report.cells.len()]));
    columns.push(Column::new("reached".into(), count(|cell| cell.present().filter(|it| it.reached.is_some()).count())));
    columns.push(Column::new("front".into(), front(report)));
    let first = vec![Column::new("cell".into(), cells.clone())];
    let named: Vec<&str> = first.iter().chain(&columns).map(|column| column.name().as_str()).collect();
    let axes = axis_columns(&report.manifest, &cells, &named);
    let columns = first.into_iter().chain(axes).chain(columns).collect();
    DataFrame::new(cells.len(), columns).expect("because each column has one value a cell and its own name")
}

/// Whether each cell is one that no other beats in loss, time and bytes together.
fn front(report: &SweepReport) -> Vec<bool> {
    let point = |cell: &Swept| {
        let time = cell.all(|outcome| Some(outcome.time_s))?.mean;
        let bytes = cell.all(|outcome| Some(outcome.bytes_up + outcome.bytes_down))?.mean;
        Some([cell.loss()?.mean, time, bytes])
    };
    let points: Vec<_> = report.cells.iter().map(point).collect();
    let known: Vec<[f64; 3]> = points.iter().flatten().copied().collect();
    let mut best = pareto::front(&known).into_iter();
    points.iter().map(|point| point.is_some() && best.next() == Some(true)).collect()
}

/// The page on a sweep.
pub(super) fn summary(report: &SweepReport, judged: Option<String>, figures: &[Figure]) -> String {
    let manifest = &report.manifest;
    let mut text = format!("# {}\n\n", manifest.name);
    let seeds = manifest.seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    text.extend([format!(
        "{} cells, seeds {seeds}. Made by\n\n```sh\n{}\n```\n\n",
        manifest.cells.len(),
        manifest.command
    )]);
    // Where every axis is a circumstance there is nothing to take.
    let is_choice = report.axes().iter().any(|axis| !axis.given);
    if is_choice && report.cells.iter().any(|cell| cell.loss().is_some()) {
        text += "## What to take\n\n";
        let answers: Vec<String> = recommend(report).iter().map(Recommendation::text).collect();
        text += &answers.join("\n");
        if report.is_own_target {
            text += "Nobody gave a target: this is one that half of the cells reach with every seed. ";
            text += "`swarmloco report DIR --target-loss L` takes another.\n";
        }
        text += "\n";
    }
    if let Some(pivot) = Pivot::of(report) {
        text += &pivoted(report, &pivot);
    }
    text += &all_cells(report);
    if let Some(judged) = judged {
        text += "\n## What validators found out\n\n";
        text += judged_figures::LEGEND;
        text += &judged;
    }
    let missing = report.missing();
    if !missing.is_empty() {
        text += "\n## Runs that have not come to their end\n\nThey count nowhere above; `cells.parquet` says why.\n\n";
        text.extend(missing.iter().map(|(cell, seed)| format!("- {}, seed {seed}\n", report.label_of(cell))));
    }
    if !figures.is_empty() {
        text += "\n## Figures\n\n";
        text.extend(figures.iter().map(|figure| format!("![{}]({})\n\n", figure.caption, figure.path())));
    }
    text
}

/// Final loss by two axes, as a difference to the baseline.
fn pivoted(report: &SweepReport, pivot: &Pivot<'_>) -> String {
    let [rows, columns] = [pivot.labels(0), pivot.labels(1)];
    let (row_title, column_title) = (pivot.title(0), pivot.title(1));
    let mut text = format!("## Final loss by {row_title} and {column_title}\n\n");
    text += "Difference to the baseline cell in per cent of its loss, paired by seed, ± half of the 95 % confidence interval.";
    if let Some(others) = pivot.others() {
        text.extend([format!(" Other axes: {others}.")]);
    }
    text.extend([format!("\n\n| {row_title} \\ {column_title} | {} |\n|---|", columns.join(" | "))]);
    text += &"--:|".repeat(columns.len());
    text += "\n";
    for (row, label) in rows.iter().enumerate() {
        text.extend([format!("| {label} |")]);
        for column in 0..columns.len() {
            let field = match pivot.cell(row, column) {
                None => "–".to_owned(),
                Some(cell) if cell.diverged() > 0 => diverged(cell),
                Some(cell) if [row, column] == pivot.baseline() => {
                    cell.loss().map_or_else(|| "–".to_owned(), |loss| format!("{:.4} nats", loss.mean))
                }
                Some(cell) => {
                    let difference = cell.relative_loss_difference(report.baseline());
                    difference.map_or_else(|| "–".to_owned(), |it| format!("{} %", signed(&it.scaled(100.0), 2)))
                }
            };
            text.extend([format!(" {field} |")]);
        }
        text += "\n";
    }
    text + "\n"
}

fn all_cells(report: &SweepReport) -> String {
    let target = report.target.map(target_text).unwrap_or_default();
    let mut text = String::from("## All cells\n\n");
    text +=
        "Mean over seeds ± half of the 95 % confidence interval (Student's t). Loss in nats per token of the proxy; ";
    text += "time and bytes at deployment scale, bytes of all peers. The difference is to the baseline cell, paired by seed. ";
    text += "◆: no other cell is at least as good in loss, time and bytes, and better in one.\n\n";
    text += "|";
    text.extend(report.axes().iter().map(|axis| format!(" {} |", title(axis))));
    text += " seeds | final loss | difference | time | up | down |";
    if report.target.is_some() {
        text.extend([format!(" time to {target} | bytes to {target} |")]);
    }
    text += " ◆ |\n|";
    text += &"---|".repeat(report.axes().len());
    text += &"--:|".repeat(if report.target.is_some() { 8 } else { 6 });
    text += ":-:|\n";
    let dash = || "–".to_owned();
    for (index, (cell, is_best)) in report.cells.iter().zip(front(report)).enumerate() {
        text += "|";
        let values = report.axes().iter().zip(&cell.at).map(|(axis, &at)| format!(" {} |", axis.values[at].label));
        text.extend(values);
        let mean = |measure, value: Option<Estimate>| value.map_or_else(dash, |it| label(measure, it.mean));
        let loss = match cell.loss() {
            _ if cell.diverged() > 0 => diverged(cell),
            loss => loss.map_or_else(dash, |loss| loss.text(4)),
        };
        let difference = match cell.loss_difference(report.baseline()) {
            _ if index == report.manifest.baseline => "baseline".to_owned(),
            difference => difference.map_or_else(dash, |difference| signed(&difference, 4)),
        };
        let seeds = cell.present().count();
        text.extend([format!(" {seeds} | {loss} | {difference} |")]);
        let measures =
            [Measure::Number, Measure::Seconds, Measure::Bytes, Measure::Bytes, Measure::Seconds, Measure::Bytes];
        let shown = if report.target.is_some() { 6 } else { 4 };
        for ((_, value), measure) in VALUES.iter().zip(measures).take(shown).skip(1) {
            text.extend([format!(" {} |", mean(measure, value(cell)))]);
        }
        text += if is_best { " ◆ |\n" } else { " |\n" };
    }
    text
}

fn diverged(cell: &Swept) -> String {
    match (cell.diverged(), cell.present().count()) {
        (all, count) if all == count => "diverged".to_owned(),
        (some, count) => format!("{some} of {count} diverged"),
    }
}

fn signed(estimate: &Estimate, decimals: usize) -> String {
    format!("{}{}", if estimate.mean > 0.0 { "+" } else { "" }, estimate.text(decimals))
}
