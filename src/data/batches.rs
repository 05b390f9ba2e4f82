//! Documents a batch at a time, in the words of a model: to predict for documents there is no need to
//! hold them all.
//!
//! Plain text is read in the model's words. Word numbers mean the model's words too, unless data and
//! model both have names for theirs: then the names decide. What the model does not know is counted
//! and left out.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use foldhash::fast::FixedState;

use super::cache;
use super::corpus::Check;
use super::docword::{Docword, ENTRIES_LINE, Header};
use super::field::Fault;
use super::format::Format;
use super::lines::{LineFormat, read_lines};
use super::load::{CorpusOptions, Loader, Names, read_header};
use super::pairs::{Lead, Pairs};
use super::rows::Block;
use super::share::{Part, Share, line_start};
use super::text;
use super::vocabulary::{Vocabulary, utf8};
use super::words::for_each_word;
use crate::error::{Error, Result};

/// Some neighbouring documents.
#[derive(Debug, Default)]
pub struct Batch {
    /// Number of the first one among all, from 0.
    pub first: u64,
    ends: Vec<usize>,
    words: Vec<u32>,
    counts: Vec<u32>,
}

impl Batch {
    /// Number of documents.
    pub fn documents(&self) -> usize {
        self.ends.len()
    }

    /// The known words of document `d` of the batch, and how often each stands in it; a word may
    /// stand there several times.
    ///
    /// # Panics
    /// If `d` is not below [`Batch::documents`].
    pub fn row(&self, d: usize) -> (&[u32], &[u32]) {
        let start = d.checked_sub(1).map_or(0, |before| self.ends[before]);
        let range = start..self.ends[d];
        (&self.words[range.clone()], &self.counts[range])
    }

    fn clear(&mut self) {
        self.first += self.ends.len() as u64;
        self.ends.clear();
        self.words.clear();
        self.counts.clear();
    }
}

/// The words that a model knows.
#[derive(Debug)]
pub struct KnownWords<'a> {
    count: u32,
    ids: Option<HashMap<&'a str, u32, FixedState>>,
}

impl<'a> KnownWords<'a> {
    /// `count` words, which are called as in `names` if they have names.
    pub fn new(count: u32, names: Option<&'a Vocabulary>) -> KnownWords<'a> {
        let ids = names.map(|names| names.iter().zip(0..count).collect());
        KnownWords { count, ids }
    }
}

/// How many words were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WordsRead {
    /// Tokens of words that the model knows.
    pub known: u64,
    /// Other tokens.
    pub unknown: u64,
}

/// Takes batches in the order of the documents.
pub type BatchSink<'a> = dyn FnMut(&Batch) -> Result<()> + Send + 'a;

/// Entries after which a batch is full.
const ENTRIES_MAX: usize = 1 << 18;

/// Reads the documents in `paths` (files, folders, or `-` for standard input) in order and hands them
/// to `sink`, at most `documents_max` at a time.
///
/// # Errors
/// Status 65 with `file:line:column` for data that is not as its format says, 66 for what is not
/// there, 2 for text without a model's names; what `sink` says.
pub fn read_batches(
    paths: &[PathBuf],
    options: &CorpusOptions,
    known: &KnownWords,
    documents_max: usize,
    sink: &mut BatchSink,
) -> Result<WordsRead> {
    let (loader, given) = Loader::open(paths, options, Share::WHOLE)?;
    let mut batches = Batches {
        batch: Batch::default(),
        documents_max: documents_max.max(1),
        count: known.count,
        ids: None,
        read: WordsRead::default(),
        refused: Ok(()),
        sink,
    };
    loader.batches(given, known, &mut batches)?;
    batches.flush();
    batches.refused?;
    Ok(batches.read)
}

/// A batch that is being filled.
struct Batches<'a> {
    batch: Batch,
    documents_max: usize,
    /// Number of words of the model.
    count: u32,
    /// The model's word for each of the data's; none where both are the same.
    ids: Option<Vec<u32>>,
    read: WordsRead,
    refused: Result<()>,
    sink: &'a mut BatchSink<'a>,
}

impl Batches<'_> {
    /// Adds entries to the document that is open.
    fn add(&mut self, words: &[u32], counts: &[u32]) {
        for (&word, &count) in words.iter().zip(counts) {
            let word = match &self.ids {
                Some(ids) => ids.get(word as usize).copied().unwrap_or(u32::MAX),
                None => word,
            };
            if word < self.count {
                self.batch.words.push(word);
                self.batch.counts.push(count);
                self.read.known += u64::from(count);
            } else {
                self.read.unknown += u64::from(count);
            }
        }
    }

    /// Ends the document that is open.
    fn end(&mut self) {
        self.batch.ends.push(self.batch.words.len());
        if self.batch.ends.len() >= self.documents_max || self.batch.words.len() >= ENTRIES_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.refused.is_ok() && self.batch.documents() > 0 {
            self.refused = (self.sink)(&self.batch);
        }
        self.batch.clear();
    }

    /// Adds whole documents.
    fn append(&mut self, block: &Block) {
        for range in ranges(&block.ends) {
            self.add(&block.words[range.clone()], &block.counts[range]);
            self.end();
        }
    }

    /// Adds documents with numbers, of which `open` is the one that may go on, 0 before the first.
    /// Returns the one that may go on now.
    fn append_numbered(&mut self, block: &Block, mut open: u32) -> u32 {
        for (&number, range) in block.numbers.iter().zip(ranges(&block.ends)) {
            if number != open {
                self.end_up_to(open, number - 1);
                open = number;
            }
            self.add(&block.words[range.clone()], &block.counts[range]);
        }
        open
    }

    /// Ends the document that is open and makes those behind it, up to `last`, empty ones.
    fn end_up_to(&mut self, open: u32, last: u32) {
        (open.max(1)..=last).for_each(|_| self.end());
    }
}

/// What lies between ends.
fn ranges(ends: &[usize]) -> impl Iterator<Item = Range<usize>> + '_ {
    ends.iter().scan(0, |start, end| {
        let range = *start..*end;
        *start = *end;
        Some(range)
    })
}

impl Loader<'_> {
    /// Reads everything into `batches`.
    fn batches(
        mut self,
        given: Option<Names>,
        known: &KnownWords,
        batches: &mut Batches,
    ) -> Result<()> {
        let done = match self.format {
            Format::Cache => return self.cache_batches(given, known, batches),
            Format::Docword => self.docword_batches(given, known, batches),
            Format::LdaC => self.pair_batches(Lead::Pairs, given, known, batches),
            Format::Svm => self.pair_batches(Lead::Label, given, known, batches),
            Format::Text => self.text_batches(given, known, batches),
        };
        done.map_err(|error| self.explain(error))
    }

    fn docword_batches(
        &mut self,
        given: Option<Names>,
        known: &KnownWords,
        batches: &mut Batches,
    ) -> Result<()> {
        let names = self.names(given)?;
        batches.ids = translate(names.as_ref(), known);
        let named = names.as_ref().map(|names| names.vocabulary.len());
        let effort = self.effort();
        let headers = self.sources.iter_mut().map(read_header);
        let headers = headers.collect::<Result<Vec<Header>>>()?;
        for (source, header) in self.sources.iter_mut().zip(&headers) {
            let docword = Docword::new(header, named);
            let (mut open, mut entries) = (0, 0);
            let mut take = |block: Block| {
                entries += block.words.len() as u64;
                open = batches.append_numbered(&block, open);
                docword.spare.give(block);
            };
            read_lines(
                source,
                header.end,
                &Part::WHOLE,
                &docword,
                effort,
                &mut take,
            )?;
            batches.end_up_to(open, header.documents);
            let check = Check {
                path: source.path().to_path_buf(),
                line: ENTRIES_LINE,
                stated: header.entries,
                seen: entries,
            };
            check.require(entries)?;
        }
        Ok(())
    }

    fn pair_batches(
        &mut self,
        lead: Lead,
        given: Option<Names>,
        known: &KnownWords,
        batches: &mut Batches,
    ) -> Result<()> {
        let names = self.names(given)?;
        batches.ids = translate(names.as_ref(), known);
        let pairs = Pairs::new(lead, names.as_ref().map(|names| names.vocabulary.len()));
        let effort = self.effort();
        for source in &mut self.sources {
            let start = text::start(&source.head()?);
            let mut take = |block: Block| {
                batches.append(&block);
                pairs.spare.give(block);
            };
            read_lines(source, start, &Part::WHOLE, &pairs, effort, &mut take)?;
        }
        Ok(())
    }

    fn text_batches(
        &mut self,
        given: Option<Names>,
        known: &KnownWords,
        batches: &mut Batches,
    ) -> Result<()> {
        if given.is_some() {
            let message = "--vocab: is for word numbers, text is read in the words of the model";
            return Err(Error::Usage(message.into()));
        }
        let Some(ids) = &known.ids else {
            return Err(Error::Usage(
                "--model: its words have no names, so text means nothing to it; give documents as \
                 docword, lda-c or libsvm, or train with --vocab"
                    .into(),
            ));
        };
        let format = KnownText { ids };
        let effort = self.effort();
        for source in &mut self.sources {
            let start = text::start(&source.head()?);
            let mut take = |(block, unknown): (Block, u64)| {
                batches.read.unknown += unknown;
                batches.append(&block);
            };
            read_lines(source, start, &Part::WHOLE, &format, effort, &mut take)?;
        }
        Ok(())
    }

    fn cache_batches(
        &mut self,
        given: Option<Names>,
        known: &KnownWords,
        batches: &mut Batches,
    ) -> Result<()> {
        let threads = self.effort().threads;
        let corpus = cache::load(&mut self.sources[0], Share::WHOLE, threads)?;
        let names = given.map(|names| names.vocabulary);
        let names = names.or_else(|| corpus.vocabulary.clone());
        batches.ids = names.and_then(|names| translate_words(&names, known));
        for document in 0..corpus.documents() {
            let (words, counts) = corpus.row(document);
            batches.add(words, counts);
            batches.end();
        }
        Ok(())
    }
}

fn translate(names: Option<&Names>, known: &KnownWords) -> Option<Vec<u32>> {
    names.and_then(|names| translate_words(&names.vocabulary, known))
}

/// The model's word for each word of the data; `u32::MAX` for words that it does not know. None if
/// the model's words have no names.
fn translate_words(names: &Vocabulary, known: &KnownWords) -> Option<Vec<u32>> {
    let ids = known.ids.as_ref()?;
    let id = |word: &str| ids.get(word).copied().unwrap_or(u32::MAX);
    Some(names.iter().map(id).collect())
}

/// Text in the words of a model.
struct KnownText<'a> {
    ids: &'a HashMap<&'a str, u32, FixedState>,
}

impl LineFormat for KnownText<'_> {
    /// Documents, their words ascending, and the number of tokens that are not in them.
    type Block = (Block, u64);

    fn read(&self, lines: &[u8], _before: Option<u64>, _kept: bool) -> Result<(Block, u64), Fault> {
        utf8(lines)?;
        let (mut block, mut unknown, mut at) = (Block::default(), 0, 0);
        let mut words: Vec<u32> = Vec::new();
        while at < lines.len() {
            let end = line_start(lines, at + 1);
            words.clear();
            for_each_word(utf8(&lines[at..end])?, |word| match self.ids.get(word) {
                Some(id) => words.push(*id),
                None => unknown += 1,
            });
            words.sort_unstable();
            for same in words.chunk_by(|one, other| one == other) {
                block.push(same[0], same.len() as u32);
            }
            block.end_document();
            at = end;
        }
        Ok((block, unknown))
    }
}
