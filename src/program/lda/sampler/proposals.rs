//! Very many topics: Metropolis-Hastings, at a cost that K has no part in.
//!
//! A token's topic s is kept or changed in a few steps, each proposing a topic t and taking it with
//! probability min(1, ratio). Proposals come in turns (LightLDA: Yuan et al., WWW 2015)
//!
//! * from the word, n_wk + β without the token: the topic of another token of the word, picked at
//!   random (of this worker's as it is now, of the others' from an alias table), or any topic for β;
//! * from the document, n_dk + α_k without the token.
//!
//! LightLDA draws the first kind from an alias table of what n_wk was some time ago, the token itself
//! included. That is not quite exact: what a token was proposed would depend on what it was. Here
//! proposals know only the other tokens, so the stationary distribution is exactly that of collapsed
//! Gibbs sampling; but a step moves less far than a draw, so passes do less.
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
use crate::math::sixteen::{LANES, Simd};

use super::sparse::{NONE, Weighed, find_entry};
use super::state::State;
use crate::program::lda::documents::Handle;
use crate::program::lda::entries::Entries;
use crate::program::lda::tokens::Cell;


/// What words and α propose.
#[derive(Debug, Clone, Default)]
pub(super) struct Proposals {
    /// Rounds of one proposal of the word and one of the document.
    steps: u32,
    /// α_k.
    prior: AliasTable,
    /// Tokens of the word at other workers.
    others: AliasTable,
    /// Their topics.
    topics: Vec<u32>,
    /// Tokens of the word by topic, one that is being drawn left out; all 0 between words.
    times: Vec<u32>,
}

impl Proposals {
    pub(super) fn new(steps: u32) -> Proposals {
        Proposals {
            steps,
            ..Proposals::default()
        }
    }

    /// Takes over α.
    pub(super) fn refill(&mut self, state: &State) {
        self.prior.build(state.alpha[..state.topics()].iter().copied());
        self.times.resize(state.topics(), 0);
    }

    /// Begins a word whose topics are the touched ones; tokens that it has here are `own`.
    fn enter<Z: Cell>(&mut self, state: &State, own: &[Z]) {
        for topic in own {
            self.times[topic.get() as usize] += 1;
        }
        self.topics.clear();
        let times = |k: u32| state.counts[k as usize].max(0) as u32;
        let elsewhere = |k: u32| times(k).saturating_sub(self.times[k as usize]);
        let touched = state.touched.iter().copied();
        self.topics.extend(touched.filter(|&k| elsewhere(k) > 0));
        self.others.build(self.topics.iter().map(|&k| elsewhere(k) as f32));
        let others: Vec<u32> = self.topics.iter().map(|&k| elsewhere(k)).collect();
        for (&topic, times) in self.topics.iter().zip(others) {
            self.times[topic as usize] += times;
        }
    }

    /// Ends a word.
    fn leave<Z: Cell>(&mut self, own: &[Z]) {
        let own = own.iter().map(|topic| topic.get());
        for topic in own.chain(self.topics.iter().copied()) {
            self.times[topic as usize] = 0;
        }
    }

    /// A topic that the word proposes to the token `at` of those here, or to one that is not counted.
    #[inline(always)]
    fn of_word<Z: Cell>(&self, beta: f32, own: &[Z], at: Option<usize>, rng: &mut Rng) -> usize {
        let here = own.len() - usize::from(at.is_some());
        let here = if at.is_some() { here } else { 0 };
        let counted = self.others.total() + here as f64;
        let topics = self.times.len();
        let place = rng.uniform() * (counted + f64::from(beta) * topics as f64);
        if place < here as f64 {
            let other = place as usize;
            let skipped = usize::from(at.is_some_and(|at| other >= at));
            own[other + skipped].get() as usize
        } else if place < counted {
            self.topics[self.others.draw(rng.uniform())] as usize
        } else {
            rng.below(topics as u64) as usize
        }
    }
}

/// Draws the topics of all tokens that the current word has here, which all have one. Unless it
/// shall `LEARN`, only documents change, and the tokens are not among the word's; `DELAYED` as
/// described above.
#[inline(always)]
pub(super) fn draw<S: Simd, Z: Cell, const LEARN: bool, const DELAYED: bool>(
    simd: S,
    state: &mut State,
    proposals: &mut Proposals,
    entries: &mut Entries,
    handles: &[Handle],
    topics: &mut [Z],
    rng: &mut Rng,
) {
    proposals.enter(state, if LEARN { &*topics } else { &[] });
    for index in 0..topics.len() {
        entries.touch_ahead(handles, index);
        let (handle, old) = (handles[index], topics[index].get() as usize);
        if LEARN {
            count(state, old);
            proposals.times[old] -= 1;
            if !DELAYED {
                state.change(simd, old, -1);
            }
        }
        let token = Token {
            handle,
            old,
            out: entries.find(simd, handle, old as u32).unwrap_or(NONE),
            own: &*topics,
            at: LEARN.then_some(index),
        };
        let new = step(simd, state, proposals, entries, &token, rng);
        if new != old && token.out != NONE {
            entries.take(handle, token.out);
            entries.add(simd, handle, new as u32);
        }
        if LEARN {
            count(state, new);
            proposals.times[new] += 1;
            if !DELAYED {
                state.change(simd, new, 1);
            } else if new != old {
                state.change_later(old, -1);
                state.change_later(new, 1);
            }
        }
        topics[index] = Z::from_topic(new as u32);
    }
    proposals.leave(if LEARN { &*topics } else { &[] });
}

/// A token that is about to move.
struct Token<'a, Z> {
    handle: Handle,
    old: usize,
    /// The entry of its topic in its document.
    out: usize,
    /// All tokens of the word here.
    own: &'a [Z],
    /// Its place among them; None if they are not counted.
    at: Option<usize>,
}

/// Notes that the word has a topic, if it is new.
#[inline(always)]
fn count(state: &mut State, topic: usize) {
    if state.counts[topic] == 0 {
        state.touched.push(topic as u32);
    }
}

/// Where a token goes.
#[inline(always)]
fn step<S: Simd, Z: Cell>(
    simd: S,
    state: &mut State,
    proposals: &Proposals,
    entries: &Entries,
    token: &Token<'_, Z>,
    rng: &mut Rng,
) -> usize {
    let &Token {
        handle, old, out, ..
    } = token;
    let of = entries.of(handle);
    let weighed = weigh(simd, state, of, entries.shift(), out);
    let times = |topic: usize| {
        let found = entries.find(simd, handle, topic as u32);
        let count = found.map_or(0, |at| entries.times(of[at]));
        (count - u32::from(topic == old && count > 0)) as f32
    };
    let proposed = |topic: usize| proposals.times[topic] as f32 + state.beta;
    let mut now = old;
    let mut mixture = times(old) + state.alpha[old];
    for _ in 0..proposals.steps {
        let next = proposals.of_word(state.beta, token.own, token.at, rng);
        if next != now {
            let its = times(next) + state.alpha[next];
            let forth = its * state.q[next] * proposed(now);
            let back = mixture * state.q[now] * proposed(next);
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
