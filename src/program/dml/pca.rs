//! The directions in which examples differ most, by subspace iteration (Halko, Martinsson & Tropp,
//! SIAM Review 2011).

use rand_distr::{Distribution, StandardNormal};

use super::linear::Linear;
use super::mapper::write;
use super::neighbors::BLOCK;
use super::samples::Data;
use super::sparse::transposed;
use crate::math::rng::Rng;

/// Most examples that are looked at.
const EXAMPLES: usize = 5000;
/// Rounds; the directions need not be exact.
const ROUNDS: usize = 6;
/// Stream of [`Rng`].
const OF_DIRECTIONS: u64 = 20;

/// `rank` random directions at right angles to each other, or as near to that as their number allows.
pub(super) fn random(width: usize, rank: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::stream(seed, 0, 0, OF_DIRECTIONS);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let mut rows: Vec<f32> = (0..rank * width).map(|_| normal() as f32).collect();
    orthogonalise(&mut rows, width);
    rows
}

/// Features of which there are this many times as many as of directions keep random directions at right
/// angles, nearly, as they are.
const MANY: usize = 16;

/// Random directions for sparse examples, by feature.
pub(super) fn random_by_feature(width: usize, rank: usize, seed: u64) -> Vec<f32> {
    if width < MANY * rank {
        return transposed(&random(width, rank, seed), width);
    }
    let mut rng = Rng::stream(seed, 0, 0, OF_DIRECTIONS);
    let scale = 1.0 / (width as f64).sqrt();
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    (0..rank * width).map(|_| (scale * normal()) as f32).collect()
}

/// The first `rank` principal directions of the training examples.
pub(super) fn principal(data: &Data, rank: usize, seed: u64) -> Vec<f32> {
    let width = data.width;
    let mut directions = random(width, rank, seed);
    let step = data.train_rows.len().div_ceil(EXAMPLES);
    let rows: Vec<u32> = data.train_rows.iter().step_by(step).copied().collect();
    let mean = mean(data, &rows);
    let mut linear = Linear::new(width, rank, BLOCK);
    let mut centred = vec![0.0; width];
    for _ in 0..ROUNDS {
        let mut next = vec![0.0f32; directions.len()];
        for rows in rows.chunks(BLOCK) {
            for (sample, row) in rows.iter().enumerate() {
                write(&data.features, *row, &mut centred);
                centred.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
                linear.by_sample.set_sample(sample, &centred);
            }
            linear.map(&directions, rows.len());
            linear.gradient(&mut next, |next, sums| {
                next.iter_mut().zip(sums).for_each(|(next, sum)| *next += sum);
            });
        }
        directions = next;
        orthogonalise(&mut directions, width);
    }
    directions
}

fn mean(data: &Data, rows: &[u32]) -> Vec<f32> {
    let mut sums = vec![0.0f64; data.width];
    let mut values = vec![0.0; data.width];
    for row in rows {
        write(&data.features, *row, &mut values);
        sums.iter_mut().zip(&values).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    sums.iter().map(|sum| (sum / rows.len() as f64) as f32).collect()
}

/// Gram and Schmidt, twice over; rows that depend on those before become 0.
fn orthogonalise(rows: &mut [f32], width: usize) {
    for at in 0..rows.len() / width {
        let (before, row) = rows.split_at_mut(at * width);
        let row = &mut row[..width];
        let length = dot(row, row).sqrt();
        for _ in 0..2 {
            for other in before.chunks_exact(width) {
                let shared = dot(row, other) as f32;
                row.iter_mut().zip(other).for_each(|(x, y)| *x -= shared * y);
            }
        }
        let left = dot(row, row).sqrt();
        let scale = if left > 1e-5 * length { 1.0 / left } else { 0.0 };
        row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Sixteen sums side by side: one after the other would wait for each other.
    let mut sums = [0.0f32; 16];
    let (a, rest_a) = a.as_chunks::<16>();
    let (b, rest_b) = b.as_chunks::<16>();
    for (a, b) in a.iter().zip(b) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += x * y;
        }
    }
    let rest = rest_a.iter().zip(rest_b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + rest
}
