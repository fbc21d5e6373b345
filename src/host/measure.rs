//! What the host measures: wall-clock and memory. None of it feeds back into a run.

use std::time::Instant;

use crate::record::manifest::{HostPart, HostReport};

/// A stopwatch with named parts.
#[derive(Debug)]
pub struct Stopwatch {
    start: Instant,
    lap: Instant,
    parts: Vec<HostPart>,
}

impl Stopwatch {
    /// Starts.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the host measures wall-clock for `host.json`")]
    pub fn start() -> Self {
        let now = Instant::now();
        Self { start: now, lap: now, parts: Vec::new() }
    }

    /// Ends the part that is called `name`.
    #[expect(clippy::disallowed_methods, reason = "the host measures wall-clock for `host.json`")]
    pub fn lap(&mut self, name: &str) {
        let now = Instant::now();
        let wall_s = (now - self.lap).as_secs_f64();
        self.parts.push(HostPart { name: name.to_owned(), wall_s });
        self.lap = now;
    }

    /// Seconds since the last lap.
    #[must_use]
    pub fn since_lap_s(&self) -> f64 {
        self.lap.elapsed().as_secs_f64()
    }

    /// The report.
    #[must_use]
    pub fn report(self, threads: usize) -> HostReport {
        HostReport {
            wall_s: self.start.elapsed().as_secs_f64(),
            parts: self.parts,
            peak_memory_bytes: peak_memory_bytes(),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            device: "cpu".to_owned(),
        }
    }
}

/// Largest resident set of this process so far, where the system tells (Linux: `VmHWM`).
#[must_use]
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}
