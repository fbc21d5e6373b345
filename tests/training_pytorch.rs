//! The engine against PyTorch: the same weights and batches give the same losses and the same first gradient.
//!
//! `benches/peers/conformance.py` wrote what PyTorch makes of them, `benches/peers/interchange.py` what `transformers` makes of a
//! model that the engine has written.

use safetensors::SafeTensors;
use swarmloco::algorithm::adamw::{adamw_step, clip_factor};
use swarmloco::algorithm::spec::{AdamW, Schedule};
use swarmloco::training::interchange::{self, InterchangeError};
use swarmloco::training::llama::Network;
use swarmloco::training::spec::Llama;

const FIXTURE: &[u8] = include_bytes!("fixtures/pytorch_llama.safetensors");

fn network() -> Network {
    Network::new(&Llama {
        layers: 2,
        width: 32,
        heads: 4,
        kv_heads: 2,
        feed_forward: 48,
        context: 16,
        vocabulary: 32,
        tied: false,
    })
}

/// A tensor's values of N bytes each.
fn values<const N: usize>(file: &SafeTensors<'_>, name: &str) -> Vec<[u8; N]> {
    file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}")).data().as_chunks().0.to_vec()
}

/// A flat buffer in the network's layout from the tensors `prefix.NAME`.
fn flat(file: &SafeTensors<'_>, network: &Network, prefix: &str) -> Vec<f32> {
    let mut flat = Vec::new();
    for tensor in network.layout().tensors() {
        let name = format!("{prefix}.{}", tensor.name);
        let view = file.tensor(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(view.shape(), tensor.shape, "{name}");
        flat.extend(view.data().as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)));
    }
    flat
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn losses_and_the_first_gradient_are_pytorchs() {
    let file = SafeTensors::deserialize(FIXTURE).expect("a safetensors file");
    let network = network();
    let (mut theta, expected_gradient) = (flat(&file, &network, "weights"), flat(&file, &network, "gradient"));
    let batches: Vec<u32> = values(&file, "batches").into_iter().map(u32::from_le_bytes).collect();
    let losses: Vec<f64> = values(&file, "losses").into_iter().map(f64::from_le_bytes).collect();
    let spec = AdamW {
        learning_rate: 1e-2,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weight_decay: 0.1,
        gradient_clip: Some(1.0),
        schedule: Schedule::Constant,
    };
    let mut buffers = network.buffers(4);
    let [mut gradient, mut m, mut v] = std::array::from_fn(|_| vec![0.0; theta.len()]);
    assert!(losses[49] < 0.9 * losses[0], "the batches teach something");
    for (step, (tokens, expected)) in batches.chunks_exact(batches.len() / losses.len()).zip(&losses).enumerate() {
        let loss = network.gradient(&mut buffers, &theta, tokens, &mut gradient);
        assert!((loss / expected - 1.0).abs() < 1e-3, "step {step}: {loss} is not {expected}");
        if step == 0 {
            for tensor in network.layout().tensors() {
                let (ours, theirs) = (&gradient[tensor.range()], &expected_gradient[tensor.range()]);
                let difference: Vec<f32> = ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
                assert!(norm(&difference) < 1e-4 * norm(theirs), "the gradient of {}", tensor.name);
            }
        }
        let scale = clip_factor(&gradient, spec.gradient_clip);
        adamw_step(&spec, &mut theta, &gradient, &mut m, &mut v, step as u64 + 1, spec.learning_rate, scale);
    }
}

const LOGITS: &[u8] = include_bytes!("fixtures/transformers_logits.safetensors");

#[test]
#[expect(clippy::disallowed_methods, reason = "how `benches/peers/interchange.py` gets a model to read")]
fn transformers_reads_our_models_and_computes_our_logits() {
    let file = SafeTensors::deserialize(FIXTURE).expect("a safetensors file");
    let network = network();
    let theta = flat(&file, &network, "weights");
    let files = interchange::files(&network, &theta);
    if let Some(kept) = std::env::var_os("SWARMLOCO_MODEL") {
        for (name, bytes) in files {
            std::fs::write(std::path::Path::new(&kept).join(name), bytes).expect("room for a model");
        }
        return;
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    let read = SafeTensors::deserialize(LOGITS).expect("a safetensors file");
    for (name, bytes) in files {
        assert!(bytes == values::<1>(&read, name).into_flattened(), "{name} is what `transformers` has read");
        std::fs::write(place.path().join(name), bytes).expect("room for a model");
    }
    assert_eq!(interchange::read(place.path(), &network).expect("we read what we write"), theta);

    let batches: Vec<u32> = values(&file, "batches").into_iter().map(u32::from_le_bytes).collect();
    let first: Vec<u32> = batches[..4 * 17].chunks_exact(17).flat_map(|row| row[..16].to_vec()).collect();
    let expected: Vec<f32> = values(&read, "logits").into_iter().map(f32::from_le_bytes).collect();
    let logits = network.logits(&theta, &first);
    assert_eq!(logits.len(), expected.len());
    for (index, (ours, theirs)) in logits.iter().zip(&expected).enumerate() {
        assert!((ours - theirs).abs() < 1e-4, "logit {index}: {ours} is not {theirs}");
    }
}

#[test]
fn another_model_is_not_started_from() {
    let file = SafeTensors::deserialize(FIXTURE).expect("a safetensors file");
    let network = network();
    let theta = flat(&file, &network, "weights");
    let place = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, bytes: &[u8]| std::fs::write(place.path().join(name), bytes).expect("room for a model");
    let read =
        |network: &Network| interchange::read(place.path(), network).expect_err("it is not this model").to_string();
    assert!(matches!(interchange::read(place.path(), &network), Err(InterchangeError::Read { .. })));
    for (name, bytes) in interchange::files(&network, &theta) {
        write(name, &bytes);
    }
    let wider = Network::new(&Llama { feed_forward: 64, ..network.shape().clone() });
    assert!(read(&wider).contains("has 48 for `intermediate_size`, the scenario's model has 64"), "{}", read(&wider));
    let mut broken = theta.clone();
    broken[5] = f32::NAN;
    write("model.safetensors", &interchange::files(&network, &broken)[1].1);
    assert!(read(&network).contains("value 5 is not finite"));
    write("model.safetensors", b"{}");
    assert!(read(&network).contains("model.safetensors` cannot be used"));
}
