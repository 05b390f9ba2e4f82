//! Ids, one or two a line: of users, or of users and items.
//!
//! Fields are separated as in ratings: by `::`, tabs, commas, semicolons or blanks, whichever the line
//! has first in this order. Ids are any text, and may be in double quotes. Further fields (a rating,
//! a timestamp) and blank lines are passed over, and so is a first line whose first field is `user`,
//! `userId` or the like.

use std::path::PathBuf;

use super::field::{BOM, Fault, is_blank, is_blank_line};
use super::lines::{Effort, LineFormat, read_lines};
use super::share::{Part, line_start};
use super::source::{Source, find};
use crate::error::Result;

/// How much of a file is parsed at a time.
const PIECE_BYTES: usize = 256 << 10;
/// What a header's first field is called, in lower case and without anything but letters.
const HEADERS: [&str; 4] = ["user", "users", "userid", "uid"];

/// Takes the first two fields of a line.
pub type IdSink<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + Send + 'a;

/// Reads the lines of `paths` (files, folders, or `-` for standard input) in order and hands the first
/// `fields` fields of each, 1 or 2, to `sink`; the second is empty if there is only one.
///
/// # Errors
/// Status 65 with `file:line:column` if a line has too few fields, 66 for what is not there; what
/// `sink` says.
pub fn read_id_lines(
    paths: &[PathBuf],
    threads: usize,
    fields: usize,
    sink: &mut IdSink,
) -> Result<()> {
    for path in find(paths, &[])? {
        let mut source = Source::at(&path, PIECE_BYTES)?;
        let start = header_end(&source.head()?);
        let effort = Effort {
            threads: threads.max(1),
            piece_bytes: PIECE_BYTES,
        };
        let format = IdLines { fields };
        let mut refused = Ok(());
        let mut take = |block: Block| {
            if refused.is_ok() {
                refused = block.lines().try_for_each(|(one, other)| sink(one, other));
            }
        };
        read_lines(&mut source, start, &Part::WHOLE, &format, effort, &mut take)?;
        refused?;
    }
    Ok(())
}

/// Where the lines begin, behind a byte order mark and a header.
fn header_end(head: &[u8]) -> usize {
    let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let end = line_start(head, start + 1);
    let first = split(head.get(start..end).unwrap_or_default()).next();
    let letters = first
        .unwrap_or_default()
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic());
    let name: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    match HEADERS.iter().any(|header| header.as_bytes() == name) {
        true => end,
        false => start,
    }
}

/// The fields of a line, without blanks around them and without quotes.
fn split(line: &[u8]) -> Box<dyn Iterator<Item = &[u8]> + '_> {
    let line = line.trim_ascii();
    let bytes = [b'\t', b',', b';'];
    let clean = |field: &[u8]| -> std::ops::Range<usize> {
        let blanks = field.iter().take_while(|byte| is_blank(**byte)).count();
        let length = field.trim_ascii().len();
        let text = &field[blanks..blanks + length];
        match length >= 2 && text.starts_with(b"\"") && text.ends_with(b"\"") {
            true => blanks + 1..blanks + length - 1,
            false => blanks..blanks + length,
        }
    };
    let cleaned = move |field: &'_ [u8]| clean(field);
    if let Some(at) = line.windows(2).position(|two| two == b"::") {
        let rest = &line[at + 2..];
        let end = rest
            .windows(2)
            .position(|two| two == b"::")
            .unwrap_or(rest.len());
        let fields = [&line[..at], &rest[..end]];
        return Box::new(fields.into_iter().map(move |field| &field[cleaned(field)]));
    }
    match bytes
        .into_iter()
        .find(|byte| memchr::memchr(*byte, line).is_some())
    {
        Some(separator) => Box::new(
            Fields {
                rest: Some(line),
                separator,
            }
            .map(move |field| &field[cleaned(field)]),
        ),
        None => Box::new(
            line.split(|byte| is_blank(*byte))
                .filter(|field| !field.is_empty()),
        ),
    }
}

/// Fields with one byte between, which does not separate within quotes.
struct Fields<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let quoted = line.trim_ascii_start().starts_with(b"\"");
        let open = memchr::memchr(b'"', line).filter(|_| quoted);
        let close =
            open.and_then(|open| memchr::memchr(b'"', &line[open + 1..]).map(|at| open + 1 + at));
        let from = close.unwrap_or(0);
        match memchr::memchr(self.separator, &line[from..]) {
            Some(at) => {
                self.rest = Some(&line[from + at + 1..]);
                Some(&line[..from + at])
            }
            None => {
                self.rest = None;
                Some(line)
            }
        }
    }
}

/// Lines of so many fields.
struct IdLines {
    fields: usize,
}

/// The fields of some lines, one after the other, two for each line.
#[derive(Default)]
struct Block {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Block {
    fn push(&mut self, field: &[u8]) {
        self.text.extend_from_slice(field);
        self.ends.push(self.text.len());
    }

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let ends = self.ends.as_chunks::<2>().0;
        ends.iter().scan(0, |start, [first, second]| {
            let fields = (&self.text[*start..*first], &self.text[*first..*second]);
            *start = *second;
            Some(fields)
        })
    }
}

impl LineFormat for IdLines {
    type Block = Block;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<Block, Fault> {
        let mut block = Block::default();
        let mut at = 0;
        while at < lines.len() {
            let end = line_start(lines, at + 1);
            let line = &lines[at..end];
            if !is_blank_line(line) {
                let mut fields = split(line).filter(|field| !field.is_empty());
                block.push(fields.next().unwrap_or_default());
                let second = fields.next().filter(|_| self.fields > 1);
                if self.fields > 1 && second.is_none() {
                    let place = at + line.trim_ascii_end().len();
                    let message = "expected a user and an item, the line ends here";
                    return Err(Fault::new(place, message));
                }
                block.push(second.unwrap_or_default());
            }
            at = end;
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(text: &str, fields: usize) -> Result<Vec<(String, String)>> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ids");
        fs::write(&path, text).unwrap();
        let mut seen = Vec::new();
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        read_id_lines(&[path], 2, fields, &mut |one, other| {
            seen.push((own(one), own(other)));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn ids_are_read_in_every_usual_spelling() {
        let wanted = [
            ("7".to_owned(), "the film".to_owned()),
            ("zoé".to_owned(), "x".to_owned()),
        ];
        for text in [
            "7,the film\nzoé,x\n",
            "\u{FEFF}userId,movieId\n7,\"the film\",4.5,99\n\nzoé , x\r\n",
            "7\tthe film\t3\nzoé\tx",
            "7::the film::3::1\nzoé::x\n",
            "User_ID;item\n7; the film\n\"zoé\";x\n",
        ] {
            assert_eq!(read(text, 2).unwrap(), wanted, "{text}");
        }
        let users = read("a b\n c\n", 1).unwrap();
        assert_eq!(
            users,
            [
                ("a".to_owned(), String::new()),
                ("c".to_owned(), String::new())
            ]
        );
        let commas = read("\"a, b\",\"c\"\n", 2).unwrap();
        assert_eq!(commas, [("a, b".to_owned(), "c".to_owned())]);
        let said = read("1 2\n3 \n", 2).unwrap_err().to_string();
        assert!(
            said.contains("ids:2:2: expected a user and an item"),
            "{said}"
        );
    }
}
