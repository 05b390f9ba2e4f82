//! How the elements of rows lie in memory.

use crate::math::pages;
use crate::ps::table::{Element, ElementType, add};

/// A row, or a change to one, borrowed from wherever it lies.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowRef<'a, T> {
    /// All elements.
    Dense(&'a [T]),
    /// Columns, strictly ascending, with their elements.
    Pairs(&'a [(u32, T)]),
    /// The same in two slices of one length.
    Columns(&'a [u32], &'a [T]),
}

impl<'a, T: Element> RowRef<'a, T> {
    /// The elements with their columns, ascending.
    pub(super) fn pairs(self) -> impl Iterator<Item = (u32, T)> + Clone + use<'a, T> {
        let len = match self {
            RowRef::Dense(elements) | RowRef::Columns(_, elements) => elements.len(),
            RowRef::Pairs(pairs) => pairs.len(),
        };
        (0..len).map(move |i| match self {
            RowRef::Dense(elements) => (i as u32, elements[i]),
            RowRef::Pairs(pairs) => pairs[i],
            RowRef::Columns(columns, elements) => (columns[i], elements[i]),
        })
    }

    /// The elements alone.
    fn elements(self) -> impl Iterator<Item = T> + use<'a, T> {
        let (slice, pairs): (&[T], &[(u32, T)]) = match self {
            RowRef::Dense(elements) | RowRef::Columns(_, elements) => (elements, &[]),
            RowRef::Pairs(pairs) => (&[], pairs),
        };
        let of_pairs = pairs.iter().map(|(_, element)| *element);
        slice.iter().copied().chain(of_pairs)
    }

    /// The sum of the elements' absolute values.
    pub(super) fn magnitude(self) -> f64 {
        self.elements().map(T::magnitude).sum()
    }

    /// About as many bytes as the row takes on the wire.
    pub(super) fn wire_bytes(self) -> u32 {
        let columns = match self {
            RowRef::Dense(_) => 0,
            _ => self.held(),
        };
        let elements: usize = match T::TYPE {
            ElementType::F32 | ElementType::U32 => 4 * self.held(),
            ElementType::F64 => 8 * self.held(),
            _ => self.elements().map(T::wire_bytes).sum(),
        };
        (2 + columns + elements) as u32
    }

    /// Number of elements that are held.
    pub(super) fn held(self) -> usize {
        match self {
            RowRef::Dense(elements) | RowRef::Columns(_, elements) => elements.len(),
            RowRef::Pairs(pairs) => pairs.len(),
        }
    }
}

/// Rows by slot: one arena for dense rows, one sorted list each for sparse ones.
#[derive(Debug)]
pub(super) enum Rows<T> {
    /// `elements[slot * width ..]`.
    Dense {
        /// Elements per row.
        width: usize,
        /// All rows, one after the other.
        elements: Vec<T>,
    },
    /// Non-zero elements by ascending column.
    Sparse(Vec<Vec<(u32, T)>>),
}

impl<T: Element> Rows<T> {
    /// `slots` rows of zeros. Dense memory becomes resident when it is first touched.
    pub(super) fn new(sparse: bool, width: u32, slots: usize) -> Rows<T> {
        let width = width as usize;
        if sparse {
            Rows::Sparse(vec![Vec::new(); slots])
        } else {
            let elements = vec![T::default(); slots * width];
            pages::prefer_large(&elements);
            Rows::Dense { width, elements }
        }
    }

    /// One more row of zeros, at the end.
    pub(super) fn push(&mut self) {
        match self {
            Rows::Dense { width, elements } => {
                let before = elements.capacity();
                elements.resize(elements.len() + *width, T::default());
                pages::prefer_large_after(elements, before);
            }
            Rows::Sparse(rows) => rows.push(Vec::new()),
        }
    }

    /// The row at `slot`.
    #[inline]
    pub(super) fn get(&self, slot: usize) -> RowRef<'_, T> {
        match self {
            Rows::Dense { width, elements } => {
                RowRef::Dense(&elements[slot * width..(slot + 1) * width])
            }
            Rows::Sparse(rows) => RowRef::Pairs(&rows[slot]),
        }
    }

    /// Adds `delta` to the row at `slot`.
    #[inline]
    pub(super) fn add(&mut self, slot: usize, delta: RowRef<'_, T>) {
        match (self, delta) {
            (Rows::Dense { width, elements }, RowRef::Dense(delta)) => {
                add(&mut elements[slot * *width..(slot + 1) * *width], delta);
            }
            (Rows::Dense { width, elements }, delta) => {
                let row = &mut elements[slot * *width..(slot + 1) * *width];
                for (column, element) in delta.pairs() {
                    row[column as usize] = row[column as usize].plus(element);
                }
            }
            (Rows::Sparse(rows), delta) => merge(&mut rows[slot], delta.pairs(), true),
        }
    }

    /// Sets the row at `slot` to `value`.
    pub(super) fn set(&mut self, slot: usize, value: RowRef<'_, T>) {
        match (&mut *self, value) {
            (Rows::Dense { width, elements }, RowRef::Dense(value)) => {
                elements[slot * *width..(slot + 1) * *width].copy_from_slice(value);
                return;
            }
            (Rows::Dense { width, elements }, _) => {
                elements[slot * *width..(slot + 1) * *width].fill(T::default());
            }
            (Rows::Sparse(rows), _) => rows[slot].clear(),
        }
        self.add(slot, value);
    }
}

/// Adds sorted `delta` to the sorted `row`; `drop_zeros` removes what cancelled out.
///
/// Two passes, so that a delta that only meets columns already there (the common case in a settled
/// model) moves nothing, and one with many new columns moves everything once.
pub(super) fn merge<T: Element>(
    row: &mut Vec<(u32, T)>,
    delta: impl Iterator<Item = (u32, T)> + Clone,
    drop_zeros: bool,
) {
    let zero = T::default();
    let (mut from, mut missing, mut cancelled) = (0, 0, false);
    for (column, element) in delta.clone() {
        from += row[from..].partition_point(|(c, _)| *c < column);
        match row.get_mut(from) {
            Some((c, sum)) if *c == column => {
                *sum = sum.plus(element);
                cancelled |= *sum == zero;
            }
            _ => missing += usize::from(element != zero),
        }
    }
    if missing > 0 {
        insert_missing(row, delta, missing);
    }
    if cancelled && drop_zeros {
        row.retain(|(_, element)| *element != zero);
    }
}

/// Inserts the `missing` non-zero elements of `delta` whose columns `row` lacks.
fn insert_missing<T: Element>(
    row: &mut Vec<(u32, T)>,
    delta: impl Iterator<Item = (u32, T)>,
    missing: usize,
) {
    let old = row.len();
    row.reserve(missing);
    let mut from = 0;
    for (column, element) in delta {
        from += row[from..old].partition_point(|(c, _)| *c < column);
        let known = from < old && row[from].0 == column;
        if !known && element != T::default() {
            row.push((column, element));
        }
    }
    // Two sorted runs; the stable sort merges them in one pass.
    row.sort_by_key(|(column, _)| *column);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn sparse_rows_agree_with_a_map() {
        let mut rng = SplitMix64::seed_from_u64(7);
        for _ in 0..500 {
            let mut rows: Rows<i32> = Rows::new(true, 20, 1);
            let mut map: BTreeMap<u32, i32> = BTreeMap::new();
            for _ in 0..6 {
                let mut delta: BTreeMap<u32, i32> = BTreeMap::new();
                for _ in 0..rng.next_u64() % 12 {
                    let value = (rng.next_u64() % 5) as i32 - 2;
                    delta.insert((rng.next_u64() % 20) as u32, value);
                }
                let pairs: Vec<(u32, i32)> = delta.into_iter().collect();
                rows.add(0, RowRef::Pairs(&pairs));
                for (column, element) in pairs {
                    *map.entry(column).or_default() += element;
                }
                map.retain(|_, element| *element != 0);
                assert!(rows.get(0).pairs().eq(map.iter().map(|(c, e)| (*c, *e))));
            }
        }
    }

    #[test]
    fn dense_rows_add_set_and_grow() {
        let mut rows: Rows<f32> = Rows::new(false, 3, 1);
        rows.push();
        rows.add(1, RowRef::Dense(&[1.0, 2.0, 3.0]));
        rows.add(1, RowRef::Columns(&[2], &[4.0]));
        rows.set(0, RowRef::Dense(&[9.0, 9.0, 9.0]));
        rows.set(0, RowRef::Pairs(&[(1, 5.0)]));
        assert!(matches!(rows.get(0), RowRef::Dense([0.0, 5.0, 0.0])));
        assert!(matches!(rows.get(1), RowRef::Dense([1.0, 2.0, 7.0])));
    }
}
