//! The plan of the house holds: who may use whom, where the large libraries live, what a file looks like.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may use; `quantity` is everybody's.
const ARROWS: &[(&str, &[&str])] = &[
    ("quantity", &[]),
    ("sim", &[]),
    ("algorithm", &[]),
    ("net", &["sim"]),
    // Deployment shapes are the training's, payload sizes are the codec's.
    ("cost", &["algorithm", "training::spec"]),
    // Of the kernel only the named streams.
    ("training", &["algorithm", "sim::Streams"]),
    // Forged payloads and poisoned batches; of the kernel only the named streams.
    ("adversary", &["algorithm", "training::spec", "sim::Streams"]),
    // Numbers in, decisions out: of contributions it sees the indices, of the kernel only the named streams.
    ("validator", &["algorithm", "sim::Streams"]),
    ("protocol", &["sim", "net", "cost", "algorithm", "training", "validator", "adversary"]),
    // Resolution is to the rooms' own plain data; random axes of a sweep are drawn from named streams.
    (
        "scenario",
        &[
            "algorithm::spec",
            "training::spec",
            "protocol::spec",
            "validator::spec",
            "adversary::spec",
            "cost",
            "sim::Streams",
        ],
    ),
    ("record", &["scenario", "protocol::rows", "sim::Audit"]),
    (
        "report",
        &["record", "protocol::rows", "protocol::spec", "algorithm::spec", "scenario", "training::spec", "cost"],
    ),
    ("host", &["scenario", "protocol", "training", "record", "report", "cost", "sim", "algorithm"]),
    ("cli", &["host", "scenario", "protocol", "record", "report", "sim", "algorithm", "cost", "training"]),
];

/// Libraries and the rooms where they may be used.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("candle_core", &["training"]),
    ("gemm", &["training"]),
    ("tokenizers", &["training"]),
    ("polars", &["record", "report"]),
    ("plotters", &["report"]),
    ("tokio", &["host"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("indicatif", &["cli"]),
];

/// A file longer than this wants to be two.
const LINES_MAX: usize = 550;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("the source is readable") {
            let path = entry.expect("the source is readable").path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    visit(&root, &mut paths);
    paths.sort();
    let source = |path: PathBuf| {
        let inside = path.strip_prefix(&root).expect("it was found there");
        let room = inside.components().next().expect("a file has a name").as_os_str().to_string_lossy();
        let room = room.trim_end_matches(".rs").to_owned();
        Source { text: fs::read_to_string(&path).expect("source is UTF-8"), room, path: inside.to_owned() }
    };
    paths.into_iter().map(source).collect()
}

/// Lines of code before the tests, numbered from 1; comments are left out.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let lines = source.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines.enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn rooms_use_only_whom_they_may() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.path.ends_with("tests.rs")) {
        let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == source.room) else { continue };
        for (number, line) in code(source) {
            for used in line.split("crate::").skip(1) {
                let is_own =
                    |room: &str| used == room || used.strip_prefix(room).is_some_and(|rest| !rest.starts_with('_'));
                if !is_own(&source.room) && !is_own("quantity") && !allowed.iter().any(|room| used.starts_with(room)) {
                    wrong.push(format!(
                        "src/{}:{number}: `{}` may not use `crate::{used}`",
                        source.path.display(),
                        source.room
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in &sources() {
        for (number, line) in code(source) {
            for (library, rooms) in LIBRARIES {
                let is_used = line.contains(&format!("{library}::")) && !line.contains(&format!("_{library}::"));
                if is_used && !rooms.contains(&source.room.as_str()) {
                    wrong.push(format!("src/{}:{number}: `{library}` belongs to {rooms:?}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_on_the_plan() {
    for source in &sources() {
        let is_known = ARROWS.iter().any(|(room, _)| *room == source.room) || ["lib", "main"].contains(&&*source.room);
        assert!(is_known, "src/{}: no room `{}` is on the plan", source.path.display(), source.room);
    }
}

#[test]
fn files_open_with_what_they_are_and_are_not_too_long() {
    for source in &sources() {
        let path = source.path.display();
        assert!(source.text.starts_with("//!"), "src/{path}:1: a file begins with a `//!` that says what it is");
        assert!(!source.path.ends_with("mod.rs"), "src/{path}: `foo.rs` beside `foo/`, no `mod.rs`");
        let lines = source.text.lines().count();
        assert!(lines <= LINES_MAX, "src/{path}: {lines} lines are more than {LINES_MAX}");
    }
}
