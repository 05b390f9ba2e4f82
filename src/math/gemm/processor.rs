//! Loops compiled for each kind of processor, and the choice among them.
#![allow(unsafe_code)]

use super::lanes::{Halves, Lanes, Pairing, Portable};

/// What a processor has that loops can be compiled for. Only what was found can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// AVX-512 (F, BW, DQ, VL) and products of 16-bit floats (BF16).
    Avx512Bf16,
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

/// The same over [`Pairing`].
pub(super) trait PairLoops {
    /// Runs them. Mark it `#[inline(always)]`, and what it calls.
    ///
    /// # Safety
    /// The processor has what `V` needs.
    unsafe fn run<V: Pairing>(self);
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
                if has!("avx512bf16") {
                    all.push(Processor(Kind::Avx512Bf16));
                }
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

    /// True if it has instructions for products of 16-bit floats.
    pub fn has_bf16(self) -> bool {
        self.0 == Kind::Avx512Bf16
    }

    /// Adds products of registers `count` times: what the loops could do if nothing had to be read.
    /// For benchmarks; the sum is of no use but to have been computed.
    pub fn peak(self, count: usize) -> f32 {
        self.run(Peak(count))
    }

    /// The same with pairs of 16-bit floats: twice the operations, where instructions exist.
    pub fn peak_of_pairs(self, count: usize) {
        self.run_pairs(Peak(count));
    }

    /// Floating-point operations of [`Processor::peak`].
    pub fn peak_flops(self, count: usize) -> f64 {
        (2 * count * SUMS * super::LANES) as f64
    }

    pub(super) fn run_pairs<L: PairLoops>(self, loops: L) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` has found these features.
            Kind::Avx512Bf16 => unsafe { bf16_pairs(loops) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` has found these features.
            Kind::Avx512 => unsafe { avx512_pairs(loops) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` has found these features.
            Kind::Avx2 => unsafe { avx2_pairs(loops) },
            // SAFETY: plain Rust needs nothing of the processor.
            _ => unsafe { loops.run::<Halves<Portable>>() },
        }
    }

    pub(super) fn run<L: Loops>(self, loops: L) -> L::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` has found these features.
            Kind::Avx512 | Kind::Avx512Bf16 => unsafe { avx512(loops) },
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn bf16_pairs<L: PairLoops>(loops: L) {
    // SAFETY: the caller's contract.
    unsafe { loops.run::<super::dot::Avx512Bf16>() }
}

/// # Safety
/// The processor has the features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn avx512_pairs<L: PairLoops>(loops: L) {
    // SAFETY: the caller's contract.
    unsafe { loops.run::<Halves<super::lanes::x86::Avx512>>() }
}

/// # Safety
/// The processor has the features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_pairs<L: PairLoops>(loops: L) {
    // SAFETY: the caller's contract.
    unsafe { loops.run::<Halves<super::lanes::x86::Avx2>>() }
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

#[cfg(test)]
impl Processor {
    /// Pairs neighbours of 32 floats, and the first sixteen with the others.
    pub(super) fn pair(self, values: &[f32; 32], narrow: &mut [f32], interleaved: &mut [f32]) {
        self.run_pairs(Pair(values, narrow, interleaved));
    }
}

#[cfg(test)]
struct Pair<'a>(&'a [f32; 32], &'a mut [f32], &'a mut [f32]);

#[cfg(test)]
impl PairLoops for Pair<'_> {
    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Pairing>(self) {
        let (first, second) = self.0.split_at(16);
        // SAFETY: sixteen floats each are read or, in the caller's memory, written.
        unsafe {
            V::narrow(self.0.as_ptr(), self.1[..16].as_mut_ptr());
            V::interleave(first.as_ptr(), second.as_ptr(), self.2[..16].as_mut_ptr());
        }
    }
}

/// Sums that do not wait for each other.
const SUMS: usize = 12;

struct Peak(usize);

impl PairLoops for Peak {
    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Pairing>(self) {
        // SAFETY: the trait's contract.
        std::hint::black_box(unsafe { <Peak as Loops>::run::<V>(self) });
    }
}

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
