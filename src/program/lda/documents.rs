//! Documents: how many tokens of each has which topic, n_dk, for the topics that occur.
//!
//! All documents lie in one array of `u32`. A document is the number of its entries, then the
//! entries, unsorted, topic in the high bits and count in the low ones. It never needs more entries
//! than it has tokens, nor more than there are topics; a sampler that meets it touches one cache
//! line or two. A document is named by the place where it begins, its [`Handle`].

use crate::error::{Error, Result};
use crate::math::prefetch::prefetch;

/// Where a document begins in the array.
pub(super) type Handle = u32;

/// The most topics that entries have room for.
pub(super) const TOPICS_MAX: u32 = 1 << 20;

/// The documents of one worker and their topic counts.
#[derive(Debug)]
pub(super) struct Documents {
    arena: Vec<u32>,
    /// Where each document begins; one more at the end.
    starts: Vec<Handle>,
    /// Tokens of each document.
    lengths: Vec<u32>,
    /// Bits of an entry that hold the count.
    shift: u32,
    topics: u32,
}

impl Documents {
    /// Documents of these lengths, no token assigned, for `topics` ≤ [`TOPICS_MAX`] topics.
    pub(super) fn new(lengths: Vec<u32>, topics: u32) -> Result<Documents> {
        let shift = topics.max(2).next_power_of_two().leading_zeros() + 1;
        let mut documents = Documents {
            arena: vec![],
            starts: vec![0],
            lengths,
            shift,
            topics,
        };
        let mut end = 0u64;
        for &length in &documents.lengths {
            // A count that does not fit an entry takes several entries of one topic.
            let entries = if length > documents.count_max() {
                length
            } else {
                length.min(topics)
            };
            end += 1 + u64::from(entries);
            let start = Handle::try_from(end).map_err(|_| {
                Error::Usage(
                    "--workers: one worker's documents take more than 16 GiB; use more workers"
                        .into(),
                )
            })?;
            documents.starts.push(start);
        }
        documents.arena = vec![0; end as usize];
        Ok(documents)
    }

    /// Number of documents.
    pub(super) fn count(&self) -> usize {
        self.lengths.len()
    }

    /// Tokens of a document.
    #[cfg(test)]
    pub(super) fn length(&self, document: usize) -> u32 {
        self.lengths[document]
    }

    /// Where a document begins.
    pub(super) fn handle(&self, document: usize) -> Handle {
        self.starts[document]
    }

    /// The document's entries. See [`Documents::topic`] and [`Documents::times`].
    #[inline]
    pub(super) fn entries(&self, handle: Handle) -> &[u32] {
        let rest = &self.arena[handle as usize..];
        &rest[1..=rest[0] as usize]
    }

    /// Asks for the document's first two cache lines, because they are needed soon.
    #[inline]
    pub(super) fn touch(&self, handle: Handle) {
        prefetch(&self.arena, handle as usize);
        prefetch(&self.arena, handle as usize + 16);
    }

    /// The partial sums over the document's entries of count · `q[topic]`, one token of topic `out`
    /// left out (`u32::MAX`: none), go to `sums`. Returns the last sum and the place of `out`'s
    /// entry.
    #[inline]
    pub(super) fn weigh(
        &self,
        handle: Handle,
        out: u32,
        q: &[f64],
        sums: &mut Vec<f64>,
    ) -> (f64, usize) {
        let mask = self.count_max();
        let entries = self.entries(handle);
        if sums.len() < entries.len() {
            sums.resize(entries.len(), 0.0);
        }
        let (mut sum, mut place, mut pending) = (0.0, usize::MAX, 1);
        for (index, (&entry, partial)) in entries.iter().zip(sums).enumerate() {
            let topic = entry >> self.shift;
            // One token only, though a topic with very many may have two entries.
            let leaves = u32::from(topic == out) & pending;
            pending -= leaves;
            place = if leaves == 1 { index } else { place };
            sum += f64::from((entry & mask) - leaves) * q[topic as usize];
            *partial = sum;
        }
        (sum, place)
    }

    /// Takes one token out of the entry at `out` and puts one into the entry at `into`, another one.
    #[inline]
    pub(super) fn shift_token(&mut self, handle: Handle, out: usize, into: usize) {
        let mask = self.count_max();
        let rest = &mut self.arena[handle as usize..];
        let last = rest[0] as usize;
        rest[1 + out] -= 1;
        let mut into = 1 + into;
        if rest[1 + out] & mask == 0 {
            rest[1 + out] = rest[last];
            rest[0] -= 1;
            into = if into == last { 1 + out } else { into };
        }
        let entry = rest[into];
        if entry & mask < mask {
            rest[into] = entry + 1;
        } else {
            self.add(handle, entry >> self.shift);
        }
    }

    /// Takes one token out of the entry at `out`.
    #[inline]
    pub(super) fn take(&mut self, handle: Handle, out: usize) {
        let mask = self.count_max();
        let rest = &mut self.arena[handle as usize..];
        rest[1 + out] -= 1;
        if rest[1 + out] & mask == 0 {
            rest[1 + out] = rest[rest[0] as usize];
            rest[0] -= 1;
        }
    }

    /// The topic of an entry.
    #[inline]
    pub(super) fn topic(&self, entry: u32) -> usize {
        (entry >> self.shift) as usize
    }

    /// The count of an entry.
    #[inline]
    pub(super) fn times(&self, entry: u32) -> u32 {
        entry & self.count_max()
    }

    /// Puts one token of `topic` in.
    #[inline]
    pub(super) fn add(&mut self, handle: Handle, topic: u32) {
        let (shift, mask) = (self.shift, self.count_max());
        let rest = &mut self.arena[handle as usize..];
        let entries = rest[0] as usize;
        let has_room = |entry: &&mut u32| **entry >> shift == topic && **entry & mask < mask;
        match rest[1..=entries].iter_mut().find(has_room) {
            Some(entry) => *entry += 1,
            None => {
                rest[1 + entries] = topic << shift | 1;
                rest[0] += 1;
            }
        }
    }

    /// The document's (topic, count) pairs, topics ascending and each once, into `pairs`.
    pub(super) fn counts(&self, document: usize, pairs: &mut Vec<(u32, u32)>) {
        pairs.clear();
        let entries = self.entries(self.starts[document]);
        pairs.extend(entries.iter().map(|&e| (e >> self.shift, self.times(e))));
        pairs.sort_unstable();
        pairs.dedup_by(|from, into| {
            let same = from.0 == into.0;
            into.1 += if same { from.1 } else { 0 };
            same
        });
    }

    /// All documents one after the other: the number of entries, then the entries in their order.
    /// A checkpoint keeps the order, because it decides which topic a random number means.
    pub(super) fn entries_in_order(&self) -> Vec<u32> {
        let mut all = Vec::new();
        for &handle in &self.starts[..self.count()] {
            let entries = self.entries(handle);
            all.push(entries.len() as u32);
            all.extend_from_slice(entries);
        }
        all
    }

    /// Puts back what [`Documents::entries_in_order`] gave.
    pub(super) fn set_entries(&mut self, all: &[u32]) -> Result<()> {
        let mut rest = all;
        for place in self.starts.windows(2) {
            let slot = &mut self.arena[place[0] as usize..place[1] as usize];
            let length = rest.first().map_or(usize::MAX, |&length| length as usize);
            if length >= slot.len() || length >= rest.len() {
                return Err(of_other_documents());
            }
            slot[..=length].copy_from_slice(&rest[..=length]);
            if slot[1..=length]
                .iter()
                .any(|entry| entry >> self.shift >= self.topics)
            {
                return Err(of_other_documents());
            }
            rest = &rest[length + 1..];
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(of_other_documents())
        }
    }

    #[inline]
    fn count_max(&self) -> u32 {
        (1 << self.shift) - 1
    }
}

fn of_other_documents() -> Error {
    Error::Other("the checkpoint is of other documents".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;
    use std::collections::BTreeMap;

    fn against_a_map(lengths: Vec<u32>, topics: u32, steps: usize) {
        let mut rng = Rng::stream(9, 0, 0, u64::from(topics));
        let mut documents = Documents::new(lengths.clone(), topics).unwrap();
        let mut truth: Vec<BTreeMap<u32, u32>> = vec![BTreeMap::new(); lengths.len()];
        let mut tokens: Vec<Vec<u32>> = vec![vec![]; lengths.len()];
        let (q, mut sums) = (vec![1.0; topics as usize], vec![]);
        for _ in 0..steps {
            let d = rng.below(lengths.len() as u64) as usize;
            let handle = documents.handle(d);
            if tokens[d].len() == lengths[d] as usize {
                let at = rng.below(tokens[d].len() as u64) as usize;
                let topic = tokens[d].swap_remove(at);
                let (_, place) = documents.weigh(handle, topic, &q, &mut sums);
                documents.take(handle, place);
                *truth[d].get_mut(&topic).unwrap() -= 1;
                truth[d].retain(|_, count| *count > 0);
            } else {
                // Few topics, from both ends, so that counts grow.
                let topic = [0, 1, topics - 1][rng.below(3) as usize].min(topics - 1);
                tokens[d].push(topic);
                documents.add(handle, topic);
                *truth[d].entry(topic).or_default() += 1;
            }
        }
        let mut pairs = vec![];
        for (d, truth) in truth.iter().enumerate() {
            documents.counts(d, &mut pairs);
            assert_eq!(
                pairs,
                truth.iter().map(|(k, n)| (*k, *n)).collect::<Vec<_>>()
            );
            assert_eq!(documents.length(d), lengths[d]);
        }
    }

    #[test]
    fn counts_are_those_of_a_map() {
        against_a_map(vec![3, 50, 1, 400], 100, 5000);
        against_a_map(vec![7, 9], 1, 500);
        against_a_map(vec![5, 64], 2, 500);
        against_a_map(vec![30], 65_537, 1000);
    }

    #[test]
    fn a_count_beyond_an_entry_takes_two_entries() {
        against_a_map(vec![30_000, 5], TOPICS_MAX, 200_000);
    }

    #[test]
    fn entries_come_back_and_those_of_other_documents_are_refused() {
        let mut a = Documents::new(vec![3, 0, 2], 10).unwrap();
        [7, 2, 7]
            .iter()
            .for_each(|&topic| a.add(a.handle(0), topic));
        a.add(a.handle(2), 9);
        let all = a.entries_in_order();
        let mut b = Documents::new(vec![3, 0, 2], 10).unwrap();
        b.set_entries(&all).unwrap();
        assert_eq!(b.arena, a.arena);
        assert!(b.set_entries(&all[1..]).is_err());
        assert!(b.set_entries(&[&all[..], &[0]].concat()).is_err());
        assert!(b.set_entries(&[4, 1, 1, 1, 1, 0, 0]).is_err());
        assert!(b.set_entries(&[1, 10 << 28 | 1, 0, 0]).is_err());
        assert!(b.set_entries(&[]).is_err());
    }
}
