//! Rows on their way: filling row batches up to a sensible message size, and reading what a peer
//! sent only after everything about it was checked.

use crate::error::{Error, Result};
use crate::ps::rows::RowRef;
use crate::ps::table::{Element, Partition};
use crate::wire::message::{Elements, Rank, RowBatch, TableId};

/// Messages with rows are cut at about this size unless told otherwise: large enough to amortise,
/// small enough that the receiver works on one while the next is on its way, and far below the
/// longest message: what fits into one frame is not put together again at its receiver.
pub(super) const CHUNK_BYTES: usize = (512 << 10) - 1024;

/// The shape of a table's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The table.
    pub(super) table: TableId,
    /// Number of rows.
    pub(super) rows: u64,
    /// Elements per row.
    pub(super) width: u32,
    /// Only non-zero elements are held.
    pub(super) sparse: bool,
    /// Floats travel as bfloat16.
    pub(super) half: bool,
}

impl Shape {
    /// The same, but whatever travels does so as it is.
    pub(super) fn whole(self) -> Shape {
        Shape {
            half: false,
            ..self
        }
    }

    /// About as many bytes as a row takes on the wire.
    pub(super) fn wire_bytes<T: Element>(self, content: RowRef<'_, T>) -> u32 {
        match self.half {
            true => 2 + 2 * content.held() as u32,
            false => content.wire_bytes(),
        }
    }
}

/// The content of some messages, each a list of at most one batch per table.
#[derive(Debug)]
pub(super) struct Chunks {
    full: Vec<Vec<RowBatch>>,
    open: Vec<RowBatch>,
    /// Of the open message.
    bytes: usize,
    bytes_max: usize,
}

impl Chunks {
    /// No rows. A message is cut before it would be longer than `bytes_max`, but has a row.
    pub(super) fn new(bytes_max: usize) -> Chunks {
        Chunks {
            full: Vec::new(),
            open: Vec::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// True if no row was added.
    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }

    /// About as many bytes as all messages take on the wire.
    pub(super) fn wire_bytes(&self) -> u64 {
        let batches = self.full.iter().flatten().chain(&self.open);
        batches.map(wire_bytes).sum()
    }

    /// The messages' contents, at least one (perhaps empty).
    pub(super) fn finish(mut self) -> Vec<Vec<RowBatch>> {
        if !self.open.is_empty() || self.full.is_empty() {
            self.full.push(self.open);
        }
        self.full
    }
}

/// Adds rows of one table, in ascending order, to [`Chunks`].
pub(super) struct Filler<'a, T> {
    chunks: &'a mut Chunks,
    shape: Shape,
    rows: Vec<u64>,
    ends: Vec<u32>,
    columns: Vec<u32>,
    elements: Vec<T>,
}

impl<'a, T: Element> Filler<'a, T> {
    pub(super) fn new(chunks: &'a mut Chunks, shape: Shape) -> Filler<'a, T> {
        Filler {
            chunks,
            shape,
            rows: Vec::new(),
            ends: Vec::new(),
            columns: Vec::new(),
            elements: Vec::new(),
        }
    }

    /// `rows` more rows are to come: a dense message then gets its memory in one piece.
    pub(super) fn expect(mut self, rows: usize) -> Filler<'a, T> {
        if !self.shape.sparse {
            let width = self.shape.width as usize;
            let fitting = self.chunks.bytes_max / (width * size_of::<T>()).max(1);
            self.elements.reserve_exact(rows.min(fitting) * width);
            self.rows.reserve(rows.min(fitting));
        }
        self
    }

    /// Adds one row; zeros of sparse rows are left out.
    #[inline]
    pub(super) fn row(&mut self, row: u64, content: RowRef<'_, T>) {
        let bytes = 12 + content.held() * (size_of::<T>() + 4 * usize::from(self.shape.sparse));
        if self.chunks.bytes > 0 && self.chunks.bytes + bytes > self.chunks.bytes_max {
            self.cut();
            let open = std::mem::take(&mut self.chunks.open);
            self.chunks.full.push(open);
            self.chunks.bytes = 0;
        }
        self.chunks.bytes += bytes;
        self.rows.push(row);
        match content {
            RowRef::Dense(elements) if self.shape.half => {
                let rounded = elements.iter().map(|element| element.rounded());
                self.elements.extend(rounded);
            }
            RowRef::Dense(elements) if !self.shape.sparse => {
                self.elements.extend_from_slice(elements);
            }
            content => {
                for (column, element) in content.pairs().filter(|(_, e)| *e != T::default()) {
                    self.columns.push(column);
                    self.elements.push(element);
                }
                self.ends.push(self.columns.len() as u32);
            }
        }
    }

    /// Adds all rows as the last batch of the open message.
    pub(super) fn end(mut self) {
        self.cut();
    }

    fn cut(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        self.chunks.open.push(RowBatch {
            table: self.shape.table,
            rows: std::mem::take(&mut self.rows),
            ends: std::mem::take(&mut self.ends),
            columns: std::mem::take(&mut self.columns),
            elements: match T::into_elements(std::mem::take(&mut self.elements)) {
                Elements::F32(elements) if self.shape.half => Elements::Bf16(elements),
                elements => elements,
            },
        });
    }
}

/// About as many bytes as a batch takes on the wire.
pub(super) fn wire_bytes(batch: &RowBatch) -> u64 {
    fn sum<T: Element>(elements: &[T]) -> usize {
        elements.iter().map(|element| element.wire_bytes()).sum()
    }
    let elements = match &batch.elements {
        Elements::F32(elements) => 4 * elements.len(),
        Elements::U32(elements) => 4 * elements.len(),
        Elements::F64(elements) => 8 * elements.len(),
        Elements::Bf16(elements) => 2 * elements.len(),
        Elements::I32(elements) => sum(elements),
        Elements::I64(elements) => sum(elements),
    };
    (2 * batch.rows.len() + batch.columns.len() + elements) as u64
}

/// A batch whose every number is within its bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked<'a, T> {
    batch: &'a RowBatch,
    elements: &'a [T],
    width: usize,
}

impl<'a, T: Element> Checked<'a, T> {
    /// Checks a batch against its table; all its rows must live on `home`.
    pub(super) fn new(
        batch: &'a RowBatch,
        shape: Shape,
        partition: Partition,
        home: Rank,
    ) -> Result<Checked<'a, T>> {
        let wrong = |what| Error::Other(format!("table {}: a batch of rows {what}", shape.table));
        let Some(elements) = T::of(&batch.elements) else {
            return Err(wrong("has elements of another type"));
        };
        check_rows(&batch.rows, shape, partition, home)?;
        let width = shape.width as usize;
        if shape.sparse {
            check_columns(batch, elements.len(), shape.width).map_err(wrong)?;
        } else if !batch.ends.is_empty() || !batch.columns.is_empty() {
            return Err(wrong("is sparse, the table dense"));
        } else if batch.rows.len().checked_mul(width) != Some(elements.len()) {
            return Err(wrong("has another number of elements than its rows need"));
        }
        Ok(Checked {
            batch,
            elements,
            width,
        })
    }

    /// A batch that was checked before.
    pub(super) fn again(batch: &'a RowBatch, shape: Shape) -> Checked<'a, T> {
        Checked {
            batch,
            elements: T::of(&batch.elements).unwrap_or(&[]),
            width: shape.width as usize,
        }
    }

    /// The row numbers.
    pub(super) fn rows(self) -> &'a [u64] {
        &self.batch.rows
    }

    /// The content of the row at `position`.
    #[inline]
    pub(super) fn at(self, position: usize) -> RowRef<'a, T> {
        if self.batch.ends.is_empty() {
            return RowRef::Dense(
                &self.elements[position * self.width..(position + 1) * self.width],
            );
        }
        let start = match position {
            0 => 0,
            _ => self.batch.ends[position - 1] as usize,
        };
        let range = start..self.batch.ends[position] as usize;
        RowRef::Columns(&self.batch.columns[range.clone()], &self.elements[range])
    }

    /// The content of `row`, if the batch has it.
    pub(super) fn find(self, row: u64) -> Option<RowRef<'a, T>> {
        // Most batches that are asked lie elsewhere.
        let (first, last) = (self.batch.rows.first()?, self.batch.rows.last()?);
        if row < *first || row > *last {
            return None;
        }
        let position = self.batch.rows.binary_search(&row).ok()?;
        Some(self.at(position))
    }
}

/// Row numbers: strictly ascending, in the table, at home on `home`.
pub(super) fn check_rows(
    rows: &[u64],
    shape: Shape,
    partition: Partition,
    home: Rank,
) -> Result<()> {
    let wrong = |what| Error::Other(format!("table {}: row numbers {what}", shape.table));
    if !rows.is_sorted_by(|a, b| a < b) {
        return Err(wrong("are not ascending"));
    }
    if rows.last().is_some_and(|row| *row >= shape.rows) {
        return Err(wrong("go beyond the table"));
    }
    if rows.iter().any(|row| partition.home(*row).rank != home) {
        return Err(wrong("belong to another rank"));
    }
    Ok(())
}

fn check_columns(batch: &RowBatch, elements: usize, width: u32) -> Result<(), &'static str> {
    if batch.columns.len() != elements || batch.ends.len() != batch.rows.len() {
        return Err("has columns, elements and rows that do not fit together");
    }
    let mut start = 0;
    for end in &batch.ends {
        let columns = batch
            .columns
            .get(start..*end as usize)
            .ok_or("has a row without an end")?;
        if !columns.is_sorted_by(|a, b| a < b) || columns.last().is_some_and(|c| *c >= width) {
            return Err("has columns that are not ascending or go beyond the row");
        }
        start = *end as usize;
    }
    if start != elements {
        return Err("has elements after its last row");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        table: 0,
        rows: 10,
        width: 4,
        sparse: true,
        half: false,
    };

    fn batch() -> RowBatch {
        RowBatch {
            table: 0,
            rows: vec![1, 5, 9],
            ends: vec![2, 2, 3],
            columns: vec![0, 3, 1],
            elements: Elements::I32(vec![7, 8, 9]),
        }
    }

    fn check(batch: &RowBatch) -> Result<Checked<'_, i32>> {
        Checked::new(batch, SHAPE, Partition::new(2, 1), 1)
    }

    #[test]
    fn a_good_batch_reads_back() {
        let batch = batch();
        let checked = check(&batch).unwrap();
        assert!(matches!(checked.at(0), RowRef::Columns([0, 3], [7, 8])));
        assert!(matches!(checked.find(5), Some(RowRef::Columns([], []))));
        assert!(matches!(checked.find(9), Some(RowRef::Columns([1], [9]))));
        assert!(checked.find(3).is_none());
    }

    #[test]
    fn every_wrong_number_is_refused() {
        let breaks: [fn(&mut RowBatch); 11] = [
            |b| b.rows[0] = 0,
            |b| b.rows[2] = 11,
            |b| b.rows[1] = 1,
            |b| b.ends[0] = 4,
            |b| b.ends[1] = 1,
            |b| b.ends[2] = 2,
            |b| b.columns[1] = 4,
            |b| b.columns[1] = 0,
            |b| b.ends.truncate(2),
            |b| b.columns.truncate(2),
            |b| b.elements = Elements::F32(vec![7.0, 8.0, 9.0]),
        ];
        for (i, break_it) in breaks.into_iter().enumerate() {
            let mut batch = batch();
            break_it(&mut batch);
            assert!(check(&batch).is_err(), "case {i}");
        }
    }

    #[test]
    fn long_contents_are_cut_into_messages_of_bounded_size() {
        let shape = Shape {
            rows: 1000,
            width: 1024,
            sparse: false,
            ..SHAPE
        };
        let mut chunks = Chunks::new(CHUNK_BYTES);
        let mut filler: Filler<'_, f64> = Filler::new(&mut chunks, shape);
        for row in 0..1000 {
            filler.row(row, RowRef::Dense(&[row as f64; 1024]));
        }
        filler.end();
        let chunks = chunks.finish();
        assert!(chunks.len() > 10);
        let rows: Vec<u64> = chunks.iter().flat_map(|c| c[0].rows.clone()).collect();
        assert_eq!(rows, (0..1000).collect::<Vec<_>>());
        assert!(chunks.iter().all(|c| c[0].rows.len() * 8192 <= CHUNK_BYTES));
    }
}
