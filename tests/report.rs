//! Reports are made from run directories alone, and say what the tables say.

#[path = "report/synthetic.rs"]
mod synthetic;

use std::path::{Path, PathBuf};

use clap::Parser as _;
use swarmloco::cli::Failure;
use swarmloco::cli::report::{Args, execute_to};
use swarmloco::protocol::rows::{IntervalRow, Rows};
use swarmloco::record::RunDirectory;
use swarmloco::report::{self, ReportError, Run};

const PAYLOAD: u64 = 1_989_184_736;

/// Where reports of the tests go: kept for looking at them if `SWARMLOCO_LOOK` names a directory.
fn place() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    #[expect(clippy::disallowed_methods, reason = "a person asks to keep the figures")]
    let kept = std::env::var_os("SWARMLOCO_LOOK").map(PathBuf::from);
    let path = kept.unwrap_or_else(|| temporary.path().to_owned());
    (temporary, path)
}

fn read(path: &Path) -> Run {
    Run::read(RunDirectory::open(path).expect("a run directory")).expect("a readable run")
}

#[test]
fn a_run_gets_its_figures_and_its_summary() {
    let (_temporary, place) = place();
    let path = place.join("one");
    let rows = synthetic::rows(1, synthetic::ROUNDS, 1.0, PAYLOAD);
    synthetic::write(&path, synthetic::scenario("covenant-72b", 1, 30), &rows);
    let written = report::write(&read(&path)).expect("a report");
    let names: Vec<_> =
        written.iter().map(|file| file.strip_prefix(&path).expect("inside").display().to_string()).collect();
    assert_eq!(
        names,
        [
            "figures/loss-rounds.svg",
            "figures/loss-time.svg",
            "figures/loss-bytes.svg",
            "figures/peers.svg",
            "figures/utilisation.svg",
            "figures/timeline.svg",
            "summary.md",
        ]
    );
    let summary = std::fs::read_to_string(path.join("summary.md")).expect("written");
    let last = rows.rounds.last().expect("60 rounds");
    for expected in [
        "covenant-72b, seed 1".to_owned(),
        format!("{:.4} nats/token", last.validation_loss.expect("evaluated")),
        "60 of 60".to_owned(),
        "1.99 GB".to_owned(),
        "top 64 of 64 × 64, 2-bit values, error feedback 0.95".to_owned(),
        "figures/timeline.svg".to_owned(),
    ] {
        assert!(summary.contains(&expected), "`{expected}` in\n{summary}");
    }
}

#[test]
fn a_report_made_twice_is_the_same_report() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let path = temporary.path().join("run");
    synthetic::write(&path, synthetic::scenario("twice", 1, 30), &synthetic::rows(1, 9, 1.0, PAYLOAD));
    let contents = || {
        let written = report::write(&read(&path)).expect("a report");
        written.iter().map(|file| std::fs::read(file).expect("written")).collect::<Vec<_>>()
    };
    assert_eq!(contents(), contents());
}

#[test]
fn a_run_of_the_clock_alone_has_no_loss_figures() {
    let (_temporary, place) = place();
    let path = place.join("clock");
    let mut rows = synthetic::rows(1, 3, 1.0, PAYLOAD);
    rows.evaluations.clear();
    rows.timeline.clear();
    synthetic::write(&path, synthetic::scenario("clock", 1, 30), &rows);
    let written = report::write(&read(&path)).expect("a report");
    assert_eq!(written.len(), 3, "{written:?}");
}

#[test]
fn one_round_is_enough_for_a_report() {
    let (_temporary, place) = place();
    let path = place.join("round");
    synthetic::write(&path, synthetic::scenario("round", 1, 30), &synthetic::rows(1, 1, 1.0, PAYLOAD));
    report::write(&read(&path)).expect("a report");
    report::compare(&[read(&path)], &place.join("of-one")).expect("a comparison of one");
}

#[test]
fn losses_that_are_not_numbers_do_not_stop_a_report() {
    let (_temporary, place) = place();
    let path = place.join("diverged");
    let mut rows = synthetic::rows(1, 12, 1.0, PAYLOAD);
    for (row, loss) in
        rows.evaluations[6..].iter_mut().zip([40.0, 1e4, 1e9, f64::INFINITY, f64::NAN, f64::NAN, f64::NAN])
    {
        row.validation_loss = loss;
    }
    synthetic::write(&path, synthetic::scenario("diverged", 1, 30), &rows);
    report::write(&read(&path)).expect("a report");
    rows.evaluations.iter_mut().for_each(|row| row.validation_loss = f64::NAN);
    let path = place.join("nan");
    synthetic::write(&path, synthetic::scenario("nan", 1, 30), &rows);
    report::write(&read(&path)).expect("a report");
}

#[test]
fn short_rounds_and_many_peers_stay_readable() {
    let (_temporary, place) = place();
    let path = place.join("short");
    let mut rows = synthetic::rows(1, 40, 1.0, PAYLOAD);
    for row in &mut rows.timeline {
        (row.start_s, row.end_s) = (row.start_s / 60.0, row.end_s / 60.0);
    }
    for row in &mut rows.rounds {
        row.time_s /= 60.0;
    }
    let others: Vec<_> = rows.timeline.iter().map(|row| IntervalRow { peer: row.peer + 30, ..row.clone() }).collect();
    rows.timeline.extend(others);
    synthetic::write(&path, synthetic::scenario("short-rounds", 1, 30), &rows);
    report::write(&read(&path)).expect("a report");
    let timeline = std::fs::read_to_string(path.join("figures/timeline.svg")).expect("written");
    assert!(timeline.contains(": 40 of "));
}

#[test]
fn methods_are_averaged_over_seeds_and_told_apart_by_what_differs() {
    let (_temporary, place) = place();
    let mut runs = Vec::new();
    for (inner_steps, ease, payload) in [(30, 1.0, PAYLOAD), (10, 0.6, PAYLOAD), (100, 1.3, PAYLOAD * 146)] {
        for seed in 1..=4 {
            let path = place.join(format!("sweep/h{inner_steps}-{seed}"));
            let rows = synthetic::rows(seed + u64::from(inner_steps), synthetic::ROUNDS, ease, payload);
            synthetic::write(&path, synthetic::scenario("sweep", seed, inner_steps), &rows);
            runs.push(read(&path));
        }
    }
    let out = place.join("comparison");
    let written = report::compare(&runs, &out).expect("a comparison");
    assert_eq!(written.len(), 5);
    let table = std::fs::read_to_string(out.join("comparison.md")).expect("written");
    for expected in ["| H = 30 | 4 | ", "| H = 10 | 4 | ", "| H = 100 | 4 | ", " ± ", "![Validation loss by round"] {
        assert!(table.contains(expected), "`{expected}` in\n{table}");
    }
}

#[test]
fn many_methods_share_a_legend_that_wraps() {
    let (_temporary, place) = place();
    let runs: Vec<_> = (0..9)
        .map(|at| {
            let path = place.join(format!("many/{at}"));
            let rows = synthetic::rows(at, 30, 0.4 + 0.2 * at as f64, PAYLOAD);
            synthetic::write(&path, synthetic::scenario(&format!("a-scenario-with-a-name-{at}"), 1, 30), &rows);
            read(&path)
        })
        .collect();
    report::compare(&runs, &place.join("many/comparison")).expect("a comparison");
}

#[test]
fn a_run_named_twice_is_refused() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let paths = ["a", "b"].map(|name| temporary.path().join(name));
    for path in &paths {
        synthetic::write(path, synthetic::scenario("same", 1, 30), &synthetic::rows(1, 2, 1.0, PAYLOAD));
    }
    let error = report::compare(&paths.map(|path| read(&path)), temporary.path()).expect_err("the same run");
    assert!(matches!(error, ReportError::Twice { .. }) && error.is_input());
}

#[test]
fn a_run_without_rounds_is_refused() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let path = temporary.path().join("run");
    let run = synthetic::write(&path, synthetic::scenario("empty", 1, 30), &Rows::default());
    let error = Run::read(run).expect_err("no rounds");
    assert!(matches!(error, ReportError::Empty { .. }) && error.is_input());
}

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn execute(arguments: &[&Path]) -> Result<String, Failure> {
    let words = std::iter::once(Path::new("report")).chain(arguments.iter().copied());
    let cli = Cli::try_parse_from(words.map(Path::as_os_str)).expect("valid arguments");
    let mut out = Vec::new();
    execute_to(&cli.args, &mut out)?;
    Ok(String::from_utf8(out).expect("paths of this test are text"))
}

#[test]
fn the_command_prints_what_it_wrote_and_puts_the_comparison_beside_the_first_run() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let paths = ["a", "b"].map(|name| temporary.path().join(name));
    for (seed, path) in paths.iter().enumerate() {
        synthetic::write(path, synthetic::scenario("s", seed as u64, 30), &synthetic::rows(1, 2, 1.0, PAYLOAD));
    }
    let printed = execute(&[&paths[0], &paths[1]]).expect("two runs");
    assert!(printed.lines().all(|line| Path::new(line).is_file()), "{printed}");
    assert!(temporary.path().join("comparison/comparison.md").is_file());

    let printed = execute(&[&paths[0], Path::new("--format=json")]).expect("one run");
    let json: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(json["runs"][0]["files"].as_array().map(Vec::len), Some(7));
    assert!(json["comparison"].is_null());
}

#[test]
fn the_command_writes_nothing_if_one_of_the_runs_is_unusable() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let [good, empty, nowhere] = ["good", "empty", "nowhere"].map(|name| temporary.path().join(name));
    synthetic::write(&good, synthetic::scenario("s", 1, 30), &synthetic::rows(1, 2, 1.0, PAYLOAD));
    synthetic::write(&empty, synthetic::scenario("s", 2, 30), &Rows::default());
    for bad in [&empty, &nowhere] {
        let failure = execute(&[&good, bad]).expect_err("one is unusable");
        assert_eq!(failure.exit_status(), 2);
    }
    assert!(!good.join("summary.md").exists() && !temporary.path().join("comparison").exists());
}
