//! `petuum lasso` as a user runs it: what scikit-learn finds on the same data (values of
//! benches/lasso_reference.py), several processes, the saved model.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use petuum::snapshot::SavedModel;
use serde_json::Value;

/// Runs `petuum lasso` and returns its records, by column name.
fn lasso(arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
    command
        .args(["lasso", "--quiet", "--records", "jsonl"])
        .args(arguments);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    let records = String::from_utf8(output.stdout).unwrap();
    records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn number(record: &Value, name: &str) -> f64 {
    record[name].as_f64().unwrap()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_string()
}

/// As in benches/lasso_reference.py.
fn uniform(seed: u64, count: usize) -> Vec<f64> {
    let number = |at: usize| {
        let mut x = (at as u64)
            .wrapping_add(seed << 32)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        (x >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    (0..count).map(number).collect()
}

struct Problem {
    rows: Vec<Vec<f64>>,
    targets: Vec<f64>,
}

fn design(seed: u64, n: usize, p: usize, kind: &str) -> Problem {
    let mut x = uniform(seed, n * p);
    let other = uniform(seed + 1, n * p);
    for at in 0..n * p {
        let (row, column) = (at / p, at % p);
        match (kind, column) {
            ("sparse", _) if other[at] < 0.3 => x[at] = 0.0,
            ("chain", 1..) => x[at] = f64::from((0.75 * x[at - 1] + 0.5 * x[at]) as f32),
            ("degenerate", 1) => x[at] = x[row * p],
            ("degenerate", 2) => x[at] = 2.0,
            ("degenerate", 3) => x[at] = 0.0,
            ("degenerate", 5) => x[at] = -x[at - 1],
            ("offset", _) => x[at] = f64::from((x[at] + 1000.0) as f32),
            _ => {}
        }
    }
    let noise = uniform(seed + 2, n);
    let rows: Vec<Vec<f64>> = x.chunks(p).map(<[f64]>::to_vec).collect();
    let target =
        |(row, noise): (&Vec<f64>, &f64)| row[..7].iter().sum::<f64>() - 3.0 * row[7] + noise;
    let targets = rows.iter().zip(&noise).map(target).collect();
    Problem { rows, targets }
}

impl Problem {
    /// Writes the examples, the targets apart: they need more digits than features.
    fn write(&self, folder: &Path, logistic: bool) -> Vec<String> {
        let mut text = String::new();
        for row in &self.rows {
            let fields: Vec<String> = row.iter().map(f64::to_string).collect();
            writeln!(text, "{}", fields.join(",")).unwrap();
        }
        fs::write(folder.join("x.csv"), text).unwrap();
        let mut sorted = self.targets.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        let median = 0.5 * (sorted[half] + sorted[(sorted.len() - 1) / 2]);
        let target = |y: &f64| match logistic {
            true => u8::from(*y > median).to_string(),
            false => y.to_string(),
        };
        let targets: Vec<String> = self.targets.iter().map(target).collect();
        fs::write(folder.join("y.txt"), targets.join("\n")).unwrap();
        vec![
            path(folder, "x.csv"),
            "--targets".into(),
            path(folder, "y.txt"),
        ]
    }
}

/// The arguments of a case; None if its data are not here.
fn arguments(case: &Value, folder: &Path) -> Option<Vec<String>> {
    let flag = |name: &str| case[name].as_bool().unwrap_or(false);
    let mut arguments = match case["file"].as_str() {
        Some(file) => {
            let data = std::env::var("PETUUM_DATA").map(PathBuf::from);
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let file = data
                .unwrap_or_else(|_| root.join("../shared/data"))
                .join(file);
            vec![file.to_str()?.to_string()]
        }
        None => {
            let size = |name: &str| case[name].as_u64().unwrap();
            let (n, p) = (size("n") as usize, size("p") as usize);
            let kind = case["kind"].as_str().unwrap();
            if flag("weighted") {
                let weights = uniform(size("seed") + 3, n);
                let lines: Vec<String> = weights.iter().map(|w| (w + 0.75).to_string()).collect();
                fs::write(folder.join("w.txt"), lines.join("\n")).unwrap();
            }
            design(size("seed"), n, p, kind).write(folder, flag("logistic"))
        }
    };
    if !Path::new(&arguments[0]).exists() {
        return None;
    }
    let mut add = |more: &[&str]| arguments.extend(more.iter().map(|text| (*text).to_string()));
    add(&[
        "--lambda",
        &case["lambda"].to_string(),
        "--tolerance",
        "1e-13",
    ]);
    if flag("weighted") {
        add(&["--weights", &path(folder, "w.txt")]);
    }
    if flag("standardize") {
        add(&["--standardize"]);
    }
    if flag("logistic") {
        add(&["--loss", "logistic"]);
    }
    if case["intercept_fitted"] == false {
        add(&["--no-intercept"]);
    }
    if let Some(alpha) = case["alpha"].as_f64() {
        add(&["--l1-ratio", &alpha.to_string()]);
    }
    Some(arguments)
}

#[test]
fn scikit_learn_finds_the_same() {
    let reference: Value = serde_json::from_str(include_str!("lasso_reference.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let name = case["name"].as_str().unwrap();
        let Some(mut arguments) = arguments(case, folder.path()) else {
            let _ = writeln!(std::io::stderr(), "skipped: no {}", case["file"]);
            continue;
        };
        let model = path(folder.path(), "model");
        arguments.extend(["--output".to_string(), model.clone()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let records = lasso(&arguments);
        let last = records.last().unwrap();
        let wanted = number(case, "objective");
        let found = number(last, "objective");
        assert!(
            (found - wanted).abs() <= 1e-6 * wanted,
            "{name}: {found} {wanted}"
        );
        for record in &records {
            let (gap, beyond) = (number(record, "gap"), number(record, "objective") - found);
            assert!(
                gap >= beyond - 1e-12 * found,
                "{name}: gap {gap}, off by {beyond}"
            );
        }
        // Duplicated columns share a coefficient as they like.
        if !["degenerate", "farm-ads"].contains(&name) {
            same_coefficients(case, Path::new(&model), name);
        }
    }
}

fn same_coefficients(case: &Value, model: &Path, name: &str) {
    let tensors = SavedModel::open(model).unwrap().tensors().unwrap();
    let find = |name: &str| tensors.iter().find(|tensor| tensor.name == name).unwrap();
    let columns = find("columns").values::<u32>().unwrap();
    let values = find("coefficients").values::<f64>().unwrap();
    let wanted: Vec<(u32, f64)> = case["coefficients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_u64().unwrap() as u32, pair[1].as_f64().unwrap()))
        .collect();
    let scale = wanted
        .iter()
        .fold(0.0f64, |most, (_, value)| most.max(value.abs()));
    let found = |column: u32| columns.binary_search(&column).map_or(0.0, |at| values[at]);
    for (column, value) in &wanted {
        let found = found(*column);
        assert!(
            (found - value).abs() <= 2e-6 * scale,
            "{name} {column}: {found} {value}"
        );
    }
    let known = |column: &u32| wanted.iter().any(|(other, _)| other == column);
    for (column, value) in columns.iter().zip(&values) {
        assert!(
            known(column) || value.abs() <= 2e-6 * scale,
            "{name} {column}: {value}"
        );
    }
}

/// 2 and 4 processes on this machine, each with one worker.
#[test]
fn several_processes_find_the_same_objective() {
    let folder = tempfile::tempdir().unwrap();
    let problem = design(3, 60, 150, "chain");
    let examples = problem.write(folder.path(), false);
    let examples: Vec<&str> = examples.iter().map(String::as_str).collect();
    let flags = ["--lambda-ratio", "0.02", "--tolerance", "1e-9"];
    let alone = lasso(&[&examples[..], &flags].concat());
    let wanted = number(alone.last().unwrap(), "objective");
    for ranks in [2, 4] {
        let hosts = path(folder.path(), "hosts.txt");
        fs::write(&hosts, "localhost slots=1\n".repeat(ranks)).unwrap();
        let together = lasso(&[&examples[..], &flags, &["--hosts", &hosts]].concat());
        let last = together.last().unwrap();
        let found = number(last, "objective");
        assert!(
            (found - wanted).abs() <= 1e-8 * wanted,
            "{ranks}: {found} {wanted}"
        );
        assert!(number(last, "gap") <= 1e-9 * number(&alone[0], "objective"));
        assert!(number(last, "bytes_sent") > 0.0);
    }
}

#[test]
fn the_built_in_sample_shows_its_planted_features() {
    let folder = tempfile::tempdir().unwrap();
    let model = path(folder.path(), "model");
    let records = lasso(&["--folds", "5", "--choose", "1se", "--output", &model]);
    let folds = records
        .iter()
        .map(|record| number(record, "fold") as u32)
        .max();
    assert_eq!(folds, Some(5));
    let planted = include_str!("../datasets/sample-lasso/planted.sample.csv");
    let found = fs::read_to_string(Path::new(&model).join("coefficients.csv")).unwrap();
    let value = |name: &str| {
        let row = found
            .lines()
            .find(|line| line.split(',').next() == Some(name))
            .unwrap();
        row.split(',').nth(1).unwrap().parse::<f64>().unwrap()
    };
    for row in planted.lines().skip(1) {
        let (feature, planted) = row.split_once(',').unwrap();
        let (planted, found) = (
            planted.parse::<f64>().unwrap(),
            value(&format!("x{feature}")),
        );
        assert!(
            planted * found > 0.0 && (planted - found).abs() < 0.4,
            "{feature}: {planted} {found}"
        );
    }
    let table = fs::read_to_string(Path::new(&model).join("path.csv")).unwrap();
    assert_eq!(table.lines().count(), 101);
}

/// The printed coefficients are those of the printed objective, by the formula itself.
#[test]
fn the_last_objective_is_that_of_the_saved_coefficients() {
    let folder = tempfile::tempdir().unwrap();
    let problem = design(7, 50, 60, "plain");
    let examples = problem.write(folder.path(), false);
    let mut arguments: Vec<&str> = examples.iter().map(String::as_str).collect();
    let model = path(folder.path(), "model");
    arguments.extend(["--path", "12", "--l1-ratio", "0.8", "--output", &model]);
    let records = lasso(&arguments);
    let tensors = SavedModel::open(Path::new(&model))
        .unwrap()
        .tensors()
        .unwrap();
    let real = |name: &str| {
        let tensor = tensors.iter().find(|tensor| tensor.name == name).unwrap();
        tensor.values::<f64>().unwrap()
    };
    let columns = tensors
        .iter()
        .find(|tensor| tensor.name == "path_columns")
        .unwrap();
    let columns = columns.values::<u32>().unwrap();
    let starts = tensors
        .iter()
        .find(|tensor| tensor.name == "path_starts")
        .unwrap();
    let starts = starts.values::<u64>().unwrap();
    let (lambdas, values) = (real("path_lambdas"), real("path_coefficients"));
    assert_eq!(lambdas.len(), 12);
    for (at, lambda) in lambdas.iter().enumerate() {
        let range = starts[at] as usize..starts[at + 1] as usize;
        let mut b = vec![0.0; 60];
        range.for_each(|place| b[columns[place] as usize] = values[place]);
        let intercept = real("path_intercepts")[at];
        let rows = problem.rows.iter().zip(&problem.targets);
        let squares: f64 = rows
            .map(|(row, y)| {
                // Features are read as f32.
                let z: f64 = row
                    .iter()
                    .zip(&b)
                    .map(|(x, b)| f64::from(*x as f32) * b)
                    .sum();
                (y - z - intercept).powi(2)
            })
            .sum();
        let penalty: f64 = b.iter().map(|b| 0.8 * b.abs() + 0.1 * b * b).sum();
        let objective = squares / 100.0 + lambda * penalty;
        let of_lambda = records
            .iter()
            .rfind(|record| number(record, "lambda") == *lambda)
            .unwrap();
        let told = number(of_lambda, "objective");
        assert!(
            (objective - told).abs() <= 1e-9 * told,
            "{lambda}: {objective} {told}"
        );
        assert!(number(of_lambda, "gap") <= 1e-6 * number(&records[0], "objective"));
    }
}

/// `petuum ARGUMENTS`: its status, stdout and stderr.
fn petuum(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
    let output = command.args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn sizes_that_cannot_be_computed_with_are_refused_and_near_ones_solved() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "x.csv");
    for (size, target, words) in [
        (1e19, 1.0, Some("feature 2 to be between 1e-15 and 1e15")),
        (1e-28, 1.0, Some("feature 2 to be between 1e-15 and 1e15")),
        (1.0, 1e200, Some("the target to be between 1e-15 and 1e15")),
        (1.0, 1e-30, Some("the target to be between 1e-15 and 1e15")),
        (1e14, 1.0, None),
        (1e-14, 1.0, None),
        (1e14, 1e14, None),
        (1e-14, 1e-14, None),
    ] {
        let noise = uniform(5, 120);
        let rows = noise.chunks(3).map(|x| {
            let y = target * (2.0 * x[0] - 3.0 * x[1] + 0.1 * x[2]);
            format!("{y:e},{},{:e}\n", x[0] as f32, (size * x[1]) as f32)
        });
        fs::write(&data, rows.collect::<String>()).unwrap();
        let arguments = ["lasso", &data, "--standardize", "--lambda-ratio", "0.01"];
        let (status, out, err) = petuum(&arguments);
        match words {
            Some(words) => assert!(status == 65 && err.contains(words), "{status} {err}"),
            None => {
                assert!(
                    status == 0 && !err.contains("stopped before"),
                    "{status} {err}"
                );
                let last: Vec<&str> = out.lines().last().unwrap().split(',').collect();
                assert!(last[4] == "2.0", "{out}");
            }
        }
    }
}

#[test]
fn a_run_that_stops_before_its_tolerance_says_so() {
    let (status, _, said) = petuum(&["lasso", "--clocks", "1", "--lambda-ratio", "0.01"]);
    assert_eq!(status, 0);
    assert!(
        said.contains("stopped before the solution is as good as --tolerance"),
        "{said}"
    );
    let (_, _, said) = petuum(&["lasso", "--clocks", "3", "--path", "20"]);
    assert!(
        said.contains("are not solved") || said.contains("a gap is"),
        "{said}"
    );
    let (_, _, said) = petuum(&["lasso", "--path", "20"]);
    assert!(!said.contains("stopped before"), "{said}");
}

/// A threshold that refuses nearly everything costs rounds, but not one for every feature.
#[test]
fn a_tiny_correlation_threshold_takes_few_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let examples = design(3, 60, 400, "chain").write(folder.path(), false);
    let examples: Vec<&str> = examples.iter().map(String::as_str).collect();
    let flags = ["--lambda-ratio", "0.01", "--tolerance", "1e-9"];
    let usual = lasso(&[&examples[..], &flags].concat());
    let tiny = lasso(&[&examples[..], &flags, &["--correlation-threshold", "1e-9"]].concat());
    let objective = |records: &[Value]| number(records.last().unwrap(), "objective");
    assert!((objective(&usual) / objective(&tiny) - 1.0).abs() < 1e-8);
    assert!(tiny.len() <= 40, "{} clocks", tiny.len());
}

/// `prediction` lines of a data file, by the model in `model`.
fn predicted(model: &str, arguments: &[&str]) -> Vec<f64> {
    let (status, out, err) = petuum(&[&["predict", "--model", model], arguments].concat());
    assert_eq!(status, 0, "{arguments:?}: {err}");
    out.lines()
        .skip(1)
        .map(|line| line.parse().unwrap())
        .collect()
}

/// A header and a line for each row of four features.
fn table(x: &[f64], header: &str, line: &dyn Fn(&[f64]) -> String) -> String {
    let rows = x.chunks(4);
    rows.fold(format!("{header}\n"), |text, row| text + &line(row) + "\n")
}

/// A model of features `a`, `b` and `c` that lie among weights and targets, and its predictions.
fn named_model(folder: &Path, x: &[f64]) -> (String, Vec<f64>) {
    let y = |row: &[f64]| 3.0 * row[0] - 2.0 * row[1] + row[2] + 0.5;
    let (train, model) = (path(folder, "train.csv"), path(folder, "model"));
    let line = |r: &[f64]| {
        let [a, b, c] = [r[0], r[1], r[2]].map(|x| x as f32);
        format!("{a},{},{b},{},{c}", r[3] + 1.0, y(r))
    };
    fs::write(&train, table(x, "a,w,b,y,c", &line)).unwrap();
    let flags = ["--lambda-ratio", "0.001", "-o", &model];
    let columns = ["--target-column", "y", "--weight-column", "w"];
    lasso(&[&[&train[..]][..], &flags, &columns].concat());
    let found = predicted(&model, &[&train]);
    let near = |(row, found): (&[f64], &f64)| (y(row) - found).abs() < 0.05;
    assert!(x.chunks(4).zip(&found).all(near), "{found:?}");
    (model, found)
}

/// Data to predict for may lie in another order, with or without what is no feature, or in a design.
#[test]
fn predictions_find_their_features_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = path(folder.path(), name);
        fs::write(&path, text).unwrap();
        path
    };
    let x = uniform(11, 160);
    let (model, wanted) = named_model(folder.path(), &x);
    let table = |header: &str, line: &dyn Fn(&[f64]) -> String| table(&x, header, line);
    let columns = ["--target-column", "y", "--weight-column", "w"];
    // Features in another order are summed in another order.
    let same = |found: &[f64], name: &str| {
        let near = found
            .iter()
            .zip(&wanted)
            .all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(found.len() == wanted.len() && near, "{name}");
    };
    let bare = |r: &[f64]| format!("{},{},{}", r[0] as f32, r[1] as f32, r[2] as f32);
    for (name, text) in [
        (
            "order.csv",
            table("c,b,a", &|r| {
                format!("{},{},{}", r[2] as f32, r[1] as f32, r[0] as f32)
            }),
        ),
        (
            "more.csv",
            table("id,c,a,y,b", &|r| {
                format!(
                    "row{},{},{},none,{}",
                    r[3], r[2] as f32, r[0] as f32, r[1] as f32
                )
            }),
        ),
        (
            "bare.csv",
            x.chunks(4).map(|row| bare(row) + "\n").collect(),
        ),
    ] {
        same(&predicted(&model, &[&file(name, &text)]), name);
    }
    for (name, flags) in [
        ("order", &["--target-column", "none"][..]),
        ("train", &columns[..]),
    ] {
        let data = path(folder.path(), &format!("{name}.csv"));
        let design = path(folder.path(), &format!("{name}.design"));
        let (status, _, err) =
            petuum(&[&["convert", "--columns", &data, "-o", &design], flags].concat());
        assert_eq!(status, 0, "{err}");
        same(&predicted(&model, &[&design]), name);
    }
    let lacking = file("lacking.csv", &table("a,b,d", &bare));
    let (status, _, err) = petuum(&["predict", "--model", &model, &lacking]);
    assert!(
        status == 65 && err.contains("expected a column `c`"),
        "{status} {err}"
    );
    let narrow = file("narrow.csv", "1,2\n3,4\n");
    let (status, _, err) = petuum(&["predict", "--model", &model, &narrow]);
    assert!(status == 65, "{status} {err}");
}

#[test]
fn sparse_lines_may_lack_their_target_and_a_design_takes_targets_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let problem = design(9, 50, 12, "sparse");
    let lines = |with: bool| -> String {
        let line = |(row, y): (&Vec<f64>, &f64)| {
            let pairs = row.iter().enumerate().filter(|(_, x)| **x != 0.0);
            let pairs: Vec<String> = pairs.map(|(at, x)| format!("{}:{x}", at + 1)).collect();
            let target = if with { format!("{y} ") } else { String::new() };
            // A line with nothing on it would be no example.
            let pairs = if pairs.is_empty() {
                "1:0".into()
            } else {
                pairs.join(" ")
            };
            format!("{target}{pairs}\n")
        };
        problem
            .rows
            .iter()
            .zip(&problem.targets)
            .map(line)
            .collect()
    };
    let [with, without, design, model, targets] = [
        "with.svm",
        "without.svm",
        "without.design",
        "model",
        "y.txt",
    ]
    .map(|name| path(folder.path(), name));
    fs::write(&with, lines(true)).unwrap();
    fs::write(&without, lines(false)).unwrap();
    let text: Vec<String> = problem.targets.iter().map(f64::to_string).collect();
    fs::write(&targets, text.join("\n")).unwrap();
    let records = lasso(&[&with, "-o", &model]);
    let wanted = predicted(&model, &[&with]);
    assert_eq!(predicted(&model, &[&without]), wanted);
    // A design of rows without targets, as Matrix Market has them.
    let entries: Vec<String> = problem
        .rows
        .iter()
        .enumerate()
        .flat_map(|(row, values)| {
            let pairs = values.iter().enumerate().filter(|(_, x)| **x != 0.0);
            pairs
                .map(move |(at, x)| format!("{} {} {x}\n", row + 1, at + 1))
                .collect::<Vec<_>>()
        })
        .collect();
    let matrix = path(folder.path(), "x.mtx");
    let header = "%%MatrixMarket matrix coordinate real general";
    fs::write(
        &matrix,
        format!("{header}\n50 12 {}\n{}", entries.len(), entries.concat()),
    )
    .unwrap();
    let (status, _, err) = petuum(&["convert", "--columns", &matrix, "-o", &design]);
    assert_eq!(status, 0, "{err}");
    let (status, _, err) = petuum(&["lasso", &design, "-q"]);
    assert!(status == 65 && err.contains("--targets"), "{status} {err}");
    let again = lasso(&[&design, "--targets", &targets]);
    let objective = |records: &[Value]| number(records.last().unwrap(), "objective");
    assert!((objective(&again) / objective(&records) - 1.0).abs() < 1e-6);
    let found = predicted(&model, &[&design]);
    assert!(
        found
            .iter()
            .zip(&wanted)
            .all(|(a, b)| (a - b).abs() < 1e-12)
            && found.len() == 50
    );
    fs::write(&targets, "1\n2\n").unwrap();
    let (status, _, err) = petuum(&["lasso", &design, "--targets", &targets, "-q"]);
    assert!(
        status == 65 && err.contains("expected 50 values"),
        "{status} {err}"
    );
}

/// An index or a size that no memory holds is an error in the data, not a crash.
#[test]
fn features_beyond_all_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "x");
    let matrix = "%%MatrixMarket matrix coordinate real general\n1 4000000000 1\n1 1 1\n";
    for (text, words) in [
        (
            "1 4000000000:1\n",
            "x:1:3: expected an index from 0 to 268435456",
        ),
        (
            matrix,
            "x:2:3: expected the number of columns from 1 to 268435456",
        ),
    ] {
        fs::write(&data, text).unwrap();
        let (status, _, err) = petuum(&["lasso", "-q", &data]);
        assert!(status == 65 && err.contains(words), "{status} {err}");
    }
}
