//! What a run goes on from: every worker's bounds, and rank 0's state with the first worker's.

use super::leader::{Leader, Solution};
use super::working_set::WorkingSet;
use crate::error::{Error, Result};
use crate::snapshot::{Tensor, take};

/// What of the leader is a whole number, in order.
const COUNTS: usize = 8;
/// What is real.
const REALS: usize = 4;

impl Leader {
    /// The state after a clock was decided.
    pub(super) fn checkpoint(&self) -> Vec<Tensor> {
        let mut tensors = Vec::new();
        let counts: [u64; COUNTS] = [
            u64::from(self.fold),
            self.at as u64,
            self.problems,
            u64::from(self.stuck),
            u64::from(self.chooser.next_column),
            self.chooser.rounds,
            self.set.front as u64,
            u64::from(self.done),
        ];
        tensors.push(Tensor::new("leader_counts", &[COUNTS], &counts));
        let reals: [f64; REALS] = [self.dual, self.least_gap, self.set.intercept, self.tolerance];
        tensors.push(Tensor::new("leader_reals", &[REALS], &reals));
        let mut put = |name: &str, values: &[f64]| {
            tensors.push(Tensor::new(name, &[values.len()], values));
        };
        put("leader_grid", &self.grid);
        put("leader_b", &self.set.b);
        put("leader_fitted", &self.set.fit.fitted);
        let left_out: Vec<f64> = self.left_out.iter().flatten().copied().collect();
        put("leader_left_out", &left_out);
        let of = |solution: &Solution| {
            let Solution {
                lambda,
                gap,
                objective,
                explained,
                intercept,
                ..
            } = solution;
            [*lambda, *gap, *objective, *explained, *intercept]
        };
        put("leader_path", &self.path.iter().flat_map(of).collect::<Vec<f64>>());
        let pairs = self.path.iter().flat_map(|solution| solution.coefficients.iter().copied());
        let (columns, values): (Vec<u32>, Vec<f64>) = pairs.unzip();
        let mut starts = vec![0u64];
        for solution in &self.path {
            let last = starts.last().copied().unwrap_or(0);
            starts.push(last + solution.coefficients.len() as u64);
        }
        put("leader_path_values", &values);
        tensors.push(Tensor::new("leader_path_starts", &[starts.len()], &starts));
        tensors.push(Tensor::new("leader_path_columns", &[columns.len()], &columns));
        let slots: Vec<u32> = self.set.slots.iter().map(|slot| slot.column).collect();
        tensors.push(Tensor::new("leader_slots", &[slots.len()], &slots));
        let refused: Vec<u32> = self.chooser.filter.refused().collect();
        tensors.push(Tensor::new("leader_refused", &[refused.len()], &refused));
        tensors
    }

    /// Puts a new leader back.
    pub(super) fn restore(&mut self, tensors: &mut Vec<Tensor>) -> Result<()> {
        let other = || Error::Other("the checkpoint is of other data".into());
        let counts = take(tensors, "leader_counts")?.values::<u64>()?;
        let counts: [u64; COUNTS] = counts.try_into().map_err(|_| other())?;
        let reals = take(tensors, "leader_reals")?.values::<f64>()?;
        let reals: [f64; REALS] = reals.try_into().map_err(|_| other())?;
        let [dual, least_gap, intercept, tolerance] = reals;
        let [fold, at, problems, stuck, next_column, rounds, front, done] = counts;
        (self.fold, self.at, self.problems) = (fold as u32, at as usize, problems);
        self.stuck = stuck as u32;
        (self.chooser.next_column, self.chooser.rounds) = (next_column as u32, rounds);
        (self.done, self.dual, self.least_gap) = (done != 0, dual, least_gap);
        let mut real = |name: &str| take(tensors, name)?.values::<f64>();
        self.grid = real("leader_grid")?;
        let (b, fitted) = (real("leader_b")?, real("leader_fitted")?);
        let left_out = real("leader_left_out")?;
        let (path, values) = (real("leader_path")?, real("leader_path_values")?);
        let starts = take(tensors, "leader_path_starts")?.values::<u64>()?;
        let columns = take(tensors, "leader_path_columns")?.values::<u32>()?;
        let slots = take(tensors, "leader_slots")?.values::<u32>()?;
        self.chooser.filter.refuse(take(tensors, "leader_refused")?.values::<u32>()?);
        let fits = starts.len() * 5 == path.len() + 5
            && columns.len() == values.len()
            && starts.is_sorted()
            && starts.last() == Some(&(columns.len() as u64))
            && slots.len() == b.len()
            && front <= slots.len() as u64
            && b.get(front as usize..).is_some_and(|rest| rest.iter().all(|b| *b == 0.0))
            && slots.iter().chain(&columns).all(|c| (*c as usize) < self.data.design.len())
            && fitted.len() == self.data.problems[0].samples();
        if !fits || self.fold as usize >= self.data.problems.len() {
            return Err(other());
        }
        self.left_out = left_out.chunks(self.grid.len().max(1)).map(<[f64]>::to_vec).collect();
        if self.left_out.len() < self.fold as usize {
            self.left_out.push(Vec::new());
        }
        self.path = path.as_chunks::<5>().0.iter().zip(starts.windows(2)).map(|(of, range)| {
            let range = range[0] as usize..range[1] as usize;
            let pairs = columns[range.clone()].iter().zip(&values[range]);
            Solution {
                lambda: of[0],
                gap: of[1],
                objective: of[2],
                explained: of[3],
                intercept: of[4],
                coefficients: pairs.map(|(column, value)| (*column, *value)).collect(),
            }
        }).collect();
        let problem = &self.data.problems[self.fold as usize];
        self.null = problem.value(&problem.null().0);
        let fit = problem.fit(fitted);
        self.set =
            WorkingSet::restored(&slots, b, fit, intercept, &self.data, problem, self.threads);
        self.set.front = front as usize;
        self.take_up(tolerance);
        Ok(())
    }
}
