//! Many runs side by side: each cell of a sweep with each seed, in run directories of one sweep directory.
//!
//! Jobs times threads of a job never exceed the cores. A run that is there already is used; one that was interrupted
//! goes on; one that fails says why and stops no other. What a sweep leaves depends on neither the number of jobs nor
//! the order in which runs end.
//!
//! Runs begin seed by seed, within a seed the longest first, so that a table of all cells is there early and no long
//! run begins last. With successive halving all runs go as far as a rung; then the cells that were left behind stop.

mod halving;
mod one;
mod share;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::interrupt::Interrupt;
use super::run::HostError;
use crate::protocol::rows::RoundRow;
use crate::quantity::Seed;
use crate::record::manifest::{FORMAT, Program};
use crate::record::sweep::{CellRow, CellStatus, SweepDirectory, SweepManifest, SweptCell, run_name};
use crate::report::{self, sweep::SweepReport};
use crate::scenario::{Scenario, Sweep};

pub use one::Standing;
use share::Following;

/// How to sweep.
#[derive(Debug, Clone)]
pub struct SweepOptions {
    /// The sweep directory.
    pub out: PathBuf,
    /// Runs at a time.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
    /// Wall-clock between two checkpoints of a run \[s\].
    pub checkpoint_interval_s: f64,
    /// Let cells that ask the same of learning share one training.
    pub sharing: bool,
    /// Go on with the sweep that is there.
    pub resume: bool,
    /// Replace the sweep that is there.
    pub overwrite: bool,
    /// The command, for the tables.
    pub command: String,
}

/// A run of a sweep.
#[derive(Debug, Clone)]
pub struct Work {
    /// Its directory's name.
    pub name: String,
    /// Its cell's label and its seed.
    pub label: String,
    /// The cell, the first if several are the same.
    pub cell: usize,
    /// The scenario, seed included.
    pub scenario: Scenario,
}

/// What becomes of a run.
#[derive(Debug)]
pub enum Notice<'a> {
    /// It begins, or goes on after so many rounds.
    Begun {
        /// Rounds done before.
        rounds: u32,
    },
    /// It has closed a round.
    Round(&'a RoundRow),
    /// It has ended, or has come as far as it should for now.
    Ended(&'a Standing),
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepEnd {
    /// Whether it was interrupted.
    pub is_interrupted: bool,
    /// Different runs in it.
    pub runs: usize,
    /// Those that failed or whose swarm died out.
    pub failed: usize,
}

/// A sweep while it goes on.
struct Progress<'a> {
    directory: &'a SweepDirectory,
    manifest: &'a SweepManifest,
    works: &'a [Work],
    /// Whom each work follows.
    followings: Vec<Option<Following>>,
    /// How each work stands.
    standings: Mutex<Vec<Standing>>,
}

/// All different runs of a sweep, in the order in which they begin.
#[must_use]
pub fn works(sweep: &Sweep) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for &seed in &sweep.seeds {
        let begin = works.len();
        for (index, cell) in sweep.cells.iter().enumerate() {
            let scenario = Scenario { seed, ..cell.scenario.clone() };
            let name = run_name(&scenario);
            if known.insert(name.clone()) {
                let label = format!("{}, seed {seed}", cell.label(&sweep.axes));
                works.push(Work { name, label, cell: index, scenario });
            }
        }
        works[begin..].sort_by_key(|work| std::cmp::Reverse(work.effort()));
    }
    works
}

impl Work {
    /// What a round costs the host, in sequences: for the order of runs and the time left.
    #[must_use]
    pub fn effort_of_round(&self) -> u64 {
        let scenario = &self.scenario;
        let peers: u64 = scenario.peers.iter().map(|class| u64::from(class.count)).sum();
        u64::from(scenario.protocol.inner_steps) * u64::from(scenario.batch) * peers.max(1)
    }

    /// What the whole run costs.
    #[must_use]
    pub fn effort(&self) -> u64 {
        u64::from(self.scenario.rounds) * self.effort_of_round()
    }
}

/// Runs all cells of `sweep` with all seeds; `observe` is told what happens, from several threads.
///
/// # Errors
/// The sweep directory is unusable, or `sweep.json` or `cells.parquet` cannot be written. What fails in a run is that
/// run's.
pub fn sweep(
    sweep: &Sweep,
    options: &SweepOptions,
    interrupt: &Interrupt,
    observe: &(dyn Fn(&Work, Notice<'_>) + Sync),
) -> Result<SweepEnd, HostError> {
    let directory = SweepDirectory::create(&options.out, options.resume, options.overwrite)?;
    let works = works(sweep);
    let manifest = manifest(sweep, &options.command);
    directory.write_manifest(&manifest)?;
    let standings: Vec<Standing> = works.iter().map(|work| one::standing(&directory, work)).collect();
    // With rungs runs end early, and there would be nobody to follow.
    let followings = if options.sharing && sweep.halving.is_none() {
        share::followings(&works, &standings, options.jobs * options.threads, interrupt)
    } else {
        vec![None; works.len()]
    };
    let progress = Progress {
        directory: &directory,
        manifest: &manifest,
        works: &works,
        followings,
        standings: Mutex::new(standings),
    };
    progress.write()?;

    let mut rungs = sweep.halving.iter().flat_map(|halving| halving.rungs.iter().map(|rung| Some(*rung)));
    let mut stopped = vec![false; sweep.cells.len()];
    loop {
        let rung = rungs.next().flatten();
        let wanted: Vec<usize> = (0..works.len()).filter(|&index| !stopped[works[index].cell]).collect();
        let (followers, leaders): (Vec<usize>, Vec<usize>) =
            wanted.into_iter().partition(|&index| progress.followings[index].is_some());
        progress.run(&leaders, rung, options, interrupt, observe)?;
        progress.run(&followers, rung, options, interrupt, observe)?;
        let (Some(rung), Some(halving)) = (rung, &sweep.halving) else { break };
        if interrupt.is_requested() {
            break;
        }
        halving::stop_hopeless(halving, rung, &directory, &works, &mut stopped);
        progress.mark_stopped(&stopped);
        progress.write()?;
    }
    let standings = progress.standings.into_inner().expect("because no worker panicked");
    if standings.iter().any(|standing| standing.status == CellStatus::Finished) {
        report::sweep::write(&SweepReport::read(SweepDirectory::open(&options.out)?, None)?)?;
    }
    let is_failed = |standing: &&Standing| matches!(standing.status, CellStatus::Failed | CellStatus::Deserted);
    Ok(SweepEnd {
        is_interrupted: interrupt.is_requested(),
        runs: works.len(),
        failed: standings.iter().filter(is_failed).count(),
    })
}

fn manifest(sweep: &Sweep, command: &str) -> SweepManifest {
    let run = |scenario: &Scenario, seed: Seed| run_name(&Scenario { seed, ..scenario.clone() });
    let cells = sweep.cells.iter().map(|cell| SweptCell {
        at: cell.at.clone(),
        runs: sweep.seeds.iter().map(|&seed| run(&cell.scenario, seed)).collect(),
    });
    SweepManifest {
        format: FORMAT,
        program: Program::this(),
        name: sweep.name.clone(),
        command: command.to_owned(),
        axes: sweep.axes.clone(),
        seeds: sweep.seeds.clone(),
        baseline: sweep.baseline,
        target_loss: sweep.target_loss,
        halving: sweep.halving.clone(),
        cells: cells.collect(),
    }
}

impl Progress<'_> {
    /// Runs `wanted`, as far as the `rung` if there is one.
    fn run(
        &self,
        wanted: &[usize],
        rung: Option<f64>,
        options: &SweepOptions,
        interrupt: &Interrupt,
        observe: &(dyn Fn(&Work, Notice<'_>) + Sync),
    ) -> Result<(), HostError> {
        let next = AtomicUsize::new(0);
        let worker = || -> Result<(), HostError> {
            while let Some(&index) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                if interrupt.is_requested() {
                    break;
                }
                let work = &self.works[index];
                let standing = one::run(self.directory, work, rung, self.leader(index), options, interrupt, observe);
                observe(work, Notice::Ended(&standing));
                self.standings.lock().expect("because no worker panics with it")[index] = standing;
                self.write()?;
            }
            Ok(())
        };
        let ends: Vec<_> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..options.jobs.min(wanted.len())).map(|_| scope.spawn(worker)).collect();
            let mut ends = vec![worker()];
            ends.extend(others.into_iter().map(|other| other.join().expect("because a run's panics are caught")));
            ends
        });
        ends.into_iter().collect()
    }

    /// The directory's name of the finished run that this one follows, and what both ask of learning.
    fn leader(&self, index: usize) -> Option<(&str, u64)> {
        let Following { leader, trace } = self.followings[index]?;
        let standings = self.standings.lock().expect("because no worker panics with it");
        (standings[leader].status == CellStatus::Finished).then(|| (self.works[leader].name.as_str(), trace))
    }

    fn mark_stopped(&self, stopped: &[bool]) {
        let mut standings = self.standings.lock().expect("because no worker panics with it");
        for (work, standing) in self.works.iter().zip(standings.iter_mut()) {
            if stopped[work.cell] && standing.status == CellStatus::Pending {
                standing.status = CellStatus::Stopped;
            }
        }
    }

    /// Writes how all cells stand.
    fn write(&self) -> Result<(), HostError> {
        // Held while writing, so that the newer table is the one that stays.
        let standings = self.standings.lock().expect("because no worker panics with it");
        let places: std::collections::BTreeMap<&str, usize> =
            self.works.iter().enumerate().map(|(index, work)| (work.name.as_str(), index)).collect();
        let mut rows: Vec<CellRow> = Vec::new();
        for (cell, swept) in self.manifest.cells.iter().enumerate() {
            for (name, seed) in swept.runs.iter().zip(&self.manifest.seeds) {
                rows.push(standings[places[name.as_str()]].row(cell, *seed, name));
            }
        }
        Ok(self.directory.write_cells(self.manifest, &rows)?)
    }
}
