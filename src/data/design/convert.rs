//! From files of examples to a design, whatever their size.

use std::path::{Path, PathBuf};

use super::super::examples::{ExamplesFormat, ExamplesOptions, Spill, spill_examples};
use super::memory::is_sparse;
use super::write::{DesignKind, DesignWriter};
use crate::error::Result;

/// What became a design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    /// Number of rows: examples.
    pub rows: usize,
    /// Number of columns: features.
    pub columns: usize,
    /// Stored values.
    pub values: u64,
}

/// Reads the examples in `paths` as [`super::super::load_examples`] does and writes them by columns
/// to `output`, replacing what is there. Features go through files beside `output`; about `memory`
/// bytes are held, and the targets.
///
/// # Errors
/// As for [`super::super::load_examples`]; status 73 or 74 if the design cannot be written, 65 if a
/// source has changed since it was read.
pub fn convert_examples(
    paths: &[PathBuf],
    options: &ExamplesOptions,
    output: &Path,
    memory: usize,
) -> Result<Converted> {
    let spill = Spill::create(output, memory)?;
    let (spill, loaded) = spill_examples(paths, options, spill)?;
    let spilled = spill.finish()?;
    let (rows, columns, first) = (loaded.rows, loaded.width, loaded.first_index);
    // Only coordinates may state an entry twice, which then counts with the sum.
    let sums = || loaded.format == ExamplesFormat::MatrixMarket && !spilled.is_dense();
    let ones = spilled.ones && (!sums() || spilled.is_distinct(first, columns));
    let kind = match (is_sparse(spilled.values, rows, columns), ones) {
        (false, _) => DesignKind::Dense,
        (true, false) => DesignKind::Sparse,
        (true, true) => DesignKind::SparseOnes,
    };
    let mut writer = DesignWriter::create(output, rows, kind)?;
    writer.sources = loaded.sources;
    writer.first_index = first;
    match spilled.is_dense() {
        true => spilled.dense_columns(columns, &mut |values| writer.push_dense(values))?,
        false => {
            let mut push = |rows: &[u32], values: &[f32]| writer.push_sparse(rows, values);
            spilled.sparse_columns(first, columns, &mut push)?;
        }
    }
    drop(spilled);
    let converted = Converted {
        rows,
        columns,
        values: writer.values(),
    };
    let mut names = loaded.names.iter().flatten().map(String::as_str);
    let names: Option<&mut dyn Iterator<Item = &str>> = match &loaded.names {
        Some(_) => Some(&mut names),
        None => None,
    };
    writer.finish(&loaded.targets, loaded.weights.as_deref(), names)?;
    Ok(converted)
}
