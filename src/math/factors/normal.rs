//! The normal equations of one row: what alternating least squares solves for each user and item.
//!
//! ```text
//! minimise  Σ w_j (t_j − b − x·q_j)² + ridge ‖x‖² + bias_ridge b²       over x and, if wanted, b
//! ```
//!
//! The Gram matrix Σ w q qᵀ is k² numbers for each rating and nearly all the work. Its upper
//! triangle is kept in tiles of 16 × 16 that stay in registers while 32 ratings pass; the blocked
//! Cholesky factorisation takes its trailing updates, which are Gram matrices too, with the same
//! loop.

use super::{Factors, Head, Kernel, Lanes, Level, Observed, WIDTH};

/// Ratings that pass while a tile stays in registers: their rows fit the level-1 cache.
const CHUNK: usize = 32;
/// Where a pivot is below this part of the largest diagonal element, its factor is 0: without a
/// ridge, rows with fewer ratings than factors have more than one solution, and this is one.
const PIVOT_MIN: f32 = 1e-6;
/// Most sweeps of the coordinate descent for factors that are not negative.
const SWEEPS_MAX: usize = 1000;
/// It ends when no coordinate moved by more than this part of the longest.
const MOVE_MIN: f32 = 1e-6;

/// The equations of one row, and room to solve them.
#[derive(Debug, Clone)]
pub struct Normal {
    kernel: Kernel,
    rank: usize,
    lanes: usize,
    /// Upper triangle: row i at `i * lanes ..`, right only from the tile of the diagonal on.
    gram: Vec<Lanes>,
    /// Σ w t q.
    right: Vec<Lanes>,
    /// Σ w q.
    sums: Vec<Lanes>,
    /// Σ w t and Σ w.
    target: f64,
    weight: f64,
    /// 1/√pivot.
    scales: Vec<f32>,
    panel: Vec<Lanes>,
    full: Vec<Lanes>,
}

/// The rows of some ratings, with their weights.
struct Rows<'a> {
    rows: &'a [Lanes],
    index: &'a [u32],
    weights: &'a [f32],
}

impl Normal {
    /// No ratings yet, of a row of `rank` factors.
    pub fn new(kernel: Kernel, rank: usize) -> Normal {
        let lanes = rank.div_ceil(WIDTH);
        let none = |rows: usize| vec![Lanes::default(); rows * lanes];
        Normal {
            kernel,
            rank,
            lanes,
            gram: none(lanes * WIDTH),
            right: none(1),
            sums: none(1),
            target: 0.0,
            weight: 0.0,
            scales: vec![0.0; lanes * WIDTH],
            panel: none(WIDTH),
            full: Vec::new(),
        }
    }

    /// Forgets all ratings. The Gram matrix begins with `base`, of [`Normal::gram`], or with zeros.
    pub fn begin(&mut self, base: Option<&[Lanes]>) {
        match base {
            Some(base) => self.gram.copy_from_slice(base),
            None => self.gram.fill(Lanes::default()),
        }
        self.right.fill(Lanes::default());
        self.sums.fill(Lanes::default());
        (self.target, self.weight) = (0.0, 0.0);
    }

    /// The Gram matrix so far: the upper triangle of tiles, row by row.
    pub fn gram(&self) -> &[Lanes] {
        &self.gram
    }

    /// Adds ratings of rows of `others`: `each` gives the weight and the target of one, from its
    /// value and the head of its row.
    ///
    /// # Panics
    /// If a rating is of a row that `others` does not have, or the ranks differ.
    pub fn add(
        &mut self,
        others: &Factors,
        ratings: &[Observed],
        each: impl Fn(f32, Head) -> (f32, f32),
    ) {
        assert_eq!(self.lanes, others.lanes, "rows of one rank");
        match self.kernel.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX-512F.
            Level::Avx512 => unsafe { self.add_avx512(others, ratings, each) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX2.
            Level::Avx2 => unsafe { self.add_avx2(others, ratings, each) },
            Level::Portable => self.add_inline(others, ratings, each),
        }
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_avx512(
        &mut self,
        others: &Factors,
        ratings: &[Observed],
        each: impl Fn(f32, Head) -> (f32, f32),
    ) {
        self.add_inline(others, ratings, each);
    }

    /// # Safety
    /// The processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn add_avx2(
        &mut self,
        others: &Factors,
        ratings: &[Observed],
        each: impl Fn(f32, Head) -> (f32, f32),
    ) {
        self.add_inline(others, ratings, each);
    }

    #[inline(always)]
    fn add_inline(
        &mut self,
        others: &Factors,
        ratings: &[Observed],
        each: impl Fn(f32, Head) -> (f32, f32),
    ) {
        for chunk in ratings.chunks(CHUNK) {
            let (mut index, mut weights) = ([0u32; CHUNK], [0.0f32; CHUNK]);
            for (at, rating) in chunk.iter().enumerate() {
                let (weight, target) = each(rating.value, others.heads[rating.row as usize]);
                (index[at], weights[at]) = (rating.row, weight);
                let row = &others.rows[rating.row as usize * self.lanes..][..self.lanes];
                add_scaled(&mut self.right, weight * target, row);
                add_scaled(&mut self.sums, weight, row);
                self.target += f64::from(weight * target);
                self.weight += f64::from(weight);
            }
            let rows = Rows {
                rows: &others.rows,
                index: &index[..chunk.len()],
                weights: &weights[..chunk.len()],
            };
            add_products(self.kernel, &mut self.gram, self.lanes, 0, &rows);
        }
    }

    /// Adds every row of `others` with weight 1 and target 0.
    pub fn add_all(&mut self, others: &Factors) {
        let all: Vec<u32> = (0..others.len() as u32).collect();
        for index in all.chunks(CHUNK) {
            let rows = Rows {
                rows: &others.rows,
                index,
                weights: &[1.0; CHUNK][..index.len()],
            };
            add_products(self.kernel, &mut self.gram, self.lanes, 0, &rows);
        }
    }

    /// xᵀ G x, where G is the Gram matrix so far; in doubles.
    pub fn quadratic(&self, x: &[f32]) -> f64 {
        let element = |row: usize, column: usize| {
            f64::from(self.gram[row * self.lanes + column / WIDTH].0[column % WIDTH])
        };
        let of_row = |row: usize| {
            let right = x.iter().enumerate().skip(row + 1);
            let right: f64 = right.map(|(at, x)| element(row, at) * f64::from(*x)).sum();
            f64::from(x[row]) * (element(row, row) * f64::from(x[row]) + 2.0 * right)
        };
        (0..x.len()).map(of_row).sum()
    }

    /// Solves for x, which is written to `factors`, and with `bias_ridge` for b, which is returned;
    /// without it b is 0. Afterwards the equations are used up.
    pub fn solve(&mut self, ridge: f32, bias_ridge: Option<f32>, factors: &mut [f32]) -> f32 {
        match self.kernel.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX-512F.
            Level::Avx512 => unsafe { self.solve_avx512(ridge, bias_ridge, factors) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level is chosen only where the processor has AVX2.
            Level::Avx2 => unsafe { self.solve_avx2(ridge, bias_ridge, factors) },
            Level::Portable => self.solve_inline(ridge, bias_ridge, factors),
        }
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn solve_avx512(&mut self, ridge: f32, bias: Option<f32>, factors: &mut [f32]) -> f32 {
        self.solve_inline(ridge, bias, factors)
    }

    /// # Safety
    /// The processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn solve_avx2(&mut self, ridge: f32, bias: Option<f32>, factors: &mut [f32]) -> f32 {
        self.solve_inline(ridge, bias, factors)
    }

    #[inline(always)]
    fn solve_inline(&mut self, ridge: f32, bias_ridge: Option<f32>, factors: &mut [f32]) -> f32 {
        self.add_ridge(ridge);
        let scales = &mut self.scales;
        let (kernel, lanes) = (self.kernel, self.lanes);
        factorise(kernel, &mut self.gram, lanes, &mut self.panel, scales);
        substitute(&self.gram, lanes, scales, &mut self.right);
        let mut bias = 0.0;
        if let Some(ridge) = bias_ridge {
            // The border of the matrix: z = G⁻¹ Σ w q, then b, then x = G⁻¹ Σ w t q − b z.
            let sums = self.sums.clone();
            substitute(&self.gram, lanes, scales, &mut self.sums);
            let product = |a: &[Lanes], b: &[Lanes]| f64::from(super::dot(a, b));
            let pivot = self.weight + f64::from(ridge) - product(&sums, &self.sums);
            let least = f64::from(PIVOT_MIN) * (self.weight + f64::from(ridge));
            if pivot > least {
                bias = ((self.target - product(&sums, &self.right)) / pivot) as f32;
            }
            add_scaled(&mut self.right, -bias, &self.sums);
        }
        let solution = self.right.iter().flat_map(|lane| lane.0);
        factors.iter_mut().zip(solution).for_each(|(to, x)| *to = x);
        bias
    }

    /// Solves for x ≥ 0 and b as [`Normal::solve`] does, by cyclic coordinate descent from what
    /// `factors` and `bias` are.
    pub fn solve_nonnegative(
        &mut self,
        ridge: f32,
        bias_ridge: Option<f32>,
        factors: &mut [f32],
        bias: f32,
    ) -> f32 {
        self.add_ridge(ridge);
        self.mirror();
        let lanes = self.lanes;
        let mut bias = if bias_ridge.is_some() { bias } else { 0.0 };
        // The slope is half the gradient: G x + b Σ w q − Σ w t q.
        let mut slope: Vec<Lanes> = self.right.clone();
        slope
            .iter_mut()
            .flat_map(|lane| &mut lane.0)
            .for_each(|x| *x = -*x);
        add_scaled(&mut slope, bias, &self.sums);
        for (at, x) in factors.iter().enumerate() {
            add_scaled(&mut slope, *x, &self.full[at * lanes..][..lanes]);
        }
        for _ in 0..SWEEPS_MAX {
            let (mut moved, mut longest) = (0.0f32, 0.0f32);
            for (at, x) in factors.iter_mut().enumerate() {
                let (row, lane) = (&self.full[at * lanes..][..lanes], (at / WIDTH, at % WIDTH));
                let pivot = row[lane.0].0[lane.1];
                if pivot <= 0.0 {
                    continue;
                }
                let new = (*x - slope[lane.0].0[lane.1] / pivot).max(0.0);
                let by = new - *x;
                if by != 0.0 {
                    add_scaled(&mut slope, by, row);
                }
                *x = new;
                (moved, longest) = (moved.max(by.abs()), longest.max(new));
            }
            if let Some(ridge) = bias_ridge {
                let solution = padded(factors, lanes);
                let product = f64::from(super::dot(&self.sums, &solution));
                let pivot = (self.weight + f64::from(ridge)).max(f64::MIN_POSITIVE);
                let new = ((self.target - product) / pivot) as f32;
                add_scaled(&mut slope, new - bias, &self.sums);
                moved = moved.max((new - bias).abs());
                bias = new;
            }
            if moved <= MOVE_MIN * longest.max(bias.abs()) {
                break;
            }
        }
        bias
    }

    fn add_ridge(&mut self, ridge: f32) {
        for at in 0..self.lanes * WIDTH {
            // Rows beyond the rank are those of a unit matrix.
            let by = if at < self.rank { ridge } else { 1.0 };
            self.gram[at * self.lanes + at / WIDTH].0[at % WIDTH] += by;
        }
    }

    /// Fills `full` with the whole symmetric matrix.
    fn mirror(&mut self) {
        self.full.clone_from(&self.gram);
        for row in 0..self.rank {
            for column in 0..row {
                let upper = self.gram[column * self.lanes + row / WIDTH].0[row % WIDTH];
                self.full[row * self.lanes + column / WIDTH].0[column % WIDTH] = upper;
            }
        }
    }
}

fn padded(factors: &[f32], lanes: usize) -> Vec<Lanes> {
    let mut all = vec![Lanes::default(); lanes];
    for (at, x) in factors.iter().enumerate() {
        all[at / WIDTH].0[at % WIDTH] = *x;
    }
    all
}

#[inline(always)]
fn add_scaled(to: &mut [Lanes], by: f32, from: &[Lanes]) {
    for (to, from) in to.iter_mut().zip(from) {
        for (to, from) in to.0.iter_mut().zip(&from.0) {
            *to += by * from;
        }
    }
}

/// `gram += Σ w q qᵀ`, tiles from lane `first` on.
fn add_products(kernel: Kernel, gram: &mut [Lanes], lanes: usize, first: usize, rows: &Rows) {
    match kernel.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this level is chosen only where the processor has AVX-512F.
        Level::Avx512 => unsafe { avx512::add_products(gram, lanes, first, rows) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this level is chosen only where the processor has AVX2.
        Level::Avx2 => unsafe { add_products_avx2(gram, lanes, first, rows) },
        Level::Portable => add_products_portable(gram, lanes, first, rows),
    }
}

/// # Safety
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn add_products_avx2(gram: &mut [Lanes], lanes: usize, first: usize, rows: &Rows) {
    add_products_portable(gram, lanes, first, rows);
}

#[inline(always)]
fn add_products_portable(gram: &mut [Lanes], lanes: usize, first: usize, rows: &Rows) {
    for (index, weight) in rows.index.iter().zip(rows.weights) {
        let row = &rows.rows[*index as usize * lanes..][..lanes];
        for above in first..lanes {
            for at in 0..WIDTH {
                let by = weight * row[above].0[at];
                let to = &mut gram[(above * WIDTH + at) * lanes..][..lanes];
                add_scaled(&mut to[above..], by, &row[above..]);
            }
        }
    }
}

/// G = Uᵀ U in place, block row by block row; what lies left of U's diagonal and on it is zeroed,
/// `scales` are the inverses of the diagonal.
#[inline(always)]
fn factorise(
    kernel: Kernel,
    gram: &mut [Lanes],
    lanes: usize,
    panel: &mut [Lanes],
    scales: &mut [f32],
) {
    let diagonal = |gram: &[Lanes], at: usize| gram[at * lanes + at / WIDTH].0[at % WIDTH];
    let largest = (0..scales.len())
        .map(|at| diagonal(gram, at))
        .fold(0.0, f32::max);
    let least = (PIVOT_MIN * largest).max(f32::MIN_POSITIVE);
    for block in 0..lanes {
        let first = block * WIDTH;
        for at in first..first + WIDTH {
            let pivot = diagonal(gram, at);
            let scale = if pivot > least {
                1.0 / pivot.sqrt()
            } else {
                0.0
            };
            scales[at] = scale;
            let (row, below) = gram[at * lanes..].split_at_mut(lanes);
            let row = &mut row[block..];
            row[0].0[..=at - first].fill(0.0);
            row.iter_mut()
                .flat_map(|lane| &mut lane.0)
                .for_each(|u| *u *= scale);
            let rest = first + WIDTH - at - 1;
            for (number, below) in below.chunks_exact_mut(lanes).take(rest).enumerate() {
                let by = row[0].0[at - first + 1 + number];
                add_scaled(&mut below[block..], -by, row);
            }
        }
        panel.copy_from_slice(&gram[first * lanes..][..WIDTH * lanes]);
        let rows = Rows {
            rows: panel,
            index: &std::array::from_fn::<u32, WIDTH, _>(|at| at as u32),
            weights: &[-1.0; WIDTH],
        };
        add_products(kernel, gram, lanes, block + 1, &rows);
    }
}

/// Solves Uᵀ U x = y in place.
#[inline(always)]
fn substitute(upper: &[Lanes], lanes: usize, scales: &[f32], x: &mut [Lanes]) {
    for (at, scale) in scales.iter().enumerate() {
        let (block, within) = (at / WIDTH, at % WIDTH);
        let value = x[block].0[within] * scale;
        x[block].0[within] = value;
        let row = &upper[at * lanes + block..(at + 1) * lanes];
        add_scaled(&mut x[block..], -value, row);
    }
    for (at, scale) in scales.iter().enumerate().rev() {
        let (block, within) = (at / WIDTH, at % WIDTH);
        let row = &upper[at * lanes + block..(at + 1) * lanes];
        let known = super::dot(row, &x[block..]);
        x[block].0[within] = (x[block].0[within] - known) * scale;
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    //! The Gram matrix with a tile in sixteen 512-bit registers.

    use std::arch::x86_64::{
        _mm512_fmadd_ps, _mm512_load_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_store_ps,
    };

    use super::{Lanes, Rows, WIDTH};

    /// # Safety
    /// The processor has AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn add_products(gram: &mut [Lanes], lanes: usize, first: usize, rows: &Rows) {
        for above in first..lanes {
            for beside in above..lanes {
                add_tile(gram, lanes, (above, beside), rows);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add_tile(gram: &mut [Lanes], lanes: usize, (above, beside): (usize, usize), rows: &Rows) {
        let tile = &mut gram[above * WIDTH * lanes..][..WIDTH * lanes];
        let mut sums = [_mm512_setzero_ps(); WIDTH];
        for (index, weight) in rows.index.iter().zip(rows.weights) {
            let row = &rows.rows[*index as usize * lanes..][..lanes];
            let (own, other) = (&row[above].0, &row[beside].0);
            // SAFETY: a `Lanes` is 64 readable bytes, 64-aligned.
            let other = unsafe { _mm512_load_ps(other.as_ptr()) };
            let other = _mm512_mul_ps(_mm512_set1_ps(*weight), other);
            for at in 0..WIDTH {
                sums[at] = _mm512_fmadd_ps(_mm512_set1_ps(own[at]), other, sums[at]);
            }
        }
        for (at, sum) in sums.into_iter().enumerate() {
            let to = &mut tile[at * lanes + beside].0;
            // SAFETY: a `Lanes` is 64 readable and writable bytes, 64-aligned.
            unsafe {
                use std::arch::x86_64::_mm512_add_ps;
                _mm512_store_ps(
                    to.as_mut_ptr(),
                    _mm512_add_ps(_mm512_load_ps(to.as_ptr()), sum),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
