//! Several runs side by side: runs that differ in nothing but the seed are one method.

use std::path::{Path, PathBuf};

use super::axis::{Axis, Measure, Scale, label};
use super::canvas::PALETTE;
use super::figures::{Abscissa, Figure, loss_axis, references};
use super::label::labels;
use super::line::{Curve, LineChart};
use super::statistics::Estimate;
use super::{ReportError, Run, judged_figures};
use crate::quantity::Seed;
use crate::record::Status;
use crate::record::directory::write_text;
use crate::scenario::Scenario;

/// The table's file name.
const TABLE: &str = "comparison.md";

/// The runs of one scenario, seed by seed.
struct Method<'a> {
    label: String,
    runs: Vec<&'a Run>,
}

/// Writes comparison figures and a table of `runs` into `out`; returns the paths written.
///
/// Methods come in the order of their first run, seeds in the order given.
///
/// # Errors
/// Two runs are the same, or a file cannot be written.
pub fn compare(runs: &[Run], out: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let methods = group(runs)?;
    let mut written = Vec::new();
    let mut figures = Vec::new();
    if runs.iter().any(|run| !run.evaluations.is_empty()) {
        for abscissa in [Abscissa::Rounds, Abscissa::Tokens, Abscissa::Time, Abscissa::Bytes] {
            let chart = chart(&methods, abscissa);
            figures.push(Figure::new(abscissa.file(), chart.title.clone(), chart.svg())?);
        }
    }
    let runs_of: Vec<(String, Vec<&Run>)> =
        methods.iter().map(|method| (method.label.clone(), method.runs.clone())).collect();
    figures.extend(judged_figures::of_methods(&runs_of, &seeds(&methods))?);
    for figure in &figures {
        written.push(write_text(&out.join(&figure.file), &figure.svg)?);
    }
    written.push(write_text(&out.join(TABLE), &table(&methods, judged_figures::methods_table(&runs_of), &figures))?);
    Ok(written)
}

fn group(runs: &[Run]) -> Result<Vec<Method<'_>>, ReportError> {
    let seedless = |run: &Run| Scenario { seed: Seed(0), ..run.manifest.scenario.clone() };
    let mut groups: Vec<(Scenario, Vec<&Run>)> = Vec::new();
    for run in runs {
        let scenario = seedless(run);
        let Some((_, members)) = groups.iter_mut().find(|(known, _)| *known == scenario) else {
            groups.push((scenario, vec![run]));
            continue;
        };
        if let Some(twin) = members.iter().find(|member| member.manifest.seed == run.manifest.seed) {
            let [first, second] = [twin, run].map(|run| run.directory.path().to_owned());
            return Err(ReportError::Twice { first, second });
        }
        members.push(run);
    }
    let labels = labels(&groups.iter().map(|(scenario, _)| scenario).collect::<Vec<_>>());
    Ok(groups.into_iter().zip(labels).map(|((_, runs), label)| Method { label, runs }).collect())
}

impl Method<'_> {
    /// Mean loss at the mean abscissa, by round, over the rounds that all seeds evaluated; and the band around it.
    fn curve(&self, abscissa: Abscissa) -> (Vec<[f64; 2]>, Vec<[f64; 3]>) {
        let (first, others) = self.runs.split_first().expect("because a method has a run");
        let (mut points, mut band) = (Vec::new(), Vec::new());
        for row in &first.evaluations {
            let twins = others.iter().map(|run| {
                let at = run.evaluations.binary_search_by_key(&row.round, |other| other.round).ok()?;
                Some(&run.evaluations[at])
            });
            let Some(twins) = twins.collect::<Option<Vec<_>>>() else { continue };
            let all = || std::iter::once(row).chain(twins.iter().copied());
            let Some(loss) = Estimate::of(&all().map(|row| row.validation_loss).collect::<Vec<_>>()) else { continue };
            let x = all().map(|row| abscissa.of(row)).sum::<f64>() / self.runs.len() as f64;
            points.push([x, loss.mean]);
            if let Some(half_width) = loss.half_width {
                band.push([x, loss.mean - half_width, loss.mean + half_width]);
            }
        }
        (points, band)
    }

    fn estimate(&self, value: impl Fn(&Run) -> f64) -> Option<Estimate> {
        Estimate::of(&self.runs.iter().map(|run| value(run)).collect::<Vec<_>>())
    }

    fn final_loss(&self) -> Option<Estimate> {
        let losses: Option<Vec<_>> = self.runs.iter().map(|run| run.final_loss()).collect();
        Estimate::of(&losses?)
    }

    /// This method's final loss minus the other's, seed by seed; `None` without seeds in common.
    fn loss_difference(&self, other: &Self) -> Option<Estimate> {
        let pairs = self.runs.iter().filter_map(|run| {
            let twin = other.runs.iter().find(|twin| twin.manifest.seed == run.manifest.seed)?;
            Some(run.final_loss()? - twin.final_loss()?)
        });
        Estimate::of(&pairs.collect::<Vec<_>>())
    }
}

fn chart(methods: &[Method<'_>], abscissa: Abscissa) -> LineChart {
    let curves: Vec<_> = methods
        .iter()
        .enumerate()
        .map(|(at, method)| {
            let (points, band) = method.curve(abscissa);
            let colour = PALETTE[at % PALETTE.len()];
            Curve { label: method.label.clone(), colour, dashed: at >= PALETTE.len(), marked: false, points, band }
        })
        .collect();
    // Lines to compare with belong to the data; runs on different data share none.
    let mut known = methods.iter().flat_map(|method| &method.runs).map(|run| run.manifest.references);
    let first = known.next().unwrap_or_default();
    let references = if known.all(|other| other == first) { references(&first) } else { Vec::new() };

    let ends = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point[0]);
    // Within a run the abscissa grows from zero; between methods it may end decades apart.
    let scale = match abscissa {
        Abscissa::Bytes | Abscissa::Time | Abscissa::Tokens => Axis::suitable_scale(ends),
        Abscissa::Rounds => Scale::Linear,
    };
    let abscissas: Vec<_> = curves.iter().flat_map(|curve| &curve.points).map(|point| point[0]).collect();
    let losses = curves.iter().flat_map(|curve| {
        let bands = curve.band.iter().flat_map(|&[_, low, high]| [low, high]);
        curve.points.iter().map(|point| point[1]).chain(bands)
    });
    let losses: Vec<_> = losses.chain(references.iter().map(|reference| reference.value)).collect();
    LineChart {
        title: format!("{}, {} methods", abscissa.title(), methods.len()),
        subtitle: seeds(methods),
        x: abscissa.axis(&abscissas, scale),
        y: loss_axis(&losses),
        curves,
        references,
    }
}

fn seeds(methods: &[Method<'_>]) -> String {
    let counts = || methods.iter().map(|method| method.runs.len());
    match (counts().min(), counts().max()) {
        (_, None | Some(1)) => "one seed each".to_owned(),
        (Some(least), Some(most)) if least == most => format!("mean of {most} seeds with 95 % confidence interval"),
        (least, Some(most)) => {
            format!("mean of {} to {most} seeds with 95 % confidence interval", least.unwrap_or_default())
        }
    }
}

fn table(methods: &[Method<'_>], judged: Option<String>, figures: &[Figure]) -> String {
    let mut text = String::from("# Comparison\n\n");
    text += "Mean over seeds ± half the width of the 95 % confidence interval (Student's t). ";
    text += "Loss in nats per token of the proxy; time and bytes at deployment scale. ";
    text += "The difference is to the first method, paired by seed.\n\n";
    text += "| method | seeds | final validation loss | difference | simulated time | uploaded | downloaded | utilisation |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|\n";
    let dash = || "–".to_owned();
    let mean = |measure, estimate: Option<Estimate>| estimate.map_or_else(dash, |it| label(measure, it.mean));
    text.extend(methods.iter().enumerate().map(|(at, method)| {
        let loss = method.final_loss().map_or_else(dash, |loss| loss.text(4));
        let difference = if at == 0 { None } else { method.loss_difference(&methods[0]) };
        let difference =
            difference.map_or_else(dash, |it| format!("{}{}", if it.mean > 0.0 { "+" } else { "" }, it.text(4)));
        let time = mean(Measure::Seconds, method.estimate(|run| run.last_round().time_s));
        let up = mean(Measure::Bytes, method.estimate(|run| run.last_round().bytes_up as f64));
        let down = mean(Measure::Bytes, method.estimate(|run| run.last_round().bytes_down as f64));
        let share = method.estimate(|run| 100.0 * run.utilisation()).map_or_else(dash, |it| it.text(1));
        let (label, seeds) = (&method.label, method.runs.len());
        format!("| {label} | {seeds} | {loss} | {difference} | {time} | {up} | {down} | {share} % |\n")
    }));
    if let Some(judged) = judged {
        text += "\n## What validators found out\n\n";
        text += judged_figures::LEGEND;
        text += &judged;
    }
    let interrupted = methods.iter().flat_map(|method| &method.runs);
    let interrupted: Vec<_> = interrupted.filter(|run| run.manifest.status == Status::Interrupted).collect();
    if !interrupted.is_empty() {
        text += "\nInterrupted, and counted as far as they came:\n\n";
        text.extend(interrupted.into_iter().map(|run| {
            let (path, done) = (run.directory.path().display(), run.manifest.rounds_done);
            format!("- `{path}`: {done} of {} rounds\n", run.manifest.scenario.rounds)
        }));
    }
    if !figures.is_empty() {
        text += "\n## Figures\n\n";
        text.extend(figures.iter().map(|figure| format!("![{}]({})\n\n", figure.caption, figure.file)));
    }
    text
}
