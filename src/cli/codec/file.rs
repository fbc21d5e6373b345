//! Tensors in `.safetensors` files, and payloads in files that describe themselves.
//!
//! ```text
//! payload file = magic "SLCF" | header length u32 | header JSON | payload | xxh3-64 of all before
//! header       = {"compression": …, "tensors": [{"name": …, "shape": […]}, …]}
//! ```
//!
//! Little endian. Tensors go in order of their names, which is how `.safetensors` files are compared.

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use miette::Diagnostic;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use crate::algorithm::Layout;
use crate::algorithm::codec::DecodeError;
use crate::algorithm::spec::{Compression, CompressionError};
use crate::record::{RecordError, directory};

const MAGIC: [u8; 4] = *b"SLCF";
/// Magic and length of the header.
const PREFIX: usize = 8;
/// The checksum.
const SUFFIX: usize = 8;

/// What is wrong with files or options.
#[derive(Debug, Error, Diagnostic)]
pub enum CodecError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not in the format.
    #[error("`{}` is no `.safetensors` file: {error}", path.display())]
    NotSafetensors {
        /// Which.
        path: PathBuf,
        /// Why.
        error: SafeTensorError,
    },
    /// A tensor that the codec does not take.
    #[error("`{}`: `{name}` {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What it is and what was expected.
        reason: String,
    },
    /// There is nothing to encode.
    #[error("`{}` holds no tensor", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A state of other tensors.
    #[error("the state `{}` has other tensors or shapes than the input", path.display())]
    #[diagnostic(help("give another `--state`, or remove the file to start without error feedback"))]
    OtherTensors {
        /// The state.
        path: PathBuf,
    },
    /// Options that the codec does not take.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A file that is no payload, or a damaged one.
    #[error("`{}` is no payload: {reason}", path.display())]
    NotAPayload {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A payload that a receiver refuses.
    #[error("`{}` does not decode: {error}", path.display())]
    Payload {
        /// Which.
        path: PathBuf,
        /// Why.
        error: DecodeError,
    },
    /// A file cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Record(#[from] RecordError),
}

impl CodecError {
    /// Whether the fault lies in the input.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Record(_))
    }
}

/// Tensors as one flat buffer.
pub struct Tensors {
    /// Names, shapes, places.
    pub layout: Layout,
    /// P values.
    pub values: Vec<f32>,
}

/// A payload and what is needed to decode it.
pub struct Payload {
    /// How it was encoded.
    pub compression: Compression,
    /// What it encodes.
    pub layout: Layout,
    /// The payload itself.
    pub bytes: Vec<u8>,
    /// Size of the file.
    pub file_bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    compression: Compression,
    tensors: Vec<HeaderTensor>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderTensor {
    name: String,
    shape: Vec<usize>,
}

fn read(path: &Path) -> Result<Vec<u8>, CodecError> {
    std::fs::read(path).map_err(|error| CodecError::Unreadable { path: path.to_owned(), error })
}

/// Reads matrices and vectors of f32, f16 or bf16, in order of their names.
pub fn read_tensors(path: &Path) -> Result<Tensors, CodecError> {
    let bytes = read(path)?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| CodecError::NotSafetensors { path: path.to_owned(), error })?;
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut layout = Layout::new();
    let mut values = Vec::new();
    for (name, view) in tensors {
        let refuse = |reason: String| CodecError::Tensor { path: path.to_owned(), name: name.clone(), reason };
        if !matches!(view.shape().len(), 1 | 2) || view.shape().contains(&0) {
            return Err(refuse(format!("has the shape {:?}, expected one or two dimensions above zero", view.shape())));
        }
        let data = view.data();
        match view.dtype() {
            Dtype::F32 => values.extend(data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes))),
            Dtype::F16 => values.extend(data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32())),
            Dtype::BF16 => values.extend(data.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32())),
            other => return Err(refuse(format!("is {other:?}, expected F32, F16 or BF16"))),
        }
        layout.push(name, view.shape());
    }
    if layout.parameters() == 0 {
        return Err(CodecError::Empty { path: path.to_owned() });
    }
    Ok(Tensors { layout, values })
}

/// Writes f32 tensors.
pub fn write_tensors(path: &Path, layout: &Layout, values: &[f32]) -> Result<(), CodecError> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = |tensor: &crate::algorithm::Tensor| {
        let range = tensor.range();
        TensorView::new(Dtype::F32, tensor.shape.clone(), &bytes[4 * range.start..4 * range.end])
            .expect("because the bytes are those of the shape")
    };
    let views = layout.tensors().iter().map(|tensor| (tensor.name.as_str(), view(tensor)));
    let file = safetensors::serialize(views, None)
        .map_err(|error| CodecError::NotSafetensors { path: path.to_owned(), error })?;
    Ok(directory::write_bytes(path, &file)?)
}

/// Writes a payload with its description.
pub fn write_payload(
    path: &Path,
    compression: &Compression,
    layout: &Layout,
    payload: &[u8],
) -> Result<(), CodecError> {
    let described =
        |tensor: &crate::algorithm::Tensor| HeaderTensor { name: tensor.name.clone(), shape: tensor.shape.clone() };
    let header = Header { compression: compression.clone(), tensors: layout.tensors().iter().map(described).collect() };
    let header = serde_json::to_vec(&header).expect("because a header is plain data");
    let mut bytes = MAGIC.to_vec();
    bytes.extend(u32::try_from(header.len()).expect("because a header is far below 4 GiB").to_le_bytes());
    bytes.extend(header);
    bytes.extend(payload);
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    Ok(directory::write_bytes(path, &bytes)?)
}

/// Reads a payload and its description.
pub fn read_payload(path: &Path) -> Result<Payload, CodecError> {
    let bytes = read(path)?;
    let refuse = |reason: &str| CodecError::NotAPayload { path: path.to_owned(), reason: reason.to_owned() };
    if bytes.len() < PREFIX + SUFFIX || bytes[..4] != MAGIC {
        return Err(refuse("it does not begin as one"));
    }
    let (body, checksum) = bytes.split_at(bytes.len() - SUFFIX);
    if xxh3_64(body).to_le_bytes() != *checksum {
        return Err(refuse("its checksum is wrong: it is damaged or cut off"));
    }
    let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    let header = body[PREFIX..].get(..length).ok_or_else(|| refuse("its header is longer than the file"))?;
    let header: Header = serde_json::from_slice(header).map_err(|error| refuse(&format!("its header: {error}")))?;
    header.compression.check().map_err(|error| refuse(&error.to_string()))?;
    let mut layout = Layout::new();
    let mut parameters = 0_usize;
    for HeaderTensor { name, shape } in header.tensors {
        let elements = shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        let sum = elements.and_then(|elements| parameters.checked_add(elements));
        parameters =
            sum.filter(|&sum| u32::try_from(sum).is_ok()).ok_or_else(|| refuse("its tensors are too large"))?;
        if !matches!(shape.len(), 1 | 2) || shape.contains(&0) {
            return Err(refuse(&format!("`{name}` has the shape {shape:?}")));
        }
        layout.push(name, &shape);
    }
    let payload = body[PREFIX + length..].to_vec();
    Ok(Payload { compression: header.compression, layout, bytes: payload, file_bytes: bytes.len() as u64 })
}
