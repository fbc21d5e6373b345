//! What a gather shows: inactive, copying, out-of-sync and missing peers are punished, in this order.

use std::collections::BTreeMap;

use super::Validator;
use crate::quantity::PeerId;
use crate::validator::overlap::{self, Level};
use crate::validator::penalty::{Cause, Penalty};
use crate::validator::record::Record;
use crate::validator::spec;

/// What a gather showed.
#[derive(Debug, Clone, Copy)]
pub struct Gathering<'a> {
    /// Who was active in the last windows, ascending.
    pub active: &'a [PeerId],
    /// The gather set.
    pub requested: &'a [PeerId],
    /// Those of the gather set whose payloads did not come in time.
    pub missing: &'a [PeerId],
    /// Whose payloads came, stand-ins included; nobody: the window is skipped.
    pub gathered: &'a [PeerId],
    /// The index of the outer step to come.
    pub round: u32,
    /// Overlap of pairs of those gathered, see [`overlap::overlaps`].
    pub overlaps: &'a [(PeerId, PeerId, f64)],
    /// Dates of payloads, any unit; see [`overlap`].
    pub dates: &'a BTreeMap<PeerId, u64>,
    /// Outer steps by which members of the gather set are behind; `None` or absent: it did not show its parameters.
    pub steps_behind: &'a BTreeMap<PeerId, Option<f64>>,
}

impl Validator {
    /// Takes in what the gather showed, and punishes. If nothing was gathered only the inactive are, and the window is
    /// neither chosen for nor judged.
    ///
    /// # Panics
    /// If the active peers do not ascend.
    pub fn gathered(&mut self, window: u32, seen: &Gathering<'_>) -> Vec<Penalty> {
        assert!(seen.active.is_sorted(), "active peers ascend");
        let mut penalties = Vec::new();
        self.first_window.get_or_insert(window);
        self.take_in_active(window, seen.active, &mut penalties);
        if seen.gathered.is_empty() {
            return penalties;
        }
        self.punish_copies(seen, &mut penalties);
        self.punish_out_of_sync(seen, &mut penalties);
        self.punish_missing(window, seen, &mut penalties);
        penalties
    }

    /// Candidates are the active that are not naughty; who was a candidate and is not active any more is inactive.
    fn take_in_active(&mut self, window: u32, active: &[PeerId], penalties: &mut Vec<Penalty>) {
        for (peer, _) in self.candidates.iter().filter(|(peer, _)| active.binary_search(peer).is_err()) {
            self.records.entry(*peer).or_default().inactive_since.get_or_insert(window);
        }
        let is_naughty = |peer: &PeerId| self.records.get(peer).is_some_and(|record| record.naughty_windows > 0);
        self.candidates = active
            .iter()
            .filter(|peer| !is_naughty(peer))
            .map(|&peer| (peer, self.candidates.get(&peer).copied().unwrap_or(1)))
            .collect();
        for (&peer, record) in &mut self.records {
            let Some(since) = record.inactive_since else { continue };
            if self.candidates.contains_key(&peer) {
                record.inactive_since = None;
                continue;
            }
            let Some(rule) = self.spec.inactive else { continue };
            if window + self.spec.lag_windows - since > rule.reset_after {
                record.reset();
                penalties.push(Penalty { peer, cause: Cause::Forgotten, factor: 0.0 });
            } else {
                if record.final_score > 0.0 {
                    record.final_score *= rule.factor;
                }
                penalties.push(Penalty { peer, cause: Cause::Inactive, factor: rule.factor });
            }
        }
    }

    /// Copiers and the naughty. Who becomes naughty has its first window behind it at once.
    fn punish_copies(&mut self, seen: &Gathering<'_>, penalties: &mut Vec<Penalty>) {
        let mut causes: BTreeMap<PeerId, Cause> = self
            .records
            .iter()
            .filter(|(_, record)| record.naughty_windows > 0)
            .map(|(&peer, _)| (peer, Cause::Naughty))
            .collect();
        let mut high_factor = 1.0;
        if let Some(rule) = &self.spec.overlap {
            // The public code leaves the naughty alone, too, until copies count.
            if seen.round < rule.from_round {
                return;
            }
            high_factor = rule.high_factor;
            let cause = |level| match level {
                Level::High => Cause::OverlapHigh,
                Level::Max => Cause::OverlapMax,
                Level::Mega => Cause::OverlapMega,
            };
            let offenders = overlap::offenders(seen.overlaps, seen.dates, rule);
            causes.extend(offenders.into_iter().map(|(peer, level)| (peer, cause(level))));
        }
        for (peer, cause) in causes {
            let record = self.records.entry(peer).or_default();
            let factor = if cause == Cause::OverlapHigh { high_factor } else { 0.0 };
            if cause == Cause::OverlapHigh {
                record.slash(factor);
            } else {
                record.reset();
                self.candidates.remove(&peer);
            }
            if cause == Cause::OverlapMega {
                record.naughty_windows = self.spec.naughty_windows;
            }
            record.naughty_windows = record.naughty_windows.saturating_sub(1);
            penalties.push(Penalty { peer, cause, factor });
        }
    }

    /// Members of the gather set that are too far behind, or do not show their parameters.
    fn punish_out_of_sync(&mut self, seen: &Gathering<'_>, penalties: &mut Vec<Penalty>) {
        let Some(rule) = &self.spec.sync else { return };
        for &peer in seen.requested {
            let behind = seen.steps_behind.get(&peer).copied().flatten();
            if !behind.is_some_and(|behind| behind <= rule.behind_max) {
                self.records.entry(peer).or_default().slash(rule.slash);
                penalties.push(Penalty { peer, cause: Cause::OutOfSync, factor: rule.slash });
            }
        }
    }

    /// Members of the gather set whose payloads did not come in time.
    fn punish_missing(&mut self, window: u32, seen: &Gathering<'_>, penalties: &mut Vec<Penalty>) {
        let Some(rule) = self.spec.missing_gather.clone() else { return };
        let success = seen.gathered.len() as f64 / seen.requested.len().max(1) as f64;
        let of = rule.often.map_or(0, |often| often.of);
        for &peer in seen.missing {
            let record = self.records.entry(peer).or_default();
            record.misses_in_row += 1;
            Record::remember(&mut record.misses, true, of);
            let misses = record.misses.iter().filter(|&&missed| missed).count();
            let is_often = |often: spec::Often| record.misses.len() >= of as usize && misses >= often.misses as usize;
            if rule.often.is_some_and(is_often) {
                record.naughty_windows = self.spec.naughty_windows;
                if record.final_score > 0.0 {
                    record.reset();
                    self.candidates.remove(&peer);
                }
                penalties.push(Penalty { peer, cause: Cause::MissingOften, factor: 0.0 });
            } else {
                let nth = (record.misses_in_row as usize).min(rule.factors.len());
                let factor = match nth.checked_sub(1) {
                    _ if success < rule.success_min => 0.0,
                    Some(index) => rule.factors[index],
                    None => 1.0,
                };
                record.slash_to_zero(factor, self.spec.score_min);
                penalties.push(Penalty { peer, cause: Cause::MissingGather, factor });
            }
            record.last_evaluated = Some(window);
            self.enter_missing(peer);
        }
        for &peer in seen.gathered {
            let record = self.records.entry(peer).or_default();
            record.misses_in_row = 0;
            Record::remember(&mut record.misses, false, of);
        }
    }
}
