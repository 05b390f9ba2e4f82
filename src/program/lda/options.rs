//! The flags of `petuum lda`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::documents::TOPICS_MAX;
use crate::program::corpus::CorpusFlags;
use crate::program::flag::{above, real, whole};

/// What is shared and what rotates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Parallel {
    /// Word blocks rotate around the workers; counts of words are never stale
    Model,
    /// Counts of all words are shared, as stale as --staleness allows; for comparison
    Data,
}

/// How a token's topic is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// What is fastest for so many topics and such documents: dense or sparse
    #[default]
    Auto,
    /// All topics weighed, sixteen at a time; exact
    Dense,
    /// The document's topics weighed, a tree for the others; exact
    Sparse,
    /// Metropolis-Hastings steps, proposals from alias tables; exact, but moves less
    Alias,
    /// The same with counts of words that lag behind; not exact
    Warp,
}

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which documents, and how to read them.
    #[command(flatten)]
    pub documents: CorpusFlags,

    /// Number of topics [default: 100; for the built-in sample 10]
    #[arg(short = 'k', long, value_name = "K", value_parser = whole(1..=TOPICS_MAX))]
    pub topics: Option<u32>,

    /// Prior weight of each topic in each document
    ///
    /// Small values make documents stick to few topics.
    #[arg(long, default_value_t = 0.1, value_parser = above(0.0))]
    pub alpha: f64,

    /// Prior weight of each word in each topic
    ///
    /// Small values make topics stick to few words.
    #[arg(long, default_value_t = 0.01, value_parser = above(0.0))]
    pub beta: f64,

    /// Fit a weight for each topic instead of keeping --alpha
    ///
    /// Every 10 passes, by Minka's fixed point on the topic counts of all documents.
    #[arg(long)]
    pub optimize_alpha: bool,

    /// Fit the weight of words in topics instead of keeping --beta
    ///
    /// Every 10 passes, by Minka's fixed point on the word counts of all topics; one weight for all.
    #[arg(long)]
    pub optimize_beta: bool,

    /// Part of the documents that is kept out and predicted
    ///
    /// Document completion: of each such document, every second token tells its topics and the
    /// others are predicted; heldout_perplexity is exp(-mean ln p) of those, lower is better.
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = real(0.0..1.0))]
    pub holdout: f64,

    /// At the end, also estimate ln p of whole held-out documents with so many particles
    ///
    /// Left to right: each token is predicted from those before it. Says a perplexity that depends on no
    /// halves, and saves it in model.json; its time grows with the square of the documents' lengths.
    #[arg(long, value_name = "PARTICLES", hide_short_help = true, value_parser = whole(1..=1_000_000u32))]
    pub left_to_right: Option<u32>,

    /// What workers share
    #[arg(long, value_enum, default_value_t = Parallel::Model)]
    pub parallel: Parallel,

    /// How topics are drawn
    ///
    /// dense and sparse draw from the exact conditional; alias takes steps that leave it stationary;
    /// warp takes cheaper ones that only nearly do. To compare them; auto is the fastest.
    #[arg(long, value_enum, default_value_t = Method::Auto)]
    pub sampler: Method,

    /// Rounds of proposals for each token, with --sampler alias or warp
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = whole(1..=64u32))]
    pub mh_steps: u32,

    /// Word blocks for each worker; with 2, one travels while the other is worked on
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = whole(1..=1024u32))]
    pub blocks_per_worker: u32,

    /// Words that describe a topic, at the end of the run and in topics.txt
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole(1..=10_000u32))]
    pub top_words: u32,

    /// Write the topics' top words every so many passes, to topics-PASS.txt in --topics-folder
    #[arg(long, value_name = "N", requires = "topics_folder", hide_short_help = true, value_parser = whole(1u32..))]
    pub topics_every: Option<u32>,

    /// Folder for the files of --topics-every; it is made if it is not there
    #[arg(long, value_name = "DIR", requires = "topics_every", hide_short_help = true)]
    pub topics_folder: Option<PathBuf>,

    /// Also save the topic counts of every document
    #[arg(long)]
    pub doc_topics: bool,
}
