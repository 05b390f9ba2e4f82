//! The word that a sampler is at, and what does not change with it.

use crate::math::sixteen::{Floats, LANES, Simd, Sums};
use crate::program::lda::entries;

/// The priors, the topic totals, and the counts and q of the current word.
#[derive(Debug, Clone)]
pub(super) struct State {
    exact_alpha: Vec<f64>,
    pub(super) alpha_sum: f64,
    exact_beta: f64,
    /// V.
    words: f64,
    /// α_k; 0 beyond the last topic.
    pub(super) alpha: Floats,
    /// β.
    pub(super) beta: f32,
    /// Vβ.
    beta_sum: f32,
    /// n_k, as this worker knows it.
    pub(super) totals: Vec<i64>,
    /// n_wk of the current word; all 0 between words.
    pub(super) counts: Vec<i32>,
    /// 1 / (n_k + Vβ); 0 beyond the last topic.
    pub(super) inverse: Floats,
    /// q_k of the current word; with a tree, that of a word without counts between words. As long
    /// as the keys of sparse documents demand.
    pub(super) q: Floats,
    /// At least α_k q_k, as [`super::sparse`] says; only with sparse documents.
    pub(super) tree: Option<Sums>,
    /// The tree is true whenever a word begins. Otherwise only after [`State::grow_tree`].
    pub(super) tree_follows: bool,
    /// The tree is true now.
    tree_grown: bool,
    /// With a tree: topics that have, or had since the word began, a count; some perhaps twice.
    pub(super) touched: Vec<u32>,
    /// Room for running sums.
    pub(super) sums: Floats,
}

impl State {
    pub(super) fn new(alpha: Vec<f64>, beta: f64, words: usize, tree: Option<bool>) -> State {
        let topics = alpha.len();
        let keys = 1usize << (32 - entries::shift(topics as u32));
        let mut state = State {
            alpha_sum: 0.0,
            exact_beta: beta,
            words: words as f64,
            alpha: Floats::zeros(topics),
            beta: 0.0,
            beta_sum: 0.0,
            totals: vec![0; topics],
            counts: vec![0; topics],
            inverse: Floats::zeros(topics),
            q: Floats::zeros(keys),
            tree: tree.map(|_| Sums::new(topics)),
            tree_follows: tree.unwrap_or(false),
            tree_grown: false,
            touched: vec![],
            sums: Floats::zeros(topics),
            exact_alpha: vec![0.0; topics],
        };
        state.set_alpha(&alpha);
        state.set_beta(beta);
        state
    }

    pub(super) fn alpha(&self) -> &[f64] {
        &self.exact_alpha
    }

    pub(super) fn set_alpha(&mut self, alpha: &[f64]) {
        self.exact_alpha.copy_from_slice(alpha);
        self.alpha_sum = alpha.iter().sum();
        for (own, &alpha) in self.alpha.iter_mut().zip(alpha) {
            *own = alpha as f32;
        }
    }

    pub(super) fn beta(&self) -> f64 {
        self.exact_beta
    }

    pub(super) fn set_beta(&mut self, beta: f64) {
        self.exact_beta = beta;
        self.beta = beta as f32;
        self.beta_sum = (beta * self.words) as f32;
    }

    /// Number of topics.
    #[inline(always)]
    pub(super) fn topics(&self) -> usize {
        self.counts.len()
    }

    /// Notes the counts of a new word.
    pub(super) fn put_counts(&mut self, row: impl Iterator<Item = (u32, i32)>) {
        for (topic, count) in row {
            self.counts[topic as usize] = count;
            if self.tree.is_some() {
                self.touched.push(topic);
            }
        }
    }

    /// Takes the counts of the word away, topics ascending.
    pub(super) fn take_counts(&mut self, row: &mut Vec<(u32, i32)>) {
        row.clear();
        if self.tree.is_none() {
            let counts = self.counts.iter().enumerate();
            row.extend(counts.filter(|c| *c.1 != 0).map(|(k, &n)| (k as u32, n)));
            self.counts.fill(0);
            return;
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        for &topic in &self.touched {
            let count = std::mem::take(&mut self.counts[topic as usize]);
            if count != 0 {
                row.push((topic, count));
            }
        }
    }

    /// q_k from the counts. Counts that lag behind may fall below 0; q stays positive.
    #[inline(always)]
    pub(super) fn value(&self, topic: usize) -> f32 {
        (self.counts[topic].max(0) as f32 + self.beta) * self.inverse[topic]
    }

    /// Adds `by` tokens to a topic of the current word, and to its total; the new q_k, which goes
    /// into q by one write of its whole line: what reads the line next need not wait for it.
    #[inline(always)]
    pub(super) fn change<S: Simd>(&mut self, simd: S, topic: usize, by: i32) -> f32 {
        self.counts[topic] += by;
        self.totals[topic] += i64::from(by);
        self.inverse[topic] = 1.0 / (self.totals[topic].max(0) as f32 + self.beta_sum);
        let q = self.value(topic);
        let line = &mut self.q.lines_mut()[topic / LANES];
        let values = simd.put(simd.load(line), topic % LANES, q);
        simd.store(values, line);
        q
    }

    /// The same, but q stays as it is until the word leaves.
    #[inline(always)]
    pub(super) fn change_later(&mut self, topic: usize, by: i32) {
        self.counts[topic] += by;
        self.totals[topic] += i64::from(by);
    }

    /// 1 / (n_k + Vβ) of the touched topics.
    pub(super) fn settle_inverse(&mut self) {
        for &topic in &self.touched {
            let total = self.totals[topic as usize].max(0) as f32;
            self.inverse[topic as usize] = 1.0 / (total + self.beta_sum);
        }
    }

    /// 1 / (n_k + Vβ) of all topics.
    #[inline(always)]
    pub(super) fn refill_inverse(&mut self) {
        for (inverse, total) in self.inverse.iter_mut().zip(&self.totals) {
            *inverse = 1.0 / ((*total).max(0) as f32 + self.beta_sum);
        }
    }

    /// Recomputes q where the touched topics are, and the tree: leaf by leaf, or all at once if that
    /// is less work or there is no tree. The result is the same.
    #[inline(always)]
    pub(super) fn settle<S: Simd>(&mut self, simd: S) {
        let topics = self.topics();
        let Some(tree) = &mut self.tree else {
            return self.refill(simd);
        };
        if self.touched.len() * LANES > topics {
            return self.refill(simd);
        }
        self.tree_grown = self.tree_follows;
        for &topic in &self.touched {
            let at = topic as usize;
            let q = (self.counts[at].max(0) as f32 + self.beta) * self.inverse[at];
            self.q[at] = q;
            if self.tree_follows {
                tree.set(simd, at, self.alpha[at] * q);
            }
        }
    }

    /// Recomputes q, and the tree if it follows.
    #[inline(always)]
    pub(super) fn refill<S: Simd>(&mut self, simd: S) {
        let beta = self.beta;
        let counts = self.counts.iter().zip(self.inverse.iter());
        for (q, (&count, inverse)) in self.q.iter_mut().zip(counts) {
            *q = (count.max(0) as f32 + beta) * inverse;
        }
        self.tree_grown = false;
        if self.tree_follows {
            self.grow_tree(simd);
        }
    }

    /// Makes the tree true, unless it is.
    #[inline(always)]
    pub(super) fn grow_tree<S: Simd>(&mut self, simd: S) {
        let Some(tree) = self.tree.as_mut().filter(|_| !self.tree_grown) else {
            return;
        };
        let (alpha, q) = (self.alpha.lines(), self.q.lines());
        tree.fill(simd, |leaves| {
            for ((leaf, alpha), q) in leaves.iter_mut().zip(alpha).zip(q) {
                simd.store(simd.mul(simd.load(alpha), simd.load(q)), leaf);
            }
        });
        self.tree_grown = true;
    }
}
