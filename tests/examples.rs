//! Examples and designs from outside: the real sets have the sizes that their README states (a set
//! that is absent is skipped by name), and `petuum convert --columns` makes designs of files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use petuum::data::{Design, Examples, ExamplesOptions, TargetColumn, load_examples};

/// A file of a real set, if it is there.
fn real(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PETUUM_DATA")
        .map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: no {}", path.display());
    None
}

fn load(name: &str, options: ExamplesOptions) -> Option<Examples> {
    let options = ExamplesOptions {
        threads: 2,
        ..options
    };
    real(name).map(|path| load_examples(&[path], &options).unwrap())
}

fn size(examples: &Examples) -> (usize, usize) {
    (examples.rows(), examples.features.width())
}

#[test]
fn regression_sets() {
    for (name, rows, width) in [
        ("lasso/riboflavin.csv.gz", 71, 4_088),
        ("lasso/diabetes.csv.gz", 442, 10),
        ("lasso/gordon-lung.csv.gz", 181, 12_533),
        ("lasso/farm-ads.libsvm.gz", 4_143, 54_877),
    ] {
        let Some(read) = load(name, ExamplesOptions::default()) else {
            continue;
        };
        assert_eq!(size(&read), (rows, width), "{name}");
        assert_eq!(read.number_targets().unwrap().len(), rows);
        let values = read.features.values() as u64;
        let design = Design::of(read, 2).unwrap();
        assert_eq!(
            (design.rows(), design.columns(), design.values()),
            (rows, width, values)
        );
    }
}

#[test]
fn a_large_sparse_set_with_names() {
    let name = "lasso/imdb-rating.uni+bigram.train.libsvm.gz";
    let options = ExamplesOptions {
        names: real("lasso/features.uni+bigram.txt.gz"),
        ..ExamplesOptions::default()
    };
    let Some(read) = load(name, options) else {
        return;
    };
    assert_eq!(size(&read), (25_000, 253_241));
    assert!(read.features.values() > 7_000_000);
    assert_eq!(read.names.unwrap().len(), 253_241);
}

#[test]
fn classification_sets() {
    let of = |target: &str, dropped: &[&str]| ExamplesOptions {
        target: Some(target.parse::<TargetColumn>().unwrap()),
        dropped: dropped.iter().map(|name| name.parse().unwrap()).collect(),
        ..ExamplesOptions::default()
    };
    for (name, options, rows, width, classes) in [
        (
            "fashion-mnist/train-images-idx3-ubyte.gz",
            ExamplesOptions::default(),
            60_000,
            784,
            10,
        ),
        (
            "fashion-mnist/t10k-images-idx3-ubyte.gz",
            ExamplesOptions::default(),
            10_000,
            784,
            10,
        ),
        (
            "phoneme/phoneme.csv.gz",
            of("g", &["1", "speaker"]),
            4_509,
            256,
            5,
        ),
        (
            "isolet/isolet1+2+3+4.data.gz",
            of("last", &[]),
            6_238,
            617,
            26,
        ),
        ("isolet/isolet5.data.gz", of("last", &[]), 1_559, 617, 26),
        (
            "letter/letter-recognition.data",
            of("first", &[]),
            20_000,
            16,
            26,
        ),
    ] {
        let Some(read) = load(name, options) else {
            continue;
        };
        assert_eq!(size(&read), (rows, width), "{name}");
        assert_eq!(read.class_targets().unwrap().names.len(), classes, "{name}");
    }
}

/// Runs `petuum convert`; the status and what was said.
fn convert(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_petuum"))
        .arg("convert")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn examples_are_converted_to_a_design() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("x.csv"), "a,b,kind\n1,2,red\n3,0,blue\n").unwrap();
    let line = [
        "--columns",
        "x.csv",
        "-o",
        "x.design",
        "--target-column",
        "kind",
        "--memory",
        "1",
    ];
    let (status, said) = convert(home.path(), &line);
    assert_eq!(
        (status, said.as_str()),
        (0, "x.design: 2 examples, 2 columns, 4 values\n")
    );
    let design = Design::open(&home.path().join("x.design"), 1).unwrap();
    assert_eq!((design.name(0), design.name(1)), (Some("a"), Some("b")));
    assert_eq!(design.class_targets().unwrap().names, ["blue", "red"]);
    assert_eq!(design.mean(0), 2.0);
    for (line, status, words) in [
        (
            &line[..],
            73,
            "x.design: cannot create: it is there already",
        ),
        (
            &["x.csv", "-o", "y", "--target-column", "1"],
            2,
            "--target-column: means nothing without --columns",
        ),
        (
            &["x.csv", "-o", "y", "--memory", "1"],
            2,
            "--columns is missing",
        ),
        (
            &["--columns", "x.csv", "-o", "y", "--vocab", "v"],
            2,
            "does not go with",
        ),
        (
            &["--columns", "x.csv", "-o", "y", "--format", "text"],
            2,
            "--format: expected libsvm|csv|",
        ),
        (
            &["--columns", "x.csv", "-o", "y", "--drop-columns", "9"],
            65,
            "x.csv:1:1: expected a column 9 (said by --drop-columns), saw 3 columns",
        ),
        (
            &["--columns", "-o", "y"],
            2,
            "DATA: is missing; name the examples to convert",
        ),
        (&["--columns", "z.csv", "-o", "y"], 66, "z.csv: "),
        (
            &["--columns", "x.csv", "-o", "no/y"],
            73,
            "no/y: cannot create",
        ),
    ] {
        let (seen, said) = convert(home.path(), line);
        assert_eq!(seen, status, "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(
        fs::read_dir(home.path()).unwrap().count(),
        2,
        "no rubbish beside"
    );
}
