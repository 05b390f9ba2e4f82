//! Documents in memory: which words each holds, and how often.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zerocopy::FromBytes;

use super::fingerprint::SourceFile;
use super::mmap::Mapping;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};

/// A rank's share of a collection of documents.
///
/// A document is a list of (word, count) entries in the order of the file; a word may stand in it
/// more than once, and then its counts add up. Documents keep their order, and empty ones are kept.
#[derive(Debug)]
pub struct Corpus {
    pub(super) store: Store,
    /// Number of different words, over all ranks once they agreed.
    pub(super) words: usize,
    pub(super) tokens: u64,
    /// Global number of the first document; 0 until the ranks agreed.
    pub(super) first_document: u64,
    pub(super) totals: Totals,
    pub(super) checks: Vec<Check>,
    pub(super) sources: Vec<SourceFile>,
    /// The words that the ids stand for, if they are known.
    pub vocabulary: Option<Vocabulary>,
}

/// What all ranks hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Number of documents.
    pub documents: u64,
    /// Number of tokens.
    pub tokens: u64,
}

/// A number of entries that a file's header states, and what this rank saw of them.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) path: PathBuf,
    /// Line of the statement, from 1.
    pub(super) line: u64,
    pub(super) stated: u64,
    pub(super) seen: u64,
}

/// The arrays of a corpus: compressed sparse rows.
#[derive(Debug)]
pub(super) enum Store {
    /// In memory.
    Owned(Arrays),
    /// In a mapped cache, used in place.
    Mapped(MappedArrays),
}

/// Compressed sparse rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arrays {
    /// Document `d` holds entries `offsets[d]..offsets[d + 1]`.
    pub(super) offsets: Vec<u64>,
    /// Word of each entry.
    pub(super) words: Vec<u32>,
    /// Count of each entry.
    pub(super) counts: Vec<u32>,
}

/// The rows `first..first + documents` of compressed sparse rows in a mapped file. Each range is
/// one of bytes, aligned for its type; `cache.rs` verified that they are consistent.
#[derive(Debug)]
pub(super) struct MappedArrays {
    pub(super) mapping: Arc<Mapping>,
    pub(super) offsets: std::ops::Range<usize>,
    pub(super) words: std::ops::Range<usize>,
    pub(super) counts: std::ops::Range<usize>,
}

impl MappedArrays {
    /// The values of a range; empty if it is not aligned, which `cache.rs` rules out.
    fn values<T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout>(
        &self,
        range: &std::ops::Range<usize>,
    ) -> &[T] {
        let bytes = self.mapping.bytes().get(range.clone()).unwrap_or_default();
        <[T]>::ref_from_bytes(bytes).unwrap_or_default()
    }
}

impl Store {
    /// Where the entries of each document begin, and where the last ones end.
    pub(super) fn offsets(&self) -> &[u64] {
        match self {
            Store::Owned(arrays) => &arrays.offsets,
            Store::Mapped(arrays) => arrays.values(&arrays.offsets),
        }
    }

    /// Words of all entries that the offsets can point to.
    pub(super) fn words(&self) -> &[u32] {
        match self {
            Store::Owned(arrays) => &arrays.words,
            Store::Mapped(arrays) => arrays.values(&arrays.words),
        }
    }

    /// Counts of all entries that the offsets can point to.
    pub(super) fn counts(&self) -> &[u32] {
        match self {
            Store::Owned(arrays) => &arrays.counts,
            Store::Mapped(arrays) => arrays.values(&arrays.counts),
        }
    }
}

impl Corpus {
    /// Number of documents of this share, empty ones included.
    pub fn documents(&self) -> usize {
        self.store.offsets().len().saturating_sub(1)
    }

    /// Number of different words of the whole corpus: the vocabulary's, else what the files'
    /// headers state, else one more than the largest id seen. All ids are below it. Where neither
    /// vocabulary nor header tells (LDA-C, libsvm), it counts this share alone until
    /// [`Corpus::agree`].
    pub fn words(&self) -> usize {
        self.words
    }

    /// Sum of the counts of this share.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Number of (word, count) entries of this share.
    pub fn entries(&self) -> usize {
        let offsets = self.store.offsets();
        (offsets.last().unwrap_or(&0) - offsets.first().unwrap_or(&0)) as usize
    }

    /// The words and the counts of document `d` of this share, side by side.
    ///
    /// # Panics
    /// If `d` is not below [`Corpus::documents`].
    pub fn row(&self, d: usize) -> (&[u32], &[u32]) {
        let offsets = self.store.offsets();
        let range = offsets[d] as usize..offsets[d + 1] as usize;
        (
            &self.store.words()[range.clone()],
            &self.store.counts()[range],
        )
    }

    /// The (word, count) entries of document `d` of this share.
    ///
    /// # Panics
    /// If `d` is not below [`Corpus::documents`].
    pub fn document(&self, d: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
        let (words, counts) = self.row(d);
        words.iter().copied().zip(counts.iter().copied())
    }

    /// Global number of the first document of this share, from 0; right once the ranks agreed.
    pub fn first_document(&self) -> u64 {
        self.first_document
    }

    /// What all ranks hold together; right once the ranks agreed.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The files that the corpus was read from.
    pub fn sources(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(SourceFile::path)
    }

    /// What the other ranks have to know of this share.
    pub fn tally(&self) -> Tally {
        Tally {
            documents: self.documents() as u64,
            tokens: self.tokens,
            words: self.words as u64,
            entries: self.checks.iter().map(|check| check.seen).collect(),
        }
    }

    /// Settles what no rank can know alone, from the tallies of all ranks in rank order: the number
    /// of words, the number of the first document, the totals, and whether the files hold what
    /// their headers state. `index` is this rank's place among them. [`super::load_corpus`] did
    /// this already if there is one rank.
    ///
    /// # Errors
    /// Status 65 if a header states a wrong number of entries or there is not one token.
    pub fn agree(&mut self, tallies: &[Tally], index: u32) -> Result<()> {
        let sum = |of: &dyn Fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
        for (file, check) in self.checks.iter().enumerate() {
            let seen = sum(&|tally| tally.entries.get(file).copied().unwrap_or(0));
            check.require(seen)?;
        }
        self.totals = Totals {
            documents: sum(&|tally| tally.documents),
            tokens: sum(&|tally| tally.tokens),
        };
        if self.totals.tokens == 0 {
            let path = self.sources().next().unwrap_or(Path::new("data"));
            let message = "expected at least one word, all documents are empty";
            return Err(Error::data(path, 0, 0, message));
        }
        let words = tallies.iter().map(|tally| tally.words).max();
        self.words = words.unwrap_or(0).max(self.words as u64) as usize;
        let before = tallies.iter().take(index as usize);
        self.first_document = before.map(|tally| tally.documents).sum();
        Ok(())
    }
}

impl Check {
    /// Compares the header with what all ranks saw.
    pub(super) fn require(&self, seen: u64) -> Result<()> {
        if seen == self.stated {
            return Ok(());
        }
        let message = format!(
            "expected {} entries as this line states, saw {seen}; \
             the file is cut or its header is wrong",
            self.stated
        );
        Err(Error::data(&self.path, self.line, 1, message))
    }
}

/// One rank's share in numbers, to be gathered from all ranks for [`Corpus::agree`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Number of documents.
    pub documents: u64,
    /// Sum of the counts.
    pub tokens: u64,
    /// Number of different words, as far as this rank knows.
    pub words: u64,
    /// For each file whose header states a number of entries, how many this rank saw.
    pub entries: Vec<u64>,
}

impl Tally {
    /// The tally as bytes for another rank.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = [self.documents, self.tokens, self.words];
        let values = head.iter().chain(&self.entries);
        values.flat_map(|value| value.to_le_bytes()).collect()
    }

    /// The tally from the bytes of another rank; `None` if they are not one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Tally> {
        let (values, rest) = bytes.as_chunks::<8>();
        let mut values = values.iter().map(|value| u64::from_le_bytes(*value));
        let tally = Tally {
            documents: values.next()?,
            tokens: values.next()?,
            words: values.next()?,
            entries: values.collect(),
        };
        rest.is_empty().then_some(tally)
    }
}
