//! Reading documents: GB of text per second of one core.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use petuum::data::{CorpusOptions, Format, Share, load_corpus, write_cache};

use crate::say;

/// Reading documents on one thread, best of five: GB of text per second of one core. With
/// `PETUUM_PARSE=FILE` also that file.
pub(crate) fn run(small: bool) {
    let folder = std::env::temp_dir().join(format!("petuum-parse-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for generated files");
    let documents = if small { 200 } else { 60_000 };
    for (format, text) in generated(documents) {
        let path = folder.join(format!("documents.{}", format.name()));
        fs::write(&path, text).expect("a generated file");
        time_parse(&path, Some(format), small);
    }
    let cache = folder.join("documents.cache");
    let docword = [folder.join("documents.docword")];
    let corpus = load_corpus(&docword, &CorpusOptions::default(), Share::WHOLE);
    write_cache(&corpus.expect("the generated docword"), &cache).expect("a cache");
    time_parse(&cache, None, small);
    if let Some(path) = std::env::var_os("PETUUM_PARSE") {
        time_parse(&PathBuf::from(path), None, small);
    }
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

fn time_parse(path: &PathBuf, format: Option<Format>, small: bool) {
    let options = CorpusOptions {
        format,
        ..CorpusOptions::default()
    };
    let bytes = fs::metadata(path).expect("the file").len() as f64;
    let mut best = f64::INFINITY;
    let mut tokens = 0;
    for _ in 0..if small { 1 } else { 5 } {
        let start = Instant::now();
        let corpus = load_corpus(std::slice::from_ref(path), &options, Share::WHOLE);
        tokens = corpus.expect("a valid file").tokens();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let rate = bytes / best / 1e9;
    say(&format!(
        "parse {name:24} {:8.1} MB {tokens:10} tokens {best:8.4} s {rate:6.2} GB/s",
        bytes / 1e6
    ));
}

/// The same documents in three formats, and others as text: words by Zipf's law, as in the wild.
fn generated(documents: u32) -> [(Format, String); 4] {
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let words = 40_000f64;
    let [mut docword, mut lda_c, mut svm, mut text] = [const { String::new() }; 4];
    let mut entries = 0;
    for document in 1..=documents {
        let mut held: Vec<u32> = (0..120).map(|_| words.powf(uniform()) as u32).collect();
        for word in &held {
            let _ = write!(
                text,
                "{}{word:x} ",
                ["the", "So", "w", "Ab"][*word as usize % 4]
            );
        }
        held.sort_unstable();
        let runs: Vec<(u32, usize)> = held
            .chunk_by(|a, b| a == b)
            .map(|run| (run[0], run.len()))
            .collect();
        entries += runs.len();
        let _ = write!(lda_c, "{}", runs.len());
        let _ = write!(svm, "{}", document % 2);
        for (word, count) in runs {
            let _ = writeln!(docword, "{document} {word} {count}");
            let _ = write!(lda_c, " {word}:{count}");
            let _ = write!(svm, " {word}:{count}");
        }
        for lines in [&mut lda_c, &mut svm, &mut text] {
            lines.push('\n');
        }
    }
    let docword = format!("{documents}\n{words}\n{entries}\n{docword}");
    [
        (Format::Docword, docword),
        (Format::LdaC, lda_c),
        (Format::Svm, svm),
        (Format::Text, text),
    ]
}
