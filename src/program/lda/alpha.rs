//! `--optimize-alpha`: Minka's fixed point for an asymmetric α.
//!
//! ```text
//! α_k  ←  α_k · Σ_d [ ψ(n_dk + α_k) − ψ(α_k) ]  /  Σ_d [ ψ(n_d + Σα) − ψ(Σα) ]
//! ```
//!
//! (Minka, "Estimating a Dirichlet distribution", 2000, eq. 55; over histograms of the counts as in
//! Wallach, "Structured topic models for language", 2008.) Each step raises the likelihood of the
//! documents' topic counts; steps are repeated on the same counts until α stands still.

use crate::error::{Error, Result};
use crate::math::special::digamma_rising;
use crate::wire::message::Portable;

use super::statistics::{Histogram, Statistics};

/// The smallest α_k: a topic that lost its last token can still come back.
pub(super) const ALPHA_MIN: f64 = 1e-6;

const STEPS_MAX: usize = 200;
const TOLERANCE: f64 = 1e-6;

/// A new α for all workers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alpha(pub(super) Vec<f64>);

impl Portable for Alpha {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0
            .iter()
            .for_each(|alpha| out.extend_from_slice(&alpha.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Alpha> {
        let (values, rest) = bytes.as_chunks::<8>();
        let alpha: Vec<f64> = values
            .iter()
            .map(|value| f64::from_le_bytes(*value))
            .collect();
        if !rest.is_empty() || !alpha.iter().all(|alpha| alpha.is_finite() && *alpha > 0.0) {
            return Err(Error::Other("rank 0 sent an alpha that is none".into()));
        }
        Ok(Alpha(alpha))
    }
}

/// The α that maximises the likelihood of the folded counts, starting from theirs.
pub(super) fn optimize(all: &Statistics) -> Vec<f64> {
    let mut alpha = all.alpha.clone();
    for _ in 0..STEPS_MAX {
        let before: f64 = alpha.iter().sum();
        let scale = slope(&all.lengths, before);
        if scale <= 0.0 {
            break;
        }
        let mut change = 0.0;
        for (alpha, topic) in alpha.iter_mut().zip(&all.topics) {
            let next = (*alpha * slope(topic, *alpha) / scale).max(ALPHA_MIN);
            change += (next - *alpha).abs();
            *alpha = next;
        }
        if change < TOLERANCE * before {
            break;
        }
    }
    alpha
}

/// Σ over counts of ψ(count + prior) − ψ(prior).
fn slope(counts: &Histogram, prior: f64) -> f64 {
    counts
        .iter()
        .map(|(count, times)| times as f64 * digamma_rising(prior, count))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;
    use crate::program::lda::likelihood::joint;
    use rand_distr::{Distribution, Gamma};

    /// Topic counts of documents drawn from Dirichlet-multinomials with a known α.
    fn planted(alpha: &[f64], documents: usize, length: usize) -> Statistics {
        let mut rng = Rng::stream(5, 0, 0, 0);
        let mut all = Statistics {
            topics: vec![Histogram::default(); alpha.len()],
            ..Default::default()
        };
        for _ in 0..documents {
            let draw = |&a: &f64| Gamma::new(a, 1.0).unwrap().sample(&mut rng);
            let theta: Vec<f64> = alpha.iter().map(draw).collect();
            let total: f64 = theta.iter().sum();
            let mut counts = vec![0; alpha.len()];
            for _ in 0..length {
                let mut at = rng.uniform() * total;
                let topic = theta.iter().position(|t| {
                    at -= t;
                    at < 0.0
                });
                counts[topic.unwrap_or(0)] += 1;
            }
            counts
                .iter()
                .zip(&mut all.topics)
                .for_each(|(&n, topic)| topic.add(n, 1));
            all.lengths.add(length as u64, 1);
        }
        all
    }

    #[test]
    fn finds_the_planted_alpha() {
        let truth = [0.05, 0.3, 1.0, 0.1];
        let mut all = planted(&truth, 20_000, 60);
        all.alpha = vec![0.5; 4];
        let found = optimize(&all);
        for (found, truth) in found.iter().zip(truth) {
            assert!((found / truth - 1.0).abs() < 0.05, "{found} {truth}");
        }
    }

    #[test]
    fn no_neighbour_is_more_likely() {
        let mut all = planted(&[0.2, 0.4, 0.1], 500, 30);
        all.alpha = vec![0.1; 3];
        all.alpha = optimize(&all);
        let best = joint(&all, 0.01, 1.0);
        for k in 0..3 {
            for factor in [0.95, 1.05] {
                let mut near = all.clone();
                near.alpha[k] *= factor;
                assert!(joint(&near, 0.01, 1.0) < best);
            }
        }
    }

    #[test]
    fn an_empty_topic_keeps_a_little() {
        let mut all = planted(&[0.2, 0.4], 50, 30);
        all.topics.push(Histogram::default());
        all.alpha = vec![0.1; 3];
        assert_eq!(optimize(&all)[2], ALPHA_MIN);
        let nothing = Statistics {
            alpha: vec![0.1; 2],
            ..Default::default()
        };
        assert_eq!(optimize(&nothing), [0.1, 0.1]);
    }
}
