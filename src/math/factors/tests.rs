//! Every loop against the formula in doubles.

use super::*;
use crate::math::rng::Rng;

const STEP: Step = Step {
    rate: 0.1,
    regularization: 0.05,
    shrinkage: 0.07,
    others_shrinkage: 0.11,
    bias_rate: 0.2,
    others: 0.7,
    bias_regularization: 0.03,
    nonnegative: false,
};

fn random(rows: usize, rank: usize, rng: &mut Rng) -> Factors {
    let mut factors = Factors::zeros(rows, rank);
    for row in 0..rows {
        let spread = 1.0 / (rank as f64).sqrt();
        let draw = |rng: &mut Rng| ((rng.uniform() - 0.3) * spread) as f32;
        factors.row_mut(row).fill_with(|| draw(rng));
        factors.heads_mut()[row] = Head {
            bias: rng.uniform() as f32,
            curvature: 5.0 * rng.uniform() as f32,
        };
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

/// The formula of [`Kernel::learn`] in doubles, factor by factor.
fn learn_by_formula(
    ones: &mut Factors,
    row: usize,
    others: &mut Factors,
    ratings: &[Observed],
    step: &Step,
) -> f64 {
    let mut squares = 0.0;
    for rating in ratings {
        let its = rating.row as usize;
        let (p, q) = (ones.row(row).to_vec(), others.row(its).to_vec());
        let (head, other) = (ones.heads()[row], others.heads()[its]);
        let product: f64 = p
            .iter()
            .zip(&q)
            .map(|(p, q)| f64::from(*p) * f64::from(*q))
            .sum();
        let error = f64::from(rating.value - head.bias - other.bias) - product;
        squares += error * error;
        let length = |sum: f32, times: f32, shrinkage: f32| {
            f64::from(times * step.rate) / (1.0 + f64::from(shrinkage * sum)).sqrt()
        };
        let bias_length = |sum: f32, times: f32| {
            f64::from(times * step.bias_rate) / (1.0 + f64::from(sum)).sqrt()
        };
        let moved = |x: f32, y: f32, length: f64| {
            let (x, y) = (f64::from(x), f64::from(y));
            let new = x + length * (error * y - f64::from(step.regularization) * x);
            if step.nonnegative {
                new.max(0.0) as f32
            } else {
                new as f32
            }
        };
        for at in 0..p.len() {
            let own = length(head.curvature, 1.0, step.shrinkage);
            let its_own = length(other.curvature, step.others, step.others_shrinkage);
            ones.row_mut(row)[at] = moved(p[at], q[at], own);
            others.row_mut(its)[at] = moved(q[at], p[at], its_own);
        }
        let biased = |head: Head, times: f32| Head {
            bias: (f64::from(head.bias)
                + bias_length(head.curvature, times)
                    * (error - f64::from(step.bias_regularization * head.bias)))
                as f32,
            curvature: head.curvature + (error * error) as f32,
        };
        ones.heads_mut()[row] = biased(head, 1.0);
        others.heads_mut()[its] = biased(other, step.others);
    }
    squares
}

fn difference(one: &Factors, other: &Factors) -> f32 {
    let heads = |f: &Factors| -> Vec<f32> {
        f.heads()
            .iter()
            .flat_map(|h| [h.bias, h.curvature])
            .collect()
    };
    let rows =
        |f: &Factors| -> Vec<f32> { (0..f.len()).flat_map(|row| f.row(row).to_vec()).collect() };
    let pairs = heads(one).into_iter().zip(heads(other));
    pairs
        .chain(rows(one).into_iter().zip(rows(other)))
        .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()))
        .fold(0.0, f32::max)
}

fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![Kernel::portable(), Kernel::new()];
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        kernels.push(Kernel(Level::Avx2));
    }
    kernels
}

#[test]
fn all_loops_do_what_the_formula_says() {
    for rank in [1, 5, 16, 17, 32, 48, 64, 80, 100, 112, 128, 129, 200] {
        for nonnegative in [false, true] {
            let mut rng = Rng::stream(rank as u64, 0, 0, 0);
            let ones = random(2, rank, &mut rng);
            let others = random(9, rank, &mut rng);
            let seen = ratings(40, 9, &mut rng);
            let step = Step {
                nonnegative,
                ..STEP
            };
            let (mut p, mut q) = (ones.clone(), others.clone());
            learn_by_formula(&mut p, 1, &mut q, &seen, &step);
            let still = Step {
                rate: 0.0,
                bias_rate: 0.0,
                ..STEP
            };
            let squares =
                learn_by_formula(&mut ones.clone(), 1, &mut others.clone(), &seen, &still);
            for kernel in kernels() {
                let (mut own, mut its) = (ones.clone(), others.clone());
                kernel.learn(own.one(1), &mut its, &seen, &step);
                let worst = difference(&own, &p).max(difference(&its, &q));
                // rsqrt14 is good to 2⁻¹⁴; 40 steps of length 0.1 follow each other.
                assert!(worst < 2e-3, "{kernel:?} {rank} {worst}");
                let measured = kernel.squared_error(&ones, 1, &others, &seen);
                assert!((measured / squares - 1.0).abs() < 1e-5, "{kernel:?} {rank}");
                let padding = rank..rank.next_multiple_of(WIDTH);
                for at in padding {
                    let lanes = &own.rows[own.lanes..];
                    assert_eq!(lanes[at / WIDTH].0[at % WIDTH], 0.0, "padding stays zero");
                }
            }
        }
    }
}

/// One step is −rate/2 times the gradient of e² + λ(‖p‖² + ‖q‖²) + λ_b(b² + c²), measured by
/// central differences.
#[test]
fn a_step_goes_down_the_gradient() {
    let mut rng = Rng::stream(5, 0, 0, 0);
    let (ones, others) = (random(1, 6, &mut rng), random(1, 6, &mut rng));
    let seen = ratings(1, 1, &mut rng);
    let step = Step {
        shrinkage: 0.0,
        others_shrinkage: 0.0,
        rate: 1e-3,
        bias_rate: 0.0,
        others: 1.0,
        ..STEP
    };
    let value = |p: &Factors, q: &Factors| {
        let error = Kernel::portable().squared_error(p, 0, q, &seen);
        error + f64::from(step.regularization) * (p.norm(0) + q.norm(0))
    };
    let (mut p, mut q) = (ones.clone(), others.clone());
    Kernel::new().learn(p.one(0), &mut q, &seen, &step);
    for at in 0..6 {
        let slope = |side: usize| {
            let moved = |by: f32| {
                let mut both = [ones.clone(), others.clone()];
                both[side].row_mut(0)[at] += by;
                value(&both[0], &both[1])
            };
            (moved(1e-2) - moved(-1e-2)) / 2e-2
        };
        let of_p = f64::from(p.row(0)[at] - ones.row(0)[at]);
        let of_q = f64::from(q.row(0)[at] - others.row(0)[at]);
        assert!((of_p + 0.5e-3 * slope(0)).abs() < 2e-6, "{of_p}");
        assert!((of_q + 0.5e-3 * slope(1)).abs() < 2e-6, "{of_q}");
    }
}
