//! A worker's tokens, in the order in which word blocks bring their words.

use std::ops::Range;

use crate::error::{Error, Result};

use super::documents::{Documents, Handle};
use crate::scheduler::partition::Partition;

/// A topic number in as many bytes as it needs; the largest value means "none yet".
pub(super) trait Cell: Copy {
    /// A token that has no topic yet.
    const NONE: Self;
    /// The topic, `u32::MAX` for none.
    fn get(self) -> u32;
    /// From a topic.
    fn from_topic(topic: u32) -> Self;
}

impl Cell for u16 {
    const NONE: u16 = u16::MAX;
    #[inline]
    fn get(self) -> u32 {
        if self == Self::NONE {
            u32::MAX
        } else {
            u32::from(self)
        }
    }
    #[inline]
    fn from_topic(topic: u32) -> u16 {
        topic as u16
    }
}

impl Cell for u32 {
    const NONE: u32 = u32::MAX;
    #[inline]
    fn get(self) -> u32 {
        self
    }
    #[inline]
    fn from_topic(topic: u32) -> u32 {
        topic
    }
}

/// The topics of all tokens.
#[derive(Debug, Clone)]
pub(super) enum Topics {
    /// Fewer than 65,536 topics.
    Narrow(Vec<u16>),
    /// More.
    Wide(Vec<u32>),
}

impl Topics {
    fn none(tokens: usize, topics: u32) -> Topics {
        if topics < u32::from(u16::MAX) {
            Topics::Narrow(vec![u16::NONE; tokens])
        } else {
            Topics::Wide(vec![u32::NONE; tokens])
        }
    }

    /// Every token's topic, `u32::MAX` for none.
    #[cfg(test)]
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Topics::Narrow(topics) => Box::new(topics.iter().map(|z| z.get())),
            Topics::Wide(topics) => Box::new(topics.iter().copied()),
        }
    }
}

/// Tokens sorted by the position of their word, then by document.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    /// Positions of the words that have tokens here, ascending.
    positions: Vec<u32>,
    /// Where each of these words' tokens end.
    ends: Vec<u32>,
    /// Each token's document.
    pub(super) documents: Vec<Handle>,
    /// Each token's topic.
    pub(super) topics: Topics,
}

impl Tokens {
    /// Sorts the tokens that `visit` shows, twice, as (document, word, count), documents ascending.
    pub(super) fn build(
        documents: &Documents,
        partition: &Partition,
        topics: u32,
        visit: impl Fn(&mut dyn FnMut(usize, u32, u32)),
    ) -> Result<Tokens> {
        let mut tokens = 0u64;
        let mut next = vec![0u32; partition.variables()];
        visit(&mut |_, word, count| {
            tokens += u64::from(count);
            let times = &mut next[partition.position(word) as usize];
            *times = times.wrapping_add(count);
        });
        if tokens > u64::from(u32::MAX) {
            return Err(Error::Usage(format!(
                "--workers: {tokens} tokens for one worker are too many, at most {}; use more workers",
                u32::MAX
            )));
        }
        let (mut positions, mut ends, mut end) = (vec![], vec![], 0);
        for (position, next) in next.iter_mut().enumerate() {
            if *next > 0 {
                end += *next;
                *next = end - *next;
                positions.push(position as u32);
                ends.push(end);
            }
        }
        let mut handles = vec![0; tokens as usize];
        visit(&mut |document, word, count| {
            let next = &mut next[partition.position(word) as usize];
            handles[*next as usize..(*next + count) as usize].fill(documents.handle(document));
            *next += count;
        });
        let topics = Topics::none(tokens as usize, topics);
        Ok(Tokens {
            positions,
            ends,
            documents: handles,
            topics,
        })
    }

    /// The words of a block that have tokens here: indices for [`Tokens::word`].
    pub(super) fn words(&self, block: Range<u32>) -> Range<usize> {
        let first = self.positions.partition_point(|&p| p < block.start);
        let last = self.positions.partition_point(|&p| p < block.end);
        first..last
    }

    /// A word's position and its tokens.
    #[inline]
    pub(super) fn word(&self, index: usize) -> (u32, Range<usize>) {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        (
            self.positions[index],
            start as usize..self.ends[index] as usize,
        )
    }

    /// True if the word with this index was drawn before.
    pub(super) fn has_topics(&self, index: usize) -> bool {
        let first = self.word(index).1.start;
        match &self.topics {
            Topics::Narrow(topics) => topics[first].get() != u32::MAX,
            Topics::Wide(topics) => topics[first].get() != u32::MAX,
        }
    }

    /// The tokens of the word at `position`, if any, by search.
    pub(super) fn find(&self, position: u32) -> Range<usize> {
        match self.positions.binary_search(&position) {
            Ok(index) => self.word(index).1,
            Err(_) => 0..0,
        }
    }

    /// Positions of the words that have tokens here, ascending.
    pub(super) fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Number of tokens.
    pub(super) fn count(&self) -> usize {
        self.documents.len()
    }

    /// Puts all tokens' topics back, `u32::MAX` for none.
    pub(super) fn set_topics(&mut self, topics: &[u32], limit: u32) -> Result<()> {
        let fits = topics.iter().all(|&z| z < limit || z == u32::MAX);
        if topics.len() != self.count() || !fits {
            return Err(Error::Other(
                "the checkpoint is of other tokens or topics".into(),
            ));
        }
        match &mut self.topics {
            Topics::Narrow(old) => {
                old.iter_mut()
                    .zip(topics)
                    .for_each(|(old, &z)| *old = z as u16);
            }
            Topics::Wide(old) => old.copy_from_slice(topics),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::lda::documents::Form;

    #[test]
    fn tokens_are_sorted_by_block_word_and_document() {
        // Frequencies put word 2 into one block, words 0 and 1 into the other.
        let partition = Partition::balanced(&[2, 1, 3], 2);
        let documents = Documents::new(vec![3, 0, 3], 4, Form::Sparse).unwrap();
        let data = [
            (0usize, 0u32, 1u32),
            (0, 2, 2),
            (2, 0, 1),
            (2, 1, 1),
            (2, 2, 1),
        ];
        let visit =
            |f: &mut dyn FnMut(usize, u32, u32)| data.iter().for_each(|&(d, w, n)| f(d, w, n));
        let tokens = Tokens::build(&documents, &partition, 4, visit).unwrap();
        let mut seen = vec![];
        for block in 0..2 {
            for index in tokens.words(partition.block(block)) {
                let (position, range) = tokens.word(index);
                for token in range {
                    seen.push((partition.variable(position), tokens.documents[token]));
                }
            }
        }
        let (a, c) = (documents.handle(0), documents.handle(2));
        assert_eq!(seen, [(2, a), (2, a), (2, c), (0, a), (0, c), (1, c)]);
        assert!(tokens.topics.iter().all(|z| z == u32::MAX));
    }

    #[test]
    fn topics_come_back_and_foreign_ones_are_refused() {
        let partition = Partition::balanced(&[2], 1);
        let documents = Documents::new(vec![2], 70_000, Form::Sparse).unwrap();
        for topics in [4, 70_000] {
            let mut tokens = Tokens::build(&documents, &partition, topics, |f| f(0, 0, 2)).unwrap();
            tokens.set_topics(&[u32::MAX, topics - 1], topics).unwrap();
            assert_eq!(
                tokens.topics.iter().collect::<Vec<_>>(),
                [u32::MAX, topics - 1]
            );
            assert!(tokens.set_topics(&[0, topics], topics).is_err());
            assert!(tokens.set_topics(&[0], topics).is_err());
        }
    }
}
