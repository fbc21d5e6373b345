//! What a person sees while a sweep goes on: a bar for all, a line for each run in work, the losses as they come.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::host::sweep::{Notice, Standing, Work, works};
use crate::record::sweep::CellStatus;
use crate::scenario::Sweep;

/// The display; it is told from several threads.
pub(super) struct Display {
    lines: MultiProgress,
    overall: ProgressBar,
    running: Mutex<BTreeMap<String, ProgressBar>>,
    done: AtomicUsize,
    runs: usize,
}

impl Display {
    pub(super) fn new(quiet: bool, sweep: &Sweep) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let lines = MultiProgress::with_draw_target(target);
        let works = works(sweep);
        let effort = works.iter().map(Work::effort).sum();
        let style = ProgressStyle::with_template("{prefix} {bar:24} {msg}, {eta} left")
            .expect("because the template is well-formed");
        let overall = lines.add(ProgressBar::new(effort).with_style(style).with_prefix(sweep.name.clone()));
        overall.set_message(format!("0 of {} runs", works.len()));
        Self { lines, overall, running: Mutex::new(BTreeMap::new()), done: AtomicUsize::new(0), runs: works.len() }
    }

    pub(super) fn show(&self, work: &Work, notice: &Notice<'_>) {
        let mut running = self.running.lock().expect("because drawing does not panic");
        match notice {
            Notice::Begun { rounds } => {
                // What was done before takes no time: the bar and the time left are of what is to be done.
                self.overall.dec_length(u64::from(*rounds) * work.effort_of_round());
                let style = ProgressStyle::with_template("  round {pos}/{len} {prefix} {msg}")
                    .expect("because the template is well-formed");
                let bar = ProgressBar::new(u64::from(work.scenario.rounds)).with_style(style);
                let bar = self.lines.add(bar.with_prefix(work.label.clone()).with_position(u64::from(*rounds)));
                running.insert(work.name.clone(), bar);
            }
            Notice::Round(row) => {
                self.overall.inc(work.effort_of_round());
                if let Some(bar) = running.get(&work.name) {
                    bar.set_position(u64::from(row.round) + 1);
                    if let Some(loss) = row.validation_loss.or(row.training_loss) {
                        bar.set_message(format!("loss {loss:.3}"));
                    }
                }
            }
            Notice::Ended(standing) => {
                if let Some(bar) = running.remove(&work.name) {
                    bar.finish_and_clear();
                }
                self.ended(work, standing);
            }
        }
    }

    fn ended(&self, work: &Work, standing: &Standing) {
        let label = &work.label;
        match standing.status {
            CellStatus::Failed | CellStatus::Deserted => {
                let reason =
                    standing.error.as_deref().unwrap_or("nobody is left: the swarm died out before the last round");
                self.lines.suspend(|| eprintln!("{label}: failed after {} rounds: {reason}", standing.rounds));
            }
            CellStatus::Finished => {
                let loss = standing.validation_loss.map_or_else(String::new, |loss| format!(", loss {loss:.4}"));
                // Nobody reads a line that cannot be written.
                drop(self.lines.println(format!("{label}: done{loss}")));
            }
            CellStatus::Pending | CellStatus::Stopped => {}
        }
        let done = matches!(standing.status, CellStatus::Finished | CellStatus::Failed | CellStatus::Deserted);
        let count = self.done.fetch_add(usize::from(done), Ordering::Relaxed) + usize::from(done);
        self.overall.set_message(format!("{count} of {} runs", self.runs));
    }

    pub(super) fn finish(&self) {
        self.overall.finish_and_clear();
    }
}
