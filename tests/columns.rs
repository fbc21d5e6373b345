//! What `results/README.md` says of each table's columns is what the tables have.

use std::fs::{self, File};
use std::path::Path;

use assert_cmd::Command;
use polars::prelude::{DataFrame, ParquetReader, SerReader};
use swarmloco::protocol::rows::{EvaluationRow, IntervalRow, OverlapRow, PeerRow, RoundRow, ScoreRow};
use swarmloco::record::Table;
use swarmloco::record::sweep::{CELLS, STATISTICS};

/// The row that stands for one column an axis.
const AXIS: &str = "AXIS";

const TINY: &str = "\
name: tiny
rounds: 2
model: {quadratic: {dimension: 32, condition: 10, noise: 0.5, heterogeneity: 0.1}}
batch: 2
protocol:
  inner_steps: 2
  inner_optimizer: {sgd: {learning_rate: 0.1}}
  compression: none
  aggregation: {clip: none}
  outer_optimizer: {sgd: {learning_rate: 0.7}}
  round: barrier
peers:
  - {name: node, count: 2, step_time: 5 s, uplink: 1 Mbit/s, downlink: 4 Mbit/s}
";

/// Name and type of a column.
type Named = (String, String);

fn documented(file: &str) -> Vec<Named> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/README.md");
    let text = fs::read_to_string(path).expect("the documentation is there");
    let heading = format!("## `{file}`: ");
    let section = text.split("\n## ").find(|section| format!("## {section}").starts_with(&heading));
    let section = section.unwrap_or_else(|| panic!("no section `{heading}…`"));
    let column = |line: &str| {
        let fields: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, _unit, meaning] = fields.as_slice() else { panic!("{file}: `{line}` has not four fields") };
        assert!(!meaning.is_empty(), "{file}: `{name}` says nothing");
        (name.trim_matches('`').to_owned(), (*kind).to_owned())
    };
    section.lines().filter(|line| line.starts_with("| `")).map(column).collect()
}

fn columns(frame: &DataFrame) -> Vec<Named> {
    let kind = |kind: String| if kind == "str" { "string".to_owned() } else { kind };
    frame.columns().iter().map(|column| (column.name().to_string(), kind(column.dtype().to_string()))).collect()
}

fn assert_documented<T: Table>() {
    assert_eq!(documented(T::FILE), columns(&T::frame(&[])), "{}", T::FILE);
}

#[test]
fn the_columns_of_a_run_are_those_that_are_documented() {
    assert_documented::<RoundRow>();
    assert_documented::<PeerRow>();
    assert_documented::<EvaluationRow>();
    assert_documented::<IntervalRow>();
    assert_documented::<ScoreRow>();
    assert_documented::<OverlapRow>();
}

#[test]
fn the_columns_of_a_sweep_are_those_that_are_documented() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("tiny.yaml"), TINY).expect("room for a scenario");
    // One axis of numbers, one of names.
    let axes = ["--axis", "batch=2,4", "--axis", "protocol.round=barrier", "--seeds", "1..2"];
    let mut program = Command::cargo_bin("swarmloco").expect("the program is built");
    let output = program.current_dir(directory.path()).args(["sweep", "tiny.yaml", "--out", "s"]).args(axes).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in [CELLS, STATISTICS] {
        let expected: Vec<Named> = documented(file)
            .into_iter()
            .flat_map(|(name, kind)| match name.as_str() {
                AXIS => [("batch", "f64"), ("protocol.round", "string")]
                    .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
                    .to_vec(),
                _ => vec![(name, kind)],
            })
            .collect();
        let table = File::open(directory.path().join("s").join(file)).expect("it is written");
        let frame = ParquetReader::new(table).finish().expect("it is a table");
        assert_eq!(expected, columns(&frame), "{file}");
    }
}
