//! `--left-to-right`: an estimate of ln p(w_d) of held-out documents, without cutting them in halves.
//!
//! ```text
//! p(w_d)  =  Π_n p(w_n | w_<n)  ≈  Π_n  (1/R) Σ_r Σ_k  (n_dk^r + α_k) / (n − 1 + Σα)  φ_{w_n k}
//! ```
//!
//! Each of R particles has topics z for the tokens before n, all drawn anew, one after the other, from
//! p(z_m | z_others, w_<n) before token n is predicted (Wallach, Murray, Salakhutdinov & Mimno,
//! "Evaluation methods for topic models", ICML 2009, algorithm 3). Theirs goes on with every particle,
//! as if all predicted token n equally well, which says too much of long documents by a little however many
//! particles there are; here particles go on in proportion to how well they did (systematic
//! resampling), so that the estimate of p is unbiased for any R. The time grows with the square of a
//! document's length.

use crate::math::rng::Rng;

/// The topics of the tokens so far, and n_dk + α_k.
#[derive(Debug, Clone, PartialEq)]
struct Particle {
    topics: Vec<usize>,
    weights: Vec<f64>,
}

/// ln p of `tokens`, given by rows of `phi` (`alpha.len()` numbers each), with so many particles.
pub(super) fn ln_probability(
    phi: &[f64],
    tokens: &[usize],
    alpha: &[f64],
    particles: u32,
    rng: &mut Rng,
) -> f64 {
    let row = |token: usize| &phi[token * alpha.len()..(token + 1) * alpha.len()];
    let alpha_sum: f64 = alpha.iter().sum();
    let begun = Particle {
        topics: vec![],
        weights: alpha.to_vec(),
    };
    let mut all = vec![begun; particles as usize];
    let mut sums = vec![0.0; alpha.len()];
    let mut ln_p = 0.0;
    for (n, &token) in tokens.iter().enumerate() {
        let mut predicted = Vec::with_capacity(all.len());
        for Particle { topics, weights } in &mut all {
            for (topic, &token) in topics.iter_mut().zip(tokens) {
                weights[*topic] -= 1.0;
                add_up(weights, row(token), &mut sums);
                *topic = draw(&sums, rng);
                weights[*topic] += 1.0;
            }
            add_up(weights, row(token), &mut sums);
            predicted.push(sums[sums.len() - 1]);
        }
        let mean = predicted.iter().sum::<f64>() / f64::from(particles);
        ln_p += (mean / (n as f64 + alpha_sum)).ln();
        all = choose(&all, &predicted, rng.uniform());
        for Particle { topics, weights } in &mut all {
            add_up(weights, row(token), &mut sums);
            let topic = draw(&sums, rng);
            weights[topic] += 1.0;
            topics.push(topic);
        }
    }
    ln_p
}

/// As many particles, each as often as its part of all `weights`, rounded up or down as `at` says.
fn choose(all: &[Particle], weights: &[f64], at: f64) -> Vec<Particle> {
    let step = weights.iter().sum::<f64>() / all.len() as f64;
    let (mut particle, mut sum) = (0, weights[0]);
    let chosen = (0..all.len()).map(|number| {
        while sum <= (number as f64 + at) * step && particle + 1 < all.len() {
            particle += 1;
            sum += weights[particle];
        }
        all[particle].clone()
    });
    chosen.collect()
}

/// Partial sums of the products.
fn add_up(weights: &[f64], phi: &[f64], sums: &mut [f64]) {
    let mut sum = 0.0;
    for ((weight, phi), partial) in weights.iter().zip(phi).zip(sums) {
        sum += weight * phi;
        *partial = sum;
    }
}

fn draw(sums: &[f64], rng: &mut Rng) -> usize {
    let at = rng.uniform() * sums[sums.len() - 1];
    sums.partition_point(|&sum| sum <= at).min(sums.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::special::ln_rising;

    /// ln p(w) as the sum over all topics of all tokens.
    fn by_enumeration(phi: &[f64], tokens: &[usize], alpha: &[f64]) -> f64 {
        let topics = alpha.len();
        let mut p = 0.0;
        for state in 0..topics.pow(tokens.len() as u32) {
            let (mut state, mut counts, mut ln) = (state, vec![0u64; topics], 0.0);
            for &token in tokens {
                let topic = state % topics;
                state /= topics;
                counts[topic] += 1;
                ln += phi[token * topics + topic].ln();
            }
            let prior = alpha.iter().zip(&counts).map(|(a, n)| ln_rising(*a, *n));
            ln += prior.sum::<f64>() - ln_rising(alpha.iter().sum(), tokens.len() as u64);
            p += ln.exp();
        }
        p.ln()
    }

    #[test]
    fn particles_go_on_in_proportion() {
        let particle = |topic| Particle { topics: vec![topic], weights: vec![] };
        let all = [0, 1, 2, 3].map(particle);
        let topics = |weights: &[f64], at| -> Vec<usize> {
            choose(&all, weights, at).iter().map(|particle| particle.topics[0]).collect()
        };
        assert_eq!(topics(&[1.0; 4], 0.5), [0, 1, 2, 3]);
        assert_eq!(topics(&[0.0, 6.0, 0.0, 2.0], 0.3), [1, 1, 1, 3]);
        assert_eq!(topics(&[1.0, 0.0, 0.0, 0.0], 0.999), [0; 4]);
    }

    #[test]
    fn the_estimate_is_the_sum_over_all_assignments() {
        // Three words, three topics.
        let phi = [0.7, 0.1, 0.2, 0.2, 0.8, 0.1, 0.1, 0.1, 0.7];
        let alpha = [0.2, 0.5, 0.1];
        let mut rng = Rng::stream(3, 0, 0, 0);
        for tokens in [&[0][..], &[0, 0], &[0, 1, 2], &[2, 2, 0, 1, 2, 2]] {
            let truth = by_enumeration(&phi, tokens, &alpha);
            let found = ln_probability(&phi, tokens, &alpha, 100_000, &mut rng);
            assert!((found - truth).abs() < 0.01, "{tokens:?}: {found} {truth}");
        }
        // One particle is right on average.
        let tokens = [0, 1, 1, 2];
        let runs = 200_000;
        let one = |_| ln_probability(&phi, &tokens, &alpha, 1, &mut rng).exp();
        let mean = (0..runs).map(one).sum::<f64>() / f64::from(runs);
        let truth = by_enumeration(&phi, &tokens, &alpha).exp();
        assert!((mean / truth - 1.0).abs() < 0.02, "{mean} {truth}");
        assert_eq!(ln_probability(&phi, &[], &alpha, 5, &mut rng), 0.0);
    }
}
