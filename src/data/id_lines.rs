//! Ids, one or two a line: of users, or of users and items.
//!
//! Fields are separated as in ratings: by `::`, tabs, commas, semicolons or blanks, whichever the line
//! has first in this order. Ids are any text, with commas or semicolons between also in double quotes.
//! Further fields (a rating, a timestamp) and blank lines are passed over, and so is a first line
//! whose first field is `user`, `userId` or the like, and the header of a Matrix Market file.

use std::borrow::Cow;
use std::path::PathBuf;

use super::field::{BOM, Fault, closing_quote, is_blank, is_blank_line, undoubled};
use super::lines::{Effort, LineFormat, read_lines};
use super::share::{Part, line_start};
use super::source::{Source, find};
use super::triples::Layout;
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
        let head = source.head()?;
        let matrix = Layout::of_matrix_if(&head, &["real", "integer", "pattern"])
            .map_err(|fault| fault.locate(&path, &head, 1))?;
        let start = matrix
            .as_ref()
            .map_or_else(|| header_end(&head), |matrix| matrix.start);
        let mut seen = 0;
        let effort = Effort {
            threads: threads.max(1),
            piece_bytes: PIECE_BYTES,
        };
        let format = IdLines { fields };
        let mut refused = Ok(());
        let mut take = |block: Block| {
            seen += block.ends.len() as u64 / 2;
            if refused.is_ok() {
                refused = block.lines().try_for_each(|(one, other)| sink(one, other));
            }
        };
        read_lines(&mut source, start, &Part::WHOLE, &format, effort, &mut take)?;
        refused?;
        if let Some(matrix) = matrix.and_then(|layout| layout.matrix) {
            matrix.check(&path, seen)?;
        }
    }
    Ok(())
}

/// Where the lines begin, behind a byte order mark and a header.
fn header_end(head: &[u8]) -> usize {
    let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let end = line_start(head, start + 1);
    let first = split(head.get(start..end).unwrap_or_default()).next();
    let first = first.unwrap_or_default();
    let letters = first.iter().filter(|byte| byte.is_ascii_alphabetic());
    let name: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    match HEADERS.iter().any(|header| header.as_bytes() == name) {
        true => end,
        false => start,
    }
}

/// The fields of a line, without blanks around them and without quotes.
fn split(line: &[u8]) -> Box<dyn Iterator<Item = Cow<'_, [u8]>> + '_> {
    let line = line.trim_ascii();
    let separator = [b'\t', b',', b';']
        .into_iter()
        .find(|byte| memchr::memchr(*byte, line).is_some());
    if let Some(at) = line.windows(2).position(|two| two == b"::") {
        let rest = &line[at + 2..];
        let end = rest
            .windows(2)
            .position(|two| two == b"::")
            .unwrap_or(rest.len());
        let fields = [&line[..at], &rest[..end]];
        return Box::new(
            fields
                .into_iter()
                .map(|field| Cow::Borrowed(field.trim_ascii())),
        );
    }
    let rest = Some(line);
    match separator {
        Some(separator) => Box::new(Fields { rest, separator }),
        None => Box::new(
            line.split(|byte| is_blank(*byte))
                .filter(|field| !field.is_empty())
                .map(Cow::Borrowed),
        ),
    }
}

/// Fields with one byte between, which does not separate within quotes.
struct Fields<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        let line = self.rest?;
        let text = line.trim_ascii_start();
        let quoted = self.separator != b'\t' && text.starts_with(b"\"");
        let from = match quoted {
            true => closing_quote(line, line.len() - text.len() + 1),
            false => 0,
        };
        let end = memchr::memchr(self.separator, &line[from..]).map(|at| from + at);
        self.rest = end.map(|end| &line[end + 1..]);
        let field = line[..end.unwrap_or(line.len())].trim_ascii();
        let inside = field
            .strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""));
        match inside.filter(|_| quoted) {
            Some(text) => Some(undoubled(text)),
            None => Some(Cow::Borrowed(field)),
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
                block.push(&fields.next().unwrap_or_default());
                let second = fields.next().filter(|_| self.fields > 1);
                if self.fields > 1 && second.is_none() {
                    let place = at + line.trim_ascii_end().len();
                    let message = "expected a user and an item, the line ends here";
                    return Err(Fault::new(place, message));
                }
                block.push(&second.unwrap_or_default());
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
        let quotes = read("\"a \"\"b\"\", c\",\"\"\"d\"\"\"\n", 2).unwrap();
        assert_eq!(quotes, [("a \"b\", c".to_owned(), "\"d\"".to_owned())]);
        let said = read("1 2\n3 \n", 2).unwrap_err().to_string();
        assert!(
            said.contains("ids:2:2: expected a user and an item"),
            "{said}"
        );
    }
    #[test]
    fn the_header_of_a_matrix_is_no_pair() {
        let wanted = [("1", "2"), ("3", "1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        for (kind, value) in [("real", " 0.5"), ("integer", " 4"), ("pattern", "")] {
            let text = format!(
                "%%MatrixMarket matrix coordinate {kind} general\n% said\n3 2 2\n1 2{value}\n3 1{value}\n"
            );
            assert_eq!(read(&text, 2).unwrap(), wanted, "{kind}");
        }
        let header = "%%MatrixMarket matrix coordinate real general\n3 2 2\n1 2 1\n";
        let said = read(header, 2).unwrap_err().to_string();
        assert!(
            said.contains("ids:2: expected 2 entries as stated here, saw 1"),
            "{said}"
        );
        let array = read("%%MatrixMarket matrix array real general\n1 1\n1\n", 2);
        assert_eq!(array.unwrap_err().status(), 65);
    }
}
