//! Cells that differ in what the clock charges share a training, and nobody can tell from what they leave.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

const PEERS: &str = "\
peers:
  - {name: steady, count: 3, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}
  - name: churning
    count: 3
    step_time: 8 s
    jitter: {peer: 0.3, step: 0.2}
    uplink: 300 kbit/s
    downlink: 1 Mbit/s
    availability: {session: {exponential: {mean: 4 min}}, absence: {exponential: {mean: 1 min}}, crash: 0.5}
";

fn scenario(round: &str, peers: &str) -> String {
    format!(
        "\
name: tiny
rounds: 8
model: {{llama: {{layers: 1, width: 16, heads: 2, feed_forward: 32, context: 8, vocabulary: 16}}}}
data: {{markov: {{concentration: 0.1}}}}
batch: 2
evaluation: {{every: 3, sequences: 4}}
protocol:
  inner_steps: 4
  inner_optimizer: {{adamw: {{learning_rate: 1e-2}}}}
  compression: {{top_k: {{chunk: [16, 16], k: 16}}}}
  aggregation: {{clip: median_norm}}
  outer_optimizer: {{sgd: {{learning_rate: 0.7}}}}
  round: {round}
{peers}"
    )
}

/// Links from so slow that uploads are late to so fast that nobody waits; and prices that only the clock knows.
const AXES: [&str; 2] = [
    "peers.0.uplink=2 kbit/s,1 Mbit/s,20 Mbit/s,1 Gbit/s",
    "deployment={parameters: 30000, batch: 2, context: 8},{parameters: 60000, batch: 4, context: 8}",
];

/// All files below but those that hold what the host measured.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("it is readable") {
            let path = entry.expect("it is readable").path();
            if path.is_dir() {
                visit(&path, found);
            } else if !path.ends_with("host.json") && !path.ends_with(".lock") {
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

fn sweep(directory: &Path, out: &str, more: &[&str]) {
    let mut arguments = vec!["sweep", "tiny.yaml", "--out", out, "--seeds", "1..2", "--quiet"];
    arguments.extend(AXES.iter().flat_map(|axis| ["--axis", axis]));
    arguments.extend(more);
    let mut program = Command::cargo_bin("swarmloco").expect("the program is built");
    program.current_dir(directory).args(arguments).assert().success();
}

/// How many runs trained and how many followed one that did, by the parts of their wall-clock.
fn trained_and_followed(sweep: &Path) -> [usize; 2] {
    let runs = fs::read_dir(sweep.join("cells")).expect("made");
    let hosts: Vec<String> =
        runs.map(|run| fs::read_to_string(run.expect("readable").path().join("host.json")).expect("written")).collect();
    let trained = hosts.iter().filter(|host| host.contains("simulation and training")).count();
    [trained, hosts.len() - trained]
}

fn sharing_leaves_no_trace(round: &str, peers: &str, trained_max: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("tiny.yaml"), scenario(round, peers)).expect("room for a scenario");
    sweep(directory.path(), "shared", &[]);
    sweep(directory.path(), "unshared", &["--unshared"]);
    let [shared, unshared] = ["shared", "unshared"].map(|name| directory.path().join(name));
    assert_eq!(trained_and_followed(&unshared), [16, 0]);
    let [trained, followed] = trained_and_followed(&shared);
    assert!(trained <= trained_max && trained + followed == 16, "{trained} trained, {followed} followed");
    let (ours, theirs) = (contents(&shared), contents(&unshared));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.0, theirs.0);
        assert!(ours.1 == theirs.1, "{} differs", ours.0.display());
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().any(|(path, _)| path.ends_with("model/model.safetensors")), "the model is among them");

    // A leader that is done already is followed by what is still to be done.
    for entry in fs::read_dir(shared.join("cells")).expect("made") {
        let path = entry.expect("readable").path();
        if !fs::read_to_string(path.join("host.json")).expect("written").contains("simulation and training") {
            fs::remove_dir_all(path).expect("ours");
        }
    }
    sweep(directory.path(), "shared", &["--resume"]);
    assert_eq!(trained_and_followed(&shared), [trained, followed]);
    assert!(contents(&shared) == theirs, "the same bytes again");
}

#[test]
fn windows_with_churn_and_crashes_share_what_is_the_same() {
    let round = "{window: {length: 60 s, upload_deadline: 10 s, gather: 4, reserve: 2, gather_timeout: 30 s}}";
    // Two prices hardly change who is in time; four links do.
    sharing_leaves_no_trace(round, PEERS, 8);
}

#[test]
fn barriers_with_churn_and_crashes_share_what_is_the_same() {
    sharing_leaves_no_trace("barrier", PEERS, 8);
}

#[test]
fn a_barrier_without_churn_trains_once_for_all_links() {
    let peers = "peers:\n  - {name: steady, count: 3, step_time: 5 s, jitter: {step: 0.2}, uplink: 1 Mbit/s, downlink: 4 Mbit/s}\n";
    sharing_leaves_no_trace("barrier", peers, 2);
}

#[test]
fn a_quorum_that_links_decide_on_is_not_mistaken() {
    let peers = "peers:\n  - {name: steady, count: 4, step_time: 5 s, jitter: {step: 0.4}, uplink: 1 Mbit/s, downlink: 4 Mbit/s}\n";
    sharing_leaves_no_trace("{barrier: {wait: {quorum: 0.5}}}", peers, 16);
}
