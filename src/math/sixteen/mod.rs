//! Sixteen numbers at a time: what draws from many weights need of a processor.
//!
//! Code that is generic over [`Simd`] is written once, safely, and compiled twice: for AVX-512 and
//! in plain Rust. A `Simd` value is the proof that the processor has what its functions use; only
//! [`Processor::run`] makes one. Both kinds add in the same order and never fuse a product and a
//! sum, so they give the same bits: a run draws the same numbers on every machine.
//!
//! | file | what |
//! |---|---|
//! | `portable.rs` | plain Rust |
//! | `avx512.rs` | AVX-512 (F, BW, DQ, VL) |
//! | `rows.rs` | rows of small counts |
//! | `sums.rs` | a distribution whose weights change |
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod rows;
mod sums;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

pub use rows::{Rows, Width};
pub use sums::{Sums, pick};

/// Numbers in a [`Line`].
pub const LANES: usize = 16;

/// Sixteen floats in one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C, align(64))]
pub struct Line(pub [f32; LANES]);

/// Floats by lines; as a slice they are floats one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Floats(Vec<Line>);

impl Floats {
    /// At least `length` zeros: whole lines.
    pub fn zeros(length: usize) -> Floats {
        Floats(vec![Line::default(); length.div_ceil(LANES)])
    }

    /// The lines.
    #[inline(always)]
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// The lines.
    #[inline(always)]
    pub fn lines_mut(&mut self) -> &mut [Line] {
        &mut self.0
    }

    /// Grows to `lines` lines at least.
    #[inline(always)]
    pub fn reserve_lines(&mut self, lines: usize) {
        if self.0.len() < lines {
            self.0.resize(lines, Line::default());
        }
    }
}

impl Deref for Floats {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats and nothing else, and lines lie one after the other.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }
}

impl DerefMut for Floats {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above; the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

mod sealed {
    /// What can be read from any bytes.
    pub trait Plain {}
    impl Plain for u8 {}
    impl Plain for u16 {}
    impl Plain for u32 {}
}

/// An unsigned count that can stand in rows of sixteen.
pub trait Count: sealed::Plain + Copy + Default + Debug + 'static {
    /// The largest count.
    const MAX: u32;
    /// As a number.
    fn get(self) -> u32;
    /// From a number up to [`Count::MAX`].
    fn new(count: u32) -> Self;
    /// Sixteen counts as floats.
    fn floats<S: Simd>(simd: S, counts: &[Self; LANES]) -> S::Floats;
    /// Adds `by` to one of sixteen counts, wrapping around, as one read and one write of them all.
    fn add<S: Simd>(simd: S, counts: &mut [Self; LANES], lane: usize, by: i32);
}

macro_rules! count {
    ($type:ty, $floats:ident, $add:ident) => {
        impl Count for $type {
            const MAX: u32 = <$type>::MAX as u32;
            #[inline(always)]
            fn get(self) -> u32 {
                u32::from(self)
            }
            #[inline(always)]
            fn new(count: u32) -> Self {
                count as $type
            }
            #[inline(always)]
            fn floats<S: Simd>(simd: S, counts: &[Self; LANES]) -> S::Floats {
                simd.$floats(counts)
            }
            #[inline(always)]
            fn add<S: Simd>(simd: S, counts: &mut [Self; LANES], lane: usize, by: i32) {
                simd.$add(counts, lane, by)
            }
        }
    };
}

count!(u8, floats_of_u8, add_to_u8);
count!(u16, floats_of_u16, add_to_u16);
count!(u32, floats_of_u32, add_to_u32);

/// What a processor does with sixteen numbers. Masks have bit i for lane i.
///
/// All functions are `#[inline(always)]`, and what uses them must be: only what is inlined into
/// [`Processor::run`] is compiled for the processor.
pub trait Simd: Copy {
    /// Sixteen floats in registers.
    type Floats: Copy;

    /// One float, sixteen times.
    fn splat(self, value: f32) -> Self::Floats;
    /// Reads a line.
    fn load(self, line: &Line) -> Self::Floats;
    /// Writes a line.
    fn store(self, value: Self::Floats, line: &mut Line);
    /// Sums.
    fn add(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    /// Products.
    fn mul(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    /// Counts as floats.
    fn floats_of_u8(self, counts: &[u8; LANES]) -> Self::Floats;
    /// Counts as floats.
    fn floats_of_u16(self, counts: &[u16; LANES]) -> Self::Floats;
    /// Counts as floats.
    fn floats_of_u32(self, counts: &[u32; LANES]) -> Self::Floats;
    /// Adds to one of sixteen counts. See [`Count::add`].
    fn add_to_u8(self, counts: &mut [u8; LANES], lane: usize, by: i32);
    /// Adds to one of sixteen counts. See [`Count::add`].
    fn add_to_u16(self, counts: &mut [u16; LANES], lane: usize, by: i32);
    /// Adds to one of sixteen counts. See [`Count::add`].
    fn add_to_u32(self, counts: &mut [u32; LANES], lane: usize, by: i32);
    /// Each lane's sum of itself and all lanes before it: four rounds of sums, of lanes 1, 2, 4 and
    /// 8 apart.
    fn prefix(self, value: Self::Floats) -> Self::Floats;
    /// One lane.
    fn lane(self, value: Self::Floats, lane: usize) -> f32;
    /// The lanes that are at most `bound`.
    fn at_most(self, value: Self::Floats, bound: f32) -> u32;
    /// One lane replaced.
    fn put(self, value: Self::Floats, lane: usize, by: f32) -> Self::Floats;
    /// Up to sixteen entries of a sparse row, `key << shift | count`: count · `weights[key]` in
    /// each lane, 0 in lanes beyond; with one less in the lanes of the mask `less`.
    ///
    /// # Panics
    /// If `weights` has not a weight for every key that `32 - shift` bits can name.
    fn products(self, entries: &[u32], shift: u32, weights: &[f32], less: u32) -> Self::Floats;
    /// The counts of up to sixteen entries, 0 in lanes beyond; one less in the lanes of `less`.
    fn counts(self, entries: &[u32], shift: u32, less: u32) -> Self::Floats;
    /// The lanes of up to sixteen entries whose key is `key`.
    fn find(self, entries: &[u32], shift: u32, key: u32) -> u32;
}

/// Something to do with the processor's registers.
pub trait Kernel {
    /// What it gives.
    type Output;
    /// Does it. Mark it `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A kind of processor. Only what was found can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    Portable,
}

impl Processor {
    /// The best that this processor has.
    pub fn detect() -> Processor {
        #[cfg(target_arch = "x86_64")]
        if let Some(found) = avx512::Avx512::detect() {
            return Processor(Kind::Avx512(found));
        }
        Processor::portable()
    }

    /// Plain Rust.
    pub fn portable() -> Processor {
        Processor(Kind::Portable)
    }

    /// Runs a kernel, compiled for this processor.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(found) => found.run(kernel),
            Kind::Portable => kernel.run(portable::Portable),
        }
    }
}
