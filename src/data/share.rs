//! Which rank reads what: shares, cut at record boundaries.
//!
//! All files of a run are laid end to end by their size on disk, and rank `r` of `R` takes bytes
//! `r/R` to `(r+1)/R` of that. In a plain file such a position is a byte of the text. In a
//! compressed one the text between two known positions (what one chunk was unpacked from) is
//! interpolated: every rank unpacks the same chunks, so all agree, and none has to unpack the file
//! twice to learn the length of its text.

use std::ops::Range;

use super::field::is_blank_line;

/// One rank's share of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The rank, from 0.
    pub index: u32,
    /// The number of ranks.
    pub of: u32,
}

impl Share {
    /// Everything: the share of a process that is alone.
    pub const WHOLE: Share = Share { index: 0, of: 1 };

    /// The first position of this share among `total`.
    pub(super) fn start(self, total: u64) -> u64 {
        (u128::from(total) * u128::from(self.index) / u128::from(self.of.max(1))) as u64
    }

    /// The position after the last one of this share among `total`.
    pub(super) fn end(self, total: u64) -> u64 {
        Share {
            index: self.index + 1,
            of: self.of,
        }
        .start(total)
    }

    /// The part of a file of `length` bytes on disk that lies `base` bytes into all `total`.
    pub(super) fn part(self, base: u64, length: u64, total: u64) -> Part {
        let cut = |at: u64| at.saturating_sub(base).min(length);
        let (start, end) = (cut(self.start(total)), cut(self.end(total)));
        Part {
            start,
            end: (end < length).then_some(end),
            length,
            empty: start >= end,
        }
    }
}

/// One rank's part of one file, in positions on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it begins.
    start: u64,
    /// Where it ends; `None` if it goes to the end of the file.
    end: Option<u64>,
    /// Size of the file on disk.
    length: u64,
    /// True if the rank reads nothing of this file.
    empty: bool,
}

impl Part {
    /// All of something whose length is not known.
    pub(super) const WHOLE: Part = Part {
        start: 0,
        end: None,
        length: u64::MAX,
        empty: false,
    };

    /// True if the rank reads nothing of the file.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// True if the part goes to the end of the file.
    pub(super) fn reaches_end(&self) -> bool {
        self.end.is_none()
    }

    /// Size of the part on disk; 0 if it is not known.
    pub(super) fn bytes(&self) -> u64 {
        match (self.empty, self.length) {
            (true, _) | (_, u64::MAX) => 0,
            _ => self.end.unwrap_or(self.length).saturating_sub(self.start),
        }
    }

    /// Size of the file on disk.
    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

/// Names the record that a line belongs to: neighbouring lines with equal keys are one record and
/// stay together. `None`: the line is a record of its own.
pub(super) type Key<'a> = &'a dyn Fn(&[u8]) -> Option<u64>;

/// Finds where a part begins and ends, as the lines of its file go by.
#[derive(Debug)]
pub(super) struct Gates {
    start: Gate,
    end: Option<Gate>,
}

impl Gates {
    /// The gates of `part`.
    pub(super) fn new(part: &Part) -> Gates {
        Gates {
            start: Gate::new(part.start),
            end: part.end.map(Gate::new),
        }
    }

    /// Which of `lines` belong to the part. `lines` are whole lines, unpacked from `positions` on
    /// disk; `before` is the key of the line before them.
    pub(super) fn keep(
        &mut self,
        lines: &[u8],
        positions: &Range<u64>,
        before: Option<u64>,
        key: Key,
    ) -> Range<usize> {
        let start = self.start.open(lines, positions, before, key);
        let end = match &mut self.end {
            Some(gate) => gate.open(lines, positions, before, key),
            None => lines.len(),
        };
        start.min(end)..end
    }

    /// Key of the line before the part, once all lines went by; `last` is that of the last line.
    pub(super) fn before(&self, last: Option<u64>) -> Option<u64> {
        match self.start.state {
            State::Shut => last,
            State::Skipping(before) | State::Open(before) => before,
        }
    }

    /// True if no later line belongs to the part.
    pub(super) fn done(&self) -> bool {
        let end = self.end.as_ref();
        end.is_some_and(|gate| matches!(gate.state, State::Open(_)))
    }
}

/// One end of a part: the first record boundary at or after a position on disk.
#[derive(Debug)]
struct Gate {
    at: u64,
    state: State,
}

/// How far a gate is; the key is that of the line before the boundary.
#[derive(Debug)]
enum State {
    /// The position is still ahead.
    Shut,
    /// The position is behind; the lines of the record it fell into go by.
    Skipping(Option<u64>),
    /// The boundary is behind.
    Open(Option<u64>),
}

impl Gate {
    fn new(at: u64) -> Gate {
        let state = match at {
            0 => State::Open(None),
            _ => State::Shut,
        };
        Gate { at, state }
    }

    /// Offset of the boundary in `lines`: 0 if it is behind, `lines.len()` if it is ahead.
    fn open(
        &mut self,
        lines: &[u8],
        positions: &Range<u64>,
        before: Option<u64>,
        key: Key,
    ) -> usize {
        let mut start = 0;
        if let State::Shut = self.state {
            if self.at >= positions.end {
                return lines.len();
            }
            start = line_start(lines, interpolate(self.at, positions, lines.len()));
            self.state = State::Skipping(key_before(&lines[..start], before, key));
        }
        if let State::Skipping(record) = self.state {
            start = skip_record(lines, start, record, key);
            if start == lines.len() {
                return start;
            }
            self.state = State::Open(record);
        }
        start
    }
}

/// Offset in `length` bytes of the position `at` among `positions`.
fn interpolate(at: u64, positions: &Range<u64>, length: usize) -> usize {
    let span = u128::from(positions.end - positions.start);
    let inside = u128::from(at.saturating_sub(positions.start));
    (inside * length as u128 / span.max(1)) as usize
}

/// The first start of a line at or after offset `at`.
pub(super) fn line_start(lines: &[u8], at: usize) -> usize {
    if at == 0 {
        return 0;
    }
    let newline = lines
        .get(at - 1..)
        .and_then(|rest| memchr::memchr(b'\n', rest));
    newline.map_or(lines.len(), |newline| at + newline)
}

/// Key of the last line in `lines` that is not blank; `before` if there is none.
pub(super) fn key_before(lines: &[u8], before: Option<u64>, key: Key) -> Option<u64> {
    let mut end = lines.len();
    while end > 0 {
        let start = memchr::memrchr(b'\n', &lines[..end - 1]).map_or(0, |newline| newline + 1);
        if !is_blank_line(&lines[start..end]) {
            return key(&lines[start..end]);
        }
        end = start;
    }
    before
}

/// The first line at or after `start` that does not belong to `record`.
fn skip_record(lines: &[u8], mut start: usize, record: Option<u64>, key: Key) -> usize {
    if record.is_none() {
        return start;
    }
    while start < lines.len() {
        let end = line_start(lines, start + 1);
        let line = &lines[start..end];
        if key(line) != record && !is_blank_line(line) {
            break;
        }
        start = end;
    }
    start
}

/// Cuts `range` of `lines` at line starts into pieces of about `bytes`.
pub(super) fn pieces(lines: &[u8], range: Range<usize>, bytes: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = line_start(lines, (start + bytes.max(1)).min(range.end)).min(range.end);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading_number(line: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(line).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    #[test]
    fn shares_are_a_partition_of_records() {
        let mut text = String::new();
        for doc in 1..40u32 {
            for word in 0..doc % 7 {
                text += &format!("{} {word}\n", doc * 3);
                if word == 2 {
                    text += " \n";
                }
            }
        }
        let lines = text.as_bytes();
        for key in [&leading_number as Key, &|_: &[u8]| None] {
            for of in 1..=9 {
                let mut end = 0;
                for index in 0..of {
                    let part = Share { index, of }.part(0, lines.len() as u64, lines.len() as u64);
                    let mut gates = Gates::new(&part);
                    let keep = gates.keep(lines, &(0..lines.len() as u64), None, key);
                    assert_eq!(keep.start, end);
                    if let Some(record) = key_before(&lines[..keep.start], None, key) {
                        assert_ne!(key(&lines[keep.clone()]), Some(record));
                        assert_eq!(gates.before(None), Some(record));
                    }
                    end = keep.end;
                }
                assert_eq!(end, lines.len());
            }
        }
    }

    #[test]
    fn gates_agree_however_the_lines_arrive() {
        let text: String = (0..500).map(|n| format!("{} {n}\n", n / 11)).collect();
        let lines = text.as_bytes();
        for of in 2..6 {
            let mut taken = Vec::new();
            for index in 0..of {
                // Chunks of 700 bytes that were "unpacked" from 100 positions each.
                let chunks = pieces(lines, 0..lines.len(), 700);
                let total = chunks.len() as u64 * 100;
                let part = Share { index, of }.part(0, total, total);
                let mut gates = Gates::new(&part);
                for (number, chunk) in chunks.iter().enumerate() {
                    let positions = number as u64 * 100..(number as u64 + 1) * 100;
                    let before = key_before(&lines[..chunk.start], None, &leading_number);
                    let keep =
                        gates.keep(&lines[chunk.clone()], &positions, before, &leading_number);
                    taken.extend_from_slice(&lines[chunk.clone()][keep]);
                }
            }
            assert_eq!(taken, lines);
        }
    }

    #[test]
    fn tiny_files_are_dealt_out_whole() {
        for of in 1..7 {
            let parts: Vec<Part> = (0..of)
                .map(|index| Share { index, of }.part(0, 3, 3))
                .collect();
            let mut at = 0;
            for part in parts.iter().filter(|part| !part.is_empty()) {
                assert_eq!(part.start, at);
                at = part.end.unwrap_or(3);
            }
            assert_eq!(at, 3);
            assert_eq!(
                parts
                    .iter()
                    .filter(|part| part.reaches_end() && !part.empty)
                    .count(),
                1
            );
        }
    }
}
