//! The lasso on a Gram matrix: a small dense quadratic with an ℓ1 penalty.
//!
//! ```text
//! minimise ½ bᵀG b − c₀ᵀb + λ₁‖b‖₁ + ½ λ₂‖b‖²
//! ```
//!
//! Coordinate descent (Friedman, Hastie & Tibshirani, JSS 2010, "covariance updates") finds which
//! coefficients are not 0; a Newton step on those (their signs fixed, so that what is left is a
//! system of linear equations) makes them exact, however badly the columns are conditioned. A step
//! that would turn signs sets those coefficients to 0 if that is an improvement, else so does a part of
//! it, and else it stops where the first one turns.

use super::cholesky::Cholesky;
use super::dense::Simd;

/// A symmetric matrix that grows, with all of its elements stored.
#[derive(Debug, Clone, Default)]
pub struct Gram {
    size: usize,
    stride: usize,
    values: Vec<f32>,
}

impl Gram {
    /// Rows, and columns.
    pub fn len(&self) -> usize {
        self.size
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// A row.
    #[inline]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.size]
    }

    /// Grows to `size` rows; new elements are 0.
    pub fn grow(&mut self, size: usize) {
        if size > self.stride {
            let stride = size
                .next_multiple_of(64)
                .max(self.stride * 3 / 2)
                .next_multiple_of(16);
            let mut values = vec![0.0; stride * stride];
            for row in 0..self.size {
                values[row * stride..][..self.size].copy_from_slice(self.row(row));
            }
            (self.stride, self.values) = (stride, values);
        }
        self.size = self.size.max(size);
    }

    /// Sets the last rows up to the diagonal, and what they mirror.
    pub fn set_last(&mut self, rows: &[Vec<f32>]) {
        const SIDE: usize = 32;
        let first = self.size - rows.len();
        for (row, values) in (first..).zip(rows) {
            self.values[row * self.stride..][..=row].copy_from_slice(&values[..=row]);
        }
        // By small squares: a column at a time would meet a new cache line with every element.
        for top in (first..self.size).step_by(SIDE) {
            let bottom = (top + SIDE).min(self.size);
            for left in (0..bottom).step_by(SIDE) {
                for row in top..bottom {
                    for column in left..(left + SIDE).min(row) {
                        self.values[column * self.stride + row] =
                            self.values[row * self.stride + column];
                    }
                }
            }
        }
    }

    /// Keeps only these rows and columns, ascending.
    pub fn keep(&mut self, kept: &[usize]) {
        let stride = self.stride;
        for (to, from) in kept.iter().enumerate() {
            for (column, origin) in kept.iter().enumerate() {
                self.values[to * stride + column] = self.values[from * stride + origin];
            }
        }
        self.size = kept.len();
    }
}

/// The problem's penalties.
#[derive(Debug, Clone, Copy)]
pub struct Penalty {
    /// λ₁.
    pub l1: f64,
    /// λ₂.
    pub l2: f64,
}

impl Penalty {
    /// λ₁|b| + ½ λ₂ b².
    pub fn of(&self, b: f64) -> f64 {
        self.l1 * b.abs() + 0.5 * self.l2 * b * b
    }

    /// The minimiser of ½ q b² − u b + the penalty.
    #[inline]
    pub fn minimiser(&self, q: f64, u: f64) -> f64 {
        let beyond = u.abs() - self.l1;
        match beyond > 0.0 && q > 0.0 {
            true => (beyond / (q + self.l2)).copysign(u),
            false => 0.0,
        }
    }
}

/// What the solver needs and what it leaves.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The coefficients.
    pub b: Vec<f64>,
    /// c₀ − G b: for a regression, the products of the columns with the residual.
    pub gradient: Vec<f64>,
    /// ‖r‖², the squared residual at the start.
    pub squares: f64,
}

/// Sweeps over all coefficients, and Newton steps, before the solver gives up.
const SWEEPS_MAX: usize = 400;
/// Most coefficients that a Newton step solves for.
const NEWTON_MAX: usize = 3000;
/// No sweep follows one that changed no product by more than this part of λ₁.
const STILL: f64 = 1e-9;
/// Sweeps over the coefficients that are not 0 after each sweep over all.
const INNER_SWEEPS: usize = 8;

/// Parts of a Newton step that are tried where it would turn signs.
const PARTS: [f64; 4] = [1.0, 0.5, 0.25, 0.125];

/// The damping of Newton steps after one that could not be taken whole, as a part of the diagonal,
/// and how much it changes from step to step.
const DAMPED: f32 = 1e-2;
const DAMPED_LEAST: f32 = 1e-5;
const DAMPED_FACTOR: f32 = 10.0;

/// Memory of the solver, used again and again.
#[derive(Debug, Default)]
pub struct Solver {
    simd: Simd,
    cholesky: Cholesky,
    active: Vec<usize>,
    /// What is added to the diagonal for Newton steps, as a part of it: with about as many
    /// coefficients as samples a step without would turn many signs.
    damping: f32,
    /// The rows and columns of the active coefficients.
    part: Vec<f32>,
}

impl Solver {
    /// Improves `state.b` until the duality gap is at most `target`, or rounding allows no more.
    /// Returns the last gap.
    pub fn solve(&mut self, gram: &Gram, penalty: Penalty, state: &mut State, target: f64) -> f64 {
        let (mut best, mut stuck) = (f64::INFINITY, 0);
        self.damping = 0.0;
        let mut now = 0.0;
        for _ in 0..SWEEPS_MAX {
            self.sweep_all(gram, penalty, state);
            let before = self.active.len();
            self.sweep_active(gram, penalty, state);
            self.active.retain(|at| state.b[*at] != 0.0);
            // While some still become 0 a sweep is worth more than a Newton step.
            let settled = self.active.len() == before && before <= NEWTON_MAX;
            if settled || self.active.len() <= 64 {
                self.newton(gram, penalty, state);
            }
            now = gap(penalty, state);
            if now <= target {
                break;
            }
            stuck = if now < 0.9 * best { 0 } else { stuck + 1 };
            best = best.min(now);
            if stuck > 12 {
                break;
            }
        }
        now
    }

    /// One coordinate's step; true if it moved.
    #[inline]
    fn step(&mut self, at: usize, gram: &Gram, penalty: Penalty, state: &mut State) {
        let row = gram.row(at);
        let (q, old) = (f64::from(row[at]), state.b[at]);
        let new = penalty.minimiser(q, state.gradient[at] + q * old);
        let change = new - old;
        if change != 0.0 {
            state.squares += change * (q * change - 2.0 * state.gradient[at]);
            state.b[at] = new;
            self.simd.add(&mut state.gradient, -change, row);
        }
    }

    fn sweep_all(&mut self, gram: &Gram, penalty: Penalty, state: &mut State) {
        self.active.clear();
        for at in 0..gram.len() {
            if state.b[at] != 0.0 || state.gradient[at].abs() > penalty.l1 {
                self.step(at, gram, penalty, state);
                if state.b[at] != 0.0 {
                    self.active.push(at);
                }
            }
        }
    }

    /// Sweeps over the coefficients that are not 0, on their own part of the matrix.
    fn sweep_active(&mut self, gram: &Gram, penalty: Penalty, state: &mut State) {
        let size = self.active.len();
        let mut part = std::mem::take(&mut self.part);
        part.clear();
        for at in &self.active {
            let row = gram.row(*at);
            part.extend(self.active.iter().map(|other| row[*other]));
        }
        let mut b: Vec<f64> = self.active.iter().map(|at| state.b[*at]).collect();
        let mut gradient: Vec<f64> = self.active.iter().map(|at| state.gradient[*at]).collect();
        for _ in 0..INNER_SWEEPS {
            let mut most = 0.0f64;
            for at in 0..size {
                let row = &part[at * size..][..size];
                let (q, old) = (f64::from(row[at]), b[at]);
                let new = penalty.minimiser(q, gradient[at] + q * old);
                let change = new - old;
                if change != 0.0 {
                    state.squares += change * (q * change - 2.0 * gradient[at]);
                    b[at] = new;
                    most = most.max(change.abs() * q);
                    self.simd.add(&mut gradient, -change, row);
                }
            }
            if most <= STILL * penalty.l1 {
                break;
            }
        }
        for (place, at) in self.active.iter().enumerate() {
            let change = b[place] - state.b[*at];
            if change != 0.0 {
                state.b[*at] = b[place];
                self.simd.add(&mut state.gradient, -change, gram.row(*at));
            }
        }
        self.part = part;
    }

    /// Solves for the coefficients that are not 0, with their signs as they are.
    fn newton(&mut self, gram: &Gram, penalty: Penalty, state: &mut State) {
        let size = self.active.len();
        if size == 0 {
            return;
        }
        let active = &self.active;
        let (l2, damping) = (penalty.l2 as f32, self.damping);
        self.cholesky.factor(size, self.simd, |i, to| {
            let row = gram.row(active[i]);
            to.iter_mut().zip(active).for_each(|(to, j)| *to = row[*j]);
            to[i] = to[i] * (1.0 + damping) + l2;
        });
        let slope = |at: &usize| {
            let b = state.b[*at];
            state.gradient[*at] - penalty.l1.copysign(b) - penalty.l2 * b
        };
        let mut step: Vec<f64> = active.iter().map(slope).collect();
        self.cholesky.solve(self.simd, &mut step);
        if !step.iter().all(|x| x.is_finite()) {
            return;
        }
        let until = active_until(&self.active, state, &step);
        if until.0 < 1.0 {
            self.damping = (DAMPED_FACTOR * damping).clamp(DAMPED, 1.0);
            for part in PARTS {
                let of = |(at, step): (&usize, &f64)| {
                    let b = state.b[*at];
                    if b * (b + part * step) < 0.0 {
                        -b
                    } else {
                        part * step
                    }
                };
                let clipped: Vec<f64> = self.active.iter().zip(&step).map(of).collect();
                if self.take(gram, penalty, state, &clipped) {
                    if part == 1.0 {
                        let less = damping / DAMPED_FACTOR;
                        self.damping = if less < DAMPED_LEAST { 0.0 } else { less };
                    }
                    return;
                }
            }
            step.iter_mut().for_each(|step| *step *= until.0);
            step[until.1] = -state.b[self.active[until.1]];
        } else {
            self.damping = 0.0;
        }
        self.take(gram, penalty, state, &step);
    }

    /// Takes a step of the active coefficients if it lowers the objective.
    fn take(&mut self, gram: &Gram, penalty: Penalty, state: &mut State, step: &[f64]) -> bool {
        let mut change = vec![0.0; gram.len()];
        for (at, step) in self.active.iter().zip(step) {
            self.simd.add(&mut change, *step, gram.row(*at));
        }
        let (mut linear, mut curved, mut charged) = (0.0, 0.0, 0.0);
        for (at, step) in self.active.iter().zip(step) {
            let b = state.b[*at];
            linear += step * state.gradient[*at];
            curved += step * change[*at];
            charged += penalty.of(b + step) - penalty.of(b);
        }
        if 0.5 * curved - linear + charged > 0.0 {
            return false;
        }
        for (at, step) in self.active.iter().zip(step) {
            state.b[*at] += step;
        }
        state.squares += curved - 2.0 * linear;
        let pairs = state.gradient.iter_mut().zip(&change);
        pairs.for_each(|(gradient, change)| *gradient -= change);
        true
    }
}

/// How much of `step` can be taken before a coefficient turns its sign, and which one does.
fn active_until(active: &[usize], state: &State, step: &[f64]) -> (f64, usize) {
    let mut until = (1.0, 0);
    for (place, (at, step)) in active.iter().zip(step).enumerate() {
        let b = state.b[*at];
        if b * (b + step) < 0.0 && -b / step < until.0 {
            until = (-b / step, place);
        }
    }
    until
}

/// The duality gap of the small problem, from sums that the solver keeps.
fn gap(penalty: Penalty, state: &State) -> f64 {
    let (mut charged, mut along, mut squares, mut largest) = (0.0, 0.0, 0.0, 0.0f64);
    for (b, gradient) in state.b.iter().zip(&state.gradient) {
        charged += penalty.of(*b);
        along += b * gradient;
        squares += b * b;
        largest = largest.max((gradient - penalty.l2 * b).abs());
    }
    let scale = match largest > penalty.l1 {
        true => penalty.l1 / largest,
        false => 1.0,
    };
    let residual = state.squares + penalty.l2 * squares;
    let with_target = state.squares + along;
    let primal = 0.5 * state.squares + charged;
    primal - (scale * with_target - 0.5 * scale * scale * residual)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;

    /// Columns, what is to be explained, and the problem on their Gram matrix.
    fn problem(rows: usize, size: usize, copies: usize) -> (Vec<Vec<f32>>, Vec<f64>, Gram, State) {
        let mut rng = Rng::stream(5, rows as u64, size as u64, 0);
        let mut columns: Vec<Vec<f32>> = Vec::new();
        for _ in 0..size {
            let own: Vec<f32> = (0..rows).map(|_| rng.uniform() as f32 - 0.5).collect();
            let mixed = match columns.last() {
                Some(last) => own.iter().zip(last).map(|(a, b)| a + 0.8 * b).collect(),
                None => own,
            };
            columns.push(mixed);
        }
        for copy in 0..copies {
            columns[size - 1 - copy] = columns[copy].clone();
        }
        let y: Vec<f64> = (0..rows).map(|_| rng.uniform() - 0.5).collect();
        let simd = Simd::new();
        let mut gram = Gram::default();
        gram.grow(size);
        let row = |i: usize| {
            columns[..=i]
                .iter()
                .map(|z| simd.dot(&columns[i], z) as f32)
                .collect()
        };
        let rows: Vec<Vec<f32>> = (0..size).map(row).collect();
        gram.set_last(&rows);
        let state = State {
            b: vec![0.0; size],
            gradient: columns.iter().map(|x| simd.dot_exact(x, &y)).collect(),
            squares: y.iter().map(|y| y * y).sum(),
        };
        (columns, y, gram, state)
    }

    #[test]
    fn the_gap_closes_whatever_the_shape() {
        for (rows, size, copies) in [
            (50, 10, 0),
            (20, 100, 0),
            (60, 40, 15),
            (1, 5, 0),
            (10, 1, 0),
        ] {
            for (part, l2) in [(0.5, 0.0), (0.05, 0.0), (0.005, 0.1), (1.0, 0.0)] {
                let (columns, y, gram, mut state) = problem(rows, size, copies);
                let null = state.squares / 2.0;
                let largest = state.gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
                let penalty = Penalty {
                    l1: part * largest,
                    l2,
                };
                let mut solver = Solver::default();
                solver.solve(&gram, penalty, &mut state, 1e-6 * null);
                let mut r = y.clone();
                for (x, b) in columns.iter().zip(&state.b) {
                    Simd::new().add(&mut r, -b, x);
                }
                // The optimality conditions, from the columns themselves.
                for (x, b) in columns.iter().zip(&state.b) {
                    let slope = Simd::new().dot_exact(x, &r) - l2 * b;
                    let far = match *b == 0.0 {
                        true => slope.abs() - penalty.l1,
                        false => (slope - penalty.l1.copysign(*b)).abs(),
                    };
                    assert!(
                        far < 1e-3 * largest,
                        "{rows} {size} {part}: {b} {slope} {}",
                        penalty.l1
                    );
                }
                let squares: f64 = r.iter().map(|r| r * r).sum();
                assert!(
                    (squares - state.squares).abs() < 1e-5 * null,
                    "{squares} {}",
                    state.squares
                );
            }
        }
    }

    #[test]
    fn a_gram_matrix_keeps_and_grows() {
        let mut gram = Gram::default();
        gram.grow(3);
        let row = |row: usize| (0..=row).map(|column| (10 * row + column) as f32).collect();
        gram.set_last(&[row(0), row(1), row(2)]);
        gram.keep(&[0, 2]);
        gram.grow(100);
        assert_eq!(gram.row(0)[..3], [0.0, 20.0, 0.0]);
        assert_eq!(gram.row(1)[..3], [20.0, 22.0, 0.0]);
    }
}
