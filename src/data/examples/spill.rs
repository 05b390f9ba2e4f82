//! Features on their way from rows to columns, on disk, in bounded memory.
//!
//! Sparse features are sorted by column as many at a time as fit, and each such run is written; the
//! runs are then merged (Knuth, TAOCP 3, 5.4). Dense ones are written as they come and read again
//! for as many columns at a time as fit. The files are gone with the value.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use zerocopy::{FromBytes, IntoBytes};

use super::super::cache_write::Beside;
use super::super::mmap::Mapping;
use super::matrix_market::Entry;
use crate::error::{Error, Result};

/// Bits that one pass of sorting looks at.
const DIGIT_BITS: u32 = 11;
/// Bytes of a run after which what was read of it is let go.
const RELEASED_BYTES: usize = 4 << 20;
/// Rows and columns that are turned at a time, so that neither side leaves the cache.
const SIDE: usize = 64;

/// Features that were read.
pub(in crate::data) struct Spill {
    /// The file that all this is for.
    target: PathBuf,
    /// Bytes that may be held.
    memory: usize,
    entries: Vec<Entry>,
    scratch: Vec<Entry>,
    runs: Vec<Range<usize>>,
    parts: Vec<Part>,
    /// Floats of the parts so far.
    floats: usize,
    /// Floats behind the last part.
    open: usize,
    seen: Option<(u32, u32)>,
    /// Values that are not 0.
    values: u64,
    /// True while all of them are 1.
    ones: bool,
    beside: Beside,
    out: BufWriter<File>,
    /// Bytes written.
    at: usize,
    failure: Option<io::Error>,
}

/// Dense examples as they lie in the file.
#[derive(Debug, Clone)]
struct Part {
    /// The first float.
    start: usize,
    rows: usize,
    by_column: bool,
}

impl Spill {
    /// Nothing yet, beside `target`, which the columns will be written to.
    ///
    /// # Errors
    /// Status 73 if no file can be created there.
    pub(in crate::data) fn create(target: &Path, memory: usize) -> Result<Spill> {
        let beside = Beside::named(target, "spill")?;
        let file = beside.file.try_clone();
        let file = file.map_err(|why| Error::cannot_create(target, why))?;
        Ok(Spill {
            target: target.to_path_buf(),
            memory,
            entries: Vec::new(),
            scratch: Vec::new(),
            runs: Vec::new(),
            parts: Vec::new(),
            floats: 0,
            open: 0,
            seen: None,
            values: 0,
            ones: true,
            beside,
            out: BufWriter::with_capacity(1 << 20, file),
            at: 0,
            failure: None,
        })
    }

    /// Adds a value that is not 0.
    #[inline]
    pub(super) fn entry(&mut self, row: u32, column: u32, value: f32) {
        self.ones &= value == 1.0;
        self.entries.push(Entry { row, column, value });
        let held = size_of::<Entry>() * 2;
        if self.entries.len() >= (self.memory / held).max(1024) {
            self.end_run();
        }
    }

    /// Notes the smallest and the largest index of what was added.
    pub(super) fn see(&mut self, seen: Option<(u32, u32)>) {
        self.seen = match (self.seen, seen) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (seen, None) | (None, seen) => seen,
        };
    }

    /// The smallest and the largest index so far.
    pub(super) fn seen(&self) -> Option<(u32, u32)> {
        self.seen
    }

    /// Adds dense values in the order of their file.
    pub(super) fn dense(&mut self, values: &[f32]) {
        self.values += values.iter().filter(|value| **value != 0.0).count() as u64;
        self.ones &= values.iter().all(|value| *value == 0.0 || *value == 1.0);
        self.open += values.len();
        self.put(values.as_bytes());
    }

    /// Ends so many rows of dense values.
    pub(super) fn end_dense(&mut self, rows: usize, by_column: bool) {
        let start = self.floats;
        self.floats += std::mem::take(&mut self.open);
        match self.parts.last_mut() {
            Some(last) if !by_column && !last.by_column => last.rows += rows,
            _ => self.parts.push(Part {
                start,
                rows,
                by_column,
            }),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(bytes).err();
        }
        self.at += bytes.len();
    }

    /// Writes what is held as a run: for each column its number, the number of its values, their
    /// rows, and the values.
    fn end_run(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        sort_by_column(&mut entries, &mut self.scratch);
        let start = self.at;
        self.values += entries.len() as u64;
        let mut bytes = Vec::new();
        for column in entries.chunk_by(|a, b| a.column == b.column) {
            bytes.clear();
            bytes.extend(column[0].column.to_le_bytes());
            bytes.extend((column.len() as u32).to_le_bytes());
            bytes.extend(column.iter().flat_map(|entry| entry.row.to_le_bytes()));
            bytes.extend(column.iter().flat_map(|entry| entry.value.to_le_bytes()));
            self.put(&bytes);
        }
        self.runs.push(start..self.at);
        entries.clear();
        self.entries = entries;
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Status 74 if something could not be written.
    pub(in crate::data) fn finish(mut self) -> Result<Spilled> {
        if !self.entries.is_empty() {
            self.end_run();
        }
        let refuse = |why: io::Error| Error::cannot_write(&self.target, why);
        if let Some(why) = self.failure {
            return Err(refuse(why));
        }
        self.out.flush().map_err(refuse)?;
        let mapping = match self.at {
            0 => None,
            _ => Some(Mapping::of(&self.beside.file).map_err(refuse)?),
        };
        Ok(Spilled {
            memory: self.memory,
            runs: self.runs,
            parts: self.parts,
            values: self.values,
            ones: self.ones,
            mapping,
            _beside: self.beside,
        })
    }
}

/// Sorts by column; entries of the same column stay in order.
fn sort_by_column(entries: &mut Vec<Entry>, scratch: &mut Vec<Entry>) {
    let largest = entries.iter().map(|entry| entry.column).max().unwrap_or(0);
    scratch.resize(entries.len(), Entry::default());
    let mut shift = 0;
    while shift < u32::BITS && largest >> shift > 0 {
        let digit = |entry: &Entry| (entry.column >> shift) as usize & ((1 << DIGIT_BITS) - 1);
        let mut places = vec![0usize; (1 << DIGIT_BITS) + 1];
        entries
            .iter()
            .for_each(|entry| places[digit(entry) + 1] += 1);
        for at in 1..places.len() {
            places[at] += places[at - 1];
        }
        for entry in entries.iter() {
            let place = &mut places[digit(entry)];
            scratch[*place] = *entry;
            *place += 1;
        }
        std::mem::swap(entries, scratch);
        shift += DIGIT_BITS;
    }
}

/// Features that were read, ready to be taken by column.
pub(in crate::data) struct Spilled {
    memory: usize,
    runs: Vec<Range<usize>>,
    parts: Vec<Part>,
    /// Values that are not 0; entries that stand in a file twice count twice.
    pub(in crate::data) values: u64,
    /// True if all of them are 1.
    pub(in crate::data) ones: bool,
    mapping: Option<Mapping>,
    _beside: Beside,
}

/// Takes the values of a column that are not 0 and their rows.
pub(in crate::data) type SparseSink<'a> = dyn FnMut(&[u32], &[f32]) -> Result<()> + 'a;

impl Spilled {
    /// True if the features are dense.
    pub(in crate::data) fn is_dense(&self) -> bool {
        !self.parts.is_empty()
    }

    fn bytes(&self) -> &[u8] {
        self.mapping.as_ref().map_or(&[], Mapping::bytes)
    }

    fn release(&self, range: Range<usize>) {
        if let Some(mapping) = &self.mapping {
            mapping.release(range);
        }
    }

    /// Hands `width` columns of sparse features to `sink`, of which the first has index `first`.
    /// Entries of the same row are summed up.
    ///
    /// # Errors
    /// What `sink` says.
    pub(in crate::data) fn sparse_columns(
        &self,
        first: u32,
        width: usize,
        sink: &mut SparseSink,
    ) -> Result<()> {
        let mut cursors: Vec<Cursor> = self.runs.iter().cloned().map(Cursor::new).collect();
        let mut next: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
        for (run, cursor) in cursors.iter().enumerate() {
            next.extend(
                cursor
                    .column(self.bytes())
                    .map(|column| Reverse((column, run))),
            );
        }
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for column in 0..width {
            rows.clear();
            values.clear();
            while let Some(Reverse((at, run))) = next.peek().copied() {
                if (at - first) as usize != column {
                    break;
                }
                next.pop();
                cursors[run].take(self, &mut rows, &mut values);
                next.extend(
                    cursors[run]
                        .column(self.bytes())
                        .map(|column| Reverse((column, run))),
                );
            }
            if !rows.is_sorted_by(|a, b| a < b) {
                sum_up(&mut rows, &mut values);
            }
            sink(&rows, &values)?;
        }
        Ok(())
    }

    /// True if no entry occurs twice.
    pub(in crate::data) fn is_distinct(&self, first: u32, width: usize) -> bool {
        let mut seen = 0;
        let mut count = |rows: &[u32], _: &[f32]| {
            seen += rows.len() as u64;
            Ok(())
        };
        self.sparse_columns(first, width, &mut count).is_ok() && seen == self.values
    }

    /// Hands `width` columns of dense features to `sink`.
    ///
    /// # Errors
    /// What `sink` says.
    pub(in crate::data) fn dense_columns(
        &self,
        width: usize,
        sink: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let rows: usize = self.parts.iter().map(|part| part.rows).sum();
        let some = (self.memory / (rows * 4).max(1)).clamp(1, width);
        let mut held = vec![0.0f32; some * rows];
        for left in (0..width).step_by(some) {
            let columns = left..width.min(left + some);
            let mut top = 0;
            for part in &self.parts {
                self.turn(part, width, columns.clone(), top, rows, &mut held);
                top += part.rows;
            }
            held.chunks_exact(rows)
                .take(columns.len())
                .try_for_each(&mut *sink)?;
        }
        Ok(())
    }

    /// Puts some columns of a part, which begins at row `top` of `rows`, into `held`.
    fn turn(
        &self,
        part: &Part,
        width: usize,
        columns: Range<usize>,
        top: usize,
        rows: usize,
        held: &mut [f32],
    ) {
        let bytes = &self.bytes()[part.start * 4..(part.start + part.rows * width) * 4];
        let floats: &[f32] = <[f32]>::ref_from_bytes(bytes).unwrap_or_default();
        if part.by_column {
            for (to, column) in held.chunks_exact_mut(rows).zip(columns) {
                to[top..top + part.rows]
                    .copy_from_slice(&floats[column * part.rows..][..part.rows]);
            }
            return;
        }
        for low in (0..part.rows).step_by(SIDE) {
            let high = part.rows.min(low + SIDE);
            for left in columns.clone().step_by(SIDE) {
                for column in left..columns.end.min(left + SIDE) {
                    let to = &mut held[(column - columns.start) * rows + top..];
                    for row in low..high {
                        to[row] = floats[row * width + column];
                    }
                }
            }
            let at = |row: usize| (part.start + row * width) * 4;
            self.release(at(low)..at(high));
        }
    }
}

/// A place in a run.
struct Cursor {
    at: usize,
    end: usize,
    /// Up to here it is let go.
    released: usize,
}

impl Cursor {
    fn new(run: Range<usize>) -> Cursor {
        Cursor {
            at: run.start,
            end: run.end,
            released: run.start,
        }
    }

    /// The column here; `None` at the end.
    fn column(&self, bytes: &[u8]) -> Option<u32> {
        let word = bytes.get(self.at..self.end)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*word))
    }

    /// Takes the column here.
    fn take(&mut self, spilled: &Spilled, rows: &mut Vec<u32>, values: &mut Vec<f32>) {
        let bytes = &spilled.bytes()[self.at..self.end];
        let (head, rest) = bytes.as_chunks::<4>().0.split_at(2);
        let length = u32::from_le_bytes(head[1]) as usize;
        rows.extend(rest[..length].iter().map(|word| u32::from_le_bytes(*word)));
        values.extend(
            rest[length..length * 2]
                .iter()
                .map(|word| f32::from_le_bytes(*word)),
        );
        self.at += 8 + length * 8;
        if self.at - self.released > RELEASED_BYTES {
            spilled.release(self.released..self.at);
            self.released = self.at;
        }
    }
}

/// Sorts by row, adds up values of the same row in order, and drops those that cancel out.
fn sum_up(rows: &mut Vec<u32>, values: &mut Vec<f32>) {
    let mut pairs: Vec<(u32, f32)> = rows.iter().copied().zip(values.iter().copied()).collect();
    pairs.sort_by_key(|(row, _)| *row);
    rows.clear();
    values.clear();
    for same in pairs.chunk_by(|a, b| a.0 == b.0) {
        let value: f32 = same.iter().map(|(_, value)| value).sum();
        if value != 0.0 {
            rows.push(same[0].0);
            values.push(value);
        }
    }
}
