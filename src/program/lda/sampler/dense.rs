//! Few topics: all K products of a token, sixteen at a time.
//!
//! Topic 16 v + l is lane l of vector v. Lanes are summed separately while vectors go by and the
//! running sums are kept; then the lanes' sums tell the lane, and the running sums of that lane the
//! vector. Nothing is divided but where a count has changed. Nothing depends on whether the topic
//! changes, so the processor is at the next tokens while this one's draw is still on its way.

use crate::math::rng::Rng;
use crate::math::sixteen::{Count, LANES, Rows, Simd, Width, pick};

use super::state::State;
use crate::program::lda::documents::Handle;
use crate::program::lda::tokens::Cell;

/// How many tokens ahead a document is asked for.
const AHEAD: usize = 8;

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
    for (index, topic) in topics.iter_mut().enumerate() {
        if let Some(&soon) = handles.get(index + AHEAD) {
            rows.touch(soon);
        }
        let handle = handles[index];
        let at = rng.uniform();
        let old = topic.get();
        let new = match Rows::width(handle) {
            Width::One => {
                token::<S, u8, LEARN>(simd, state, rows.row_mut(handle), old, at, rng)
            }
            Width::Two => {
                token::<S, u16, LEARN>(simd, state, rows.row_mut(handle), old, at, rng)
            }
            Width::Four => {
                token::<S, u32, LEARN>(simd, state, rows.row_mut(handle), old, at, rng)
            }
        };
        *topic = Z::from_topic(new as u32);
    }
}

/// One token.
#[inline(always)]
fn token<S: Simd, C: Count, const LEARN: bool>(
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
    let lanes = weigh(simd, state, row);
    let sums = simd.prefix(lanes);
    let total = f64::from(simd.lane(sums, LANES - 1));
    let mut new = find(simd, state, sums, at * total, row.len());
    // Rounding may lead past the last topic, once in millions of draws.
    while new >= state.topics() {
        new = find(simd, state, sums, rng.uniform() * total, row.len());
    }
    C::add(simd, &mut row[new / LANES], new % LANES, 1);
    if LEARN {
        state.change(simd, new, 1);
    }
    new
}

/// The sums of the lanes' products; after each vector, what they were.
#[inline(always)]
fn weigh<S: Simd, C: Count>(simd: S, state: &mut State, row: &[[C; LANES]]) -> S::Floats {
    let mut sum = simd.splat(0.0);
    let weights = state.alpha.lines().iter().zip(state.q.lines());
    let vectors = row.iter().zip(weights).zip(state.sums.lines_mut());
    for ((counts, (alpha, q)), running) in vectors {
        let mixture = simd.add(C::floats(simd, counts), simd.load(alpha));
        sum = simd.add(sum, simd.mul(mixture, simd.load(q)));
        simd.store(sum, running);
    }
    sum
}

/// The topic that `at` falls on; perhaps one beyond the last.
#[inline(always)]
fn find<S: Simd>(simd: S, state: &State, sums: S::Floats, at: f64, vectors: usize) -> usize {
    let (lane, rest) = pick(simd, sums, at);
    let rest = rest as f32;
    let running = state.sums.lines()[..vectors].iter();
    let vector: usize = running.map(|line| usize::from(line.0[lane % LANES] <= rest)).sum();
    vector.min(vectors - 1) * LANES + lane
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
    let sums = simd.prefix(weigh(simd, state, row));
    let assigned = row.as_flattened().iter().map(|n| u64::from(n.get())).sum();
    (f64::from(simd.lane(sums, LANES - 1)), assigned)
}
