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

use super::field::{BOM, Fault};
use super::lines::LineFormat;
use super::rows::Block;
use super::source::Source;
use super::spread::spread;
use super::vocabulary::{Vocabulary, WORDS_MAX, utf8};
use super::words::for_each_word;
use crate::error::{Error, Result};

/// The id of words that are left out.
const LEFT_OUT: u32 = u32::MAX;

/// Words by name, hashed alike in every run.
type Dictionary<V> = HashMap<Box<str>, V, FixedState>;

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

/// The documents of one file.
#[derive(Debug)]
pub(super) struct Text {
    /// True if the words of lines outside of the rank's part are needed.
    pub(super) reads_all: bool,
}

/// Some documents, and the words of some lines.
#[derive(Debug)]
pub(super) struct TextBlock {
    /// The words of the documents, by number in `dictionary`.
    tokens: Vec<u32>,
    /// Where each document's tokens end.
    ends: Vec<usize>,
    /// The words of the lines, and how often each occurs.
    dictionary: Vec<(Box<str>, u64)>,
}

impl LineFormat for Text {
    type Block = TextBlock;

    fn reads_all(&self) -> bool {
        self.reads_all
    }

    fn piece_bytes(&self, asked: usize) -> usize {
        // Each piece brings a dictionary of its own, which larger pieces make fewer of.
        asked * 16
    }

    fn read(&self, lines: &[u8], _before: Option<u64>, kept: bool) -> Result<TextBlock, Fault> {
        let text = utf8(lines)?;
        let mut numbers: Dictionary<u32> = Dictionary::default();
        let mut counts: Vec<u64> = Vec::new();
        let mut block = TextBlock {
            tokens: Vec::new(),
            ends: Vec::new(),
            dictionary: Vec::new(),
        };
        for line in text.split_inclusive('\n') {
            for_each_word(line, |word| {
                let number = match numbers.get(word) {
                    Some(number) => *number,
                    None => {
                        let number = counts.len() as u32;
                        numbers.insert(word.into(), number);
                        counts.push(0);
                        number
                    }
                };
                counts[number as usize] += 1;
                if kept {
                    block.tokens.push(number);
                }
            });
            if kept {
                block.ends.push(block.tokens.len());
            }
        }
        block.dictionary = in_order(numbers, &counts);
        Ok(block)
    }
}

/// The words by their numbers, with their counts.
fn in_order(numbers: Dictionary<u32>, counts: &[u64]) -> Vec<(Box<str>, u64)> {
    let mut words: Vec<(Box<str>, u32)> = numbers.into_iter().collect();
    words.sort_unstable_by_key(|(_, number)| *number);
    let count = |(word, number): (Box<str>, u32)| (word, counts[number as usize]);
    words.into_iter().map(count).collect()
}

/// The words of all blocks that stay: no stop word, at least `min_count` times.
///
/// # Errors
/// Status 65 at `path` if no word stays, or more than petuum takes.
pub(super) fn choose_vocabulary(
    blocks: &[TextBlock],
    stop_words: &StopWords,
    min_count: u64,
    path: &Path,
) -> Result<Vocabulary> {
    let mut counts: Dictionary<u64> = Dictionary::default();
    for (word, count) in blocks.iter().flat_map(|block| &block.dictionary) {
        match counts.get_mut(word) {
            Some(sum) => *sum += count,
            None => {
                counts.insert(word.clone(), *count);
            }
        }
    }
    let stays = |(word, count): &(Box<str>, u64)| *count >= min_count && !stop_words.contains(word);
    let mut words: Vec<Box<str>> = counts
        .into_iter()
        .filter(stays)
        .map(|(word, _)| word)
        .collect();
    words.sort_unstable();
    if words.is_empty() {
        let message = "expected words, none is left after stop words and minimum count";
        return Err(Error::data(path, 0, 0, message));
    }
    if words.len() as u64 > WORDS_MAX {
        let message = format!("expected at most {} different words", WORDS_MAX);
        return Err(Error::data(path, 0, 0, message));
    }
    Ok(Vocabulary::new(words))
}

/// Turns the blocks' words into ids of `vocabulary`; within a document, entries are in the order of
/// ids.
///
/// # Errors
/// Status 65 at `path`, the vocabulary's file, if a word stands in it twice.
pub(super) fn number_words(
    blocks: &[TextBlock],
    vocabulary: &Vocabulary,
    stop_words: &StopWords,
    path: &Path,
    threads: usize,
) -> Result<Vec<Block>> {
    let mut ids: HashMap<&str, u32, FixedState> = HashMap::default();
    for (id, word) in (0u32..).zip(vocabulary.iter()) {
        if let Some(first) = ids.insert(word, id) {
            let message = format!(
                "expected another word, `{word}` stands in line {} too",
                first + 1
            );
            return Err(Error::data(path, u64::from(id) + 1, 1, message));
        }
    }
    ids.retain(|word, _| !stop_words.contains(*word));
    spread(
        threads,
        blocks.len(),
        |index| Ok(blocks[index].number(&ids)),
    )
}

impl TextBlock {
    /// The block with its words as `ids`.
    fn number(&self, ids: &HashMap<&str, u32, FixedState>) -> Block {
        let id = |(word, _): &(Box<str>, u64)| ids.get(&**word).copied().unwrap_or(LEFT_OUT);
        let ids: Vec<u32> = self.dictionary.iter().map(id).collect();
        let mut block = Block::default();
        let mut words = Vec::new();
        let mut start = 0;
        for end in &self.ends {
            let known = self.tokens[start..*end]
                .iter()
                .map(|number| ids[*number as usize]);
            words.clear();
            words.extend(known.filter(|id| *id != LEFT_OUT));
            words.sort_unstable();
            for run in words.chunk_by(|one, other| one == other) {
                block.push(run[0], run.len() as u32);
            }
            block.end_document();
            start = *end;
        }
        block.finish()
    }
}

/// Where the first line of a text begins.
pub(super) fn start(head: &[u8]) -> usize {
    if head.starts_with(BOM) { BOM.len() } else { 0 }
}
