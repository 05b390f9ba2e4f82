//! The topics of unseen documents: the same from every format and with any number of threads, and
//! what the model does not know is said.

use std::fs;
use std::path::Path;

use super::predict::{predicted, run, train};

/// Documents about two of the sample's themes, one about nothing, one of unknown words.
const POSTS: &str = "garlic oven butter flour flour onion\ntelescope galaxy star orbit planet, star\n\nxyzzy plugh\n";

/// The cells of each line below the header.
fn cells(lines: &[String]) -> Vec<Vec<f64>> {
    let row = |line: &String| line.split(',').map(|cell| cell.parse().unwrap()).collect();
    lines[1..].iter().map(row).collect()
}

/// Line numbers in the model's vocabulary, from 1.
fn ids(model: &str, words: &[&str]) -> Vec<usize> {
    let text = fs::read_to_string(Path::new(model).join("vocabulary.txt")).unwrap();
    let id = |word: &&str| 1 + text.lines().position(|line| line == *word).unwrap();
    words.iter().map(id).collect()
}

fn write(home: &Path, name: &str, text: &str) -> String {
    let path = home.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn unseen_documents_have_the_topics_of_their_words() {
    let home = tempfile::tempdir().unwrap();
    let model = train(home.path(), "lda");
    let posts = write(home.path(), "posts.txt", POSTS);
    let output = run(&["predict", "--model", &model, &posts], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        said,
        "2 of 14 tokens were left out: the model does not know their words\n"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("document,topic_0,topic_1,") && lines[0].ends_with(",topic_9"));
    let rows = cells(&lines);
    assert_eq!(
        rows.iter().map(|row| row[0]).collect::<Vec<_>>(),
        [1.0, 2.0, 3.0, 4.0]
    );
    for row in &rows {
        assert!((row[1..].iter().sum::<f64>() - 1.0).abs() < 1e-5, "{row:?}");
    }
    assert_eq!(rows[2][1..], [0.1; 10]);
    assert_eq!(rows[3][1..], [0.1; 10]);
    let main = |row: &[f64]| {
        (1..row.len())
            .max_by(|a, b| row[*a].total_cmp(&row[*b]))
            .unwrap()
    };
    assert_ne!(main(&rows[0]), main(&rows[1]));
    let quiet = ["predict", "-q", "--model", &model, "--top", "2", &posts];
    let best = predicted(&quiet, "");
    assert_eq!(
        (best[0].as_str(), best.len()),
        ("document,topic,proportion", 9)
    );
    for (pair, row) in cells(&best).chunks(2).zip(&rows) {
        assert_eq!((pair[0][0], pair[1][0]), (row[0], row[0]));
        assert!(pair[0][2] >= pair[1][2]);
        for line in pair {
            assert!((row[line[1] as usize + 1] - line[2]).abs() < 1e-6);
        }
    }
}

#[test]
fn formats_threads_and_other_numberings_tell_the_same() {
    let home = tempfile::tempdir().unwrap();
    let model = train(home.path(), "lda");
    let words = ["garlic", "oven", "flour", "telescope", "galaxy"];
    let w = ids(&model, &words);
    let text = "garlic oven flour flour\n\ntelescope galaxy\n";
    let predict = |data: &str, more: &[&str]| {
        predicted(&[&["predict", "--model", &model, data], more].concat(), "")
    };
    let truth = predict(&write(home.path(), "a.txt", text), &[]);
    let mut pairs = [(w[0], 1), (w[1], 1), (w[2], 2)];
    pairs.sort_unstable();
    let last = [(w[3], 1), (w[4], 1)].map(|(w, n)| (w.min(w), n));
    let mut last = last;
    last.sort_unstable();
    let line = |base: usize, lead: &str, pairs: &[(usize, i32)]| {
        let pairs = pairs.iter().map(|(w, n)| format!(" {}:{n}", w - base));
        format!("{lead}{}\n", pairs.collect::<String>())
    };
    let ldac = line(1, "3", &pairs) + "0\n" + &line(1, "2", &last);
    let svm = line(0, "1", &pairs) + "0\n" + &line(0, "1", &last);
    let docword = |number: &dyn Fn(usize) -> usize| {
        let rows = pairs.iter().map(|(w, n)| (1, number(*w), n));
        let rows = rows.chain(last.iter().map(|(w, n)| (3, number(*w), n)));
        let rows: String = rows.map(|(d, w, n)| format!("{d} {w} {n}\n")).collect();
        format!("3\n500\n5\n{rows}")
    };
    let own = docword(&|w| w);
    for (name, data, format) in [
        ("x.ldac", &ldac, "lda-c"),
        ("x.svm", &svm, "libsvm"),
        ("docword.x.txt", &own, "docword"),
    ] {
        let path = write(home.path(), name, data);
        for workers in ["1", "2", "5"] {
            let found = predict(&path, &["--format", format, "--workers", workers]);
            assert_eq!(found, truth, "{name}, {workers} workers");
        }
    }
    // The same words under other numbers, with their names beside.
    let place = |number: usize| 1 + w.iter().position(|other| *other == number).unwrap();
    let other = docword(&place).replacen("500", "5", 1);
    let path = write(home.path(), "docword.y.txt", &other);
    write(home.path(), "vocab.y.txt", &(words.join("\n") + "\n"));
    assert_eq!(predict(&path, &[]), truth);
    let cache = home.path().join("y.cache");
    let cache = cache.to_str().unwrap();
    assert!(run(&["convert", &path, "-o", cache], "").status.success());
    assert_eq!(predict(cache, &[]), truth);
}

#[test]
fn many_documents_come_in_order() {
    let home = tempfile::tempdir().unwrap();
    let model = train(home.path(), "lda");
    let kinds = ["garlic oven butter\n", "star galaxy orbit\n", "\n"];
    let text: String = (0..20_000).map(|d: usize| kinds[d * d % 7 % 3]).collect();
    let all = predicted(&["predict", "--model", &model, "--workers", "3"], &text);
    let few = predicted(&["predict", "--model", &model], &kinds.concat());
    assert_eq!(all.len(), 20_001);
    for (d, line) in all[1..].iter().enumerate() {
        let wanted = few[1 + d * d % 7 % 3].split_once(',').unwrap().1;
        assert_eq!(
            line.split_once(','),
            Some(((d + 1).to_string().as_str(), wanted))
        );
    }
}

#[test]
fn what_means_nothing_to_a_topic_model_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let model = train(home.path(), "lda");
    let refused = |model: &str, arguments: &[&str], input: &str, status: i32, words: &str| {
        let output = run(&[&["predict", "--model", model], arguments].concat(), input);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(words), "{said}");
    };
    refused(
        &model,
        &["--probabilities"],
        "",
        2,
        "--probabilities: is not for a model of lda",
    );
    refused(
        &model,
        &["--targets", "x"],
        "",
        2,
        "--targets: means nothing without",
    );
    refused(
        &model,
        &["--format", "csv"],
        "a\n",
        2,
        "--format: expected docword|lda-c",
    );
    let bad = write(home.path(), "docword.bad.txt", "1\n500\n2\n1 1 1\n1 x 1\n");
    refused(
        &model,
        &[&bad],
        "",
        65,
        "docword.bad.txt:5:3: expected a word id",
    );
    let cut = write(home.path(), "docword.cut.txt", "1\n500\n3\n1 1 1\n1 2 1\n");
    refused(
        &model,
        &[&cut],
        "",
        65,
        "docword.cut.txt:3:1: expected 3 entries",
    );
    let names = Path::new(&model).join("vocabulary.txt");
    let all = fs::read_to_string(&names).unwrap();
    fs::write(&names, all.replacen('\n', " ", 1)).unwrap();
    refused(&model, &[], "garlic\n", 65, "vocabulary.txt: expected ");
    let nameless = home.path().join("nameless").to_str().unwrap().to_owned();
    let data = write(home.path(), "n.ldac", "2 0:1 1:2\n2 1:1 2:1\n");
    let arguments = [
        "lda", "-q", "-k", "2", "--clocks", "2", "-o", &nameless, &data,
    ];
    assert!(run(&arguments, "").status.success());
    refused(
        &nameless,
        &["--format", "text"],
        "garlic\n",
        2,
        "--model: its words have no names",
    );
    let lines = predicted(&["predict", "--model", &nameless, &data], "");
    assert_eq!(lines.len(), 3);
}
