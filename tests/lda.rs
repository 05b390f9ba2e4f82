//! `petuum lda` as a user runs it: planted topics are found, the objective is that of the saved
//! counts, a resumed run is the same run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use petuum::math::special::ln_gamma;
use petuum::snapshot::SavedModel;

/// Runs `petuum lda` and returns its stdout.
fn lda(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
    let output = command
        .arg("lda")
        .arg("--quiet")
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

/// clock, objective and the program's columns of each record: what does not depend on time.
fn results(records: &str) -> Vec<String> {
    let fields = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        [&fields[..1], &fields[2..5]].concat().join(",")
    };
    records.lines().skip(1).map(fields).collect()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_string()
}

#[test]
fn the_built_in_sample_shows_its_planted_topics() {
    let folder = tempfile::tempdir().unwrap();
    let model = path(folder.path(), "model");
    lda(&["--workers", "2", "--consistency", "bsp", "--output", &model]);
    let text = fs::read_to_string(Path::new(&model).join("topics.txt")).unwrap();
    let planted = include_str!("../datasets/sample-lda/planted.sample.txt");
    let theme_of = |word: &str| {
        planted
            .lines()
            .position(|line| line.split(' ').any(|w| w == word))
    };
    let mut found = BTreeSet::new();
    for topic in text.split("topic ").skip(1) {
        let words = topic
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().nth(1));
        let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
        words
            .filter_map(theme_of)
            .for_each(|theme| *votes.entry(theme).or_default() += 1);
        found.extend(
            votes
                .into_iter()
                .filter(|(_, votes)| *votes >= 8)
                .map(|(theme, _)| theme),
        );
    }
    assert_eq!(found.len(), 8, "a planted topic is not among these: {text}");
}

/// ln p(w,z) from dense counts, straight from the formula.
#[test]
fn the_last_objective_is_that_of_the_saved_counts() {
    for extra in [
        &["--optimize-alpha"][..],
        &["--parallel", "data"],
        &["--clocks-per-pass", "3"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let model = path(folder.path(), "model");
        let arguments = [
            "-k",
            "9",
            "--workers",
            "3",
            "--clocks",
            "12",
            "--doc-topics",
            "--output",
            &model,
        ];
        lda(&[&arguments[..], extra].concat());
        let saved = SavedModel::open(Path::new(&model)).unwrap();
        let tensors = saved.tensors().unwrap();
        let find = |name: &str| tensors.iter().find(|tensor| tensor.name == name).unwrap();
        let alpha = find("alpha").values::<f64>().unwrap();
        let beta = find("beta").values::<f64>().unwrap()[0];
        let rows = |prefix: &str| {
            let topics = find(&format!("{prefix}_topics")).values::<u32>().unwrap();
            let counts = find(&format!("{prefix}_counts")).values::<u32>().unwrap();
            let ends = find(&format!("{prefix}_offsets")).values::<u64>().unwrap();
            let row = |range: &[u64]| {
                let mut row = vec![0.0; 9];
                for i in range[0] as usize..range[1] as usize {
                    row[topics[i] as usize] += f64::from(counts[i]);
                }
                row
            };
            ends.windows(2).map(row).collect::<Vec<Vec<f64>>>()
        };
        let (words, documents) = (rows("word"), rows("document"));
        let joint = joint(&words, &documents, &alpha, beta);
        let reported = saved.json("record").unwrap()["objective"].as_f64().unwrap();
        assert!(
            (joint - reported).abs() <= 1e-9 * joint.abs(),
            "{extra:?}: {joint} {reported}"
        );
        let tokens: f64 = words.iter().flatten().sum();
        assert_eq!(tokens, documents.iter().flatten().sum::<f64>());
        assert_eq!(saved.json("tokens").unwrap().as_f64().unwrap(), tokens);
    }
}

fn joint(words: &[Vec<f64>], documents: &[Vec<f64>], alpha: &[f64], beta: f64) -> f64 {
    let (alpha_sum, beta_sum) = (alpha.iter().sum::<f64>(), beta * words.len() as f64);
    let mut sum = 0.0;
    for k in 0..alpha.len() {
        let total: f64 = words.iter().map(|row| row[k]).sum();
        sum += ln_gamma(beta_sum) - ln_gamma(total + beta_sum);
        sum += words
            .iter()
            .map(|row| ln_gamma(row[k] + beta) - ln_gamma(beta))
            .sum::<f64>();
    }
    for row in documents {
        sum += ln_gamma(alpha_sum) - ln_gamma(row.iter().sum::<f64>() + alpha_sum);
        for (n, alpha) in row.iter().zip(alpha) {
            sum += ln_gamma(n + alpha) - ln_gamma(*alpha);
        }
    }
    sum
}

#[test]
fn equal_runs_are_equal_and_a_resumed_run_is_the_same_run() {
    let variants: [&[&str]; 4] = [
        &[],
        &["--parallel", "data"],
        &["--clocks-per-pass", "3"],
        &[
            "--clocks-per-pass",
            "2",
            "--blocks-per-worker",
            "3",
            "--workers",
            "1",
        ],
    ];
    for variant in variants {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = path(folder.path(), "checkpoints");
        let run = |arguments: &[&str]| {
            let common = [
                "--consistency",
                "bsp",
                "--holdout",
                "0.1",
                "--optimize-alpha",
                "-k",
                "12",
            ];
            let mut all = [&common[..], variant, arguments].concat();
            if !variant.contains(&"--workers") {
                all.extend(["--workers", "3"]);
            }
            results(&lda(&all))
        };
        let whole = run(&["--clocks", "24"]);
        assert_eq!(whole, run(&["--clocks", "24"]));
        let mut parts = run(&["--clocks", "13", "--checkpoint", &checkpoints]);
        parts.extend(run(&[
            "--clocks",
            "24",
            "--checkpoint",
            &checkpoints,
            "--resume",
        ]));
        assert_eq!(whole, parts, "{variant:?}");
    }
}

#[test]
fn wrong_flags_are_refused_in_words() {
    for (arguments, words) in [
        (["--topics", "0"], "--topics: 0 is too small, at least 1"),
        (["--holdout", "1"], "--holdout: 1 is too large, less than 1"),
        (["--alpha", "0"], "--alpha: 0 is too small, more than 0"),
        (
            ["--clocks-per-pass", "9"],
            "--clocks-per-pass: 9 is too large, at most 2",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
        let output = command
            .args(["lda", "--workers", "1"])
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(words), "{text}");
    }
}
