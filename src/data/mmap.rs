//! Files mapped into memory: the only unsafe code of this floor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;

/// Bytes of a page, or a multiple of them.
const PAGE_BYTES: usize = 64 << 10;

/// The bytes of a file, read-only, paged in by the system as they are touched.
///
/// The bytes are what the file holds while it is mapped. Who shortens the file during a run takes
/// its pages away and the system ends the process with SIGBUS; every tool that maps has this limit.
/// petuum itself never changes a file in place: what it writes replaces files by rename.
#[derive(Debug)]
pub(super) struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Maps the whole of a regular file that is not empty.
    ///
    /// # Errors
    /// What the system says when it cannot map.
    pub(super) fn of(file: &File) -> io::Result<Mapping> {
        // SAFETY: the map is private to this value and read-only, and it outlives every slice lent
        // from it. What is left to the user (see the type) is not to shorten or rewrite the file
        // in place during the run; all readers check each value they take from the bytes, so
        // bytes that change under them give wrong numbers or an error, never a wild access.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Mapping(map))
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Says that a part will not be used for a while: what lies in it wholly leaves the process's
    /// memory until it is touched again.
    pub(super) fn release(&self, part: Range<usize>) {
        let start = part.start.next_multiple_of(PAGE_BYTES);
        let end = part.end.min(self.0.len()) / PAGE_BYTES * PAGE_BYTES;
        if start < end {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the map is read-only and backed by the file, so that pages which are let go
            // are read from the file again, with the bytes that they had.
            let _ = unsafe { self.0.unchecked_advise_range(advice, start, end - start) };
        }
    }

    /// Says that a part will be used soon.
    pub(super) fn expect(&self, part: Range<usize>) {
        let end = part.end.min(self.0.len());
        if part.start < end {
            let advice = memmap2::Advice::WillNeed;
            let start = part.start / PAGE_BYTES * PAGE_BYTES;
            // Advice that is not taken changes nothing.
            let _ = self.0.advise_range(advice, start, end - start);
        }
    }
}
