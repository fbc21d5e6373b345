//! What an inner step of a Llama is measured against: candle's automatic differentiation, and the matrix products alone.
//!
//! A yardstick is a step on one thread that can be repeated. [`candle`] does what the engine does, the slow way.
//! [`products`] does the three products of every linear layer (forward, input's and weights' gradient) over a whole
//! batch and nothing else: attention, norms, losses and the optimizer would come on top, so its rate bounds any engine
//! that uses the same products.

use super::llama::{Network, product::Linear};
use super::oracle::Oracle;
use super::spec::Llama;
use crate::algorithm::adamw::{adamw_step, clip_factor};
use crate::algorithm::spec::AdamW;
use crate::sim::Streams;

/// A step that can be repeated, on one thread.
pub type Step = Box<dyn FnMut() + Send>;

/// Parameters and tokens of a step on which speed is measured.
fn inputs(network: &Network, batch: usize) -> (Vec<f32>, Vec<u32>) {
    let shape = network.shape();
    let theta = network.initial_parameters(Streams::new(crate::quantity::Seed(1)));
    let tokens = (0..batch * (shape.context + 1)).map(|i| (i * 7919 % shape.vocabulary) as u32).collect();
    (theta, tokens)
}

/// A step by automatic differentiation and the same `AdamW`.
///
/// # Panics
/// If candle fails.
#[must_use]
pub fn candle(shape: &Llama, batch: usize, adamw: AdamW) -> Step {
    let network = Network::new(shape);
    let (mut theta, tokens) = inputs(&network, batch);
    let (mut m, mut v, mut step) = (vec![0.0; theta.len()], vec![0.0; theta.len()], 0);
    Box::new(move || {
        let oracle = Oracle::new(&network, &theta).expect("because candle works");
        let (_, gradient) = oracle.gradient(&tokens).expect("because candle works");
        step += 1;
        let scale = clip_factor(&gradient, adamw.gradient_clip);
        adamw_step(&adamw, &mut theta, &gradient, &mut m, &mut v, step, adamw.learning_rate, scale);
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
    let (mut x, mut y) = (vec![0.5; rows * widest], vec![0.5; rows * widest]);
    let (w, mut dw) = (vec![0.5; widest * widest], vec![0.0; widest * widest]);
    Box::new(move || {
        for layer in &layers {
            let (inputs, outputs) = (rows * layer.inputs, rows * layer.outputs);
            let weights = layer.inputs * layer.outputs;
            layer.forward(&mut y[..outputs], &x[..inputs], &w[..weights]);
            layer.backward_weight(
                &mut dw[..weights],
                &y[..outputs],
                &x[..inputs],
                super::llama::product::Write::Replace,
            );
            layer.backward_input(&mut x[..inputs], &y[..outputs], &w[..weights]);
            // Values would grow from product to product.
            x[..inputs].fill(0.5);
        }
    })
}
