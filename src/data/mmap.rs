//! Files mapped into memory: the only unsafe code of this floor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

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
}
