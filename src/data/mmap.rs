//! Files mapped into memory: the only unsafe code of this floor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::UncheckedAdvice;

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

    /// Says that these bytes were read and will hardly be read again, so that they do not count as
    /// memory of this process; who reads them nevertheless gets them again.
    pub(super) fn release(&self, range: Range<usize>) {
        // SAFETY: the map is read-only and of a file, so a page that was given back, also one that
        // somebody else still reads, is read from the file again; no byte changes under any slice.
        let advised = unsafe {
            let (start, length) = (range.start, range.len());
            self.0
                .unchecked_advise_range(UncheckedAdvice::DontNeed, start, length)
        };
        // That it fails costs memory, nothing else.
        advised.unwrap_or_default();
    }
}
