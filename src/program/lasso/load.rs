//! From the user's files to columns, dealt out to workers.
//!
//! Every rank has all columns: of a mapped file it reads those of its own workers, and those few that
//! the fit needs.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::leader::Leader;
use super::options::{Loss, Options};
use super::part::{Data, Part, SIZES};
use super::problem::Problem;
use crate::data::{ColumnRef, Design, RowIds, load_examples, load_examples_bytes};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::columns::{ByColumns, Column, Rows};
use crate::math::rng::Rng;

/// Stream of [`Rng`] by which samples are dealt out to folds.
const OF_FOLDS: u64 = 1;
/// `--tolerance` of a run that has none.
const TOLERANCE: f64 = 1e-6;

static SAMPLE: &[u8] = include_bytes!("../../../datasets/sample-lasso/examples.sample.csv.gz");

impl ByColumns for Design {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn len(&self) -> usize {
        self.columns()
    }

    #[inline]
    fn column(&self, column: usize) -> Column<'_> {
        match self.column(column) {
            ColumnRef::Dense(values) => Column::Dense(values),
            ColumnRef::Sparse { rows, values } => Column::Sparse {
                rows: match rows {
                    RowIds::Short(rows) => Rows::Short(rows),
                    RowIds::Long(rows) => Rows::Long(rows),
                },
                values,
            },
        }
    }

    fn work_before(&self, column: usize) -> u64 {
        self.bytes_before(column)
    }

    fn expect(&self, columns: Range<usize>) {
        self.expect(columns);
    }

    fn release(&self, columns: Range<usize>) {
        self.release(columns);
    }
}

/// What of the data a model needs.
#[derive(Default)]
pub(super) struct Names {
    design: Option<Arc<Design>>,
    /// The two classes of the logistic loss, that with target 0 first.
    pub(super) classes: Vec<String>,
}

impl Names {
    /// The name of a feature: the user's, or its number.
    pub(super) fn of(&self, column: u32) -> String {
        let name = self.design.as_ref().and_then(|design| design.name(column as usize));
        match name {
            Some(name) => name.to_owned(),
            None => (u64::from(column) + u64::from(self.first_index())).to_string(),
        }
    }

    /// The error of a feature whose size is outside [`SIZES`].
    pub(super) fn extreme(&self, column: u32, size: f64) -> Error {
        let path = self.design.as_ref().map_or(Path::new(""), |design| design.path());
        extreme(path, &format!("feature {}", self.of(column)), size)
    }

    /// True if the user named the features.
    pub(super) fn given(&self) -> bool {
        self.design.as_ref().is_some_and(|design| design.has_names())
    }

    pub(super) fn first_index(&self) -> u32 {
        self.design.as_ref().map_or(1, |design| design.first_index())
    }

    pub(super) fn features(&self) -> usize {
        self.design.as_ref().map_or(0, |design| design.columns())
    }
}

fn extreme(path: &Path, what: &str, size: f64) -> Error {
    let [least, most] = SIZES;
    let message = format!(
        "expected {what} to be between {least:e} and {most:e} in size (the root of the mean square), \
         saw {size:e}; tell it in another unit"
    );
    Error::data(path, 0, 0, message)
}

/// What a rank has loaded.
pub(super) struct Loaded {
    /// On rank 0 alone.
    pub(super) leader: Option<Leader>,
    pub(super) parts: Vec<Part>,
    pub(super) names: Names,
}

/// Reads everything, and deals this rank's columns out to its workers.
pub(super) fn load(options: &Options, host: &Host) -> Result<Loaded> {
    let design = Arc::new(read(options, host)?);
    let (whole, classes) = problem(options, &design)?;
    if let Some(folds) = options.folds
        && folds as usize > whole.samples()
    {
        return Err(Error::Usage(format!(
            "--folds: {folds} is too large, there are {} samples",
            whole.samples()
        )));
    }
    let data = Arc::new(Data {
        problems: folds(whole, options.folds.unwrap_or(0), host.seed()),
        design: Arc::clone(&design) as Arc<dyn ByColumns>,
        standardize: options.standardize,
    });
    let world = host.world();
    let ranges = ranges(&*data.design, world.workers() as usize);
    let parts = world
        .local(host.rank())
        .map(|worker| Part::new(&data, ranges[worker as usize].clone(), worker == 0))
        .collect();
    let tolerance = host.tolerance().unwrap_or(TOLERANCE);
    let (threads, ranks, seed) = (host.threads(), world.ranks(), host.seed());
    let leader = || Leader::new(options, &data, threads, ranks, tolerance, seed);
    Ok(Loaded {
        leader: (host.rank() == 0).then(leader),
        parts,
        names: Names {
            design: Some(design),
            classes,
        },
    })
}

fn read(options: &Options, host: &Host) -> Result<Design> {
    let threads = host.threads();
    let how = options.examples.options(threads);
    let paths: &[PathBuf] = &options.examples.data;
    match paths {
        [] => {
            host.note(
                "no data given: training on the built-in sample (200 examples, 500 features, 8 of \
                 them planted)",
            );
            Design::of(load_examples_bytes("the built-in sample", SAMPLE, &how)?, threads)
        }
        [path] if Design::is_at(path) => {
            let mut others = options.examples.clone();
            let columns = &mut others.columns;
            let (targets, weights) = (columns.targets.take(), columns.weights.take());
            others.refuse_all(
                "examples that are read: a design has this already, give it to petuum convert",
            )?;
            Design::open(path, threads)?.with(targets.as_deref(), weights.as_deref())
        }
        _ => {
            let pipe = paths.iter().any(|path| path.as_os_str() == "-");
            if pipe && host.world().ranks() > 1 {
                return Err(Error::Usage(
                    "-: standard input cannot be shared by several ranks, name a file".into(),
                ));
            }
            Design::of(load_examples(paths, &how)?, threads)
        }
    }
}

/// Targets and weights, and the names of the classes if there are.
fn problem(options: &Options, design: &Design) -> Result<(Problem, Vec<String>)> {
    let (targets, classes) = match options.loss {
        Loss::Squared => (design.number_targets()?.to_vec(), Vec::new()),
        Loss::Logistic => {
            let classes = design.class_targets()?;
            if classes.names.len() > 2 {
                return Err(Error::data(
                    design.path(),
                    0,
                    0,
                    format!("expected two classes for --loss logistic, saw {}", classes.names.len()),
                ));
            }
            (classes.of.iter().map(|class| f64::from(*class)).collect(), classes.names)
        }
    };
    let weights: Vec<f64> = match design.weights() {
        Some(weights) => weights.iter().map(|weight| f64::from(*weight)).collect(),
        None => vec![1.0; targets.len()],
    };
    if weights.iter().sum::<f64>() <= 0.0 {
        let message = "expected a weight above 0, saw none";
        return Err(Error::data(design.path(), 0, 0, message));
    }
    let problem = Problem::new(targets, weights, options.loss, !options.no_intercept);
    let pairs = problem.targets.iter().zip(&problem.weights);
    // A square may overflow before its root is known.
    let size = pairs.fold(0.0f64, |size, (y, weight)| size.hypot(weight.sqrt() * y));
    match size > 0.0 && !(SIZES[0]..=SIZES[1]).contains(&size) {
        true => Err(extreme(design.path(), "the target", size)),
        false => Ok((problem, classes)),
    }
}

/// All samples, and then all but those of each fold.
fn folds(whole: Problem, folds: u32, seed: u64) -> Vec<Problem> {
    let mut rng = Rng::stream(seed, OF_FOLDS, 0, 0);
    let mut order: Vec<usize> = (0..whole.samples()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, rng.below(last as u64 + 1) as usize);
    }
    let mut of_sample = vec![0; order.len()];
    for (place, sample) in order.into_iter().enumerate() {
        of_sample[sample] = place % folds.max(1) as usize;
    }
    let parts: Vec<Problem> = (0..folds as usize)
        .map(|fold| whole.without(|sample| of_sample[sample] == fold))
        .collect();
    std::iter::once(whole).chain(parts).collect()
}

/// Neighbouring columns with equal work for each worker.
fn ranges(design: &dyn ByColumns, workers: usize) -> Vec<Range<usize>> {
    let columns = design.len();
    // A column costs something even if nothing is stored.
    let cost = |column: usize| design.work_before(column) + 16 * column as u64;
    let total = cost(columns);
    let cut = |worker: usize| {
        let goal = (u128::from(total) * worker as u128 / workers as u128) as u64;
        let (mut low, mut high) = (0, columns);
        while low < high {
            let middle = low + (high - low) / 2;
            match cost(middle) < goal {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    };
    let cuts: Vec<usize> = (0..workers).map(cut).chain([columns]).collect();
    cuts.windows(2).map(|cuts| cuts[0]..cuts[1]).collect()
}
