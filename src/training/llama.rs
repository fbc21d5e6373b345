//! A Llama with its forward and backward pass written out by hand over reused buffers.
//!
//! Legend: B sequences of T tokens, N = B·T, D width, d head width, F feed-forward width, V vocabulary.
//!
//! x = embed\[token\]; per layer
//!   1. x ← x + Wo · attention(RMSNorm(x))   (rotary, causal, grouped queries; see [`attention`])
//!   2. x ← x + Wdown · (silu(g) ∘ u),  \[g | u\] = \[Wgate; Wup\] · RMSNorm(x)
//!
//! loss = mean over tokens of cross-entropy(Whead · RMSNorm(x), next token) \[nats\]. RMSNorm's ε is 1e-5, the rotation's
//! base 10000, nothing has a bias. The same mathematics as Hugging Face's `LlamaForCausalLM`, with its tensor names.
//!
//! No graph and no allocation in a step: matrix products are the `gemm` crate's on the calling thread, all else are
//! single passes over rows. Layers are the outer loop and blocks of sequences the inner one, so that a layer's weights and
//! a block's intermediate values stay in the second-level cache. Not modelled: dropout, mixed precision, padding.

pub mod attention;
mod backward;
mod buffers;
mod forward;

mod pointwise;
pub(super) mod product;

use std::ops::Range;

use pulp::Arch;
use rand_distr::{Distribution as _, StandardNormal};

use self::attention::Attention;
pub use self::buffers::Buffers;
use self::product::Linear;
use super::spec::Llama;
use crate::algorithm::Layout;
use crate::sim::Streams;

/// Standard deviation of the initial weights; projections onto the residual stream get 1/√(2·layers) of it.
const INITIAL_DEVIATION: f32 = 0.02;

/// Sequences are worked on in blocks of about this many tokens.
const BLOCK_TOKENS: usize = 256;

/// A Llama's shape and the places of its tensors in the flat buffer.
#[derive(Debug, Clone)]
pub struct Network {
    shape: Llama,
    layout: Layout,
    places: Places,
    attention: Attention,
    arch: Arch,
}

/// Where tensors lie; those that are always used together are one matrix.
#[derive(Debug, Clone)]
struct Places {
    /// \[V, D\].
    embedding: Range<usize>,
    layers: Vec<LayerPlaces>,
    /// \[D\].
    norm: Range<usize>,
    /// \[V, D\]; the embedding where it is tied.
    head: Range<usize>,
}

/// Where a layer's tensors lie.
#[derive(Debug, Clone)]
struct LayerPlaces {
    /// \[D\].
    input_norm: Range<usize>,
    /// Query, key and value projections, \[(heads + 2·`kv_heads`)·d, D\].
    qkv: Range<usize>,
    /// \[D, heads·d\].
    output: Range<usize>,
    /// \[D\].
    middle_norm: Range<usize>,
    /// Gate and up projections, \[2F, D\].
    gate_up: Range<usize>,
    /// \[D, F\].
    down: Range<usize>,
}

/// The linear layers' widths.
#[derive(Debug, Clone, Copy)]
struct Linears {
    qkv: Linear,
    output: Linear,
    gate_up: Linear,
    down: Linear,
    head: Linear,
}

impl Network {
    /// The network of a shape.
    ///
    /// # Panics
    /// If the shape is not one of a Llama (see [`build`](super::build), which checks it).
    #[must_use]
    pub fn new(shape: &Llama) -> Self {
        let (layout, places) = lay_out(shape);
        let attention = Attention::new(shape.heads, shape.kv_heads, shape.width / shape.heads, shape.context);
        Self { shape: shape.clone(), layout, places, attention, arch: Arch::new() }
    }

    /// The layout of θ: Hugging Face's names, weights as \[out, in\].
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &Llama {
        &self.shape
    }

    /// θ(0): norms 1, all else normal with deviation 0.02 (0.02/√(2·layers) onto the residual stream), each tensor
    /// from its own stream.
    #[must_use]
    pub fn initial_parameters(&self, streams: Streams) -> Vec<f32> {
        let mut theta = vec![1.0; self.layout.parameters()];
        for (index, tensor) in self.layout.tensors().iter().enumerate() {
            if tensor.shape.len() == 1 {
                continue;
            }
            let onto_residual = tensor.name.ends_with("o_proj.weight") || tensor.name.ends_with("down_proj.weight");
            let branches = if onto_residual { 2 * self.shape.layers } else { 1 };
            let deviation = INITIAL_DEVIATION / (branches as f32).sqrt();
            let mut rng = streams.rng("initial-parameters", index as u64, 0);
            for value in &mut theta[tensor.range()] {
                let z: f32 = StandardNormal.sample(&mut rng);
                *value = z * deviation;
            }
        }
        theta
    }

    /// Buffers with which one thread trains on up to `sequences` sequences a step.
    #[must_use]
    pub fn buffers(&self, sequences: usize) -> Buffers {
        Buffers::new(self, sequences)
    }

    /// Mean loss of a batch \[nats per token\] and its gradient.
    ///
    /// `tokens` are B rows of T + 1; `gradient` is overwritten, P values.
    ///
    /// # Panics
    /// If the batch is empty or larger than the buffers, or a token is not in the vocabulary.
    pub fn gradient(&self, buffers: &mut Buffers, theta: &[f32], tokens: &[u32], gradient: &mut [f32]) -> f64 {
        let sequences = self.load(buffers, tokens);
        self.forward(buffers, theta, sequences);
        self.backward(buffers, theta, sequences, gradient);
        let losses = &buffers.losses[..sequences * self.shape.context];
        losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
    }

    /// Summed loss of a batch \[nats\], in the order of its tokens.
    ///
    /// # Panics
    /// As [`Self::gradient`].
    pub fn loss_sum(&self, buffers: &mut Buffers, theta: &[f32], tokens: &[u32]) -> f64 {
        let sequences = self.load(buffers, tokens);
        self.forward(buffers, theta, sequences);
        self.head_losses(buffers, theta, sequences);
        buffers.losses[..sequences * self.shape.context].iter().map(|&loss| f64::from(loss)).sum()
    }

    /// Logits of whole sequences, \[N, V\], from rows of T tokens.
    ///
    /// # Panics
    /// As [`Self::gradient`].
    #[must_use]
    pub fn logits(&self, theta: &[f32], tokens: &[u32]) -> Vec<f32> {
        let rows = tokens.chunks_exact(self.shape.context).flat_map(|row| row.iter().copied().chain([0]));
        let rows: Vec<u32> = rows.collect();
        let mut buffers = self.buffers(tokens.len() / self.shape.context);
        let sequences = self.load(&mut buffers, &rows);
        self.forward(&mut buffers, theta, sequences);
        let blocks: Vec<_> = self.blocks(&buffers, sequences).collect();
        blocks.iter().flat_map(|block| self.head(&mut buffers, theta, block).values.to_vec()).collect()
    }

    /// Splits rows of T + 1 tokens into inputs and targets; returns the number of sequences.
    fn load(&self, buffers: &mut Buffers, tokens: &[u32]) -> usize {
        let context = self.shape.context;
        let sequences = tokens.len() / (context + 1);
        assert!(sequences > 0 && sequences * (context + 1) == tokens.len(), "a batch is whole rows of T + 1 tokens");
        assert!(sequences * context <= buffers.inputs.len(), "a batch fits its buffers");
        let rows = buffers.inputs.chunks_exact_mut(context).zip(buffers.targets.chunks_exact_mut(context));
        for (row, (inputs, targets)) in tokens.chunks_exact(context + 1).zip(rows) {
            assert!(row.iter().all(|&token| (token as usize) < self.shape.vocabulary), "tokens are in the vocabulary");
            inputs.copy_from_slice(&row[..context]);
            targets.copy_from_slice(&row[1..]);
        }
        sequences
    }

    /// Tokens of a block when a batch has `sequences` sequences: whole sequences, about `BLOCK_TOKENS`.
    fn block_tokens(&self, sequences: usize) -> usize {
        let per_block = (BLOCK_TOKENS / self.shape.context).clamp(1, sequences);
        per_block * self.shape.context
    }

    /// The blocks of a batch, as ranges of tokens; of the buffers' size but for the last.
    fn blocks(&self, buffers: &Buffers, sequences: usize) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let tokens = sequences * self.shape.context;
        let step = self.block_tokens(buffers.inputs.len() / self.shape.context);
        (0..tokens).step_by(step).map(move |first| first..tokens.min(first + step))
    }

    fn linears(&self) -> Linears {
        let (inputs, q) = (self.shape.width, self.attention.q_width());
        Linears {
            qkv: Linear { inputs, outputs: self.attention.qkv_width() },
            output: Linear { inputs: q, outputs: inputs },
            gate_up: Linear { inputs, outputs: 2 * self.shape.feed_forward },
            down: Linear { inputs: self.shape.feed_forward, outputs: inputs },
            head: Linear { inputs, outputs: self.shape.vocabulary },
        }
    }
}

/// Rows `rows` of a row-major buffer whose rows have `width` values.
fn columns(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

fn lay_out(shape: &Llama) -> (Layout, Places) {
    let mut layout = Layout::new();
    let (width, feed_forward) = (shape.width, shape.feed_forward);
    let kv_width = width / shape.heads * shape.kv_heads;
    let mut push = |name: String, shape: &[usize]| {
        let index = layout.push(name, shape);
        layout.tensors()[index].range()
    };
    let embedding = push("model.embed_tokens.weight".to_owned(), &[shape.vocabulary, width]);
    let layers = (0..shape.layers)
        .map(|layer| {
            let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
            let input_norm = push(name("input_layernorm"), &[width]);
            let q = push(name("self_attn.q_proj"), &[width, width]);
            push(name("self_attn.k_proj"), &[kv_width, width]);
            let v = push(name("self_attn.v_proj"), &[kv_width, width]);
            let output = push(name("self_attn.o_proj"), &[width, width]);
            let middle_norm = push(name("post_attention_layernorm"), &[width]);
            let gate = push(name("mlp.gate_proj"), &[feed_forward, width]);
            let up = push(name("mlp.up_proj"), &[feed_forward, width]);
            let down = push(name("mlp.down_proj"), &[width, feed_forward]);
            LayerPlaces { input_norm, qkv: q.start..v.end, output, middle_norm, gate_up: gate.start..up.end, down }
        })
        .collect();
    let norm = push("model.norm.weight".to_owned(), &[width]);
    let head =
        if shape.tied { embedding.clone() } else { push("lm_head.weight".to_owned(), &[shape.vocabulary, width]) };
    (layout, Places { embedding, layers, norm, head })
}
