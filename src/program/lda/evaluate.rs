//! What is found out once, at the end: how topics cohere, and how held-out documents fit.

use std::fmt;

use super::coherence::{self, TOPICS_MAX};
use super::left_to_right::ln_probability;
use super::part::Part;
use super::save::Counts;
use super::topics::Description;
use super::{Lda, Setup};
use crate::engine::{Host, spread};
use crate::error::{Error, Result};
use crate::math::rng::Rng;
use crate::math::varint;

/// UMass and NPMI of each topic, for rank 0. There `wanted` are the topics, most probable words first;
/// without them nothing is found out. Every rank calls this.
pub(super) fn coherence(
    setup: &Setup,
    host: &Host,
    parts: &[Part],
    wanted: Option<&[Description]>,
) -> Result<Option<Vec<Option<[f64; 2]>>>> {
    let words = |topic: &Description| {
        let words = topic.words.iter().take(coherence::WORDS);
        words.map(|&(word, _)| word).collect::<Vec<u32>>()
    };
    let wanted = wanted.filter(|topics| topics.len() <= TOPICS_MAX);
    let wanted: Vec<Vec<u32>> = wanted.unwrap_or_default().iter().map(words).collect();
    let told = host.all_gather(coherence::encode_words(&wanted))?;
    let malformed = || Error::Other("a peer sent top words that are none".into());
    let told = told.first().ok_or_else(malformed)?;
    let words = setup.partition.variables();
    let topics = coherence::decode_words(told, words).ok_or_else(malformed)?;
    let counts = coherence::count(parts, &setup.partition, &topics, host.threads());
    let documents = parts.iter().map(|part| part.documents.count() as u64).sum();
    let all = host.gather(coherence::encode_counts(documents, &counts))?;
    let Some(all) = all.filter(|_| !topics.is_empty()) else {
        return Ok(None);
    };
    let (documents, sums) =
        coherence::add_counts(all.iter().map(|bytes| &bytes[..]), &topics).ok_or_else(malformed)?;
    Ok(Some(sums.iter().map(|sum| sum.coherence(documents)).collect()))
}

/// A model's φ, from its counts, and its α.
pub(super) struct Phi<'a> {
    counts: &'a Counts,
    alpha: &'a [f64],
    beta: f64,
    /// 1 / (n_k + Vβ).
    inverse: Vec<f64>,
}

impl<'a> Phi<'a> {
    /// Of a model with these counts and priors.
    pub(super) fn new(counts: &'a Counts, alpha: &'a [f64], beta: f64) -> Phi<'a> {
        let beta_sum = beta * counts.words() as f64;
        let inverse = counts.totals.iter().map(|&n| 1.0 / (n as f64 + beta_sum));
        Phi {
            counts,
            alpha,
            beta,
            inverse: inverse.collect(),
        }
    }

    /// φ_wk of all topics.
    fn row(&self, word: u32) -> Vec<f64> {
        let mut row: Vec<f64> = self.inverse.iter().map(|inverse| self.beta * inverse).collect();
        for (topic, count) in self.counts.row(word as usize) {
            row[topic as usize] += f64::from(count) * self.inverse[topic as usize];
        }
        row
    }
}

/// How held-out documents fit, left to right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fit {
    /// Particles of the estimate.
    pub(super) particles: u32,
    /// Σ_d ln p(w_d).
    pub(super) loglik: f64,
    /// Tokens of all of them.
    pub(super) tokens: u64,
}

impl Fit {
    /// exp(−mean ln p of a token).
    pub(super) fn perplexity(&self) -> f64 {
        (-self.loglik / self.tokens as f64).exp()
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fit { particles, tokens, .. } = self;
        let perplexity = self.perplexity();
        write!(
            f,
            "held-out perplexity left to right: {perplexity:.2} ({tokens} tokens, {particles} particles)"
        )
    }
}

/// Estimates ln p of all held-out documents on rank 0, if that is wanted and there are any. Every rank
/// calls this; rank 0 with the model.
pub(super) fn left_to_right(
    lda: &Lda,
    host: &Host,
    parts: &[Part],
    phi: Option<&Phi>,
) -> Result<Option<Fit>> {
    let Some(particles) = lda.options.left_to_right else {
        return Ok(None);
    };
    let mut own = Vec::new();
    for held_out in parts.iter().filter_map(|part| part.held_out.as_ref()) {
        held_out.encode_texts(&lda.setup.partition, &mut own);
    }
    let (Some(all), Some(phi)) = (host.gather(own)?, phi) else {
        return Ok(None);
    };
    let words = lda.setup.partition.variables();
    let texts = all.iter().map(|bytes| decode_texts(bytes, words));
    let texts: Option<Vec<_>> = texts.collect();
    let malformed = || Error::Other("a peer sent documents that are none".into());
    let texts: Vec<Vec<u32>> = texts.ok_or_else(malformed)?.into_iter().flatten().collect();
    let seed = host.seed();
    let logs = spread(host.threads(), texts.len(), |document| {
        let mut rng = Rng::stream(seed, document as u64, 0, STREAM);
        of_document(phi, &texts[document], particles, &mut rng)
    });
    let tokens = texts.iter().map(|text| text.len() as u64).sum();
    let loglik = logs.into_iter().sum();
    Ok((tokens > 0).then_some(Fit { particles, loglik, tokens }))
}

/// Random numbers of this file.
const STREAM: u64 = 0x6c65_6674;

/// ln p of a document, given by its tokens in ascending order.
fn of_document(phi: &Phi, text: &[u32], particles: u32, rng: &mut Rng) -> f64 {
    let mut rows = Vec::new();
    let mut tokens: Vec<usize> = Vec::with_capacity(text.len());
    for (row, same) in text.chunk_by(|one, other| one == other).enumerate() {
        rows.extend(phi.row(same[0]));
        tokens.extend(same.iter().map(|_| row));
    }
    // In the order of words a document would be no sample of its own order.
    for last in (1..tokens.len()).rev() {
        tokens.swap(last, rng.below(last as u64 + 1) as usize);
    }
    ln_probability(&rows, &tokens, phi.alpha, particles, rng)
}

/// Each document's tokens, ascending; None if a word is not below `words` or the bytes are cut.
fn decode_texts(mut bytes: &[u8], words: usize) -> Option<Vec<Vec<u32>>> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let mut text = Vec::new();
        for _ in 0..varint::pop(&mut bytes)? {
            let word = varint::pop(&mut bytes).filter(|&word| word < words as u64)?;
            text.push(word as u32);
        }
        text.sort_unstable();
        texts.push(text);
    }
    Some(texts)
}
