//! Which cell reaches the target soonest, what comes second, and how sure that is.
//!
//! The cell with the smallest mean simulated time to the target, of those that reach it with every seed. Its lead over
//! the runner-up is the mean over seeds of the difference of their times; the certainty that it is a lead at all is that
//! of a one-sided paired t-test. As the best of several is chosen by the same numbers, the certainty is somewhat
//! too high where many cells are close.
//!
//! Axes that are given (links, attacks: circumstances, no choices) are answered for each of their values.

use serde::Serialize;

use super::{SweepReport, Swept, title};
use crate::report::axis::{Measure, label};
use crate::report::statistics::Estimate;
use crate::scenario::sweep::Axis;

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// The circumstances for which it holds: `uplink = 110 Mbit/s`; empty where no axis is given.
    pub given: String,
    /// The loss that has to be reached \[nats per token\].
    pub target_loss: Option<f64>,
    /// Cells in the sweep.
    pub cells: usize,
    /// Cells that reach it with every seed.
    pub reaching: usize,
    /// The lowest mean final loss of all cells \[nats per token\].
    pub lowest_loss: Option<f64>,
    /// The soonest.
    pub best: Option<Choice>,
    /// The next.
    pub runner_up: Option<Choice>,
    /// Mean over seeds of what the best is ahead \[s\].
    pub lead_s: Option<f64>,
    /// Half the width of its 95 % confidence interval \[s\].
    pub lead_half_width_s: Option<f64>,
    /// How sure it is that the best is ahead at all, from 0 to 1; `None` with a single seed.
    pub certainty: Option<f64>,
}

/// A cell that may be chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// Its values: `H = 30, k = 64`.
    pub cell: String,
    /// Mean simulated time to the target \[s\].
    pub time_s: f64,
    /// Half the width of its 95 % confidence interval \[s\].
    pub time_half_width_s: Option<f64>,
    /// Bytes moved up to then, up and down.
    pub bytes: f64,
}

/// What the sweep recommends for its target loss: one answer for each combination of the values of given axes.
#[must_use]
pub fn recommend(report: &SweepReport) -> Vec<Recommendation> {
    let circumstances = |cell: &Swept| -> Vec<Option<usize>> {
        report.axes().iter().zip(&cell.at).map(|(axis, &at)| axis.given.then_some(at)).collect()
    };
    let mut all: Vec<Vec<Option<usize>>> = report.cells.iter().map(circumstances).collect();
    all.sort_unstable();
    all.dedup();
    let of_one = |wanted: &Vec<Option<usize>>| {
        let cells: Vec<&Swept> = report.cells.iter().filter(|cell| circumstances(cell) == *wanted).collect();
        let value =
            |(axis, at): (&Axis, &Option<usize>)| at.map(|at| format!("{} = {}", title(axis), axis.values[at].label));
        let given: Vec<String> = report.axes().iter().zip(wanted).filter_map(value).collect();
        of_cells(report, given.join(", "), &cells)
    };
    all.iter().map(of_one).collect()
}

fn of_cells(report: &SweepReport, given: String, cells: &[&Swept]) -> Recommendation {
    let mut reaching: Vec<(Estimate, &Swept)> =
        cells.iter().filter_map(|cell| Some((cell.seconds_to_target()?, *cell))).collect();
    reaching.sort_by(|a, b| a.0.mean.total_cmp(&b.0.mean));
    let choice = |(time, cell): &(Estimate, &Swept)| Choice {
        cell: choices_of(report, cell),
        time_s: time.mean,
        time_half_width_s: time.half_width,
        bytes: cell.bytes_to_target().map_or(f64::NAN, |bytes| bytes.mean),
    };
    let differences: Vec<f64> = match reaching.as_slice() {
        [(_, best), (_, next), ..] => {
            let pairs = best.pairs(next, |outcome| outcome.reached.map(|reached| reached.time_s));
            pairs.iter().map(|[best, next]| best - next).collect()
        }
        _ => Vec::new(),
    };
    let lead = Estimate::of(&differences);
    let losses = cells.iter().filter_map(|cell| Some(cell.loss()?.mean));
    Recommendation {
        given,
        target_loss: report.target,
        cells: cells.len(),
        reaching: reaching.len(),
        lowest_loss: losses.min_by(f64::total_cmp),
        best: reaching.first().map(choice),
        runner_up: reaching.get(1).map(choice),
        lead_s: lead.map(|lead| -lead.mean),
        lead_half_width_s: lead.and_then(|lead| lead.half_width),
        certainty: Estimate::certainty_below_zero(&differences),
    }
}

/// The values that are chosen in a cell: of the axes that are not given.
fn choices_of(report: &SweepReport, cell: &Swept) -> String {
    let chosen = report.axes().iter().zip(&cell.at).filter(|(axis, _)| !axis.given);
    chosen.map(|(axis, &at)| format!("{} = {}", title(axis), axis.values[at].label)).collect::<Vec<_>>().join(", ")
}

impl Recommendation {
    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let answer = self.answer();
        if self.given.is_empty() { answer } else { format!("{}. {answer}", self.given) }
    }

    fn answer(&self) -> String {
        let Some(target) = self.target_loss else {
            return "No run has a loss: there is nothing to recommend.\n".to_owned();
        };
        let Some(best) = &self.best else {
            let lowest =
                self.lowest_loss.map_or_else(String::new, |loss| format!("; the lowest mean final loss is {loss:.4}"));
            return format!("No cell reaches a loss of {target} with every seed{lowest}.\n");
        };
        let mut text = format!("Soonest at a loss of {target}: **{}**, after {}", best.cell, time(best));
        text.extend([format!(" and {} moved by all peers. ", label(Measure::Bytes, best.bytes))]);
        match &self.runner_up {
            None => {
                text.extend([format!("It is the only one of {} cells that reaches it with every seed.\n", self.cells)]);
            }
            Some(next) => {
                text.extend([format!("Runner-up: **{}**, after {}", next.cell, time(next))]);
                let lead = self.lead_s.map_or_else(|| "–".to_owned(), |lead| label(Measure::Seconds, lead));
                text.extend([match (self.lead_half_width_s, self.certainty) {
                    (Some(half), Some(certainty)) => format!(
                        "; the lead is {lead} ± {}, and it is a lead with a certainty of {} (paired by seed). ",
                        label(Measure::Seconds, half),
                        percent(certainty)
                    ),
                    _ => format!("; the lead is {lead} on the seed that both have, which says nothing about others. "),
                }]);
                text.extend([format!("{} of {} cells reach it with every seed.\n", self.reaching, self.cells)]);
            }
        }
        text
    }
}

fn time(choice: &Choice) -> String {
    let half =
        choice.time_half_width_s.map_or_else(String::new, |half| format!(" ± {}", label(Measure::Seconds, half)));
    format!("{}{half}", label(Measure::Seconds, choice.time_s))
}

fn percent(share: f64) -> String {
    if share > 0.999 { "more than 99.9 %".to_owned() } else { format!("{:.1} %", 100.0 * share) }
}
