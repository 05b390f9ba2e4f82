//! Who has completed which clock, readable from any thread without a lock.
//!
//! All accesses are sequentially consistent: of two workers that complete a clock at the same time,
//! at least one must see both, or nobody would notice that the clock is complete.

use std::sync::atomic::Ordering::SeqCst;

use crate::ps::sync::AtomicI64;
use crate::ps::world::World;
use crate::wire::message::{Clock, Rank, WorkerId};

/// The clocks as this rank knows them.
#[derive(Debug)]
pub(super) struct Clocks {
    rank: usize,
    first: WorkerId,
    /// By local worker: the clock it is at.
    local: Vec<AtomicI64>,
    /// By rank: the newest clock that all its workers have completed and whose updates are here.
    completes: Vec<AtomicI64>,
    /// The newest clock all of whose updates are in this rank's home rows.
    stamp: AtomicI64,
}

impl Clocks {
    /// All workers at clock 0. A rank without workers has completed everything.
    pub(super) fn new(world: &World, rank: Rank) -> Clocks {
        let completes = |rank| {
            if world.local(rank).is_empty() {
                Clock::MAX
            } else {
                -1
            }
        };
        Clocks {
            rank: rank as usize,
            first: world.local(rank).start,
            local: world.local(rank).map(|_| AtomicI64::new(0)).collect(),
            completes: (0..world.ranks())
                .map(|r| AtomicI64::new(completes(r)))
                .collect(),
            stamp: AtomicI64::new(-1),
        }
    }

    /// All workers at `clock`, with everything before it included everywhere.
    pub(super) fn start_at(&self, clock: Clock) {
        self.local.iter().for_each(|at| at.store(clock, SeqCst));
        self.completes.iter().for_each(|completes| {
            completes.fetch_max(clock - 1, SeqCst);
        });
        self.stamp.store(clock - 1, SeqCst);
    }

    /// The clock that a local worker is at.
    pub(super) fn at(&self, worker: WorkerId) -> Clock {
        self.local[(worker - self.first) as usize].load(SeqCst)
    }

    /// The newest clock all of whose updates are in this rank's home rows.
    #[inline]
    pub(super) fn stamp(&self) -> Clock {
        self.stamp.load(SeqCst)
    }

    /// The newest clock that all workers of this rank have completed.
    pub(super) fn own(&self) -> Clock {
        self.completes[self.rank].load(SeqCst)
    }

    /// The newest clock that all workers of all ranks have completed, as far as is known here.
    pub(super) fn all(&self) -> Clock {
        let completes = self
            .completes
            .iter()
            .map(|completes| completes.load(SeqCst));
        completes.min().unwrap_or(-1)
    }

    /// A local worker completes its clock, after its updates were handed in. True if that completes
    /// a clock of this rank.
    pub(super) fn turn(&self, worker: WorkerId) -> bool {
        self.local[(worker - self.first) as usize].fetch_add(1, SeqCst);
        let slowest = self.local.iter().map(|at| at.load(SeqCst)).min();
        let own = slowest.unwrap_or(0) - 1;
        self.raise(self.rank as Rank, own)
    }

    /// All workers of `rank` have completed `clock`, and their updates are here; true if that is news.
    pub(super) fn raise(&self, rank: Rank, clock: Clock) -> bool {
        self.completes[rank as usize].fetch_max(clock, SeqCst) < clock
    }

    /// All updates up to `clock` are in the home rows; true if that is news.
    pub(super) fn raise_stamp(&self, clock: Clock) -> bool {
        self.stamp.fetch_max(clock, SeqCst) < clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_complete_when_the_slowest_has_completed_it() {
        let clocks = Clocks::new(&World::new(&[2, 1, 0]), 0);
        assert_eq!((clocks.own(), clocks.all()), (-1, -1));
        assert!(!clocks.turn(0) && !clocks.turn(0));
        assert_eq!(clocks.own(), -1);
        assert!(clocks.turn(1));
        assert_eq!((clocks.own(), clocks.all(), clocks.at(0)), (0, -1, 2));
        assert!(clocks.raise(1, 3) && !clocks.raise(1, 2));
        assert_eq!(clocks.all(), 0);
    }
}
