//! `petuum convert`: documents to the binary cache that later runs map.

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;

use crate::data::{Share, load_corpus, write_cache};
use crate::error::{Error, Result};
use crate::program::corpus::CorpusFlags;
use crate::report::Notes;

/// The flags of `petuum convert`.
#[derive(Debug, Args)]
pub(super) struct Convert {
    #[command(flatten)]
    documents: CorpusFlags,

    /// The cache to write
    #[arg(short, long, value_name = "FILE", required = true)]
    output: PathBuf,

    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// Reads all documents and writes them as one cache.
pub(super) fn run(convert: &Convert, notes: &Notes) -> Result<()> {
    let documents = &convert.documents;
    if documents.data.is_empty() {
        return Err(Error::Usage(
            "DATA: is missing; name the documents to convert".into(),
        ));
    }
    // Before the long part.
    if convert.output.exists() && !convert.force {
        let reason = "it is there already; choose another name or add --force";
        return Err(Error::cannot_create(&convert.output, reason));
    }
    if convert.output.exists() && !convert.output.is_file() {
        // The cache is renamed into its place, which would remove a device or a pipe.
        let reason = "it is no regular file, and only such can be replaced";
        return Err(Error::cannot_create(&convert.output, reason));
    }
    let threads = available_parallelism().map_or(1, usize::from);
    let whole = Share { index: 0, of: 1 };
    let corpus = load_corpus(&documents.data, &documents.options(threads), whole)?;
    write_cache(&corpus, &convert.output)?;
    notes.note(&format!(
        "{}: {} documents, {} words, {} tokens",
        convert.output.display(),
        corpus.documents(),
        corpus.words(),
        corpus.tokens()
    ));
    Ok(())
}
