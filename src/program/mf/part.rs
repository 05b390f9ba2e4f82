//! What one worker holds: its users and their ratings, and the item blocks that are with it.

use std::collections::VecDeque;

use super::Setup;
use super::block::Block;
use super::ratings::Ordered;
use super::sums::Sums;
use crate::math::factors::{Factors, Kernel, Step};
use crate::wire::message::WorkerId;

/// A block that was used and not yet handed on.
#[derive(Debug)]
pub(super) struct Held {
    /// The turn that used it.
    pub(super) turn: u64,
    pub(super) block: Block,
}

/// One worker's part.
#[derive(Debug)]
pub(super) struct Part {
    /// The worker.
    pub(super) worker: WorkerId,
    /// Its users, in the order of the partition, and last a user of zeros who stands for all users
    /// without training ratings.
    pub(super) users: Factors,
    /// Their rows in the model.
    pub(super) rows: Vec<u32>,
    pub(super) train: Ordered,
    pub(super) test: Ordered,
    /// Test ratings of items without training ratings: the user's row here, the scaled rating.
    pub(super) unseen: Vec<(u32, f32)>,
    /// Blocks that this worker is the first to use.
    pub(super) fresh: Vec<(u32, Block)>,
    /// Blocks that it used last, in the order in which it did.
    pub(super) held: VecDeque<Held>,
    /// Turns so far, those of objectives included.
    pub(super) turn: u64,
    /// Its share of the last objective.
    pub(super) sums: Sums,
    pub(super) kernel: Kernel,
}

impl Part {
    /// A step for each training rating of this worker's users on the block.
    pub(super) fn learn(&mut self, number: u32, block: &mut Block, step: &Step) {
        for (user, ratings) in self.train.block(number) {
            self.kernel
                .learn(self.users.one(user), &mut block.0, ratings, step);
        }
    }

    /// Adds the errors of this worker's users on the block; with `penalty` the block's own too.
    pub(super) fn measure(&mut self, number: u32, block: &Block, penalty: Option<&Setup>) {
        let error = |ratings: &Ordered| -> f64 {
            let runs = ratings.block(number);
            runs.map(|(user, ratings)| {
                self.kernel
                    .squared_error(&self.users, user, &block.0, ratings)
            })
            .sum()
        };
        let (train, test) = (error(&self.train), error(&self.test));
        self.sums.train += train;
        self.sums.test += test;
        if let Some(setup) = penalty {
            let items = setup.by_block.block(number).zip(0..);
            self.sums.penalty += items
                .map(|(position, row)| {
                    let item = setup.by_block.variable(position) as usize;
                    penalty_of(&block.0, row, setup.items.counts()[item], &setup.step)
                })
                .sum::<f64>();
        }
    }

    /// What the users add to the objective, whatever the blocks.
    pub(super) fn own_sums(&self, setup: &Setup) -> Sums {
        let counts = setup.users.counts();
        let penalty = self
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| penalty_of(&self.users, at, counts[*row as usize], &setup.step));
        let error = |(user, value): &(u32, f32)| {
            let error = f64::from(value - self.users.heads()[*user as usize].bias);
            error * error
        };
        Sums {
            train: 0.0,
            test: self.unseen.iter().map(error).sum(),
            penalty: penalty.sum(),
        }
    }
}

fn penalty_of(factors: &Factors, row: usize, ratings: u64, step: &Step) -> f64 {
    let bias = f64::from(factors.heads()[row].bias);
    let factors = f64::from(step.regularization) * factors.norm(row);
    ratings as f64 * (factors + f64::from(step.bias_regularization) * bias * bias)
}
