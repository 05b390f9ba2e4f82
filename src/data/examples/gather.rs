//! The examples of several files, put together.

use std::mem::take;

use super::Features;
use super::csv::CsvBlock;
use super::libsvm::SparseBlock;
use super::matrix_market::Entry;
use super::npy::transposed;
use super::spill::Spill;
use super::targets::TargetBuilder;

/// What was read so far.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) rows: usize,
    /// Features of an example, where a file states it.
    pub(super) width: Option<usize>,
    pub(super) features: Store,
    pub(super) targets: TargetBuilder,
    pub(super) weights: Vec<f32>,
    pub(super) names: Option<Vec<String>>,
}

/// Where features go.
pub(super) enum Store {
    /// Memory.
    Held(Held),
    /// Files, from which columns are made.
    Spilled(Spill),
}

impl Default for Store {
    fn default() -> Store {
        Store::Held(Held::default())
    }
}

/// Features in memory.
#[derive(Default)]
pub(super) struct Held {
    /// Dense rows, one after the other; behind them what was read of an array by columns.
    values: Vec<f32>,
    /// Where that array begins.
    array: usize,
    sparse: Option<Sparse>,
    /// Entries of coordinates, until their file ends.
    entries: Vec<Vec<Entry>>,
}

/// Sparse rows.
struct Sparse {
    starts: Vec<u64>,
    /// As written.
    columns: Vec<u32>,
    values: Vec<f32>,
    /// The smallest and the largest index, those of zeros included.
    seen: Option<(u32, u32)>,
}

impl Default for Sparse {
    fn default() -> Sparse {
        Sparse {
            starts: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
            seen: None,
        }
    }
}

impl Gathered {
    pub(super) fn add_csv(&mut self, mut block: CsvBlock) {
        self.weights.append(&mut block.weights);
        self.targets.append(block.targets);
        self.dense(block.values);
        self.end_dense(block.rows, false);
    }

    pub(super) fn add_libsvm(&mut self, mut block: SparseBlock) {
        let first = self.rows as u32;
        self.rows += block.ends.len();
        self.targets.append(take(&mut block.targets));
        match &mut self.features {
            Store::Held(held) => held.sparse.get_or_insert_default().add_block(block),
            Store::Spilled(spill) => {
                let mut start = 0;
                for (row, end) in (first..).zip(&block.ends) {
                    let columns = block.columns[start..*end].iter();
                    for (column, value) in columns.zip(&block.values[start..*end]) {
                        spill.entry(row, *column, *value);
                    }
                    start = *end;
                }
                spill.see(block.seen);
            }
        }
    }

    /// Adds entries of coordinates, in any order.
    pub(super) fn entries(&mut self, entries: Vec<Entry>) {
        let first = self.rows as u32;
        match &mut self.features {
            Store::Held(held) => held.entries.push(entries),
            Store::Spilled(spill) => {
                for entry in entries.iter().filter(|entry| entry.value != 0.0) {
                    spill.entry(first + entry.row, entry.column, entry.value);
                }
            }
        }
    }

    /// Ends a file of coordinates with so many rows.
    pub(super) fn end_entries(&mut self, rows: usize) {
        self.rows += rows;
        match &mut self.features {
            Store::Held(held) => {
                let pieces = take(&mut held.entries);
                held.sparse
                    .get_or_insert_default()
                    .add_entries(rows, pieces);
            }
            Store::Spilled(spill) => spill.see(None),
        }
    }

    /// Adds values of dense examples in the order of their file.
    pub(super) fn dense(&mut self, mut values: Vec<f32>) {
        match &mut self.features {
            Store::Held(held) => held.values.append(&mut values),
            Store::Spilled(spill) => spill.dense(&values),
        }
    }

    /// Ends a part with so many rows, written column by column or row by row.
    pub(super) fn end_dense(&mut self, rows: usize, by_column: bool) {
        self.rows += rows;
        match &mut self.features {
            Store::Held(held) => {
                if by_column {
                    let array = held.values.split_off(held.array);
                    let width = array.len() / rows.max(1);
                    held.values.append(&mut transposed(&array, rows, width));
                }
                held.array = held.values.len();
            }
            Store::Spilled(spill) => spill.end_dense(rows, by_column),
        }
    }

    /// The smallest and the largest index of sparse features.
    pub(super) fn seen(&self) -> Option<(u32, u32)> {
        match &self.features {
            Store::Held(held) => held.sparse.as_ref().and_then(|sparse| sparse.seen),
            Store::Spilled(spill) => spill.seen(),
        }
    }
}

impl Held {
    /// The features, given the index of the first sparse one. What lies beyond `width` is left out
    /// and counted.
    pub(super) fn finish(self, first: u32, width: usize) -> (Features, u64) {
        match self.sparse {
            Some(sparse) => sparse.finish(first, width),
            None => {
                let values = self.values;
                (Features::Dense { width, values }, 0)
            }
        }
    }
}

impl Sparse {
    fn add_block(&mut self, mut block: SparseBlock) {
        let base = self.columns.len();
        self.starts
            .extend(block.ends.iter().map(|end| (base + end) as u64));
        self.columns.append(&mut block.columns);
        self.values.append(&mut block.values);
        self.seen = match (self.seen, block.seen) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (seen, None) | (None, seen) => seen,
        };
    }

    /// Sorts entries by row by counting, then each row by column.
    fn add_entries(&mut self, rows: usize, pieces: Vec<Vec<Entry>>) {
        let mut ends = vec![0usize; rows + 1];
        for entry in pieces.iter().flatten() {
            ends[entry.row as usize + 1] += 1;
        }
        for row in 0..rows {
            ends[row + 1] += ends[row];
        }
        let mut sorted = vec![(0u32, 0f32); ends[rows]];
        // While rows are filled, `ends[r]` is where row r's next entry goes; after that, its end.
        for piece in pieces {
            for entry in piece {
                let at = &mut ends[entry.row as usize];
                sorted[*at] = (entry.column, entry.value);
                *at += 1;
            }
        }
        self.columns.reserve(sorted.len());
        self.values.reserve(sorted.len());
        let mut start = 0;
        for end in ends.into_iter().take(rows) {
            let row = &mut sorted[start..end];
            // Stable: equal entries are summed in the order of the file.
            row.sort_by_key(|(column, _)| *column);
            for same in row.chunk_by(|a, b| a.0 == b.0) {
                let value = same.iter().map(|(_, value)| value).sum::<f32>();
                if value != 0.0 {
                    self.columns.push(same[0].0);
                    self.values.push(value);
                }
            }
            self.starts.push(self.columns.len() as u64);
            start = end;
        }
    }

    /// The features from 0, given the index of the first one. What lies beyond `width` is left out
    /// and counted.
    fn finish(mut self, first: u32, width: usize) -> (Features, u64) {
        let largest = self.seen.map_or(0, |(_, largest)| largest as usize + 1);
        if first > 0 {
            self.columns.iter_mut().for_each(|column| *column -= first);
        }
        let unseen = match largest > width + first as usize {
            true => self.clip(width),
            false => 0,
        };
        self.columns.shrink_to_fit();
        self.values.shrink_to_fit();
        let features = Features::Sparse {
            width,
            starts: self.starts,
            columns: self.columns,
            values: self.values,
        };
        (features, unseen)
    }

    fn clip(&mut self, width: usize) -> u64 {
        let (mut kept, mut start) = (0, 0);
        for end in &mut self.starts[1..] {
            for at in start..*end as usize {
                if (self.columns[at] as usize) < width {
                    self.columns[kept] = self.columns[at];
                    self.values[kept] = self.values[at];
                    kept += 1;
                }
            }
            start = *end as usize;
            *end = kept as u64;
        }
        let unseen = self.columns.len() - kept;
        self.columns.truncate(kept);
        self.values.truncate(kept);
        unseen as u64
    }
}
