//! A matrix by columns: one column is a slice of floats, or rows and their values.

use super::dense::{DOT_ERROR, Simd};

/// One column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Column<'a> {
    /// A value for each row.
    Dense(&'a [f32]),
    /// The rows that are not 0, ascending, and their values.
    Sparse {
        /// Rows, each once.
        rows: &'a [u32],
        /// As many values.
        values: &'a [f32],
    },
}

/// A matrix whose columns can be looked at one by one, by several threads at once.
pub trait ByColumns: Send + Sync {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Number of columns.
    fn len(&self) -> usize;
    /// True if there are no columns.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A column; every row in it is below [`ByColumns::rows`].
    fn column(&self, column: usize) -> Column<'_>;
    /// Stored values before `column`: the work that it takes to go through all columns before it.
    /// `column` may be the number of columns.
    fn work_before(&self, column: usize) -> u64;
}

/// A residual (or any vector by rows) in both precisions.
#[derive(Debug, Clone, Default)]
pub struct Both {
    /// In f64.
    pub exact: Vec<f64>,
    /// Rounded to f32.
    pub rounded: Vec<f32>,
    /// The sum of what was rounded.
    pub rounded_sum: f64,
}

impl Both {
    /// Takes over new values.
    pub fn set(&mut self, exact: impl Iterator<Item = f64>) {
        self.exact.clear();
        self.exact.extend(exact);
        self.rounded.clear();
        self.rounded.extend(self.exact.iter().map(|x| *x as f32));
        self.rounded_sum = self.rounded.iter().map(|x| f64::from(*x)).sum();
    }
}

impl Column<'_> {
    /// Stored values.
    pub fn len(&self) -> usize {
        match self {
            Column::Dense(values) | Column::Sparse { values, .. } => values.len(),
        }
    }

    /// True if nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// (Σ (x − mean) r, a bound of its error relative to Σ|x||r|). Dense columns are summed in f32.
    #[inline]
    pub fn dot(&self, simd: Simd, r: &Both, mean: f64) -> (f64, f64) {
        match self {
            Column::Dense(x) => {
                let dot = simd.dot(x, &r.rounded);
                (dot - mean * r.rounded_sum, DOT_ERROR)
            }
            Column::Sparse { .. } => (self.dot_exact(simd, &r.exact), 0.0),
        }
    }

    /// Σ x r in f64.
    #[inline]
    pub fn dot_exact(&self, simd: Simd, r: &[f64]) -> f64 {
        match self {
            Column::Dense(x) => simd.dot_exact(x, r),
            Column::Sparse { rows, values } => gather(rows, values, r),
        }
    }

    /// Σ w x, Σ w x² and Σ v x in f64.
    pub fn moments(&self, simd: Simd, w: &[f64], v: &[f64]) -> [f64; 3] {
        match self {
            Column::Dense(x) => simd.moments(x, w, v),
            Column::Sparse { rows, values } => {
                let mut sums = [0.0; 3];
                for (row, value) in rows.iter().zip(*values) {
                    let (row, value) = (*row as usize, f64::from(*value));
                    sums[0] += w[row] * value;
                    sums[1] += w[row] * value * value;
                    sums[2] += v[row] * value;
                }
                sums
            }
        }
    }

    /// to += a x.
    pub fn add(&self, simd: Simd, to: &mut [f64], a: f64) {
        match self {
            Column::Dense(x) => simd.add(to, a, x),
            Column::Sparse { rows, values } => {
                for (row, value) in rows.iter().zip(*values) {
                    to[*row as usize] += a * f64::from(*value);
                }
            }
        }
    }

    /// Calls `each` with every stored row and value.
    pub fn for_each(&self, mut each: impl FnMut(usize, f64)) {
        match self {
            Column::Dense(x) => {
                for (row, value) in x.iter().enumerate() {
                    each(row, f64::from(*value));
                }
            }
            Column::Sparse { rows, values } => {
                for (row, value) in rows.iter().zip(*values) {
                    each(*row as usize, f64::from(*value));
                }
            }
        }
    }
}

/// Σ x r over the stored rows; four sums side by side, so that one need not wait for another.
#[inline]
fn gather(rows: &[u32], values: &[f32], r: &[f64]) -> f64 {
    let mut sums = [0.0f64; 4];
    let (row_chunks, row_rest) = rows.as_chunks::<4>();
    let (value_chunks, value_rest) = values.as_chunks::<4>();
    for (rows, values) in row_chunks.iter().zip(value_chunks) {
        for lane in 0..4 {
            sums[lane] += f64::from(values[lane]) * r[rows[lane] as usize];
        }
    }
    for (row, value) in row_rest.iter().zip(value_rest) {
        sums[0] += f64::from(*value) * r[*row as usize];
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// A matrix in memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Columns {
    /// Column after column.
    Dense {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
        /// `rows` values for each column.
        values: Vec<f32>,
    },
    /// Compressed columns.
    Sparse {
        /// Number of rows.
        rows: usize,
        /// Where each column starts, and the end.
        starts: Vec<u64>,
        /// Rows, ascending within a column.
        indices: Vec<u32>,
        /// As many values.
        values: Vec<f32>,
    },
}

impl Columns {
    /// From compressed rows: `starts` has one entry more than there are rows, `indices` the column of
    /// each value.
    pub fn from_sparse_rows(
        columns: usize,
        starts: &[u64],
        indices: &[u32],
        values: &[f32],
    ) -> Columns {
        let rows = starts.len().saturating_sub(1);
        let mut ends = vec![0u64; columns + 1];
        for column in indices {
            ends[*column as usize + 1] += 1;
        }
        for column in 0..columns {
            ends[column + 1] += ends[column];
        }
        let by_column = ends.clone();
        let (mut to_rows, mut to_values) = (vec![0; indices.len()], vec![0.0; values.len()]);
        for row in 0..rows {
            for at in starts[row] as usize..starts[row + 1] as usize {
                let place = &mut ends[indices[at] as usize];
                to_rows[*place as usize] = row as u32;
                to_values[*place as usize] = values[at];
                *place += 1;
            }
        }
        Columns::Sparse {
            rows,
            starts: by_column,
            indices: to_rows,
            values: to_values,
        }
    }

    /// From rows of `width` values each.
    pub fn from_dense_rows(width: usize, values: &[f32]) -> Columns {
        const SIDE: usize = 32;
        let rows = values.len().checked_div(width).unwrap_or(0);
        let mut by_column = vec![0.0; rows * width];
        for top in (0..rows).step_by(SIDE) {
            for left in (0..width).step_by(SIDE) {
                for row in top..(top + SIDE).min(rows) {
                    for column in left..(left + SIDE).min(width) {
                        by_column[column * rows + row] = values[row * width + column];
                    }
                }
            }
        }
        Columns::Dense {
            rows,
            columns: width,
            values: by_column,
        }
    }
}

impl ByColumns for Columns {
    fn rows(&self) -> usize {
        match self {
            Columns::Dense { rows, .. } | Columns::Sparse { rows, .. } => *rows,
        }
    }

    fn len(&self) -> usize {
        match self {
            Columns::Dense { columns, .. } => *columns,
            Columns::Sparse { starts, .. } => starts.len() - 1,
        }
    }

    #[inline]
    fn column(&self, column: usize) -> Column<'_> {
        match self {
            Columns::Dense { rows, values, .. } => {
                Column::Dense(&values[column * rows..(column + 1) * rows])
            }
            Columns::Sparse {
                starts,
                indices,
                values,
                ..
            } => {
                let range = starts[column] as usize..starts[column + 1] as usize;
                Column::Sparse {
                    rows: &indices[range.clone()],
                    values: &values[range],
                }
            }
        }
    }

    fn work_before(&self, column: usize) -> u64 {
        match self {
            Columns::Dense { rows, .. } => (rows * column) as u64,
            Columns::Sparse { starts, .. } => starts[column],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 × 4, a column of which is empty.
    const ROWS: [f32; 12] = [1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 3.0, 4.0, 5.0, 0.0, 0.0, 6.0];

    fn both() -> [Columns; 2] {
        let stored = || (0..12).filter(|at| ROWS[*at] != 0.0);
        let starts = [0, 2, 4, 6];
        let indices: Vec<u32> = stored().map(|at| at as u32 % 4).collect();
        let values: Vec<f32> = stored().map(|at| ROWS[at]).collect();
        [
            Columns::from_dense_rows(4, &ROWS),
            Columns::from_sparse_rows(4, &starts, &indices, &values),
        ]
    }

    #[test]
    fn dense_and_sparse_columns_compute_the_same() {
        let simd = Simd::new();
        let mut r = Both::default();
        r.set([0.5, -1.0, 2.0].into_iter());
        for matrix in both() {
            assert_eq!((matrix.rows(), matrix.len()), (3, 4));
            for at in 0..4 {
                let column = matrix.column(at);
                let plain: Vec<f64> = (0..3).map(|row| f64::from(ROWS[row * 4 + at])).collect();
                let dot: f64 = plain.iter().zip(&r.exact).map(|(x, r)| x * r).sum();
                assert_eq!(column.dot_exact(simd, &r.exact), dot);
                assert_eq!(column.dot(simd, &r, 0.0).0, dot);
                assert_eq!(
                    column.dot(simd, &r, 2.0).0 - dot,
                    if column.len() == 3 && matches!(column, Column::Dense(_)) {
                        -3.0
                    } else {
                        0.0
                    }
                );
                let mut to = vec![0.0; 3];
                column.add(simd, &mut to, 2.0);
                assert!(to.iter().zip(&plain).all(|(to, x)| *to == 2.0 * x));
                let ones = [1.0; 3];
                let squares: f64 = plain.iter().map(|x| x * x).sum();
                let [sum, square, dot_again] = column.moments(simd, &ones, &r.exact);
                assert_eq!([sum, square, dot_again], [plain.iter().sum(), squares, dot]);
                let mut seen = vec![0.0; 3];
                column.for_each(|row, value| seen[row] += value);
                assert_eq!(seen, plain);
            }
        }
    }

    #[test]
    fn work_is_what_is_stored() {
        let [dense, sparse] = both();
        assert_eq!(dense.work_before(4), 12);
        assert_eq!((sparse.work_before(1), sparse.work_before(4)), (2, 6));
    }
}
