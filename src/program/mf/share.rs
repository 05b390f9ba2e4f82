//! Stochastic gradient descent, data-parallel: items in a shared table, as stale as allowed.
//!
//! A clock is a segment of a worker's users, all their ratings. The worker reads each item that
//! they rated once, takes its steps on a copy, and adds what changed to the table. So within a clock
//! it sees its own steps at once and those of others not at all: with few `--clocks-per-pass` much
//! is computed on old factors, whatever the consistency. Users stay with their worker and are never
//! stale.
//!
//! **Steps on items know of staleness** (`--step-scaling`; `program/staleness.rs`). Each worker shortens
//! its own steps by the squared errors that it has met itself: P workers with a P-th of an item's ratings
//! each would be √P too quick, which is the √P that both rules take back.
//!
//! **Stable rates**: test RMSE after 10 passes of `petuum generate mf --ratings 1000000 --users 12000
//! --items 6000`, `-k 32 --regularization 0.03 --clocks-per-pass 4`, on 2 cores:
//!
//! | 8 workers | scaling | rate 0.03 | 0.1 | 0.3 | 1 |
//! |---|---|---|---|---|---|
//! | `bsp` | `none` | 0.836 | diverges | diverges | diverges |
//! | `bsp` | `delay` = `staleness` | 0.851 | 0.784 | diverges | diverges |
//! | `essp`, s = 3 | `none` | 0.836 | 0.773 | 0.801 | diverges |
//! | `essp`, s = 3 | `delay` | 0.856 | 0.790 | 0.786 | diverges |
//! | `essp`, s = 3 | `staleness` | 0.867 | 0.803 | 0.780 | 0.809 |
//! | `async` | `delay` | 0.846 | 0.778 | 0.797 | diverges |
//!
//! `bsp` is the hard case: all workers always start from the same old factors. The default, 0.1
//! here, is stable in all of them with `delay`.
//!
//! **The last record** is of the saved model under `bsp`. Under `ssp`, `essp` and `async` it tells of
//! items as each worker read them when the clock ended, which may miss what others did in the last s
//! clocks; the model is written when everything has arrived.

use std::sync::Arc;

use super::part::Users;
use super::{ITEMS, Setup};
use crate::engine::Worker;
use crate::error::Result;
use crate::math::factors::{Factors, Head, Step};
use crate::program::staleness::{Lateness, Progress};
use crate::wire::message::{Elements, TableId};

/// The table of the clocks that each worker has completed.
pub(super) const PROGRESS: TableId = 1;

/// A worker's view of the shared items. Rows are positions of the partition.
#[derive(Debug)]
pub(super) struct Shared {
    /// What all items begin with, until the table has it; one worker of a process brings it.
    pub(super) start: Option<Factors>,
    /// The items as this worker sees them in this clock, and for good in their heads the squared
    /// errors that it has met.
    pub(super) seen: Factors,
    /// The items that each clock of a pass needs, ascending.
    pub(super) needed: Vec<Vec<u64>>,
    /// What is known of the clocks of others.
    pub(super) progress: Progress,
    /// The items of this worker's block, where others must know of them at the end.
    pub(super) own: Option<Factors>,
}

impl Shared {
    /// Learns from one segment of the users.
    pub(super) fn push(
        &mut self,
        setup: &Setup,
        users: &mut Users,
        segment: usize,
        worker: &mut Worker,
    ) -> Result<()> {
        let rows = std::mem::take(&mut self.needed[segment]);
        let mut late = self.read(&rows, setup.step.floor(), worker)?;
        let before = Copied::of(&self.seen, &rows);
        let step = Step {
            others: self.progress.scale(setup.scaling, late.take(), worker)? as f32,
            ..setup.step
        };
        let factors = Arc::make_mut(&mut users.factors);
        let clocks = setup.clocks_per_pass as usize;
        for (user, ratings) in users.train.segment(segment, clocks) {
            let one = factors.one(user);
            users.kernel.learn(one, &mut self.seen, ratings, &step);
        }
        before.inc_changes(&self.seen, &rows, worker);
        self.needed[segment] = rows;
        Ok(())
    }

    /// Reads items; the staleness that was observed. Where factors are to be no less than
    /// `floor`, a sum of steps may be less: each step knew that the others kept to it.
    fn read(&mut self, rows: &[u64], floor: f32, worker: &mut Worker) -> Result<Lateness> {
        worker.prefetch(ITEMS, rows);
        let mut late = Lateness::default();
        for &row in rows {
            let at = row as usize;
            let (bias, factors) = worker
                .read::<f32>(ITEMS, row)?
                .split_last()
                .unwrap_or((&0.0, &[]));
            self.seen.heads_mut()[at].bias = *bias;
            let to = self.seen.row_mut(at).iter_mut();
            to.zip(factors).for_each(|(to, from)| *to = from.max(floor));
            late.note(worker);
        }
        Ok(late)
    }

    /// The worker's share of the objective, by items as the read rule shows them to it.
    pub(super) fn evaluate(
        &mut self,
        setup: &Setup,
        users: &mut Users,
        worker: &mut Worker,
    ) -> Result<()> {
        let mut rows: Vec<u64> = setup.by_block.block(worker.id()).map(u64::from).collect();
        rows.extend(users.train.items().chain(users.test.items()).map(u64::from));
        rows.sort_unstable();
        rows.dedup();
        self.read(&rows, setup.step.floor(), worker)?;
        users.begin_sums(setup);
        users.measure(0, &self.seen);
        let first = setup.by_block.block(worker.id()).start as usize;
        users.penalise(setup, worker.id(), &self.seen, first);
        Ok(())
    }

    /// Copies the items of this worker's block: all blocks together are the items. A checkpoint has
    /// them as the table does, with `floor` −∞.
    pub(super) fn copy_own(
        &mut self,
        setup: &Setup,
        floor: f32,
        worker: &mut Worker,
    ) -> Result<()> {
        let positions = setup.by_block.block(worker.id());
        let rows: Vec<u64> = positions.clone().map(u64::from).collect();
        self.read(&rows, floor, worker)?;
        let mut own = Factors::zeros(rows.len(), self.seen.rank());
        for (to, from) in positions.enumerate() {
            let from = from as usize;
            own.row_mut(to).copy_from_slice(self.seen.row(from));
            own.heads_mut()[to] = self.seen.heads()[from];
        }
        self.own = Some(own);
        Ok(())
    }

    /// Hands over what all items begin with.
    pub(super) fn begin(
        &mut self,
        set: &mut dyn FnMut(TableId, u64, Elements) -> Result<()>,
    ) -> Result<()> {
        let Some(start) = self.start.take() else {
            return Ok(());
        };
        (0..start.len()).try_for_each(|row| {
            let mut elements = start.row(row).to_vec();
            elements.push(start.heads()[row].bias);
            set(ITEMS, row as u64, Elements::F32(elements))
        })
    }
}

/// Rows as they were read, biases last.
struct Copied(Vec<f32>);

impl Copied {
    fn of(factors: &Factors, rows: &[u64]) -> Copied {
        let mut copy = Vec::with_capacity(rows.len() * (factors.rank() + 1));
        for &row in rows {
            copy.extend_from_slice(factors.row(row as usize));
            copy.push(factors.heads()[row as usize].bias);
        }
        Copied(copy)
    }

    /// Adds what has changed since to the table.
    fn inc_changes(mut self, factors: &Factors, rows: &[u64], worker: &mut Worker) {
        let width = factors.rank() + 1;
        for (&row, change) in rows.iter().zip(self.0.chunks_exact_mut(width)) {
            let Head { bias, .. } = factors.heads()[row as usize];
            let now = factors.row(row as usize).iter().chain([&bias]);
            for (change, now) in change.iter_mut().zip(now) {
                *change = now - *change;
            }
            worker.inc(ITEMS, row, change);
        }
    }
}
