//! `swarmloco bench`: how fast this machine trains the proxy models of a swarm, compresses and aggregates.

use clap::{Subcommand, ValueEnum};
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::{Failure, Format};
use crate::host::bench::aggregation::AggregationBench;
use crate::host::bench::codec::CodecBench;
use crate::host::bench::{Engine, TrainingBench};
use crate::training::check_llama;
use crate::training::spec::Llama;
use crate::training::yardstick::{self, BATCH, REFERENCE};

/// Measure how fast this machine works.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco bench training --model width=256
  swarmloco bench codec --format json")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Training(Training),
    Codec(Codec),
    Aggregation(Aggregation),
}

/// Inner steps of many peers, from the same θ.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco bench training --model width=256,layers=2 --peers 8
  swarmloco bench training --engine candle --format json")]
struct Training {
    /// Sizes that differ from the reference model, e.g. `width=256,layers=2`; `feed_forward` follows `width`
    #[arg(long, value_name = "SIZE=N,…", default_value = "")]
    model: String,
    /// Sequences per peer and step
    #[arg(long, default_value_t = BATCH)]
    batch: usize,
    /// Peers, each with weights and moments of its own
    #[arg(long, default_value_t = 16)]
    peers: usize,
    /// Threads; default: all cores
    #[arg(long)]
    threads: Option<usize>,
    /// Inner steps of each peer between two readings of the clock
    #[arg(long, default_value_t = 4)]
    steps: u32,
    /// How long to measure
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// What trains
    #[arg(long, value_enum, default_value_t = EngineName::Fused)]
    engine: EngineName,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A peer's payload and a round's aggregate, on one thread, beside a memory copy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco bench codec --model layers=4,width=512 --peers 40")]
struct Codec {
    /// Sizes of the model whose tensors are compressed, as for `training`
    #[arg(long, value_name = "SIZE=N,…", default_value = "layers=2,width=768,feed_forward=2048")]
    model: String,
    /// Payloads in an aggregate
    #[arg(long, default_value_t = 20)]
    peers: usize,
    /// How long to measure each part
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The rules that combine a round's contributions, on one thread, dense and from production payloads.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco bench aggregation --peers 40 --f 8 --seconds 1")]
struct Aggregation {
    /// Contributions
    #[arg(long, default_value_t = 20)]
    peers: usize,
    /// How many of them the rules tolerate
    #[arg(long, default_value_t = 4)]
    f: usize,
    /// How long to measure each rule on each kind of contributions
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// This program's engine.
    Fused,
    /// Candle's automatic differentiation; set `CANDLE_NUM_THREADS=1` and `RAYON_NUM_THREADS=1` for one thread a peer.
    Candle,
    /// The matrix products alone: the bound.
    Products,
}

#[derive(Debug, Error, Diagnostic)]
enum BenchError {
    #[error("`{item}` is not a size of the model")]
    #[diagnostic(help(
        "write `NAME=N`, with layers, width, heads, kv_heads, feed_forward, context or vocabulary, separated by commas"
    ))]
    Size { item: String },
    #[error("`--{option}` is at least 1")]
    Zero { option: &'static str },
}

/// Measures, and prints the result to stdout.
///
/// # Errors
/// The model's sizes are unusable.
pub fn execute(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::Training(args) => training(args),
        What::Codec(args) => codec(args),
        What::Aggregation(args) => aggregation(args),
    }
}

fn training(args: &Training) -> Result<(), Failure> {
    let rate = bench(args).map_err(Failure::unusable)?.run().map_err(Failure::unusable)?;
    match args.format {
        Format::Json => print_json(&rate),
        Format::Text => {
            println!("{:<22}{}", "parameters", rate.params);
            println!("{:<22}{}", "peers", rate.peers);
            println!("{:<22}{}", "threads", rate.threads);
            println!("{:<22}{:.0}", "tokens a second", rate.tokens_per_second);
            println!("{:<22}{:.1}", "peer-steps a second", rate.peer_steps_per_second);
            println!("{:<22}{:.1}", "GFLOP/s", rate.gflops);
        }
    }
    Ok(())
}

fn codec(args: &Codec) -> Result<(), Failure> {
    let model = model(&args.model).map_err(Failure::unusable)?;
    check_llama(&model).map_err(Failure::unusable)?;
    if args.peers == 0 {
        return Err(Failure::unusable(BenchError::Zero { option: "peers" }));
    }
    let rate = CodecBench { model, peers: args.peers, seconds: args.seconds }.run();
    match args.format {
        Format::Json => print_json(&rate),
        Format::Text => {
            let gigabytes = |seconds: f64| 4e-9 * rate.params as f64 / seconds;
            println!("{:<22}{}", "parameters", rate.params);
            println!("{:<22}{:.2} ms, {:.1} GB/s", "copy", 1e3 * rate.copy_seconds, gigabytes(rate.copy_seconds));
            println!("{:<22}{:.2} ms, {:.1} GB/s", "encode", 1e3 * rate.encode_seconds, gigabytes(rate.encode_seconds));
            println!("{:<22}{:.2} ms", format!("apply {}", rate.peers), 1e3 * rate.apply_seconds);
        }
    }
    Ok(())
}

fn aggregation(args: &Aggregation) -> Result<(), Failure> {
    if args.peers == 0 {
        return Err(Failure::unusable(BenchError::Zero { option: "peers" }));
    }
    let rate = AggregationBench { peers: args.peers, f: args.f, seconds: args.seconds }.run();
    match args.format {
        Format::Json => print_json(&rate),
        Format::Text => {
            println!("{:<34}{:>12}{:>12}", format!("{} of {} values", rate.peers, rate.params), "dense", "payloads");
            for rule in &rate.rules {
                let [dense, sparse] = [rule.dense_seconds, rule.sparse_seconds].map(|seconds| 1e3 * seconds);
                println!("{:<34}{dense:>9.2} ms{sparse:>9.2} ms", rule.name);
            }
        }
    }
    Ok(())
}

fn print_json(rate: &impl serde::Serialize) {
    println!("{}", serde_json::to_string_pretty(rate).expect("because a rate is plain data"));
}

fn bench(args: &Training) -> Result<TrainingBench, BenchError> {
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let counts = [("peers", args.peers), ("threads", threads), ("steps", args.steps as usize), ("batch", args.batch)];
    if let Some((option, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return Err(BenchError::Zero { option });
    }
    let engine = match args.engine {
        EngineName::Fused => Engine::Fused,
        EngineName::Candle => Engine::Candle,
        EngineName::Products => Engine::Products,
    };
    let (model, batch, peers, steps, seconds) = (model(&args.model)?, args.batch, args.peers, args.steps, args.seconds);
    Ok(TrainingBench { engine, model, batch, peers, threads, steps, seconds })
}

fn model(sizes: &str) -> Result<Llama, BenchError> {
    let mut model = REFERENCE;
    let mut feed_forward = None;
    for item in sizes.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let unknown = || BenchError::Size { item: item.to_owned() };
        let (name, size) = item.split_once('=').ok_or_else(unknown)?;
        let size: usize = size.parse().map_err(|_| unknown())?;
        match name {
            "layers" => model.layers = size,
            "width" => model.width = size,
            "heads" => model.heads = size,
            "kv_heads" => model.kv_heads = size,
            "feed_forward" => feed_forward = Some(size),
            "context" => model.context = size,
            "vocabulary" => model.vocabulary = size,
            _ => return Err(unknown()),
        }
    }
    model.feed_forward = feed_forward.unwrap_or(yardstick::feed_forward(model.width));
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_changed_one_by_one() {
        let wide = model("width=256, layers=2").unwrap();
        assert_eq!((wide.width, wide.layers, wide.feed_forward, wide.heads), (256, 2, 688, 4));
        assert_eq!(model("width=256,feed_forward=512").unwrap().feed_forward, 512);
        assert_eq!(model("").unwrap(), REFERENCE);
        for wrong in ["depth=3", "width", "width=", "width=-1"] {
            assert!(matches!(model(wrong), Err(BenchError::Size { item }) if item == wrong));
        }
    }
}
