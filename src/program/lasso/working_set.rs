//! The coefficients that are worked on, and their solution.
//!
//! Rank 0 holds the working set: some hundreds to thousands of columns, among them all whose
//! coefficients are not 0. It solves the problem on these alone, on their Gram matrix, which grows as
//! columns join. The matrix is in f32; after a solution the residual and the products of the
//! columns with it are computed anew in f64 and the solution is improved until its gap, which is
//! then exact, is as wanted.
//!
//! The logistic loss is solved by proximal Newton steps: the same problem with other weights, again
//! and again, and a line search.

use std::collections::BTreeSet;

use super::choose::Chooser;
use super::part::{Data, Shape};
use super::problem::{Fit, Problem};
use super::products::{self, Slot};
use super::direct::{Direct, Place};
use super::options::Loss;
use crate::engine::spread;
use crate::math::columns::Column;
use crate::math::dense::Simd;
use crate::math::quadratic::{Gram, Penalty, Solver, State};

/// Rounds of columns that join those that are worked on, and how many join at a time.
const ROUNDS_MAX: usize = 200;
const JOIN_MIN: usize = 64;
const JOIN_MAX: usize = 256;
/// The gap to which those are solved before others join, as a part of the gap of the set.
const ROUGH: f64 = 0.1;
/// Improvements of one solution before it is good enough or cannot be better.
const IMPROVEMENTS_MAX: usize = 8;
/// Proximal Newton steps for one solution.
const NEWTON_MAX: usize = 50;
/// Up to so many columns a Gram matrix is always best, and beyond so many it takes too much memory.
const GRAM_SMALL: usize = 600;
const GRAM_MAX: usize = 8000;
/// What a stored value costs in a sweep over sparse columns, in elements of a sweep over a Gram
/// matrix.
const STORED_COST: usize = 8;
/// Relative rounding of an objective.
const ROUNDING: f64 = 1e-14;
/// Columns whose products are computed by a thread at a time.
const CHUNK: usize = 64;

/// The working set, and the fit of its coefficients.
#[derive(Default)]
pub(super) struct WorkingSet {
    pub(super) slots: Vec<Slot>,
    /// Coefficients of the scaled columns, by slot.
    pub(super) b: Vec<f64>,
    /// Products of the scaled columns with the pull, by slot.
    pub(super) products: Vec<f64>,
    pub(super) fit: Fit,
    pub(super) intercept: f64,
    /// The first so many slots are worked on, and are what the Gram matrix is of; the coefficients
    /// of the others are 0.
    pub(super) front: usize,
    gram: Gram,
    solver: Solver,
    /// Steps of the coefficients of features as they are, and of the intercept, since they were
    /// last asked for.
    steps: std::collections::BTreeMap<u32, f64>,
    shift: f64,
}

/// What a working set is solved for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) data: &'a Data,
    pub(super) problem: &'a Problem,
    pub(super) penalty: Penalty,
    pub(super) threads: usize,
}

/// Primal value, dual value, and the largest |product| of a set of columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) primal: f64,
    pub(super) dual: f64,
    /// The feasible part of the pull that the dual value is of.
    pub(super) part: f64,
}

impl Bounds {
    pub(super) fn gap(&self) -> f64 {
        // Rounding may put a dual value above the primal one where both are the solution's.
        (self.primal - self.dual).max(0.0)
    }
}

impl WorkingSet {
    /// No columns; the fit of the intercept alone.
    pub(super) fn new(problem: &Problem) -> WorkingSet {
        let (fit, intercept) = problem.null();
        WorkingSet {
            fit,
            intercept,
            ..WorkingSet::default()
        }
    }

    /// Coefficients that are not 0.
    pub(super) fn nonzeros(&self) -> usize {
        self.b.iter().filter(|b| **b != 0.0).count()
    }

    /// The coefficients that are not 0, of features as they are, by column.
    pub(super) fn coefficients(&self) -> Vec<(u32, f64)> {
        let pairs = self.slots.iter().zip(&self.b).filter(|(_, b)| **b != 0.0);
        let mut all: Vec<_> = pairs.map(|(slot, b)| (slot.column, b / slot.shape.scale)).collect();
        all.sort_unstable_by_key(|(column, _)| *column);
        all
    }

    /// What has changed since this was last asked.
    pub(super) fn take_steps(&mut self) -> (Vec<(u32, f64)>, f64) {
        let steps = std::mem::take(&mut self.steps).into_iter().collect();
        (steps, std::mem::take(&mut self.shift))
    }

    /// Adds columns that are not yet there.
    pub(super) fn add(&mut self, columns: &[u32], data: &Data, problem: &Problem, threads: usize) {
        let simd = Simd::new();
        let found = spread(threads, columns.len().div_ceil(CHUNK), |chunk| {
            let of_column = |column: &u32| {
                let values = data.design.column(*column as usize);
                let [sum, squares, product] =
                    values.moments(simd, &problem.weights, &self.fit.pull);
                let (intercept, standardize) = (problem.intercept, data.standardize);
                let weights = &problem.weights;
                let slot = Slot {
                    column: *column,
                    shape: Shape::of(&values, sum, squares, weights, intercept, standardize),
                };
                (slot, product / slot.shape.scale)
            };
            let end = ((chunk + 1) * CHUNK).min(columns.len());
            columns[chunk * CHUNK..end].iter().map(of_column).collect::<Vec<_>>()
        });
        for (slot, product) in found.into_iter().flatten() {
            if slot.shape.norm > 0.0 {
                self.slots.push(slot);
                self.b.push(0.0);
                self.products.push(product);
            }
        }
    }

    /// The set as a checkpoint describes it: columns, their coefficients, the fit.
    pub(super) fn restored(
        columns: &[u32],
        b: Vec<f64>,
        fit: Fit,
        intercept: f64,
        data: &Data,
        problem: &Problem,
        threads: usize,
    ) -> WorkingSet {
        let mut set = WorkingSet {
            fit,
            intercept,
            ..WorkingSet::default()
        };
        set.add(columns, data, problem, threads);
        set.b = b;
        set.refresh(data, threads);
        set
    }

    /// Leaves only columns whose coefficients are not 0, or whose product is at least `least`.
    pub(super) fn shrink(&mut self, least: f64) {
        let stays = |at: &usize| self.b[*at] != 0.0 || self.products[*at].abs() >= least;
        let kept: Vec<usize> = (0..self.slots.len()).filter(stays).collect();
        let in_matrix = kept.partition_point(|at| *at < self.gram.len());
        self.gram.keep(&kept[..in_matrix]);
        self.front = kept.partition_point(|at| *at < self.front);
        self.slots = kept.iter().map(|at| self.slots[*at]).collect();
        self.b = kept.iter().map(|at| self.b[*at]).collect();
        self.products = kept.iter().map(|at| self.products[*at]).collect();
    }

    /// Primal and dual value, where columns outside have products up to `largest`.
    pub(super) fn bounds(&self, problem: &Problem, penalty: Penalty, largest: f64) -> Bounds {
        let (mut charged, mut squares, mut most) = (0.0, 0.0, largest);
        for (b, product) in self.b.iter().zip(&self.products) {
            charged += penalty.of(*b);
            squares += b * b;
            most = most.max((product - penalty.l2 * b).abs());
        }
        let limit = if most > penalty.l1 { penalty.l1 / most } else { 1.0 };
        let (dual, part) = problem.dual(&self.fit, limit, penalty.l2 * squares);
        Bounds {
            primal: problem.value(&self.fit) + charged,
            dual,
            part,
        }
    }

    /// True if some of the columns are only looked at while the others are solved for.
    pub(super) fn is_tiered(data: &Data, problem: &Problem) -> bool {
        let is_dense = || matches!(data.design.column(0), Column::Dense(_));
        problem.loss == Loss::Squared && !data.design.is_empty() && is_dense()
    }

    /// Solves for the working set's coefficients to a duality gap of `target`, or as well as can be.
    pub(super) fn solve(&mut self, task: &Task, target: f64, chooser: &mut Chooser) {
        let Task { data, problem, penalty, threads } = *task;
        match problem.loss {
            Loss::Squared => self.solve_squared(task, target, chooser),
            Loss::Logistic => {
                self.front = self.slots.len();
                self.solve_logistic(data, problem, penalty, target, threads);
            }
        }
    }

    fn solve_squared(&mut self, task: &Task, target: f64, chooser: &mut Chooser) {
        let Task { data, problem, penalty, threads } = *task;
        let (mut before, mut improvements) = (f64::INFINITY, 0);
        let mut gap = self.bounds(problem, penalty, 0.0).gap();
        for _ in 0..ROUNDS_MAX {
            let joined = self.promote(task, chooser);
            let centers: Vec<f64> = self.slots.iter().map(|slot| slot.shape.mean).collect();
            let rough = if joined && self.front < self.slots.len() { ROUGH * gap } else { 0.0 };
            let goal = rough.max(0.5 * target);
            let b = self.improve(data, &problem.weights, &centers, penalty, goal, threads);
            self.move_to(&b, 1.0, data, problem, threads);
            gap = self.bounds(problem, penalty, 0.0).gap();
            if joined && gap > target {
                continue;
            }
            improvements += 1;
            if gap <= target || gap > 0.5 * before || improvements == IMPROVEMENTS_MAX {
                break;
            }
            before = gap;
        }
    }

    /// Lets columns whose products say that they matter be worked on; false if there are none.
    fn promote(&mut self, task: &Task, chooser: &mut Chooser) -> bool {
        let (front, size) = (self.front, self.slots.len());
        if size - front <= JOIN_MIN || !WorkingSet::is_tiered(task.data, task.problem) {
            self.front = size;
            return front < size;
        }
        let beyond = |at: usize| (self.products[at].abs() - task.penalty.l1) / self.slots[at].shape.norm;
        let mut matter: Vec<(f64, u32)> = (front..size)
            .map(|at| (beyond(at), self.slots[at].column))
            .filter(|(beyond, _)| *beyond > 0.0)
            .collect();
        matter.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let most = (self.nonzeros() / 3).clamp(JOIN_MIN, JOIN_MAX);
        let promising = matter.into_iter().map(|(_, column)| column).collect();
        let Task { data, problem, threads, .. } = *task;
        let chosen = chooser.choose(promising, most, data, problem, threads);
        let chosen: BTreeSet<u32> = chosen.into_iter().collect();
        for at in front..size {
            if chosen.contains(&self.slots[at].column) {
                self.slots.swap(at, self.front);
                self.b.swap(at, self.front);
                self.products.swap(at, self.front);
                self.front += 1;
            }
        }
        self.front > front
    }

    /// Coefficients that are better for the quadratic that has these weights.
    fn improve(
        &mut self,
        data: &Data,
        weights: &[f64],
        centers: &[f64],
        penalty: Penalty,
        target: f64,
        threads: usize,
    ) -> Vec<f64> {
        let design = &*data.design;
        if self.is_direct(data) {
            self.gram = Gram::default();
            let direct = Direct {
                design,
                slots: &self.slots[..self.front],
                centers,
                weights,
                penalty,
                threads,
            };
            let mut place = Place::new(self.b[..self.front].to_vec(), self.fit.pull.clone());
            direct.solve(&mut place, target);
            return place.b;
        }
        let (front, slots) = (self.front, &self.slots[..self.front]);
        products::extend(&mut self.gram, design, slots, &centers[..front], weights, threads);
        let counted = self.fit.pull.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        let mut state = State {
            b: self.b[..front].to_vec(),
            gradient: self.products[..front].to_vec(),
            squares: counted.map(|(pull, weight)| pull * pull / weight).sum(),
        };
        self.solver.solve(&self.gram, penalty, &mut state, target);
        state.b
    }

    /// True if the columns themselves are less work than their Gram matrix.
    fn is_direct(&self, data: &Data) -> bool {
        let size = self.front;
        if size <= GRAM_SMALL {
            return false;
        }
        let of_column = |slot: &Slot| data.design.column(slot.column as usize).len();
        let stored: usize = self.slots[..size].iter().map(of_column).sum();
        size > GRAM_MAX || stored * STORED_COST < size * size
    }

    fn solve_logistic(
        &mut self,
        data: &Data,
        problem: &Problem,
        penalty: Penalty,
        target: f64,
        threads: usize,
    ) {
        for _ in 0..NEWTON_MAX {
            let now = self.bounds(problem, penalty, 0.0);
            if now.gap() <= target {
                return;
            }
            let curvature = problem.curvature(&self.fit);
            let centers = self.centers(data, &curvature, problem.intercept, threads);
            self.gram = Gram::default();
            let rough = (0.1 * now.gap()).max(0.1 * target);
            let b = self.improve(data, &curvature, &centers, penalty, rough, threads);
            if !self.search(&b, now.primal, data, problem, penalty, threads) {
                return;
            }
        }
    }

    /// Goes towards `b` as far as the objective gets better; false if it does not at all.
    fn search(
        &mut self,
        b: &[f64],
        primal: f64,
        data: &Data,
        problem: &Problem,
        penalty: Penalty,
        threads: usize,
    ) -> bool {
        let (from, fit, intercept) = (self.b.clone(), self.fit.clone(), self.intercept);
        let (steps, shift) = (self.steps.clone(), self.shift);
        let mut part = 1.0;
        while part > 1e-6 {
            self.move_to(b, part, data, problem, threads);
            let charged: f64 = self.b.iter().map(|b| penalty.of(*b)).sum();
            // A whole step may be lost in rounding where only the gap shows that it was right.
            let room = if part == 1.0 { ROUNDING * primal.abs() } else { 0.0 };
            if problem.value(&self.fit) + charged < primal + room {
                return true;
            }
            self.b.clone_from(&from);
            (self.fit, self.intercept) = (fit.clone(), intercept);
            (self.steps, self.shift) = (steps.clone(), shift);
            part *= 0.5;
        }
        self.refresh(data, threads);
        false
    }

    /// Moves the coefficients the given part of the way to `b`.
    fn move_to(&mut self, b: &[f64], part: f64, data: &Data, problem: &Problem, threads: usize) {
        let simd = Simd::new();
        for (at, goal) in b.iter().enumerate() {
            let new = if part == 1.0 { *goal } else { self.b[at] + part * (goal - self.b[at]) };
            let slot = self.slots[at];
            let step = (new - self.b[at]) / slot.shape.scale;
            if step != 0.0 {
                let column = data.design.column(slot.column as usize);
                column.add(simd, &mut self.fit.fitted, step);
                *self.steps.entry(slot.column).or_default() += step;
                self.b[at] = new;
            }
        }
        let shift = problem.settle(&mut self.fit);
        self.intercept += shift;
        self.shift += shift;
        self.refresh(data, threads);
    }

    /// Computes the products anew.
    fn refresh(&mut self, data: &Data, threads: usize) {
        let (slots, pull) = (&self.slots, &self.fit.pull);
        let simd = Simd::new();
        let found = spread(threads, slots.len().div_ceil(CHUNK), |chunk| {
            let end = ((chunk + 1) * CHUNK).min(slots.len());
            let product = |slot: &Slot| {
                let column = data.design.column(slot.column as usize);
                column.dot_exact(simd, pull) / slot.shape.scale
            };
            slots[chunk * CHUNK..end].iter().map(product).collect::<Vec<_>>()
        });
        self.products.clear();
        self.products.extend(found.into_iter().flatten());
    }

    /// The columns' means under other weights.
    fn centers(&self, data: &Data, weights: &[f64], intercept: bool, threads: usize) -> Vec<f64> {
        if !intercept {
            return vec![0.0; self.slots.len()];
        }
        let simd = Simd::new();
        let total: f64 = weights.iter().sum();
        let sums = spread(threads, self.slots.len(), |at| {
            data.design.column(self.slots[at].column as usize).dot_exact(simd, weights)
        });
        sums.into_iter().map(|sum| sum / total).collect()
    }
}
