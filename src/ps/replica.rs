//! This rank's copies of rows that live elsewhere, and the changes to them that have not left yet.
//!
//! A copy is the home's value, plus every change made on this rank that the value does not include:
//! first it waits in the stripe's outbox, then it is in flight (see `outbox.rs`), then it is
//! included. Both the copy and the outbox change under one lock, so that a fresh value can arrive
//! at any moment and no change is lost or counted twice.

use crate::ps::deltas::Deltas;
use crate::ps::rows::{RowRef, Rows};
use crate::ps::table::Element;
use crate::wire::message::Clock;

/// One stripe of the copies of one rank's rows.
#[derive(Debug)]
pub(super) struct Replica<T> {
    /// By slot: one more than the position in `held`, 0 for a row that nobody here asked for.
    positions: Vec<u32>,
    held: Vec<Held>,
    rows: Rows<T>,
    /// Changes that have not left yet, of rows held or not.
    outbox: Deltas<T>,
    /// By position in the outbox: the oldest clock that the change belongs to.
    since: Vec<Clock>,
    /// What rounding took off the changes that have left.
    residue: Deltas<T>,
}

/// What is known about a copy.
#[derive(Debug, Clone, Copy)]
struct Held {
    slot: u32,
    /// One more than the number of the push that brought the value; 0 while nothing has come.
    version: u64,
    /// The stamp it came with.
    stamp: Clock,
    /// The oldest and the newest stamp that were asked for and have not come; nothing is awaited
    /// if the newest is no newer than `stamp`. Workers at different clocks need different stamps,
    /// and the one behind must not wait for the one ahead.
    asked: (Clock, Clock),
}

impl Held {
    fn is_awaited(&self) -> bool {
        self.version == 0 || self.stamp < self.asked.1
    }
}

impl<T: Element> Replica<T> {
    /// No copies of a stripe of `slots` rows.
    pub(super) fn new(sparse: bool, width: u32, slots: usize) -> Replica<T> {
        Replica {
            positions: vec![0; slots],
            held: Vec::new(),
            rows: Rows::new(sparse, width, 0),
            outbox: Deltas::new(sparse, width, slots),
            since: Vec::new(),
            residue: Deltas::new(sparse, width, slots),
        }
    }

    /// The copy of the row at `slot` and the stamp it came with, if it has come.
    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<(RowRef<'_, T>, Clock)> {
        let position = self.position(slot)?;
        let held = &self.held[position];
        (held.version > 0).then(|| (self.rows.get(position), held.stamp))
    }

    /// Notes that the row is needed with this stamp; true if its home has to be told. Under eager
    /// consistency asking once is enough.
    pub(super) fn ask(&mut self, slot: usize, stamp: Clock, eager: bool) -> bool {
        match self.position(slot) {
            None => {
                self.hold(slot, (stamp, stamp));
                true
            }
            Some(_) if eager => false,
            Some(position) => {
                let held = &mut self.held[position];
                let (oldest, newest) = held.asked;
                if !held.is_awaited() {
                    held.asked = (stamp, stamp);
                    return true;
                }
                held.asked = (oldest.min(stamp), newest.max(stamp));
                held.asked != (oldest, newest)
            }
        }
    }

    /// The slots that were asked for in vain so far, with the oldest stamp that helps.
    pub(super) fn unanswered(&self, eager: bool) -> impl Iterator<Item = (usize, Clock)> + '_ {
        let waits = move |h: &&Held| h.version == 0 || (!eager && h.is_awaited());
        self.held
            .iter()
            .filter(waits)
            .map(|h| (h.slot as usize, h.asked.0))
    }

    /// Adds a change made on this rank in `clock`, to the copy (if there is one) and to the outbox.
    pub(super) fn add(&mut self, slot: usize, delta: RowRef<'_, T>, clock: Clock) {
        self.outbox.inc_row(slot as u64, delta);
        match self.outbox.find(slot as u64) {
            Some(position) if position < self.since.len() => {
                self.since[position] = self.since[position].min(clock);
            }
            _ => self.since.push(clock),
        }
        if let Some(position) = self.position(slot) {
            self.rows.add(position, delta);
        }
    }

    /// Takes in a fresh value from push `number`, unless a later push was here before. `in_flight`
    /// adds this rank's changes that are neither in the value nor in the outbox.
    pub(super) fn receive(
        &mut self,
        slot: usize,
        value: RowRef<'_, T>,
        (number, stamp): (u64, Clock),
        in_flight: impl FnOnce(&mut dyn FnMut(RowRef<'_, T>)),
    ) {
        let position = match self.position(slot) {
            Some(position) => position,
            None => self.hold(slot, (Clock::MIN, Clock::MIN)),
        };
        let held = &mut self.held[position];
        if held.version > number {
            return;
        }
        held.version = number + 1;
        held.stamp = stamp;
        // What was asked for between the two may have to be asked for again.
        held.asked.0 = held.asked.1;
        self.rows.set(position, value);
        let rows = &mut self.rows;
        in_flight(&mut |delta| rows.add(position, delta));
        for kept in [&self.outbox, &self.residue] {
            if let Some(delta) = kept.get(slot as u64) {
                self.rows.add(position, delta);
            }
        }
    }

    /// The changes that have not left yet.
    pub(super) fn outbox(&self) -> &Deltas<T> {
        &self.outbox
    }

    /// The slots of the rows with such changes, with the oldest clock of each change.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (usize, Clock)> + '_ {
        let slots = self.outbox.touched().iter();
        slots
            .zip(&self.since)
            .map(|(slot, since)| (*slot as usize, *since))
    }

    /// All of them have left.
    pub(super) fn clear(&mut self) {
        self.outbox.clear();
        self.since.clear();
    }

    /// The change of the row at `slot` has left.
    pub(super) fn left(&mut self, slot: usize) {
        if let Some(position) = self.outbox.find(slot as u64) {
            self.outbox.remove(position);
            self.since.swap_remove(position);
        }
    }

    /// Rounds the dense change at `slot`, and what was left of it before, to what travels; keeps
    /// the rest.
    pub(super) fn round(&mut self, slot: usize) {
        let Some(delta) = self.outbox.get_mut(slot as u64) else {
            return;
        };
        let residue = self.residue.dense_mut(slot as u64);
        for (delta, residue) in delta.iter_mut().zip(residue) {
            let whole = delta.plus(*residue);
            *delta = whole.rounded();
            *residue = whole.minus(*delta);
        }
    }

    /// Puts all that rounding took off back into the outbox, to leave whole.
    pub(super) fn restore_residue(&mut self, clock: Clock) {
        let known = self.since.len();
        for (position, slot) in self.residue.touched().iter().enumerate() {
            self.outbox.inc_row(*slot, self.residue.at(position));
        }
        self.since
            .resize(self.outbox.touched().len().max(known), clock);
        self.residue.clear();
    }

    fn position(&self, slot: usize) -> Option<usize> {
        (self.positions[slot] as usize).checked_sub(1)
    }

    fn hold(&mut self, slot: usize, asked: (Clock, Clock)) -> usize {
        self.held.push(Held {
            slot: slot as u32,
            version: 0,
            stamp: Clock::MIN,
            asked,
        });
        self.rows.push();
        self.positions[slot] = self.held.len() as u32;
        self.held.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(replica: &Replica<i64>) -> (i64, Clock) {
        match replica.get(3).unwrap() {
            (RowRef::Dense([value]), stamp) => (*value, stamp),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn own_changes_are_always_in_the_copy_exactly_once() {
        let mut replica: Replica<i64> = Replica::new(false, 1, 8);
        replica.add(3, RowRef::Dense(&[1]), 0);
        assert!(replica.get(3).is_none());
        assert!(replica.ask(3, 0, true) && !replica.ask(3, 1, true));
        assert!(replica.get(3).is_none());
        replica.receive(3, RowRef::Dense(&[100]), (0, 0), |_| {});
        assert_eq!(value(&replica), (101, 0));
        replica.clear();
        replica.add(3, RowRef::Dense(&[2]), 1);
        assert_eq!(value(&replica), (103, 0));
        replica.receive(3, RowRef::Dense(&[200]), (5, 4), |add| {
            add(RowRef::Dense(&[1]))
        });
        assert_eq!(value(&replica), (203, 4));
        // A push overtaken by a later one changes nothing.
        replica.receive(3, RowRef::Dense(&[150]), (4, 3), |_| {});
        assert_eq!(value(&replica), (203, 4));
    }

    #[test]
    fn a_change_is_as_old_as_its_oldest_part() {
        let mut replica: Replica<i64> = Replica::new(false, 1, 8);
        replica.add(3, RowRef::Dense(&[1]), 5);
        replica.add(6, RowRef::Dense(&[1]), 6);
        replica.add(3, RowRef::Dense(&[1]), 4);
        replica.add(3, RowRef::Dense(&[1]), 9);
        assert_eq!(replica.waiting().collect::<Vec<_>>(), [(3, 4), (6, 6)]);
        replica.left(3);
        replica.add(3, RowRef::Dense(&[1]), 9);
        assert_eq!(replica.waiting().collect::<Vec<_>>(), [(6, 6), (3, 9)]);
    }

    #[test]
    fn what_rounding_takes_off_leaves_later() {
        let mut replica: Replica<f32> = Replica::new(false, 1, 8);
        let (step, mut sent) = (0.001_234_567, 0.0);
        for clock in 0..1000 {
            replica.add(3, RowRef::Dense(&[step]), clock);
            replica.round(3);
            let Some(RowRef::Dense([delta])) = replica.outbox().get(3) else {
                panic!("no change");
            };
            assert_eq!(delta.to_bits() & 0xffff, 0, "not a bfloat16");
            sent += f64::from(*delta);
            replica.left(3);
        }
        assert!((sent - 1000.0 * f64::from(step)).abs() < 1e-5, "{sent}");
        replica.restore_residue(1000);
        assert_eq!(replica.waiting().collect::<Vec<_>>(), [(3, 1000)]);
    }

    #[test]
    fn lazy_rows_are_asked_for_again_when_they_must_be_fresher() {
        let mut replica: Replica<i64> = Replica::new(false, 1, 8);
        assert!(replica.ask(3, 0, false) && !replica.ask(3, 0, false));
        assert!(replica.ask(3, 2, false));
        assert_eq!(replica.unanswered(false).collect::<Vec<_>>(), [(3, 0)]);
        replica.receive(3, RowRef::Dense(&[1]), (0, 2), |_| {});
        assert_eq!(replica.unanswered(false).count(), 0);
        assert!(replica.ask(3, 3, false));
    }

    #[test]
    fn a_worker_behind_does_not_wait_for_what_one_ahead_asked_for() {
        let mut replica: Replica<i64> = Replica::new(false, 1, 8);
        assert!(replica.ask(3, 4, false) && replica.ask(3, 1, false));
        assert_eq!(replica.unanswered(false).collect::<Vec<_>>(), [(3, 1)]);
        replica.receive(3, RowRef::Dense(&[1]), (0, 1), |_| {});
        assert_eq!(replica.unanswered(false).collect::<Vec<_>>(), [(3, 4)]);
        assert!(replica.ask(3, 2, false) && !replica.ask(3, 4, false));
    }
}
