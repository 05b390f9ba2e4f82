//! The topics of a document that the model has not seen: φ is frozen, only θ is looked for.
//!
//! Each token has a distribution over topics instead of one topic, and what the others of its document
//! say decides it (CVB0: Asuncion, Welling, Smyth & Teh, UAI 2009, eq. 11, with φ fixed):
//!
//! ```text
//! γ_ik  ∝  (n_dk − γ_ik + α_k) φ_wk,    n_dk = Σ_i γ_ik,    θ_dk = (n_dk + α_k) / (n_d + Σα)
//! φ_wk = (n_wk + β) / (n_k + Vβ)
//! ```
//!
//! The words of a document are gone through until the n_dk stand still. It is the mean of what Gibbs
//! sampling scatters around: nothing random is left, and it needs tens of passes, not hundreds.
//!
//! A model is sparse, and so is this: γ of a word's topics is kept one by one, while β's part of φ,
//! which every topic has, is one number b_k (n_dk + α_k) summed over k, whose share s of a document's
//! tokens goes back to topics in proportion. Topics that no word of the document has any count of
//! have no n_dk but that share, in first order.

use crate::error::{Error, Result};
use crate::snapshot::{SavedModel, take};

/// A pass that moves no more than this part of a document's tokens is the last.
const SETTLED: f32 = 1e-3;

/// A model's φ and α.
#[derive(Debug)]
pub(super) struct Frozen {
    /// Word w has the entries `offsets[w] .. offsets[w + 1]`.
    offsets: Vec<u64>,
    topics: Vec<u32>,
    counts: Vec<u32>,
    /// 1 / (n_k + Vβ).
    inverse: Vec<f32>,
    /// b_k = β / (n_k + Vβ).
    smooth: Vec<f32>,
    alpha: Vec<f32>,
    alpha_sum: f64,
    /// Σ_k α_k b_k.
    elsewhere: f64,
    /// The largest α_k and b_k.
    bounds: [f32; 2],
}

impl Frozen {
    /// From a model's folder.
    ///
    /// # Errors
    /// Status 65 if the tensors do not fit together.
    pub(super) fn load(model: &SavedModel) -> Result<Frozen> {
        let mut tensors = model.tensors()?;
        let offsets: Vec<u64> = take(&mut tensors, "word_offsets")?.values()?;
        let topics: Vec<u32> = take(&mut tensors, "word_topics")?.values()?;
        let counts: Vec<u32> = take(&mut tensors, "word_counts")?.values()?;
        let totals: Vec<u64> = take(&mut tensors, "topic_totals")?.values()?;
        let alpha: Vec<f64> = take(&mut tensors, "alpha")?.values()?;
        let beta: Vec<f64> = take(&mut tensors, "beta")?.values()?;
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        let fits = offsets.len() > 1
            && offsets.first() == Some(&0)
            && offsets.is_sorted()
            && offsets.last() == Some(&(topics.len() as u64))
            && topics.len() == counts.len()
            && topics.iter().all(|&topic| (topic as usize) < totals.len())
            && !alpha.is_empty()
            && alpha.len() == totals.len()
            && alpha.iter().all(positive)
            && beta.len() == 1
            && beta.iter().all(positive);
        if !fits {
            let path = model.path("model.safetensors");
            let message = "expected a model of lda, its tensors do not fit together";
            return Err(Error::data(&path, 0, 0, message));
        }
        Ok(Frozen::new(offsets, topics, counts, &totals, &alpha, beta[0]))
    }

    fn new(
        offsets: Vec<u64>,
        topics: Vec<u32>,
        counts: Vec<u32>,
        totals: &[u64],
        alpha: &[f64],
        beta: f64,
    ) -> Frozen {
        let beta_sum = beta * (offsets.len() - 1) as f64;
        let inverse = totals.iter().map(|&n| 1.0 / (n as f64 + beta_sum));
        let inverse: Vec<f64> = inverse.collect();
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max) as f32;
        Frozen {
            bounds: [
                largest(&mut alpha.iter().copied()),
                largest(&mut inverse.iter().map(|inverse| beta * inverse)),
            ],
            elsewhere: alpha.iter().zip(&inverse).map(|(a, i)| a * beta * i).sum(),
            alpha_sum: alpha.iter().sum(),
            alpha: alpha.iter().map(|&alpha| alpha as f32).collect(),
            smooth: inverse.iter().map(|i| (beta * i) as f32).collect(),
            inverse: inverse.iter().map(|&inverse| inverse as f32).collect(),
            offsets,
            topics,
            counts,
        }
    }

    /// Number of words.
    pub(super) fn words(&self) -> u32 {
        (self.offsets.len() - 1) as u32
    }

    /// Number of topics.
    pub(super) fn topics(&self) -> usize {
        self.alpha.len()
    }
}

/// A word of the document: its tokens, and where its topics end in the arrays of [`Inference`].
#[derive(Debug, Clone, Copy)]
struct Entry {
    count: f32,
    end: usize,
}

/// Looks for the topics of one document after the other.
#[derive(Debug)]
pub(super) struct Inference<'a> {
    model: &'a Frozen,
    passes: u32,
    /// Where each topic stands in `support`; `u32::MAX` for one that is not there.
    places: Vec<u32>,
    /// The topics that any word of the document has counts of, as they came.
    support: Vec<u32>,
    /// n_dk + α_k of each.
    weights: Vec<f32>,
    /// What of it is β's share.
    shares: Vec<f32>,
    entries: Vec<Entry>,
    /// For the words one after the other: places of their topics, n_wk / (n_k + Vβ), γ of a token.
    at: Vec<u32>,
    phi: Vec<f32>,
    gamma: Vec<f32>,
    room: Vec<f32>,
    /// s: β's share of the tokens, by which n_dk of topics elsewhere is α_k b_k s.
    elsewhere: f64,
}

impl<'a> Inference<'a> {
    /// Goes through each document at most `passes` times.
    pub(super) fn new(model: &'a Frozen, passes: u32) -> Inference<'a> {
        Inference {
            model,
            passes,
            places: vec![u32::MAX; model.topics()],
            support: vec![],
            weights: vec![],
            shares: vec![],
            entries: vec![],
            at: vec![],
            phi: vec![],
            gamma: vec![],
            room: vec![],
            elsewhere: 0.0,
        }
    }

    /// Finds the topics of the document with these words and counts.
    pub(super) fn of(&mut self, words: &[u32], counts: &[u32]) {
        self.gather(words, counts);
        let tokens: f32 = self.entries.iter().map(|entry| entry.count).sum();
        let model = self.model;
        let inside = self.support.iter().map(|&topic| topic as usize);
        let inside = inside.map(|k| f64::from(model.alpha[k]) * f64::from(model.smooth[k]));
        let outside = (model.elsewhere - inside.sum::<f64>()).max(0.0);
        for _ in 0..self.passes {
            if self.pass(outside) <= SETTLED * tokens {
                break;
            }
        }
    }

    /// Brings together what the model says of the document's words.
    fn gather(&mut self, words: &[u32], counts: &[u32]) {
        let support = self.support.drain(..);
        support.for_each(|topic| self.places[topic as usize] = u32::MAX);
        let arrays = [&mut self.weights, &mut self.shares, &mut self.phi];
        arrays.into_iter().for_each(Vec::clear);
        self.entries.clear();
        self.at.clear();
        self.elsewhere = 0.0;
        for (&word, &count) in words.iter().zip(counts) {
            let range = &self.model.offsets[word as usize..][..2];
            for entry in range[0] as usize..range[1] as usize {
                let topic = self.model.topics[entry];
                let place = &mut self.places[topic as usize];
                if *place == u32::MAX {
                    *place = self.support.len() as u32;
                    self.support.push(topic);
                    self.weights.push(self.model.alpha[topic as usize]);
                }
                self.at.push(*place);
                let inverse = self.model.inverse[topic as usize];
                self.phi.push(self.model.counts[entry] as f32 * inverse);
            }
            self.entries.push(Entry {
                count: count as f32,
                end: self.at.len(),
            });
        }
        self.shares.resize(self.support.len(), 0.0);
        self.gamma.clear();
        self.gamma.resize(self.at.len(), 0.0);
    }

    /// Goes through all words once; how many tokens moved.
    fn pass(&mut self, outside: f64) -> f32 {
        let smooth = |&topic: &u32| self.model.smooth[topic as usize];
        let weights = self.weights.iter().zip(&self.support);
        let of_beta: f64 = weights.map(|(w, k)| f64::from(w * smooth(k))).sum();
        let of_beta = (of_beta + outside) as f32;
        let (mut start, mut moved, mut share) = (0, 0.0, 0.0);
        for &Entry { count, end } in &self.entries {
            let range = start..end;
            start = end;
            let (at, phi) = (&self.at[range.clone()], &self.phi[range.clone()]);
            let gamma = &mut self.gamma[range];
            let total = of_beta + weigh(&self.weights, at, phi, gamma, &mut self.room);
            share += f64::from(count) / f64::from(total.max(f32::MIN_POSITIVE));
            let scale = 1.0 / total.max(f32::MIN_POSITIVE);
            for ((&at, gamma), room) in at.iter().zip(gamma).zip(&self.room) {
                let change = count * (room * scale - *gamma);
                *gamma = room * scale;
                self.weights[at as usize] += change;
                moved += change.abs();
            }
        }
        self.elsewhere = share;
        for ((weight, old), topic) in self.weights.iter_mut().zip(&mut self.shares).zip(&self.support)
        {
            let new = (f64::from((*weight - *old) * self.model.smooth[*topic as usize]) * share) as f32;
            *weight += new - *old;
            *old = new;
        }
        moved
    }

    /// θ of all topics, into `theta`.
    pub(super) fn theta(&self, theta: &mut Vec<f32>) {
        let model = self.model;
        theta.clear();
        theta.extend(model.alpha.iter().zip(&model.smooth).map(|(a, b)| self.outside(*a, *b)));
        for (&topic, &weight) in self.support.iter().zip(&self.weights) {
            theta[topic as usize] = weight;
        }
        let total: f64 = theta.iter().map(|&weight| f64::from(weight)).sum();
        let scale = (1.0 / total) as f32;
        theta.iter_mut().for_each(|weight| *weight *= scale);
    }

    /// The `n` topics with the largest θ and θ, the largest first, of equals the first; `theta` is room
    /// to work in.
    pub(super) fn top(&self, n: usize, theta: &mut Vec<f32>, top: &mut Vec<(u32, f32)>) {
        top.clear();
        let [alpha, smooth] = self.model.bounds;
        let limit = self.outside(alpha, smooth);
        let total = self.total();
        let pairs = self.support.iter().zip(&self.weights);
        top.extend(pairs.filter(|(_, weight)| **weight > limit).map(|(&k, &w)| (k, w)));
        if top.len() < n.min(self.model.topics()) {
            self.theta(theta);
            top.clear();
            top.extend((0..).zip(theta.iter().copied()));
        } else {
            top.iter_mut().for_each(|(_, weight)| *weight = (f64::from(*weight) / total) as f32);
        }
        let better = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if n < top.len() {
            top.select_nth_unstable_by(n, better);
            top.truncate(n);
        }
        top.sort_unstable_by(better);
    }

    /// n_dk + α_k of a topic that no word of the document has counts of.
    fn outside(&self, alpha: f32, smooth: f32) -> f32 {
        (f64::from(alpha) * (1.0 + f64::from(smooth) * self.elsewhere)) as f32
    }

    /// n_d + Σα.
    fn total(&self) -> f64 {
        let model = self.model;
        let (mut weights, mut alpha, mut smooth) = (0.0, model.alpha_sum, model.elsewhere);
        for (&topic, &weight) in self.support.iter().zip(&self.weights) {
            let a = f64::from(model.alpha[topic as usize]);
            weights += f64::from(weight);
            alpha -= a;
            smooth -= a * f64::from(model.smooth[topic as usize]);
        }
        weights + alpha.max(0.0) + smooth.max(0.0) * self.elsewhere
    }
}

/// (n_dk − γ_ik + α_k) φ_wk of a word's topics into `room`; their sum.
#[inline]
fn weigh(weights: &[f32], at: &[u32], phi: &[f32], gamma: &[f32], room: &mut Vec<f32>) -> f32 {
    room.clear();
    room.extend(at.iter().zip(phi).zip(gamma).map(|((&at, phi), gamma)| {
        // Rounding must not take a weight below what α leaves it.
        (weights[at as usize] - gamma).max(f32::MIN_POSITIVE) * phi
    }));
    room.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;

    /// Six words, four topics, one word without counts.
    fn model(alpha: [f64; 4], beta: f64) -> (Frozen, Vec<Vec<f64>>) {
        let dense = [
            [9, 0, 1, 0],
            [7, 0, 0, 0],
            [0, 8, 0, 0],
            [0, 5, 2, 0],
            [0, 0, 9, 1],
            [0, 0, 0, 0],
        ];
        let (mut offsets, mut topics, mut counts, mut totals) = (vec![0], vec![], vec![], [0; 4]);
        for row in dense {
            for (topic, count) in row.into_iter().enumerate().filter(|pair| pair.1 > 0) {
                topics.push(topic as u32);
                counts.push(count);
                totals[topic] += u64::from(count);
            }
            offsets.push(topics.len() as u64);
        }
        let phi = |row: [u32; 4]| {
            let of = |k: usize| (f64::from(row[k]) + beta) / (totals[k] as f64 + 6.0 * beta);
            (0..4).map(of).collect()
        };
        let phi = dense.into_iter().map(phi).collect();
        (Frozen::new(offsets, topics, counts, &totals, &alpha, beta), phi)
    }

    /// The fixed point of the formula at the top, every token and every topic on its own.
    fn fixed_point(phi: &[Vec<f64>], alpha: &[f64], tokens: &[usize]) -> Vec<f64> {
        let mut gamma = vec![vec![0.0; alpha.len()]; tokens.len()];
        let mut n = alpha.to_vec();
        for _ in 0..2_000 {
            for (&word, gamma) in tokens.iter().zip(&mut gamma) {
                let of = |k: usize| (n[k] - gamma[k]) * phi[word][k];
                let weights: Vec<f64> = (0..alpha.len()).map(of).collect();
                let total: f64 = weights.iter().sum();
                for k in 0..alpha.len() {
                    n[k] += weights[k] / total - gamma[k];
                    gamma[k] = weights[k] / total;
                }
            }
        }
        let total: f64 = n.iter().sum();
        n.iter().map(|n| n / total).collect()
    }

    #[test]
    fn theta_is_the_fixed_point_of_the_formula() {
        let alpha = [0.5, 0.1, 0.3, 0.2];
        let (model, phi) = model(alpha, 1e-4);
        let mut inference = Inference::new(&model, 1_000);
        let mut theta = vec![];
        let documents: [(&[u32], &[u32]); 4] = [
            (&[0, 1, 2], &[2, 1, 1]),
            (&[3, 4], &[3, 2]),
            (&[4], &[1]),
            (&[0, 2, 3, 4], &[1, 1, 1, 5]),
        ];
        for (words, counts) in documents {
            let pairs = words.iter().zip(counts);
            let tokens: Vec<usize> = pairs
                .flat_map(|(&word, &count)| vec![word as usize; count as usize])
                .collect();
            inference.of(words, counts);
            inference.theta(&mut theta);
            let truth = fixed_point(&phi, &alpha, &tokens);
            for (found, truth) in theta.iter().zip(&truth) {
                assert!((f64::from(*found) - truth).abs() < 2e-3, "{theta:?} {truth:?}");
            }
        }
    }

    #[test]
    fn theta_sums_to_one_and_without_words_is_the_prior() {
        let alpha = [0.5, 0.1, 0.3, 0.1];
        // A large β: most of the mass is not in the counts. Word 5 has none at all.
        let (model, _) = model(alpha, 2.0);
        let mut inference = Inference::new(&model, 20);
        let (mut theta, mut top) = (vec![], vec![]);
        let mut rng = Rng::stream(1, 0, 0, 0);
        for _ in 0..50 {
            let words: Vec<u32> = (0..rng.below(6)).map(|_| rng.below(6) as u32).collect();
            let counts = vec![1 + rng.below(3) as u32; words.len()];
            inference.of(&words, &counts);
            inference.theta(&mut theta);
            let total: f32 = theta.iter().sum();
            assert!((total - 1.0).abs() < 1e-5, "{total}");
            if words.is_empty() {
                assert_eq!(theta, alpha.map(|alpha| alpha as f32));
            }
            for n in 1..=5 {
                let mut room = vec![];
                inference.top(n, &mut room, &mut top);
                let mut sorted: Vec<(u32, f32)> = (0..).zip(theta.iter().copied()).collect();
                sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                sorted.truncate(n);
                assert_eq!(top.len(), sorted.len());
                for (found, truth) in top.iter().zip(&sorted) {
                    assert!((found.1 - truth.1).abs() < 1e-6, "{top:?} {sorted:?}");
                }
            }
        }
    }
}
