//! From the user's files to columns, dealt out to workers.

use std::ops::Range;
use std::sync::Arc;

use super::leader::Leader;
use super::options::Options;
use super::part::{Data, Part};
use super::problem::Problem;
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::columns::{ByColumns, Columns};
use crate::math::rng::Rng;

/// Stream of [`Rng`] by which samples are dealt out to folds.
const OF_FOLDS: u64 = 1;
/// `--tolerance` of a run that has none.
const TOLERANCE: f64 = 1e-6;

/// Reads everything, and deals this rank's columns out to its workers. Rank 0 has a leader.
pub(super) fn load(options: &Options, host: &Host) -> Result<(Option<Leader>, Vec<Part>)> {
    let data = Arc::new(read(options, host)?);
    let world = host.world();
    let ranges = ranges(&*data.design, world.workers() as usize);
    let parts = world
        .local(host.rank())
        .map(|worker| Part::new(&data, ranges[worker as usize].clone()))
        .collect();
    let tolerance = host.tolerance().unwrap_or(TOLERANCE);
    let leader = (host.rank() == 0)
        .then(|| Leader::new(options, &data, host.threads(), world.ranks(), tolerance));
    Ok((leader, parts))
}

fn read(options: &Options, host: &Host) -> Result<Data> {
    let path = &options.data[0];
    let bytes = std::fs::read(path).map_err(|e| Error::cannot_create(path, e))?;
    let long = |at: usize| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap()) as usize;
    let (n, p, nnz) = (long(0), long(1), long(2));
    let y: Vec<f64> = bytes[24..24 + 8 * n].as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    let rest = &bytes[24 + 8 * n..];
    let floats = |b: &[u8]| -> Vec<f32> { b.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect() };
    let design = if nnz == 0 {
        Columns::Dense { rows: n, columns: p, values: floats(rest) }
    } else {
        let starts: Vec<u64> = rest[..8 * (p + 1)].as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let rest = &rest[8 * (p + 1)..];
        let indices = rest[..4 * nnz].as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        Columns::Sparse { rows: n, starts, indices, values: floats(&rest[4 * nnz..8 * nnz]) }
    };
    let whole = Problem::new(y, vec![1.0; n], options.loss, !options.no_intercept);
    Ok(Data {
        problems: folds(whole, options.folds.unwrap_or(0), host.seed()),
        design: Arc::new(design),
        standardize: options.standardize,
    })
}

/// All samples, and then all but those of each fold.
fn folds(whole: Problem, folds: u32, seed: u64) -> Vec<Problem> {
    let mut rng = Rng::stream(seed, OF_FOLDS, 0, 0);
    let mut order: Vec<usize> = (0..whole.samples()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, rng.below(last as u64 + 1) as usize);
    }
    let mut of_sample = vec![0; order.len()];
    for (place, sample) in order.into_iter().enumerate() {
        of_sample[sample] = place % folds.max(1) as usize;
    }
    let parts: Vec<Problem> = (0..folds as usize)
        .map(|fold| whole.without(|sample| of_sample[sample] == fold))
        .collect();
    std::iter::once(whole).chain(parts).collect()
}

/// Neighbouring columns with equal work for each worker.
fn ranges(design: &dyn ByColumns, workers: usize) -> Vec<Range<usize>> {
    let columns = design.len();
    // A column costs something even if nothing is stored.
    let cost = |column: usize| design.work_before(column) + 4 * column as u64;
    let total = cost(columns);
    let cut = |worker: usize| {
        let goal = total * worker as u64 / workers as u64;
        let (mut low, mut high) = (0, columns);
        while low < high {
            let middle = low + (high - low) / 2;
            match cost(middle) < goal {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    };
    (0..workers)
        .map(|worker| cut(worker)..if worker + 1 == workers { columns } else { cut(worker + 1) })
        .collect()
}
