//! A word to the cache about what will be read soon.
#![allow(unsafe_code)]

/// Asks for the cache line of `slice[index]` without waiting for it; beyond the end, for nothing.
///
/// An ordinary load in its place holds up the processor's reorder buffer until the line is there.
/// Measured on LDA's document counts (imdb, K = 100, 32 MB met at random, one worker): 8 million
/// tokens a second with no request, 9 with a load, 12 with this.
#[inline]
pub fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = slice.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction changes no state a program can see and never faults, whatever
        // the address; this one is even of a live element. SSE is part of x86_64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}
