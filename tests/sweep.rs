//! Sweeps through the program: every cell once, the same bytes whatever happens on the way, and mistakes with their place.

#[path = "support/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::run;
use serde_json::Value;
use swarmloco::host::sweep::works;
use swarmloco::protocol::rows::Rows;
use swarmloco::quantity::Seed;
use swarmloco::record::RunDirectory;
use swarmloco::record::sweep::run_name;
use swarmloco::scenario::sweep::Additions;
use swarmloco::scenario::{Scenario, Sweep};
use tempfile::TempDir;

const TINY: &str = "\
name: tiny
rounds: 4
model: {quadratic: {dimension: 32, condition: 10, noise: 0.5, heterogeneity: 0.1}}
batch: 2
protocol:
  inner_steps: 4
  inner_optimizer: {sgd: {learning_rate: 0.1}}
  compression: {top_k: {chunk: [4, 8], k: 8}}
  aggregation: {clip: median_norm}
  outer_optimizer: {sgd: {learning_rate: 0.7}}
  round: {window: {length: 60 s, upload_deadline: 10 s, gather: 4}}
peers:
  - {name: node, count: 3, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}
";

const SWEEP: &str = "\
scenario: tiny.yaml
set: {rounds: 3}
axes:
  - name: attack
    values:
      - {name: none, set: {adversaries: []}}
      - {name: larger, set: {batch: 4, protocol.aggregation.clip: none}}
  - name: H
    path: protocol.inner_steps
    values: [2, 4]
seeds: 1..2
baseline: {attack: none}
";

/// A directory with `tiny.yaml` and `grid.yaml`.
fn place(sweep: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("tiny.yaml"), TINY).expect("room for a scenario");
    fs::write(directory.path().join("grid.yaml"), sweep).expect("room for a sweep");
    directory
}

/// The tables of all run directories and of the sweep itself, by path: what may depend on nothing but sweep and program.
fn tables(sweep: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("it is readable") {
            let path = entry.expect("it is readable").path();
            if path.is_dir() {
                visit(&path, found);
            } else if ["parquet", "md", "svg", "json", "safetensors"]
                .contains(&&*path.extension().unwrap_or_default().to_string_lossy())
                && !path.ends_with("host.json")
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(sweep, &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).expect("it is readable");
        (path.strip_prefix(sweep).expect("it was found there").to_owned(), bytes)
    };
    found.into_iter().map(read).collect()
}

fn load(directory: &Path, additions: &Additions) -> Sweep {
    Sweep::load(&directory.join("grid.yaml"), additions).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_grid_has_a_cell_for_each_combination_and_the_last_axis_changes_fastest() {
    let directory = place(SWEEP);
    let sweep = load(directory.path(), &Additions::default());
    let cells: Vec<_> = sweep.cells.iter().map(|cell| cell.label(&sweep.axes)).collect();
    assert_eq!(
        cells,
        ["attack = none, H = 2", "attack = none, H = 4", "attack = larger, H = 2", "attack = larger, H = 4"]
    );
    assert_eq!(sweep.seeds, [Seed(1), Seed(2)]);
    let all: Vec<_> = sweep.cells.iter().map(|cell| &cell.scenario).collect();
    assert!(all.iter().all(|scenario| scenario.rounds == 3), "`set` is for all cells");
    assert_eq!(all.iter().map(|scenario| scenario.batch).collect::<Vec<_>>(), [2, 2, 4, 4]);
    assert_eq!(all.iter().map(|scenario| scenario.protocol.inner_steps).collect::<Vec<_>>(), [2, 4, 2, 4]);
    assert_eq!(sweep.baseline, 0);
}

#[test]
fn a_cell_is_the_scenario_that_set_would_make() {
    let directory = place(SWEEP);
    let overrides =
        ["rounds=3", "batch=4", "protocol.aggregation.clip=none", "protocol.inner_steps=4"].map(str::to_owned);
    let by_hand = Scenario::from_text("tiny", TINY, &overrides).expect("a scenario");
    let sweep = load(directory.path(), &Additions::default());
    assert_eq!(sweep.cells[3].scenario, by_hand);
}

#[test]
fn axes_of_the_command_line_stand_beside_those_of_the_file() {
    let directory = place("scenario: tiny.yaml\n");
    let axes = ["peers.0.uplink=1 Mbit/s,2 Mbit/s", "protocol.inner_optimizer={sgd: {learning_rate: 0.1}},gradient"];
    let additions = Additions {
        axes: axes.map(str::to_owned).to_vec(),
        overrides: vec!["protocol.inner_steps=1".to_owned()],
        seeds: Some("4,7".to_owned()),
    };
    let sweep = load(directory.path(), &additions);
    assert_eq!((sweep.cells.len(), sweep.seeds.as_slice()), (4, &[Seed(4), Seed(7)][..]));
    assert_eq!(sweep.axes[0].values.iter().map(|value| value.number).collect::<Vec<_>>(), [Some(1e6), Some(2e6)]);
    assert_eq!(sweep.axes[1].values[0].label, "{sgd: {learning_rate: 0.1}}");
    assert_eq!(sweep.axes[1].unit, None);
}

#[test]
fn random_values_and_cells_are_those_of_their_seed() {
    let axes = "axes:\n  - path: protocol.inner_optimizer.sgd.learning_rate\n    log_uniform: {low: 1e-3, high: 1e-1, samples: 6}\n  \
                - path: protocol.inner_steps\n    uniform: {low: 1, high: 50, samples: 6, whole: true}\n";
    let text = format!("scenario: tiny.yaml\n{axes}cells: {{random: {{cells: 5}}}}\n");
    let directory = place(&text);
    let sweep = load(directory.path(), &Additions::default());
    assert_eq!(sweep.cells.len(), 5);
    assert_eq!(sweep, load(directory.path(), &Additions::default()), "drawn again, the same");
    fs::write(directory.path().join("grid.yaml"), format!("{text}sampling_seed: 2\n")).expect("room for a sweep");
    assert_ne!(sweep.axes, load(directory.path(), &Additions::default()).axes);
}

#[test]
fn a_list_takes_the_axes_side_by_side() {
    let text = "scenario: tiny.yaml\naxes:\n  - {path: batch, values: [1, 2]}\n  - {path: rounds, values: [7, 8]}\ncells: list\n";
    let directory = place(text);
    let sweep = load(directory.path(), &Additions::default());
    let pairs: Vec<_> = sweep.cells.iter().map(|cell| (cell.scenario.batch, cell.scenario.rounds)).collect();
    assert_eq!(pairs, [(1, 7), (2, 8)]);
}

#[test]
fn mistakes_are_shown_at_their_place_all_at_once_and_nothing_is_written() {
    for (change, expected) in [
        ([("{rounds: 3}", "{round: 3}"), ("values: [2, 4]", "values: [2, x]")], ["grid.yaml:2:7", "grid.yaml:10:17"]),
        ([("tiny.yaml", "none.yaml"), ("", "")], ["grid.yaml:1:11", "cannot read the scenario"]),
        ([("attack: none", "attack: nine"), ("", "")], ["grid.yaml:12:20", "did you mean `none`?"]),
        ([("seeds: 1..2", "seeds: 2..1"), ("[2, 4]", "[2, 2]")], ["grid.yaml:11:8", "has the value `2` twice"]),
        ([("set: {batch", "sets: {batch"), ("", "")], ["did you mean `set`?", "`set` is missing"]),
    ] {
        let sweep = change.iter().fold(SWEEP.to_owned(), |text, (from, to)| text.replace(from, to));
        let directory = place(&sweep);
        let (status, stdout, stderr) = run(directory.path(), &["sweep", "grid.yaml"]);
        assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
        for expected in expected {
            assert!(stderr.contains(expected), "`{expected}` is not in\n{stderr}");
        }
        assert!(!directory.path().join("results").exists());
    }
    let directory = place(SWEEP);
    let (status, _, stderr) = run(directory.path(), &["sweep", "tiny.yaml", "--axis", "batch=1,none"]);
    assert!(status == 2 && stderr.contains("--axis:1:9"), "{stderr}");
}

#[test]
fn each_run_is_made_once_and_is_that_of_the_run_command() {
    let directory = place(SWEEP);
    let (status, stdout, stderr) = run(directory.path(), &["sweep", "grid.yaml", "--out", "s"]);
    assert_eq!((status, stdout.as_str()), (0, "s\n"), "{stderr}");
    let manifest: Value =
        serde_json::from_slice(&fs::read(directory.path().join("s/sweep.json")).expect("written")).expect("JSON");
    let name = manifest["cells"][1]["runs"][1].as_str().expect("a name").to_owned();
    let cell = directory.path().join("s/cells").join(&name);
    let arguments = ["run", "tiny.yaml", "--seed", "2", "--set", "rounds=3", "--out", "alone"];
    assert_eq!(run(directory.path(), &arguments).0, 0);
    for file in ["rounds.parquet", "peers.parquet", "evaluations.parquet", "timeline.parquet", "manifest.json"] {
        let read = |path: PathBuf| fs::read(path.join(file)).expect("written");
        assert_eq!(read(cell.clone()), read(directory.path().join("alone")), "{file}");
    }

    let (status, _, stderr) = run(directory.path(), &["sweep", "grid.yaml", "--out", "s"]);
    assert!(status == 2 && stderr.contains("holds a sweep already"), "{stderr}");
    let host = || fs::read(cell.join("host.json")).expect("written");
    let before = host();
    // One more value: the runs that are there are used.
    let more = ["sweep", "grid.yaml", "--axis", "batch=2", "--out", "s", "--resume"];
    assert_eq!(run(directory.path(), &more).0, 0);
    assert_eq!(host(), before, "a finished run is not made again");
}

#[test]
fn equal_cells_share_a_run() {
    let text = "scenario: tiny.yaml\naxes:\n  - name: same\n    values:\n      - {name: a, set: {batch: 2}}\n      - {name: b, set: {}}\n";
    let directory = place(text);
    assert_eq!(run(directory.path(), &["sweep", "grid.yaml", "--out", "s"]).0, 0);
    assert_eq!(fs::read_dir(directory.path().join("s/cells")).expect("made").count(), 1);
}

#[test]
fn a_sweep_leaves_the_same_bytes_for_any_number_of_jobs_and_in_pieces() {
    let directory = place(SWEEP);
    let sweep = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["sweep", "grid.yaml"].iter().chain(arguments).copied().collect();
        let (status, _, stderr) = run(directory.path(), &arguments);
        assert_eq!(status, 0, "{stderr}");
    };
    sweep(&["--out", "one", "--jobs", "1"]);
    sweep(&["--out", "two", "--jobs", "2"]);
    assert_eq!(tables(&directory.path().join("one")), tables(&directory.path().join("two")));
    // Runs are lost, a table and a summary too, and the sweep goes on.
    for (index, entry) in fs::read_dir(directory.path().join("two/cells")).expect("made").enumerate() {
        let path = entry.expect("readable").path();
        match index % 4 {
            0 => fs::remove_dir_all(path).expect("ours"),
            1 => fs::remove_file(path.join("rounds.parquet")).expect("ours"),
            2 => fs::remove_file(path.join("summary.md")).expect("ours"),
            _ => {}
        }
    }
    sweep(&["--out", "two", "--resume"]);
    assert_eq!(tables(&directory.path().join("one")), tables(&directory.path().join("two")));
}

#[test]
fn a_failed_cell_says_why_and_stops_no_other() {
    let directory = place(SWEEP);
    let first = run_name(&works(&load(directory.path(), &Additions::default()))[0].scenario);
    let foreign = directory.path().join("s/cells").join(first);
    fs::create_dir_all(&foreign).expect("room");
    fs::write(foreign.join("letter.txt"), "mine").expect("room");
    let arguments = ["sweep", "grid.yaml", "--out", "s", "--jobs", "1", "--quiet"];
    let (status, stdout, stderr) = run(directory.path(), &arguments);
    assert_eq!((status, stdout.as_str()), (1, "s\n"), "{stderr}");
    for expected in
        ["H = 4, seed 1: failed", "it holds `letter.txt`", "1 of 8 runs failed", "`--resume` tries these again"]
    {
        assert!(stderr.contains(expected), "`{expected}` is not in\n{stderr}");
    }
    fs::remove_file(foreign.join("letter.txt")).expect("ours");
    let (status, _, stderr) = run(directory.path(), &["sweep", "grid.yaml", "--out", "s", "--resume"]);
    assert_eq!(status, 0, "{stderr}");
}

#[test]
fn halving_stops_the_cells_that_are_behind() {
    let text = "scenario: tiny.yaml\nset: {rounds: 8}\naxes:\n  - path: protocol.inner_optimizer.sgd.learning_rate\n    \
                values: [1e-4, 1e-3, 1e-2, 1e-1]\nhalving: {rungs: [0.25, 0.5], keep: 0.5}\n";
    let directory = place(text);
    let (status, _, stderr) = run(directory.path(), &["sweep", "grid.yaml", "--out", "s"]);
    assert_eq!(status, 0, "{stderr}");
    let manifest: Value =
        serde_json::from_slice(&fs::read(directory.path().join("s/sweep.json")).expect("written")).expect("JSON");
    let rounds = |cell: usize| {
        let name = manifest["cells"][cell]["runs"][0].as_str().expect("a name");
        let run = RunDirectory::open(&directory.path().join("s/cells").join(name)).expect("a run");
        run.read_manifest().expect("a manifest").rounds_done
    };
    // With so small rates a larger one is always further: two stop after 2 rounds of 8, one after 4.
    assert_eq!([rounds(0), rounds(1), rounds(2), rounds(3)], [2, 2, 4, 8]);
    let before = tables(&directory.path().join("s"));
    assert_eq!(run(directory.path(), &["sweep", "grid.yaml", "--out", "s", "--resume"]).0, 0);
    assert_eq!(tables(&directory.path().join("s")), before, "what was stopped stays so");
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let directory = place(SWEEP);
    let (status, _, stderr) = run(directory.path(), &["sweep", "grid.yaml", "--out", "."]);
    assert!(status == 2 && stderr.contains("not a sweep directory: it holds `grid.yaml`"), "{stderr}");
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 2);
}

/// The tables of each seed of a cell.
fn rows(sweep: &Path, cell: usize) -> Vec<Rows> {
    let manifest: Value = serde_json::from_slice(&fs::read(sweep.join("sweep.json")).expect("written")).expect("JSON");
    let runs = manifest["cells"][cell]["runs"].as_array().expect("a list");
    let of_run = |name: &Value| {
        let run = RunDirectory::open(&sweep.join("cells").join(name.as_str().expect("a name")));
        run.expect("a run").read_rows().expect("tables")
    };
    runs.iter().map(of_run).collect()
}

fn final_losses(sweep: &Path, cell: usize) -> Vec<f64> {
    let last = |rows: Rows| rows.evaluations.last().expect("evaluated").validation_loss;
    rows(sweep, cell).into_iter().map(last).collect()
}

/// When and after how many bytes each seed of a cell reaches the target.
fn reached(sweep: &Path, cell: usize, target: f64) -> Vec<[f64; 2]> {
    let of_run = |rows: Rows| {
        let losses: Vec<f64> = rows.evaluations.iter().map(|row| row.validation_loss).collect();
        let after = losses.iter().position(|loss| *loss <= target).expect("it is reached");
        let share = (losses[after - 1] - target) / (losses[after - 1] - losses[after]);
        let bytes = |outer_steps: usize| match outer_steps {
            0 => 0.0,
            steps => (rows.rounds[steps - 1].bytes_up + rows.rounds[steps - 1].bytes_down) as f64,
        };
        let time = |at: usize| rows.evaluations[at].time_s;
        let between = |of: &dyn Fn(usize) -> f64| of(after - 1) + share * (of(after) - of(after - 1));
        [between(&time), between(&bytes)]
    };
    rows(sweep, cell).into_iter().map(of_run).collect()
}

#[test]
fn the_report_recommends_what_the_tables_say_is_soonest() {
    let directory = place(&SWEEP.replace("rounds: 3", "rounds: 12").replace("seeds: 1..2", "seeds: 1..3"));
    assert_eq!(run(directory.path(), &["sweep", "grid.yaml", "--out", "s"]).0, 0);
    let sweep = directory.path().join("s");
    // A loss that every run reaches on its way.
    let ends = (0..4).flat_map(|cell| final_losses(&sweep, cell));
    let target = (ends.fold(0.0, f64::max) * 100.0).ceil() / 100.0;
    let (status, stdout, stderr) =
        run(directory.path(), &["recommend", "s", "--target-loss", &target.to_string(), "--format", "json"]);
    assert_eq!(status, 0, "{stderr}");
    let answers: Value = serde_json::from_str(&stdout).expect("JSON");
    let answer = &answers[0];

    let times: Vec<Vec<f64>> =
        (0..4).map(|cell| reached(&sweep, cell, target).iter().map(|[time, _]| *time).collect()).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut order: Vec<usize> = (0..4).collect();
    order.sort_by(|&a, &b| mean(&times[a]).total_cmp(&mean(&times[b])));
    let labels = ["attack = none, H = 2", "attack = none, H = 4", "attack = larger, H = 2", "attack = larger, H = 4"];
    assert_eq!(answer["best"]["cell"], labels[order[0]]);
    assert_eq!(answer["runner_up"]["cell"], labels[order[1]]);
    assert_eq!((&answer["reaching"], &answer["cells"]), (&Value::from(4), &Value::from(4)));
    let near = |value: &Value, expected: f64| (value.as_f64().expect("a number") / expected - 1.0).abs() < 1e-9;
    assert!(near(&answer["best"]["time_s"], mean(&times[order[0]])), "{answer}");
    let bytes: Vec<f64> = reached(&sweep, order[0], target).iter().map(|[_, bytes]| *bytes).collect();
    assert!(near(&answer["best"]["bytes"], mean(&bytes)), "{answer}");
    let leads: Vec<f64> = times[order[1]].iter().zip(&times[order[0]]).map(|(next, best)| next - best).collect();
    assert!(near(&answer["lead_s"], mean(&leads)), "{answer}");

    let (status, _, stderr) = run(directory.path(), &["recommend", "s", "--target-loss", "1e-9"]);
    assert!(status == 1 && stderr.contains("no cell reaches the target loss with every seed"), "{stderr}");
}

#[test]
fn given_axes_are_answered_for_each_of_their_values() {
    let text = SWEEP.replace("rounds: 3", "rounds: 12").replace("- name: attack", "- name: attack\n    given: true");
    let directory = place(&text);
    assert_eq!(run(directory.path(), &["sweep", "grid.yaml", "--out", "s"]).0, 0);
    let (status, stdout, stderr) = run(directory.path(), &["recommend", "s", "--format", "json"]);
    assert_eq!(status, 0, "{stderr}");
    let answers: Value = serde_json::from_str(&stdout).expect("JSON");
    let given: Vec<&Value> = answers.as_array().expect("a list").iter().map(|answer| &answer["given"]).collect();
    assert_eq!(given, ["attack = none", "attack = larger"]);
    assert!(answers.as_array().expect("a list").iter().all(|answer| answer["cells"] == 2), "{answers}");
    let chosen = answers.as_array().expect("a list").iter().filter_map(|answer| answer["best"]["cell"].as_str());
    assert!(chosen.clone().count() > 0 && chosen.clone().all(|cell| ["H = 2", "H = 4"].contains(&cell)), "{answers}");
}

#[test]
fn the_report_of_a_sweep_is_a_function_of_it() {
    let directory = place(SWEEP);
    assert_eq!(run(directory.path(), &["sweep", "grid.yaml", "--out", "s"]).0, 0);
    let sweep = directory.path().join("s");
    let before = tables(&sweep);
    let names: Vec<String> = before.iter().map(|(path, _)| path.display().to_string()).collect();
    for expected in [
        "cells.parquet",
        "statistics.parquet",
        "summary.md",
        "figures/loss-by-h.svg",
        "figures/final-loss.svg",
        "figures/loss-time-cells.svg",
        "figures/loss-bytes-cells.svg",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
    for file in ["statistics.parquet", "summary.md"] {
        fs::remove_file(sweep.join(file)).expect("ours");
    }
    fs::remove_dir_all(sweep.join("figures")).expect("ours");
    assert_eq!(run(directory.path(), &["report", "s"]).0, 0);
    assert_eq!(tables(&sweep), before);

    let summary = fs::read_to_string(sweep.join("summary.md")).expect("written");
    assert!(summary.contains("swarmloco sweep grid.yaml"), "it says how it was made\n{summary}");
    let (ours, baseline) = (final_losses(&sweep, 3), final_losses(&sweep, 0));
    let difference: f64 = ours.iter().zip(&baseline).map(|(ours, base)| 100.0 * (ours / base - 1.0)).sum::<f64>() / 2.0;
    let sign = if difference > 0.0 { "+" } else { "" };
    assert!(summary.contains(&format!("{sign}{difference:.2} ± ")), "{difference:.2} per cent is not in\n{summary}");
}
