//! Many topics: products for the topics of the document, and a tree for α_k q_k.
//!
//! ```text
//! (n_dk + α_k) q_k  =  α_k q_k  +  n_dk q_k
//! ```
//!
//! n_dk q_k has few terms, one for each topic of the document: they are summed afresh, q gathered
//! sixteen at a time. α_k q_k changes only where a token leaves or joins a topic: it lives in a tree
//! of sums. This is F+LDA, word by word (Yu et al., WWW 2015), with sixteen children a node and one
//! saving: a leaf may be heavier than α_k q_k; a draw that falls on the excess is refused and drawn
//! again. The distribution stays exact, and tokens that keep their topic, at the end most of them,
//! never touch the tree.

use crate::math::rng::Rng;
use crate::math::sixteen::{LANES, Simd, pick};

use super::state::State;
use crate::program::lda::documents::Handle;
use crate::program::lda::entries::Entries;
use crate::program::lda::tokens::Cell;

/// No entry.
pub(super) const NONE: usize = usize::MAX;

/// Where a draw fell.
enum Drawn {
    /// On this entry of the document.
    Entry(usize),
    /// On this topic, through its α.
    Topic(usize),
}

/// What a document weighs.
pub(super) struct Weighed<F> {
    /// Prefix sums over lanes.
    pub(super) sums: F,
    pub(super) total: f64,
    /// The entry of the token that is left out.
    pub(super) out: usize,
}

/// Draws the topics of tokens of the current word. Unless it shall `LEARN`, only documents change.
#[inline(always)]
pub(super) fn draw<S: Simd, Z: Cell, const LEARN: bool>(
    simd: S,
    state: &mut State,
    entries: &mut Entries,
    handles: &[Handle],
    topics: &mut [Z],
    rng: &mut Rng,
) {
    state.grow_tree(simd);
    for (index, topic) in topics.iter_mut().enumerate() {
        entries.touch_ahead(handles, index);
        let (handle, old) = (handles[index], topic.get());
        let new = token::<S, LEARN>(simd, state, entries, handle, old, rng);
        *topic = Z::from_topic(new as u32);
    }
}

/// One token.
#[inline(always)]
fn token<S: Simd, const LEARN: bool>(
    simd: S,
    state: &mut State,
    entries: &mut Entries,
    handle: Handle,
    old: u32,
    rng: &mut Rng,
) -> usize {
    if LEARN && old != u32::MAX {
        leave(simd, state, old as usize);
    }
    let weighed = weigh(simd, state, entries.of(handle), entries.shift(), old);
    let new = match find(simd, state, &weighed, entries.of(handle).len(), rng) {
        Drawn::Entry(into) => {
            let new = entries.topic(entries.of(handle)[into]);
            if weighed.out == NONE {
                entries.add(simd, handle, new as u32);
            } else if new != old as usize {
                entries.shift_token(simd, handle, weighed.out, into);
            }
            new
        }
        Drawn::Topic(new) => {
            if new != old as usize {
                if weighed.out != NONE {
                    entries.take(handle, weighed.out);
                }
                entries.add(simd, handle, new as u32);
            }
            new
        }
    };
    if LEARN {
        join(simd, state, new, old as usize);
    }
    new
}

/// Takes a token of the current word out of a topic.
#[inline(always)]
fn leave<S: Simd>(simd: S, state: &mut State, old: usize) {
    if state.counts[old] == 0 {
        // Only a row that lags behind can miss a token of our own.
        state.touched.push(old as u32);
    }
    let weight = state.alpha[old] * state.change(simd, old, -1);
    let tree = state.tree.as_mut().expect("a tree");
    // Totals that lag behind can make a topic heavier by taking a token out.
    if weight > tree.weight(old) {
        tree.set(simd, old, weight);
    }
}

/// Puts the token that was of topic `old` into a topic.
#[inline(always)]
fn join<S: Simd>(simd: S, state: &mut State, new: usize, old: usize) {
    if state.counts[new] == 0 {
        state.touched.push(new as u32);
    }
    let weight = state.alpha[new] * state.change(simd, new, 1);
    if new == old {
        return;
    }
    let tree = state.tree.as_mut().expect("a tree");
    tree.shift(simd, new, weight);
    if let Some(&q) = state.q.get(old).filter(|_| old < state.counts.len()) {
        tree.shift(simd, old, state.alpha[old] * q);
    }
}

/// Running sums, lane by lane, of count · q, one token of topic `out` left out.
#[inline(always)]
fn weigh<S: Simd>(
    simd: S,
    state: &mut State,
    entries: &[u32],
    shift: u32,
    out: u32,
) -> Weighed<S::Floats> {
    let vectors = entries.len().div_ceil(LANES);
    state.sums.reserve_lines(vectors);
    let (mut sum, mut place) = (simd.splat(0.0), NONE);
    let running = &mut state.sums.lines_mut()[..vectors];
    for (vector, running) in running.iter_mut().enumerate() {
        let chunk = &entries[vector * LANES..];
        let found = simd.find(chunk, shift, out);
        // One token only, though a topic with very many may have two entries. No branches: where the
        // entry is cannot be foreseen.
        let less = found & found.wrapping_neg() & u32::from(place == NONE).wrapping_neg();
        let at = vector * LANES + less.trailing_zeros() as usize;
        place = if less != 0 { at } else { place };
        sum = simd.add(sum, simd.products(chunk, shift, &state.q, less));
        simd.store(sum, running);
    }
    let sums = simd.prefix(sum);
    Weighed {
        sums,
        total: f64::from(simd.lane(sums, LANES - 1)),
        out: place,
    }
}

/// One draw.
#[inline(always)]
fn find<S: Simd>(
    simd: S,
    state: &State,
    weighed: &Weighed<S::Floats>,
    entries: usize,
    rng: &mut Rng,
) -> Drawn {
    let tree = state.tree.as_ref().expect("a tree");
    let total = weighed.total + f64::from(tree.total());
    loop {
        let at = rng.uniform() * total;
        if at < weighed.total {
            return Drawn::Entry(find_entry(simd, state, weighed.sums, at, entries));
        }
        let (leaf, into) = tree.find(simd, at - weighed.total);
        if leaf < state.topics() && into < f64::from(state.alpha[leaf] * state.q[leaf]) {
            return Drawn::Topic(leaf);
        }
    }
}

/// The entry that `at` falls on.
#[inline(always)]
pub(super) fn find_entry<S: Simd>(
    simd: S,
    state: &State,
    sums: S::Floats,
    at: f64,
    entries: usize,
) -> usize {
    let (lane, rest) = pick(simd, sums, at);
    let rest = rest as f32;
    let running = state.sums.lines()[..entries.div_ceil(LANES)].iter();
    // Whole lines, as they were written just now: parts of them would have to wait.
    let is_below = |line| simd.at_most(simd.load(line), rest) >> (lane % LANES) & 1;
    let vector = running.map(is_below).sum::<u32>() as usize;
    let found = vector * LANES + lane;
    // Rounding may lead past the lane's last entry.
    if found < entries {
        found
    } else {
        found.saturating_sub(LANES).min(entries - 1)
    }
}

/// Σ_k (n_dk + α_k) q_k and Σ_k n_dk.
#[inline(always)]
pub(super) fn mass<S: Simd>(
    simd: S,
    state: &mut State,
    entries: &Entries,
    handle: Handle,
) -> (f64, u64) {
    state.grow_tree(simd);
    let of = entries.of(handle);
    let weighed = weigh(simd, state, of, entries.shift(), u32::MAX);
    let assigned = of.iter().map(|&e| u64::from(entries.times(e))).sum();
    let tree = state.tree.as_ref().expect("a tree");
    (weighed.total + f64::from(tree.total()), assigned)
}
