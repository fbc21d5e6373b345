//! Which identities lie.
//!
//! Every identity draws a number from a stream of its own; in ascending order of these numbers the first kind of liar
//! takes its share of the identities (rounded to the nearest whole number), the next kind takes from those that are left.
//! So a larger share adds liars and turns none honest, and a scenario without liars meets the same peers.

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::spec::{Adversary, Behaviour, Shared};
use crate::sim::Streams;

/// What a liar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Index of its kind.
    pub kind: usize,
    /// Liars of one kind and group send one payload where they share theirs; without accomplices it is alone.
    pub group: u32,
    /// Identities behind which one machine's time is split.
    pub split: u32,
}

/// The role of each identity, given as (class, name of its streams); `None`: it is honest.
#[must_use]
pub fn assign(adversaries: &[Adversary], identities: &[(&str, u64)], streams: Streams) -> Vec<Option<Role>> {
    let mut order: Vec<(u64, usize)> = identities
        .iter()
        .enumerate()
        .map(|(index, &(_, entity))| (streams.rng("adversary", entity, 0).random(), index))
        .collect();
    order.sort_unstable();
    let mut roles = vec![None; identities.len()];
    for (kind, adversary) in adversaries.iter().enumerate() {
        let of_class = |index: usize| adversary.class.as_deref().is_none_or(|class| class == identities[index].0);
        let eligible = (0..identities.len()).filter(|&index| of_class(index)).count();
        let wanted = (adversary.fraction * eligible as f64).round() as usize;
        let free = order.iter().map(|&(_, index)| index).filter(|&index| of_class(index) && roles[index].is_none());
        let members: Vec<usize> = free.take(wanted).collect();
        for (place, index) in members.into_iter().enumerate() {
            let (group, split) = match adversary.behaviour {
                _ if adversary.colluding => (0, 1),
                Behaviour::Sybil { identities, share: Shared::Time } => (place as u32, identities.max(1)),
                Behaviour::Sybil { identities, share: Shared::Payload } => (place as u32 / identities.max(1), 1),
                _ => (place as u32, 1),
            };
            roles[index] = Some(Role { kind, group, split });
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adversary::spec::When;
    use crate::quantity::Seed;

    fn adversary(behaviour: Behaviour, fraction: f64, class: Option<&str>) -> Adversary {
        Adversary { behaviour, fraction, class: class.map(str::to_owned), when: When::Always, colluding: false }
    }

    fn kinds(adversaries: &[Adversary]) -> Vec<Option<usize>> {
        let identities: Vec<(&str, u64)> =
            (0..20).map(|index| (if index < 10 { "node" } else { "home" }, 1000 + index)).collect();
        let roles = assign(adversaries, &identities, Streams::new(Seed(3)));
        roles.into_iter().map(|role| role.map(|role| role.kind)).collect()
    }

    #[test]
    fn shares_are_exact_and_confined_to_their_class() {
        let flip = adversary(Behaviour::SignFlip, 0.2, None);
        let rider = adversary(Behaviour::FreeRider, 0.3, Some("home"));
        let kinds = kinds(&[flip, rider]);
        assert_eq!(kinds.iter().filter(|kind| **kind == Some(0)).count(), 4);
        assert_eq!(kinds.iter().filter(|kind| **kind == Some(1)).count(), 3);
        assert!(kinds[..10].iter().all(|kind| *kind != Some(1)));
    }

    #[test]
    fn a_larger_share_turns_nobody_honest() {
        let few = kinds(&[adversary(Behaviour::SignFlip, 0.1, None)]);
        let many = kinds(&[adversary(Behaviour::SignFlip, 0.4, None)]);
        assert!(few.iter().zip(&many).all(|(few, many)| few.is_none() || many.is_some()));
    }

    #[test]
    fn identities_of_one_machine_form_a_group() {
        let sybil = adversary(Behaviour::Sybil { identities: 3, share: Shared::Payload }, 0.3, None);
        let identities: Vec<(&str, u64)> = (0..20).map(|index| ("node", index)).collect();
        let roles = assign(&[sybil], &identities, Streams::new(Seed(1)));
        let mut groups: Vec<u32> = roles.into_iter().flatten().map(|role| role.group).collect();
        groups.sort_unstable();
        assert_eq!(groups, [0, 0, 0, 1, 1, 1]);
    }
}
