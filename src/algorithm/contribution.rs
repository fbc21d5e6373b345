//! One decoded payload.

use std::ops::Range;

use super::layout::Layout;
use super::reduce;

/// What a peer contributes: some entries of the flat buffer, or all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// Places in the flat buffer, tensor by tensor; `None`: every place, in order.
    pub indices: Option<Vec<u32>>,
    /// The values at these places.
    pub values: Vec<f32>,
    /// Each tensor's part of `values`, in order of the layout.
    pub tensors: Vec<Range<usize>>,
}

impl Contribution {
    /// A contribution that has every entry.
    #[must_use]
    pub fn dense(layout: &Layout, values: Vec<f32>) -> Self {
        Self { indices: None, values, tensors: layout.tensors().iter().map(super::Tensor::range).collect() }
    }

    /// L2 norm of the tensor's entries.
    #[must_use]
    pub fn norm(&self, tensor: usize) -> f64 {
        reduce::norm(&self.values[self.tensors[tensor].clone()])
    }

    /// Adds all entries to a flat buffer.
    pub fn add_to(&self, buffer: &mut [f32]) {
        match &self.indices {
            None => buffer.iter_mut().zip(&self.values).for_each(|(sum, value)| *sum += value),
            Some(indices) => {
                for (&index, value) in indices.iter().zip(&self.values) {
                    buffer[index as usize] += value;
                }
            }
        }
    }
}
