//! The network at flow level: links are shared max-min fairly.
//!
//! # What is modelled
//!
//! Every endpoint has an uplink and a downlink \[bit/s\] and a latency \[ns\]. A flow of n bytes from a to b occupies
//! a's uplink and b's downlink; what lies between them is never the bottleneck. At each moment the rates x of the flows
//! are max-min fair:
//!
//! ```text
//! for each link l:    Σ x_f over its flows f  ≤  capacity_l
//! for each flow f:    there is a link l of f that is full, and on which no flow is faster than f
//! ```
//!
//! which is what many long transfers of equal round-trip time come to. [`Bandwidth::UNLIMITED`] links never bind, and
//! connect nobody.
//!
//! Latency is charged once a flow and before its first byte: a flow that is started at t begins to occupy its links at
//! t + latency(a) + latency(b) and ends when its n bytes have moved after that. A flow between unlimited links, and one
//! of no bytes, ends as it begins to flow.
//!
//! # How it is computed
//!
//! All flows over the same pair of limited links always have the same rate; together they are a lane. A lane's rate is
//! the share of its bottleneck link, and all lanes with the same bottleneck have the same share. So a link keeps a clock
//! that counts the volume V(t) = ∫ share dt which each of its flows has moved, a flow ends when V has grown by its
//! bytes, and a change of the share moves no flow in the order in which they end. What changes at one instant is taken
//! together and shared out once, in the connected component of limited links that it belongs to:
//!
//! - one link: share = capacity / flows, O(1), and O(log n) for the heaps;
//! - a star, as around an object store whose own link is limited: O(log n) for each link whose bottleneck changes
//!   between its own capacity and the hub;
//! - anything else: progressive filling of the component, O(lanes · log links).
//!
//! Volumes and rates are whole numbers of 2⁻⁵⁶ byte and byte/ns, so that sharing is exact: rates depend on
//! which flows there are and not on the order in which they came. A flow ends at the first whole nanosecond at which all
//! its bytes have moved. [`oracle`] is the same in a few obvious lines of floating point.
//!
//! # What is not modelled
//!
//! Slow start and loss, the unfairness between flows of different round-trip times, connection set-up, protocol
//! overhead (calibrate capacities with measured goodput), routes and shared links inside the network, and a
//! dependence of uplink and downlink on each other.
//!
//! Source of the model: Bertsekas and Gallager, *Data Networks*, section 6.5.2; as used by `SimGrid` and commonware's
//! simulated network.

mod fabric;
mod fixed;
mod heap;
pub mod oracle;
pub mod ring;
mod share;
mod star;
pub mod store;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::fabric::Fabric;
use self::fixed::{Rate, Volume};
use self::heap::{Heap, Places};
use crate::quantity::{Bandwidth, Bytes, Duration};
use crate::sim::SimTime;

/// A place in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(u32);

/// One transfer; no two transfers of a run share an identifier (until 2³² of them have used one place in memory).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowId(u64);

impl FlowId {
    fn new(slot: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(slot))
    }

    /// The identifier as a number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A flow has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Which.
    pub flow: FlowId,
    /// What its starter called it.
    pub tag: u64,
    /// What it moved.
    pub bytes: Bytes,
    /// When its last byte arrived.
    pub time: SimTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Endpoint {
    latency: Duration,
    sent: Bytes,
    received: Bytes,
}

impl EndpointId {
    fn uplink(self) -> u32 {
        2 * self.0
    }

    fn downlink(self) -> u32 {
        2 * self.0 + 1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// Its slot waits for another flow.
    Over,
    /// Its first byte is under way.
    Pending,
    /// It occupies its links as part of a lane.
    Flowing(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Flow {
    generation: u32,
    stage: Stage,
    from: EndpointId,
    to: EndpointId,
    bytes: Bytes,
    tag: u64,
}

/// Endpoints and the flows between them.
///
/// - Time never goes back: each call's `now` is at least that of the call before.
/// - Flows started, cancelled and ended at one instant are taken together; their order does not matter.
/// - It is plain data: written, read back and continued it does the same as the original.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    now: SimTime,
    endpoints: Vec<Endpoint>,
    flows: Vec<Flow>,
    free: Vec<u32>,
    active: usize,
    /// Flows before their first byte, by the time of it.
    pending: Heap<SimTime>,
    pending_places: Places,
    fabric: Fabric,
    /// Ended and not yet reported.
    finished: Vec<Completion>,
}

impl Network {
    /// A network of nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a place with its links and its one-way latency to the middle of the network.
    pub fn add_endpoint(&mut self, uplink: Bandwidth, downlink: Bandwidth, latency: Duration) -> EndpointId {
        let id = EndpointId(u32::try_from(self.endpoints.len()).expect("because fewer than 2^31 endpoints exist"));
        self.endpoints.push(Endpoint { latency, sent: Bytes(0), received: Bytes(0) });
        self.fabric.add_link(Rate::from_bandwidth(uplink));
        self.fabric.add_link(Rate::from_bandwidth(downlink));
        id
    }

    /// Starts a transfer; `tag` comes back with its completion.
    ///
    /// # Panics
    /// If `now` lies in the past.
    pub fn start_flow(&mut self, now: SimTime, from: EndpointId, to: EndpointId, bytes: Bytes, tag: u64) -> FlowId {
        self.pass(now);
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.flows.len()).expect("because fewer than 2^32 flows are active at a time");
            self.flows.push(Flow { generation: 0, stage: Stage::Over, from, to, bytes, tag });
            slot
        });
        let flow = &mut self.flows[slot as usize];
        *flow = Flow { generation: flow.generation.wrapping_add(1), stage: Stage::Pending, from, to, bytes, tag };
        let id = FlowId::new(slot, flow.generation);
        self.active += 1;
        let latency = self.latency(from, to);
        if latency == Duration::ZERO {
            self.begin(slot);
        } else {
            self.pending_places.reserve(self.flows.len());
            self.pending.set(now + latency, slot, &mut self.pending_places);
        }
        id
    }

    /// Adds `bytes` to a flow that has not ended, as if it had been started with them; `false` if it has ended.
    ///
    /// # Panics
    /// If `now` lies in the past.
    pub fn extend_flow(&mut self, now: SimTime, flow: FlowId, bytes: Bytes) -> bool {
        self.pass(now);
        let Some(slot) = self.slot(flow) else { return false };
        let flow = &mut self.flows[slot as usize];
        flow.bytes.0 += bytes.0;
        if let Stage::Flowing(lane) = flow.stage {
            let limited =
                [flow.from.uplink(), flow.to.downlink()].map(|link| self.fabric.is_limited(link).then_some(link));
            let left = self.fabric.leave(self.now, lane, slot);
            flow.stage = Stage::Flowing(self.fabric.join(self.now, limited, slot, left + Volume::from_bytes(bytes)));
        }
        true
    }

    /// Ends a flow before its time and returns the whole bytes that it has moved.
    ///
    /// A flow that has ended by `now` but was not reported yet is not reported any more, and all its bytes are returned.
    /// For a flow whose end was reported, and for one cancelled before, nothing happens and zero is returned.
    ///
    /// # Panics
    /// If `now` lies in the past.
    pub fn cancel_flow(&mut self, now: SimTime, flow: FlowId) -> Bytes {
        self.pass(now);
        let Some(slot) = self.slot(flow) else {
            let reported = self.finished.iter().position(|completion| completion.flow == flow);
            return reported.map_or(Bytes(0), |index| self.finished.remove(index).bytes);
        };
        let moved = self.moved(slot);
        match self.flows[slot as usize].stage {
            Stage::Over => unreachable!("because the slot of a flow that is over names no flow"),
            Stage::Pending => {
                self.pending.remove(slot, &mut self.pending_places);
            }
            Stage::Flowing(lane) => {
                self.fabric.leave(self.now, lane, slot);
            }
        }
        self.end(slot, moved);
        moved
    }

    /// Changes the links of an endpoint; flows go on with what is left of them.
    ///
    /// # Panics
    /// If `now` lies in the past.
    pub fn set_bandwidth(&mut self, now: SimTime, endpoint: EndpointId, uplink: Bandwidth, downlink: Bandwidth) {
        self.pass(now);
        let links = [(endpoint.uplink(), uplink), (endpoint.downlink(), downlink)]
            .map(|(link, bandwidth)| (link, Rate::from_bandwidth(bandwidth)));
        // Flows over a link that becomes limited or unlimited change their lanes.
        let is_rewired = links.map(|(link, capacity)| self.fabric.is_limited(link) != capacity.is_some());
        let mut moving = Vec::new();
        for (slot, flow) in self.flows.iter().enumerate().filter(|_| is_rewired.contains(&true)) {
            if let Stage::Flowing(lane) = flow.stage
                && ((is_rewired[0] && flow.from == endpoint) || (is_rewired[1] && flow.to == endpoint))
            {
                moving.push((slot as u32, self.fabric.leave(self.now, lane, slot as u32)));
            }
        }
        for (link, capacity) in links {
            self.fabric.set_capacity(link, capacity);
        }
        for (slot, left) in moving {
            self.occupy(slot, left);
        }
    }

    /// Appends the flows that have ended by `now` and were not reported yet, in order of (time, tag).
    ///
    /// # Panics
    /// If `now` lies in the past.
    pub fn advance(&mut self, now: SimTime, completions: &mut Vec<Completion>) {
        self.pass(now);
        self.finished.sort_unstable_by_key(|completion| (completion.time, completion.tag, completion.flow));
        completions.append(&mut self.finished);
    }

    /// When a flow ends or begins to flow next; the present if an ended flow was not reported yet.
    ///
    /// Shares out what has changed since it was asked last, therefore `&mut`.
    pub fn next_event_time(&mut self) -> Option<SimTime> {
        if self.finished.is_empty() { self.next_change() } else { Some(self.now) }
    }

    /// The present rate of a flow; `None` if it has ended or has not begun to flow.
    pub fn rate_of(&mut self, flow: FlowId) -> Option<Bandwidth> {
        match self.flows[self.slot(flow)? as usize].stage {
            Stage::Flowing(lane) => {
                let rate = self.fabric.rate(self.now, lane).bits_per_second();
                (rate > 0.0).then(|| Bandwidth::from_bits_per_second(rate))
            }
            Stage::Over | Stage::Pending => None,
        }
    }

    /// Whole bytes that a flow has moved by the time of the last call; `None` if it has ended.
    #[must_use]
    pub fn moved_by(&self, flow: FlowId) -> Option<Bytes> {
        self.slot(flow).map(|slot| self.moved(slot))
    }

    /// Bytes that flows from this endpoint have moved, counted when they end or are cancelled.
    #[must_use]
    pub fn bytes_sent(&self, endpoint: EndpointId) -> Bytes {
        self.endpoints[endpoint.0 as usize].sent
    }

    /// Bytes that flows to this endpoint have moved, counted when they end or are cancelled.
    #[must_use]
    pub fn bytes_received(&self, endpoint: EndpointId) -> Bytes {
        self.endpoints[endpoint.0 as usize].received
    }

    /// Flows that were started and have neither ended nor been cancelled.
    #[must_use]
    pub const fn active_flows(&self) -> usize {
        self.active
    }

    fn latency(&self, from: EndpointId, to: EndpointId) -> Duration {
        self.endpoints[from.0 as usize].latency.saturating_add(self.endpoints[to.0 as usize].latency)
    }

    fn slot(&self, id: FlowId) -> Option<u32> {
        let slot = id.0 as u32;
        let flow = self.flows.get(slot as usize)?;
        (FlowId::new(slot, flow.generation) == id && flow.stage != Stage::Over).then_some(slot)
    }

    fn moved(&self, slot: u32) -> Bytes {
        let flow = &self.flows[slot as usize];
        match flow.stage {
            Stage::Over | Stage::Pending => Bytes(0),
            Stage::Flowing(lane) => {
                let left = self.fabric.remaining(self.now, lane, slot).max(Volume::ZERO);
                (Volume::from_bytes(flow.bytes) - left).whole_bytes()
            }
        }
    }

    fn next_change(&mut self) -> Option<SimTime> {
        let finish = self.fabric.next_finish(self.now);
        let begin = self.pending.first().map(|(time, _)| time).filter(|&time| time < SimTime::MAX);
        finish.into_iter().chain(begin).min()
    }

    /// Lets time go on, flows begin and flows end.
    fn pass(&mut self, now: SimTime) {
        assert!(now >= self.now, "the network is at {} and cannot go back to {now}", self.now);
        // All changes of the present instant are complete before the next: what is shared out now lasts a nanosecond.
        while self.now < now {
            match self.next_change() {
                Some(time) if time <= now => {
                    self.now = time;
                    self.change();
                }
                _ => self.now = now,
            }
        }
    }

    /// All that happens at the present instant.
    fn change(&mut self) {
        while let Some((time, slot)) = self.pending.first()
            && time <= self.now
        {
            self.pending.pop(&mut self.pending_places);
            self.begin(slot);
        }
        while let Some(slot) = self.fabric.pop_finished(self.now) {
            self.complete(slot);
        }
    }

    /// A flow's first byte arrives.
    fn begin(&mut self, slot: u32) {
        self.occupy(slot, Volume::from_bytes(self.flows[slot as usize].bytes));
    }

    /// A flow occupies its limited links from now on; it ends at once if it has none, or nothing left to move.
    fn occupy(&mut self, slot: u32, left: Volume) {
        let flow = &mut self.flows[slot as usize];
        let limited = [flow.from.uplink(), flow.to.downlink()].map(|link| self.fabric.is_limited(link).then_some(link));
        if left == Volume::ZERO || limited == [None, None] {
            self.complete(slot);
        } else {
            flow.stage = Stage::Flowing(self.fabric.join(self.now, limited, slot, left));
        }
    }

    /// A flow's last byte has arrived.
    fn complete(&mut self, slot: u32) {
        let flow = &self.flows[slot as usize];
        let (bytes, id) = (flow.bytes, FlowId::new(slot, flow.generation));
        self.finished.push(Completion { flow: id, tag: flow.tag, bytes, time: self.now });
        self.end(slot, bytes);
    }

    /// A flow is no more.
    fn end(&mut self, slot: u32, moved: Bytes) {
        let flow = &mut self.flows[slot as usize];
        flow.stage = Stage::Over;
        self.endpoints[flow.from.0 as usize].sent.0 += moved.0;
        self.endpoints[flow.to.0 as usize].received.0 += moved.0;
        self.free.push(slot);
        self.active -= 1;
    }
}
