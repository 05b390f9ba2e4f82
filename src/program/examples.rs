//! The flags of every command that reads examples.

use std::path::PathBuf;

use clap::Args;

use super::flag::whole;
use crate::data::{ColumnName, Examples, ExamplesFormat, ExamplesOptions, TargetColumn};
use crate::error::{Error, Result};

/// Which examples, and how to read them.
#[derive(Debug, Clone, Default, Args)]
pub struct ExamplesFlags {
    /// Examples: files, folders (their files in name order), or - for standard input
    ///
    /// Files that end in .gz or .zst are read as they are.
    pub data: Vec<PathBuf>,

    /// The examples' format: libsvm, csv, matrix-market, npy or idx [default: guessed]
    #[arg(long)]
    pub format: Option<ExamplesFormat>,

    /// What is what in them.
    #[command(flatten)]
    pub columns: ColumnsFlags,
}

/// What is what in examples.
#[derive(Debug, Clone, Default, Args)]
pub struct ColumnsFlags {
    /// The column of the target in csv: first, last, none, its number from 1 or its name
    ///
    /// [default: first; none with --targets] Arrays of NumPy have a target column only if it is
    /// given.
    #[arg(long, value_name = "COLUMN")]
    pub target_column: Option<TargetColumn>,

    /// File with the targets or labels: one a line, or an array (NumPy, Matrix Market, idx)
    ///
    /// The labels of idx images are found beside them by the usual name (train-labels-idx1-ubyte for
    /// train-images-idx3-ubyte).
    #[arg(long, visible_alias = "labels", value_name = "FILE")]
    pub targets: Option<PathBuf>,

    /// The column of csv that holds the examples' weights: its number from 1 or its name
    #[arg(long, value_name = "COLUMN")]
    pub weight_column: Option<ColumnName>,

    /// File with the examples' weights: one a line, or an array
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// Columns of csv that are left out: numbers from 1 or names, with commas between
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub drop_columns: Vec<ColumnName>,

    /// File with the features' names, one a line
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,

    /// The first index in libsvm files, 0 or 1 [default: 0 if it occurs, else 1]
    #[arg(long, value_name = "N", value_parser = whole(0..=1u32))]
    pub first_index: Option<u32>,
}

impl ExamplesFlags {
    /// Refuses `--format` and every flag about what is what, because they mean nothing without
    /// `needed`.
    ///
    /// # Errors
    /// Status 2, naming the first of them.
    pub fn refuse_all(&self, needed: &str) -> Result<()> {
        match self.format {
            Some(_) => Err(Error::Usage(format!(
                "--format: means nothing without {needed}"
            ))),
            None => self.columns.refuse_all(needed),
        }
    }

    /// The reader's options, with `threads` parsers.
    pub fn options(&self, threads: usize) -> ExamplesOptions {
        let columns = self.columns.clone();
        ExamplesOptions {
            format: self.format,
            target: columns.target_column,
            targets: columns.targets,
            weight: columns.weight_column,
            weights: columns.weights,
            dropped: columns.drop_columns,
            names: columns.names,
            first_index: columns.first_index,
            threads,
            ..ExamplesOptions::default()
        }
    }

    /// The reader's options for further data (a test set, say) of the features of a training set
    /// that is `like` this: without the files that belong to the training data.
    pub fn options_like(&self, threads: usize, like: &Examples) -> ExamplesOptions {
        ExamplesOptions {
            targets: None,
            weights: None,
            names: None,
            width: Some(like.features.width()),
            first_index: Some(like.first_index),
            ..self.options(threads)
        }
    }
}

impl ColumnsFlags {
    /// Refuses every flag that is given, because it means nothing without `needed`.
    ///
    /// # Errors
    /// Status 2, naming the first of them.
    pub fn refuse_all(&self, needed: &str) -> Result<()> {
        let given = [
            ("--target-column", self.target_column.is_some()),
            ("--targets", self.targets.is_some()),
            ("--weight-column", self.weight_column.is_some()),
            ("--weights", self.weights.is_some()),
            ("--drop-columns", !self.drop_columns.is_empty()),
            ("--names", self.names.is_some()),
            ("--first-index", self.first_index.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::Usage(format!(
                "{flag}: means nothing without {needed}"
            ))),
            None => Ok(()),
        }
    }
}
