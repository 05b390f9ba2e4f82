//! How much two columns say the same: their weighted correlation.

use std::collections::BTreeMap;

use super::part::Data;
use super::problem::Problem;
use crate::math::columns::Column;
use crate::math::dense::Simd;

/// Correlations of some columns, each of which is unpacked once.
pub(super) struct Correlations<'a> {
    data: &'a Data,
    problem: &'a Problem,
    simd: Simd,
    unpacked: BTreeMap<u32, Unpacked>,
}

/// A column that others are compared with.
struct Unpacked {
    /// Weight × value, for every row.
    weighted: Vec<f64>,
    mean: f64,
    /// Standard deviation.
    spread: f64,
}

/// Unpacked columns that are kept, in numbers.
const KEPT_MAX: usize = 1 << 24;

impl<'a> Correlations<'a> {
    pub(super) fn new(data: &'a Data, problem: &'a Problem) -> Correlations<'a> {
        Correlations {
            data,
            problem,
            simd: Simd::new(),
            unpacked: BTreeMap::new(),
        }
    }

    fn unpack(&mut self, column: u32) {
        let rows = self.problem.samples();
        if self.unpacked.len() * rows > KEPT_MAX {
            self.unpacked.clear();
        }
        if self.unpacked.contains_key(&column) {
            return;
        }
        let weights = &self.problem.weights;
        let [sum, squares, _] = self.column(column).moments(self.simd, weights, weights);
        let mut weighted = vec![0.0; rows];
        self.column(column).for_each(|row, x| weighted[row] = x * weights[row]);
        let unpacked = Unpacked {
            weighted,
            mean: sum,
            spread: (squares - sum * sum).max(0.0).sqrt(),
        };
        self.unpacked.insert(column, unpacked);
    }

    fn column(&self, column: u32) -> Column<'a> {
        self.data.design.column(column as usize)
    }

    /// The correlation of two columns; 0 if one of them is constant.
    pub(super) fn of(&mut self, a: u32, b: u32) -> f64 {
        self.unpack(a);
        self.unpack(b);
        let (one, other) = (&self.unpacked[&a], &self.unpacked[&b]);
        let spread = one.spread * other.spread;
        let product = self.column(a).dot_exact(self.simd, &other.weighted);
        if spread > 0.0 { (product - one.mean * other.mean) / spread } else { 0.0 }
    }
}
