//! Sparse examples, one a line: `target index:value index:value ...`, indices increasing.
//!
//! Indices count from 1; if an index 0 occurs anywhere in the data, all of it counts from 0, unless
//! the user or a trained model says where it begins. `#` begins a comment; a line that holds nothing
//! else, or nothing at all, is passed over. `qid:N` behind the target (a query of ranking data) is
//! passed over too. The target is a number or the name of a class. Data to predict for may lack it; an
//! example without a target and without values is then spelt `1:0`, as blank lines are none. Values
//! of 0 are not kept.

use super::super::field::{Cursor, Fault, Whole, is_blank, shown, small_number};
use super::super::lines::LineFormat;
use super::super::share::line_start;
use super::number::{real, whole_token};
use super::targets::TargetBuilder;

/// Bytes of the shortest pair, `1:1` and a blank.
const PAIR_BYTES_MIN: usize = 4;
/// The largest index: what programs keep for every feature, seen or not, takes the memory of a large
/// machine by then, and an index beyond is nearly always a hash that should have been folded.
pub(super) const FEATURES_MAX: u64 = 1 << 28;

/// The examples of one file.
#[derive(Debug)]
pub(super) struct Libsvm {
    index: Whole,
    /// Lines may begin with a pair: there is no target.
    targets_may_lack: bool,
}

/// What some lines hold. Indices are as written.
#[derive(Debug, Default)]
pub(super) struct SparseBlock {
    /// Where each row ends among `columns` and `values`.
    pub(super) ends: Vec<usize>,
    pub(super) columns: Vec<u32>,
    pub(super) values: Vec<f32>,
    pub(super) targets: TargetBuilder,
    /// The smallest and the largest index, those of zeros included.
    pub(super) seen: Option<(u32, u32)>,
}

impl SparseBlock {
    fn see(&mut self, first: u32, last: u32) {
        let (low, high) = self.seen.unwrap_or((first, last));
        self.seen = Some((low.min(first), high.max(last)));
    }
}

impl Libsvm {
    /// Lines whose indices are `first` and on, if that is known.
    pub(super) fn new(first: Option<u32>, targets_may_lack: bool) -> Libsvm {
        let low = u64::from(first.unwrap_or(0));
        Libsvm {
            index: Whole::new("an index", low, FEATURES_MAX),
            targets_may_lack,
        }
    }

    /// Reads the line at `at` and returns where the next one begins.
    fn line(&self, lines: &[u8], at: usize, block: &mut SparseBlock) -> Result<usize, Fault> {
        let mut cursor = Cursor::new(lines, at);
        if !at_content_end(&mut cursor) {
            let (token, start) = cursor.token(None);
            match self.targets_may_lack && memchr::memchr(b':', token).is_some() {
                true => cursor.at = start,
                false => target(token, start, &mut block.targets)?,
            }
            self.pairs(lines, &mut cursor, block)?;
            block.ends.push(block.columns.len());
        }
        Ok(line_start(lines, cursor.at + 1))
    }

    /// Reads pairs up to the end of the line.
    fn pairs(
        &self,
        lines: &[u8],
        cursor: &mut Cursor,
        block: &mut SparseBlock,
    ) -> Result<(), Fault> {
        // The first index and the last one so far.
        let mut ends: Option<(u32, u32)> = None;
        if !cursor.at_line_end() && lines[cursor.at..].starts_with(b"qid:") {
            cursor.token(None);
        }
        while !at_content_end(cursor) {
            let start = cursor.at;
            let (index, value) = match plain_pair(lines, start) {
                Some((index, value, end)) if self.index.range.contains(&u64::from(index)) => {
                    cursor.at = end;
                    (index, value)
                }
                _ => self.careful_pair(cursor)?,
            };
            if ends.is_some_and(|(_, last)| index <= last) {
                return Err(unsorted(index, ends, start));
            }
            ends = Some((ends.map_or(index, |(first, _)| first), index));
            if value != 0.0 {
                block.columns.push(index);
                block.values.push(value);
            }
            // One blank, nearly always.
            cursor.at += usize::from(lines.get(cursor.at) == Some(&b' '));
        }
        if let Some((first, last)) = ends {
            block.see(first, last);
        }
        Ok(())
    }

    #[cold]
    fn careful_pair(&self, cursor: &mut Cursor) -> Result<(u32, f32), Fault> {
        let (token, start) = cursor.token(None);
        let Some(colon) = memchr::memchr(b':', token) else {
            return Err(Fault::new(
                start,
                format!("expected index:value, saw {}", shown(token)),
            ));
        };
        let (left, right) = (&token[..colon], &token[colon + 1..]);
        let index = self.index.parse(left, start)? as u32;
        let value = whole_token(right).map(|value| value as f32);
        match value.filter(|value| value.is_finite()) {
            Some(value) => Ok((index, value)),
            None => {
                let seen = if right.is_empty() {
                    "nothing".to_owned()
                } else {
                    shown(right)
                };
                let message =
                    format!("expected a finite 32-bit number after the colon, saw {seen}");
                Err(Fault::new(start + colon + 1, message))
            }
        }
    }
}

fn unsorted(index: u32, ends: Option<(u32, u32)>, at: usize) -> Fault {
    let last = ends.map_or(0, |(_, last)| last);
    let message = format!(
        "expected an index above {last}, saw `{index}`; sort the pairs of each line by index, each \
         index once"
    );
    Fault::new(at, message)
}

impl LineFormat for Libsvm {
    type Block = SparseBlock;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<SparseBlock, Fault> {
        let room = lines.len() / PAIR_BYTES_MIN / 2;
        let mut block = SparseBlock {
            columns: Vec::with_capacity(room),
            values: Vec::with_capacity(room),
            ..SparseBlock::default()
        };
        let mut at = 0;
        while at < lines.len() {
            at = self.line(lines, at, &mut block)?;
        }
        Ok(block)
    }
}

/// Reads what a line begins with.
fn target(token: &[u8], at: usize, targets: &mut TargetBuilder) -> Result<(), Fault> {
    let unlike = [b':', b',']
        .iter()
        .find(|byte| memchr::memchr(**byte, token).is_some());
    match unlike {
        None => targets.push_token(token, at),
        Some(b':') => {
            let message = format!("expected a target before the pairs, saw {}", shown(token));
            Err(Fault::new(at, message))
        }
        Some(_) => {
            let message = format!("expected one target, saw several: {}", shown(token));
            Err(Fault::new(at, message))
        }
    }
}

/// True if nothing more of the line counts.
#[inline(always)]
fn at_content_end(cursor: &mut Cursor) -> bool {
    cursor.at_line_end() || cursor.peek() == Some(b'#')
}

/// A pair as nearly all are: a short index, a value, a blank or line end behind.
#[inline(always)]
fn plain_pair(lines: &[u8], at: usize) -> Option<(u32, f32, usize)> {
    let (index, at) = small_number(lines, at)?;
    if lines.get(at) != Some(&b':') {
        return None;
    }
    let (value, at) = real(lines, at + 1)?;
    let value = value as f32;
    let ends = lines
        .get(at)
        .is_some_and(|byte| is_blank(*byte) || *byte == b'\n');
    (ends && value.is_finite()).then_some((index, value, at))
}
