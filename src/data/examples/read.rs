//! What each format adds to the examples.

use std::path::Path;

use super::super::field::Fault;
use super::super::fingerprint::SourceFile;
use super::super::lines::{LineFormat, read_lines};
use super::super::share::Part;
use super::super::source::Source;
use super::super::text;
use super::columns::{Columns, Role, TargetColumn};
use super::csv::{self, Csv};
use super::idx;
use super::libsvm::Libsvm;
use super::load::Loader;
use super::matrix_market::{self, Array, Coordinates, Entry};
use super::npy::Npy;
use super::targets::Targets;
use super::vector;
use crate::error::{Error, Result};

/// Values that are handed on at a time.
const SOME_VALUES: usize = 1 << 16;
/// Rows of a matrix without entries that are taken without asking where they come from.
const EMPTY_ROWS: u64 = 1 << 24;

impl Loader<'_> {
    fn lines<F: LineFormat>(
        &self,
        source: &mut Source,
        start: usize,
        format: &F,
        sink: &mut (dyn FnMut(F::Block) + Send),
    ) -> Result<()> {
        read_lines(source, start, &Part::WHOLE, format, self.effort(), sink).map(|_| ())
    }

    /// Adds a file in this format.
    pub(super) fn libsvm(&mut self, source: &mut Source) -> Result<()> {
        let start = text::start(&source.head()?);
        let format = Libsvm::new(self.options.first_index, self.options.trained.is_some());
        let mut gathered = std::mem::take(&mut self.gathered);
        self.lines(source, start, &format, &mut |block| {
            gathered.add_libsvm(block)
        })?;
        self.gathered = gathered;
        Ok(())
    }

    /// What the user says of the columns of dense data.
    fn columns(&self, usual: bool) -> Columns {
        Columns {
            target: self.options.target.clone(),
            usual: usual && self.options.targets.is_none(),
            weight: self.options.weight.clone(),
            dropped: self.options.dropped.clone(),
            width: self.options.width,
            trained: self.options.trained.clone(),
        }
    }

    /// Adds a file in this format.
    pub(super) fn csv(&mut self, source: &mut Source) -> Result<()> {
        let head = source.head_while(csv::needs_more)?;
        let layout = Csv::of(&head, &self.columns(true));
        let layout = layout.map_err(|fault| fault.locate(source.path(), &head, 1))?;
        drop(head);
        let fields = layout.fields();
        self.same_width(source.path(), layout.width(), &format!("{fields} fields"))?;
        let names = layout.feature_names();
        match (&self.gathered.names, names) {
            (Some(first), Some(names)) if *first != names => {
                let message = "expected the same header as in the files before; name files of the same columns";
                return Err(Error::data(source.path(), 1, 0, message));
            }
            (None, Some(names)) => self.gathered.names = Some(names),
            _ => {}
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        self.lines(source, layout.start, &layout, &mut |block| {
            gathered.add_csv(block)
        })?;
        self.gathered = gathered;
        match layout.has_weights() {
            true => vector::require_weights(source.path(), &self.gathered.weights),
            false => Ok(()),
        }
    }

    /// Adds a file in this format.
    pub(super) fn matrix(&mut self, source: &mut Source) -> Result<()> {
        let head = source.head()?;
        let path = source.path().to_path_buf();
        let locate = |fault: Fault| fault.locate(&path, &head, 1);
        let header = matrix_market::Header::read(&head).map_err(locate)?;
        let (rows, columns) = (header.rows as usize, header.columns as usize);
        self.same_width(&path, columns, &format!("{columns} columns"))?;
        let refuse = |message: String| Err(Error::data(&path, header.line, 0, message));
        let mut gathered = std::mem::take(&mut self.gathered);
        let mut seen = 0;
        if header.is_sparse {
            let format = Coordinates::new(header);
            self.lines(source, header.start, &format, &mut |block: Vec<Entry>| {
                seen += block.len() as u64;
                gathered.entries(block);
            })?;
        } else {
            self.lines(source, header.start, &Array, &mut |block: Vec<f64>| {
                seen += block.len() as u64;
                gathered.dense(block.iter().map(|value| *value as f32).collect());
            })?;
        }
        self.gathered = gathered;
        if seen != header.entries {
            return refuse(format!(
                "expected {} entries as stated here, saw {seen}",
                header.entries
            ));
        }
        if !header.is_sparse {
            self.gathered.end_dense(rows, true);
        } else if header.rows > EMPTY_ROWS.max(seen.saturating_mul(64)) {
            return refuse(format!(
                "expected entries for most of the {rows} rows stated here, saw {seen} in all"
            ));
        } else {
            self.gathered.end_entries(rows);
        }
        Ok(())
    }

    /// Adds a file in this format.
    pub(super) fn npy(&mut self, source: &mut Source) -> Result<()> {
        let array = Npy::open(source)?;
        let (rows, by_column) = (array.rows, array.is_by_column());
        let roles = self.columns(false).roles(array.width, None);
        let roles = roles.map_err(|message| Error::data(source.path(), 0, 0, message))?;
        let width = roles.iter().filter(|role| **role == Role::Feature).count();
        self.same_width(source.path(), width, &format!("{} columns", array.width))?;
        let gathered = &mut self.gathered;
        let mut some = Vec::with_capacity(SOME_VALUES);
        array.each(|column, value| match roles[column] {
            Role::Feature => {
                some.push(value as f32);
                if some.len() == SOME_VALUES {
                    let full = std::mem::replace(&mut some, Vec::with_capacity(SOME_VALUES));
                    gathered.dense(full);
                }
            }
            Role::Target => gathered.targets.push_number(value),
            Role::Weight => gathered.weights.push(value as f32),
            Role::Dropped => {}
        })?;
        gathered.dense(some);
        gathered.end_dense(rows, by_column);
        vector::require_weights(source.path(), &self.gathered.weights)
    }

    /// Reads images, and their labels if nothing else is said; returns the file of labels.
    pub(super) fn idx(&mut self, source: &mut Source) -> Result<Option<SourceFile>> {
        let cube = idx::open(source)?;
        let rows = cube.rows;
        self.same_width(
            source.path(),
            cube.width,
            &format!("{} values a piece", cube.width),
        )?;
        let gathered = &mut self.gathered;
        cube.each(|some| gathered.dense(some.iter().map(|value| f32::from(*value)).collect()))?;
        gathered.end_dense(rows, false);
        let wanted =
            self.options.targets.is_none() && self.options.target != Some(TargetColumn::None);
        let beside = idx::labels_beside(source.path()).filter(|_| wanted);
        let Some(path) = beside else {
            return Ok(None);
        };
        let (labels, file) = vector::targets(&path)?;
        vector::require_length(&path, labels.len(), rows, source.path())?;
        let Targets::Numbers(labels) = labels else {
            return Ok(file);
        };
        labels
            .into_iter()
            .for_each(|label| self.gathered.targets.push_number(label));
        Ok(file)
    }

    /// Refuses a file whose examples are not as wide as those before, or as the model wants them.
    fn same_width(&mut self, path: &Path, width: usize, seen: &str) -> Result<()> {
        let model = self.options.width.filter(|wanted| *wanted != width);
        let before = self.gathered.width.filter(|before| *before != width);
        let message = match (model, before) {
            (Some(wanted), _) => {
                format!("expected {wanted} features as the model was trained with, saw {seen}")
            }
            (_, Some(before)) => {
                format!("expected {before} features as in the files before, saw {seen}")
            }
            (None, None) => {
                self.gathered.width = Some(width);
                return Ok(());
            }
        };
        Err(Error::data(path, 0, 0, message))
    }
}
