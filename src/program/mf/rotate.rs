//! Stochastic gradient descent, model-parallel: item blocks rotate around the workers.

use std::collections::VecDeque;
use std::ops::Range;

use super::block::Block;
use super::part::Users;
use super::{ITEMS, Setup};
use crate::engine::Worker;
use crate::error::{Error, Result};
use crate::scheduler::rotation::Turn;

/// The blocks that are with a worker.
#[derive(Debug, Default)]
pub(super) struct Rotating {
    /// Blocks that this worker is the first to use.
    pub(super) fresh: Vec<(u32, Block)>,
    /// Blocks that it used last, in the order in which it did.
    pub(super) held: VecDeque<Held>,
    /// Turns so far, those of objectives included.
    pub(super) turn: u64,
}

/// A block that was used and not yet handed on.
#[derive(Debug)]
pub(super) struct Held {
    /// The turn that used it.
    pub(super) turn: u64,
    pub(super) block: Block,
}

impl Rotating {
    /// Visits `turns` blocks. Where an objective is due, the blocks then go around once more, off
    /// the clock, and nothing is learned: so it is that of the model as it is after the clock.
    pub(super) fn push(
        &mut self,
        setup: &Setup,
        users: &mut Users,
        turns: u64,
        worker: &mut Worker,
    ) -> Result<()> {
        let first = self.turn;
        let end = first + turns;
        let blocks = u64::from(setup.rotation.blocks());
        let evaluated = end + if worker.evaluating() { blocks } else { 0 };
        self.pass_on(setup, evaluated, worker);
        for number in first..end {
            let turn = setup.rotation.task(worker.id(), number);
            let mut block = self.take_block(setup, users, turn, worker)?;
            users.learn(turn.block, &mut block.0, &setup.step);
            self.held.push_back(Held {
                turn: number,
                block,
            });
            self.pass_on(setup, evaluated, worker);
        }
        self.turn = evaluated;
        if !worker.evaluating() {
            return Ok(());
        }
        worker.off_clock(|worker| self.evaluate(setup, users, end..evaluated, worker))
    }

    /// Hands on the blocks that another worker needs before turn `end`. The others stay, so that
    /// after a clock every block is with some worker.
    fn pass_on(&mut self, setup: &Setup, end: u64, worker: &mut Worker) {
        while let Some(held) = self
            .held
            .pop_front_if(|held| held.turn + setup.stride < end)
        {
            let turn = setup.rotation.task(worker.id(), held.turn);
            worker.hand_over(ITEMS, turn.block, turn.turn + 1, turn.next, held.block);
        }
    }

    /// The block of a turn: made here if it is its first, else from the worker before.
    fn take_block(
        &mut self,
        setup: &Setup,
        users: &Users,
        turn: Turn,
        worker: &mut Worker,
    ) -> Result<Block> {
        if turn.first {
            let fresh = self.fresh.iter().position(|(block, _)| *block == turn.block);
            return match fresh {
                Some(at) => Ok(self.fresh.swap_remove(at).1),
                None => Err(Error::Bug(format!("item block {} is missing", turn.block))),
            };
        }
        let block: Block = worker.acquire(ITEMS, turn.block, turn.turn)?;
        let rows = setup.by_block.block(turn.block).len();
        if (block.0.len(), block.0.rank()) != (rows, users.factors.rank()) {
            return Err(Error::Other(format!(
                "a peer sent item block {} of another model",
                turn.block
            )));
        }
        Ok(block)
    }

    /// Adds up the objective while every block comes by once.
    fn evaluate(
        &mut self,
        setup: &Setup,
        users: &mut Users,
        turns: Range<u64>,
        worker: &mut Worker,
    ) -> Result<()> {
        let (first, end) = (turns.start, turns.end);
        users.begin_sums(setup);
        for number in turns {
            let turn = setup.rotation.task(worker.id(), number);
            let block = self.take_block(setup, users, turn, worker)?;
            users.measure(turn.block, &block.0);
            // In its first turns the workers have a different block each.
            if number < first + setup.stride {
                users.penalise(setup, turn.block, &block.0, 0);
            }
            self.held.push_back(Held {
                turn: number,
                block,
            });
            self.pass_on(setup, end, worker);
        }
        Ok(())
    }
}
