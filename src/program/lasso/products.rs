//! Products of the working set's columns with each other, weighted, centred and scaled.
//!
//! Dense columns are packed, a block of rows at a time, and multiplied in tiles. Sparse columns are
//! put together by rows: a row contributes to the products of those columns alone that it is in.

use super::part::Shape;
use crate::engine::spread;
use crate::math::columns::{ByColumns, Column};
use crate::math::dense::{Simd, TILE};
use crate::math::quadratic::Gram;

/// Rows that are packed at a time: a tile of columns then fits a level-1 cache.
const BLOCK: usize = 1024;

/// A column of the working set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) column: u32,
    pub(super) shape: Shape,
}

/// Adds rows `gram.len()..slots.len()` to the matrix. `centers` are the columns' means under
/// `weights`, 0 without an intercept; `weights` need not sum up to 1.
pub(super) fn extend(
    gram: &mut Gram,
    design: &dyn ByColumns,
    slots: &[Slot],
    centers: &[f64],
    weights: &[f64],
    threads: usize,
) {
    let first = gram.len();
    if first == slots.len() {
        return;
    }
    gram.grow(slots.len());
    let columns: Vec<Column> = slots.iter().map(|slot| design.column(slot.column as usize)).collect();
    let is_sparse = matches!(columns[first], Column::Sparse { .. });
    let rows = match is_sparse {
        true => sparse(first, &columns, slots, centers, weights, threads),
        false => dense(first, &columns, slots, centers, weights, threads),
    };
    gram.set_last(&rows);
}

/// The new rows, up to the diagonal.
fn dense(
    first: usize,
    columns: &[Column],
    slots: &[Slot],
    centers: &[f64],
    weights: &[f64],
    threads: usize,
) -> Vec<Vec<f32>> {
    let size = columns.len();
    let roots: Vec<f64> = weights.iter().map(|weight| weight.sqrt()).collect();
    let mut rows: Vec<Vec<f32>> = (first..size).map(|row| vec![0.0; row + 1]).collect();
    for top in (0..roots.len()).step_by(BLOCK) {
        let block = top..(top + BLOCK).min(roots.len());
        let length = block.len();
        let pack = |tile: usize| pack(columns, slots, centers, &roots, tile, block.clone());
        let packed = spread(threads, size.div_ceil(TILE), pack);
        let of_tile = |tile: usize| -> [&[f32]; TILE] {
            std::array::from_fn(|i| &packed[tile][i * length..][..length])
        };
        // Tiles begin at a multiple of their side, so the first one may hold some old rows. The last
        // ones have the most columns to go with: they come first.
        let begin = first / TILE;
        let found = spread(threads, size.div_ceil(TILE) - begin, |number| {
            let tile = size.div_ceil(TILE) - 1 - number;
            let own = of_tile(tile);
            let simd = Simd::new();
            let mut rows = [(); TILE].map(|()| Vec::with_capacity((tile + 1) * TILE));
            for other in 0..=tile {
                let mut sums = [[0.0; TILE]; TILE];
                simd.tile(own, of_tile(other), &mut sums);
                for (row, sums) in rows.iter_mut().zip(sums) {
                    row.extend(sums.map(|sum| sum as f32));
                }
            }
            (tile, rows)
        });
        for (tile, found) in found {
            for (row, found) in (tile * TILE..).zip(found) {
                if let Some(to) = row.checked_sub(first).and_then(|at| rows.get_mut(at)) {
                    to.iter_mut().zip(found).for_each(|(to, found)| *to += found);
                }
            }
        }
    }
    rows
}

/// The columns of a tile in a block of rows; what is beyond the last column is 0.
fn pack(
    columns: &[Column],
    slots: &[Slot],
    centers: &[f64],
    roots: &[f64],
    tile: usize,
    rows: std::ops::Range<usize>,
) -> Vec<f32> {
    let mut packed = Vec::with_capacity(TILE * rows.len());
    for at in tile * TILE..(tile + 1) * TILE {
        match columns.get(at) {
            Some(Column::Dense(values)) => {
                let (center, scale) = (centers[at], 1.0 / slots[at].shape.scale);
                let pairs = values[rows.clone()].iter().zip(&roots[rows.clone()]);
                packed.extend(
                    pairs.map(|(x, root)| ((f64::from(*x) - center) * scale * root) as f32),
                );
            }
            _ => packed.resize(packed.len() + rows.len(), 0.0),
        }
    }
    packed
}

/// The new rows, up to the diagonal.
fn sparse(
    first: usize,
    columns: &[Column],
    slots: &[Slot],
    centers: &[f64],
    weights: &[f64],
    threads: usize,
) -> Vec<Vec<f32>> {
    let by_row = ByRow::new(columns, weights.len());
    let total: f64 = weights.iter().sum();
    spread(threads, columns.len() - first, |number| {
        let row = first + number;
        let mut sums = vec![0.0f64; columns.len()];
        columns[row].for_each(|sample, value| {
            let value = value * weights[sample];
            for (column, other) in by_row.row(sample) {
                sums[*column as usize] += value * f64::from(*other);
            }
        });
        let (center, scale) = (centers[row], slots[row].shape.scale);
        let finish = |(at, sum): (usize, &f64)| {
            ((sum - total * center * centers[at]) / (scale * slots[at].shape.scale)) as f32
        };
        sums[..=row].iter().enumerate().map(finish).collect()
    })
}

/// Columns put together by rows.
struct ByRow {
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

impl ByRow {
    fn new(columns: &[Column], rows: usize) -> ByRow {
        let mut starts = vec![0usize; rows + 1];
        for column in columns {
            column.for_each(|row, _| starts[row + 1] += 1);
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0.0); starts[rows]];
        for (number, column) in columns.iter().enumerate() {
            column.for_each(|row, value| {
                entries[next[row]] = (number as u32, value as f32);
                next[row] += 1;
            });
        }
        ByRow { starts, entries }
    }

    fn row(&self, row: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }
}
