//! What a recipe has to say, and nothing more: its tables, its data, and what `schedule`, `push`,
//! `pull` and `objective` do. The engine owns threads, sockets, clocks, records and checkpoints.
//!
//! The verbs are those of STRADS (Lee et al., NIPS 2014): *schedule* picks variables, *push* lets a
//! worker compute on its part, *pull* folds the workers' partial results. The tables are those of
//! the SSP parameter server (Ho et al., NIPS 2013).
//!
//! One clock of one worker, as the engine runs it:
//!
//! ```text
//! update = verdict of clock c - staleness - 1        (waits if it is not there yet)
//! commit(part, update)                               if pull made one
//! for task in schedule(c, worker) { push(part, task, worker) }
//! worker.clock()                                     deltas leave
//! partial(part, worker)                              if an objective or a pull is due; off the clock
//! ```
//!
//! and on rank 0, once every worker's partial of clock c is there: `objective(partials)`, then
//! `pull(partials)`, then the verdict. No worker waits for an evaluation longer than the staleness
//! bound makes it wait for anything else.

use crate::engine::{Host, Worker};
use crate::error::Result;
use crate::ps::{TableSpec, World};
use crate::snapshot::{Model, Tensor};
use crate::wire::message::{Clock, Elements, Portable, TableId, WorkerId};

/// The value and the program's own columns of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The objective, by the one formula that the program states and optimises.
    pub value: f64,
    /// The program's columns, in the order of [`Program::columns`]; `None` prints as an empty cell.
    pub columns: Vec<Option<f64>>,
}

/// A recipe.
///
/// Everything random comes from [`Worker::rng`] or [`Host::seed`]; then equal seeds, options and
/// workers give bit-identical runs under `bsp`.
pub trait Program: Send + Sync + 'static {
    /// What one worker holds: its share of the data and its private state.
    type Part: Send;
    /// What `schedule` hands to `push`: which variables, which block.
    type Task: Default + Send;
    /// One worker's share of the objective and of what `pull` folds.
    type Partial: Portable;
    /// What `pull` tells every worker.
    type Update: Portable;

    /// The program's record columns.
    fn columns(&self) -> Vec<&'static str>;

    /// True if a larger objective is better.
    fn maximises(&self) -> bool {
        false
    }

    /// What a run that left the finite numbers should try.
    fn remedy(&self) -> &'static str {
        "less extreme options, a smaller --staleness or --consistency bsp"
    }

    /// The tables, known after `load`; a [`crate::wire::message::TableId`] is an index into them.
    fn tables(&self, world: &World) -> Vec<TableSpec>;

    /// Reads this rank's share of the data and deals it out: one part per local worker, in order.
    fn load(&mut self, host: &Host) -> Result<Vec<Self::Part>>;

    /// Rows of dense shared tables that do not begin at zero, handed to `set` one by one. Called on
    /// every rank after `load`, or after `restore` and `rebuild`, with its parts; each rank keeps the rows that live
    /// there, so all must say the same. By default: nothing.
    fn begin(
        &self,
        _parts: &mut [Self::Part],
        _set: &mut dyn FnMut(TableId, u64, Elements) -> Result<()>,
    ) -> Result<()> {
        Ok(())
    }

    /// What `worker` computes in `clock`, in order. By default: everything, as one task.
    fn schedule(&self, _clock: Clock, _worker: WorkerId, _world: &World) -> Vec<Self::Task> {
        vec![Self::Task::default()]
    }

    /// Computes one task on the worker's part; reads and changes tables through `worker`.
    fn push(&self, part: &mut Self::Part, task: Self::Task, worker: &mut Worker) -> Result<()>;

    /// The worker's share of the objective after its clock. Not timed as training.
    fn partial(&self, part: &mut Self::Part, worker: &mut Worker) -> Result<Self::Partial>;

    /// Folds the shares of all workers, in worker order.
    fn objective(&self, partials: &[Self::Partial]) -> Result<Objective>;

    /// True if the run has converged by `--tolerance`, given two records that follow each other. By
    /// default: the objective changed by no more than this part of itself.
    fn settled(&self, before: &Objective, now: &Objective, tolerance: f64) -> bool {
        let (before, now) = (before.value, now.value);
        (now - before).abs() <= tolerance * before.abs().max(f64::MIN_POSITIVE)
    }

    /// True if the partials of `clock` are wanted by `pull` although no objective is due.
    fn pulls(&self, _clock: Clock) -> bool {
        false
    }

    /// Folds the shares of all workers, in worker order, into what every worker must know. By
    /// default: nothing.
    fn pull(&self, _clock: Clock, _partials: &[Self::Partial]) -> Result<Option<Self::Update>> {
        Ok(None)
    }

    /// Takes over what `pull` found. Every worker does so before the same clock.
    fn commit(&self, _part: &mut Self::Part, _update: &Self::Update) {}

    /// After the last clock, with the tables still there: brings into the part what `save` needs.
    fn finish(&self, _part: &mut Self::Part, _worker: &mut Worker) -> Result<()> {
        Ok(())
    }

    /// Writes the model. Called on every rank with its own parts; what other ranks hold comes
    /// through [`Host::gather`]. Only rank 0 has a `model`, and only if one is wanted.
    fn save(&self, parts: Vec<Self::Part>, host: &Host, model: Option<&mut Model>) -> Result<()>;

    /// Before [`Program::checkpoint`], with the tables there: brings into the part what it needs from
    /// them. By default: nothing. Not timed as training.
    fn before_checkpoint(&self, _part: &mut Self::Part, _worker: &mut Worker) -> Result<()> {
        Ok(())
    }

    /// What a worker must write down at a clock boundary to go on from there; the rest is rebuilt
    /// by `load`, `restore` and the first clock.
    fn checkpoint(&self, part: &Self::Part) -> Vec<Tensor>;

    /// Puts a freshly loaded part back to what `checkpoint` wrote.
    fn restore(&self, part: &mut Self::Part, tensors: Vec<Tensor>) -> Result<()>;

    /// After every part of this rank was restored, before clock `from`: makes again, together with
    /// the other ranks, what no checkpoint holds. By default: nothing.
    fn rebuild(&self, _parts: &mut [Self::Part], _from: Clock, _host: &Host) -> Result<()> {
        Ok(())
    }
}
