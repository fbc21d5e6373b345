//! Named random streams: one `ChaCha8` generator per (seed, purpose, entity, index).
//!
//! A stream is a pure function of its name, so a new purpose or a new entity shifts nobody else's draws, and no
//! generator's state has to be kept.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::quantity::Seed;

/// The root of all streams of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Streams {
    seed: Seed,
}

impl Streams {
    /// The streams of a run with this seed.
    #[must_use]
    pub const fn new(seed: Seed) -> Self {
        Self { seed }
    }

    /// The generator for `purpose` of `entity`, at `index` (a round, a session, a step), from its beginning.
    #[must_use]
    pub fn rng(&self, purpose: &'static str, entity: u64, index: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (half, bytes) in key.chunks_exact_mut(16).enumerate() {
            let mut hasher = Xxh3::with_seed(half as u64);
            for word in [self.seed.0, entity, index] {
                hasher.update(&word.to_le_bytes());
            }
            hasher.update(purpose.as_bytes());
            bytes.copy_from_slice(&hasher.digest128().to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn a_stream_is_a_function_of_its_name() {
        let draw = |seed, purpose, entity, index| Streams::new(Seed(seed)).rng(purpose, entity, index).next_u64();
        let first = draw(1, "speed", 2, 3);
        assert_eq!(first, draw(1, "speed", 2, 3));
        for other in [draw(2, "speed", 2, 3), draw(1, "uplink", 2, 3), draw(1, "speed", 3, 2), draw(1, "speed", 2, 4)] {
            assert_ne!(first, other);
        }
    }
}
