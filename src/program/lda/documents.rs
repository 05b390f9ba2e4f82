//! Documents: how many tokens of each has which topic, n_dk.
//!
//! Where there are few topics a document is a row of counts, one for each; where there are many it
//! is a list of those that occur. A document is named by the place where it begins, its [`Handle`].
//! Both forms go into checkpoints as lists of entries, topic in the high bits and count in the low
//! ones.

use super::entries::{self, Entries};
use crate::error::{Error, Result};
use crate::math::sixteen::{Count, Rows, Width};
#[cfg(test)]
use crate::math::sixteen::{Kernel, Processor, Simd};

/// Where a document begins.
pub(super) type Handle = u32;

/// The most topics that entries have room for.
pub(super) const TOPICS_MAX: u32 = 1 << 20;

/// In which form counts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One count for each topic, in as many bytes as the document's length needs.
    Dense,
    /// A list of those that are not 0.
    Sparse,
}

/// The counts themselves.
#[derive(Debug)]
pub(super) enum Counts {
    /// See [`Form::Dense`].
    Dense(Rows),
    /// See [`Form::Sparse`].
    Sparse(Entries),
}

/// The documents of one worker and their topic counts.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) counts: Counts,
    /// Where each document begins; of sparse ones also where the last one ends.
    starts: Vec<Handle>,
    /// Tokens of each document.
    lengths: Vec<u32>,
    topics: u32,
}

impl Documents {
    /// Documents of these lengths, no token assigned, for `topics` ≤ [`TOPICS_MAX`] topics.
    pub(super) fn new(lengths: Vec<u32>, topics: u32, form: Form) -> Result<Documents> {
        let (counts, starts) = match form {
            Form::Sparse => {
                let (entries, starts) = Entries::new(&lengths, topics)?;
                (Counts::Sparse(entries), starts)
            }
            Form::Dense => {
                let mut rows = Rows::new(topics as usize);
                let starts: Option<Vec<u32>> = lengths.iter().map(|&n| rows.push(n)).collect();
                rows.finish();
                (Counts::Dense(rows), starts.ok_or_else(too_many)?)
            }
        };
        Ok(Documents {
            counts,
            starts,
            lengths,
            topics,
        })
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

    /// The document's (topic, count) pairs, topics ascending and each once, into `pairs`.
    pub(super) fn counts(&self, document: usize, pairs: &mut Vec<(u32, u32)>) {
        pairs.clear();
        let handle = self.starts[document];
        match &self.counts {
            Counts::Dense(rows) => read(rows, handle, pairs),
            Counts::Sparse(entries) => {
                let pair = |&e: &u32| (entries.topic(e) as u32, entries.times(e));
                pairs.extend(entries.of(handle).iter().map(pair));
                pairs.sort_unstable();
                pairs.dedup_by(|from, into| {
                    let same = from.0 == into.0;
                    into.1 += if same { from.1 } else { 0 };
                    same
                });
            }
        }
    }

    /// All documents one after the other: the number of entries, then the entries in their order.
    /// A checkpoint keeps the order, because it decides which topic a random number means.
    pub(super) fn entries_in_order(&self) -> Vec<u32> {
        let (mut all, mut pairs) = (vec![], vec![]);
        for document in 0..self.count() {
            let start = all.len();
            all.push(0);
            match &self.counts {
                Counts::Sparse(entries) => {
                    all.extend_from_slice(entries.of(self.starts[document]));
                }
                Counts::Dense(_) => {
                    self.counts(document, &mut pairs);
                    pairs.iter().for_each(|&pair| self.write(pair, &mut all));
                }
            }
            all[start] = (all.len() - start - 1) as u32;
        }
        all
    }

    /// Writes a count as entries: more than one where it is too large for one.
    fn write(&self, (topic, mut count): (u32, u32), all: &mut Vec<u32>) {
        let shift = entries::shift(self.topics);
        let most = (1 << shift) - 1;
        while count > 0 {
            let part = count.min(most);
            all.push(topic << shift | part);
            count -= part;
        }
    }

    /// Puts back what [`Documents::entries_in_order`] gave.
    pub(super) fn set_entries(&mut self, all: &[u32]) -> Result<()> {
        let mut rest = all;
        let shift = entries::shift(self.topics);
        for document in 0..self.count() {
            let length = rest.first().map_or(usize::MAX, |&length| length as usize);
            if length >= rest.len() {
                return Err(of_other_documents());
            }
            let own = &rest[1..=length];
            rest = &rest[length + 1..];
            let tokens: u64 = own.iter().map(|e| u64::from(e & ((1 << shift) - 1))).sum();
            let known = own.iter().all(|entry| entry >> shift < self.topics);
            if !known || tokens > u64::from(self.lengths[document]) {
                return Err(of_other_documents());
            }
            let handle = self.starts[document];
            match &mut self.counts {
                Counts::Sparse(entries) => {
                    let room = (self.starts[document + 1] - handle) as usize - 1;
                    if !entries.put(handle, room, own) {
                        return Err(of_other_documents());
                    }
                }
                Counts::Dense(rows) => write_row(rows, handle, shift, own),
            }
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(of_other_documents())
        }
    }

    /// Takes one token of `topic` out, or, with `by` 1, puts one in.
    #[cfg(test)]
    pub(super) fn change(&mut self, handle: Handle, topic: u32, by: i32) {
        struct Change<'a>(&'a mut Entries, Handle, u32, i32);
        impl Kernel for Change<'_> {
            type Output = ();
            fn run<S: Simd>(self, simd: S) {
                let Change(entries, handle, topic, by) = self;
                if by > 0 {
                    entries.add(simd, handle, topic);
                } else {
                    let at = entries.find(simd, handle, topic).expect("a token to take out");
                    entries.take(handle, at);
                }
            }
        }
        match &mut self.counts {
            Counts::Sparse(entries) => {
                Processor::detect().run(Change(entries, handle, topic, by));
            }
            Counts::Dense(rows) => {
                let (at, lane) = (topic as usize / 16, topic as usize % 16);
                match Rows::width(handle) {
                    Width::One => bump(&mut rows.row_mut::<u8>(handle)[at][lane], by),
                    Width::Two => bump(&mut rows.row_mut::<u16>(handle)[at][lane], by),
                    Width::Four => bump(&mut rows.row_mut::<u32>(handle)[at][lane], by),
                }
            }
        }
    }
}

#[cfg(test)]
fn bump<C: Count>(count: &mut C, by: i32) {
    *count = C::new(count.get().checked_add_signed(by).expect("a count"));
}

fn read(rows: &Rows, handle: Handle, pairs: &mut Vec<(u32, u32)>) {
    fn some<C: Count>(row: &[[C; 16]], pairs: &mut Vec<(u32, u32)>) {
        for (vector, counts) in row.iter().enumerate() {
            // Most have none where there are many topics.
            if counts.iter().fold(0, |any, count| any | count.get()) != 0 {
                let first = (vector * counts.len()) as u32;
                let counts = counts.iter().map(|count| count.get());
                pairs.extend((first..).zip(counts).filter(|&(_, count)| count > 0));
            }
        }
    }
    match Rows::width(handle) {
        Width::One => some(rows.row::<u8>(handle), pairs),
        Width::Two => some(rows.row::<u16>(handle), pairs),
        Width::Four => some(rows.row::<u32>(handle), pairs),
    }
}

fn write_row(rows: &mut Rows, handle: Handle, shift: u32, entries: &[u32]) {
    fn all<C: Count>(row: &mut [[C; 16]], shift: u32, entries: &[u32]) {
        let row = row.as_flattened_mut();
        row.fill(C::default());
        for entry in entries {
            let count = &mut row[(entry >> shift) as usize];
            *count = C::new(count.get() + (entry & ((1 << shift) - 1)));
        }
    }
    match Rows::width(handle) {
        Width::One => all(rows.row_mut::<u8>(handle), shift, entries),
        Width::Two => all(rows.row_mut::<u16>(handle), shift, entries),
        Width::Four => all(rows.row_mut::<u32>(handle), shift, entries),
    }
}

fn too_many() -> Error {
    Error::Usage(
        "--workers: one worker's documents take more than 64 GiB; use more workers".into(),
    )
}

fn of_other_documents() -> Error {
    Error::Other("the checkpoint is of other documents".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;
    use std::collections::BTreeMap;

    fn against_a_map(lengths: Vec<u32>, topics: u32, steps: usize, form: Form) {
        let mut rng = Rng::stream(9, 0, 0, u64::from(topics));
        let mut documents = Documents::new(lengths.clone(), topics, form).unwrap();
        let mut truth: Vec<BTreeMap<u32, u32>> = vec![BTreeMap::new(); lengths.len()];
        let mut tokens: Vec<Vec<u32>> = vec![vec![]; lengths.len()];
        for _ in 0..steps {
            let d = rng.below(lengths.len() as u64) as usize;
            let handle = documents.handle(d);
            if tokens[d].len() == lengths[d] as usize {
                let at = rng.below(tokens[d].len() as u64) as usize;
                let topic = tokens[d].swap_remove(at);
                documents.change(handle, topic, -1);
                *truth[d].get_mut(&topic).unwrap() -= 1;
                truth[d].retain(|_, count| *count > 0);
            } else {
                // Few topics, from both ends, so that counts grow.
                let topic = [0, 1, topics - 1][rng.below(3) as usize].min(topics - 1);
                tokens[d].push(topic);
                documents.change(handle, topic, 1);
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
        for form in [Form::Sparse, Form::Dense] {
            against_a_map(vec![3, 50, 1, 400], 100, 5000, form);
            against_a_map(vec![7, 9], 1, 500, form);
            against_a_map(vec![5, 64], 2, 500, form);
            against_a_map(vec![30], 65_537, 1000, form);
            against_a_map(vec![300, 255, 256, 70_000], 17, 200_000, form);
        }
    }

    #[test]
    fn a_count_beyond_an_entry_takes_two_entries() {
        against_a_map(vec![30_000, 5], TOPICS_MAX, 200_000, Form::Sparse);
    }

    #[test]
    fn entries_come_back_and_those_of_other_documents_are_refused() {
        for form in [Form::Sparse, Form::Dense] {
            let mut a = Documents::new(vec![3, 0, 2], 10, form).unwrap();
            let (first, last) = (a.handle(0), a.handle(2));
            [7, 2, 7].iter().for_each(|&topic| a.change(first, topic, 1));
            a.change(last, 9, 1);
            let all = a.entries_in_order();
            let mut b = Documents::new(vec![3, 0, 2], 10, form).unwrap();
            b.set_entries(&all).unwrap();
            assert_eq!(b.entries_in_order(), all);
            assert!(b.set_entries(&all[1..]).is_err());
            assert!(b.set_entries(&[&all[..], &[0]].concat()).is_err());
            assert!(b.set_entries(&[4, 1, 1, 1, 1, 0, 0]).is_err());
            assert!(b.set_entries(&[1, 10 << 28 | 1, 0, 0]).is_err());
            assert!(b.set_entries(&[1, 4, 0, 0]).is_err());
            assert!(b.set_entries(&[]).is_err());
        }
    }
}
