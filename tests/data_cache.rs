//! The cache: used in place, refused when damaged or stale.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use petuum::data::{Corpus, CorpusOptions, Share, Tally, load_corpus, write_cache};
use petuum::error::Error;
use tempfile::TempDir;

fn load(path: &Path) -> Result<Corpus, Error> {
    load_corpus(
        &[path.to_path_buf()],
        &CorpusOptions::default(),
        Share::WHOLE,
    )
}

fn documents(corpus: &Corpus) -> Vec<Vec<(u32, u32)>> {
    (0..corpus.documents())
        .map(|d| corpus.document(d).collect())
        .collect()
}

/// Docword of 1,000 documents, every seventh of them empty.
fn docword() -> String {
    let (mut lines, mut entries) = (String::new(), 0);
    for document in (1..=1000u32).filter(|document| document % 7 != 0) {
        for entry in 0..1 + document % 5 {
            lines += &format!(
                "{document} {} {}\n",
                (document * 31 + entry * 17) % 400 + 1,
                entry + 1
            );
            entries += 1;
        }
    }
    format!("1000\n400\n{entries}\n{lines}")
}

/// A folder with the docword, its vocabulary and its cache, and the paths of data and cache.
fn converted() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("docword.x.txt");
    fs::write(&data, docword()).unwrap();
    let words: String = (0..400).map(|word| format!("wörd{word}\n")).collect();
    fs::write(folder.path().join("vocab.x.txt"), words).unwrap();
    let cache = folder.path().join("x.cache");
    write_cache(&load(&data).unwrap(), &cache).unwrap();
    (folder, data, cache)
}

#[test]
fn a_cache_holds_what_it_was_made_from() {
    let (folder, data, cache) = converted();
    let (text, cached) = (load(&data).unwrap(), load(&cache).unwrap());
    assert_eq!(documents(&text), documents(&cached));
    assert_eq!(text.vocabulary, cached.vocabulary);
    assert_eq!(
        (text.words(), text.tokens()),
        (cached.words(), cached.tokens())
    );
    assert_eq!(text.totals(), cached.totals());
    let sources: Vec<PathBuf> = cached.sources().map(Path::to_path_buf).collect();
    assert_eq!(sources.len(), 2);
    // Nothing is left over, and a cache can be made from a cache.
    let again = folder.path().join("again.cache");
    write_cache(&cached, &again).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["again.cache", "docword.x.txt", "vocab.x.txt", "x.cache"]
    );
    assert_eq!(fs::read(&again).unwrap(), fs::read(&cache).unwrap());
}

#[test]
fn without_a_vocabulary_one_can_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (folder.path().join("x.ldac"), folder.path().join("c"));
    fs::write(&data, "1 0:1\n1 2:1\n").unwrap();
    write_cache(&load(&data).unwrap(), &cache).unwrap();
    let corpus = load(&cache).unwrap();
    assert!(corpus.vocabulary.is_none());
    assert_eq!(corpus.words(), 3);
    let names = folder.path().join("names");
    let options = CorpusOptions {
        vocabulary: Some(names.clone()),
        ..CorpusOptions::default()
    };
    fs::write(&names, "a\nb\nc\n").unwrap();
    let corpus = load_corpus(std::slice::from_ref(&cache), &options, Share::WHOLE).unwrap();
    assert_eq!(corpus.vocabulary.unwrap().word(2), Some("c"));
    fs::write(&names, "a\nb\n").unwrap();
    let error = load_corpus(&[cache], &options, Share::WHOLE)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("names: expected 3 words for") && error.ends_with("saw 2"),
        "{error}"
    );
}

#[test]
fn shares_of_a_cache_are_a_partition_by_tokens() {
    let (_folder, data, cache) = converted();
    let expected = documents(&load(&data).unwrap());
    for of in 1..=9 {
        let load = |index| {
            load_corpus(
                std::slice::from_ref(&cache),
                &CorpusOptions::default(),
                Share { index, of },
            )
        };
        let mut shares: Vec<Corpus> = (0..of).map(|index| load(index).unwrap()).collect();
        let tallies: Vec<Tally> = shares.iter().map(Corpus::tally).collect();
        let mut all = Vec::new();
        for (index, share) in shares.iter_mut().enumerate() {
            share.agree(&tallies, index as u32).unwrap();
            assert_eq!(share.first_document(), all.len() as u64);
            let fair = share.totals().tokens / u64::from(of);
            assert!(
                share.tokens().abs_diff(fair) <= 15,
                "{} of {fair}",
                share.tokens()
            );
            all.extend(documents(share));
        }
        assert_eq!(all, expected);
    }
}

/// Sets a file's time of change to now and a bit.
fn touch(path: &Path, seconds: u64) {
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds))
        .unwrap();
}

#[test]
fn a_stale_cache_is_refused_by_name() {
    let (folder, data, cache) = converted();
    touch(&data, 5);
    load(&cache).expect("touched, not changed");
    fs::write(&data, docword().replacen("1 32 1\n", "1 33 1\n", 1)).unwrap();
    touch(&data, 10);
    let error = load(&cache).unwrap_err();
    let expected = format!(
        "{cache}: expected a cache of {data} as it is, but its content is another; \
         make the cache again with `petuum convert {data} --output {cache}`",
        cache = cache.display(),
        data = data.canonicalize().unwrap().display()
    );
    assert_eq!((error.to_string(), error.status()), (expected, 65));
    fs::write(&data, docword() + "\n").unwrap();
    let error = load(&cache).unwrap_err().to_string();
    assert!(
        error.contains("but it has") && error.contains("bytes now and had"),
        "{error}"
    );
    fs::remove_file(&data).unwrap();
    load(&cache).expect("a source that is gone is fine");
    fs::write(folder.path().join("vocab.x.txt"), "other\n").unwrap();
    let error = load(&cache).unwrap_err().to_string();
    assert!(
        error.contains("expected a cache of") && error.contains("vocab.x.txt"),
        "{error}"
    );
}

#[test]
fn a_source_is_looked_for_beside_a_cache_that_moved() {
    let (folder, data, cache) = converted();
    let moved = tempfile::tempdir().unwrap();
    let (new_data, new_cache) = (
        moved.path().join("docword.x.txt"),
        moved.path().join("x.cache"),
    );
    fs::rename(&data, &new_data).unwrap();
    fs::rename(&cache, &new_cache).unwrap();
    load(&new_cache).unwrap();
    fs::write(&new_data, "changed").unwrap();
    let error = load(&new_cache).unwrap_err().to_string();
    assert!(
        error.contains(&format!("expected a cache of {}", new_data.display())),
        "{error}"
    );
    drop(folder);
}

#[test]
fn a_source_that_changes_while_it_is_read_is_noticed() {
    let (folder, data, _) = converted();
    let corpus = load(&data).unwrap();
    let other = folder.path().join("docword.new");
    fs::write(&other, docword() + "\n").unwrap();
    fs::rename(&other, &data).unwrap();
    let error = write_cache(&corpus, &folder.path().join("y.cache"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected the file not to change while it is read"),
        "{error}"
    );
    assert!(!folder.path().join("y.cache").exists());
}

#[test]
fn a_cache_cannot_be_written_nowhere() {
    let (folder, data, _) = converted();
    let corpus = load(&data).unwrap();
    let error = write_cache(&corpus, &folder.path().join("none").join("y.cache")).unwrap_err();
    assert_eq!(error.status(), 73);
}

#[test]
fn a_damaged_cache_is_one_clear_refusal() {
    let (folder, _, cache) = converted();
    let intact = fs::read(&cache).unwrap();
    let expected = documents(&load(&cache).unwrap());
    let broken = folder.path().join("broken.cache");
    let mut refused = 0;
    let lengths = (0..intact.len())
        .step_by(97)
        .map(|length| intact[..length].to_vec());
    let flips = (0..intact.len()).step_by(61).map(|at| {
        let mut bytes = intact.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    for bytes in lengths.chain(flips).filter(|bytes| bytes.len() > 8) {
        fs::write(&broken, bytes).unwrap();
        for share in [Share::WHOLE, Share { index: 1, of: 3 }] {
            match load_corpus(
                std::slice::from_ref(&broken),
                &CorpusOptions::default(),
                share,
            ) {
                Ok(corpus) if share == Share::WHOLE => assert_eq!(documents(&corpus), expected),
                Ok(_) => {}
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.status(), 65, "{error}");
                    let line = error.to_string();
                    assert!(
                        line.starts_with(broken.to_str().unwrap()) && !line.contains('\n'),
                        "{line}"
                    );
                }
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_cache_with_right_checksums_and_wrong_values_is_refused() {
    let (folder, _, cache) = converted();
    let intact = fs::read(&cache).unwrap();
    let field = |at: usize| u64::from_le_bytes(intact[at..at + 8].try_into().unwrap()) as usize;
    // The header holds the starts of its sections from byte 56: offsets, words, counts ...
    let (offsets, words, counts) = (field(56), field(72), field(88));
    let wrong = [
        (offsets + 16, u32::MAX),
        (words + 40, 400),
        (counts + 40, 0),
        (words, u32::MAX),
    ];
    for (at, value) in wrong {
        let mut bytes = intact.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        seal(&mut bytes);
        let broken = folder.path().join("broken.cache");
        fs::write(&broken, bytes).unwrap();
        let error = load(&broken).unwrap_err().to_string();
        assert!(
            error.contains("expected a cache whose parts fit together"),
            "{at}: {error}"
        );
    }
    // And of another version.
    let mut bytes = intact;
    bytes[8] = 9;
    fs::write(&cache, bytes).unwrap();
    let error = load(&cache).unwrap_err().to_string();
    assert!(
        error.contains("expected a cache of version 1, saw version 9; make it again"),
        "{error}"
    );
}

/// Makes the checksums of a small cache right.
fn seal(bytes: &mut [u8]) {
    let start = u64::from_le_bytes(bytes[168..176].try_into().unwrap()) as usize;
    assert_eq!(bytes.len(), start + 4, "one block");
    let block = crc32fast::hash(&bytes[256..start]).to_le_bytes();
    bytes[start..].copy_from_slice(&block);
    let checksums = crc32fast::hash(&block).to_le_bytes();
    bytes[184..188].copy_from_slice(&checksums);
    bytes[12..16].fill(0);
    let header = crc32fast::hash(&bytes[..256]).to_le_bytes();
    bytes[12..16].copy_from_slice(&header);
}

#[test]
fn a_packed_cache_and_two_caches_are_refused() {
    let (folder, _, cache) = converted();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut File::open(&cache).unwrap(), &mut packer).unwrap();
    let packed = folder.path().join("x.cache.gz");
    fs::write(&packed, packer.finish().unwrap()).unwrap();
    let error = load(&packed).unwrap_err().to_string();
    assert!(error.contains("unpack the cache first"), "{error}");
    let error = load_corpus(
        &[cache.clone(), cache],
        &CorpusOptions::default(),
        Share::WHOLE,
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("expected one cache alone"),
        "{error}"
    );
}
