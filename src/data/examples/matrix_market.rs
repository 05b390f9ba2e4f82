//! Matrix Market: `coordinate` and `array`, `real`, `integer` and (for coordinates) `pattern`,
//! `general`. A row is an example. An entry that is stated twice counts with the sum of its values.

use super::super::field::{BOM, Cursor, Fault, Whole, is_blank, shown, small_number};
use super::super::lines::LineFormat;
use super::super::share::line_start;
use super::format::MATRIX_MARKET;
use super::libsvm::FEATURES_MAX;
use super::number::{real, whole_token};

/// Most rows and columns; a column is a feature, as in libsvm.
const SIZE_MAX: u64 = FEATURES_MAX;

/// What a header states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) rows: u64,
    pub(super) columns: u64,
    /// Entries of coordinates; rows times columns of an array.
    pub(super) entries: u64,
    /// True for coordinates, false for an array.
    pub(super) is_sparse: bool,
    /// True if all values are 1 and not written.
    pub(super) is_pattern: bool,
    /// The line that states the sizes, from 1.
    pub(super) line: u64,
    /// Where the entries begin.
    pub(super) start: usize,
}

impl Header {
    /// Reads it from the start of a file.
    pub(super) fn read(head: &[u8]) -> Result<Header, Fault> {
        let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let mut at = line_start(head, start + 1);
        let words = String::from_utf8_lossy(&head[start..at]).to_lowercase();
        let words: Vec<&str> = words.split_whitespace().collect();
        let (is_sparse, is_pattern) = match words[..] {
            [mark, "matrix", form, field, "general"] if mark.as_bytes() == MATRIX_MARKET => {
                match (form, field) {
                    ("coordinate", "real" | "integer" | "double") => (true, false),
                    ("coordinate", "pattern") => (true, true),
                    ("array", "real" | "integer" | "double") => (false, false),
                    _ => return Err(unknown(&words, start)),
                }
            }
            _ => return Err(unknown(&words, start)),
        };
        let mut line = 2;
        while head
            .get(at)
            .is_some_and(|byte| matches!(byte, b'%' | b'\n' | b'\r'))
        {
            at = line_start(head, at + 1);
            line += 1;
        }
        let mut cursor = Cursor::new(head, at);
        let size = |name| Whole::new(name, 1, SIZE_MAX);
        let rows = cursor.number(&size("the number of rows"))?;
        let columns = cursor.number(&size("the number of columns"))?;
        let entries = match is_sparse {
            true => cursor.number(&Whole::new("the number of entries", 0, u64::MAX))?,
            false => rows * columns,
        };
        cursor.finish_line("the sizes")?;
        Ok(Header {
            rows,
            columns,
            entries,
            is_sparse,
            is_pattern,
            line,
            start: cursor.at,
        })
    }
}

fn unknown(words: &[&str], at: usize) -> Fault {
    let seen = shown(words.join(" ").as_bytes());
    let message = format!(
        "expected `%%MatrixMarket matrix coordinate|array real|integer|pattern general`, saw {seen}"
    );
    Fault::new(at, message)
}

/// An entry: its row from 0, its column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Entry {
    pub(super) row: u32,
    pub(super) column: u32,
    pub(super) value: f32,
}

/// The entries of coordinates.
#[derive(Debug)]
pub(super) struct Coordinates {
    header: Header,
    row: Whole,
    column: Whole,
}

impl Coordinates {
    /// The entries behind `header`.
    pub(super) fn new(header: Header) -> Coordinates {
        let limit = |name, most| Whole::new(name, 1, most).because("the size stated above");
        Coordinates {
            header,
            row: limit("a row", header.rows),
            column: limit("a column", header.columns),
        }
    }

    /// An entry as nearly all are, and the offset of the next line.
    #[inline(always)]
    fn plain(&self, lines: &[u8], at: usize) -> Option<(Entry, usize)> {
        let after = |at: usize| (lines.get(at) == Some(&b' ')).then_some(at + 1);
        let (row, at) = small_number(lines, at)?;
        let (column, at) = small_number(lines, after(at)?)?;
        let (value, at) = match self.header.is_pattern {
            true => (1.0, at),
            false => real(lines, after(at)?)?,
        };
        let value = value as f32;
        let fits = (1..=self.header.rows).contains(&u64::from(row))
            && (1..=self.header.columns).contains(&u64::from(column))
            && value.is_finite()
            && lines.get(at) == Some(&b'\n');
        let entry = || Entry {
            row: row - 1,
            column,
            value,
        };
        fits.then(|| (entry(), at + 1))
    }

    fn careful(&self, cursor: &mut Cursor) -> Result<Entry, Fault> {
        let row = cursor.number(&self.row)? as u32 - 1;
        let column = cursor.number(&self.column)? as u32;
        let value = match self.header.is_pattern {
            true => 1.0,
            false => value(cursor)? as f32,
        };
        cursor.finish_line(match self.header.is_pattern {
            true => "row and column",
            false => "row, column and value",
        })?;
        Ok(Entry { row, column, value })
    }
}

impl LineFormat for Coordinates {
    type Block = Vec<Entry>;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<Vec<Entry>, Fault> {
        let mut entries = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            if let Some((entry, next)) = self.plain(lines, at) {
                entries.push(entry);
                at = next;
                continue;
            }
            let mut cursor = Cursor::new(lines, at);
            at = match cursor.at_line_end() {
                true => cursor.at + 1,
                false => {
                    entries.push(self.careful(&mut cursor)?);
                    cursor.at
                }
            };
        }
        Ok(entries)
    }
}

/// The values of an array, column by column; several may share a line.
#[derive(Debug)]
pub(super) struct Array;

impl LineFormat for Array {
    type Block = Vec<f64>;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<Vec<f64>, Fault> {
        let mut values = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            if let Some((number, end)) = real(lines, at)
                && lines.get(end) == Some(&b'\n')
                && (number as f32).is_finite()
            {
                values.push(number);
                at = end + 1;
                continue;
            }
            if is_blank(lines[at]) || lines[at] == b'\n' {
                at += 1;
                continue;
            }
            let mut cursor = Cursor::new(lines, at);
            values.push(value(&mut cursor)?);
            at = cursor.at;
        }
        Ok(values)
    }
}

/// A number that is finite in 32 bits too.
fn value(cursor: &mut Cursor) -> Result<f64, Fault> {
    let (token, at) = cursor.token(None);
    let value = whole_token(token).filter(|value| (*value as f32).is_finite());
    value.ok_or_else(|| {
        let seen = match token {
            [] => "the line ends here".to_owned(),
            token => format!("saw {}", shown(token)),
        };
        Fault::new(at, format!("expected a finite 32-bit number, {seen}"))
    })
}
