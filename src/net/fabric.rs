//! Links and lanes: who occupies what, how much of it has moved, and who ends next.
//!
//! A lane is all flows over the same limited links. Its volume V counts what each of its flows has moved since the
//! lane began: V = volume of its bottleneck's clock + offset. A flow that joins at V₀ with n bytes ends at V₀ + n. So
//! three heaps give the next flow: flows of a lane by their final V, lanes of a bottleneck by the clock at which their
//! first flow ends, links by the time at which their clock shows that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fixed::{Rate, Volume};
use super::heap::{Heap, Places};
use super::star::{Member, Star};
use crate::sim::SimTime;

/// What each of the flows with the same bottleneck has moved: volume + rate · (now − since).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Clock {
    pub volume: Volume,
    pub rate: Rate,
    pub since: SimTime,
}

impl Clock {
    fn at(&self, now: SimTime) -> Volume {
        self.volume + self.rate.over(now - self.since)
    }
}

/// A limited link; an unlimited one has a place in the list and no lanes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Link {
    pub capacity: Option<Rate>,
    /// Of all lanes.
    pub flows: u32,
    /// The lane of the flows whose other link is unlimited.
    pub solo: Option<u32>,
    /// Lanes to other limited links.
    pub lanes: Vec<u32>,
    /// Lanes to links that are not leaves.
    pub branches: u32,
    /// Of the lanes whose bottleneck this link is; stands if there are none.
    pub clock: Clock,
    /// Those lanes, by the clock at which their first flow ends.
    pub finishing: Heap<Volume>,
    /// If it is the hub of a star.
    pub star: Option<Box<Star>>,
    /// If it is a leaf of a star.
    pub member: Option<Member>,
    pub is_dirty: bool,
    pub is_stale: bool,
    /// Its place in the component that is being filled.
    pub visit: Option<u32>,
}

impl Link {
    /// Whether all its flows go to one other limited link.
    pub fn is_leaf(&self) -> bool {
        self.lanes.len() == 1 && self.solo.is_none()
    }

    pub fn limit(&self) -> Rate {
        self.capacity.expect("because only limited links carry lanes")
    }
}

/// All flows over the same limited links.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Lane {
    /// Uplink and downlink, if limited.
    pub ends: [Option<u32>; 2],
    /// Its place in the list of each of two limited ends.
    pub places: [u32; 2],
    /// By the volume of the lane at which they end.
    pub flows: Heap<Volume>,
    /// The link whose share is the rate of its flows; `None` only from a lane's first flow to the next sharing out.
    pub bottleneck: Option<u32>,
    /// Volume of the lane − clock of the bottleneck.
    pub offset: Volume,
}

impl Lane {
    pub fn len(&self) -> u32 {
        self.flows.len() as u32
    }

    /// The link at its other end, if limited.
    pub fn other(&self, link: u32) -> Option<u32> {
        if self.ends[0] == Some(link) { self.ends[1] } else { self.ends[0] }
    }
}

/// All links and lanes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Fabric {
    pub links: Vec<Link>,
    pub lanes: Vec<Lane>,
    free: Vec<u32>,
    /// Lanes with two limited ends, by uplink and downlink.
    pairs: BTreeMap<u64, u32>,
    /// Links by the time at which their first flow ends.
    next: Heap<SimTime>,
    flow_places: Places,
    lane_places: Places,
    next_places: Places,
    pub leaf_places: Places,
    /// Links of which flows, capacity or neighbours have changed since the last sharing out.
    pub dirty: Vec<u32>,
    /// Links of which the next end may have changed.
    pub stale: Vec<u32>,
}

impl Fabric {
    pub fn add_link(&mut self, capacity: Option<Rate>) {
        self.links.push(Link { capacity, ..Link::default() });
        self.next_places.reserve(self.links.len());
        self.leaf_places.reserve(self.links.len());
    }

    pub fn is_limited(&self, link: u32) -> bool {
        self.links[link as usize].capacity.is_some()
    }

    /// Changes a capacity; a link that becomes or was unlimited has to be empty.
    pub fn set_capacity(&mut self, link: u32, capacity: Option<Rate>) {
        self.disturb(link);
        let link = &mut self.links[link as usize];
        assert!(link.flows == 0 || (link.capacity.is_some() && capacity.is_some()), "only limited links carry lanes");
        link.capacity = capacity;
    }

    /// A flow with `left` to move begins to occupy its limited links; returns its lane.
    pub fn join(&mut self, now: SimTime, ends: [Option<u32>; 2], flow: u32, left: Volume) -> u32 {
        let id = self.lane_between(ends);
        self.flow_places.reserve(flow as usize + 1);
        let volume = self.volume(now, id);
        self.lanes[id as usize].flows.set(volume + left, flow, &mut self.flow_places);
        for end in ends.into_iter().flatten() {
            self.links[end as usize].flows += 1;
        }
        self.lane_changed(id);
        id
    }

    /// A flow occupies its links no more; returns what it has left to move.
    pub fn leave(&mut self, now: SimTime, lane: u32, flow: u32) -> Volume {
        let volume = self.volume(now, lane);
        let end = self.lanes[lane as usize].flows.remove(flow, &mut self.flow_places);
        self.flow_left(lane);
        end - volume
    }

    /// What a flow has left to move.
    pub fn remaining(&self, now: SimTime, lane: u32, flow: u32) -> Volume {
        self.lanes[lane as usize].flows.key(flow, &self.flow_places) - self.volume(now, lane)
    }

    /// The rate of each flow of a lane.
    pub fn rate(&mut self, now: SimTime, lane: u32) -> Rate {
        self.share_out(now);
        let bottleneck = self.lanes[lane as usize].bottleneck.expect("because it was just shared out");
        self.links[bottleneck as usize].clock.rate
    }

    /// When the next flow ends, if nothing changes.
    pub fn next_finish(&mut self, now: SimTime) -> Option<SimTime> {
        self.share_out(now);
        self.next.first().map(|(time, _)| time)
    }

    /// Takes out a flow that has moved all its bytes by now.
    pub fn pop_finished(&mut self, now: SimTime) -> Option<u32> {
        loop {
            let (time, link) = self.next.first()?;
            if time > now {
                return None;
            }
            let Link { finishing, clock, .. } = &self.links[link as usize];
            let volume = clock.at(now);
            match finishing.first() {
                Some((end, lane)) if end <= volume => {
                    let (_, flow) =
                        self.lanes[lane as usize].flows.pop(&mut self.flow_places).expect("because a lane has flows");
                    self.flow_left(lane);
                    return Some(flow);
                }
                // All that end now are out: the link is stale and gets its next time when it is shared out.
                _ => {
                    self.next.remove(link, &mut self.next_places);
                    self.mark_stale(link);
                }
            }
        }
    }

    /// The volume of a lane.
    pub fn volume(&self, now: SimTime, lane: u32) -> Volume {
        let lane = &self.lanes[lane as usize];
        lane.bottleneck.map_or(lane.offset, |link| self.links[link as usize].clock.at(now) + lane.offset)
    }

    /// Gives a lane its bottleneck.
    pub fn attach(&mut self, now: SimTime, id: u32, link: u32) {
        if self.lanes[id as usize].bottleneck == Some(link) {
            return;
        }
        let volume = self.volume(now, id);
        self.detach(id);
        let lane = &mut self.lanes[id as usize];
        lane.bottleneck = Some(link);
        lane.offset = volume - self.links[link as usize].clock.at(now);
        self.order_lane(id);
    }

    /// Gives the flows with this bottleneck their share.
    pub fn set_share(&mut self, now: SimTime, link: u32, share: Rate) {
        let clock = &mut self.links[link as usize].clock;
        if clock.rate != share {
            *clock = Clock { volume: clock.at(now), rate: share, since: now };
            self.mark_stale(link);
        }
    }

    /// Brings the order of the links up to date.
    pub fn refresh(&mut self) {
        while let Some(id) = self.stale.pop() {
            let link = &mut self.links[id as usize];
            link.is_stale = false;
            let next = link
                .finishing
                .first()
                .map(|(end, _)| link.clock.since + (end - link.clock.volume).time_at(link.clock.rate))
                .filter(|&time| time < SimTime::MAX);
            if let Some(time) = next {
                self.next.set(time, id, &mut self.next_places);
            } else if self.next_places.contains(id) {
                self.next.remove(id, &mut self.next_places);
            }
        }
    }

    fn lane_between(&mut self, ends: [Option<u32>; 2]) -> u32 {
        let known = match ends {
            [Some(up), Some(down)] => self.pairs.get(&pair(up, down)).copied(),
            [Some(link), None] | [None, Some(link)] => self.links[link as usize].solo,
            [None, None] => unreachable!("because a flow without a limited link needs no lane"),
        };
        known.unwrap_or_else(|| self.add_lane(ends))
    }

    fn add_lane(&mut self, ends: [Option<u32>; 2]) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.lanes.push(Lane::default());
            self.lane_places.reserve(self.lanes.len());
            self.lanes.len() as u32 - 1
        });
        for end in ends.into_iter().flatten() {
            self.leaf_ends(end);
        }
        let lane = &mut self.lanes[id as usize];
        (lane.ends, lane.bottleneck, lane.offset) = (ends, None, Volume::ZERO);
        match ends {
            [Some(up), Some(down)] => {
                for (place, end) in lane.places.iter_mut().zip([up, down]) {
                    let lanes = &mut self.links[end as usize].lanes;
                    *place = lanes.len() as u32;
                    lanes.push(id);
                }
                self.pairs.insert(pair(up, down), id);
                self.links[up as usize].branches += u32::from(!self.links[down as usize].is_leaf());
                self.links[down as usize].branches += u32::from(!self.links[up as usize].is_leaf());
            }
            [Some(link), None] | [None, Some(link)] => self.links[link as usize].solo = Some(id),
            [None, None] => unreachable!("because a lane has a limited end"),
        }
        id
    }

    fn remove_lane(&mut self, id: u32) {
        self.detach(id);
        let ends = self.lanes[id as usize].ends;
        match ends {
            [Some(up), Some(down)] => {
                self.links[up as usize].branches -= u32::from(!self.links[down as usize].is_leaf());
                self.links[down as usize].branches -= u32::from(!self.links[up as usize].is_leaf());
                self.pairs.remove(&pair(up, down));
                for (side, end) in [up, down].into_iter().enumerate() {
                    let place = self.lanes[id as usize].places[side];
                    let lanes = &mut self.links[end as usize].lanes;
                    lanes.swap_remove(place as usize);
                    if let Some(&moved) = lanes.get(place as usize) {
                        let moved = &mut self.lanes[moved as usize];
                        moved.places[usize::from(moved.ends[1] == Some(end))] = place;
                    }
                }
            }
            [Some(link), None] | [None, Some(link)] => self.links[link as usize].solo = None,
            [None, None] => unreachable!("because a lane has a limited end"),
        }
        for end in ends.into_iter().flatten() {
            self.leaf_begins(end);
        }
        self.free.push(id);
    }

    /// A link is about to get a lane: if it was a leaf, it will not be one.
    fn leaf_ends(&mut self, link: u32) {
        if let Some(neighbour) = self.only_neighbour(link) {
            self.links[neighbour as usize].branches += 1;
        }
    }

    /// A link has lost a lane: if it is a leaf now, it was none before.
    fn leaf_begins(&mut self, link: u32) {
        if let Some(neighbour) = self.only_neighbour(link) {
            self.links[neighbour as usize].branches -= 1;
        }
    }

    /// The link to which all flows of a leaf go.
    pub fn only_neighbour(&self, link: u32) -> Option<u32> {
        let leaf = &self.links[link as usize];
        if leaf.is_leaf() { self.lanes[leaf.lanes[0] as usize].other(link) } else { None }
    }

    /// A lane has lost one flow.
    fn flow_left(&mut self, lane: u32) {
        for end in self.lanes[lane as usize].ends.into_iter().flatten() {
            self.links[end as usize].flows -= 1;
        }
        self.lane_changed(lane);
        if self.lanes[lane as usize].flows.is_empty() {
            self.remove_lane(lane);
        }
    }

    fn lane_changed(&mut self, lane: u32) {
        self.order_lane(lane);
        for end in self.lanes[lane as usize].ends.into_iter().flatten() {
            self.disturb(end);
        }
    }

    /// Marks a link for the next sharing out.
    fn disturb(&mut self, id: u32) {
        self.withdraw(id);
        let link = &mut self.links[id as usize];
        if !link.is_dirty {
            link.is_dirty = true;
            self.dirty.push(id);
        }
    }

    fn mark_stale(&mut self, id: u32) {
        let link = &mut self.links[id as usize];
        if !link.is_stale {
            link.is_stale = true;
            self.stale.push(id);
        }
    }

    /// Puts a lane where it belongs among those of its bottleneck.
    fn order_lane(&mut self, id: u32) {
        let lane = &self.lanes[id as usize];
        let Some(link) = lane.bottleneck else { return };
        let finishing = &mut self.links[link as usize].finishing;
        match lane.flows.first() {
            Some((end, _)) => finishing.set(end - lane.offset, id, &mut self.lane_places),
            None => drop(finishing.remove(id, &mut self.lane_places)),
        }
        self.mark_stale(link);
    }

    fn detach(&mut self, id: u32) {
        if let Some(link) = self.lanes[id as usize].bottleneck.take()
            && self.lane_places.contains(id)
        {
            self.links[link as usize].finishing.remove(id, &mut self.lane_places);
            self.mark_stale(link);
        }
    }
}

fn pair(up: u32, down: u32) -> u64 {
    u64::from(up) << 32 | u64::from(down)
}
