//! Very many topics: Metropolis-Hastings, at a cost that K has no part in.
//!
//! A token's topic s is kept or changed in a few steps, each proposing a topic t and taking it with
//! probability min(1, ratio). Proposals come in turns (LightLDA: Yuan et al., WWW 2015)
//!
//! * from the word, (ñ_wk + β) / (ñ_k + Vβ), as these counts were when the word came (ñ_k: when its
//!   block came): two alias tables, one for the topics that the word has, one for β;
//! * from the document, n_dk + α_k, as it is now without the token: for these the ratio is q_t / q_s.
//!
//! The ratio makes up for what is late in a proposal, so the stationary distribution is exactly that
//! of collapsed Gibbs sampling; but a step moves less far than a draw, so passes do less.
//!
//! **Delayed counts** (`--sampler warp`, after WarpLDA: Chen et al., VLDB 2016). While a word stays
//! its q stands still, as it was when the word came, the tokens themselves included; changes are
//! counted when it leaves. Nothing is divided and nothing waits for the token before. Given up is
//! exactness: a token sees its word through counts that hold itself and miss what the word's other
//! tokens did in this pass, which is a Monte Carlo EM for the MAP estimate of a model with slightly
//! larger counts rather than Gibbs sampling. WarpLDA also delays documents and totals for a whole
//! pass; here documents are always current and totals follow word by word.

use crate::math::alias::AliasTable;
use crate::math::rng::Rng;
use crate::math::sixteen::{Floats, LANES, Simd};

use super::sparse::{NONE, Weighed, find_entry};
use super::state::State;
use crate::program::lda::documents::Handle;
use crate::program::lda::entries::Entries;
use crate::program::lda::tokens::Cell;

/// How many tokens ahead a document is asked for.
const AHEAD: usize = 8;

/// What words propose.
#[derive(Debug, Clone, Default)]
pub(super) struct Proposals {
    /// Rounds of one proposal of the word and one of the document.
    steps: u32,
    /// ñ_wk / (ñ_k + Vβ) for the topics of the word.
    word: AliasTable,
    /// Which topics those are.
    topics: Vec<u32>,
    /// 1 / (ñ_k + Vβ).
    smooth: AliasTable,
    /// α_k.
    prior: AliasTable,
    /// 1 / (ñ_k + Vβ).
    inverse: Floats,
    /// (ñ_wk + β) / (ñ_k + Vβ).
    weights: Floats,
}

impl Proposals {
    pub(super) fn new(steps: u32) -> Proposals {
        Proposals {
            steps,
            ..Proposals::default()
        }
    }

    /// Takes over α, β and the totals.
    pub(super) fn refill(&mut self, state: &State) {
        let topics = state.topics();
        self.inverse.clone_from(&state.inverse);
        self.weights.clone_from(&state.inverse);
        self.weights.iter_mut().for_each(|w| *w *= state.beta);
        self.smooth.build(self.inverse[..topics].iter().copied());
        self.prior.build(state.alpha[..topics].iter().copied());
    }

    /// Begins a word: its topics are the touched ones.
    pub(super) fn enter(&mut self, state: &State) {
        self.topics.clone_from(&state.touched);
        let weight = |k: u32| {
            let k = k as usize;
            state.counts[k].max(0) as f32 * self.inverse[k]
        };
        self.word.build(self.topics.iter().map(|&k| weight(k)));
        for &topic in &self.topics {
            let k = topic as usize;
            self.weights[k] = (state.counts[k].max(0) as f32 + state.beta) * self.inverse[k];
        }
    }

    /// Ends a word.
    pub(super) fn leave(&mut self, state: &State) {
        for &topic in &self.topics {
            self.weights[topic as usize] = state.beta * self.inverse[topic as usize];
        }
    }

    /// A topic that the word proposes.
    #[inline(always)]
    fn of_word(&self, beta: f32, rng: &mut Rng) -> usize {
        let smooth = f64::from(beta) * self.smooth.total();
        let at = rng.uniform() * (self.word.total() + smooth);
        if at < self.word.total() {
            self.topics[self.word.draw(rng.uniform())] as usize
        } else {
            self.smooth.draw(rng.uniform())
        }
    }
}

/// Draws the topics of tokens of the current word, which all have one. Unless it shall `LEARN`, only
/// documents change; `DELAYED` as described above.
#[inline(always)]
pub(super) fn draw<S: Simd, Z: Cell, const LEARN: bool, const DELAYED: bool>(
    simd: S,
    state: &mut State,
    proposals: &Proposals,
    entries: &mut Entries,
    handles: &[Handle],
    topics: &mut [Z],
    rng: &mut Rng,
) {
    for (index, topic) in topics.iter_mut().enumerate() {
        if let Some(&soon) = handles.get(index + AHEAD) {
            entries.touch(soon);
        }
        let (handle, old) = (handles[index], topic.get() as usize);
        if LEARN && !DELAYED {
            count(state, old);
            state.change(simd, old, -1);
        }
        let out = entries.find(simd, handle, old as u32).unwrap_or(NONE);
        let new = step(simd, state, proposals, entries, handle, old, out, rng);
        if new != old && out != NONE {
            entries.take(handle, out);
            entries.add(simd, handle, new as u32);
        }
        if LEARN {
            count(state, new);
            if !DELAYED {
                state.change(simd, new, 1);
            } else if new != old {
                count(state, old);
                state.change_later(old, -1);
                state.change_later(new, 1);
            }
        }
        *topic = Z::from_topic(new as u32);
    }
}

/// Notes that the word has a topic, if it is new.
#[inline(always)]
fn count(state: &mut State, topic: usize) {
    if state.counts[topic] == 0 {
        state.touched.push(topic as u32);
    }
}

/// Where a token goes from topic `old`, whose entry is `out`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all of a token's surroundings")]
fn step<S: Simd>(
    simd: S,
    state: &mut State,
    proposals: &Proposals,
    entries: &Entries,
    handle: Handle,
    old: usize,
    out: usize,
    rng: &mut Rng,
) -> usize {
    let of = entries.of(handle);
    let weighed = weigh(simd, state, of, entries.shift(), out);
    let times = |topic: usize| {
        let found = entries.find(simd, handle, topic as u32);
        let count = found.map_or(0, |at| entries.times(of[at]));
        (count - u32::from(topic == old && count > 0)) as f32
    };
    let mut now = old;
    let mut mixture = times(old) + state.alpha[old];
    for _ in 0..proposals.steps {
        let next = proposals.of_word(state.beta, rng);
        if next != now {
            let its = times(next) + state.alpha[next];
            let forth = its * state.q[next] * proposals.weights[now];
            let back = mixture * state.q[now] * proposals.weights[next];
            if rng.uniform() as f32 * back < forth {
                (now, mixture) = (next, its);
            }
        }
        let at = rng.uniform() * (weighed.total + state.alpha_sum);
        let next = if at < weighed.total {
            entries.topic(of[find_entry(simd, state, weighed.sums, at, of.len())])
        } else {
            proposals.prior.draw(rng.uniform())
        };
        if next != now && rng.uniform() as f32 * state.q[now] < state.q[next] {
            (now, mixture) = (next, times(next) + state.alpha[next]);
        }
    }
    now
}

/// Running sums, lane by lane, of the document's counts, one token of the entry `out` left out.
#[inline(always)]
fn weigh<S: Simd>(
    simd: S,
    state: &mut State,
    entries: &[u32],
    shift: u32,
    out: usize,
) -> Weighed<S::Floats> {
    state.sums.reserve_lines(entries.len().div_ceil(LANES));
    let mut sum = simd.splat(0.0);
    let running = state.sums.lines_mut().iter_mut();
    for (vector, (chunk, running)) in entries.chunks(LANES).zip(running).enumerate() {
        let less = u32::from(vector == out / LANES) << (out % LANES);
        sum = simd.add(sum, simd.counts(chunk, shift, less));
        simd.store(sum, running);
    }
    let sums = simd.prefix(sum);
    Weighed {
        sums,
        total: f64::from(simd.lane(sums, LANES - 1)),
        out,
    }
}
