//! Cholesky factors of f32 matrices that may be singular.

use super::dense::{Simd, TILE};

/// L of A = L Lᵀ for a symmetric positive semidefinite matrix, row after row.
///
/// Rows whose pivot is lost to rounding (they depend on the rows before) are left out: their
/// solution is 0.
#[derive(Debug, Clone, Default)]
pub struct Cholesky {
    size: usize,
    stride: usize,
    rows: Vec<f32>,
    /// 1 / L_ii, or 0 for a row that is left out.
    inverse: Vec<f64>,
}

/// A pivot below this part of the diagonal is rounding.
const LOST: f64 = 1e-6;

impl Cholesky {
    /// Factors a matrix; `fill(i, row)` gives A_ij for j ≤ i. Memory of earlier factors is used again.
    pub fn factor(&mut self, size: usize, simd: Simd, fill: impl Fn(usize, &mut [f32])) {
        let stride = size.next_multiple_of(16);
        self.size = size;
        self.stride = stride;
        self.rows.clear();
        // Whole tiles of rows, so that the last one needs no other code.
        self.rows.resize(size.next_multiple_of(TILE) * stride, 0.0);
        self.inverse.clear();
        self.inverse.resize(size, 0.0);
        for (row, values) in self.rows.chunks_mut(stride).take(size).enumerate() {
            fill(row, &mut values[..=row]);
        }
        for top in (0..size).step_by(TILE) {
            for left in (0..=top).step_by(TILE) {
                self.tile(top, left, simd);
            }
        }
    }

    /// Computes L in the tile at row `top` and column `left`, given all of L above and left of it.
    fn tile(&mut self, top: usize, left: usize, simd: Simd) {
        let stride = self.stride;
        let mut sums = [[0.0; TILE]; TILE];
        if left > 0 {
            let before = |first: usize| -> [&[f32]; TILE] {
                std::array::from_fn(|i| &self.rows[(first + i) * stride..][..left])
            };
            simd.tile(before(top), before(left), &mut sums);
        }
        for (i, sums) in sums.iter().enumerate() {
            let row = top + i;
            for (j, sum) in sums.iter().enumerate() {
                let column = left + j;
                if column > row || row >= self.size {
                    break;
                }
                let mut value = f64::from(self.rows[row * stride + column]) - sum;
                for k in left..column {
                    let product = self.rows[row * stride + k] * self.rows[column * stride + k];
                    value -= f64::from(product);
                }
                let diagonal = f64::from(self.rows[row * stride + column]);
                self.rows[row * stride + column] = match column == row {
                    false => (value * self.inverse[column]) as f32,
                    true if value > LOST * diagonal && value > 0.0 => {
                        self.inverse[row] = 1.0 / value.sqrt();
                        value.sqrt() as f32
                    }
                    true => 0.0,
                };
            }
        }
    }

    /// Replaces `b` by the solution of A x = b.
    pub fn solve(&self, simd: Simd, b: &mut [f64]) {
        let mut single = vec![0.0f32; self.size];
        for row in 0..self.size {
            let values = &self.rows[row * self.stride..][..row];
            b[row] = (b[row] - simd.dot(values, &single[..row])) * self.inverse[row];
            single[row] = b[row] as f32;
        }
        for row in (0..self.size).rev() {
            b[row] *= self.inverse[row];
            let x = b[row];
            simd.add(&mut b[..row], -x, &self.rows[row * self.stride..][..row]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;

    #[test]
    fn solutions_solve() {
        for size in [1, 2, 3, 4, 5, 8, 31, 64, 100] {
            let mut rng = Rng::stream(1, size as u64, 0, 0);
            let columns: Vec<Vec<f32>> = (0..size)
                .map(|_| {
                    (0..2 * size + 5)
                        .map(|_| rng.uniform() as f32 - 0.5)
                        .collect()
                })
                .collect();
            let simd = Simd::new();
            let element = |i: usize, j: usize| simd.dot(&columns[i], &columns[j]) as f32;
            let mut factor = Cholesky::default();
            factor.factor(size, simd, |i, row| {
                row.iter_mut()
                    .enumerate()
                    .for_each(|(j, x)| *x = element(i, j));
            });
            let wanted: Vec<f64> = (0..size).map(|_| rng.uniform() - 0.5).collect();
            let mut b: Vec<f64> = (0..size)
                .map(|i| {
                    (0..size)
                        .map(|j| f64::from(element(i, j)) * wanted[j])
                        .sum()
                })
                .collect();
            factor.solve(simd, &mut b);
            for (got, wanted) in b.iter().zip(&wanted) {
                assert!((got - wanted).abs() < 1e-4, "{size}: {got} {wanted}");
            }
        }
    }

    #[test]
    fn a_row_that_depends_on_others_is_left_out() {
        let matrix = [[2.0, 1.0, 2.0], [1.0, 3.0, 1.0], [2.0, 1.0, 2.0]];
        let mut factor = Cholesky::default();
        factor.factor(3, Simd::new(), |i, row| {
            row.copy_from_slice(&matrix[i][..=i])
        });
        let mut b = [4.0, 7.0, 4.0];
        factor.solve(Simd::new(), &mut b);
        assert!((b[0] - 1.0).abs() < 1e-6 && (b[1] - 2.0).abs() < 1e-6);
        assert_eq!(b[2], 0.0);
    }
}
