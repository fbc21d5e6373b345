//! The rolling hash over everything that happened, by which two runs are compared.
//!
//! h ← `xxh3_64`(h ‖ words). Not cryptographic: it finds differences, it does not stop forgers.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A rolling 64-bit hash; order matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audit(u64);

/// What can be fed into an [`Audit`].
pub trait Audited {
    /// Feeds all that distinguishes this value.
    fn feed(&self, audit: &mut Audit);
}

impl Audit {
    /// Feeds one word.
    pub fn u64(&mut self, word: u64) {
        self.update(&word.to_le_bytes());
    }

    /// Feeds bytes; how they are split into calls matters.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The hash so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_matters() {
        let hash = |words: [u64; 2]| {
            let mut audit = Audit::default();
            words.into_iter().for_each(|word| audit.u64(word));
            audit.value()
        };
        assert_eq!(hash([1, 2]), hash([1, 2]));
        assert_ne!(hash([1, 2]), hash([2, 1]));
    }
}
