//! Robust rules against byzfl 0.0.11 on random dense vectors: 1e-5 of the largest value apart at most.
//!
//! `benches/peers/robust.py` writes what byzfl makes of them. The fixture is its seed 1 and is always read; fresh seeds
//! need Python (`benches/peers/byzfl.sh`). byzfl has no sign majority.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use safetensors::{Dtype, SafeTensors};
use swarmloco::algorithm::aggregate::aggregate;
use swarmloco::algorithm::spec::{Aggregation, Average, Clip, Mixing, Rule};
use swarmloco::algorithm::{Contribution, Layout};

const FIXTURE: &[u8] = include_bytes!("fixtures/byzfl_aggregation.safetensors");

/// The rules that `robust.py` runs.
const RULES: usize = 14;

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(view.dtype(), Dtype::F32, "{name}");
    view.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

/// The one value of eight bytes.
fn word(file: &SafeTensors<'_>, name: &str) -> [u8; 8] {
    file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}")).data().try_into().expect("one value")
}

fn aggregation(name: &str, f: usize, radius: f64) -> Aggregation {
    let (mixing, name) = match name.strip_prefix("nearest_neighbours+") {
        Some(name) => (Mixing::NearestNeighbours { f }, name),
        None => (Mixing::None, name),
    };
    let rule = match name {
        "average" => Rule::Average,
        "median" => Rule::Median,
        "trimmed_mean" => Rule::TrimmedMean { f },
        "mean_around_median" => Rule::MeanAroundMedian { f },
        "krum" => Rule::Krum { f },
        "multi_krum" => Rule::MultiKrum { f },
        "geometric_median" => Rule::GeometricMedian { smoothing: 0.1, iterations: 3 },
        "geometric_median_20" => Rule::GeometricMedian { smoothing: 1e-3, iterations: 20 },
        "centred_clipping" => Rule::CentredClipping { radius, iterations: 1 },
        "centred_clipping_5" => Rule::CentredClipping { radius, iterations: 5 },
        _ => panic!("no rule is called {name}"),
    };
    Aggregation { mixing, rule, ..Aggregation::averaging(Average::Peers, Clip::None) }
}

/// Compares all rules of all cases; returns how many there were.
fn compare(bytes: &[u8]) -> usize {
    let file = SafeTensors::deserialize(bytes).expect("a safetensors file");
    let names: BTreeSet<&str> = file.names().into_iter().collect();
    let mut compared = 0;
    for name in names {
        let (case, rule) = name.split_once('.').expect("tensors are named CASE.WHAT");
        if matches!(rule, "vectors" | "f" | "radius") {
            continue;
        }
        let f = i64::from_le_bytes(word(&file, &format!("{case}.f")));
        let radius = f64::from_le_bytes(word(&file, &format!("{case}.radius")));
        let (vectors, expected) = (floats(&file, &format!("{case}.vectors")), floats(&file, name));
        // Two tensors: distances are over all of them.
        let mut layout = Layout::new();
        layout.push("first", &[3]);
        layout.push("rest", &[expected.len() - 3]);
        let contributions: Vec<Contribution> =
            vectors.chunks_exact(expected.len()).map(|vector| Contribution::dense(&layout, vector.to_vec())).collect();
        let mut out = vec![0.0; expected.len()];
        let aggregation = aggregation(rule, usize::try_from(f).expect("f is not negative"), radius);
        aggregate(&aggregation, &layout, &contributions.iter().collect::<Vec<_>>(), &mut out);
        let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
        for (place, (ours, theirs)) in out.iter().zip(&expected).enumerate() {
            assert!((ours - theirs).abs() < 1e-5 * largest, "{name}, coordinate {place}: {ours} is not {theirs}");
        }
        compared += 1;
    }
    compared
}

#[test]
fn rules_make_of_the_fixtures_vectors_what_byzfl_does() {
    assert_eq!(compare(FIXTURE), 6 * RULES);
}

#[test]
#[ignore = "needs Python: run `benches/peers/byzfl.sh` once, then `cargo test --test robust_byzfl -- --include-ignored`"]
fn rules_make_of_fresh_random_vectors_what_byzfl_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().expect("a temporary directory");
    for seed in 2..12 {
        let out = place.path().join("made.safetensors");
        let status = Command::new(root.join("target/byzfl/bin/python"))
            .arg(root.join("benches/peers/robust.py"))
            .args(["--seed", &seed.to_string(), "--out"])
            .arg(&out)
            .status()
            .expect("`benches/peers/byzfl.sh` has made an environment");
        assert!(status.success(), "seed {seed}: {status}");
        assert_eq!(compare(&std::fs::read(&out).expect("it was just written")), 6 * RULES, "seed {seed}");
    }
}
