//! Examples: features and a target each, in every usual format.
//!
//! | file | what it knows |
//! |---|---|
//! | `format.rs` | the formats' names and looks |
//! | `libsvm.rs`, `csv.rs`, `matrix_market.rs`, `npy.rs`, `idx.rs` | one format each |
//! | `number.rs` | real numbers in text |
//! | `binary.rs` | bytes of files that are no text |
//! | `columns.rs` | which column of dense data is what |
//! | `targets.rs` | numbers or classes to predict |
//! | `vector.rs` | files with one thing per example: targets, weights |
//! | `spill.rs` | from rows to columns on disk |
//! | `gather.rs` | the examples of several files, put together |
//! | `read.rs` | what each format adds to them |
//! | `load.rs` | from the user's paths to examples |

mod binary;
mod number;
mod columns;
mod targets;
mod csv;
mod libsvm;
mod matrix_market;
mod npy;
mod idx;
mod format;
pub(super) mod vector;
mod spill;
mod gather;
mod load;
mod read;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use columns::{ColumnName, TargetColumn, Trained};
pub(super) use format::DESIGN_MAGIC;
pub use format::ExamplesFormat;
pub(super) use load::spill_examples;
pub use load::{load_examples, load_examples_bytes};
pub(super) use spill::Spill;
pub use targets::{Classes, Targets, UNKNOWN_CLASS};

use super::fingerprint::SourceFile;
use crate::error::Result;

/// How to read examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExamplesOptions {
    /// The format of all files; guessed from names and contents if not given.
    pub format: Option<ExamplesFormat>,
    /// Where the target is. If not given: in the first column of csv, in no column of arrays, and
    /// nowhere if `targets` is given.
    pub target: Option<TargetColumn>,
    /// The file of the targets: text with one a line, or an array of NumPy, Matrix Market or idx. The
    /// labels of idx images are found beside them without it.
    pub targets: Option<PathBuf>,
    /// The column of csv that holds the examples' weights.
    pub weight: Option<ColumnName>,
    /// The file of the examples' weights, in the same formats as `targets`.
    pub weights: Option<PathBuf>,
    /// Columns of dense data that are left out.
    pub dropped: Vec<ColumnName>,
    /// The file of the features' names, one a line.
    pub names: Option<PathBuf>,
    /// Number of features of a trained model that the data is for. Dense data must have as many;
    /// features of sparse data beyond them are left out.
    pub width: Option<usize>,
    /// What that model knows of columns. Targets may then be missing.
    pub trained: Option<Trained>,
    /// The index of the first feature in libsvm files, 0 or 1; if not given, 0 if it occurs, else 1.
    pub first_index: Option<u32>,
    /// Threads that parse; at least 1.
    pub threads: usize,
    /// Bytes of text that a thread parses at a time.
    pub piece_bytes: usize,
}

impl Default for ExamplesOptions {
    fn default() -> ExamplesOptions {
        ExamplesOptions {
            format: None,
            target: None,
            targets: None,
            weight: None,
            weights: None,
            dropped: Vec::new(),
            names: None,
            width: None,
            trained: None,
            first_index: None,
            threads: 1,
            piece_bytes: 256 << 10,
        }
    }
}

/// The features of all examples.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// All values.
    Dense {
        /// Features of an example.
        width: usize,
        /// Examples × `width`, one example after the other.
        values: Vec<f32>,
    },
    /// The values that are not 0, by example.
    Sparse {
        /// Features of an example.
        width: usize,
        /// Where each example begins among `columns` and `values`, and where the last one ends.
        starts: Vec<u64>,
        /// The features, from 0, ascending within an example.
        columns: Vec<u32>,
        /// Their values: finite, not 0.
        values: Vec<f32>,
    },
}

impl Features {
    /// Number of examples.
    pub fn rows(&self) -> usize {
        match self {
            Features::Dense { width, values } => values.len() / (*width).max(1),
            Features::Sparse { starts, .. } => starts.len() - 1,
        }
    }

    /// Features of an example.
    pub fn width(&self) -> usize {
        match self {
            Features::Dense { width, .. } | Features::Sparse { width, .. } => *width,
        }
    }

    /// Number of values that are held.
    pub fn values(&self) -> usize {
        match self {
            Features::Dense { values, .. } | Features::Sparse { values, .. } => values.len(),
        }
    }

    /// The features and values of a row of sparse examples; `None` for dense ones.
    pub fn sparse_row(&self, row: usize) -> Option<(&[u32], &[f32])> {
        let Features::Sparse {
            starts,
            columns,
            values,
            ..
        } = self
        else {
            return None;
        };
        let range = starts[row] as usize..starts[row + 1] as usize;
        Some((&columns[range.clone()], &values[range]))
    }

    /// The values of a row of dense examples; `None` for sparse ones.
    pub fn dense_row(&self, row: usize) -> Option<&[f32]> {
        match self {
            Features::Dense { width, values } => Some(&values[row * width..(row + 1) * width]),
            Features::Sparse { .. } => None,
        }
    }
}

/// Examples in memory: one or more, of one feature or more.
#[derive(Debug, Clone)]
pub struct Examples {
    /// The features.
    pub features: Features,
    /// What to predict: one target per example, or none at all.
    pub targets: Targets,
    /// One weight per example, finite and not negative, if they are given.
    pub weights: Option<Vec<f32>>,
    /// The features' names, if there is a header or a file of them.
    pub names: Option<Vec<String>>,
    /// How the files of these examples are written.
    pub format: ExamplesFormat,
    /// The index of the first feature in libsvm files, 0 or 1: a model keeps it for data to come.
    pub first_index: u32,
    /// Values of sparse data that were left out because the model has no such feature.
    pub unseen: u64,
    /// What the examples are called in error messages: their first file.
    pub(super) path: PathBuf,
    /// The files that they were read from.
    pub(super) sources: Vec<SourceFile>,
}

impl Examples {
    /// Number of examples.
    pub fn rows(&self) -> usize {
        self.features.rows()
    }

    /// The files that they were read from, those of targets and weights included.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(SourceFile::path)
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
}
