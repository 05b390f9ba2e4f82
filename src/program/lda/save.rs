//! The model on disk.
//!
//! `model.safetensors` holds sparse counts, from which every distribution follows:
//!
//! | tensor | type, shape | what |
//! |---|---|---|
//! | `word_offsets` | u64, V+1 | word w has the entries `word_offsets[w] .. word_offsets[w+1]` |
//! | `word_topics`, `word_counts` | u32, entries | topic and count n_wk of each entry, topics ascending |
//! | `topic_totals` | u64, K | n_k |
//! | `word_frequencies` | u64, V | tokens of each word: Σ_k n_wk |
//! | `alpha`, `beta` | f64, K and 1 | the priors |
//! | `document_lengths` | u32, D | tokens of each document that are counted |
//! | `document_held_out` | u8, D | 1 for a held-out document, with `--holdout` |
//! | `coherence_umass`, `coherence_npmi` | f64, K | see `coherence.rs`; NaN for a topic of one word |
//! | `document_offsets`, `document_topics`, `document_counts` | u64, u32, u32 | n_dk likewise, with `--doc-topics` |
//!
//! φ_wk = (n_wk + β) / (n_k + Vβ), θ_dk = (n_dk + α_k) / (n_d + Σα). A held-out document counts its
//! even tokens, which are in no n_wk and not in the objective. There is no dense matrix: with SciPy,
//! `csr_matrix((word_counts, word_topics, word_offsets), (V, K))` is one, and these arrays are what
//! pyLDAvis asks for.

use std::io::Write;

use bytes::Bytes;

use super::block::{Block, Rows};
use super::checkpoint::sum;
use super::coherence;
use super::evaluate::{self, Fit};
use super::options::Options;
use super::part::Part;
use super::topics::{self, Description};
use super::{Lda, Setup};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::varint;
use crate::snapshot::{Model, Tensor};
use crate::wire::message::Portable;

/// Topics that are shown on stderr at the end.
const SHOWN_MAX: usize = 50;
/// The vocabulary's file in the model folder.
const VOCABULARY: &str = "vocabulary.txt";

/// n_wk as compressed sparse rows, and n_k.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) offsets: Vec<u64>,
    pub(super) topics: Vec<u32>,
    pub(super) counts: Vec<u32>,
    pub(super) totals: Vec<u64>,
}

impl Counts {
    /// Number of words.
    pub(super) fn words(&self) -> usize {
        self.offsets.len() - 1
    }

    /// A word's (topic, count) pairs.
    pub(super) fn row(&self, word: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
        let range = self.offsets[word] as usize..self.offsets[word + 1] as usize;
        let topics = self.topics[range.clone()].iter().copied();
        topics.zip(self.counts[range].iter().copied())
    }

    /// From blocks by number; of some blocks there may be several shares.
    fn of(setup: &Setup, mut blocks: Vec<(u32, Block)>) -> Result<Counts> {
        let partition = &setup.partition;
        blocks.sort_by_key(|(number, _)| *number);
        let mut whole = Vec::new();
        for number in 0..partition.blocks() {
            let shares: Vec<Rows<'_>> = blocks
                .iter()
                .filter(|(n, _)| *n == number)
                .map(|(_, b)| b.rows())
                .collect();
            whole.push(sum(&shares, setup.topics));
            if whole[number as usize].words() as usize != partition.block(number).len() {
                return Err(Error::Bug(format!(
                    "word block {number} is not there at the end"
                )));
            }
        }
        let mut offsets = vec![0u64; partition.variables() + 1];
        let rows = || whole.iter().flat_map(Block::rows).zip(0..);
        for (row, position) in rows() {
            offsets[partition.variable(position) as usize + 1] = row.count() as u64;
        }
        for word in 0..partition.variables() {
            offsets[word + 1] += offsets[word];
        }
        let entries = offsets[partition.variables()] as usize;
        let mut counts = Counts {
            offsets,
            topics: vec![0; entries],
            counts: vec![0; entries],
            totals: vec![0; setup.topics as usize],
        };
        for (row, position) in rows() {
            let start = counts.offsets[partition.variable(position) as usize] as usize;
            for (entry, (topic, count)) in (start..).zip(row) {
                counts.topics[entry] = topic;
                counts.counts[entry] = count;
                counts.totals[topic as usize] += u64::from(count);
            }
        }
        Ok(counts)
    }
}

/// Brings all counts to rank 0, shows the topics there, and writes the model if one is wanted.
pub(super) fn save(
    lda: &Lda,
    parts: &[Part],
    host: &Host,
    model: Option<&mut Model>,
) -> Result<()> {
    let blocks = host.gather(encode_blocks(parts))?;
    let documents = host.gather(encode_documents(parts, lda.options.doc_topics))?;
    let counts = blocks.map(|blocks| Counts::of(&lda.setup, decode_blocks(&blocks)?));
    let counts = counts.transpose()?;
    // The ones of the last record, which is to follow from these counts.
    let alpha = parts.first().map_or(&[][..], Part::final_alpha);
    let beta = parts.first().map_or(lda.options.beta, Part::final_beta);
    let top = (lda.options.top_words as usize).max(coherence::WORDS);
    let described = counts.as_ref().map(|counts| topics::describe(counts, beta, top));
    let phi = counts.as_ref().map(|counts| evaluate::Phi::new(counts, alpha, beta));
    let fit = evaluate::left_to_right(lda, host, parts, phi.as_ref())?;
    let wanted = described.as_deref().filter(|_| model.is_some());
    let coherence = evaluate::coherence(&lda.setup, host, parts, wanted)?;
    let (Some(counts), Some(mut described), Some(documents)) = (counts, described, documents)
    else {
        return Ok(());
    };
    let pairs = described.iter_mut().zip(coherence.unwrap_or_default());
    pairs.for_each(|(topic, coherence)| topic.coherence = coherence);
    described.iter_mut().for_each(|topic| topic.words.truncate(lda.options.top_words as usize));
    show(lda, &described, host);
    if let Some(fit) = &fit {
        host.note(&fit.to_string());
    }
    let Some(model) = model else { return Ok(()) };
    describe_model(lda, &counts, &described, fit, model);
    model.tensors(tensors(&counts, alpha, beta, &described));
    model.tensors(document_tensors(&documents, &lda.options)?);
    let vocabulary = lda.setup.vocabulary.as_ref();
    let mut file = model.file("topics.txt")?;
    // Errors of a model's files come up when it is finished.
    let _ = topics::write(&mut file, &described, alpha, vocabulary);
    if let Some(vocabulary) = vocabulary {
        let mut file = model.file(VOCABULARY)?;
        let _ = vocabulary
            .iter()
            .try_for_each(|word| writeln!(file, "{word}"));
    }
    Ok(())
}

/// Shows topics on stderr.
fn show(lda: &Lda, described: &[Description], host: &Host) {
    let vocabulary = lda.setup.vocabulary.as_ref();
    for (number, topic) in described.iter().enumerate().take(SHOWN_MAX) {
        host.note(&topics::line(number, topic, vocabulary));
    }
    if described.len() > SHOWN_MAX {
        let others = described.len() - SHOWN_MAX;
        host.note(&format!(
            "... and {others} more topics; -o DIR writes them all to topics.txt"
        ));
    }
}

fn describe_model(
    lda: &Lda,
    counts: &Counts,
    described: &[Description],
    fit: Option<Fit>,
    model: &mut Model,
) {
    model.json("topics", lda.setup.topics);
    model.json("words", counts.words() as u64);
    model.json("documents", lda.setup.documents);
    model.json("tokens", counts.totals.iter().sum::<u64>());
    let file = lda.setup.vocabulary.as_ref().map(|_| VOCABULARY);
    model.json("vocabulary", file);
    let coherence: Vec<[f64; 2]> = described.iter().filter_map(|topic| topic.coherence).collect();
    if !coherence.is_empty() {
        let mean = |which: usize| {
            let sum: f64 = coherence.iter().map(|both| both[which]).sum();
            sum / coherence.len() as f64
        };
        model.json("coherence_umass_mean", mean(0));
        model.json("coherence_npmi_mean", mean(1));
    }
    if let Some(fit) = fit {
        model.json("left_to_right_particles", fit.particles);
        model.json("left_to_right_loglik", fit.loglik);
        model.json("left_to_right_tokens", fit.tokens);
        model.json("left_to_right_perplexity", fit.perplexity());
    }
}

fn tensors(counts: &Counts, alpha: &[f64], beta: f64, described: &[Description]) -> Vec<Tensor> {
    let frequencies: Vec<u64> = (0..counts.words())
        .map(|word| counts.row(word).map(|(_, count)| u64::from(count)).sum())
        .collect();
    let entries = [counts.topics.len()];
    let mut tensors = vec![
        Tensor::new("word_offsets", &[counts.offsets.len()], &counts.offsets),
        Tensor::new("word_topics", &entries, &counts.topics),
        Tensor::new("word_counts", &entries, &counts.counts),
        Tensor::new("topic_totals", &[counts.totals.len()], &counts.totals),
        Tensor::new("word_frequencies", &[frequencies.len()], &frequencies),
        Tensor::new("alpha", &[alpha.len()], alpha),
        Tensor::new("beta", &[1], &[beta]),
    ];
    if described.iter().any(|topic| topic.coherence.is_some()) {
        for (which, name) in ["coherence_umass", "coherence_npmi"].into_iter().enumerate() {
            let value = |topic: &Description| topic.coherence.map_or(f64::NAN, |both| both[which]);
            let values: Vec<f64> = described.iter().map(value).collect();
            tensors.push(Tensor::new(name, &[values.len()], &values));
        }
    }
    tensors
}

/// All blocks of this rank: number, length in bytes, bytes.
fn encode_blocks(parts: &[Part]) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), Vec::new());
    for (number, block) in parts.iter().flat_map(|part| &part.blocks) {
        bytes.clear();
        block.encode(&mut bytes);
        varint::push(&mut all, u64::from(*number));
        varint::push(&mut all, bytes.len() as u64);
        all.extend_from_slice(&bytes);
    }
    all
}

fn decode_blocks(ranks: &[Bytes]) -> Result<Vec<(u32, Block)>> {
    let mut blocks = Vec::new();
    for bytes in ranks {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let field = varint::pop(&mut rest).zip(varint::pop(&mut rest));
            let (number, length) = field.ok_or_else(malformed)?;
            let length = usize::try_from(length).map_err(|_| malformed())?;
            let (block, tail) = rest.split_at_checked(length).ok_or_else(malformed)?;
            blocks.push((
                u32::try_from(number).map_err(|_| malformed())?,
                Block::decode(block)?,
            ));
            rest = tail;
        }
    }
    Ok(blocks)
}

/// All documents of this rank in order: whether it is held out, its length, and, if wanted, the number of entries and each
/// entry's topic, less the previous one's, and count.
fn encode_documents(parts: &[Part], with_topics: bool) -> Vec<u8> {
    let (mut all, mut pairs) = (Vec::new(), Vec::new());
    for part in parts {
        part.each_document(&mut pairs, |held_out, pairs| {
            varint::push(&mut all, u64::from(held_out));
            let length: u64 = pairs.iter().map(|&(_, count)| u64::from(count)).sum();
            varint::push(&mut all, length);
            if with_topics {
                varint::push(&mut all, pairs.len() as u64);
                let mut last = 0;
                for &(topic, count) in pairs {
                    varint::push(&mut all, u64::from(topic - last));
                    varint::push(&mut all, u64::from(count));
                    last = topic;
                }
            }
        });
    }
    all
}

fn document_tensors(ranks: &[Bytes], options: &Options) -> Result<Vec<Tensor>> {
    let (mut lengths, mut held_out) = (Vec::<u32>::new(), Vec::<u8>::new());
    let (mut offsets, mut topics, mut counts) = (vec![0u64], Vec::<u32>::new(), Vec::<u32>::new());
    for bytes in ranks {
        let mut rest = &bytes[..];
        let number = |rest: &mut &[u8]| {
            varint::pop(rest)
                .and_then(|value| u32::try_from(value).ok())
                .ok_or_else(malformed)
        };
        while !rest.is_empty() {
            held_out.push(u8::from(number(&mut rest)? > 0));
            lengths.push(number(&mut rest)?);
            if options.doc_topics {
                let mut topic = 0u32;
                for _ in 0..number(&mut rest)? {
                    topic = topic
                        .checked_add(number(&mut rest)?)
                        .ok_or_else(malformed)?;
                    topics.push(topic);
                    counts.push(number(&mut rest)?);
                }
                offsets.push(topics.len() as u64);
            }
        }
    }
    let mut tensors = vec![Tensor::new("document_lengths", &[lengths.len()], &lengths)];
    if options.holdout > 0.0 {
        tensors.push(Tensor::new("document_held_out", &[held_out.len()], &held_out));
    }
    if options.doc_topics {
        tensors.push(Tensor::new("document_offsets", &[offsets.len()], &offsets));
        tensors.push(Tensor::new("document_topics", &[topics.len()], &topics));
        tensors.push(Tensor::new("document_counts", &[counts.len()], &counts));
    }
    Ok(tensors)
}

fn malformed() -> Error {
    Error::Other("a peer sent a part of the model that is none".into())
}
