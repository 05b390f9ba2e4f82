//! The rows that live on this rank, and who else reads them.

use crate::ps::rows::{RowRef, Rows};
use crate::ps::table::Element;
use crate::wire::message::{Clock, Rank};

/// One stripe of a table's home rows.
#[derive(Debug)]
pub(super) struct Shard<T> {
    rows: Rows<T>,
    /// By rank; a rank that registered no row has empty sets.
    readers: Vec<Reader>,
}

/// What another rank reads here, and what of it has changed since it was last pushed.
#[derive(Debug, Default, Clone)]
struct Reader {
    registered: Bits,
    /// By slot: one more than the position in `owed`, 0 for a row that has not changed.
    positions: Vec<u32>,
    owed: Vec<Owed>,
}

/// A row that has changed since a reader got it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Owed {
    pub(super) slot: u32,
    /// The reader's copy lacks changes of later clocks than this alone.
    pub(super) since: Clock,
    /// The sum of the changes' sizes, if they are weighed.
    pub(super) size: f64,
}

/// What has to be noted about a change for the readers of its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// A rank that has the change already.
    pub(super) knows: Option<Rank>,
    /// A stamp that the home had before the change was made: the change belongs to a later clock.
    pub(super) stamp: Clock,
    /// Whether sizes of changes matter.
    pub(super) weigh: bool,
}

/// A set of slots; without memory until the first one.
#[derive(Debug, Default, Clone)]
struct Bits(Vec<u64>);

impl Bits {
    fn has(&self, slot: usize) -> bool {
        self.0
            .get(slot / 64)
            .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Adds `slot`; true if it was not there.
    fn add(&mut self, slot: usize) -> bool {
        if self.0.len() <= slot / 64 {
            self.0.resize(slot / 64 + 1, 0);
        }
        let new = !self.has(slot);
        self.0[slot / 64] |= 1 << (slot % 64);
        new
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.0.len() * 64)
            .filter(|slot| self.has(*slot))
            .map(|slot| slot as u32)
    }
}

impl<T: Element> Shard<T> {
    /// A stripe of zeros, read by nobody.
    pub(super) fn new(rows: Rows<T>) -> Shard<T> {
        Shard {
            rows,
            readers: Vec::new(),
        }
    }

    /// The row at `slot`.
    #[inline]
    pub(super) fn get(&self, slot: usize) -> RowRef<'_, T> {
        self.rows.get(slot)
    }

    /// Sets a row, for a resumed run.
    pub(super) fn set(&mut self, slot: usize, value: RowRef<'_, T>) {
        self.rows.set(slot, value);
    }

    /// Adds a change. It has to be pushed to all readers but the one that has it already.
    pub(super) fn add(&mut self, slot: usize, delta: RowRef<'_, T>, mark: Mark) {
        self.rows.add(slot, delta);
        let mut size = None;
        for (rank, reader) in self.readers.iter_mut().enumerate() {
            if mark.knows != Some(rank as Rank) && reader.registered.has(slot) {
                let size = *size.get_or_insert_with(|| match mark.weigh {
                    true => delta.magnitude(),
                    false => 0.0,
                });
                reader.mark(slot, mark.stamp, size);
            }
        }
    }

    /// `rank` wants to be pushed this row's changes from now on.
    pub(super) fn register(&mut self, rank: Rank, slot: usize) {
        let rank = rank as usize;
        if self.readers.len() <= rank {
            self.readers.resize(rank + 1, Reader::default());
        }
        self.readers[rank].registered.add(slot);
    }

    /// The next push to `rank` has to bring every registered row.
    pub(super) fn mark_all(&mut self, rank: Rank) {
        if let Some(reader) = self.readers.get_mut(rank as usize) {
            for slot in reader.registered.clone().iter() {
                reader.mark(slot as usize, Clock::MIN, 0.0);
            }
        }
    }

    /// The registered rows of `rank` that have changed since it got them, in no order.
    pub(super) fn owed(&self, rank: Rank) -> &[Owed] {
        match self.readers.get(rank as usize) {
            Some(reader) => &reader.owed,
            None => &[],
        }
    }

    /// Takes all of them.
    pub(super) fn take_owed(&mut self, rank: Rank) -> Vec<Owed> {
        let Some(reader) = self.readers.get_mut(rank as usize) else {
            return Vec::new();
        };
        for owed in &reader.owed {
            reader.positions[owed.slot as usize] = 0;
        }
        std::mem::take(&mut reader.owed)
    }

    /// Takes one of them.
    pub(super) fn take_one(&mut self, rank: Rank, slot: usize) {
        if let Some(reader) = self.readers.get_mut(rank as usize) {
            reader.unmark(slot);
        }
    }
}

impl Reader {
    fn mark(&mut self, slot: usize, since: Clock, size: f64) {
        if self.positions.len() <= slot {
            self.positions.resize(slot + 1, 0);
        }
        let position = &mut self.positions[slot];
        match *position {
            0 => {
                self.owed.push(Owed {
                    slot: slot as u32,
                    since,
                    size,
                });
                *position = self.owed.len() as u32;
            }
            position => {
                let owed = &mut self.owed[position as usize - 1];
                owed.since = owed.since.min(since);
                owed.size += size;
            }
        }
    }

    fn unmark(&mut self, slot: usize) {
        let position = self.positions.get(slot).copied().unwrap_or(0);
        let Some(position) = (position as usize).checked_sub(1) else {
            return;
        };
        self.positions[slot] = 0;
        self.owed.swap_remove(position);
        if let Some(moved) = self.owed.get(position) {
            self.positions[moved.slot as usize] = position as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(owed: Vec<Owed>) -> Vec<u32> {
        owed.into_iter().map(|owed| owed.slot).collect()
    }

    fn mark(knows: Option<Rank>, stamp: Clock) -> Mark {
        Mark {
            knows,
            stamp,
            weigh: true,
        }
    }

    #[test]
    fn changes_of_registered_rows_are_noted_once_per_reader() {
        let mut shard: Shard<i32> = Shard::new(Rows::new(false, 1, 200));
        shard.register(2, 130);
        shard.register(1, 130);
        shard.register(2, 7);
        shard.add(130, RowRef::Dense(&[1]), mark(Some(1), 4));
        shard.add(130, RowRef::Dense(&[-3]), mark(None, 5));
        shard.add(50, RowRef::Dense(&[1]), mark(None, 5));
        let owed = Owed {
            slot: 130,
            since: 4,
            size: 4.0,
        };
        assert_eq!(shard.take_owed(2), [owed]);
        assert_eq!(
            shard.take_owed(1),
            [Owed {
                since: 5,
                size: 3.0,
                ..owed
            }]
        );
        assert!(shard.owed(2).is_empty() && shard.take_owed(0).is_empty());
        shard.add(7, RowRef::Dense(&[1]), mark(Some(2), 5));
        assert!(shard.take_owed(2).is_empty());
        shard.mark_all(2);
        assert_eq!(slots(shard.take_owed(2)), [7, 130]);
        assert!(matches!(shard.get(130), RowRef::Dense([-2])));
    }

    #[test]
    fn single_rows_are_taken() {
        let mut shard: Shard<i32> = Shard::new(Rows::new(false, 1, 200));
        for slot in [9, 4, 70] {
            shard.register(1, slot);
            shard.add(slot, RowRef::Dense(&[1]), mark(None, 0));
        }
        shard.take_one(1, 9);
        shard.take_one(1, 9);
        shard.take_one(1, 100);
        shard.add(9, RowRef::Dense(&[1]), mark(None, 3));
        shard.take_one(1, 70);
        let left: Vec<(u32, Clock)> = shard.owed(1).iter().map(|o| (o.slot, o.since)).collect();
        assert_eq!(left, [(9, 3), (4, 0)]);
    }
}
