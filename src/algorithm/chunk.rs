//! How a tensor is cut into chunks.
//!
//! A matrix is cut into blocks h×w, each side the largest divisor of its dimension that is not above the target, so
//! blocks tile it without remainder. A block's C = h·w elements are numbered row-major within the block; blocks are
//! numbered row-major over the matrix. A vector is cut into runs, see [`VectorChunk`].
//!
//! Source: the public code of Covenant-72B (`compress.py`, after the layout fix of August 2025). A dimension without a
//! divisor in reach, such as a prime, ends in chunks of one element: the public code crashes there, here the element
//! is sent.

use super::spec::{TopK, VectorChunk};

/// A tensor's division into equal chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Rows of the matrix; 1 for a vector.
    pub rows: usize,
    /// Columns of the matrix; the length of a vector.
    pub columns: usize,
    /// Height and width of a chunk; divisors of the two above.
    pub block: [usize; 2],
    /// Entries kept per chunk, after clamping.
    pub k: usize,
}

/// The largest divisor of `length` that is at most `target`.
///
/// # Panics
/// If one of them is zero.
#[must_use]
pub fn largest_divisor(length: usize, target: usize) -> usize {
    assert!(length > 0 && target > 0, "neither dimensions nor targets are zero");
    (1..=target.min(length))
        .rev()
        .find(|&divisor| length.is_multiple_of(divisor))
        .expect("because 1 divides everything")
}

/// k clamped to what a chunk of `chunk_len` elements can give; see [`TopK::even_k`].
///
/// A chunk of one element gives that one, even if k is to be even.
#[must_use]
pub fn clamp_k(k: usize, chunk_len: usize, even: bool) -> usize {
    if even && chunk_len > 1 { k.clamp(2, chunk_len) & !1 } else { k.clamp(1, chunk_len) }
}

impl Cut {
    /// The division of a tensor of this shape.
    ///
    /// # Panics
    /// If the shape has not one or two dimensions, or one of them is zero.
    #[must_use]
    pub fn of(top_k: &TopK, shape: &[usize]) -> Self {
        let [height, width] = top_k.chunk;
        match *shape {
            [columns] => {
                let (target, area) = match top_k.vectors {
                    VectorChunk::Side => (width, None),
                    VectorChunk::Area => (height * width, None),
                    VectorChunk::AreaRate => (height * width, Some(height * width)),
                };
                let length = largest_divisor(columns, target);
                let k = area.map_or(top_k.k, |area| {
                    ((length as f64 * top_k.k as f64 / area as f64).round_ties_even() as usize).max(1)
                });
                Self { rows: 1, columns, block: [1, length], k: clamp_k(k, length, top_k.even_k) }
            }
            [rows, columns] => {
                let block = [largest_divisor(rows, height), largest_divisor(columns, width)];
                Self { rows, columns, block, k: clamp_k(top_k.k, block[0] * block[1], top_k.even_k) }
            }
            _ => panic!("a tensor has one or two dimensions, not the shape {shape:?}"),
        }
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunks(&self) -> usize {
        (self.rows / self.block[0]) * (self.columns / self.block[1])
    }

    /// Elements C of a chunk.
    #[must_use]
    pub fn chunk_len(&self) -> usize {
        self.block[0] * self.block[1]
    }

    /// Entries kept of the whole tensor.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.chunks() * self.k
    }

    /// Where in the tensor the chunk's first element lies.
    #[must_use]
    pub fn origin(&self, chunk: usize) -> usize {
        let across = self.columns / self.block[1];
        (chunk / across) * self.block[0] * self.columns + (chunk % across) * self.block[1]
    }

    /// Fills `offsets` with each element's distance from its chunk's origin; C values, the same for all chunks.
    pub fn offsets(&self, offsets: &mut Vec<u32>) {
        let [height, width] = self.block;
        offsets.clear();
        offsets.extend((0..height).flat_map(|row| (0..width).map(move |column| (row * self.columns + column) as u32)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::spec::IndexCoding;

    fn top_k(chunk: [usize; 2], k: usize, even_k: bool, vectors: VectorChunk) -> TopK {
        TopK { chunk, vectors, k, even_k, quantizer: None, index_coding: IndexCoding::Fixed, error_feedback: None }
    }

    #[test]
    fn chunks_tile_the_tensor() {
        for shape in [vec![6, 10], vec![97, 3], vec![1, 1], vec![12], vec![97], vec![128, 64]] {
            for vectors in [VectorChunk::Side, VectorChunk::Area, VectorChunk::AreaRate] {
                let cut = Cut::of(&top_k([4, 8], 3, true, vectors), &shape);
                let mut offsets = Vec::new();
                cut.offsets(&mut offsets);
                assert_eq!(offsets.len(), cut.chunk_len());
                let mut seen: Vec<usize> = (0..cut.chunks())
                    .flat_map(|chunk| offsets.iter().map(move |&offset| cut.origin(chunk) + offset as usize))
                    .collect();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..shape.iter().product()), "{shape:?} {cut:?}");
            }
        }
    }

    #[test]
    fn a_prime_dimension_ends_in_chunks_of_one_element_that_are_sent() {
        let cut = Cut::of(&top_k([64, 64], 64, true, VectorChunk::Side), &[97, 101]);
        assert_eq!((cut.block, cut.k, cut.kept()), ([1, 1], 1, 97 * 101));
    }

    #[test]
    fn the_second_block_of_a_matrix_lies_to_the_right() {
        let cut = Cut::of(&top_k([2, 2], 2, true, VectorChunk::Side), &[4, 6]);
        assert_eq!([cut.origin(0), cut.origin(1), cut.origin(3)], [0, 2, 12]);
        let mut offsets = Vec::new();
        cut.offsets(&mut offsets);
        assert_eq!(offsets, [0, 1, 6, 7]);
    }
}
