//! Nothing is lost: processes that are killed or interrupted at any moment leave what `--resume` ends with the bytes of a
//! process that was left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use swarmloco::record::SweepDirectory;
use tempfile::TempDir;

/// Long enough to be killed many times.
const SCENARIO: &str = "\
name: tiny
rounds: 30
model: {llama: {layers: 1, width: 16, heads: 2, feed_forward: 32, context: 16, vocabulary: 16}}
data: {markov: {concentration: 0.1}}
batch: 4
evaluation: {sequences: 8}
protocol:
  inner_steps: 6
  inner_optimizer: {adamw: {learning_rate: 1e-2}}
  compression: {top_k: {chunk: [16, 16], k: 16}}
  aggregation: {clip: median_norm}
  outer_optimizer: {sgd: {learning_rate: 0.7}}
  round: {window: {length: 60 s, upload_deadline: 10 s, gather: 4, reserve: 2}}
peers:
  - {name: node, count: 3, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}
  - name: churning
    count: 3
    step_time: 8 s
    jitter: {peer: 0.3, step: 0.2}
    uplink: 300 kbit/s
    downlink: 1 Mbit/s
    availability: {session: {exponential: {mean: 4 min}}, absence: {exponential: {mean: 1 min}}, crash: 0.5}
";

const SWEEP: &str = "\
scenario: tiny.yaml
set: {rounds: 12}
axes: [{name: H, path: protocol.inner_steps, values: [3, 6]}]
seeds: 1..2
";

fn place() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("tiny.yaml"), SCENARIO).expect("room for a scenario");
    fs::write(directory.path().join("grid.yaml"), SWEEP).expect("room for a sweep");
    directory
}

fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("swarmloco"));
    command.current_dir(directory).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Exit status and stderr.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String) {
    let output = program(directory, arguments).output().expect("the program starts");
    (output.status.code().expect("no signal ended it"), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Everything but what the host measured and what a killed process left of temporary files.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("it is readable") {
            let path = entry.expect("it is readable").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            if path.is_dir() {
                visit(&path, found);
            } else if !name.starts_with('.') && name != "host.json" {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(directory, &mut found);
    found.sort();
    let inside = |path: &PathBuf| path.strip_prefix(directory).expect("it was found there").to_owned();
    found.iter().map(|path| (inside(path), fs::read(path).expect("it is readable"))).collect()
}

/// Kills the command at random moments, resuming it each time, until it was killed `kills` times; a directory that is
/// done before is compared and begun anew.
fn kill_often(kills: u32, verb: &[&str], seed: u64) {
    let directory = place();
    let command = |out: &'static str, more: &[&'static str]| -> Vec<&str> {
        let options = ["--out", out, "--checkpoint-every", "0.01", "--quiet"];
        verb.iter().copied().chain(options).chain(more.iter().copied()).collect()
    };
    let (status, stderr) = run(directory.path(), &command("whole", &[]));
    assert_eq!(status, 0, "{stderr}");
    let whole = contents(&directory.path().join("whole"));

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut killed = 0;
    while killed < kills {
        let pieces = directory.path().join("pieces");
        loop {
            // A process that died before it had its directory left nothing to resume.
            let more: &[&str] = if pieces.exists() { &["--resume"] } else { &[] };
            let arguments = command("pieces", more);
            let mut child = program(directory.path(), &arguments).spawn().expect("the program starts");
            let after = Duration::from_micros(rng.random_range(1_000..400_000));
            std::thread::sleep(after);
            if let Some(status) = child.try_wait().expect("it is our child") {
                let output = child.wait_with_output().expect("it is our child");
                let stderr = String::from_utf8_lossy(&output.stderr);
                // It was through with everything when it was killed the last time.
                let was_done = stderr.contains("holds a finished run already");
                assert!(status.success() || was_done, "after {killed} kills: {stderr}");
                break;
            }
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
            killed += 1;
            if killed >= kills {
                let (status, stderr) = run(directory.path(), &command("pieces", &["--resume"]));
                assert!(status == 0 || stderr.contains("holds a finished run already"), "{stderr}");
                break;
            }
        }
        let differing: Vec<_> =
            contents(&pieces).into_iter().filter(|file| !whole.contains(file)).map(|(path, _)| path).collect();
        assert!(differing.is_empty(), "seed {seed}: after {killed} kills these differ: {differing:?}");
        assert_eq!(contents(&pieces).len(), whole.len());
        fs::remove_dir_all(&pieces).expect("ours");
    }
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_with_the_bytes_of_one_that_is_not() {
    kill_often(24, &["run", "tiny.yaml"], 1);
}

#[test]
fn a_sweep_that_is_killed_at_any_moment_ends_with_the_bytes_of_one_that_is_not() {
    kill_often(24, &["sweep", "grid.yaml"], 2);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_sweep_cleanly_and_resume_ends_it_with_the_same_bytes() {
    let directory = place();
    assert_eq!(run(directory.path(), &["sweep", "grid.yaml", "--out", "whole"]).0, 0);
    let child =
        program(directory.path(), &["sweep", "grid.yaml", "--out", "pieces"]).spawn().expect("the program starts");
    // Once the first run has begun there is something to interrupt.
    while !directory.path().join("pieces/cells").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("`kill` is there").success());
    let output = child.wait_with_output().expect("it is our child");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("`--resume` continues"), "{stderr}");
    let (status, stderr) = run(directory.path(), &["sweep", "grid.yaml", "--out", "pieces", "--resume"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(contents(&directory.path().join("pieces")), contents(&directory.path().join("whole")));
}

#[test]
fn a_second_process_on_a_sweep_directory_is_refused() {
    let directory = place();
    let held = SweepDirectory::create(&directory.path().join("held"), false, false).expect("a new directory");
    for more in ["--resume", "--overwrite"] {
        let (status, stderr) = run(directory.path(), &["sweep", "grid.yaml", "--out", "held", more]);
        assert!(status == 1 && stderr.contains("another process uses `held`"), "{status}: {stderr}");
    }
    drop(held);
    assert_eq!(run(directory.path(), &["sweep", "grid.yaml", "--out", "held"]).0, 0);
}
