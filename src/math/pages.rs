//! Large memory in large pages.
//!
//! A random read of a table beyond the reach of the address cache costs two misses, one of them for
//! the page; and fresh memory costs a fault per page. Pages of 2 MiB instead of 4 KiB save both.
//! Systems that give them out unasked, or never, ignore the wish.
#![allow(unsafe_code)]

/// Less memory than this, in bytes, is not worth the wish.
const BYTES_MIN: usize = 4 << 20;
/// The system's pages, in bytes; a multiple of them on systems with smaller ones.
const PAGE_BYTES: usize = 4096;

/// Wishes for large pages under `memory`, which need not be initialised. Its content stays.
pub fn prefer_large<T>(memory: &[T]) {
    if size_of_val(memory) >= BYTES_MIN {
        let start = memory.as_ptr() as usize;
        let first = start.next_multiple_of(PAGE_BYTES);
        let end = (start + size_of_val(memory)) / PAGE_BYTES * PAGE_BYTES;
        advise(first, end - first);
    }
}

/// The same for all that `memory` has reserved, if that is no longer where it was `before`.
pub fn prefer_large_after<T>(memory: &mut Vec<T>, before: usize) {
    if memory.capacity() != before && memory.capacity() * size_of::<T>() >= BYTES_MIN {
        prefer_large(memory);
        prefer_large(memory.spare_capacity_mut());
    }
}

#[cfg(target_os = "linux")]
fn advise(start: usize, bytes: usize) {
    // SAFETY: this advice is about how memory is backed and never about what is in it, so it is
    // sound for any range of addresses; one that is not mapped is refused. A refusal (a kernel
    // without large pages) is no harm and not looked at.
    unsafe {
        libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_start: usize, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_keeps_its_content_whatever_its_pages() {
        let mut memory: Vec<u64> = (0..1 << 20).collect();
        prefer_large(&memory);
        let before = memory.capacity();
        memory.resize(3 << 20, 7);
        prefer_large_after(&mut memory, before);
        prefer_large(&memory[5..9]);
        assert!((0..1 << 20).eq(memory[..1 << 20].iter().copied()));
        assert!(memory[1 << 20..].iter().all(|number| *number == 7));
    }
}
