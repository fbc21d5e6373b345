//! The forward pass: per layer, then per block of sequences.

use std::ops::Range;

use super::buffers::{BlockBuffers, Buffers, LayerBuffers};
use super::{LayerPlaces, Network, columns, pointwise};

impl Network {
    /// Fills the activations of all layers; what the last one adds to the residual stream is left in `output`.
    pub(super) fn forward(&self, buffers: &mut Buffers, theta: &[f32], sequences: usize) {
        let blocks = self.blocks(buffers, sequences);
        let Buffers { layers, output, inputs, block, .. } = buffers;
        self.embed(&theta[self.places.embedding.clone()], inputs, &mut layers[0].input);
        for layer in 0..layers.len() {
            let (done, ahead) = layers.split_at_mut(layer);
            let (layer, ahead) = ahead.split_first_mut().expect("because the index is a layer's");
            let residual = done.last().map(|previous| previous.middle.as_slice());
            let branch = ahead.first_mut().map_or(output.as_mut_slice(), |next| next.input.as_mut_slice());
            let places = &self.places.layers[done.len()];
            for rows in blocks.clone() {
                self.forward_layer(layer, block, theta, places, residual, branch, &rows);
            }
        }
    }

    /// Writes the tokens' embeddings to the start of the residual stream.
    fn embed(&self, embedding: &[f32], tokens: &[u32], residual: &mut [f32]) {
        let width = self.shape.width;
        for (row, &token) in residual.chunks_exact_mut(width).zip(tokens) {
            row.copy_from_slice(&embedding[token as usize * width..][..width]);
        }
    }

    /// One layer on one block.
    ///
    /// On entry `layer.input` holds what the previous layer adds to the residual stream, which until then was
    /// `residual`; on return `branch` holds what this layer's feed-forward adds to `layer.middle`.
    fn forward_layer(
        &self,
        layer: &mut LayerBuffers,
        block: &mut BlockBuffers,
        theta: &[f32],
        places: &LayerPlaces,
        residual: Option<&[f32]>,
        branch: &mut [f32],
        rows: &Range<usize>,
    ) {
        let (arch, linears) = (self.arch, self.linears());
        let of_width = columns(rows, self.shape.width);
        let of_qkv = columns(rows, linears.qkv.outputs);
        let of_heads = columns(rows, linears.output.inputs);
        let of_gate_up = columns(rows, linears.gate_up.outputs);
        let sequences = rows.start / self.shape.context..rows.end / self.shape.context;
        let of_probabilities = columns(&sequences, self.attention.probabilities());
        let normed = &mut block.normed[..of_width.len()];
        let hidden = &mut block.hidden[..rows.len() * self.shape.feed_forward];

        let (input, gain) = (&mut layer.input[of_width.clone()], &theta[places.input_norm.clone()]);
        let scales = &mut layer.input_scales[rows.clone()];
        match residual {
            None => pointwise::rms_norm(arch, input, gain, scales, normed),
            Some(residual) => pointwise::add_rms_norm(arch, input, &residual[of_width.clone()], gain, scales, normed),
        }
        let qkv = &mut layer.qkv[of_qkv];
        linears.qkv.forward(qkv, normed, &theta[places.qkv.clone()]);
        let heads = &mut layer.heads[of_heads];
        let probabilities = &mut layer.probabilities[of_probabilities];
        self.attention.forward(arch, &mut block.attention, qkv, probabilities, heads);
        let middle = &mut layer.middle[of_width.clone()];
        linears.output.forward(middle, heads, &theta[places.output.clone()]);

        let (gain, scales) = (&theta[places.middle_norm.clone()], &mut layer.middle_scales[rows.clone()]);
        pointwise::add_rms_norm(arch, middle, input, gain, scales, normed);
        let gate_up = &mut layer.gate_up[of_gate_up];
        linears.gate_up.forward(gate_up, normed, &theta[places.gate_up.clone()]);
        pointwise::swiglu(arch, gate_up, hidden, self.shape.feed_forward);
        linears.down.forward(&mut branch[of_width], hidden, &theta[places.down.clone()]);
    }

    /// Losses of all tokens, from the residual stream behind the last layer.
    pub(super) fn head_losses(&self, buffers: &mut Buffers, theta: &[f32], sequences: usize) {
        for rows in self.blocks(buffers, sequences) {
            let logits = self.head(buffers, theta, &rows);
            pointwise::cross_entropy(self.arch, logits.values, logits.targets, logits.losses);
        }
    }

    /// Logits of one block, with what a loss needs besides.
    pub(super) fn head<'a>(&self, buffers: &'a mut Buffers, theta: &[f32], rows: &Range<usize>) -> Logits<'a> {
        let of_width = columns(rows, self.shape.width);
        let residual = &buffers.layers.last().expect("because there is a layer").middle[of_width.clone()];
        let (output, gain) = (&mut buffers.output[of_width.clone()], &theta[self.places.norm.clone()]);
        let normed = &mut buffers.block.normed[..of_width.len()];
        let scales = &mut buffers.output_scales[rows.clone()];
        pointwise::add_rms_norm(self.arch, output, residual, gain, scales, normed);
        let values = &mut buffers.block.logits[..rows.len() * self.shape.vocabulary];
        self.linears().head.forward(values, normed, &theta[self.places.head.clone()]);
        Logits { values, targets: &buffers.targets[rows.clone()], losses: &mut buffers.losses[rows.clone()] }
    }
}

/// A block's logits and where its losses go.
pub(super) struct Logits<'a> {
    /// \[n, V\].
    pub(super) values: &'a mut [f32],
    /// \[n\].
    pub(super) targets: &'a [u32],
    /// \[n\].
    pub(super) losses: &'a mut [f32],
}
