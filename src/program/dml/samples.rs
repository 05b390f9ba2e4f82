//! Examples in memory, one copy for all workers of a process, and the pairs that they make.

use std::path::Path;

use super::mapper::write;
use super::options::Options;
use crate::data::{
    Examples, ExamplesFormat, ExamplesOptions, Features, TargetColumn, load_examples,
    load_examples_bytes,
};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::gemm::{BySample, PANEL};
use crate::math::rng::Rng;
use crate::program::holdout::is_held_out;

/// Part of the examples that is held out where the user does not say.
const HOLDOUT: f64 = 0.1;
/// Sparse examples are written out if at least one value of so many is not 0: products of whole
/// matrices make that much better use of the processor than sums of some of their rows.
const SPARSE: usize = 32;
/// Most values of sparse examples, written out.
const VALUES_MAX: usize = 1 << 30;
/// A standard deviation this much smaller than the values is rounding.
const CONSTANT: f64 = 1e-6;

static SAMPLE: &[u8] = include_bytes!("../../../datasets/sample-dml/clusters.sample.csv.gz");

/// What all workers of a process read.
pub(super) struct Data {
    pub(super) width: usize,
    /// The examples, scaled.
    pub(super) features: Features,
    /// The examples for the test, if they are others.
    test: Option<Features>,
    /// By example: its class.
    pub(super) classes: Vec<u32>,
    pub(super) test_classes: Vec<u32>,
    pub(super) train_rows: Vec<u32>,
    pub(super) test_rows: Vec<u32>,
    pub(super) pairs: Pairs,
    /// What each feature was multiplied by.
    pub(super) scales: Vec<f64>,
    pub(super) names: Option<Vec<String>>,
    /// The index of the first feature in libsvm files.
    pub(super) first_index: u32,
}

/// Where pairs come from.
pub(super) enum Pairs {
    /// Examples of training by class.
    Labels(Vec<Vec<u32>>),
    /// Similar and dissimilar ones, from files.
    Listed([Vec<[u32; 2]>; 2]),
}

impl Data {
    /// Reads everything: every rank does.
    pub(super) fn read(options: &Options, host: &Host) -> Result<Data> {
        let threads = host.threads();
        let listed = options.similar.is_some();
        let train = read_train(options, threads, host)?;
        let test = match &options.test {
            Some(path) => {
                let how = options.examples.options_like(threads, &train);
                Some(load_examples(std::slice::from_ref(path), &how)?)
            }
            None => None,
        };
        let share = match (&test, listed) {
            (Some(_), _) => 0.0,
            (None, true) => options.holdout.unwrap_or(0.0),
            (None, false) => options.holdout.unwrap_or(HOLDOUT),
        };
        let held_out = |row: &u32| is_held_out(host.seed(), u64::from(*row), share);
        let (held, train_rows): (Vec<u32>, Vec<u32>) =
            (0..train.rows() as u32).partition(held_out);
        let pairs = |classes: &[u32]| match (&options.similar, &options.dissimilar) {
            (Some(similar), Some(dissimilar)) => Pairs::listed(similar, dissimilar, train.rows()),
            _ => Pairs::of_labels(classes, &train_rows),
        };
        let (classes, test_classes) = classes(&train, test.as_ref(), listed)?;
        let pairs = pairs(&classes)?;
        let (width, names, first_index) = (train.features.width(), train.names.clone(), train.first_index);
        let mut features = fitting(train.features);
        let scales = scales(&features, &train_rows);
        scale(&mut features, &scales);
        let mut data = Data {
            width,
            features,
            test: None,
            test_rows: if classes.is_empty() { Vec::new() } else { held },
            classes,
            test_classes,
            train_rows,
            pairs,
            scales,
            names,
            first_index,
        };
        if let Some(test) = test {
            data.test_rows = (0..test.rows() as u32).collect();
            let mut features = test.features;
            scale(&mut features, &data.scales);
            data.test = Some(features);
        }
        Ok(data)
    }

    /// True if the examples are not written out.
    pub(super) fn is_sparse(&self) -> bool {
        matches!(self.features, Features::Sparse { .. })
    }

    /// True if there is such an example.
    pub(super) fn has(&self, row: u32) -> bool {
        (row as usize) < self.features.rows()
    }

    /// Puts the difference of a pair of examples that are written out to its place.
    pub(super) fn subtract(&self, [one, two]: [u32; 2], to: &mut BySample, sample: usize) {
        let row = |row: u32| self.features.dense_row(row as usize).unwrap_or_default();
        let (one, two) = (row(one), row(two));
        for (panel, (one, two)) in one.chunks(PANEL).zip(two.chunks(PANEL)).enumerate() {
            let to = to.piece_mut(panel, sample);
            for (to, (one, two)) in to.iter_mut().zip(one.iter().zip(two)) {
                *to = one - two;
            }
        }
    }

    /// Where the test examples are.
    pub(super) fn test_features(&self) -> &Features {
        self.test.as_ref().unwrap_or(&self.features)
    }

    /// The class of a test example.
    pub(super) fn test_class(&self, row: u32) -> u32 {
        match &self.test {
            Some(_) => self.test_classes[row as usize],
            None => self.classes[row as usize],
        }
    }
}

fn read_train(options: &Options, threads: usize, host: &Host) -> Result<Examples> {
    if !options.examples.data.is_empty() {
        return load_examples(&options.examples.data, &options.examples.options(threads));
    }
    if options.test.is_some() || options.similar.is_some() {
        let message = "--test and --similar: need DATA, which they are about";
        return Err(Error::Usage(message.into()));
    }
    host.note("no data given: training on the built-in sample (2,000 points of 10 classes)");
    let how = ExamplesOptions {
        threads,
        ..ExamplesOptions::default()
    };
    load_examples_bytes("clusters.sample.csv.gz", SAMPLE, &how)
}

/// The classes of training and test examples; none where pairs are listed and there are no targets.
fn classes(
    train: &Examples,
    test: Option<&Examples>,
    listed: bool,
) -> Result<(Vec<u32>, Vec<u32>)> {
    if listed && train.targets.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let classes = train.class_targets()?;
    let of_test = test.map(|test| test.targets.classes_among(&classes.names));
    Ok((classes.of, of_test.unwrap_or_default()))
}

/// The examples as they are best worked with: few values among many features as they are, others written
/// out.
pub(super) fn fitting(features: Features) -> Features {
    let (rows, width) = (features.rows(), features.width());
    let all = rows.saturating_mul(width);
    if matches!(features, Features::Dense { .. }) || features.values() < all / SPARSE || all > VALUES_MAX {
        return features;
    }
    let mut values = vec![0.0; all];
    for (row, values) in (0..).zip(values.chunks_exact_mut(width.max(1))) {
        write(&features, row, values);
    }
    Features::Dense { width, values }
}

/// What brings each feature to one standard deviation, such that the squared distances of pairs of
/// examples have mean 1.
fn scales(features: &Features, rows: &[u32]) -> Vec<f64> {
    let width = features.width();
    let (mut sums, mut squares) = (vec![0.0f64; width], vec![0.0f64; width]);
    let mut add = |column: usize, value: f32| {
        let value = f64::from(value);
        sums[column] += value;
        squares[column] += value * value;
    };
    for row in rows {
        if let Some(values) = features.dense_row(*row as usize) {
            values.iter().enumerate().for_each(|(column, value)| add(column, *value));
        } else if let Some((columns, values)) = features.sparse_row(*row as usize) {
            let pairs = columns.iter().zip(values);
            pairs.for_each(|(column, value)| add(*column as usize, *value));
        }
    }
    let count = rows.len() as f64;
    let deviation = |(sum, square): (&f64, &f64)| {
        let (mean, square) = (sum / count, square / count);
        let variance = square - mean * mean;
        let varies = variance > CONSTANT * CONSTANT * square;
        varies.then(|| variance.sqrt())
    };
    let deviations: Vec<Option<f64>> = sums.iter().zip(&squares).map(deviation).collect();
    let varying = deviations.iter().flatten().count().max(1) as f64;
    let scale = |deviation: &Option<f64>| deviation.map_or(0.0, |d| 1.0 / (d * (2.0 * varying).sqrt()));
    deviations.iter().map(scale).collect()
}

fn scale(features: &mut Features, scales: &[f64]) {
    let scaled = |value: &mut f32, scale: f64| *value = (f64::from(*value) * scale) as f32;
    match features {
        Features::Dense { values, .. } => {
            for row in values.chunks_exact_mut(scales.len().max(1)) {
                row.iter_mut().zip(scales).for_each(|(value, scale)| scaled(value, *scale));
            }
        }
        Features::Sparse { columns, values, .. } => {
            let pairs = values.iter_mut().zip(columns);
            pairs.for_each(|(value, column)| scaled(value, scales[*column as usize]));
        }
    }
}

impl Pairs {
    fn of_labels(classes: &[u32], rows: &[u32]) -> Result<Pairs> {
        let number = classes.iter().max().map_or(0, |class| *class as usize + 1);
        let mut by_class = vec![Vec::new(); number];
        for row in rows {
            by_class[classes[*row as usize] as usize].push(*row);
        }
        by_class.retain(|rows: &Vec<u32>| !rows.is_empty());
        match by_class.len() {
            0 | 1 => Err(Error::Usage(
                "--holdout: leaves fewer than two classes to train on".into(),
            )),
            _ => Ok(Pairs::Labels(by_class)),
        }
    }

    fn listed(similar: &Path, dissimilar: &Path, rows: usize) -> Result<Pairs> {
        Ok(Pairs::Listed([read_pairs(similar, rows)?, read_pairs(dissimilar, rows)?]))
    }

    /// A similar pair for 0, a dissimilar one for 1.
    pub(super) fn draw(&self, kind: usize, rng: &mut Rng) -> [u32; 2] {
        match self {
            Pairs::Listed(pairs) => pairs[kind][rng.below(pairs[kind].len() as u64) as usize],
            Pairs::Labels(by_class) => {
                let (class, one) = any(by_class, rng);
                if kind == 0 {
                    let of = &by_class[class];
                    return [one, of[rng.below(of.len() as u64) as usize]];
                }
                loop {
                    let (other, two) = any(by_class, rng);
                    if other != class {
                        return [one, two];
                    }
                }
            }
        }
    }
}

/// Numbers above this are not all exact in 32-bit floats.
const EXACT: usize = 1 << 24;

/// Pairs of numbers of examples, one pair a line.
pub(super) fn read_pairs(path: &Path, rows: usize) -> Result<Vec<[u32; 2]>> {
    if rows > EXACT {
        let message = format!("{}: at most {EXACT} examples can be numbered, here are {rows}", path.display());
        return Err(Error::Usage(message));
    }
    let how = ExamplesOptions {
        format: Some(ExamplesFormat::Csv),
        target: Some(TargetColumn::None),
        ..ExamplesOptions::default()
    };
    let table = load_examples(&[path.to_path_buf()], &how)?;
    let wrong = |line: usize| {
        let message = format!("expected two numbers of examples, 0 to {}, a line", rows - 1);
        Error::data(path, line as u64 + 1, 0, message)
    };
    let number = |value: f32| {
        let is_number = value >= 0.0 && value.fract() == 0.0 && (value as usize) < rows;
        is_number.then_some(value as u32)
    };
    (0..table.rows())
        .map(|line| match table.features.dense_row(line) {
            Some([one, two]) => match (number(*one), number(*two)) {
                (Some(one), Some(two)) => Ok([one, two]),
                _ => Err(wrong(line)),
            },
            _ => Err(wrong(line)),
        })
        .collect()
}

/// Any example, with its class.
fn any(by_class: &[Vec<u32>], rng: &mut Rng) -> (usize, u32) {
    let all: usize = by_class.iter().map(Vec::len).sum();
    let mut at = rng.below(all as u64) as usize;
    for (class, rows) in by_class.iter().enumerate() {
        match rows.get(at) {
            Some(row) => return (class, *row),
            None => at -= rows.len(),
        }
    }
    (0, by_class[0][0])
}
