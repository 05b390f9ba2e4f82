//! Solutions have no slope, by the formula in doubles.

use super::*;
use crate::math::rng::Rng;

fn random(rows: usize, rank: usize, rng: &mut Rng) -> Factors {
    let mut factors = Factors::zeros(rows, rank);
    for row in 0..rows {
        factors
            .row_mut(row)
            .fill_with(|| rng.uniform() as f32 - 0.4);
        factors.heads_mut()[row].bias = rng.uniform() as f32;
    }
    factors
}

fn ratings(number: usize, rows: u64, rng: &mut Rng) -> Vec<Observed> {
    let draw = |_| Observed {
        row: rng.below(rows) as u32,
        value: 4.0 * rng.uniform() as f32 - 2.0,
    };
    (0..number).map(draw).collect()
}

fn kernels() -> [Kernel; 2] {
    [Kernel::portable(), Kernel::new()]
}

/// Half the gradient by its formula, in doubles: of x, and last of b.
fn slope(
    others: &Factors,
    ratings: &[Observed],
    each: &impl Fn(f32, Head) -> (f32, f32),
    (ridge, bias_ridge): (f32, f32),
    (x, bias): (&[f32], f32),
) -> Vec<f64> {
    let mut slope: Vec<f64> = x.iter().map(|x| f64::from(*x) * f64::from(ridge)).collect();
    slope.push(f64::from(bias) * f64::from(bias_ridge));
    for rating in ratings {
        let q = others.row(rating.row as usize);
        let (weight, target) = each(rating.value, others.heads()[rating.row as usize]);
        let product: f64 = x
            .iter()
            .zip(q)
            .map(|(x, q)| f64::from(*x) * f64::from(*q))
            .sum();
        let error = f64::from(weight) * (f64::from(bias) + product - f64::from(target));
        for (slope, q) in slope.iter_mut().zip(q.iter().chain([&1.0])) {
            *slope += error * f64::from(*q);
        }
    }
    slope
}

#[test]
fn the_solution_has_no_slope() {
    for rank in [1, 5, 16, 17, 32, 40, 100] {
        for kernel in kernels() {
            let mut rng = Rng::stream(rank as u64, 0, 0, 0);
            let others = random(60, rank, &mut rng);
            let seen = ratings(75, 60, &mut rng);
            let each = |value: f32, head: Head| (1.0 + value.abs(), value - head.bias);
            for bias_ridge in [None, Some(0.7)] {
                let mut normal = Normal::new(kernel, rank);
                normal.begin(None);
                normal.add(&others, &seen[..40], each);
                normal.add(&others, &seen[40..], each);
                let mut x = vec![0.0; rank];
                let bias = normal.solve(2.0, bias_ridge, &mut x);
                let ridges = (2.0, bias_ridge.unwrap_or(0.0));
                let mut slope = slope(&others, &seen, &each, ridges, (&x, bias));
                if bias_ridge.is_none() {
                    assert_eq!(bias, 0.0);
                    slope.pop();
                }
                let worst = slope.iter().fold(0.0f64, |worst, s| worst.max(s.abs()));
                assert!(worst < 2e-3, "{rank} {kernel:?} {bias_ridge:?} {worst}");
            }
        }
    }
}

/// Karush, Kuhn and Tucker: no slope where x > 0, none that leads down where x = 0.
#[test]
fn the_nonnegative_solution_has_no_way_down() {
    for rank in [1, 7, 16, 33] {
        let mut rng = Rng::stream(rank as u64, 1, 0, 0);
        let others = random(50, rank, &mut rng);
        let seen = ratings(60, 50, &mut rng);
        let each = |value: f32, head: Head| (1.0, value - head.bias);
        let mut normal = Normal::new(Kernel::new(), rank);
        normal.begin(None);
        normal.add(&others, &seen, each);
        let mut x = vec![0.5; rank];
        let bias = normal.solve_nonnegative(3.0, Some(0.5), &mut x, 0.1);
        let slope = slope(&others, &seen, &each, (3.0, 0.5), (&x, bias));
        assert!(rank == 1 || x.contains(&0.0));
        for (x, slope) in x.iter().zip(&slope) {
            assert!(*x >= 0.0);
            assert!(
                *slope > -3e-3 && (*x == 0.0 || *slope < 3e-3),
                "{x} {slope}"
            );
        }
        assert!(slope[rank].abs() < 3e-3);
    }
}

#[test]
fn a_matrix_without_full_rank_still_gives_numbers() {
    let mut rng = Rng::stream(9, 0, 0, 0);
    let others = random(3, 20, &mut rng);
    let seen = ratings(3, 3, &mut rng);
    let mut normal = Normal::new(Kernel::new(), 20);
    normal.begin(None);
    normal.add(&others, &seen, |value, _| (1.0, value));
    let mut x = vec![0.0; 20];
    let bias = normal.solve(0.0, Some(0.0), &mut x);
    assert!(bias.is_finite() && x.iter().all(|x| x.is_finite()));
}

#[test]
fn the_quadratic_form_is_the_sum_of_squares() {
    let mut rng = Rng::stream(4, 0, 0, 0);
    let (others, x) = (random(70, 19, &mut rng), random(1, 19, &mut rng));
    for kernel in kernels() {
        let mut normal = Normal::new(kernel, 19);
        normal.begin(None);
        normal.add_all(&others);
        let product = |row: usize| -> f64 {
            let pairs = others.row(row).iter().zip(x.row(0));
            pairs.map(|(q, x)| f64::from(*q) * f64::from(*x)).sum()
        };
        let sum: f64 = (0..70).map(|row| product(row).powi(2)).sum();
        assert!((normal.quadratic(x.row(0)) / sum - 1.0).abs() < 1e-5);
    }
}
