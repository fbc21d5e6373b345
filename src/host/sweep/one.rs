//! One run of a sweep: used, resumed or begun, and how it stands afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};

use miette::Diagnostic;

use super::{Notice, SweepOptions, Work};
use crate::host::interrupt::Interrupt;
use crate::host::run::{self, End, HostError, Options};
use crate::protocol::rows::{EvaluationRow, RoundRow};
use crate::quantity::Seed;
use crate::record::sweep::{CellRow, CellStatus, SweepDirectory};
use crate::record::{RecordError, RunDirectory, Status};

/// How a run of a sweep stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Whether it came to its end.
    pub status: CellStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// Outer steps taken.
    pub rounds: u32,
    /// The last round's row.
    pub last: Option<RoundRow>,
    /// The last evaluation's loss.
    pub validation_loss: Option<f64>,
    utilisation: Option<f64>,
    contributing: Option<f64>,
}

impl Standing {
    fn of(status: CellStatus) -> Self {
        Self {
            status,
            error: None,
            rounds: 0,
            last: None,
            validation_loss: None,
            utilisation: None,
            contributing: None,
        }
    }

    pub(super) fn row(&self, cell: usize, Seed(seed): Seed, name: &str) -> CellRow {
        let last = self.last.as_ref();
        CellRow {
            cell: cell as u32,
            seed,
            run: name.to_owned(),
            status: self.status,
            error: self.error.clone(),
            rounds: self.rounds,
            validation_loss: self.validation_loss,
            training_loss: last.and_then(|row| row.training_loss),
            time_s: last.map(|row| row.time_s),
            tokens: last.map(|row| row.tokens),
            deployment_tokens: last.map(|row| row.deployment_tokens),
            bytes_up: last.map(|row| row.bytes_up),
            bytes_down: last.map(|row| row.bytes_down),
            payload_bytes: last.map(|row| row.payload_bytes),
            utilisation: self.utilisation,
            contributing: self.contributing,
        }
    }
}

/// How the run stands on disk; one that cannot be read is still to be done.
pub(super) fn standing(directory: &SweepDirectory, work: &Work) -> Standing {
    read(directory, work).unwrap_or_else(|_| Standing::of(CellStatus::Pending))
}

fn read(directory: &SweepDirectory, work: &Work) -> Result<Standing, RecordError> {
    let run = RunDirectory::open(&directory.run(&work.name))?;
    let manifest = run.read_manifest()?;
    if manifest.scenario != work.scenario {
        return Ok(Standing::of(CellStatus::Pending));
    }
    let rounds: Vec<RoundRow> = run.read_table()?;
    let evaluations: Vec<EvaluationRow> = run.read_table()?;
    let mean = |value: fn(&RoundRow) -> f64| {
        (!rounds.is_empty()).then(|| rounds.iter().map(value).sum::<f64>() / rounds.len() as f64)
    };
    let status = match manifest.status {
        Status::Interrupted => CellStatus::Pending,
        Status::Finished if manifest.rounds_done < work.scenario.rounds => CellStatus::Deserted,
        Status::Finished => CellStatus::Finished,
    };
    Ok(Standing {
        status,
        error: None,
        rounds: manifest.rounds_done,
        validation_loss: evaluations.last().map(|row| row.validation_loss),
        utilisation: mean(|row| row.utilisation),
        contributing: mean(|row| row.contributing.into()),
        last: rounds.into_iter().next_back(),
    })
}

/// Rounds that are done at a rung.
pub(super) fn rounds_at(work: &Work, rung: f64) -> u32 {
    (rung * f64::from(work.scenario.rounds)).ceil() as u32
}

/// Brings the run to its end, or to the `rung`; a run with a `leader` (its name and the trace of both) follows that.
pub(super) fn run(
    directory: &SweepDirectory,
    work: &Work,
    rung: Option<f64>,
    leader: Option<(&str, u64)>,
    options: &SweepOptions,
    interrupt: &Interrupt,
    observe: &(dyn Fn(&Work, Notice<'_>) + Sync),
) -> Standing {
    let before = standing(directory, work);
    observe(work, Notice::Begun { rounds: before.rounds });
    let target = rung.map(|rung| rounds_at(work, rung));
    if before.status != CellStatus::Pending || target.is_some_and(|target| before.rounds >= target) {
        return match run::finish(&directory.run(&work.name), &work.scenario) {
            Ok(_) => before,
            Err(error) => failed(before, &error),
        };
    }
    let own = interrupt.of_one();
    let progress = &|row: &RoundRow| {
        observe(work, Notice::Round(row));
        if target.is_some_and(|target| row.round + 1 >= target) {
            own.request();
        }
    };
    let made = catch_unwind(AssertUnwindSafe(|| {
        let followed = leader.map(|leader| follow(directory, work, leader, options, &own, progress)).transpose()?;
        followed.flatten().map_or_else(|| make(directory, work, options, &own, progress), Ok)
    }));
    match made {
        Ok(Ok(_)) => standing(directory, work),
        Ok(Err(error)) => failed(standing(directory, work), &error),
        Err(_) => {
            let before = standing(directory, work);
            let error = "the program stopped at one of its own checks, see above; this is a bug".to_owned();
            Standing { status: CellStatus::Failed, error: Some(error), ..before }
        }
    }
}

/// Takes what is learnt from a finished run; `None` if that turns out to have learnt something else.
fn follow(
    directory: &SweepDirectory,
    work: &Work,
    (leader, trace): (&str, u64),
    options: &SweepOptions,
    interrupt: &Interrupt,
    progress: impl Fn(&RoundRow),
) -> Result<Option<End>, HostError> {
    let options = options_of(directory, work, options);
    run::follow(&work.scenario, &directory.run(leader), trace, &options, interrupt, progress)
}

fn options_of(directory: &SweepDirectory, work: &Work, options: &SweepOptions) -> Options {
    Options {
        out: directory.run(&work.name),
        threads: options.threads,
        checkpoint_interval_s: options.checkpoint_interval_s,
        resume: false,
        overwrite: true,
    }
}

/// Goes on with what is there, or begins.
fn make(
    directory: &SweepDirectory,
    work: &Work,
    options: &SweepOptions,
    interrupt: &Interrupt,
    progress: impl Fn(&RoundRow),
) -> Result<End, HostError> {
    let anew = options_of(directory, work, options);
    if !anew.out.join(crate::record::checkpoint::DIRECTORY).exists() {
        return run::run(&work.scenario, &anew, interrupt, &progress);
    }
    match run::run(&work.scenario, &Options { resume: true, overwrite: false, ..anew.clone() }, interrupt, &progress) {
        Err(
            HostError::NothingToResume { .. }
            | HostError::Record(
                RecordError::NoCheckpoint { .. } | RecordError::OtherBuild { .. } | RecordError::Format { .. },
            ),
        ) => run::run(&work.scenario, &anew, interrupt, &progress),
        end => end,
    }
}

fn failed(standing: Standing, error: &HostError) -> Standing {
    let hint = error.help().map_or_else(String::new, |hint| format!("; {hint}"));
    Standing { status: CellStatus::Failed, error: Some(format!("{error}{hint}")), ..standing }
}
