//! `petuum convert`: documents to the cache, or examples to the design, that later runs map.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::available_parallelism;

use clap::Args;

use crate::data::{ExamplesFormat, Format, Share, convert_examples, load_corpus, write_cache};
use crate::error::{Error, Result};
use crate::program::corpus::CorpusFlags;
use crate::program::examples::{ColumnsFlags, ExamplesFlags};
use crate::program::flag::whole;
use crate::report::Notes;

const DOCUMENTS: &str = "Documents";
const EXAMPLES: &str = "Examples";

/// The flags of `petuum convert`.
#[derive(Debug, Args)]
pub(super) struct Convert {
    /// Documents or examples: files, folders (their files in name order), or - for standard input
    ///
    /// Files that end in .gz or .zst are read as they are.
    data: Vec<PathBuf>,

    /// The data's format [default: guessed]
    ///
    /// docword, lda-c, libsvm, text or cache; with --columns libsvm, csv, matrix-market, npy or idx.
    #[arg(long)]
    format: Option<String>,

    /// The file to write
    #[arg(short, long, value_name = "FILE", required = true)]
    output: PathBuf,

    /// Replace the file if it is there
    #[arg(long)]
    force: bool,

    /// File with one word a line, in the order of the word ids
    ///
    /// Without it, the file beside the data with the usual name is taken (vocab.X.txt for
    /// docword.X.txt, X.vocab for X), if there is one.
    #[arg(long, value_name = "FILE", help_heading = DOCUMENTS, conflicts_with = "columns")]
    vocab: Option<PathBuf>,

    /// File with words, one a line, that are left out of plain text
    #[arg(long, value_name = "FILE", help_heading = DOCUMENTS, conflicts_with = "columns")]
    stop_words: Option<PathBuf>,

    /// Leave out words of plain text that occur fewer times than this in all documents
    #[arg(long, value_name = "N", help_heading = DOCUMENTS, default_value_t = 1,
          conflicts_with = "columns", value_parser = whole(1u64..))]
    min_count: u64,

    /// Read examples instead of documents and write them by columns
    #[arg(long, help_heading = EXAMPLES)]
    columns: bool,

    /// MiB of memory for features on their way to columns
    #[arg(long, value_name = "MIB", help_heading = EXAMPLES, default_value_t = 1024,
          requires = "columns", value_parser = whole(1..=1u64 << 24))]
    memory: u64,

    #[command(flatten, next_help_heading = EXAMPLES)]
    of_examples: ColumnsFlags,
}

/// Reads all data and writes it as one file.
pub(super) fn run(convert: Convert, notes: &Notes) -> Result<()> {
    if convert.data.is_empty() {
        let what = if convert.columns {
            "examples"
        } else {
            "documents"
        };
        return Err(Error::Usage(format!(
            "DATA: is missing; name the {what} to convert"
        )));
    }
    check_output(&convert.output, convert.force)?;
    let threads = available_parallelism().map_or(1, usize::from);
    let summary = match convert.columns {
        true => examples(&convert, threads)?,
        false => documents(&convert, threads)?,
    };
    notes.note(&format!("{}: {summary}", convert.output.display()));
    Ok(())
}

/// Refuses an output that cannot be replaced, before the long part.
fn check_output(output: &Path, force: bool) -> Result<()> {
    if output.exists() && !force {
        let reason = "it is there already; choose another name or add --force";
        return Err(Error::cannot_create(output, reason));
    }
    if output.exists() && !output.is_file() {
        // The file is renamed into its place, which would remove a device or a pipe.
        let reason = "it is no regular file, and only such can be replaced";
        return Err(Error::cannot_create(output, reason));
    }
    Ok(())
}

fn format<F: FromStr<Err: Display>>(convert: &Convert) -> Result<Option<F>> {
    let parse = |name: &String| {
        name.parse()
            .map_err(|why| Error::Usage(format!("--format: {why}")))
    };
    convert.format.as_ref().map(parse).transpose()
}

fn documents(convert: &Convert, threads: usize) -> Result<String> {
    convert.of_examples.refuse_all("--columns")?;
    let documents = CorpusFlags {
        data: convert.data.clone(),
        format: format::<Format>(convert)?,
        vocab: convert.vocab.clone(),
        stop_words: convert.stop_words.clone(),
        min_count: convert.min_count,
    };
    let whole = Share { index: 0, of: 1 };
    let corpus = load_corpus(&documents.data, &documents.options(threads), whole)?;
    write_cache(&corpus, &convert.output)?;
    let (documents, words, tokens) = (corpus.documents(), corpus.words(), corpus.tokens());
    Ok(format!(
        "{documents} documents, {words} words, {tokens} tokens"
    ))
}

fn examples(convert: &Convert, threads: usize) -> Result<String> {
    let examples = ExamplesFlags {
        data: convert.data.clone(),
        format: format::<ExamplesFormat>(convert)?,
        columns: convert.of_examples.clone(),
    };
    let memory = (convert.memory << 20) as usize;
    let options = examples.options(threads);
    let done = convert_examples(&examples.data, &options, &convert.output, memory)?;
    Ok(format!(
        "{} examples, {} columns, {} values",
        done.rows, done.columns, done.values
    ))
}
