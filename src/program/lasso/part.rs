//! What one worker does: it goes through its columns and tells which ones could matter.
//!
//! The product c_j of a column with the pull is all that decides about it: the coefficient stays 0 if
//! |c_j| ≤ λ₁. Three ways keep the worker from computing products that do not matter:
//!
//! * **Safe screening** (Ghaoui et al. 2012; Ndiaye et al., JMLR 2017): the dual solution lies in a
//!   ball around the feasible part of the pull, with a radius that the duality gap gives. A column
//!   whose product is below λ₁ all over the ball has coefficient 0 in every solution, and is not
//!   looked at again until λ changes.
//! * **Lasting bounds**: since a column was looked at, the pull has moved by a known distance, and
//!   |c_j| by at most ‖x_j‖ times that. Columns that are below λ₁ by this bound need not be looked at:
//!   to know that the pull is feasible an upper bound is enough. These bounds outlive λ.
//! * Columns with which rank 0 works are its own business.
//!
//! Products are summed in f32 with a known bound of their error. Those that could be the largest are
//! computed again in f64, so that the duality gap is rigorous.

use std::ops::Range;
use std::sync::Arc;

use super::leader::FIRST;
use super::messages::{Candidate, Change, Found, Plan};
use super::problem::{Fit, Problem};
use crate::error::{Error, Result};
use crate::math::columns::{Both, ByColumns, Column};
use crate::math::dense::Simd;
use crate::snapshot::{Tensor, take};

/// What every worker and rank 0 share.
pub(super) struct Data {
    pub(super) design: Arc<dyn ByColumns>,
    /// By fold; 0 counts all samples.
    pub(super) problems: Vec<Problem>,
    pub(super) standardize: bool,
}

/// Columns that are read ahead, and given back, at a time.
const PAGE: usize = 1 << 16;
/// Up to so many bytes of columns stay in memory, if they fit there.
const KEPT_BYTES: u64 = 4 << 30;

impl Data {
    /// Called with every one of `columns` in turn: lets go of those behind and reads ahead, so that a
    /// mapped design that is larger than memory does not push out everything else.
    #[inline]
    fn turn_page(&self, column: usize, columns: &Range<usize>) {
        if (column - columns.start).is_multiple_of(PAGE) {
            self.turn(column, columns);
        }
    }

    #[cold]
    fn turn(&self, column: usize, columns: &Range<usize>) {
        let design = &self.design;
        if design.work_before(design.len()) <= KEPT_BYTES {
            return;
        }
        design.expect(column..(column + PAGE).min(columns.end));
        if let Some(before) = column.checked_sub(PAGE).filter(|first| *first >= columns.start) {
            design.release(before..column);
        }
    }
}

/// What one pass over a column says about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Weighted mean if there is an intercept, else 0.
    pub(super) mean: f64,
    /// Norm after centring and scaling, 0 for a column that cannot matter.
    pub(super) norm: f64,
    /// What the column is divided by.
    pub(super) scale: f64,
}

/// Below this part of the mean square a variance is computed around the mean.
const CANCELLED: f64 = 1e-3;
/// Below this part a variance around the mean is rounding: one value of 2³² that differs in the last
/// bit makes more.
const CONSTANT: f64 = 1e-26;

impl Shape {
    /// Of a column with these Σ w x and Σ w x².
    pub(super) fn of(
        column: &Column,
        sum: f64,
        squares: f64,
        weights: &[f64],
        intercept: bool,
        standardize: bool,
    ) -> Shape {
        let variance = match squares - sum * sum {
            variance if variance >= CANCELLED * squares => variance,
            _ if !intercept && !standardize => 0.0,
            _ => variance(column, weights, sum),
        };
        let variance = if variance > CONSTANT * squares { variance } else { 0.0 };
        let square = if intercept { variance } else { squares };
        let scale = match standardize && variance > 0.0 {
            true => variance.sqrt(),
            false => 1.0,
        };
        let usable = !standardize || variance > 0.0;
        Shape {
            mean: if intercept { sum } else { 0.0 },
            norm: if usable { square.sqrt() / scale } else { 0.0 },
            scale,
        }
    }
}

/// The variance by a second pass, around the mean of the first one, without what rounding left there.
fn variance(column: &Column, weights: &[f64], mean: f64) -> f64 {
    let (mut sum, mut squares, mut empty, mut next) = (0.0, 0.0, 0.0, 0);
    column.for_each(|row, value| {
        let far = value - mean;
        sum += weights[row] * far;
        squares += weights[row] * far * far;
        empty += weights[next..row].iter().sum::<f64>();
        next = row + 1;
    });
    empty += weights[next..].iter().sum::<f64>();
    squares += empty * mean * mean;
    sum -= empty * mean;
    squares - sum * sum
}

/// Sizes (roots of mean squares) between which products, and products of products, are far from the
/// limits of f32.
pub(super) const SIZES: [f64; 2] = [1e-15, 1e15];

/// One worker's columns.
pub(super) struct Part {
    data: Arc<Data>,
    columns: Range<usize>,
    is_first: bool,
    simd: Simd,
    fit: Fit,
    pull: Both,
    fold: u32,
    problem: u64,
    /// Nothing is known of the columns yet, or the samples that count have changed.
    anew: bool,
    norms: Vec<f32>,
    /// Empty for sparse columns, whose products are exact.
    means: Vec<f64>,
    /// Empty without `--standardize`.
    scales: Vec<f64>,
    /// Upper bound of each |product| when the pull had moved by `stamps`.
    bounds: Vec<f32>,
    stamps: Vec<f32>,
    /// How far the pull has moved in all.
    moved: f64,
    screened: Vec<bool>,
    held: Vec<bool>,
    /// What rank 0 said last: see [`Plan`].
    wanted: u32,
    threshold: f64,
    l1: f64,
    failure: Option<Error>,
    /// A column whose size is outside [`SIZES`], and that size.
    pub(super) extreme: Option<(u32, f64)>,
    pub(super) found: Found,
}

/// Relative room for the rounding of bounds in f32.
const ROOM: f64 = 1e-6;

impl Part {
    pub(super) fn new(data: &Arc<Data>, columns: Range<usize>, is_first: bool) -> Part {
        let count = columns.len();
        let scales = if data.standardize { count } else { 0 };
        Part {
            is_first,
            simd: Simd::new(),
            fit: data.problems[0].null().0,
            pull: Both::default(),
            fold: 0,
            problem: 0,
            anew: true,
            norms: vec![0.0; count],
            means: Vec::new(),
            scales: vec![1.0; scales],
            bounds: vec![0.0; count],
            stamps: vec![0.0; count],
            moved: 0.0,
            screened: vec![false; count],
            held: vec![false; count],
            wanted: FIRST,
            threshold: 0.0,
            l1: 0.0,
            failure: None,
            extreme: None,
            found: Found::default(),
            data: Arc::clone(data),
            columns,
        }
    }

    /// True for the part of the first worker of all.
    pub(super) fn is_first(&self) -> bool {
        self.is_first
    }

    fn samples(&self) -> &Problem {
        &self.data.problems[self.fold as usize]
    }

    /// Goes through the columns.
    ///
    /// # Errors
    /// What was wrong with the last plan.
    pub(super) fn pass(&mut self) -> Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let (wanted, threshold, l1) = (self.wanted as usize, self.threshold, self.l1);
        let pull = std::mem::take(&mut self.pull);
        let seen = match std::mem::take(&mut self.anew) {
            true => self.measure(),
            false => self.look(&pull, threshold),
        };
        self.pull = pull;
        let touched = seen.len() as u64;
        self.found = Found {
            largest: self.largest(&seen, threshold),
            candidates: best(seen, wanted, |at| f64::from(self.norms[at]), l1),
            live: self.screened.iter().filter(|screened| !**screened).count() as u64,
            touched,
        };
        let first = self.columns.start as u32;
        self.found.candidates.iter_mut().for_each(|candidate| candidate.column += first);
        Ok(())
    }

    /// The first pass for these samples: shapes and products, in f64.
    fn measure(&mut self) -> Vec<(u32, f32)> {
        let products = self.shapes();
        let mut seen = Vec::new();
        for (at, product) in products.into_iter().enumerate() {
            self.bounds[at] = product;
            self.stamps[at] = 0.0;
            self.screened[at] = self.norms[at] == 0.0;
            if !self.screened[at] && !self.held[at] {
                seen.push((at as u32, product));
            }
        }
        self.moved = 0.0;
        seen
    }

    /// Computes what these samples make of the columns, and bounds of the products.
    fn shapes(&mut self) -> Vec<f32> {
        let problem = &self.data.problems[self.fold as usize];
        let (design, fit) = (&self.data.design, &self.fit);
        let mut products = Vec::with_capacity(self.columns.len());
        self.means.clear();
        for at in 0..self.columns.len() {
            self.data.turn_page(self.columns.start + at, &self.columns);
            let column = design.column(self.columns.start + at);
            let [sum, squares, product] = column.moments(self.simd, &problem.weights, &fit.pull);
            if squares > 0.0 && !(SIZES[0]..=SIZES[1]).contains(&squares.sqrt()) {
                let column = (self.columns.start + at) as u32;
                self.extreme = self.extreme.or(Some((column, squares.sqrt())));
            }
            let (intercept, standardize) = (problem.intercept, self.data.standardize);
            let shape =
                Shape::of(&column, sum, squares, &problem.weights, intercept, standardize);
            self.norms[at] = above(shape.norm);
            if let Column::Dense(_) = column {
                self.means.push(shape.mean);
            }
            if let Some(scale) = self.scales.get_mut(at) {
                *scale = shape.scale;
            }
            products.push(above(product.abs() / shape.scale));
        }
        products
    }

    /// A pass over the columns that could have |product| above `threshold`.
    fn look(&mut self, pull: &Both, threshold: f64) -> Vec<(u32, f32)> {
        let mut seen = Vec::new();
        let now = self.moved as f32;
        for at in 0..self.columns.len() {
            self.data.turn_page(self.columns.start + at, &self.columns);
            if self.screened[at] || self.held[at] || self.bound(at) <= threshold {
                continue;
            }
            let column = self.data.design.column(self.columns.start + at);
            let mean = self.means.get(at).copied().unwrap_or(0.0);
            let scale = self.scales.get(at).copied().unwrap_or(1.0);
            let (product, error) = column.dot(self.simd, pull, mean);
            let norm = f64::from(self.norms[at]);
            let size = (norm * norm + (mean / scale) * (mean / scale)).sqrt();
            let bound = above(product.abs() / scale + error * size * self.fit.length);
            self.bounds[at] = bound;
            self.stamps[at] = now;
            seen.push((at as u32, bound));
        }
        seen
    }

    /// An upper bound of |product|.
    #[inline]
    fn bound(&self, at: usize) -> f64 {
        let since = self.moved * (1.0 + ROOM) - f64::from(self.stamps[at]) * (1.0 - ROOM);
        f64::from(self.bounds[at]) + f64::from(self.norms[at]) * since
    }

    /// The largest |product| among `seen` if it is above `threshold`: in f64, for those that could
    /// be it.
    fn largest(&self, seen: &[(u32, f32)], threshold: f64) -> f64 {
        let mut least = threshold * (1.0 - ROOM);
        let mut largest = 0.0f64;
        let mut close: Vec<(u32, f32)> = seen.to_vec();
        loop {
            close.retain(|(_, bound)| f64::from(*bound) > least);
            let order = |a: &usize, b: &usize| close[*a].1.total_cmp(&close[*b].1);
            let Some(next) = (0..close.len()).max_by(order) else {
                return largest;
            };
            largest = largest.max(self.exact(close.swap_remove(next).0 as usize));
            least = least.max(largest);
        }
    }

    fn exact(&self, at: usize) -> f64 {
        let column = self.data.design.column(self.columns.start + at);
        let scale = self.scales.get(at).copied().unwrap_or(1.0);
        column.dot_exact(self.simd, &self.fit.pull).abs() / scale
    }

    /// Takes over what rank 0 decided. What is wrong with it comes up in the next pass.
    pub(super) fn take(&mut self, plan: &Plan) {
        self.failure = self.follow(plan).err();
    }

    fn follow(&mut self, plan: &Plan) -> Result<()> {
        let samples = self.data.problems.len();
        if plan.fold as usize >= samples {
            return Err(Error::Other(format!("a peer speaks of fold {}", plan.fold)));
        }
        if plan.fold != self.fold {
            self.fold = plan.fold;
            self.fit = self.samples().null().0;
            self.anew = true;
        }
        if plan.problem != self.problem {
            self.problem = plan.problem;
            for (screened, norm) in self.screened.iter_mut().zip(&self.norms) {
                *screened = *norm == 0.0;
            }
        }
        if !self.anew {
            self.screen(plan);
        }
        self.hold(&plan.held);
        self.change(&plan.change)?;
        (self.wanted, self.threshold, self.l1) = (plan.wanted, plan.threshold, plan.l1);
        Ok(())
    }

    fn screen(&mut self, plan: &Plan) {
        for at in 0..self.columns.len() {
            let norm = f64::from(self.norms[at]);
            let norm = (norm * norm + plan.l2).sqrt();
            if plan.part * self.bound(at) + norm * plan.radius < plan.l1 {
                self.screened[at] = true;
            }
        }
    }

    fn hold(&mut self, held: &[u32]) {
        self.held.fill(false);
        for column in held {
            let at = (*column as usize).checked_sub(self.columns.start);
            if let Some(held) = at.and_then(|at| self.held.get_mut(at)) {
                *held = true;
            }
        }
    }

    fn change(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Fitted(values) if values.len() == self.fit.fitted.len() => {
                self.fit.fitted.copy_from_slice(values);
            }
            Change::Fitted(values) => {
                return Err(Error::Other(format!(
                    "a peer sent a fit of {} samples, here are {}",
                    values.len(),
                    self.fit.fitted.len()
                )));
            }
            Change::Steps(steps, shift) => {
                for (column, step) in steps {
                    if *column as usize >= self.data.design.len() {
                        return Err(Error::Other(format!("a peer speaks of column {column}")));
                    }
                    let column = self.data.design.column(*column as usize);
                    column.add(self.simd, &mut self.fit.fitted, *step);
                }
                self.fit.fitted.iter_mut().for_each(|fitted| *fitted += shift);
            }
        }
        let before = std::mem::take(&mut self.fit.pull);
        let mut fit = std::mem::take(&mut self.fit);
        self.samples().settle(&mut fit);
        self.moved += self.samples().distance(&fit.pull, &before);
        self.pull.set(fit.pull.iter().copied());
        self.fit = fit;
        Ok(())
    }
}

impl Part {
    /// What cannot be computed from the data alone.
    pub(super) fn checkpoint(&self) -> Vec<Tensor> {
        let count = self.columns.len();
        let screened: Vec<u8> = self.screened.iter().map(|screened| u8::from(*screened)).collect();
        let held: Vec<u8> = self.held.iter().map(|held| u8::from(*held)).collect();
        let counts = [u64::from(self.fold), self.problem, u64::from(self.wanted), u64::from(self.anew)];
        vec![
            Tensor::new("part_counts", &[4], &counts),
            Tensor::new("part_reals", &[3], &[self.moved, self.threshold, self.l1]),
            Tensor::new("part_fitted", &[self.fit.fitted.len()], &self.fit.fitted),
            Tensor::new("part_bounds", &[count], &self.bounds),
            Tensor::new("part_stamps", &[count], &self.stamps),
            Tensor::new("part_screened", &[count], &screened),
            Tensor::new("part_held", &[count], &held),
        ]
    }

    /// Puts a freshly loaded part back.
    pub(super) fn restore(&mut self, tensors: &mut Vec<Tensor>) -> Result<()> {
        let other = || Error::Other("the checkpoint is of other data".into());
        let counts = take(tensors, "part_counts")?.values::<u64>()?;
        let reals = take(tensors, "part_reals")?.values::<f64>()?;
        let ([fold, problem, wanted, anew], [moved, threshold, l1]) = (&counts[..], &reals[..]) else {
            return Err(other());
        };
        if *fold as usize >= self.data.problems.len() {
            return Err(other());
        }
        (self.fold, self.problem, self.wanted) = (*fold as u32, *problem, *wanted as u32);
        (self.threshold, self.l1) = (*threshold, *l1);
        self.fit = self.samples().null().0;
        self.shapes();
        self.moved = *moved;
        self.anew = *anew != 0;
        let fitted = take(tensors, "part_fitted")?.values::<f64>()?;
        self.bounds = take(tensors, "part_bounds")?.values::<f32>()?;
        self.stamps = take(tensors, "part_stamps")?.values::<f32>()?;
        let flags = |values: Vec<u8>| values.into_iter().map(|value| value != 0).collect();
        self.screened = flags(take(tensors, "part_screened")?.values::<u8>()?);
        self.held = flags(take(tensors, "part_held")?.values::<u8>()?);
        let count = self.columns.len();
        let lengths = [self.bounds.len(), self.stamps.len(), self.screened.len(), self.held.len()];
        if lengths != [count; 4] || fitted.len() != self.fit.fitted.len() {
            return Err(other());
        }
        self.fit = self.samples().fit(fitted);
        self.pull.set(self.fit.pull.iter().copied());
        Ok(())
    }
}

/// The next f32 that is not below `x`.
fn above(x: f64) -> f32 {
    let single = x as f32;
    match f64::from(single) < x {
        true => single.next_up(),
        false => single,
    }
}

/// The `wanted` columns that promise most: those closest to or furthest beyond λ₁, in units of
/// their norms.
fn best(
    seen: Vec<(u32, f32)>,
    wanted: usize,
    norm: impl Fn(usize) -> f64,
    l1: f64,
) -> Vec<Candidate> {
    let worth = |at: u32, product: f32| ((f64::from(product) - l1) / norm(at as usize)) as f32;
    let mut all: Vec<Candidate> = seen
        .into_iter()
        .map(|(column, product)| Candidate {
            column,
            product,
            worth: worth(column, product),
        })
        .collect();
    let order = |a: &Candidate, b: &Candidate| b.worth.total_cmp(&a.worth).then(a.column.cmp(&b.column));
    if wanted < all.len() {
        all.select_nth_unstable_by(wanted, order);
        all.truncate(wanted);
    }
    all.sort_unstable_by(order);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::columns::Rows;

    /// Values a million times their deviation: by the difference of two large sums nothing would be
    /// left of the variance, which is known in closed form here.
    #[test]
    fn a_deviation_far_below_the_mean_is_exact() {
        let n = 64;
        let far: Vec<f32> = (0..n).map(|row| 1e6 + 0.0625 * (row % 2) as f32).collect();
        let rows: Vec<u32> = (0..n).collect();
        let dense = Column::Dense(&far);
        let sparse = Column::Sparse { rows: Rows::Long(&rows), values: Some(&far) };
        let weights = vec![1.0 / f64::from(n); n as usize];
        for column in [dense, sparse] {
            let [sum, squares, _] = column.moments(Simd::new(), &weights, &weights);
            for intercept in [true, false] {
                let shape = Shape::of(&column, sum, squares, &weights, intercept, true);
                let off = shape.scale / 0.03125 - 1.0;
                assert!(off.abs() < 1e-9, "intercept {intercept}: off by {off}");
                let size = if intercept { 1.0 } else { squares.sqrt() / 0.03125 };
                assert!((shape.norm / size - 1.0).abs() < 1e-9, "{}", shape.norm);
            }
        }
    }

    /// What differs in nothing but rounding has no deviation to be divided by.
    #[test]
    fn a_constant_column_is_not_scaled() {
        let weights = [0.2, 0.3, 0.5];
        for value in [0.1f32, 1e6, -3.0] {
            let values = [value; 3];
            let column = Column::Dense(&values);
            let [sum, squares, _] = column.moments(Simd::new(), &weights, &weights);
            let shape = Shape::of(&column, sum, squares, &weights, true, true);
            assert_eq!((shape.norm, shape.scale), (0.0, 1.0), "{value}");
        }
    }
}
