//! What is still to happen, in the order in which it will.
//!
//! A 4-ary heap of small keys; the events themselves stay where they are in a slab until they are taken out.
//! Cancelling leaves the key in the heap and remembers it: a cancelled event is dropped when it comes to the top, or
//! when half of the heap is cancelled.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::SimTime;

/// Children of a node: with 4 the children of a node are 96 bytes that lie together, and the heap is half as deep.
const ARITY: usize = 4;

/// A heap smaller than this is not worth sweeping.
const SWEEP_MIN: usize = 64;

/// The place of a scheduled event in the order of all events of a run.
///
/// Keys are ordered as their events are: by time, then first scheduled first. No two events of a run share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventKey {
    time: SimTime,
    sequence: u64,
}

impl EventKey {
    pub(super) const fn new(time: SimTime, sequence: u64) -> Self {
        Self { time, sequence }
    }

    /// When the event happens.
    #[must_use]
    pub const fn time(self) -> SimTime {
        self.time
    }

    /// The how-manieth event of the run it is, counted as they were scheduled.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        self.sequence
    }

    /// The order as one number, which compares without a branch.
    const fn rank(self) -> u128 {
        (self.time.as_nanos() as u128) << 64 | self.sequence as u128
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    key: EventKey,
    slot: u32,
}

/// Scheduled events.
///
/// - [`pop`](Self::pop) gives them by ascending time, and those of one time in the order in which they were pushed.
/// - Nothing can be pushed before the time of the event that was popped last.
/// - Push and pop are O(log n), a look at the next time is O(1), cancelling is O(log n) amortised.
/// - A queue that is written and read back goes on exactly like the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventQueue<E> {
    heap: Vec<Entry>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    /// Keys that were cancelled and whose time has not come; a key stays until then, so that cancelling twice is seen.
    cancelled: BTreeSet<EventKey>,
    /// Keys of the heap that are not cancelled.
    live: usize,
    next_sequence: u64,
    last: Option<EventKey>,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> EventQueue<E> {
    /// A queue of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            cancelled: BTreeSet::new(),
            live: 0,
            next_sequence: 0,
            last: None,
        }
    }

    /// Schedules an event; it happens after all that were scheduled for the same time before.
    ///
    /// # Panics
    /// If `time` lies before the event that was popped last.
    pub fn push(&mut self, time: SimTime, event: E) -> EventKey {
        let key = EventKey::new(time, self.next_sequence);
        self.insert(key, event);
        key
    }

    /// Schedules an event under a key that an outbox has given out.
    pub(super) fn insert(&mut self, key: EventKey, event: E) {
        assert!(self.last.is_none_or(|last| key.time >= last.time), "an event at {} lies in the past", key.time);
        assert!(key.sequence >= self.next_sequence, "sequence number {} is given out once", key.sequence);
        self.next_sequence = key.sequence + 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(event);
            slot
        } else {
            let slot = u32::try_from(self.slots.len()).expect("because fewer than 2^32 events wait at a time");
            self.slots.push(Some(event));
            slot
        };
        self.live += 1;
        let entry = Entry { key, slot };
        self.heap.push(entry);
        self.sift_up(self.heap.len() - 1, entry);
    }

    /// Takes out the next event.
    pub fn pop(&mut self) -> Option<(EventKey, E)> {
        let Entry { key, slot } = *self.heap.first()?;
        let event = self.remove_first(slot);
        self.live -= 1;
        self.last = Some(key);
        if !self.cancelled.is_empty() {
            while self.cancelled.first().is_some_and(|&cancelled| cancelled < key) {
                self.cancelled.pop_first();
            }
            self.uncover();
        }
        Some((key, event))
    }

    /// Makes an event not happen; says whether it was still to happen.
    ///
    /// The key has to be one that this queue has given out.
    pub fn cancel(&mut self, key: EventKey) -> bool {
        let is_past = self.last.is_some_and(|last| key <= last);
        if is_past || key.sequence >= self.next_sequence || !self.cancelled.insert(key) {
            return false;
        }
        self.live -= 1;
        self.uncover();
        if self.heap.len() >= SWEEP_MIN && self.live < self.heap.len() / 2 {
            self.sweep();
        }
        true
    }

    /// When the next event happens.
    #[must_use]
    pub fn next_time(&self) -> Option<SimTime> {
        self.heap.first().map(|entry| entry.key.time)
    }

    /// Events that are to happen.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.live
    }

    /// Whether nothing is to happen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The sequence number of the next event to be scheduled: how many were scheduled so far.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Drops cancelled events from the top, so that the first entry is always one that will happen.
    fn uncover(&mut self) {
        while let Some(&Entry { key, slot }) = self.heap.first() {
            if !self.cancelled.contains(&key) {
                break;
            }
            drop(self.remove_first(slot));
        }
    }

    /// Drops all cancelled events and orders the rest anew.
    fn sweep(&mut self) {
        let (slots, free, cancelled) = (&mut self.slots, &mut self.free, &self.cancelled);
        self.heap.retain(|entry| {
            let is_live = !cancelled.contains(&entry.key);
            if !is_live {
                slots[entry.slot as usize] = None;
                free.push(entry.slot);
            }
            is_live
        });
        // A sorted array is a heap.
        self.heap.sort_unstable_by_key(|entry| entry.key.rank());
    }

    fn remove_first(&mut self, slot: u32) -> E {
        let last = self.heap.pop().expect("because there is a first entry");
        if !self.heap.is_empty() {
            self.sift_down(last);
        }
        self.free.push(slot);
        self.slots[slot as usize].take().expect("because an entry's slot is full")
    }

    fn sift_up(&mut self, mut hole: usize, entry: Entry) {
        let rank = entry.key.rank();
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.heap[parent].key.rank() <= rank {
                break;
            }
            self.heap[hole] = self.heap[parent];
            hole = parent;
        }
        self.heap[hole] = entry;
    }

    /// Fills the hole at the top with `entry`, which comes from the bottom and mostly belongs there: so the hole goes
    /// all the way down first, and the entry then up from there.
    fn sift_down(&mut self, entry: Entry) {
        let mut hole = 0;
        loop {
            let first = hole * ARITY + 1;
            let end = (first + ARITY).min(self.heap.len());
            if first >= end {
                break;
            }
            let mut least = first;
            let mut least_rank = self.heap[first].key.rank();
            for child in first + 1..end {
                let rank = self.heap[child].key.rank();
                if rank < least_rank {
                    (least, least_rank) = (child, rank);
                }
            }
            self.heap[hole] = self.heap[least];
            hole = least;
        }
        self.sift_up(hole, entry);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Operation {
        Push(u64),
        Pop,
        Cancel(usize),
        WriteAndRead,
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            6 => (0_u64..20).prop_map(Operation::Push),
            3 => Just(Operation::Pop),
            3 => any::<usize>().prop_map(Operation::Cancel),
            1 => Just(Operation::WriteAndRead),
        ]
    }

    proptest! {
        #[test]
        fn the_queue_agrees_with_a_sorted_map(operations in prop::collection::vec(operation(), 0..600)) {
            let mut queue = EventQueue::new();
            let mut oracle = BTreeMap::new();
            let mut keys = Vec::new();
            let mut now = 0;
            for operation in operations {
                match operation {
                    Operation::Push(delay) => {
                        let payload = keys.len();
                        let key = queue.push(SimTime::from_nanos(now + delay), payload);
                        oracle.insert((now + delay, key.sequence()), payload);
                        keys.push(key);
                    }
                    Operation::Pop => {
                        let popped = queue.pop().map(|(key, event)| ((key.time().as_nanos(), key.sequence()), event));
                        prop_assert_eq!(popped, oracle.pop_first());
                        now = popped.map_or(now, |((time, _), _)| time);
                    }
                    Operation::Cancel(index) if !keys.is_empty() => {
                        let key = keys[index % keys.len()];
                        let was_pending = oracle.remove(&(key.time().as_nanos(), key.sequence())).is_some();
                        prop_assert_eq!(queue.cancel(key), was_pending);
                    }
                    Operation::Cancel(_) => {}
                    Operation::WriteAndRead => {
                        let copy = postcard::from_bytes(&postcard::to_stdvec(&queue).unwrap()).unwrap();
                        prop_assert_eq!(&queue, &copy);
                        queue = copy;
                    }
                }
                prop_assert_eq!(queue.len(), oracle.len());
                prop_assert_eq!(queue.next_time().map(SimTime::as_nanos), oracle.keys().next().map(|&(time, _)| time));
            }
        }
    }

    #[test]
    fn ties_happen_first_in_first_out() {
        let mut queue = EventQueue::new();
        for event in 0..100 {
            queue.push(SimTime::from_nanos(7), event);
        }
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn cancelled_events_do_not_fill_the_memory() {
        let mut queue = EventQueue::new();
        let mut keys = Vec::new();
        for at in 0..10_000 {
            keys.push(queue.push(SimTime::from_nanos(at), ()));
        }
        for key in keys.drain(..).skip(1) {
            assert!(queue.cancel(key));
        }
        assert_eq!(queue.len(), 1);
        assert!(queue.heap.len() <= SWEEP_MIN);
    }

    #[test]
    #[should_panic(expected = "lies in the past")]
    fn the_past_cannot_be_scheduled() {
        let mut queue = EventQueue::new();
        queue.push(SimTime::from_nanos(5), ());
        queue.pop();
        queue.push(SimTime::from_nanos(4), ());
    }
}
