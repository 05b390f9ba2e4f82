//! Vectors of few values through L: what is multiplied, moved and sent follows the values there are.
//!
//! L lies by feature here, `rank` floats for each of them: the image of a vector is a sum of such rows,
//! and a step changes those of the features that the mini-batch has.

use crate::data::Features;
use crate::math::gemm::Processor;

/// A mini-batch of vectors, and their images.
pub(super) struct Sparse {
    pub(super) rank: usize,
    processor: Processor,
    /// Where each vector begins among the values, and where the last one ends.
    starts: Vec<usize>,
    /// Feature and value.
    values: Vec<(u32, f32)>,
    /// Vectors × rank.
    images: Vec<f32>,
    /// By vector: the derivative of the objective by its squared length, twice.
    factors: Vec<f32>,
}

impl Sparse {
    pub(super) fn new(rank: usize, processor: Processor) -> Sparse {
        Sparse {
            rank,
            processor,
            starts: vec![0],
            values: Vec::new(),
            images: Vec::new(),
            factors: Vec::new(),
        }
    }

    /// Forgets all vectors.
    pub(super) fn clear(&mut self) {
        self.starts.truncate(1);
        self.values.clear();
    }

    /// Adds an example.
    pub(super) fn add(&mut self, features: &Features, row: u32) {
        if let Some((columns, values)) = features.sparse_row(row as usize) {
            self.values.extend(columns.iter().copied().zip(values.iter().copied()));
        } else if let Some(values) = features.dense_row(row as usize) {
            let pairs = (0..).zip(values.iter().copied());
            self.values.extend(pairs.filter(|(_, value)| *value != 0.0));
        }
        self.starts.push(self.values.len());
    }

    /// Adds the difference of two examples.
    pub(super) fn subtract(&mut self, features: &Features, [one, two]: [u32; 2]) {
        let of = |row: u32| features.sparse_row(row as usize).unwrap_or_default();
        let ((columns, values), (other_columns, other_values)) = (of(one), of(two));
        let (mut at, mut other) = (0, 0);
        while at < columns.len() || other < other_columns.len() {
            let column = columns.get(at).copied().unwrap_or(u32::MAX);
            let other_column = other_columns.get(other).copied().unwrap_or(u32::MAX);
            let least = column.min(other_column);
            let mut value = 0.0;
            if column == least {
                value += values[at];
                at += 1;
            }
            if other_column == least {
                value -= other_values[other];
                other += 1;
            }
            if value != 0.0 {
                self.values.push((least, value));
            }
        }
        self.starts.push(self.values.len());
    }

    /// The features of all vectors, some of them several times.
    pub(super) fn met(&self) -> impl Iterator<Item = u32> + '_ {
        self.values.iter().map(|(feature, _)| *feature)
    }

    /// Maps the vectors.
    pub(super) fn map(&mut self, matrix: &[f32]) {
        let Sparse {
            rank,
            processor,
            starts,
            values,
            images,
            ..
        } = self;
        images.clear();
        images.resize((starts.len() - 1) * *rank, 0.0);
        for (image, range) in images.chunks_exact_mut(*rank).zip(starts.windows(2)) {
            let values = &values[range[0]..range[1]];
            processor.compiled(
                #[inline(always)]
                || {
                    for (feature, value) in values {
                        let row = &matrix[*feature as usize * *rank..][..*rank];
                        image.iter_mut().zip(row).for_each(|(x, l)| *x += value * l);
                    }
                },
            );
        }
    }

    /// An image.
    pub(super) fn image(&self, sample: usize) -> &[f32] {
        &self.images[sample * self.rank..][..self.rank]
    }

    /// Asks for the factor of each vector by its number and the square of its image's length.
    pub(super) fn judge(&mut self, mut factor: impl FnMut(usize, f32) -> f32) {
        self.factors.clear();
        for (sample, image) in self.images.chunks_exact(self.rank).enumerate() {
            let square = self.processor.compiled(
                #[inline(always)]
                || squared(image),
            );
            self.factors.push(factor(sample, square));
        }
    }

    /// Steps against the gradient that the factors make, and tells of each row that it changes.
    pub(super) fn step(&self, matrix: &mut [f32], rate: f32, mut changes: impl FnMut(u32)) {
        for (sample, range) in self.starts.windows(2).enumerate() {
            let step = -rate * self.factors[sample];
            if step == 0.0 {
                continue;
            }
            let (values, image) = (&self.values[range[0]..range[1]], self.image(sample));
            values.iter().for_each(|(feature, _)| changes(*feature));
            self.processor.compiled(
                #[inline(always)]
                || {
                    for (feature, value) in values {
                        let row = &mut matrix[*feature as usize * self.rank..][..self.rank];
                        let step = step * value;
                        row.iter_mut().zip(image).for_each(|(l, x)| *l += step * x);
                    }
                },
            );
        }
    }
}

#[inline(always)]
fn squared(image: &[f32]) -> f32 {
    // Sixteen sums side by side: one after the other would wait for each other.
    let mut sums = [0.0f32; 16];
    let (pieces, rest) = image.as_chunks::<16>();
    for piece in pieces {
        sums.iter_mut().zip(piece).for_each(|(sum, x)| *sum += x * x);
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()
}

/// Rows become columns: of `matrix`, `columns` floats a row.
pub(super) fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns.max(1);
    let mut to = vec![0.0; matrix.len()];
    // As many rows at once as floats share a cache line.
    for first in (0..rows).step_by(16) {
        for column in 0..columns {
            for row in first..rows.min(first + 16) {
                to[column * rows + row] = matrix[row * columns + column];
            }
        }
    }
    to
}

/// Which rows of L a worker has as they are in the table, and which it has changed.
#[derive(Default)]
pub(super) struct Touched {
    /// By row: the exchange after which it was read.
    read: Vec<u64>,
    is_changed: Vec<bool>,
    changed: Vec<u32>,
    /// Counts exchanges, from 1.
    number: u64,
}

impl Touched {
    pub(super) fn new(rows: usize) -> Touched {
        Touched {
            read: vec![0; rows],
            is_changed: vec![false; rows],
            changed: Vec::new(),
            number: 1,
        }
    }

    /// What was read is to be read again.
    pub(super) fn forget(&mut self) {
        self.number += 1;
    }

    /// Those of these rows that are to be read, ascending; now they count as read.
    pub(super) fn read_now(&mut self, rows: impl Iterator<Item = u32>) -> Vec<u64> {
        let mut stale = Vec::new();
        for row in rows {
            let read = &mut self.read[row as usize];
            if std::mem::replace(read, self.number) != self.number {
                stale.push(u64::from(row));
            }
        }
        stale.sort_unstable();
        stale
    }

    pub(super) fn change(&mut self, row: u32) {
        if !std::mem::replace(&mut self.is_changed[row as usize], true) {
            self.changed.push(row);
        }
    }

    /// The rows that were changed since this was last asked, ascending.
    pub(super) fn take_changed(&mut self) -> Vec<u32> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.iter().for_each(|row| self.is_changed[*row as usize] = false);
        changed.sort_unstable();
        changed
    }
}
