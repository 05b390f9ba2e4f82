//! A design in a file, written column by column: into a temporary file beside, then renamed, so that
//! nobody ever sees half of one. What is held in memory does not grow with the columns.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zerocopy::IntoBytes;

use super::super::cache::Section;
use super::super::cache_write::{Beside, Sections};
use super::super::examples::{DESIGN_MAGIC, Targets};
use super::super::fingerprint::{Fingerprint, SourceFile};
use super::layout::{Form, HEADER_BYTES, Header, VERSION};
use crate::error::{Error, Result};

/// Bytes that are written at a time.
const WRITTEN_BYTES: usize = 1 << 20;

/// What the columns of a design are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesignKind {
    /// Every value is stored.
    Dense,
    /// Values that are not 0 are stored, with their rows.
    Sparse,
    /// The same, and every stored value is 1.
    SparseOnes,
}

/// Writes a design.
pub struct DesignWriter {
    path: PathBuf,
    rows: usize,
    form: Form,
    columns: u64,
    values: u64,
    beside: Beside,
    out: Sections<BufWriter<File>>,
    /// Where the columns begin in the file.
    data: u64,
    starts: Spool,
    means: Spool,
    norms: Spool,
    /// The bytes of a column.
    bytes: Vec<u8>,
    /// The files that the columns come from.
    pub(super) sources: Vec<SourceFile>,
    /// The index of the first feature in libsvm files.
    pub(super) first_index: u32,
}

impl DesignWriter {
    /// Begins a design of so many rows at `path`; what is there is replaced when it is finished.
    ///
    /// # Errors
    /// Status 73 if it cannot be created, 2 if there are too many rows.
    pub fn create(path: &Path, rows: usize, kind: DesignKind) -> Result<DesignWriter> {
        if rows == 0 || u32::try_from(rows).is_err() {
            return Err(Error::Usage(format!(
                "{rows} rows: a design has 1 to 2³² − 1"
            )));
        }
        let form = match kind {
            DesignKind::Dense => Form::Dense,
            DesignKind::Sparse => Form::sparse(rows, false),
            DesignKind::SparseOnes => Form::sparse(rows, true),
        };
        let refuse = |why: io::Error| Error::cannot_write(path, why);
        let beside = Beside::create(path)?;
        let file = beside.file.try_clone().map_err(refuse)?;
        let out = BufWriter::with_capacity(WRITTEN_BYTES, file);
        let out = Sections::new(out, HEADER_BYTES).map_err(refuse)?;
        Ok(DesignWriter {
            path: path.to_path_buf(),
            rows,
            form,
            columns: 0,
            values: 0,
            beside,
            data: out.at,
            out,
            starts: Spool::create(path, "starts")?,
            means: Spool::create(path, "means")?,
            norms: Spool::create(path, "norms")?,
            bytes: Vec::new(),
            sources: Vec::new(),
            first_index: 1,
        })
    }

    /// Number of columns so far.
    pub fn columns(&self) -> u64 {
        self.columns
    }

    /// Stored values so far.
    pub fn values(&self) -> u64 {
        self.values
    }

    /// Adds a column by the values of all rows; of a sparse design only those that are not 0 are
    /// stored.
    ///
    /// # Errors
    /// Status 74 if it cannot be written.
    pub fn push_dense(&mut self, values: &[f32]) -> Result<()> {
        if values.len() != self.rows {
            return Err(Error::Bug(format!(
                "a column of {} values for {} rows",
                values.len(),
                self.rows
            )));
        }
        if self.form != Form::Dense {
            let filled = || {
                values
                    .iter()
                    .enumerate()
                    .filter(|(_, value)| **value != 0.0)
            };
            let rows: Vec<u32> = filled().map(|(row, _)| row as u32).collect();
            let kept: Vec<f32> = filled().map(|(_, value)| *value).collect();
            return self.push_sparse(&rows, &kept);
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes.resize(self.form.column_bytes(values.len()), 0);
        self.values += values.len() as u64;
        let done = self.push(&bytes, values.iter().copied());
        self.bytes = bytes;
        done
    }

    /// Adds a column by the rows whose values are not 0, ascending, and those values.
    ///
    /// # Errors
    /// Status 74 if it cannot be written.
    pub fn push_sparse(&mut self, rows: &[u32], values: &[f32]) -> Result<()> {
        let ascends = rows.windows(2).all(|two| two[0] < two[1]);
        let fits = rows.last().is_none_or(|last| (*last as usize) < self.rows);
        if !ascends || !fits || rows.len() != values.len() {
            return Err(Error::Bug(
                "a column whose rows do not ascend within the design".into(),
            ));
        }
        if self.form == Form::Dense {
            let mut all = vec![0.0; self.rows];
            rows.iter()
                .zip(values)
                .for_each(|(row, value)| all[*row as usize] = *value);
            return self.push_dense(&all);
        }
        let ones = matches!(self.form, Form::Sparse { ones: true, .. });
        if ones && values.iter().any(|value| *value != 1.0) {
            return Err(Error::Bug(
                "a value that is not 1 in a design of ones".into(),
            ));
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.resize(self.form.column_bytes(rows.len()), 0);
        self.form.write(rows, values, &mut bytes);
        self.values += rows.len() as u64;
        let done = self.push(&bytes, values.iter().copied());
        self.bytes = bytes;
        done
    }

    fn push(&mut self, bytes: &[u8], values: impl Iterator<Item = f32>) -> Result<()> {
        let (sum, squares) = values.fold((0.0, 0.0), |(sum, squares), value| {
            let value = f64::from(value);
            (sum + value, squares + value * value)
        });
        let mean = (sum / self.rows as f64) as f32;
        let norm = squares.sqrt() as f32;
        let start = self.out.at - self.data;
        let written = match self.form {
            Form::Dense => Ok(()),
            Form::Sparse { .. } => self.starts.put(&start.to_le_bytes()),
        };
        let written = written
            .and_then(|()| self.means.put(&mean.to_le_bytes()))
            .and_then(|()| self.norms.put(&norm.to_le_bytes()))
            .and_then(|()| self.out.put(bytes));
        self.columns += 1;
        written.map_err(|why| Error::cannot_write(&self.path, why))
    }

    /// Writes what belongs to rows and to columns as wholes and puts the file into its place.
    /// `names` are the columns', if they have names.
    ///
    /// # Errors
    /// Status 74 if it cannot be written, 65 if a source has changed since it was read.
    pub fn finish(
        mut self,
        targets: &Targets,
        weights: Option<&[f32]>,
        names: Option<&mut dyn Iterator<Item = &str>>,
    ) -> Result<()> {
        let of_rows = |length: usize| length == 0 || length == self.rows;
        if self.columns == 0 || !of_rows(targets.len()) || !of_rows(weights.map_or(0, <[f32]>::len))
        {
            return Err(Error::Bug(
                "a design without columns, or of another number of rows".into(),
            ));
        }
        let prints = self.sources.iter().map(SourceFile::fingerprint);
        let prints = prints.collect::<Result<Vec<Fingerprint>>>()?;
        let path = self.path.clone();
        let refuse = |why: io::Error| Error::cannot_write(&path, why);
        let mut header = self.columns_end().map_err(refuse)?;
        self.rows_end(&mut header, targets, weights)
            .map_err(refuse)?;
        if let Some(names) = names {
            self.names_end(&mut header, names).map_err(refuse)?;
        }
        let mut sources = || self.out.section(&serde_json::to_vec(&prints)?);
        header.sources = sources().map_err(refuse)?;
        let done = self.out.finish(|ending| {
            header.checksums = ending.checksums;
            header.checksums_crc32 = ending.checksums_crc32;
            header.file_bytes = ending.file_bytes;
            header.header_crc32 = header.crc32();
            header.as_bytes().to_vec()
        });
        done.and_then(|()| self.beside.file.sync_all())
            .map_err(refuse)?;
        self.beside.rename_to(&path)
    }

    fn columns_end(&mut self) -> io::Result<Header> {
        let data = self.out.end(self.data)?;
        if self.form != Form::Dense {
            self.starts.put(&data.bytes.to_le_bytes())?;
        }
        Ok(Header {
            magic: *DESIGN_MAGIC,
            version: VERSION,
            rows: self.rows as u64,
            columns: self.columns,
            values: self.values,
            form: self.form.code(),
            first_index: self.first_index,
            data,
            starts: self.starts.copy(&mut self.out)?,
            means: self.means.copy(&mut self.out)?,
            norms: self.norms.copy(&mut self.out)?,
            ..Header::default()
        })
    }

    fn rows_end(
        &mut self,
        header: &mut Header,
        targets: &Targets,
        weights: Option<&[f32]>,
    ) -> io::Result<()> {
        let names: &[String] = match targets {
            Targets::None => &[],
            Targets::Numbers(numbers) => {
                header.target_kind = 1;
                header.targets = self.out.section(numbers.as_bytes())?;
                &[]
            }
            Targets::Texts { names, of } => {
                header.target_kind = 2;
                header.targets = self.out.section(of.as_bytes())?;
                names
            }
        };
        header.target_names = self.out.section(&serde_json::to_vec(names)?)?;
        header.weights = self.out.section(weights.unwrap_or_default().as_bytes())?;
        Ok(())
    }

    fn names_end(
        &mut self,
        header: &mut Header,
        names: &mut dyn Iterator<Item = &str>,
    ) -> io::Result<()> {
        let mut ends = Spool::create(&self.path, "names").map_err(io::Error::other)?;
        let (start, mut seen) = (self.out.at, 0);
        for name in names {
            self.out.put(name.as_bytes())?;
            ends.put(&(self.out.at - start).to_le_bytes())?;
            seen += 1;
        }
        if seen != self.columns {
            return Err(io::Error::other(format!(
                "{seen} names for {} columns",
                self.columns
            )));
        }
        header.names = self.out.end(start)?;
        header.name_ends = ends.copy(&mut self.out)?;
        header.has_names = 1;
        Ok(())
    }
}

/// A section that grows beside the file until its turn comes.
struct Spool {
    out: BufWriter<File>,
    _beside: Beside,
}

impl Spool {
    fn create(path: &Path, part: &str) -> Result<Spool> {
        let beside = Beside::named(path, part)?;
        let file = beside.file.try_clone();
        let file = file.map_err(|why| Error::cannot_create(path, why))?;
        Ok(Spool {
            out: BufWriter::with_capacity(1 << 16, file),
            _beside: beside,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Copies everything into a section of its own.
    fn copy(&mut self, out: &mut Sections<BufWriter<File>>) -> io::Result<Section> {
        self.out.flush()?;
        let file = self.out.get_mut();
        file.seek(SeekFrom::Start(0))?;
        let start = out.at;
        let mut some = vec![0; WRITTEN_BYTES];
        loop {
            match file.read(&mut some)? {
                0 => return out.end(start),
                bytes => out.put(&some[..bytes])?,
            }
        }
    }
}
