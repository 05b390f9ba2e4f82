//! Samples in memory, one copy for all workers of a process: features on a common scale, labels, and
//! which of them are trained on.

use std::sync::Arc;

use super::loss::Labels;
use super::options::{Loss, Options, Standardize};
use crate::data::{Examples, ExamplesFormat, ExamplesOptions, Features, load_examples, load_examples_bytes};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::program::holdout::is_held_out;

/// Part of the examples that is held out where the user does not say.
const HOLDOUT: f64 = 0.1;
/// A standard deviation this much smaller than the values is rounding.
const CONSTANT: f64 = 1e-6;

static SAMPLE: &[u8] = include_bytes!("../../../datasets/sample-dnn/rings.sample.csv.gz");

/// Examples and what is known of them.
pub(super) struct Samples {
    pub(super) features: Features,
    pub(super) labels: Labels,
    pub(super) weights: Option<Vec<f32>>,
}

/// What all workers of a process read.
pub(super) struct Data {
    pub(super) train: Arc<Samples>,
    pub(super) test: Arc<Samples>,
    /// The samples of `train` that are trained on.
    pub(super) train_rows: Vec<u32>,
    /// The samples of `test` that are predicted.
    pub(super) test_rows: Vec<u32>,
    pub(super) known: Known,
}

/// What a model has to know of the data.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) inputs: usize,
    pub(super) sparse: bool,
    /// The classes' names; none if numbers are predicted.
    pub(super) classes: Vec<String>,
    /// The features' names, if there are any.
    pub(super) names: Option<Vec<String>>,
    pub(super) first_index: u32,
    /// What was taken off each feature, and what it was then multiplied by.
    pub(super) scaling: Option<Scaling>,
    /// The same of targets that are numbers.
    pub(super) target_scaling: (f64, f64),
}

/// `(x − mean) · scale`, by feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaling {
    pub(super) means: Vec<f64>,
    pub(super) scales: Vec<f64>,
}

impl Data {
    /// Reads everything: every rank does.
    pub(super) fn read(options: &Options, host: &Host) -> Result<Data> {
        let threads = host.threads();
        let train = read_train(options, threads, host)?;
        if train.rows() > u32::MAX as usize - 1 {
            return Err(Error::Usage("at most 4,294,967,294 examples".into()));
        }
        let test = read_test(options, threads, &train)?;
        let share = match &test {
            Some(_) => 0.0,
            None => options.holdout.unwrap_or(HOLDOUT),
        };
        let held_out = |row: &u32| is_held_out(host.seed(), u64::from(*row), share);
        let all = 0..train.rows() as u32;
        let (held, trained): (Vec<u32>, Vec<u32>) = all.partition(held_out);
        if trained.is_empty() {
            return Err(Error::Usage("--holdout: leaves no example to train on".into()));
        }
        let test_rows = match &test {
            Some(test) => (0..test.rows() as u32).collect(),
            None => held,
        };
        Data::prepare(options, train, test, trained, test_rows)
    }

    fn prepare(
        options: &Options,
        mut train: Examples,
        mut test: Option<Examples>,
        train_rows: Vec<u32>,
        test_rows: Vec<u32>,
    ) -> Result<Data> {
        let scaling = Scaling::of(options.standardize, &train, &train_rows);
        if let Some(scaling) = &scaling {
            scaling.apply(&mut train.features);
            if let Some(test) = &mut test {
                scaling.apply(&mut test.features);
            }
        }
        let mut known = Known {
            inputs: train.features.width(),
            sparse: matches!(train.features, Features::Sparse { .. }),
            classes: Vec::new(),
            names: train.names.take(),
            first_index: train.first_index,
            scaling,
            target_scaling: (0.0, 1.0),
        };
        let labels = labels(options, &train, &train_rows, &mut known)?;
        let tested = match &test {
            Some(test) => Some(test_labels(options, test, &known)?),
            None => None,
        };
        let samples = |examples: Examples, labels| {
            Arc::new(Samples {
                features: examples.features,
                labels,
                weights: examples.weights,
            })
        };
        let train = samples(train, labels);
        let test = match (test, tested) {
            (Some(test), Some(labels)) => samples(test, labels),
            _ => Arc::clone(&train),
        };
        Ok(Data {
            train,
            test,
            train_rows,
            test_rows,
            known,
        })
    }
}

fn read_train(options: &Options, threads: usize, host: &Host) -> Result<Examples> {
    if !options.examples.data.is_empty() {
        return load_examples(&options.examples.data, &options.examples.options(threads));
    }
    if options.test.is_some() {
        return Err(Error::Usage("--test: needs DATA, whose features it has".into()));
    }
    host.note("no data given: training on the built-in sample (3,000 points of three rings)");
    let how = ExamplesOptions {
        threads,
        ..ExamplesOptions::default()
    };
    load_examples_bytes("rings.sample.csv.gz", SAMPLE, &how)
}

fn read_test(options: &Options, threads: usize, train: &Examples) -> Result<Option<Examples>> {
    let Some(path) = &options.test else {
        return Ok(None);
    };
    let how = ExamplesOptions {
        targets: options.test_targets.clone(),
        ..options.examples.options_like(threads, train)
    };
    load_examples(std::slice::from_ref(path), &how).map(Some)
}

fn labels(
    options: &Options,
    train: &Examples,
    rows: &[u32],
    known: &mut Known,
) -> Result<Labels> {
    match options.loss {
        Loss::CrossEntropy => {
            let classes = train.class_targets()?;
            known.classes = classes.names;
            Ok(Labels::Classes(classes.of))
        }
        Loss::Squared => {
            let numbers = train.number_targets()?;
            let chosen = || rows.iter().map(|row| numbers[*row as usize]);
            let mean = chosen().sum::<f64>() / rows.len() as f64;
            let square = chosen().map(|y| (y - mean).powi(2)).sum::<f64>() / rows.len() as f64;
            let deviation = if square > 0.0 { square.sqrt() } else { 1.0 };
            known.target_scaling = (mean, deviation);
            Ok(scaled(numbers, known.target_scaling))
        }
    }
}

fn test_labels(options: &Options, test: &Examples, known: &Known) -> Result<Labels> {
    match options.loss {
        Loss::CrossEntropy => {
            test.class_targets()?;
            Ok(Labels::Classes(test.targets.classes_among(&known.classes)))
        }
        Loss::Squared => Ok(scaled(test.number_targets()?, known.target_scaling)),
    }
}

fn scaled(numbers: &[f64], (mean, deviation): (f64, f64)) -> Labels {
    let scale = |y: &f64| ((y - mean) / deviation) as f32;
    Labels::Numbers(numbers.iter().map(scale).collect())
}

impl Scaling {
    /// What brings the features of the samples `rows` to a common scale.
    fn of(how: Standardize, examples: &Examples, rows: &[u32]) -> Option<Scaling> {
        let together = match how {
            Standardize::None => return None,
            Standardize::Auto => {
                if matches!(examples.features, Features::Sparse { .. }) {
                    return None;
                }
                examples.format == ExamplesFormat::Idx
            }
            Standardize::Features => false,
            Standardize::Together => true,
        };
        let width = examples.features.width();
        let (mut sums, mut squares) = (vec![0.0f64; width], vec![0.0f64; width]);
        let mut add = |feature: usize, value: f32| {
            sums[feature] += f64::from(value);
            squares[feature] += f64::from(value) * f64::from(value);
        };
        for row in rows {
            if let Some(values) = examples.features.dense_row(*row as usize) {
                values.iter().enumerate().for_each(|(at, value)| add(at, *value));
            } else if let Some((at, values)) = examples.features.sparse_row(*row as usize) {
                at.iter().zip(values).for_each(|(at, value)| add(*at as usize, *value));
            }
        }
        let mut count = rows.len() as f64;
        if together {
            count *= width as f64;
            let (sum, square) = (sums.iter().sum::<f64>(), squares.iter().sum::<f64>());
            sums.fill(sum);
            squares.fill(square);
        }
        let centred = matches!(examples.features, Features::Dense { .. });
        let mean = |sum: &f64| if centred { sum / count } else { 0.0 };
        let means: Vec<f64> = sums.iter().map(mean).collect();
        let scale = |(square, mean): (&f64, &f64)| {
            let variance = square / count - mean * mean;
            let is_constant = variance <= CONSTANT * CONSTANT * square / count;
            if is_constant { 1.0 } else { 1.0 / variance.sqrt() }
        };
        let scales = squares.iter().zip(&means).map(scale).collect();
        Some(Scaling { means, scales })
    }

    fn apply(&self, features: &mut Features) {
        match features {
            Features::Dense { width, values } => {
                for row in values.chunks_exact_mut((*width).max(1)) {
                    for (x, (mean, scale)) in row.iter_mut().zip(self.means.iter().zip(&self.scales)) {
                        *x = ((f64::from(*x) - mean) * scale) as f32;
                    }
                }
            }
            Features::Sparse {
                columns, values, ..
            } => {
                for (value, column) in values.iter_mut().zip(columns) {
                    *value = (f64::from(*value) * self.scales[*column as usize]) as f32;
                }
            }
        }
    }
}
