//! UCI docword: three header lines with the numbers of documents, words and entries, then one
//! entry a line, `document word count`, the first two counted from 1.
//!
//! The lines of a document stand together and document numbers never fall: a file that is not
//! sorted so is refused, because splitting it over ranks would silently split documents. Documents
//! without lines are empty. Several lines for one word of a document are allowed and add up.

use super::field::{BOM, Cursor, Fault, Whole, small_count, small_number};
use super::lines::LineFormat;
use super::rows::{Block, Spare};
use super::vocabulary::WORDS_MAX;

/// Bytes of the shortest entry, `1 1 1` and a newline.
const ENTRY_BYTES_MIN: usize = 6;

/// What the header states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of documents.
    pub(super) documents: u32,
    /// Number of words.
    pub(super) words: u32,
    /// Number of entries.
    pub(super) entries: u64,
    /// Where the entries begin.
    pub(super) end: usize,
}

/// Line of the header that states the number of entries.
pub(super) const ENTRIES_LINE: u64 = 3;

impl Header {
    /// Reads the header from the start of a file whose text has at most `text_bytes_max` bytes.
    ///
    /// The number of documents must be plausible for that, because memory is spent on each: at most
    /// a million more than there are bytes.
    pub(super) fn read(head: &[u8], text_bytes_max: u64) -> Result<Header, Fault> {
        let documents_max = (1u64 << 20)
            .saturating_add(text_bytes_max)
            .min(u64::from(u32::MAX - 1));
        let documents = Whole::new("the number of documents", 1, documents_max);
        let words = Whole::new("the number of words", 1, WORDS_MAX);
        let entries = Whole::new("the number of entries", 0, u64::MAX);
        let mut cursor = Cursor::new(head, if head.starts_with(BOM) { BOM.len() } else { 0 });
        let mut line = |what: &Whole| {
            let value = cursor.number(what)?;
            cursor.finish_line(what.name)?;
            Ok((value, cursor.at))
        };
        let (documents, _) = line(&documents)?;
        let (words, _) = line(&words)?;
        let (entries, end) = line(&entries)?;
        Ok(Header {
            documents: documents as u32,
            words: words as u32,
            entries,
            end,
        })
    }
}

/// The entries of one file.
#[derive(Debug)]
pub(super) struct Docword {
    documents: u32,
    words: u32,
    document: Whole,
    word: Whole,
    count: Whole,
    /// Takes back the blocks.
    pub(super) spare: Spare,
}

impl Docword {
    /// The entries of a file with this header, of words that are in a vocabulary of `named` words
    /// if there is one.
    pub(super) fn new(header: &Header, named: Option<usize>) -> Docword {
        let words = named.map_or(header.words, |named| header.words.min(named as u32));
        let why = match words < header.words {
            true => "the size of the vocabulary",
            false => "the header's number of words",
        };
        Docword {
            documents: header.documents,
            words,
            document: Whole::new("a document number", 1, u64::from(header.documents))
                .because("the header's number of documents"),
            word: Whole::new("a word id", 1, u64::from(words)).because(why),
            count: Whole::new("a count", 1, u64::from(u32::MAX)),
            spare: Spare::default(),
        }
    }

    /// Reads the line at `at` with care and returns its entry, if it is not blank, and where the
    /// next line begins.
    fn entry(
        &self,
        lines: &[u8],
        at: usize,
        last: u32,
    ) -> Result<(Option<[u32; 3]>, usize), Fault> {
        let mut cursor = Cursor::new(lines, at);
        if cursor.at_line_end() {
            cursor.finish_line("a blank line")?;
            return Ok((None, cursor.at));
        }
        let start = cursor.at;
        let document = cursor.number(&self.document)? as u32;
        if document < last {
            let message = format!(
                "expected document {last} or a later one, saw `{document}`; the lines of a document \
                 must stand together in ascending order, sort the entries with `sort -n`"
            );
            return Err(Fault::new(start, message));
        }
        let word = cursor.number(&self.word)? as u32;
        let count = cursor.number(&self.count)? as u32;
        cursor.finish_line("document, word and count")?;
        Ok((Some([document, word, count]), cursor.at))
    }
}

impl LineFormat for Docword {
    type Block = Block;

    fn key(&self, line: &[u8]) -> Option<u64> {
        Cursor::new(line, 0).number(&self.document).ok()
    }

    fn read(&self, lines: &[u8], before: Option<u64>, _kept: bool) -> Result<Block, Fault> {
        let mut block = self.spare.take(lines.len(), ENTRY_BYTES_MIN);
        block.before = before.unwrap_or(0) as u32;
        let mut last = block.before;
        // The document of the entries since the last end; 0 before the first entry.
        let mut open = 0;
        let mut at = 0;
        while at < lines.len() {
            let (entry, next) = match plain_entry(lines, at) {
                Some((entry, next)) if self.accepts(entry, last) => (entry, next),
                _ => match self.entry(lines, at, last)? {
                    (Some(entry), next) => (entry, next),
                    (None, next) => {
                        at = next;
                        continue;
                    }
                },
            };
            at = next;
            let [document, word, count] = entry;
            if document != open {
                if open != 0 {
                    block.end_document();
                }
                block.numbers.push(document);
                open = document;
                last = document;
            }
            block.push(word - 1, count);
        }
        if open != 0 {
            block.end_document();
        }
        Ok(block.finish())
    }
}

impl Docword {
    /// True if nothing is wrong with the entry after one of document `last`.
    #[inline(always)]
    fn accepts(&self, [document, word, count]: [u32; 3], last: u32) -> bool {
        let in_order = document >= last.max(1) && document <= self.documents;
        in_order && word.wrapping_sub(1) < self.words && count != 0
    }
}

/// The entry of a line as nearly all are: three short numbers, one blank between two, no more.
#[inline(always)]
fn plain_entry(lines: &[u8], at: usize) -> Option<([u32; 3], usize)> {
    let (document, at) = small_number(lines, at)?;
    let (word, at) = small_number(lines, after_blank(lines, at)?)?;
    let (count, at) = small_count(lines, after_blank(lines, at)?)?;
    let next = match *lines.get(at)? {
        b'\n' => at + 1,
        b'\r' if lines.get(at + 1) == Some(&b'\n') => at + 2,
        _ => return None,
    };
    Some(([document, word, count], next))
}

/// The offset after the blank at `at`, if there is one.
#[inline(always)]
fn after_blank(lines: &[u8], at: usize) -> Option<usize> {
    matches!(lines.get(at), Some(b' ' | b'\t')).then_some(at + 1)
}
