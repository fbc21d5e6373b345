//! The hand-written backward pass against automatic differentiation and against finite differences.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use swarmloco::quantity::Seed;
use swarmloco::sim::Streams;
use swarmloco::training::llama::Network;
use swarmloco::training::oracle::Oracle;
use swarmloco::training::spec::Llama;

/// Shapes whose widths are and are not multiples of a vector, with shared and unshared heads, tied and not.
fn shapes() -> Vec<Llama> {
    let reference = Llama {
        layers: 2,
        width: 128,
        heads: 4,
        kv_heads: 2,
        feed_forward: 344,
        context: 64,
        vocabulary: 256,
        tied: false,
    };
    vec![
        reference.clone(),
        Llama { tied: true, ..reference },
        Llama {
            layers: 1,
            width: 40,
            heads: 4,
            kv_heads: 4,
            feed_forward: 21,
            context: 19,
            vocabulary: 50,
            tied: false,
        },
        Llama {
            layers: 3,
            width: 36,
            heads: 6,
            kv_heads: 1,
            feed_forward: 30,
            context: 37,
            vocabulary: 33,
            tied: true,
        },
        Llama {
            layers: 1,
            width: 96,
            heads: 2,
            kv_heads: 1,
            feed_forward: 64,
            context: 70,
            vocabulary: 17,
            tied: false,
        },
    ]
}

/// Parameters large enough that no term of the gradient hides behind the others, and a batch.
fn case(shape: &Llama, sequences: usize) -> (Network, Vec<f32>, Vec<u32>) {
    let network = Network::new(shape);
    let mut theta = network.initial_parameters(Streams::new(Seed(3)));
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for tensor in network.layout().tensors() {
        let factor = if tensor.shape.len() == 1 { 1.0 } else { 4.0 };
        for value in &mut theta[tensor.range()] {
            *value = *value * factor + rng.random_range(-0.05..0.05);
        }
    }
    let tokens = (0..sequences * (shape.context + 1)).map(|_| rng.random_range(0..shape.vocabulary as u32)).collect();
    (network, theta, tokens)
}

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |largest, value| largest.max(value.abs()))
}

#[test]
fn gradients_agree_with_automatic_differentiation() {
    for shape in shapes() {
        let (network, theta, tokens) = case(&shape, 6);
        let mut gradient = vec![f32::NAN; theta.len()];
        let loss = network.gradient(&mut network.buffers(6), &theta, &tokens, &mut gradient);
        let (expected_loss, expected) = Oracle::new(&network, &theta).unwrap().gradient(&tokens).unwrap();
        assert!((loss - expected_loss).abs() < 1e-5, "{shape:?}: loss {loss}, candle {expected_loss}");
        for tensor in network.layout().tensors() {
            let (ours, theirs) = (&gradient[tensor.range()], &expected[tensor.range()]);
            let difference = largest(ours.iter().zip(theirs).map(|(a, b)| a - b));
            let scale = largest(theirs.iter().copied());
            assert!(scale > 0.0, "{}: candle dropped its gradient", tensor.name);
            assert!(difference <= 1e-4 * scale, "{shape:?}, {}: {difference:e} of {scale:e}", tensor.name);
        }
    }
}

#[test]
fn every_tensor_receives_a_gradient() {
    for shape in shapes() {
        let (network, theta, tokens) = case(&shape, 2);
        let mut gradient = vec![0.0; theta.len()];
        network.gradient(&mut network.buffers(2), &theta, &tokens, &mut gradient);
        for tensor in network.layout().tensors() {
            assert!(largest(gradient[tensor.range()].iter().copied()) > 0.0, "{}", tensor.name);
        }
    }
}

/// Central differences along the gradient of one tensor and along random coordinates of it.
///
/// The loss is summed in f32 per token, so a difference is good to about 1e-7/step; the steps are chosen to balance
/// that against the third derivative.
#[test]
fn finite_differences_agree() {
    let shape = &shapes()[2];
    let (network, theta, tokens) = case(shape, 4);
    let mut buffers = network.buffers(4);
    let mut gradient = vec![0.0; theta.len()];
    network.gradient(&mut buffers, &theta, &tokens, &mut gradient);
    let count = (4 * shape.context) as f64;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for tensor in network.layout().tensors() {
        let scale = largest(gradient[tensor.range()].iter().copied());
        for _ in 0..6 {
            let at = rng.random_range(tensor.range());
            let step = 1e-2;
            let mut loss_at = |offset: f32| {
                let mut moved = theta.clone();
                moved[at] += offset;
                network.loss_sum(&mut buffers, &moved, &tokens) / count
            };
            let slope = (loss_at(step) - loss_at(-step)) / f64::from(2.0 * step);
            let error = (slope - f64::from(gradient[at])).abs();
            assert!(error < f64::from(0.02 * scale) + 2e-5, "{}[{at}]: {slope:e}, {:e}", tensor.name, gradient[at]);
        }
    }
}

#[test]
fn the_mean_of_gradients_is_the_gradient_of_the_concatenation() {
    let shape = &shapes()[0];
    let (peers, per_peer) = (3, 4);
    let (network, theta, tokens) = case(shape, peers * per_peer);
    let mut whole = vec![0.0; theta.len()];
    network.gradient(&mut network.buffers(peers * per_peer), &theta, &tokens, &mut whole);
    let mut mean = vec![0.0; theta.len()];
    let mut gradient = vec![0.0; theta.len()];
    let mut buffers = network.buffers(per_peer);
    for batch in tokens.chunks_exact(per_peer * (shape.context + 1)) {
        network.gradient(&mut buffers, &theta, batch, &mut gradient);
        mean.iter_mut().zip(&gradient).for_each(|(mean, value)| *mean += value / peers as f32);
    }
    for tensor in network.layout().tensors() {
        let (mean, whole) = (&mean[tensor.range()], &whole[tensor.range()]);
        let difference = largest(mean.iter().zip(whole).map(|(a, b)| a - b));
        assert!(difference <= 1e-5 * largest(whole.iter().copied()), "{}: {difference:e}", tensor.name);
    }
}

#[test]
fn buffers_remember_nothing() {
    let (network, theta, tokens) = case(&shapes()[2], 6);
    let mut fresh = vec![0.0; theta.len()];
    let part = &tokens[..2 * 20];
    network.gradient(&mut network.buffers(6), &theta, part, &mut fresh);
    let mut used = vec![f32::NAN; theta.len()];
    let mut buffers = network.buffers(6);
    network.gradient(&mut buffers, &theta, &tokens, &mut used);
    network.gradient(&mut buffers, &theta, part, &mut used);
    assert_eq!(fresh, used);
}
