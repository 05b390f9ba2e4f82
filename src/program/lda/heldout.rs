//! `--holdout`: how well the topics explain documents that did not make them.
//!
//! *Document completion.* A share of the documents, chosen by the seed, is kept out of all counts.
//! Of each one's tokens, listed by word, the even ones (0th, 2nd, ...) tell its topics and the odd
//! ones are predicted:
//!
//! ```text
//! perplexity = exp( − mean over odd tokens of ln Σ_k θ_dk φ_wk )
//! θ_dk = (n_dk + α_k) / (n_d + Σα),   φ_wk = (n_wk + β) / (n_k + Vβ)
//! ```
//!
//! In every pass, as a word block is about to leave, its even tokens are drawn anew with φ as it is
//! then (one Gibbs sweep a pass); where an objective is due, its odd tokens are scored before, from
//! the second pass on. So θ
//! is one sample that has moved along with φ for as many passes as there were, never refitted to
//! odd tokens, and lower is better. Nothing of this counts as training time.

use crate::error::Result;
use crate::math::rng::Rng;
use crate::math::special::Sum;
use crate::math::varint;

use super::block::Block;
use super::documents::{Documents, Handle};
use crate::scheduler::partition::Partition;
use super::sampler::Sampler;
use super::tokens::{Tokens, Topics};

/// The held-out documents of one worker.
#[derive(Debug)]
pub(super) struct HeldOut {
    /// Topic counts of the even tokens.
    pub(super) documents: Documents,
    /// The even tokens.
    pub(super) known: Tokens,
    /// The odd tokens; their topics are never set.
    asked: Tokens,
    log: Sum,
    scored: u64,
    row: Vec<(u32, i32)>,
}

/// Of a document's tokens `start .. start + count`, those with an even and those with an odd place.
fn halves(start: u32, count: u32) -> (u32, u32) {
    let even = (start + count).div_ceil(2) - start.div_ceil(2);
    (even, count - even)
}

impl HeldOut {
    /// From `visit`, which shows all tokens of the `documents` held-out documents, several times, as
    /// (document, word, count), documents ascending.
    pub(super) fn build(
        documents: usize,
        partition: &Partition,
        sampler: &Sampler,
        visit: impl Fn(&mut dyn FnMut(usize, u32, u32)),
    ) -> Result<HeldOut> {
        let topics = sampler.alpha().len() as u32;
        let half = |odd: bool, f: &mut dyn FnMut(usize, u32, u32)| {
            let (mut current, mut seen) = (usize::MAX, 0);
            visit(&mut |document, word, count| {
                if document != current {
                    (current, seen) = (document, 0);
                }
                let (even_count, odd_count) = halves(seen, count);
                seen += count;
                f(document, word, if odd { odd_count } else { even_count });
            });
        };
        let mut lengths = vec![0; documents];
        half(false, &mut |document, _, count| lengths[document] += count);
        let documents = Documents::new(lengths, topics, sampler.form())?;
        Ok(HeldOut {
            known: Tokens::build(&documents, partition, topics, |f| half(false, f))?,
            asked: Tokens::build(&documents, partition, topics, |f| half(true, f))?,
            documents,
            log: Sum::default(),
            scored: 0,
            row: vec![],
        })
    }

    /// Positions of all words that have held-out tokens, ascending.
    pub(super) fn positions(&self) -> Vec<u32> {
        let mut positions = self.known.positions().to_vec();
        positions.extend_from_slice(self.asked.positions());
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Meets the words of a block: scores, if wanted, and draws.
    pub(super) fn visit(
        &mut self,
        sampler: &mut Sampler,
        partition: &Partition,
        number: u32,
        block: &Block,
        score: bool,
        rng: &mut Rng,
    ) {
        for (position, row) in partition.block(number).zip(block.rows()) {
            if self.has(position) {
                let row = row.map(|(topic, count)| (topic, count as i32));
                self.meet(sampler, position, row, score, rng);
            }
        }
    }

    /// Meets one word, with its counts.
    pub(super) fn meet(
        &mut self,
        sampler: &mut Sampler,
        position: u32,
        row: impl Iterator<Item = (u32, i32)>,
        score: bool,
        rng: &mut Rng,
    ) {
        sampler.enter(row);
        if score {
            for token in self.asked.find(position) {
                let handle = self.asked.documents[token];
                self.log
                    .add(sampler.predictive(&self.documents, handle).ln());
                self.scored += 1;
            }
        }
        let range = self.known.find(position);
        let handles = &self.known.documents[range.clone()];
        match &mut self.known.topics {
            Topics::Narrow(z) => sampler.infer(&mut self.documents, handles, &mut z[range], rng),
            Topics::Wide(z) => sampler.infer(&mut self.documents, handles, &mut z[range], rng),
        }
        sampler.leave(&mut self.row);
    }

    /// Σ ln p and the number of tokens scored since this was last asked.
    pub(super) fn take_score(&mut self) -> (f64, u64) {
        (
            std::mem::take(&mut self.log).value(),
            std::mem::take(&mut self.scored),
        )
    }

    /// All documents, each as the number of its tokens and their words.
    pub(super) fn encode_texts(&self, partition: &Partition, out: &mut Vec<u8>) {
        let mut tokens: Vec<(Handle, u32)> = Vec::new();
        for half in [&self.known, &self.asked] {
            for &position in half.positions() {
                let word = partition.variable(position);
                let documents = &half.documents[half.find(position)];
                tokens.extend(documents.iter().map(|&document| (document, word)));
            }
        }
        tokens.sort_unstable();
        for document in tokens.chunk_by(|one, other| one.0 == other.0) {
            varint::push(out, document.len() as u64);
            let words = document.iter().map(|(_, word)| u64::from(*word));
            words.for_each(|word| varint::push(out, word));
        }
    }

    fn has(&self, position: u32) -> bool {
        !self.known.find(position).is_empty() || !self.asked.find(position).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_alternate_over_the_whole_document() {
        for counts in [vec![1, 1, 1], vec![2, 3, 1], vec![5], vec![0, 1, 0, 4]] {
            let (mut start, mut token, mut even, mut odd) = (0, 0, 0, 0);
            for count in counts {
                let (e, o) = halves(start, count);
                start += count;
                (even, odd) = (even + e, odd + o);
                token += count;
                assert_eq!(even, token.div_ceil(2));
                assert_eq!(odd, token / 2);
            }
        }
    }
}
