//! From rows to columns in memory, in parallel.

use std::sync::Mutex;

use zerocopy::IntoBytes;

use super::super::examples::{Examples, Features};
use super::super::spread::{locked, spread, spread_into};
use super::layout::Form;
use super::{Design, Names, Section, wrong};
use crate::error::Result;

/// Sparse columns are used if at least this part of all values is 0: a stored value of theirs costs
/// about as much as four of a dense column.
pub(super) const ZEROS: (u64, u64) = (3, 4);

/// True if columns with so many values that are not 0 are better stored as sparse ones.
pub(super) fn is_sparse(values: u64, rows: usize, columns: usize) -> bool {
    let (of, all) = ZEROS;
    u128::from(values) * u128::from(all) < rows as u128 * columns as u128 * u128::from(all - of)
}

impl Design {
    /// The columns of examples. The rows go as soon as they are not needed any more.
    ///
    /// # Errors
    /// Status 65 if there are more rows than a design can number.
    pub fn of(examples: Examples, threads: usize) -> Result<Design> {
        let (rows, columns) = (examples.rows(), examples.features.width());
        if u32::try_from(rows).is_err() {
            return Err(wrong(
                &examples.path,
                format!("expected fewer than 2³² examples, saw {rows}"),
            ));
        }
        let (form, starts, data) = match &examples.features {
            Features::Dense { values, .. } => dense(values, rows, columns, threads),
            Features::Sparse {
                starts,
                columns: ids,
                values,
                ..
            } => {
                let matrix = Rows {
                    starts,
                    ids,
                    values,
                    columns,
                };
                matrix.columns(threads)
            }
        };
        let mut design = Design {
            rows,
            columns,
            form,
            values: 0,
            data,
            starts: Section::of(&starts),
            means: Section::of::<f32>(&[]),
            norms: Section::of::<f32>(&[]),
            targets: examples.targets,
            weights: examples.weights,
            names: examples.names.map_or(Names::None, Names::Owned),
            first_index: examples.first_index,
            path: examples.path,
        };
        drop(examples.features);
        design.measure(threads);
        Ok(design)
    }

    /// Computes means, norms and the number of stored values.
    fn measure(&mut self, threads: usize) {
        const SOME: usize = 1024;
        let moments = spread(threads, self.columns.div_ceil(SOME), |some| {
            let columns = some * SOME..self.columns.min((some + 1) * SOME);
            let of = |column| {
                let column = self.column(column);
                (column.len() as u64, column.moments())
            };
            Ok::<_, std::convert::Infallible>(columns.map(of).collect::<Vec<_>>())
        });
        let Ok(moments) = moments;
        let all = || moments.iter().flatten();
        let rows = self.rows as f64;
        let means: Vec<f32> = all().map(|(_, (sum, _))| (sum / rows) as f32).collect();
        let norms: Vec<f32> = all()
            .map(|(_, (_, squares))| squares.sqrt() as f32)
            .collect();
        self.values = all().map(|(stored, _)| stored).sum();
        self.means = Section::of(&means);
        self.norms = Section::of(&norms);
    }
}

/// Columns of dense rows: dense ones, or sparse ones if most values are 0.
fn dense(values: &[f32], rows: usize, columns: usize, threads: usize) -> (Form, Vec<u64>, Section) {
    let stored = values.iter().filter(|value| **value != 0.0).count() as u64;
    if is_sparse(stored, rows, columns) {
        let (mut starts, mut ids, mut kept) = (vec![0], Vec::new(), Vec::new());
        for row in values.chunks_exact(columns) {
            let filled = row.iter().enumerate().filter(|(_, value)| **value != 0.0);
            for (column, value) in filled {
                ids.push(column as u32);
                kept.push(*value);
            }
            starts.push(ids.len() as u64);
        }
        let matrix = Rows {
            starts: &starts,
            ids: &ids,
            values: &kept,
            columns,
        };
        return matrix.columns(threads);
    }
    let column_bytes = Form::Dense.column_bytes(rows);
    let mut words = vec![0u64; column_bytes / 8 * columns];
    // As many columns as floats in a cache line are gathered on one way through the rows.
    const SIDE: usize = 16;
    let parts: Vec<Mutex<&mut [u64]>> = words
        .chunks_mut(column_bytes / 8 * SIDE)
        .map(Mutex::new)
        .collect();
    each(threads, parts.len(), |part| {
        let mut words = locked(&parts[part]);
        let first = part * SIDE;
        let mut outs: Vec<&mut [[u8; 4]]> = words
            .chunks_exact_mut(column_bytes / 8)
            .map(|column| column.as_mut_bytes().as_chunks_mut::<4>().0)
            .collect();
        for (row, values) in values.chunks_exact(columns).enumerate() {
            for (out, value) in outs.iter_mut().zip(&values[first..]) {
                out[row] = value.to_le_bytes();
            }
        }
    });
    drop(parts);
    let bytes = words.len() * 8;
    (Form::Dense, Vec::new(), Section::Owned(words, bytes))
}

/// Runs `work` for every index below `n`.
fn each(threads: usize, n: usize, work: impl Fn(usize) + Sync) {
    let run = |index| {
        work(index);
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(()) = spread_into(threads, n, run, |()| {});
}

/// Sparse rows.
struct Rows<'a> {
    starts: &'a [u64],
    ids: &'a [u32],
    values: &'a [f32],
    columns: usize,
}

impl Rows<'_> {
    fn columns(&self, threads: usize) -> (Form, Vec<u64>, Section) {
        let rows = self.starts.len() - 1;
        if !is_sparse(self.ids.len() as u64, rows, self.columns) {
            return self.dense_columns(rows);
        }
        let form = Form::sparse(rows, self.values.iter().all(|value| *value == 1.0));
        let mut counts = vec![0u32; self.columns];
        self.ids
            .iter()
            .for_each(|column| counts[*column as usize] += 1);
        let mut starts = Vec::with_capacity(self.columns + 1);
        let mut at = 0u64;
        for count in &counts {
            starts.push(at);
            at += form.column_bytes(*count as usize) as u64;
        }
        starts.push(at);
        let mut words = vec![0u64; (at as usize).div_ceil(8)];
        self.fill(
            form,
            &starts,
            &counts,
            &mut words.as_mut_bytes()[..at as usize],
            threads,
        );
        (form, starts, Section::Owned(words, at as usize))
    }

    /// Fills the columns, each thread its own range of them.
    fn fill(&self, form: Form, starts: &[u64], counts: &[u32], bytes: &mut [u8], threads: usize) {
        let parts = threads.clamp(1, self.columns);
        let total = bytes.len() as u64;
        let bound = |part: usize| {
            let at = total * part as u64 / parts as u64;
            starts
                .partition_point(|start| *start < at)
                .min(self.columns)
        };
        let mut rest = bytes;
        let mut ranges = Vec::new();
        for part in 0..parts {
            let end = if part + 1 == parts {
                self.columns
            } else {
                bound(part + 1)
            };
            let range = ranges
                .last()
                .map_or(0, |(last, _): &(std::ops::Range<usize>, _)| last.end)
                ..end;
            let (own, later) =
                rest.split_at_mut((starts[range.end] - starts[range.start]) as usize);
            rest = later;
            ranges.push((range, Mutex::new(own)));
        }
        each(threads, ranges.len(), |part| {
            let (range, bytes) = &ranges[part];
            self.fill_range(form, range.clone(), starts, counts, &mut locked(bytes));
        });
    }

    fn fill_range(
        &self,
        form: Form,
        range: std::ops::Range<usize>,
        starts: &[u64],
        counts: &[u32],
        bytes: &mut [u8],
    ) {
        let Form::Sparse { short, ones } = form else {
            return;
        };
        let base = starts[range.start];
        let mut filled = vec![0u32; range.len()];
        for row in 0..self.starts.len() - 1 {
            let entries = self.starts[row] as usize..self.starts[row + 1] as usize;
            let ids = &self.ids[entries.clone()];
            let first = ids.partition_point(|column| (*column as usize) < range.start);
            for (at, column) in ids.iter().enumerate().skip(first) {
                let column = *column as usize;
                if column >= range.end {
                    break;
                }
                let place = &mut filled[column - range.start];
                let start = (starts[column] - base) as usize;
                let at_value = start + *place as usize * 4;
                let mut rows_start = start;
                if !ones {
                    let value = self.values[entries.start + at];
                    bytes[at_value..at_value + 4].copy_from_slice(&value.to_le_bytes());
                    rows_start += counts[column] as usize * 4;
                }
                match short {
                    true => {
                        let at = rows_start + *place as usize * 2;
                        bytes[at..at + 2].copy_from_slice(&(row as u16).to_le_bytes());
                    }
                    false => {
                        let at = rows_start + *place as usize * 4;
                        bytes[at..at + 4].copy_from_slice(&(row as u32).to_le_bytes());
                    }
                }
                *place += 1;
            }
        }
    }

    /// Dense columns, where nearly nothing is 0.
    fn dense_columns(&self, rows: usize) -> (Form, Vec<u64>, Section) {
        let column_bytes = Form::Dense.column_bytes(rows);
        let mut words = vec![0u64; column_bytes / 8 * self.columns];
        let bytes = words.as_mut_bytes();
        for row in 0..rows {
            for at in self.starts[row] as usize..self.starts[row + 1] as usize {
                let place = self.ids[at] as usize * column_bytes + row * 4;
                bytes[place..place + 4].copy_from_slice(&self.values[at].to_le_bytes());
            }
        }
        let bytes = words.len() * 8;
        (Form::Dense, Vec::new(), Section::Owned(words, bytes))
    }
}
