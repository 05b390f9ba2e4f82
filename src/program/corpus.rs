//! The flags of every command that reads documents.

use std::path::PathBuf;

use clap::Args;

use super::flag::whole;
use crate::data::{CorpusOptions, Format};

/// Which documents, and how to read them.
#[derive(Debug, Clone, Args)]
pub struct CorpusFlags {
    /// Documents: files, folders (their files in name order), or - for standard input
    ///
    /// Files that end in .gz or .zst are read as they are.
    pub data: Vec<PathBuf>,

    /// The documents' format: docword, lda-c, libsvm, text or cache [default: guessed]
    #[arg(long)]
    pub format: Option<Format>,

    /// File with one word a line, in the order of the word ids
    ///
    /// Without it, the file beside the data with the usual name is taken (vocab.X.txt for
    /// docword.X.txt, X.vocab for X), if there is one.
    #[arg(long, value_name = "FILE")]
    pub vocab: Option<PathBuf>,

    /// File with words, one a line, that are left out of plain text
    #[arg(long, value_name = "FILE")]
    pub stop_words: Option<PathBuf>,

    /// Leave out words of plain text that occur fewer times than this in all documents
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(1u64..))]
    pub min_count: u64,
}

impl CorpusFlags {
    /// The reader's options, with `threads` parsers.
    pub fn options(&self, threads: usize) -> CorpusOptions {
        CorpusOptions {
            format: self.format,
            vocabulary: self.vocab.clone(),
            stop_words: self.stop_words.clone(),
            min_count: self.min_count,
            threads,
            ..CorpusOptions::default()
        }
    }
}
