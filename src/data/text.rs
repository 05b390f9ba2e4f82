//! Plain text, one document a line; `words.rs` says what a word is. A blank line is an empty
//! document.
//!
//! Without a given vocabulary, the words of all documents become one, in the order of their bytes,
//! less the stop words and those that occur fewer than the minimum number of times in the whole
//! corpus. For that every rank reads all of the text, though it keeps only its part: so all ranks
//! have the same ids without talking. With a given vocabulary, other words are left out.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use foldhash::fast::FixedState;

use super::bag::Bag;
use super::field::{BOM, Fault};
use super::intern::{Interner, Key, list};
use super::lines::LineFormat;
use super::rows::{Block, Rows, Spare};
use super::scan::{WordSink, scan};
use super::source::Source;
use super::spread::Pool;
use super::vocabulary::{Vocabulary, WORDS_MAX, utf8};
use super::words::for_each_word;
use crate::error::{Error, Result};

/// Bytes of the shortest word and a blank.
const WORD_BYTES_MIN: usize = 2;

/// Stop words, as they occur in text.
pub(super) type StopWords = HashSet<Box<str>, FixedState>;

/// Reads a file of stop words: any number a line, cut into words as the text is; lines that begin
/// with `#` are comments.
///
/// # Errors
/// Status 66 if it cannot be opened, 65 if it is not UTF-8.
pub(super) fn read_stop_words(source: &mut Source) -> Result<StopWords> {
    let bytes = source.read_all()?;
    let text = utf8(&bytes).map_err(|fault| fault.locate(source.path(), &bytes, 1))?;
    let mut stop_words = StopWords::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        for_each_word(line, |word| {
            stop_words.insert(word.into());
        });
    }
    Ok(stop_words)
}

/// The documents of some files.
#[derive(Debug)]
pub(super) struct Text {
    /// True if the words of lines outside of the rank's part are needed.
    reads_all: bool,
    /// The words so far, apart for each thread.
    interners: Pool<Interner>,
    /// Takes back the blocks.
    pub(super) spare: Spare,
}

impl Text {
    /// Text of which no line is read yet.
    pub(super) fn new(reads_all: bool) -> Text {
        Text {
            reads_all,
            interners: Pool::new(),
            spare: Spare::default(),
        }
    }

    /// All words read.
    pub(super) fn finish(self) -> Vec<Interner> {
        self.interners.finish()
    }
}

/// Some documents.
#[derive(Debug)]
pub(super) struct TextBlock {
    /// Index of the interner that numbered the words.
    pub(super) interner: usize,
    /// The documents.
    pub(super) documents: Block,
}

impl LineFormat for Text {
    type Block = TextBlock;

    fn reads_all(&self) -> bool {
        self.reads_all
    }

    fn read(&self, lines: &[u8], _before: Option<u64>, kept: bool) -> Result<TextBlock, Fault> {
        let text = utf8(lines)?;
        let bytes = if kept { lines.len() } else { 0 };
        let documents = self.spare.take(bytes, WORD_BYTES_MIN);
        let read = |number, interner: &mut Interner| {
            let mut reader = Reader {
                interner,
                documents,
                kept,
            };
            scan(text, &mut reader);
            TextBlock {
                interner: number,
                documents: reader.documents.finish(),
            }
        };
        Ok(self.interners.lend(Interner::new, read))
    }
}

/// Takes documents.
struct Reader<'a> {
    interner: &'a mut Interner,
    documents: Block,
    /// False if they are only read for their words.
    kept: bool,
}

impl WordSink for Reader<'_> {
    #[inline(always)]
    fn key(&mut self, key: Key) {
        self.interner.add_key(key);
    }

    fn word(&mut self, word: &str) {
        self.interner.add(word);
    }

    fn line_end(&mut self) {
        let documents = self.kept.then_some(&mut self.documents);
        self.interner.end_document(documents);
    }
}

/// What the numbers of interners mean: for each of them, by number, the id; [`Vocabulary::len`] is
/// the id of words that are left out.
pub(super) type Ids = Vec<Vec<u32>>;

/// All words that stay, no stop word and at least `min_count` times, become the vocabulary.
///
/// # Errors
/// Status 65 at `path` if no word stays, or more than petuum takes.
pub(super) fn choose_vocabulary(
    interners: &[Interner],
    stop_words: &StopWords,
    min_count: u64,
    path: &Path,
) -> Result<(Vocabulary, Ids)> {
    let mut vocabulary = Vocabulary::default();
    let mut ids: Ids = interners
        .iter()
        .map(|interner| vec![u32::MAX; interner.len()])
        .collect();
    let mut text = Vec::new();
    for same in list(interners).chunk_by(|one, other| one.same(other)) {
        let word = same[0].write(&mut text);
        let count: u64 = same.iter().map(|word| word.count).sum();
        if count >= min_count && !stop_words.contains(word) {
            for word in same {
                ids[word.interner][word.number as usize] = vocabulary.len() as u32;
            }
            vocabulary.push(word);
        }
    }
    if vocabulary.is_empty() {
        let message = "expected words, none is left after stop words and minimum count";
        return Err(Error::data(path, 0, 0, message));
    }
    if vocabulary.len() as u64 > WORDS_MAX {
        let message = format!("expected at most {} different words", WORDS_MAX);
        return Err(Error::data(path, 0, 0, message));
    }
    let left_out = vocabulary.len() as u32;
    ids.iter_mut()
        .flatten()
        .for_each(|id| *id = left_out.min(*id));
    Ok((vocabulary, ids))
}

/// Looks all words up in a given vocabulary; stop words and others are left out.
///
/// # Errors
/// Status 65 at `path`, the vocabulary's file, if a word stands in it twice.
pub(super) fn look_up(
    interners: &[Interner],
    vocabulary: &Vocabulary,
    stop_words: &StopWords,
    path: &Path,
) -> Result<Ids> {
    let mut known: HashMap<&str, u32, FixedState> = HashMap::default();
    for (id, word) in (0u32..).zip(vocabulary.iter()) {
        if let Some(first) = known.insert(word, id) {
            let message = format!(
                "expected another word, `{word}` stands in line {} too",
                first + 1
            );
            return Err(Error::data(path, u64::from(id) + 1, 1, message));
        }
    }
    known.retain(|word, _| !stop_words.contains(*word));
    let left_out = vocabulary.len() as u32;
    let mut ids: Ids = interners
        .iter()
        .map(|interner| vec![left_out; interner.len()])
        .collect();
    let mut text = Vec::new();
    for word in list(interners) {
        if let Some(id) = known.get(word.write(&mut text)) {
            ids[word.interner][word.number as usize] = *id;
        }
    }
    Ok(ids)
}

/// Turns words by number into words by id; then the entries of each document are in the order of
/// ids. `runs` tells of neighbouring documents how many they are and whose numbers they have.
pub(super) fn number_words(
    rows: &mut Rows,
    runs: &[(usize, usize)],
    ids: &Ids,
    words: usize,
    threads: usize,
) {
    let bags = Pool::new();
    let lengths: Vec<usize> = runs.iter().map(|(documents, _)| *documents).collect();
    rows.arrange(&lengths, threads, |index, run| {
        let ids = &ids[runs[index].1];
        let arrange = |bag: &mut Bag| run.for_each(|words, counts| bag.arrange(words, counts, ids));
        bags.lend(|| Bag::new(words as u32), |_, bag| arrange(bag));
    });
    let left_out = |id: &u32| *id == words as u32;
    if ids.iter().flatten().any(left_out) {
        rows.drop_uncounted();
    }
}

/// Where the first line of a text begins.
pub(super) fn start(head: &[u8]) -> usize {
    if head.starts_with(BOM) { BOM.len() } else { 0 }
}
