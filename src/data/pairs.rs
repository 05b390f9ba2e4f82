//! Formats with one document a line as `index:count` pairs: LDA-C and libsvm.
//!
//! LDA-C: `M word:count ...` with the number of pairs first and words from 0. libsvm: `label
//! index:count ...` with indices from 1; the label is checked and not used, and `#` begins a
//! comment. In both, line `n` is document `n`, so a blank line is an empty document; a word may
//! stand in a line more than once, and then its counts add up.

use super::field::{Cursor, Fault, Whole, shown, small_count, small_number};
use super::lines::LineFormat;
use super::rows::{Block, Spare};
use super::share::line_start;
use super::vocabulary::WORDS_MAX;

/// Bytes of the shortest pair, `1:1` and a blank.
const PAIR_BYTES_MIN: usize = 4;

/// What a line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// The number of pairs: LDA-C.
    Pairs,
    /// A label: libsvm.
    Label,
}

/// The documents of one file.
#[derive(Debug)]
pub(super) struct Pairs {
    lead: Lead,
    /// The id of the first word as it is written.
    base: u32,
    /// Number of words that may occur.
    words: u32,
    pairs: Whole,
    word: Whole,
    count: Whole,
    /// Takes back the blocks.
    pub(super) spare: Spare,
}

impl Pairs {
    /// Lines that begin with `lead`, of words that are in a vocabulary of `named` words if there is
    /// one.
    pub(super) fn new(lead: Lead, named: Option<usize>) -> Pairs {
        let base = match lead {
            Lead::Pairs => 0,
            Lead::Label => 1,
        };
        let words = named.map_or(WORDS_MAX, |named| (named as u64).min(WORDS_MAX)) as u32;
        let why = match named {
            Some(_) => "the size of the vocabulary",
            None => "the most that petuum takes",
        };
        let last = (words + base).saturating_sub(1);
        Pairs {
            lead,
            base,
            words,
            pairs: Whole::new("the number of pairs", 0, WORDS_MAX),
            word: Whole::new("a word id", u64::from(base), u64::from(last)).because(why),
            count: Whole::new("a count", 1, u64::from(u32::MAX)),
            spare: Spare::default(),
        }
    }

    /// Reads what the line begins with; the number of pairs that must follow, if it is that.
    fn lead(&self, cursor: &mut Cursor) -> Result<Option<u64>, Fault> {
        match self.lead {
            Lead::Pairs => cursor.number(&self.pairs).map(Some),
            Lead::Label => {
                let (token, start) = cursor.token(None);
                match is_label(token) {
                    true => Ok(None),
                    false => {
                        let message = format!("expected a numeric label, saw {}", shown(token));
                        Err(Fault::new(start, message))
                    }
                }
            }
        }
    }

    /// Reads the line at `at` into `block` and returns where the next one begins.
    fn line(&self, lines: &[u8], at: usize, block: &mut Block) -> Result<usize, Fault> {
        let mut cursor = Cursor::new(lines, at);
        if !self.at_content_end(&mut cursor) {
            let start = cursor.at;
            let stated = self.lead(&mut cursor)?;
            let first = block.words.len();
            cursor.at_line_end();
            self.pairs(lines, &mut cursor, block)?;
            let seen = (block.words.len() - first) as u64;
            if let Some(stated) = stated.filter(|stated| *stated != seen) {
                let message = format!(
                    "expected {stated} pairs after this number, saw {seen}; \
                     if these are libsvm labels, say `--format libsvm`"
                );
                return Err(Fault::new(start, message));
            }
        }
        Ok(line_start(lines, cursor.at + 1))
    }

    /// Reads pairs up to the end of the line.
    fn pairs(&self, lines: &[u8], cursor: &mut Cursor, block: &mut Block) -> Result<(), Fault> {
        loop {
            cursor.at = self.plain_pairs(lines, cursor.at, block);
            if self.at_content_end(cursor) {
                return Ok(());
            }
            let (word, count) = cursor.pair(&self.word, &self.count)?;
            block.push(word as u32 - self.base, count as u32);
            cursor.at_line_end();
        }
    }

    /// Reads pairs as long as they look as nearly all do, each with one blank behind, and returns
    /// where the first other thing begins.
    fn plain_pairs(&self, lines: &[u8], mut at: usize, block: &mut Block) -> usize {
        let (base, words) = (self.base, self.words);
        while let Some((word, count, next)) = plain_pair(lines, at) {
            let word = word.wrapping_sub(base);
            if word >= words || count == 0 {
                break;
            }
            block.push(word, count);
            at = next + usize::from(lines[next] == b' ');
        }
        at
    }

    /// True if nothing more of the line counts.
    #[inline(always)]
    fn at_content_end(&self, cursor: &mut Cursor) -> bool {
        cursor.at_line_end() || (self.lead == Lead::Label && cursor.peek() == Some(b'#'))
    }
}

impl LineFormat for Pairs {
    type Block = Block;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<Block, Fault> {
        let mut block = self.spare.take(lines.len(), PAIR_BYTES_MIN);
        let mut at = 0;
        while at < lines.len() {
            at = self.line(lines, at, &mut block)?;
            block.end_document();
        }
        Ok(block.finish())
    }
}

/// A pair as nearly all are: two short numbers and a blank or line end behind.
#[inline(always)]
fn plain_pair(lines: &[u8], at: usize) -> Option<(u32, u32, usize)> {
    let (word, at) = small_number(lines, at)?;
    if lines.get(at) != Some(&b':') {
        return None;
    }
    let (count, at) = small_count(lines, at + 1)?;
    let ends = matches!(lines.get(at), Some(b' ' | b'\n' | b'\t' | b'\r'));
    ends.then_some((word, count, at))
}

/// True for a number, or several with commas between (a multi-label file).
fn is_label(token: &[u8]) -> bool {
    let is_number = |label: &[u8]| {
        fast_float2::parse::<f64, _>(label.strip_prefix(b"+").unwrap_or(label)).is_ok()
    };
    token.split(|byte| *byte == b',').all(is_number)
}
