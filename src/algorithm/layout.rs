//! The ordered layout of a flat parameter buffer: named views with shapes and offsets.

use serde::{Deserialize, Serialize};

/// One tensor's place in the flat buffer, row-major.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tensor {
    /// Unique name, e.g. `layers.0.attention.query`.
    pub name: String,
    /// Shape; one or two dimensions, none of them zero.
    pub shape: Vec<usize>,
    /// Index of the first element in the flat buffer.
    pub offset: usize,
}

/// The tensors of a model in the order in which they lie, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layout {
    tensors: Vec<Tensor>,
    parameters: usize,
}

impl Tensor {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor's range of the flat buffer.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

impl Layout {
    /// An empty layout, to be filled with [`Self::push`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a tensor behind the last one and returns its index.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize]) -> usize {
        let tensor = Tensor { name: name.into(), shape: shape.to_vec(), offset: self.parameters };
        self.parameters += tensor.len();
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    /// The tensors in order.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Number P of parameters, the length of the flat buffer.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }
}
