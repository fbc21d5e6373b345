//! The backward pass: layers in reverse, per layer the blocks in order.
//!
//! Weights' gradients are written by the first block and added to by the others. The gradient of the residual stream is
//! one buffer to which each branch adds its part; norms and h are computed again instead of being kept.

use std::ops::Range;

use super::buffers::{BlockBuffers, Buffers, LayerBuffers};
use super::product::Write;
use super::{LayerPlaces, Network, columns, pointwise};

impl Network {
    /// Losses of all tokens and the gradient of their mean, after [`Self::forward`].
    pub(super) fn backward(&self, buffers: &mut Buffers, theta: &[f32], sequences: usize, gradient: &mut [f32]) {
        let weight = 1.0 / (sequences * self.shape.context) as f32;
        let norms = self.places.layers.iter().flat_map(|places| [&places.input_norm, &places.middle_norm]);
        norms.chain([&self.places.norm]).for_each(|place| gradient[place.clone()].fill(0.0));
        for rows in self.blocks(buffers, sequences) {
            self.backward_head(buffers, theta, &rows, weight, gradient);
        }
        let blocks = self.blocks(buffers, sequences);
        for (layer, places) in buffers.layers.iter_mut().zip(&self.places.layers).rev() {
            for rows in blocks.clone() {
                let dx = &mut buffers.d_residual[columns(&rows, self.shape.width)];
                self.backward_feed_forward(layer, &mut buffers.block, dx, theta, places, &rows, gradient);
                self.backward_attention(layer, &mut buffers.block, dx, theta, places, &rows, gradient);
            }
        }
        let tokens = &buffers.inputs[..sequences * self.shape.context];
        self.backward_embedding(&mut gradient[self.places.embedding.clone()], tokens, &buffers.d_residual);
    }

    fn backward_head(
        &self,
        buffers: &mut Buffers,
        theta: &[f32],
        rows: &Range<usize>,
        weight: f32,
        gradient: &mut [f32],
    ) {
        let (arch, linear, places) = (self.arch, self.linears().head, &self.places);
        let logits = self.head(buffers, theta, rows);
        pointwise::cross_entropy_gradient(arch, logits.values, logits.targets, logits.losses, weight);
        let of_width = columns(rows, self.shape.width);
        let block = &mut buffers.block;
        let d_logits = &block.logits[..rows.len() * self.shape.vocabulary];
        let (normed, d_normed) = (&block.normed[..of_width.len()], &mut block.d_normed[..of_width.len()]);
        linear.backward_weight(&mut gradient[places.head.clone()], d_logits, normed, write(rows));
        linear.backward_input(d_normed, d_logits, &theta[places.head.clone()]);
        let dx = &mut buffers.d_residual[of_width.clone()];
        dx.fill(0.0);
        let (x, scales) = (&buffers.output[of_width], &buffers.output_scales[rows.clone()]);
        let (gain, d_gain) = (&theta[places.norm.clone()], &mut gradient[places.norm.clone()]);
        pointwise::rms_norm_backward(arch, dx, d_gain, d_normed, x, gain, scales);
    }

    fn backward_feed_forward(
        &self,
        layer: &mut LayerBuffers,
        block: &mut BlockBuffers,
        dx: &mut [f32],
        theta: &[f32],
        places: &LayerPlaces,
        rows: &Range<usize>,
        gradient: &mut [f32],
    ) {
        let (arch, linears, feed_forward) = (self.arch, self.linears(), self.shape.feed_forward);
        let hidden = &mut block.hidden[..rows.len() * feed_forward];
        linears.down.backward_input(hidden, dx, &theta[places.down.clone()]);
        let gate_up = &mut layer.gate_up[columns(rows, 2 * feed_forward)];
        pointwise::swiglu_backward(arch, gate_up, hidden, feed_forward);
        linears.down.backward_weight(&mut gradient[places.down.clone()], dx, hidden, write(rows));

        let (normed, d_normed) = (&mut block.normed[..dx.len()], &mut block.d_normed[..dx.len()]);
        let (x, scales) = (&layer.middle[columns(rows, self.shape.width)], &layer.middle_scales[rows.clone()]);
        let gain = &theta[places.middle_norm.clone()];
        pointwise::rms_norm_again(arch, x, gain, scales, normed);
        linears.gate_up.backward_weight(&mut gradient[places.gate_up.clone()], gate_up, normed, write(rows));
        linears.gate_up.backward_input(d_normed, gate_up, &theta[places.gate_up.clone()]);
        let d_gain = &mut gradient[places.middle_norm.clone()];
        pointwise::rms_norm_backward(arch, dx, d_gain, d_normed, x, gain, scales);
    }

    fn backward_attention(
        &self,
        layer: &mut LayerBuffers,
        block: &mut BlockBuffers,
        dx: &mut [f32],
        theta: &[f32],
        places: &LayerPlaces,
        rows: &Range<usize>,
        gradient: &mut [f32],
    ) {
        let (arch, linears) = (self.arch, self.linears());
        let of_heads = columns(rows, linears.output.inputs);
        let d_heads = &mut block.d_heads[..of_heads.len()];
        linears.output.backward_input(d_heads, dx, &theta[places.output.clone()]);
        linears.output.backward_weight(&mut gradient[places.output.clone()], dx, &layer.heads[of_heads], write(rows));
        let sequences = rows.start / self.shape.context..rows.end / self.shape.context;
        let probabilities = &layer.probabilities[columns(&sequences, self.attention.probabilities())];
        let qkv = &mut layer.qkv[columns(rows, linears.qkv.outputs)];
        self.attention.backward(arch, &mut block.attention, qkv, probabilities, d_heads);

        let (normed, d_normed) = (&mut block.normed[..dx.len()], &mut block.d_normed[..dx.len()]);
        let (x, scales) = (&layer.input[columns(rows, self.shape.width)], &layer.input_scales[rows.clone()]);
        let gain = &theta[places.input_norm.clone()];
        pointwise::rms_norm_again(arch, x, gain, scales, normed);
        linears.qkv.backward_weight(&mut gradient[places.qkv.clone()], qkv, normed, write(rows));
        linears.qkv.backward_input(d_normed, qkv, &theta[places.qkv.clone()]);
        let d_gain = &mut gradient[places.input_norm.clone()];
        pointwise::rms_norm_backward(arch, dx, d_gain, d_normed, x, gain, scales);
    }

    /// Adds each token's gradient to its row; a tied embedding already holds the head's gradient.
    fn backward_embedding(&self, gradient: &mut [f32], tokens: &[u32], d_residual: &[f32]) {
        let width = self.shape.width;
        if !self.shape.tied {
            gradient.fill(0.0);
        }
        for (&token, dx) in tokens.iter().zip(d_residual.chunks_exact(width)) {
            let row = &mut gradient[token as usize * width..][..width];
            row.iter_mut().zip(dx).for_each(|(sum, &dx)| *sum += dx);
        }
    }
}

/// The first block of a batch replaces what is in the gradient.
fn write(rows: &Range<usize>) -> Write {
    if rows.start == 0 { Write::Replace } else { Write::Add }
}
