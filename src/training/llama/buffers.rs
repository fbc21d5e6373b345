//! Everything one thread needs to train a Llama, allocated once.
//!
//! Kept from the forward for the backward pass, per layer: the residual stream before both norms and the norms' scales,
//! \[q | k | v\], the attention's probabilities and output, \[gate | up\]. The rest lives for a block of sequences only
//! and stays in the second-level cache.

use super::Network;
use super::attention::Scratch;

/// One layer's activations for all N = B·T tokens.
#[derive(Debug)]
pub(super) struct LayerBuffers {
    /// Residual stream at the layer's start, \[N, D\].
    pub(super) input: Vec<f32>,
    /// Scales of the attention's norm, \[N\].
    pub(super) input_scales: Vec<f32>,
    /// \[q | k | v\] before rotation, and their gradient, \[N, (heads + 2·`kv_heads`)·d\].
    pub(super) qkv: Vec<f32>,
    /// Per sequence and head a padded \[T, T\] tile.
    pub(super) probabilities: Vec<f32>,
    /// Output of the heads, \[N, heads·d\].
    pub(super) heads: Vec<f32>,
    /// Residual stream after the attention, \[N, D\].
    pub(super) middle: Vec<f32>,
    /// Scales of the feed-forward's norm, \[N\].
    pub(super) middle_scales: Vec<f32>,
    /// \[gate | up\], and their gradient, \[N, 2F\].
    pub(super) gate_up: Vec<f32>,
}

/// The buffers of one thread for up to B sequences.
#[derive(Debug)]
pub struct Buffers {
    pub(super) layers: Vec<LayerBuffers>,
    /// Residual stream behind the last layer, \[N, D\].
    pub(super) output: Vec<f32>,
    /// Scales of the last norm, \[N\].
    pub(super) output_scales: Vec<f32>,
    /// Gradient of the residual stream, \[N, D\].
    pub(super) d_residual: Vec<f32>,
    /// Loss of each token, \[N\].
    pub(super) losses: Vec<f32>,
    /// Inputs, \[N\].
    pub(super) inputs: Vec<u32>,
    /// Their successors, \[N\].
    pub(super) targets: Vec<u32>,
    pub(super) block: BlockBuffers,
}

/// What lives for a block of n tokens.
#[derive(Debug)]
pub(super) struct BlockBuffers {
    /// Normalised residual stream, \[n, D\].
    pub(super) normed: Vec<f32>,
    /// Its gradient, \[n, D\].
    pub(super) d_normed: Vec<f32>,
    /// h and its gradient, \[n, F\].
    pub(super) hidden: Vec<f32>,
    /// Gradient of the heads' output, \[n, heads·d\].
    pub(super) d_heads: Vec<f32>,
    /// Logits and their gradient, \[n, V\].
    pub(super) logits: Vec<f32>,
    pub(super) attention: Scratch,
}

impl Buffers {
    /// Buffers for up to `sequences` sequences, all zero.
    pub(super) fn new(network: &Network, sequences: usize) -> Self {
        let shape = &network.shape;
        let tokens = sequences * shape.context;
        let rows = |width: usize| vec![0.0; tokens * width];
        let layer = || LayerBuffers {
            input: rows(shape.width),
            input_scales: rows(1),
            qkv: rows(network.attention.qkv_width()),
            probabilities: vec![0.0; sequences * network.attention.probabilities()],
            heads: rows(network.attention.q_width()),
            middle: rows(shape.width),
            middle_scales: rows(1),
            gate_up: rows(2 * shape.feed_forward),
        };
        let block_rows = |width: usize| vec![0.0; network.block_tokens(sequences) * width];
        Self {
            layers: (0..shape.layers).map(|_| layer()).collect(),
            output: rows(shape.width),
            output_scales: rows(1),
            d_residual: rows(shape.width),
            losses: rows(1),
            inputs: vec![0; tokens],
            targets: vec![0; tokens],
            block: BlockBuffers {
                normed: block_rows(shape.width),
                d_normed: block_rows(shape.width),
                hidden: block_rows(shape.feed_forward),
                d_heads: block_rows(network.attention.q_width()),
                logits: block_rows(shape.vocabulary),
                attention: network.attention.scratch(),
            },
        }
    }
}
