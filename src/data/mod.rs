//! Files in: mapped, split by byte range at record boundaries, one file per format, and the binary
//! cache.
//!
//! | file | what it knows |
//! |---|---|
//! | `mmap` | how to map a file |
//! | `source` | where bytes come from: files, folders, pipes, compiled in |
//! | `stream` | how to unpack `.gz` and `.zst` in chunks of whole lines |
//! | `share` | which rank reads what |
//! | `spread` | work over threads, results in order |
//! | `lines` | how lines of any format are read in parallel |
//! | `field` | numbers and tokens of a line, and the place of a fault |
//! | `format` | the formats' names and looks |
//! | `docword`, `pairs`, `text` | one format each |
//! | `words`, `scan` | what a word of text is; the same many bytes at a time |
//! | `intern`, `bag` | words by number; the words of a document in order |
//! | `rows`, `corpus`, `vocabulary` | documents in memory |
//! | `cache`, `cache_write`, `fingerprint` | the cache that later runs map |
//! | `load` | from the user's paths to a corpus |
//! | `batches` | documents in the words of a model, not all at once |
//! | `ids`, `triples`, `ratings` | names of users and items; a line `user item rating`; who rated what |
//! | `id_lines` | whose ratings are to be predicted |
//! | `examples` | features and targets |
//! | `design` | the same by columns, in memory or mapped |
//!
//! The files up to `field` know nothing of documents; readers of other data stand on them too.

mod mmap;
mod field;
mod share;
mod spread;
mod stream;
mod source;
mod lines;
mod format;
mod vocabulary;
mod rows;
mod docword;
mod pairs;
mod words;
mod intern;
mod scan;
mod bag;
mod text;
mod fingerprint;
mod corpus;
mod cache;
mod cache_write;
mod load;
mod batches;
mod ids;
mod triples;
mod ratings;
mod id_lines;
mod examples;
mod design;

pub use batches::{Batch, BatchSink, KnownWords, WordsRead, read_batches};
pub use cache_write::write_cache;
pub use corpus::{Corpus, Tally, Totals};
pub use design::{
    ColumnRef, Converted, Design, DesignKind, DesignWriter, RowIds, convert_examples,
};
pub use examples::{
    Classes, ColumnName, Examples, ExamplesFormat, ExamplesOptions, Features, TargetColumn,
    Targets, Trained, UNKNOWN_CLASS, load_examples, load_examples_bytes,
};
pub use format::Format;
pub use id_lines::{IdSink, read_id_lines};
pub use ids::{Ids, NO_ROW};
pub use load::{CorpusOptions, load_corpus, load_corpus_bytes};
pub use ratings::{Pieces, Rating, Ratings, RatingsOptions, load_ratings, load_ratings_bytes};
pub use share::Share;
pub(crate) use spread::spread;
pub use vocabulary::{Vocabulary, WORDS_MAX};
