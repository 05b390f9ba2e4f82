//! Files with one thing per example, or per feature: targets, weights, names.

use std::path::{Path, PathBuf};

use super::super::fingerprint::SourceFile;
use super::super::format::refuse_binary;
use super::super::lines::{Effort, read_lines};
use super::super::share::Part;
use super::super::source::Source;
use super::columns::Role;
use super::csv::{self, Csv, CsvBlock};
use super::format::{MATRIX_MARKET, NPY_MAGIC};
use super::idx;
use super::matrix_market::{Array, Header};
use super::npy::Npy;
use super::targets::{TargetBuilder, Targets};
use crate::error::{Error, Result};

/// How much of a file is parsed at a time.
const EFFORT: Effort = Effort {
    threads: 1,
    piece_bytes: 256 << 10,
};

/// The targets in a file.
///
/// # Errors
/// Status 65 or 66 as for data.
pub(in crate::data) fn targets(path: &Path) -> Result<(Targets, Option<SourceFile>)> {
    let (block, file) = read(path, Role::Target)?;
    Ok((block.targets.finish(), file))
}

/// The weights in a file.
///
/// # Errors
/// Status 65 or 66 as for data.
pub(in crate::data) fn weights(path: &Path) -> Result<(Vec<f32>, Option<SourceFile>)> {
    let (block, file) = read(path, Role::Weight)?;
    require_weights(path, &block.weights)?;
    Ok((block.weights, file))
}

fn read(path: &Path, role: Role) -> Result<(CsvBlock, Option<SourceFile>)> {
    let mut source = Source::at(path, EFFORT.piece_bytes)?;
    let head = source.head()?;
    let start = head.get(..MATRIX_MARKET.len());
    let numbers = match head[..] {
        _ if head.starts_with(NPY_MAGIC) => npy_vector(&mut source)?,
        _ if start.is_some_and(|start| start.eq_ignore_ascii_case(MATRIX_MARKET)) => {
            matrix_vector(&mut source, &head)?
        }
        [0, 0, 8, 1, ..] => idx_vector(&mut source)?,
        _ => return text(&mut source, role).map(|block| (block, SourceFile::of(&source))),
    };
    let mut block = CsvBlock {
        rows: numbers.len(),
        ..CsvBlock::default()
    };
    match role {
        Role::Weight => block.weights = numbers.iter().map(|number| *number as f32).collect(),
        _ => numbers
            .into_iter()
            .for_each(|number| block.targets.push_number(number)),
    }
    Ok((block, SourceFile::of(&source)))
}

fn idx_vector(source: &mut Source) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    let sink = |some: &[u8]| values.extend(some.iter().map(|value| f64::from(*value)));
    idx::open(source)?.each(sink)?;
    Ok(values)
}

fn npy_vector(source: &mut Source) -> Result<Vec<f64>> {
    let array = Npy::open(source)?;
    if array.width != 1 && array.rows != 1 {
        let message = format!(
            "expected one value per example, saw {} columns",
            array.width
        );
        return Err(Error::data(source.path(), 0, 0, message));
    }
    let mut values = Vec::new();
    array.each(|_, value| values.push(value))?;
    Ok(values)
}

fn matrix_vector(source: &mut Source, head: &[u8]) -> Result<Vec<f64>> {
    let header = Header::read(head).map_err(|fault| fault.locate(source.path(), head, 1))?;
    let refuse =
        |source: &Source, message: String| Err(Error::data(source.path(), header.line, 0, message));
    if header.is_sparse || (header.columns != 1 && header.rows != 1) {
        return refuse(source, "expected an array of one column".to_owned());
    }
    let mut values = Vec::new();
    let mut sink = |mut block: Vec<f64>| values.append(&mut block);
    read_lines(
        source,
        header.start,
        &Part::WHOLE,
        &Array,
        EFFORT,
        &mut sink,
    )?;
    match values.len() as u64 == header.entries {
        true => Ok(values),
        false => refuse(
            source,
            format!(
                "expected {} entries as stated here, saw {}",
                header.entries,
                values.len()
            ),
        ),
    }
}

/// One thing a line.
fn text(source: &mut Source, role: Role) -> Result<CsvBlock> {
    let head = source.head_while(csv::needs_more)?;
    refuse_binary(source.path(), &head)?;
    let layout = Csv::of_column(&head, role);
    let layout = layout.map_err(|fault| fault.locate(source.path(), &head, 1))?;
    let (mut targets, mut all) = (TargetBuilder::default(), CsvBlock::default());
    let mut sink = |mut block: CsvBlock| {
        all.rows += block.rows;
        all.weights.append(&mut block.weights);
        targets.append(block.targets);
    };
    read_lines(
        source,
        layout.start,
        &Part::WHOLE,
        &layout,
        EFFORT,
        &mut sink,
    )?;
    all.targets = targets;
    Ok(all)
}

/// The names in a file, one a line, each without the blanks around it.
///
/// # Errors
/// Status 65 or 66 as for data.
pub(super) fn names(path: &Path) -> Result<(PathBuf, Vec<String>)> {
    let mut source = Source::at(path, EFFORT.piece_bytes)?;
    refuse_binary(path, &source.head()?)?;
    let text = source.read_all()?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.trim_start_matches('\u{FEFF}').lines();
    Ok((
        path.to_path_buf(),
        lines.map(|line| line.trim().to_owned()).collect(),
    ))
}

/// The number of features, given their names: sparse data may lack the last ones.
///
/// # Errors
/// Status 65 if there are too few names, or too many for what a file `stated`.
pub(super) fn width_of_names(
    path: &Path,
    names: &[String],
    needed: usize,
    stated: Option<usize>,
) -> Result<usize> {
    let fits = names.len() == needed || (stated.is_none() && names.len() > needed);
    match fits {
        true => Ok(names.len()),
        false => {
            let message = format!(
                "expected {needed} names, one per feature, saw {}",
                names.len()
            );
            Err(Error::data(path, 0, 0, message))
        }
    }
}

/// Refuses a file whose number of values is not that of the examples in `data`.
///
/// # Errors
/// Status 65.
pub(in crate::data) fn require_length(
    path: &Path,
    seen: usize,
    rows: usize,
    data: &Path,
) -> Result<()> {
    match seen == rows {
        true => Ok(()),
        false => {
            let data = data.display();
            let message = format!("expected {rows} values, one per example of {data}, saw {seen}");
            Err(Error::data(path, 0, 0, message))
        }
    }
}

/// Refuses weights that are negative, or all 0.
///
/// # Errors
/// Status 65.
pub(super) fn require_weights(path: &Path, weights: &[f32]) -> Result<()> {
    if let Some(at) = weights.iter().position(|weight| *weight < 0.0) {
        let message = format!(
            "expected weights of 0 or more, saw {} in row {}",
            weights[at],
            at + 1
        );
        return Err(Error::data(path, 0, 0, message));
    }
    match weights.is_empty() || weights.iter().any(|weight| *weight > 0.0) {
        true => Ok(()),
        false => Err(Error::data(
            path,
            0,
            0,
            "expected a weight above 0, all are 0",
        )),
    }
}
