//! Sixteen numbers in a register of AVX-512.

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::{
    __m512, __m512i, _CMP_LE_OQ, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_mask_add_epi8,
    _mm_set1_epi8, _mm_storeu_si128, _mm256_loadu_si256, _mm256_mask_add_epi16, _mm256_set1_epi16,
    _mm256_storeu_si256, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512,
    _mm512_castsi128_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_cvtepu16_epi32, _mm512_cvtepu32_ps, _mm512_cvtss_f32,
    _mm512_i32gather_ps, _mm512_load_ps, _mm512_loadu_si512, _mm512_mask_add_epi32,
    _mm512_mask_cmpeq_epi32_mask, _mm512_mask_mov_ps, _mm512_mask_sub_epi32,
    _mm512_maskz_alignr_epi32, _mm512_maskz_loadu_epi32, _mm512_mul_ps, _mm512_permutexvar_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_srl_epi32, _mm512_store_ps, _mm512_storeu_si512,
};

use super::{Kernel, LANES, Line, Simd};

/// The proof that the processor has AVX-512 F, BW, DQ and VL: only [`Avx512::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Avx512> {
        let has_all = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        has_all.then_some(Avx512(()))
    }

    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: `self` proves the features.
        unsafe { compiled(self, kernel) }
    }
}

/// # Safety
/// The processor has the features, as `simd` proves.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn compiled<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}

/// The lanes of up to sixteen entries.
#[inline(always)]
fn lanes_of(entries: &[u32]) -> u16 {
    ((1u32 << entries.len().min(LANES)) - 1) as u16
}

/// Up to sixteen entries, then zeros.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn entries_in(entries: &[u32]) -> __m512i {
    // SAFETY: only lanes of the mask are read, and those are entries.
    unsafe { _mm512_maskz_loadu_epi32(lanes_of(entries), entries.as_ptr().cast()) }
}

/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn keys(entries: __m512i, shift: u32) -> __m512i {
    // SAFETY: the caller's contract.
    unsafe { _mm512_srl_epi32(entries, _mm_cvtsi32_si128(shift as i32)) }
}

/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn counts_of(entries: __m512i, shift: u32, less: u32) -> __m512 {
    // SAFETY: the caller's contract.
    unsafe {
        let counts = _mm512_and_si512(entries, _mm512_set1_epi32((1 << shift) - 1));
        let counts = _mm512_mask_sub_epi32(counts, less as u16, counts, _mm512_set1_epi32(1));
        _mm512_cvtepi32_ps(counts)
    }
}

/// Lanes moved up by `$apart`, zeros below.
macro_rules! moved_up {
    ($value:expr, $apart:literal) => {
        _mm512_castsi512_ps(_mm512_maskz_alignr_epi32::<{ 16 - $apart }>(
            (0xFFFFu32 << $apart) as u16,
            _mm512_castps_si512($value),
            _mm512_castps_si512($value),
        ))
    };
}

impl Simd for Avx512 {
    type Floats = __m512;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, line: &Line) -> __m512 {
        // SAFETY: `self` proves AVX-512; a line is 64 readable bytes, 64-aligned.
        unsafe { _mm512_load_ps(line.0.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m512, line: &mut Line) {
        // SAFETY: `self` proves AVX-512; a line is 64 writable bytes, 64-aligned.
        unsafe { _mm512_store_ps(line.0.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn add(self, left: __m512, right: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_add_ps(left, right) }
    }

    #[inline(always)]
    fn mul(self, left: __m512, right: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_mul_ps(left, right) }
    }

    #[inline(always)]
    fn floats_of_u8(self, counts: &[u8; LANES]) -> __m512 {
        // SAFETY: `self` proves AVX-512; sixteen bytes are readable.
        unsafe {
            let counts = _mm_loadu_si128(counts.as_ptr().cast());
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(counts))
        }
    }

    #[inline(always)]
    fn floats_of_u16(self, counts: &[u16; LANES]) -> __m512 {
        // SAFETY: `self` proves AVX-512; 32 bytes are readable.
        unsafe {
            let counts = _mm256_loadu_si256(counts.as_ptr().cast());
            _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(counts))
        }
    }

    #[inline(always)]
    fn floats_of_u32(self, counts: &[u32; LANES]) -> __m512 {
        // SAFETY: `self` proves AVX-512; 64 bytes are readable.
        unsafe { _mm512_cvtepu32_ps(_mm512_loadu_si512(counts.as_ptr().cast())) }
    }

    #[inline(always)]
    fn add_to_u8(self, counts: &mut [u8; LANES], lane: usize, by: i32) {
        let lane = 1 << (lane % LANES);
        // SAFETY: `self` proves AVX-512 BW and VL; sixteen bytes are readable and writable.
        unsafe {
            let old = _mm_loadu_si128(counts.as_ptr().cast());
            let new = _mm_mask_add_epi8(old, lane, old, _mm_set1_epi8(by as i8));
            _mm_storeu_si128(counts.as_mut_ptr().cast(), new);
        }
    }

    #[inline(always)]
    fn add_to_u16(self, counts: &mut [u16; LANES], lane: usize, by: i32) {
        let lane = 1 << (lane % LANES);
        // SAFETY: `self` proves AVX-512 BW and VL; 32 bytes are readable and writable.
        unsafe {
            let old = _mm256_loadu_si256(counts.as_ptr().cast());
            let new = _mm256_mask_add_epi16(old, lane, old, _mm256_set1_epi16(by as i16));
            _mm256_storeu_si256(counts.as_mut_ptr().cast(), new);
        }
    }

    #[inline(always)]
    fn add_to_u32(self, counts: &mut [u32; LANES], lane: usize, by: i32) {
        let lane = 1 << (lane % LANES);
        // SAFETY: `self` proves AVX-512; 64 bytes are readable and writable.
        unsafe {
            let old = _mm512_loadu_si512(counts.as_ptr().cast());
            let new = _mm512_mask_add_epi32(old, lane, old, _mm512_set1_epi32(by));
            _mm512_storeu_si512(counts.as_mut_ptr().cast(), new);
        }
    }

    #[inline(always)]
    fn prefix(self, value: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let value = _mm512_add_ps(value, moved_up!(value, 1));
            let value = _mm512_add_ps(value, moved_up!(value, 2));
            let value = _mm512_add_ps(value, moved_up!(value, 4));
            _mm512_add_ps(value, moved_up!(value, 8))
        }
    }

    #[inline(always)]
    fn lane(self, value: __m512, lane: usize) -> f32 {
        // SAFETY: `self` proves AVX-512; only four bits of the lane are looked at.
        unsafe {
            let lane = _mm512_castsi128_si512(_mm_cvtsi32_si128(lane as i32));
            _mm512_cvtss_f32(_mm512_permutexvar_ps(lane, value))
        }
    }

    #[inline(always)]
    fn at_most(self, value: __m512, bound: f32) -> u32 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            u32::from(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(
                value,
                _mm512_set1_ps(bound),
            ))
        }
    }

    #[inline(always)]
    fn put(self, value: __m512, lane: usize, by: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_mask_mov_ps(value, 1 << (lane % LANES), _mm512_set1_ps(by)) }
    }

    #[inline(always)]
    fn products(self, entries: &[u32], shift: u32, weights: &[f32], less: u32) -> __m512 {
        assert!(weights.len() >> (32 - shift) > 0, "a weight for every key");
        // SAFETY: `self` proves AVX-512; keys have `32 - shift` bits, and there are as many weights
        // as such keys: every lane reads a weight.
        unsafe {
            let entries = entries_in(entries);
            let weights = _mm512_i32gather_ps::<4>(keys(entries, shift), weights.as_ptr());
            _mm512_mul_ps(counts_of(entries, shift, less), weights)
        }
    }

    #[inline(always)]
    fn counts(self, entries: &[u32], shift: u32, less: u32) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe { counts_of(entries_in(entries), shift, less) }
    }

    #[inline(always)]
    fn find(self, entries: &[u32], shift: u32, key: u32) -> u32 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let keys = keys(entries_in(entries), shift);
            let key = _mm512_set1_epi32(key as i32);
            u32::from(_mm512_mask_cmpeq_epi32_mask(lanes_of(entries), keys, key))
        }
    }
}
