//! What each peer is: its links, its speed, its sessions. All of it drawn, none of it remembered.
//!
//! Every draw has its own stream, named by purpose, by the peer's place in its class (not by its number in the swarm)
//! and by an index (round, session). So two scenarios that differ in H, k or another class meet the same churn, links
//! and jitter, and a peer added to the swarm shifts nobody's draws.
//!
//! Step time = base · exp(sigma_peer·z) · exp(sigma_step·z'), z and z' standard normal: both factors have median 1.
//! Not modelled: drift of a peer's speed over days, correlation between peers.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use super::spec::PeerClass;
use crate::quantity::{Bandwidth, Duration, Seed};
use crate::sim::Streams;

/// What a peer is for the whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Index of its class.
    pub class: usize,
    /// Name of its streams.
    pub entity: u64,
    /// To the store and to the others.
    pub uplink: Bandwidth,
    /// From the store and from the others.
    pub downlink: Bandwidth,
    /// One way.
    pub latency: Duration,
    /// Median time of its inner step \[s\].
    pub step_s: f64,
    /// Sigma of the factor of each step.
    step_sigma: f64,
}

/// Draws for peers of given classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Population {
    streams: Streams,
}

/// Inner steps that fit into a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whole steps done.
    pub steps: u32,
    /// When the last of them ended, from the start of the phase.
    pub elapsed: Duration,
}

/// A session or absence of at least this length, so that no draw of zero stops the clock.
const SPELL_MIN: Duration = Duration::from_secs(1);

impl Population {
    /// The population of a run.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self { streams: Streams::new(seed) }
    }

    /// All identities in order of their numbers: the name of the class, and of the peer's streams.
    #[must_use]
    pub fn identities<'a>(&self, classes: &'a [PeerClass]) -> Vec<(&'a str, u64)> {
        let of_class =
            |class: &'a PeerClass| (0..class.identities()).map(|index| (&*class.name, entity(&class.name, index)));
        classes.iter().flat_map(of_class).collect()
    }

    /// The profile of the peer with this index in its class; `base_step` is the class's step time without jitter.
    #[must_use]
    pub fn profile(&self, classes: &[PeerClass], class: usize, index: u32, base_step: Duration) -> Profile {
        let spec = &classes[class];
        let entity = entity(&spec.name, index);
        let factor: f64 = StandardNormal.sample(&mut self.rng("speed", entity, 0));
        Profile {
            class,
            entity,
            uplink: Bandwidth::from_bits_per_second(spec.uplink.sample(&mut self.rng("uplink", entity, 0))),
            downlink: Bandwidth::from_bits_per_second(spec.downlink.sample(&mut self.rng("downlink", entity, 0))),
            latency: Duration::from_secs_f64(spec.latency.sample(&mut self.rng("latency", entity, 0))),
            step_s: base_step.as_secs_f64() * (spec.jitter.peer * factor).exp(),
            step_sigma: spec.jitter.step,
        }
    }

    /// How far the peer gets in a round's inner phase of at most `steps_max` steps within `available` time.
    #[must_use]
    pub fn progress(&self, profile: &Profile, round: u32, steps_max: u32, available: Duration) -> Progress {
        let available_s = available.as_secs_f64();
        let mut rng = self.rng("step", profile.entity, u64::from(round));
        let mut elapsed_s = 0.0;
        for steps in 0..steps_max {
            let next_s = elapsed_s + profile.step_s * step_factor(profile.step_sigma, &mut rng);
            if next_s > available_s {
                return Progress { steps, elapsed: Duration::from_secs_f64(elapsed_s) };
            }
            elapsed_s = next_s;
        }
        Progress { steps: steps_max, elapsed: Duration::from_secs_f64(elapsed_s).min(available) }
    }

    /// Length of the peer's session with this number; `None`: it stays for ever.
    #[must_use]
    pub fn session(&self, class: &PeerClass, profile: &Profile, session: u64) -> Option<Duration> {
        let availability = class.availability.as_ref()?;
        Some(spell(availability.session.sample(&mut self.rng("session", profile.entity, session))))
    }

    /// Length of the absence after the session with this number.
    #[must_use]
    pub fn absence(&self, class: &PeerClass, profile: &Profile, session: u64) -> Option<Duration> {
        let availability = class.availability.as_ref()?;
        Some(spell(availability.absence.sample(&mut self.rng("absence", profile.entity, session))))
    }

    /// Whether the session with this number ends in a crash.
    #[must_use]
    pub fn crashes(&self, class: &PeerClass, profile: &Profile, session: u64) -> bool {
        let share = class.availability.as_ref().map_or(0.0, |availability| availability.crash);
        uniform(&mut self.rng("crash", profile.entity, session)) < share
    }

    /// Time from arrival until the peer leaves for good; `None`: never.
    #[must_use]
    pub fn residence(&self, class: &PeerClass, profile: &Profile) -> Option<Duration> {
        let residence = class.availability.as_ref()?.residence.as_ref()?;
        Some(spell(residence.sample(&mut self.rng("residence", profile.entity, 0))))
    }

    /// Time between the arrival of the class's identity with this index and the one before; `None`: nobody arrives.
    #[must_use]
    pub fn arrival_gap(&self, class: &PeerClass, index: u32) -> Option<Duration> {
        let mean_s = class.arrivals.as_ref()?.mean_interval.as_secs_f64();
        let draw = uniform(&mut self.rng("arrival", entity(&class.name, index), 0));
        Some(Duration::from_secs_f64(-mean_s * (1.0 - draw).ln()))
    }

    fn rng(&self, purpose: &'static str, entity: u64, index: u64) -> ChaCha8Rng {
        self.streams.rng(purpose, entity, index)
    }
}

fn step_factor(sigma: f64, rng: &mut ChaCha8Rng) -> f64 {
    if sigma == 0.0 {
        return 1.0;
    }
    let z: f64 = StandardNormal.sample(rng);
    (sigma * z).exp()
}

fn spell(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds).max(SPELL_MIN)
}

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    rand_distr::StandardUniform.sample(rng)
}

/// The name of a peer's streams: its class and its index in the class.
fn entity(class: &str, index: u32) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(class.as_bytes(), u64::from(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Distribution;
    use crate::protocol::spec::{Availability, Compute, Jitter};

    fn class(name: &str, step_sigma: f64) -> PeerClass {
        PeerClass {
            name: name.into(),
            count: 4,
            compute: Compute::StepTime(Duration::from_secs(1)),
            jitter: Jitter { peer: 0.2, step: step_sigma },
            uplink: Distribution::Lognormal { median: 1e8, sigma: 0.5 },
            downlink: Distribution::Fixed(1e9),
            latency: Distribution::Fixed(0.02),
            availability: Some(Availability {
                session: Distribution::Exponential { mean: 3600.0 },
                absence: Distribution::Fixed(60.0),
                crash: 0.25,
                residence: None,
            }),
            arrivals: None,
        }
    }

    #[test]
    fn another_class_or_another_peer_shifts_no_draw() {
        let population = Population::new(Seed(7));
        let alone = [class("node", 0.1)];
        let joined = [class("idle", 0.0), class("node", 0.1)];
        let before = population.profile(&alone, 0, 2, Duration::from_secs(1));
        let after = population.profile(&joined, 1, 2, Duration::from_secs(1));
        assert_eq!((before.uplink, before.step_s), (after.uplink, after.step_s));
        assert_eq!(population.session(&alone[0], &before, 3), population.session(&joined[1], &after, 3));
        let far = Duration::from_secs(1000);
        assert_eq!(population.progress(&before, 5, 30, far), population.progress(&after, 5, 30, far));
    }

    #[test]
    fn longer_phases_meet_the_same_jitter() {
        let population = Population::new(Seed(1));
        let profile = population.profile(&[class("node", 0.3)], 0, 0, Duration::from_secs(1));
        let ten = population.progress(&profile, 0, 10, Duration::MAX);
        let cut = population.progress(&profile, 0, 30, ten.elapsed.saturating_add(Duration::from_nanos(1)));
        assert_eq!((cut.steps, cut.elapsed), (10, ten.elapsed));
    }

    #[test]
    fn a_phase_without_time_does_no_step() {
        let population = Population::new(Seed(1));
        let profile = population.profile(&[class("node", 0.3)], 0, 0, Duration::from_secs(1));
        assert_eq!(
            population.progress(&profile, 0, 30, Duration::ZERO),
            Progress { steps: 0, elapsed: Duration::ZERO }
        );
    }

    #[test]
    fn the_share_of_crashes_is_the_one_asked_for() {
        let population = Population::new(Seed(3));
        let spec = class("node", 0.0);
        let profile = population.profile(std::slice::from_ref(&spec), 0, 0, Duration::from_secs(1));
        let crashes = (0..4000).filter(|&session| population.crashes(&spec, &profile, session)).count();
        assert!((900..1100).contains(&crashes), "{crashes} of 4000 at 25 %");
    }
}
