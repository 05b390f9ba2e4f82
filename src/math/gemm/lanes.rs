//! Sixteen floats at a time, on the processors there are.
#![allow(unsafe_code)]

use super::LANES;

/// Sixteen 32-bit numbers in registers, and what products need of them.
///
/// # Safety
/// All functions must only be called where the processor has what the implementation needs, with
/// pointers to as many readable (or writable) floats as they touch.
pub(super) trait Lanes: Copy {
    /// Rows of a tile that fit into the registers beside `COLUMNS` of these.
    const ROWS: usize;
    /// Sixteens of columns of a tile.
    const COLUMNS: usize;

    /// Sixteen zeros.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn zero() -> Self;
    /// Sixteen floats, 64-aligned.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes sixteen floats, 64-aligned.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store(self, to: *mut f32);
    /// One float, sixteen times.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn splat(from: *const f32) -> Self;
    /// `self + other`, of floats.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn plus(self, other: Self) -> Self;
    /// `self + left · right`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn add_product(self, left: Self, right: Self) -> Self;
    /// Makes columns of rows.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn transpose(block: [Self; LANES]) -> [Self; LANES];
    /// Tells the cache that this address will be read soon.
    fn prefetch(at: *const f32);
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Lanes for Portable {
    const ROWS: usize = 2;
    const COLUMNS: usize = 1;

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn zero() -> Self {
        Portable([0.0; LANES])
    }

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: sixteen floats are readable, by the trait's contract.
        Portable(unsafe { from.cast::<[f32; LANES]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: sixteen floats are writable, by the trait's contract.
        unsafe { to.cast::<[f32; LANES]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: one float is readable, by the trait's contract.
        Portable([unsafe { from.read() }; LANES])
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn add_product(self, left: Self, right: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] + left.0[i] * right.0[i]))
    }

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn transpose(block: [Self; LANES]) -> [Self; LANES] {
        std::array::from_fn(|row| Portable(std::array::from_fn(|column| block[column].0[row])))
    }

    #[inline(always)]
    fn prefetch(_at: *const f32) {}
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! The same with the registers of x86-64.

    use std::arch::x86_64::{
        __m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps, _mm256_load_ps,
        _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_store_ps, _mm256_storeu_ps,
        _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_load_ps,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_store_ps,
        _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    use super::{LANES, Lanes};

    /// AVX-512F.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512(__m512);

    /// AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2(__m256, __m256);

    impl Lanes for Avx512 {
        const ROWS: usize = 6;
        const COLUMNS: usize = 4;

        // SAFETY: the trait's contract is the caller's.
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the processor has AVX-512F, by the trait's contract.
            Avx512(unsafe { _mm512_setzero_ps() })
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: sixteen aligned floats are readable, by the trait's contract.
            Avx512(unsafe { _mm512_load_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: sixteen aligned floats are writable, by the trait's contract.
            unsafe { _mm512_store_ps(to, self.0) }
        }

        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            // SAFETY: one float is readable, by the trait's contract.
            Avx512(unsafe { _mm512_set1_ps(from.read()) })
        }

        #[inline(always)]
        unsafe fn plus(self, other: Self) -> Self {
            // SAFETY: the processor has AVX-512F, by the trait's contract.
            Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn add_product(self, left: Self, right: Self) -> Self {
            // SAFETY: the processor has AVX-512F, by the trait's contract.
            Avx512(unsafe { _mm512_fmadd_ps(left.0, right.0, self.0) })
        }

        #[inline(always)]
        unsafe fn transpose(block: [Self; LANES]) -> [Self; LANES] {
            // SAFETY: the processor has AVX-512F, by the trait's contract.
            unsafe {
                let fours = [
                    quarter(&block, 0),
                    quarter(&block, 4),
                    quarter(&block, 8),
                    quarter(&block, 12),
                ];
                let mut out = block;
                for j in 0..4 {
                    let [a, b, c, d] = [fours[0][j], fours[1][j], fours[2][j], fours[3][j]];
                    let (x, y) = (
                        _mm512_shuffle_f32x4::<0x88>(a, b),
                        _mm512_shuffle_f32x4::<0x88>(c, d),
                    );
                    out[j] = Avx512(_mm512_shuffle_f32x4::<0x88>(x, y));
                    out[j + 8] = Avx512(_mm512_shuffle_f32x4::<0xdd>(x, y));
                    let (x, y) = (
                        _mm512_shuffle_f32x4::<0xdd>(a, b),
                        _mm512_shuffle_f32x4::<0xdd>(c, d),
                    );
                    out[j + 4] = Avx512(_mm512_shuffle_f32x4::<0x88>(x, y));
                    out[j + 12] = Avx512(_mm512_shuffle_f32x4::<0xdd>(x, y));
                }
                out
            }
        }

        #[inline(always)]
        fn prefetch(at: *const f32) {
            // SAFETY: a prefetch reads nothing; any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
    }

    /// Of four rows from `first`: register j has, in its lane l of 128 bits, their column 4 l + j.
    ///
    /// # Safety
    /// The processor has AVX-512F.
    #[inline(always)]
    unsafe fn quarter(block: &[Avx512; LANES], first: usize) -> [__m512; 4] {
        let [a, b, c, d] = [
            block[first].0,
            block[first + 1].0,
            block[first + 2].0,
            block[first + 3].0,
        ];
        // SAFETY: the caller's contract.
        unsafe {
            let low = |a, b| _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
            let high = |a, b| _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
            [
                _mm512_castpd_ps(_mm512_unpacklo_pd(low(a, b), low(c, d))),
                _mm512_castpd_ps(_mm512_unpackhi_pd(low(a, b), low(c, d))),
                _mm512_castpd_ps(_mm512_unpacklo_pd(high(a, b), high(c, d))),
                _mm512_castpd_ps(_mm512_unpackhi_pd(high(a, b), high(c, d))),
            ]
        }
    }

    impl Lanes for Avx2 {
        const ROWS: usize = 6;
        const COLUMNS: usize = 1;

        // SAFETY: the trait's contract is the caller's.
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the processor has AVX2, by the trait's contract.
            unsafe { Avx2(_mm256_setzero_ps(), _mm256_setzero_ps()) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: sixteen aligned floats are readable, by the trait's contract.
            unsafe { Avx2(_mm256_load_ps(from), _mm256_load_ps(from.add(8))) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: sixteen aligned floats are writable, by the trait's contract.
            unsafe {
                _mm256_store_ps(to, self.0);
                _mm256_store_ps(to.add(8), self.1);
            }
        }

        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            // SAFETY: one float is readable, by the trait's contract.
            let all = unsafe { _mm256_set1_ps(from.read()) };
            Avx2(all, all)
        }

        #[inline(always)]
        unsafe fn plus(self, other: Self) -> Self {
            // SAFETY: the processor has AVX2, by the trait's contract.
            unsafe {
                Avx2(
                    _mm256_add_ps(self.0, other.0),
                    _mm256_add_ps(self.1, other.1),
                )
            }
        }

        #[inline(always)]
        unsafe fn add_product(self, left: Self, right: Self) -> Self {
            // SAFETY: the processor has AVX2 and FMA, by the trait's contract.
            unsafe {
                Avx2(
                    _mm256_fmadd_ps(left.0, right.0, self.0),
                    _mm256_fmadd_ps(left.1, right.1, self.1),
                )
            }
        }

        #[inline(always)]
        unsafe fn transpose(block: [Self; LANES]) -> [Self; LANES] {
            let mut columns = [0.0f32; LANES * LANES];
            let mut out = block;
            // SAFETY: rows of sixteen floats are written to and read from memory that has them.
            unsafe {
                for (row, lanes) in block.iter().enumerate() {
                    let mut floats = [0.0f32; LANES];
                    _mm256_storeu_ps(floats.as_mut_ptr(), lanes.0);
                    _mm256_storeu_ps(floats.as_mut_ptr().add(8), lanes.1);
                    for (column, float) in floats.into_iter().enumerate() {
                        columns[column * LANES + row] = float;
                    }
                }
                for (row, floats) in out.iter_mut().zip(columns.chunks_exact(LANES)) {
                    let from = floats.as_ptr();
                    *row = Avx2(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)));
                }
            }
            out
        }

        #[inline(always)]
        fn prefetch(at: *const f32) {
            // SAFETY: a prefetch reads nothing; any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
    }
}
