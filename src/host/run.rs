//! One run from its scenario to its directory: tables, manifest, figures, summary.
//!
//! The swarm advances event by event; between two events the run can be stopped, and its state can be kept. A stopped
//! run writes the tables of all closed rounds and a checkpoint; resumed, it ends with the bytes of a run that was never
//! stopped.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::interrupt::Interrupt;
use super::measure::Stopwatch;
use super::plan;
use crate::protocol::rows::{RoundRow, Rows};
use crate::protocol::script::{Script, Trace};
use crate::protocol::{Event, Swarm, SwarmState};
use crate::record::checkpoint::scenario_hash;
use crate::record::directory::SUMMARY;
use crate::record::manifest::{HOST, HostReport, Manifest, References, Status};
use crate::record::{RecordError, RunDirectory};
use crate::report::{self, ReportError};
use crate::scenario::{Scenario, Training};
use crate::sim::{Audit, Kernel};
use crate::training::llama::Network;
use crate::training::spec::Model;
use crate::training::{self, BackendSpec, TrainingBackend, TrainingError, interchange};

/// Wall-clock between two checkpoints where nothing is said \[s\].
pub const CHECKPOINT_INTERVAL_S: f64 = 60.0;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The run directory.
    pub out: PathBuf,
    /// Threads that train; results do not depend on it.
    pub threads: usize,
    /// Wall-clock between two checkpoints \[s\]; results do not depend on it.
    pub checkpoint_interval_s: f64,
    /// Continue the interrupted run that is there.
    pub resume: bool,
    /// Replace the run that is there.
    pub overwrite: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All rounds are done.
    Finished,
    /// It was stopped, and can be resumed.
    Interrupted,
    /// Nobody is left who could go on.
    Deserted,
}

/// A run that could not be made.
#[derive(Debug, Error, Diagnostic)]
pub enum HostError {
    /// The data or the model is unusable.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Training(#[from] TrainingError),
    /// The run directory is unusable.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Record(#[from] RecordError),
    /// Figures or summary could not be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Report(#[from] ReportError),
    /// There is nothing to resume.
    #[error("`{}` holds no checkpoint to resume from", path.display())]
    #[diagnostic(help("run without `--resume` to start anew"))]
    NothingToResume {
        /// The run directory.
        path: PathBuf,
    },
    /// There is an interrupted run, and nobody said what to do with it.
    #[error("`{}` holds an interrupted run", path.display())]
    #[diagnostic(help("`--resume` continues it, `--overwrite` replaces it, `--out` puts the run elsewhere"))]
    InterruptedRun {
        /// The run directory.
        path: PathBuf,
    },
}

impl HostError {
    /// Whether the fault lies in the input.
    #[must_use]
    pub fn is_input(&self) -> bool {
        match self {
            Self::Training(_) | Self::NothingToResume { .. } | Self::InterruptedRun { .. } => true,
            Self::Record(error) => error.is_input(),
            Self::Report(error) => error.is_input(),
        }
    }
}

/// The state of a run between two events.
type State = (Kernel<Event>, SwarmState);

/// Runs `scenario`; `progress` is told each closed round.
///
/// # Errors
/// Data, model or run directory are unusable (then nothing was written), or a file cannot be written.
pub fn run(
    scenario: &Scenario,
    options: &Options,
    interrupt: &Interrupt,
    mut progress: impl FnMut(&RoundRow),
) -> Result<End, HostError> {
    let mut stopwatch = Stopwatch::start();
    if options.resume && finish(&options.out, scenario)? {
        return Ok(End::Finished);
    }
    let backend = match scenario.training {
        Training::Model => Some(training::build(&BackendSpec {
            model: &scenario.model,
            initial: scenario.initial_model.as_deref(),
            data: scenario.data.as_ref(),
            batch: scenario.batch,
            optimizer: &scenario.protocol.inner_optimizer,
            validation_sequences: scenario.evaluation.sequences,
            seed: scenario.seed,
            threads: options.threads,
        })?),
        Training::None => None,
    };
    let backend = backend.as_deref();
    let directory = RunDirectory::create(&options.out, options.overwrite)?;
    let hash = scenario_hash(scenario);
    let (mut kernel, mut swarm) = begin(scenario, options, &directory, hash, backend)?;
    stopwatch.lap("preparation");

    let mut told = swarm.recorder().rows().rounds.len();
    let mut checkpoint = Stopwatch::start();
    let end = loop {
        if swarm.is_finished() {
            break End::Finished;
        }
        if interrupt.is_requested() {
            break End::Interrupted;
        }
        if !kernel.step(&mut swarm) {
            break End::Deserted;
        }
        for row in &swarm.recorder().rows().rounds[told..] {
            progress(row);
        }
        told = swarm.recorder().rows().rounds.len();
        if checkpoint.since_lap_s() > options.checkpoint_interval_s {
            keep(scenario, &directory, hash, &kernel, &swarm, backend)?;
            checkpoint = Stopwatch::start();
        }
    };
    stopwatch.lap("simulation and training");

    if end == End::Interrupted {
        keep(scenario, &directory, hash, &kernel, &swarm, backend)?;
        return Ok(end);
    }
    let model = match (&scenario.model, swarm.parameters()) {
        (Model::Llama(shape), Some(theta)) => interchange::files(&Network::new(shape), theta).into_iter().collect(),
        _ => Vec::new(),
    };
    let manifest = manifest(scenario, &kernel, &swarm, references(backend), Status::Finished);
    close(&directory, swarm.recorder().rows(), model, &manifest)?;
    stopwatch.lap("tables and figures");
    directory.write_host(&stopwatch.report(options.threads))?;
    Ok(end)
}

/// Makes the run of `scenario` by the clock alone; what is learnt is taken from the finished run in `leader`, which was
/// asked for the same by `trace`. `None` if it was not: then nothing was written.
///
/// The run directory has the bytes that [`run`] would have written. An interrupted one leaves nothing.
///
/// # Errors
/// The leader cannot be read, the run directory is unusable, or a file cannot be written.
pub fn follow(
    scenario: &Scenario,
    leader: &Path,
    trace: u64,
    options: &Options,
    interrupt: &Interrupt,
    mut progress: impl FnMut(&RoundRow),
) -> Result<Option<End>, HostError> {
    let mut stopwatch = Stopwatch::start();
    let learnt = RunDirectory::open(leader)?;
    let rows = Rows {
        rounds: learnt.read_table()?,
        peers: learnt.read_table()?,
        evaluations: learnt.read_table()?,
        ..Rows::default()
    };
    let script = Script::of(&rows);
    let mut kernel = Kernel::new();
    let mut swarm = Swarm::scripted(plan::swarm_spec(scenario, true), Some(&script));
    kernel.prepare(|outbox| swarm.start(outbox));
    let mut told = 0;
    while !swarm.is_finished() && kernel.step(&mut swarm) {
        if interrupt.is_requested() {
            return Ok(Some(End::Interrupted));
        }
        for row in &swarm.recorder().rows().rounds[told..] {
            progress(row);
        }
        told = swarm.recorder().rows().rounds.len();
    }
    let own = swarm.trace().map(Trace::value);
    if !swarm.is_finished() || own != Some(trace) || !script.agrees_with(swarm.recorder().rows()) {
        return Ok(None);
    }
    stopwatch.lap("simulation");
    let directory = RunDirectory::create(&options.out, true)?;
    let references = learnt.read_manifest()?.references;
    let manifest = manifest(scenario, &kernel, &swarm, references, Status::Finished);
    close(&directory, swarm.recorder().rows(), learnt.read_model()?, &manifest)?;
    stopwatch.lap("tables and figures");
    directory.write_host(&stopwatch.report(options.threads))?;
    Ok(Some(End::Finished))
}

/// Writes all that a finished run leaves but what the host measured; the manifest after what it vouches for.
fn close(
    directory: &RunDirectory,
    rows: &Rows,
    model: Vec<(&str, Vec<u8>)>,
    manifest: &Manifest,
) -> Result<(), HostError> {
    directory.write_tables(rows)?;
    directory.write_model(model)?;
    directory.write_manifest(manifest)?;
    directory.discard_checkpoints()?;
    if !rows.rounds.is_empty() {
        report::write(&report::Run::read(RunDirectory::open(directory.path())?)?)?;
    }
    Ok(())
}

/// Completes a finished run whose process died between its manifest and its figures; `false` if there is none.
///
/// # Errors
/// The tables cannot be read, or a file cannot be written.
pub fn finish(path: &Path, scenario: &Scenario) -> Result<bool, HostError> {
    let Ok(directory) = RunDirectory::open(path) else { return Ok(false) };
    let is_ours = |manifest: &Manifest| manifest.status == Status::Finished && manifest.scenario == *scenario;
    if !directory.previous().is_some_and(is_ours) || [HOST, SUMMARY].iter().all(|file| path.join(file).exists()) {
        return Ok(false);
    }
    directory.discard_checkpoints()?;
    let run = report::Run::read(directory);
    match run {
        Ok(run) => drop(report::write(&run)?),
        Err(ReportError::Empty { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let directory = RunDirectory::open(path)?;
    // What the dead process had measured is gone.
    directory.write_host(&HostReport::default())?;
    Ok(true)
}

/// A new swarm, or the one that was interrupted.
fn begin<'a>(
    scenario: &Scenario,
    options: &Options,
    directory: &RunDirectory,
    hash: u64,
    backend: Option<&'a dyn TrainingBackend>,
) -> Result<(Kernel<Event>, Swarm<'a>), HostError> {
    let spec = plan::swarm_spec(scenario, true);
    if options.resume {
        match directory.read_checkpoint::<State>(hash)? {
            Some(restored) => {
                for reason in &restored.refused {
                    tracing::warn!("a checkpoint was not used: {reason}");
                }
                let (kernel, state) = restored.state;
                return Ok((kernel, Swarm::from_state(spec, state, backend)));
            }
            None if directory.was_begun() => {
                tracing::warn!(
                    "the run in `{}` died before its first checkpoint: it begins anew",
                    options.out.display()
                );
            }
            None => return Err(HostError::NothingToResume { path: options.out.clone() }),
        }
    } else if directory.previous().is_some() {
        return Err(HostError::InterruptedRun { path: options.out.clone() });
    }
    let mut kernel = Kernel::new();
    let mut swarm = Swarm::new(spec, backend);
    kernel.prepare(|outbox| swarm.start(outbox));
    Ok((kernel, swarm))
}

/// Writes what is done, readable, and the state to go on from.
fn keep(
    scenario: &Scenario,
    directory: &RunDirectory,
    hash: u64,
    kernel: &Kernel<Event>,
    swarm: &Swarm<'_>,
    backend: Option<&dyn TrainingBackend>,
) -> Result<(), HostError> {
    directory.write_tables(swarm.recorder().rows())?;
    directory.write_manifest(&manifest(scenario, kernel, swarm, references(backend), Status::Interrupted))?;
    Ok(directory.write_checkpoint(hash, &(kernel, swarm.state()))?)
}

fn manifest(
    scenario: &Scenario,
    kernel: &Kernel<Event>,
    swarm: &Swarm<'_>,
    references: References,
    status: Status,
) -> Manifest {
    let mut audit = Audit::default();
    audit.u64(kernel.audit().value());
    audit.u64(swarm.recorder().audit().value());
    Manifest::new(scenario.clone(), references, audit.to_string(), swarm.rounds_done(), status)
}

fn references(backend: Option<&dyn TrainingBackend>) -> References {
    References {
        unigram: backend.and_then(TrainingBackend::unigram_entropy),
        floor: backend.and_then(TrainingBackend::loss_floor),
    }
}
