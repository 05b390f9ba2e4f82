//! The words that ids stand for.

use std::path::{Path, PathBuf};

use super::field::{BOM, Fault, is_blank};
use super::source::{Source, file_name};
use crate::error::{Error, Result};

/// The largest number of different words. Ids beyond it are refused as they are read, before
/// anything is sized by them.
pub const WORDS_MAX: u64 = 1 << 28;

/// The words of a corpus, by id from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocabulary {
    /// All words, one after the other.
    text: String,
    /// Where each word ends in `text`.
    ends: Vec<u64>,
}

impl Vocabulary {
    /// The vocabulary of these words, in this order.
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        for word in words {
            vocabulary.push(word.as_ref());
        }
        vocabulary
    }

    /// Adds a word with the next id.
    pub(super) fn push(&mut self, word: &str) {
        self.text.push_str(word);
        self.ends.push(self.text.len() as u64);
    }

    /// A vocabulary from its parts, as a cache stores them; `None` if they do not fit together.
    pub(super) fn from_parts(text: &[u8], ends: &[u64]) -> Option<Vocabulary> {
        let text = std::str::from_utf8(text).ok()?;
        let mut start = 0;
        for end in ends {
            let end = usize::try_from(*end).ok()?;
            if end < start || !text.is_char_boundary(end) {
                return None;
            }
            start = end;
        }
        (start == text.len()).then(|| Vocabulary {
            text: text.to_string(),
            ends: ends.to_vec(),
        })
    }

    /// All words, one after the other, and where each ends.
    pub(super) fn parts(&self) -> (&str, &[u64]) {
        (&self.text, &self.ends)
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is no word.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word with this id; `None` beyond the last.
    pub fn word(&self, id: u32) -> Option<&str> {
        let id = id as usize;
        let end = *self.ends.get(id)? as usize;
        let start = id
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    /// All words in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).filter_map(|id| self.word(id))
    }

    /// Reads a file with one word a line; the id of a word is its line. Blanks around a word do not
    /// count. Plain, `.gz` or `.zst`.
    ///
    /// # Errors
    /// Status 66 if it cannot be opened; 65 for a line without a word (blank lines at the end are
    /// fine), text that is not UTF-8, or no words at all.
    pub(super) fn read(source: &mut Source) -> Result<Vocabulary> {
        let bytes = source.read_all()?;
        parse(&bytes).map_err(|fault| fault.locate(source.path(), &bytes, 1))
    }
}

fn parse(bytes: &[u8]) -> Result<Vocabulary, Fault> {
    let start = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let mut vocabulary = Vocabulary::default();
    let mut at = start;
    let mut blank_at = None;
    for line in bytes[start..].split_inclusive(|byte| *byte == b'\n') {
        let word = trim(line);
        match (word.is_empty(), blank_at) {
            (true, None) => blank_at = Some(at),
            (true, Some(_)) => {}
            (false, Some(blank)) => {
                return Err(Fault::new(blank, "expected a word, the line is blank"));
            }
            (false, None) if vocabulary.len() as u64 == WORDS_MAX => {
                return Err(Fault::new(
                    at,
                    format!("expected at most {WORDS_MAX} words"),
                ));
            }
            (false, None) => {
                vocabulary.push(utf8(word).map_err(|fault| fault.shifted(at))?);
            }
        }
        at += line.len();
    }
    match vocabulary.is_empty() {
        true => Err(Fault::new(start, "expected one word a line, saw none")),
        false => Ok(vocabulary),
    }
}

/// The line without the blanks and the newline around its word.
fn trim(line: &[u8]) -> &[u8] {
    let outside = |byte: &u8| is_blank(*byte) || *byte == b'\n';
    let start = line
        .iter()
        .position(|byte| !outside(byte))
        .unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|byte| !outside(byte))
        .map_or(start, |last| last + 1);
    &line[start..end]
}

/// The bytes as text.
///
/// # Errors
/// A fault at the first byte that is not UTF-8, with the way out.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|why| {
        let at = why.valid_up_to();
        let message = format!(
            "expected UTF-8, saw byte 0x{:02X}; convert the file, for example with \
             `iconv -f latin1 -t utf-8`",
            bytes[at]
        );
        Fault::new(at, message)
    })
}

/// The vocabulary file that lies beside a data file by its usual name: `vocab.X.txt` beside
/// `docword.X.txt` (UCI), `X.vocab` beside `X` (gensim's LDA-C).
pub(super) fn beside(data: &Path) -> Option<PathBuf> {
    let name = file_name(data);
    let unpacked = [".gz", ".zst"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    let stem = match unpacked.strip_prefix("docword") {
        Some(rest) => format!("vocab{rest}"),
        None => format!("{unpacked}.vocab"),
    };
    let names = [stem.clone(), format!("{stem}.gz"), format!("{stem}.zst")];
    names
        .iter()
        .map(|name| data.with_file_name(name))
        .find(|path| path.is_file())
}

/// Compares two files' vocabularies, which must be the same for their data to be one corpus.
///
/// # Errors
/// Status 65 at the first word in which they differ.
pub(super) fn require_same(first: (&Path, &Vocabulary), other: (&Path, &Vocabulary)) -> Result<()> {
    let differs = |(one, two): (&str, &str)| one != two;
    let line = match first.1.iter().zip(other.1.iter()).position(differs) {
        Some(line) => line,
        None if first.1.len() == other.1.len() => return Ok(()),
        None => first.1.len().min(other.1.len()),
    };
    let message = format!(
        "expected the same words as in {}, which differs from this line on; \
         files that are read together need one vocabulary",
        first.0.display()
    );
    Err(Error::data(other.0, line as u64 + 1, 1, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<String> {
        parse(bytes).unwrap().iter().map(String::from).collect()
    }

    #[test]
    fn one_word_a_line_however_lines_end() {
        assert_eq!(words(b"a\nb\nc\n"), ["a", "b", "c"]);
        assert_eq!(words(b"\xEF\xBB\xBFa\r\nb \r\n\tc"), ["a", "b", "c"]);
        assert_eq!(words("été\nnew york\n\n\n".as_bytes()), ["été", "new york"]);
    }

    #[test]
    fn faults_have_places() {
        assert_eq!(parse(b"a\n\nb\n").unwrap_err().at, 2);
        assert_eq!(
            parse(b"\n \n").unwrap_err().message,
            "expected one word a line, saw none"
        );
        let fault = parse(b"a\ncaf\xE9\n").unwrap_err();
        assert_eq!(fault.at, 5);
        assert!(
            fault.message.starts_with("expected UTF-8, saw byte 0xE9;"),
            "{fault:?}"
        );
    }

    #[test]
    fn ids_count_from_zero_and_end() {
        let vocabulary = Vocabulary::new(["a", "", "été"]);
        assert_eq!(vocabulary.word(0), Some("a"));
        assert_eq!(vocabulary.word(1), Some(""));
        assert_eq!(vocabulary.word(2), Some("été"));
        assert_eq!(vocabulary.word(3), None);
        let (text, ends) = vocabulary.parts();
        assert_eq!(
            Vocabulary::from_parts(text.as_bytes(), ends),
            Some(vocabulary.clone())
        );
        assert_eq!(Vocabulary::from_parts(text.as_bytes(), &[1, 3, 5]), None);
        assert_eq!(Vocabulary::from_parts(text.as_bytes(), &[2, 1, 6]), None);
    }
}
