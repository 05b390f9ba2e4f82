//! Sparse documents: how many tokens of each has which topic, n_dk, for the topics that occur.
//!
//! All documents lie in one array of `u32`. A document is the number of its entries, then the
//! entries, unsorted, topic in the high bits and count in the low ones. It never needs more entries
//! than it has tokens, nor more than there are topics; a sampler that meets it touches one cache
//! line or two. A document is named by the place where it begins.

use super::documents::Handle;
use crate::error::{Error, Result};
use crate::math::prefetch::prefetch;
use crate::math::sixteen::{LANES, Simd};

/// How many tokens ahead a document is asked for.
const AHEAD: usize = 16;

/// The sparse topic counts of documents.
#[derive(Debug)]
pub(super) struct Entries {
    arena: Vec<u32>,
    /// Bits of an entry that hold the count.
    shift: u32,
}

impl Entries {
    /// Room for documents of these lengths, no token assigned, for `topics` topics; and where each
    /// begins, with one place more at the end.
    pub(super) fn new(lengths: &[u32], topics: u32) -> Result<(Entries, Vec<Handle>)> {
        let shift = shift(topics);
        let (mut starts, mut end) = (vec![0], 0u64);
        for &length in lengths {
            // A count that does not fit an entry takes several entries of one topic.
            let fits = length < 1 << shift;
            let entries = if fits { length.min(topics) } else { length };
            end += 1 + u64::from(entries);
            let start = Handle::try_from(end).map_err(|_| {
                Error::Usage(
                    "--workers: one worker's documents take more than 16 GiB; use more workers"
                        .into(),
                )
            })?;
            starts.push(start);
        }
        let arena = vec![0; end as usize];
        crate::math::pages::prefer_large(&arena);
        Ok((Entries { arena, shift }, starts))
    }

    /// A document's entries.
    #[inline(always)]
    pub(super) fn of(&self, handle: Handle) -> &[u32] {
        let rest = &self.arena[handle as usize..];
        &rest[1..=rest[0] as usize]
    }

    /// Bits of an entry that hold the count; the rest hold the topic.
    #[inline(always)]
    pub(super) fn shift(&self) -> u32 {
        self.shift
    }

    /// Asks for where the document of `handles[at]` begins, because it is needed a little after
    /// [`AHEAD`] others, and for the rest of the one that is needed half as far ahead: how long that
    /// is stands at its beginning, which is there by now.
    #[inline(always)]
    pub(super) fn touch_ahead(&self, handles: &[Handle], at: usize) {
        if let Some(&later) = handles.get(at + AHEAD) {
            prefetch(&self.arena, later as usize);
        }
        if let Some(&soon) = handles.get(at + AHEAD / 2) {
            let entries = self.arena[soon as usize] as usize;
            let last = soon as usize + entries;
            let mut line = soon as usize + LANES;
            while line < last {
                prefetch(&self.arena, line);
                line += LANES;
            }
            prefetch(&self.arena, last);
        }
    }

    /// Where the first entry of `topic` is; None if there is none. All are looked at: where it is
    /// cannot be foreseen, and a wrong guess costs more than the rest.
    #[inline(always)]
    pub(super) fn find<S: Simd>(&self, simd: S, handle: Handle, topic: u32) -> Option<usize> {
        let of = self.of(handle);
        let mut place = usize::MAX;
        for vector in 0..of.len().div_ceil(LANES) {
            let found = simd.find(&of[vector * LANES..], self.shift, topic);
            let at = vector * LANES + found.trailing_zeros() as usize;
            place = if found != 0 { place.min(at) } else { place };
        }
        (place != usize::MAX).then_some(place)
    }

    /// Takes one token out of the entry at `out` and puts one into the entry at `into`, another one.
    #[inline(always)]
    pub(super) fn shift_token<S: Simd>(&mut self, simd: S, handle: Handle, out: usize, into: usize) {
        let mask = self.count_max();
        let last = self.of(handle).len() - 1;
        let is_gone = self.take(handle, out);
        let into = if is_gone & (into == last) { out } else { into };
        let entry = &mut self.arena[handle as usize + 1 + into];
        if *entry & mask < mask {
            *entry += 1;
        } else {
            let topic = *entry >> self.shift;
            self.add(simd, handle, topic);
        }
    }

    /// Takes one token out of the entry at `out`; true if it was its last, and the last entry took
    /// its place.
    #[inline(always)]
    pub(super) fn take(&mut self, handle: Handle, out: usize) -> bool {
        let mask = self.count_max();
        let rest = &mut self.arena[handle as usize..];
        let entries = rest[0];
        let (last, less) = (rest[entries as usize], rest[1 + out] - 1);
        let is_gone = less & mask == 0;
        rest[1 + out] = if is_gone { last } else { less };
        rest[0] = entries - u32::from(is_gone);
        is_gone
    }

    /// The topic of an entry.
    #[inline(always)]
    pub(super) fn topic(&self, entry: u32) -> usize {
        (entry >> self.shift) as usize
    }

    /// The count of an entry.
    #[inline(always)]
    pub(super) fn times(&self, entry: u32) -> u32 {
        entry & self.count_max()
    }

    /// Puts one token of `topic` in.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, simd: S, handle: Handle, topic: u32) {
        let (shift, mask) = (self.shift, self.count_max());
        let mut found = self.find(simd, handle, topic);
        let rest = &mut self.arena[handle as usize..];
        let entries = rest[0] as usize;
        if found.is_some_and(|at| rest[1 + at] & mask == mask) {
            // Full: another entry of the topic may have room.
            let has_room = |entry: &u32| *entry >> shift == topic && *entry & mask < mask;
            found = rest[1..=entries].iter().position(has_room);
        }
        match found {
            Some(at) => rest[1 + at] += 1,
            None => {
                rest[1 + entries] = topic << shift | 1;
                rest[0] += 1;
            }
        }
    }

    /// Puts entries in place of all that a document has, which has room for `room`. False if they
    /// are too many.
    pub(super) fn put(&mut self, handle: Handle, room: usize, entries: &[u32]) -> bool {
        if entries.len() > room {
            return false;
        }
        let rest = &mut self.arena[handle as usize..];
        rest[0] = entries.len() as u32;
        rest[1..=entries.len()].copy_from_slice(entries);
        true
    }

    #[inline(always)]
    fn count_max(&self) -> u32 {
        (1 << self.shift) - 1
    }
}

/// Bits that are left for counts where `topics` have numbers.
pub(super) fn shift(topics: u32) -> u32 {
    topics.max(2).next_power_of_two().leading_zeros() + 1
}
