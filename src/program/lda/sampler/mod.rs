//! The draw: one token's topic from its exact conditional, word by word.
//!
//! With the token taken out of all counts, its topic k has the probability
//!
//! ```text
//! p(k)  ∝  (n_dk + α_k) q_k,    q_k = (n_wk + β) / (n_k + Vβ)
//! ```
//!
//! Words come one after the other, so q is filled once for all tokens of a word and changes only
//! where a token leaves or joins a topic. What is done with it depends on `--sampler`:
//!
//! | file | what | cost of a token |
//! |---|---|---|
//! | `dense.rs` | all K products, sixteen at a time | K / 16 |
//! | `sparse.rs` | products for the document's topics, a tree for α_k q_k | topics of the document / 16 + log₁₆ K |
//! | `proposals.rs` | Metropolis-Hastings steps | topics of the document / 16 |
//! | `state.rs` | the word, its q and the totals | |
//!
//! Counts are exact integers; products and their sums are `f32`, so each probability is right to
//! about one part in a million.

mod dense;
mod proposals;
mod sparse;
mod state;

use crate::math::rng::Rng;
use crate::math::sixteen::{Kernel, Processor, Simd};

use super::options::Method;
use super::documents::{Counts, Documents, Form, Handle};
use super::tokens::Cell;
use proposals::Proposals;
use state::State;

/// Up to so many topics all products are computed, whatever the documents are like.
const DENSE_TOPICS_MIN: u64 = 768;
/// Or up to so many times the tokens of a document.
const DENSE_TOPICS_PER_TOKEN: u64 = 2;

/// What `auto` means for so many topics and documents of so many tokens on average: a matter of
/// these numbers alone, never of a clock, so that equal seeds give equal runs.
///
/// Measured in early passes at α = 0.1 on a core of an EPYC with AVX-512, in nanoseconds a token:
///
/// | tokens a document | topics | dense | sparse |
/// |---|---|---|---|
/// | 30 | 512 | 78 | 98 |
/// | 93 | 512 | 76 | 100 |
/// | 93 | 1,000 | 105 | 112 |
/// | 1,000 | 1,000 | 112 | 138 |
/// | 1,000 | 4,000 | 253 | 220 |
///
/// So dense takes some 46 + 0.055 K, and sparse is as fast at about a thousand topics, or, where
/// documents are long, two or three for each of their tokens. The bounds are a little lower, because
/// later documents have fewer topics, and because a dense document takes K bytes or more.
pub(super) fn choose(method: Method, topics: u32, mean_length: u64) -> Method {
    let most = DENSE_TOPICS_MIN.max(DENSE_TOPICS_PER_TOKEN.saturating_mul(mean_length));
    match method {
        Method::Auto if u64::from(topics) <= most => Method::Dense,
        Method::Auto => Method::Sparse,
        chosen => chosen,
    }
}

/// One worker's sampler: the priors, its copy of the topic totals, and the word it is at.
#[derive(Debug, Clone)]
pub(super) struct Sampler {
    state: State,
    form: Form,
    /// Of alias and warp.
    proposals: Option<Proposals>,
    /// Counts of words lag behind: warp.
    delayed: bool,
    processor: Processor,
}

impl Sampler {
    /// A sampler for `alpha.len()` topics and `words` words, all counts 0.
    #[cfg(test)]
    pub(super) fn new(alpha: Vec<f64>, beta: f64, words: usize) -> Sampler {
        Sampler::with(Method::Auto, 1, alpha, beta, words)
    }

    /// A sampler for `alpha.len()` topics and `words` words, all counts 0, by a method that may take
    /// so many `steps` a token.
    pub(super) fn with(
        method: Method,
        steps: u32,
        alpha: Vec<f64>,
        beta: f64,
        words: usize,
    ) -> Sampler {
        let is_dense = choose(method, alpha.len() as u32, 0) == Method::Dense;
        let proposes = matches!(method, Method::Alias | Method::Warp);
        let mut sampler = Sampler {
            state: State::new(alpha, beta, words, (!is_dense).then_some(!proposes)),
            form: if is_dense { Form::Dense } else { Form::Sparse },
            proposals: proposes.then(|| Proposals::new(steps)),
            delayed: method == Method::Warp,
            processor: Processor::detect(),
        };
        sampler.refill();
        sampler
    }

    /// Draws as another kind of processor does.
    #[cfg(test)]
    pub(super) fn set_processor(&mut self, processor: Processor) {
        self.processor = processor;
    }

    /// The form in which its documents must be.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// α.
    pub(super) fn alpha(&self) -> &[f64] {
        self.state.alpha()
    }

    /// Takes another α; between words.
    pub(super) fn set_alpha(&mut self, alpha: &[f64]) {
        self.state.set_alpha(alpha);
        self.refill();
    }

    /// β.
    pub(super) fn beta(&self) -> f64 {
        self.state.beta()
    }

    /// Takes another β; between words.
    pub(super) fn set_beta(&mut self, beta: f64) {
        if beta != self.state.beta() {
            self.state.set_beta(beta);
            self.refill();
        }
    }

    /// n_k as it stands.
    pub(super) fn totals(&self) -> &[i64] {
        &self.state.totals
    }

    /// Takes n_k over; between words.
    pub(super) fn set_totals(&mut self, totals: &[i64]) {
        self.state.totals.copy_from_slice(totals);
        self.refill();
    }

    /// Begins a word with these topic counts, each topic at most once.
    pub(super) fn enter(&mut self, row: impl Iterator<Item = (u32, i32)>) {
        self.state.put_counts(row);
        self.settle();
    }

    /// Ends a word: its (topic, count) pairs go to `row`, topics ascending, no count 0.
    pub(super) fn leave(&mut self, row: &mut Vec<(u32, i32)>) {
        self.state.take_counts(row);
        if self.delayed {
            self.state.settle_inverse();
        }
        self.settle();
        self.state.touched.clear();
    }

    /// Draws new topics for tokens of the current word, `topics[i]` in the document
    /// `handles[i]`, and keeps all counts true. Tokens without a topic get their first. Handles
    /// beyond those of the topics are of documents that come next.
    pub(super) fn sample<Z: Cell>(
        &mut self,
        documents: &mut Documents,
        handles: &[Handle],
        topics: &mut [Z],
        rng: &mut Rng,
    ) {
        self.run::<Z, true>(documents, handles, topics, rng);
    }

    /// As [`Sampler::sample`], but the word's counts and the totals stay as they are: φ is frozen,
    /// only the documents change.
    pub(super) fn infer<Z: Cell>(
        &mut self,
        documents: &mut Documents,
        handles: &[Handle],
        topics: &mut [Z],
        rng: &mut Rng,
    ) {
        self.run::<Z, false>(documents, handles, topics, rng);
    }

    fn run<Z: Cell, const LEARN: bool>(
        &mut self,
        documents: &mut Documents,
        handles: &[Handle],
        topics: &mut [Z],
        rng: &mut Rng,
    ) {
        self.processor.run(Draws::<Z, LEARN> {
            state: &mut self.state,
            proposals: self.proposals.as_mut(),
            delayed: self.delayed,
            documents,
            handles,
            topics,
            rng,
        });
    }

    /// Σ_k θ_dk q_k with θ_dk = (n_dk + α_k) / (n_d + Σα): the current word's probability in the
    /// document, where n_d counts the tokens that have a topic.
    pub(super) fn predictive(&mut self, documents: &Documents, handle: Handle) -> f64 {
        let state = &mut self.state;
        let (mass, assigned) = self.processor.run(Mass {
            state,
            documents,
            handle,
        });
        mass / (assigned as f64 + self.state.alpha_sum)
    }

    fn settle(&mut self) {
        self.processor.run(Settle(&mut self.state, false));
    }

    fn refill(&mut self) {
        self.processor.run(Settle(&mut self.state, true));
        if let Some(proposals) = &mut self.proposals {
            proposals.refill(&self.state);
        }
    }
}

/// Some tokens of a word.
struct Draws<'a, Z, const LEARN: bool> {
    state: &'a mut State,
    proposals: Option<&'a mut Proposals>,
    delayed: bool,
    documents: &'a mut Documents,
    handles: &'a [Handle],
    topics: &'a mut [Z],
    rng: &'a mut Rng,
}

impl<Z: Cell, const LEARN: bool> Kernel for Draws<'_, Z, LEARN> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Draws {
            state,
            proposals,
            delayed,
            documents,
            handles,
            topics,
            rng,
        } = self;
        // Who has no topic yet cannot keep one.
        let has_topics = topics.first().is_some_and(|z| z.get() != u32::MAX);
        let proposals = proposals.filter(|_| has_topics);
        match &mut documents.counts {
            Counts::Dense(rows) => {
                dense::draw::<S, Z, LEARN>(simd, state, rows, handles, topics, rng);
            }
            Counts::Sparse(entries) => match proposals {
                None => sparse::draw::<S, Z, LEARN>(simd, state, entries, handles, topics, rng),
                Some(proposals) if delayed => proposals::draw::<S, Z, LEARN, true>(
                    simd, state, proposals, entries, handles, topics, rng,
                ),
                Some(proposals) => proposals::draw::<S, Z, LEARN, false>(
                    simd, state, proposals, entries, handles, topics, rng,
                ),
            },
        }
    }
}

/// Σ_k (n_dk + α_k) q_k and Σ_k n_dk of one document.
struct Mass<'a> {
    state: &'a mut State,
    documents: &'a Documents,
    handle: Handle,
}

impl Kernel for Mass<'_> {
    type Output = (f64, u64);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f64, u64) {
        match &self.documents.counts {
            Counts::Dense(rows) => dense::mass(simd, self.state, rows, self.handle),
            Counts::Sparse(entries) => sparse::mass(simd, self.state, entries, self.handle),
        }
    }
}

/// Brings q up to date where the touched topics are, or everywhere.
struct Settle<'a>(&'a mut State, bool);

impl Kernel for Settle<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Settle(state, everywhere) = self;
        if everywhere {
            state.refill_inverse();
            state.refill(simd);
        } else {
            state.settle(simd);
        }
    }
}
