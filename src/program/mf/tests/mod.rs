//! Whole runs: the objective against the model on disk, determinism, quality on planted ratings.

mod als;
mod ccd;
mod share;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Mf, Options};
use crate::engine::{InProcess, Settings, run_in_process};
use crate::math::rng::Rng;
use crate::program::trial::{self, options, values};
use crate::ps::Consistency;
use crate::report::{Notes, Record};
use crate::snapshot::{Tensor, read_tensors, take};

fn settings(clocks: u64) -> Settings {
    trial::settings("mf", clocks)
}

fn train(line: &str, ranks: u32, workers: u32, settings: &Settings) -> Vec<Record> {
    train_over(InProcess::Coded, line, ranks, workers, settings)
}

fn train_over(
    transport: InProcess,
    line: &str,
    ranks: u32,
    workers: u32,
    settings: &Settings,
) -> Vec<Record> {
    let options = options::<Options>(line);
    let make = || Ok(Mf::new(options.clone()));
    run_in_process(transport, ranks, workers, settings, make).unwrap()
}

fn last_column(records: &[Record], column: usize) -> f64 {
    records.last().unwrap().columns[column].unwrap()
}

/// Planted ratings in a folder: `ratings.p.tsv` and `test.p.tsv`.
fn planted(line: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("--name p -o {} {line}", folder.path().display());
    let options = options(&line);
    let notes = Notes::new(true, false, Box::new(std::io::sink()));
    super::generate::run(options, &notes).unwrap();
    folder
}

fn small() -> TempDir {
    planted("--ratings 60000 --users 1000 --items 300 -k 4 --noise 0.5")
}

fn files(folder: &Path) -> String {
    let path = |kind: &str| folder.join(format!("{kind}.p.tsv")).display().to_string();
    format!("{} --test {}", path("ratings"), path("test"))
}

/// The RMSE of the planted model itself on the test ratings.
fn reachable(folder: &Path) -> f64 {
    let text = fs::read_to_string(folder.join("planted.p.txt")).unwrap();
    text.trim_end().rsplit(' ').next().unwrap().parse().unwrap()
}

struct Saved {
    tensors: Vec<Tensor>,
    ids: [Vec<String>; 2],
}

impl Saved {
    fn read(folder: &Path) -> Saved {
        let ids = ["users.txt", "items.txt"].map(|name| {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            text.lines().map(str::to_owned).collect()
        });
        let tensors = read_tensors(&folder.join("model.safetensors")).unwrap();
        Saved { tensors, ids }
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        let tensor = take(&mut self.tensors.clone(), name).unwrap();
        let values = tensor.values::<f32>().unwrap();
        values.into_iter().map(f64::from).collect()
    }

    fn mean(&self) -> f64 {
        take(&mut self.tensors.clone(), "mean").unwrap().values::<f64>().unwrap()[0]
    }
}

fn triples(path: &Path) -> Vec<(String, String, f64)> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[0].into(), fields[1].into(), fields[2].parse().unwrap())
        })
        .collect()
}

/// Objective, train and test RMSE from the model on disk and the files, by the formula.
fn by_formula(saved: &Saved, train: &Path, test: &Path, lambda: f64) -> [f64; 3] {
    let [p, q, b, c] = ["user_factors", "item_factors", "user_biases", "item_biases"]
        .map(|name| saved.floats(name));
    let k = p.len() / b.len();
    let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
    let error = |path: &Path, penalise: bool| {
        let (mut squares, mut penalty, all) = (0.0, 0.0, triples(path));
        let deviations = all.iter().map(|rating| (rating.2 - saved.mean()).powi(2));
        let deviation = (deviations.sum::<f64>() / all.len() as f64).sqrt();
        for (user, item, rating) in &all {
            let find = |side: usize, id: &String| saved.ids[side].iter().position(|x| x == id);
            let (user, item) = (find(0, user), find(1, item));
            let row = |factors: &[f64], at: Option<usize>| match at {
                Some(at) => factors[at * k..(at + 1) * k].to_vec(),
                None => vec![0.0; k],
            };
            let bias = |biases: &[f64], at: Option<usize>| at.map_or(0.0, |at| biases[at]);
            let (p, q, b, c) = (row(&p, user), row(&q, item), bias(&b, user), bias(&c, item));
            let product: f64 = p.iter().zip(&q).map(|(p, q)| p * q).sum();
            squares += (rating - saved.mean() - b - c - product).powi(2);
            // n_u and n_i times the squares: once per rating.
            penalty += lambda * (square(&p) + square(&q) + (b * b + c * c) / deviation);
        }
        let rmse = (squares / all.len() as f64).sqrt();
        (if penalise { squares + penalty } else { squares }, rmse)
    };
    let (objective, train_rmse) = error(train, true);
    [objective, train_rmse, error(test, false).1]
}

/// 400 ratings `r.tsv` in which pairs come more than once, 60 to predict `t.tsv`, some of them of
/// users and items that are only there.
fn scattered() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (data, test) = (folder.path().join("r.tsv"), folder.path().join("t.tsv"));
    let mut rng = Rng::stream(3, 0, 0, 0);
    let line = |users: u64, items: u64, rng: &mut Rng| {
        let (user, item) = (rng.below(users), rng.below(items));
        format!("u{user}\t{item}\t{}\n", 20 * (1 + rng.below(5)))
    };
    let text: String = (0..400).map(|_| line(25, 18, &mut rng)).collect();
    fs::write(&data, text).unwrap();
    let text: String = (0..60).map(|_| line(30, 22, &mut rng)).collect();
    fs::write(&test, text).unwrap();
    folder
}

/// Runs 4 clocks with λ = 0.2 over `folder`'s [`scattered`] ratings, holds the last record against
/// the formula applied to the model on disk, and returns that.
fn is_of_the_saved_model(
    folder: &Path,
    transport: InProcess,
    (ranks, workers): (u32, u32),
    flags: &str,
) -> Saved {
    let (data, test) = (folder.join("r.tsv"), folder.join("t.tsv"));
    let model = tempfile::tempdir().unwrap();
    let settings = Settings {
        output: Some(model.path().to_path_buf()),
        force: true,
        ..settings(4)
    };
    let shown = [&data, &test].map(|path| path.display());
    let line = format!("{} --test {} --regularization 0.2 {flags}", shown[0], shown[1]);
    let records = train_over(transport, &line, ranks, workers, &settings);
    let saved = Saved::read(model.path());
    let [objective, train_rmse, test_rmse] = by_formula(&saved, &data, &test, 0.2);
    let record = records.last().unwrap();
    assert_eq!(record.clock, 4);
    for (said, found) in [
        (record.objective, objective),
        (last_column(&records, 0), train_rmse),
        (last_column(&records, 1), test_rmse),
    ] {
        assert!((said / found - 1.0).abs() < 1e-5, "{flags}: {said} {found}");
    }
    let biased = saved.floats("user_biases").iter().any(|b| *b != 0.0);
    assert_eq!(biased, !flags.contains("--no-bias"));
    let all = [saved.floats("user_factors"), saved.floats("item_factors")].concat();
    let negative = all.iter().any(|p| *p < 0.0);
    assert_eq!(negative, !flags.contains("--nonnegative"));
    saved
}

#[test]
fn the_objective_is_that_of_the_saved_model() {
    let folder = scattered();
    for (ranks, workers, flags) in [
        (1, 1, "-k 5"),
        (1, 3, "-k 17 --no-bias"),
        (2, 2, "-k 33 --nonnegative --blocks-per-worker 1"),
    ] {
        is_of_the_saved_model(folder.path(), InProcess::Coded, (ranks, workers), flags);
    }
}

/// What is made of parts that are at least 0 has no mean under it.
#[test]
fn factors_of_at_least_0_without_biases_make_up_the_whole() {
    let folder = scattered();
    for flags in ["", "--parallel data", "--method als", "--method ccd"] {
        let flags = format!("-k 5 --nonnegative --no-bias {flags}");
        let saved = is_of_the_saved_model(folder.path(), InProcess::Local, (1, 2), &flags);
        assert_eq!(saved.mean(), 0.0, "{flags}");
    }
}

#[test]
fn a_flag_that_the_method_would_ignore_is_refused() {
    for (line, said) in [
        ("--learning-rate 0.1 --method als", "--learning-rate: needs --method sgd; this is --method als"),
        ("--learning-rate 0.1 --method ccd", "--learning-rate: needs --method sgd; this is --method ccd"),
        ("--inner-iterations 2", "--inner-iterations: needs --method ccd; this is --method sgd"),
        ("--step-scaling none", "--step-scaling: needs --parallel data; this is --method sgd"),
        ("--blocks-per-worker 3 --method als", "--blocks-per-worker: needs --method sgd --parallel model"),
        ("--blocks-per-worker 3 --parallel data", "--blocks-per-worker: needs --method sgd --parallel model"),
        ("--parallel data --method ccd", "--parallel data: needs --method sgd; this is --method ccd"),
        ("--implicit", "--implicit: needs --method als; this is --method sgd"),
        ("--confidence 3 --method als", "--confidence: needs --implicit"),
        ("--implicit --method als --no-bias", "--no-bias: --implicit has no biases anyway"),
    ] {
        let error = super::new(options(line)).err().unwrap();
        assert_eq!(error.status(), 2, "{line}");
        assert!(error.to_string().starts_with(said), "{line}: {error}");
    }
    for line in ["", "--method ccd --inner-iterations 2", "--parallel data --step-scaling none"] {
        assert!(super::new(options::<Options>(line)).is_ok(), "{line}");
    }
}

#[test]
fn equal_seeds_give_equal_bits_however_workers_are_spread() {
    let folder = small();
    let line = format!("{} -k 8", files(folder.path()));
    let once = values(&train(&line, 1, 4, &settings(3)));
    assert_eq!(once, values(&train(&line, 1, 4, &settings(3))));
    assert_eq!(once, values(&train(&line, 2, 2, &settings(3))));
    let other = Settings {
        seed: 2,
        ..settings(3)
    };
    assert_ne!(once, values(&train(&line, 1, 4, &other)));
    // Nothing is ever read stale, so staleness changes nothing either.
    let stale = Settings {
        consistency: Consistency::Essp,
        staleness: 3,
        ..settings(3)
    };
    assert_eq!(once, values(&train(&line, 1, 4, &stale)));
}

#[test]
fn planted_ratings_are_predicted_nearly_as_well_as_can_be() {
    let folder = small();
    let best = reachable(folder.path());
    let line = format!("{} -k 8", files(folder.path()));
    let mut reached = vec![];
    for (ranks, workers) in [(1, 1), (1, 2), (1, 4), (2, 1)] {
        let records = train(&line, ranks, workers, &settings(25));
        let rmse = last_column(&records, 1);
        // Estimating 12 numbers of a user from 54 ratings costs something.
        assert!((best..1.15 * best).contains(&rmse), "{workers}: {rmse} {best}");
        reached.push(rmse);
    }
    let spread = reached.iter().map(|r| (r / reached[0] - 1.0).abs());
    assert!(spread.fold(0.0, f64::max) < 0.01, "{reached:?}");
}

#[test]
fn clocks_within_a_pass_change_records_and_nothing_else() {
    let folder = small();
    let line = format!("{} -k 4", files(folder.path()));
    let whole = values(&train(&line, 1, 2, &settings(3)));
    for clocks_per_pass in [2, 3, 4] {
        let settings = Settings {
            clocks_per_pass,
            ..settings(3 * clocks_per_pass)
        };
        let parts = values(&train(&line, 1, 2, &settings));
        for (at, pass) in whole.iter().enumerate() {
            let part = &parts[(at + 1) * clocks_per_pass as usize - 1];
            assert_eq!((part.1, &part.2), (pass.1, &pass.2), "{clocks_per_pass}");
        }
    }
}

#[test]
fn a_run_goes_on_from_its_checkpoint_bit_for_bit() {
    let folder = small();
    let line = format!("{} -k 8", files(folder.path()));
    let whole = values(&train(&line, 1, 2, &settings(5)));
    let checkpoints: PathBuf = folder.path().join("checkpoints");
    let first = Settings {
        checkpoint: Some(checkpoints),
        evaluate_every: 2,
        ..settings(3)
    };
    train(&line, 1, 2, &first);
    let rest = Settings {
        resume: true,
        evaluate_every: 1,
        clocks: Some(5),
        ..first
    };
    let resumed = values(&train(&line, 1, 2, &rest));
    assert_eq!(resumed.last(), whole.last());
}

#[test]
fn what_a_diverged_run_is_told_fits_the_method() {
    let folder = scattered();
    let data = folder.path().join("r.tsv");
    for (flags, remedy) in [
        ("", "; try a smaller --learning-rate, or more --regularization"),
        ("--parallel data", "--learning-rate, a smaller --staleness or --consistency bsp"),
    ] {
        let options = options::<Options>(&format!("{} --learning-rate 1000 {flags}", data.display()));
        let make = || Ok(Mf::new(options.clone()));
        let error = run_in_process(InProcess::Local, 1, 2, &settings(9), make).unwrap_err();
        assert_eq!(error.status(), 3);
        assert!(error.to_string().ends_with(remedy), "{error}");
    }
}

#[test]
fn the_test_error_ends_the_run() {
    let folder = small();
    let line = format!("{} -k 8", files(folder.path()));
    let settings = Settings {
        tolerance: Some(1e-3),
        ..settings(200)
    };
    let records = train(&line, 1, 2, &settings);
    let test: Vec<f64> = records.iter().map(|r| r.columns[1].unwrap()).collect();
    let gains = test.windows(2).map(|two| (two[0] - two[1]) / two[0]);
    let small: Vec<usize> = gains
        .enumerate()
        .filter(|(_, gain)| *gain <= 1e-3)
        .map(|(at, _)| at + 2)
        .collect();
    assert_eq!(small, [records.len()], "{test:?}");
    assert!(records.len() < 200);

    let never = Settings {
        tolerance: Some(0.0),
        ..settings
    };
    assert_eq!(train(&line, 1, 2, &never).len(), 200);
}

#[test]
fn without_held_out_ratings_the_column_is_empty() {
    let folder = small();
    let data = folder.path().join("ratings.p.tsv");
    let line = format!("{} -k 4 --holdout 0", data.display());
    let records = train(&line, 1, 1, &settings(1));
    assert_eq!(records[0].columns[1], None);
    assert_eq!(records.len(), 1);
}

#[test]
fn the_built_in_sample_is_what_generate_writes() {
    let folder =
        planted("--ratings 20000 --users 600 --items 300 -k 5 --noise 0.5 --holdout 0 --gzip");
    let unpack = |path: &Path| {
        let mut text = String::new();
        let packed = fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(packed)
            .read_to_string(&mut text)
            .unwrap();
        text
    };
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/sample-mf");
    let kept = sample.join("ratings.sample.tsv.gz");
    assert!(unpack(&folder.path().join("ratings.p.tsv.gz")) == unpack(&kept));
    assert!(fs::metadata(kept).unwrap().len() < 200_000);
    let [made, kept] = [
        folder.path().join("planted.p.txt"),
        sample.join("planted.sample.txt"),
    ];
    assert_eq!(fs::read(made).unwrap(), fs::read(kept).unwrap());
    let records = train("", 1, 2, &settings(15));
    assert!(last_column(&records, 1) < 0.6, "{records:?}");
}

#[test]
fn something_is_left_to_train_on_however_much_is_held_out() {
    for seed in 1..6 {
        let folder = planted(&format!("--ratings 8 --users 4 --items 9 -k 2 --holdout .99 --seed {seed}"));
        let [train, test] = ["ratings.p.tsv", "test.p.tsv"].map(|name| triples(&folder.path().join(name)));
        assert!(!train.is_empty() && train.len() + test.len() == 8, "{seed}: {train:?}");
    }
}

#[test]
fn generated_ratings_have_the_marginals_that_are_promised() {
    let folder = planted("--ratings 200000 --users 7000 --items 2000");
    let mut all = triples(&folder.path().join("ratings.p.tsv"));
    let train = all.len();
    all.extend(triples(&folder.path().join("test.p.tsv")));
    assert_eq!(all.len(), 200_000);
    assert!((178_000..182_000).contains(&train), "{train}");
    let counts = |key: &dyn Fn(&(String, String, f64)) -> String| {
        let mut counts = BTreeMap::new();
        all.iter().for_each(|one| *counts.entry(key(one)).or_insert(0) += 1);
        let mut counts: Vec<u32> = counts.into_values().collect();
        counts.sort_unstable();
        counts
    };
    let users = counts(&|one| one.0.clone());
    let items = counts(&|one| one.1.clone());
    let pairs = counts(&|one| format!("{} {}", one.0, one.1));
    assert_eq!(pairs.len(), 200_000, "no pair twice");
    let median = |counts: &[u32], of: usize| f64::from(counts[counts.len() - of / 2]);
    // Users and items in the same ratio to ratings as in MovieLens-10M, where the most popular
    // film is rated by half of the users and the median film has 0.144 of the mean.
    let median_user = median(&users, 7000) / (200_000.0 / 7000.0);
    assert!((0.4..0.6).contains(&median_user), "{median_user}");
    let popular = f64::from(items[items.len() - 1]) / 7000.0;
    assert!((0.4..0.6).contains(&popular), "{popular}");
    let median_item = median(&items, 2000) / 100.0;
    assert!((0.11..0.18).contains(&median_item), "{median_item}");
    assert!(all.iter().all(|one| (2.0 * one.2).fract() == 0.0 && (0.5..=5.0).contains(&one.2)));
}
