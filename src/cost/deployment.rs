//! The model whose cost is charged: its tensor shapes, from which FLOPs and payload bytes follow.
//!
//! Equations: FLOPs of a step = 6 · P · batch · context (forward and backward, attention scores left out);
//! payload bytes = the codec's own arithmetic over the tensor shapes.

use serde::{Deserialize, Serialize};

use crate::quantity::Bytes;
use crate::training::spec::Llama;

/// The deployment-scale model and how a peer works on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The tensors.
    pub shape: Shape,
    /// Sequences per peer and inner step.
    pub batch: u64,
    /// Tokens per sequence.
    pub context: u64,
    /// Share of the devices' peak that training reaches.
    pub flops_utilisation: f64,
}

/// The tensors of a deployment model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A Llama's.
    Llama(Llama),
    /// A bare count, for dense payloads.
    Parameters(u64),
}

/// Named shapes: `(name, shape, source)`.
const NAMED: &[(&str, Llama, &str)] = &[
    (
        "covenant-72b",
        llama(80, 8192, [64, 8], 28672, 2048, 262_144, false),
        "Covenant-72B report section 4.1: 72,747,327,488 parameters, which is the untied count with V = 262,144",
    ),
    (
        "sparseloco-8b",
        llama(32, 4096, [32, 8], 14336, 2048, 32_000, false),
        "the 8B run of the public code: Llama-3 8B shape with a 32,000-token vocabulary",
    ),
    ("llama-2-70b", llama(80, 8192, [64, 8], 28672, 4096, 32_000, false), "LLaMA-2 report, table 1 and model card"),
    ("llama-1b", llama(16, 2048, [8, 8], 8192, 2048, 32_000, false), "SparseLoCo's 1B sweep configuration"),
    ("llama-500m", llama(12, 1536, [12, 12], 5440, 2048, 32_000, false), "SparseLoCo's 512M sweep configuration"),
];

const fn llama(
    layers: usize,
    width: usize,
    [heads, kv_heads]: [usize; 2],
    feed_forward: usize,
    context: usize,
    vocabulary: usize,
    tied: bool,
) -> Llama {
    Llama { layers, width, heads, kv_heads, feed_forward, context, vocabulary, tied }
}

/// The shape with this name.
#[must_use]
pub fn named(name: &str) -> Option<Shape> {
    NAMED.iter().find(|(known, ..)| *known == name).map(|(_, shape, _)| Shape::Llama(shape.clone()))
}

/// All known names, for messages.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMED.iter().map(|(name, ..)| *name)
}

impl Shape {
    /// Calls `visit` with each tensor's shape and how many tensors of that shape there are.
    pub fn for_each_tensor(&self, mut visit: impl FnMut(&[usize], u64)) {
        match self {
            &Self::Parameters(count) => visit(&[usize::try_from(count).unwrap_or(usize::MAX)], 1),
            Self::Llama(llama) => {
                let layers = llama.layers as u64;
                let kv_width = llama.width / llama.heads * llama.kv_heads;
                visit(&[llama.vocabulary, llama.width], if llama.tied { 1 } else { 2 });
                visit(&[llama.width], 2 * layers + 1); // norm gains
                visit(&[llama.width, llama.width], 2 * layers); // query, output
                visit(&[kv_width, llama.width], 2 * layers); // key, value
                visit(&[llama.feed_forward, llama.width], 2 * layers); // gate, up
                visit(&[llama.width, llama.feed_forward], layers); // down
            }
        }
    }

    /// Number P of parameters.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let mut parameters = 0;
        self.for_each_tensor(|shape, count| {
            parameters += count * shape.iter().map(|&side| side as u64).product::<u64>();
        });
        parameters
    }
}

impl Deployment {
    /// Number P of parameters.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.shape.parameters()
    }

    /// Tokens of one peer's inner step.
    #[must_use]
    pub fn tokens_per_step(&self) -> u64 {
        self.batch * self.context
    }

    /// The weights in f32, which a joiner downloads.
    #[must_use]
    pub fn checkpoint_bytes(&self) -> Bytes {
        Bytes(4 * self.parameters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covenant_72b_has_the_published_number_of_parameters() {
        assert_eq!(named("covenant-72b").expect("a named shape").parameters(), 72_747_327_488);
    }

    #[test]
    fn the_8b_run_has_the_published_number_of_tensors() {
        // facts: 291 tensors and 7.24e9 parameters for the 8B shape with V = 32,000, untied.
        let shape = named("sparseloco-8b").expect("a named shape");
        let mut tensors = 0;
        shape.for_each_tensor(|_, count| tensors += count);
        assert_eq!(tensors, 291);
        assert!((shape.parameters() as f64 / 7.24e9 - 1.0).abs() < 0.01, "{}", shape.parameters());
    }
}
