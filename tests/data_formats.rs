//! Documents in every format: what is read, and the place and words of every refusal.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use flate2::Compression;
use flate2::write::GzEncoder;
use petuum::data::{Corpus, CorpusOptions, Format, Share, load_corpus, load_corpus_bytes};
use petuum::error::Error;
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn load(path: &Path) -> Result<Corpus, Error> {
    load_with(path, &CorpusOptions::default())
}

fn load_with(path: &Path, options: &CorpusOptions) -> Result<Corpus, Error> {
    load_corpus(&[path.to_path_buf()], options, Share::WHOLE)
}

/// The documents of a corpus.
fn documents(corpus: &Corpus) -> Vec<Vec<(u32, u32)>> {
    (0..corpus.documents())
        .map(|d| corpus.document(d).collect())
        .collect()
}

/// The documents in one file called `name`.
fn read(name: &str, bytes: &[u8]) -> Vec<Vec<(u32, u32)>> {
    let folder = folder(&[(name, bytes)]);
    documents(&load(&folder.path().join(name)).unwrap())
}

/// The line that refuses the file `name`, without the folder, and its status. With any number of
/// threads and pieces, and packed, it must be the same.
fn refusal(name: &str, bytes: &[u8]) -> (String, u8) {
    let packed = format!("{name}.gz");
    let folder = folder(&[(name, bytes), (&packed, &gzip(bytes))]);
    let mut first = None;
    for name in [name, &packed] {
        for (threads, piece_bytes) in [(1, 1 << 20), (1, 7), (3, 7), (3, 40)] {
            let options = CorpusOptions {
                threads,
                piece_bytes,
                ..CorpusOptions::default()
            };
            let error = load_with(&folder.path().join(name), &options).unwrap_err();
            let start = format!("{}/{name}", folder.path().display());
            let line = error.to_string();
            let line = line
                .strip_prefix(&start)
                .unwrap_or_else(|| panic!("{line}"))
                .to_string();
            let line = line.split(" (read as").next().unwrap().to_string();
            assert!(!line.contains('\n'), "{line}");
            let seen = (line, error.status());
            assert_eq!(
                first.get_or_insert(seen.clone()),
                &seen,
                "{threads} {piece_bytes} {name}"
            );
        }
    }
    first.unwrap()
}

/// Asserts the refusal of a file: `:line:column: message`, status 65.
#[track_caller]
fn refused(name: &str, bytes: &[u8], line: &str) {
    assert_eq!(refusal(name, bytes), (line.to_string(), 65));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// A Zstandard frame, by the independent packer in ruzstd.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

const DOCWORD: &[u8] = b"5\n4\n4\n2 1 3\n2 4 1\n4 2 2\n4 2 1\n";

fn docword_documents() -> Vec<Vec<(u32, u32)>> {
    vec![
        vec![],
        vec![(0, 3), (3, 1)],
        vec![],
        vec![(1, 2), (1, 1)],
        vec![],
    ]
}

#[test]
fn docword_keeps_empty_documents_and_repeated_words() {
    assert_eq!(read("docword.x.txt", DOCWORD), docword_documents());
    let folder = folder(&[("docword.x.txt", DOCWORD)]);
    let corpus = load(&folder.path().join("docword.x.txt")).unwrap();
    assert_eq!(
        (corpus.documents(), corpus.words(), corpus.tokens()),
        (5, 4, 7)
    );
    assert_eq!((corpus.entries(), corpus.first_document()), (4, 0));
    assert!(corpus.vocabulary.is_none());
}

#[test]
fn line_ends_blanks_and_a_bom_do_not_matter() {
    let text = std::str::from_utf8(DOCWORD).unwrap();
    let variants = [
        text.replace('\n', "\r\n"),
        format!("\u{FEFF}{text}"),
        text.trim_end().to_string(),
        text.replace('\n', " \t \n"),
        text.replace(' ', "\t"),
        text.replace(' ', "   "),
        text.replace("\n2 ", "\n\n  2 "),
        format!("{text}\n \n\r\n"),
        text.replace("2 1 3", "0002 00000001 3"),
    ];
    for variant in variants {
        assert_eq!(
            read("docword.x.txt", variant.as_bytes()),
            docword_documents(),
            "{variant:?}"
        );
    }
    let lda_c = vec![vec![(0, 2), (7, 1)], vec![], vec![(7, 3)]];
    for text in [
        "2 0:2 7:1\n0\n1 7:3\n",
        "\u{FEFF}2 0:2  7:1 \r\n0\r\n1\t7:3",
        "2 0:2 7:1\n\n1 7:3\n",
    ] {
        assert_eq!(read("x.ldac", text.as_bytes()), lda_c, "{text:?}");
    }
    for text in [
        "1 1:2 8:1\n0\n-1 8:3\n",
        "\u{FEFF}+1 1:2 8:1 # two\r\n2.5\r\n1,3 8:3",
        "1 1:2 8:1\n#none\n1 8:3#\n",
    ] {
        let expected = if text.ends_with("#\n") {
            None
        } else {
            Some(&lda_c)
        };
        match expected {
            Some(expected) => assert_eq!(&read("x.svm", text.as_bytes()), expected, "{text:?}"),
            None => refused(
                "x.svm",
                text.as_bytes(),
                ":3:5: expected a count from 1 to 4294967295, saw `3#`",
            ),
        }
    }
}

#[test]
fn packed_files_are_read_as_they_are() {
    let two_members = [gzip(&DOCWORD[..9]), gzip(&DOCWORD[9..])].concat();
    let skippable = [&b"\x53\x2A\x4D\x18\x03\0\0\0abc"[..]].concat();
    let frames = [
        skippable.clone(),
        zstd(&DOCWORD[..9]),
        skippable,
        zstd(&DOCWORD[9..]),
    ]
    .concat();
    for packed in [gzip(DOCWORD), two_members, zstd(DOCWORD), frames] {
        assert_eq!(read("docword.x.txt.gz", &packed), docword_documents());
        assert_eq!(read("docword.x", &packed), docword_documents());
    }
}

#[test]
fn bytes_that_are_compiled_in_are_read_like_files() {
    let packed: &'static [u8] = gzip(DOCWORD).leak();
    let corpus = load_corpus_bytes("sample", packed, b"a\nb\nc\nd\n", Share::WHOLE).unwrap();
    assert_eq!(documents(&corpus), docword_documents());
    assert_eq!(corpus.vocabulary.unwrap().word(3), Some("d"));
    let error = load_corpus_bytes("sample", b"1\n1\n1\n1 2 1\n", b"a\n", Share::WHOLE).unwrap_err();
    let expected =
        "sample:4:3: expected a word id from 1 to 1 (the header's number of words), saw `2`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn text_is_cut_into_words() {
    let folder = folder(&[
        (
            "a.txt",
            "The cat's hat\n\nA DOG, a cat\n2024 été".as_bytes(),
        ),
        ("stop", b"# articles\nthe a\n"),
        ("names", b"dog\ncat\nbird\n"),
    ]);
    let path = folder.path().join("a.txt");
    let corpus = load(&path).unwrap();
    let names: Vec<&str> = corpus.vocabulary.as_ref().unwrap().iter().collect();
    assert_eq!(names, ["a", "cat", "cat's", "dog", "hat", "the", "été"]);
    let expected = vec![
        vec![(2, 1), (4, 1), (5, 1)],
        vec![],
        vec![(0, 2), (1, 1), (3, 1)],
        vec![(6, 1)],
    ];
    assert_eq!(documents(&corpus), expected);
    let options = CorpusOptions {
        stop_words: Some(folder.path().join("stop")),
        ..CorpusOptions::default()
    };
    let corpus = load_with(&path, &options).unwrap();
    assert_eq!(
        (corpus.words(), corpus.tokens(), corpus.documents()),
        (5, 5, 4)
    );
    let options = CorpusOptions {
        min_count: 2,
        ..CorpusOptions::default()
    };
    let corpus = load_with(&path, &options).unwrap();
    assert_eq!(documents(&corpus), [vec![], vec![], vec![(0, 2)], vec![]]);
    let options = CorpusOptions {
        vocabulary: Some(folder.path().join("names")),
        ..CorpusOptions::default()
    };
    let corpus = load_with(&path, &options).unwrap();
    assert_eq!(corpus.words(), 3);
    assert_eq!(
        documents(&corpus),
        [vec![], vec![], vec![(0, 1), (1, 1)], vec![]]
    );
}

#[test]
fn the_vocabulary_beside_is_found() {
    let files: [(&str, &[u8]); 6] = [
        ("docword.x.txt.gz", &gzip(DOCWORD)),
        ("vocab.x.txt", b"a\nb\nc\nd\n"),
        ("README.md", b"about"),
        (".hidden", b"x"),
        ("y.ldac", b"1 0:1\n"),
        ("y.ldac.vocab", b"z\n"),
    ];
    let folder = folder(&files);
    let corpus = load(folder.path()).unwrap();
    assert_eq!(documents(&corpus), docword_documents());
    assert_eq!(corpus.vocabulary.as_ref().unwrap().word(0), Some("a"));
    assert_eq!(corpus.sources().count(), 2);
    let corpus = load(&folder.path().join("y.ldac")).unwrap();
    assert_eq!(corpus.vocabulary.unwrap().word(0), Some("z"));
}

#[test]
fn several_files_are_read_in_order() {
    let folder = folder(&[
        ("b.ldac", b"1 0:1\n"),
        ("a.ldac", b"1 4:2\n0\n"),
        ("c.ldac", b"0\n"),
    ]);
    let corpus = load(folder.path()).unwrap();
    assert_eq!(
        documents(&corpus),
        [vec![(4, 2)], vec![], vec![(0, 1)], vec![]]
    );
    let paths = ["b.ldac", "a.ldac"].map(|name| folder.path().join(name));
    let corpus = load_corpus(&paths, &CorpusOptions::default(), Share::WHOLE).unwrap();
    assert_eq!(documents(&corpus), [vec![(0, 1)], vec![(4, 2)], vec![]]);
    assert_eq!(corpus.words(), 5);
}

#[test]
fn formats_are_guessed_from_their_look() {
    let guessed = |bytes: &[u8]| read("data", bytes);
    assert_eq!(guessed(DOCWORD), docword_documents());
    assert_eq!(
        guessed(b"2 0:1 1:1\n0\n1 0:1\n"),
        [vec![(0, 1), (1, 1)], vec![], vec![(0, 1)]]
    );
    assert_eq!(
        guessed(b"-1 1:1 2:1\n0\n+1 2:1\n"),
        [vec![(0, 1), (1, 1)], vec![], vec![(1, 1)]]
    );
    assert_eq!(
        guessed(b"some words: here\n"),
        [vec![(0, 1), (1, 1), (2, 1)]]
    );
    let message = ":1:1: expected documents in a format that can be told from their look, saw `1`; \
                   say which with `--format docword|lda-c|libsvm|text|cache`";
    refused("ratings.csv", b"1 2 3\n4 5 6\n", message);
}

#[test]
fn a_guess_that_went_wrong_says_how_to_say_otherwise() {
    let folder = folder(&[("docword.txt", b"some words\n")]);
    let error = load(&folder.path().join("docword.txt"))
        .unwrap_err()
        .to_string();
    let expected = ":1:1: expected the number of documents from 1 to 1048587, saw `some` \
                    (read as docword by its name, --format says otherwise)";
    assert!(error.ends_with(expected), "{error}");
    for format in Format::ALL {
        assert_eq!(Format::from_str(format.name()), Ok(format));
    }
    assert!(
        Format::from_str("x")
            .unwrap_err()
            .starts_with("expected docword|")
    );
}

#[test]
fn docword_refusals_have_places() {
    let entry = |line: &str| format!("3\n4\n2\n1 1 1\n{line}\n").into_bytes();
    let word = "expected a word id from 1 to 4 (the header's number of words), saw";
    let document = "expected a document number from 1 to 3 (the header's number of documents), saw";
    let count = "expected a count from 1 to 4294967295";
    let cases = [
        ("2 0 1", format!(":5:3: {word} `0`")),
        ("2 5 1", format!(":5:3: {word} `5`")),
        ("2 x 1", format!(":5:3: {word} `x`")),
        ("0 1 1", format!(":5:1: {document} `0`")),
        ("4 1 1", format!(":5:1: {document} `4`")),
        ("-1 1 1", format!(":5:1: {document} `-1`")),
        ("2 1 0", format!(":5:5: {count}, saw `0`")),
        ("2 1 -3", format!(":5:5: {count}, saw `-3`")),
        ("2 1 1.5", format!(":5:5: {count}, saw `1.5`")),
        ("2 1 4294967296", format!(":5:5: {count}, saw `4294967296`")),
        (
            "2 1 99999999999999999999999",
            format!(":5:5: {count}, saw `99999999999999999999999`"),
        ),
        ("2 1", format!(":5:4: {count}, the line ends here")),
        ("  2 1 ", format!(":5:7: {count}, the line ends here")),
        (
            "2 1 1 7",
            ":5:7: expected the end of the line after document, word and count, saw `7`".into(),
        ),
        ("2 1 1\0", format!(":5:5: {count}, saw `1\\0`")),
    ];
    for (line, expected) in cases {
        let bytes = entry(line);
        match line.contains('\0') {
            true => refused(
                "docword.x",
                &bytes,
                ":5:6: expected text, saw a binary file (`\\0`)",
            ),
            false => refused("docword.x", &bytes, &expected),
        }
    }
}

#[test]
fn docword_headers_are_checked() {
    let states = ":3:1: expected 9 entries as this line states, saw 1; the file is cut or its header is wrong";
    refused("docword.x", b"3\n4\n9\n1 1 1\n", states);
    refused(
        "docword.x",
        b"3\n4\n",
        ":3:1: expected the number of entries from 0 to 18446744073709551615, the line ends here",
    );
    refused(
        "docword.x",
        b"3\n0\n1\n1 1 1\n",
        ":2:1: expected the number of words from 1 to 268435456, saw `0`",
    );
    refused(
        "docword.x",
        b"3 4\n5\n",
        ":1:3: expected the end of the line after the number of documents, saw `4`",
    );
    let folder = folder(&[("docword.x", b"4294967294\n4\n1\n1 1 1\n")]);
    let error = load(&folder.path().join("docword.x"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(":1:1: expected the number of documents from 1 to 1048597, saw"),
        "{error}"
    );
}

#[test]
fn documents_that_are_out_of_order_are_refused() {
    let line = ":7:1: expected document 3 or a later one, saw `2`; the lines of a document must stand \
                together in ascending order, sort the entries with `sort -n`";
    refused("docword.x", b"3\n4\n4\n1 1 1\n2 1 1\n3 1 1\n2 2 1\n", line);
}

#[test]
fn a_word_beyond_the_vocabulary_is_refused() {
    let folder = folder(&[
        ("docword.x.txt", DOCWORD),
        ("vocab.x.txt", b"a\nb\nc\n"),
        ("x.ldac", b"1 3:1\n"),
    ]);
    let error = load(&folder.path().join("docword.x.txt"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("docword.x.txt:5:3: expected a word id from 1 to 3 (the size of the vocabulary), saw `4`"), "{error}");
    let options = CorpusOptions {
        vocabulary: Some(folder.path().join("vocab.x.txt")),
        ..CorpusOptions::default()
    };
    let error = load_with(&folder.path().join("x.ldac"), &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            "x.ldac:1:3: expected a word id from 0 to 2 (the size of the vocabulary), saw `3`"
        ),
        "{error}"
    );
}

#[test]
fn pair_refusals_have_places() {
    let count = "expected a count from 1 to 4294967295";
    let most = "(the most that petuum takes)";
    let cases = [
        ("x.ldac", "1 0:1\n2 3:1 x\n", ":2:7: expected index:count, saw `x`".to_string()),
        ("x.ldac", "1 0:1\nx 3:1\n", ":2:1: expected the number of pairs from 0 to 268435456, saw `x`".to_string()),
        ("x.ldac", "1 0:1\n2 3:1\n", ":2:1: expected 2 pairs after this number, saw 1; if these are libsvm labels, say `--format libsvm`".to_string()),
        ("x.ldac", "1 0:1\n2 3:1 4:0\n", format!(":2:9: {count}, saw `0`")),
        ("x.ldac", "1 0:1\n2 3:1 4:\n", ":2:9: expected a count after the colon, saw nothing".to_string()),
        ("x.ldac", "1 0:1\n2 3:1 4:2.0\n", format!(":2:9: {count}, saw `2.0`")),
        ("x.ldac", "1 0:1\n2 3:1 -4:2\n", format!(":2:7: expected a word id from 0 to 268435455 {most}, saw `-4`")),
        ("x.ldac", "1 0:1\n2 3:1 4:2:1\n", format!(":2:9: {count}, saw `2:1`")),
        ("x.svm", "1 1:1\n1 0:1\n", format!(":2:3: expected a word id from 1 to 268435456 {most}, saw `0`")),
        ("x.svm", "1 1:1\n1 999999999999:1\n", format!(":2:3: expected a word id from 1 to 268435456 {most}, saw `999999999999`")),
        ("x.svm", "1 1:1\n3:1 4:1\n", ":2:1: expected a numeric label, saw `3:1`".to_string()),
        ("x.svm", "1 1:1\n1 4:-1\n", format!(":2:5: {count}, saw `-1`")),
    ];
    for (name, text, line) in cases {
        refused(name, text.as_bytes(), &line);
    }
}

#[test]
fn the_first_of_several_faults_is_reported() {
    let mut text = String::from("100\n9\n300\n");
    for document in 1..=100 {
        for word in 1..=3 {
            let word = if document % 30 == 29 {
                "x".to_string()
            } else {
                word.to_string()
            };
            text += &format!("{document} {word} 1\n");
        }
    }
    refused(
        "docword.x",
        text.as_bytes(),
        ":88:4: expected a word id from 1 to 9 (the header's number of words), saw `x`",
    );
}

#[test]
fn text_refusals_have_places() {
    refused(
        "a.txt",
        b"some words\nna\xEFve\n",
        ":2:3: expected UTF-8, saw byte 0xEF; convert the file, for example with `iconv -f latin1 -t utf-8`",
    );
    refused(
        "a.txt",
        b"some\0words\n",
        ":1:5: expected text, saw a binary file (`\\0`)",
    );
    refused(
        "a.txt",
        b"\x1F\x01\x02",
        ":1:1: expected text, saw a binary file (`\\u{1f}`)",
    );
    let folder = folder(&[("a.txt", b"word\n"), ("stop", b"word\n")]);
    let options = CorpusOptions {
        stop_words: Some(folder.path().join("stop")),
        ..CorpusOptions::default()
    };
    let error = load_with(&folder.path().join("a.txt"), &options).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a.txt: expected words, none is left"),
        "{error}"
    );
}

#[test]
fn cut_and_damaged_packed_files_are_refused_where_they_break_off() {
    let mut text = String::from("500\n40\n2000\n");
    for entry in 0..2000 {
        text += &format!(
            "{} {} {}\n",
            entry / 4 + 1,
            entry * 7919 % 40 + 1,
            entry % 9 + 1
        );
    }
    for packed in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        for length in [packed.len() / 2, packed.len() - 1, 5] {
            for threads in [1, 3] {
                let folder = folder(&[("docword.x.txt.gz", &packed[..length])]);
                let options = CorpusOptions {
                    threads,
                    piece_bytes: 64,
                    ..CorpusOptions::default()
                };
                let error =
                    load_with(&folder.path().join("docword.x.txt.gz"), &options).unwrap_err();
                assert_eq!(error.status(), 65);
                let Error::Data { place, expected } = error else {
                    panic!("{error}")
                };
                assert!(place.line > 0 && place.column > 0, "{place}");
                assert!(
                    expected.starts_with("expected more compressed data, the file is cut off here"),
                    "{place}: {expected}"
                );
            }
        }
    }
    let mut packed = gzip(text.as_bytes());
    let checksum = packed.len() - 6;
    packed[checksum] ^= 1;
    let folder = folder(&[("docword.x.txt.gz", &packed), ("x.xz", b"\xFD7zXZ\0")]);
    let error = load(&folder.path().join("docword.x.txt.gz")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(":2004:1: expected intact compressed data"),
        "{error}"
    );
    let error = load(&folder.path().join("x.xz")).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("saw a xz file; unpack it with `xz -d`"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_has_status_66() {
    let folder = folder(&[("vocab.x.txt", b"a\n"), ("empty.txt", b""), (".a", b"x")]);
    let missing = load(&folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.status(), 66);
    fs::create_dir(folder.path().join("sub")).unwrap();
    let none = load(&folder.path().join("sub")).unwrap_err();
    assert_eq!(
        (
            none.status(),
            none.to_string().contains("the folder holds no data file")
        ),
        (66, true)
    );
    let empty = load(&folder.path().join("empty.txt")).unwrap_err();
    assert_eq!(empty.status(), 65);
    assert!(
        empty
            .to_string()
            .ends_with("empty.txt:1:1: expected data, the file is empty"),
        "{empty}"
    );
    let all_empty = folder.path().join("zeros.ldac");
    fs::write(&all_empty, "0\n0\n").unwrap();
    assert_eq!(load(&all_empty).unwrap_err().status(), 65);
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let folder = folder(&[
        ("a.ldac", b"1 0:1\n"),
        ("a.svm", b"1 1:1\n"),
        ("docword.1", DOCWORD),
        ("docword.2", DOCWORD),
        ("vocab.1", b"a\nb\nc\nd\n"),
        ("vocab.2", b"a\nB\nc\nd\n"),
    ]);
    let paths = |names: [&str; 2]| names.map(|name| folder.path().join(name)).to_vec();
    let load = |paths: &[PathBuf]| {
        load_corpus(paths, &CorpusOptions::default(), Share::WHOLE).unwrap_err()
    };
    let mixed = load(&paths(["a.ldac", "a.svm"]));
    assert!(
        mixed
            .to_string()
            .contains("a.svm: expected lda-c like the files before, this one looks like libsvm"),
        "{mixed}"
    );
    let words = load(&paths(["docword.1", "docword.2"]));
    assert!(
        words
            .to_string()
            .contains("vocab.2:2:1: expected the same words as in"),
        "{words}"
    );
    let options = CorpusOptions {
        min_count: 2,
        ..CorpusOptions::default()
    };
    let usage = load_with(&folder.path().join("a.ldac"), &options).unwrap_err();
    assert_eq!(
        (
            usage.status(),
            usage
                .to_string()
                .starts_with("--min-count: is for plain text")
        ),
        (2, true)
    );
}

#[cfg(unix)]
#[test]
fn pipes_are_read_once_through() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, format) in [
        (DOCWORD.to_vec(), Format::Docword),
        (gzip(b"a b\nb\n"), Format::Text),
    ] {
        let pipe = folder.path().join(format.name());
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || fs::write(pipe, bytes).unwrap())
        };
        let corpus = load(&pipe).unwrap();
        writer.join().unwrap();
        assert_eq!(
            corpus.documents(),
            if format == Format::Text { 2 } else { 5 }
        );
        assert_eq!(corpus.sources().count(), 0);
    }
}
