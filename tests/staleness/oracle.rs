//! What every read may and must show. In each table, cell `[row][w]` counts the increments of
//! worker `w`, so that a row's value tells exactly which updates it includes.

use petuum::ps::{Bound, Consistency, Staleness};
use petuum::wire::message::{Clock, WorkerId};

/// What one worker did to one row of one table.
#[derive(Debug, Clone)]
struct Cell {
    /// The sum of all its increments.
    made: i64,
    /// The sums at which increments left the worker, ascending: all that others can ever see.
    left: Vec<i64>,
    /// The sum at the end of each clock.
    done: Vec<i64>,
}

/// The truth about every update, and the rule.
pub(super) struct Oracle {
    bound: Bound,
    /// How much stricter than the rule to be, in clocks: to show that violations are seen.
    tighter: Clock,
    /// By table, row, worker.
    cells: Vec<Vec<Vec<Cell>>>,
    /// By reader, table, row, worker: the value seen last.
    seen: Vec<Vec<Vec<Vec<i64>>>>,
}

/// A read: who, when, what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) worker: WorkerId,
    pub(super) at: Clock,
    pub(super) table: usize,
    pub(super) row: usize,
    /// The reader has settled: nothing may be missing.
    pub(super) settled: bool,
}

impl Oracle {
    pub(super) fn new(
        bound: Bound,
        tighter: Clock,
        (tables, rows, workers): (usize, usize, usize),
    ) -> Oracle {
        let cell = Cell {
            made: 0,
            left: vec![0],
            done: Vec::new(),
        };
        Oracle {
            bound,
            tighter,
            cells: vec![vec![vec![cell; workers]; rows]; tables],
            seen: vec![vec![vec![vec![0; workers]; rows]; tables]; workers],
        }
    }

    /// The worker adds `count` to its cell.
    pub(super) fn inc(&mut self, worker: WorkerId, table: usize, row: usize, count: i64) {
        self.cells[table][row][worker as usize].made += count;
    }

    /// The worker's increments leave; `clock` if that ends its clock.
    pub(super) fn leave(&mut self, worker: WorkerId, clock: bool) {
        for cell in self
            .cells
            .iter_mut()
            .flatten()
            .map(|row| &mut row[worker as usize])
        {
            if cell.left.last() != Some(&cell.made) {
                cell.left.push(cell.made);
            }
            if clock {
                cell.done.push(cell.made);
            }
        }
    }

    /// True if updates can leave in the middle of a clock.
    pub(super) fn publishes(&self) -> bool {
        self.bound.consistency() != Consistency::Bsp
    }

    /// The sum of everything done to a row.
    pub(super) fn total(&self, table: usize, row: usize) -> Vec<i64> {
        self.cells[table][row]
            .iter()
            .map(|cell| cell.made)
            .collect()
    }

    /// Checks what a read saw, and the staleness that was counted for it.
    pub(super) fn check(
        &mut self,
        read: Read,
        value: &[i64],
        counted: Staleness,
    ) -> Result<(), String> {
        let cells = &self.cells[read.table][read.row];
        let mut stamp = Clock::MAX;
        for (w, (cell, value)) in cells.iter().zip(value).enumerate() {
            let own = w == read.worker as usize;
            let what = |wrong| format!("{read:?} saw {value} of worker {w}, {wrong}: {cell:?}");
            if own && *value != cell.made {
                return Err(what("not exactly its own updates"));
            }
            if !own {
                self.check_other(read, cell, *value).map_err(what)?;
                stamp = stamp.min(newest_included(cell, *value));
            }
            if *value < self.seen[read.worker as usize][read.table][read.row][w] {
                return Err(what("older than what it saw before"));
            }
        }
        self.seen[read.worker as usize][read.table][read.row].copy_from_slice(value);
        self.check_staleness(read, stamp, counted)
    }

    fn check_other(&self, read: Read, cell: &Cell, value: i64) -> Result<(), &'static str> {
        let exact = self.bound.consistency() == Consistency::Bsp || read.settled;
        let must = match (self.bound.consistency(), exact) {
            (_, true) => read.at - 1,
            (Consistency::Async, _) => -1,
            _ => read.at - 1 - i64::from(self.bound.staleness()) + self.tighter,
        };
        if value < after(cell, must) {
            return Err("which misses updates within the bound");
        }
        if self.bound.consistency() == Consistency::Bsp && value != after(cell, read.at - 1) {
            return Err("which is newer than the clock before");
        }
        match cell.left.binary_search(&value) {
            Ok(_) => Ok(()),
            Err(_) => Err("which was never the state of its updates"),
        }
    }

    /// One read was counted; its staleness is not below the truth, and not above the bound.
    fn check_staleness(&self, read: Read, stamp: Clock, counted: Staleness) -> Result<(), String> {
        let truth = (read.at - 1 - stamp).max(0) as u64;
        let bound = match (self.bound.consistency(), read.settled) {
            (_, true) => 0,
            (Consistency::Async, _) => u64::MAX,
            _ => u64::from(self.bound.staleness()),
        };
        let right = counted.reads == 1
            && counted.sum == counted.max
            && counted.counts.iter().sum::<u64>() == 1
            && counted.counts.get(counted.max as usize) == Some(&1)
            && (truth..=bound.max(truth)).contains(&counted.max);
        match right && counted.max <= bound {
            true => Ok(()),
            false => Err(format!(
                "{read:?} is {truth} clocks stale, counted as {counted:?}"
            )),
        }
    }
}

/// The sum of a worker's increments after it completed `clock`.
fn after(cell: &Cell, clock: Clock) -> i64 {
    match usize::try_from(clock) {
        Ok(clock) if !cell.done.is_empty() => cell.done[clock.min(cell.done.len() - 1)],
        _ => 0,
    }
}

/// The newest clock of this worker that `value` includes whole; if it includes all its completed
/// clocks, any later one.
fn newest_included(cell: &Cell, value: i64) -> Clock {
    let whole = cell.done.partition_point(|sum| *sum <= value);
    if whole == cell.done.len() {
        Clock::MAX
    } else {
        whole as Clock - 1
    }
}
