//! LDA from the command line to the saved model: what a run says must follow from what it saves.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use petuum::math::special::ln_gamma;
use petuum::snapshot::{SavedModel, Tensor};

const SAMPLE: [&str; 6] = ["lda", "-q", "-k", "7", "--clocks", "20"];

fn petuum(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_petuum"))
        .args(SAMPLE)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs and saves into `folder`.
fn train(folder: &Path, arguments: &str) {
    let mut all: Vec<&str> = arguments.split_whitespace().collect();
    all.extend(["--doc-topics", "-o", folder.to_str().unwrap()]);
    let output = petuum(&all);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {said}");
}

/// Clock, objective and the program's columns of every record: what does not depend on time.
fn curve(folder: &Path) -> Vec<String> {
    let records = fs::read_to_string(folder.join("records.csv")).unwrap();
    let shape = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        [cells[0], cells[2], cells[3], cells[4]].join(",")
    };
    records.lines().map(shape).collect()
}

fn parameters(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model.safetensors")).unwrap()
}

/// A tensor by its name, if there is one.
fn tensor(model: &SavedModel, name: &str) -> Option<Tensor> {
    let mut tensors = model.tensors().unwrap().into_iter();
    tensors.find(|tensor| tensor.name == name)
}

/// One row of a compressed matrix for each pair of neighbouring offsets: its (topic, count) pairs.
fn rows(model: &SavedModel, of: &str) -> Vec<Vec<(usize, u64)>> {
    let offsets = tensor(model, &format!("{of}_offsets")).unwrap();
    let offsets = offsets.values::<u64>().unwrap();
    let numbers = |name: String| tensor(model, &name).unwrap().values::<u32>().unwrap();
    let (topics, counts) = (
        numbers(format!("{of}_topics")),
        numbers(format!("{of}_counts")),
    );
    let row = |pair: &[u64]| {
        (pair[0] as usize..pair[1] as usize)
            .map(|i| (topics[i] as usize, u64::from(counts[i])))
            .collect()
    };
    offsets.windows(2).map(row).collect()
}

/// ln p(w,z) from the saved counts by its formula, count by count, and the tokens they are of.
fn brute_force(folder: &Path) -> (f64, u64) {
    let model = SavedModel::open(folder).unwrap();
    let words = rows(&model, "word");
    let mut documents = rows(&model, "document");
    if let Some(held_out) = tensor(&model, "document_held_out") {
        let mut held_out = held_out.values::<u8>().unwrap().into_iter();
        documents.retain(|_| held_out.next() == Some(0));
    }
    let floats = |name| tensor(&model, name).unwrap().values::<f64>().unwrap();
    let (alpha, beta) = (floats("alpha"), floats("beta")[0]);
    let (mut totals, mut of_documents) = (vec![0; alpha.len()], vec![0; alpha.len()]);
    let mut sum = 0.0;
    for &(topic, count) in words.iter().flatten() {
        totals[topic] += count;
        sum += ln_gamma(count as f64 + beta) - ln_gamma(beta);
    }
    let (beta_sum, alpha_sum) = (beta * words.len() as f64, alpha.iter().sum::<f64>());
    for &total in &totals {
        sum += ln_gamma(beta_sum) - ln_gamma(total as f64 + beta_sum);
    }
    for document in &documents {
        let length: u64 = document.iter().map(|&(_, count)| count).sum();
        sum += ln_gamma(alpha_sum) - ln_gamma(length as f64 + alpha_sum);
        for &(topic, count) in document {
            of_documents[topic] += count;
            sum += ln_gamma(count as f64 + alpha[topic]) - ln_gamma(alpha[topic]);
        }
    }
    assert_eq!(totals, of_documents, "both sides count the same tokens");
    (sum, totals.iter().sum())
}

#[test]
fn the_last_record_follows_from_the_saved_counts() {
    for options in [
        "--workers 1",
        "--workers 3 --consistency ssp --staleness 4",
        "--workers 2 --consistency bsp --optimize-alpha",
        "--workers 2 --parallel data --consistency ssp --staleness 5 --optimize-alpha",
        "--workers 2 --parallel data --clocks-per-pass 3 --optimize-beta",
        "--workers 2 --clocks-per-pass 4 --evaluate-every 7",
        "--workers 2 --optimize-alpha --optimize-beta --evaluate-every 6",
        "--workers 2 --holdout 0.3 --shards 3",
    ] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("model");
        train(&folder, options);
        let (value, tokens) = brute_force(&folder);
        let model = SavedModel::open(&folder).unwrap();
        let said = model.json("record").unwrap()["objective"].as_f64().unwrap();
        assert!(
            (value - said).abs() <= 1e-9 * said.abs(),
            "{options}: {value} {said}"
        );
        assert_eq!(model.json("tokens").unwrap(), tokens, "{options}");
        if !options.contains("holdout") {
            assert_eq!(tokens, 80_550, "{options}: every token of the sample");
        }
    }
}

#[test]
fn repeated_runs_are_bit_identical_under_bsp() {
    for options in [
        "--workers 3",
        "--workers 2 --parallel data --optimize-alpha",
    ] {
        let home = tempfile::tempdir().unwrap();
        let folders = [home.path().join("one"), home.path().join("two")];
        for folder in &folders {
            train(folder, &format!("{options} --consistency bsp"));
        }
        assert_eq!(curve(&folders[0]), curve(&folders[1]), "{options}");
        assert!(
            parameters(&folders[0]) == parameters(&folders[1]),
            "{options}"
        );
    }
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit_under_bsp() {
    for options in [
        "--workers 1",
        "--workers 2 --holdout 0.2",
        "--workers 2 --optimize-alpha",
        "--workers 2 --optimize-beta",
        "--workers 2 --parallel data --clocks-per-pass 3",
    ] {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let options = format!("{options} --consistency bsp");
        train(&at("whole"), &options);
        // --target ends a run early, after a clock that --checkpoint-every need not name.
        let checkpoint = format!("--checkpoint {}", at("checkpoint").display());
        let target = early(&at("whole"));
        train(&at("begun"), &format!("{options} {checkpoint} {target}"));
        let again = format!("{options} {checkpoint} --resume --top-words 3");
        train(&at("resumed"), &again);
        assert!(curve(&at("begun")).len() < curve(&at("whole")).len());
        assert_eq!(curve(&at("whole")), curve(&at("resumed")), "{options}");
        assert!(
            parameters(&at("whole")) == parameters(&at("resumed")),
            "{options}"
        );
    }
}

/// The flag that ends such a run as that in `folder` after its tenth clock, or one soon before:
/// where --optimize-alpha has just found another α.
fn early(folder: &Path) -> String {
    let objective = curve(folder)[10].split(',').nth(1).unwrap().to_owned();
    format!("--target={objective}")
}

/// `topics.txt` without what is only known at the end.
fn topics(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| line.split(", UMass").next().unwrap().to_owned() + "\n";
    text.lines().map(line).collect()
}

#[test]
fn topics_on_the_way_are_those_that_a_run_would_end_with() {
    for options in [
        "--workers 3",
        "--workers 2 --optimize-beta --evaluate-every 3 --holdout 0.2",
        "--workers 2 --parallel data",
        "--workers 2 --clocks-per-pass 4 --blocks-per-worker 3",
    ] {
        let home = tempfile::tempdir().unwrap();
        let options = format!("{options} --consistency bsp --top-words 4");
        let shown = home.path().join("shown/here");
        // 20 clocks are 20 passes, or 5.
        let (every, files) = match options.contains("clocks-per-pass") {
            true => (5, 1),
            false => (10, 2),
        };
        let show = format!("--topics-every {every} --topics-folder {}", shown.display());
        train(&home.path().join("model"), &format!("{options} {show}"));
        let last = topics(&shown.join(format!("topics-{}.txt", every * files)));
        assert_eq!(
            last,
            topics(&home.path().join("model/topics.txt")),
            "{options}"
        );
        assert_eq!(fs::read_dir(&shown).unwrap().count(), files, "{options}");
    }
}

/// The sample's documents: the words of each, and its tokens.
fn sample() -> Vec<(BTreeSet<usize>, u64)> {
    let packed = include_bytes!("../datasets/sample-lda/docword.sample.txt.gz");
    let mut text = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
    unpacked.read_to_string(&mut text).unwrap();
    let mut documents = vec![(BTreeSet::new(), 0); 2000];
    for line in text.lines().skip(3) {
        let mut numbers = line
            .split(' ')
            .map(|number| number.parse::<usize>().unwrap());
        let mut number = || numbers.next().unwrap();
        let (words, tokens) = &mut documents[number() - 1];
        words.insert(number() - 1);
        *tokens += number() as u64;
    }
    documents
}

#[test]
fn what_is_found_out_at_the_end_follows_from_all_ranks_documents() {
    let home = tempfile::tempdir().unwrap();
    let hosts = home.path().join("hosts.txt");
    fs::write(&hosts, "localhost slots=1\nlocalhost slots=1\n").unwrap();
    let hosts = format!("--hosts {}", hosts.display());
    for (name, ranks) in [("threads", "--workers 2"), ("ranks", &hosts)] {
        let folder = home.path().join(name);
        let options = "--holdout 0.1 --left-to-right 5 --optimize-beta";
        train(&folder, &format!("{options} {ranks}"));
        let model = SavedModel::open(&folder).unwrap();
        let number = |key: &str| model.json(key).unwrap().as_f64().unwrap();
        let held_out = tensor(&model, "document_held_out")
            .unwrap()
            .values::<u8>()
            .unwrap();
        let (out, training): (Vec<_>, Vec<_>) = sample()
            .into_iter()
            .zip(held_out)
            .partition(|(_, held_out)| *held_out == 1);
        let holds = |words: &[usize]| {
            let holds =
                |words_of: &BTreeSet<usize>| words.iter().all(|word| words_of.contains(word));
            training
                .iter()
                .filter(|((words_of, _), _)| holds(words_of))
                .count() as f64
        };
        let all = training.len() as f64;
        let vocabulary = fs::read_to_string(folder.join("vocabulary.txt")).unwrap();
        let id = |word: &str| vocabulary.lines().position(|line| line == word).unwrap();
        let text = fs::read_to_string(folder.join("topics.txt")).unwrap();
        let mut sums = [0.0, 0.0];
        let saved = ["coherence_umass", "coherence_npmi"]
            .map(|name| tensor(&model, name).unwrap().values::<f64>().unwrap());
        for (number, topic) in text.split("topic ").skip(1).enumerate() {
            let words = topic
                .lines()
                .skip(1)
                .map(|line| id(line.split_whitespace().nth(1).unwrap()));
            let words: Vec<usize> = words.collect();
            let (mut umass, mut npmi, mut pairs) = (0.0, 0.0, 0.0);
            for (later, &word) in words.iter().enumerate() {
                for &before in &words[..later] {
                    let (both, p) = (holds(&[word, before]), |n: f64| n / all);
                    umass += ((both + 1.0) / holds(&[before])).ln();
                    let ratio = p(both) / (p(holds(&[word])) * p(holds(&[before])));
                    npmi += if both == 0.0 {
                        -1.0
                    } else {
                        ratio.ln() / -p(both).ln()
                    };
                    pairs += 1.0;
                }
            }
            assert!(
                (umass / pairs - saved[0][number]).abs() < 1e-9,
                "{name} {number}"
            );
            assert!(
                (npmi / pairs - saved[1][number]).abs() < 1e-9,
                "{name} {number}"
            );
            sums = [sums[0] + umass / pairs, sums[1] + npmi / pairs];
        }
        assert!((sums[0] / 7.0 - number("coherence_umass_mean")).abs() < 1e-9);
        assert!((sums[1] / 7.0 - number("coherence_npmi_mean")).abs() < 1e-9);
        assert!(tensor(&model, "beta").unwrap().values::<f64>().unwrap() != [0.01]);
        let tokens: u64 = out.iter().map(|((_, tokens), _)| tokens).sum();
        assert_eq!(number("left_to_right_tokens"), tokens as f64);
        // Left to right and by halves, held-out words are about as likely.
        let by_halves = model.json("record").unwrap()["heldout_perplexity"]
            .as_f64()
            .unwrap();
        let ratio = number("left_to_right_perplexity") / by_halves;
        assert!((0.7..1.4).contains(&ratio), "{ratio}");
    }
}

#[test]
fn left_to_right_needs_documents_that_are_held_out() {
    let output = petuum(&["--left-to-right", "5"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("--left-to-right: means nothing without --holdout"),
        "{said}"
    );
    let output = petuum(&["--topics-every", "5"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_sample_is_what_generate_makes() {
    let home = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_petuum"))
        .args(["generate", "lda", "-q", "-o"])
        .arg(home.path())
        .status()
        .unwrap();
    assert!(made.success());
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/sample-lda");
    let read = |folder: &Path| -> HashMap<_, _> {
        let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
        files
            .map(|file| (file.file_name(), fs::read(file.path()).unwrap()))
            .collect()
    };
    assert!(read(home.path()) == read(&committed));
}
