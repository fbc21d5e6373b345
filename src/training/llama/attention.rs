//! Causal grouped-query attention with rotary positions, one head of one sequence at a time.
//!
//! Forward, per query head with q scaled by 1/√d and q, k rotated:
//! S = q kᵀ, P = softmax over s ≤ t, o = P v.
//! Backward: dP = do vᵀ, dS = P ∘ (dP − rowsum(P ∘ dP)), dq = dS k, dk = dSᵀ q, dv = Pᵀ do.
//!
//! Rotation as Hugging Face writes it: with angle φ = t·10000^(−2i/d), the pair (x_i, x_{i+d/2}) is turned by φ.
//! Heads are gathered into small tiles that stay in the first-level cache, padded to a multiple of sixteen with
//! zeros, so that the product loop works on whole vectors; tiles above the diagonal are skipped.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::product::Write;
use crate::training::lanes::{self, LANES, dot, exp};

/// Rows of a product that are computed together.
const ROWS: usize = 8;

/// The sizes of an attention layer and its rotation tables.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Query heads.
    heads: usize,
    /// Query heads per key and value head.
    group: usize,
    /// Width d of a head.
    width: usize,
    /// Tokens per sequence, T.
    context: usize,
    /// d, padded.
    width_padded: usize,
    /// T, padded.
    context_padded: usize,
    /// cos φ, T rows of d/2.
    cosines: Vec<f32>,
    /// sin φ, T rows of d/2.
    sines: Vec<f32>,
}

/// The tiles of the heads in work.
#[derive(Debug)]
pub struct Scratch {
    /// \[T, d\] tiles.
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    o: Vec<f32>,
    /// Never shared with `o`: its padding has to stay zero, which the forward pass does not promise for outputs.
    d_o: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
    /// \[d, T\] tile: the transposed keys or values.
    columns: Vec<f32>,
    /// \[T, T\] tile.
    d_scores: Vec<f32>,
}

impl Attention {
    /// An attention of `heads` query heads over `kv_heads` key and value heads of width `width`.
    ///
    /// # Panics
    /// If the width is odd or the heads do not share evenly.
    pub fn new(heads: usize, kv_heads: usize, width: usize, context: usize) -> Self {
        assert!(width.is_multiple_of(2) && heads.is_multiple_of(kv_heads), "the shape was checked");
        let angles = (0..context)
            .flat_map(|t| (0..width / 2).map(move |i| t as f64 * 10_000_f64.powf(-((2 * i) as f64) / width as f64)));
        let (sines, cosines) = angles.map(|angle| (angle.sin() as f32, angle.cos() as f32)).unzip();
        Self {
            heads,
            group: heads / kv_heads,
            width,
            context,
            width_padded: width.next_multiple_of(LANES),
            context_padded: context.next_multiple_of(LANES),
            cosines,
            sines,
        }
    }

    /// Values per row of \[q | k | v\].
    pub fn qkv_width(&self) -> usize {
        self.q_width() + 2 * self.kv_width()
    }

    /// Values per row of the output.
    pub fn q_width(&self) -> usize {
        self.heads * self.width
    }

    /// Values per row of the keys.
    pub fn kv_width(&self) -> usize {
        self.heads / self.group * self.width
    }

    /// Values of all heads' probabilities of one sequence.
    pub fn probabilities(&self) -> usize {
        self.heads * self.context_padded * self.context_padded
    }

    /// Tiles for one thread, all zero.
    pub fn scratch(&self) -> Scratch {
        let rows = || vec![0.0; self.context_padded * self.width_padded];
        Scratch {
            q: rows(),
            k: rows(),
            v: rows(),
            o: rows(),
            d_o: rows(),
            dq: rows(),
            dk: rows(),
            dv: rows(),
            columns: rows(),
            d_scores: vec![0.0; self.context_padded * self.context_padded],
        }
    }

    /// Outputs and probabilities of whole sequences from their rows \[q | k | v\].
    pub fn forward(
        &self,
        arch: Arch,
        scratch: &mut Scratch,
        qkv: &[f32],
        probabilities: &mut [f32],
        output: &mut [f32],
    ) {
        arch.dispatch(Forward { attention: self, scratch, qkv, probabilities, output });
    }

    /// Turns rows \[q | k | v\] into their gradients, given the outputs' gradient.
    pub fn backward(
        &self,
        arch: Arch,
        scratch: &mut Scratch,
        qkv: &mut [f32],
        probabilities: &[f32],
        d_output: &[f32],
    ) {
        arch.dispatch(Backward { attention: self, scratch, qkv, probabilities, d_output });
    }

    /// The first column of query head `head` and of its key and value head in a row \[q | k | v\].
    fn columns(&self, kv_head: usize) -> (usize, usize) {
        (self.q_width() + kv_head * self.width, self.q_width() + self.kv_width() + kv_head * self.width)
    }

    /// Gathers a head's rows into a tile, rotated and scaled.
    #[inline(always)]
    fn gather_rotated<S: Simd>(&self, simd: S, tile: &mut [f32], rows: &[f32], first: usize, scale: f32) {
        let half = self.width / 2;
        let angles = self.cosines.chunks_exact(half).zip(self.sines.chunks_exact(half));
        let rows = rows.chunks_exact(self.qkv_width()).zip(tile.chunks_exact_mut(self.width_padded));
        for ((row, to), (cosines, sines)) in rows.zip(angles) {
            let to = to[..self.width].split_at_mut(half);
            rotate(simd, to, row[first..first + self.width].split_at(half), cosines, sines, scale, scale);
        }
    }

    /// Writes a tile of gradients to a head's rows, rotated back and scaled.
    #[inline(always)]
    fn scatter_rotated<S: Simd>(&self, simd: S, rows: &mut [f32], first: usize, tile: &[f32], scale: f32) {
        let half = self.width / 2;
        let stride = self.qkv_width();
        let angles = self.cosines.chunks_exact(half).zip(self.sines.chunks_exact(half));
        let rows = rows.chunks_exact_mut(stride).zip(tile.chunks_exact(self.width_padded));
        for ((row, from), (cosines, sines)) in rows.zip(angles) {
            let to = row[first..first + self.width].split_at_mut(half);
            rotate(simd, to, from[..self.width].split_at(half), cosines, sines, scale, -scale);
        }
    }

    /// Copies a head's rows into a tile.
    #[inline(always)]
    fn gather(&self, tile: &mut [f32], rows: &[f32], stride: usize, first: usize) {
        for (row, to) in rows.chunks_exact(stride).zip(tile.chunks_exact_mut(self.width_padded)) {
            copy(&mut to[..self.width], &row[first..first + self.width]);
        }
    }

    /// Copies a tile to a head's rows.
    #[inline(always)]
    fn scatter(&self, rows: &mut [f32], stride: usize, first: usize, tile: &[f32]) {
        for (row, from) in rows.chunks_exact_mut(stride).zip(tile.chunks_exact(self.width_padded)) {
            copy(&mut row[first..first + self.width], &from[..self.width]);
        }
    }

    /// Transposes a \[T, d\] tile into a \[d, T\] tile.
    #[inline(always)]
    fn transpose(&self, to: &mut [f32], from: &[f32]) {
        for (i, column) in to.chunks_exact_mut(self.context_padded).enumerate() {
            for (to, row) in column.iter_mut().zip(from.chunks_exact(self.width_padded)) {
                *to = row[i];
            }
        }
    }

    /// What every query head's score is multiplied by.
    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// Turns pairs (x, y) by angles and scales them; a negative `turn` turns them back.
///
/// Whole vectors by hand: half a head is so short that an unrolled loop would do most of it one by one.
#[inline(always)]
fn rotate<S: Simd>(
    simd: S,
    (to_x, to_y): (&mut [f32], &mut [f32]),
    (x, y): (&[f32], &[f32]),
    cosines: &[f32],
    sines: &[f32],
    scale: f32,
    turn: f32,
) {
    let ((to_x, to_x_tail), (to_y, to_y_tail)) = (S::as_mut_simd_f32s(to_x), S::as_mut_simd_f32s(to_y));
    let ((x, x_tail), (y, y_tail)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let ((cosines, cosines_tail), (sines, sines_tail)) = (S::as_simd_f32s(cosines), S::as_simd_f32s(sines));
    let (scales, turns) = (simd.splat_f32s(scale), simd.splat_f32s(turn));
    for ((((to_x, to_y), (&x, &y)), &c), &s) in to_x.iter_mut().zip(to_y).zip(x.iter().zip(y)).zip(cosines).zip(sines) {
        let (c, s) = (simd.mul_f32s(c, scales), simd.mul_f32s(s, turns));
        *to_x = simd.sub_f32s(simd.mul_f32s(x, c), simd.mul_f32s(y, s));
        *to_y = simd.add_f32s(simd.mul_f32s(y, c), simd.mul_f32s(x, s));
    }
    for ((((to_x, to_y), (&x, &y)), &c), &s) in
        to_x_tail.iter_mut().zip(to_y_tail).zip(x_tail.iter().zip(y_tail)).zip(cosines_tail).zip(sines_tail)
    {
        let (c, s) = (c * scale, s * turn);
        *to_x = x * c - y * s;
        *to_y = y * c + x * s;
    }
}

/// As `copy_from_slice`, for rows so short that calling `memmove` would take longer than moving them.
#[inline(always)]
fn copy(to: &mut [f32], from: &[f32]) {
    let ((to, to_tail), (from, from_tail)) = (to.as_chunks_mut::<LANES>(), from.as_chunks::<LANES>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_tail.iter_mut().zip(from_tail).for_each(|(to, from)| *to = *from);
}

struct Forward<'a> {
    attention: &'a Attention,
    scratch: &'a mut Scratch,
    qkv: &'a [f32],
    probabilities: &'a mut [f32],
    output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { attention: at, scratch, qkv, probabilities, output } = self;
        let (t_padded, d_padded) = (at.context_padded, at.width_padded);
        let sequences = qkv
            .chunks_exact(at.context * at.qkv_width())
            .zip(probabilities.chunks_exact_mut(at.probabilities()))
            .zip(output.chunks_exact_mut(at.context * at.q_width()));
        for ((qkv, probabilities), output) in sequences {
            for (head, p) in probabilities.chunks_exact_mut(t_padded * t_padded).enumerate() {
                if head % at.group == 0 {
                    let (k_column, v_column) = at.columns(head / at.group);
                    at.gather_rotated(simd, &mut scratch.k, qkv, k_column, 1.0);
                    at.transpose(&mut scratch.columns, &scratch.k);
                    at.gather(&mut scratch.v, qkv, at.qkv_width(), v_column);
                }
                at.gather_rotated(simd, &mut scratch.q, qkv, head * at.width, at.scale());
                for t in (0..at.context).step_by(ROWS) {
                    let seen = t + ROWS;
                    let scores = &mut p[t * t_padded..seen * t_padded];
                    let q = Left { values: &scratch.q[t * d_padded..], row: d_padded, step: 1 };
                    product(simd, scores, q, &scratch.columns, t_padded, seen, 0..at.width, Write::Replace);
                    softmax(scores, t_padded, t);
                    let p = Left { values: scores, row: t_padded, step: 1 };
                    let o = &mut scratch.o[t * d_padded..seen * d_padded];
                    product(simd, o, p, &scratch.v, d_padded, at.width, 0..seen, Write::Replace);
                }
                at.scatter(output, at.q_width(), head * at.width, &scratch.o);
            }
        }
    }
}

struct Backward<'a> {
    attention: &'a Attention,
    scratch: &'a mut Scratch,
    qkv: &'a mut [f32],
    probabilities: &'a [f32],
    d_output: &'a [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { attention: at, scratch, qkv, probabilities, d_output } = self;
        let (t_padded, d_padded) = (at.context_padded, at.width_padded);
        let sequences = qkv
            .chunks_exact_mut(at.context * at.qkv_width())
            .zip(probabilities.chunks_exact(at.probabilities()))
            .zip(d_output.chunks_exact(at.context * at.q_width()));
        for ((qkv, probabilities), d_output) in sequences {
            for (head, p) in probabilities.chunks_exact(t_padded * t_padded).enumerate() {
                let (k_column, v_column) = at.columns(head / at.group);
                if head % at.group == 0 {
                    at.gather_rotated(simd, &mut scratch.k, qkv, k_column, 1.0);
                    at.gather(&mut scratch.v, qkv, at.qkv_width(), v_column);
                    at.transpose(&mut scratch.columns, &scratch.v);
                    scratch.dk.fill(0.0);
                    scratch.dv.fill(0.0);
                }
                at.gather_rotated(simd, &mut scratch.q, qkv, head * at.width, at.scale());
                at.gather(&mut scratch.d_o, d_output, at.q_width(), head * at.width);
                for t in (0..at.context).step_by(ROWS) {
                    let seen = t + ROWS;
                    let ds = &mut scratch.d_scores[t * t_padded..seen * t_padded];
                    let d_output = Left { values: &scratch.d_o[t * d_padded..], row: d_padded, step: 1 };
                    product(simd, ds, d_output, &scratch.columns, t_padded, seen, 0..at.width, Write::Replace);
                    let p = &p[t * t_padded..seen * t_padded];
                    softmax_backward(ds, p, t_padded, seen);
                    let ds = Left { values: ds, row: t_padded, step: 1 };
                    let dq = &mut scratch.dq[t * d_padded..seen * d_padded];
                    product(simd, dq, ds, &scratch.k, d_padded, at.width, 0..seen, Write::Replace);
                }
                let rows = at.context.next_multiple_of(ROWS);
                for s in (0..at.context).step_by(ROWS) {
                    let ds = Left { values: &scratch.d_scores[s..], row: 1, step: t_padded };
                    let dk = &mut scratch.dk[s * d_padded..(s + ROWS) * d_padded];
                    product(simd, dk, ds, &scratch.q, d_padded, at.width, s..rows, Write::Add);
                    let p = Left { values: &p[s..], row: 1, step: t_padded };
                    let dv = &mut scratch.dv[s * d_padded..(s + ROWS) * d_padded];
                    product(simd, dv, p, &scratch.d_o, d_padded, at.width, s..rows, Write::Add);
                }
                at.scatter_rotated(simd, qkv, head * at.width, &scratch.dq, at.scale());
                if (head + 1) % at.group == 0 {
                    at.scatter_rotated(simd, qkv, k_column, &scratch.dk, 1.0);
                    at.scatter(qkv, at.qkv_width(), v_column, &scratch.dv);
                }
            }
        }
    }
}

/// Softmax of rows `first`, `first` + 1, … of the scores, each over the columns up to its own; the rest of the last
/// sixteen becomes zero.
///
/// All rows go through one pass before any goes through the next, so that the long dependencies within a row (its
/// maximum, its sum) overlap with other rows' work. What a row may not see is masked in registers: a store narrower than
/// the vector that is loaded next would stall every row.
#[inline(always)]
fn softmax(scores: &mut [f32], stride: usize, first: usize) {
    let mut maxima = [0.0; ROWS];
    for (row, (scores, max)) in scores.chunks_exact_mut(stride).zip(&mut maxima).enumerate() {
        let seen = first + row + 1;
        let mut largest = [f32::NEG_INFINITY; LANES];
        for (strip, from) in strips(scores, seen).iter().zip((0..).step_by(LANES)) {
            for lane in 0..LANES {
                let score = if from + lane < seen { strip[lane] } else { f32::NEG_INFINITY };
                largest[lane] = if largest[lane] > score { largest[lane] } else { score };
            }
        }
        *max = lanes::max(&largest);
    }
    let mut factors = [0.0; ROWS];
    for (row, (scores, max)) in scores.chunks_exact_mut(stride).zip(maxima).enumerate() {
        let seen = first + row + 1;
        let mut sums = [0.0; LANES];
        for (strip, from) in strips(scores, seen).iter_mut().zip((0..).step_by(LANES)) {
            for lane in 0..LANES {
                let p = exp(strip[lane] - max);
                let p = if from + lane < seen { p } else { 0.0 };
                strip[lane] = p;
                sums[lane] += p;
            }
        }
        factors[row] = 1.0 / lanes::sum(sums);
    }
    for (row, (scores, factor)) in scores.chunks_exact_mut(stride).zip(factors).enumerate() {
        for strip in strips(scores, first + row + 1) {
            for p in strip {
                *p *= factor;
            }
        }
    }
}

/// The sixteens that hold the first `seen` columns of a row.
#[inline(always)]
fn strips(row: &mut [f32], seen: usize) -> &mut [lanes::Lanes] {
    row[..seen.next_multiple_of(LANES)].as_chunks_mut().0
}

/// dS = P ∘ (dP − Σ P ∘ dP) over the first `seen` columns of [`ROWS`] rows, pass by pass as in [`softmax`].
#[inline(always)]
fn softmax_backward(ds: &mut [f32], p: &[f32], stride: usize, seen: usize) {
    let seen = seen.next_multiple_of(LANES);
    let mut means = [0.0; ROWS];
    for ((ds, p), mean) in ds.chunks_exact(stride).zip(p.chunks_exact(stride)).zip(&mut means) {
        *mean = dot(&ds[..seen], &p[..seen]);
    }
    for ((ds, p), mean) in ds.chunks_exact_mut(stride).zip(p.chunks_exact(stride)).zip(means) {
        let strips = ds[..seen].as_chunks_mut::<LANES>().0.iter_mut().zip(p[..seen].as_chunks::<LANES>().0);
        for (ds, p) in strips {
            for (ds, &p) in ds.iter_mut().zip(p) {
                *ds = p * (*ds - mean);
            }
        }
    }
}

/// The left operand of a product: entry (r, s) lies at `r·row + s·step`.
#[derive(Clone, Copy)]
struct Left<'a> {
    values: &'a [f32],
    row: usize,
    step: usize,
}

/// C = A B or C += A B for [`ROWS`] rows, the first `columns` columns rounded up to whole vectors, over `steps`.
///
/// Tiles are two vectors wide, and a single one where that is enough.
#[inline(always)]
fn product<S: Simd>(
    simd: S,
    c: &mut [f32],
    a: Left<'_>,
    b: &[f32],
    stride: usize,
    columns: usize,
    steps: Range<usize>,
    write: Write,
) {
    let mut column = 0;
    while column < columns {
        if columns - column > S::F32_LANES {
            let sums = tile::<S, 2>(simd, a, b, stride, column, steps.clone());
            store(simd, c, stride, column, sums, write);
            column += 2 * S::F32_LANES;
        } else {
            let sums = tile::<S, 1>(simd, a, b, stride, column, steps.clone());
            store(simd, c, stride, column, sums, write);
            column += S::F32_LANES;
        }
    }
}

#[inline(always)]
fn store<S: Simd, const VECTORS: usize>(
    simd: S,
    c: &mut [f32],
    stride: usize,
    column: usize,
    sums: [[S::f32s; VECTORS]; ROWS],
    write: Write,
) {
    for (row, sums) in sums.into_iter().enumerate() {
        let (to, _) = S::as_mut_simd_f32s(&mut c[row * stride + column..][..VECTORS * S::F32_LANES]);
        for (to, sum) in to.iter_mut().zip(sums) {
            *to = match write {
                Write::Replace => sum,
                Write::Add => simd.add_f32s(*to, sum),
            };
        }
    }
}

/// [`ROWS`] rows by a few vectors of A B, kept in registers.
#[inline(always)]
fn tile<S: Simd, const VECTORS: usize>(
    simd: S,
    a: Left<'_>,
    b: &[f32],
    stride: usize,
    column: usize,
    steps: Range<usize>,
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let Some(last) = steps.clone().last() else { return sums };
    assert!((ROWS - 1) * a.row + last * a.step < a.values.len(), "the left operand covers the tile");
    let rows = b[steps.start * stride..].chunks(stride);
    for (step, b) in steps.zip(rows) {
        let (b, _) = S::as_simd_f32s(&b[column..column + VECTORS * S::F32_LANES]);
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `row < ROWS` and `step <= last`, so the index is at most the one that was asserted.
            let a = simd.splat_f32s(unsafe { *a.values.get_unchecked(row * a.row + step * a.step) });
            for vector in 0..VECTORS {
                sums[vector] = simd.mul_add_f32s(a, b[vector], sums[vector]);
            }
        }
    }
    sums
}
