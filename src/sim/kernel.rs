//! The loop that turns events into state transitions.

use serde::{Deserialize, Serialize};

use super::{Audit, Audited, EventKey, EventQueue, SimTime};
use crate::quantity::Duration;

/// A state that events change.
pub trait World {
    /// What can happen to it.
    type Event: Audited;

    /// The state transition: changes `self` and writes what shall follow into `outbox`.
    fn handle(&mut self, now: SimTime, event: Self::Event, outbox: &mut Outbox<Self::Event>);
}

/// What a state transition wants to happen.
///
/// A test makes its own, passes it to the transition, and reads [`scheduled`](Self::scheduled) and
/// [`cancelled`](Self::cancelled).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox<E> {
    now: SimTime,
    next_sequence: u64,
    scheduled: Vec<(EventKey, E)>,
    cancelled: Vec<EventKey>,
}

impl<E> Outbox<E> {
    /// An empty one at a time.
    #[must_use]
    pub const fn new(now: SimTime) -> Self {
        Self { now, next_sequence: 0, scheduled: Vec::new(), cancelled: Vec::new() }
    }

    /// The present.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// Schedules an event; one for the present happens after everything that is already scheduled for it.
    ///
    /// # Panics
    /// If `time` lies in the past.
    pub fn at(&mut self, time: SimTime, event: E) -> EventKey {
        assert!(time >= self.now, "an event at {time} lies in the past of {}", self.now);
        let key = EventKey::new(time, self.next_sequence);
        self.next_sequence += 1;
        self.scheduled.push((key, event));
        key
    }

    /// Schedules an event after a delay.
    pub fn after(&mut self, delay: Duration, event: E) -> EventKey {
        self.at(self.now + delay, event)
    }

    /// Makes an event not happen. Nothing is changed if it has happened already, or was cancelled before.
    pub fn cancel(&mut self, key: EventKey) {
        self.cancelled.push(key);
    }

    /// Events scheduled so far and not cancelled again, in the order in which they were scheduled.
    pub fn scheduled(&self) -> impl Iterator<Item = (SimTime, &E)> {
        self.scheduled.iter().filter(|(key, _)| !self.cancelled.contains(key)).map(|(key, event)| (key.time(), event))
    }

    /// Keys cancelled so far, in the order in which they were.
    #[must_use]
    pub fn cancelled(&self) -> &[EventKey] {
        &self.cancelled
    }
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        Self::new(SimTime::ZERO)
    }
}

/// The clock, the queue and the audit of a run.
///
/// - Events are dispatched by ascending (time, sequence); time never goes back.
/// - Each dispatched event enters the audit with its time and its sequence number, before it is handled.
/// - Between two steps the kernel is plain data: written, read back and continued it does the same as the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "E: Serialize", deserialize = "E: Deserialize<'de>"))]
pub struct Kernel<E> {
    now: SimTime,
    queue: EventQueue<E>,
    audit: Audit,
    dispatched: u64,
    /// Empty between two steps; kept for its memory.
    #[serde(skip)]
    outbox: Outbox<E>,
}

impl<E> Default for Kernel<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Kernel<E> {
    /// A kernel at the start of time with nothing to do.
    #[must_use]
    pub fn new() -> Self {
        Self {
            now: SimTime::ZERO,
            queue: EventQueue::new(),
            audit: Audit::default(),
            dispatched: 0,
            outbox: Outbox::new(SimTime::ZERO),
        }
    }

    /// The time of the event dispatched last.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// The hash over all events dispatched so far.
    #[must_use]
    pub const fn audit(&self) -> Audit {
        self.audit
    }

    /// Events dispatched so far.
    #[must_use]
    pub const fn dispatched(&self) -> u64 {
        self.dispatched
    }

    /// Events that are to happen.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.queue.len()
    }

    /// When the next event happens.
    #[must_use]
    pub fn next_time(&self) -> Option<SimTime> {
        self.queue.next_time()
    }

    /// Lets something other than an event, such as the start of a run, write into the outbox at the present time.
    pub fn prepare<R>(&mut self, write: impl FnOnce(&mut Outbox<E>) -> R) -> R {
        self.outbox.now = self.now;
        self.outbox.next_sequence = self.queue.next_sequence();
        let result = write(&mut self.outbox);
        self.empty_outbox();
        result
    }

    /// Dispatches the next event; `false` if there is none.
    pub fn step<W: World<Event = E>>(&mut self, world: &mut W) -> bool
    where
        E: Audited,
    {
        let Some((key, event)) = self.queue.pop() else { return false };
        self.now = key.time();
        self.dispatched += 1;
        self.audit.u64(key.time().as_nanos());
        self.audit.u64(key.sequence());
        event.feed(&mut self.audit);
        let now = self.now;
        self.prepare(|outbox| world.handle(now, event, outbox));
        true
    }

    /// Dispatches events as long as there are any and `is_wanted` says so of the world before each.
    ///
    /// Returns how many it were.
    pub fn run_while<W: World<Event = E>>(&mut self, world: &mut W, mut is_wanted: impl FnMut(&W) -> bool) -> u64
    where
        E: Audited,
    {
        let before = self.dispatched;
        while is_wanted(world) && self.step(world) {}
        self.dispatched - before
    }

    /// Dispatches all events up to and including `end`, and those that they schedule up to then.
    ///
    /// Returns how many it were. [`now`](Self::now) stays at the last of them.
    pub fn run_until<W: World<Event = E>>(&mut self, world: &mut W, end: SimTime) -> u64
    where
        E: Audited,
    {
        let before = self.dispatched;
        while self.next_time().is_some_and(|next| next <= end) {
            self.step(world);
        }
        self.dispatched - before
    }

    fn empty_outbox(&mut self) {
        for (key, event) in self.outbox.scheduled.drain(..) {
            self.queue.insert(key, event);
        }
        for key in self.outbox.cancelled.drain(..) {
            self.queue.cancel(key);
        }
        self.outbox.now = SimTime::ZERO;
        self.outbox.next_sequence = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Actors that reschedule themselves after a pseudo-random delay, and cancel each other now and then.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Actors {
        state: u64,
        keys: Vec<Option<EventKey>>,
    }

    impl Audited for usize {
        fn feed(&self, audit: &mut Audit) {
            audit.u64(*self as u64);
        }
    }

    impl Actors {
        fn draw(&mut self) -> u64 {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.state >> 33
        }
    }

    impl World for Actors {
        type Event = usize;

        fn handle(&mut self, _now: SimTime, actor: usize, outbox: &mut Outbox<usize>) {
            let delay = Duration::from_nanos(self.draw() % 5);
            self.keys[actor] = Some(outbox.after(delay, actor));
            let other = self.draw() as usize % self.keys.len();
            if self.draw().is_multiple_of(3)
                && let Some(key) = self.keys[other].take()
            {
                outbox.cancel(key);
                self.keys[other] = Some(outbox.after(Duration::from_nanos(2), other));
            }
        }
    }

    fn actors() -> (Kernel<usize>, Actors) {
        let mut kernel = Kernel::new();
        let keys = kernel.prepare(|outbox| (0..10).map(|actor| Some(outbox.at(SimTime::ZERO, actor))).collect());
        (kernel, Actors { state: 1, keys })
    }

    fn run(kernel: &mut Kernel<usize>, world: &mut Actors, events: u64) {
        let mut left = 0..events;
        assert_eq!(kernel.run_while(world, |_| left.next().is_some()), events);
    }

    #[test]
    fn a_kernel_read_back_continues_identically() {
        let (mut straight, mut world) = actors();
        run(&mut straight, &mut world, 3000);
        let (mut broken, mut broken_world) = actors();
        for _ in 0..3 {
            run(&mut broken, &mut broken_world, 1000);
            let bytes = postcard::to_stdvec(&(&broken, &broken_world)).unwrap();
            let copy: (Kernel<usize>, Actors) = postcard::from_bytes(&bytes).unwrap();
            assert_eq!((&copy.0, &copy.1), (&broken, &broken_world));
            (broken, broken_world) = copy;
        }
        assert_eq!(straight.audit(), broken.audit());
        assert_eq!((straight, world), (broken, broken_world));
    }

    #[test]
    fn the_audit_sees_a_different_history() {
        let audit = |state| {
            let (mut kernel, mut world) = actors();
            world.state = state;
            run(&mut kernel, &mut world, 100);
            kernel.audit()
        };
        assert_eq!(audit(1), audit(1));
        assert_ne!(audit(1), audit(2));
    }

    #[test]
    fn running_until_a_time_includes_it() {
        let (mut kernel, mut world) = actors();
        assert!(kernel.run_until(&mut world, SimTime::from_nanos(20)) > 10);
        assert!(kernel.now() <= SimTime::from_nanos(20));
        assert!(kernel.next_time() > Some(SimTime::from_nanos(20)));
        assert_eq!(kernel.pending(), 10, "each actor has one event ahead");
    }

    #[test]
    fn effects_are_read_without_a_kernel() {
        let mut outbox = Outbox::new(SimTime::from_nanos(10));
        let first = outbox.after(Duration::from_nanos(5), "first");
        outbox.at(SimTime::from_nanos(10), "second");
        outbox.after(Duration::ZERO, "third");
        outbox.cancel(first);
        assert_eq!(
            outbox.scheduled().collect::<Vec<_>>(),
            [(SimTime::from_nanos(10), &"second"), (SimTime::from_nanos(10), &"third")]
        );
        assert_eq!(outbox.cancelled(), [first]);
    }

    #[test]
    #[should_panic(expected = "lies in the past of")]
    fn an_outbox_refuses_the_past() {
        Outbox::new(SimTime::from_nanos(10)).at(SimTime::from_nanos(9), ());
    }
}
