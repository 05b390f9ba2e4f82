//! Few topics: all K products of a token, sixteen at a time.
//!
//! Topic 16 v + l is lane l of vector v. Lanes are summed separately while vectors go by and the
//! running sums are kept; then the lanes' sums tell the lane, and the running sums of that lane the
//! vector. Nothing is divided but where a count has changed. Nothing depends on whether the topic
//! changes, so the processor is at the next tokens while this one's draw is still on its way.

use crate::math::rng::Rng;
use crate::math::sixteen::{Count, LANES, Line, Rows, Simd, Width, pick};

use super::state::State;
use crate::program::lda::documents::Handle;
use crate::program::lda::tokens::Cell;

/// How many tokens ahead a document is asked for; of long rows fewer, in lines altogether.
const AHEAD: usize = 8;
const AHEAD_VECTORS: usize = 256;
/// Vectors that are summed before a running sum is kept, of rows of at least so many.
const LONG_BLOCK: usize = 8;
const LONG_ROW: usize = 10;

/// Draws the topics of tokens of the current word. Unless it shall `LEARN`, only documents change.
#[inline(always)]
pub(super) fn draw<S: Simd, Z: Cell, const LEARN: bool>(
    simd: S,
    state: &mut State,
    rows: &mut Rows,
    handles: &[Handle],
    topics: &mut [Z],
    rng: &mut Rng,
) {
    if rows.sixteens() < LONG_ROW {
        draw_by::<S, Z, LEARN, 1>(simd, state, rows, handles, topics, rng);
    } else {
        draw_by::<S, Z, LEARN, LONG_BLOCK>(simd, state, rows, handles, topics, rng);
    }
}

#[inline(always)]
fn draw_by<S: Simd, Z: Cell, const LEARN: bool, const BLOCK: usize>(
    simd: S,
    state: &mut State,
    rows: &mut Rows,
    handles: &[Handle],
    topics: &mut [Z],
    rng: &mut Rng,
) {
    let ahead = (AHEAD_VECTORS / rows.sixteens()).clamp(1, AHEAD);
    for (index, topic) in topics.iter_mut().enumerate() {
        if let Some(&soon) = handles.get(index + ahead) {
            rows.touch(soon);
        }
        let handle = handles[index];
        let at = rng.uniform();
        let old = topic.get();
        let new = match Rows::width(handle) {
            Width::One => {
                let row = rows.row_mut(handle);
                token::<S, u8, LEARN, BLOCK>(simd, state, row, old, at, rng)
            }
            Width::Two => {
                let row = rows.row_mut(handle);
                token::<S, u16, LEARN, BLOCK>(simd, state, row, old, at, rng)
            }
            Width::Four => {
                let row = rows.row_mut(handle);
                token::<S, u32, LEARN, BLOCK>(simd, state, row, old, at, rng)
            }
        };
        *topic = Z::from_topic(new as u32);
    }
}

/// One token, with the running sums of every `BLOCK` vectors.
#[inline(always)]
fn token<S: Simd, C: Count, const LEARN: bool, const BLOCK: usize>(
    simd: S,
    state: &mut State,
    row: &mut [[C; LANES]],
    old: u32,
    at: f64,
    rng: &mut Rng,
) -> usize {
    if old != u32::MAX {
        let old = old as usize;
        C::add(simd, &mut row[old / LANES], old % LANES, -1);
        if LEARN {
            state.change(simd, old, -1);
        }
    }
    let lanes = weigh::<S, C, BLOCK>(simd, state, row);
    let sums = simd.prefix(lanes);
    let total = f64::from(simd.lane(sums, LANES - 1));
    let mut new = find::<S, C, BLOCK>(simd, state, row, sums, at * total);
    // Rounding may lead past the last topic, once in millions of draws.
    while new >= state.topics() {
        new = find::<S, C, BLOCK>(simd, state, row, sums, rng.uniform() * total);
    }
    C::add(simd, &mut row[new / LANES], new % LANES, 1);
    if LEARN {
        state.change(simd, new, 1);
    }
    new
}

/// The sums of the lanes' products; after each block, what they were.
#[inline(always)]
fn weigh<S: Simd, C: Count, const BLOCK: usize>(
    simd: S,
    state: &mut State,
    row: &[[C; LANES]],
) -> S::Floats {
    let vectors = row.len();
    let (row, row_rest) = row.as_chunks::<BLOCK>();
    let (alpha, alpha_rest) = state.alpha.lines()[..vectors].as_chunks::<BLOCK>();
    let (q, q_rest) = state.q.lines()[..vectors].as_chunks::<BLOCK>();
    let (running, running_rest) = state.sums.lines_mut()[..vectors.div_ceil(BLOCK)].split_at_mut(row.len());
    let mut sum = simd.splat(0.0);
    for (((row, alpha), q), running) in row.iter().zip(alpha).zip(q).zip(running) {
        sum = simd.add(sum, weigh_block(simd, row, alpha, q));
        simd.store(sum, running);
    }
    if let Some(running) = running_rest.first_mut() {
        sum = simd.add(sum, weigh_block(simd, row_rest, alpha_rest, q_rest));
        simd.store(sum, running);
    }
    sum
}

/// The sums of the lanes' products in one block.
#[inline(always)]
fn weigh_block<S: Simd, C: Count>(
    simd: S,
    row: &[[C; LANES]],
    alpha: &[Line],
    q: &[Line],
) -> S::Floats {
    let mut sum = simd.splat(0.0);
    for ((counts, alpha), q) in row.iter().zip(alpha).zip(q) {
        sum = simd.add(sum, product(simd, counts, alpha, q));
    }
    sum
}

/// The topic that `at` falls on; perhaps one beyond the last.
#[inline(always)]
fn find<S: Simd, C: Count, const BLOCK: usize>(
    simd: S,
    state: &State,
    row: &[[C; LANES]],
    sums: S::Floats,
    at: f64,
) -> usize {
    let (lane, rest) = pick(simd, sums, at);
    let (lane, rest) = (lane % LANES, rest as f32);
    let running = &state.sums.lines()[..row.len().div_ceil(BLOCK)];
    // Whole lines, as they were written just now: parts of them would have to wait.
    let is_below = |sum| (simd.at_most(sum, rest) >> lane & 1) as usize;
    let below = running.iter().map(|line| is_below(simd.load(line)));
    let block = below.sum::<usize>().min(running.len() - 1);
    let first = block * BLOCK;
    if BLOCK == 1 {
        return first * LANES + lane;
    }
    // The block's sums once more, in the same order and so with the same roundings.
    let before = match block {
        0 => simd.splat(0.0),
        block => simd.load(&running[block - 1]),
    };
    let end = (first + BLOCK).min(row.len());
    let weights = state.alpha.lines()[first..end].iter();
    let weights = weights.zip(&state.q.lines()[first..end]);
    let (mut own, mut vector) = (simd.splat(0.0), first);
    for (counts, (alpha, q)) in row[first..end].iter().zip(weights) {
        own = simd.add(own, product(simd, counts, alpha, q));
        vector += is_below(simd.add(before, own));
    }
    vector.min(end - 1) * LANES + lane
}

/// (n_dk + α_k) q_k of sixteen topics.
#[inline(always)]
fn product<S: Simd, C: Count>(
    simd: S,
    counts: &[C; LANES],
    alpha: &Line,
    q: &Line,
) -> S::Floats {
    let mixture = simd.add(C::floats(simd, counts), simd.load(alpha));
    simd.mul(mixture, simd.load(q))
}

/// Σ_k (n_dk + α_k) q_k and Σ_k n_dk.
#[inline(always)]
pub(super) fn mass<S: Simd>(
    simd: S,
    state: &mut State,
    rows: &Rows,
    handle: Handle,
) -> (f64, u64) {
    match Rows::width(handle) {
        Width::One => mass_of(simd, state, rows.row::<u8>(handle)),
        Width::Two => mass_of(simd, state, rows.row::<u16>(handle)),
        Width::Four => mass_of(simd, state, rows.row::<u32>(handle)),
    }
}

#[inline(always)]
fn mass_of<S: Simd, C: Count>(simd: S, state: &mut State, row: &[[C; LANES]]) -> (f64, u64) {
    let sums = simd.prefix(weigh::<S, C, LONG_BLOCK>(simd, state, row));
    let assigned = row.as_flattened().iter().map(|n| u64::from(n.get())).sum();
    (f64::from(simd.lane(sums, LANES - 1)), assigned)
}
