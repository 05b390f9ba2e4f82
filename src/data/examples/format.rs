//! The formats of examples, by their names on the command line and by the look of a file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::super::field::{BOM, Cursor, shown};
use super::super::source::{HEAD_BYTES, file_name};
use super::csv::Separator;
use super::number::whole_token;
use crate::error::{Error, Result};

/// How a file holds examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExamplesFormat {
    /// `target index:value ...`.
    Libsvm,
    /// Numbers with commas, semicolons, tabs or blanks between.
    Csv,
    /// Matrix Market, coordinates or array.
    MatrixMarket,
    /// An array of NumPy.
    Npy,
    /// Bytes in a cube, as MNIST's images.
    Idx,
}

impl ExamplesFormat {
    /// All formats, in the order in which help lists them.
    pub const ALL: [ExamplesFormat; 5] = [
        ExamplesFormat::Libsvm,
        ExamplesFormat::Csv,
        ExamplesFormat::MatrixMarket,
        ExamplesFormat::Npy,
        ExamplesFormat::Idx,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ExamplesFormat::Libsvm => "libsvm",
            ExamplesFormat::Csv => "csv",
            ExamplesFormat::MatrixMarket => "matrix-market",
            ExamplesFormat::Npy => "npy",
            ExamplesFormat::Idx => "idx",
        }
    }

    /// True if its files are no text.
    pub(super) fn is_binary(self) -> bool {
        matches!(self, ExamplesFormat::Npy | ExamplesFormat::Idx)
    }
}

impl fmt::Display for ExamplesFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ExamplesFormat {
    type Err = String;

    /// The format with this name.
    ///
    /// # Errors
    /// The names there are.
    fn from_str(name: &str) -> std::result::Result<ExamplesFormat, String> {
        let mut all = ExamplesFormat::ALL.into_iter();
        let found = all.find(|format| format.name() == name);
        found.ok_or_else(|| format!("expected {}, saw `{name}`", names()))
    }
}

/// `libsvm|csv|...`.
pub(super) fn names() -> String {
    ExamplesFormat::ALL.map(ExamplesFormat::name).join("|")
}

/// How a format was chosen, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The user said it.
    Given,
    /// From the file's name.
    Name,
    /// From its first bytes.
    Content,
}

/// What a design begins with.
pub(in crate::data) const DESIGN_MAGIC: &[u8; 8] = b"petuum\0D";
/// What a file of NumPy begins with.
pub(super) const NPY_MAGIC: &[u8] = b"\x93NUMPY";
/// What Matrix Market files begin with, in lower case.
pub(super) const MATRIX_MARKET: &[u8] = b"%%matrixmarket";

/// Ends of names that tell the format.
const ENDINGS: [(&str, ExamplesFormat); 9] = [
    (".libsvm", ExamplesFormat::Libsvm),
    (".svmlight", ExamplesFormat::Libsvm),
    (".svm", ExamplesFormat::Libsvm),
    (".csv", ExamplesFormat::Csv),
    (".tsv", ExamplesFormat::Csv),
    (".mtx", ExamplesFormat::MatrixMarket),
    (".npy", ExamplesFormat::Npy),
    ("-ubyte", ExamplesFormat::Idx),
    (".idx", ExamplesFormat::Idx),
];

/// Lines that a guess looks at.
const LINES_SEEN: usize = 20;

/// The name of a file in lower case without the ending of its packing.
pub(super) fn unpacked_name(path: &Path) -> String {
    let name = file_name(path).to_lowercase();
    let ends = [".gz", ".zst"];
    let plain = ends.iter().find_map(|end| name.strip_suffix(end));
    plain.unwrap_or(&name).to_owned()
}

/// The format of the file `path` that starts with `head`: what its first bytes say beyond doubt,
/// else its name, else the look of its lines.
///
/// # Errors
/// Status 65 if it is none that petuum knows.
pub(super) fn guess(path: &Path, head: &[u8]) -> Result<(ExamplesFormat, Evidence)> {
    refuse_design(path, head)?;
    if let Some(format) = by_magic(head) {
        return Ok((format, Evidence::Content));
    }
    let name = unpacked_name(path);
    let named = ENDINGS.iter().find(|(end, _)| name.ends_with(end));
    if let Some((_, format)) = named {
        return Ok((*format, Evidence::Name));
    }
    if let Some(format) = by_lines(head) {
        return Ok((format, Evidence::Content));
    }
    let mut cursor = Cursor::new(head, if head.starts_with(BOM) { BOM.len() } else { 0 });
    let (token, _) = cursor.token(Some(b'\n'));
    let message = format!(
        "expected examples in a format that can be told from their look, saw {}; say which with \
         `--format {}`",
        shown(token),
        names()
    );
    Err(Error::data(path, 1, 1, message))
}

/// Refuses a design, which is not read but mapped.
///
/// # Errors
/// Status 65.
pub(super) fn refuse_design(path: &Path, head: &[u8]) -> Result<()> {
    match head.starts_with(DESIGN_MAGIC) {
        true => {
            let message = "expected examples, saw a design that `petuum convert --columns` \
                           wrote for `petuum lasso`; name the files it was made from";
            Err(Error::data(path, 0, 0, message))
        }
        false => Ok(()),
    }
}

/// The format whose mark `head` begins with.
fn by_magic(head: &[u8]) -> Option<ExamplesFormat> {
    if head.starts_with(NPY_MAGIC) {
        return Some(ExamplesFormat::Npy);
    }
    let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let first = head[start..].get(..MATRIX_MARKET.len());
    if first.is_some_and(|first| first.eq_ignore_ascii_case(MATRIX_MARKET)) {
        return Some(ExamplesFormat::MatrixMarket);
    }
    // No text has these bytes: two zeros, the type of the values, the number of dimensions.
    let idx = matches!(head, [0, 0, 8 | 9 | 11..=14, 1..=4, ..]);
    idx.then_some(ExamplesFormat::Idx)
}

/// The format that the first lines look like.
fn by_lines(head: &[u8]) -> Option<ExamplesFormat> {
    let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let is_whole = |line: &&[u8]| line.ends_with(b"\n") || head.len() < HEAD_BYTES;
    let mut lines: Vec<&[u8]> = head[start..]
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"))
        .take(LINES_SEEN)
        .collect();
    // The last line of a longer file is cut somewhere; a single one is all there is to see.
    if lines.len() > 1 {
        lines.retain(is_whole);
    }
    let lines: Vec<&[u8]> = lines.into_iter().map(<[u8]>::trim_ascii).collect();
    let pairs = lines.iter().filter(|line| has_pairs(line)).count();
    if pairs > 0 && pairs * 2 >= lines.len() {
        return Some(ExamplesFormat::Libsvm);
    }
    // The first line may be a header.
    let body = &lines[usize::from(lines.len() > 1)..];
    let rows = body.iter().filter(|line| has_columns(line)).count();
    (rows > 0 && rows * 2 > body.len()).then_some(ExamplesFormat::Csv)
}

/// True if most of the line after its first token are pairs.
fn has_pairs(line: &[u8]) -> bool {
    let mut tokens = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|token| !token.is_empty());
    tokens.next();
    let is_pair = |token: &[u8]| {
        let colon = memchr::memchr(b':', token).filter(|colon| *colon > 0);
        colon.is_some_and(|colon| token[..colon].iter().all(u8::is_ascii_digit))
    };
    let (pairs, others): (Vec<&[u8]>, Vec<&[u8]>) = tokens.take(50).partition(|t| is_pair(t));
    !pairs.is_empty() && pairs.len() >= others.len()
}

/// True if most fields of the line are numbers.
fn has_columns(line: &[u8]) -> bool {
    let fields = Separator::of(line).split(line);
    let numbers = fields.iter().filter(|field| whole_token(field).is_some());
    numbers.count() * 2 >= fields.len()
}
