//! A side of the model with every worker: each worker's rows go once around the ring.
//!
//! Within a process what goes around is a reference, so that a process holds each side once however
//! many workers it has; between processes every row crosses each link of the ring once.

use std::sync::Arc;

use crate::engine::Worker;
use crate::error::Result;
use crate::wire::message::{Portable, TableId, WorkerId};

/// What goes around, and is not copied on its way.
struct Relayed<T>(Arc<T>);

impl<T: Portable + Sync> Portable for Relayed<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Relayed<T>> {
        T::decode(bytes).map(|value| Relayed(Arc::new(value)))
    }
}

/// Rounds so far in one table of exclusive blocks, one block for each worker.
#[derive(Debug)]
pub(super) struct Ring {
    table: TableId,
    rounds: u64,
}

impl Ring {
    /// The ring of a table that was not used yet.
    pub(super) fn new(table: TableId) -> Ring {
        Ring { table, rounds: 0 }
    }

    /// Every worker's value, in the order of the workers, for every worker. All workers call this
    /// equally often; a worker that is waited for holds up all.
    pub(super) fn gather<T: Portable + Sync>(
        &mut self,
        own: Arc<T>,
        worker: &mut Worker,
    ) -> Result<Vec<Arc<T>>> {
        let workers = worker.world().workers();
        let me = worker.id();
        let after = |of: WorkerId, steps: u32| (of + steps) % workers;
        let to = after(me, workers - 1);
        let first = self.rounds * u64::from(workers);
        self.rounds += 1;
        let mut all = vec![own];
        for step in 0..workers - 1 {
            let (block, turn) = (after(me, step), first + u64::from(step));
            let value = Relayed(Arc::clone(&all[step as usize]));
            worker.hand_over(self.table, block, turn + 1, to, value);
            let Relayed(next) = worker.acquire(self.table, after(me, step + 1), turn + 1)?;
            all.push(next);
        }
        all.rotate_right(me as usize);
        Ok(all)
    }
}
