//! The program as a person meets it: exit status, messages, and nothing half-written.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use swarmloco::protocol::rows::EvaluationRow;
use swarmloco::record::RunDirectory;
use tempfile::TempDir;

const TINY: &str = "\
name: tiny
rounds: 3
model: {llama: {layers: 1, width: 16, heads: 2, feed_forward: 32, context: 8, vocabulary: 16}}
data: {markov: {concentration: 0.1}}
batch: 2
evaluation: {sequences: 4}
protocol:
  inner_steps: 4
  inner_optimizer: {adamw: {learning_rate: 1e-2}}
  compression: {top_k: {chunk: [16, 16], k: 16}}
  aggregation: {clip: median_norm}
  outer_optimizer: {sgd: {learning_rate: 0.7}}
  round: {window: {length: 60 s, upload_deadline: 10 s, gather: 4}}
peers:
  - {name: node, count: 3, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}
";

fn program() -> Command {
    Command::cargo_bin("swarmloco").expect("the program is built")
}

/// Exit status, stdout, stderr.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = program().current_dir(directory).args(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("messages are UTF-8");
    let status = output.status.code().expect("no signal ended it");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(!stderr.contains("panicked"), "{stderr}");
    (status, stdout, stderr)
}

fn with_scenario(text: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("tiny.yaml"), text).expect("room for a scenario");
    directory
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_its_directory_and_prints_where() {
    let directory = with_scenario(TINY);
    let (status, stdout, stderr) = run(directory.path(), &["run", "tiny.yaml"]);
    assert_eq!((status, stdout.as_str()), (0, "results/runs/tiny-seed1\n"), "{stderr}");
    let run_directory = directory.path().join("results/runs/tiny-seed1");
    for file in ["manifest.json", "host.json", "rounds.parquet", "peers.parquet", "evaluations.parquet", "summary.md"] {
        assert!(run_directory.join(file).is_file(), "{file} is missing from {:?}", entries(&run_directory));
    }
    let (status, _, stderr) = run(directory.path(), &["run", "tiny.yaml"]);
    assert_eq!(status, 2, "a finished run is not replaced unasked");
    assert!(stderr.contains("tiny-seed1"), "{stderr}");
    assert_eq!(run(directory.path(), &["run", "tiny.yaml", "--overwrite"]).0, 0);
    assert_eq!(run(directory.path(), &["report", "results/runs/tiny-seed1"]).0, 0);
}

#[test]
fn a_wrong_scenario_is_shown_and_nothing_is_written() {
    let directory = with_scenario(&TINY.replace("inner_steps: 4", "inner_step: 4").replace("count: 3", "count: 0"));
    for arguments in [["run", "tiny.yaml"], ["estimate", "tiny.yaml"], ["validate", "tiny.yaml"]] {
        let (status, stdout, stderr) = run(directory.path(), &arguments);
        assert_eq!((status, stdout.as_str()), (2, ""));
        for expected in ["tiny.yaml:8:3", "unknown field `inner_step`", "did you mean `inner_steps`?", "found `0`"] {
            assert!(stderr.contains(expected), "`{expected}` is not in\n{stderr}");
        }
    }
    assert_eq!(entries(directory.path()), ["tiny.yaml"]);
}

#[test]
fn a_missing_scenario_and_a_missing_corpus_are_named() {
    let directory = with_scenario(&TINY.replace("markov: {concentration: 0.1}", "text: {files: [\"data/*.txt\"]}"));
    let (status, _, stderr) = run(directory.path(), &["run", "none.yaml"]);
    assert!(status == 2 && stderr.contains("cannot read the scenario `none.yaml`"), "{stderr}");
    let (status, _, stderr) = run(directory.path(), &["run", "tiny.yaml"]);
    assert!(status == 2 && stderr.contains("no file matches `data/*.txt`"), "{stderr}");
    assert!(stderr.contains("scripts/fetch-corpus.sh"), "{stderr}");
}

#[test]
fn an_unwritable_directory_fails_without_a_trace() {
    let directory = with_scenario(TINY);
    let (status, _, stderr) = run(directory.path(), &["run", "tiny.yaml", "--out", "tiny.yaml/run"]);
    assert!(status == 1 && stderr.contains("cannot create `tiny.yaml/run`"), "{status}: {stderr}");
    assert_eq!(entries(directory.path()), ["tiny.yaml"]);
}

#[test]
fn there_is_nothing_to_resume_in_a_new_directory() {
    let directory = with_scenario(TINY);
    let (status, _, stderr) = run(directory.path(), &["run", "tiny.yaml", "--resume"]);
    assert!(status == 2 && stderr.contains("no checkpoint to resume from"), "{status}: {stderr}");
}

#[test]
fn a_run_starts_from_the_model_of_another() {
    let directory = with_scenario(TINY);
    assert_eq!(run(directory.path(), &["run", "tiny.yaml", "--out", "first"]).0, 0);
    assert_eq!(entries(&directory.path().join("first/model")), ["config.json", "model.safetensors"]);
    let from = ["run", "tiny.yaml", "--out", "second", "--set", "initial_model=first/model"];
    let (status, _, stderr) = run(directory.path(), &from);
    assert_eq!(status, 0, "{stderr}");
    let losses = |run: &str| {
        let rows = RunDirectory::open(&directory.path().join(run)).and_then(|run| run.read_table::<EvaluationRow>());
        rows.expect("written").into_iter().map(|row| row.validation_loss).collect::<Vec<f64>>()
    };
    assert_eq!(losses("first").last(), losses("second").first(), "the second begins where the first ended");

    let wider = [&from[..3], &["third"], &from[4..], &["--set", "model.llama.feed_forward=48"]].concat();
    let (status, _, stderr) = run(directory.path(), &wider);
    assert!(status == 2 && stderr.contains("has 32 for `intermediate_size`"), "{status}: {stderr}");
    let (status, _, stderr) = run(directory.path(), &["run", "tiny.yaml", "--set", "initial_model=nowhere"]);
    assert!(status == 2 && stderr.contains("`nowhere` holds no `config.json`"), "{status}: {stderr}");
    assert!(!directory.path().join("third").exists());
}

#[test]
fn speed_is_measured_and_impossible_shapes_are_refused() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let small = ["--model", "width=32,layers=1,heads=2,kv_heads=1,context=8", "--seconds", "0", "--format", "json"];
    let training = [&["bench", "training", "--peers", "3", "--threads", "2", "--steps", "1"], &small[..]].concat();
    let (status, stdout, stderr) = run(place.path(), &training);
    assert_eq!(status, 0, "{stderr}");
    let rate: Value = serde_json::from_str(&stdout).expect("JSON");
    for field in ["tokens_per_second", "peer_steps_per_second", "gflops", "params"] {
        assert!(rate[field].as_f64().is_some_and(|value| value > 0.0), "{field} in {rate}");
    }
    let codec = [&["bench", "codec", "--peers", "2"], &small[..]].concat();
    let rate: Value = serde_json::from_str(&run(place.path(), &codec).1).expect("JSON");
    assert!(rate["payload_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{rate}");
    let aggregation = ["bench", "aggregation", "--peers", "3", "--f", "1", "--seconds", "0", "--format", "json"];
    let rate: Value = serde_json::from_str(&run(place.path(), &aggregation).1).expect("JSON");
    let rules = rate["rules"].as_array().expect("a list of rules");
    assert!(rules.iter().any(|rule| rule["name"] == "krum"), "{rate}");
    let is_timed = |rule: &Value, field: &str| rule[field].as_f64().is_some_and(|seconds| seconds > 0.0);
    assert!(rules.iter().all(|rule| is_timed(rule, "dense_seconds") && is_timed(rule, "sparse_seconds")), "{rate}");
    for (model, expected) in
        [("heads=3", "`width` 128"), ("depth=3", "`depth=3` is not a size"), ("layers=0", "layers")]
    {
        for bench in ["training", "codec"] {
            let (status, _, stderr) = run(place.path(), &["bench", bench, "--model", model]);
            assert!(status == 2 && stderr.contains(expected), "{model}: {status}: {stderr}");
        }
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_resumed_to_the_same_bytes() {
    let directory = with_scenario(&TINY.replace("rounds: 3", "rounds: 300"));
    let whole = run(directory.path(), &["run", "tiny.yaml", "--out", "whole", "--threads", "1"]);
    assert_eq!(whole.0, 0, "{}", whole.2);

    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("swarmloco"))
        .current_dir(directory.path())
        .args(["run", "tiny.yaml", "--out", "cut", "--threads", "2", "--quiet"])
        .spawn()
        .expect("the program starts");
    // The directory appears when the program listens to signals and is about to simulate.
    while !directory.path().join("cut").exists() {
        assert_eq!(child.try_wait().expect("it can be waited for"), None, "it ended before it began");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("`kill` is there").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));

    let cut = entries(&directory.path().join("cut"));
    assert!(cut.iter().any(|name| name == "rounds.parquet"), "what is done is readable: {cut:?}");
    assert!(!cut.iter().any(|name| name.contains("tmp")), "nothing half-written is left: {cut:?}");
    let (status, _, stderr) = run(directory.path(), &["run", "tiny.yaml", "--out", "cut"]);
    assert!(status == 2 && stderr.contains("--resume"), "it is neither continued nor replaced unasked: {stderr}");
    let (status, _, stderr) = run(directory.path(), &["run", "tiny.yaml", "--out", "cut", "--resume"]);
    assert_eq!(status, 0, "{stderr}");
    for table in ["rounds", "peers", "evaluations", "timeline"] {
        let read = |run: &str| fs::read(directory.path().join(run).join(format!("{table}.parquet")));
        assert_eq!(read("whole").expect("written"), read("cut").expect("written"), "{table} differs");
    }
    let manifest = |run: &str| fs::read_to_string(directory.path().join(run).join("manifest.json")).expect("written");
    assert_eq!(manifest("whole"), manifest("cut"));
}

#[test]
fn an_estimate_has_the_fields_that_machines_read() {
    let directory = with_scenario(TINY);
    let (status, stdout, _) = run(directory.path(), &["estimate", "tiny.yaml", "--format", "json"]);
    let estimate: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(status, 0);
    assert!((estimate["round_seconds"].as_f64().expect("a number") - 60.0).abs() < 0.1, "{estimate}");
    assert!((estimate["compute_seconds"].as_f64().expect("a number") - 20.0).abs() < 1.0, "{estimate}");
    for field in ["payload_bytes", "upload_seconds", "download_seconds", "utilisation", "tokens_per_day"] {
        assert!(estimate[field].as_f64().is_some_and(|value| value > 0.0), "{field} in {estimate}");
    }
}

fn tensors(path: &Path, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![8, values.len() / 8], &bytes).expect("bytes of the shape");
    fs::write(path, safetensors::serialize([("w", view)], None).expect("it serialises")).expect("room for it");
}

fn read(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).expect("it was written");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("it is one");
    let view = file.tensor("w").expect("it has the tensor");
    view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[test]
fn what_a_payload_does_not_carry_stays_in_the_state() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = |name: &str| directory.path().join(name);
    let delta: Vec<f32> = (0..128).map(|i| (0.7 * i as f32).sin() * (1.0 + 0.05 * i as f32)).collect();
    tensors(&place("delta.safetensors"), &delta);
    let encode =
        "codec encode --in delta.safetensors --state e.safetensors --chunk 8 --k 8 --bits 2 --decay 0.5 --out p.bin";
    let encode: Vec<&str> = encode.split(' ').collect();
    assert_eq!(run(directory.path(), &encode).0, 0);
    let first = read(&place("e.safetensors"));
    assert_eq!(run(directory.path(), &encode).0, 0, "the state is read and written back");
    assert_eq!(run(directory.path(), &["codec", "decode", "--in", "p.bin", "--out", "d.safetensors"]).0, 0);
    let (decoded, second) = (read(&place("d.safetensors")), read(&place("e.safetensors")));
    for i in 0..128 {
        assert!((decoded[i] + second[i] - (0.5 * first[i] + delta[i])).abs() < 1e-5, "entry {i}");
    }
    let (status, stdout, _) = run(directory.path(), &["codec", "inspect", "--in", "p.bin"]);
    let inspection: Value = serde_json::from_str(&stdout).expect("JSON");
    let tensor = &inspection["tensors"][0];
    assert_eq!((status, &tensor["name"], &tensor["k"], &tensor["kept"]), (0, &"w".into(), &8.into(), &16.into()));
    assert_eq!(tensor["chunk_shape"], serde_json::json!([8, 8]));
    let counts = tensor["bin_counts"].as_array().expect("a list").iter().filter_map(Value::as_u64);
    assert_eq!(counts.sum::<u64>(), 16);
}

#[test]
fn a_damaged_payload_is_refused_and_nothing_is_written() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = |name: &str| directory.path().join(name);
    tensors(&place("delta.safetensors"), &[1.0; 64]);
    let encode = ["codec", "encode", "--in", "delta.safetensors", "--chunk", "8", "--k", "8", "--out", "p.bin"];
    assert_eq!(run(directory.path(), &encode).0, 0);
    let mut bytes = fs::read(place("p.bin")).expect("it was written");
    bytes.truncate(bytes.len() - 9);
    fs::write(place("short.bin"), &bytes).expect("room for it");
    fs::write(place("noise.bin"), b"nothing of the kind").expect("room for it");
    for (file, expected) in
        [("short.bin", "damaged or cut off"), ("noise.bin", "no payload"), ("none.bin", "cannot read")]
    {
        let (status, _, stderr) = run(directory.path(), &["codec", "decode", "--in", file, "--out", "d.safetensors"]);
        assert!(status == 2 && stderr.contains(expected), "{file}: {status}: {stderr}");
    }
    let (status, _, stderr) = run(directory.path(), &["codec", "encode", "--in", "noise.bin", "--out", "q.bin"]);
    assert!(status == 2 && stderr.contains("no `.safetensors` file"), "{status}: {stderr}");
    assert!(!place("d.safetensors").exists() && !place("q.bin").exists());
}
