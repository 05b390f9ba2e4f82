//! Rows of factors, and the inner loops of matrix factorisation over them.
//!
//! A row is k floats, filled up with zeros to whole [`Lanes`] of 16 (64 bytes, one cache line, one
//! AVX-512 register); zeros stay zeros. Beside the floats each row has a [`Head`]. The loops come
//! three times: with AVX-512, with AVX2 and FMA, and in plain Rust, chosen when a [`Kernel`] is
//! made. They sum in different orders, so equal seeds give equal bits on one kind of processor, not
//! across kinds.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx512;
mod normal;
pub mod rank_one;
#[cfg(test)]
mod tests;

pub use normal::Normal;
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
    /// κ of the other side's factors.
    pub others_shrinkage: f32,
    /// Length of the first steps of a bias; 0 if there are no biases.
    pub bias_rate: f32,
    /// The steps of the other side's rows and biases are this many times as long.
    pub others: f32,
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
    /// where the other side, that of q and c, has a κ of its own, and both of its rates are `others`
    /// times as large.
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
        let own = step.own_lengths(head.curvature);
        let its = step.lengths_of_others(other.curvature);
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
    pub fn floor(&self) -> f32 {
        match self.nonnegative {
            true => 0.0,
            false => f32::NEG_INFINITY,
        }
    }

    /// Lengths of the steps of a row's factors and of its bias, where the squared errors met so far
    /// sum up to `sum`.
    #[inline(always)]
    fn own_lengths(&self, sum: f32) -> (f32, f32) {
        lengths(self.rate, self.bias_rate, self.shrinkage, sum)
    }

    /// The same for a row of the other side.
    #[inline(always)]
    fn lengths_of_others(&self, sum: f32) -> (f32, f32) {
        let (rate, bias_rate) = (self.others * self.rate, self.others * self.bias_rate);
        lengths(rate, bias_rate, self.others_shrinkage, sum)
    }
}

#[inline(always)]
fn lengths(rate: f32, bias_rate: f32, shrinkage: f32, sum: f32) -> (f32, f32) {
    (
        rate / (1.0 + shrinkage * sum).sqrt(),
        bias_rate / (1.0 + sum).sqrt(),
    )
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
