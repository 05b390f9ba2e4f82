//! Which words travel together: the vocabulary cut into blocks of equal work.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// The vocabulary as blocks. A word's *position* is its place when all words are listed block by
/// block; a block is a range of positions.
///
/// Every rank computes the same partition from the same global word frequencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    /// The word at each position: ascending within a block.
    order: Vec<u32>,
    /// The position of each word.
    positions: Vec<u32>,
    /// The position after each block's last.
    ends: Vec<u32>,
}

impl Partition {
    /// Deals words out to `blocks` blocks, the most frequent first, each to the block that has the
    /// fewest tokens so far (Graham's LPT rule: at worst 4/3 of the best balance).
    pub(super) fn balanced(frequencies: &[u64], blocks: u32) -> Partition {
        let mut words: Vec<u32> = (0..frequencies.len() as u32).collect();
        words.sort_by_key(|&word| (Reverse(frequencies[word as usize]), word));
        let mut lightest: BinaryHeap<_> = (0..blocks.max(1))
            .map(|block| Reverse((0u64, 0u32, block)))
            .collect();
        let mut block_of = vec![0u32; frequencies.len()];
        for word in words {
            let Some(Reverse((tokens, count, block))) = lightest.pop() else {
                break;
            };
            block_of[word as usize] = block;
            let tokens = tokens + frequencies[word as usize];
            lightest.push(Reverse((tokens, count + 1, block)));
        }
        Partition::from_blocks(&block_of, blocks.max(1))
    }

    fn from_blocks(block_of: &[u32], blocks: u32) -> Partition {
        let mut ends = vec![0u32; blocks as usize];
        for &block in block_of {
            ends[block as usize] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            total += *end;
            *end = total - *end;
        }
        // `ends` holds the starts until each block's words have been placed.
        let mut order = vec![0; block_of.len()];
        let mut positions = vec![0; block_of.len()];
        for (word, &block) in block_of.iter().enumerate() {
            let position = ends[block as usize];
            order[position as usize] = word as u32;
            positions[word] = position;
            ends[block as usize] += 1;
        }
        Partition {
            order,
            positions,
            ends,
        }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Number of words.
    pub(super) fn words(&self) -> usize {
        self.order.len()
    }

    /// The positions of a block.
    pub(super) fn block(&self, block: u32) -> Range<u32> {
        let start = if block == 0 {
            0
        } else {
            self.ends[block as usize - 1]
        };
        start..self.ends[block as usize]
    }

    /// The word at a position.
    pub(super) fn word(&self, position: u32) -> u32 {
        self.order[position as usize]
    }

    /// The position of a word.
    pub(super) fn position(&self, word: u32) -> u32 {
        self.positions[word as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_one_place_and_blocks_weigh_the_same() {
        let frequencies: Vec<u64> = (1..=5000u64).map(|rank| 100_000 / rank).collect();
        let partition = Partition::balanced(&frequencies, 7);
        let mut seen = vec![false; 5000];
        let mut weights = vec![];
        for block in 0..7 {
            let words: Vec<u32> = partition.block(block).map(|p| partition.word(p)).collect();
            assert!(words.is_sorted());
            weights.push(words.iter().map(|&w| frequencies[w as usize]).sum::<u64>());
            for word in words {
                assert!(!std::mem::replace(&mut seen[word as usize], true));
            }
        }
        assert!(seen.iter().all(|s| *s));
        assert!((0..5000).all(|w| partition.word(partition.position(w)) == w));
        let (min, max) = (weights.iter().min(), weights.iter().max());
        assert!(max.unwrap() - min.unwrap() < 50, "{weights:?}");
    }

    #[test]
    fn more_blocks_than_words_leaves_empty_blocks() {
        let partition = Partition::balanced(&[3, 1], 4);
        let sizes: Vec<usize> = (0..4).map(|b| partition.block(b).len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 2);
        assert_eq!(partition.blocks(), 4);
    }

    #[test]
    fn words_that_never_occur_are_spread_out() {
        let partition = Partition::balanced(&[0; 100], 4);
        assert!((0..4).all(|b| partition.block(b).len() == 25));
    }
}
