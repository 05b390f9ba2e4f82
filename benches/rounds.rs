//! T5: coordinates that are updated together, 32 at a time, by four schedules on three designs.
//!
//! ```text
//! cargo bench --bench rounds [-- SAMPLES FEATURES] > rounds.csv
//! ```
//!
//! Every coordinate of a round takes its step from the residual before the round, as on as many
//! processors. Priority is by the last step, after a first visit of each coordinate (STRADS: Lee et
//! al., NIPS 2014); random without a filter is Shotgun (Bradley et al., ICML 2011). Output: the
//! relative duality gap by round and by seconds on one thread, gaps not counted. Without arguments
//! after `--` the problem is tiny: to see that it runs.

use std::io::Write;
use std::time::Instant;

use petuum::math::dense::Simd;
use petuum::math::rng::Rng;
use petuum::scheduler::dependency::{Dependency, threshold};
use petuum::scheduler::rounds::{Order, Rounds};
use rand_distr::{Distribution, StandardNormal};

/// Coordinates of a round.
const TOGETHER: usize = 32;
const CORRELATION: f64 = 0.9;
const BLOCK: usize = 50;
/// Part of λ_max, and the gap that is wanted, relative to the null objective.
const RATIO: f64 = 0.1;
const GAP: f64 = 1e-3;
/// What a coefficient is worth by its size, beside its last step.
const REMEMBERED: f64 = 0.02;
const ROUNDS_MAX: usize = 40_000;

struct Problem {
    columns: Vec<Vec<f32>>,
    y: Vec<f64>,
    lambda: f64,
    null: f64,
}

impl Problem {
    /// Columns of norm 1.
    fn new(design: &str, samples: usize, features: usize) -> Problem {
        let mut rng = Rng::stream(1, 0, 0, 0);
        let mut draw = || -> Vec<f64> {
            (0..samples)
                .map(|_| StandardNormal.sample(&mut rng))
                .collect()
        };
        let mut shared = draw();
        let mut columns: Vec<Vec<f32>> = Vec::new();
        for feature in 0..features {
            let own = draw();
            let (a, b): (f64, f64) = match design {
                "chain" if feature > 0 => (CORRELATION, (1.0 - CORRELATION * CORRELATION).sqrt()),
                "blocks" => (CORRELATION.sqrt(), (1.0 - CORRELATION).sqrt()),
                _ => (0.0, 1.0),
            };
            if design == "blocks" && feature % BLOCK == 0 {
                shared = draw();
            }
            let column: Vec<f64> = shared
                .iter()
                .zip(&own)
                .map(|(s, o)| a * s + b * o)
                .collect();
            if design == "chain" {
                shared.clone_from(&column);
            }
            let norm = column.iter().map(|x| x * x).sum::<f64>().sqrt();
            columns.push(column.iter().map(|x| (x / norm) as f32).collect());
        }
        let mut y: Vec<f64> = draw().iter().map(|noise| 0.02 * noise).collect();
        for planted in 0..features / 40 {
            let sign = if planted % 2 == 0 { 1.0 } else { -1.0 };
            Simd::new().add(&mut y, sign, &columns[planted * 40 + 7]);
        }
        let mut problem = Problem {
            columns,
            lambda: 0.0,
            null: 0.5 * y.iter().map(|y| y * y).sum::<f64>(),
            y,
        };
        problem.lambda = RATIO * problem.largest(&problem.y);
        problem
    }

    fn largest(&self, r: &[f64]) -> f64 {
        let products = self
            .columns
            .iter()
            .map(|x| Simd::new().dot_exact(x, r).abs());
        products.fold(0.0, f64::max)
    }

    /// The duality gap, relative to the null objective.
    fn gap(&self, b: &[f64], r: &[f64]) -> f64 {
        let squares: f64 = r.iter().map(|r| r * r).sum();
        let along: f64 = r.iter().zip(&self.y).map(|(r, y)| r * y).sum();
        let limit = self.lambda / self.largest(r).max(self.lambda);
        let part = (along / squares).clamp(0.0, limit);
        let primal = 0.5 * squares + self.lambda * b.iter().map(|b| b.abs()).sum::<f64>();
        (primal - part * along + 0.5 * part * part * squares) / self.null
    }
}

fn schedule(name: &str, samples: usize, features: usize) -> Rounds {
    let rng = Rng::stream(2, 0, 0, 0);
    let filter = Some(Dependency::new(threshold(samples)));
    match name {
        "priority+filter" => Rounds::unchecked(features, Order::Priority, filter, rng),
        "priority alone" => Rounds::unchecked(features, Order::Priority, None, rng),
        "cyclic" => Rounds::unchecked(features, Order::Cyclic, None, rng),
        _ => Rounds::unchecked(features, Order::Random, None, rng),
    }
}

/// Runs one schedule, printing its gaps.
fn run(design: &str, name: &str, problem: &Problem) {
    let features = problem.columns.len();
    let mut rounds = schedule(name, problem.y.len(), features);
    let first_worth = problem.y.iter().map(|y| y.abs()).sum::<f64>();
    (0..features as u32).for_each(|feature| rounds.set(feature, first_worth));
    let simd = Simd::new();
    let (mut b, mut r) = (vec![0.0; features], problem.y.clone());
    let mut seconds = 0.0;
    let mut every = 1;
    for round in 1..=ROUNDS_MAX {
        let begun = Instant::now();
        let mut correlation =
            |i: u32, j: u32| simd.dot(&problem.columns[i as usize], &problem.columns[j as usize]);
        let chosen = rounds.begin(TOGETHER, &mut correlation);
        let steps: Vec<f64> = chosen
            .iter()
            .map(|at| {
                let (at, lambda) = (*at as usize, problem.lambda);
                let u = simd.dot_exact(&problem.columns[at], &r) + b[at];
                (u.abs() - lambda).max(0.0).copysign(u) - b[at]
            })
            .collect();
        for (at, step) in chosen.iter().zip(&steps) {
            b[*at as usize] += step;
            simd.add(&mut r, -step, &problem.columns[*at as usize]);
        }
        let worth = |at: u32| {
            let place = chosen.iter().position(|other| *other == at);
            // Coefficients that are not 0 go on to matter when they stand still for once.
            let size = REMEMBERED * b[at as usize].abs();
            place.map_or(0.0, |place| steps[place].abs()) + size
        };
        rounds.end(&chosen, worth);
        seconds += begun.elapsed().as_secs_f64();
        if round % every == 0 {
            let gap = problem.gap(&b, &r);
            let correlations = rounds.correlations();
            say(&format!(
                "{design},\"{name}\",{round},{seconds:.6},{gap:.6e},{correlations}"
            ));
            if gap <= GAP || !gap.is_finite() || gap > 1e12 {
                return;
            }
            every = (round / 20).max(1);
        }
    }
}

/// Prints one line; a reader that went away wants no more.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() {
    // cargo gives --bench.
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok())
        .collect();
    let (samples, features) = match sizes[..] {
        [samples, features] => (samples, features),
        _ => (100, 200),
    };
    say("design,schedule,round,seconds,gap,correlations");
    for design in ["iid", "chain", "blocks"] {
        let problem = Problem::new(design, samples, features);
        for name in ["priority+filter", "priority alone", "shotgun", "cyclic"] {
            run(design, name, &problem);
        }
    }
}
