//! One training for cells that ask the same of it.
//!
//! Cells that differ only in what the clock charges (peers' devices, links and presence, the network, the deployment)
//! may still ask the same of learning: the same peers doing the same steps, in the same rounds, combined with the same
//! others. The clock runs alone first, which costs little, and says what each cell asks ([`Trace`]); of those that ask the
//! same the first trains, and the others follow it. A follower's run directory has the bytes that its own training would
//! have given it; if clock and rows do not bear that out, it trains itself.
//!
//! Scenarios with validators or attackers are not shared: what they do depends on more than a trace holds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::Work;
use super::one::Standing;
use crate::host::interrupt::Interrupt;
use crate::host::plan;
use crate::protocol::Swarm;
use crate::protocol::script::Trace;
use crate::record::sweep::CellStatus;
use crate::scenario::{Scenario, Training};
use crate::sim::Kernel;

/// What the clock charges, and nothing else: learning hears of it through the trace alone.
const CHARGED: [&str; 3] = ["deployment", "peers", "network"];
/// What learning depends on.
const LEARNT: [&str; 10] =
    ["name", "seed", "rounds", "training", "model", "initial_model", "data", "batch", "evaluation", "protocol"];

/// Whom a work follows, and what both ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Following {
    /// The index of the work that trains.
    pub(super) leader: usize,
    pub(super) trace: u64,
}

/// For each work whom it follows, if anybody.
pub(super) fn followings(
    works: &[Work],
    standings: &[Standing],
    threads: usize,
    interrupt: &Interrupt,
) -> Vec<Option<Following>> {
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, work) in works.iter().enumerate() {
        if let Some(key) = learning_key(&work.scenario) {
            alike.entry(key).or_default().push(index);
        }
    }
    let is_done = |index: &usize| standings[*index].status == CellStatus::Finished;
    // Of those that are alike some have to be done yet, and there has to be somebody to follow.
    alike.retain(|_, members| members.len() > 1 && !members.iter().all(is_done));
    let candidates: Vec<usize> = alike.values().flatten().copied().collect();
    let traces = traces(works, &candidates, threads, interrupt);
    let mut followings = vec![None; works.len()];
    for members in alike.values() {
        let mut same: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for member in members {
            if let Some(trace) = traces.get(member) {
                same.entry(*trace).or_default().push(*member);
            }
        }
        for (trace, members) in same {
            let leader = members.iter().copied().find(is_done).unwrap_or(members[0]);
            for member in members.into_iter().filter(|member| *member != leader) {
                followings[member] = Some(Following { leader, trace });
            }
        }
    }
    followings
}

/// What learning depends on besides the trace; `None` where sharing is not for this scenario.
fn learning_key(scenario: &Scenario) -> Option<String> {
    if scenario.training == Training::None {
        return None;
    }
    let tree = serde_json::to_value(scenario).expect("because a scenario is plain data with string keys");
    let Value::Object(mut fields) = tree else { unreachable!("because a scenario is a map") };
    CHARGED.iter().for_each(|name| drop(fields.shift_remove(*name)));
    let is_known = |(name, value): (&String, &Value)| {
        // A field that this list does not know may be of an actor that learning depends on.
        LEARNT.contains(&name.as_str()) || value.is_null() || value.as_array().is_some_and(Vec::is_empty)
    };
    fields.iter().all(is_known).then(|| Value::Object(fields).to_string())
}

/// What each candidate asks of learning, by the clock alone; nothing for those whose swarm dies out.
fn traces(works: &[Work], candidates: &[usize], threads: usize, interrupt: &Interrupt) -> BTreeMap<usize, u64> {
    let next = AtomicUsize::new(0);
    let traces = Mutex::new(BTreeMap::new());
    let worker = || {
        while let Some(&index) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(trace) = trace(&works[index].scenario, interrupt) {
                traces.lock().expect("because no worker panics with it").insert(index, trace);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(candidates.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    traces.into_inner().expect("because no worker panicked")
}

fn trace(scenario: &Scenario, interrupt: &Interrupt) -> Option<u64> {
    let mut kernel = Kernel::new();
    let mut swarm = Swarm::scripted(plan::swarm_spec(scenario, false), None);
    kernel.prepare(|outbox| swarm.start(outbox));
    while !swarm.is_finished() && kernel.step(&mut swarm) {
        if interrupt.is_requested() {
            return None;
        }
    }
    if swarm.is_finished() { swarm.trace().map(Trace::value) } else { None }
}
