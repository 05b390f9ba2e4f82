//! The rows that live on this rank, and who else reads them.

use crate::ps::rows::{RowRef, Rows};
use crate::ps::table::Element;
use crate::wire::message::Rank;

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
    changed: Bits,
    /// The slots in `changed`.
    list: Vec<u32>,
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

    fn remove(&mut self, slot: usize) {
        if let Some(word) = self.0.get_mut(slot / 64) {
            *word &= !(1 << (slot % 64));
        }
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

    /// Adds a change. It has to be pushed to all readers but `knows`, who has it already.
    pub(super) fn add(&mut self, slot: usize, delta: RowRef<'_, T>, knows: Option<Rank>) {
        self.rows.add(slot, delta);
        for (rank, reader) in self.readers.iter_mut().enumerate() {
            if knows != Some(rank as Rank) && reader.registered.has(slot) {
                reader.mark(slot);
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
                reader.mark(slot as usize);
            }
        }
    }

    /// True if something has changed for `rank`.
    pub(super) fn has_changed(&self, rank: Rank) -> bool {
        self.readers
            .get(rank as usize)
            .is_some_and(|reader| !reader.list.is_empty())
    }

    /// The registered rows of `rank` that have changed since this was last asked, in no order.
    pub(super) fn take_changed(&mut self, rank: Rank) -> Vec<u32> {
        let Some(reader) = self.readers.get_mut(rank as usize) else {
            return Vec::new();
        };
        let list = std::mem::take(&mut reader.list);
        for slot in &list {
            reader.changed.remove(*slot as usize);
        }
        list
    }
}

impl Reader {
    fn mark(&mut self, slot: usize) {
        if self.changed.add(slot) {
            self.list.push(slot as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_registered_rows_are_noted_once_per_reader() {
        let mut shard: Shard<i32> = Shard::new(Rows::new(false, 1, 200));
        shard.register(2, 130);
        shard.register(1, 130);
        shard.register(2, 7);
        shard.add(130, RowRef::Dense(&[1]), Some(1));
        shard.add(130, RowRef::Dense(&[1]), None);
        shard.add(50, RowRef::Dense(&[1]), None);
        assert_eq!(shard.take_changed(2), [130]);
        assert_eq!(shard.take_changed(1), [130]);
        assert!(!shard.has_changed(2) && shard.take_changed(0).is_empty());
        shard.add(7, RowRef::Dense(&[1]), Some(2));
        assert!(shard.take_changed(2).is_empty());
        shard.mark_all(2);
        assert_eq!(shard.take_changed(2), [7, 130]);
        assert!(matches!(shard.get(130), RowRef::Dense([2])));
    }
}
