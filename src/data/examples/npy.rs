//! Arrays of NumPy (`numpy.save`): floats and integers of all sizes in both byte orders, in C or
//! Fortran order. The first dimension counts examples.

use super::super::source::Source;
use super::binary::{Bytes, wrong};
use super::format::NPY_MAGIC;
use crate::error::{Error, Result};

/// Longest header that is read.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// An array that is open.
pub(super) struct Npy {
    bytes: Bytes,
    header: Header,
    pub(super) rows: usize,
    pub(super) width: usize,
    items: u64,
}

/// What a header states.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    kind: Kind,
    item_bytes: usize,
    is_big_endian: bool,
    is_fortran: bool,
    shape: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
    Bool,
}

impl Npy {
    /// Opens an array.
    ///
    /// # Errors
    /// Status 65 if it is none that can be read.
    pub(super) fn open(source: &mut Source) -> Result<Npy> {
        let path = source.path().to_path_buf();
        let refuse = |message: String| wrong(&path, message);
        let mut bytes = Bytes::open(source)?;
        let header = header(&mut bytes, &refuse)?;
        let (rows, width, items) = sizes(&header.shape).map_err(refuse)?;
        if header.is_fortran && header.shape.len() > 2 {
            let message = "expected at most two dimensions in Fortran order; save it in C order";
            return Err(wrong(&path, message));
        }
        Ok(Npy {
            bytes,
            header,
            rows: rows as usize,
            width: width as usize,
            items,
        })
    }

    /// True if the file holds one column after the other, false if one row.
    pub(super) fn is_by_column(&self) -> bool {
        self.header.is_fortran
    }

    /// Hands every value with its column to `sink`, in the order of the file.
    ///
    /// # Errors
    /// Status 65 if the file is cut, or a value is not finite in 32 bits.
    pub(super) fn each(self, mut sink: impl FnMut(usize, f64)) -> Result<()> {
        let Npy {
            mut bytes,
            header,
            rows,
            width,
            items,
        } = self;
        let (mut row, mut column) = (0, 0);
        bytes.items(items, header.item_bytes, |taken| {
            let mut fault = None;
            header.decode(taken, |value| {
                if !(value as f32).is_finite() && fault.is_none() {
                    fault = Some((row, column, value));
                }
                sink(column, value);
                let (inner, outer, length) = match header.is_fortran {
                    true => (&mut row, &mut column, rows),
                    false => (&mut column, &mut row, width),
                };
                *inner += 1;
                if *inner == length {
                    *inner = 0;
                    *outer += 1;
                }
            });
            fault.map_or(Ok(()), |(row, column, value)| {
                Err(format!(
                    "expected a finite 32-bit number in row {}, column {}, saw {value}; fill missing \
                     values in or leave the row out",
                    row + 1,
                    column + 1
                ))
            })
        })
    }
}

/// Column after column to row after row.
pub(super) fn transposed<T: Copy + Default>(values: &[T], rows: usize, width: usize) -> Vec<T> {
    // In squares, so that neither side leaves the cache.
    const SIDE: usize = 64;
    let mut out = vec![T::default(); values.len()];
    for left in (0..width).step_by(SIDE) {
        for top in (0..rows).step_by(SIDE) {
            for column in left..width.min(left + SIDE) {
                for row in top..rows.min(top + SIDE) {
                    out[row * width + column] = values[column * rows + row];
                }
            }
        }
    }
    out
}

/// Rows, values in each, and values in all.
fn sizes(shape: &[u64]) -> Result<(u64, u64, u64), String> {
    let width = shape
        .iter()
        .skip(1)
        .try_fold(1u64, |width, n| width.checked_mul(*n));
    let rows = shape.first().copied().unwrap_or(0);
    let items = width.and_then(|width| rows.checked_mul(width));
    match (width, items) {
        (Some(width), Some(items)) if items > 0 && width <= u64::from(u32::MAX) => {
            Ok((rows, width, items))
        }
        _ => Err(format!(
            "expected examples times features, saw an array of shape {shape:?}"
        )),
    }
}

fn header(bytes: &mut Bytes, refuse: &dyn Fn(String) -> Error) -> Result<Header> {
    let start = bytes.take_all(NPY_MAGIC.len() + 2, "the header of an array of NumPy")?;
    if !start.starts_with(NPY_MAGIC) {
        return Err(refuse(
            "expected an array of NumPy (`numpy.save`), saw another file".to_owned(),
        ));
    }
    let version = start[NPY_MAGIC.len()];
    let length = match version {
        1 => {
            let field = bytes.take_all(2, "the length of its header")?;
            usize::from(u16::from_le_bytes([field[0], field[1]]))
        }
        2 | 3 => {
            let field = bytes.take_all(4, "the length of its header")?;
            u32::from_le_bytes([field[0], field[1], field[2], field[3]]) as usize
        }
        _ => {
            return Err(refuse(format!(
                "expected version 1 to 3 of NumPy's format, saw {version}"
            )));
        }
    };
    if length > HEADER_BYTES_MAX {
        return Err(refuse(format!(
            "expected a header of at most {HEADER_BYTES_MAX} bytes, saw {length}"
        )));
    }
    let text = bytes.take_all(length, "its header")?;
    let text = String::from_utf8_lossy(&text);
    Header::parse(&text).map_err(refuse)
}

impl Header {
    /// Reads Python's literal of a dictionary, as NumPy writes it.
    fn parse(text: &str) -> Result<Header, String> {
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}'"))?;
            Some(rest.trim_start().strip_prefix(':')?.trim_start())
        };
        let malformed = || {
            format!(
                "expected `descr`, `fortran_order` and `shape` in the header of an array, saw `{}`",
                text.trim_end()
            )
        };
        let described = value("descr").ok_or_else(malformed)?;
        let Some(kind) = described
            .strip_prefix('\'')
            .and_then(|rest| rest.split('\'').next())
        else {
            return Err("expected an array of plain numbers, saw one of records".to_owned());
        };
        let shape = value("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next());
        let numbers = shape.ok_or_else(malformed)?.split(',').map(str::trim);
        let shape = numbers.filter(|number| !number.is_empty()).map(str::parse);
        let shape: Result<Vec<u64>, _> = shape.collect();
        let is_fortran = value("fortran_order")
            .ok_or_else(malformed)?
            .starts_with("True");
        let (kind, item_bytes, is_big_endian) = numbers_of(kind)?;
        Ok(Header {
            kind,
            item_bytes,
            is_big_endian,
            is_fortran,
            shape: shape.map_err(|_| malformed())?,
        })
    }

    /// Hands the values in `bytes` to `sink`.
    fn decode(&self, bytes: &[u8], sink: impl FnMut(f64)) {
        macro_rules! each {
            ($type:ident) => {
                decode(
                    bytes,
                    self.is_big_endian,
                    $type::from_le_bytes,
                    $type::from_be_bytes,
                    |value| value as f64,
                    sink,
                )
            };
        }
        match (self.kind, self.item_bytes) {
            (Kind::Float, 4) => each!(f32),
            (Kind::Float, _) => each!(f64),
            (Kind::Signed, 1) => each!(i8),
            (Kind::Signed, 2) => each!(i16),
            (Kind::Signed, 4) => each!(i32),
            (Kind::Signed, _) => each!(i64),
            (Kind::Bool, _) | (Kind::Unsigned, 1) => each!(u8),
            (Kind::Unsigned, 2) => each!(u16),
            (Kind::Unsigned, 4) => each!(u32),
            (Kind::Unsigned, _) => each!(u64),
        }
    }
}

fn decode<T, const N: usize>(
    bytes: &[u8],
    is_big_endian: bool,
    little: impl Fn([u8; N]) -> T,
    big: impl Fn([u8; N]) -> T,
    widen: impl Fn(T) -> f64,
    mut sink: impl FnMut(f64),
) {
    let (items, _) = bytes.as_chunks::<N>();
    match is_big_endian {
        true => items.iter().for_each(|item| sink(widen(big(*item)))),
        false => items.iter().for_each(|item| sink(widen(little(*item)))),
    }
}

/// The type of numbers that NumPy calls `name`: kind, size, true for big-endian.
fn numbers_of(name: &str) -> Result<(Kind, usize, bool), String> {
    let (order, rest) = match name.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|" | "="), rest)) => (order, rest),
        _ => ("<", name),
    };
    let kind = match rest {
        "f4" | "f8" => Kind::Float,
        "i1" | "i2" | "i4" | "i8" => Kind::Signed,
        "u1" | "u2" | "u4" | "u8" => Kind::Unsigned,
        "b1" => Kind::Bool,
        _ => {
            return Err(format!(
                "expected an array of floats of 4 or 8 bytes or of integers, saw type `{name}`; save it with `.astype('f4')`"
            ));
        }
    };
    let item_bytes = usize::from(rest.as_bytes()[1] - b'0');
    Ok((kind, item_bytes, order == ">"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }      \n";
        let header = Header::parse(text).unwrap();
        assert_eq!(header.shape, [3, 4]);
        assert_eq!((header.kind, header.item_bytes), (Kind::Float, 4));
        assert!(!header.is_fortran && !header.is_big_endian);
        let text = "{'descr': '>i2', 'fortran_order': True, 'shape': (5,), }\n";
        let header = Header::parse(text).unwrap();
        assert_eq!(header.shape, [5]);
        assert!(header.is_fortran && header.is_big_endian);
        for text in [
            "",
            "{}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (5,), }",
            "{'descr': '<c8', 'fortran_order': False, 'shape': (5,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': 5, }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-5,), }",
            "{'descr': 'é', 'fortran_order': False, 'shape': (5,), }",
        ] {
            assert!(Header::parse(text).is_err(), "{text}");
        }
        assert!(sizes(&[u64::MAX, 8]).is_err() && sizes(&[0, 4]).is_err() && sizes(&[]).is_err());
    }

    #[test]
    fn columns_become_rows() {
        for (rows, width) in [(1, 1), (3, 200), (130, 65), (64, 64)] {
            let values: Vec<usize> = (0..rows * width).collect();
            let out = transposed(&values, rows, width);
            assert_eq!(transposed(&out, width, rows), values);
            assert_eq!(
                out.get(1),
                if width > 1 {
                    Some(&rows)
                } else {
                    values.get(1)
                }
            );
        }
    }
}
