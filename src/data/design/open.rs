//! A design in a file: checked once, then used in place.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use zerocopy::FromBytes;

use super::super::cache::{BLOCK_BYTES, Section as Place};
use super::super::examples::{DESIGN_MAGIC, Targets};
use super::super::fingerprint::Fingerprint;
use super::super::mmap::Mapping;
use super::super::source::{Region, Source};
use super::super::spread::spread_into;
use super::layout::{Form, HEADER_BYTES, Header, VERSION, cast};
use super::{ColumnRef, Design, Names, RowIds, Section, wrong};
use crate::error::Result;

/// Bytes of columns that a thread checks at a time.
const CHECKED_BYTES: u64 = 64 << 20;
/// What to do about a design that is damaged.
const REMEDY: &str = "make it again with `petuum convert --columns`";

/// What is wrong with a design.
type Wrong = String;

impl Design {
    /// True if the file at `path` begins as a design does.
    pub fn is_at(path: &Path) -> bool {
        let mut magic = [0; DESIGN_MAGIC.len()];
        let read = std::fs::File::open(path)
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
        read.is_ok() && magic == *DESIGN_MAGIC
    }

    /// Maps the design at `path` after checking all of it once: checksums, and that its parts fit
    /// together. What was checked does not stay in this process's memory.
    ///
    /// # Errors
    /// Status 66 if it is not there, 65 if it is no design of this version, damaged, or older than
    /// the files it was made from.
    pub fn open(path: &Path, threads: usize) -> Result<Design> {
        let refuse = |message: Wrong| wrong(path, message);
        if cfg!(target_endian = "big") {
            return Err(refuse(
                "expected a little-endian machine, train from the text".into(),
            ));
        }
        let Region::Mapped(mapping) = Source::on_disk(path)? else {
            return Err(refuse("expected a file that can be mapped".into()));
        };
        let file = DesignFile::open(&mapping).map_err(refuse)?;
        for print in file.sources().map_err(refuse)? {
            print.require_fresh(path, "petuum convert --columns")?;
        }
        let design = file.design(path).map_err(refuse)?;
        file.check_columns(&design, threads).map_err(refuse)?;
        Ok(design)
    }
}

/// A design whose header holds together.
struct DesignFile<'a> {
    mapping: &'a Arc<Mapping>,
    header: Header,
    form: Form,
    checksums: &'a [u32],
}

impl<'a> DesignFile<'a> {
    fn open(mapping: &'a Arc<Mapping>) -> Result<DesignFile<'a>, Wrong> {
        let bytes = mapping.bytes();
        if !bytes.starts_with(DESIGN_MAGIC) {
            return Err(format!(
                "expected a design that `petuum convert --columns` wrote, saw another file; {REMEDY}"
            ));
        }
        let Ok((header, _)) = Header::read_from_prefix(bytes) else {
            return Err(format!(
                "expected {HEADER_BYTES} bytes or more, the design is cut; {REMEDY}"
            ));
        };
        if header.version != VERSION {
            return Err(format!(
                "expected a design of version {VERSION}, saw version {}; {REMEDY}",
                header.version
            ));
        }
        if header.crc32() != header.header_crc32 {
            return Err(format!(
                "expected an intact header, its checksum is wrong; {REMEDY}"
            ));
        }
        if header.file_bytes != bytes.len() as u64 {
            return Err(format!(
                "expected {} bytes, saw {}: the design is cut; {REMEDY}",
                header.file_bytes,
                bytes.len()
            ));
        }
        let form = Form::of_code(header.form).ok_or_else(inconsistent)?;
        let mut file = DesignFile {
            mapping,
            header,
            form,
            checksums: &[],
        };
        let range = file.range(header.checksums)?;
        if crc32fast::hash(&bytes[range.clone()]) != header.checksums_crc32 {
            return Err(format!("expected intact checksums; {REMEDY}"));
        }
        file.checksums = cast(&bytes[range]);
        file.require_sizes()?;
        Ok(file)
    }

    /// The sections hold as many values as the header says there are.
    fn require_sizes(&self) -> Result<(), Wrong> {
        let Header { rows, columns, .. } = self.header;
        let Header {
            data,
            starts,
            means,
            norms,
            targets,
            weights,
            name_ends,
            checksums,
            ..
        } = self.header;
        let body = checksums
            .start
            .checked_sub(HEADER_BYTES as u64)
            .ok_or_else(inconsistent)?;
        let times = |count: u64, bytes: u64| count.checked_mul(bytes);
        let target_bytes = [0, 8, 4].get(self.header.target_kind as usize).copied();
        let names = if self.header.has_names == 1 {
            columns
        } else {
            0
        };
        let (data_fits, starts_bytes) = match self.form {
            Form::Dense => {
                let column = self
                    .form
                    .column_bytes(rows.min(u64::from(u32::MAX)) as usize)
                    as u64;
                (times(columns, column) == Some(data.bytes), Some(0))
            }
            Form::Sparse { .. } => (true, columns.checked_add(1).and_then(|n| times(n, 8))),
        };
        let fits = rows > 0
            && columns > 0
            && u32::try_from(rows).is_ok()
            && data_fits
            && starts_bytes == Some(starts.bytes)
            && times(columns, 4) == Some(means.bytes)
            && means.bytes == norms.bytes
            && target_bytes.and_then(|bytes| times(rows, bytes)) == Some(targets.bytes)
            && (weights.bytes == 0 || times(rows, 4) == Some(weights.bytes))
            && times(names, 8) == Some(name_ends.bytes)
            && checksums.bytes == body.div_ceil(BLOCK_BYTES) * 4;
        if fits { Ok(()) } else { Err(inconsistent()) }
    }

    /// A section's place in the file.
    fn range(&self, section: Place) -> Result<Range<usize>, Wrong> {
        // A section that nothing was written to has no place.
        match section.bytes {
            0 => Ok(HEADER_BYTES..HEADER_BYTES),
            _ => section
                .range(self.mapping.bytes().len())
                .ok_or_else(inconsistent),
        }
    }

    /// Verifies the checksums of all blocks that `range` touches.
    fn verify(&self, range: &Range<usize>) -> Result<(), Wrong> {
        if range.is_empty() {
            return Ok(());
        }
        let body = &self.mapping.bytes()[HEADER_BYTES..self.header.checksums.start as usize];
        let block = BLOCK_BYTES as usize;
        let blocks = (range.start - HEADER_BYTES) / block
            ..(range.end - HEADER_BYTES).min(body.len()).div_ceil(block);
        for index in blocks {
            let start = index * block;
            let bytes = &body[start..body.len().min(start + block)];
            if self.checksums.get(index) != Some(&crc32fast::hash(bytes)) {
                let at = start + HEADER_BYTES;
                return Err(format!(
                    "expected an intact design, the checksum of byte {at} and on is wrong; {REMEDY}"
                ));
            }
        }
        Ok(())
    }

    /// The verified bytes of a section.
    fn verified(&self, section: Place) -> Result<Range<usize>, Wrong> {
        let range = self.range(section)?;
        self.verify(&range)?;
        Ok(range)
    }

    fn bytes(&self, section: Place) -> Result<&'a [u8], Wrong> {
        Ok(&self.mapping.bytes()[self.verified(section)?])
    }

    fn section(&self, section: Place) -> Result<Section, Wrong> {
        Ok(Section::Mapped(
            Arc::clone(self.mapping),
            self.verified(section)?,
        ))
    }

    /// The fingerprints of its sources.
    fn sources(&self) -> Result<Vec<Fingerprint>, Wrong> {
        serde_json::from_slice(self.bytes(self.header.sources)?).map_err(|_| inconsistent())
    }

    /// The design, its columns unchecked.
    fn design(&self, path: &Path) -> Result<Design, Wrong> {
        let header = &self.header;
        let weights: &[f32] = cast(self.bytes(header.weights)?);
        let names = match header.has_names {
            1 => Names::Mapped(self.section(header.names)?, self.section(header.name_ends)?),
            _ => Names::None,
        };
        let starts = self.section(header.starts)?;
        let sorted: &[u64] = cast(starts.bytes());
        let ends = sorted.first().is_none_or(|first| *first == 0)
            && sorted.last().is_none_or(|last| *last == header.data.bytes);
        if !ends || !sorted.is_sorted() {
            return Err(inconsistent());
        }
        Ok(Design {
            rows: header.rows as usize,
            columns: header.columns as usize,
            form: self.form,
            values: header.values,
            data: Section::Mapped(Arc::clone(self.mapping), self.range(header.data)?),
            starts,
            means: self.section(header.means)?,
            norms: self.section(header.norms)?,
            targets: self.targets()?,
            weights: (!weights.is_empty()).then(|| weights.to_vec()),
            names,
            first_index: header.first_index,
            path: path.to_path_buf(),
        })
    }

    fn targets(&self) -> Result<Targets, Wrong> {
        let bytes = self.bytes(self.header.targets)?;
        let names = self.bytes(self.header.target_names)?;
        match self.header.target_kind {
            0 => Ok(Targets::None),
            1 => Ok(Targets::Numbers(cast::<f64>(bytes).to_vec())),
            _ => {
                let names: Vec<String> =
                    serde_json::from_slice(names).map_err(|_| inconsistent())?;
                let of: Vec<u32> = cast::<u32>(bytes).to_vec();
                match of.iter().all(|name| (*name as usize) < names.len()) {
                    true => Ok(Targets::Texts { names, of }),
                    false => Err(inconsistent()),
                }
            }
        }
    }

    /// Verifies the columns, a part of them at a time, and lets go of each part.
    fn check_columns(&self, design: &Design, threads: usize) -> Result<(), Wrong> {
        let data = self.range(self.header.data)?;
        let parts = (data.len() as u64).div_ceil(CHECKED_BYTES);
        let bound = |part: u64| self.column_at(design, part * CHECKED_BYTES);
        spread_into(
            threads,
            parts as usize,
            |part| {
                let part = part as u64;
                let columns = bound(part)..if part + 1 == parts {
                    design.columns
                } else {
                    bound(part + 1)
                };
                let at = |column| data.start + design.bytes_before(column) as usize;
                self.verify(&(at(columns.start)..at(columns.end)))?;
                let fits = columns.clone().all(|column| self.fits(design, column));
                design.release(columns);
                if fits { Ok(()) } else { Err(inconsistent()) }
            },
            |()| {},
        )
    }

    /// The first column that begins at or after `at` bytes.
    fn column_at(&self, design: &Design, at: u64) -> usize {
        match self.form {
            Form::Dense => at.div_ceil(self.form.column_bytes(design.rows) as u64) as usize,
            Form::Sparse { .. } => {
                let starts: &[u64] = cast(design.starts.bytes());
                starts
                    .partition_point(|start| *start < at)
                    .min(design.columns)
            }
        }
    }

    /// True if a column is whole and all its rows exist.
    fn fits(&self, design: &Design, column: usize) -> bool {
        let place = design.place(column);
        if self.form == Form::Dense {
            return true;
        }
        let ColumnRef::Sparse { rows, values } = design.column(column) else {
            return false;
        };
        let whole = self.form.stored(place.len()) == Some(rows.len())
            && values.is_none_or(|values| values.len() == rows.len());
        let last = match rows {
            RowIds::Short(rows) => rows.iter().copied().max().map(u32::from),
            RowIds::Long(rows) => rows.iter().copied().max(),
        };
        whole && last.is_none_or(|last| (last as usize) < design.rows)
    }
}

/// What is said of a design that contradicts itself although its checksums hold.
fn inconsistent() -> Wrong {
    format!("expected a design whose parts fit together; {REMEDY}")
}
