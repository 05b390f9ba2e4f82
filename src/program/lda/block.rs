//! A word block: the sparse topic counts of its words, in the bytes that also travel.
//!
//! Rows follow each other in the order of the partition. A row is its length in bytes, then for
//! each topic that has tokens of the word, ascending: the difference to the previous topic, the
//! count. All are varints, so a block takes two or three bytes per non-zero, and sending it is a
//! copy. Words are sampled in order; the sampler reads the old rows while it writes the new ones.

use crate::error::{Error, Result};
use crate::math::varint;
use crate::wire::message::Portable;

/// The topic counts n_wk of a block's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    topics: u32,
    words: u32,
    rows: Vec<u8>,
}

impl Block {
    /// `words` rows without counts, for topics `0 .. topics`.
    pub(super) fn empty(topics: u32, words: u32) -> Block {
        Block {
            topics,
            words,
            rows: vec![0; words as usize],
        }
    }

    /// Number of words.
    pub(super) fn words(&self) -> u32 {
        self.words
    }

    /// Number of topics.
    pub(super) fn topics(&self) -> u32 {
        self.topics
    }

    /// The rows in order.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { rest: &self.rows }
    }

    /// Puts the rows of `writer` in place of the old ones; `writer` is empty then and keeps the old
    /// memory for the next block.
    pub(super) fn replace(&mut self, writer: &mut Writer) {
        debug_assert_eq!(writer.words, self.words);
        std::mem::swap(&mut self.rows, &mut writer.rows);
        writer.clear();
    }

    fn check(&self) -> Option<()> {
        let mut rest = &self.rows[..];
        for _ in 0..self.words {
            let mut row = pop_row(&mut rest)?;
            let mut next = 0u64;
            while !row.is_empty() {
                let topic = next.checked_add(varint::pop(&mut row)?)?;
                let count = varint::pop(&mut row)?;
                if topic >= u64::from(self.topics) || count == 0 || count > i32::MAX as u64 {
                    return None;
                }
                next = topic + 1;
            }
        }
        rest.is_empty().then_some(())
    }
}

impl Portable for Block {
    fn encode(&self, out: &mut Vec<u8>) {
        varint::push(out, u64::from(self.topics));
        varint::push(out, u64::from(self.words));
        out.extend_from_slice(&self.rows);
    }

    fn decode(bytes: &[u8]) -> Result<Block> {
        let mut rest = bytes;
        let mut field = || varint::pop(&mut rest).and_then(|value| u32::try_from(value).ok());
        let block = match (field(), field()) {
            (Some(topics), Some(words)) => Block {
                topics,
                words,
                rows: rest.to_vec(),
            },
            _ => return Err(malformed()),
        };
        block.check().ok_or_else(malformed)?;
        Ok(block)
    }
}

fn malformed() -> Error {
    Error::Other("a peer sent a word block that is none".into())
}

fn pop_row<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint::pop(rest)?).ok()?;
    let (row, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(row)
}

/// The rows of a block, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Rows<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        pop_row(&mut self.rest).map(|bytes| Row { bytes, next: 0 })
    }
}

/// One word's (topic, count) pairs, topics ascending, counts at least 1.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    bytes: &'a [u8],
    next: u32,
}

impl Iterator for Row<'_> {
    type Item = (u32, u32);

    #[inline]
    fn next(&mut self) -> Option<(u32, u32)> {
        let topic = self.next + varint::pop(&mut self.bytes)? as u32;
        let count = varint::pop(&mut self.bytes)? as u32;
        self.next = topic + 1;
        Some((topic, count))
    }
}

/// Rows in the making.
#[derive(Debug, Default)]
pub(super) struct Writer {
    words: u32,
    rows: Vec<u8>,
    row: Vec<u8>,
}

impl Writer {
    /// Appends the row of the next word: topics ascending, counts at least 1.
    pub(super) fn row(&mut self, pairs: impl IntoIterator<Item = (u32, u32)>) {
        self.row.clear();
        let mut next = 0;
        for (topic, count) in pairs {
            varint::push(&mut self.row, u64::from(topic - next));
            varint::push(&mut self.row, u64::from(count));
            next = topic + 1;
        }
        varint::push(&mut self.rows, self.row.len() as u64);
        self.rows.extend_from_slice(&self.row);
        self.words += 1;
    }

    /// Appends an untouched row.
    pub(super) fn copy(&mut self, row: Row<'_>) {
        varint::push(&mut self.rows, row.bytes.len() as u64);
        self.rows.extend_from_slice(row.bytes);
        self.words += 1;
    }

    /// The rows so far as a block of their own.
    pub(super) fn finish(mut self, topics: u32) -> Block {
        self.rows.shrink_to_fit();
        Block {
            topics,
            words: self.words,
            rows: self.rows,
        }
    }

    fn clear(&mut self) {
        self.words = 0;
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(rows: &[Vec<(u32, u32)>]) -> Block {
        let mut writer = Writer::default();
        for row in rows {
            writer.row(row.iter().copied());
        }
        writer.finish(300)
    }

    fn rows(block: &Block) -> Vec<Vec<(u32, u32)>> {
        block.rows().map(|row| row.collect()).collect()
    }

    #[test]
    fn rows_survive_writing_copying_and_the_wire() {
        let written = vec![
            vec![],
            vec![(0, 1)],
            vec![(1, 200), (255, 1), (299, i32::MAX as u32)],
            vec![],
        ];
        let block = block(&written);
        assert_eq!(rows(&block), written);
        let mut copy = Writer::default();
        block.rows().for_each(|row| copy.copy(row));
        assert_eq!(copy.finish(300), block);
        let mut bytes = vec![];
        block.encode(&mut bytes);
        assert_eq!(Block::decode(&bytes).unwrap(), block);
        assert_eq!(Block::empty(300, 2), super::tests::block(&[vec![], vec![]]));
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        let mut bytes = vec![];
        block(&[vec![(1, 200), (255, 1)], vec![(299, 7)]]).encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert!(Block::decode(&bytes[..cut]).is_err());
        }
        bytes.push(0);
        assert!(Block::decode(&bytes).is_err());
        // topics 2, words 1, a row of 2 bytes: topic 2; then count 0.
        assert!(Block::decode(&[2, 1, 2, 2, 1]).is_err());
        assert!(Block::decode(&[2, 1, 2, 1, 0]).is_err());
        assert!(Block::decode(&[2, 1, 2, 1, 1]).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_decode_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(block) = Block::decode(&bytes) {
                for row in block.rows() {
                    prop_assert!(row.into_iter().all(|(topic, _)| topic < block.topics()));
                }
            }
        }
    }
}
