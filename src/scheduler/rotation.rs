//! Blocks around a ring of workers, so that no two workers ever hold the same block.
//!
//! With P workers and B blocks (a multiple of P), worker w works in turn t on block
//! `(w·B/P + t) mod B`: the workers start B/P blocks apart and all walk in the same direction. Every
//! worker meets every block once per pass of B turns (STRADS LDA: Lee et al., NIPS 2014).
//!
//! A block leaves worker w at turn t for worker w − 1, which works on it at turn t + B/P. With B = P
//! it is wanted at once; with B = 2P the block for the next turn is already waiting while the one
//! before is worked on, so that a transfer hides behind a turn of work.

use crate::wire::message::WorkerId;

/// The ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    workers: u32,
    blocks: u32,
}

/// One worker's work in one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The block to work on.
    pub block: u32,
    /// How often the block was used before, by all workers: the turn number that
    /// `take_block` and `hand_over` speak of (`hand_over` takes `turn + 1`).
    pub turn: u64,
    /// The worker that uses the block next.
    pub next: WorkerId,
    /// This is the block's very first use: nobody hands it over, the worker makes it.
    pub first: bool,
    /// This is the block's last use within a pass.
    pub last_of_pass: bool,
}

impl Rotation {
    /// A ring of `blocks` blocks over `workers` workers.
    ///
    /// # Panics
    /// If there is no worker, or `blocks` is not a positive multiple of `workers`.
    pub fn new(workers: u32, blocks: u32) -> Rotation {
        assert!(
            workers > 0 && blocks > 0 && blocks.is_multiple_of(workers),
            "{blocks} blocks cannot rotate over {workers} workers"
        );
        Rotation { workers, blocks }
    }

    /// Number of blocks, which is also the number of turns in a pass.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// What `worker` does in its turn `turn`, counted from 0 through all passes.
    pub fn task(&self, worker: WorkerId, turn: u64) -> Turn {
        let (workers, blocks) = (u64::from(self.workers), u64::from(self.blocks));
        let stride = blocks / workers;
        let start = u64::from(worker) * stride;
        let block = (start + turn % blocks) % blocks;
        // A block is used once every `stride` turns, first in turn `block % stride`.
        let used = turn / stride;
        Turn {
            block: block as u32,
            turn: used,
            next: (worker + self.workers - 1) % self.workers,
            first: used == 0,
            last_of_pass: used % workers == workers - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RINGS: [(u32, u32); 9] = [
        (1, 1),
        (1, 4),
        (2, 2),
        (2, 4),
        (3, 3),
        (3, 9),
        (4, 8),
        (5, 20),
        (16, 32),
    ];

    #[test]
    fn no_two_workers_hold_the_same_block() {
        for (workers, blocks) in RINGS {
            let ring = Rotation::new(workers, blocks);
            for turn in 0..3 * u64::from(blocks) {
                let mut held: Vec<u32> = (0..workers).map(|w| ring.task(w, turn).block).collect();
                held.sort_unstable();
                held.dedup();
                assert_eq!(held.len(), workers as usize, "{workers} {blocks} {turn}");
            }
        }
    }

    #[test]
    fn every_worker_sees_every_block_once_per_pass() {
        for (workers, blocks) in RINGS {
            let ring = Rotation::new(workers, blocks);
            for worker in 0..workers {
                for pass in 0..3 {
                    let turns = pass * u64::from(blocks)..(pass + 1) * u64::from(blocks);
                    let mut seen: Vec<u32> = turns.map(|t| ring.task(worker, t).block).collect();
                    seen.sort_unstable();
                    assert_eq!(seen, (0..blocks).collect::<Vec<_>>());
                }
            }
        }
    }

    /// Plays three passes turn by turn and compares every answer with the block's own history.
    #[test]
    fn turns_continue_each_blocks_history() {
        for (workers, blocks) in RINGS {
            let ring = Rotation::new(workers, blocks);
            let mut uses: Vec<Vec<u32>> = vec![Vec::new(); blocks as usize];
            let mut promised: Vec<Option<u32>> = vec![None; blocks as usize];
            for turn in 0..3 * u64::from(blocks) {
                for worker in 0..workers {
                    let task = ring.task(worker, turn);
                    let b = task.block as usize;
                    assert_eq!(task.turn, uses[b].len() as u64);
                    assert_eq!(task.first, uses[b].is_empty());
                    assert!(promised[b].is_none_or(|to| to == worker));
                    uses[b].push(worker);
                    promised[b] = Some(task.next);
                    let passes_whole = uses[b].len().is_multiple_of(workers as usize);
                    assert_eq!(task.last_of_pass, passes_whole);
                }
            }
        }
    }

    #[test]
    fn with_two_blocks_per_worker_the_next_block_is_free_already() {
        let ring = Rotation::new(4, 8);
        for turn in 0..24 {
            let busy: Vec<u32> = (0..4).map(|w| ring.task(w, turn).block).collect();
            for worker in 0..4 {
                assert!(!busy.contains(&ring.task(worker, turn + 1).block));
            }
        }
    }
}
