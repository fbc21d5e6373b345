//! Inner products of all contributions with each other: what every rule by distances needs to know of them.
//!
//! With G_ij = ⟨v_i, v_j⟩ a point z = Σ w_i v_i is its weights, and
//!
//! ```text
//! ‖v_r − z‖² = G_rr − 2 (G w)_r + wᵀ G w        ‖v_i − v_j‖² = G_ii + G_jj − 2 G_ij
//! ```
//!
//! so Krum, Weiszfeld's iteration, centred clipping and the mixing of neighbours all cost one pass over the
//! contributions, whatever the number of iterations. Products of f32 are exact in f64 and summed there: differences
//! keep about sixteen digits less twice those that the vectors share. A square root of what cancels below zero is 0.
//!
//! Coordinate i goes to partial sum i mod 8 of its block, on registers of any width; with or without fused multiply-adds
//! the result is the same, since the products are exact.

use pulp::{Arch, Simd, WithSimd};

use super::block::{Block, LANES};
use crate::algorithm::vectorised::vectorised;

/// Partial sums of a product.
const WIDE: usize = 8;

/// Rows of the Gram matrix that are worked on together, and columns.
const TILE: usize = 4;

/// The inner products of `points` contributions; symmetric.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    points: usize,
    products: Vec<f64>,
}

impl Gram {
    /// Nothing but norms: of points whose inner products nobody asks for.
    pub fn of_norms(norms_squared: &[f64]) -> Self {
        let mut gram = Self { points: norms_squared.len(), products: vec![0.0; norms_squared.len().pow(2)] };
        for (point, &square) in norms_squared.iter().enumerate() {
            gram.products[point * gram.points + point] = square;
        }
        gram
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.points
    }

    /// G w.
    pub fn times(&self, weights: &[f64]) -> Vec<f64> {
        self.products.chunks_exact(self.points.max(1)).map(|row| dot(row, weights)).collect()
    }

    /// ‖v_r − z‖ of every r, for z = Σ w_i v_i.
    pub fn distances_to(&self, weights: &[f64]) -> Vec<f64> {
        let with_z = self.times(weights);
        let z_squared = dot(weights, &with_z);
        let square = |point: usize| self.products[point * self.points + point] - 2.0 * with_z[point] + z_squared;
        (0..self.points).map(|point| square(point).max(0.0).sqrt()).collect()
    }

    /// ‖v_i − v_j‖² of every j.
    pub fn squared_distances(&self, point: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| self.products[i * self.points + j];
        let square = |other: usize| at(point, point) + at(other, other) - 2.0 * at(point, other);
        (0..self.points).map(|other| if other == point { 0.0 } else { square(other).max(0.0) }).collect()
    }

    /// The inner products of the mixtures Σ_j m_rj v_j; `mixtures` has one row of weights for each.
    pub fn mixed(&self, mixtures: &[Vec<f64>]) -> Self {
        let halves: Vec<Vec<f64>> = mixtures.iter().map(|mixture| self.times(mixture)).collect();
        let products = mixtures.iter().flat_map(|mixture| halves.iter().map(move |half| dot(mixture, half)));
        Self { points: mixtures.len(), products: products.collect() }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A Gram matrix in the making, block by block.
#[derive(Debug)]
pub struct GramSum {
    points: usize,
    /// Rows that are worked on: points, and zeros up to whole tiles.
    rows: usize,
    products: Vec<f64>,
    /// A block's values, eight coordinates of every row after one another.
    wide: Vec<f64>,
}

impl GramSum {
    /// Of nothing yet.
    pub fn new(points: usize) -> Self {
        let rows = points.next_multiple_of(TILE);
        Self { points, rows, products: vec![0.0; rows * rows], wide: Vec::new() }
    }

    /// Adds the products of a block's coordinates; its padding has to be zero.
    pub fn add(&mut self, block: &Block) {
        let (points, rows) = (self.points, self.rows);
        let wide = &mut self.wide;
        vectorised(
            Arch::new(),
            #[inline(always)]
            || widen(block, points, rows, wide),
        );
        for i in (0..rows).step_by(TILE) {
            for j in (i..rows).step_by(TILE) {
                Arch::new().dispatch(Tile { wide, rows, i, j, products: &mut self.products });
            }
        }
    }

    /// The whole matrix.
    pub fn finish(self) -> Gram {
        let at = |i: usize, j: usize| self.products[i.min(j) * self.rows + i.max(j)];
        let products = (0..self.points).flat_map(|i| (0..self.points).map(move |j| at(i, j))).collect();
        Gram { points: self.points, products }
    }
}

/// A block's values in f64; rows beyond its points are zero.
#[inline(always)]
fn widen(block: &Block, points: usize, rows: usize, wide: &mut Vec<f64>) {
    let tiles = block.tiles();
    wide.resize(tiles.len() * LANES * rows, 0.0);
    for (tile, wide) in tiles.zip(wide.chunks_exact_mut(LANES * rows)) {
        for (half, wide) in wide.chunks_exact_mut(WIDE * rows).enumerate() {
            let (wide, _) = wide.as_chunks_mut::<WIDE>();
            for (lanes, wide) in tile.iter().zip(&mut *wide) {
                for lane in 0..WIDE {
                    wide[lane] = f64::from(lanes[half * WIDE + lane]);
                }
            }
            wide[points..].fill([0.0; WIDE]);
        }
    }
}

/// Adds the products of rows i, i + 1, … with rows j, j + 1, ….
struct Tile<'a> {
    wide: &'a [f64],
    rows: usize,
    i: usize,
    j: usize,
    products: &'a mut [f64],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { wide, rows, i, j, products } = self;
        let (registers, _) = S::as_simd_f64s(wide);
        // Registers that together hold one row's eight coordinates; each takes its own pass.
        let per_row = WIDE / S::F64_LANES;
        let mut sums = [[[0.0; WIDE]; TILE]; TILE];
        for part in 0..per_row {
            let mut partial = [[simd.splat_f64s(0.0); TILE]; TILE];
            for group in registers.chunks_exact(per_row * rows) {
                let at = |first: usize, row: usize| group[(first + row) * per_row + part];
                let left: [S::f64s; TILE] = [at(i, 0), at(i, 1), at(i, 2), at(i, 3)];
                let right: [S::f64s; TILE] = [at(j, 0), at(j, 1), at(j, 2), at(j, 3)];
                for a in 0..TILE {
                    for b in 0..TILE {
                        partial[a][b] = simd.mul_add_e_f64s(left[a], right[b], partial[a][b]);
                    }
                }
            }
            for (sums, partial) in sums.iter_mut().flatten().zip(partial.as_flattened()) {
                let (lanes, _) = S::as_mut_simd_f64s(&mut sums[part * S::F64_LANES..]);
                lanes[0] = *partial;
            }
        }
        for (a, sums) in sums.iter().enumerate() {
            for (b, lanes) in sums.iter().enumerate() {
                products[(i + a) * rows + j + b] += lanes.iter().sum::<f64>();
            }
        }
    }
}
