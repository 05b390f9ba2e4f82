//! Matrix factorisation: who will like what, from who liked what.
//!
//! A rating of item i by user u is predicted from their biases and from k factors of each (Koren,
//! Bell & Volinsky, IEEE Computer 2009):
//!
//! ```text
//! r̂_ui = μ + b_u + c_i + p_u·q_i
//! minimise  Σ (r_ui − r̂_ui)² + λ Σ_u n_u (‖p_u‖² + b_u²) + λ Σ_i n_i (‖q_i‖² + c_i²)
//! ```
//!
//! over all training ratings, of which user u has n_u and item i has n_i; μ is their mean. λ weighs
//! once per rating (weighted-λ: Zhou et al., AAIM 2008), so that one λ suits small and large sets.
//! **Objective**: that sum, lower is better. **Expected**: on the 10 million ratings of `petuum
//! generate mf`, predicting its test file with `-k 32 --regularization 0.03`, a test RMSE of 0.777
//! after one pass, 0.745 after five, 0.744 at best; the planted model itself has 0.682.
//!
//! **Stochastic gradient descent, model-parallel** (DSGD: Gemulla et al., KDD 2011; NOMAD: Yun et
//! al., VLDB 2014). Users stay with their workers. Items are cut into blocks that rotate around the
//! workers, so no factor is ever written by two or read stale. A block is small enough for a core's
//! level-2 cache, and within it a worker meets its ratings user by user, so that a user's row stays
//! in registers and only 8 bytes a rating come from memory. Steps shrink row by row with the
//! squared errors that the row has met, as in Adagrad (Duchi et al., JMLR 2011) with one number per
//! row (Chin et al., PAKDD 2015). Ratings are scaled to standard deviation 1 inside, so that one
//! step length suits stars and percents.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the flags |
//! | `load.rs` | from files to parts |
//! | `ratings.rs` | a worker's ratings in the order in which blocks come by |
//! | `part.rs` | what one worker holds, and what it does when a block comes by |
//! | `block.rs` | the bytes in which a block travels |
//! | `sums.rs` | the objective |
//! | `checkpoint.rs` | what a run goes on from |
//! | `save.rs` | the model |
//! | `predict.rs` | what a saved model says |
//! | `generate.rs` | ratings with a planted low rank |

mod block;
mod checkpoint;
pub mod generate;
mod load;
mod options;
mod part;
pub mod predict;
mod ratings;
mod save;
mod sums;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::data::Ids;
use crate::engine::{Defaults, Host, Objective, Program, Worker};
use crate::error::{Error, Result};
use crate::math::factors::Step;
use crate::ps::{TableKind, TableSpec, World};
use crate::scheduler::partition::Partition;
use crate::scheduler::rotation::{Rotation, Turn};
use crate::snapshot::{Model, Tensor};
use crate::wire::message::{Clock, TableId, WorkerId};

use super::About;
use block::Block;
pub use options::Options;
use part::{Held, Part};
use sums::Sums;

/// What the command line says about this recipe.
pub const ABOUT: About = About {
    summary: "Matrix factorisation: recommendations from ratings",
    description: "Predicts ratings from biases and factors of users and items, by stochastic gradient descent. The objective is the sum of squared errors over the training ratings plus the weighted squares of factors and biases, once per rating; lower is better. test_rmse is the root of the mean squared error over the ratings in --test or kept out by --holdout; --tolerance stops the run when it improves by less than this part of itself. One clock is one pass over all ratings unless --clocks-per-pass says otherwise. Ids are any text; they are kept in the model.",
    data: "user item rating [timestamp]   a line each, with tabs, blanks, commas, semicolons or `::` between; a header is passed over\n%%MatrixMarket                 matrix coordinate real (or integer) general",
    examples: "petuum mf                                  # the built-in sample\npetuum mf ratings.csv -k 64 -o model       # a tenth is kept out and predicted\npetuum mf u1.base --test u1.test --tolerance 1e-4\npetuum mf ratings.dat --nonnegative --no-bias --holdout 0",
    defaults: Defaults {
        staleness: 1,
        clocks: 30,
        clocks_per_pass: 1,
        tolerance: Some(1e-4),
    },
};

/// The table of item blocks.
const ITEMS: TableId = 0;

/// The recipe, from flags that were checked.
pub fn new(options: Options) -> Result<impl Program> {
    Ok(Mf::new(options))
}

/// Matrix factorisation.
struct Mf {
    options: Options,
    /// What `load` found out.
    setup: Setup,
}

/// What all ranks know once the data are loaded.
struct Setup {
    users: Ids,
    items: Ids,
    /// Users by worker.
    by_worker: Partition,
    /// Items by block.
    by_block: Partition,
    rotation: Rotation,
    clocks_per_pass: u64,
    /// After so many turns another worker has the block of a turn.
    stride: u64,
    mean: f64,
    /// Standard deviation of the training ratings, in which everything is measured inside.
    scale: f64,
    train: u64,
    test: u64,
    step: Step,
}

/// The training turns of one clock, counted through all passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Task(Range<u64>);

impl Program for Mf {
    type Part = Part;
    type Task = Task;
    type Partial = Sums;
    type Update = Sums;

    fn columns(&self) -> Vec<&'static str> {
        vec!["train_rmse", "test_rmse"]
    }

    fn tables(&self, _world: &World) -> Vec<TableSpec> {
        vec![TableSpec {
            name: "item_blocks",
            kind: TableKind::Exclusive {
                blocks: self.setup.by_block.blocks(),
            },
        }]
    }

    fn load(&mut self, host: &Host) -> Result<Vec<Part>> {
        let (setup, parts) = load::load(&self.options, host)?;
        self.setup = setup;
        Ok(parts)
    }

    fn schedule(&self, clock: Clock, _worker: WorkerId, _world: &World) -> Vec<Task> {
        vec![Task(self.turns(clock as u64))]
    }

    /// Visits the blocks of this clock. Where an objective is due, the blocks then go around once
    /// more, off the clock, and nothing is learned: so it is that of the model as it is after the
    /// clock.
    fn push(&self, part: &mut Part, task: Task, worker: &mut Worker) -> Result<()> {
        let first = part.turn;
        let end = first + (task.0.end - task.0.start);
        let blocks = u64::from(self.setup.rotation.blocks());
        let evaluated = end + if worker.evaluating() { blocks } else { 0 };
        self.pass_on(part, evaluated, worker);
        for number in first..end {
            let turn = self.setup.rotation.task(worker.id(), number);
            let mut block = self.take_block(part, turn, worker)?;
            part.learn(turn.block, &mut block, &self.setup.step);
            part.held.push_back(Held {
                turn: number,
                block,
            });
            self.pass_on(part, evaluated, worker);
        }
        part.turn = evaluated;
        if !worker.evaluating() {
            return Ok(());
        }
        worker.off_clock(|worker| self.evaluate(part, end..evaluated, worker))
    }

    fn partial(&self, part: &mut Part, _worker: &mut Worker) -> Result<Sums> {
        Ok(part.sums)
    }

    fn objective(&self, partials: &[Sums]) -> Result<Objective> {
        Ok(self.setup.objective(&Sums::fold(partials)))
    }

    /// The test error counts where there is one; getting worse ends the run as well.
    fn settled(&self, before: &Objective, now: &Objective, tolerance: f64) -> bool {
        let watched = |objective: &Objective| objective.columns[1].unwrap_or(objective.value);
        let (before, now) = (watched(before), watched(now));
        before - now <= tolerance * before
    }

    fn save(&self, parts: Vec<Part>, host: &Host, model: Option<&mut Model>) -> Result<()> {
        save::save(&self.setup, parts, host, model)
    }

    fn checkpoint(&self, part: &Part) -> Vec<Tensor> {
        checkpoint::write(part)
    }

    fn restore(&self, part: &mut Part, tensors: Vec<Tensor>) -> Result<()> {
        checkpoint::read(&self.setup, part, tensors)
    }
}

impl Mf {
    fn new(options: Options) -> Mf {
        let setup = Setup {
            users: Ids::default(),
            items: Ids::default(),
            by_worker: Partition::balanced(&[], 1),
            by_block: Partition::balanced(&[], 1),
            rotation: Rotation::new(1, 1),
            clocks_per_pass: 1,
            stride: 1,
            mean: 0.0,
            scale: 1.0,
            train: 0,
            test: 0,
            step: load::step(&options, 1.0),
        };
        Mf { options, setup }
    }

    /// The training turns that every worker takes in `clock`, counted through all passes.
    fn turns(&self, clock: u64) -> Range<u64> {
        let turns = u64::from(self.setup.rotation.blocks());
        let clocks = self.setup.clocks_per_pass;
        let (pass, part) = (clock / clocks, clock % clocks);
        let at = |part| pass * turns + turns * part / clocks;
        at(part)..at(part + 1)
    }

    /// Hands on the blocks that another worker needs before turn `end`. The others stay, so that
    /// after a clock every block is with some worker.
    fn pass_on(&self, part: &mut Part, end: u64, worker: &mut Worker) {
        while let Some(held) = part
            .held
            .pop_front_if(|held| held.turn + self.setup.stride < end)
        {
            let turn = self.setup.rotation.task(worker.id(), held.turn);
            worker.hand_over(ITEMS, turn.block, turn.turn + 1, turn.next, held.block);
        }
    }

    /// The block of a turn: made here if it is its first, else from the worker before.
    fn take_block(&self, part: &mut Part, turn: Turn, worker: &mut Worker) -> Result<Block> {
        if turn.first {
            let fresh = part.fresh.iter().position(|(block, _)| *block == turn.block);
            return match fresh {
                Some(at) => Ok(part.fresh.swap_remove(at).1),
                None => Err(Error::Bug(format!("item block {} is missing", turn.block))),
            };
        }
        let block: Block = worker.acquire(ITEMS, turn.block, turn.turn)?;
        let rows = self.setup.by_block.block(turn.block).len();
        if (block.0.len(), block.0.rank()) != (rows, part.users.rank()) {
            return Err(Error::Other(format!(
                "a peer sent item block {} of another model",
                turn.block
            )));
        }
        Ok(block)
    }

    /// Adds up the objective while every block comes by once.
    fn evaluate(&self, part: &mut Part, turns: Range<u64>, worker: &mut Worker) -> Result<()> {
        let (first, end) = (turns.start, turns.end);
        part.sums = part.own_sums(&self.setup);
        for number in turns {
            let turn = self.setup.rotation.task(worker.id(), number);
            let block = self.take_block(part, turn, worker)?;
            // In its first turns the workers have a different block each.
            let counts = number < first + self.setup.stride;
            part.measure(turn.block, &block, counts.then_some(&self.setup));
            part.held.push_back(Held {
                turn: number,
                block,
            });
            self.pass_on(part, end, worker);
        }
        Ok(())
    }
}
