//! Matrix factorisation: who will like what, from who liked what.
//!
//! A rating of item i by user u is predicted from their biases and from k factors of each (Koren,
//! Bell & Volinsky, IEEE Computer 2009):
//!
//! ```text
//! r̂_ui = μ + b_u + c_i + p_u·q_i
//! minimise  Σ (r_ui − r̂_ui)² + λ Σ_u n_u (‖p_u‖² + b_u²/σ) + λ Σ_i n_i (‖q_i‖² + c_i²/σ)
//! ```
//!
//! over all training ratings, of which user u has n_u and item i has n_i; μ is their mean, and 0 with
//! `--nonnegative --no-bias`, where factors are to make up the whole; σ is their standard deviation. λ
//! weighs once per rating (weighted-λ: Zhou et al., AAIM 2008), so that one λ suits small and large
//! sets. A factor is measured in the root of a rating's unit and a bias in the unit itself: divided by
//! σ, its square weighs as those of factors do, and with a λ in that unit, too, the predictions do not
//! depend on it.
//! **Objective**: that sum, lower is better. **Expected**: on the 10 million ratings of `petuum
//! generate mf`, predicting its test file with `-k 32 --regularization 0.03`, a test RMSE of 0.778
//! after one pass, 0.743 after five; the planted model itself has 0.681.
//!
//! **Four methods**, one objective: `--method sgd` rating by rating, model-parallel or data-parallel,
//! `als` row by row and `ccd` factor by factor. `sgd` is the fastest by far; the other two have no
//! learning rate and their objective never increases. `--implicit` is another objective: `als.rs`.
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
//! **Data-parallel** (`--parallel data`, for comparison, and where more workers than item blocks are
//! wanted): items are shared under the staleness bound; `share.rs` says how steps know of it.
//!
//! **Workers**: under `bsp` equal seeds, options and numbers of workers give equal bits, however
//! workers are spread over ranks; where nothing is shared, under any consistency.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the flags |
//! | `load.rs`, `deal.rs` | from files to ratings, from ratings to parts |
//! | `ratings.rs` | a worker's ratings in the order in which blocks come by |
//! | `part.rs` | what one worker holds |
//! | `rotate.rs` | what it does when a block comes by |
//! | `share.rs` | what it does under `--parallel data` |
//! | `als.rs`, `ccd.rs` | what it does with `--method als` and `ccd` |
//! | `gather.rs` | how all workers come by what each of them has solved |
//! | `block.rs` | the bytes in which a block travels |
//! | `sums.rs` | the objective |
//! | `checkpoint.rs` | what a run goes on from |
//! | `save.rs` | the model |
//! | `predict.rs` | what a saved model says |
//! | `generate.rs` | ratings with a planted low rank |

mod als;
mod block;
mod ccd;
mod checkpoint;
mod deal;
mod gather;
pub mod generate;
mod load;
mod options;
mod part;
pub mod predict;
mod ratings;
mod rotate;
mod save;
mod share;
mod sums;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::data::Ids;
use crate::engine::{Defaults, Host, Objective, Program, Worker};
use crate::error::Result;
use crate::math::factors::Step;
use crate::ps::{ElementType, TableKind, TableSpec, World};
use crate::scheduler::partition::Partition;
use crate::scheduler::rotation::Rotation;
use crate::snapshot::{Model, Tensor};
use crate::wire::message::{Clock, Elements, TableId, WorkerId};

use super::About;
use super::staleness::Scaling;
use options::Way;
pub use options::{Method, Options, Parallel};
use part::{Items, Part};
use sums::Sums;

/// What the command line says about this recipe.
pub const ABOUT: About = About {
    summary: "Matrix factorisation: recommendations from ratings",
    description: "Predicts ratings from biases and factors of users and items, by stochastic gradient descent, alternating least squares or coordinate descent. The objective is the sum of squared errors over the training ratings plus the weighted squares of factors and biases, once per rating; lower is better. test_rmse is the root of the mean squared error over the ratings in --test or kept out by --holdout; --tolerance stops the run when it improves by less than this part of itself. One clock is one pass over all ratings unless --clocks-per-pass says otherwise. Ids are any text; they are kept in the model. With --implicit, ratings say how sure it is that somebody likes something: 1 is predicted for what was seen, 0 for all else.",
    data: "user item rating [timestamp]   a line each, with tabs, blanks, commas, semicolons or `::` between; a header is passed over\n%%MatrixMarket                 matrix coordinate real (or integer) general",
    examples: "petuum mf                                  # the built-in sample\npetuum mf ratings.csv -k 64 -o model       # a tenth is kept out and predicted\npetuum mf u1.base --test u1.test --tolerance 1e-4\npetuum mf ratings.dat --nonnegative --no-bias --holdout 0\npetuum mf clicks.tsv --method als --implicit --regularization 1",
    defaults: Defaults {
        staleness: 1,
        clocks: 30,
        clocks_per_pass: 1,
        tolerance: Some(1e-4),
    },
};

/// The table of items: blocks, or under `--parallel data` rows of factors with the bias last.
const ITEMS: TableId = 0;
/// The table of the workers' users, with `--method als` and `ccd`.
const USERS: TableId = 1;

/// The recipe, from flags that were checked.
pub fn new(options: Options) -> Result<impl Program> {
    options.check()?;
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
    turns_per_pass: u64,
    /// After so many turns another worker has the block of a turn.
    stride: u64,
    /// Number of factors.
    rank: usize,
    mean: f64,
    /// Standard deviation of the training ratings, in which everything is measured inside.
    scale: f64,
    train: u64,
    test: u64,
    step: Step,
    biased: bool,
    /// Of `--method ccd`.
    iterations: u32,
    /// With `--implicit`.
    confidence: Option<f64>,
    scaling: Scaling,
}

/// The turns of one clock, counted through all passes.
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

    fn remedy(&self) -> &'static str {
        match self.options.way() {
            Way::Rotate => "a smaller --learning-rate, or more --regularization",
            Way::Share => "a smaller --learning-rate, a smaller --staleness or --consistency bsp",
            Way::Gather | Way::Descend => "more --regularization, or ratings of a smaller scale",
        }
    }

    fn tables(&self, world: &World) -> Vec<TableSpec> {
        let shared = |name, rows: usize, width: usize, element| TableSpec {
            name,
            kind: TableKind::Shared {
                rows: rows as u64,
                width: width as u32,
                element,
                sparse: false,
            },
        };
        let exclusive = |name, blocks| TableSpec {
            name,
            kind: TableKind::Exclusive { blocks },
        };
        let Setup { by_block, .. } = &self.setup;
        match self.options.way() {
            Way::Rotate => vec![exclusive("item_blocks", by_block.blocks())],
            Way::Gather | Way::Descend => vec![
                exclusive("item_blocks", world.workers()),
                exclusive("user_blocks", world.workers()),
            ],
            Way::Share => {
                let (items, width) = (by_block.variables(), self.options.rank() + 1);
                vec![
                    shared("items", items, width, ElementType::F32),
                    Scaling::table(world),
                ]
            }
        }
    }

    fn load(&mut self, host: &Host) -> Result<Vec<Part>> {
        let (setup, parts) = load::load(&self.options, host)?;
        self.setup = setup;
        Ok(parts)
    }

    fn begin(
        &self,
        parts: &mut [Part],
        set: &mut dyn FnMut(TableId, u64, Elements) -> Result<()>,
    ) -> Result<()> {
        parts.iter_mut().try_for_each(|part| match &mut part.items {
            Items::Shared(items) => items.begin(set),
            _ => Ok(()),
        })
    }

    fn schedule(&self, clock: Clock, _worker: WorkerId, _world: &World) -> Vec<Task> {
        vec![Task(self.turns(clock as u64))]
    }

    fn push(&self, part: &mut Part, task: Task, worker: &mut Worker) -> Result<()> {
        let (setup, users) = (&self.setup, &mut part.users);
        match &mut part.items {
            Items::Rotating(items) => items.push(setup, users, task.0.end - task.0.start, worker),
            Items::Shared(items) => {
                let segment = task.0.start % setup.clocks_per_pass;
                items.push(setup, users, segment as usize, worker)
            }
            Items::Gathered(items) => task
                .0
                .into_iter()
                .try_for_each(|half| items.push(setup, users, half, worker)),
            Items::Descending(items) => items.push(setup, users, task.0, worker),
        }
    }

    fn partial(&self, part: &mut Part, worker: &mut Worker) -> Result<Sums> {
        let (setup, users) = (&self.setup, &mut part.users);
        match &mut part.items {
            Items::Rotating(_) => {}
            Items::Shared(items) => items.evaluate(setup, users, worker)?,
            Items::Gathered(items) => items.evaluate(setup, users),
            Items::Descending(items) => items.evaluate(setup, users),
        }
        Ok(part.users.sums)
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

    fn finish(&self, part: &mut Part, worker: &mut Worker) -> Result<()> {
        match &mut part.items {
            Items::Shared(items) => {
                worker.settle();
                items.copy_own(&self.setup, self.setup.step.floor(), worker)
            }
            _ => Ok(()),
        }
    }

    fn before_checkpoint(&self, part: &mut Part, worker: &mut Worker) -> Result<()> {
        match &mut part.items {
            Items::Shared(items) => items.copy_own(&self.setup, f32::NEG_INFINITY, worker),
            _ => Ok(()),
        }
    }

    fn checkpoint(&self, part: &Part) -> Vec<Tensor> {
        checkpoint::write(part)
    }

    fn restore(&self, part: &mut Part, tensors: Vec<Tensor>) -> Result<()> {
        checkpoint::read(&self.setup, part, tensors)
    }

    fn rebuild(&self, parts: &mut [Part], _from: Clock, host: &Host) -> Result<()> {
        checkpoint::rebuild(&self.setup, parts, host)
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
            turns_per_pass: 1,
            stride: 1,
            rank: 1,
            mean: 0.0,
            scale: 1.0,
            train: 0,
            test: 0,
            step: load::step(&options, 1.0, 1),
            biased: options.biased(),
            iterations: options.inner_iterations(),
            confidence: None,
            scaling: Scaling::default(),
        };
        Mf { options, setup }
    }

    /// What every worker does in `clock`, counted through all passes: blocks that rotate, segments
    /// of the users, or halves of a pass.
    fn turns(&self, clock: u64) -> Range<u64> {
        let clocks = self.setup.clocks_per_pass;
        let turns = self.setup.turns_per_pass;
        let (pass, part) = (clock / clocks, clock % clocks);
        let at = |part| pass * turns + turns * part / clocks;
        at(part)..at(part + 1)
    }
}

impl Setup {
    /// A rating in the units that are used inside.
    fn center(&self, value: f32) -> f32 {
        ((f64::from(value) - self.mean) / self.scale) as f32
    }

    /// What λ is multiplied with for a row that has so many ratings.
    fn weight(&self, ratings: u64) -> f64 {
        match self.confidence {
            Some(_) => 1.0,
            None => ratings as f64,
        }
    }
}
