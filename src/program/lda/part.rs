//! What one worker holds, and what it does when a word comes by.

use crate::error::Result;
use crate::math::rng::Rng;

use super::block::{Block, Writer};
use super::documents::Documents;
use super::heldout::HeldOut;
use super::partition::Partition;
use super::sampler::Sampler;
use super::statistics::{BlockStatistics, Statistics};
use super::tokens::{Tokens, Topics};

/// One worker's documents, tokens and sampler.
#[derive(Debug)]
pub struct Part {
    pub(super) documents: Documents,
    pub(super) tokens: Tokens,
    pub(super) held_out: Option<HeldOut>,
    pub(super) sampler: Sampler,
    /// Which of this worker's documents, counted from its first, are held out.
    pub(super) held_out_documents: Vec<bool>,
    /// What the blocks that this worker was last seen to use last were like.
    pub(super) block_statistics: Vec<BlockStatistics>,
    /// Blocks that this worker holds outside of clocks: restored before the first, final after the
    /// last.
    pub(super) blocks: Vec<(u32, Block)>,
    writer: Writer,
    row: Vec<(u32, i32)>,
}

impl Part {
    /// A worker's part, no token assigned. `visit` shows, several times, its tokens as (document,
    /// word, count), documents ascending from 0; `held_out[d]` says which are kept out.
    pub(super) fn build(
        held_out: Vec<bool>,
        partition: &Partition,
        sampler: Sampler,
        visit: impl Fn(&mut dyn FnMut(usize, u32, u32)),
    ) -> Result<Part> {
        // Both kinds of documents are numbered from 0.
        let mut numbers = vec![0; held_out.len()];
        let mut sizes = [0, 0];
        for (number, &out) in numbers.iter_mut().zip(&held_out) {
            *number = sizes[usize::from(out)];
            sizes[usize::from(out)] += 1;
        }
        let some = |wanted: bool, f: &mut dyn FnMut(usize, u32, u32)| {
            visit(&mut |document, word, count| {
                if held_out[document] == wanted && count > 0 {
                    f(numbers[document], word, count);
                }
            });
        };
        let topics = sampler.alpha().len() as u32;
        let mut lengths = vec![0; sizes[0]];
        some(false, &mut |document, _, count| lengths[document] += count);
        let documents = Documents::new(lengths, topics)?;
        let tokens = Tokens::build(&documents, partition, topics, |f| some(false, f))?;
        let kept_out = match sizes[1] {
            0 => None,
            count => Some(HeldOut::build(count, partition, topics, |f| some(true, f))?),
        };
        Ok(Part {
            documents,
            tokens,
            held_out: kept_out,
            sampler,
            held_out_documents: held_out,
            block_statistics: vec![],
            blocks: vec![],
            writer: Writer::default(),
            row: vec![],
        })
    }

    /// Draws the topics of all tokens of a block's words and leaves the new counts in the block.
    pub(super) fn visit(
        &mut self,
        partition: &Partition,
        number: u32,
        block: &mut Block,
        rng: &mut Rng,
    ) {
        let positions = partition.block(number);
        let mut words = self.tokens.words(positions.clone()).peekable();
        for (position, row) in positions.zip(block.rows()) {
            match words.next_if(|&index| self.tokens.word(index).0 == position) {
                None => self.writer.copy(row),
                Some(index) => {
                    self.sampler
                        .enter(row.map(|(topic, count)| (topic, count as i32)));
                    self.sample_word(index, rng);
                    self.sampler.leave(&mut self.row);
                    self.writer
                        .row(self.row.iter().map(|&(topic, count)| (topic, count as u32)));
                }
            }
        }
        block.replace(&mut self.writer);
    }

    /// Draws the topics of the tokens of the word with this index while the sampler is at it.
    pub(super) fn sample_word(&mut self, index: usize, rng: &mut Rng) {
        let (_, range) = self.tokens.word(index);
        let handles = &self.tokens.documents[range.clone()];
        let (documents, sampler) = (&mut self.documents, &mut self.sampler);
        match &mut self.tokens.topics {
            Topics::Narrow(topics) => sampler.sample(documents, handles, &mut topics[range], rng),
            Topics::Wide(topics) => sampler.sample(documents, handles, &mut topics[range], rng),
        }
    }

    /// This worker's own share of the counts of some words, as a block.
    pub(super) fn own_counts(&self, positions: std::ops::Range<u32>) -> Block {
        let topics = self.sampler.alpha().len() as u32;
        let mut writer = Writer::default();
        let mut assigned = vec![];
        for position in positions {
            assigned.clear();
            let range = self.tokens.find(position);
            match &self.tokens.topics {
                Topics::Narrow(z) => {
                    let some = z[range].iter().filter(|&&z| z != u16::MAX);
                    assigned.extend(some.map(|&z| (u32::from(z), 1)));
                }
                Topics::Wide(z) => {
                    assigned.extend(z[range].iter().filter(|&&z| z != u32::MAX).map(|&z| (z, 1)));
                }
            }
            assigned.sort_unstable();
            assigned.dedup_by(|from, into| {
                let same = from.0 == into.0;
                into.1 += if same { from.1 } else { 0 };
                same
            });
            writer.row(assigned.iter().copied());
        }
        writer.finish(topics)
    }

    /// Notes what a block is like after `turn`, for the objective.
    pub(super) fn note_block(&mut self, number: u32, turn: u64, block: &Block) {
        let statistics = BlockStatistics::of(number, turn, block.rows());
        match self
            .block_statistics
            .iter_mut()
            .find(|known| known.block == number)
        {
            Some(known) => *known = statistics,
            None => self.block_statistics.push(statistics),
        }
    }

    /// This worker's share of what is folded after a clock.
    pub(super) fn statistics(&mut self) -> Statistics {
        let mut statistics = Statistics::of(&self.documents, self.sampler.alpha().len());
        statistics.blocks = self.block_statistics.clone();
        if let Some(held_out) = &mut self.held_out {
            (statistics.held_out_log, statistics.held_out_tokens) = held_out.take_score();
        }
        statistics
    }
}
