//! Products of pairs of 16-bit floats by instructions made for them.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps,
    _mm512_permutexvar_epi16, _mm512_storeu_ps,
};
use std::mem::transmute;

use super::LANES;
use super::lanes::x86::Avx512;
use super::lanes::{Lanes, Pairing};

/// AVX-512 with BF16.
#[derive(Clone, Copy)]
pub(super) struct Avx512Bf16(Avx512);

/// Which of 32 halves, the first sixteen of one register and then those of another, come after each
/// other so that they pair.
static PAIRED: [u16; 2 * LANES] = {
    let mut order = [0; 2 * LANES];
    let mut at = 0;
    while at < 2 * LANES {
        order[at] = (at / 2 + at % 2 * LANES) as u16;
        at += 1;
    }
    order
};

impl Pairing for Avx512Bf16 {
    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn interleave(one: *const f32, two: *const f32, to: *mut f32) {
        // SAFETY: the trait's contract; all of these types are 64 bytes without meaning of their own.
        unsafe {
            let halves = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(two), _mm512_loadu_ps(one));
            let order = transmute::<[u16; 2 * LANES], __m512i>(PAIRED);
            let pairs = _mm512_permutexvar_epi16(order, transmute::<__m512bh, __m512i>(halves));
            _mm512_storeu_ps(to, transmute::<__m512i, __m512>(pairs));
        }
    }

    #[inline(always)]
    unsafe fn narrow(from: *const f32, to: *mut f32) {
        // SAFETY: the trait's contract; both types are 64 bytes without meaning of their own.
        unsafe {
            let (one, two) = (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(LANES)));
            let halves = _mm512_cvtne2ps_pbh(two, one);
            _mm512_storeu_ps(to, transmute::<__m512bh, __m512>(halves));
        }
    }
}

// SAFETY of all functions: the trait's contract is the caller's, and more than that of `Avx512`.
impl Lanes for Avx512Bf16 {
    const ROWS: usize = Avx512::ROWS;
    const COLUMNS: usize = Avx512::COLUMNS;

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the trait's contract.
        Avx512Bf16(unsafe { Avx512::zero() })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's contract.
        Avx512Bf16(unsafe { Avx512::load(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's contract.
        unsafe { self.0.store(to) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the trait's contract.
        Avx512Bf16(unsafe { Avx512::splat(from) })
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: the trait's contract.
        Avx512Bf16(unsafe { self.0.plus(other.0) })
    }

    #[inline(always)]
    unsafe fn add_product(self, left: Self, right: Self) -> Self {
        // SAFETY: the processor has AVX-512 BF16, by the trait's contract; all types are 64 bytes.
        unsafe {
            let pairs = |of: Avx512| transmute::<__m512, __m512bh>(of.0);
            Avx512Bf16(Avx512(_mm512_dpbf16_ps(
                self.0.0,
                pairs(left.0),
                pairs(right.0),
            )))
        }
    }

    #[inline(always)]
    unsafe fn transpose(block: [Self; LANES]) -> [Self; LANES] {
        // SAFETY: the trait's contract.
        unsafe { Avx512::transpose(block.map(|row| row.0)).map(Avx512Bf16) }
    }

    #[inline(always)]
    fn prefetch(at: *const f32) {
        Avx512::prefetch(at);
    }

    #[inline(always)]
    unsafe fn firsts(self) -> Self {
        // SAFETY: the trait's contract.
        Avx512Bf16(unsafe { self.0.firsts() })
    }

    #[inline(always)]
    unsafe fn seconds(self) -> Self {
        // SAFETY: the trait's contract.
        Avx512Bf16(unsafe { self.0.seconds() })
    }
}
