//! Sharing out: from what has changed to the share of every link concerned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::fabric::Fabric;
use super::fixed::Rate;
use crate::sim::SimTime;

/// What progressive filling knows of a link of the component.
struct Filling {
    link: u32,
    /// Capacity that flows with other bottlenecks leave.
    left: Rate,
    /// Flows without a bottleneck so far.
    flows: u32,
    /// left / flows.
    share: Rate,
    is_full: bool,
}

impl Fabric {
    /// Gives everything that has changed since the last time its fair share from now on.
    pub(super) fn share_out(&mut self, now: SimTime) {
        if !self.dirty.is_empty() {
            let dirty = std::mem::take(&mut self.dirty);
            let (mut moved, mut hubs, mut filled) = (Vec::new(), Vec::new(), Vec::new());
            for &id in &dirty {
                let link = &mut self.links[id as usize];
                link.is_dirty = false;
                if link.flows == 0 {
                    self.set_share(now, id, Rate::ZERO);
                } else if link.lanes.is_empty() && link.star.is_none() {
                    let share = link.limit().shared_by(link.flows);
                    let solo = link.solo.expect("because flows without other lanes are in the solo lane");
                    self.set_share(now, id, share);
                    self.attach(now, solo, id);
                } else if link.visit.is_none() {
                    match self.hub(id) {
                        Some(hub) => {
                            self.enlist(id, hub, &mut moved);
                            hubs.push(hub);
                        }
                        None => self.fill(now, id, &mut filled),
                    }
                }
            }
            hubs.sort_unstable();
            hubs.dedup();
            for hub in hubs {
                self.balance(now, hub, &mut moved);
            }
            for leaf in moved {
                self.take_side(now, leaf);
            }
            for link in filled {
                self.links[link as usize].visit = None;
            }
            self.dirty = dirty;
            self.dirty.clear();
        }
        self.refresh();
    }

    /// Progressive filling of the component of a link: all its flows grow together until a link is full; its flows stay
    /// as they are and the others grow on. Of links that are full at the same share the one with the least number
    /// comes first.
    ///
    /// Links of the component are appended to `filled`, and visited.
    fn fill(&mut self, now: SimTime, start: u32, filled: &mut Vec<u32>) {
        let mut component = self.component(start);
        let mut queue: BinaryHeap<_> = component.iter().map(|filling| Reverse((filling.share, filling.link))).collect();
        while let Some(Reverse((share, id))) = queue.pop() {
            let place = self.place(id);
            let filling = &mut component[place];
            if filling.is_full || filling.flows == 0 || filling.share != share {
                continue;
            }
            filling.is_full = true;
            self.set_share(now, id, share);
            if let Some(solo) = self.links[id as usize].solo {
                self.attach(now, solo, id);
            }
            for index in 0..self.links[id as usize].lanes.len() {
                let lane = self.links[id as usize].lanes[index];
                let other = self.lanes[lane as usize].other(id).expect("because such lanes have two limited ends");
                let filling = &mut component[self.place(other)];
                if filling.is_full {
                    continue;
                }
                let flows = self.lanes[lane as usize].len();
                filling.left -= share.of_all(flows);
                filling.flows -= flows;
                if filling.flows > 0 {
                    filling.share = filling.left.shared_by(filling.flows);
                    queue.push(Reverse((filling.share, other)));
                }
                self.attach(now, lane, id);
            }
        }
        for filling in component {
            if !filling.is_full {
                self.set_share(now, filling.link, Rate::ZERO);
            }
            filled.push(filling.link);
        }
    }

    /// All links that share flows with `start`, directly or through others. Stars among them are dissolved.
    fn component(&mut self, start: u32) -> Vec<Filling> {
        let mut component = Vec::new();
        self.visit(start, &mut component);
        let mut next = 0;
        while let Some(&Filling { link, .. }) = component.get(next) {
            for index in 0..self.links[link as usize].lanes.len() {
                let lane = self.links[link as usize].lanes[index];
                let other = self.lanes[lane as usize].other(link).expect("because such lanes have two limited ends");
                self.visit(other, &mut component);
            }
            next += 1;
        }
        for filling in &component {
            self.withdraw(filling.link);
        }
        for filling in &component {
            self.links[filling.link as usize].star = None;
        }
        component
    }

    fn visit(&mut self, id: u32, component: &mut Vec<Filling>) {
        let link = &mut self.links[id as usize];
        if link.visit.is_none() {
            link.visit = Some(component.len() as u32);
            let (left, flows) = (link.limit(), link.flows);
            component.push(Filling { link: id, left, flows, share: left.shared_by(flows), is_full: false });
        }
    }

    fn place(&self, link: u32) -> usize {
        self.links[link as usize].visit.expect("because the link is in the component") as usize
    }
}
