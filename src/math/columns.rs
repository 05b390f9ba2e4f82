//! A matrix by columns: one column is a slice of floats, or rows and their values.

use std::ops::Range;

use super::dense::{DOT_ERROR, Simd};

/// The rows of a sparse column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rows<'a> {
    /// Of a matrix of at most 65,536 rows.
    Short(&'a [u16]),
    /// Of a larger one.
    Long(&'a [u32]),
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Column<'a> {
    /// A value for each row.
    Dense(&'a [f32]),
    /// The rows that are not 0, ascending, and their values.
    Sparse {
        /// Rows, each once.
        rows: Rows<'a>,
        /// As many values; `None` if all are 1.
        values: Option<&'a [f32]>,
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
    /// Says that columns will be looked at soon. By default nothing follows from that.
    fn expect(&self, _columns: Range<usize>) {}
    /// Says that columns will not be looked at for a while. By default nothing follows from that.
    fn release(&self, _columns: Range<usize>) {}
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

/// Calls a function that is generic over rows and values with those of a column.
macro_rules! stored {
    ($rows:expr, $values:expr, $call:ident($($argument:expr),*)) => {
        match ($rows, $values) {
            (Rows::Short(rows), Some(values)) => $call(rows, |at| f64::from(values[at]), $($argument),*),
            (Rows::Short(rows), None) => $call(rows, |_| 1.0, $($argument),*),
            (Rows::Long(rows), Some(values)) => $call(rows, |at| f64::from(values[at]), $($argument),*),
            (Rows::Long(rows), None) => $call(rows, |_| 1.0, $($argument),*),
        }
    };
}

impl Column<'_> {
    /// Stored values.
    pub fn len(&self) -> usize {
        match self {
            Column::Dense(values) => values.len(),
            Column::Sparse {
                rows: Rows::Short(rows),
                ..
            } => rows.len(),
            Column::Sparse {
                rows: Rows::Long(rows),
                ..
            } => rows.len(),
        }
    }

    /// True if nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// (Σ (x − mean) r, a bound of its error relative to Σ|x||r|). Dense columns are summed in f32;
    /// sparse ones in f64 and without `mean`, for an `r` that sums up to 0.
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
        match *self {
            Column::Dense(x) => simd.dot_exact(x, r),
            Column::Sparse { rows, values } => stored!(rows, values, gather(r)),
        }
    }

    /// Σ w x, Σ w x² and Σ v x in f64.
    pub fn moments(&self, simd: Simd, w: &[f64], v: &[f64]) -> [f64; 3] {
        match *self {
            Column::Dense(x) => simd.moments(x, w, v),
            Column::Sparse { rows, values } => stored!(rows, values, sparse_moments(w, v)),
        }
    }

    /// to += a x.
    pub fn add(&self, simd: Simd, to: &mut [f64], a: f64) {
        match *self {
            Column::Dense(x) => simd.add(to, a, x),
            Column::Sparse { .. } => self.for_each(|row, value| to[row] += a * value),
        }
    }

    /// Calls `each` with every stored row and value.
    #[inline]
    pub fn for_each(&self, mut each: impl FnMut(usize, f64)) {
        match *self {
            Column::Dense(x) => {
                for (row, value) in x.iter().enumerate() {
                    each(row, f64::from(*value));
                }
            }
            Column::Sparse { rows, values } => stored!(rows, values, visit(&mut each)),
        }
    }
}

/// A row's number.
trait Row: Copy {
    fn at(self) -> usize;
}

impl Row for u16 {
    #[inline(always)]
    fn at(self) -> usize {
        usize::from(self)
    }
}

impl Row for u32 {
    #[inline(always)]
    fn at(self) -> usize {
        self as usize
    }
}

/// Σ x r over the stored rows; four sums side by side, so that one need not wait for another.
#[inline(always)]
fn gather<R: Row>(rows: &[R], value: impl Fn(usize) -> f64, r: &[f64]) -> f64 {
    let mut sums = [0.0f64; 4];
    let (chunks, rest) = rows.as_chunks::<4>();
    for (number, rows) in chunks.iter().enumerate() {
        for lane in 0..4 {
            sums[lane] += value(4 * number + lane) * r[rows[lane].at()];
        }
    }
    for (at, row) in rest.iter().enumerate() {
        sums[0] += value(4 * chunks.len() + at) * r[row.at()];
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

#[inline(always)]
fn sparse_moments<R: Row>(
    rows: &[R],
    value: impl Fn(usize) -> f64,
    w: &[f64],
    v: &[f64],
) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for (at, row) in rows.iter().enumerate() {
        let (row, value) = (row.at(), value(at));
        sums[0] += w[row] * value;
        sums[1] += w[row] * value * value;
        sums[2] += v[row] * value;
    }
    sums
}

#[inline(always)]
fn visit<R: Row>(rows: &[R], value: impl Fn(usize) -> f64, each: &mut impl FnMut(usize, f64)) {
    for (at, row) in rows.iter().enumerate() {
        each(row.at(), value(at));
    }
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
                    rows: Rows::Long(&indices[range.clone()]),
                    values: Some(&values[range]),
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

    /// 3 × 4, by columns; one of them is empty.
    const VALUES: [f32; 12] = [1.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 2.0, 4.0, 6.0];

    fn both() -> [Columns; 2] {
        let dense = Columns::Dense {
            rows: 3,
            columns: 4,
            values: VALUES.to_vec(),
        };
        let stored = || (0..12).filter(|at| VALUES[*at] != 0.0);
        let sparse = Columns::Sparse {
            rows: 3,
            starts: vec![0, 2, 2, 3, 6],
            indices: stored().map(|at| at as u32 % 3).collect(),
            values: stored().map(|at| VALUES[at]).collect(),
        };
        [dense, sparse]
    }

    #[test]
    fn dense_and_sparse_columns_compute_the_same() {
        let simd = Simd::new();
        let mut r = Both::default();
        r.set([0.5, -1.0, 0.5].into_iter());
        for matrix in both() {
            assert_eq!((matrix.rows(), matrix.len()), (3, 4));
            for at in 0..4 {
                let column = matrix.column(at);
                let plain = VALUES[3 * at..3 * at + 3].iter().map(|x| f64::from(*x));
                let plain: Vec<f64> = plain.collect();
                let dot: f64 = plain.iter().zip(&r.exact).map(|(x, r)| x * r).sum();
                assert_eq!(column.dot_exact(simd, &r.exact), dot);
                assert_eq!(column.dot(simd, &r, 2.0).0, dot);
                let mut to = vec![0.0; 3];
                column.add(simd, &mut to, 2.0);
                assert!(to.iter().zip(&plain).all(|(to, x)| *to == 2.0 * x));
                let squares: f64 = plain.iter().map(|x| x * x).sum();
                let moments = column.moments(simd, &[1.0; 3], &r.exact);
                assert_eq!(moments, [plain.iter().sum(), squares, dot]);
                let mut seen = vec![0.0; 3];
                column.for_each(|row, value| seen[row] += value);
                assert_eq!(seen, plain);
            }
        }
    }

    #[test]
    fn short_rows_and_ones_are_as_long_rows_and_values() {
        let simd = Simd::new();
        let r: Vec<f64> = (0..9).map(f64::from).collect();
        let ones = [1.0; 6];
        let (short, long) = ([0u16, 2, 3, 5, 6, 8], [0u32, 2, 3, 5, 6, 8]);
        for values in [None, Some(&ones[..])] {
            for rows in [Rows::Short(&short), Rows::Long(&long)] {
                let column = Column::Sparse { rows, values };
                assert_eq!((column.len(), column.dot_exact(simd, &r)), (6, 24.0));
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
