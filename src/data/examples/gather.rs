//! The examples of several files, put together.

use std::mem::take;

use super::Features;
use super::csv::CsvBlock;
use super::libsvm::SparseBlock;
use super::matrix_market::Entry;
use super::targets::TargetBuilder;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) rows: usize,
    /// Features of an example, where a file states it.
    pub(super) width: Option<usize>,
    /// Dense rows, one after the other.
    pub(super) values: Vec<f32>,
    pub(super) sparse: Option<Sparse>,
    pub(super) targets: TargetBuilder,
    pub(super) weights: Vec<f32>,
    pub(super) names: Option<Vec<String>>,
}

/// Sparse rows.
#[derive(Debug)]
pub(super) struct Sparse {
    starts: Vec<u64>,
    /// As written in libsvm files, from 0 for coordinates.
    columns: Vec<u32>,
    values: Vec<f32>,
    /// The smallest and the largest index, those of zeros included.
    pub(super) seen: Option<(u32, u32)>,
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
        self.rows += block.rows;
        self.values.append(&mut block.values);
        self.weights.append(&mut block.weights);
        self.targets.append(block.targets);
    }

    pub(super) fn add_libsvm(&mut self, mut block: SparseBlock) {
        self.rows += block.ends.len();
        self.targets.append(take(&mut block.targets));
        self.sparse.get_or_insert_default().add_block(block);
    }

    /// Adds `rows` examples with the entries of coordinates, in any order.
    pub(super) fn add_entries(&mut self, rows: usize, pieces: Vec<Vec<Entry>>) {
        self.rows += rows;
        self.sparse
            .get_or_insert_default()
            .add_entries(rows, pieces);
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
    pub(super) fn finish(mut self, first: u32, width: usize) -> (Features, u64) {
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
