//! What rank 0 decides between clocks: which columns to work on, when a λ is solved, and what comes
//! next.
//!
//! One clock is one round: every worker goes through its columns ([`super::part`]), rank 0 adds the
//! most promising ones to the working set, solves for it ([`super::working_set`]) and tells the
//! workers the new fit. When the duality gap of a λ is small enough the next λ begins from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::messages::{Candidate, Change, Found, Plan};
use super::choose::Chooser;
use super::options::{Loss, Options, Schedule};
use super::part::Data;
use super::problem::Problem;
use super::working_set::{Bounds, Task, WorkingSet};
use crate::engine::Objective;
use crate::math::quadratic::Penalty;

/// Candidates that every worker tells in the first clock, and columns of the first working set.
pub(super) const FIRST: u32 = 256;
/// The gap to which a working set is solved, as a part of the gap of the whole problem.
const ROUGH: f64 = 0.1;
/// No step goes further down than to this part of the largest |product|.
const ON_THE_WAY: f64 = 0.2;
/// Least number of columns that join a working set.
const JOIN_MIN: usize = 64;
/// Without `--tolerance`, and where rounding allows no more, a gap is closed at this part of the
/// null objective.
const ROUNDING: f64 = 1e-9;
/// Rounds without a smaller gap until it is taken for rounding.
const STUCK: u32 = 4;
/// Rounds without a smaller gap until a λ is left as it is, with the gap that it has.
const GIVEN_UP: u32 = 200;
/// A null objective below this part of the squared targets is rounding.
const TRIVIAL: f64 = 1e-24;

/// The solution for one λ.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solution {
    pub(super) lambda: f64,
    pub(super) gap: f64,
    pub(super) objective: f64,
    pub(super) explained: f64,
    pub(super) intercept: f64,
    /// Columns and coefficients of features as they are; those that are not 0.
    pub(super) coefficients: Vec<(u32, f64)>,
}

/// What is known after a clock.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Of the fit at hand.
    bounds: Bounds,
    gap: f64,
}

/// Rank 0's state.
pub(super) struct Leader {
    pub(super) options: Options,
    pub(super) data: Arc<Data>,
    pub(super) threads: usize,
    pub(super) ranks: u32,
    pub(super) tolerance: f64,
    /// All λ; known after the first clock.
    pub(super) grid: Vec<f64>,
    pub(super) fold: u32,
    /// Which λ of the grid.
    pub(super) at: usize,
    pub(super) problems: u64,
    pub(super) set: WorkingSet,
    /// Objective without any coefficient.
    pub(super) null: f64,
    known: Option<Known>,
    /// What is known is of the clock at hand.
    pub(super) learned: bool,
    /// The best dual value of this λ.
    pub(super) dual: f64,
    pub(super) candidates: Vec<Candidate>,
    pub(super) least_gap: f64,
    pub(super) stuck: u32,
    /// The largest |product| of all columns at the fit at hand.
    largest: f64,
    pub(super) chooser: Chooser,
    /// Solutions of the whole data, by λ.
    pub(super) path: Vec<Solution>,
    /// Mean deviance of the samples left out: by fold, then λ.
    pub(super) left_out: Vec<Vec<f64>>,
    pub(super) done: bool,
    /// The run goes on with a smaller tolerance than that by which the λ so far were solved.
    pub(super) again: bool,
}

impl Leader {
    pub(super) fn new(
        options: &Options,
        data: &Arc<Data>,
        threads: usize,
        ranks: u32,
        tolerance: f64,
        seed: u64,
    ) -> Leader {
        let problem = &data.problems[0];
        let set = WorkingSet::new(problem);
        Leader {
            options: options.clone(),
            threads,
            ranks,
            tolerance,
            grid: Vec::new(),
            fold: 0,
            at: 0,
            problems: 0,
            null: problem.value(&set.fit),
            set,
            known: None,
            learned: false,
            dual: f64::NEG_INFINITY,
            candidates: Vec::new(),
            least_gap: f64::INFINITY,
            stuck: 0,
            largest: 0.0,
            chooser: Chooser::new(options.schedule, options.threshold(problem.samples()), seed),
            path: Vec::new(),
            left_out: Vec::new(),
            done: false,
            again: false,
            data: Arc::clone(data),
        }
    }

    fn problem(&self) -> &Problem {
        &self.data.problems[self.fold as usize]
    }

    fn lambda(&self) -> f64 {
        self.grid.get(self.at).copied().unwrap_or(0.0)
    }

    fn penalty(&self) -> Penalty {
        let lambda = self.lambda();
        Penalty {
            l1: lambda * self.options.l1_ratio,
            l2: lambda * (1.0 - self.options.l1_ratio),
        }
    }

    /// The penalty to solve for next: far above λ₁ the solution for a larger λ is a better place to
    /// look for columns from than one for few columns that fit too much.
    fn penalty_on_the_way(&self) -> Penalty {
        let penalty = self.penalty();
        let is_tiered = WorkingSet::is_tiered(&self.data, self.problem());
        let l1 = if is_tiered { penalty.l1.max(ON_THE_WAY * self.largest) } else { penalty.l1 };
        Penalty { l1, ..penalty }
    }

    /// True once everything that was asked for is solved.
    pub(super) fn is_done(&self) -> bool {
        let is_last = self.at + 1 == self.grid.len()
            && self.fold as usize + 1 == self.data.problems.len();
        let is_solved = is_last && self.known.is_some_and(|known| self.is_solved(known.gap));
        self.done || is_solved && !self.again
    }

    /// What was not solved to the tolerance that was asked for, if there is any.
    pub(super) fn shortfall(&self) -> Option<String> {
        let whole = &self.data.problems[0];
        let null = whole.value(&WorkingSet::new(whole).fit);
        let good = self.tolerance.max(ROUNDING) * null;
        if self.is_trivial() {
            return None;
        }
        let missing = self.grid.len().saturating_sub(self.path.len());
        let last = (self.fold == 0 && missing > 0).then(|| self.current());
        let gaps = self.path.iter().chain(&last).map(|solution| solution.gap);
        let worst = gaps.filter(|gap| *gap > good).fold(0.0, f64::max);
        let left = missing - usize::from(last.is_some());
        let reason = match (worst > 0.0, left) {
            (false, 0) => return None,
            (true, _) => format!("a gap is {:e} of the null objective", worst / null),
            (false, left) => format!("{left} of {} \u{3bb} are not solved", self.grid.len()),
        };
        let wanted = self.tolerance;
        Some(format!("stopped before the solution is as good as --tolerance {wanted} wants: {reason}"))
    }

    /// The solution at hand.
    pub(super) fn current(&self) -> Solution {
        let bounds = self.known.map(|known| known.bounds);
        let loss = self.problem().value(&self.set.fit);
        Solution {
            lambda: self.lambda(),
            gap: self.known.map_or(f64::INFINITY, |known| known.gap),
            objective: bounds.map_or(self.null, |bounds| bounds.primal),
            explained: if self.null > 0.0 { 1.0 - loss / self.null } else { 0.0 },
            intercept: self.set.intercept,
            coefficients: self.set.coefficients(),
        }
    }

    /// Takes in what the workers found in a clock; twice does no harm.
    fn learn(&mut self, found: &[Found]) {
        if self.done || self.learned {
            return;
        }
        self.learned = true;
        let largest = found.iter().fold(0.0f64, |most, found| most.max(found.largest));
        if self.grid.is_empty() {
            let lambda_max = largest / self.options.l1_ratio;
            let (samples, features) = (self.problem().samples(), self.data.design.len());
            self.grid = self.options.grid(lambda_max, samples, features);
        }
        self.largest = largest;
        let bounds = self.set.bounds(self.problem(), self.penalty(), largest);
        self.candidates = found.iter().flat_map(|found| found.candidates.iter().copied()).collect();
        self.candidates.sort_unstable_by(|a, b| {
            b.worth.total_cmp(&a.worth).then(a.column.cmp(&b.column))
        });
        self.dual = self.dual.max(bounds.dual);
        // Rounding may put a dual value above the primal one where both are the solution's.
        let gap = (bounds.primal - self.dual).max(0.0);
        self.stuck = if gap < 0.9 * self.least_gap { 0 } else { self.stuck + 1 };
        self.least_gap = self.least_gap.min(gap);
        self.known = Some(Known { bounds, gap });
    }

    /// The record of a clock: objective, gap, coefficients that are not 0, λ, part of the deviance
    /// explained, fold, and the deviance of the samples left out.
    pub(super) fn objective(&mut self, found: &[Found]) -> Objective {
        self.learn(found);
        let now = self.current();
        let left_out = (self.fold > 0).then(|| self.deviance_left_out());
        Objective {
            value: now.objective,
            columns: vec![
                Some(now.gap),
                Some(now.coefficients.len() as f64),
                Some(now.lambda),
                Some(now.explained),
                Some(f64::from(self.fold)),
                left_out,
            ],
        }
    }

    /// Decides what the workers do next; None if all is done.
    pub(super) fn decide(&mut self, found: &[Found]) -> Option<Plan> {
        self.learn(found);
        self.learned = false;
        let known = self.known.filter(|_| !self.done)?;
        if std::mem::take(&mut self.again) {
            self.start_over();
            return Some(self.plan(known, true));
        }
        let solved = self.is_solved(known.gap);
        if solved {
            self.keep();
            if !self.advance() {
                self.done = true;
                return None;
            }
        }
        // Of a new fold nothing is known yet.
        if self.known.is_some() {
            self.join(known, solved);
            let target = match solved {
                true => 0.3 * self.target(),
                false => (ROUGH * known.gap).max(0.3 * self.target()),
            };
            let problem = &self.data.problems[self.fold as usize];
            let penalty = self.penalty_on_the_way();
            let task = Task {
                data: &self.data,
                problem,
                penalty,
                threads: self.threads,
            };
            self.set.solve(&task, target, &mut self.chooser);
        }
        Some(self.plan(known, solved))
    }

    /// The gap that is small enough.
    fn target(&self) -> f64 {
        self.tolerance * self.null
    }

    fn is_solved(&self, gap: f64) -> bool {
        let rounding = self.stuck >= STUCK && gap <= ROUNDING * self.null;
        gap <= self.target() || rounding || self.stuck >= GIVEN_UP || self.is_trivial()
    }

    /// True if the intercept alone explains everything but rounding.
    fn is_trivial(&self) -> bool {
        let problem = self.problem();
        let pairs = problem.targets.iter().zip(&problem.weights);
        let squares: f64 = pairs.map(|(target, weight)| weight * target * target).sum();
        self.null <= TRIVIAL * squares
    }

    /// Keeps the solution of a λ.
    fn keep(&mut self) {
        match self.left_out.last_mut() {
            None => {
                let solution = self.current();
                self.path.push(solution);
            }
            Some(_) => {
                let deviance = self.deviance_left_out();
                self.left_out.iter_mut().last().into_iter().for_each(|fold| fold.push(deviance));
            }
        }
    }

    /// Goes on to the next λ or fold; false if there is none.
    fn advance(&mut self) -> bool {
        let is_last = self.at + 1 == self.grid.len();
        if is_last && self.fold as usize + 1 == self.data.problems.len() {
            return false;
        }
        self.problems += 1;
        (self.least_gap, self.stuck) = (f64::INFINITY, 0);
        self.dual = f64::NEG_INFINITY;
        if !is_last {
            self.at += 1;
            return true;
        }
        self.left_out.push(Vec::new());
        self.begin_fold(self.fold + 1);
        true
    }

    fn begin_fold(&mut self, fold: u32) {
        self.fold = fold;
        self.at = 0;
        self.set = WorkingSet::new(self.problem());
        self.null = self.problem().value(&self.set.fit);
        self.known = None;
    }

    /// Back to the first λ: those so far are not solved well enough any more.
    fn start_over(&mut self) {
        self.problems += 1;
        (self.least_gap, self.stuck) = (f64::INFINITY, 0);
        self.dual = f64::NEG_INFINITY;
        self.path.clear();
        self.left_out.clear();
        self.begin_fold(0);
    }

    /// Takes up again what a checkpoint says, solved by `tolerance`: the last λ of a finished run is
    /// looked at once more, by the tolerance of this one.
    pub(super) fn take_up(&mut self, tolerance: f64) {
        if std::mem::take(&mut self.done) {
            match self.left_out.last_mut() {
                None => drop(self.path.pop()),
                Some(fold) => drop(fold.pop()),
            }
        }
        if self.tolerance < tolerance {
            (self.least_gap, self.stuck) = (f64::INFINITY, 0);
            self.again = self.options.is_path();
        }
    }

    /// Folds for which every λ was solved: the weight of the samples left out, and their mean
    /// deviance by λ.
    pub(super) fn complete_folds(&self) -> Vec<(f64, &[f64])> {
        let all = &self.data.problems[0].weights;
        let folds = self.data.problems[1..].iter().zip(&self.left_out);
        let complete = folds.filter(|(_, deviances)| deviances.len() == self.grid.len());
        complete
            .map(|(fold, deviances)| {
                let pairs = all.iter().zip(&fold.weights).filter(|(_, kept)| **kept == 0.0);
                (pairs.map(|(weight, _)| weight).sum(), &deviances[..])
            })
            .collect()
    }

    /// Mean deviance of the samples that the fold leaves out.
    fn deviance_left_out(&self) -> f64 {
        let (all, fold) = (&self.data.problems[0], self.problem());
        let (mut deviance, mut weight) = (0.0, 0.0);
        for (row, fitted) in self.set.fit.fitted.iter().enumerate() {
            if fold.weights[row] == 0.0 && all.weights[row] > 0.0 {
                deviance += all.weights[row] * all.deviance(row, *fitted);
                weight += all.weights[row];
            }
        }
        if weight > 0.0 { deviance / weight } else { 0.0 }
    }

    /// Lets columns join the working set.
    fn join(&mut self, known: Known, is_new: bool) {
        let l1 = self.penalty().l1;
        let nonzeros = self.set.nonzeros();
        if self.set.slots.len() > 4 * nonzeros.max(FIRST as usize) {
            self.set.shrink(0.9 * l1);
        }
        // Where nearly all that joined was of use, more can join at a time.
        let used = nonzeros as f64 / self.set.slots.len().max(1) as f64;
        let growth = if used > 0.85 { 2 * nonzeros } else { nonzeros / 2 };
        let most = growth.max(JOIN_MIN).max(if nonzeros == 0 { FIRST as usize } else { 0 });
        let least = match is_new {
            // The sequential strong rule: products change no faster than λ.
            true => 2.0 * l1 - self.path_l1_before(),
            false => self.penalty_on_the_way().l1 * (1.0 - 0.25 * (known.gap / self.null).min(1.0)),
        };
        let here: BTreeSet<u32> = self.set.slots.iter().map(|slot| slot.column).collect();
        let promising = self.candidates.iter().filter(|candidate| {
            f64::from(candidate.product) >= least && !here.contains(&candidate.column)
        });
        let mut joining: Vec<u32> = promising.map(|candidate| candidate.column).collect();
        let problem = &self.data.problems[self.fold as usize];
        // What a set in two tiers works on it chooses itself.
        if !WorkingSet::is_tiered(&self.data, problem) {
            let chooser = &mut self.chooser;
            joining = chooser.choose(joining, most, &self.data, problem, self.threads);
        }
        self.set.add(&joining, &self.data, problem, self.threads);
    }

    /// λ₁ of the λ before this one.
    fn path_l1_before(&self) -> f64 {
        match self.at {
            0 => self.penalty().l1,
            at => self.grid[at - 1] * self.options.l1_ratio,
        }
    }

    fn plan(&mut self, known: Known, is_new: bool) -> Plan {
        let penalty = self.penalty();
        let held = self.set.slots.iter().map(|slot| slot.column).collect();
        let (steps, shift) = self.set.take_steps();
        let by_steps = self.ranks > 1 && steps.len() * 12 < self.set.fit.fitted.len() * 8;
        let change = match by_steps && !is_new {
            true => Change::Steps(steps, shift),
            false => Change::Fitted(self.set.fit.fitted.clone()),
        };
        // Where the next λ follows, columns that could join it are looked at as well.
        let next = self.grid.get(self.at + 1).copied().unwrap_or(self.lambda());
        let threshold = (2.0 * next * self.options.l1_ratio - penalty.l1).min(penalty.l1);
        Plan {
            fold: self.fold,
            problem: self.problems,
            threshold: threshold.max(0.0),
            l1: penalty.l1,
            l2: penalty.l2,
            part: known.bounds.part,
            // The gap is that of the λ before.
            radius: if is_new { f64::INFINITY } else { self.radius(known.bounds.gap(), penalty) },
            wanted: match self.options.schedule {
                Schedule::Priority => (2 * self.set.nonzeros() as u32).max(2 * FIRST),
                _ => u32::MAX,
            },
            change,
            held,
        }
    }

    /// The dual solution is no further from a dual point than this (Ndiaye et al., JMLR 2017). The
    /// dual of the squared loss is 1-strongly concave, of the logistic loss 4-strongly.
    fn radius(&self, gap: f64, penalty: Penalty) -> f64 {
        let concavity = match self.options.loss {
            Loss::Logistic if penalty.l2 == 0.0 => 4.0,
            _ => 1.0,
        };
        (2.0 * gap / concavity).sqrt()
    }
}
