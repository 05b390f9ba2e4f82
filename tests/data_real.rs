//! The real sets have the sizes that their README states. They are not part of the project: a set
//! that is absent is skipped by name.

use std::path::PathBuf;

use petuum::data::{CorpusOptions, Share, load_corpus};

/// Where the set is, if it is there.
fn set(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PETUUM_DATA")
        .map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let path = folder.join(name);
    if path.is_dir() {
        return Some(path);
    }
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: no {}", path.display());
    None
}

/// Reads a set and compares its documents, words and tokens.
fn check(name: &str, documents: usize, words: usize, tokens: u64) {
    let Some(folder) = set(name) else { return };
    let options = CorpusOptions {
        threads: 2,
        ..CorpusOptions::default()
    };
    let corpus = load_corpus(&[folder], &options, Share::WHOLE).unwrap();
    assert_eq!(
        (corpus.documents(), corpus.words(), corpus.tokens()),
        (documents, words, tokens)
    );
    assert_eq!(corpus.vocabulary.unwrap().len(), words);
}

#[test]
fn kos() {
    check("kos", 3_430, 6_906, 467_714);
}

#[test]
fn win32docs() {
    check("win32docs", 48_209, 24_472, 7_788_162);
}

#[test]
fn imdb() {
    check("imdb", 100_000, 39_746, 9_314_460);
}
