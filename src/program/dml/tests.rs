//! The gradient by an independent reference, whole runs.

use std::fs;
use std::path::Path;

use super::linear::Linear;
use super::mapper::Mapper;
use super::part::{Lesson, measure};
use super::sparse::transposed;
use super::{Dml, Options};
use crate::data::{ExamplesOptions, Features, load_examples};
use crate::engine::{InProcess, Settings, run_in_process};
use crate::math::gemm::Kernel;
use crate::program::trial::{self, options, values};
use crate::ps::Consistency;
use crate::report::{Notes, Record};
use crate::snapshot::{read_tensors, take};

/// By `benches/dml_reference.py`, as are the gradient's rows below.
const OBJECTIVE: f64 = 0.191261993182;
const VIOLATIONS: u64 = 4;
const GRADIENT: [[f64; 7]; 3] = [
    [-0.094079240, -0.043529095, 0.141191126, 0.081012678, -0.097072277, -0.036142047, -0.002825658],
    [0.040569781, 0.198678042, 0.025968045, -0.255910219, -0.128703016, 0.155383730, 0.150889582],
    [0.205810731, 0.106555147, -0.247609642, -0.275763153, 0.115915322, 0.257764361, 0.066572158],
];

#[test]
fn objective_and_gradient_are_those_of_an_independent_reference() {
    let (width, rank, pairs) = (7usize, 3usize, 12usize);
    let mut linear = Linear::new(width, rank, 64);
    linear.by_sample.resize(pairs);
    for s in 0..pairs {
        let at = |i: usize| 0.6 * (0.4 * s as f64 + i as f64 + 0.1 * (s * i) as f64).cos();
        let delta: Vec<f32> = (0..width).map(|i| at(i) as f32).collect();
        linear.by_sample.set_sample(s, &delta);
    }
    let cell = |r: usize, i: usize| {
        0.3 * (1.0 + r as f64 + 0.5 * i as f64 + 0.2 * (r * i) as f64).sin()
    };
    let mut matrix: Vec<f32> = (0..rank * width)
        .map(|at| cell(at / width, at % width) as f32)
        .collect();
    let lesson = Lesson {
        margin: 0.03,
        weight: 1.5,
        rate: 1.0,
        batch: pairs,
        batches: 1,
        exchange_every: None,
        scale: 1.0,
        scaling: None,
    };
    linear.map(&matrix, pairs);
    let sums = measure(&mut linear, &lesson);
    let mean = |(sum, count): (f64, u64)| sum / count as f64;
    let objective = mean(sums.similar) + 1.5 * mean(sums.dissimilar);
    assert!((objective - OBJECTIVE).abs() < 1e-6, "{objective}");
    assert_eq!(sums.violations, VIOLATIONS);
    let mut found = Vec::new();
    linear.gradient(&mut matrix, |_, gradient| found.extend_from_slice(gradient));
    for (found, expected) in found.iter().zip(GRADIENT.iter().flatten()) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
    }
}

fn settings(clocks: u64) -> Settings {
    trial::settings("dml", clocks)
}

fn train(line: &str, ranks: u32, workers: u32, settings: &Settings) -> Vec<Record> {
    let options = options::<Options>(line);
    let make = || Ok(Dml::new(options.clone()));
    run_in_process(InProcess::Coded, ranks, workers, settings, make).unwrap()
}

const SMALL: &str = "-k 5 --batch 50 --learning-rate 1 --weight 5";

/// Passes of four clocks, with a staleness of 1 where the consistency has one.
fn stale(consistency: Consistency, clocks: u64) -> Settings {
    Settings {
        consistency,
        staleness: u32::from(consistency != Consistency::Bsp),
        clocks_per_pass: 4,
        ..settings(clocks)
    }
}

#[test]
fn classes_come_together_however_many_workers_there_are() {
    // Directions at right angles, as many as features, turn the space and leave it as it is.
    let line = "-k 20 --initial random --learning-rate 1e-12";
    let as_it_is = train(line, 1, 1, &settings(1))[0].columns[1].unwrap();
    let come_together = |ranks, workers, settings: &Settings| {
        let records = train(SMALL, ranks, workers, settings);
        let (first, last) = (&records[0].columns, &records.last().unwrap().columns);
        let (was, is) = (first[1].unwrap(), last[1].unwrap());
        let best = was.max(as_it_is);
        assert!(is > 0.8 && is > best + 0.2, "{ranks} {workers}: {as_it_is} {was} {is}");
        assert!(last[2].unwrap() > first[2].unwrap() && last[0] < first[0]);
    };
    for (ranks, workers) in [(1, 1), (1, 2), (2, 1)] {
        come_together(ranks, workers, &stale(Consistency::Bsp, 80));
    }
    for consistency in [Consistency::Ssp, Consistency::Essp, Consistency::Async] {
        come_together(1, 1, &stale(consistency, 80));
    }
}

/// How far workers get depends on how their threads take turns; this does not.
#[test]
fn stale_runs_of_many_workers_are_complete_and_keep_their_bound() {
    for consistency in [Consistency::Ssp, Consistency::Essp, Consistency::Async] {
        for (ranks, workers) in [(1, 2), (2, 1)] {
            let records = train(SMALL, ranks, workers, &stale(consistency, 12));
            let clocks: Vec<u64> = records.iter().map(|record| record.clock).collect();
            assert_eq!(clocks, (1..=12).collect::<Vec<u64>>());
            for record in &records {
                assert!(record.objective.is_finite());
                let parts = record.columns.iter().map(|column| column.unwrap());
                assert!(parts.into_iter().all(|part| (0.0..=1.0).contains(&part)), "{:?}", record.columns);
                assert!(consistency == Consistency::Async || record.staleness_max <= 1);
            }
        }
    }
}

#[test]
fn equal_runs_are_equal_and_ranks_do_not_matter_under_bsp() {
    for line in [SMALL, "-k 8 --initial random --batch 40"] {
        let settings = Settings {
            clocks_per_pass: 4,
            ..settings(8)
        };
        let one = values(&train(line, 1, 4, &settings));
        assert_eq!(one, values(&train(line, 1, 4, &settings)));
        let cut = |all: &[(u64, f64, Vec<Option<f64>>)]| -> Vec<f64> {
            all.iter().map(|(_, objective, _)| *objective).collect()
        };
        assert_eq!(cut(&one), cut(&values(&train(line, 2, 2, &settings))));
        assert_eq!(cut(&one), cut(&values(&train(line, 4, 1, &settings))));
    }
}

/// Whatever travels, every worker's matrix is the same in the end, to the bit.
#[test]
fn factors_make_the_run_that_full_matrices_make() {
    let settings = Settings {
        clocks_per_pass: 16,
        ..settings(12)
    };
    for (ranks, workers) in [(2, 1), (3, 1), (2, 2)] {
        let run = |exchange: &str| {
            let line = format!("-k 5 --learning-rate 1 --weight 5 --batch 30 --exchange {exchange}");
            values(&train(&line, ranks, workers, &settings))
        };
        let full = run("full");
        assert!(full[11].1 < full[0].1);
        assert_eq!(run("factors"), full, "{ranks} {workers}");
        assert_eq!(run("indices"), full, "{ranks} {workers}");
    }
}

#[test]
fn stale_workers_learn_by_factors() {
    for consistency in [Consistency::Ssp, Consistency::Essp] {
        for exchange in ["factors", "indices"] {
            let line = format!("{SMALL} --exchange {exchange}");
            let records = train(&line, 2, 1, &stale(consistency, 80));
            let (first, last) = (&records[0].columns, &records.last().unwrap().columns);
            let (was, is) = (first[1].unwrap(), last[1].unwrap());
            assert!(is > was + 0.15, "{consistency:?} {exchange}: {was} {is}");
            assert!(records.iter().all(|record| record.staleness_max <= 1));
        }
    }
}

#[test]
fn a_resumed_run_is_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let with = |clocks, resume| Settings {
        checkpoint: Some(folder.path().join("checkpoints")),
        checkpoint_every: 3,
        resume,
        force: true,
        ..settings(clocks)
    };
    for exchange in ["full", "indices"] {
        let line = format!("{SMALL} --exchange {exchange}");
        let whole = train(&line, 2, 1, &with(8, false));
        train(&line, 2, 1, &with(6, false));
        let resumed = train(&line, 2, 1, &with(8, true));
        assert_eq!(values(&whole), values(&resumed), "{exchange}");
    }
}

/// Points of two blobs, with a feature that tells nothing, and pairs of them.
fn listed(folder: &Path) -> String {
    let (mut points, mut similar, mut dissimilar) = (String::new(), String::new(), String::new());
    for n in 0..40 {
        let noise = f64::from(n * 37 % 40) / 40.0;
        let side = f64::from(n % 2);
        points += &format!("{},{}\n", side + 0.3 * noise, 5.0 * f64::from(n * 23 % 40));
        similar += &format!("{n},{}\n", (n + 2) % 40);
        dissimilar += &format!("{n},{}\n", (n + 1) % 40);
    }
    for (name, text) in [("x.csv", points), ("s.csv", similar), ("d.csv", dissimilar)] {
        fs::write(folder.join(name), text).unwrap();
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let (x, s, d) = (path("x.csv"), path("s.csv"), path("d.csv"));
    format!("{x} --target-column none --similar {s} --dissimilar {d}")
}

#[test]
fn pairs_come_from_files_and_the_saved_map_takes_features_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        output: Some(folder.path().join("model")),
        ..settings(60)
    };
    let line = format!("{} --batch 20 --learning-rate 0.5", listed(folder.path()));
    let records = train(&line, 1, 2, &settings);
    let last = records.last().unwrap();
    assert_eq!(last.columns[1..], [None, None]);
    assert!(last.objective < 0.5, "{}", last.objective);
    let mut tensors = read_tensors(&folder.path().join("model/model.safetensors")).unwrap();
    let l = take(&mut tensors, "L").unwrap();
    assert_eq!(l.shape, [2, 2]);
    let l: Vec<f32> = l.values().unwrap();
    // Blobs are 1 apart in the first feature; the second one ranges over 200.
    let apart = l[0] * l[0] + l[2] * l[2];
    let noise = 200.0f32.powi(2) * (l[1] * l[1] + l[3] * l[3]);
    assert!(apart > 0.7 && noise < 0.2 * apart, "{apart} {noise}");
}

#[test]
fn wrong_pairs_are_refused_at_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let line = listed(folder.path());
    fs::write(folder.path().join("d.csv"), "0,1\n0,40\n").unwrap();
    let options = options::<Options>(&line);
    let make = || Ok(Dml::new(options.clone()));
    let error = run_in_process(InProcess::Local, 1, 1, &settings(1), make).unwrap_err();
    let expected = "d.csv:2: expected two numbers of examples, 0 to 39, a line";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn the_generator_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| {
        let line = format!("-o {} --name {name} --points 20", folder.path().display());
        let options = options(&line);
        super::generate::run(options, &Notes::silent()).unwrap();
        fs::read_to_string(folder.path().join(format!("clusters.{name}.csv"))).unwrap()
    };
    let one = text("a");
    assert_eq!(one, text("b"));
    assert_eq!(one.lines().count(), 20);
}

/// Points of four classes with 4 values among 150 features, as libsvm and as csv.
fn sparse_and_dense(folder: &Path) -> [String; 2] {
    let (mut sparse, mut dense) = (String::new(), String::new());
    for n in 0..120usize {
        let class = n % 4;
        let mut values = std::collections::BTreeMap::new();
        values.insert(class * 3 + n / 4 % 3, 1.0 + (n % 7) as f64 / 4.0);
        for k in 0..3usize {
            values.insert(12 + (n * 31 + k * 47 + n * n * k) % 138, 0.5 + (n % 5) as f64 / 4.0);
        }
        let pairs = values.iter().map(|(column, value)| format!(" {}:{value}", column + 1));
        sparse += &format!("{class}{}\n", pairs.collect::<String>());
        let all = (0..150).map(|column| format!(",{}", values.get(&column).unwrap_or(&0.0)));
        dense += &format!("{class}{}\n", all.collect::<String>());
    }
    sparse += "0 150:1\n";
    dense += &format!("0{},1\n", ",0".repeat(149));
    [("x.svm", sparse), ("x.csv", dense)].map(|(name, text)| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    })
}

fn close(one: &[Record], other: &[Record]) {
    for (one, other) in one.iter().zip(other) {
        let apart = (one.objective / other.objective - 1.0).abs();
        assert!(apart < 1e-5, "{} {}", one.objective, other.objective);
        assert_eq!(one.columns[0], other.columns[0]);
    }
    assert_eq!(one.len(), other.len());
}

#[test]
fn sparse_examples_give_what_they_give_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let [sparse, dense] = sparse_and_dense(folder.path());
    for (flags, ranks, workers, consistency) in [
        ("-k 20 --initial random --batch 20", 1, 1, Consistency::Bsp),
        ("-k 20 --initial random --batch 30 --weight 5", 1, 1, Consistency::Ssp),
        ("-k 17 --initial pca --batch 20", 2, 2, Consistency::Bsp),
        ("-k 12 --initial random --batch 20 --exchange indices", 3, 1, Consistency::Bsp),
    ] {
        let of = |path: &str, name: &str| {
            let settings = Settings {
                consistency,
                clocks_per_pass: 2,
                output: Some(folder.path().join(format!("{name}-{flags}"))),
                ..settings(8)
            };
            let line = format!("{path} {flags} --holdout 0.2");
            train(&line, ranks, workers, &settings)
        };
        close(&of(&sparse, "sparse"), &of(&dense, "dense"));
        let matrix = |name: &str| -> Vec<f32> {
            let file = folder.path().join(format!("{name}-{flags}/model.safetensors"));
            let mut tensors = read_tensors(&file).unwrap();
            take(&mut tensors, "L").unwrap().values().unwrap()
        };
        let (one, other) = (matrix("sparse"), matrix("dense"));
        assert_eq!(one.len(), other.len());
        let apart = one.iter().zip(&other).map(|(x, y)| (x - y).abs() / (1e-1 + y.abs()));
        assert!(apart.fold(0.0, f32::max) < 1e-4);
    }
}

#[test]
fn a_resumed_run_on_sparse_examples_is_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let [sparse, _] = sparse_and_dense(folder.path());
    let line = format!("{sparse} -k 6 --batch 20");
    let with = |clocks, resume| Settings {
        checkpoint: Some(folder.path().join("checkpoints")),
        checkpoint_every: 3,
        resume,
        force: true,
        ..settings(clocks)
    };
    let whole = train(&line, 2, 1, &with(8, false));
    train(&line, 2, 1, &with(6, false));
    assert_eq!(values(&whole), values(&train(&line, 2, 1, &with(8, true))));
}

#[test]
fn sums_of_rows_are_products_of_the_whole_matrix() {
    let folder = tempfile::tempdir().unwrap();
    let [sparse, dense] = sparse_and_dense(folder.path());
    let read = |path: String| {
        let how = ExamplesOptions::default();
        load_examples(&[path.into()], &how).unwrap().features
    };
    let (sparse, dense) = (read(sparse), read(dense));
    let (width, rank) = (150, 33);
    let matrix: Vec<f32> = (0..rank * width).map(|at| (at as f32 * 0.37).sin()).collect();
    let by_feature = transposed(&matrix, width);
    assert_eq!(transposed(&by_feature, rank), matrix);
    let pairs: Vec<[u32; 2]> = (0..50).map(|n| [n, n * 7 % 121]).collect();
    let images = |features: &Features, matrix: &[f32]| {
        let mut found = Vec::new();
        let mut mapper = Mapper::new(features, Kernel::new(), rank, 64);
        mapper.map(matrix, features, &[3, 120, 0], |_, image| found.extend_from_slice(image));
        mapper.map_pairs(matrix, features, &pairs, |_, image| found.extend_from_slice(image));
        found
    };
    let (one, other) = (images(&sparse, &by_feature), images(&dense, &matrix));
    assert_eq!(one.len(), 53 * rank);
    for (one, other) in one.iter().zip(&other) {
        assert!((one - other).abs() < 1e-5, "{one} {other}");
    }
}

/// Steps that are stable when one worker takes them are too long when four add up what they learn of
/// one old L, unless they know of each other.
#[test]
fn steps_that_know_of_other_workers_stand_longer_rates() {
    let after = |scaling: &str| {
        let line = "-k 5 --batch 50 --weight 5 --learning-rate 2 --exchange indices";
        let options = options::<Options>(&format!("{line} --step-scaling {scaling}"));
        let settings = Settings {
            consistency: Consistency::Ssp,
            staleness: 3,
            clocks_per_pass: 4,
            ..settings(60)
        };
        let make = || Ok(Dml::new(options.clone()));
        let run = run_in_process(InProcess::Coded, 4, 1, &settings, make);
        run.map_or(f64::INFINITY, |records| records.last().unwrap().objective)
    };
    let [none, staleness, delay] = ["none", "staleness", "delay"].map(after);
    assert!(none > 10.0, "{none}");
    assert!(staleness < 2.0 && delay < 2.0, "{staleness} {delay}");
}
