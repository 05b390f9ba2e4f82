//! The loops with 512-bit registers. Up to rank 128 the row whose ratings are met stays in
//! registers from its first rating to its last; rows of the other side are asked for a few
//! ratings ahead.

use std::arch::x86_64::{
    __m512, _MM_HINT_T0, _mm_cvtss_f32, _mm_prefetch, _mm_rsqrt14_ss, _mm_set_ss, _mm512_add_ps,
    _mm512_fmadd_ps, _mm512_load_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_store_ps,
};

use super::{Factors, Head, Lanes, Observed, One, Step};

/// Ratings between asking for a row and using it.
const AHEAD: usize = 3;
/// Partial sums of a product: each waits only for itself.
const SUMS: usize = 4;

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

/// Lengths of the steps of a row's factors and of its bias; see [`Step::own_lengths`].
#[inline]
#[target_feature(enable = "avx512f")]
fn lengths(rate: f32, bias_rate: f32, shrinkage: f32, sum: f32) -> (f32, f32) {
    let root = |x: f32| {
        let x = _mm_set_ss(x);
        _mm_cvtss_f32(_mm_rsqrt14_ss(x, x))
    };
    (
        rate * root(1.0 + shrinkage * sum),
        bias_rate * root(1.0 + sum),
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
    let (rate, bias_rate) = (step.rate, step.bias_rate);
    let own = lengths(rate, bias_rate, step.shrinkage, head.curvature);
    let (rate, bias_rate) = (step.others * rate, step.others * bias_rate);
    let its = lengths(rate, bias_rate, step.others_shrinkage, other.curvature);
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
fn learn_fixed<const N: usize>(one: One, others: &mut Factors, ratings: &[Observed], step: &Step) {
    match step.nonnegative {
        true => learn_rows::<N, true>(one, others, ratings, step),
        false => learn_rows::<N, false>(one, others, ratings, step),
    }
}

/// With `FLOOR` no factor goes below 0.
#[inline]
#[target_feature(enable = "avx512f")]
fn learn_rows<const N: usize, const FLOOR: bool>(
    one: One,
    others: &mut Factors,
    ratings: &[Observed],
    step: &Step,
) {
    let zero = _mm512_setzero_ps();
    let floor = |x| if FLOOR { _mm512_max_ps(x, zero) } else { x };
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
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for lane in 0..N {
            q[lane] = load(&row[lane]);
            sums[lane % SUMS] = _mm512_fmadd_ps(p[lane], q[lane], sums[lane % SUMS]);
        }
        let dot = sum(sums);
        let by = step_heads(&mut head, other, rating.value, dot, step);
        for lane in 0..N {
            let old = p[lane];
            let new = _mm512_fmadd_ps(by.add, q[lane], _mm512_mul_ps(by.keep, old));
            p[lane] = floor(new);
            let new = _mm512_fmadd_ps(by.other_add, old, _mm512_mul_ps(by.other_keep, q[lane]));
            store(&mut row[lane], floor(new));
        }
    }
    for lane in 0..N {
        store(&mut row[lane], p[lane]);
    }
    *one.head = head;
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sum(sums: [__m512; SUMS]) -> f32 {
    let halves = [
        _mm512_add_ps(sums[0], sums[1]),
        _mm512_add_ps(sums[2], sums[3]),
    ];
    _mm512_reduce_add_ps(_mm512_add_ps(halves[0], halves[1]))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn dot(p: &[Lanes], q: &[Lanes]) -> f32 {
    let mut sums = [_mm512_setzero_ps(); SUMS];
    for (lane, (p, q)) in p.iter().zip(q).enumerate() {
        sums[lane % SUMS] = _mm512_fmadd_ps(load(p), load(q), sums[lane % SUMS]);
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
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for lane in 0..N {
            sums[lane % SUMS] = _mm512_fmadd_ps(p[lane], load(&q[lane]), sums[lane % SUMS]);
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
