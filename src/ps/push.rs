//! Fresh rows between two ranks: what this rank owes another, and what it has got from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::ps::outbox::due;
use crate::wire::message::{Clock, Message, RowBatch, TableId};

/// How far ahead of the next push a push may arrive.
const EARLY_MAX: u64 = 1 << 20;

/// The pushes from this rank to another.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    next: u64,
    /// The stamp of the last push that held for all rows.
    complete: Option<Clock>,
    /// How many of the other rank's batches it knows to be included.
    included: u64,
    /// Rows it asked for with a stamp that is not reached yet (lazy consistency).
    waiting: BTreeSet<(TableId, u64, Clock)>,
}

impl Pushes {
    /// Number of the next push.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// True if the other rank has been told that its batches `0 .. included` are included.
    pub(super) fn told(&self, included: u64) -> bool {
        self.included >= included
    }

    /// The stamp that the other rank knows to hold for all its rows.
    pub(super) fn complete(&self) -> Option<Clock> {
        self.complete
    }

    /// Sends `chunks` (at least one). With `complete` the stamp holds for all rows that the other
    /// rank holds; pushes from `covers` on that it lacks are made up for.
    pub(super) fn send(
        &mut self,
        chunks: Vec<Vec<RowBatch>>,
        (stamp, included): (Clock, u64),
        complete: bool,
        covers: Option<u64>,
        mut out: impl FnMut(Message),
    ) {
        let last = chunks.len() - 1;
        let mut covers = covers;
        for (i, batches) in chunks.into_iter().enumerate() {
            let number = self.next;
            self.next += 1;
            out(Message::Rows {
                number,
                covers: covers.take().unwrap_or(number),
                stamp,
                complete: complete && i == last,
                included,
                batches,
            });
        }
        self.included = self.included.max(included);
        if complete {
            self.complete = Some(stamp);
        }
    }

    /// Rows that have to be sent as soon as they have this stamp.
    pub(super) fn wait(&mut self, table: TableId, rows: &[u64], stamp: Clock) {
        self.waiting
            .extend(rows.iter().map(|row| (table, *row, stamp)));
    }

    /// The rows that waited for this stamp or an older one, by table, ascending.
    pub(super) fn reached(&mut self, stamp: Clock) -> Vec<(TableId, Vec<u64>)> {
        let mut reached: Vec<(TableId, Vec<u64>)> = Vec::new();
        self.waiting.retain(|(table, row, wanted)| {
            if *wanted > stamp {
                return true;
            }
            match reached.last_mut() {
                Some((last, rows)) if last == table => {
                    if rows.last() != Some(row) {
                        rows.push(*row);
                    }
                }
                _ => reached.push((*table, vec![*row])),
            }
            false
        });
        reached
    }
}

/// What a push says besides its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    pub(super) number: u64,
    pub(super) covers: u64,
    /// The stamp, if it holds for all rows.
    pub(super) complete: Option<Clock>,
    pub(super) included: u64,
}

/// The pushes from another rank to this one.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// All pushes before this one have arrived, or need not.
    next: u64,
    early: BTreeMap<u64, Meta>,
    /// A read was refused since the last push arrived.
    refused: bool,
    /// Ticks since something was overdue.
    age: u32,
}

/// What is now known because all pushes up to some number have arrived.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// A stamp that holds for all rows.
    pub(super) complete: Option<Clock>,
    /// Own batches before this one are in whatever comes from now on.
    pub(super) included: u64,
}

impl Arrivals {
    /// The first push that is missing.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// True if the push with this number has not been here before; an error if its number cannot be.
    pub(super) fn is_new(&self, number: u64) -> Result<bool> {
        if number >= self.next + EARLY_MAX {
            return Err(Error::Other(format!(
                "push {number} arrived while {} is expected",
                self.next
            )));
        }
        Ok(number >= self.next && !self.early.contains_key(&number))
    }

    /// Notes a new push, after its rows were taken over.
    pub(super) fn arrive(&mut self, meta: Meta) -> Settled {
        self.refused = false;
        self.early.insert(meta.number, meta);
        let mut settled = Settled::default();
        // A push is next in line when everything before it is here or covered by it.
        while let Some((number, meta)) = self.next_in_line() {
            self.next = number + 1;
            self.early = self.early.split_off(&self.next);
            self.age = 0;
            settled.complete = settled.complete.max(meta.complete);
            settled.included = settled.included.max(meta.included);
        }
        settled
    }

    fn next_in_line(&self) -> Option<(u64, Meta)> {
        let fits = |(number, meta): (&u64, &Meta)| {
            (meta.covers.min(*number) <= self.next).then_some((*number, *meta))
        };
        self.early.iter().find_map(fits)
    }

    /// A read had to be refused.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// A tick has passed; true if it is time to repeat what was asked for.
    pub(super) fn tick(&mut self) -> bool {
        self.age = match self.refused || !self.early.is_empty() {
            true => self.age + 1,
            false => 0,
        };
        due(self.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(number: u64, covers: u64, complete: Clock) -> Meta {
        Meta {
            number,
            covers,
            complete: Some(complete),
            included: number * 10,
        }
    }

    #[test]
    fn a_stamp_holds_for_all_rows_only_without_a_gap() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.arrive(meta(0, 0, 3)).complete, Some(3));
        assert_eq!(arrivals.arrive(meta(2, 2, 5)).complete, None);
        assert!(!arrivals.is_new(2).unwrap() && !arrivals.is_new(0).unwrap());
        assert!(arrivals.is_new(1).unwrap() && arrivals.is_new(1 << 30).is_err());
        let settled = arrivals.arrive(meta(1, 1, 4));
        assert_eq!((settled.complete, settled.included), (Some(5), 20));
        assert_eq!(arrivals.next(), 3);
    }

    #[test]
    fn a_refresh_makes_up_for_lost_pushes() {
        let mut arrivals = Arrivals::default();
        arrivals.arrive(meta(3, 3, 3));
        assert!(!arrivals.tick() && arrivals.tick());
        // Pushes 0, 1, 2 and 4 are lost; 5 covers what is missing from 0 on.
        assert_eq!(arrivals.arrive(meta(5, 0, 6)).complete, Some(6));
        assert_eq!(arrivals.next(), 6);
        assert!(!arrivals.is_new(4).unwrap());
    }

    #[test]
    fn waiting_rows_leave_when_their_stamp_is_reached() {
        let mut pushes = Pushes::default();
        pushes.wait(0, &[1, 5], 2);
        pushes.wait(0, &[5], 1);
        pushes.wait(1, &[4], 1);
        // A wish for an older stamp does not wait for a wish for a newer one.
        assert_eq!(pushes.reached(1), [(0, vec![5]), (1, vec![4])]);
        pushes.wait(0, &[5], 3);
        assert_eq!(pushes.reached(3), [(0, vec![1, 5])]);
        assert!(pushes.reached(9).is_empty());
    }
}
