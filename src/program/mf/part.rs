//! What one worker holds: its users with their ratings, and its view of the items.

use std::sync::Arc;

use super::Setup;
use super::als::Gathered;
use super::ccd::Descending;
use super::ratings::Ordered;
use super::rotate::Rotating;
use super::share::Shared;
use super::sums::Sums;
use crate::math::factors::{Factors, Kernel, Step};
use crate::wire::message::WorkerId;

/// One worker's part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) users: Users,
    pub(super) items: Items,
}

/// The items, as the method has them.
#[derive(Debug)]
pub(super) enum Items {
    /// In blocks that come and go.
    Rotating(Rotating),
    /// In a shared table.
    Shared(Shared),
    /// Every worker's with every worker.
    Gathered(Gathered),
    /// Each worker's with their residuals.
    Descending(Descending),
}

/// A worker's users and their ratings: they never leave it.
#[derive(Debug)]
pub(super) struct Users {
    /// The worker.
    pub(super) worker: WorkerId,
    /// Their factors, in the order of the partition, and last a user of zeros who stands for all
    /// users without training ratings.
    pub(super) factors: Arc<Factors>,
    /// Their rows in the model.
    pub(super) rows: Vec<u32>,
    pub(super) train: Ordered,
    pub(super) test: Ordered,
    /// Test ratings of items without training ratings: the user's row here, the scaled rating.
    pub(super) unseen: Vec<(u32, f32)>,
    /// The worker's share of the last objective.
    pub(super) sums: Sums,
    pub(super) kernel: Kernel,
}

impl Users {
    /// A step for each training rating of these users on a block of items.
    pub(super) fn learn(&mut self, block: u32, items: &mut Factors, step: &Step) {
        let factors = Arc::make_mut(&mut self.factors);
        for (user, ratings) in self.train.block(block) {
            self.kernel.learn(factors.one(user), items, ratings, step);
        }
    }

    /// Adds the errors of these users on a block of items.
    pub(super) fn measure(&mut self, block: u32, items: &Factors) {
        let error = |ratings: &Ordered| -> f64 {
            let runs = ratings.block(block);
            runs.map(|(user, ratings)| {
                self.kernel
                    .squared_error(&self.factors, user, items, ratings)
            })
            .sum()
        };
        let (train, test) = (error(&self.train), error(&self.test));
        self.sums.whole += train;
        self.sums.train += train;
        self.sums.pairs += self.train.len(block) as f64;
        self.sums.test += test;
    }

    /// Begins the sums with what these users add whatever the items.
    pub(super) fn begin_sums(&mut self, setup: &Setup) {
        let counts = setup.users.counts();
        let penalty = self
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| penalty_of(&self.factors, at, setup.weight(counts[*row as usize]), &setup.step));
        let error = |(user, value): &(u32, f32)| {
            let error = f64::from(value - self.factors.heads()[*user as usize].bias);
            error * error
        };
        self.sums = Sums {
            test: self.unseen.iter().map(error).sum(),
            penalty: penalty.sum(),
            ..Sums::default()
        };
    }

    /// Adds the penalty of a block of items, the first of which is row `first` of `items`.
    pub(super) fn penalise(&mut self, setup: &Setup, block: u32, items: &Factors, first: usize) {
        let positions = setup.by_block.block(block).zip(first..);
        self.sums.penalty += positions
            .map(|(position, row)| {
                let item = setup.by_block.variable(position) as usize;
                let weight = setup.weight(setup.items.counts()[item]);
                penalty_of(items, row, weight, &setup.step)
            })
            .sum::<f64>();
    }
}

fn penalty_of(factors: &Factors, row: usize, weight: f64, step: &Step) -> f64 {
    let bias = f64::from(factors.heads()[row].bias);
    let factors = f64::from(step.regularization) * factors.norm(row);
    weight * (factors + f64::from(step.bias_regularization) * bias * bias)
}
