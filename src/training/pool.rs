//! Independent jobs on a few threads, each of which has its own work buffers.
//!
//! Threads pull jobs from a shared counter, the costliest first, so that no long job starts last. Which thread runs a job
//! decides only which buffers it uses; outputs come back in the order of the jobs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Work buffers that outlive a call: at most one set per thread is ever made.
#[derive(Debug)]
pub struct Pool<W> {
    threads: usize,
    idle: Mutex<Vec<W>>,
}

/// Why a lock cannot fail: a panic of a job ends the whole call.
const UNPOISONED: &str = "because a panicking job ends the call";

impl<W: Send> Pool<W> {
    /// A pool of `threads` threads, the calling one included.
    ///
    /// # Panics
    /// If there is no thread.
    pub fn new(threads: usize) -> Self {
        assert!(threads > 0, "somebody has to work");
        Self { threads, idle: Mutex::new(Vec::new()) }
    }

    /// Runs `work` on every job and returns its outputs in the order of the jobs.
    ///
    /// `cost` tells which jobs to start first, `make` makes a thread's buffers where none are idle.
    ///
    /// # Panics
    /// If a job does.
    pub fn run<J: Send, O: Send>(
        &self,
        jobs: impl IntoIterator<Item = J>,
        cost: impl Fn(&J) -> u64,
        make: impl Fn() -> W + Sync,
        work: impl Fn(&mut W, usize, J) -> O + Sync,
    ) -> Vec<O> {
        let jobs: Vec<J> = jobs.into_iter().collect();
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(cost(&jobs[index])));
        let slots: Vec<Mutex<(Option<J>, Option<O>)>> =
            jobs.into_iter().map(|job| Mutex::new((Some(job), None))).collect();
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut buffers = None;
            while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let buffers = buffers.get_or_insert_with(|| self.take().unwrap_or_else(&make));
                let mut slot = slots[index].lock().expect(UNPOISONED);
                let job = slot.0.take().expect("because the counter hands out each job once");
                slot.1 = Some(work(buffers, index, job));
            }
            self.idle.lock().expect(UNPOISONED).extend(buffers);
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(slots.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        let outputs = slots.into_iter().map(|slot| slot.into_inner().expect(UNPOISONED).1);
        outputs.map(|output| output.expect("because every job was run")).collect()
    }

    fn take(&self) -> Option<W> {
        self.idle.lock().expect(UNPOISONED).pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_in_the_order_of_jobs() {
        for threads in 1..4 {
            let pool = Pool::new(threads);
            let squares = pool.run(0..20_u64, |&job| job % 7, || (), |(), index, job| (index as u64, job * job));
            assert_eq!(squares, (0..20).map(|job| (job, job * job)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_costliest_starts_first() {
        let started = Mutex::new(Vec::new());
        Pool::new(1).run([3, 9, 1, 9], |&job| job, || (), |(), index, _| started.lock().unwrap().push(index));
        assert_eq!(started.into_inner().unwrap(), [1, 3, 0, 2]);
    }

    #[test]
    fn buffers_are_made_once_per_thread() {
        let (made, pool) = (AtomicUsize::new(0), Pool::new(2));
        for _ in 0..3 {
            pool.run(0..8, |_| 1, || made.fetch_add(1, Ordering::Relaxed), |_, _, _| ());
        }
        assert!(made.into_inner() <= 2);
    }
}
