//! Sparse regression: few features that explain a target.
//!
//! ```text
//! minimise  (1/2n) ‖y − X b − b₀‖² + λ (α‖b‖₁ + ½ (1 − α)‖b‖²)
//! ```
//!
//! the convention of scikit-learn and glmnet; with sample weights w, Σ w (…)² / 2 Σ w in place of
//! the first term; with `--loss logistic` the mean of ln(1 + e^z) − y z, y being 0 or 1.
//! **Objective**: that sum, lower is better, beside a bound of how much lower it could be: the
//! duality gap, which also stops the run.
//!
//! **Model-parallel, by dynamic scheduling** (STRADS: Lee et al., NIPS 2014; celer: Massias, Gramfort
//! & Salmon, ICML 2018). Columns are dealt out to workers; the fit, a number for each sample, is
//! everywhere. *push*: a worker goes through its columns and tells which ones promise most. *pull*:
//! rank 0 lets those join its working set, solves for the working set alone, and tells the new fit.
//! A dense set is worked on in two tiers: of the columns that it looks at, those that matter most, by
//! schedule and without those that say the same (`choose.rs`, [`crate::scheduler::dependency`]), join
//! the ones that are solved for, round after round between two pushes. Screening and bounds keep most columns from being looked at (`part.rs`); a Newton method makes
//! the small problem exact (`math/quadratic.rs`).
//!
//! **Rank 0 solves alone** what it works on, also with several hosts. Rounds of single coordinates
//! across hosts ([`crate::scheduler::rounds`]) take 3,822 rounds of 32 to a gap of 1e-3 on a chain of
//! correlated features (`benches/rounds.rs`, 1,000 × 4,000). A chain of 100,000 features at λ_max / 100
//! takes five clocks to 1e-4, a message each way in each, with 2 and with 4 local processes as with one
//! (`petuum lasso x.npy --targets y.npy --hosts FILE --lambda-ratio 0.01 --tolerance 1e-4`): two sent
//! 134 kB in all.
//!
//! **Columns, not rows, are dealt out**, whatever the shape. With p ≫ n that is plain: what must be
//! told is n fitted values, or the few coefficients that changed, where rows would tell p products
//! in every round. With n ≫ p the products are few, but a pass over the columns is needed only a
//! handful of times, since all columns soon fit the working set, and rank 0 then needs their Gram
//! matrix once, whose blocks are shared out to its threads.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the flags |
//! | `load.rs` | from files to columns |
//! | `problem.rs` | loss, slope and dual |
//! | `part.rs` | what a worker does with its columns |
//! | `leader.rs` | what rank 0 decides |
//! | `choose.rs` | which columns are worked on next |
//! | `working_set.rs`, `products.rs` | the problem on few columns, and their Gram matrix |
//! | `direct.rs` | the same without such a matrix |
//! | `save.rs` | the model |
//! | `predict.rs` | predictions of a saved model |
//! | `generate.rs` | examples with planted coefficients |
//! | `correlations.rs` | how much two columns say the same |
//! | `checkpoint.rs` | what a run goes on from |
//! | `messages.rs` | what travels between them |

mod checkpoint;
mod choose;
mod correlations;
mod direct;
pub mod generate;
mod leader;
mod load;
mod messages;
mod options;
mod part;
pub mod predict;
mod problem;
mod products;
mod save;
mod working_set;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::{Defaults, Host, Objective, Program, Worker};
use crate::error::{Error, Result};
use crate::ps::{TableSpec, World};
use crate::snapshot::{Model, Tensor};
use crate::wire::message::Clock;

use super::About;
use leader::Leader;
use load::Names;
use messages::{Found, Plan};
pub use options::Options;
use part::Part;

/// What the command line says about this recipe.
pub const ABOUT: About = About {
    summary: "Sparse linear and logistic regression: lasso and elastic net",
    description: "Finds the few features that explain a target, by working sets and safe screening. The objective is half the mean squared error plus the penalty; lower is better. gap is an upper bound of how much lower it can be; --tolerance stops a \u{3bb} when it is below this part of the objective without any coefficient. One clock is one pass over the features that can still matter.",
    data: "target index:value index:value ...   libsvm\ntarget,feature,feature,...           csv, with or without a header\n%%MatrixMarket                       matrix coordinate or array, with --targets FILE",
    examples: "petuum lasso                                   # the built-in sample\npetuum lasso data.svm --lambda 0.01 -o model\npetuum lasso data.csv --path 100 --standardize  # a table of \u{3bb}\npetuum lasso spam.svm --loss logistic --folds 10 -o model",
    defaults: Defaults {
        staleness: 0,
        clocks: 100_000,
        clocks_per_pass: 1,
        tolerance: Some(1e-6),
    },
};

/// The recipe, from flags that were checked.
pub fn new(options: Options) -> Result<impl Program> {
    options.check()?;
    Ok(Lasso {
        options,
        leader: Mutex::new(None),
        names: Names::default(),
    })
}

/// Sparse regression.
struct Lasso {
    options: Options,
    /// Rank 0's state: what `pull` needs from clock to clock.
    leader: Mutex<Option<Leader>>,
    /// What of the data a model needs.
    names: Names,
}

impl Lasso {
    fn leader(&self) -> MutexGuard<'_, Option<Leader>> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_leader() -> Error {
    Error::Bug("rank 0 has no plan".into())
}

impl Program for Lasso {
    type Part = Part;
    type Task = ();
    type Partial = Found;
    type Update = Plan;

    fn columns(&self) -> Vec<&'static str> {
        vec!["gap", "nonzeros", "lambda", "deviance_explained", "fold", "heldout_deviance"]
    }

    fn tables(&self, _world: &World) -> Vec<TableSpec> {
        Vec::new()
    }

    fn load(&mut self, host: &Host) -> Result<Vec<Part>> {
        let loaded = load::load(&self.options, host)?;
        *self.leader() = loaded.leader;
        self.names = loaded.names;
        Ok(loaded.parts)
    }

    fn push(&self, part: &mut Part, (): (), _worker: &mut Worker) -> Result<()> {
        part.pass()?;
        part.extreme.map_or(Ok(()), |(column, size)| Err(self.names.extreme(column, size)))
    }

    fn partial(&self, part: &mut Part, _worker: &mut Worker) -> Result<Found> {
        Ok(std::mem::take(&mut part.found))
    }

    fn objective(&self, partials: &[Found]) -> Result<Objective> {
        let mut leader = self.leader();
        Ok(leader.as_mut().ok_or_else(no_leader)?.objective(partials))
    }

    /// Only when the last λ is solved.
    fn settled(&self, _before: &Objective, _now: &Objective, _tolerance: f64) -> bool {
        self.leader().as_ref().is_some_and(Leader::is_done)
    }

    fn pulls(&self, _clock: Clock) -> bool {
        true
    }

    fn pull(&self, _clock: Clock, partials: &[Found]) -> Result<Option<Plan>> {
        let mut leader = self.leader();
        Ok(leader.as_mut().ok_or_else(no_leader)?.decide(partials))
    }

    fn commit(&self, part: &mut Part, update: &Plan) {
        part.take(update);
    }

    fn save(&self, _parts: Vec<Part>, host: &Host, model: Option<&mut Model>) -> Result<()> {
        match self.leader().as_ref() {
            Some(leader) => save::save(&self.options, leader, &self.names, host, model),
            None => Ok(()),
        }
    }

    fn checkpoint(&self, part: &Part) -> Vec<Tensor> {
        let mut tensors = part.checkpoint();
        if part.is_first() {
            tensors.extend(self.leader().iter().flat_map(Leader::checkpoint));
        }
        tensors
    }

    fn restore(&self, part: &mut Part, mut tensors: Vec<Tensor>) -> Result<()> {
        part.restore(&mut tensors)?;
        match self.leader().as_mut() {
            Some(leader) if part.is_first() => leader.restore(&mut tensors),
            _ => Ok(()),
        }
    }
}
