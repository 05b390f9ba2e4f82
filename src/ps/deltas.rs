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
