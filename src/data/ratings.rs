//! Ratings: `user item rating`, one a line, in every usual spelling.
//!
//! | spelling | seen in |
//! |---|---|
//! | tabs, blanks | `u.data`, LIBMF |
//! | commas, semicolons; fields may be in double quotes | `ratings.csv` |
//! | `::` | `ratings.dat` |
//! | Matrix Market, `coordinate real` or `integer`, `general` | `*.mtx` |
//!
//! The first line settles the separator of its file. It is a header, and passed over, if it has no
//! field that is a number. A fourth field (a timestamp) is allowed and not used; blank lines are
//! passed over. Ids are any text. Every line is an observation of its own, also where a user and an
//! item come together more than once. A rating that is not a finite number is refused.

use std::path::{Path, PathBuf};

use super::field::{BOM, Cursor, Fault, Whole, is_blank, is_blank_line, shown, small_number};
use super::ids::{IdTable, Ids, LocalNames, PieceNames};
use super::lines::{Effort, LineFormat, read_lines};
use super::share::{Part, line_start};
use super::source::{Source, find};
use crate::error::{Error, Result};

/// Bytes of the shortest line, `1 1 1` and a newline.
const LINE_BYTES_MIN: usize = 6;
/// What Matrix Market files begin with, in lower case.
const MATRIX_MARKET: &[u8] = b"%%matrixmarket";

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rating {
    /// The user's row; [`super::NO_ROW`] in test data for a user without training ratings.
    pub user: u32,
    /// The item's row, likewise.
    pub item: u32,
    /// The rating: finite.
    pub value: f32,
}

/// Ratings in the order of the files, in pieces.
pub type Pieces = Vec<Vec<Rating>>;

/// Training ratings, test ratings if there are any, and whose rows are whose.
#[derive(Debug, Default)]
pub struct Ratings {
    /// The users' ids, by row.
    pub users: Ids,
    /// The items' ids, by row.
    pub items: Ids,
    /// What to learn from.
    pub train: Pieces,
    /// What to predict, from the files named as such.
    pub test: Pieces,
}

/// How to read ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatingsOptions {
    /// Threads that parse; at least 1.
    pub threads: usize,
    /// Bytes of text that a thread parses at a time.
    pub piece_bytes: usize,
}

impl Default for RatingsOptions {
    fn default() -> RatingsOptions {
        RatingsOptions {
            threads: 1,
            piece_bytes: 256 << 10,
        }
    }
}

/// Reads all training ratings in `train` and all test ratings in `test`: files, folders (their
/// files in name order) or `-` for standard input. `held_out` says of a training rating, by its
/// number in the order of the files, whether it is test data instead.
///
/// # Errors
/// Status 65 with `file:line:column` for data that is not as its format says, 66 for what is not
/// there.
pub fn load_ratings(
    train: &[PathBuf],
    test: &[PathBuf],
    options: RatingsOptions,
    held_out: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Ratings> {
    let aside: Vec<&Path> = test.iter().map(PathBuf::as_path).collect();
    let open = |paths: &[PathBuf], aside: &[&Path]| -> Result<Vec<Source>> {
        find(paths, aside)?
            .iter()
            .map(|file| Source::at(file, options.piece_bytes))
            .collect()
    };
    let (train, test) = (open(train, &aside)?, open(test, &[])?);
    load_sources(train, test, options, held_out)
}

/// Reads training ratings that are part of the program; `name` is what they are called in errors.
///
/// # Errors
/// As for [`load_ratings`].
pub fn load_ratings_bytes(
    name: &str,
    bytes: &'static [u8],
    options: RatingsOptions,
    held_out: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Ratings> {
    let source = Source::compiled_in(Path::new(name), bytes, options.piece_bytes)?;
    load_sources(vec![source], Vec::new(), options, held_out)
}

fn load_sources(
    train: Vec<Source>,
    test: Vec<Source>,
    options: RatingsOptions,
    held_out: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Ratings> {
    let mut reader = Reader::default();
    for mut source in train {
        reader.read(&mut source, options, Some(held_out))?;
    }
    for mut source in test {
        reader.read(&mut source, options, None)?;
    }
    Ok(reader.finish())
}

/// What was read so far; users and items are keys, not rows.
#[derive(Default)]
struct Reader {
    users: IdTable,
    items: IdTable,
    train: Pieces,
    test: Pieces,
    /// Training ratings so far, held out or not.
    number: u64,
}

impl Reader {
    /// Reads a file of training data with `held_out`, of test data without.
    fn read(
        &mut self,
        source: &mut Source,
        options: RatingsOptions,
        held_out: Option<&(dyn Fn(u64) -> bool + Sync)>,
    ) -> Result<()> {
        let head = source.head()?;
        let path = source.path().to_path_buf();
        let layout =
            Layout::of(&head, &path).map_err(|fault| fault.locate(source.path(), &head, 1))?;
        let effort = Effort {
            threads: options.threads.max(1),
            piece_bytes: options.piece_bytes.max(1),
        };
        let mut entries = 0;
        let mut sink = |piece: Piece| {
            entries += piece.ratings.len() as u64;
            self.take(piece, held_out);
        };
        read_lines(
            source,
            layout.start,
            &Part::WHOLE,
            &layout,
            effort,
            &mut sink,
        )?;
        match layout.matrix {
            Some(matrix) if matrix.entries != entries => Err(Error::data(
                &path,
                matrix.line,
                0,
                format!(
                    "expected {} entries as stated here, saw {entries}",
                    matrix.entries
                ),
            )),
            _ => Ok(()),
        }
    }

    fn take(&mut self, piece: Piece, held_out: Option<&(dyn Fn(u64) -> bool + Sync)>) {
        let users = self.users.adopt(&piece.users);
        let items = self.items.adopt(&piece.items);
        let (mut train, mut test) = (piece.ratings, Vec::new());
        for rating in &mut train {
            rating.user = IdTable::global(rating.user, &users);
            rating.item = IdTable::global(rating.item, &items);
        }
        let Some(held_out) = held_out else {
            self.test.push(train);
            return;
        };
        train.retain(|rating| {
            let is_test = held_out(self.number);
            self.number += 1;
            if is_test {
                test.push(*rating);
            } else {
                self.users.count(rating.user);
                self.items.count(rating.item);
            }
            !is_test
        });
        // Room for the shortest lines was reserved; most are longer.
        train.shrink_to_fit();
        self.train.push(train);
        if !test.is_empty() {
            self.test.push(test);
        }
    }

    fn finish(self) -> Ratings {
        let (users, user_rows) = self.users.finish();
        let (items, item_rows) = self.items.finish();
        let mut ratings = Ratings {
            users,
            items,
            train: self.train,
            test: self.test,
        };
        let all = ratings.train.iter_mut().chain(&mut ratings.test);
        for rating in all.flatten() {
            rating.user = user_rows.row(rating.user);
            rating.item = item_rows.row(rating.item);
        }
        ratings
    }
}

/// Some lines' ratings, in keys of the piece.
struct Piece {
    ratings: Vec<Rating>,
    users: PieceNames,
    items: PieceNames,
}

/// What stands between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// One byte; blanks around it do not count.
    Byte(u8),
    /// `::`.
    Colons,
    /// Blanks, one or more.
    Blanks,
}

impl Separator {
    /// The separator of a line.
    fn of(line: &[u8]) -> Separator {
        let has = |byte| memchr::memchr(byte, line).is_some();
        match () {
            () if line.windows(2).any(|two| two == b"::") => Separator::Colons,
            () if has(b'\t') => Separator::Byte(b'\t'),
            () if has(b',') => Separator::Byte(b','),
            () if has(b';') => Separator::Byte(b';'),
            () => Separator::Blanks,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Separator::Byte(b'\t') => "tabs",
            Separator::Byte(b',') => "commas",
            Separator::Byte(_) => "semicolons",
            Separator::Colons => "`::`",
            Separator::Blanks => "blanks",
        }
    }

    /// Where the separator at or after `from` begins and ends, in a line without its end.
    fn find(self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let rest = &line[from..];
        match self {
            Separator::Byte(byte) => {
                memchr::memchr(byte, rest).map(|at| (from + at, from + at + 1))
            }
            Separator::Colons => rest
                .windows(2)
                .position(|two| two == b"::")
                .map(|at| (from + at, from + at + 2)),
            Separator::Blanks => {
                let start = from + rest.iter().position(|&byte| is_blank(byte))?;
                let length = line[start..].iter().position(|&byte| !is_blank(byte))?;
                Some((start, start + length))
            }
        }
    }
}

/// What a Matrix Market header states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Matrix {
    rows: u64,
    columns: u64,
    entries: u64,
    /// The line that states it.
    line: u64,
}

/// How one file is written.
#[derive(Debug)]
struct Layout {
    separator: Separator,
    /// Where the ratings begin.
    start: usize,
    matrix: Option<Matrix>,
}

/// A field of a line and where it begins.
type Field<'a> = (&'a [u8], usize);

impl Layout {
    /// Settles the layout by the start of a file.
    fn of(head: &[u8], path: &Path) -> Result<Layout, Fault> {
        if let Some(at) = memchr::memchr(0, head) {
            return Err(Fault::new(at, "expected text, saw a binary file"));
        }
        let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let magic = head[start..].get(..MATRIX_MARKET.len());
        if magic.is_some_and(|magic| magic.eq_ignore_ascii_case(MATRIX_MARKET)) {
            return Layout::of_matrix(head, start);
        }
        let mut at = start;
        while at < head.len() {
            let end = line_start(head, at + 1);
            let line = without_end(&head[at..end]);
            if !is_blank_line(line) {
                let separator = Separator::of(line);
                let layout = Layout {
                    separator,
                    start: at,
                    matrix: None,
                };
                let (fields, number) = layout.fields(line, 0);
                let is_number = |field: &Field| fast_float2::parse::<f64, _>(field.0).is_ok();
                let header = number >= 3 && !fields.iter().any(is_number);
                let start = if header { end } else { at };
                return Ok(Layout { start, ..layout });
            }
            at = end;
        }
        let message = format!("expected ratings, {} holds only blanks", path.display());
        Err(Fault::new(start, message))
    }

    fn of_matrix(head: &[u8], start: usize) -> Result<Layout, Fault> {
        let mut at = line_start(head, start + 1);
        let words = String::from_utf8_lossy(&head[start..at]).to_lowercase();
        let words: Vec<&str> = words.split_whitespace().skip(1).collect();
        let is_known = matches!(
            words[..],
            ["matrix", "coordinate", "real" | "integer", "general"]
        );
        if !is_known {
            let message = "expected `matrix coordinate real general` (or integer) in a Matrix \
                           Market header, saw ";
            let seen = shown(words.join(" ").as_bytes());
            return Err(Fault::new(start, format!("{message}{seen}")));
        }
        let mut line = 2;
        while head
            .get(at)
            .is_some_and(|byte| *byte == b'%' || *byte == b'\n')
        {
            at = line_start(head, at + 1);
            line += 1;
        }
        let mut cursor = Cursor::new(head, at);
        let rows = cursor.number(&Whole::new("the number of rows", 1, u64::from(u32::MAX)))?;
        let columns =
            cursor.number(&Whole::new("the number of columns", 1, u64::from(u32::MAX)))?;
        let entries = cursor.number(&Whole::new("the number of entries", 0, u64::MAX))?;
        cursor.finish_line("rows, columns and entries")?;
        Ok(Layout {
            separator: Separator::Blanks,
            start: cursor.at,
            matrix: Some(Matrix {
                rows,
                columns,
                entries,
                line,
            }),
        })
    }

    /// The first fields of a line that begins at offset `at`, and how many there are.
    fn fields<'a>(&self, line: &'a [u8], at: usize) -> ([Field<'a>; 5], usize) {
        let mut fields: [Field<'a>; 5] = [(&[], at + line.len()); 5];
        let mut start = line.iter().take_while(|&&byte| is_blank(byte)).count();
        if self.separator == Separator::Byte(b'\t') {
            start = 0;
        }
        let quotes = matches!(self.separator, Separator::Byte(b',' | b';'));
        for number in 0..fields.len() {
            let quoted = quotes && line.get(start) == Some(&b'"');
            let from = match quoted {
                true => closing_quote(line, start + 1),
                false => start,
            };
            let cut = self.separator.find(line, from);
            let end = cut.map_or(line.len(), |cut| cut.0);
            fields[number] = trimmed(&line[start..end], at + start, quoted);
            match cut {
                Some((_, next)) => start = next,
                None => return (fields, number + 1),
            }
        }
        (fields, fields.len())
    }

    /// Reads the line at `lines[at..end]` with care.
    fn line<'a>(
        &self,
        lines: &'a [u8],
        at: usize,
        end: usize,
    ) -> Result<Option<[Field<'a>; 3]>, Fault> {
        let line = without_end(&lines[at..end]);
        if is_blank_line(line) {
            return Ok(None);
        }
        let (fields, number) = self.fields(line, at);
        if number < 3 {
            let message = format!(
                "expected user, item and rating with {} between, the line ends here",
                self.separator.name()
            );
            return Err(Fault::new(at + line.len(), message));
        }
        let most = if self.matrix.is_some() { 3 } else { 4 };
        if number > most && !fields[most].0.is_empty() {
            let message = format!(
                "expected the end of the line after user, item, rating{}, saw {}",
                if most == 4 { " and timestamp" } else { "" },
                shown(fields[most].0)
            );
            return Err(Fault::new(fields[most].1, message));
        }
        for (field, name) in fields.iter().zip(["a user id", "an item id"]) {
            if field.0.is_empty() {
                return Err(Fault::new(field.1, format!("expected {name}, saw nothing")));
            }
        }
        if let Some(matrix) = &self.matrix {
            let limit = |name, most| Whole::new(name, 1, most).because("the size stated above");
            limit("a row", matrix.rows).parse(fields[0].0, fields[0].1)?;
            limit("a column", matrix.columns).parse(fields[1].0, fields[1].1)?;
        }
        Ok(Some([fields[0], fields[1], fields[2]]))
    }

    /// The rating of a line as nearly all are: two short numbers, one separator between two, a
    /// rating like `4` or `3.5`; and where the next line begins.
    #[inline(always)]
    fn plain(&self, lines: &[u8], at: usize) -> Option<(Rating, usize)> {
        let (user, next) = plain_id(lines, at)?;
        let (item, next) = plain_id(lines, self.after(lines, next)?)?;
        let (value, next) = plain_value(lines, self.after(lines, next)?)?;
        let next = match *lines.get(next)? {
            b'\n' => next + 1,
            b'\r' if lines.get(next + 1) == Some(&b'\n') => next + 2,
            _ => {
                let stamp = self.after(lines, next)?;
                let end = stamp + lines[stamp..].iter().position(|&byte| byte == b'\n')?;
                let is_stamp = lines[stamp..end]
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'\r');
                is_stamp.then_some(end + 1)?
            }
        };
        let fits = |matrix: &Matrix| {
            let (row, column) = (u64::from(user), u64::from(item));
            (1..=matrix.rows).contains(&row) && (1..=matrix.columns).contains(&column)
        };
        let accepted = self.matrix.as_ref().is_none_or(fits);
        accepted.then_some((Rating { user, item, value }, next))
    }

    /// The offset after the separator at `at`, if there is one.
    #[inline(always)]
    fn after(&self, lines: &[u8], at: usize) -> Option<usize> {
        let here = *lines.get(at)?;
        match self.separator {
            Separator::Byte(byte) => (here == byte).then_some(at + 1),
            Separator::Colons => {
                (here == b':' && lines.get(at + 1) == Some(&b':')).then_some(at + 2)
            }
            Separator::Blanks => (here == b' ').then_some(at + 1),
        }
    }
}

impl LineFormat for Layout {
    type Block = Piece;

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<Piece, Fault> {
        let mut ratings = Vec::with_capacity(lines.len() / LINE_BYTES_MIN + 1);
        let (mut users, mut items) = (LocalNames::default(), LocalNames::default());
        let mut at = 0;
        while at < lines.len() {
            if let Some((rating, next)) = self.plain(lines, at) {
                ratings.push(rating);
                at = next;
                continue;
            }
            let end = line_start(lines, at + 1);
            if let Some([user, item, value]) = self.line(lines, at, end)? {
                ratings.push(Rating {
                    user: users.key(user.0),
                    item: items.key(item.0),
                    value: parse_value(value)?,
                });
            }
            at = end;
        }
        Ok(Piece {
            ratings,
            users: users.finish(),
            items: items.finish(),
        })
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// The offset behind the quote that closes a field, or where the line ends.
fn closing_quote(line: &[u8], from: usize) -> usize {
    memchr::memchr(b'"', &line[from..]).map_or(line.len(), |at| from + at + 1)
}

/// A field without the blanks around it and, if it was `quoted`, without its quotes.
fn trimmed(field: &[u8], at: usize, quoted: bool) -> Field<'_> {
    let blanks = field.iter().take_while(|&&byte| is_blank(byte)).count();
    let mut text = field[blanks..].trim_ascii_end();
    if quoted && text.len() >= 2 && text.ends_with(b"\"") {
        text = &text[1..text.len() - 1];
    }
    (text, at + blanks)
}

fn parse_value((token, at): Field) -> Result<f32, Fault> {
    let token = token.strip_prefix(b"+").unwrap_or(token);
    match fast_float2::parse::<f64, _>(token) {
        Ok(value) if (value as f32).is_finite() => Ok(value as f32),
        Ok(_) => {
            let message = format!("expected a finite rating, saw {}", shown(token));
            Err(Fault::new(at, message))
        }
        Err(_) => {
            let message = format!("expected a rating, saw {}", shown(token));
            Err(Fault::new(at, message))
        }
    }
}

#[inline(always)]
fn plain_id(lines: &[u8], at: usize) -> Option<(u32, usize)> {
    let (id, next) = small_number(lines, at)?;
    // `007` is another id than `7`.
    (lines[at] != b'0' || next == at + 1).then_some((id, next))
}

/// One digit, or one digit, a point and one digit.
#[inline(always)]
fn plain_value(lines: &[u8], at: usize) -> Option<(f32, usize)> {
    let whole = lines.get(at)?.wrapping_sub(b'0');
    let next = *lines.get(at + 1)?;
    if whole > 9 {
        return None;
    }
    if next != b'.' {
        let ends = !next.is_ascii_alphanumeric();
        return ends.then_some((f32::from(whole), at + 1));
    }
    let tenth = lines.get(at + 2)?.wrapping_sub(b'0');
    let ends = lines
        .get(at + 3)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric());
    // Divided as one number: 0.7 is then the float nearest to it.
    (tenth <= 9 && ends).then(|| (f32::from(whole * 10 + tenth) / 10.0, at + 3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Reads `text` as training data; (user, item, rating) in the order of the file.
    fn read(text: &[u8]) -> Result<Vec<(String, String, f32)>> {
        read_in_pieces(text, 1 << 20, 1)
    }

    fn read_in_pieces(
        text: &[u8],
        piece_bytes: usize,
        threads: usize,
    ) -> Result<Vec<(String, String, f32)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        fs::write(&path, text).unwrap();
        let options = RatingsOptions {
            threads,
            piece_bytes,
        };
        let ratings = load_ratings(&[path], &[], options, &|_| false);
        let ratings = ratings.map_err(|error| match error {
            Error::Data {
                mut place,
                expected,
            } => {
                place.path = "r".into();
                Error::Data { place, expected }
            }
            error => error,
        })?;
        let name = |rating: &Rating| {
            (
                ratings.users.name(rating.user as usize).to_string(),
                ratings.items.name(rating.item as usize).to_string(),
                rating.value,
            )
        };
        Ok(ratings.train.iter().flatten().map(name).collect())
    }

    fn triples(list: &[(&str, &str, f32)]) -> Vec<(String, String, f32)> {
        let own = |(u, i, r): &(&str, &str, f32)| (u.to_string(), i.to_string(), *r);
        list.iter().map(own).collect()
    }

    #[test]
    fn every_usual_spelling_is_read() {
        let wanted = triples(&[("196", "242", 3.0), ("22", "377", 1.5), ("22", "5", 0.5)]);
        for text in [
            "196\t242\t3\t881250949\n22\t377\t1.5\t878887116\n22\t5\t.5\t1\n",
            "196 242 3\n22 377 1.5\n22 5 0.5",
            "  196   242  3 \r\n22 377 1.50\r\n\r\n22 5 5e-1\r\n",
            "196::242::3::881250949\n22::377::1.5::878887116\n22::5::0.5::1\n",
            "userId,movieId,rating,timestamp\n196,242,3.0,881250949\n22,377,1.5,8\n22,5,0.5,8\n",
            "\u{FEFF}\"user\";\"item\";\"rating\"\n\"196\";\"242\";\"3\"\n\"22\";\"377\";\"1.5\"\n22;5;+0.5\n",
            "196, 242, 3\n22, 377, 1.5\n22, 5, 0.5\n",
            "%%MatrixMarket matrix coordinate real general\n% made by hand\n\n200 400 3\n\
             196 242 3\n22 377 1.5\n22 5 0.5\n",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn ids_are_any_text_and_every_line_counts() {
        let text = "zoé,\"the, film\",4\nbob,007,3\nbob,7,2\nbob,7,5\n99999999999,7,1\n";
        let wanted = [
            ("zoé", "the, film", 4.0),
            ("bob", "007", 3.0),
            ("bob", "7", 2.0),
            ("bob", "7", 5.0),
            ("99999999999", "7", 1.0),
        ];
        assert_eq!(read(text.as_bytes()).unwrap(), triples(&wanted));
        let spaced = "a user\tan item\t-1.25\n";
        let wanted = [("a user", "an item", -1.25)];
        assert_eq!(read(spaced.as_bytes()).unwrap(), triples(&wanted));
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (text, words) in [
            (
                "1\t2\t3\n1\t2\n",
                "r:2:4: expected user, item and rating with tabs between, the line ends here",
            ),
            ("1\t2\tx\n", "r:1:5: expected a rating, saw `x`"),
            (
                "1 2 3\n1 2 nan\n",
                "r:2:5: expected a finite rating, saw `nan`",
            ),
            (
                "1 2 3\n1 2 -inf\n",
                "r:2:5: expected a finite rating, saw `-inf`",
            ),
            (
                "1 2 3\n1 2 1e39\n",
                "r:2:5: expected a finite rating, saw `1e39`",
            ),
            ("1,2,3\n1,,3\n", "r:2:3: expected an item id, saw nothing"),
            ("1,2,3\n,2,3\n", "r:2:1: expected a user id, saw nothing"),
            (
                "1,2,3,4,5\n",
                "r:1:9: expected the end of the line after user, item, rating and timestamp, saw `5`",
            ),
            (
                "1::2::3\n4 5 6\n",
                "r:2:6: expected user, item and rating with `::` between, the line ends here",
            ),
            (
                "a b c\n1 2 3.4.5\n",
                "r:2:5: expected a rating, saw `3.4.5`",
            ),
            ("\n \n", "r:1:1: expected ratings, r holds only blanks"),
            ("1 2 3\0\n", "r:1:6: expected text, saw a binary file"),
            (
                "%%MatrixMarket matrix array real general\n",
                "r:1:1: expected `matrix coordinate real general` (or integer) in a Matrix Market header, saw `matrix array real general`",
            ),
            (
                "%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 1\n",
                "r:3:1: expected a row from 1 to 2 (the size stated above), saw `3`",
            ),
            (
                "%%MatrixMarket matrix coordinate integer general\n2 2 2\n2 1 1\n",
                "r:2: expected 2 entries as stated here, saw 1",
            ),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert_eq!(error.status(), 65, "{text}");
            let said = error.to_string().replace("/tmp/", "");
            let said = match said.split_once(", ") {
                Some((_, rest)) if rest.ends_with("r holds only blanks") => words.to_owned(),
                _ => said,
            };
            assert_eq!(said, words, "{text}");
        }
    }

    #[test]
    fn pieces_and_threads_change_nothing() {
        let mut text = String::from("user,item,rating,time\n");
        for line in 0..3000u32 {
            let item = match line % 7 {
                0 => format!("b{}", line % 31),
                _ => (line % 97).to_string(),
            };
            text += &format!(
                "{},{item},{},{line}\n",
                line / 9,
                f64::from(line % 11) / 2.0
            );
        }
        let whole = read(text.as_bytes()).unwrap();
        assert_eq!(whole.len(), 3000);
        for (piece_bytes, threads) in [(1, 1), (100, 3), (1000, 2), (20_000, 4)] {
            assert_eq!(
                read_in_pieces(text.as_bytes(), piece_bytes, threads).unwrap(),
                whole
            );
        }
    }

    #[test]
    fn test_data_adds_no_rows_and_held_out_ratings_go_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let [train, test] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&train, "1 10 1\n2 10 2\n1 x 3\n3 11 4\n").unwrap();
        fs::write(&test, "1,10,5\n9,10,4\n2,nobody,3\n").unwrap();
        let options = RatingsOptions::default();
        let ratings = load_ratings(&[train], &[test], options, &|number| number == 3).unwrap();
        assert_eq!((ratings.users.len(), ratings.items.len()), (2, 2));
        assert_eq!(ratings.users.counts(), [2, 1]);
        let of = |user, item, value| Rating { user, item, value };
        let all = |pieces: &Pieces| pieces.iter().flatten().copied().collect::<Vec<_>>();
        assert_eq!(
            all(&ratings.train),
            [of(0, 0, 1.0), of(1, 0, 2.0), of(0, 1, 3.0)]
        );
        let none = super::super::NO_ROW;
        assert_eq!(
            all(&ratings.test),
            [
                of(none, none, 4.0),
                of(0, 0, 5.0),
                of(none, 0, 4.0),
                of(1, none, 3.0)
            ]
        );
    }
}
