//! From the user's documents to each worker's part.

use std::fs;
use std::ops::Range;

use bytes::Bytes;

use super::options::{Options, Parallel};
use super::part::Part;
use crate::scheduler::partition::Partition;
use super::sampler::{Sampler, choose};
use super::{DATA_TURNS, Setup};
use crate::data::{Corpus, Tally, load_corpus, load_corpus_bytes};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::varint;
use crate::program::holdout::is_held_out;
use crate::scheduler::rotation::Rotation;

/// Topics of the built-in sample: the planted ones, and two more for the words that all documents
/// share. Without these a run now and then ends with two planted topics in one.
const SAMPLE_TOPICS: u32 = super::themes::THEMES.len() as u32 + 2;
/// Topics where the user does not say.
const TOPICS: u32 = 100;

static SAMPLE_DOCWORD: &[u8] = include_bytes!("../../../datasets/sample-lda/docword.sample.txt.gz");
static SAMPLE_VOCAB: &[u8] = include_bytes!("../../../datasets/sample-lda/vocab.sample.txt");

/// Reads this rank's share and deals it out to its workers.
pub(super) fn load(options: &Options, host: &Host) -> Result<(Setup, Vec<Part>)> {
    if let (0, Some(folder)) = (host.rank(), &options.topics_folder) {
        fs::create_dir_all(folder).map_err(|why| Error::cannot_create(folder, why))?;
    }
    let mut corpus = read(options, host)?;
    let is_sample = options.documents.data.is_empty();
    let topics = options
        .topics
        .unwrap_or(if is_sample { SAMPLE_TOPICS } else { TOPICS });
    let held_out: Vec<bool> = (0..corpus.documents() as u64)
        .map(|d| is_held_out(host.seed(), corpus.first_document() + d, options.holdout))
        .collect();
    let frequencies = frequencies(&corpus, &held_out, host)?;
    if frequencies.iter().all(|&frequency| frequency == 0) {
        let message = "keeps out every document with words, nothing is left to train on";
        return Err(Error::Usage(format!(
            "--holdout: {} {message}",
            options.holdout
        )));
    }
    let mut setup = setup(options, topics, &frequencies, host)?;
    setup.vocabulary = corpus.vocabulary.take();
    setup.documents = corpus.totals().documents;
    let totals = corpus.totals();
    let method = choose(options.sampler, topics, totals.tokens / totals.documents.max(1));
    let workers = host.world().local(host.rank()).len();
    let mut parts = Vec::with_capacity(workers);
    for range in deal(&corpus, workers) {
        let sampler = Sampler::with(
            method,
            options.mh_steps,
            vec![options.alpha; topics as usize],
            options.beta,
            corpus.words(),
        );
        let visit = |f: &mut dyn FnMut(usize, u32, u32)| {
            for (document, place) in range.clone().enumerate() {
                corpus
                    .document(place)
                    .for_each(|(word, count)| f(document, word, count));
            }
        };
        parts.push(Part::build(
            held_out[range.clone()].to_vec(),
            &setup.partition,
            sampler,
            visit,
        )?);
    }
    Ok((setup, parts))
}

fn read(options: &Options, host: &Host) -> Result<Corpus> {
    let share = host.share();
    let mut corpus = if options.documents.data.is_empty() {
        host.note(
            "no data given: training on the built-in sample (2,000 documents, 8 planted topics)",
        );
        load_corpus_bytes("the built-in sample", SAMPLE_DOCWORD, SAMPLE_VOCAB, share)?
    } else {
        load_corpus(
            &options.documents.data,
            &options.documents.options(host.threads()),
            share,
        )?
    };
    if share.of > 1 {
        let tallies = host.all_gather(corpus.tally().to_bytes())?;
        let tallies: Option<Vec<Tally>> = tallies
            .iter()
            .map(|bytes| Tally::from_bytes(bytes))
            .collect();
        let tallies =
            tallies.ok_or_else(|| Error::Other("a peer sent a tally that is none".into()))?;
        corpus.agree(&tallies, share.index)?;
    }
    Ok(corpus)
}

/// How often each word occurs in the documents that are trained on, over all ranks.
fn frequencies(corpus: &Corpus, held_out: &[bool], host: &Host) -> Result<Vec<u64>> {
    let mut own = vec![0u64; corpus.words()];
    for (document, _) in held_out.iter().enumerate().filter(|(_, out)| !**out) {
        for (word, count) in corpus.document(document) {
            own[word as usize] += u64::from(count);
        }
    }
    if host.world().ranks() == 1 {
        return Ok(own);
    }
    let mut bytes = Vec::new();
    own.iter()
        .for_each(|&frequency| varint::push(&mut bytes, frequency));
    let all = host.all_gather(bytes)?;
    let mut sums = vec![0u64; own.len()];
    for bytes in all {
        add_frequencies(&mut sums, &bytes)
            .ok_or_else(|| Error::Other("a peer sent word frequencies that are none".into()))?;
    }
    Ok(sums)
}

fn add_frequencies(sums: &mut [u64], bytes: &Bytes) -> Option<()> {
    let mut rest = &bytes[..];
    for sum in sums {
        *sum = sum.checked_add(varint::pop(&mut rest)?)?;
    }
    rest.is_empty().then_some(())
}

fn setup(options: &Options, topics: u32, frequencies: &[u64], host: &Host) -> Result<Setup> {
    let workers = host.world().workers();
    let per_worker = options.blocks_per_worker;
    let (blocks, turns_per_pass) = match options.parallel {
        Parallel::Model => (workers * per_worker, u64::from(workers * per_worker)),
        Parallel::Data => (1, DATA_TURNS.max(host.clocks_per_pass())),
    };
    let clocks = host.clocks_per_pass();
    if clocks > turns_per_pass {
        return Err(Error::Usage(format!(
            "--clocks-per-pass: {clocks} is too large, at most {turns_per_pass} \
             ({workers} workers with {per_worker} word blocks each; see --blocks-per-worker)"
        )));
    }
    Ok(Setup {
        topics,
        partition: Partition::balanced(frequencies, blocks),
        rotation: Rotation::new(workers, workers * per_worker),
        clocks_per_pass: clocks,
        stride: u64::from(per_worker),
        turns_per_pass,
        vocabulary: None,
        documents: 0,
    })
}

/// Ranges of documents with about equal numbers of tokens, one for each worker.
fn deal(corpus: &Corpus, workers: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::with_capacity(workers);
    let (mut start, mut end, mut seen) = (0, 0, 0);
    for worker in 1..=workers as u64 {
        let wanted = corpus.tokens() * worker / workers as u64;
        while end < corpus.documents() && (seen < wanted || worker == workers as u64) {
            seen += corpus
                .document(end)
                .map(|(_, count)| u64::from(count))
                .sum::<u64>();
            end += 1;
        }
        ranges.push(start..end);
        start = end;
    }
    ranges
}
