//! Loops compiled for each kind of processor, and the choice among them.
#![allow(unsafe_code)]

use super::lanes::{Lanes, Portable};

/// What a processor has that loops can be compiled for. Only what was found can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// Nothing in particular.
    Portable,
}

/// Loops over [`Lanes`], to be compiled for each kind of processor.
pub(super) trait Loops {
    /// What they give.
    type Output;

    /// Runs them. Mark it `#[inline(always)]`, and what it calls: only what is inlined is compiled
    /// for the processor.
    ///
    /// # Safety
    /// The processor has what `V` needs.
    unsafe fn run<V: Lanes>(self) -> Self::Output;
}

impl Processor {
    /// The best that this processor has.
    pub fn detect() -> Processor {
        Processor::all()[0]
    }

    /// All that this processor has, best first; the last one is plain Rust, which runs everywhere.
    pub fn all() -> Vec<Processor> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                all.push(Processor(Kind::Avx512));
            }
            if has!("avx2") && has!("fma") {
                all.push(Processor(Kind::Avx2));
            }
        }
        all.push(Processor(Kind::Portable));
        all
    }

    /// Calls `body`, compiled for this processor as far as the compiler inlines it: loops over
    /// slices then use its registers.
    #[inline]
    pub fn compiled<R>(self, body: impl FnOnce() -> R) -> R {
        self.run(Plain(body))
    }

    /// Adds products of registers `count` times: what the loops could do if nothing had to be read.
    /// For benchmarks; the sum is of no use but to have been computed.
    pub fn peak(self, count: usize) -> f32 {
        self.run(Peak(count))
    }

    /// Floating-point operations of [`Processor::peak`].
    pub fn peak_flops(self, count: usize) -> f64 {
        (2 * count * SUMS * super::LANES) as f64
    }

    pub(super) fn run<L: Loops>(self, loops: L) -> L::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` has found these features.
            Kind::Avx512 => unsafe { avx512(loops) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` has found these features.
            Kind::Avx2 => unsafe { avx2(loops) },
            // SAFETY: plain Rust needs nothing of the processor.
            _ => unsafe { loops.run::<Portable>() },
        }
    }
}

/// # Safety
/// The processor has the features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn avx512<L: Loops>(loops: L) -> L::Output {
    // SAFETY: the caller's contract.
    unsafe { loops.run::<super::lanes::x86::Avx512>() }
}

/// # Safety
/// The processor has the features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<L: Loops>(loops: L) -> L::Output {
    // SAFETY: the caller's contract.
    unsafe { loops.run::<super::lanes::x86::Avx2>() }
}

struct Plain<F>(F);

impl<R, F: FnOnce() -> R> Loops for Plain<F> {
    type Output = R;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> R {
        (self.0)()
    }
}

/// Sums that do not wait for each other.
const SUMS: usize = 12;

struct Peak(usize);

impl Loops for Peak {
    type Output = f32;

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> f32 {
        let ones = [1.0f32; 2];
        let mut out = super::Floats::zeros(super::LANES);
        // SAFETY: the processor is the caller's word; one float is read, sixteen aligned ones written.
        unsafe {
            let mut sums = [V::zero(); SUMS];
            let (left, right) = (V::splat(ones.as_ptr()), V::splat(ones[1..].as_ptr()));
            for _ in 0..self.0 {
                for sum in &mut sums {
                    *sum = sum.add_product(left, right);
                }
            }
            let sum = sums.into_iter().reduce(|a, b| a.plus(b));
            sum.unwrap_or(left).store(out.as_mut_ptr());
        }
        out[0]
    }
}
