//! Mini-batches through L, whichever way examples are held.

use super::linear::Linear;
use super::sparse::Sparse;
use crate::data::Features;
use crate::math::gemm::Kernel;

/// Memory for a mini-batch of vectors and their images.
pub(super) enum Mapper {
    /// All values; L lies by row.
    Dense(Box<Linear>),
    /// The values that are not 0; L lies by feature.
    Sparse(Sparse),
}

impl Mapper {
    /// For mini-batches of vectors like `features`, of at most this many.
    pub(super) fn new(features: &Features, kernel: Kernel, rank: usize, batch: usize) -> Mapper {
        match features {
            Features::Dense { width, .. } => Mapper::Dense(Box::new(Linear::on(kernel, *width, rank, batch))),
            Features::Sparse { .. } => Mapper::Sparse(Sparse::new(rank, kernel.processor())),
        }
    }

    /// Images of examples: `each` gets their places in `rows` and their images.
    pub(super) fn map(
        &mut self,
        matrix: &[f32],
        features: &Features,
        rows: &[u32],
        each: impl FnMut(usize, &[f32]),
    ) {
        match self {
            Mapper::Dense(linear) => {
                let mut written = vec![0.0; features.width()];
                for (sample, row) in rows.iter().enumerate() {
                    write(features, *row, &mut written);
                    linear.by_sample.set_sample(sample, &written);
                }
                linear.map(matrix, rows.len());
            }
            Mapper::Sparse(sparse) => {
                sparse.clear();
                rows.iter().for_each(|row| sparse.add(features, *row));
                sparse.map(matrix);
            }
        }
        self.images(rows.len(), each);
    }

    /// Images of differences of two examples each, likewise.
    pub(super) fn map_pairs(
        &mut self,
        matrix: &[f32],
        features: &Features,
        pairs: &[[u32; 2]],
        each: impl FnMut(usize, &[f32]),
    ) {
        match self {
            Mapper::Dense(linear) => {
                let mut written = [vec![0.0; features.width()], vec![0.0; features.width()]];
                for (sample, pair) in pairs.iter().enumerate() {
                    let [one, two] = &mut written;
                    write(features, pair[0], one);
                    write(features, pair[1], two);
                    one.iter_mut().zip(two).for_each(|(x, y)| *x -= *y);
                    linear.by_sample.set_sample(sample, one);
                }
                linear.map(matrix, pairs.len());
            }
            Mapper::Sparse(sparse) => {
                sparse.clear();
                pairs.iter().for_each(|pair| sparse.subtract(features, *pair));
                sparse.map(matrix);
            }
        }
        self.images(pairs.len(), each);
    }

    fn images(&self, count: usize, mut each: impl FnMut(usize, &[f32])) {
        match self {
            Mapper::Dense(linear) => {
                let mut image = vec![0.0; linear.images.features()];
                for sample in 0..count {
                    let values = image.iter_mut().enumerate();
                    values.for_each(|(r, x)| *x = linear.images.at(sample, r));
                    each(sample, &image);
                }
            }
            Mapper::Sparse(sparse) => (0..count).for_each(|sample| each(sample, sparse.image(sample))),
        }
    }
}

/// Writes an example out.
pub(super) fn write(features: &Features, row: u32, to: &mut [f32]) {
    if let Some(values) = features.dense_row(row as usize) {
        to.copy_from_slice(values);
    } else if let Some((columns, values)) = features.sparse_row(row as usize) {
        to.fill(0.0);
        let pairs = columns.iter().zip(values);
        pairs.for_each(|(column, value)| to[*column as usize] = *value);
    }
}
