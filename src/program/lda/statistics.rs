//! What a worker tells about its state: counts of counts.
//!
//! The joint likelihood and the update of α depend on the counts n_dk, n_wk only through *how often
//! each value occurs*. These histograms are small, and integers: their sum over workers, and so the
//! objective, has the same bits however documents and words are dealt out.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::math::varint;
use crate::wire::message::Portable;

use super::block::{Block, Rows};
use super::documents::Documents;

/// How often each count ≥ 1 occurs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// Times of the counts below [`Histogram::SMALL`].
    small: Vec<u64>,
    large: BTreeMap<u64, u64>,
}

impl Histogram {
    const SMALL: usize = 256;

    /// Notes that `count` occurs `times` more often. Count 0 is not noted.
    #[inline]
    pub(super) fn add(&mut self, count: u64, times: u64) {
        if count == 0 || times == 0 {
            return;
        }
        if count < Self::SMALL as u64 {
            let count = count as usize;
            if self.small.len() <= count {
                self.small.resize(count + 1, 0);
            }
            self.small[count] += times;
        } else {
            *self.large.entry(count).or_default() += times;
        }
    }

    /// Adds another histogram.
    pub(super) fn merge(&mut self, other: &Histogram) {
        other
            .iter()
            .for_each(|(count, times)| self.add(count, times));
    }

    /// The (count, times) pairs, counts ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let small = self
            .small
            .iter()
            .enumerate()
            .map(|(count, &times)| (count as u64, times));
        let large = self.large.iter().map(|(&count, &times)| (count, times));
        small.filter(|&(_, times)| times > 0).chain(large)
    }

    /// Σ count · times.
    pub(super) fn total(&self) -> u64 {
        self.iter().map(|(count, times)| count * times).sum()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        varint::push(out, self.iter().count() as u64);
        let mut last = 0;
        for (count, times) in self.iter() {
            varint::push(out, count - last);
            varint::push(out, times);
            last = count;
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Histogram> {
        let mut histogram = Histogram::default();
        let mut last = 0u64;
        for _ in 0..varint::pop(bytes)? {
            last = last.checked_add(varint::pop(bytes)?)?;
            let times = varint::pop(bytes)?;
            last.checked_mul(times).filter(|&tokens| tokens < 1 << 60)?;
            histogram.add(last, times);
        }
        Some(histogram)
    }
}

/// The counts n_wk of one word block, as they were after its turn number `turn`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BlockStatistics {
    pub(super) block: u32,
    pub(super) turn: u64,
    pub(super) counts: Histogram,
    /// The most frequent words of each topic, if they are to be shown: topic, word, count.
    pub(super) top: Vec<[u32; 3]>,
}

impl BlockStatistics {
    /// Counts a block's counts.
    pub(super) fn of(block: u32, turn: u64, rows: Rows<'_>) -> BlockStatistics {
        let mut counts = Histogram::default();
        for (_, count) in rows.flatten() {
            counts.add(u64::from(count), 1);
        }
        BlockStatistics {
            block,
            turn,
            counts,
            top: vec![],
        }
    }
}

/// A worker's share of everything that is folded after a clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Statistics {
    /// α; only worker 0 tells it, all have the same.
    pub(super) alpha: Vec<f64>,
    /// β, likewise.
    pub(super) beta: f64,
    /// For each topic: how often each n_dk occurs in this worker's documents.
    pub(super) topics: Vec<Histogram>,
    /// How often each number of assigned tokens occurs.
    pub(super) lengths: Histogram,
    /// The blocks that this worker was the last to use. Of two about one block the later turn holds.
    pub(super) blocks: Vec<BlockStatistics>,
    /// Data-parallel only: this worker's own share of all n_wk.
    pub(super) words: Option<Block>,
    /// Σ ln p over the scored held-out tokens.
    pub(super) held_out_log: f64,
    /// Number of scored held-out tokens.
    pub(super) held_out_tokens: u64,
}

impl Statistics {
    /// Counts the topic counts of `documents`.
    pub(super) fn of(documents: &Documents, topics: usize) -> Statistics {
        let mut statistics = Statistics {
            topics: vec![Histogram::default(); topics],
            ..Statistics::default()
        };
        let mut pairs = vec![];
        for document in 0..documents.count() {
            documents.counts(document, &mut pairs);
            let mut length = 0;
            for &(topic, count) in &pairs {
                statistics.topics[topic as usize].add(u64::from(count), 1);
                length += u64::from(count);
            }
            statistics.lengths.add(length, 1);
        }
        statistics
    }

    /// All workers' statistics as one, in worker order.
    pub(super) fn fold(partials: &[Statistics]) -> Statistics {
        let mut all = Statistics::default();
        let mut blocks: BTreeMap<u32, &BlockStatistics> = BTreeMap::new();
        for part in partials {
            all.topics.resize(
                all.topics.len().max(part.topics.len()),
                Histogram::default(),
            );
            for (all, part) in all.topics.iter_mut().zip(&part.topics) {
                all.merge(part);
            }
            all.lengths.merge(&part.lengths);
            for block in &part.blocks {
                let latest = blocks.entry(block.block).or_insert(block);
                if block.turn > latest.turn {
                    *latest = block;
                }
            }
            if all.alpha.is_empty() {
                all.alpha.clone_from(&part.alpha);
                all.beta = part.beta;
            }
            all.held_out_log += part.held_out_log;
            all.held_out_tokens += part.held_out_tokens;
        }
        all.blocks = blocks.into_values().cloned().collect();
        let words: Vec<&Block> = partials
            .iter()
            .filter_map(|part| part.words.as_ref())
            .collect();
        if !words.is_empty() {
            let counts = merged_counts(&words, all.topics.len());
            all.blocks.push(BlockStatistics {
                block: 0,
                turn: 0,
                counts,
                top: vec![],
            });
        }
        all
    }

    /// How often each n_wk occurs.
    pub(super) fn word_counts(&self) -> Histogram {
        let mut counts = Histogram::default();
        let blocks = self.blocks.iter();
        blocks.for_each(|block| counts.merge(&block.counts));
        counts
    }

    /// n_k, from the documents.
    pub(super) fn totals(&self) -> Vec<u64> {
        self.topics.iter().map(Histogram::total).collect()
    }
}

/// The histogram of the sums of the workers' shares of n_wk.
fn merged_counts(words: &[&Block], topics: usize) -> Histogram {
    let mut counts = Histogram::default();
    let mut sums = vec![0u64; topics];
    let mut rows: Vec<Rows<'_>> = words.iter().map(|block| block.rows()).collect();
    loop {
        let word: Vec<_> = rows.iter_mut().filter_map(Iterator::next).collect();
        if word.is_empty() {
            return counts;
        }
        for (topic, count) in word.into_iter().flatten() {
            sums[topic as usize] += u64::from(count);
        }
        for sum in &mut sums {
            counts.add(std::mem::take(sum), 1);
        }
    }
}

impl Portable for Statistics {
    fn encode(&self, out: &mut Vec<u8>) {
        varint::push(out, self.alpha.len() as u64);
        self.alpha
            .iter()
            .for_each(|a| out.extend_from_slice(&a.to_le_bytes()));
        out.extend_from_slice(&self.beta.to_le_bytes());
        varint::push(out, self.topics.len() as u64);
        self.topics.iter().for_each(|topic| topic.encode(out));
        self.lengths.encode(out);
        varint::push(out, self.blocks.len() as u64);
        for block in &self.blocks {
            varint::push(out, u64::from(block.block));
            varint::push(out, block.turn);
            block.counts.encode(out);
            varint::push(out, block.top.len() as u64);
            let numbers = block.top.iter().flatten();
            numbers.for_each(|&number| varint::push(out, u64::from(number)));
        }
        out.extend_from_slice(&self.held_out_log.to_le_bytes());
        varint::push(out, self.held_out_tokens);
        if let Some(words) = &self.words {
            words.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Statistics> {
        let mut rest = bytes;
        let mut statistics = Statistics::pop(&mut rest)
            .ok_or_else(|| Error::Other("a peer sent statistics that are none".into()))?;
        if !rest.is_empty() {
            let words = Block::decode(rest)?;
            if words.topics() as usize != statistics.topics.len() {
                return Err(Error::Other("a peer sent counts of other topics".into()));
            }
            statistics.words = Some(words);
        }
        Ok(statistics)
    }
}

impl Statistics {
    fn pop(rest: &mut &[u8]) -> Option<Statistics> {
        let mut statistics = Statistics::default();
        for _ in 0..varint::pop(rest)? {
            statistics.alpha.push(pop_f64(rest)?);
        }
        statistics.beta = pop_f64(rest)?;
        for _ in 0..varint::pop(rest)? {
            statistics.topics.push(Histogram::decode(rest)?);
        }
        statistics.lengths = Histogram::decode(rest)?;
        for _ in 0..varint::pop(rest)? {
            statistics.blocks.push(BlockStatistics {
                block: u32::try_from(varint::pop(rest)?).ok()?,
                turn: varint::pop(rest)?,
                counts: Histogram::decode(rest)?,
                top: pop_top(rest)?,
            });
        }
        statistics.held_out_log = pop_f64(rest)?;
        statistics.held_out_tokens = varint::pop(rest)?;
        Some(statistics)
    }
}

fn pop_top(rest: &mut &[u8]) -> Option<Vec<[u32; 3]>> {
    let mut top = vec![];
    for _ in 0..varint::pop(rest)? {
        let mut number = || u32::try_from(varint::pop(rest)?).ok();
        top.push([number()?, number()?, number()?]);
    }
    Some(top)
}

fn pop_f64(bytes: &mut &[u8]) -> Option<f64> {
    let (head, tail) = bytes.split_first_chunk::<8>()?;
    *bytes = tail;
    Some(f64::from_le_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::lda::block::Writer;
    use proptest::prelude::*;

    fn histogram(counts: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        counts.iter().for_each(|&count| histogram.add(count, 1));
        histogram
    }

    fn words(rows: &[&[(u32, u32)]]) -> Block {
        let mut writer = Writer::default();
        rows.iter().for_each(|row| writer.row(row.iter().copied()));
        writer.finish(3)
    }

    fn example(words: Option<Block>) -> Statistics {
        Statistics {
            alpha: vec![0.1, 0.2, 0.3],
            beta: 0.02,
            topics: vec![
                histogram(&[1, 1, 5]),
                histogram(&[]),
                histogram(&[300, 255, 256]),
            ],
            lengths: histogram(&[4, 70_000]),
            blocks: vec![BlockStatistics {
                block: 3,
                turn: 9,
                counts: histogram(&[2, 2]),
                top: vec![[0, 70_000, 3], [2, 5, 1]],
            }],
            words,
            held_out_log: -12.5,
            held_out_tokens: 3,
        }
    }

    #[test]
    fn statistics_survive_the_wire() {
        for words in [None, Some(words(&[&[], &[(0, 2), (2, 1)]]))] {
            let statistics = example(words);
            let mut bytes = vec![];
            statistics.encode(&mut bytes);
            assert_eq!(Statistics::decode(&bytes).unwrap(), statistics);
        }
        assert_eq!(example(None).totals(), [7, 0, 811]);
    }

    #[test]
    fn folding_takes_the_later_turn_of_a_block() {
        let mut later = example(None);
        later.blocks[0].turn = 10;
        later.blocks[0].counts = histogram(&[7]);
        for partials in [
            [example(None), later.clone()],
            [later.clone(), example(None)],
        ] {
            let fold = Statistics::fold(&partials);
            assert_eq!(fold.blocks, later.blocks);
            assert_eq!(fold.topics[0], histogram(&[1, 1, 1, 1, 5, 5]));
            assert_eq!((fold.held_out_log, fold.held_out_tokens), (-25.0, 6));
        }
    }

    #[test]
    fn shares_of_a_word_are_added_before_they_are_counted() {
        let a = example(Some(words(&[&[(0, 2)], &[(1, 1)]])));
        let b = example(Some(words(&[&[(0, 3), (2, 1)], &[]])));
        let fold = Statistics::fold(&[a, b]);
        assert_eq!(fold.blocks.last().unwrap().counts, histogram(&[5, 1, 1]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_decode_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Statistics::decode(&bytes);
        }
    }
}
