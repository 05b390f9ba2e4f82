//! The objective: the collapsed joint log-likelihood.
//!
//! ```text
//! ln p(w,z) = Σ_k [ ln Γ(Vβ) − ln Γ(n_k + Vβ) + Σ_w ( ln Γ(n_wk + β) − ln Γ(β) ) ]
//!           + Σ_d [ ln Γ(Σα) − ln Γ(n_d + Σα) + Σ_k ( ln Γ(n_dk + α_k) − ln Γ(α_k) ) ]
//! ```
//!
//! (Griffiths & Steyvers, PNAS 2004.) Divided by the number of tokens it is MALLET's `LL/token` and
//! tomotopy's `ll_per_word`. Every term is ln of a rising factorial that depends on one count, so
//! the histograms of the counts are enough, and terms are summed in the order of topics and counts.

use crate::math::special::{Sum, ln_rising};

use super::statistics::{Histogram, Statistics};

/// ln p(w,z) of the folded statistics of all workers. `beta_sum` is Vβ.
pub(super) fn joint(all: &Statistics, beta: f64, beta_sum: f64) -> f64 {
    let mut sum = Sum::default();
    for total in all.totals() {
        sum.add(-ln_rising(beta_sum, total));
    }
    add(&mut sum, &all.word_counts(), beta, 1.0);
    add(&mut sum, &all.lengths, all.alpha.iter().sum(), -1.0);
    for (topic, &alpha) in all.topics.iter().zip(&all.alpha) {
        add(&mut sum, topic, alpha, 1.0);
    }
    sum.value()
}

fn add(sum: &mut Sum, counts: &Histogram, prior: f64, sign: f64) {
    for (count, times) in counts.iter() {
        sum.add(sign * times as f64 * ln_rising(prior, count));
    }
}

/// exp(−mean ln p) of the held-out tokens that were scored; None if there are none.
pub(super) fn perplexity(all: &Statistics) -> Option<f64> {
    let tokens = all.held_out_tokens;
    (tokens > 0).then(|| (-all.held_out_log / tokens as f64).exp())
}
