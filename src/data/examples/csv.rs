//! Dense examples, one a line: numbers with commas, semicolons, tabs or blanks between.
//!
//! The first line settles the separator and the number of fields. It is a header if it has a field
//! that is no number where the next line has one (a file of one line: if no field is a number).
//! Fields may be in double quotes, with `""` for a quote inside; a quoted field ends on its line.
//! Blank lines are passed over. A value that is missing, `nan` or not a number is refused.

use std::borrow::Cow;

use super::super::field::{BOM, Fault, is_blank, is_blank_line, shown};
use super::super::lines::LineFormat;
use super::super::share::line_start;
use super::columns::{Columns, Role};
use super::number::{real, whole_token};
use super::targets::TargetBuilder;

/// What stands between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// One byte; blanks around it do not count.
    Byte(u8),
    /// Blanks, one or more.
    Blanks,
}

impl Separator {
    /// The separator of a line.
    pub(super) fn of(line: &[u8]) -> Separator {
        let quotes = |byte: &u8| *byte == b'"';
        let outside: Vec<u8> = line.split(quotes).step_by(2).flatten().copied().collect();
        let bytes = [b'\t', b',', b';'];
        let found = bytes
            .into_iter()
            .find(|byte| memchr::memchr(*byte, &outside).is_some());
        found.map_or(Separator::Blanks, Separator::Byte)
    }

    fn name(self) -> &'static str {
        match self {
            Separator::Byte(b'\t') => "tabs",
            Separator::Byte(b',') => "commas",
            Separator::Byte(_) => "semicolons",
            Separator::Blanks => "blanks",
        }
    }

    /// True for a blank that is not the separator.
    fn is_space(self, byte: u8) -> bool {
        is_blank(byte) && self != Separator::Byte(byte)
    }

    /// The offset of the first byte at or after `at` that is no blank.
    fn skip(self, lines: &[u8], at: usize) -> usize {
        let rest = lines.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| self.is_space(**byte)).count()
    }

    /// The field that begins at `at`, without blanks around it and without quotes; where it stands,
    /// and the offset of what follows it.
    fn field(self, lines: &[u8], at: usize) -> Result<(Cow<'_, [u8]>, usize, usize), Fault> {
        let start = self.skip(lines, at);
        if lines.get(start) == Some(&b'"') {
            let (text, end) = quoted(lines, start)?;
            return Ok((text, start, self.skip(lines, end)));
        }
        let ends = |byte: &u8| match self {
            _ if *byte == b'\n' => true,
            Separator::Byte(separator) => *byte == separator,
            Separator::Blanks => is_blank(*byte),
        };
        let length = lines[start..].iter().position(ends);
        let end = length.map_or(lines.len(), |length| start + length);
        let field = &lines[start..end];
        let spaces = field
            .iter()
            .rev()
            .take_while(|byte| self.is_space(**byte))
            .count();
        let field = &field[..field.len() - spaces];
        Ok((Cow::Borrowed(field), start, self.skip(lines, end)))
    }

    /// The offset of the next field, given what follows one; `None` at the end of the line.
    fn next(self, lines: &[u8], at: usize) -> Result<Option<usize>, Fault> {
        match (lines.get(at), self) {
            (None | Some(b'\n'), _) => Ok(None),
            (_, Separator::Blanks) => Ok(Some(at)),
            (Some(byte), Separator::Byte(separator)) if *byte == separator => Ok(Some(at + 1)),
            _ => {
                let seen = shown(&lines[at..at + 1]);
                Err(Fault::new(
                    at,
                    format!("expected {} between fields, saw {seen}", self.name()),
                ))
            }
        }
    }

    /// The fields of a line.
    fn fields(self, line: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Fault> {
        let mut fields = Vec::new();
        let mut at = Some(0);
        while let Some(start) = at {
            let (field, _, end) = self.field(line, start)?;
            fields.push(field);
            at = self.next(line, end)?;
        }
        Ok(fields)
    }

    /// The fields of a line; none if it is malformed.
    pub(super) fn split(self, line: &[u8]) -> Vec<Cow<'_, [u8]>> {
        self.fields(line).unwrap_or_default()
    }
}

/// The text in the quotes that open at `start`, and the offset behind them.
fn quoted(lines: &[u8], start: usize) -> Result<(Cow<'_, [u8]>, usize), Fault> {
    let mut from = start + 1;
    let mut text: Cow<[u8]> = Cow::Borrowed(&[]);
    loop {
        let end = match memchr::memchr2(b'"', b'\n', &lines[from..]) {
            Some(at) if lines[from + at] == b'"' => from + at,
            _ => return Err(Fault::new(start, "expected a closing quote on this line")),
        };
        match text.is_empty() {
            true => text = Cow::Borrowed(&lines[from..end]),
            false => text.to_mut().extend_from_slice(&lines[from..end]),
        }
        if lines.get(end + 1) != Some(&b'"') {
            return Ok((text, end + 1));
        }
        text.to_mut().push(b'"');
        from = end + 2;
    }
}

/// How one file is written.
#[derive(Debug)]
pub(super) struct Csv {
    separator: Separator,
    /// What each field of a line is.
    roles: Vec<Role>,
    /// What each field is called, if there is a header.
    names: Option<Vec<String>>,
    /// Where the examples begin.
    pub(super) start: usize,
}

/// What some lines hold.
#[derive(Debug, Default)]
pub(super) struct CsvBlock {
    pub(super) rows: usize,
    /// Rows, one after the other.
    pub(super) values: Vec<f32>,
    pub(super) targets: TargetBuilder,
    pub(super) weights: Vec<f32>,
}

/// True if `head` is too short to settle the layout of a file by it.
pub(super) fn needs_more(head: &[u8]) -> bool {
    let whole = head
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"));
    whole.filter(|line| !is_blank_line(line)).take(2).count() < 2
}

impl Csv {
    /// Settles the layout by the start of a file.
    pub(super) fn of(head: &[u8], columns: &Columns) -> Result<Csv, Fault> {
        let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let Some(first) = next_line(head, start) else {
            return Err(Fault::new(
                start,
                "expected examples, the file holds only blanks",
            ));
        };
        let line = without_end(&head[first..line_start(head, first + 1)]);
        let separator = Separator::of(line);
        let shift = |fault: Fault| fault.shifted(first);
        let fields = separator.fields(line).map_err(shift)?;
        let second = next_line(head, line_start(head, first + 1));
        let second =
            second.map(|at| separator.split(without_end(&head[at..line_start(head, at + 1)])));
        let is_header = is_header(&fields, second.as_deref());
        let text = |field: &Cow<[u8]>| String::from_utf8_lossy(field).into_owned();
        let names = is_header.then(|| fields.iter().map(text).collect::<Vec<_>>());
        let roles = columns.roles(fields.len(), names.as_deref());
        let roles = roles.map_err(|message| Fault::new(first, message))?;
        Ok(Csv {
            separator,
            roles,
            names,
            start: if is_header {
                line_start(head, first + 1)
            } else {
                first
            },
        })
    }

    /// A file with one thing a line, which may have a header.
    pub(super) fn of_column(head: &[u8], role: Role) -> Result<Csv, Fault> {
        let mut csv = Csv {
            separator: Separator::Byte(b','),
            roles: vec![role],
            names: None,
            start: if head.starts_with(BOM) { BOM.len() } else { 0 },
        };
        let Some(first) = next_line(head, csv.start) else {
            return Err(Fault::new(
                csv.start,
                "expected one value a line, the file holds only blanks",
            ));
        };
        let below = line_start(head, first + 1);
        let fields = |at: usize| {
            let line = without_end(&head[at..line_start(head, at + 1)]);
            csv.separator
                .fields(line)
                .map_err(|fault| fault.shifted(at))
        };
        let second = next_line(head, below).map(|at| {
            csv.separator
                .split(without_end(&head[at..line_start(head, at + 1)]))
        });
        // A single line is the value of a single example.
        if second.is_some() && is_header(&fields(first)?, second.as_deref()) {
            csv.start = below;
        }
        Ok(csv)
    }

    /// Number of features.
    pub(super) fn width(&self) -> usize {
        self.roles
            .iter()
            .filter(|role| **role == Role::Feature)
            .count()
    }

    /// Number of fields.
    pub(super) fn fields(&self) -> usize {
        self.roles.len()
    }

    /// True if one of the fields is a weight.
    pub(super) fn has_weights(&self) -> bool {
        self.roles.contains(&Role::Weight)
    }

    /// The features' names, if there is a header.
    pub(super) fn feature_names(&self) -> Option<Vec<String>> {
        let names = self.names.as_ref()?.iter().zip(&self.roles);
        let features = names.filter(|(_, role)| **role == Role::Feature);
        Some(features.map(|(name, _)| name.clone()).collect())
    }

    /// Reads the line at `at` and returns where the next one begins.
    fn line(&self, lines: &[u8], mut at: usize, block: &mut CsvBlock) -> Result<usize, Fault> {
        let last = self.roles.len() - 1;
        for (column, role) in self.roles.iter().enumerate() {
            at = match self.plain(lines, at, column == last) {
                Some((value, next)) if *role == Role::Feature => {
                    block.values.push(value);
                    next
                }
                _ => self.careful(lines, at, column, block)?,
            };
        }
        Ok(at)
    }

    /// The number at `at` and the offset of what comes after its separator, if all is as usual.
    #[inline(always)]
    fn plain(&self, lines: &[u8], at: usize, is_last: bool) -> Option<(f32, usize)> {
        let (value, end) = real(lines, at)?;
        let next = *lines.get(end)?;
        let ends = match (is_last, self.separator) {
            (true, _) => next == b'\n',
            (false, Separator::Byte(separator)) => next == separator,
            // Two blanks, or one before the end of the line, take the careful way.
            (false, Separator::Blanks) => {
                next == b' ' && lines.get(end + 1).is_some_and(|b| *b > b' ')
            }
        };
        let value = value as f32;
        (ends && value.is_finite()).then_some((value, end + 1))
    }

    /// Reads the field at `at` and returns where the next one, or the next line, begins.
    fn careful(
        &self,
        lines: &[u8],
        at: usize,
        column: usize,
        block: &mut CsvBlock,
    ) -> Result<usize, Fault> {
        let (token, start, end) = self.separator.field(lines, at)?;
        match self.roles[column] {
            Role::Feature => block.values.push(self.value(&token, start, column)?),
            Role::Target => block.targets.push_token(&token, start)?,
            Role::Weight => block.weights.push(weight(&token, start)?),
            Role::Dropped => {}
        }
        let wanted = self.roles.len();
        match (self.separator.next(lines, end)?, column + 1 == wanted) {
            (Some(next), false) => Ok(next),
            (None, true) => Ok((end + 1).min(lines.len())),
            (None, false) => {
                let seen = column + 1;
                let message = format!(
                    "expected {wanted} fields as in the first line, the line ends after {seen}"
                );
                Err(Fault::new(end, message))
            }
            (Some(_), true) => {
                let message = format!(
                    "expected the end of the line after {wanted} fields as in the first line, saw more"
                );
                Err(Fault::new(end, message))
            }
        }
    }

    fn value(&self, token: &[u8], at: usize, column: usize) -> Result<f32, Fault> {
        let value = whole_token(token).map(|value| value as f32);
        if let Some(value) = value.filter(|value| value.is_finite()) {
            return Ok(value);
        }
        let number = column + 1;
        let name = self
            .names
            .as_ref()
            .map(|names| format!(" ({})", shown(names[column].as_bytes())));
        let name = name.unwrap_or_default();
        let message = match token {
            [] => format!(
                "expected a number in column {number}{name}, saw nothing; fill missing values in or leave the line out"
            ),
            _ if value.is_some_and(f32::is_nan) => format!(
                "expected a number in column {number}{name}, saw {}; fill missing values in or leave the line out",
                shown(token)
            ),
            _ if value.is_some() => format!(
                "expected a finite 32-bit number in column {number}{name}, saw {}",
                shown(token)
            ),
            _ => format!(
                "expected a number in column {number}{name}, saw {}; --target-column {number} takes it as the target, --drop-columns {number} leaves the column out",
                shown(token)
            ),
        };
        Err(Fault::new(at, message))
    }
}

impl LineFormat for Csv {
    type Block = CsvBlock;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<CsvBlock, Fault> {
        let mut block = CsvBlock::default();
        let mut at = 0;
        while let Some(start) = next_line(lines, at) {
            at = self.line(lines, start, &mut block)?;
            block.rows += 1;
        }
        Ok(block)
    }
}

/// A weight: finite and not negative.
pub(super) fn weight(token: &[u8], at: usize) -> Result<f32, Fault> {
    let value = whole_token(token).map(|value| value as f32);
    let value = value.filter(|value| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| {
        let seen = if token.is_empty() {
            "nothing".to_owned()
        } else {
            shown(token)
        };
        Fault::new(
            at,
            format!("expected a weight, a number of 0 or more, saw {seen}"),
        )
    })
}

/// The offset of the first line at or after the line start `at` that is not blank.
fn next_line(lines: &[u8], mut at: usize) -> Option<usize> {
    while at < lines.len() {
        if !is_blank(lines[at]) && lines[at] != b'\n' {
            return Some(at);
        }
        let end = line_start(lines, at + 1);
        if !is_blank_line(&lines[at..end]) {
            return Some(at);
        }
        at = end;
    }
    None
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// True if the first line of a file is a header, given the fields of the second.
fn is_header(first: &[Cow<[u8]>], second: Option<&[Cow<[u8]>]>) -> bool {
    let is_number = |field: &[u8]| whole_token(field).is_some();
    match second {
        None => !first.iter().any(|field| is_number(field)),
        Some(second) => {
            let mut pairs = first.iter().zip(second);
            pairs.any(|(above, below)| !is_number(above) && is_number(below))
        }
    }
}
