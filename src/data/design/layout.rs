//! How a design lies in a file, and in memory.
//!
//! Little-endian, every section aligned to 64 bytes:
//!
//! ```text
//! header       256 bytes: magic, version, sizes, where the sections are, checksums
//! data         one column after the other:
//!                dense: f32 x rows, each column aligned to 64 bytes
//!                sparse: f32 x stored values, then their rows: u16 if there are at most 65,536 rows,
//!                else u32; each column aligned to 4 bytes. If all stored values are 1, rows alone
//! starts       u64 x (columns + 1): where each sparse column begins in the data
//! means        f32 x columns
//! norms        f32 x columns: the root of the sum of squares
//! targets      f64 x rows, or u32 x rows: which of the target names
//! target names JSON: the classes' names
//! weights      f32 x rows; may be empty
//! names        the columns' names, one after the other; may be empty
//! name ends    u64 x columns: where each ends
//! sources      JSON: the fingerprints of the files it was made from
//! checksums    u32 each: CRC-32 of every MiB of what is between header and checksums
//! ```

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::super::cache::{ALIGNMENT, Section};
use super::{ColumnRef, RowIds};

/// Version of the layout.
pub(super) const VERSION: u32 = 1;
/// Most rows whose numbers fit 16 bits.
pub(super) const SHORT_ROWS: usize = 1 << 16;

/// The first bytes of a design.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Header {
    pub(super) magic: [u8; 8],
    pub(super) version: u32,
    /// CRC-32 of the header with this field 0.
    pub(super) header_crc32: u32,
    /// Size of the file.
    pub(super) file_bytes: u64,
    pub(super) rows: u64,
    pub(super) columns: u64,
    /// Stored values.
    pub(super) values: u64,
    /// See [`Form::code`].
    pub(super) form: u32,
    /// 0 without targets, 1 for numbers, 2 for texts.
    pub(super) target_kind: u32,
    pub(super) data: Section,
    pub(super) starts: Section,
    pub(super) means: Section,
    pub(super) norms: Section,
    pub(super) targets: Section,
    pub(super) target_names: Section,
    pub(super) weights: Section,
    pub(super) names: Section,
    pub(super) name_ends: Section,
    pub(super) sources: Section,
    pub(super) checksums: Section,
    /// CRC-32 of the checksums.
    pub(super) checksums_crc32: u32,
    /// 1 if columns have names.
    pub(super) has_names: u32,
    /// The index of the first feature in libsvm files.
    pub(super) first_index: u32,
    /// Zeros, room for later versions.
    pub(super) reserved: [u32; 3],
}

/// Size of the header.
pub(super) const HEADER_BYTES: usize = size_of::<Header>();

const _: () = assert!(HEADER_BYTES == 256);

impl Header {
    /// The CRC-32 that `header_crc32` should hold.
    pub(super) fn crc32(mut self) -> u32 {
        self.header_crc32 = 0;
        crc32fast::hash(self.as_bytes())
    }
}

/// How columns are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All values.
    Dense,
    /// The values that are not 0, and their rows.
    Sparse {
        /// True if rows take 16 bits.
        short: bool,
        /// True if all stored values are 1 and not written.
        ones: bool,
    },
}

impl Form {
    /// Sparse columns of so many rows.
    pub(super) fn sparse(rows: usize, ones: bool) -> Form {
        Form::Sparse {
            short: rows <= SHORT_ROWS,
            ones,
        }
    }

    /// Its number in a header.
    pub(super) fn code(self) -> u32 {
        match self {
            Form::Dense => 0,
            Form::Sparse { short, ones } => 1 + u32::from(short) + 2 * u32::from(ones),
        }
    }

    /// The form with this number.
    pub(super) fn of_code(code: u32) -> Option<Form> {
        match code {
            0 => Some(Form::Dense),
            1..=4 => Some(Form::Sparse {
                short: (code - 1) & 1 == 1,
                ones: (code - 1) & 2 == 2,
            }),
            _ => None,
        }
    }

    /// Bytes of a column with so many stored values (dense: rows), what follows aligned.
    pub(super) fn column_bytes(self, stored: usize) -> usize {
        match self {
            Form::Dense => (stored * 4).next_multiple_of(ALIGNMENT as usize),
            Form::Sparse { short, ones } => {
                let rows = if short { 2 } else { 4 };
                let values = if ones { 0 } else { 4 };
                // Without values nothing in a column needs more than its rows do.
                let align = if ones { rows } else { 4 };
                (stored * (rows + values)).next_multiple_of(align)
            }
        }
    }

    /// Stored values of a sparse column of so many bytes; `None` if there is no such column.
    pub(super) fn stored(self, bytes: usize) -> Option<usize> {
        let stored = match self {
            Form::Dense => return None,
            Form::Sparse {
                short: true,
                ones: true,
            } => bytes / 2,
            Form::Sparse {
                short: true,
                ones: false,
            } => bytes / 6,
            Form::Sparse {
                short: false,
                ones: true,
            } => bytes / 4,
            Form::Sparse {
                short: false,
                ones: false,
            } => bytes / 8,
        };
        (self.column_bytes(stored) == bytes).then_some(stored)
    }

    /// The column in `bytes`, which are aligned and as many as [`Form::column_bytes`] says; of a
    /// dense one only its values.
    #[inline]
    pub(super) fn column(self, bytes: &[u8]) -> ColumnRef<'_> {
        let Form::Sparse { short, ones } = self else {
            return ColumnRef::Dense(cast(bytes));
        };
        let stored = self.stored(bytes.len()).unwrap_or(0);
        let values_bytes = if ones { 0 } else { stored * 4 };
        let (values, rows) = bytes.split_at(values_bytes);
        let values = (!ones).then(|| cast(values));
        let rows = match short {
            true => RowIds::Short(cast(&rows[..stored * 2])),
            false => RowIds::Long(cast(&rows[..stored * 4])),
        };
        ColumnRef::Sparse { rows, values }
    }

    /// Writes a sparse column; `bytes` are as many as [`Form::column_bytes`] says.
    pub(super) fn write(self, rows: &[u32], values: &[f32], bytes: &mut [u8]) {
        let Form::Sparse { short, ones } = self else {
            return;
        };
        let (value_bytes, row_bytes) = bytes.split_at_mut(if ones { 0 } else { rows.len() * 4 });
        for (bytes, value) in value_bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            *bytes = value.to_le_bytes();
        }
        match short {
            true => {
                for (bytes, row) in row_bytes.as_chunks_mut::<2>().0.iter_mut().zip(rows) {
                    *bytes = (*row as u16).to_le_bytes();
                }
            }
            false => {
                for (bytes, row) in row_bytes.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
                    *bytes = row.to_le_bytes();
                }
            }
        }
    }
}

/// Bytes as values; empty if they are not aligned or not whole, which a checked layout rules out.
#[inline]
pub(super) fn cast<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_values_follows_from_the_bytes() {
        for rows in [10, SHORT_ROWS, SHORT_ROWS + 1] {
            for ones in [false, true] {
                let form = Form::sparse(rows, ones);
                assert_eq!(Form::of_code(form.code()), Some(form));
                for stored in (0..300).chain([65_535, 65_536]) {
                    assert_eq!(form.stored(form.column_bytes(stored)), Some(stored));
                }
            }
        }
        assert_eq!(Form::sparse(10, false).stored(7), None);
        assert_eq!(Form::of_code(Form::Dense.code()), Some(Form::Dense));
        assert_eq!(Form::of_code(9), None);
    }
}
