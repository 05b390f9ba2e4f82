//! Whole runs: optimality by brute force, gaps, several ranks, checkpoints.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{Options, new};
use crate::engine::{InProcess, Settings, run_in_process};
use crate::math::rng::Rng;
use crate::program::trial::options;
use crate::report::Record;
use crate::snapshot::{SavedModel, take};

fn settings(tolerance: f64) -> Settings {
    Settings {
        program: "lasso",
        clocks: Some(500),
        tolerance: Some(tolerance),
        ..Settings::default()
    }
}

fn train(line: &str, ranks: u32, workers: u32, settings: &Settings) -> Vec<Record> {
    let make = || new(options::<Options>(line));
    run_in_process(InProcess::Coded, ranks, workers, settings, make).unwrap()
}

fn last(records: &[Record]) -> (f64, f64) {
    let record = records.last().unwrap();
    (record.objective, record.columns[0].unwrap())
}

/// Rows of features with the target first.
struct Rows(Vec<Vec<f64>>);

impl Rows {
    fn random(n: usize, p: usize, seed: u64) -> Rows {
        let mut rng = Rng::stream(seed, 0, 0, 0);
        // Features that f32 holds exactly.
        let mut draw = || f64::from((rng.uniform() - 0.5) as f32);
        let mut rows: Vec<Vec<f64>> = (0..n).map(|_| (0..=p).map(|_| draw()).collect()).collect();
        for row in &mut rows {
            row[0] += 2.0 * row[1] - row[p];
        }
        Rows(rows)
    }

    fn write(&self, folder: &Path) -> String {
        let mut text = String::new();
        for row in &self.0 {
            let fields: Vec<String> = row.iter().map(f64::to_string).collect();
            writeln!(text, "{}", fields.join(",")).unwrap();
        }
        let path = folder.join("rows.csv");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// The optimality conditions of every coefficient, by the definition.
#[test]
fn every_coefficient_is_optimal() {
    for (n, p, line) in [
        (30, 80, ""),
        (80, 9, ""),
        (1, 5, ""),
        (40, 1, ""),
        (30, 50, "--l1-ratio 0.6"),
        (30, 50, "--no-intercept --schedule cyclic"),
        (30, 50, "--schedule random --correlation-threshold 0.05"),
    ] {
        for ratio in [0.3, 0.03] {
            let folder = tempfile::tempdir().unwrap();
            let rows = Rows::random(n, p, 3);
            let line = format!("{} --lambda-ratio {ratio} {line}", rows.write(folder.path()));
            let model = folder.path().join("model");
            let output = Some(model.clone());
            let records = train(&line, 2, 2, &Settings { output, ..settings(1e-12) });
            let null = records[0].objective;
            assert!(last(&records).1 <= 1e-11 * null + 1e-300, "{line}: {records:?}");
            let saved = SavedModel::open(&model).unwrap();
            let mut tensors = saved.tensors().unwrap();
            let columns = take(&mut tensors, "columns").unwrap().values::<u32>().unwrap();
            let values = take(&mut tensors, "coefficients").unwrap().values::<f64>().unwrap();
            let intercept = take(&mut tensors, "intercept").unwrap().values::<f64>().unwrap()[0];
            let lambda = saved.json("lambda").unwrap().as_f64().unwrap();
            let alpha = options::<Options>(&line).l1_ratio;
            let mut b = vec![0.0; p];
            columns.iter().zip(&values).for_each(|(column, value)| b[*column as usize] = *value);
            let residual = |row: &Vec<f64>| {
                row[0] - intercept - row[1..].iter().zip(&b).map(|(x, b)| x * b).sum::<f64>()
            };
            let r: Vec<f64> = rows.0.iter().map(residual).collect();
            for (column, b) in b.iter().enumerate() {
                let pairs = rows.0.iter().zip(&r).map(|(row, r)| row[column + 1] * r);
                let slope = pairs.sum::<f64>() / n as f64 - lambda * (1.0 - alpha) * b;
                let far = match *b == 0.0 {
                    true => slope.abs() - lambda * alpha,
                    false => (slope - (lambda * alpha).copysign(*b)).abs(),
                };
                assert!(far <= 1e-5 * lambda, "{line}: feature {column}, {b}, off by {far}");
            }
        }
    }
}

/// However many ranks and workers: the same objective, and gaps that are never too small.
#[test]
fn ranks_and_workers_change_nothing_but_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("{} --lambda-ratio 0.02", Rows::random(50, 300, 4).write(folder.path()));
    let (best, _) = last(&train(&line, 1, 1, &settings(1e-13)));
    for (ranks, workers) in [(1, 1), (1, 3), (2, 1), (3, 2), (4, 1)] {
        let records = train(&line, ranks, workers, &settings(1e-9));
        assert!(last(&records).0 - best <= 1e-9 * records[0].objective);
        for record in &records {
            let gap = record.columns[0].unwrap();
            assert!(gap >= record.objective - best - 1e-13, "{ranks} {workers}: {record:?}");
        }
    }
}

#[test]
fn a_target_that_is_constant_or_a_huge_lambda_leaves_all_at_zero() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Rows::random(20, 6, 5);
    let huge = format!("{} --lambda 1e9", rows.write(folder.path()));
    rows.0.iter_mut().for_each(|row| row[0] = 2.0);
    let constant = folder.path().join("constant");
    fs::create_dir(&constant).unwrap();
    for line in [huge, rows.write(&constant)] {
        let records = train(&line, 1, 2, &settings(1e-9));
        let (_, gap) = last(&records);
        assert!(gap <= 1e-15, "{line}: {gap}");
        assert_eq!(records.last().unwrap().columns[1], Some(0.0), "{line}");
    }
}

/// A run that was stopped and goes on takes the same way to the same end.
#[test]
fn a_resumed_run_is_the_same_run() {
    for more in ["--lambda-ratio 0.01", "--path 10", "--path 6 --folds 3"] {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{} {more}", Rows::random(60, 200, 6).write(folder.path()));
        let whole = train(&line, 2, 1, &settings(1e-8));
        for stop in [1, whole.len() as u64 / 2] {
            let checkpoint = Some(folder.path().join(format!("checkpoint{stop}")));
            let first = Settings {
                clocks: Some(stop),
                checkpoint: checkpoint.clone(),
                ..settings(1e-8)
            };
            train(&line, 2, 1, &first);
            let resume = Settings {
                checkpoint,
                resume: true,
                ..settings(1e-8)
            };
            let resumed = train(&line, 2, 1, &resume);
            let values = |records: &[Record]| -> Vec<(u64, f64)> {
                records.iter().map(|record| (record.clock, record.objective)).collect()
            };
            assert_eq!(values(&resumed), values(&whole), "{more}, stopped at {stop}");
        }
    }
}

/// A run that has finished is resumed: its objective and gap are told again, and a smaller tolerance
/// is worked towards, for every λ.
#[test]
fn a_finished_run_goes_on_to_a_smaller_tolerance() {
    for more in ["--lambda-ratio 0.01", "--path 8", "--path 6 --folds 3"] {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{} {more}", Rows::random(60, 200, 6).write(folder.path()));
        let run = |tolerance: f64, resume: bool| {
            let model = folder.path().join(format!("model{tolerance}{resume}"));
            let settings = Settings {
                checkpoint: Some(folder.path().join("checkpoint")),
                checkpoint_every: 1,
                resume,
                output: Some(model.clone()),
                ..settings(tolerance)
            };
            let records = train(&line, 2, 1, &settings);
            let saved = SavedModel::open(&model).unwrap();
            (records, saved.json("gap").unwrap().as_f64().unwrap())
        };
        let (rough, _) = run(1e-2, false);
        let null = rough[0].objective;
        let (same, _) = run(1e-2, true);
        for record in &same[rough.len()..] {
            assert_eq!(record.objective, last(&rough).0, "{more}");
            assert!((record.columns[0].unwrap() - last(&rough).1).abs() <= 1e-12, "{more}");
        }
        let (fine, gap) = run(1e-9, true);
        assert!(gap <= 1e-9 * null, "{more}: {gap}");
        assert_eq!(fine[same.len()].objective, last(&rough).0, "{more}");
        let whole = train(&line, 2, 1, &settings(1e-9));
        assert!((last(&fine).0 - last(&whole).0).abs() <= 1e-9 * null, "{more}");
    }
}
