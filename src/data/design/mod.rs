//! Designs: examples by columns, for programs that work on one feature at a time.
//!
//! A design comes from examples in memory ([`Design::of`]) or from a file that is used in place
//! ([`Design::open`]), which may be larger than memory. `petuum convert` makes such a file of
//! examples in any format; a generator writes one column by column ([`DesignWriter`]).
//!
//! | file | what it knows |
//! |---|---|
//! | `layout.rs` | how columns lie in a file and in memory |
//! | `memory.rs` | from rows to columns in memory |
//! | `write.rs` | a file, written column by column |
//! | `open.rs` | a file, checked and mapped |
//! | `convert.rs` | from examples to a file without holding them |

mod convert;
mod layout;
mod memory;
mod open;
mod write;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zerocopy::IntoBytes;

use super::examples::{Classes, Targets, vector};
use super::mmap::Mapping;
use crate::error::{Error, Result};
pub use convert::{Converted, convert_examples};
use layout::{Form, cast};
pub use write::{DesignKind, DesignWriter};

/// The rows of a column's stored values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowIds<'a> {
    /// In a design of at most 65,536 rows.
    Short(&'a [u16]),
    /// In a larger one.
    Long(&'a [u32]),
}

impl RowIds<'_> {
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            RowIds::Short(rows) => rows.len(),
            RowIds::Long(rows) => rows.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|at| match self {
            RowIds::Short(rows) => usize::from(rows[at]),
            RowIds::Long(rows) => rows[at] as usize,
        })
    }
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColumnRef<'a> {
    /// The values of all rows.
    Dense(&'a [f32]),
    /// The values that are not 0.
    Sparse {
        /// Their rows, ascending.
        rows: RowIds<'a>,
        /// As many values; `None` if all of them are 1.
        values: Option<&'a [f32]>,
    },
}

impl ColumnRef<'_> {
    /// Stored values.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            ColumnRef::Dense(values) => values.len(),
            ColumnRef::Sparse { rows, .. } => rows.len(),
        }
    }

    /// True if nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` with every stored row and value.
    #[inline]
    pub fn for_each(&self, mut each: impl FnMut(usize, f32)) {
        match self {
            ColumnRef::Dense(values) => {
                values
                    .iter()
                    .enumerate()
                    .for_each(|(row, value)| each(row, *value));
            }
            ColumnRef::Sparse { rows, values: None } => rows.iter().for_each(|row| each(row, 1.0)),
            ColumnRef::Sparse {
                rows,
                values: Some(values),
            } => {
                rows.iter()
                    .zip(*values)
                    .for_each(|(row, value)| each(row, *value));
            }
        }
    }

    /// Sum and sum of squares.
    fn moments(&self) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        self.for_each(|_, value| {
            let value = f64::from(value);
            sum += value;
            squares += value * value;
        });
        (sum, squares)
    }
}

/// Bytes that many may read, aligned to 8.
#[derive(Debug)]
enum Section {
    /// In memory: so many bytes of these words.
    Owned(Vec<u64>, usize),
    /// A part of a mapped file.
    Mapped(Arc<Mapping>, Range<usize>),
}

impl Section {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Section::Owned(words, bytes) => &words.as_bytes()[..*bytes],
            Section::Mapped(mapping, range) => &mapping.bytes()[range.clone()],
        }
    }

    fn of<T: IntoBytes + zerocopy::Immutable>(values: &[T]) -> Section {
        let bytes = values.as_bytes();
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        Section::Owned(words, bytes.len())
    }
}

/// The columns' names.
#[derive(Debug)]
enum Names {
    None,
    Owned(Vec<String>),
    /// Texts one after the other, and where each ends.
    Mapped(Section, Section),
}

/// Examples by columns.
#[derive(Debug)]
pub struct Design {
    rows: usize,
    columns: usize,
    form: Form,
    /// Stored values.
    values: u64,
    data: Section,
    /// Empty for dense columns.
    starts: Section,
    means: Section,
    norms: Section,
    targets: Targets,
    weights: Option<Vec<f32>>,
    names: Names,
    first_index: u32,
    path: PathBuf,
}

impl Design {
    /// Number of rows: examples.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: features.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Stored values in all.
    pub fn values(&self) -> u64 {
        self.values
    }

    /// True if columns are [`ColumnRef::Dense`].
    pub fn is_dense(&self) -> bool {
        self.form == Form::Dense
    }

    /// A column, from 0. Every row in it is below [`Design::rows`].
    ///
    /// # Panics
    /// If there is no such column.
    #[inline]
    pub fn column(&self, column: usize) -> ColumnRef<'_> {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        let bytes = &self.data.bytes()[self.place(column)];
        self.form.column(bytes)
    }

    /// Where a column lies in the data.
    #[inline]
    fn place(&self, column: usize) -> Range<usize> {
        match self.form {
            Form::Dense => {
                let start = column * self.form.column_bytes(self.rows);
                start..start + self.rows * 4
            }
            Form::Sparse { .. } => {
                let starts: &[u64] = cast(self.starts.bytes());
                starts[column] as usize..starts[column + 1] as usize
            }
        }
    }

    /// Bytes of the columns before `column`, which may be the number of columns: a measure of the
    /// work that it takes to go through them.
    pub fn bytes_before(&self, column: usize) -> u64 {
        match self.form {
            Form::Dense => column as u64 * self.form.column_bytes(self.rows) as u64,
            Form::Sparse { .. } => cast::<u64>(self.starts.bytes())[column],
        }
    }

    /// The mean of a column over all rows, without weights.
    #[inline]
    pub fn mean(&self, column: usize) -> f32 {
        cast::<f32>(self.means.bytes())[column]
    }

    /// The root of a column's sum of squares, without weights.
    #[inline]
    pub fn norm(&self, column: usize) -> f32 {
        cast::<f32>(self.norms.bytes())[column]
    }

    /// The same with targets, and with weights, from files of their own if they are given.
    ///
    /// # Errors
    /// Status 65 or 66 for files that are not there or not as long as the design.
    pub fn with(mut self, targets: Option<&Path>, weights: Option<&Path>) -> Result<Design> {
        if let Some(file) = targets {
            self.targets = vector::targets(file)?.0;
            vector::require_length(file, self.targets.len(), self.rows, &self.path)?;
        }
        if let Some(file) = weights {
            let weights = vector::weights(file)?.0;
            vector::require_length(file, weights.len(), self.rows, &self.path)?;
            self.weights = Some(weights);
        }
        Ok(self)
    }

    /// The targets; [`Targets::None`] if there are none.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The targets, which must be numbers.
    ///
    /// # Errors
    /// Status 65 if there are none, or one is a text.
    pub fn number_targets(&self) -> Result<&[f64]> {
        self.targets.require_numbers(&self.path)
    }

    /// The targets as classes: two or more.
    ///
    /// # Errors
    /// Status 65 if there are no targets, or all are the same.
    pub fn class_targets(&self) -> Result<Classes> {
        self.targets.require_classes(&self.path)
    }

    /// The rows' weights, finite and not negative, if they are given.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// The name of a column, if columns have names.
    pub fn name(&self, column: usize) -> Option<&str> {
        match &self.names {
            Names::None => None,
            Names::Owned(names) => names.get(column).map(String::as_str),
            Names::Mapped(text, ends) => {
                let ends: &[u64] = cast(ends.bytes());
                let start = if column == 0 {
                    0
                } else {
                    *ends.get(column - 1)?
                };
                let name = text
                    .bytes()
                    .get(start as usize..*ends.get(column)? as usize)?;
                std::str::from_utf8(name).ok()
            }
        }
    }

    /// True if columns have names.
    pub fn has_names(&self) -> bool {
        !matches!(self.names, Names::None)
    }

    /// The index of the first feature in the libsvm files that this was made from, 0 or 1: a model
    /// keeps it for data to come.
    pub fn first_index(&self) -> u32 {
        self.first_index
    }

    /// What the design is called in error messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that columns will not be looked at for a while: of a mapped design they need no longer
    /// be in this process's memory. They can still be read.
    pub fn release(&self, columns: Range<usize>) {
        if let Section::Mapped(mapping, data) = &self.data {
            let at = |column| data.start + self.bytes_before(column) as usize;
            mapping.release(at(columns.start)..at(columns.end));
        }
    }

    /// Says that columns will be looked at soon: those of a mapped design are read ahead.
    pub fn expect(&self, columns: Range<usize>) {
        if let Section::Mapped(mapping, data) = &self.data {
            let at = |column| data.start + self.bytes_before(column) as usize;
            mapping.expect(at(columns.start)..at(columns.end));
        }
    }
}

/// The error of a design that cannot be what it should.
fn wrong(path: &Path, message: impl Into<String>) -> Error {
    Error::data(path, 0, 0, message)
}
