//! Everyday manners: completions that a shell reads, manual pages, colour and progress only where somebody looks.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Output};

use assert_cmd::Command;
use tempfile::TempDir;

const TINY: &str = "\
name: tiny
rounds: 3
model: {quadratic: {dimension: 32, condition: 10, noise: 0.5, heterogeneity: 0.1}}
batch: 2
protocol:
  inner_steps: 4
  inner_optimizer: {sgd: {learning_rate: 0.1}}
  compression: none
  aggregation: {clip: none}
  outer_optimizer: {sgd: {learning_rate: 0.7}}
  round: barrier
peers:
  - {name: node, count: 2, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}
";

/// The commands that have a page and completions.
const COMMANDS: [&str; 12] = [
    "run",
    "sweep",
    "report",
    "recommend",
    "check",
    "estimate",
    "validate",
    "schema",
    "codec",
    "bench",
    "completions",
    "man",
];

fn program() -> Command {
    Command::cargo_bin("swarmloco").expect("the program is built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it is UTF-8")
}

fn with_scenario(scenario: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("tiny.yaml"), scenario).expect("room for a scenario");
    directory
}

/// A command line on a terminal of its own; `None` where there is no `script` (util-linux) to make one.
fn on_a_terminal(directory: &Path, arguments: &str, no_color: &str) -> Option<String> {
    let program = assert_cmd::cargo::cargo_bin("swarmloco");
    let line = format!("'{}' {arguments}", program.display());
    let output = Process::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("NO_COLOR", no_color)
        .env("TERM", "xterm-256color")
        .current_dir(directory)
        .output();
    let Ok(Output { stdout, .. }) = output else {
        eprintln!("skipped: `script` is not here, and there is no terminal without it");
        return None;
    };
    Some(text(&stdout))
}

#[test]
fn completions_of_each_shell_know_each_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program().args(["completions", shell]).output().expect("the program starts");
        let script = text(&output.stdout);
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} does not complete `{command}`");
        }
        assert!(script.contains("--checkpoint-every") || script.contains("checkpoint-every"), "{shell}");
    }
}

#[test]
fn bash_completes_a_command_and_an_option() {
    let output = program().args(["completions", "bash"]).output().expect("the program starts");
    let asked = "\
COMP_WORDS=(swarmloco rec) COMP_CWORD=1; _swarmloco swarmloco rec swarmloco; echo \"${COMPREPLY[@]}\"
COMP_WORDS=(swarmloco sweep --jo) COMP_CWORD=2; _swarmloco swarmloco --jo sweep; echo \"${COMPREPLY[@]}\"";
    let script = format!("{}\n{asked}\n", text(&output.stdout));
    let Ok(answer) = Process::new("bash").args(["--norc", "-c", &script]).output() else {
        eprintln!("skipped: `bash` is not here");
        return;
    };
    assert_eq!(text(&answer.stdout), "recommend\n--jobs\n", "{}", text(&answer.stderr));
}

#[test]
fn each_command_has_a_manual_page_with_its_examples() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = program().current_dir(directory.path()).args(["man", "--out", "man1"]).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let pages: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(pages.contains(&"man1/swarmloco.1".to_owned()), "{pages:?}");
    for command in COMMANDS {
        let path = format!("man1/swarmloco-{command}.1");
        let page = fs::read_to_string(directory.path().join(&path)).unwrap_or_else(|_| panic!("{path} of {pages:?}"));
        assert!(page.contains(".TH swarmloco") && page.contains(".SH EXAMPLES\n.nf\n"), "{page}");
    }
    for nested in ["codec-encode", "bench-training"] {
        assert!(pages.contains(&format!("man1/swarmloco-{nested}.1")), "{pages:?}");
    }
}

#[test]
fn a_run_and_a_sweep_say_nothing_on_stderr_where_nobody_looks() {
    let directory = with_scenario(TINY);
    for arguments in [vec!["run", "tiny.yaml"], vec!["sweep", "tiny.yaml", "--axis", "batch=2,4"]] {
        let output = program().current_dir(directory.path()).args(&arguments).output().expect("the program starts");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        assert_eq!(text(&output.stdout).lines().count(), 1, "{arguments:?}: the directory, and nothing else");
    }
}

#[test]
fn mistakes_are_coloured_on_a_terminal_only_and_never_with_no_color() {
    let directory = with_scenario(&TINY.replace("batch: 2", "batches: 2"));
    for arguments in ["validate tiny.yaml", "run --sed 1"] {
        let output = program().current_dir(directory.path()).args(arguments.split(' ')).output();
        let away = text(&output.expect("the program starts").stderr);
        assert!(!away.is_empty() && !away.contains('\u{1b}'), "{away}");
        let Some(coloured) = on_a_terminal(directory.path(), arguments, "") else { return };
        assert!(coloured.contains("\u{1b}[3") || coloured.contains("\u{1b}[1"), "{coloured}");
        let plain = on_a_terminal(directory.path(), arguments, "1").expect("there was a terminal before");
        assert!(!plain.is_empty() && !plain.contains('\u{1b}'), "{plain}");
    }
}

#[test]
fn progress_is_drawn_on_a_terminal_unless_quiet() {
    let directory = with_scenario(&TINY.replace("rounds: 3", "rounds: 200"));
    let Some(shown) = on_a_terminal(directory.path(), "run tiny.yaml", "1") else { return };
    assert!(shown.contains("round ") && shown.contains("left"), "{shown}");
    let quiet = on_a_terminal(directory.path(), "run tiny.yaml --overwrite --quiet", "1");
    assert_eq!(quiet.expect("there was a terminal before").trim(), "results/runs/tiny-seed1");
}
