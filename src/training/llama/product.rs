//! Matrix products on row-major slices, by the `gemm` crate on the calling thread.
//!
//! A linear layer is Y = X Wᵀ with X \[N, in\], W \[out, in\], Y \[N, out\]; its backward pass is dX = dY W and dW = dYᵀ X.

use gemm::Parallelism;

/// Whether a product replaces or increases its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// y ← a·b.
    Replace,
    /// y ← y + a·b.
    Add,
}

/// The two widths of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Columns of X and W.
    pub inputs: usize,
    /// Columns of Y, rows of W.
    pub outputs: usize,
}

/// A matrix operand: its values and the strides of its rows and columns.
#[derive(Clone, Copy)]
struct Operand<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl Linear {
    /// Y = X Wᵀ.
    pub fn forward(self, y: &mut [f32], x: &[f32], w: &[f32]) {
        let rows = y.len() / self.outputs;
        let (x, w) = (row_major(x, self.inputs), transposed(w, self.inputs));
        product(y, rows, self.outputs, self.inputs, x, w, Write::Replace);
    }

    /// dX = dY W.
    pub fn backward_input(self, dx: &mut [f32], dy: &[f32], w: &[f32]) {
        let rows = dx.len() / self.inputs;
        let (dy, w) = (row_major(dy, self.outputs), row_major(w, self.inputs));
        product(dx, rows, self.inputs, self.outputs, dy, w, Write::Replace);
    }

    /// dW = dYᵀ X, or dW += dYᵀ X.
    pub fn backward_weight(self, dw: &mut [f32], dy: &[f32], x: &[f32], write: Write) {
        let rows = dy.len() / self.outputs;
        let (dy, x) = (transposed(dy, self.outputs), row_major(x, self.inputs));
        product(dw, self.outputs, self.inputs, rows, dy, x, write);
    }
}

fn row_major(values: &[f32], columns: usize) -> Operand<'_> {
    Operand { values, row_stride: columns, column_stride: 1 }
}

/// The transpose of a row-major matrix with `columns` columns.
fn transposed(values: &[f32], columns: usize) -> Operand<'_> {
    Operand { values, row_stride: 1, column_stride: columns }
}

/// C = A B, or C += A B, with A \[m, k\], B \[k, n\] and C \[m, n\] row-major.
fn product(c: &mut [f32], m: usize, n: usize, k: usize, a: Operand<'_>, b: Operand<'_>, write: Write) {
    let end =
        |rows: usize, columns: usize, of: Operand<'_>| (rows - 1) * of.row_stride + (columns - 1) * of.column_stride;
    assert!(m > 0 && n > 0 && k > 0 && c.len() == m * n, "a product of [{m}, {k}] and [{k}, {n}] fills {}", c.len());
    assert!(end(m, k, a) < a.values.len() && end(k, n, b) < b.values.len(), "operands cover the product");
    // SAFETY: the assertions bound every index that the strides reach; the destination is borrowed mutably, so it
    // overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            write == Write::Add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_and_its_gradients_are_the_textbook_sums() {
        let layer = Linear { inputs: 3, outputs: 2 };
        let (x, w) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, -1.0, 2.0, 1.0, 0.5]);
        let mut y = [0.0; 4];
        layer.forward(&mut y, &x, &w);
        assert_eq!(y, [-2.0, 5.5, -2.0, 16.0]);
        let (dy, mut dx, mut dw) = ([1.0, 2.0, 0.0, 1.0], [0.0; 6], [1.0; 6]);
        layer.backward_input(&mut dx, &dy, &w);
        assert_eq!(dx, [5.0, 2.0, 0.0, 2.0, 1.0, 0.5]);
        layer.backward_weight(&mut dw, &dy, &x, Write::Add);
        assert_eq!(dw, [2.0, 3.0, 4.0, 7.0, 10.0, 13.0]);
    }
}
