//! The problem on few columns, solved on the columns themselves: where they are sparse and many,
//! their Gram matrix would take longer to make, and to use, than the columns.
//!
//! Coordinate descent on the residual finds which coefficients are not 0; conjugate gradients on
//! those (their signs fixed) then take a Newton step without ever forming a matrix.

use super::products::Slot;
use crate::engine::spread;
use crate::math::columns::{ByColumns, Column};
use crate::math::dense::Simd;
use crate::math::quadratic::Penalty;

/// Sweeps between two Newton steps.
const SWEEPS: usize = 6;
/// Rounds of sweeps and a Newton step before the solver gives up.
const ROUNDS_MAX: usize = 200;
/// Most steps of conjugate gradients for one Newton step, and the part of the slope at which they
/// end.
const CONJUGATE_MAX: usize = 60;
const CONJUGATE_END: f64 = 1e-3;
/// Columns that a thread takes at a time.
const CHUNK: usize = 256;

/// A quadratic on some columns: ½ Σ w (r − X̃ d)² with a penalty, X̃ centred and scaled.
pub(super) struct Direct<'a> {
    pub(super) design: &'a dyn ByColumns,
    pub(super) slots: &'a [Slot],
    /// Means of the columns under `weights`; 0 without an intercept.
    pub(super) centers: &'a [f64],
    /// They need not sum up to 1.
    pub(super) weights: &'a [f64],
    pub(super) penalty: Penalty,
    pub(super) threads: usize,
}

/// Where the solver is.
pub(super) struct Place {
    pub(super) b: Vec<f64>,
    /// Weight × residual, before centring.
    pub(super) pull: Vec<f64>,
    /// Its sum.
    sum: f64,
}

impl Place {
    pub(super) fn new(b: Vec<f64>, pull: Vec<f64>) -> Place {
        let sum = pull.iter().sum();
        Place { b, pull, sum }
    }
}

impl Direct<'_> {
    /// Improves `place.b` until the duality gap is at most `target`, or rounding allows no more.
    pub(super) fn solve(&self, place: &mut Place, target: f64) {
        let (mut best, mut stuck) = (f64::INFINITY, 0);
        let squares = self.square_norms();
        let mut steps_before = usize::MAX;
        for _ in 0..ROUNDS_MAX {
            let products = self.products(&place.pull, place.sum);
            let gap = self.gap(place, &products);
            stuck = if gap < 0.9 * best { 0 } else { stuck + 1 };
            best = best.min(gap);
            if gap <= target || stuck > 8 {
                return;
            }
            let matters = |at: &usize| place.b[*at] != 0.0 || products[*at].abs() > self.penalty.l1;
            let mut active: Vec<usize> = (0..self.slots.len()).filter(matters).collect();
            for _ in 0..SWEEPS {
                self.sweep(place, &active, &squares);
            }
            active.retain(|at| place.b[*at] != 0.0);
            // While many come and go the signs are not worth a Newton step.
            let moved = active.len().abs_diff(steps_before);
            steps_before = active.len();
            if moved * 20 <= active.len() {
                self.newton(place, &active, &squares);
            }
        }
    }

    fn column(&self, at: usize) -> Column<'_> {
        self.design.column(self.slots[at].column as usize)
    }

    /// ‖x̃‖² of each column.
    fn square_norms(&self) -> Vec<f64> {
        let total: f64 = self.weights.iter().sum();
        self.each(|at| {
            let mut sum = 0.0;
            self.column(at).for_each(|row, x| sum += self.weights[row] * x * x);
            let (center, scale) = (self.centers[at], self.slots[at].shape.scale);
            ((sum - total * center * center) / (scale * scale)).max(0.0)
        })
    }

    /// `of` each column, by several threads.
    fn each(&self, of: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        let size = self.slots.len();
        let chunks = spread(self.threads, size.div_ceil(CHUNK), |chunk| {
            let columns = chunk * CHUNK..((chunk + 1) * CHUNK).min(size);
            columns.map(&of).collect::<Vec<f64>>()
        });
        chunks.into_iter().flatten().collect()
    }

    /// x̃ᵀ of a pull with that sum, for one column.
    #[inline]
    fn product(&self, at: usize, simd: Simd, pull: &[f64], sum: f64) -> f64 {
        let dot = self.column(at).dot_exact(simd, pull);
        (dot - self.centers[at] * sum) / self.slots[at].shape.scale
    }

    fn products(&self, pull: &[f64], sum: f64) -> Vec<f64> {
        let simd = Simd::new();
        self.each(|at| self.product(at, simd, pull, sum))
    }

    /// Takes `step` of a coefficient off the pull.
    #[inline]
    fn pull_off(&self, at: usize, step: f64, place: &mut Place) {
        let step = step / self.slots[at].shape.scale;
        let mut sum = 0.0;
        self.column(at).for_each(|row, x| {
            let part = step * self.weights[row] * x;
            place.pull[row] -= part;
            sum += part;
        });
        place.sum -= sum;
    }

    fn sweep(&self, place: &mut Place, active: &[usize], squares: &[f64]) {
        let simd = Simd::new();
        for at in active {
            let (square, old) = (squares[*at], place.b[*at]);
            let product = self.product(*at, simd, &place.pull, place.sum);
            let new = self.penalty.minimiser(square, product + square * old);
            if new != old {
                place.b[*at] = new;
                self.pull_off(*at, new - old, place);
            }
        }
    }

    /// ½ Σ w r² of the centred residual.
    fn half_squares(&self, place: &Place) -> f64 {
        let pairs = place.pull.iter().zip(self.weights).filter(|(_, w)| **w > 0.0);
        let squares: f64 = pairs.map(|(pull, weight)| pull * pull / weight).sum();
        let total: f64 = self.weights.iter().sum();
        let centred = self.centers.iter().any(|center| *center != 0.0);
        0.5 * (squares - if centred { place.sum * place.sum / total } else { 0.0 })
    }

    fn gap(&self, place: &Place, products: &[f64]) -> f64 {
        let (mut charged, mut along, mut ridge, mut most) = (0.0, 0.0, 0.0, 0.0f64);
        let Penalty { l1, l2 } = self.penalty;
        for (b, product) in place.b.iter().zip(products) {
            charged += self.penalty.of(*b);
            along += b * product;
            ridge += l2 * b * b;
            most = most.max((product - l2 * b).abs());
        }
        let part = if most > l1 { l1 / most } else { 1.0 };
        let half = self.half_squares(place);
        let residual = 2.0 * half + ridge;
        half + charged - (part * (2.0 * half + along) - 0.5 * part * part * residual)
    }

    /// Solves for the active coefficients by conjugate gradients, with their signs as they are.
    fn newton(&self, place: &mut Place, active: &[usize], squares: &[f64]) {
        let simd = Simd::new();
        let slope: Vec<f64> = spread_over(self.threads, active, |at| {
            let b = place.b[at];
            let product = self.product(at, simd, &place.pull, place.sum);
            product - self.penalty.l1.copysign(b) - self.penalty.l2 * b
        });
        let mut step = self.conjugate(active, &slope, squares);
        let turns = |b: f64, step: f64| b * (b + step) < 0.0;
        let mut until: f64 = 1.0;
        let mut any = false;
        for (at, step) in active.iter().zip(&step) {
            if turns(place.b[*at], *step) {
                any = true;
                until = until.min(-place.b[*at] / step);
            }
        }
        if any {
            let clip = |(at, step): (&usize, &f64)| match turns(place.b[*at], *step) {
                true => -place.b[*at],
                false => *step,
            };
            let clipped: Vec<f64> = active.iter().zip(&step).map(clip).collect();
            if self.take(place, active, &clipped, &slope) {
                return;
            }
            step.iter_mut().for_each(|step| *step *= until);
        }
        self.take(place, active, &step, &slope);
    }

    /// Takes a step if it lowers the objective. `slope` is that of the smooth part with the signs
    /// as they are.
    fn take(&self, place: &mut Place, active: &[usize], step: &[f64], slope: &[f64]) -> bool {
        let moved = self.multiply(active, step);
        let total: f64 = self.weights.iter().sum();
        let mean = self.mean(active, step);
        let pairs = moved.iter().zip(self.weights);
        let curved: f64 = pairs.map(|(u, w)| w * u * u).sum::<f64>() - total * mean * mean;
        let (mut linear, mut charged) = (0.0, 0.0);
        for ((at, step), slope) in active.iter().zip(step).zip(slope) {
            let b = place.b[*at];
            let product = slope + self.penalty.l1.copysign(b) + self.penalty.l2 * b;
            linear += step * product;
            charged += self.penalty.of(b + step) - self.penalty.of(b);
        }
        if 0.5 * curved - linear + charged > 0.0 {
            return false;
        }
        active.iter().zip(step).for_each(|(at, step)| place.b[*at] += step);
        let rows = place.pull.iter_mut().zip(self.weights).zip(&moved);
        rows.for_each(|((pull, weight), moved)| *pull -= weight * moved);
        place.sum = place.pull.iter().sum();
        true
    }

    /// The mean of X d under the weights, as the centring takes it off.
    fn mean(&self, active: &[usize], step: &[f64]) -> f64 {
        let pairs = active.iter().zip(step);
        pairs.map(|(at, step)| step * self.centers[*at] / self.slots[*at].shape.scale).sum()
    }

    /// Σ x d over the active columns, for each row; neither centred nor weighted.
    fn multiply(&self, active: &[usize], step: &[f64]) -> Vec<f64> {
        let (simd, rows) = (Simd::new(), self.weights.len());
        let share = active.len().div_ceil(self.threads.max(1)).max(CHUNK);
        let parts = spread(self.threads, active.len().div_ceil(share), |part| {
            let mut to = vec![0.0; rows];
            let end = ((part + 1) * share).min(active.len());
            for at in part * share..end {
                let scale = self.slots[active[at]].shape.scale;
                self.column(active[at]).add(simd, &mut to, step[at] / scale);
            }
            to
        });
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_else(|| vec![0.0; rows]);
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sum
    }

    /// Solves (X̃ᵀW X̃ + λ₂) d = slope on the active columns, roughly.
    fn conjugate(&self, active: &[usize], slope: &[f64], squares: &[f64]) -> Vec<f64> {
        let simd = Simd::new();
        let l2 = self.penalty.l2;
        let inverse: Vec<f64> = active.iter().map(|at| 1.0 / (squares[*at] + l2).max(1e-300)).collect();
        let mut step = vec![0.0; active.len()];
        let mut rest = slope.to_vec();
        let mut ahead: Vec<f64> = rest.iter().zip(&inverse).map(|(r, i)| r * i).collect();
        let mut size = dot(&rest, &ahead);
        let end = CONJUGATE_END * CONJUGATE_END * size;
        for _ in 0..CONJUGATE_MAX {
            if size <= end {
                break;
            }
            let mut moved = self.multiply(active, &ahead);
            moved.iter_mut().zip(self.weights).for_each(|(moved, weight)| *moved *= weight);
            let sum = moved.iter().sum();
            let mut along = spread_over(self.threads, active, |at| self.product(at, simd, &moved, sum));
            along.iter_mut().zip(&ahead).for_each(|(along, ahead)| *along += l2 * ahead);
            let curve = dot(&ahead, &along);
            if curve <= 0.0 {
                break;
            }
            let length = size / curve;
            for (at, ahead) in ahead.iter().enumerate() {
                step[at] += length * ahead;
                rest[at] -= length * along[at];
            }
            let before = size;
            let scaled: Vec<f64> = rest.iter().zip(&inverse).map(|(r, i)| r * i).collect();
            size = dot(&rest, &scaled);
            ahead.iter_mut().zip(scaled).for_each(|(ahead, r)| *ahead = r + size / before * *ahead);
        }
        step
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `of` each of `items`, by several threads.
fn spread_over(threads: usize, items: &[usize], of: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
    let chunks = spread(threads, items.len().div_ceil(CHUNK), |chunk| {
        let end = ((chunk + 1) * CHUNK).min(items.len());
        items[chunk * CHUNK..end].iter().map(|at| of(*at)).collect::<Vec<f64>>()
    });
    chunks.into_iter().flatten().collect()
}
