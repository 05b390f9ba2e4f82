//! What one worker holds, and what it does when a word comes by.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::math::rng::Rng;

use super::block::{Block, Writer};
use super::documents::Documents;
use super::heldout::HeldOut;
use crate::scheduler::partition::Partition;
use super::sampler::Sampler;
use super::statistics::{BlockStatistics, Statistics};
use super::tokens::{Tokens, Topics};
use super::topics::Best;

/// A token's first draw takes β so many times larger. Words come one after the other, so at first a
/// small β binds all tokens of a word to one topic, which a hundred passes do not quite undo; a large
/// one begins with topics that tell little, but ends with topics that predict better. imdb (K = 100,
/// β = 0.01, 2 workers, one seed) came to a joint of −9.69 per token after some 65, 70, 80 and 80
/// passes with 3, 10, 30 and 100, and had a held-out perplexity of 4,640, 4,490, 4,390 and 4,340 then;
/// kos (K = 100) had −8.262, −8.254 and −8.274 after 100 passes with 3, 30 and 1,000, and 1,513,
/// 1,478 and 1,469.
const FIRST_BETA: f64 = 10.0;

/// One worker's documents, tokens and sampler.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) documents: Documents,
    pub(super) tokens: Tokens,
    pub(super) held_out: Option<HeldOut>,
    pub(super) sampler: Sampler,
    /// α as it was at the objective computed last: later clocks may have brought another.
    pub(super) evaluated_alpha: Vec<f64>,
    /// β likewise; None before the first.
    pub(super) evaluated_beta: Option<f64>,
    /// Which of this worker's documents, counted from its first, are held out.
    pub(super) held_out_documents: Vec<bool>,
    /// What the blocks that this worker was last seen to use last were like.
    pub(super) block_statistics: Vec<BlockStatistics>,
    /// Blocks that this worker holds outside of clocks: restored before the first, final after the
    /// last.
    pub(super) blocks: Vec<(u32, Block)>,
    /// Positions of all words that have tokens here, held-out ones included, ascending.
    pub(super) positions: Vec<u32>,
    /// n_k as it was when the turn began.
    totals: Vec<i64>,
    /// n_k when the run was resumed: the shared tables begin at 0 again. Empty if it was not.
    pub(super) restored_totals: Vec<i64>,
    /// Likewise n_wk of each of `positions`; only under `--parallel data`.
    pub(super) restored_words: Vec<Vec<(u32, i32)>>,
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
        let documents = Documents::new(lengths, topics, sampler.form())?;
        let tokens = Tokens::build(&documents, partition, topics, |f| some(false, f))?;
        let kept_out = match sizes[1] {
            0 => None,
            count => Some(HeldOut::build(count, partition, &sampler, |f| some(true, f))?),
        };
        let mut positions = tokens.positions().to_vec();
        if let Some(kept_out) = &kept_out {
            positions.extend(kept_out.positions());
            positions.sort_unstable();
            positions.dedup();
        }
        Ok(Part {
            positions,
            totals: vec![],
            evaluated_alpha: vec![],
            evaluated_beta: None,
            restored_totals: vec![],
            restored_words: vec![],
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

    /// Begins a turn with the topic totals as they are known.
    pub(super) fn begin(&mut self, totals: &[i64]) {
        self.totals.clear();
        self.totals.extend_from_slice(totals);
        self.totals
            .iter_mut()
            .zip(&self.restored_totals)
            .for_each(|(now, then)| *now += then);
        self.sampler.set_totals(&self.totals);
    }

    /// Adds to a row of the shared table what it was when the run was resumed; `index` is that of
    /// the word's position.
    pub(super) fn add_restored(&self, index: usize, row: &mut Vec<(u32, i32)>) {
        if let Some(restored) = self.restored_words.get(index) {
            row.extend_from_slice(restored);
            merge(row);
        }
    }

    /// By how much this turn changed the totals.
    pub(super) fn changes_of_totals(&mut self) -> &[i64] {
        for (before, now) in self.totals.iter_mut().zip(self.sampler.totals()) {
            *before = now - *before;
        }
        &self.totals
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
        let beta = self.smooth_first_draws(self.tokens.words(positions.clone()));
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
        self.sampler.set_beta(beta);
    }

    /// Raises β if the words with these indices have no topics yet; returns β as it was.
    fn smooth_first_draws(&mut self, words: Range<usize>) -> f64 {
        let beta = self.sampler.beta();
        if words
            .clone()
            .next()
            .is_some_and(|index| !self.tokens.has_topics(index))
        {
            self.sampler.set_beta(beta * FIRST_BETA);
        }
        beta
    }

    /// Draws the topics of all tokens of one word, whose counts are `row`; what that changes in the
    /// counts goes to `changes`, topics ascending.
    pub(super) fn visit_word(
        &mut self,
        position: u32,
        row: &[(u32, i32)],
        changes: &mut Vec<(u32, i32)>,
        rng: &mut Rng,
    ) {
        let words = self.tokens.words(position..position + 1);
        let beta = self.smooth_first_draws(words.clone());
        self.sampler.enter(row.iter().copied());
        for index in words {
            self.sample_word(index, rng);
        }
        self.sampler.leave(&mut self.row);
        self.sampler.set_beta(beta);
        changes.clear();
        changes.extend(row.iter().map(|&(topic, count)| (topic, -count)));
        changes.extend_from_slice(&self.row);
        merge(changes);
    }

    /// Lets the held-out documents, if any, meet a block.
    pub(super) fn visit_held_out(
        &mut self,
        partition: &Partition,
        number: u32,
        block: &Block,
        score: bool,
        rng: &mut Rng,
    ) {
        if let Some(held_out) = &mut self.held_out {
            held_out.visit(&mut self.sampler, partition, number, block, score, rng);
        }
    }

    /// Lets the held-out documents, if any, meet one word with these counts.
    pub(super) fn meet_held_out(
        &mut self,
        position: u32,
        row: &[(u32, i32)],
        score: bool,
        rng: &mut Rng,
    ) {
        if let Some(held_out) = &mut self.held_out {
            held_out.meet(&mut self.sampler, position, row.iter().copied(), score, rng);
        }
    }

    /// Draws the topics of the tokens of the word with this index while the sampler is at it.
    fn sample_word(&mut self, index: usize, rng: &mut Rng) {
        let (_, range) = self.tokens.word(index);
        let handles = &self.tokens.documents[range.start..];
        let (documents, sampler) = (&mut self.documents, &mut self.sampler);
        match &mut self.tokens.topics {
            Topics::Narrow(topics) => sampler.sample(documents, handles, &mut topics[range], rng),
            Topics::Wide(topics) => sampler.sample(documents, handles, &mut topics[range], rng),
        }
    }

    /// This worker's own share of the counts of some words, as a block.
    pub(super) fn own_counts(&self, positions: Range<u32>) -> Block {
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

    /// Shows each document's (topic, count) pairs in the order of the data; of a held-out document,
    /// those of its even tokens. `pairs` is room to work in.
    pub(super) fn each_document(
        &self,
        pairs: &mut Vec<(u32, u32)>,
        mut show: impl FnMut(bool, &[(u32, u32)]),
    ) {
        let mut seen = [0, 0];
        for &out in &self.held_out_documents {
            let documents = match &self.held_out {
                Some(held_out) if out => &held_out.documents,
                _ => &self.documents,
            };
            let number = &mut seen[usize::from(out)];
            documents.counts(*number, pairs);
            *number += 1;
            show(out, pairs);
        }
    }

    /// α at the last objective, or, if there was none, the one in use.
    pub(super) fn final_alpha(&self) -> &[f64] {
        match &self.evaluated_alpha[..] {
            [] => self.sampler.alpha(),
            alpha => alpha,
        }
    }

    /// β likewise.
    pub(super) fn final_beta(&self) -> f64 {
        self.evaluated_beta.unwrap_or(self.sampler.beta())
    }

    /// Takes other priors over, of as many topics.
    pub(super) fn set_priors(&mut self, alpha: &[f64], beta: f64) -> Result<()> {
        let is_prior = |value: &f64| value.is_finite() && *value > 0.0;
        let fits = alpha.len() == self.sampler.alpha().len();
        if !fits || !alpha.iter().all(is_prior) || !is_prior(&beta) {
            return Err(Error::Other("the checkpoint is of other topics".into()));
        }
        self.sampler.set_alpha(alpha);
        self.sampler.set_beta(beta);
        Ok(())
    }

    /// Notes the `top` most frequent words of each topic in a block that was noted, if any are wanted.
    pub(super) fn note_top(
        &mut self,
        partition: &Partition,
        number: u32,
        block: &Block,
        top: usize,
    ) {
        let known = self.block_statistics.iter_mut();
        if let Some(known) = known.filter(|_| top > 0).find(|known| known.block == number) {
            let mut best = Best::new(block.topics() as usize, top);
            best.meet_block(block, partition.block(number), partition);
            known.top = best.into_entries();
        }
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
        self.evaluated_alpha = self.sampler.alpha().to_vec();
        self.evaluated_beta = Some(self.sampler.beta());
        let mut statistics = Statistics::of(&self.documents, self.sampler.alpha().len());
        statistics.blocks = self.block_statistics.clone();
        if let Some(held_out) = &mut self.held_out {
            (statistics.held_out_log, statistics.held_out_tokens) = held_out.take_score();
        }
        statistics
    }
}

/// Adds up the pairs of each topic; topics ascending, no sum 0.
fn merge(pairs: &mut Vec<(u32, i32)>) {
    pairs.sort_unstable_by_key(|&(topic, _)| topic);
    pairs.dedup_by(|from, into| {
        let same = from.0 == into.0;
        into.1 += if same { from.1 } else { 0 };
        same
    });
    pairs.retain(|&(_, sum)| sum != 0);
}
