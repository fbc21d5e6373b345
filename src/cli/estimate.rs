//! `swarmloco estimate`: the clock alone.
//!
//! The scenario's swarm runs through all its rounds without training; phases are means over peers and rounds.

use std::path::PathBuf;

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use crate::cli::{Failure, Format};
use crate::host::plan;
use crate::protocol::Swarm;
use crate::protocol::rows::{PeerRow, Rows};
use crate::quantity::{Bytes, Duration};
use crate::scenario::Scenario;
use crate::sim::Kernel;

/// Run the clock of a scenario without training: seconds, bytes, utilisation.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  swarmloco estimate scenarios/covenant-72b.yaml
  swarmloco estimate scenarios/covenant-72b.yaml --set 'peers.0.uplink=500 Mbit/s' --format json")]
pub struct Args {
    /// The scenario file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Change a value, e.g. `rounds=6190`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// How the estimate is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What the clock says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Rounds that were run.
    rounds: usize,
    /// Parameters at deployment scale.
    parameters: u64,
    /// One payload.
    payload_bytes: u64,
    /// Inner steps of a peer, mean over peers and rounds.
    compute_seconds: f64,
    /// Upload of a payload, mean over the uploads that ended.
    upload_seconds: Option<f64>,
    /// Gather, mean over the gathers that ended.
    download_seconds: Option<f64>,
    /// Time between two outer steps.
    round_seconds: f64,
    /// Time in inner phases over time.
    utilisation: f64,
    /// Compute over compute, upload and download: waiting for a window's end left out.
    utilisation_without_waiting: f64,
    /// Deployment tokens behind applied contributions, a day.
    tokens_per_day: f64,
    /// Peers that trained, mean over rounds.
    active: f64,
    /// Contributions, mean over rounds.
    contributing: f64,
}

#[derive(Debug, Error, Diagnostic)]
#[error("no round ends: the swarm died out")]
#[diagnostic(help("give some peers longer sessions, shorter absences, or let new ones arrive"))]
struct NoRound;

/// Runs the clock; prints the estimate to stdout.
///
/// # Errors
/// The scenario is unusable, or no round ends.
pub fn execute(args: &Args) -> Result<(), Failure> {
    let scenario = Scenario::load(&args.scenario, &args.overrides).map_err(Failure::unusable)?;
    let mut kernel = Kernel::new();
    let mut swarm = Swarm::new(plan::swarm_spec(&scenario, false), None);
    kernel.prepare(|outbox| swarm.start(outbox));
    kernel.run_while(&mut swarm, |swarm| !swarm.is_finished());
    let estimate = estimate(&scenario, swarm.recorder().rows()).ok_or_else(|| Failure::failed(NoRound))?;
    match args.format {
        Format::Json => {
            println!("{}", serde_json::to_string_pretty(&estimate).expect("because an estimate is plain data"));
        }
        Format::Text => print(&estimate),
    }
    Ok(())
}

fn estimate(scenario: &Scenario, rows: &Rows) -> Option<Estimate> {
    let (first, last) = (rows.rounds.first()?, rows.rounds.last()?);
    let rounds = rows.rounds.len();
    let round_seconds = if rounds == 1 { last.time_s } else { (last.time_s - first.time_s) / (rounds - 1) as f64 };
    let compute_seconds = mean(&rows.peers, |row| Some(row.compute_s))?;
    let upload_seconds = mean(&rows.peers, |row| row.upload_s);
    let download_seconds = mean(&rows.peers, |row| row.download_s);
    let per_round =
        |value: fn(&crate::protocol::rows::RoundRow) -> f64| rows.rounds.iter().map(value).sum::<f64>() / rounds as f64;
    let busy_seconds = compute_seconds + upload_seconds.unwrap_or(0.0) + download_seconds.unwrap_or(0.0);
    Some(Estimate {
        rounds,
        parameters: scenario.deployment.parameters(),
        payload_bytes: last.payload_bytes,
        compute_seconds,
        upload_seconds,
        download_seconds,
        round_seconds,
        utilisation: per_round(|row| row.utilisation),
        utilisation_without_waiting: compute_seconds / busy_seconds,
        tokens_per_day: last.deployment_tokens as f64 / last.time_s * 86400.0,
        active: per_round(|row| f64::from(row.active)),
        contributing: per_round(|row| f64::from(row.contributing)),
    })
}

fn mean(rows: &[PeerRow], value: impl Fn(&PeerRow) -> Option<f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in rows.iter().filter_map(value) {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

fn print(estimate: &Estimate) {
    let seconds = |value: f64| Duration::from_secs_f64(value).to_string();
    let maybe = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), seconds);
    let lines = [
        ("rounds", estimate.rounds.to_string()),
        ("parameters", estimate.parameters.to_string()),
        ("payload", Bytes(estimate.payload_bytes).to_string()),
        ("compute", seconds(estimate.compute_seconds)),
        ("upload", maybe(estimate.upload_seconds)),
        ("download", maybe(estimate.download_seconds)),
        ("round", seconds(estimate.round_seconds)),
        ("utilisation", format!("{:.1} %", 100.0 * estimate.utilisation)),
        ("without waiting", format!("{:.1} %", 100.0 * estimate.utilisation_without_waiting)),
        ("tokens a day", format!("{:.3e}", estimate.tokens_per_day)),
        ("active", format!("{:.1}", estimate.active)),
        ("contributing", format!("{:.1}", estimate.contributing)),
    ];
    for (name, value) in lines {
        println!("{name:<16} {value}");
    }
}
