//! A decoded payload: one peer's compressed pseudo-gradient.

use std::ops::Range;

use super::layout::Layout;
use super::reduce;

/// What one payload says, in the order of the layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    entries: Entries,
    /// Where each tensor's entries lie.
    spans: Vec<Span>,
    /// L2 norm of each tensor's entries.
    norms: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Entries {
    /// Every coordinate.
    Dense(Vec<f32>),
    /// Some coordinates, chunk by chunk, ascending within a chunk.
    Sparse { indices: Vec<u32>, values: Vec<f32> },
}

/// The entries of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    entries: Range<usize>,
    chunks: usize,
}

/// The entries of one chunk, or of a stretch of a dense tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ChunkEntries<'a> {
    pub(super) indices: &'a [u32],
    pub(super) values: &'a [f32],
}

impl Contribution {
    /// A contribution to every coordinate.
    ///
    /// # Panics
    /// If the number of values is not P.
    #[must_use]
    pub fn dense(layout: &Layout, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), layout.parameters(), "a dense contribution has P values");
        let spans = layout.tensors().iter().map(|tensor| Span { entries: tensor.range(), chunks: 1 }).collect();
        let norms = layout.tensors().iter().map(|tensor| reduce::norm(&values[tensor.range()])).collect();
        Self { entries: Entries::Dense(values), spans, norms }
    }

    /// A sparse contribution, to be filled tensor by tensor with [`Self::push_tensor`].
    pub(super) fn sparse(kept: usize, tensors: usize) -> Self {
        Self {
            entries: Entries::Sparse { indices: Vec::with_capacity(kept), values: Vec::with_capacity(kept) },
            spans: Vec::with_capacity(tensors),
            norms: Vec::with_capacity(tensors),
        }
    }

    /// Appends a tensor of `chunks` chunks with equally many entries each, which `fill` pushes.
    ///
    /// Within a chunk indices come ascending; an index that comes more than once carries its mean each time.
    pub(super) fn push_tensor<E>(
        &mut self,
        chunks: usize,
        fill: impl FnOnce(&mut Vec<u32>, &mut Vec<f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Entries::Sparse { indices, values } = &mut self.entries else {
            unreachable!("tensors are pushed to sparse contributions");
        };
        let start = values.len();
        fill(indices, values)?;
        self.norms.push(reduce::norm(&values[start..]));
        self.spans.push(Span { entries: start..values.len(), chunks });
        Ok(())
    }

    /// L2 norm of all entries.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt()
    }

    /// L2 norm of the entries of the layout's tensor with this index.
    #[must_use]
    pub fn tensor_norm(&self, tensor: usize) -> f64 {
        self.norms[tensor]
    }

    /// Number of entries that the payload carries.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.spans.last().map_or(0, |span| span.entries.end)
    }

    /// The flat indices of a tensor's entries, chunk by chunk, ascending within a chunk; `None`: all, in order.
    #[must_use]
    pub fn indices(&self, tensor: usize) -> Option<&[u32]> {
        match &self.entries {
            Entries::Dense(_) => None,
            Entries::Sparse { indices, .. } => Some(&indices[self.spans[tensor].entries.clone()]),
        }
    }

    /// The values of a tensor's entries, in the order of [`Self::indices`].
    #[must_use]
    pub fn values(&self, tensor: usize) -> &[f32] {
        let (Entries::Dense(values) | Entries::Sparse { values, .. }) = &self.entries;
        &values[self.spans[tensor].entries.clone()]
    }

    /// Chunks into which a tensor's entries fall, equally many in each; 1 for a dense contribution.
    #[must_use]
    pub fn chunks(&self, tensor: usize) -> usize {
        self.spans[tensor].chunks
    }

    /// The entries of a chunk of a tensor, if the contribution is sparse.
    pub(super) fn chunk(&self, tensor: usize, chunk: usize) -> ChunkEntries<'_> {
        let Entries::Sparse { indices, values } = &self.entries else {
            unreachable!("dense contributions have no chunks of entries");
        };
        let span = &self.spans[tensor];
        let kept = span.entries.len() / span.chunks;
        let range = span.entries.start + chunk * kept..span.entries.start + (chunk + 1) * kept;
        ChunkEntries { indices: &indices[range.clone()], values: &values[range] }
    }

    /// Whether only some coordinates are carried.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        matches!(self.entries, Entries::Sparse { .. })
    }

    /// Multiplies all entries by `factor`.
    pub fn scale(&mut self, factor: f32) {
        let (Entries::Dense(values) | Entries::Sparse { values, .. }) = &mut self.entries;
        values.iter_mut().for_each(|value| *value *= factor);
        for (norm, span) in self.norms.iter_mut().zip(&self.spans) {
            *norm = reduce::norm(&values[span.entries.clone()]);
        }
    }

    /// target ← target + factor · contribution, for the tensor with this index; `target` is a flat buffer of P values.
    pub fn add_tensor_to(&self, tensor: usize, factor: f32, target: &mut [f32]) {
        let range = self.spans[tensor].entries.clone();
        match &self.entries {
            Entries::Dense(values) => {
                for (target, &value) in target[range.clone()].iter_mut().zip(&values[range]) {
                    *target += factor * value;
                }
            }
            Entries::Sparse { indices, values } => {
                let mut previous = None;
                for (&index, &value) in indices[range.clone()].iter().zip(&values[range]) {
                    if previous.replace(index) != Some(index) {
                        target[index as usize] += factor * value;
                    }
                }
            }
        }
    }

    /// target ← target + factor · contribution; `target` is a flat buffer of P values.
    pub fn add_to(&self, factor: f32, target: &mut [f32]) {
        for tensor in 0..self.spans.len() {
            self.add_tensor_to(tensor, factor, target);
        }
    }

    /// All P values, zero where nothing was sent.
    #[must_use]
    pub fn to_dense(&self, layout: &Layout) -> Vec<f32> {
        let mut values = vec![0.0; layout.parameters()];
        match &self.entries {
            Entries::Dense(all) => values.copy_from_slice(all),
            Entries::Sparse { indices, values: sent } => {
                for (&index, &value) in indices.iter().zip(sent) {
                    values[index as usize] = value;
                }
            }
        }
        values
    }
}
