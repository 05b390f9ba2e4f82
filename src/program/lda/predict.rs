//! The topics of unseen documents, by a saved model.

use std::io::Write;

use super::infer::{Frozen, Inference};
use crate::data::{Batch, CorpusOptions, Format, KnownWords, Vocabulary, WordsRead, read_batches};
use crate::engine::spread;
use crate::error::{Error, Result};
use crate::program::predict::{PredictFlags, Predictions};
use crate::report::Notes;
use crate::snapshot::SavedModel;

/// How often a document's words are gone through at most, where the user does not say.
const PASSES: u32 = 50;
/// Documents of a batch, and of what a thread takes of it at a time.
const BATCH: usize = 4096;
const SHARE: usize = 128;
/// Proportions of a batch at most: it is text before it is written.
const PROPORTIONS: usize = 1 << 22;

/// Writes a line for each document with the proportions of all topics, or with `--top` a line for each
/// of its main topics. Documents are numbered from 1.
///
/// # Errors
/// Status 65 or 66 for a model or data that is not as it should be, 74 if nobody can be told.
pub fn run(
    model: &SavedModel,
    flags: &PredictFlags,
    threads: usize,
    out: &mut (dyn Write + Send),
    notes: &Notes,
) -> Result<()> {
    flags.refuse_others("lda", &["--top", "--format", "--vocab", "--passes"])?;
    flags.columns.refuse_all("a model of examples")?;
    let frozen = Frozen::load(model)?;
    let vocabulary = vocabulary(model, frozen.words())?;
    let known = KnownWords::new(frozen.words(), vocabulary.as_ref());
    let options = CorpusOptions {
        format: flags.format::<Format>()?,
        vocabulary: flags.vocab.clone(),
        threads,
        ..CorpusOptions::default()
    };
    let mut predictions = Predictions::begin(out, &header(&frozen, flags.top))?;
    let width = flags.top.map_or(frozen.topics(), |top| top as usize);
    let documents = (PROPORTIONS / width).clamp(1, BATCH);
    let passes = flags.passes.unwrap_or(PASSES);
    let mut write = |batch: &Batch| {
        if predictions.is_closed() {
            return Ok(());
        }
        let shares = spread(threads, batch.documents().div_ceil(SHARE), |share| {
            lines(&frozen, passes, flags.top, batch, share * SHARE)
        });
        shares.iter().try_for_each(|text| predictions.lines(text))
    };
    let read = read_batches(&flags.data(), &options, &known, documents, &mut write)?;
    predictions.finish()?;
    say_unknown(read, notes);
    Ok(())
}

/// The model's words, if they have names.
fn vocabulary(model: &SavedModel, words: u32) -> Result<Option<Vocabulary>> {
    let Some(file) = model.json("vocabulary")?.as_str() else {
        return Ok(None);
    };
    let path = model.path(file);
    let text = std::fs::read_to_string(&path).map_err(|why| Error::no_input(&path, why))?;
    let names = Vocabulary::new(text.lines());
    match names.len() == words as usize {
        true => Ok(Some(names)),
        false => {
            let seen = names.len();
            let message = format!("expected {words} words as the model has, saw {seen}");
            Err(Error::data(&path, 0, 0, message))
        }
    }
}

fn header(frozen: &Frozen, top: Option<u32>) -> String {
    match top {
        Some(_) => "document,topic,proportion".to_owned(),
        None => {
            let topics = (0..frozen.topics()).map(|topic| format!(",topic_{topic}"));
            format!("document{}", topics.collect::<String>())
        }
    }
}

/// The lines of up to [`SHARE`] documents of a batch.
fn lines(frozen: &Frozen, passes: u32, top: Option<u32>, batch: &Batch, first: usize) -> Vec<u8> {
    let mut inference = Inference::new(frozen, passes);
    let (mut text, mut theta, mut best) = (Vec::new(), Vec::new(), Vec::new());
    for document in first..(first + SHARE).min(batch.documents()) {
        let (words, counts) = batch.row(document);
        inference.of(words, counts);
        let number = batch.first + document as u64 + 1;
        // Writing to memory does not fail.
        let _ = match top {
            None => {
                inference.theta(&mut theta);
                write_row(&mut text, number, &theta)
            }
            Some(top) => {
                inference.top(top as usize, &mut theta, &mut best);
                let mut best = best.iter();
                best.try_for_each(|(topic, theta)| writeln!(text, "{number},{topic},{theta}"))
            }
        };
    }
    text
}

fn write_row(text: &mut Vec<u8>, number: u64, theta: &[f32]) -> std::io::Result<()> {
    write!(text, "{number}")?;
    theta.iter().try_for_each(|theta| write!(text, ",{theta}"))?;
    writeln!(text)
}

fn say_unknown(read: WordsRead, notes: &Notes) {
    if read.unknown > 0 {
        notes.note(&format!(
            "{} of {} tokens were left out: the model does not know their words",
            read.unknown,
            read.known + read.unknown
        ));
    }
}
