//! Ratings: who rated what, from all files of a user, with a row for each id.
//!
//! Users and items with a training rating have a row; test data add none. What a line may look like
//! is in `triples`.

use std::path::{Path, PathBuf};

use super::ids::{IdTable, Ids};
use super::lines::{Effort, read_lines};
use super::share::Part;
use super::source::{Source, find};
use super::triples::{Layout, Piece};
use crate::error::{Error, Result};

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
    /// Refuse ratings below 0.
    pub nonnegative: bool,
}

impl Default for RatingsOptions {
    fn default() -> RatingsOptions {
        RatingsOptions {
            threads: 1,
            piece_bytes: 256 << 10,
            nonnegative: false,
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
    let pipes = train
        .iter()
        .chain(test)
        .filter(|path| path.as_os_str() == "-");
    if pipes.count() > 1 {
        let message = "-: standard input can be read once, name files";
        return Err(Error::Usage(message.into()));
    }
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
        let mut layout =
            Layout::of(&head, &path).map_err(|fault| fault.locate(source.path(), &head, 1))?;
        layout.nonnegative = options.nonnegative;
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
            Some(matrix) => matrix.check(&path, entries),
            None => Ok(()),
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
            ..RatingsOptions::default()
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
                String::from_utf8_lossy(&ratings.users.name(rating.user as usize)).into_owned(),
                String::from_utf8_lossy(&ratings.items.name(rating.item as usize)).into_owned(),
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
    fn negative_ratings_are_refused_where_they_make_no_sense() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        fs::write(&path, "1 2 0\n1 3 -0.5\n").unwrap();
        let options = RatingsOptions {
            nonnegative: true,
            ..RatingsOptions::default()
        };
        let error = load_ratings(&[path], &[], options, &|_| false).unwrap_err();
        let said = error.to_string();
        assert!(
            said.ends_with("r:2:5: expected a rating of at least 0, saw `-0.5`"),
            "{said}"
        );
        assert_eq!(error.status(), 65);
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
