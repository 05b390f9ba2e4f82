//! Blocks of documents as parsers make them, and their joining into a corpus.

use std::convert::Infallible;
use std::sync::Mutex;

use super::corpus::Arrays;
use super::spread::{locked, spread_into};

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
    /// Bytes of text that the documents were read from, if that is known.
    pub(super) bytes: u64,
}

impl Block {
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

/// Blocks that were taken over, to be filled again: memory that is new to the process costs more
/// than what is read into it.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<Block>>);

impl Spare {
    /// An empty block for `bytes` of text, with room for their entries, of which each takes `least`
    /// bytes or more. Room that is not used costs no memory.
    pub(super) fn take(&self, bytes: usize, least: usize) -> Block {
        let mut block = locked(&self.0).pop().unwrap_or_default();
        block.bytes = bytes as u64;
        block.words.reserve(bytes / least + 1);
        block.counts.reserve(bytes / least + 1);
        block
    }

    /// Takes a block that is of no more use.
    pub(super) fn give(&self, mut block: Block) {
        block.numbers.clear();
        block.ends.clear();
        block.words.clear();
        block.counts.clear();
        locked(&self.0).push(block);
    }
}

/// The entries of some neighbouring documents.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// Where each document begins, and where the last one ends; from anywhere.
    offsets: &'a [u64],
    words: &'a mut [u32],
    counts: &'a mut [u32],
}

impl Run<'_> {
    /// Hands the words and counts of each document to `document`.
    pub(super) fn for_each(self, mut document: impl FnMut(&mut [u32], &mut [u32])) {
        let base = self.offsets[0];
        for ends in self.offsets.windows(2) {
            let range = (ends[0] - base) as usize..(ends[1] - base) as usize;
            document(&mut self.words[range.clone()], &mut self.counts[range]);
        }
    }
}

/// A corpus being joined from blocks in file order.
#[derive(Debug)]
pub(super) struct Rows {
    arrays: Arrays,
    pub(super) tokens: u64,
    /// One more than the largest word, or 0.
    pub(super) words_end: u32,
    /// Bytes of text that the documents were read from so far, and will be in the end.
    bytes: [u64; 2],
}

impl Rows {
    /// Number of entries so far.
    pub(super) fn entries(&self) -> usize {
        self.arrays.words.len()
    }

    /// No documents yet; they will be read from about `bytes` of text, if that is known.
    pub(super) fn new(bytes: u64) -> Rows {
        let arrays = Arrays {
            offsets: vec![0],
            ..Arrays::default()
        };
        Rows {
            arrays,
            tokens: 0,
            words_end: 0,
            bytes: [0, bytes],
        }
    }

    /// Makes room for a block and, if it must, for what the rest of the text will bring if it is
    /// like the text so far: arrays that grow by doubling are copied, or take twice the memory.
    fn reserve(&mut self, block: &Block) {
        let more = block.words.len();
        let [read, all] = &mut self.bytes;
        *read += block.bytes;
        let length = self.arrays.words.len() + more;
        if length > self.arrays.words.capacity() && *read > 0 {
            let rest = all.saturating_sub(*read) as f64;
            let rest = rest * (length as f64 / *read as f64 * 1.03).min(0.5);
            self.arrays.words.reserve(more + rest as usize);
            self.arrays.counts.reserve(more + rest as usize);
        }
    }

    /// Takes over a block's entries and returns the offset of its first one.
    fn take(&mut self, block: &Block) -> u64 {
        self.reserve(block);
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

    /// Hands each run of documents, given by how many there are in each, with its index to
    /// `arrange`, on up to `threads` threads.
    pub(super) fn arrange(
        &mut self,
        runs: &[usize],
        threads: usize,
        arrange: impl Fn(usize, Run) + Sync,
    ) {
        let Arrays {
            offsets,
            words,
            counts,
        } = &mut self.arrays;
        let (mut words, mut counts) = (words.as_mut_slice(), counts.as_mut_slice());
        let mut first = 0;
        let mut work = Vec::new();
        for documents in runs {
            let offsets = &offsets[first..=first + documents];
            let entries = (offsets[*documents] - offsets[0]) as usize;
            let run = Run {
                offsets,
                words: words.split_off_mut(..entries).unwrap_or_default(),
                counts: counts.split_off_mut(..entries).unwrap_or_default(),
            };
            work.push(Mutex::new(Some(run)));
            first += documents;
        }
        let run = |index: usize| {
            if let Some(run) = locked(&work[index]).take() {
                arrange(index, run);
            }
            Ok::<(), Infallible>(())
        };
        let Ok(()) = spread_into(threads, work.len(), run, |()| {});
    }

    /// Removes entries with a count of 0.
    pub(super) fn drop_uncounted(&mut self) {
        let Arrays {
            offsets,
            words,
            counts,
        } = &mut self.arrays;
        let (mut start, mut kept) = (0, 0);
        self.tokens = 0;
        for offset in &mut offsets[1..] {
            for entry in start..*offset as usize {
                if counts[entry] > 0 {
                    (words[kept], counts[kept]) = (words[entry], counts[entry]);
                    self.tokens += u64::from(counts[entry]);
                    kept += 1;
                }
            }
            start = *offset as usize;
            *offset = kept as u64;
        }
        words.truncate(kept);
        counts.truncate(kept);
    }

    /// The arrays without spare room.
    pub(super) fn finish(mut self) -> Arrays {
        self.arrays.offsets.shrink_to_fit();
        self.arrays.words.shrink_to_fit();
        self.arrays.counts.shrink_to_fit();
        self.arrays
    }
}
