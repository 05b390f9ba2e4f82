//! The formats of documents, by their names on the command line and by the look of a file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::field::{BOM, Cursor, Fault, shown};
use super::source::{HEAD_BYTES, file_name};
use crate::error::{Error, Result};

/// How a file holds documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// UCI docword: a header of three numbers, then `document word count` lines.
    Docword,
    /// LDA-C: `M word:count ...`, words from 0.
    LdaC,
    /// libsvm: `label index:count ...`, indices from 1.
    Svm,
    /// Plain text, one document a line.
    Text,
    /// What `petuum convert` wrote.
    Cache,
}

impl Format {
    /// All formats, in the order in which help lists them.
    pub const ALL: [Format; 5] = [
        Format::Docword,
        Format::LdaC,
        Format::Svm,
        Format::Text,
        Format::Cache,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Docword => "docword",
            Format::LdaC => "lda-c",
            Format::Svm => "libsvm",
            Format::Text => "text",
            Format::Cache => "cache",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    /// The format with this name.
    ///
    /// # Errors
    /// The names there are.
    fn from_str(name: &str) -> std::result::Result<Format, String> {
        let found = Format::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| format!("expected {}, saw `{name}`", names()))
    }
}

/// `docword|lda-c|...`.
pub(super) fn names() -> String {
    Format::ALL.map(Format::name).join("|")
}

/// How a format was chosen, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The user said it.
    Given,
    /// From the file's name.
    Name,
    /// From its first lines.
    Content,
}

/// What a cache begins with.
pub(super) const CACHE_MAGIC: &[u8; 8] = b"petuum\0C";

/// Ends of names that tell the format.
const ENDINGS: [(&str, Format); 6] = [
    (".docword", Format::Docword),
    (".ldac", Format::LdaC),
    (".lda-c", Format::LdaC),
    (".libsvm", Format::Svm),
    (".svmlight", Format::Svm),
    (".svm", Format::Svm),
];

/// Lines that a guess looks at.
const LINES_SEEN: usize = 50;

/// The format of the file `path` that starts with `head`, by its name, else its content.
///
/// # Errors
/// Status 65 if it is none that petuum knows.
pub(super) fn guess(path: &Path, head: &[u8]) -> Result<(Format, Evidence)> {
    if head.starts_with(CACHE_MAGIC) {
        return Ok((Format::Cache, Evidence::Content));
    }
    let name = file_name(path).to_lowercase();
    let name = [".gz", ".zst"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    let named = ENDINGS
        .iter()
        .find(|(end, _)| name.ends_with(end))
        .map(|(_, format)| *format);
    if let Some(format) = named.or(name.starts_with("docword").then_some(Format::Docword)) {
        return Ok((format, Evidence::Name));
    }
    match by_content(head) {
        Some(format) => Ok((format, Evidence::Content)),
        None => {
            let mut cursor = Cursor::new(head, if head.starts_with(BOM) { BOM.len() } else { 0 });
            let (token, _) = cursor.token(Some(b'\n'));
            let message = format!(
                "expected documents in a format that can be told from their look, saw {}; \
                 say which with `--format {}`",
                shown(token),
                names()
            );
            Err(Error::data(path, 1, 1, message))
        }
    }
}

/// Refuses a file that is no text at all.
///
/// # Errors
/// Status 65 at the first byte that no text holds.
pub(super) fn refuse_binary(path: &Path, head: &[u8]) -> Result<()> {
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31);
    let nul = memchr::memchr(0, head);
    let controls = head.iter().filter(|byte| is_control(byte)).count();
    let at = match nul {
        Some(at) => at,
        None if controls * 10 > head.len() => head.iter().position(is_control).unwrap_or(0),
        None => return Ok(()),
    };
    let message = format!(
        "expected text, saw a binary file ({})",
        shown(&head[at..=at])
    );
    Err(Fault::new(at, message).locate(path, head, 1))
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Zero alone: an empty document in LDA-C, a label without pairs in libsvm.
    Zero,
    /// One other whole number.
    Number,
    /// A number and as many `index:count` as it says.
    Counted,
    /// A number and another number of pairs with colons, or none.
    Labelled,
    /// Has words with letters.
    Words,
    /// None of these.
    Other,
}

/// The format that the first lines look like.
fn by_content(head: &[u8]) -> Option<Format> {
    let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let lines = head[start..]
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let mut looks: Vec<Look> = lines
        .filter(|line| !line.is_empty())
        .take(LINES_SEEN)
        .map(look)
        .collect();
    // The last line of a longer file is cut somewhere.
    if head.len() >= HEAD_BYTES && looks.len() > 1 {
        looks.pop();
    }
    if looks.len() >= 3 && looks[..3].iter().all(|look| *look == Look::Number) {
        return Some(Format::Docword);
    }
    let count = |wanted: &[Look]| looks.iter().filter(|look| wanted.contains(look)).count();
    let (counted, labelled) = (count(&[Look::Counted]), count(&[Look::Labelled]));
    // A number alone may be a label without pairs.
    if counted + labelled > (looks.len() - count(&[Look::Number, Look::Zero])) / 2 {
        let format = if counted > labelled {
            Format::LdaC
        } else {
            Format::Svm
        };
        return Some(format);
    }
    (count(&[Look::Words]) * 2 >= looks.len().max(1)).then_some(Format::Text)
}

/// What `line` looks like.
fn look(line: &[u8]) -> Look {
    let tokens = || {
        line.split(|byte| byte.is_ascii_whitespace())
            .filter(|token| !token.is_empty())
    };
    let is_number = |token: &[u8]| fast_float2::parse::<f64, _>(token).is_ok();
    let is_pair = |token: &[u8]| {
        let colon = memchr::memchr(b':', token).filter(|colon| *colon > 0);
        colon.is_some_and(|colon| token[..colon].iter().all(u8::is_ascii_digit))
    };
    let all = tokens().count();
    let pairs = tokens().skip(1).filter(|token| is_pair(token)).count();
    let whole = tokens()
        .filter(|token| token.iter().all(u8::is_ascii_digit))
        .count();
    let stated = std::str::from_utf8(tokens().next().unwrap_or_default()).ok();
    let stated = stated.and_then(|token| token.parse::<usize>().ok());
    if pairs > 0 && pairs * 2 >= all - 1 {
        return if stated == Some(pairs) {
            Look::Counted
        } else {
            Look::Labelled
        };
    }
    if all == 1 && stated == Some(0) {
        return Look::Zero;
    }
    match (all, whole) {
        (1, 1) => return Look::Number,
        (_, whole) if whole == all => return Look::Other,
        _ => {}
    }
    let lettered = tokens()
        .filter(|token| !is_number(token) && has_letter(token))
        .count();
    if lettered * 2 >= all {
        Look::Words
    } else {
        Look::Other
    }
}

/// True if the token has a letter of any script.
fn has_letter(token: &[u8]) -> bool {
    token
        .iter()
        .any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
}
