//! Changes to rows that have not left yet, summed per row.

use crate::ps::rows::{RowRef, merge};
use crate::ps::table::{Element, add};

/// Summed changes to the rows of one table (or of one shard of it), by key `0 .. keys`.
///
/// Finding a row is one look into a direct map; clearing costs as much as was touched; after the
/// first clocks nothing is allocated. The map's untouched pages never become resident.
#[derive(Debug)]
pub(super) struct Deltas<T> {
    /// By key: one more than the position in `touched`, 0 for an untouched row.
    positions: Vec<u32>,
    /// The keys of touched rows, in order of first touch.
    touched: Vec<u64>,
    /// Elements per row.
    width: usize,
    /// Dense: the sum of `touched[i]` at `i * width ..`. Longer than that after a clear.
    dense: Vec<T>,
    /// Sparse: the sums by position; lists beyond `touched` are spare memory.
    lists: Option<Vec<Vec<(u32, T)>>>,
}

impl<T: Element> Deltas<T> {
    /// No changes to `keys` rows.
    pub(super) fn new(sparse: bool, width: u32, keys: usize) -> Deltas<T> {
        Deltas {
            positions: vec![0; keys],
            touched: Vec::new(),
            width: width as usize,
            dense: Vec::new(),
            lists: sparse.then(Vec::new),
        }
    }

    /// True if no row was touched.
    pub(super) fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// The touched rows' keys, in order of first touch: position by position.
    pub(super) fn touched(&self) -> &[u64] {
        &self.touched
    }

    /// The change at a position of [`Deltas::touched`].
    pub(super) fn at(&self, position: usize) -> RowRef<'_, T> {
        match &self.lists {
            Some(lists) => RowRef::Pairs(&lists[position]),
            None => RowRef::Dense(&self.dense[position * self.width..(position + 1) * self.width]),
        }
    }

    /// The change to the row `key`, if there is one.
    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<RowRef<'_, T>> {
        match self.positions[key as usize] {
            0 => None,
            position => Some(self.at(position as usize - 1)),
        }
    }

    /// The change of dense row `key`, if there is one, to be changed.
    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut [T]> {
        let start = self.find(key)? * self.width;
        self.dense.get_mut(start..start + self.width)
    }

    /// The change of dense row `key`, zero if there was none, to be changed.
    pub(super) fn dense_mut(&mut self, key: u64) -> &mut [T] {
        let (position, new) = self.position(key);
        let (start, end) = (position * self.width, (position + 1) * self.width);
        if self.dense.len() < end {
            self.dense.resize(end, T::default());
        }
        if new {
            self.dense[start..end].fill(T::default());
        }
        &mut self.dense[start..end]
    }

    /// The position of row `key` in [`Deltas::touched`], if there is a change to it.
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        (self.positions[key as usize] as usize).checked_sub(1)
    }

    /// Forgets the change at `position`; the last one takes its place.
    pub(super) fn remove(&mut self, position: usize) {
        let last = self.touched.len() - 1;
        if position < last && self.lists.is_none() {
            let (from, width) = (last * self.width, self.width);
            self.dense.copy_within(from..from + width, position * width);
        }
        if let Some(lists) = &mut self.lists {
            lists.swap(position, last);
        }
        let key = self.touched.swap_remove(position);
        if let Some(moved) = self.touched.get(position) {
            self.positions[*moved as usize] = position as u32 + 1;
        }
        self.positions[key as usize] = 0;
    }

    /// Adds all elements of `delta` to the change of dense row `key`.
    #[inline]
    pub(super) fn inc(&mut self, key: u64, delta: &[T]) {
        let (position, new) = self.position(key);
        let start = position * self.width;
        if new {
            let end = start + self.width;
            if self.dense.len() < end {
                self.dense.resize(end, T::default());
            }
            self.dense[start..end].copy_from_slice(delta);
        } else {
            add(&mut self.dense[start..start + self.width], delta);
        }
    }

    /// Adds `delta` to one element of sparse row `key`.
    #[inline]
    pub(super) fn inc_sparse(&mut self, key: u64, column: u32, delta: T) {
        let list = self.list(key);
        let at = list.partition_point(|(c, _)| *c < column);
        match list.get_mut(at) {
            Some((c, sum)) if *c == column => *sum = sum.plus(delta),
            _ => list.insert(at, (column, delta)),
        }
    }

    /// Adds a whole change to the change of row `key`.
    pub(super) fn inc_row(&mut self, key: u64, delta: RowRef<'_, T>) {
        match delta {
            RowRef::Dense(delta) => self.inc(key, delta),
            delta => merge(self.list(key), delta.pairs(), false),
        }
    }

    /// Forgets all changes, keeps the memory.
    pub(super) fn clear(&mut self) {
        for key in self.touched.drain(..) {
            self.positions[key as usize] = 0;
        }
    }

    /// The list of sparse row `key`.
    fn list(&mut self, key: u64) -> &mut Vec<(u32, T)> {
        let (position, new) = self.position(key);
        let lists = self.lists.get_or_insert_default();
        if new {
            if lists.len() <= position {
                lists.push(Vec::new());
            }
            lists[position].clear();
        }
        &mut lists[position]
    }

    /// Where the change of row `key` lies, and whether it is its first touch.
    #[inline]
    fn position(&mut self, key: u64) -> (usize, bool) {
        match self.positions[key as usize] {
            0 => {
                self.touched.push(key);
                self.positions[key as usize] = self.touched.len() as u32;
                (self.touched.len() - 1, true)
            }
            position => (position as usize - 1, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_changes_sum_and_clear() {
        let mut deltas: Deltas<i64> = Deltas::new(false, 2, 10);
        for _ in 0..2 {
            assert!(deltas.is_empty() && deltas.get(7).is_none());
            deltas.inc(7, &[1, 2]);
            deltas.inc(3, &[10, 20]);
            deltas.inc_row(7, RowRef::Dense(&[1, 1]));
            assert_eq!(deltas.touched(), [7, 3]);
            assert!(matches!(deltas.get(7), Some(RowRef::Dense([2, 3]))));
            assert!(matches!(deltas.at(1), RowRef::Dense([10, 20])));
            deltas.clear();
        }
    }

    #[test]
    fn single_changes_are_removed() {
        for sparse in [false, true] {
            let mut deltas: Deltas<i32> = Deltas::new(sparse, 2, 10);
            for key in [7u32, 3, 5] {
                let value = key as i32;
                match sparse {
                    true => deltas.inc_sparse(key.into(), 1, value),
                    false => deltas.inc(key.into(), &[0, value]),
                }
            }
            for (removed, left) in [(7, vec![3, 5]), (5, vec![3]), (3, vec![])] {
                deltas.remove(deltas.find(removed).unwrap());
                assert!(deltas.find(removed).is_none());
                let mut keys = deltas.touched().to_vec();
                keys.sort_unstable();
                assert_eq!(keys, left);
                for key in left {
                    let sum = deltas
                        .get(key)
                        .unwrap()
                        .pairs()
                        .map(|(_, e)| e)
                        .sum::<i32>();
                    assert_eq!(sum, key as i32);
                }
            }
        }
    }

    #[test]
    fn sparse_changes_sum_by_column() {
        let mut deltas: Deltas<i32> = Deltas::new(true, 100, 10);
        for _ in 0..2 {
            deltas.inc_sparse(4, 50, 1);
            deltas.inc_sparse(4, 7, -1);
            deltas.inc_sparse(4, 50, 2);
            deltas.inc_row(4, RowRef::Columns(&[7, 9], &[1, 5]));
            assert!(matches!(
                deltas.get(4),
                Some(RowRef::Pairs([(7, 0), (9, 5), (50, 3)]))
            ));
            deltas.clear();
            assert!(deltas.get(4).is_none());
        }
    }
}
