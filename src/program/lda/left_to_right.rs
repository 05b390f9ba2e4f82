//! `--left-to-right`: an estimate of ln p(w_d) of held-out documents, without cutting them in halves.
//!
//! ```text
//! p(w_d)  =  Π_n p(w_n | w_<n)  ≈  Π_n  (1/R) Σ_r Σ_k  (n_dk^r + α_k) / (n − 1 + Σα)  φ_{w_n k}
//! ```
//!
//! Each of R particles has topics z for the tokens before n, all drawn anew, one after the other, from
//! p(z_m | z_others, w_<n) before token n is predicted (Wallach, Murray, Salakhutdinov & Mimno,
//! "Evaluation methods for topic models", ICML 2009, algorithm 3). The estimate of p is unbiased; the
//! time grows with the square of a document's length.

use crate::math::rng::Rng;

/// ln p of `tokens`, given by rows of `phi` (`alpha.len()` numbers each), with so many particles.
pub(super) fn ln_probability(
    phi: &[f64],
    tokens: &[usize],
    alpha: &[f64],
    particles: u32,
    rng: &mut Rng,
) -> f64 {
    let topics = alpha.len();
    let row = |token: usize| &phi[token * topics..(token + 1) * topics];
    let alpha_sum: f64 = alpha.iter().sum();
    let mut p = vec![0.0; tokens.len()];
    let (mut z, mut sums) = (Vec::with_capacity(tokens.len()), vec![0.0; topics]);
    for _ in 0..particles {
        let mut weights = alpha.to_vec();
        z.clear();
        for (n, &token) in tokens.iter().enumerate() {
            for (z, &token) in z.iter_mut().zip(tokens) {
                weights[*z] -= 1.0;
                add_up(&weights, row(token), &mut sums);
                *z = draw(&sums, rng);
                weights[*z] += 1.0;
            }
            add_up(&weights, row(token), &mut sums);
            p[n] += sums[topics - 1] / (n as f64 + alpha_sum);
            let new = draw(&sums, rng);
            weights[new] += 1.0;
            z.push(new);
        }
    }
    p.iter().map(|p| (p / f64::from(particles)).ln()).sum()
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
