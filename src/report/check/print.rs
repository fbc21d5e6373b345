//! A comparison in words: for a terminal, for a pull request, for a CI server.

use super::{CellCheck, Check, ColumnCheck, Metric, Verdict};

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Undecided => "undecided",
        }
    }
}

fn seeds(cell: &CellCheck) -> String {
    match cell.seeds {
        [pairs, _] if cell.is_paired => format!("{pairs} seeds, paired"),
        [baseline, checked] => format!("{baseline} against {checked} seeds, independent"),
    }
}

/// `+2.03 ± 0.41 %`.
fn change(metric: &Metric) -> String {
    let sign = if metric.change > 0.0 { "+" } else { "" };
    let half = metric.half_width.map_or_else(String::new, |half| format!(" ± {:.2}", 100.0 * half));
    format!("{sign}{:.2}{half} %", 100.0 * metric.change)
}

/// What the test says, in a sentence.
fn finding(metric: &Metric, margin: f64) -> String {
    let margin = format!("{} %", 100.0 * margin);
    let sure = |certainty: f64| format!("{:.1} %", 100.0 * certainty);
    match metric.verdict {
        Verdict::Same => format!("within {margin} with a certainty of {}", sure(metric.certainty_same)),
        Verdict::Worse => format!("beyond {margin}, and higher with a certainty of {}", sure(metric.certainty_worse)),
        Verdict::Better => {
            format!("beyond {margin}, and lower with a certainty of {}", sure(1.0 - metric.certainty_worse))
        }
        Verdict::Undecided => {
            let more =
                metric.seeds_needed.map_or_else(String::new, |seeds| format!("; about {seeds} seeds would tell"));
            format!("not shown to be within {margin} (certainty {}){more}", sure(metric.certainty_same))
        }
    }
}

fn column_finding(column: &ColumnCheck) -> String {
    match &column.difference {
        None if column.seeds == 0 => "not compared: no seed is on both sides".to_owned(),
        None => "equal".to_owned(),
        Some(difference) => format!(
            "{} instead of {} in round {} of seed {}",
            difference.checked, difference.baseline, difference.round, difference.seed
        ),
    }
}

fn summary(check: &Check) -> &'static str {
    if check.is_same() { "same" } else { "moved" }
}

pub(super) fn text(check: &Check) -> String {
    let mut text = String::new();
    for cell in &check.cells {
        text.extend([format!("{} ({})\n", cell.cell, seeds(cell))]);
        text.extend(cell.metrics.iter().map(|metric| {
            let (name, word) = (metric.name, metric.verdict.word());
            let values = format!("{:.4} -> {:.4}, {}", metric.baseline, metric.checked, change(metric));
            format!("  {name:<21} {word:<10} {values}: {}\n", finding(metric, check.margin))
        }));
        text.extend(cell.columns.iter().map(|column| {
            let word = if column.difference.is_some() { "changed" } else { "same" };
            format!("  {:<21} {word:<10} {}\n", column.column, column_finding(column))
        }));
    }
    text + summary(check) + "\n"
}

pub(super) fn markdown(check: &Check) -> String {
    let mut text = format!("# Convergence: {}\n\n", summary(check));
    text.extend([format!(
        "Margin {} % of the baseline's mean; two one-sided t-tests at 5 %, ± is half of the 90 % confidence interval. \
         Loss in nats per token; times and bytes have to be equal.\n\n",
        100.0 * check.margin
    )]);
    text += "| cell | what | verdict | baseline | checked | change | |\n|---|---|---|--:|--:|--:|---|\n";
    for cell in &check.cells {
        let name = format!("{} ({})", cell.cell, seeds(cell));
        text.extend(cell.metrics.iter().map(|metric| {
            let (what, word, finding) = (metric.name, bold(metric.verdict), finding(metric, check.margin));
            let change = change(metric);
            format!(
                "| {name} | {what} | {word} | {:.4} | {:.4} | {change} | {finding} |\n",
                metric.baseline, metric.checked
            )
        }));
        let changed = cell.columns.iter().filter(|column| column.difference.is_some());
        text.extend(changed.map(|column| {
            format!("| {name} | `{}` | **changed** | | | | {} |\n", column.column, column_finding(column))
        }));
    }
    text
}

fn bold(verdict: Verdict) -> String {
    match verdict {
        Verdict::Same => verdict.word().to_owned(),
        other => format!("**{}**", other.word()),
    }
}

pub(super) fn junit(check: &Check) -> String {
    let mut cases = Vec::new();
    for cell in &check.cells {
        for metric in &cell.metrics {
            let failure = (metric.verdict != Verdict::Same)
                .then(|| format!("{} ({}): {}", metric.verdict.word(), change(metric), finding(metric, check.margin)));
            cases.push((&cell.cell, metric.name, failure));
        }
        for column in &cell.columns {
            cases.push((&cell.cell, column.column, column.difference.as_ref().map(|_| column_finding(column))));
        }
    }
    let failures = cases.iter().filter(|(.., failure)| failure.is_some()).count();
    let counts = format!("tests=\"{}\" failures=\"{failures}\"", cases.len());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.extend([format!("<testsuites {counts}>\n  <testsuite name=\"convergence\" {counts}>\n")]);
    text.extend(cases.iter().map(|(cell, name, failure)| {
        let case = format!("    <testcase classname=\"{}\" name=\"{}\"", escaped(cell), escaped(name));
        match failure {
            Some(reason) => format!("{case}>\n      <failure message=\"{}\"/>\n    </testcase>\n", escaped(reason)),
            None => format!("{case}/>\n"),
        }
    }));
    text + "  </testsuite>\n</testsuites>\n"
}

/// Text within an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
