//! Rows of factors, and the inner loops of matrix factorisation over them.
//!
//! A row is k floats, filled up with zeros to whole [`Lanes`] of 16 (64 bytes, one cache line, one
//! AVX-512 register); zeros stay zeros. Beside the floats each row has a [`Head`]. The loops come
//! three times: with AVX-512, with AVX2 and FMA, and in plain Rust, chosen when a [`Kernel`] is
//! made. They sum in different orders, so equal seeds give equal bits on one kind of processor, not
//! across kinds.
#![allow(unsafe_code)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Floats in a [`Lanes`].
pub const WIDTH: usize = 16;

/// A cache line of a row.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C, align(64))]
pub struct Lanes(pub [f32; WIDTH]);

/// What a row has beside its factors.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct Head {
    /// The bias.
    pub bias: f32,
    /// Sum of the squared errors of its ratings so far, by which steps shrink.
    pub curvature: f32,
}

/// Some rows of one side of the model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Factors {
    rank: usize,
    lanes: usize,
    rows: Vec<Lanes>,
    heads: Vec<Head>,
}

/// One rating, as the loops meet it.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Observed {
    /// The row of the other side.
    pub row: u32,
    /// The rating, less the mean of all.
    pub value: f32,
}

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Length of the first steps.
    pub rate: f32,
    /// λ of the factors.
    pub regularization: f32,
    /// κ: how much squared errors shorten the steps of factors.
    pub shrinkage: f32,
    /// Length of the first steps of a bias; 0 if there are no biases.
    pub bias_rate: f32,
    /// λ of the biases.
    pub bias_regularization: f32,
    /// No factor goes below 0.
    pub nonnegative: bool,
}

impl Observed {
    /// Pairs of a row and the bits of a value, as what they are.
    pub fn of_numbers(numbers: &[[u32; 2]]) -> &[Observed] {
        // Sizes and alignments are equal, so this is never empty unless `numbers` is.
        <[Observed]>::ref_from_bytes(numbers.as_bytes()).unwrap_or_default()
    }
}

impl Factors {
    /// `rows` rows of `rank` zeros.
    pub fn zeros(rows: usize, rank: usize) -> Factors {
        let lanes = rank.div_ceil(WIDTH);
        Factors {
            rank,
            lanes,
            rows: vec![Lanes::default(); rows * lanes],
            heads: vec![Head::default(); rows],
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Number of factors.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// A row's factors.
    pub fn row(&self, row: usize) -> &[f32] {
        let lanes = &self.rows[row * self.lanes..][..self.lanes];
        // SAFETY: `Lanes` is an array of `WIDTH` floats and nothing else, so the lanes are that many
        // floats in a row; the borrow is that of `lanes`.
        let all = unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * WIDTH) };
        &all[..self.rank]
    }

    /// A row's factors.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let lanes = &mut self.rows[row * self.lanes..][..self.lanes];
        let floats = lanes.len() * WIDTH;
        // SAFETY: as in `row`; the borrow is exclusive.
        let all = unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), floats) };
        &mut all[..self.rank]
    }

    /// The heads of all rows.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The heads of all rows.
    pub fn heads_mut(&mut self) -> &mut [Head] {
        &mut self.heads
    }

    /// ‖row‖².
    pub fn norm(&self, row: usize) -> f64 {
        self.row(row)
            .iter()
            .map(|x| f64::from(*x) * f64::from(*x))
            .sum()
    }
}

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
pub struct Kernel(Level);

/// One row and its head, while the ratings of the row are met.
pub struct One<'a> {
    row: &'a mut [Lanes],
    head: &'a mut Head,
}

impl Factors {
    /// A row and its head.
    #[inline]
    pub fn one(&mut self, row: usize) -> One<'_> {
        One {
            row: &mut self.rows[row * self.lanes..][..self.lanes],
            head: &mut self.heads[row],
        }
    }
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel::new()
    }
}

impl Kernel {
    /// The fastest loops of this processor.
    pub fn new() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Kernel(Level::Avx512);
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Kernel(Level::Avx2);
            }
        }
        Kernel(Level::Portable)
    }

    /// The loops in plain Rust, which any processor runs.
    pub fn portable() -> Kernel {
        Kernel(Level::Portable)
    }

    /// One stochastic gradient step for each of `ratings`, all of which are of `one`, in order:
    ///
    /// ```text
    /// e = r − b − c − p·q            S_p += e²   S_q += e²
    /// p += η_p (e q − λ p)           b += β_p (e − λ_b b)
    /// q += η_q (e p − λ q)           c += β_q (e − λ_b c)
    /// η = rate / √(1 + κ S)          β = bias_rate / √(1 + S)
    /// ```
    ///
    /// # Panics
    /// If a rating is of a row that `others` does not have, or the ranks differ.
    #[inline]
    pub fn learn(&self, one: One, others: &mut Factors, ratings: &[Observed], step: &Step) {
        assert_eq!(one.row.len(), others.lanes, "rows of one rank");
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX-512F.
            Level::Avx512 => unsafe { avx512::learn(one, others, ratings, step) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX2.
            Level::Avx2 => unsafe { learn_avx2(one, others, ratings, step) },
            Level::Portable => learn_portable(one, others, ratings, step),
        }
    }

    /// Σ e² over `ratings`, all of which are of row `row` of `ones`.
    #[inline]
    pub fn squared_error(
        &self,
        ones: &Factors,
        row: usize,
        others: &Factors,
        ratings: &[Observed],
    ) -> f64 {
        assert_eq!(ones.lanes, others.lanes, "rows of one rank");
        let bias = ones.heads[row].bias;
        let row = &ones.rows[row * ones.lanes..][..ones.lanes];
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX-512F.
            Level::Avx512 => unsafe { avx512::squared_error(row, bias, others, ratings) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX2.
            Level::Avx2 => unsafe { squared_error_avx2(row, bias, others, ratings) },
            Level::Portable => squared_error_portable(row, bias, others, ratings),
        }
    }
}

/// # Safety
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn learn_avx2(one: One, others: &mut Factors, ratings: &[Observed], step: &Step) {
    learn_portable(one, others, ratings, step);
}

/// # Safety
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn squared_error_avx2(
    row: &[Lanes],
    bias: f32,
    others: &Factors,
    ratings: &[Observed],
) -> f64 {
    squared_error_portable(row, bias, others, ratings)
}

#[inline(always)]
fn learn_portable(one: One, others: &mut Factors, ratings: &[Observed], step: &Step) {
    let One { row: p, head } = one;
    let lanes = p.len();
    let floor = step.floor();
    for rating in ratings {
        let q = &mut others.rows[rating.row as usize * lanes..][..lanes];
        let other = &mut others.heads[rating.row as usize];
        let error = rating.value - head.bias - other.bias - dot(p, q);
        let [own, its] = [head.curvature, other.curvature].map(|sum| step.lengths(sum));
        let (keep_p, keep_q) = (
            1.0 - own.0 * step.regularization,
            1.0 - its.0 * step.regularization,
        );
        let (to_p, to_q) = (own.0 * error, its.0 * error);
        for (p, q) in p.iter_mut().zip(q) {
            for (p, q) in p.0.iter_mut().zip(&mut q.0) {
                let old = *p;
                *p = (old * keep_p + to_p * *q).max(floor);
                *q = (*q * keep_q + to_q * old).max(floor);
            }
        }
        head.bias += own.1 * (error - step.bias_regularization * head.bias);
        other.bias += its.1 * (error - step.bias_regularization * other.bias);
        head.curvature += error * error;
        other.curvature += error * error;
    }
}

impl Step {
    /// The least value of a factor.
    #[inline(always)]
    fn floor(&self) -> f32 {
        match self.nonnegative {
            true => 0.0,
            false => f32::NEG_INFINITY,
        }
    }

    /// Lengths of the steps of a row's factors and of its bias, where the squared errors met so far
    /// sum up to `sum`.
    #[inline(always)]
    fn lengths(&self, sum: f32) -> (f32, f32) {
        (
            self.rate / (1.0 + self.shrinkage * sum).sqrt(),
            self.bias_rate / (1.0 + sum).sqrt(),
        )
    }
}

#[inline(always)]
fn squared_error_portable(row: &[Lanes], bias: f32, others: &Factors, ratings: &[Observed]) -> f64 {
    let lanes = row.len();
    let mut sum = 0.0;
    for rating in ratings {
        let other = &others.rows[rating.row as usize * lanes..][..lanes];
        let head = others.heads[rating.row as usize];
        let error = f64::from(rating.value - bias - head.bias - dot(row, other));
        sum += error * error;
    }
    sum
}

#[inline(always)]
fn dot(p: &[Lanes], q: &[Lanes]) -> f32 {
    let mut sums = [0.0f32; WIDTH];
    for (p, q) in p.iter().zip(q) {
        for (sum, (p, q)) in sums.iter_mut().zip(p.0.iter().zip(&q.0)) {
            *sum += p * q;
        }
    }
    sums.iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    //! The loops with 512-bit registers. Up to rank 128 the row whose ratings are met stays in
    //! registers from its first rating to its last; rows of the other side are asked for a few
    //! ratings ahead.

    use std::arch::x86_64::{
        __m512, _MM_HINT_T0, _mm_cvtss_f32, _mm_prefetch, _mm_rsqrt14_ss, _mm_set_ss,
        _mm512_fmadd_ps, _mm512_load_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_store_ps,
    };

    use super::{Factors, Head, Lanes, Observed, One, Step};

    /// Ratings between asking for a row and using it.
    const AHEAD: usize = 3;

    macro_rules! by_lanes {
        ($lanes:expr, $fixed:ident, $any:ident, ($($argument:expr),*)) => {
            match $lanes {
                1 => $fixed::<1>($($argument),*),
                2 => $fixed::<2>($($argument),*),
                3 => $fixed::<3>($($argument),*),
                4 => $fixed::<4>($($argument),*),
                5 => $fixed::<5>($($argument),*),
                6 => $fixed::<6>($($argument),*),
                7 => $fixed::<7>($($argument),*),
                8 => $fixed::<8>($($argument),*),
                _ => $any($($argument),*),
            }
        };
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn learn(one: One, others: &mut Factors, ratings: &[Observed], step: &Step) {
        by_lanes!(
            one.row.len(),
            learn_fixed,
            learn_any,
            (one, others, ratings, step)
        );
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn squared_error(
        row: &[Lanes],
        bias: f32,
        others: &Factors,
        ratings: &[Observed],
    ) -> f64 {
        by_lanes!(
            row.len(),
            squared_error_fixed,
            squared_error_any,
            (row, bias, others, ratings)
        )
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(lanes: &Lanes) -> __m512 {
        // SAFETY: a `Lanes` is 64 readable bytes, 64-aligned.
        unsafe { _mm512_load_ps(lanes.0.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(lanes: &mut Lanes, value: __m512) {
        // SAFETY: a `Lanes` is 64 writable bytes, 64-aligned.
        unsafe { _mm512_store_ps(lanes.0.as_mut_ptr(), value) }
    }

    /// Asks for the row of the rating `AHEAD` places after `at`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn prefetch(rows: &[Lanes], lanes: usize, ratings: &[Observed], at: usize) {
        if let Some(next) = ratings.get(at + AHEAD) {
            for lane in rows.iter().skip(next.row as usize * lanes).take(lanes) {
                _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(lane).cast());
            }
        }
    }

    /// Lengths of the steps of a row's factors and of its bias; see [`Step::lengths`].
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn lengths(step: &Step, sum: f32) -> (f32, f32) {
        let root = |x: f32| {
            let x = _mm_set_ss(x);
            _mm_cvtss_f32(_mm_rsqrt14_ss(x, x))
        };
        (
            step.rate * root(1.0 + step.shrinkage * sum),
            step.bias_rate * root(1.0 + sum),
        )
    }

    /// What one rating does, apart from its rows.
    struct Move {
        keep: __m512,
        add: __m512,
        other_keep: __m512,
        other_add: __m512,
    }

    /// Takes the step of the biases and gives that of the rows.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn step_heads(head: &mut Head, other: &mut Head, value: f32, dot: f32, step: &Step) -> Move {
        let own = lengths(step, head.curvature);
        let its = lengths(step, other.curvature);
        let error = value - other.bias - head.bias - dot;
        let square = error * error;
        head.bias += own.1 * (error - step.bias_regularization * head.bias);
        other.bias += its.1 * (error - step.bias_regularization * other.bias);
        head.curvature += square;
        other.curvature += square;
        Move {
            keep: _mm512_set1_ps(1.0 - own.0 * step.regularization),
            add: _mm512_set1_ps(own.0 * error),
            other_keep: _mm512_set1_ps(1.0 - its.0 * step.regularization),
            other_add: _mm512_set1_ps(its.0 * error),
        }
    }

    #[target_feature(enable = "avx512f")]
    fn learn_fixed<const N: usize>(
        one: One,
        others: &mut Factors,
        ratings: &[Observed],
        step: &Step,
    ) {
        let floor = _mm512_set1_ps(step.floor());
        let mut p = [_mm512_setzero_ps(); N];
        let row: &mut [Lanes; N] = one.row.try_into().expect("a row of N lanes");
        for lane in 0..N {
            p[lane] = load(&row[lane]);
        }
        let mut head = *one.head;
        let (rows, _) = others.rows.as_chunks_mut::<N>();
        for (at, rating) in ratings.iter().enumerate() {
            if let Some(next) = ratings.get(at + AHEAD) {
                let next = rows.as_ptr().wrapping_add(next.row as usize);
                for lane in 0..N {
                    let line = next.cast::<Lanes>().wrapping_add(lane);
                    _mm_prefetch::<_MM_HINT_T0>(line.cast());
                }
            }
            let row = &mut rows[rating.row as usize];
            let other = &mut others.heads[rating.row as usize];
            let mut q = [_mm512_setzero_ps(); N];
            let mut sums = [_mm512_setzero_ps(); 2];
            for lane in 0..N {
                q[lane] = load(&row[lane]);
                sums[lane % 2] = _mm512_fmadd_ps(p[lane], q[lane], sums[lane % 2]);
            }
            let dot = sum(sums);
            let by = step_heads(&mut head, other, rating.value, dot, step);
            for lane in 0..N {
                let old = p[lane];
                let new = _mm512_fmadd_ps(by.add, q[lane], _mm512_mul_ps(by.keep, old));
                p[lane] = _mm512_max_ps(new, floor);
                let new = _mm512_fmadd_ps(by.other_add, old, _mm512_mul_ps(by.other_keep, q[lane]));
                store(&mut row[lane], _mm512_max_ps(new, floor));
            }
        }
        for lane in 0..N {
            store(&mut row[lane], p[lane]);
        }
        *one.head = head;
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn sum(sums: [__m512; 2]) -> f32 {
        use std::arch::x86_64::_mm512_add_ps;
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn dot(p: &[Lanes], q: &[Lanes]) -> f32 {
        let mut sums = [_mm512_setzero_ps(); 2];
        for (lane, (p, q)) in p.iter().zip(q).enumerate() {
            sums[lane % 2] = _mm512_fmadd_ps(load(p), load(q), sums[lane % 2]);
        }
        sum(sums)
    }

    #[target_feature(enable = "avx512f")]
    fn learn_any(one: One, others: &mut Factors, ratings: &[Observed], step: &Step) {
        let floor = _mm512_set1_ps(step.floor());
        let lanes = one.row.len();
        for (at, rating) in ratings.iter().enumerate() {
            prefetch(&others.rows, lanes, ratings, at);
            let row = &mut others.rows[rating.row as usize * lanes..][..lanes];
            let other = &mut others.heads[rating.row as usize];
            let by = step_heads(one.head, other, rating.value, dot(one.row, row), step);
            for (p, q) in one.row.iter_mut().zip(row) {
                let (old, its) = (load(p), load(q));
                let new = _mm512_fmadd_ps(by.add, its, _mm512_mul_ps(by.keep, old));
                store(p, _mm512_max_ps(new, floor));
                let new = _mm512_fmadd_ps(by.other_add, old, _mm512_mul_ps(by.other_keep, its));
                store(q, _mm512_max_ps(new, floor));
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    fn squared_error_fixed<const N: usize>(
        row: &[Lanes],
        bias: f32,
        others: &Factors,
        ratings: &[Observed],
    ) -> f64 {
        let p: [__m512; N] = std::array::from_fn(|lane| load(&row[lane]));
        let (rows, _) = others.rows.as_chunks::<N>();
        let mut total = 0.0;
        for rating in ratings {
            let q = &rows[rating.row as usize];
            let mut sums = [_mm512_setzero_ps(); 2];
            for lane in 0..N {
                sums[lane % 2] = _mm512_fmadd_ps(p[lane], load(&q[lane]), sums[lane % 2]);
            }
            let head = others.heads[rating.row as usize];
            let error = f64::from(rating.value - bias - head.bias - sum(sums));
            total += error * error;
        }
        total
    }

    #[target_feature(enable = "avx512f")]
    fn squared_error_any(row: &[Lanes], bias: f32, others: &Factors, ratings: &[Observed]) -> f64 {
        let lanes = row.len();
        let mut total = 0.0;
        for rating in ratings {
            let other = &others.rows[rating.row as usize * lanes..][..lanes];
            let head = others.heads[rating.row as usize];
            let error = f64::from(rating.value - bias - head.bias - dot(row, other));
            total += error * error;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;

    const STEP: Step = Step {
        rate: 0.1,
        regularization: 0.05,
        shrinkage: 0.07,
        bias_rate: 0.2,
        bias_regularization: 0.03,
        nonnegative: false,
    };

    fn random(rows: usize, rank: usize, rng: &mut Rng) -> Factors {
        let mut factors = Factors::zeros(rows, rank);
        for row in 0..rows {
            let spread = 1.0 / (rank as f64).sqrt();
            let draw = |rng: &mut Rng| ((rng.uniform() - 0.3) * spread) as f32;
            factors.row_mut(row).fill_with(|| draw(rng));
            factors.heads_mut()[row] = Head {
                bias: rng.uniform() as f32,
                curvature: 5.0 * rng.uniform() as f32,
            };
        }
        factors
    }

    fn ratings(number: usize, rows: u64, rng: &mut Rng) -> Vec<Observed> {
        let draw = |_| Observed {
            row: rng.below(rows) as u32,
            value: 4.0 * rng.uniform() as f32 - 2.0,
        };
        (0..number).map(draw).collect()
    }

    /// The formula of [`Kernel::learn`] in doubles, factor by factor.
    fn learn_by_formula(
        ones: &mut Factors,
        row: usize,
        others: &mut Factors,
        ratings: &[Observed],
        step: &Step,
    ) -> f64 {
        let mut squares = 0.0;
        for rating in ratings {
            let its = rating.row as usize;
            let (p, q) = (ones.row(row).to_vec(), others.row(its).to_vec());
            let (head, other) = (ones.heads()[row], others.heads()[its]);
            let product: f64 = p
                .iter()
                .zip(&q)
                .map(|(p, q)| f64::from(*p) * f64::from(*q))
                .sum();
            let error = f64::from(rating.value - head.bias - other.bias) - product;
            squares += error * error;
            let length =
                |sum: f32| f64::from(step.rate) / (1.0 + f64::from(step.shrinkage * sum)).sqrt();
            let bias_length = |sum: f32| f64::from(step.bias_rate) / (1.0 + f64::from(sum)).sqrt();
            let moved = |x: f32, y: f32, length: f64| {
                let (x, y) = (f64::from(x), f64::from(y));
                let new = x + length * (error * y - f64::from(step.regularization) * x);
                if step.nonnegative {
                    new.max(0.0) as f32
                } else {
                    new as f32
                }
            };
            for at in 0..p.len() {
                ones.row_mut(row)[at] = moved(p[at], q[at], length(head.curvature));
                others.row_mut(its)[at] = moved(q[at], p[at], length(other.curvature));
            }
            let biased = |head: Head| Head {
                bias: (f64::from(head.bias)
                    + bias_length(head.curvature)
                        * (error - f64::from(step.bias_regularization * head.bias)))
                    as f32,
                curvature: head.curvature + (error * error) as f32,
            };
            ones.heads_mut()[row] = biased(head);
            others.heads_mut()[its] = biased(other);
        }
        squares
    }

    fn difference(one: &Factors, other: &Factors) -> f32 {
        let heads = |f: &Factors| -> Vec<f32> {
            f.heads()
                .iter()
                .flat_map(|h| [h.bias, h.curvature])
                .collect()
        };
        let rows = |f: &Factors| -> Vec<f32> {
            (0..f.len()).flat_map(|row| f.row(row).to_vec()).collect()
        };
        let pairs = heads(one).into_iter().zip(heads(other));
        pairs
            .chain(rows(one).into_iter().zip(rows(other)))
            .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()))
            .fold(0.0, f32::max)
    }

    fn kernels() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::portable(), Kernel::new()];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            kernels.push(Kernel(Level::Avx2));
        }
        kernels
    }

    #[test]
    fn all_loops_do_what_the_formula_says() {
        for rank in [1, 5, 16, 17, 32, 48, 64, 80, 100, 112, 128, 129, 200] {
            for nonnegative in [false, true] {
                let mut rng = Rng::stream(rank as u64, 0, 0, 0);
                let ones = random(2, rank, &mut rng);
                let others = random(9, rank, &mut rng);
                let seen = ratings(40, 9, &mut rng);
                let step = Step {
                    nonnegative,
                    ..STEP
                };
                let (mut p, mut q) = (ones.clone(), others.clone());
                learn_by_formula(&mut p, 1, &mut q, &seen, &step);
                let still = Step {
                    rate: 0.0,
                    bias_rate: 0.0,
                    ..STEP
                };
                let squares =
                    learn_by_formula(&mut ones.clone(), 1, &mut others.clone(), &seen, &still);
                for kernel in kernels() {
                    let (mut own, mut its) = (ones.clone(), others.clone());
                    kernel.learn(own.one(1), &mut its, &seen, &step);
                    let worst = difference(&own, &p).max(difference(&its, &q));
                    // rsqrt14 is good to 2⁻¹⁴; 40 steps of length 0.1 follow each other.
                    assert!(worst < 2e-3, "{kernel:?} {rank} {worst}");
                    let measured = kernel.squared_error(&ones, 1, &others, &seen);
                    assert!((measured / squares - 1.0).abs() < 1e-5, "{kernel:?} {rank}");
                    let padding = rank..rank.next_multiple_of(WIDTH);
                    for at in padding {
                        let lanes = &own.rows[own.lanes..];
                        assert_eq!(lanes[at / WIDTH].0[at % WIDTH], 0.0, "padding stays zero");
                    }
                }
            }
        }
    }

    /// One step is −rate/2 times the gradient of e² + λ(‖p‖² + ‖q‖²) + λ_b(b² + c²), measured by
    /// central differences.
    #[test]
    fn a_step_goes_down_the_gradient() {
        let mut rng = Rng::stream(5, 0, 0, 0);
        let (ones, others) = (random(1, 6, &mut rng), random(1, 6, &mut rng));
        let seen = ratings(1, 1, &mut rng);
        let step = Step {
            shrinkage: 0.0,
            rate: 1e-3,
            bias_rate: 0.0,
            ..STEP
        };
        let value = |p: &Factors, q: &Factors| {
            let error = Kernel::portable().squared_error(p, 0, q, &seen);
            error + f64::from(step.regularization) * (p.norm(0) + q.norm(0))
        };
        let (mut p, mut q) = (ones.clone(), others.clone());
        Kernel::new().learn(p.one(0), &mut q, &seen, &step);
        for at in 0..6 {
            let slope = |side: usize| {
                let moved = |by: f32| {
                    let mut both = [ones.clone(), others.clone()];
                    both[side].row_mut(0)[at] += by;
                    value(&both[0], &both[1])
                };
                (moved(1e-2) - moved(-1e-2)) / 2e-2
            };
            let of_p = f64::from(p.row(0)[at] - ones.row(0)[at]);
            let of_q = f64::from(q.row(0)[at] - others.row(0)[at]);
            assert!((of_p + 0.5e-3 * slope(0)).abs() < 2e-6, "{of_p}");
            assert!((of_q + 0.5e-3 * slope(1)).abs() < 2e-6, "{of_q}");
        }
    }
}
