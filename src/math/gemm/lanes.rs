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
    /// Of sixteen pairs of 16-bit floats the first of each.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn firsts(self) -> Self;
    /// Of sixteen pairs of 16-bit floats the second of each.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn seconds(self) -> Self;
}

/// [`Lanes`] whose products are of sixteen pairs of 16-bit floats, the first one in the lower half of
/// its 32 bits; everything else is about 32-bit floats, or about bits.
///
/// # Safety
/// As for [`Lanes`]; pointers need not be aligned.
pub(super) trait Pairing: Lanes {
    /// Rounds two times sixteen floats and pairs each of `one` with that of `two`.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn interleave(one: *const f32, two: *const f32, to: *mut f32) {
        for at in 0..LANES {
            // SAFETY: sixteen floats each, by the trait's contract.
            unsafe {
                to.add(at)
                    .write(pair(one.add(at).read(), two.add(at).read()))
            }
        }
    }

    /// Rounds 32 floats and pairs neighbours.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn narrow(from: *const f32, to: *mut f32) {
        for at in 0..LANES {
            // SAFETY: 32 and sixteen floats, by the trait's contract.
            unsafe {
                let (one, two) = (from.add(2 * at).read(), from.add(2 * at + 1).read());
                to.add(at).write(pair(one, two));
            }
        }
    }
}

/// The upper half of a float, rounded to nearest, ties to even.
#[inline(always)]
pub(super) fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    let carried = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if x.is_nan() {
        bits >> 16 | 0x40
    } else {
        carried
    }
}

/// Two floats, rounded, in the bits of one.
#[inline(always)]
pub(super) fn pair(one: f32, two: f32) -> f32 {
    f32::from_bits(rounded(two) << 16 | rounded(one))
}

/// Pairs on processors that only multiply 32-bit floats.
#[derive(Clone, Copy)]
pub(super) struct Halves<V>(V);

impl<V: Lanes> Pairing for Halves<V> {}

// SAFETY of all functions: the trait's contract is the caller's, and the same as that of `V`.
impl<V: Lanes> Lanes for Halves<V> {
    const ROWS: usize = V::ROWS;
    const COLUMNS: usize = V::COLUMNS;

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the trait's contract.
        Halves(unsafe { V::zero() })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's contract.
        Halves(unsafe { V::load(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's contract.
        unsafe { self.0.store(to) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the trait's contract.
        Halves(unsafe { V::splat(from) })
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: the trait's contract.
        Halves(unsafe { self.0.plus(other.0) })
    }

    #[inline(always)]
    unsafe fn add_product(self, left: Self, right: Self) -> Self {
        // SAFETY: the trait's contract.
        unsafe {
            let first = self.0.add_product(left.0.firsts(), right.0.firsts());
            Halves(first.add_product(left.0.seconds(), right.0.seconds()))
        }
    }

    #[inline(always)]
    unsafe fn transpose(block: [Self; LANES]) -> [Self; LANES] {
        // SAFETY: the trait's contract.
        unsafe { V::transpose(block.map(|row| row.0)).map(Halves) }
    }

    #[inline(always)]
    fn prefetch(at: *const f32) {
        V::prefetch(at);
    }

    #[inline(always)]
    unsafe fn firsts(self) -> Self {
        // SAFETY: the trait's contract.
        Halves(unsafe { self.0.firsts() })
    }

    #[inline(always)]
    unsafe fn seconds(self) -> Self {
        // SAFETY: the trait's contract.
        Halves(unsafe { self.0.seconds() })
    }
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

    #[inline(always)]
    unsafe fn firsts(self) -> Self {
        Portable(self.0.map(|x| f32::from_bits(x.to_bits() << 16)))
    }

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn seconds(self) -> Self {
        Portable(self.0.map(|x| f32::from_bits(x.to_bits() & 0xffff_0000)))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! The same with the registers of x86-64.

    use std::arch::x86_64::{
        __m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_and_si256,
        _mm256_castps_si256, _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_load_ps, _mm256_loadu_ps,
        _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_store_ps,
        _mm256_storeu_ps, _mm512_add_ps, _mm512_and_si512, _mm512_castpd_ps, _mm512_castps_pd,
        _mm512_castps_si512, _mm512_castsi512_ps, _mm512_fmadd_ps, _mm512_load_ps,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4,
        _mm512_slli_epi32, _mm512_store_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
        _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    use super::{LANES, Lanes};

    /// AVX-512F.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512(pub(in super::super) __m512);

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

        #[inline(always)]
        unsafe fn firsts(self) -> Self {
            // SAFETY: the processor has AVX-512F, by the trait's contract.
            Avx512(unsafe {
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(self.0)))
            })
        }

        #[inline(always)]
        unsafe fn seconds(self) -> Self {
            // SAFETY: the processor has AVX-512F, by the trait's contract.
            Avx512(unsafe {
                let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
                _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(self.0), upper))
            })
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

        #[inline(always)]
        unsafe fn firsts(self) -> Self {
            // SAFETY: the processor has AVX2, by the trait's contract.
            let first =
                |x| unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(x))) };
            Avx2(first(self.0), first(self.1))
        }

        #[inline(always)]
        unsafe fn seconds(self) -> Self {
            // SAFETY: the processor has AVX2, by the trait's contract.
            let second = |x| unsafe {
                let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
                _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(x), upper))
            };
            Avx2(second(self.0), second(self.1))
        }
    }
}
