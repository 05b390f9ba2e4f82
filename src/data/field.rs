//! Fields of a text line: whole numbers, real numbers, tokens, and what to say where they are wrong.
//!
//! Readers scan bytes with a [`Cursor`]; what it cannot accept is a [`Fault`], an offset and a
//! message, which becomes `file:line:column: message` only when it is reported.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::error::Error;

/// The UTF-8 byte order mark, allowed at the start of a file.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Bytes of a token that an error message shows.
const SHOWN_BYTES_MAX: usize = 40;

/// Something wrong at a byte of what was being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Offset into the bytes handed to the reader.
    pub(super) at: usize,
    /// What was expected there, what was seen, what to do.
    pub(super) message: String,
}

impl Fault {
    /// A fault at offset `at`.
    pub(super) fn new(at: usize, message: impl Into<String>) -> Fault {
        Fault {
            at,
            message: message.into(),
        }
    }

    /// The same fault seen from bytes that begin `start` bytes earlier.
    pub(super) fn shifted(mut self, start: usize) -> Fault {
        self.at += start;
        self
    }

    /// The error for the user. `bytes` are what `at` counts in; they begin at the start of line
    /// `first_line` (from 1) of `path`.
    pub(super) fn locate(self, path: &Path, bytes: &[u8], first_line: u64) -> Error {
        let at = self.at.min(bytes.len());
        let line = first_line + memchr::memchr_iter(b'\n', &bytes[..at]).count() as u64;
        let mut start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
        if line == 1 && bytes.starts_with(BOM) && at >= BOM.len() {
            start += BOM.len();
        }
        Error::data(path, line, (at - start) as u64 + 1, self.message)
    }
}

/// The offset behind the quote that closes a field whose text begins at `from`, or where the line
/// ends; `""` is a quote within.
pub(super) fn closing_quote(line: &[u8], mut from: usize) -> usize {
    while let Some(at) = memchr::memchr(b'"', &line[from..]) {
        from += at + 1;
        match line.get(from) {
            Some(b'"') => from += 1,
            _ => return from,
        }
    }
    line.len()
}

/// The text between quotes, `""` being one.
pub(super) fn undoubled(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.windows(2).any(|two| two == b"\"\"") {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        out.push(byte);
        if byte == b'"' {
            rest.next_if_eq(&b'"');
        }
    }
    Cow::Owned(out)
}

/// The bytes as an error message shows them: quoted, clipped, control characters escaped.
pub(super) fn shown(bytes: &[u8]) -> String {
    let clipped = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let text = String::from_utf8_lossy(clipped);
    let dots = if clipped.len() < bytes.len() {
        "..."
    } else {
        ""
    };
    format!("`{}{dots}`", text.escape_debug())
}

/// True for the blanks that separate fields. A carriage return counts, so that CRLF needs no care.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0B | 0x0C)
}

/// True if the line holds nothing but blanks.
pub(super) fn is_blank_line(line: &[u8]) -> bool {
    line.iter().all(|byte| is_blank(*byte) || *byte == b'\n')
}

/// A kind of whole number: its name and limits, in the words of the error message.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// `a word id`.
    pub(super) name: &'static str,
    /// Smallest and largest value that is accepted.
    pub(super) range: RangeInclusive<u64>,
    /// Where the limit comes from, in brackets, or empty.
    pub(super) why: String,
}

impl Whole {
    /// A number called `name` between `low` and `high`.
    pub(super) fn new(name: &'static str, low: u64, high: u64) -> Whole {
        Whole {
            name,
            range: low..=high,
            why: String::new(),
        }
    }

    /// The same, telling where the limit comes from.
    pub(super) fn because(mut self, why: impl Into<String>) -> Whole {
        self.why = why.into();
        self
    }

    /// Parses all of `token`, which stands at offset `at`.
    pub(super) fn parse(&self, token: &[u8], at: usize) -> Result<u64, Fault> {
        match digits(token) {
            Some(value) if self.range.contains(&value) => Ok(value),
            _ => Err(self.refuse(token, at)),
        }
    }

    /// The fault of `token` at offset `at` not being this number.
    fn refuse(&self, token: &[u8], at: usize) -> Fault {
        let (low, high) = (self.range.start(), self.range.end());
        let seen = match token {
            [] => "the line ends here".to_string(),
            _ => format!("saw {}", shown(token)),
        };
        let limit = match self.why.as_str() {
            "" => String::new(),
            why => format!(" ({why})"),
        };
        Fault::new(
            at,
            format!("expected {} from {low} to {high}{limit}, {seen}", self.name),
        )
    }
}

/// The value of a token of decimal digits; `None` if it is empty, holds anything else or does not
/// fit 64 bits.
fn digits(token: &[u8]) -> Option<u64> {
    if token.is_empty() {
        return None;
    }
    token.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        match digit {
            0..=9 => value.checked_mul(10)?.checked_add(u64::from(digit)),
            _ => None,
        }
    })
}

/// The number of 1 to 7 digits that starts at `at`, and where it ends. `None` sends the caller to
/// its careful path: no digit, more digits, or fewer than 8 bytes left.
///
/// Eight bytes at a time without a branch per digit (Lemire, "Quickly parsing eight digits", 2018):
/// a data file's numbers have unpredictable lengths, and a loop over digits pays a mispredicted
/// branch for each number.
#[inline(always)]
pub(super) fn small_number(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let eight: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
    let nibbles = u64::from_le_bytes(eight) ^ 0x3030_3030_3030_3030;
    let not_digit = (nibbles.wrapping_add(0x7676_7676_7676_7676) | nibbles) & 0x8080_8080_8080_8080;
    let bits = not_digit.trailing_zeros() & !7;
    if bits == 0 || bits == 64 {
        return None;
    }
    let value = nibbles << (64 - bits);
    let value = value.wrapping_mul(2561) >> 8;
    let value = (value & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    let value = (value & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32;
    Some((value as u32, at + bits as usize / 8))
}

/// The same as [`small_number`], faster for counts, of which nearly all have one digit.
#[inline(always)]
pub(super) fn small_count(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let digit = bytes.get(at)?.wrapping_sub(b'0');
    let ends = |byte: &u8| byte.wrapping_sub(b'0') > 9;
    match digit <= 9 && bytes.get(at + 1).is_some_and(ends) {
        true => Some((u32::from(digit), at + 1)),
        false => small_number(bytes, at),
    }
}

/// A position in the bytes of some lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// The bytes.
    bytes: &'a [u8],
    /// Offset of the next byte.
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at offset `at`.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    /// The byte here, if any.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over blanks; true if the line, or everything, ends here.
    pub(super) fn at_line_end(&mut self) -> bool {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
        matches!(self.peek(), None | Some(b'\n'))
    }

    /// Steps over blanks and takes everything up to the next blank, line end or `stop`; empty if the
    /// line ends.
    pub(super) fn token(&mut self, stop: Option<u8>) -> (&'a [u8], usize) {
        self.at_line_end();
        let start = self.at;
        let ends = |byte: u8| is_blank(byte) || byte == b'\n' || Some(byte) == stop;
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
        (&self.bytes[start..self.at], start)
    }

    /// Steps over blanks and takes a whole number.
    pub(super) fn number(&mut self, what: &Whole) -> Result<u64, Fault> {
        let (token, start) = self.token(None);
        what.parse(token, start)
    }

    /// Takes `index:count`, a token without blanks.
    pub(super) fn pair(&mut self, index: &Whole, count: &Whole) -> Result<(u64, u64), Fault> {
        let (token, start) = self.token(None);
        let Some(colon) = memchr::memchr(b':', token) else {
            let message = format!("expected index:count, saw {}", shown(token));
            return Err(Fault::new(start, message));
        };
        let (left, right) = (&token[..colon], &token[colon + 1..]);
        let index = index.parse(left, start)?;
        if right.is_empty() {
            let message = format!("expected {} after the colon, saw nothing", count.name);
            return Err(Fault::new(start + colon + 1, message));
        }
        Ok((index, count.parse(right, start + colon + 1)?))
    }

    /// Steps past the end of the line; anything but blanks before it is a fault. `what` names what
    /// a line holds.
    pub(super) fn finish_line(&mut self, what: &str) -> Result<(), Fault> {
        if !self.at_line_end() {
            let (token, start) = self.token(None);
            let message = format!(
                "expected the end of the line after {what}, saw {}",
                shown(token)
            );
            return Err(Fault::new(start, message));
        }
        self.at = (self.at + 1).min(self.bytes.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_number_agrees_with_digit_by_digit() {
        let tails: [&[u8]; 5] = [
            b" 12345678",
            b"\n12345678",
            b":99999999",
            b"\xFF\x80......",
            b"/:;<=>?@",
        ];
        for value in (0..3000).chain([9_999, 10_000, 123_456, 999_999, 1_000_000, 9_999_999]) {
            for tail in tails {
                let mut bytes = value.to_string().into_bytes();
                let length = bytes.len();
                bytes.extend_from_slice(tail);
                assert_eq!(small_number(&bytes, 0), Some((value, length)), "{bytes:?}");
            }
        }
        for refused in [&b"12345678 "[..], b" 1234567", b"1234567", b"", b"-1234567"] {
            assert_eq!(small_number(refused, 0), None, "{refused:?}");
        }
        assert_eq!(small_number(b"12345678", 99), None);
    }

    #[test]
    fn every_byte_ends_a_small_number_unless_it_is_a_digit() {
        for byte in 0..=255u8 {
            let bytes = [b'4', b'2', byte, 0xFF, b'1', b'1', b'1', b'1'];
            let (value, end) = small_number(&bytes, 0).unwrap();
            match byte.is_ascii_digit() {
                true => assert_eq!((value, end), (420 + u32::from(byte - b'0'), 3)),
                false => assert_eq!((value, end), (42, 2), "byte {byte}"),
            }
        }
    }

    #[test]
    fn a_number_is_refused_with_its_limits_and_what_was_seen() {
        let word = Whole::new("a word id", 1, 5).because("the header's number of words");
        let message = |token: &[u8]| word.parse(token, 0).unwrap_err().message;
        let limits = "expected a word id from 1 to 5 (the header's number of words)";
        assert_eq!(message(b"6"), format!("{limits}, saw `6`"));
        assert_eq!(message(b"-1"), format!("{limits}, saw `-1`"));
        assert_eq!(message(b"1.5"), format!("{limits}, saw `1.5`"));
        assert_eq!(message(b""), format!("{limits}, the line ends here"));
        assert_eq!(
            message(b"99999999999999999999"),
            format!("{limits}, saw `99999999999999999999`")
        );
        assert_eq!(word.parse(b"0005", 0), Ok(5));
    }

    #[test]
    fn places_count_lines_and_bytes_from_one() {
        let place = |bytes: &[u8], at| {
            Fault::new(at, "x")
                .locate(Path::new("f"), bytes, 1)
                .to_string()
        };
        assert_eq!(place(b"ab\ncd\n", 0), "f:1:1: x");
        assert_eq!(place(b"ab\ncd\n", 2), "f:1:3: x");
        assert_eq!(place(b"ab\ncd\n", 4), "f:2:2: x");
        assert_eq!(place(b"ab\ncd\n", 6), "f:3:1: x");
        assert_eq!(place(b"\xEF\xBB\xBFab", 3), "f:1:1: x");
        assert_eq!(place(b"\xEF\xBB\xBFa\nb", 5), "f:2:1: x");
    }
}
