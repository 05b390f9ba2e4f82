//! `--optimize-alpha` and `--optimize-beta`: Minka's fixed points for an asymmetric α and a symmetric β.
//!
//! ```text
//! α_k  ←  α_k · Σ_d [ ψ(n_dk + α_k) − ψ(α_k) ]  /  Σ_d [ ψ(n_d + Σα) − ψ(Σα) ]
//! β    ←  β · Σ_k Σ_w [ ψ(n_wk + β) − ψ(β) ]  /  ( V Σ_k [ ψ(n_k + Vβ) − ψ(Vβ) ] )
//! ```
//!
//! (Minka, "Estimating a Dirichlet distribution", 2000, eq. 55, and the same for a Dirichlet whose
//! parameters are all equal; over histograms of the counts as in Wallach, "Structured topic models for
//! language", 2008.) Each step raises the likelihood of the counts; steps are repeated on the same
//! counts until the prior stands still.

use crate::error::{Error, Result};
use crate::math::special::digamma_rising;
use crate::wire::message::Portable;

use super::statistics::{Histogram, Statistics};

/// The smallest α_k: a topic that lost its last token can still come back.
pub(super) const ALPHA_MIN: f64 = 1e-6;

/// The smallest β, where no word has two tokens of a topic.
const BETA_MIN: f64 = 1e-9;

const STEPS_MAX: usize = 200;
const TOLERANCE: f64 = 1e-6;
/// β alone is cheap to go on with, and nears its place slowly where it is small.
const BETA_STEPS_MAX: usize = 2_000;
const BETA_TOLERANCE: f64 = 1e-9;

/// New priors for all workers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Priors {
    pub(super) alpha: Vec<f64>,
    pub(super) beta: f64,
}

impl Portable for Priors {
    fn encode(&self, out: &mut Vec<u8>) {
        let values = std::iter::once(&self.beta).chain(&self.alpha);
        values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Priors> {
        let (values, rest) = bytes.as_chunks::<8>();
        let mut values = values.iter().map(|value| f64::from_le_bytes(*value));
        let is_prior = |value: &f64| value.is_finite() && *value > 0.0;
        let beta = values.next().filter(is_prior);
        let alpha: Vec<f64> = values.collect();
        match beta {
            Some(beta) if rest.is_empty() && alpha.iter().all(is_prior) => {
                Ok(Priors { alpha, beta })
            }
            _ => Err(Error::Other("rank 0 sent priors that are none".into())),
        }
    }
}

/// The β that maximises the likelihood of the folded counts of `words` words, starting from theirs.
pub(super) fn optimize_beta(all: &Statistics, words: usize) -> f64 {
    let counts = all.word_counts();
    let mut totals = Histogram::default();
    all.totals().into_iter().for_each(|total| totals.add(total, 1));
    let words = words as f64;
    let mut beta = all.beta;
    for _ in 0..BETA_STEPS_MAX {
        let scale = words * slope(&totals, words * beta);
        if scale <= 0.0 {
            break;
        }
        let next = (beta * slope(&counts, beta) / scale).max(BETA_MIN);
        let change = (next - beta).abs();
        beta = next;
        if change < BETA_TOLERANCE * beta {
            break;
        }
    }
    beta
}

/// The α that maximises the likelihood of the folded counts, starting from theirs.
pub(super) fn optimize_alpha(all: &Statistics) -> Vec<f64> {
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
    use crate::program::lda::statistics::BlockStatistics;
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
        let found = optimize_alpha(&all);
        for (found, truth) in found.iter().zip(truth) {
            assert!((found / truth - 1.0).abs() < 0.05, "{found} {truth}");
        }
    }

    #[test]
    fn no_neighbour_is_more_likely() {
        let mut all = planted(&[0.2, 0.4, 0.1], 500, 30);
        all.alpha = vec![0.1; 3];
        all.alpha = optimize_alpha(&all);
        let best = joint(&all, 0.01, 1.0);
        for k in 0..3 {
            for factor in [0.95, 1.05] {
                let mut near = all.clone();
                near.alpha[k] *= factor;
                assert!(joint(&near, 0.01, 1.0) < best);
            }
        }
    }

    /// Counts of two topics' words, and what the joint says of them at another β.
    #[test]
    fn beta_is_where_the_joint_is_largest() {
        for (rows, words) in [
            (&[[5u64, 1, 0, 2], [0, 9, 1, 0], [1, 0, 0, 30]][..], 4),
            (&[[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 2]][..], 100),
        ] {
            let mut all = Statistics {
                alpha: vec![0.1; rows.len()],
                beta: 0.01,
                ..Default::default()
            };
            let mut counts = Histogram::default();
            for row in rows {
                row.iter().for_each(|&n| counts.add(n, 1));
                let mut topic = Histogram::default();
                topic.add(row.iter().sum(), 1);
                all.topics.push(topic);
            }
            all.blocks.push(BlockStatistics { counts, ..Default::default() });
            let found = optimize_beta(&all, words);
            let at = |beta: f64| joint(&all, beta, beta * words as f64);
            // By trying: a grid over many powers of ten, then ever finer ones around the best.
            let (mut low, mut high) = (1e-6f64.ln(), 1e3f64.ln());
            for _ in 0..20 {
                let points = (0..=40).map(|i| low + (high - low) * f64::from(i) / 40.0);
                let best = points.max_by(|a, b| at(a.exp()).total_cmp(&at(b.exp())));
                let (best, step) = (best.unwrap(), (high - low) / 40.0);
                (low, high) = (best - step, best + step);
            }
            let tried = ((low + high) / 2.0).exp();
            assert!((found / tried - 1.0).abs() < 1e-4, "{found} {tried}");
        }
        let nothing = Statistics { beta: 0.3, ..Default::default() };
        assert_eq!(optimize_beta(&nothing, 10), 0.3);
    }

    #[test]
    fn priors_survive_the_wire_and_nonsense_does_not() {
        let priors = Priors { alpha: vec![0.5, 2.0], beta: 0.25 };
        let mut bytes = vec![];
        priors.encode(&mut bytes);
        assert_eq!(Priors::decode(&bytes).unwrap(), priors);
        assert!(Priors::decode(&bytes[1..]).is_err());
        assert!(Priors::decode(&[]).is_err());
        assert!(Priors::decode(&(-1.0f64).to_le_bytes()).is_err());
    }

    #[test]
    fn an_empty_topic_keeps_a_little() {
        let mut all = planted(&[0.2, 0.4], 50, 30);
        all.topics.push(Histogram::default());
        all.alpha = vec![0.1; 3];
        assert_eq!(optimize_alpha(&all)[2], ALPHA_MIN);
        let nothing = Statistics {
            alpha: vec![0.1; 2],
            ..Default::default()
        };
        assert_eq!(optimize_alpha(&nothing), [0.1, 0.1]);
    }
}
