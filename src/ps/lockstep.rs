//! Bulk synchrony: updates wait until every worker of the world has completed their clock, and are
//! then added in worker order, so that equal runs give bit-identical tables.
//!
//! The order is the same however the workers are spread over ranks, because a rank sends each
//! worker's updates by themselves. Floating-point sums therefore do not depend on the number of
//! processes either.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::ps::outbox::Arrived;
use crate::ps::shared::AnyTable;
use crate::wire::message::{Clock, Rank, RowBatch};

/// A worker's changes by table: boxed `Deltas`, nothing for exclusive tables.
pub(super) type DeltaSet = Vec<Option<Box<dyn Any + Send>>>;

/// The contents of messages to one rank, in order.
pub(super) type Contents = Vec<Vec<RowBatch>>;

/// What one worker did in one clock.
pub(super) struct WorkerClock {
    /// Its changes; those of this rank's rows will be taken from here.
    pub(super) deltas: DeltaSet,
    /// By rank: the changes of that rank's rows, as messages. Empty once sent.
    pub(super) exports: Vec<Contents>,
}

/// Updates that wait for their clock to be completed.
pub(super) struct Lockstep {
    rank: usize,
    /// The newest clock whose updates are in the tables.
    applied: Clock,
    /// The newest clock whose updates have left for the other ranks.
    sent: Clock,
    /// By local worker: clocks `applied + 1 ..`.
    own: Vec<VecDeque<WorkerClock>>,
    /// By rank: what has arrived, in order.
    arrived: Vec<VecDeque<Arrived>>,
    /// What has been applied, not yet cleared.
    spare: Vec<DeltaSet>,
}

impl Lockstep {
    pub(super) fn new(ranks: u32, rank: Rank, workers: usize) -> Lockstep {
        Lockstep {
            rank: rank as usize,
            applied: -1,
            sent: -1,
            own: (0..workers).map(|_| VecDeque::new()).collect(),
            arrived: (0..ranks).map(|_| VecDeque::new()).collect(),
            spare: Vec::new(),
        }
    }

    /// Everything before `clock` is in the tables.
    pub(super) fn start_at(&mut self, clock: Clock) {
        self.applied = clock - 1;
        self.sent = clock - 1;
    }

    /// A local worker's updates of its clock.
    pub(super) fn hand_in(&mut self, worker: usize, clock: WorkerClock) {
        self.own[worker].push_back(clock);
    }

    /// The memory of updates that are in the tables, to be cleared and used again.
    pub(super) fn spare(&mut self) -> DeltaSet {
        self.spare.pop().unwrap_or_default()
    }

    /// Updates from another rank, in order.
    pub(super) fn arrive(&mut self, rank: Rank, arrived: Arrived) {
        self.arrived[rank as usize].push_back(arrived);
    }

    /// If a clock up to `completed` has not left yet: its number and, by rank, what goes there, each
    /// worker's updates by themselves and in worker order.
    pub(super) fn leave(&mut self, completed: Clock) -> Option<(Clock, Vec<Contents>)> {
        if self.sent >= completed {
            return None;
        }
        self.sent += 1;
        let position = (self.sent - self.applied - 1) as usize;
        let mut contents = vec![Contents::new(); self.arrived.len()];
        for own in &mut self.own {
            for (to, from) in contents.iter_mut().zip(&mut own[position].exports) {
                to.append(from);
            }
        }
        Some((self.sent, contents))
    }

    /// Adds to the tables what belongs to clocks up to `completed`; the newest clock that is in.
    pub(super) fn apply(
        &mut self,
        completed: Clock,
        tables: &[Option<Arc<dyn AnyTable>>],
    ) -> Clock {
        while self.applied < completed {
            self.applied += 1;
            for rank in 0..self.arrived.len() {
                if rank == self.rank {
                    self.apply_own(tables);
                } else {
                    self.apply_arrived(rank, tables);
                }
            }
        }
        self.applied
    }

    fn apply_own(&mut self, tables: &[Option<Arc<dyn AnyTable>>]) {
        for own in &mut self.own {
            let Some(clock) = own.pop_front() else {
                continue;
            };
            for (table, deltas) in tables.iter().zip(&clock.deltas) {
                if let (Some(table), Some(deltas)) = (table, deltas) {
                    table.apply_deltas(deltas.as_ref(), self.applied - 1);
                }
            }
            self.spare.push(clock.deltas);
        }
    }

    fn apply_arrived(&mut self, rank: usize, tables: &[Option<Arc<dyn AnyTable>>]) {
        while let Some(arrived) = self.arrived[rank].pop_front() {
            for batch in arrived.batches.iter() {
                if let Some(Some(table)) = tables.get(batch.table as usize) {
                    table.apply(batch, None, self.applied - 1);
                }
            }
            if arrived.completes >= self.applied {
                break;
            }
        }
    }
}
