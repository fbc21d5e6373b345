//! Stars: one link, the hub, over which all flows of other links, the leaves, go.
//!
//! A leaf alone would give each of its n flows c = capacity / n. The hub gives λ to each flow whose leaf could give
//! more; a leaf that could not is saturated and takes n·c out of the hub:
//!
//! ```text
//! λ = (capacity of the hub − Σ_saturated n·c) / (flows of the hub − Σ_saturated n),   saturated ⇔ c ≤ λ
//! ```
//!
//! Filling saturates leaves by ascending c. In that order, "c is at most what the hub would give if this leaf and all
//! after it were open" holds for a first part of the leaves and for none after, so the boundary can be moved from where
//! it stood: a change costs as many steps as leaves change sides.

use serde::{Deserialize, Serialize};

use super::fabric::Fabric;
use super::fixed::Rate;
use super::heap::Heap;
use crate::sim::SimTime;

/// What a hub knows of its leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Star {
    /// Leaves that are the bottleneck of their flows, by descending c.
    saturated: Heap<Rate>,
    /// Leaves whose flows have the hub as bottleneck, by ascending c.
    open: Heap<Rate>,
    /// What saturated leaves take.
    taken: Rate,
    /// Flows of open leaves.
    open_flows: u32,
}

/// What a leaf adds to its star.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    hub: u32,
    is_saturated: bool,
    /// c: what the leaf alone would give each of its flows.
    share: Rate,
    flows: u32,
}

impl Star {
    fn add(&mut self, member: Member) {
        if member.is_saturated {
            self.taken += member.share.of_all(member.flows);
        } else {
            self.open_flows += member.flows;
        }
    }

    fn subtract(&mut self, member: Member) {
        if member.is_saturated {
            self.taken -= member.share.of_all(member.flows);
        } else {
            self.open_flows -= member.flows;
        }
    }
}

impl Fabric {
    /// The hub of the star that a link is part of, be it a star of one link; `None` if its component is no star.
    pub(super) fn hub(&self, link: u32) -> Option<u32> {
        let hub = match self.only_neighbour(link) {
            // Two leaves of each other: the one that is the hub already stays it.
            Some(neighbour) if self.links[neighbour as usize].is_leaf() => {
                let (first, second) = (link.min(neighbour), link.max(neighbour));
                let is_hub = |link: u32| self.links[link as usize].star.is_some();
                if is_hub(second) && !is_hub(first) { second } else { first }
            }
            Some(neighbour) => neighbour,
            None => link,
        };
        (self.links[hub as usize].branches == 0).then_some(hub)
    }

    /// Makes a link part of the star around `hub`; leaves that may have changed sides are appended to `moved`.
    pub(super) fn enlist(&mut self, link: u32, hub: u32, moved: &mut Vec<u32>) {
        if self.links[hub as usize].star.is_none() {
            self.withdraw(hub);
            self.links[hub as usize].star = Some(Box::default());
            for index in 0..self.links[hub as usize].lanes.len() {
                let lane = self.links[hub as usize].lanes[index];
                let leaf = self.lanes[lane as usize].other(hub).expect("because such lanes have two limited ends");
                self.add_leaf(leaf, hub, moved);
            }
        } else if link != hub && self.links[link as usize].member.is_none() {
            self.add_leaf(link, hub, moved);
        }
    }

    /// Takes a leaf out of its star, if it is in one: what it added is not true any more.
    pub(super) fn withdraw(&mut self, link: u32) {
        let Some(member) = self.links[link as usize].member.take() else { return };
        let star = self.links[member.hub as usize].star.as_mut().expect("because a leaf's hub has a star");
        star.subtract(member);
        if member.is_saturated {
            star.saturated.remove(link, &mut self.leaf_places);
        } else {
            star.open.remove(link, &mut self.leaf_places);
        }
    }

    /// Moves the boundary between saturated and open leaves to where it belongs, and gives the hub its share.
    pub(super) fn balance(&mut self, now: SimTime, hub: u32, moved: &mut Vec<u32>) {
        let link = &self.links[hub as usize];
        let (capacity, solo) = (link.limit(), link.solo);
        let solo_flows = solo.map_or(0, |lane| self.lanes[lane as usize].len());
        let mut star = self.links[hub as usize].star.take().expect("because a star is balanced");
        while let Some((_, leaf)) = star.saturated.first() {
            let mut member = self.member(leaf);
            star.subtract(member);
            let is_right = member.share.of_all(star.open_flows + solo_flows + member.flows) <= capacity - star.taken;
            if !is_right {
                star.saturated.pop(&mut self.leaf_places);
                star.open.set(member.share, leaf, &mut self.leaf_places);
                member.is_saturated = false;
                self.links[leaf as usize].member = Some(member);
                moved.push(leaf);
            }
            star.add(member);
            if is_right {
                break;
            }
        }
        while let Some((share, leaf)) = star.open.first()
            && share.of_all(star.open_flows + solo_flows) <= capacity - star.taken
        {
            let mut member = self.member(leaf);
            star.subtract(member);
            star.open.pop(&mut self.leaf_places);
            star.saturated.set(share.descending(), leaf, &mut self.leaf_places);
            member.is_saturated = true;
            self.links[leaf as usize].member = Some(member);
            star.add(member);
            moved.push(leaf);
        }
        let flows = star.open_flows + solo_flows;
        let share = if flows == 0 { Rate::ZERO } else { (capacity - star.taken).shared_by(flows) };
        self.links[hub as usize].star = Some(star);
        self.set_share(now, hub, share);
        if let Some(lane) = solo {
            self.attach(now, lane, hub);
        }
    }

    /// Gives a leaf's lane the bottleneck of its side.
    pub(super) fn take_side(&mut self, now: SimTime, leaf: u32) {
        let member = self.member(leaf);
        let lane = self.links[leaf as usize].lanes[0];
        if member.is_saturated {
            self.set_share(now, leaf, member.share);
            self.attach(now, lane, leaf);
        } else {
            self.attach(now, lane, member.hub);
            self.set_share(now, leaf, Rate::ZERO);
        }
    }

    fn member(&self, leaf: u32) -> Member {
        self.links[leaf as usize].member.expect("because the leaf is in a star")
    }

    fn add_leaf(&mut self, leaf: u32, hub: u32, moved: &mut Vec<u32>) {
        self.withdraw(leaf);
        let link = &mut self.links[leaf as usize];
        link.star = None;
        let flows = link.flows;
        let share = link.limit().shared_by(flows);
        let star = self.links[hub as usize].star.as_mut().expect("because leaves are added to a star");
        // The sides stay apart: no saturated leaf could give more than an open one.
        let is_saturated = star.saturated.first().is_some_and(|(most, _)| share.descending() >= most);
        let member = Member { hub, is_saturated, share, flows };
        star.add(member);
        if is_saturated {
            star.saturated.set(share.descending(), leaf, &mut self.leaf_places);
        } else {
            star.open.set(share, leaf, &mut self.leaf_places);
        }
        self.links[leaf as usize].member = Some(member);
        moved.push(leaf);
    }
}
