//! Dots and sums of dense f32 columns, as this processor does them fastest.
//!
//! Each loop comes three times: with AVX-512, with AVX2 and FMA, and in plain Rust, chosen by
//! [`Simd::new`]. They sum in different orders, so equal inputs give equal bits on one kind of
//! processor, not across kinds.
#![allow(unsafe_code)]

/// Which instructions the loops use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// The loops, as this processor runs them fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd(Level);

/// Floats whose products are summed in f32 before the sum goes on in f64.
const BLOCK: usize = 2048;
/// Sums that run side by side in f32.
const LANES: usize = 64;
/// Largest relative error of [`Simd::dot`], against Σ|x||r|: every one of a block's lanes rounds
/// once per element, then six times when lanes are folded, and `r` was rounded once to f32.
pub const DOT_ERROR: f64 = (BLOCK / LANES + 8) as f64 * (f32::EPSILON as f64 / 2.0);
/// Columns in a row and in a column of a tile of [`Simd::tile`].
pub const TILE: usize = 4;

impl Default for Simd {
    fn default() -> Simd {
        Simd::new()
    }
}

/// Picks the loop of the level at hand.
macro_rules! dispatch {
    ($self:ident, $avx512:path, $avx2:path, $portable:path, ($($argument:expr),*)) => {
        match $self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX-512F.
            Level::Avx512 => unsafe { $avx512($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX2 and FMA.
            Level::Avx2 => unsafe { $avx2($($argument),*) },
            Level::Portable => $portable($($argument),*),
        }
    };
}

impl Simd {
    /// The fastest loops of this processor.
    pub fn new() -> Simd {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Simd(Level::Avx512);
            }
            if std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma")
            {
                return Simd(Level::Avx2);
            }
        }
        Simd(Level::Portable)
    }

    /// The loops in plain Rust, which any processor runs.
    pub fn portable() -> Simd {
        Simd(Level::Portable)
    }

    /// Σ x r to a relative error of [`DOT_ERROR`].
    #[inline]
    pub fn dot(self, x: &[f32], r: &[f32]) -> f64 {
        let blocks = x.chunks(BLOCK).zip(r.chunks(BLOCK));
        blocks.map(|(x, r)| f64::from(self.dot_block(x, r))).sum()
    }

    #[inline]
    fn dot_block(self, x: &[f32], r: &[f32]) -> f32 {
        dispatch!(self, avx512::dot, dot_avx2, dot_portable, (x, r))
    }

    /// Σ x r in f64.
    #[inline]
    pub fn dot_exact(self, x: &[f32], r: &[f64]) -> f64 {
        dispatch!(
            self,
            dot_exact_avx512,
            dot_exact_avx2,
            dot_exact_portable,
            (x, r)
        )
    }

    /// Σ w x, Σ w x² and Σ v x in f64.
    #[inline]
    pub fn moments(self, x: &[f32], w: &[f64], v: &[f64]) -> [f64; 3] {
        dispatch!(
            self,
            moments_avx512,
            moments_avx2,
            moments_portable,
            (x, w, v)
        )
    }

    /// to += a x.
    #[inline]
    pub fn add(self, to: &mut [f64], a: f64, x: &[f32]) {
        dispatch!(self, add_avx512, add_avx2, add_portable, (to, a, x));
    }

    /// The dots of every one of `a` with every one of `b`, all of one length: `sums[i][j]`.
    #[inline]
    pub fn tile(self, a: [&[f32]; TILE], b: [&[f32]; TILE], sums: &mut [[f64; TILE]; TILE]) {
        let length = a[0].len();
        let whole = a.iter().chain(&b).all(|column| column.len() == length);
        assert!(whole, "columns of one length");
        for start in (0..length).step_by(BLOCK) {
            let end = (start + BLOCK).min(length);
            let [a, b] = [a, b].map(|columns| columns.map(|column| &column[start..end]));
            let block = dispatch!(self, avx512::tile, tile_avx2, tile_portable, (a, b));
            for (sums, block) in sums.iter_mut().zip(block) {
                for (sum, part) in sums.iter_mut().zip(block) {
                    *sum += f64::from(part);
                }
            }
        }
    }
}

#[inline(always)]
fn dot_portable(x: &[f32], r: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (r, r_rest) = r.as_chunks::<LANES>();
    for (x, r) in x.iter().zip(r) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * r[lane];
        }
    }
    for (sum, (x, r)) in sums.iter_mut().zip(x_rest.iter().zip(r_rest)) {
        *sum += x * r;
    }
    fold(sums)
}

/// The sum of all lanes, by halves.
#[inline(always)]
fn fold(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
    }
    sums[0]
}

#[inline(always)]
fn dot_exact_portable(x: &[f32], r: &[f64]) -> f64 {
    const WIDE: usize = 32;
    let mut sums = [0.0f64; WIDE];
    let (x, x_rest) = x.as_chunks::<WIDE>();
    let (r, r_rest) = r.as_chunks::<WIDE>();
    for (x, r) in x.iter().zip(r) {
        for lane in 0..WIDE {
            sums[lane] += f64::from(x[lane]) * r[lane];
        }
    }
    let rest = x_rest.iter().zip(r_rest).map(|(x, r)| f64::from(*x) * r);
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

#[inline(always)]
fn moments_portable(x: &[f32], w: &[f64], v: &[f64]) -> [f64; 3] {
    const WIDE: usize = 16;
    let mut sums = [[0.0f64; WIDE]; 3];
    let (x, x_rest) = x.as_chunks::<WIDE>();
    let (w, w_rest) = w.as_chunks::<WIDE>();
    let (v, v_rest) = v.as_chunks::<WIDE>();
    for ((x, w), v) in x.iter().zip(w).zip(v) {
        for lane in 0..WIDE {
            let value = f64::from(x[lane]);
            let weighted = w[lane] * value;
            sums[0][lane] += weighted;
            sums[1][lane] += weighted * value;
            sums[2][lane] += v[lane] * value;
        }
    }
    let mut totals = sums.map(|sums| sums.iter().sum::<f64>());
    for ((x, w), v) in x_rest.iter().zip(w_rest).zip(v_rest) {
        let value = f64::from(*x);
        totals[0] += w * value;
        totals[1] += w * value * value;
        totals[2] += v * value;
    }
    totals
}

#[inline(always)]
fn add_portable(to: &mut [f64], a: f64, x: &[f32]) {
    to.iter_mut()
        .zip(x)
        .for_each(|(to, x)| *to += a * f64::from(*x));
}

#[inline(always)]
fn tile_portable(a: [&[f32]; TILE], b: [&[f32]; TILE]) -> [[f32; TILE]; TILE] {
    a.map(|a| b.map(|b| dot_portable(a, b)))
}

/// The same loops, compiled for more instructions.
macro_rules! compiled {
    ($($name:ident $avx2:ident $avx512:ident ($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        /// # Safety
        /// The processor has AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $avx2($($argument: $type),*) -> $result {
            $name($($argument),*)
        }

        /// # Safety
        /// The processor has AVX-512F.
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f")]
        #[allow(dead_code)]
        unsafe fn $avx512($($argument: $type),*) -> $result {
            $name($($argument),*)
        }
    )*};
}

compiled! {
    dot_portable dot_avx2 dot_plain_avx512 (x: &[f32], r: &[f32]) -> f32;
    dot_exact_portable dot_exact_avx2 dot_exact_avx512 (x: &[f32], r: &[f64]) -> f64;
    moments_portable moments_avx2 moments_avx512 (x: &[f32], w: &[f64], v: &[f64]) -> [f64; 3];
    add_portable add_avx2 add_avx512 (to: &mut [f64], a: f64, x: &[f32]) -> ();

    tile_portable tile_avx2 tile_plain_avx512 (a: [&[f32]; TILE], b: [&[f32]; TILE]) -> [[f32; TILE]; TILE];
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::TILE;
    use std::arch::x86_64::*;

    /// The first lanes of a tail of `left` floats.
    #[inline(always)]
    fn mask(left: usize) -> u16 {
        ((1u32 << left) - 1) as u16
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn dot(x: &[f32], r: &[f32]) -> f32 {
        let length = x.len().min(r.len());
        let (x, r) = (x.as_ptr(), r.as_ptr());
        let mut sums = [_mm512_setzero_ps(); 4];
        let mut at = 0;
        // SAFETY: every load ends at or before `length`, which neither slice is shorter than; masked
        // loads touch only the lanes of their mask.
        unsafe {
            while at + 64 <= length {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_loadu_ps(x.add(at + 16 * lane));
                    *sum = _mm512_fmadd_ps(x, _mm512_loadu_ps(r.add(at + 16 * lane)), *sum);
                }
                at += 64;
            }
            let mut lane = 0;
            while at < length {
                let mask = mask((length - at).min(16));
                let x = _mm512_maskz_loadu_ps(mask, x.add(at));
                let r = _mm512_maskz_loadu_ps(mask, r.add(at));
                sums[lane] = _mm512_fmadd_ps(x, r, sums[lane]);
                lane += 1;
                at += 16;
            }
        }
        let low = _mm512_add_ps(sums[0], sums[1]);
        let high = _mm512_add_ps(sums[2], sums[3]);
        _mm512_reduce_add_ps(_mm512_add_ps(low, high))
    }

    /// # Safety
    /// The processor has AVX-512F, and all slices are of one length.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn tile(a: [&[f32]; TILE], b: [&[f32]; TILE]) -> [[f32; TILE]; TILE] {
        let length = a[0].len();
        let mut sums = [[_mm512_setzero_ps(); TILE]; TILE];
        let mut at = 0;
        // No closures here: what `map` calls would not be compiled for AVX-512 with the loop.
        while at < length {
            let mask = mask((length - at).min(16));
            let (mut x, mut y) = ([_mm512_setzero_ps(); TILE], [_mm512_setzero_ps(); TILE]);
            for i in 0..TILE {
                // SAFETY: masked loads touch only the lanes of their mask, which end at `length`.
                unsafe {
                    x[i] = _mm512_maskz_loadu_ps(mask, a[i].as_ptr().add(at));
                    y[i] = _mm512_maskz_loadu_ps(mask, b[i].as_ptr().add(at));
                }
            }
            for i in 0..TILE {
                for j in 0..TILE {
                    sums[i][j] = _mm512_fmadd_ps(x[i], y[j], sums[i][j]);
                }
            }
            at += 16;
        }
        let mut totals = [[0.0; TILE]; TILE];
        for i in 0..TILE {
            for j in 0..TILE {
                totals[i][j] = _mm512_reduce_add_ps(sums[i][j]);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;

    fn levels() -> Vec<Simd> {
        let mut levels = vec![Simd::portable(), Simd::new()];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            levels.push(Simd(Level::Avx2));
        }
        levels
    }

    fn column(length: usize, stream: u64) -> Vec<f32> {
        let mut rng = Rng::stream(3, stream, 0, 0);
        (0..length).map(|_| (rng.uniform() - 0.4) as f32).collect()
    }

    #[test]
    fn every_level_computes_the_same_within_its_bound() {
        for length in [0, 1, 5, 15, 16, 17, 63, 64, 65, 100, 1000, 2048, 2049, 5000] {
            let (x, r) = (column(length, 1), column(length, 2));
            let wide: Vec<f64> = r.iter().map(|r| f64::from(*r)).collect();
            let pairs = || x.iter().zip(&wide).map(|(x, r)| f64::from(*x) * r);
            let (dot, size) = (pairs().sum::<f64>(), pairs().map(f64::abs).sum::<f64>());
            for simd in levels() {
                assert!(
                    (simd.dot(&x, &r) - dot).abs() <= DOT_ERROR * size,
                    "{length}"
                );
                assert!((simd.dot_exact(&x, &wide) - dot).abs() <= 1e-13 * size);
                let [a, b, c] = simd.moments(&x, &wide, &wide);
                assert!((a - dot).abs() <= 1e-13 * size && a == c);
                let squares: f64 = pairs().zip(&x).map(|(p, x)| p * f64::from(*x)).sum();
                assert!((b - squares).abs() <= 1e-12 * size);
                let mut to = wide.clone();
                simd.add(&mut to, 0.5, &x);
                let expected = wide.iter().zip(&x).map(|(w, x)| w + 0.5 * f64::from(*x));
                assert!(to.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-15));
            }
        }
    }

    #[test]
    fn a_tile_is_sixteen_dots() {
        for length in [1, 16, 33, 1000, 3000] {
            let columns: Vec<Vec<f32>> = (0..8).map(|c| column(length, c)).collect();
            let pick =
                |from: usize| -> [&[f32]; TILE] { std::array::from_fn(|i| &columns[from + i][..]) };
            for simd in levels() {
                let mut sums = [[0.0; TILE]; TILE];
                simd.tile(pick(0), pick(4), &mut sums);
                for i in 0..TILE {
                    for j in 0..TILE {
                        let dot = simd.dot(&columns[i], &columns[4 + j]);
                        assert!((sums[i][j] - dot).abs() <= 1e-5 * length as f64);
                    }
                }
            }
        }
    }
}
