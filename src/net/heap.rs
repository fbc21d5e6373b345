//! A binary heap of which any entry can be found by its identifier, changed and removed.
//!
//! The places of the entries are kept by the caller, so that many heaps whose identifiers come from one set, each of
//! which is in at most one heap, share one array.

use serde::{Deserialize, Serialize};

/// The place of what is in no heap.
const NOWHERE: u32 = u32::MAX;

/// Where each identifier stands in its heap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Places(Vec<u32>);

impl Places {
    /// Makes room for identifiers below `end`.
    pub fn reserve(&mut self, end: usize) {
        if self.0.len() < end {
            self.0.resize(end, NOWHERE);
        }
    }

    /// Whether an identifier is in a heap.
    pub fn contains(&self, id: u32) -> bool {
        self.0[id as usize] != NOWHERE
    }
}

/// Identifiers by ascending key. The order among equal keys is fixed by the operations done, and otherwise arbitrary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Heap<K> {
    entries: Vec<(K, u32)>,
}

impl<K> Default for Heap<K> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord + Copy> Heap<K> {
    pub fn first(&self) -> Option<(K, u32)> {
        self.entries.first().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The key of an identifier that is in this heap.
    pub fn key(&self, id: u32, places: &Places) -> K {
        self.entries[places.0[id as usize] as usize].0
    }

    /// Inserts an identifier, or moves it to a new key if it is in this heap already.
    pub fn set(&mut self, key: K, id: u32, places: &mut Places) {
        let place = places.0[id as usize];
        if place == NOWHERE {
            self.entries.push((key, id));
            self.sift_up(self.entries.len() - 1, (key, id), places);
        } else {
            self.settle(place as usize, (key, id), places);
        }
    }

    /// Removes an identifier that is in this heap.
    pub fn remove(&mut self, id: u32, places: &mut Places) -> K {
        let place = std::mem::replace(&mut places.0[id as usize], NOWHERE) as usize;
        let (key, found) = self.entries[place];
        assert_eq!(found, id, "an identifier is removed from the heap that it is in");
        let last = self.entries.pop().expect("because it holds the identifier");
        if place < self.entries.len() {
            self.settle(place, last, places);
        }
        key
    }

    /// Removes the identifier with the least key.
    pub fn pop(&mut self, places: &mut Places) -> Option<(K, u32)> {
        let first = self.first()?;
        self.remove(first.1, places);
        Some(first)
    }

    /// Puts an entry where it belongs, given that the place is free and all others are in order.
    fn settle(&mut self, place: usize, entry: (K, u32), places: &mut Places) {
        if place > 0 && entry.0 < self.entries[(place - 1) / 2].0 {
            self.sift_up(place, entry, places);
        } else {
            self.sift_down(place, entry, places);
        }
    }

    fn sift_up(&mut self, mut hole: usize, entry: (K, u32), places: &mut Places) {
        while hole > 0 {
            let parent = (hole - 1) / 2;
            if self.entries[parent].0 <= entry.0 {
                break;
            }
            self.put(hole, self.entries[parent], places);
            hole = parent;
        }
        self.put(hole, entry, places);
    }

    fn sift_down(&mut self, mut hole: usize, entry: (K, u32), places: &mut Places) {
        loop {
            let mut child = 2 * hole + 1;
            if child >= self.entries.len() {
                break;
            }
            if child + 1 < self.entries.len() && self.entries[child + 1].0 < self.entries[child].0 {
                child += 1;
            }
            if entry.0 <= self.entries[child].0 {
                break;
            }
            self.put(hole, self.entries[child], places);
            hole = child;
        }
        self.put(hole, entry, places);
    }

    fn put(&mut self, place: usize, entry: (K, u32), places: &mut Places) {
        self.entries[place] = entry;
        places.0[entry.1 as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_heap_agrees_with_a_map(operations in prop::collection::vec((0_u8..4, 0_u32..20, 0_u64..50), 0..300)) {
            let (mut heap, mut places, mut oracle) = (Heap::default(), Places::default(), BTreeMap::new());
            places.reserve(20);
            for (operation, id, key) in operations {
                match operation {
                    0 | 1 => {
                        heap.set(key, id, &mut places);
                        oracle.insert(id, key);
                    }
                    2 if places.contains(id) => {
                        prop_assert_eq!(heap.key(id, &places), oracle[&id]);
                        prop_assert_eq!(Some(heap.remove(id, &mut places)), oracle.remove(&id));
                    }
                    2 => prop_assert!(!oracle.contains_key(&id)),
                    _ => {
                        let least = oracle.values().min().copied();
                        let popped = heap.pop(&mut places);
                        prop_assert_eq!(popped.map(|(key, _)| key), least);
                        if let Some((key, id)) = popped {
                            prop_assert_eq!(oracle.remove(&id), Some(key));
                        }
                    }
                }
                prop_assert_eq!(heap.len(), oracle.len());
            }
        }
    }
}
