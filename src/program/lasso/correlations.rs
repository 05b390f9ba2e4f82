//! How much columns say the same: their weighted correlations.

use std::collections::BTreeMap;

use super::part::{Data, Shape};
use super::problem::Problem;
use super::products::{self, Slot};
use crate::engine::spread;
use crate::math::dense::Simd;
use crate::math::quadratic::Gram;

/// Columns whose shapes are computed by a thread at a time.
const CHUNK: usize = 64;

/// The correlations of some columns with each other.
pub(super) struct Correlations {
    places: BTreeMap<u32, usize>,
    gram: Gram,
}

impl Correlations {
    /// Of `columns`, each named once.
    pub(super) fn new(data: &Data, problem: &Problem, columns: &[u32], threads: usize) -> Self {
        let simd = Simd::new();
        let weights = &problem.weights;
        let slots = spread(threads, columns.len().div_ceil(CHUNK), |chunk| {
            let slot = |column: &u32| {
                let of = data.design.column(*column as usize);
                let [sum, squares, _] = of.moments(simd, weights, weights);
                Slot {
                    column: *column,
                    shape: Shape::of(&of, sum, squares, weights, true, true),
                }
            };
            let end = ((chunk + 1) * CHUNK).min(columns.len());
            columns[chunk * CHUNK..end].iter().map(slot).collect::<Vec<_>>()
        });
        let slots: Vec<Slot> = slots.into_iter().flatten().collect();
        let centers: Vec<f64> = slots.iter().map(|slot| slot.shape.mean).collect();
        let mut gram = Gram::default();
        products::extend(&mut gram, &*data.design, &slots, &centers, weights, threads);
        Correlations {
            places: columns.iter().enumerate().map(|(at, column)| (*column, at)).collect(),
            gram,
        }
    }

    /// The correlation of two columns; 0 if one of them is constant, or unknown.
    pub(super) fn of(&self, a: u32, b: u32) -> f64 {
        match (self.places.get(&a), self.places.get(&b)) {
            (Some(a), Some(b)) => f64::from(self.gram.row(*a)[*b]),
            _ => 0.0,
        }
    }
}
