//! Who takes part: how many workers each rank runs, and which rank a worker lives on.

use std::ops::Range;

use crate::wire::message::{Rank, WorkerId};

/// The ranks of a run and the workers on each; the same value on every rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// First worker of each rank, and the number of workers last.
    first: Vec<WorkerId>,
}

impl World {
    /// A world with `workers[r]` workers on rank `r`.
    pub fn new(workers: &[u32]) -> World {
        let mut first = vec![0];
        for count in workers {
            first.push(first[first.len() - 1] + count);
        }
        World { first }
    }

    /// Number of ranks.
    pub fn ranks(&self) -> u32 {
        self.first.len() as u32 - 1
    }

    /// Number of workers over all ranks.
    pub fn workers(&self) -> u32 {
        self.first[self.first.len() - 1]
    }

    /// The workers that live on `rank`.
    pub fn local(&self, rank: Rank) -> Range<WorkerId> {
        self.first[rank as usize]..self.first[rank as usize + 1]
    }

    /// The rank that `worker` lives on; `worker` must be below [`World::workers`].
    pub fn rank_of(&self, worker: WorkerId) -> Rank {
        self.first.partition_point(|first| *first <= worker) as Rank - 1
    }

    /// The rank that `worker` lives on, or None if there is no such worker.
    pub fn rank_of_checked(&self, worker: WorkerId) -> Option<Rank> {
        (worker < self.workers()).then(|| self.rank_of(worker))
    }
}
