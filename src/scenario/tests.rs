//! What is right resolves, and what is wrong is said: where, and what was expected.

use miette::Diagnostic as _;

use super::*;

const GOOD: &str = "\
name: test
rounds: 3
model:
  quadratic: {dimension: 64}
batch: 4
protocol:
  inner_steps: 5
  inner_optimizer: {sgd: {learning_rate: 0.1}}
  compression: {top_k: {chunk: [8, 8], k: 4}}
  aggregation: {average: contributors}
  outer_optimizer: {sgd: {learning_rate: 1.0}}
  round: {window: {length: 10 min, upload_deadline: 1 min, gather: 4}}
peers:
  - name: node
    count: 4
    step_time: 1 s
    uplink: 100 Mbit/s
    downlink: {lognormal: {median: 1 Gbit/s, sigma: 0.4}}
";

fn mistakes(text: &str, overrides: &[&str]) -> Vec<String> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    match Scenario::from_text("test.yaml", text, &overrides) {
        Ok(scenario) => panic!("it resolves: {scenario:?}"),
        Err(errors) => errors.mistakes.iter().map(Mistake::line).collect(),
    }
}

fn resolved(overrides: &[&str]) -> Scenario {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Scenario::from_text("test.yaml", GOOD, &overrides).unwrap_or_else(|errors| panic!("{:?}", errors.mistakes))
}

#[test]
fn a_good_scenario_resolves_with_the_references_defaults() {
    let scenario = resolved(&[]);
    assert_eq!((scenario.seed, scenario.evaluation.every), (Seed(1), 1));
    assert_eq!(scenario.deployment.parameters(), 64, "the proxy is charged where no deployment is given");
}

#[test]
fn all_mistakes_are_said_at_once_with_their_places() {
    let text = GOOD
        .replace("inner_steps: 5", "iner_steps: 5")
        .replace("k: 4}", "k: 65}")
        .replace("upload_deadline: 1 min", "upload_deadline: 11 min")
        .replace("100 Mbit/s", "100 Mb/s")
        .replace("count: 4", "count: 0");
    let found = mistakes(&text, &[]);
    let expected = [
        "test.yaml:7:3: unknown field `iner_steps` in protocol",
        "test.yaml:7:3: `inner_steps` is missing",
        "test.yaml:9:43: k is 65, but a chunk has only 64 elements",
        "test.yaml:12:53: an upload deadline of 11 min is not shorter than the window of 10 min",
        "test.yaml:15:12: expected a whole number from 1 to 1000000, found `0`",
        "test.yaml:17:13: expected a positive bandwidth such as `110 Mbit/s`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for expected in expected {
        assert!(found.iter().any(|line| line.starts_with(expected)), "`{expected}` is not among {found:#?}");
    }
}

#[test]
fn each_kind_of_mistake_is_caught() {
    for (from, to, expected) in [
        ("rounds: 3", "rounds: 0", "expected a whole number from 1"),
        ("batch: 4", "batch: four", "found `four`"),
        ("batch: 4", "batch: 4\nbatch: 5", "stands here twice"),
        ("sgd: {learning_rate: 0.1}", "sdg: {learning_rate: 0.1}", "is no inner optimizer"),
        ("step_time: 1 s", "device: {name: h200, count: 8}\n    step_time: 1 s", "either `device` or `step_time`"),
        ("step_time: 1 s", "device: {name: h300}", "is no known device"),
        ("k: 4}", "k: 4, value_bits: 3}", "expected 2, 4, 8 or `none`"),
        ("k: 4}", "k: 4, error_feedback: 1.5}", "expected a number from 0 to 1"),
        ("k: 4}", "k: 4, chunk: [128, 64]}", "stands here twice"),
        ("sigma: 0.4", "sigma: -1", "at least 0"),
        ("window: {length: 10 min", "window: {length: 10", "expected a duration"),
        (
            "quadratic: {dimension: 64}",
            "llama: {layers: 1, width: 10, heads: 3, feed_forward: 8, context: 8, vocabulary: 8}",
            "3 heads do not divide a width of 10",
        ),
        (
            "quadratic: {dimension: 64}",
            "llama: {layers: 1, width: 8, heads: 2, feed_forward: 8, context: 8, vocabulary: 8}",
            "`data` is missing",
        ),
        ("batch: 4", "batch: 4\ndata: {text: {files: [no/such/*.txt]}}", "no file matches `no/such/*.txt`"),
        ("batch: 4", "batch: 4\nadversaries: [{behaviour: sign_flop, fraction: 0.1}]", "did you mean `sign_flip`?"),
        ("batch: 4", "batch: 4\nadversaries: [{behaviour: sign_flip}]", "`fraction` is missing"),
        ("batch: 4", "batch: 4\nadversaries: [{behaviour: malformed, fraction: 0.1}]", "`defect` is missing"),
        (
            "batch: 4",
            "batch: 4\nadversaries: [{behaviour: free_rider, fraction: 0.6}, {behaviour: sign_flip, fraction: 0.6}]",
            "more than everybody",
        ),
        (
            "batch: 4",
            "batch: 4\nadversaries: [{behaviour: {backdoor: {trigger: 1, target: 2}}, fraction: 0.1}]",
            "a quadratic has no tokens",
        ),
        (
            "batch: 4",
            "batch: 4\nadversaries: [{behaviour: sign_flip, fraction: 0.1, when: {between: {from: 4, until: 4}}}]",
            "is no time",
        ),
        ("batch: 4", "batch: 4\nvalidator: {gauntlet: {rules: papr}}", "did you mean `paper`?"),
        ("batch: 4", "batch: 4\nvalidator: {gauntlet: {overlap: {max: 0.1}}}", "`overlap.max` is not less than"),
        ("batch: 4", "batch: 4\nvalidator: {gauntlet: {seats: []}}", "somebody has to judge"),
        (
            "batch: 4",
            "batch: 4\nadversaries: [{behaviour: sign_flip, fraction: 0.1, class: nobody}]",
            "there is no peer class `nobody`",
        ),
        (
            "compression: {top_k: {chunk: [8, 8], k: 4}}",
            "compression: {top_k: {k: 4}}\n  exchange: ring",
            "around a ring",
        ),
        ("{sgd: {learning_rate: 0.1}}", "gradient", "`inner_steps` is the number of batches"),
        ("  round: {window", "  round: {windw", "is no round rule"),
        ("name: test", "name: Not a name", "expected a name"),
        ("rounds: 3", "rounds: [3", "not YAML"),
        ("{average: contributors}", "{rule: crum}", "`crum` is no aggregation rule; expected `average`, `median`"),
        ("{average: contributors}", "{rule: krum}", "`krum` needs its parameters"),
        ("{average: contributors}", "{rule: {krum: {f: -1}}}", "expected a whole number from 0"),
        (
            "{average: contributors}",
            "{rule: {trimmed_mean: {f: 2}}}",
            "not less than half of the 4 that a round gathers",
        ),
        (
            "{average: contributors}",
            "{mixing: {nearest_neighbours: {f: 2}}}",
            "2 false contributions are not less than half",
        ),
        ("{average: contributors}", "{rule: {centred_clipping: {radius: 0}}}", "expected a positive number"),
        ("{average: contributors}", "{rule: {geometric_median: {iterations: 0}}}", "from 1 to 10000"),
        ("{average: contributors}", "{rule: {sign_majority: {magnitude: nan}}}", "expected a positive number"),
        ("{average: contributors}", "{rule: {krum: {f: 1}}, absent: skip}", "take absent coordinates as zero"),
        ("{average: contributors}", "{absent: skip}", "`average` says what absent coordinates count as"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "`{from}` is in the scenario");
        let errors = Scenario::from_text("test.yaml", &text, &[]).expect_err("it is a mistake");
        let found: Vec<String> = errors
            .mistakes
            .iter()
            .flat_map(|mistake| [Some(mistake.line()), mistake.help().map(|hint| hint.to_string())])
            .flatten()
            .collect();
        assert!(found.iter().any(|line| line.contains(expected)), "`{expected}` is not among {found:#?}");
    }
}

#[test]
fn overrides_change_values_and_variants() {
    assert_eq!(resolved(&["protocol.inner_steps=7"]).protocol.inner_steps, 7);
    assert_eq!(resolved(&["peers.0.count=9"]).peers[0].count, 9);
    assert_eq!(resolved(&["adversaries=[]"]).name, "test");
    let dense = resolved(&["protocol.compression=none"]);
    assert_eq!(dense.protocol.compression, crate::algorithm::spec::Compression::Dense { value_bits: 32 });
    let replaced = resolved(&["protocol.compression=int8", "protocol.compression.top_k.k=2"]);
    assert!(matches!(&replaced.protocol.compression, crate::algorithm::spec::Compression::TopK(top_k) if top_k.k == 2));
}

#[test]
fn aggregation_rules_are_chosen_piece_by_piece_beside_average_and_clip() {
    use crate::algorithm::spec::{Absent, Aggregation, Average, Clip, Mixing, Rule};
    let aggregation = |overrides: &[&str]| resolved(overrides).protocol.aggregation;
    let plain = Aggregation::averaging(Average::Contributors, Clip::None);
    assert_eq!(aggregation(&[]), plain);
    let clipped = aggregation(&["protocol.aggregation.clip=median_norm", "protocol.aggregation.average=peers"]);
    assert_eq!(clipped, Aggregation::averaging(Average::Peers, Clip::MedianNorm));
    let mixed = aggregation(&[
        "protocol.aggregation.rule=median",
        "protocol.aggregation.rule.trimmed_mean.f=1",
        "protocol.aggregation.mixing.nearest_neighbours.f=1",
    ]);
    let mixing = Mixing::NearestNeighbours { f: 1 };
    assert_eq!(mixed, Aggregation { rule: Rule::TrimmedMean { f: 1 }, mixing, ..plain.clone() });
    let rule = |text: &str| aggregation(&[&format!("protocol.aggregation.rule={text}")]).rule;
    assert_eq!(rule("{mean_around_median: {f: 1}}"), Rule::MeanAroundMedian { f: 1 });
    assert_eq!(rule("{multi_krum: {f: 1}}"), Rule::MultiKrum { f: 1 });
    assert_eq!(rule("geometric_median"), Rule::GeometricMedian { smoothing: 1e-6, iterations: 8 });
    assert_eq!(rule("{centred_clipping: {radius: 2}}"), Rule::CentredClipping { radius: 2.0, iterations: 1 });
    assert_eq!(rule("{sign_majority: {magnitude: 0.5}}"), Rule::SignMajority { magnitude: 0.5 });
    let skipping = aggregation(&["protocol.aggregation={rule: median, absent: skip}"]);
    assert_eq!(skipping, Aggregation { rule: Rule::Median, absent: Absent::Skip, ..plain });
}

#[test]
fn a_wrong_override_is_shown_in_its_own_text() {
    assert!(mistakes(GOOD, &["rounds"])[0].contains("--set:1:1: expected `PATH=VALUE`"));
    assert!(mistakes(GOOD, &["rounds=none"])[0].starts_with("--set:1:8: expected a whole number"));
    assert!(mistakes(GOOD, &["peers.4.count=1"])[0].starts_with("--set:1:7: `4` is no place in a list of 1"));
    assert!(mistakes(GOOD, &["rounds.x=1"])[0].contains("nothing under which `x` could stand"));
}

#[test]
fn the_schema_has_the_fields_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(&schema_text()).expect("it is JSON");
    for (definition, with_unknown) in [
        ("", "zzz=1"),
        ("Protocol", "protocol.zzz=1"),
        ("TopK", "protocol.compression.top_k.zzz=1"),
        ("Dense", "protocol.compression={dense: {zzz: 1}}"),
        ("AdamW", "protocol.inner_optimizer={adamw: {zzz: 1}}"),
        ("Cosine", "protocol.inner_optimizer={adamw: {schedule: {cosine: {zzz: 1}}}}"),
        ("Sgd", "protocol.outer_optimizer={sgd: {zzz: 1}}"),
        ("Nesterov", "protocol.outer_optimizer={nesterov: {zzz: 1}}"),
        ("Aggregation", "protocol.aggregation={zzz: 1}"),
        ("Tolerance", "protocol.aggregation={rule: {krum: {zzz: 1}}}"),
        ("Tolerance", "protocol.aggregation={mixing: {nearest_neighbours: {zzz: 1}}}"),
        ("SignMajority", "protocol.aggregation={rule: {sign_majority: {zzz: 1}}}"),
        ("GeometricMedian", "protocol.aggregation={rule: {geometric_median: {zzz: 1}}}"),
        ("CentredClipping", "protocol.aggregation={rule: {centred_clipping: {zzz: 1}}}"),
        ("Window", "protocol.round.window.zzz=1"),
        ("Barrier", "protocol.round={barrier: {zzz: 1}}"),
        ("PeerClass", "peers.0.zzz=1"),
        ("Device", "peers.0.device={zzz: 1}"),
        ("Jitter", "peers.0.jitter={zzz: 1}"),
        ("Availability", "peers.0.availability={zzz: 1}"),
        ("Arrivals", "peers.0.arrivals={zzz: 1}"),
        ("Network", "network={zzz: 1}"),
        ("Adversary", "adversaries=[{zzz: 1}]"),
        ("Gauntlet", "validator={gauntlet: {zzz: 1}}"),
        ("Rating", "validator={gauntlet: {rating: {zzz: 1}}}"),
        ("Indicator", "validator={gauntlet: {indicator: {zzz: 1}}}"),
        ("Sync", "validator={gauntlet: {sync: {zzz: 1}}}"),
        ("MissingGather", "validator={gauntlet: {missing_gather: {zzz: 1}}}"),
        ("Often", "validator={gauntlet: {missing_gather: {often: {zzz: 1}}}}"),
        ("Inactive", "validator={gauntlet: {inactive: {zzz: 1}}}"),
        ("Overlap", "validator={gauntlet: {overlap: {zzz: 1}}}"),
        ("Negative", "validator={gauntlet: {negative: {zzz: 1}}}"),
        ("Exclusion", "validator={gauntlet: {exclusion: {zzz: 1}}}"),
        ("BadRound", "validator={gauntlet: {bad_round: {zzz: 1}}}"),
        ("Weights", "validator={gauntlet: {weights: {zzz: 1}}}"),
        ("List", "validator={gauntlet: {list: {zzz: 1}}}"),
        ("Seat", "validator={gauntlet: {seats: [{zzz: 1}]}}"),
        ("Evaluation", "evaluation={zzz: 1}"),
        ("Deployment", "deployment={zzz: 1}"),
        ("Llama", "model={llama: {zzz: 1}}"),
        ("Quadratic", "model={quadratic: {zzz: 1}}"),
        ("Text", "data={text: {zzz: 1}}"),
        ("Markov", "data={markov: {zzz: 1}}"),
    ] {
        let place = if definition.is_empty() { &schema } else { &schema["definitions"][definition] };
        let mut described: Vec<&str> =
            place["properties"].as_object().expect(definition).keys().map(String::as_str).collect();
        let found = mistakes(GOOD, &[with_unknown]);
        let line = found.iter().find(|line| line.contains("unknown field `zzz`")).expect(definition);
        let mut read: Vec<&str> =
            line.split("; expected ").nth(1).expect(definition).split('`').skip(1).step_by(2).collect();
        described.sort_unstable();
        read.sort_unstable();
        assert_eq!(described, read, "{definition}");
    }
}

#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let message = "run `cargo run -- schema > scenarios/schema.json`";
    assert!(committed.trim_end() == schema_text(), "scenarios/schema.json is not current: {message}");
}

proptest::proptest! {
    #[test]
    fn no_mutation_makes_the_reader_panic(at in 0..GOOD.len(), noise in "[ -~\n]{0,3}", cut in 0..6_usize) {
        let end = (at + cut).min(GOOD.len());
        let text = format!("{}{noise}{}", &GOOD[..at], &GOOD[end..]);
        let _ = Scenario::from_text("test.yaml", &text, &[]);
    }
}
