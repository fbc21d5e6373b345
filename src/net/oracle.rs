//! The same network in the most obvious way: every change fills all links anew, in floating point.
//!
//! Slow on purpose: O(links · flows) for a change. Tests hold [`Network`](super::Network) against it, and benchmarks
//! show what the incremental way saves.

use std::collections::BTreeMap;

use crate::quantity::{Bandwidth, Bytes, Duration};
use crate::sim::SimTime;

/// Max-min fair rates by textbook progressive filling.
///
/// `flows` names the two links of each flow by their index in `capacities`; an infinite capacity never binds. All flows
/// grow together; when a link is full its flows are fixed and the others grow on. Rates have the unit of the
/// capacities; a flow over two infinite links has an infinite rate.
#[must_use]
pub fn max_min_rates(capacities: &[f64], flows: &[[usize; 2]]) -> Vec<f64> {
    let mut rates: Vec<Option<f64>> = vec![None; flows.len()];
    loop {
        let mut left = capacities.to_vec();
        let mut growing = vec![0_u32; capacities.len()];
        for (flow, rate) in flows.iter().zip(&rates) {
            for &link in flow {
                match rate {
                    Some(rate) => left[link] -= rate,
                    None => growing[link] += 1,
                }
            }
        }
        let bottleneck = (0..capacities.len())
            .filter(|&link| growing[link] > 0 && capacities[link].is_finite())
            .map(|link| (left[link] / f64::from(growing[link]), link))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((share, link)) = bottleneck else { break };
        for (flow, rate) in flows.iter().zip(&mut rates) {
            if flow.contains(&link) {
                rate.get_or_insert(share);
            }
        }
    }
    rates.into_iter().map(|rate| rate.unwrap_or(f64::INFINITY)).collect()
}

struct Flow {
    links: [usize; 2],
    begin: SimTime,
    left_bytes: f64,
}

/// A network that fills all links anew whenever something changes.
///
/// Flows are known by their tags; endpoints are numbered in order of addition.
#[derive(Default)]
pub struct OracleNetwork {
    now: SimTime,
    /// Uplink and downlink of each endpoint \[byte/ns\].
    capacities: Vec<f64>,
    latencies: Vec<Duration>,
    flows: BTreeMap<u64, Flow>,
    finished: Vec<(SimTime, u64)>,
}

impl OracleNetwork {
    /// A network of nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint.
    pub fn add_endpoint(&mut self, uplink: Bandwidth, downlink: Bandwidth, latency: Duration) {
        self.capacities.extend([uplink, downlink].map(|bandwidth| bandwidth.bytes_per_second() / 1e9));
        self.latencies.push(latency);
    }

    /// Changes an endpoint's links.
    pub fn set_bandwidth(&mut self, now: SimTime, endpoint: usize, uplink: Bandwidth, downlink: Bandwidth) {
        self.pass(now);
        self.capacities[2 * endpoint] = uplink.bytes_per_second() / 1e9;
        self.capacities[2 * endpoint + 1] = downlink.bytes_per_second() / 1e9;
    }

    /// Starts a flow under a tag that no other flow has.
    pub fn start_flow(&mut self, now: SimTime, from: usize, to: usize, bytes: Bytes, tag: u64) {
        self.pass(now);
        let begin = now + self.latencies[from] + self.latencies[to];
        self.flows.insert(tag, Flow { links: [2 * from, 2 * to + 1], begin, left_bytes: bytes.0 as f64 });
    }

    /// Ends a flow before its time.
    pub fn cancel_flow(&mut self, now: SimTime, tag: u64) {
        self.pass(now);
        self.flows.remove(&tag);
    }

    /// Appends time and tag of the flows that have ended by `now` and were not reported yet.
    pub fn advance(&mut self, now: SimTime, completions: &mut Vec<(SimTime, u64)>) {
        self.pass(now);
        completions.append(&mut self.finished);
    }

    /// When a flow begins to flow or ends next.
    #[must_use]
    pub fn next_event_time(&self) -> Option<SimTime> {
        self.changes().into_iter().map(|(_, change)| change.time).min()
    }

    /// The present rate of each flow that flows \[bit/s\].
    #[must_use]
    pub fn rates(&self) -> BTreeMap<u64, f64> {
        self.changes()
            .into_iter()
            .filter(|(_, change)| change.rate > 0.0)
            .map(|(tag, change)| (tag, change.rate * 8e9))
            .collect()
    }

    fn pass(&mut self, now: SimTime) {
        loop {
            let changes = self.changes();
            let next = changes.iter().map(|(_, change)| change.time).min().filter(|&next| next <= now);
            let until = next.unwrap_or(now);
            let nanos = (until - self.now).as_nanos() as f64;
            for (tag, change) in &changes {
                let flow = self.flows.get_mut(tag).expect("because changes are of flows");
                if change.ends && change.time <= until {
                    self.flows.remove(tag);
                    self.finished.push((until, *tag));
                } else if nanos > 0.0 {
                    flow.left_bytes -= change.rate * nanos;
                }
            }
            self.now = until;
            if next.is_none() {
                break;
            }
        }
    }

    /// What each flow does next, if nothing else changes.
    fn changes(&self) -> Vec<(u64, Change)> {
        let is_flowing = |flow: &Flow| flow.begin <= self.now && flow.left_bytes > 0.0;
        let flowing: Vec<[usize; 2]> =
            self.flows.values().filter(|flow| is_flowing(flow)).map(|flow| flow.links).collect();
        let mut rates = max_min_rates(&self.capacities, &flowing).into_iter();
        let mut changes = Vec::new();
        for (&tag, flow) in &self.flows {
            changes.push((
                tag,
                if is_flowing(flow) {
                    let rate = rates.next().expect("because each flow that flows has a rate");
                    let nanos = (flow.left_bytes / rate).ceil().max(0.0);
                    Change { ends: true, rate, time: self.now + Duration::from_nanos(nanos as u64) }
                } else {
                    Change { ends: flow.left_bytes <= 0.0, rate: 0.0, time: flow.begin.max(self.now) }
                },
            ));
        }
        changes
    }
}

struct Change {
    time: SimTime,
    /// Whether the flow ends then, or begins to flow.
    ends: bool,
    /// \[byte/ns\].
    rate: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_textbook_example_is_filled_as_in_the_textbook() {
        // Two flows over link 0 of 10, one of them also over link 2 of 3; a third flow alone on link 1.
        let infinite = f64::INFINITY;
        let rates = max_min_rates(&[10.0, 4.0, 3.0, infinite], &[[0, 2], [0, 3], [1, 3], [3, 3]]);
        assert_eq!(rates, [3.0, 7.0, 4.0, infinite]);
    }
}
