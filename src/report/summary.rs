//! The page on a run for a person in a hurry.

use super::axis::{Measure, label};
use super::figures::Figure;
use super::{Run, judged_figures};
use crate::algorithm::spec::Compression;
use crate::protocol::rows::Outcome;
use crate::record::Status;
use crate::scenario::Scenario;

/// The summary in Markdown.
pub(super) fn text(run: &Run, figures: &[Figure]) -> String {
    let scenario = &run.manifest.scenario;
    let done = run.manifest.rounds_done;
    let interrupted = match run.manifest.status {
        Status::Finished => String::new(),
        Status::Interrupted => {
            format!("Interrupted after {done} of {} rounds; what follows is what was done.\n\n", scenario.rounds)
        }
    };
    let mut text = format!("# {}, seed {}\n\n{interrupted}", scenario.name, run.manifest.seed);
    text += "## What was run\n\n";
    list(&mut text, &setting(scenario));
    text += "\n## What came out\n\n";
    list(&mut text, &results(run));
    text += "\n## What became of the contributions\n\n";
    text += &outcomes(run);
    if let Some(table) = judged_figures::table(run) {
        text += "\n## What the validator found out\n\n";
        text += &table;
    }
    text += "\n## Figures\n\n";
    text.extend(figures.iter().map(|figure| format!("![{}]({})\n\n", figure.caption, figure.path())));
    text += "## Where to look next\n\n";
    text += "- `manifest.json`: the scenario with every default, and the audit hash by which runs are compared\n";
    text += "- `rounds.parquet`, `peers.parquet`, `evaluations.parquet`, `timeline.parquet`, `scores.parquet`, \
             `overlaps.parquet`: all the numbers\n";
    text += "- `host.json`: how long it took this computer\n";
    text += "- `swarmloco report DIR DIR`: this run beside another\n";
    text
}

fn list(text: &mut String, entries: &[(&str, String)]) {
    *text += "| | |\n|---|---|\n";
    text.extend(entries.iter().map(|(name, value)| format!("| {name} | {value} |\n")));
}

fn setting(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let classes: Vec<_> = scenario.peers.iter().map(|class| format!("{} {}", class.count, class.name)).collect();
    vec![
        ("peers at the start", classes.join(", ")),
        ("inner steps H", scenario.protocol.inner_steps.to_string()),
        ("compression", compression(&scenario.protocol.compression)),
        ("deployment parameters", label(Measure::Tokens, scenario.deployment.parameters() as f64)),
    ]
}

fn compression(compression: &Compression) -> String {
    match compression {
        Compression::Dense { value_bits } => format!("none, {value_bits} bits a value"),
        Compression::Int8 => "int8".to_owned(),
        Compression::TopK(top_k) => {
            let [rows, columns] = top_k.chunk;
            let values = top_k
                .quantizer
                .as_ref()
                .map_or_else(|| "32-bit values".to_owned(), |quantizer| format!("{}-bit values", quantizer.bits));
            let feedback = top_k
                .error_feedback
                .map_or_else(|| "no error feedback".to_owned(), |beta| format!("error feedback {beta}"));
            format!("top {} of {rows} × {columns}, {values}, {feedback}", top_k.k)
        }
    }
}

fn results(run: &Run) -> Vec<(&'static str, String)> {
    let last = run.last_round();
    let mut entries = Vec::new();
    let mut loss = |name, value: Option<f64>| {
        if let Some(value) = value {
            entries.push((name, format!("{value:.4} nats/token")));
        }
    };
    loss("final validation loss", run.final_loss());
    loss("unigram entropy", run.manifest.references.unigram);
    loss("entropy rate, the floor", run.manifest.references.floor);
    entries.extend([
        ("rounds", format!("{} of {}", run.manifest.rounds_done, run.manifest.scenario.rounds)),
        ("simulated time", label(Measure::Seconds, last.time_s)),
        ("tokens, proxy", label(Measure::Tokens, last.tokens as f64)),
        ("tokens, deployment", label(Measure::Tokens, last.deployment_tokens as f64)),
        ("uploaded by all peers", label(Measure::Bytes, last.bytes_up as f64)),
        ("downloaded by all peers", label(Measure::Bytes, last.bytes_down as f64)),
        ("one payload", label(Measure::Bytes, last.payload_bytes as f64)),
        ("mean utilisation", label(Measure::Share, run.utilisation())),
        ("mean active peers", format!("{:.1}", run.mean(|row| row.active.into()))),
        ("mean contributing peers", format!("{:.1}", run.mean(|row| row.contributing.into()))),
    ]);
    entries
}

fn outcomes(run: &Run) -> String {
    let rows = [
        (Outcome::Gathered, "gathered", "in the aggregate, from the gather set"),
        (Outcome::Reserve, "reserve", "in the aggregate, standing in for a missing one"),
        (Outcome::NotSelected, "not selected", "in time, but not needed"),
        (Outcome::Late, "late", "uploaded after the deadline, or not at all"),
        (Outcome::Gone, "gone", "the peer left before its upload ended"),
        (Outcome::Early, "early", "uploaded before the boundary"),
        (Outcome::Refused, "refused", "not well formed"),
    ];
    let mut text = String::from("| outcome | count | share | meaning |\n|---|--:|--:|---|\n");
    let counted = rows.into_iter().map(|(outcome, name, meaning)| {
        (run.peers.iter().filter(|row| row.outcome == outcome).count(), outcome, name, meaning)
    });
    // What only liars do is left out where nobody did it.
    let is_told = |&(count, outcome, ..): &(usize, Outcome, &str, &str)| {
        count > 0 || !matches!(outcome, Outcome::Early | Outcome::Refused)
    };
    text.extend(counted.filter(is_told).map(|(count, _, name, meaning)| {
        let share = label(Measure::Share, count as f64 / run.peers.len().max(1) as f64);
        format!("| {name} | {count} | {share} | {meaning} |\n")
    }));
    text
}
