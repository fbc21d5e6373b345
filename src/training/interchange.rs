//! Models as Hugging Face directories: `config.json` and `model.safetensors`, as `transformers` reads and writes them.
//!
//! The engine's mathematics and tensor names are those of `LlamaForCausalLM`, so a directory holds θ as it is, in f32.
//! Read are only directories whose configuration is exactly the network's; weights in other types than f32 or in several
//! files are not.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use thiserror::Error;

use super::llama::Network;
use super::spec::Llama;

/// The configuration's file name.
pub const CONFIG: &str = "config.json";
/// The weights' file name.
pub const WEIGHTS: &str = "model.safetensors";

/// Why a directory is not a model of the scenario's shape.
#[derive(Debug, Error, miette::Diagnostic)]
pub enum InterchangeError {
    /// A file is not there or cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    #[diagnostic(help("a model's directory holds `config.json` and `model.safetensors`"))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The configuration differs from the scenario's model.
    #[error("`{}` has {found} for `{field}`, the scenario's model has {expected}", path.display())]
    #[diagnostic(help("let `model` have the sizes of the model that the run starts from"))]
    Differs {
        /// The configuration.
        path: PathBuf,
        /// Which entry.
        field: String,
        /// What it says.
        found: String,
        /// What `model` says.
        expected: String,
    },
}

/// The files of a model: names and contents.
///
/// # Panics
/// If θ has not the network's length.
#[must_use]
pub fn files(network: &Network, theta: &[f32]) -> [(&'static str, Vec<u8>); 2] {
    assert_eq!(theta.len(), network.layout().parameters(), "θ has the layout's length");
    let mut config =
        serde_json::to_vec_pretty(&config(network.shape())).expect("because a configuration is plain data");
    config.push(b'\n');
    let bytes: Vec<u8> = theta.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensors = network.layout().tensors().iter().map(|tensor| {
        let (range, shape) = (tensor.range(), tensor.shape.clone());
        let view = TensorView::new(Dtype::F32, shape, &bytes[4 * range.start..4 * range.end]);
        (tensor.name.as_str(), view.expect("because a tensor has its shape's values"))
    });
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    let weights = safetensors::serialize(tensors, Some(metadata)).expect("because names are distinct");
    [(CONFIG, config), (WEIGHTS, weights)]
}

/// What `transformers` has to know of a shape.
fn config(shape: &Llama) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.width / shape.heads,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": shape.tied,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": false,
        "mlp_bias": false,
        "bos_token_id": null,
        "eos_token_id": null,
    })
}

/// Entries on which the mathematics depends; where a configuration is silent, they have the value that `config` writes.
const DECISIVE: [&str; 13] = [
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "tie_word_embeddings",
    "hidden_act",
    "rms_norm_eps",
    "rope_theta",
    "attention_bias",
];

/// Reads θ from a directory.
///
/// # Errors
/// A file is missing or malformed, or the model is not the network's.
pub fn read(directory: &Path, network: &Network) -> Result<Vec<f32>, InterchangeError> {
    let path = directory.join(CONFIG);
    let malformed = |path: &Path, reason: String| InterchangeError::Malformed { path: path.to_owned(), reason };
    let found: Value =
        serde_json::from_slice(&contents(&path)?).map_err(|error| malformed(&path, error.to_string()))?;
    let expected = config(network.shape());
    for field in DECISIVE {
        let (found, expected) = (found.get(field).unwrap_or(&expected[field]), &expected[field]);
        let same = found == expected || (found.is_number() && found.as_f64() == expected.as_f64());
        if !same {
            let (field, found, expected) = (field.to_owned(), found.to_string(), expected.to_string());
            return Err(InterchangeError::Differs { path, field, found, expected });
        }
    }
    let path = directory.join(WEIGHTS);
    let bytes = contents(&path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| malformed(&path, error.to_string()))?;
    let mut theta = Vec::with_capacity(network.layout().parameters());
    for tensor in network.layout().tensors() {
        let reason = |what: String| malformed(&path, format!("`{}` {what}", tensor.name));
        let view = file.tensor(&tensor.name).map_err(|_| reason("is missing".to_owned()))?;
        if view.dtype() != Dtype::F32 {
            return Err(reason(format!("is {:?}, expected F32", view.dtype())));
        }
        if view.shape() != tensor.shape {
            return Err(reason(format!("has the shape {:?}, expected {:?}", view.shape(), tensor.shape)));
        }
        theta.extend(view.data().as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)));
    }
    match theta.iter().position(|value| !value.is_finite()) {
        None => Ok(theta),
        Some(index) => Err(malformed(&path, format!("value {index} is not finite"))),
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, InterchangeError> {
    std::fs::read(path).map_err(|source| InterchangeError::Read { path: path.to_owned(), source })
}
