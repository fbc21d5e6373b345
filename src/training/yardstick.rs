//! What an inner step of a Llama is measured against: candle's automatic differentiation, and the matrix products alone.
//!
//! A yardstick is a step on one thread that can be repeated. [`candle`] does what the engine does, the slow way.
//! [`products`] does the three products of every linear layer (forward, input's and weights' gradient) over a whole
//! batch and nothing else: attention, norms, losses and the optimizer would come on top, so its rate bounds any engine
//! that uses the same products.

use super::llama::Network;
use super::llama::product::{Linear, Write};
use super::oracle::Oracle;
use super::spec::Llama;
use crate::algorithm::adamw::{adamw_step, clip_factor};
use crate::algorithm::spec::{AdamW, Schedule};
use crate::quantity::Seed;
use crate::sim::Streams;

/// The model of the reference work: 792 k parameters.
pub const REFERENCE: Llama = Llama {
    layers: 4,
    width: 128,
    heads: 4,
    kv_heads: 2,
    feed_forward: 344,
    context: 64,
    vocabulary: 256,
    tied: false,
};

/// Sequences of the reference work's batch.
pub const BATCH: usize = 12;

/// The optimizer of the reference work.
pub const ADAMW: AdamW = AdamW {
    learning_rate: 1e-3,
    betas: [0.9, 0.95],
    epsilon: 1e-8,
    weight_decay: 0.1,
    gradient_clip: Some(1.0),
    schedule: Schedule::Constant,
};

/// The feed-forward width that is in the reference model's proportion to `width`.
#[must_use]
pub const fn feed_forward(width: usize) -> usize {
    width * REFERENCE.feed_forward / REFERENCE.width
}

/// A step that can be repeated, on one thread.
pub type Step = Box<dyn FnMut() + Send>;

/// Parameters and tokens of a step on which speed is measured.
fn inputs(network: &Network, batch: usize) -> (Vec<f32>, Vec<u32>) {
    let shape = network.shape();
    let theta = network.initial_parameters(Streams::new(Seed(1)));
    let tokens = (0..batch * (shape.context + 1)).map(|i| (i * 7919 % shape.vocabulary) as u32).collect();
    (theta, tokens)
}

/// A step by automatic differentiation and [`ADAMW`].
///
/// # Panics
/// If candle fails.
#[must_use]
pub fn candle(shape: &Llama, batch: usize) -> Step {
    let network = Network::new(shape);
    let (mut theta, tokens) = inputs(&network, batch);
    let (mut m, mut v, mut step) = (vec![0.0; theta.len()], vec![0.0; theta.len()], 0);
    Box::new(move || {
        let oracle = Oracle::new(&network, &theta).expect("because candle works");
        let (_, gradient) = oracle.gradient(&tokens).expect("because candle works");
        step += 1;
        let scale = clip_factor(&gradient, ADAMW.gradient_clip);
        adamw_step(&ADAMW, &mut theta, &gradient, &mut m, &mut v, step, ADAMW.learning_rate, scale);
    })
}

/// The products of a step.
#[must_use]
pub fn products(shape: &Llama, batch: usize) -> Step {
    let network = Network::new(shape);
    let rows = batch * shape.context;
    let lookup = |name: &str| name == "model.embed_tokens.weight" && !shape.tied;
    let matrices = network.layout().tensors().iter().filter(|tensor| tensor.shape.len() == 2 && !lookup(&tensor.name));
    let layers: Vec<Linear> =
        matrices.map(|tensor| Linear { inputs: tensor.shape[1], outputs: tensor.shape[0] }).collect();
    let widest = layers.iter().map(|layer| layer.inputs.max(layer.outputs)).max().unwrap_or(0);
    let [x, mut y, mut dx] = std::array::from_fn(|_| vec![0.5; rows * widest]);
    let (w, mut dw) = (vec![0.5; widest * widest], vec![0.0; widest * widest]);
    Box::new(move || {
        for layer in &layers {
            let (inputs, outputs) = (rows * layer.inputs, rows * layer.outputs);
            let weights = layer.inputs * layer.outputs;
            layer.forward(&mut y[..outputs], &x[..inputs], &w[..weights]);
            layer.backward_weight(&mut dw[..weights], &y[..outputs], &x[..inputs], Write::Replace);
            layer.backward_input(&mut dx[..inputs], &y[..outputs], &w[..weights]);
        }
    })
}
