//! Blocks of documents as parsers make them, and their joining into a corpus.

use super::corpus::Arrays;

/// Some documents, in the order of their lines.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The number of each document that has lines, from 1, where the format has numbers
    /// (docword); else empty.
    pub(super) numbers: Vec<u32>,
    /// Number of the document of the line before, where the format has numbers; 0 if none.
    pub(super) before: u32,
    /// Where the entries of each document end.
    pub(super) ends: Vec<usize>,
    /// Word of each entry, from 0.
    pub(super) words: Vec<u32>,
    /// Count of each entry.
    pub(super) counts: Vec<u32>,
    /// Sum of the counts.
    pub(super) tokens: u64,
    /// One more than the largest word, or 0.
    pub(super) words_end: u32,
}

impl Block {
    /// An empty block with room for the entries of `bytes` of text, of which each takes `least`
    /// bytes or more. Room that is not used costs no memory.
    pub(super) fn with_room(bytes: usize, least: usize) -> Block {
        Block {
            words: Vec::with_capacity(bytes / least + 1),
            counts: Vec::with_capacity(bytes / least + 1),
            ..Block::default()
        }
    }

    /// Adds an entry to the document that is open.
    #[inline(always)]
    pub(super) fn push(&mut self, word: u32, count: u32) {
        self.words.push(word);
        self.counts.push(count);
    }

    /// Ends the document that is open.
    #[inline(always)]
    pub(super) fn end_document(&mut self) {
        self.ends.push(self.words.len());
    }

    /// Sums up when the last entry is in.
    pub(super) fn finish(mut self) -> Block {
        self.tokens = self.counts.iter().map(|count| u64::from(*count)).sum();
        self.words_end = self.words.iter().max().map_or(0, |word| word + 1);
        self
    }
}

/// A corpus being joined from blocks in file order.
#[derive(Debug)]
pub(super) struct Rows {
    arrays: Arrays,
    pub(super) tokens: u64,
    /// One more than the largest word, or 0.
    pub(super) words_end: u32,
}

impl Rows {
    /// Number of entries so far.
    pub(super) fn entries(&self) -> usize {
        self.arrays.words.len()
    }

    /// No documents yet.
    pub(super) fn new() -> Rows {
        let arrays = Arrays {
            offsets: vec![0],
            ..Arrays::default()
        };
        Rows {
            arrays,
            tokens: 0,
            words_end: 0,
        }
    }

    /// Takes over a block's entries and returns the offset of its first one.
    fn take(&mut self, block: &Block) -> u64 {
        let base = self.arrays.words.len() as u64;
        self.arrays.words.extend_from_slice(&block.words);
        self.arrays.counts.extend_from_slice(&block.counts);
        self.tokens += block.tokens;
        self.words_end = self.words_end.max(block.words_end);
        base
    }

    /// Appends documents.
    pub(super) fn append(&mut self, block: &Block) {
        let base = self.take(block);
        let ends = block.ends.iter().map(|end| base + *end as u64);
        self.arrays.offsets.extend(ends);
    }

    /// Appends numbered documents of a file of which those up to `done` are in; `None` if nothing
    /// is yet, then the part begins behind the document of the line before. Numbers that have no
    /// lines are empty documents. Returns the number of the last document.
    pub(super) fn append_numbered(&mut self, block: &Block, done: Option<u32>) -> u32 {
        let base = self.take(block);
        let mut done = done.unwrap_or(block.before);
        for (number, end) in block.numbers.iter().zip(&block.ends) {
            let offset = base + *end as u64;
            match (*number == done, self.arrays.offsets.last_mut()) {
                (true, Some(open)) => *open = offset,
                _ => {
                    self.append_empty(number.saturating_sub(1).saturating_sub(done));
                    self.arrays.offsets.push(offset);
                }
            }
            done = *number;
        }
        done
    }

    /// Appends empty documents.
    pub(super) fn append_empty(&mut self, documents: u32) {
        let end = self.arrays.offsets.last().copied().unwrap_or(0);
        let length = self.arrays.offsets.len() + documents as usize;
        self.arrays.offsets.resize(length, end);
    }

    /// The arrays without spare room.
    pub(super) fn finish(mut self) -> Arrays {
        self.arrays.offsets.shrink_to_fit();
        self.arrays.words.shrink_to_fit();
        self.arrays.counts.shrink_to_fit();
        self.arrays
    }
}
