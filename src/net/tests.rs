//! What holds for every network, checked over random histories and against the oracle.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::oracle::OracleNetwork;
use super::*;

/// Links, latencies and what happens.
#[derive(Debug, Clone)]
struct History {
    endpoints: Vec<(Bandwidth, Bandwidth, Duration)>,
    steps: Vec<(Duration, Step)>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Start { from: usize, to: usize, bytes: Bytes },
    Cancel { tag: usize },
    SetBandwidth { endpoint: usize, uplink: Bandwidth, downlink: Bandwidth },
}

fn bandwidth() -> impl Strategy<Value = Bandwidth> {
    prop_oneof![
        1 => Just(Bandwidth::UNLIMITED),
        // Few different values, so that ties and simultaneous ends occur.
        2 => (1_u32..5).prop_map(|n| Bandwidth::from_bits_per_second(f64::from(n) * 1e7)),
        2 => (1e6..1e9).prop_map(Bandwidth::from_bits_per_second),
    ]
}

fn latency() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), (0_u64..200_000_000).prop_map(Duration::from_nanos)]
}

/// Transfers to and from endpoint 0 only (stars, as around an object store), or between any two.
fn history() -> impl Strategy<Value = History> {
    (2_usize..9, prop_oneof![Just(true), Just(false)]).prop_flat_map(|(count, is_star)| {
        let pair = (0..count, 0..count).prop_map(move |(a, b)| match (is_star, b % 2) {
            (false, _) => (a, b),
            (true, 0) => (0, a),
            (true, _) => (a, 0),
        });
        let bytes = prop_oneof![
            1 => Just(Bytes(0)),
            4 => (1_u64..5).prop_map(|n| Bytes(n * 5_000_000)),
            4 => (1_u64..60_000_000).prop_map(Bytes),
        ];
        let step = prop_oneof![
            8 => (pair, bytes).prop_map(|((from, to), bytes)| Step::Start { from, to, bytes }),
            1 => (0_usize..60).prop_map(|tag| Step::Cancel { tag }),
            1 => (0..count, bandwidth(), bandwidth())
                .prop_map(|(endpoint, uplink, downlink)| Step::SetBandwidth { endpoint, uplink, downlink }),
        ];
        let delay = prop_oneof![Just(0), 0_u64..3_000_000_000].prop_map(Duration::from_nanos);
        let endpoints = prop::collection::vec((bandwidth(), bandwidth(), latency()), count);
        (endpoints, prop::collection::vec((delay, step), 1..60))
            .prop_map(|(endpoints, steps)| History { endpoints, steps })
    })
}

/// A network and what was asked of it.
#[derive(Debug, Clone, PartialEq)]
struct Driver {
    network: Network,
    endpoints: Vec<EndpointId>,
    flows: Vec<FlowId>,
    completions: Vec<Completion>,
    cancelled: BTreeMap<usize, Bytes>,
}

impl Driver {
    fn new(history: &History) -> Self {
        let mut network = Network::new();
        let endpoints = history.endpoints.iter().map(|&(up, down, latency)| network.add_endpoint(up, down, latency));
        let endpoints = endpoints.collect();
        Self { network, endpoints, flows: Vec::new(), completions: Vec::new(), cancelled: BTreeMap::new() }
    }

    fn apply(&mut self, now: SimTime, step: Step) {
        self.network.advance(now, &mut self.completions);
        match step {
            Step::Start { from, to, bytes } => {
                let (from, to) = (self.endpoints[from], self.endpoints[to]);
                self.flows.push(self.network.start_flow(now, from, to, bytes, self.flows.len() as u64));
            }
            Step::Cancel { tag } => {
                if let Some(&flow) = self.flows.get(tag)
                    && !self.completions.iter().any(|completion| completion.flow == flow)
                    && !self.cancelled.contains_key(&tag)
                {
                    self.cancelled.insert(tag, self.network.cancel_flow(now, flow));
                }
            }
            Step::SetBandwidth { endpoint, uplink, downlink } => {
                self.network.set_bandwidth(now, self.endpoints[endpoint], uplink, downlink);
            }
        }
    }

    /// Lets all flows end, one event at a time.
    fn drain(&mut self) {
        while let Some(next) = self.network.next_event_time() {
            self.network.advance(next, &mut self.completions);
        }
    }

    /// Goes on to a time, one event at a time, and keeps the last rate of each flow.
    fn run_until(&mut self, end: SimTime, last_rates: &mut BTreeMap<u64, f64>) {
        while let Some(next) = self.network.next_event_time().filter(|&next| next <= end) {
            last_rates.extend(self.rates());
            self.network.advance(next, &mut self.completions);
        }
    }

    /// Present rates by tag \[bit/s\].
    fn rates(&mut self) -> BTreeMap<u64, f64> {
        let mut rates = BTreeMap::new();
        for (tag, &flow) in self.flows.iter().enumerate() {
            if let Some(rate) = self.network.rate_of(flow) {
                rates.insert(tag as u64, rate.bits_per_second());
            }
        }
        rates
    }
}

/// Times at which the steps of a history are taken.
fn timed(history: &History) -> impl Iterator<Item = (SimTime, Step)> {
    history.steps.iter().scan(SimTime::ZERO, |now, &(delay, step)| {
        *now = *now + delay;
        Some((*now, step))
    })
}

/// Rates add up to no more than their links, and each flow has a full link on which none is faster: exactly, but for
/// the 2⁻⁵⁶ byte/ns by which each share is rounded down.
fn assert_max_min(network: &mut Network) {
    let now = network.now;
    network.fabric.share_out(now);
    let fabric = &network.fabric;
    let rate = |lane: u32| fabric.links[fabric.lanes[lane as usize].bottleneck.unwrap() as usize].clock.rate;
    let lanes = |link: u32| fabric.links[link as usize].lanes.iter().copied().chain(fabric.links[link as usize].solo);
    for (id, link) in fabric.links.iter().enumerate() {
        let id = id as u32;
        let flows: u32 = lanes(id).map(|lane| fabric.lanes[lane as usize].len()).sum();
        assert_eq!(flows, link.flows);
        let branches = link.lanes.iter().filter_map(|&lane| fabric.lanes[lane as usize].other(id));
        assert_eq!(branches.filter(|&other| !fabric.links[other as usize].is_leaf()).count() as u32, link.branches);
        if let Some(capacity) = link.capacity {
            let used =
                lanes(id).fold(Rate::ZERO, |used, lane| used + rate(lane).of_all(fabric.lanes[lane as usize].len()));
            assert!(used <= capacity, "link {id} carries more than it can");
        }
    }
    for flow in &network.flows {
        let Stage::Flowing(lane) = flow.stage else { continue };
        let bottleneck = fabric.lanes[lane as usize].bottleneck.unwrap();
        let fastest = lanes(bottleneck).map(rate).max().unwrap();
        let used = lanes(bottleneck)
            .fold(Rate::ZERO, |used, lane| used + rate(lane).of_all(fabric.lanes[lane as usize].len()));
        let idle = fabric.links[bottleneck as usize].limit() - used;
        assert_eq!(fastest, rate(lane), "another flow is faster on the bottleneck");
        assert!(idle.shared_by(fabric.links[bottleneck as usize].flows) == Rate::ZERO, "the bottleneck is not full");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_oracle_gives_the_same_rates_and_times(history in history()) {
        let mut driver = Driver::new(&history);
        let mut oracle = OracleNetwork::new();
        for &(up, down, latency) in &history.endpoints {
            oracle.add_endpoint(up, down, latency);
        }
        let (mut ends, mut last_rates) = (Vec::new(), BTreeMap::new());
        for (now, step) in timed(&history) {
            oracle.advance(now, &mut ends);
            driver.run_until(now, &mut last_rates);
            let (started, cancelled) = (driver.flows.len() as u64, driver.cancelled.len());
            driver.apply(now, step);
            match step {
                Step::Start { from, to, bytes } => oracle.start_flow(now, from, to, bytes, started),
                Step::Cancel { tag } if driver.cancelled.len() > cancelled => oracle.cancel_flow(now, tag as u64),
                Step::Cancel { .. } => {}
                Step::SetBandwidth { endpoint, uplink, downlink } => oracle.set_bandwidth(now, endpoint, uplink, downlink),
            }
            let (rates, expected) = (driver.rates(), oracle.rates());
            for (tag, rate) in rates {
                // A flow that ends this very nanosecond may have ended for one and not for the other.
                let Some(&expected) = expected.get(&tag) else { continue };
                prop_assert!((rate / expected - 1.0).abs() < 1e-9, "flow {}: {} instead of {}", tag, rate, expected);
            }
        }
        driver.run_until(SimTime::MAX, &mut last_rates);
        while let Some(next) = oracle.next_event_time() {
            oracle.advance(next, &mut ends);
        }
        let ends: BTreeMap<u64, SimTime> = ends.into_iter().map(|(time, tag)| (tag, time)).collect();
        for completion in &driver.completions {
            let expected = ends[&completion.tag].as_nanos();
            let error = completion.time.as_nanos().abs_diff(expected) as f64;
            // Both round ends up to a nanosecond, in which a link of 1 Gbit/s moves an eighth of a byte; a flow that is
            // slow afterwards needs longer for it.
            let slow = last_rates.get(&completion.tag).map_or(0.0, |rate| 4.0 * 1e9 / rate);
            prop_assert!(
                error <= 2.0_f64.max(1e-9 * expected as f64).max(slow),
                "flow {}: {} instead of {}", completion.tag, completion.time.as_nanos(), expected
            );
        }
        prop_assert_eq!(driver.completions.len() + driver.cancelled.len(), driver.flows.len());
    }

    #[test]
    fn shares_are_max_min_fair_at_every_moment(history in history()) {
        let mut driver = Driver::new(&history);
        for (now, step) in timed(&history) {
            driver.apply(now, step);
            assert_max_min(&mut driver.network);
        }
        while let Some(next) = driver.network.next_event_time() {
            driver.network.advance(next, &mut driver.completions);
            assert_max_min(&mut driver.network);
        }
    }

    #[test]
    fn rates_do_not_depend_on_the_past(history in history()) {
        let mut driver = Driver::new(&history);
        for (now, step) in timed(&history) {
            driver.apply(now, step);
            let mut fresh = Fabric::default();
            for link in &driver.network.fabric.links {
                fresh.add_link(link.capacity);
            }
            let mut lanes = Vec::new();
            for (slot, flow) in driver.network.flows.iter().enumerate() {
                if let Stage::Flowing(lane) = flow.stage {
                    let ends = driver.network.fabric.lanes[lane as usize].ends;
                    lanes.push((lane, fresh.join(now, ends, slot as u32, Volume::from_bytes(Bytes(1)))));
                }
            }
            for (lane, fresh_lane) in lanes {
                prop_assert_eq!(driver.network.fabric.rate(now, lane), fresh.rate(now, fresh_lane));
            }
        }
    }

    #[test]
    fn bytes_are_neither_lost_nor_made(history in history()) {
        let mut driver = Driver::new(&history);
        for (now, step) in timed(&history) {
            driver.apply(now, step);
        }
        driver.drain();
        prop_assert_eq!(driver.network.active_flows(), 0);
        let (mut sent, mut received) = (vec![0; driver.endpoints.len()], vec![0; driver.endpoints.len()]);
        let starts = history.steps.iter().filter_map(|&(_, step)| match step {
            Step::Start { from, to, bytes } => Some((from, to, bytes)),
            Step::Cancel { .. } | Step::SetBandwidth { .. } => None,
        });
        for (tag, (from, to, bytes)) in starts.enumerate() {
            let moved = match driver.cancelled.get(&tag) {
                Some(&moved) => moved,
                None => driver.completions.iter().find(|completion| completion.tag == tag as u64).unwrap().bytes,
            };
            prop_assert!(moved == bytes || (moved < bytes && driver.cancelled.contains_key(&tag)));
            sent[from] += moved.0;
            received[to] += moved.0;
        }
        for (index, &endpoint) in driver.endpoints.iter().enumerate() {
            prop_assert_eq!(driver.network.bytes_sent(endpoint), Bytes(sent[index]));
            prop_assert_eq!(driver.network.bytes_received(endpoint), Bytes(received[index]));
        }
    }

    #[test]
    fn the_order_of_what_starts_at_one_instant_does_not_matter(history in history(), order in any::<u64>()) {
        let starts: Vec<Step> =
            history.steps.iter().map(|&(_, step)| step).filter(|step| matches!(step, Step::Start { .. })).collect();
        let mut tags: Vec<usize> = (0..starts.len()).collect();
        let mut ends = [Vec::new(), Vec::new()];
        for ends in &mut ends {
            let mut driver = Driver::new(&history);
            for &tag in &tags {
                let Step::Start { from, to, bytes } = starts[tag] else { unreachable!() };
                let (from, to) = (driver.endpoints[from], driver.endpoints[to]);
                driver.network.start_flow(SimTime::ZERO, from, to, bytes, tag as u64);
            }
            driver.drain();
            ends.extend(driver.completions.iter().map(|completion| (completion.time, completion.tag)));
            prop_assert!(ends.is_sorted());
            tags.sort_by_key(|&tag| (tag as u64 + 1).wrapping_mul(order | 1));
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }

    #[test]
    fn a_network_read_back_continues_identically(history in history(), cut in 0_usize..60) {
        let mut straight = Driver::new(&history);
        let mut broken = straight.clone();
        for (index, (now, step)) in timed(&history).enumerate() {
            straight.apply(now, step);
            broken.apply(now, step);
            if index == cut {
                broken.network = postcard::from_bytes(&postcard::to_stdvec(&broken.network).unwrap()).unwrap();
                let text = serde_json::to_string(&broken.network).unwrap();
                broken.network = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&straight.network, &broken.network);
            }
        }
        straight.drain();
        broken.drain();
        prop_assert_eq!(straight, broken);
    }
}

fn megabits(rate: f64) -> Bandwidth {
    Bandwidth::from_bits_per_second(rate * 1e6)
}

fn seconds(text: &str) -> SimTime {
    SimTime::ZERO + text.parse::<Duration>().unwrap()
}

fn ends(network: &mut Network) -> Vec<(u64, SimTime)> {
    let mut completions = Vec::new();
    network.advance(seconds("1000000 s"), &mut completions);
    completions.iter().map(|completion| (completion.tag, completion.time)).collect()
}

#[test]
fn two_downloads_share_a_link_and_the_longer_gets_all_of_it_at_the_end() {
    let mut network = Network::new();
    let store = network.add_endpoint(Bandwidth::UNLIMITED, Bandwidth::UNLIMITED, Duration::ZERO);
    let peer = network.add_endpoint(megabits(8.0), megabits(16.0), Duration::ZERO);
    network.start_flow(SimTime::ZERO, store, peer, Bytes(1_000_000), 7);
    network.start_flow(SimTime::ZERO, store, peer, Bytes(3_000_000), 8);
    network.start_flow(SimTime::ZERO, peer, store, Bytes(1_000_000), 9);
    // 2 MB/s: both at 1 MB/s for 1 s, then 2 MB at 2 MB/s; the upload has its own link of 1 MB/s.
    assert_eq!(ends(&mut network), [(7, seconds("1 s")), (9, seconds("1 s")), (8, seconds("2 s"))]);
}

#[test]
fn latency_is_charged_once_and_occupies_no_link() {
    let mut network = Network::new();
    let store = network.add_endpoint(Bandwidth::UNLIMITED, Bandwidth::UNLIMITED, "10 ms".parse().unwrap());
    let near = network.add_endpoint(megabits(8.0), megabits(8.0), "5 ms".parse().unwrap());
    network.start_flow(SimTime::ZERO, store, near, Bytes(1_000_000), 1);
    network.start_flow(SimTime::ZERO, store, store, Bytes(1_000_000), 2);
    assert_eq!(network.next_event_time(), Some(seconds("15 ms")));
    assert_eq!(ends(&mut network), [(2, seconds("20 ms")), (1, seconds("1.015 s"))]);
}

#[test]
fn a_limited_store_gives_slow_peers_what_they_can_take_and_the_rest_to_the_fast() {
    let mut network = Network::new();
    let store = network.add_endpoint(megabits(100.0), Bandwidth::UNLIMITED, Duration::ZERO);
    let flows = [10.0, 60.0, 200.0].map(|rate| {
        let peer = network.add_endpoint(megabits(1.0), megabits(rate), Duration::ZERO);
        network.start_flow(SimTime::ZERO, store, peer, Bytes(1_000_000), 0)
    });
    let rates = flows.map(|flow| network.rate_of(flow).unwrap().bits_per_second() / 1e6);
    for (rate, expected) in rates.into_iter().zip([10.0, 45.0, 45.0]) {
        assert!((rate - expected).abs() < 1e-9);
    }
}

#[test]
fn a_cancelled_transfer_says_what_it_moved() {
    let mut network = Network::new();
    let store = network.add_endpoint(Bandwidth::UNLIMITED, Bandwidth::UNLIMITED, Duration::ZERO);
    let peer = network.add_endpoint(megabits(8.0), megabits(8.0), Duration::ZERO);
    let flow = network.start_flow(SimTime::ZERO, peer, store, Bytes(1_000_000), 1);
    assert_eq!(network.cancel_flow(seconds("250 ms"), flow), Bytes(250_000));
    assert_eq!(network.cancel_flow(seconds("250 ms"), flow), Bytes(0), "it is over");
    let instant = network.start_flow(seconds("1 s"), store, store, Bytes(5), 2);
    assert_eq!(network.next_event_time(), Some(seconds("1 s")));
    assert_eq!(network.cancel_flow(seconds("1 s"), instant), Bytes(5), "it has ended and is not reported");
    assert_eq!(ends(&mut network), []);
    assert_eq!(network.bytes_sent(peer), Bytes(250_000));
}

#[test]
fn a_link_may_become_unlimited_under_its_flows() {
    let mut network = Network::new();
    let store = network.add_endpoint(megabits(8.0), megabits(8.0), Duration::ZERO);
    let peer = network.add_endpoint(megabits(8.0), megabits(16.0), Duration::ZERO);
    network.start_flow(SimTime::ZERO, store, peer, Bytes(3_000_000), 1);
    network.set_bandwidth(seconds("1 s"), store, Bandwidth::UNLIMITED, megabits(8.0));
    assert_eq!(network.next_event_time(), Some(seconds("2 s")));
    network.set_bandwidth(seconds("1.5 s"), peer, megabits(8.0), Bandwidth::UNLIMITED);
    assert_eq!(ends(&mut network), [(1, seconds("1.5 s"))]);
}
