//! Update batches between two ranks: numbered, kept until they come back as included, repeated when
//! that is overdue, and taken in exactly once and in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::wire::message::{Clock, Message, RowBatch, TableId};

/// How far ahead of the next batch a batch may arrive. Without a limit a peer that counts wrongly
/// would fill the memory instead of ending the run.
const EARLY_MAX: u64 = 1 << 20;

/// True in the ticks in which something of this age, in ticks, is repeated: the second, then more
/// and more rarely, so that what is merely slow is not buried in repetitions.
pub(super) fn due(age: u32) -> bool {
    age >= 2 && (age.is_power_of_two() || age.is_multiple_of(16))
}

/// The update batches from this rank to another.
#[derive(Debug)]
pub(super) struct Outbox {
    next: u64,
    completes: Clock,
    /// Not yet included, oldest first: numbers `next - sent.len() .. next`.
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    completes: Clock,
    answer: bool,
    batches: Arc<Vec<RowBatch>>,
    /// Ticks since it was sent.
    age: u32,
}

impl Sent {
    fn message(&self) -> Message {
        Message::Updates {
            number: self.number,
            completes: self.completes,
            answer: self.answer,
            batches: self.batches.clone(),
        }
    }
}

impl Outbox {
    /// Nothing sent; the other rank knows that this one has completed `completes`.
    pub(super) fn new(completes: Clock) -> Outbox {
        Outbox {
            next: 0,
            completes,
            sent: VecDeque::new(),
        }
    }

    /// The clock that this rank's workers have completed, as far as was sent.
    pub(super) fn completes(&self) -> Clock {
        self.completes
    }

    /// Sends changes in as many messages as there are `chunks`, at least one; the last of them
    /// `completes` a clock and asks for an `answer`.
    pub(super) fn send(
        &mut self,
        chunks: Vec<Vec<RowBatch>>,
        completes: Clock,
        answer: bool,
        mut out: impl FnMut(Message),
    ) {
        let last = chunks.len() - 1;
        for (i, batches) in chunks.into_iter().enumerate() {
            if i == last {
                self.completes = self.completes.max(completes);
            }
            let sent = Sent {
                number: self.next,
                completes: self.completes,
                answer: answer && i == last,
                batches: Arc::new(batches),
                age: 0,
            };
            out(sent.message());
            self.next += 1;
            self.sent.push_back(sent);
        }
    }

    /// Number of batches that have not come back as included.
    pub(super) fn unacknowledged(&self) -> usize {
        self.sent.len()
    }

    /// Batches `0 .. included` are in the rows that have come from the other rank.
    pub(super) fn forget(&mut self, included: u64) {
        while self.sent.front().is_some_and(|sent| sent.number < included) {
            self.sent.pop_front();
        }
    }

    /// The batches from number `included` on: those that rows which include the ones before lack.
    pub(super) fn in_flight(&self, included: u64) -> InFlight {
        let sent = self.sent.iter().filter(|sent| sent.number >= included);
        InFlight(sent.map(|sent| sent.batches.clone()).collect())
    }

    /// Refuses what cannot be: rows that include batches never sent.
    pub(super) fn check(&self, included: u64) -> Result<()> {
        match included <= self.next {
            true => Ok(()),
            false => Err(Error::Other(
                "rows include updates that were never sent".into(),
            )),
        }
    }

    /// A tick has passed: repeats what is overdue.
    pub(super) fn tick(&mut self, mut out: impl FnMut(Message)) {
        for sent in &mut self.sent {
            sent.age += 1;
            if due(sent.age) {
                out(sent.message());
            }
        }
    }
}

/// Batches on their way, oldest first.
#[derive(Debug, Default)]
pub(super) struct InFlight(Vec<Arc<Vec<RowBatch>>>);

impl InFlight {
    /// Their changes to one table.
    pub(super) fn of(&self, table: TableId) -> impl Iterator<Item = &RowBatch> {
        self.0
            .iter()
            .flat_map(|batches| batches.iter())
            .filter(move |batch| batch.table == table)
    }
}

/// An update batch as it arrived.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) completes: Clock,
    pub(super) answer: bool,
    pub(super) batches: Arc<Vec<RowBatch>>,
}

/// The update batches from another rank to this one.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    next: u64,
    early: BTreeMap<u64, Arrived>,
}

impl Inbox {
    /// Number of batches taken in.
    pub(super) fn included(&self) -> u64 {
        self.next
    }

    /// Takes in a batch; returns those whose turn it now is, in order. A batch that was here before
    /// is ignored.
    pub(super) fn arrive(&mut self, number: u64, arrived: Arrived) -> Result<Vec<Arrived>> {
        if number >= self.next + EARLY_MAX {
            return Err(Error::Other(format!(
                "update batch {number} arrived while {} is expected",
                self.next
            )));
        }
        if number >= self.next {
            self.early.entry(number).or_insert(arrived);
        }
        let mut ready = Vec::new();
        while let Some(arrived) = self.early.remove(&self.next) {
            ready.push(arrived);
            self.next += 1;
        }
        Ok(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(completes: Clock) -> Arrived {
        Arrived {
            completes,
            answer: false,
            batches: Arc::default(),
        }
    }

    #[test]
    fn the_inbox_restores_order_and_ignores_duplicates() {
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        for number in [2u64, 0, 2, 0, 1, 1, 4, 3, 0] {
            let ready = inbox.arrive(number, arrived(number as Clock)).unwrap();
            seen.extend(ready.iter().map(|a| a.completes));
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(inbox.included(), 5);
        assert!(inbox.arrive(u64::MAX - (1 << 40), arrived(0)).is_err());
    }

    #[test]
    fn the_outbox_keeps_and_repeats_until_included() {
        let mut outbox = Outbox::new(-1);
        let mut sent = Vec::new();
        outbox.send(vec![vec![], vec![]], 0, true, |m| sent.push(m));
        assert!(matches!(
            sent[..],
            [
                Message::Updates {
                    number: 0,
                    completes: -1,
                    answer: false,
                    ..
                },
                Message::Updates {
                    number: 1,
                    completes: 0,
                    answer: true,
                    ..
                }
            ]
        ));
        outbox.forget(1);
        assert_eq!(outbox.in_flight(0).0.len(), 1);
        assert!(outbox.check(2).is_ok() && outbox.check(3).is_err());
        let mut ticks = Vec::new();
        for tick in 1..=32 {
            outbox.tick(|_| ticks.push(tick));
        }
        assert_eq!(ticks, [2, 4, 8, 16, 32]);
        outbox.forget(2);
        assert_eq!(outbox.in_flight(0).0.len(), 0);
    }
}
