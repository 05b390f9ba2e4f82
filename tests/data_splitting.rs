//! Splitting over threads and shares, and damaged files, against a parser that knows no tricks.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use petuum::data::{Corpus, CorpusOptions, Format, Share, Tally, load_corpus};
use petuum::error::Error;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRng};

/// Documents as (word, count) lists.
type Documents = Vec<Vec<(u32, u32)>>;

/// What a parser without tricks makes of docword.
fn naive_docword(text: &str) -> Documents {
    let mut lines = text.lines();
    let documents: usize = lines.next().unwrap().trim().parse().unwrap();
    let mut all = vec![Vec::new(); documents];
    for line in lines.skip(2).filter(|line| !line.trim().is_empty()) {
        let fields: Vec<u32> = line
            .split_whitespace()
            .map(|field| field.parse().unwrap())
            .collect();
        all[fields[0] as usize - 1].push((fields[1] - 1, fields[2]));
    }
    all
}

/// What a parser without tricks makes of `lead word:count ...` lines.
fn naive_pairs(text: &str, base: u32) -> Documents {
    let pair = |pair: &str| {
        let (word, count) = pair.split_once(':').unwrap();
        (word.parse::<u32>().unwrap() - base, count.parse().unwrap())
    };
    text.lines()
        .map(|line| line.split_whitespace().skip(1).map(pair).collect())
        .collect()
}

/// What a parser without tricks makes of words of ASCII letters.
fn naive_text(text: &str) -> Documents {
    let words = |line: &str| -> Vec<String> {
        let words = line
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let mut names: Vec<String> = text.lines().flat_map(words).collect();
    names.sort();
    names.dedup();
    let document = |line: &str| {
        let mut counts = std::collections::BTreeMap::new();
        for word in words(line) {
            *counts
                .entry(names.binary_search(&word).unwrap() as u32)
                .or_insert(0) += 1;
        }
        counts.into_iter().collect()
    };
    text.lines().map(document).collect()
}

fn documents(corpus: &Corpus) -> Documents {
    (0..corpus.documents())
        .map(|d| corpus.document(d).collect())
        .collect()
}

/// Reads all shares, lets them agree, and puts them together again.
fn read_shares(
    paths: &[PathBuf],
    options: &CorpusOptions,
    of: u32,
) -> Result<(Documents, usize), Error> {
    let load = |index| load_corpus(paths, options, Share { index, of });
    let mut shares = (0..of).map(load).collect::<Result<Vec<Corpus>, Error>>()?;
    let tallies: Vec<Tally> = shares.iter().map(Corpus::tally).collect();
    for tally in &tallies {
        assert_eq!(Tally::from_bytes(&tally.to_bytes()).as_ref(), Some(tally));
    }
    let mut all = Documents::new();
    let mut words = None;
    for (index, share) in shares.iter_mut().enumerate() {
        share.agree(&tallies, index as u32)?;
        assert_eq!(share.first_document(), all.len() as u64);
        all.extend(documents(share));
        assert_eq!(*words.get_or_insert(share.words()), share.words());
        let sum: u64 = tallies.iter().map(|tally| tally.documents).sum();
        assert_eq!(share.totals().documents, sum);
        let held = documents(share);
        let tokens: u64 = held
            .iter()
            .flatten()
            .map(|(_, count)| u64::from(*count))
            .sum();
        assert_eq!(tokens, share.tokens());
    }
    Ok((all, words.unwrap()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Asserts that `text` is read as `expected`, however it is packed and split.
fn assert_read(name: &str, text: &str, expected: &Documents) {
    let folder = tempfile::tempdir().unwrap();
    let packings = [
        ("", text.as_bytes().to_vec()),
        (".gz", gzip(text.as_bytes())),
        (".zst", zstd(text.as_bytes())),
    ];
    for (end, bytes) in packings {
        let path = folder.path().join(format!("{name}{end}"));
        fs::write(&path, bytes).unwrap();
        for (threads, piece_bytes) in [(1, 1 << 18), (1, 1), (2, 30), (3, 100), (8, 11)] {
            let options = CorpusOptions {
                threads,
                piece_bytes,
                ..CorpusOptions::default()
            };
            for of in 1..=5 {
                let (read, _) = read_shares(std::slice::from_ref(&path), &options, of).unwrap();
                assert_eq!(
                    &read, expected,
                    "{name}{end} {threads} threads, {piece_bytes} bytes, {of} shares"
                );
            }
        }
    }
}

/// Random documents of up to `words` words, as (number, entries); at least one has a word.
fn random_documents(words: u32) -> impl Strategy<Value = Documents> {
    let entry = (0..words, prop_oneof![9 => 1..4u32, 1 => 1..=u32::MAX]);
    let document = prop_oneof![1 => Just(Vec::new()), 3 => prop::collection::vec(entry, 0..12)];
    let some = |documents: &Documents| documents.iter().any(|document| !document.is_empty());
    prop::collection::vec(document, 1..30).prop_filter("a token", some)
}

fn docword(documents: &Documents, words: u32) -> String {
    let entries: usize = documents.iter().map(Vec::len).sum();
    let mut text = format!("{}\n{words}\n{entries}\n", documents.len());
    for (number, document) in documents.iter().enumerate() {
        for (word, count) in document {
            text += &format!("{} {} {count}\n", number + 1, word + 1);
        }
    }
    text
}

fn pairs(documents: &Documents, base: u32, lead: impl Fn(&[(u32, u32)]) -> String) -> String {
    let mut text = String::new();
    for document in documents {
        text += &lead(document);
        for (word, count) in document {
            text += &format!(" {}:{count}", word + base);
        }
        text += "\n";
    }
    text
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 24,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn docword_is_read_alike_however_it_is_split(all in random_documents(2_000_000)) {
        let text = docword(&all, 2_000_000);
        prop_assert_eq!(&naive_docword(&text), &all);
        assert_read("docword.txt", &text, &all);
        assert_read("docword.txt", &text.replace('\n', "\r\n"), &all);
    }

    #[test]
    fn pairs_are_read_alike_however_they_are_split(all in random_documents(30_000_000)) {
        let text = pairs(&all, 0, |document| document.len().to_string());
        prop_assert_eq!(&naive_pairs(&text, 0), &all);
        assert_read("x.ldac", &text, &all);
        let text = pairs(&all, 1, |document| format!("{}.5", document.len()));
        prop_assert_eq!(&naive_pairs(&text, 1), &all);
        assert_read("x.svm", &text, &all);
    }

    #[test]
    fn text_is_read_alike_however_it_is_split(text in "([a-fA-F]{1,3}[ ,.]{1,2}){1,6}x\n([a-e]{1,2}[ \n]){0,60}") {
        assert_read("x.txt", &text, &naive_text(&text));
    }

    #[test]
    fn damaged_files_are_read_or_refused_with_a_place(
        all in random_documents(50),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4),
        kind in 0..5usize,
    ) {
        let words: String = all.iter().flatten().map(|(word, _)| format!("w{word} ")).collect();
        let (name, text) = [
            ("docword.x", docword(&all, 50)),
            ("x.ldac", pairs(&all, 0, |document| document.len().to_string())),
            ("x.svm", pairs(&all, 1, |_| "1".to_string())),
            ("x.txt", words),
            ("x", docword(&all, 50)),
        ][kind].clone();
        for bytes in [text.clone().into_bytes(), gzip(text.as_bytes()), zstd(text.as_bytes())] {
            assert_safe(name, damaged(bytes, &edits));
        }
    }

    #[test]
    fn random_bytes_are_read_or_refused_with_a_place(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..4usize) {
        assert_safe(["docword.x", "x.ldac", "x.svm", "x.txt"][kind], bytes);
    }

    #[test]
    fn random_fields_are_read_or_refused_with_a_place(text in "([0-9]{1,3}[\n :]){3,40}", kind in 0..5usize) {
        assert_safe(["docword.x", "x.ldac", "x.svm", "x.txt", "x"][kind], text.into_bytes());
    }
}

/// Some bytes replaced, inserted or cut off.
fn damaged(mut bytes: Vec<u8>, edits: &[(prop::sample::Index, u8, i32)]) -> Vec<u8> {
    for (index, value, kind) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = index.index(bytes.len());
        // Half of the edits stay near the format's own characters.
        let value = if value % 2 == 0 {
            b"0123456789 :\n-.x"[*value as usize % 16]
        } else {
            *value
        };
        match kind {
            0 => bytes[at] = value,
            1 => bytes.insert(at, value),
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
    bytes
}

/// Asserts that a file is read, or refused in one line with a place, and alike on one thread and
/// on several.
fn assert_safe(name: &str, bytes: Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let read = |threads, piece_bytes| {
        let options = CorpusOptions {
            threads,
            piece_bytes,
            ..CorpusOptions::default()
        };
        let corpus = load_corpus(std::slice::from_ref(&path), &options, Share::WHOLE);
        corpus.map(|corpus| documents(&corpus))
    };
    let alone = read(1, 1 << 18);
    assert_eq!(alone, read(3, 16));
    if let Err(error) = alone {
        assert_eq!(error.status(), 65, "{error}");
        let line = error.to_string();
        assert!(
            line.starts_with(path.to_str().unwrap()) && !line.contains('\n'),
            "{line}"
        );
    }
}

#[test]
fn shares_of_several_files_are_a_partition() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Documents::new();
    let mut rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    for number in 0..4 {
        let mut all: Documents = vec![Vec::new(); 7];
        for document in all.iter_mut().skip(number % 2) {
            let length = rng.random_range(0..40);
            document.extend((0..length).map(|_| (rng.random_range(0..9), 1)));
        }
        all[3].push((0, 1));
        let text = docword(&all, 9);
        let bytes = if number == 2 {
            gzip(text.as_bytes())
        } else {
            text.into_bytes()
        };
        fs::write(folder.path().join(format!("docword.{number}.txt")), bytes).unwrap();
        expected.extend(all);
    }
    for of in 1..12 {
        let paths = [folder.path().to_path_buf()];
        let (read, words) = read_shares(&paths, &CorpusOptions::default(), of).unwrap();
        assert_eq!((read, words), (expected.clone(), 9), "{of} shares");
    }
}

#[test]
fn a_wrong_number_of_entries_is_found_by_all_ranks_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docword.x");
    let text: String = (1..=50)
        .map(|document| format!("{document} 1 1\n"))
        .collect();
    fs::write(&path, format!("50\n1\n51\n{text}")).unwrap();
    for of in [1, 2, 5] {
        let error =
            read_shares(std::slice::from_ref(&path), &CorpusOptions::default(), of).unwrap_err();
        let line = error.to_string();
        assert!(
            line.contains(":3:1: expected 51 entries as this line states, saw 50"),
            "{line}"
        );
    }
}

#[test]
fn standard_input_is_for_one_rank() {
    let paths = [Path::new("-").to_path_buf()];
    let options = CorpusOptions {
        format: Some(Format::Text),
        ..CorpusOptions::default()
    };
    let error = load_corpus(&paths, &options, Share { index: 1, of: 2 }).unwrap_err();
    assert_eq!(error.status(), 2);
}
