//! The draw: one token's topic from its exact conditional, word by word.
//!
//! With the token taken out of all counts, its topic k has the probability
//!
//! ```text
//! p(k)  ∝  (n_dk + α_k) q_k,    q_k = (n_wk + β) / (n_k + Vβ)
//!       =  α_k q_k   +   n_dk q_k
//! ```
//!
//! While a word stays, α_k q_k changes only where a token leaves or joins a topic: it lives in an
//! [`FTree`]. n_dk q_k has few terms, one for each topic of the document: they are summed afresh.
//! This is F+LDA, word by word (Yu et al., WWW 2015), with one saving: when the token is taken out,
//! its old topic's leaf is left as it is, a little too heavy; a draw that falls on the excess is
//! refused and drawn again. The distribution stays exact, and tokens that keep their topic, at the
//! end most of them, never touch the tree.

use crate::math::ftree::FTree;
use crate::math::rng::Rng;

use super::documents::{Documents, Handle};
use super::tokens::Cell;

/// One worker's sampler: the priors, its copy of the topic totals, and the word it is at.
#[derive(Debug, Clone)]
pub(super) struct Sampler {
    alpha: Vec<f64>,
    alpha_sum: f64,
    beta: f64,
    /// V.
    words: f64,
    /// Vβ.
    beta_sum: f64,
    /// n_k, as this worker knows it.
    totals: Vec<i64>,
    /// n_wk of the current word; all 0 between words.
    counts: Vec<i32>,
    /// q_k for the current word; for a word without counts between words.
    q: Vec<f64>,
    /// α_k q_k.
    tree: FTree,
    /// Topics that have, or had since the word began, a count; some perhaps twice.
    touched: Vec<u32>,
    /// Partial sums of n_dk q_k.
    sums: Vec<f64>,
}

/// How many tokens ahead a document is asked for.
const AHEAD: usize = 8;

/// Where a draw fell.
enum Drawn {
    /// Into the document's part, so far from its beginning.
    Below(f64),
    /// On this topic, through its α.
    Topic(u32),
}

impl Sampler {
    /// A sampler for `alpha.len()` topics and `words` words, all counts 0.
    pub(super) fn new(alpha: Vec<f64>, beta: f64, words: usize) -> Sampler {
        let topics = alpha.len();
        let mut sampler = Sampler {
            tree: FTree::new(topics),
            alpha_sum: alpha.iter().sum(),
            alpha,
            beta,
            words: words as f64,
            beta_sum: beta * words as f64,
            totals: vec![0; topics],
            counts: vec![0; topics],
            q: vec![0.0; topics],
            touched: vec![],
            sums: vec![],
        };
        sampler.refill();
        sampler
    }

    /// α.
    pub(super) fn alpha(&self) -> &[f64] {
        &self.alpha
    }

    /// Takes another α; between words.
    pub(super) fn set_alpha(&mut self, alpha: &[f64]) {
        self.alpha.copy_from_slice(alpha);
        self.alpha_sum = alpha.iter().sum();
        self.refill();
    }

    /// β.
    pub(super) fn beta(&self) -> f64 {
        self.beta
    }

    /// Takes another β; between words.
    pub(super) fn set_beta(&mut self, beta: f64) {
        if beta != self.beta {
            self.beta = beta;
            self.beta_sum = beta * self.words;
            self.refill();
        }
    }

    /// n_k as it stands.
    pub(super) fn totals(&self) -> &[i64] {
        &self.totals
    }

    /// Takes n_k over; between words.
    pub(super) fn set_totals(&mut self, totals: &[i64]) {
        self.totals.copy_from_slice(totals);
        self.refill();
    }

    /// Begins a word with these topic counts, each topic at most once.
    pub(super) fn enter(&mut self, row: impl Iterator<Item = (u32, i32)>) {
        for (topic, count) in row {
            self.counts[topic as usize] = count;
            self.touched.push(topic);
        }
        self.settle();
    }

    /// Ends a word: its (topic, count) pairs go to `row`, topics ascending, no count 0.
    pub(super) fn leave(&mut self, row: &mut Vec<(u32, i32)>) {
        row.clear();
        self.touched.sort_unstable();
        self.touched.dedup();
        for &topic in &self.touched {
            let count = std::mem::take(&mut self.counts[topic as usize]);
            if count != 0 {
                row.push((topic, count));
            }
        }
        self.settle();
        self.touched.clear();
    }

    /// Draws new topics for tokens of the current word, `topics[i]` in the document
    /// `handles[i]`, and keeps all counts true. Tokens without a topic get their first.
    pub(super) fn sample<Z: Cell>(
        &mut self,
        documents: &mut Documents,
        handles: &[Handle],
        topics: &mut [Z],
        rng: &mut Rng,
    ) {
        for (index, (&handle, topic)) in handles.iter().zip(topics).enumerate() {
            if let Some(&soon) = handles.get(index + AHEAD) {
                documents.touch(soon);
            }
            let old = topic.get();
            let new = if old == u32::MAX {
                let new = self.place(documents, handle, rng);
                self.join(new);
                new
            } else {
                self.replace(documents, handle, old, rng)
            };
            *topic = Z::from_topic(new);
        }
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
        for (&handle, topic) in handles.iter().zip(topics) {
            if topic.get() != u32::MAX {
                let (_, place) = documents.weigh(handle, topic.get(), &self.q, &mut self.sums);
                documents.take(handle, place);
            }
            *topic = Z::from_topic(self.place(documents, handle, rng));
        }
    }

    /// Σ_k θ_dk q_k with θ_dk = (n_dk + α_k) / (n_d + Σα): the current word's probability in the
    /// document, where n_d counts the tokens that have a topic.
    pub(super) fn predictive(&mut self, documents: &Documents, handle: Handle) -> f64 {
        let (of_document, _) = documents.weigh(handle, u32::MAX, &self.q, &mut self.sums);
        let mass = self.tree.total() + of_document;
        let entries = documents.entries(handle);
        let assigned: u64 = entries.iter().map(|&e| u64::from(documents.times(e))).sum();
        mass / (assigned as f64 + self.alpha_sum)
    }

    /// Draws a topic for a token that has none, and notes it in its document.
    fn place(&mut self, documents: &mut Documents, handle: Handle, rng: &mut Rng) -> u32 {
        let (of_document, _) = documents.weigh(handle, u32::MAX, &self.q, &mut self.sums);
        let new = match self.draw::<false>(of_document, 0, rng) {
            Drawn::Topic(topic) => topic,
            Drawn::Below(at) => {
                let entries = documents.entries(handle);
                documents.topic(entries[self.search(entries.len(), at)]) as u32
            }
        };
        documents.add(handle, new);
        new
    }

    /// Draws the topic of a token again. Its document changes only if the topic does.
    #[inline]
    fn replace(
        &mut self,
        documents: &mut Documents,
        handle: Handle,
        old: u32,
        rng: &mut Rng,
    ) -> u32 {
        let at = old as usize;
        let q = self.q[at];
        if self.counts[at] == 0 {
            // Only a row that lags behind can miss a token of our own.
            self.touched.push(old);
        }
        self.counts[at] -= 1;
        self.totals[at] -= 1;
        self.q[at] = self.value(at);
        // Totals that lag behind can make the leaf lighter than it should be: then it cannot be
        // refused down to the right weight.
        if self.q[at] > q {
            self.tree.set(at, self.alpha[at] * self.q[at]);
        }
        let (of_document, out) = documents.weigh(handle, old, &self.q, &mut self.sums);
        let new = match self.draw::<true>(of_document, at, rng) {
            Drawn::Below(at) => {
                let entries = documents.entries(handle);
                let into = self.search(entries.len(), at);
                let new = documents.topic(entries[into]) as u32;
                if new != old {
                    documents.shift_token(handle, out, into);
                }
                new
            }
            Drawn::Topic(new) => {
                if new != old {
                    documents.take(handle, out);
                    documents.add(handle, new);
                }
                new
            }
        };
        if new == old {
            self.counts[at] += 1;
            self.totals[at] += 1;
            if self.q[at] > q {
                self.tree.set(at, self.alpha[at] * q);
            }
            self.q[at] = q;
        } else {
            self.tree.set(at, self.alpha[at] * self.q[at]);
            self.join(new);
        }
        new
    }

    /// Adds a token to a topic of the current word.
    #[inline]
    fn join(&mut self, topic: u32) {
        let at = topic as usize;
        if self.counts[at] == 0 {
            self.touched.push(topic);
        }
        self.counts[at] += 1;
        self.totals[at] += 1;
        self.q[at] = self.value(at);
        self.tree.set(at, self.alpha[at] * self.q[at]);
    }

    /// One draw, given Σ_k n_dk q_k. With `HEAVY`, the leaf of `heavy` may be heavier than α q.
    #[inline]
    fn draw<const HEAVY: bool>(&self, of_document: f64, heavy: usize, rng: &mut Rng) -> Drawn {
        loop {
            let at = rng.uniform() * (of_document + self.tree.total());
            if at < of_document {
                return Drawn::Below(at);
            }
            let (leaf, into) = self.tree.find(at - of_document);
            if !HEAVY || leaf != heavy || into < self.alpha[heavy] * self.q[heavy] {
                return Drawn::Topic(leaf as u32);
            }
        }
    }

    /// The first of the document's `entries` entries whose partial sum is above `at`.
    #[inline]
    fn search(&self, entries: usize, at: f64) -> usize {
        // All are compared: a search that stops early is mispredicted for nearly every token.
        let below = self.sums[..entries]
            .iter()
            .map(|&sum| u64::from(sum <= at))
            .sum::<u64>();
        (below as usize).min(entries - 1)
    }

    /// q_k from the counts. Counts that lag behind may fall below 0; q stays positive.
    #[inline]
    fn value(&self, topic: usize) -> f64 {
        (f64::from(self.counts[topic].max(0)) + self.beta)
            / (self.totals[topic].max(0) as f64 + self.beta_sum)
    }

    /// Recomputes q and the tree where the touched topics are: leaf by leaf, or all at once if that
    /// is less work. The result is the same.
    fn settle(&mut self) {
        let levels = self.q.len().ilog2() as usize + 1;
        if self.touched.len() * levels > self.q.len() {
            return self.refill();
        }
        for index in 0..self.touched.len() {
            let at = self.touched[index] as usize;
            self.q[at] = self.value(at);
            self.tree.set(at, self.alpha[at] * self.q[at]);
        }
    }

    fn refill(&mut self) {
        for topic in 0..self.q.len() {
            self.q[topic] = self.value(topic);
        }
        self.tree.fill(|k| self.alpha[k] * self.q[k]);
    }
}
