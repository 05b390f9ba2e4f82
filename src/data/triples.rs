//! A line of ratings: `user item rating`, one a line, in every usual spelling.
//!
//! | spelling | seen in |
//! |---|---|
//! | tabs, blanks | `u.data`, LIBMF |
//! | commas, semicolons; fields may be in double quotes, `""` being one within | `ratings.csv` |
//! | `::` | `ratings.dat` |
//! | Matrix Market, `coordinate real` or `integer`, `general` | `*.mtx` |
//!
//! The first line settles the separator of its file. It is a header, and passed over, if it has no
//! field that is a number. A fourth field (a timestamp) is allowed and not used; blank lines are
//! passed over. Ids are any text. Every line is an observation of its own, also where a user and an
//! item come together more than once. A rating that is not a finite number is refused.

use std::borrow::Cow;
use std::path::Path;

use super::field::{
    BOM, Cursor, Fault, Whole, closing_quote, is_blank, is_blank_line, shown, small_number,
    undoubled,
};
use super::ids::{LocalNames, PieceNames};
use super::lines::LineFormat;
use super::ratings::Rating;
use super::share::line_start;
use crate::error::{Error, Result};

/// Bytes of the shortest line, `1 1 1` and a newline.
const LINE_BYTES_MIN: usize = 6;
/// What Matrix Market files begin with, in lower case.
const MATRIX_MARKET: &[u8] = b"%%matrixmarket";

/// Some lines' ratings, in keys of the piece.
pub(super) struct Piece {
    pub(super) ratings: Vec<Rating>,
    pub(super) users: PieceNames,
    pub(super) items: PieceNames,
}

/// What stands between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// One byte; blanks around it do not count.
    Byte(u8),
    /// `::`.
    Colons,
    /// Blanks, one or more.
    Blanks,
}

impl Separator {
    /// The separator of a line.
    fn of(line: &[u8]) -> Separator {
        let has = |byte| memchr::memchr(byte, line).is_some();
        match () {
            () if line.windows(2).any(|two| two == b"::") => Separator::Colons,
            () if has(b'\t') => Separator::Byte(b'\t'),
            () if has(b',') => Separator::Byte(b','),
            () if has(b';') => Separator::Byte(b';'),
            () => Separator::Blanks,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Separator::Byte(b'\t') => "tabs",
            Separator::Byte(b',') => "commas",
            Separator::Byte(_) => "semicolons",
            Separator::Colons => "`::`",
            Separator::Blanks => "blanks",
        }
    }

    /// Where the separator at or after `from` begins and ends, in a line without its end.
    fn find(self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let rest = &line[from..];
        match self {
            Separator::Byte(byte) => {
                memchr::memchr(byte, rest).map(|at| (from + at, from + at + 1))
            }
            Separator::Colons => rest
                .windows(2)
                .position(|two| two == b"::")
                .map(|at| (from + at, from + at + 2)),
            Separator::Blanks => {
                let start = from + rest.iter().position(|&byte| is_blank(byte))?;
                let length = line[start..].iter().position(|&byte| !is_blank(byte))?;
                Some((start, start + length))
            }
        }
    }
}

/// What a Matrix Market header states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix {
    rows: u64,
    columns: u64,
    pub(super) entries: u64,
    /// The line that states it.
    pub(super) line: u64,
}

impl Matrix {
    /// Refuses a file that has another number of entries than its header says.
    pub(super) fn check(&self, path: &Path, seen: u64) -> Result<()> {
        match self.entries == seen {
            true => Ok(()),
            false => {
                let message = format!(
                    "expected {} entries as stated here, saw {seen}",
                    self.entries
                );
                Err(Error::data(path, self.line, 0, message))
            }
        }
    }
}

/// How one file is written.
#[derive(Debug)]
pub(super) struct Layout {
    separator: Separator,
    /// Where the ratings begin.
    pub(super) start: usize,
    pub(super) matrix: Option<Matrix>,
    /// Ratings below 0 are refused.
    pub(super) nonnegative: bool,
}

/// A field of a line and where it begins.
type Field<'a> = (&'a [u8], usize);

impl Layout {
    /// Settles the layout by the start of a file.
    pub(super) fn of(head: &[u8], path: &Path) -> Result<Layout, Fault> {
        if let Some(at) = memchr::memchr(0, head) {
            return Err(Fault::new(at, "expected text, saw a binary file"));
        }
        let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
        if let Some(layout) = Layout::of_matrix_if(head, &["real", "integer"])? {
            return Ok(layout);
        }
        let mut at = start;
        while at < head.len() {
            let end = line_start(head, at + 1);
            let line = without_end(&head[at..end]);
            if !is_blank_line(line) {
                let separator = Separator::of(line);
                let layout = Layout {
                    separator,
                    start: at,
                    matrix: None,
                    nonnegative: false,
                };
                let (fields, number) = layout.fields(line, 0);
                let is_number = |field: &Field| fast_float2::parse::<f64, _>(field.0).is_ok();
                let header = number >= 3 && !fields.iter().any(is_number);
                let start = if header { end } else { at };
                return Ok(Layout { start, ..layout });
            }
            at = end;
        }
        let message = format!("expected ratings, {} holds only blanks", path.display());
        Err(Fault::new(start, message))
    }

    /// The layout of Matrix Market, with one of `kinds` of values, if that is what `head` is.
    pub(super) fn of_matrix_if(head: &[u8], kinds: &[&str]) -> Result<Option<Layout>, Fault> {
        let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let magic = head[start..].get(..MATRIX_MARKET.len());
        match magic.is_some_and(|magic| magic.eq_ignore_ascii_case(MATRIX_MARKET)) {
            true => Layout::of_matrix(head, start, kinds).map(Some),
            false => Ok(None),
        }
    }

    fn of_matrix(head: &[u8], start: usize, kinds: &[&str]) -> Result<Layout, Fault> {
        let mut at = line_start(head, start + 1);
        let words = String::from_utf8_lossy(&head[start..at]).to_lowercase();
        let words: Vec<&str> = words.split_whitespace().skip(1).collect();
        let is_known = match words[..] {
            ["matrix", "coordinate", kind, "general"] => kinds.contains(&kind),
            _ => false,
        };
        if !is_known {
            let message = "expected `matrix coordinate real general` (or integer) in a Matrix \
                           Market header, saw ";
            let seen = shown(words.join(" ").as_bytes());
            return Err(Fault::new(start, format!("{message}{seen}")));
        }
        let mut line = 2;
        while head
            .get(at)
            .is_some_and(|byte| *byte == b'%' || *byte == b'\n')
        {
            at = line_start(head, at + 1);
            line += 1;
        }
        let mut cursor = Cursor::new(head, at);
        let rows = cursor.number(&Whole::new("the number of rows", 1, u64::from(u32::MAX)))?;
        let columns =
            cursor.number(&Whole::new("the number of columns", 1, u64::from(u32::MAX)))?;
        let entries = cursor.number(&Whole::new("the number of entries", 0, u64::MAX))?;
        cursor.finish_line("rows, columns and entries")?;
        Ok(Layout {
            separator: Separator::Blanks,
            start: cursor.at,
            matrix: Some(Matrix {
                rows,
                columns,
                entries,
                line,
            }),
            nonnegative: false,
        })
    }

    /// The first fields of a line that begins at offset `at`, and how many there are.
    fn fields<'a>(&self, line: &'a [u8], at: usize) -> ([Field<'a>; 5], usize) {
        let mut fields: [Field<'a>; 5] = [(&[], at + line.len()); 5];
        let mut start = line.iter().take_while(|&&byte| is_blank(byte)).count();
        if self.separator == Separator::Byte(b'\t') {
            start = 0;
        }
        let quotes = self.quotes();
        for number in 0..fields.len() {
            let quoted = quotes && line.get(start) == Some(&b'"');
            let from = match quoted {
                true => closing_quote(line, start + 1),
                false => start,
            };
            let cut = self.separator.find(line, from);
            let end = cut.map_or(line.len(), |cut| cut.0);
            fields[number] = trimmed(&line[start..end], at + start, quoted);
            match cut {
                Some((_, next)) => start = next,
                None => return (fields, number + 1),
            }
        }
        (fields, fields.len())
    }

    /// Reads the line at `lines[at..end]` with care.
    fn line<'a>(
        &self,
        lines: &'a [u8],
        at: usize,
        end: usize,
    ) -> Result<Option<[Field<'a>; 3]>, Fault> {
        let line = without_end(&lines[at..end]);
        if is_blank_line(line) {
            return Ok(None);
        }
        let (fields, number) = self.fields(line, at);
        if number < 3 {
            let message = format!(
                "expected user, item and rating with {} between, the line ends here",
                self.separator.name()
            );
            return Err(Fault::new(at + line.len(), message));
        }
        let most = if self.matrix.is_some() { 3 } else { 4 };
        if number > most && !fields[most].0.is_empty() {
            let message = format!(
                "expected the end of the line after user, item, rating{}, saw {}",
                if most == 4 { " and timestamp" } else { "" },
                shown(fields[most].0)
            );
            return Err(Fault::new(fields[most].1, message));
        }
        for (field, name) in fields.iter().zip(["a user id", "an item id"]) {
            if field.0.is_empty() {
                return Err(Fault::new(field.1, format!("expected {name}, saw nothing")));
            }
        }
        if let Some(matrix) = &self.matrix {
            let limit = |name, most| Whole::new(name, 1, most).because("the size stated above");
            limit("a row", matrix.rows).parse(fields[0].0, fields[0].1)?;
            limit("a column", matrix.columns).parse(fields[1].0, fields[1].1)?;
        }
        Ok(Some([fields[0], fields[1], fields[2]]))
    }

    /// The id in a field, which may be in quotes.
    fn id<'a>(&self, lines: &[u8], (text, at): Field<'a>) -> Cow<'a, [u8]> {
        match self.quotes() && lines.get(at) == Some(&b'"') {
            true => undoubled(text),
            false => Cow::Borrowed(text),
        }
    }

    /// True if fields may be in quotes.
    fn quotes(&self) -> bool {
        matches!(self.separator, Separator::Byte(b',' | b';'))
    }

    fn value(&self, field: Field) -> Result<f32, Fault> {
        let value = parse_value(field)?;
        match self.nonnegative && value < 0.0 {
            true => {
                let message = format!("expected a rating of at least 0, saw {}", shown(field.0));
                Err(Fault::new(field.1, message))
            }
            false => Ok(value),
        }
    }

    /// The rating of a line as nearly all are: two short numbers, one separator between two, a
    /// rating like `4` or `3.5`; and where the next line begins.
    #[inline(always)]
    fn plain(&self, lines: &[u8], at: usize) -> Option<(Rating, usize)> {
        let (user, next) = plain_id(lines, at)?;
        let (item, next) = plain_id(lines, self.after(lines, next)?)?;
        let (value, next) = plain_value(lines, self.after(lines, next)?)?;
        let next = match *lines.get(next)? {
            b'\n' => next + 1,
            b'\r' if lines.get(next + 1) == Some(&b'\n') => next + 2,
            _ => {
                let stamp = self.after(lines, next)?;
                let end = stamp + lines[stamp..].iter().position(|&byte| byte == b'\n')?;
                let is_stamp = lines[stamp..end]
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'\r');
                is_stamp.then_some(end + 1)?
            }
        };
        let fits = |matrix: &Matrix| {
            let (row, column) = (u64::from(user), u64::from(item));
            (1..=matrix.rows).contains(&row) && (1..=matrix.columns).contains(&column)
        };
        let accepted = self.matrix.as_ref().is_none_or(fits);
        accepted.then_some((Rating { user, item, value }, next))
    }

    /// The offset after the separator at `at`, if there is one.
    #[inline(always)]
    fn after(&self, lines: &[u8], at: usize) -> Option<usize> {
        let here = *lines.get(at)?;
        match self.separator {
            Separator::Byte(byte) => (here == byte).then_some(at + 1),
            Separator::Colons => {
                (here == b':' && lines.get(at + 1) == Some(&b':')).then_some(at + 2)
            }
            Separator::Blanks => (here == b' ').then_some(at + 1),
        }
    }
}

impl LineFormat for Layout {
    type Block = Piece;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<Piece, Fault> {
        let mut ratings = Vec::with_capacity(lines.len() / LINE_BYTES_MIN + 1);
        let (mut users, mut items) = (LocalNames::default(), LocalNames::default());
        let mut at = 0;
        while at < lines.len() {
            if let Some((rating, next)) = self.plain(lines, at) {
                ratings.push(rating);
                at = next;
                continue;
            }
            let end = line_start(lines, at + 1);
            if let Some([user, item, value]) = self.line(lines, at, end)? {
                ratings.push(Rating {
                    user: users.key(self.id(lines, user)),
                    item: items.key(self.id(lines, item)),
                    value: self.value(value)?,
                });
            }
            at = end;
        }
        Ok(Piece {
            ratings,
            users: users.finish(),
            items: items.finish(),
        })
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// A field without the blanks around it and, if it was `quoted`, without its quotes.
fn trimmed(field: &[u8], at: usize, quoted: bool) -> Field<'_> {
    let blanks = field.iter().take_while(|&&byte| is_blank(byte)).count();
    let mut text = field[blanks..].trim_ascii_end();
    if quoted && text.len() >= 2 && text.ends_with(b"\"") {
        text = &text[1..text.len() - 1];
    }
    (text, at + blanks)
}

fn parse_value((token, at): Field) -> Result<f32, Fault> {
    let token = token.strip_prefix(b"+").unwrap_or(token);
    match fast_float2::parse::<f64, _>(token) {
        Ok(value) if (value as f32).is_finite() => Ok(value as f32),
        Ok(_) => {
            let message = format!("expected a finite rating, saw {}", shown(token));
            Err(Fault::new(at, message))
        }
        Err(_) => {
            let message = format!("expected a rating, saw {}", shown(token));
            Err(Fault::new(at, message))
        }
    }
}

#[inline(always)]
fn plain_id(lines: &[u8], at: usize) -> Option<(u32, usize)> {
    let (id, next) = small_number(lines, at)?;
    // `007` is another id than `7`.
    (lines[at] != b'0' || next == at + 1).then_some((id, next))
}

/// One digit, or one digit, a point and one digit.
#[inline(always)]
fn plain_value(lines: &[u8], at: usize) -> Option<(f32, usize)> {
    let whole = lines.get(at)?.wrapping_sub(b'0');
    let next = *lines.get(at + 1)?;
    if whole > 9 {
        return None;
    }
    if next != b'.' {
        let ends = !next.is_ascii_alphanumeric();
        return ends.then_some((f32::from(whole), at + 1));
    }
    let tenth = lines.get(at + 2)?.wrapping_sub(b'0');
    let ends = lines
        .get(at + 3)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric());
    // Divided as one number: 0.7 is then the float nearest to it.
    (tenth <= 9 && ends).then(|| (f32::from(whole * 10 + tenth) / 10.0, at + 3))
}
