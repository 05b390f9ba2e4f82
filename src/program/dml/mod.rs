//! Distance metrics: a linear map under which similar examples are near each other and dissimilar ones
//! are not.
//!
//! From pairs S of similar and D of dissimilar examples, find the matrix L (dimensions × features) that
//! minimises
//!
//! ```text
//! Σ_S ‖L (x − y)‖² / |S|  +  weight · Σ_D max(0, margin − ‖L (x − y)‖²) / |D|
//! ```
//!
//! (Xing et al., NIPS 2002, as reformulated for the parameter server by Xie et al., UAI 2016). Pairs are
//! drawn from labels (same class: similar) or from files. **Objective**: that sum over the pairs trained
//! on since the last record; lower is better. `violations` is the part of the dissimilar ones that are
//! nearer than the margin; `knn_accuracy` the part of the test examples whose class their nearest
//! training examples tell; `pair_auc` how often a similar pair of test examples is nearer than a
//! dissimilar one. **Expected**: isolet (6,238 + 1,559 examples), `-k 50`, a `knn_accuracy` of 0.924
//! after 30 passes, and 0.945 with `--weight 20 --batch 200`, where the space as it is has 0.913 and
//! its first 50 principal directions 0.900. These settings and the number of passes were chosen by this
//! accuracy itself, on the test examples: expect somewhat less on examples that had no say in it.
//!
//! **Few values among many features** (fewer than one of 32 in sparse files) stay as they are: L lies by
//! feature then, so that L(x − y) is a sum of contiguous rows, and a mini-batch reads, changes and sends
//! the rows of the features that it has alone.
//!
//! Features are brought to one standard deviation, and all of them to a scale at which pairs of examples
//! are 1 apart in the mean square; the saved L has these scales in it. **Stochastic gradient descent,
//! data-parallel**: L is a table, a row for each of its rows
//! (or features); a worker steps on mini-batches of its own
//! pairs and exchanges the sum of its steps with the table every few of them. Under `bsp` the changes of
//! W workers are averaged, otherwise they count less by the rule of `--step-scaling`
//! (`program/staleness.rs`). What travels may be the pairs of a mini-batch
//! and what L makes of them in the place of changes of L (`--exchange`; `program/factors.rs`).
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the flags |
//! | `samples.rs` | examples, and the pairs that they make |
//! | `linear.rs`, `sparse.rs` | a mini-batch through L and back |
//! | `mapper.rs` | either of them, to map alone |
//! | `pca.rs` | what L begins with |
//! | `part.rs` | what one worker holds, and what it does in a clock |
//! | `neighbors.rs` | nearest neighbours, and pairs in order |
//! | `sums.rs` | the objective |
//! | `predict.rs` | what a saved L makes of further examples |
//! | `generate.rs` | classes in a few directions among many that tell nothing |

pub mod generate;
mod linear;
mod mapper;
mod neighbors;
mod options;
mod part;
mod pca;
pub mod predict;
mod samples;
mod sparse;
mod sums;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::About;
use super::factors::{self, Counts, Form, Replica};
use super::staleness::{Lateness, Progress, Scaling};
use crate::engine::{Defaults, Host, Objective, Program, Worker};
use crate::error::{Error, Result};
use crate::ps::{Bound, Consistency, ElementType, TableKind, TableSpec, World};
use crate::snapshot::{Model, Tensor, take};
use crate::wire::message::{Clock, Elements, TableId, WorkerId};
use linear::Linear;
pub use options::{Initial, Options};
use part::{Batches, Lesson, MATRIX, PROGRESS, Part};
use samples::Data;
use sparse::{Sparse, Touched, transposed};
use sums::Sums;

/// What the command line says about this recipe.
pub const ABOUT: About = About {
    summary: "Distance metrics: similar examples near, dissimilar ones apart",
    description: "Learns a linear map L from pairs of examples, drawn from labels or given in files, by stochastic gradient descent. The objective is the mean squared distance of similar pairs plus --weight times what dissimilar pairs lack to the --margin, lower is better; knn_accuracy and pair_auc are of the examples in --test or kept out by --holdout. One clock is one pass, as many pairs as there are examples, unless --clocks-per-pass says otherwise.",
    data: "idx      images as in MNIST; labels are found beside them\ncsv      label in the first column, or --target-column\nlibsvm   `label index:value ..`\nnpy      arrays of NumPy, with --targets",
    examples: "petuum dml                                  # the built-in sample\npetuum dml isolet1234.csv --target-column last -k 50 -o metric\npetuum dml vectors.npy --similar same.csv --dissimilar other.csv",
    defaults: Defaults {
        staleness: 1,
        clocks: 30,
        clocks_per_pass: 1,
        tolerance: None,
    },
};

/// Rows of L where the user does not say.
const RANK: usize = 100;

/// The recipe, from flags that were checked.
pub fn new(options: Options) -> Result<impl Program> {
    Ok(Dml::new(options))
}

/// Distance metrics.
struct Dml {
    options: Options,
    scaling: Scaling,
    setup: Setup,
}

/// What all ranks know once the data are loaded.
struct Setup {
    width: usize,
    rank: usize,
    workers: u32,
    clocks_per_pass: u64,
    /// Pairs of a worker in a pass.
    pairs: u64,
    bound: Bound,
    form: Form,
    /// Examples are not written out, and L lies by feature: here, in the table and in checkpoints.
    sparse: bool,
}

impl Setup {
    /// Rows of the table of L, and their width.
    fn shape(&self) -> (usize, usize) {
        match self.sparse {
            true => (self.width, self.rank),
            false => (self.rank, self.width),
        }
    }
}

impl Program for Dml {
    type Part = Part;
    type Task = ();
    type Partial = Sums;
    type Update = Sums;

    fn columns(&self) -> Vec<&'static str> {
        vec!["violations", "knn_accuracy", "pair_auc"]
    }

    fn tables(&self, world: &World) -> Vec<TableSpec> {
        if self.setup.form != Form::Full {
            let words = self.counts().words(self.setup.form);
            let factors = factors::table(words, self.setup.bound, world);
            return vec![factors, Scaling::table(world)];
        }
        let (rows, width) = self.setup.shape();
        let matrix = TableSpec {
            name: "matrix",
            kind: TableKind::Shared {
                rows: rows as u64,
                width: width as u32,
                element: ElementType::F32,
                sparse: false,
            },
        };
        vec![matrix, Scaling::table(world)]
    }

    fn load(&mut self, host: &Host) -> Result<Vec<Part>> {
        self.options.precision.explain(host);
        self.scaling = Scaling::new(self.options.step_scaling, host.bound())?;
        let data = Arc::new(Data::read(&self.options, host)?);
        let rank = match self.options.dimensions {
            None => RANK.min(data.width),
            Some(rank) if rank as usize > data.width => {
                let message = format!("--dimensions: {rank} is too large, at most {} features", data.width);
                return Err(Error::Usage(message));
            }
            Some(rank) => rank as usize,
        };
        let workers = host.world().workers();
        self.setup = Setup {
            width: data.width,
            rank,
            workers,
            clocks_per_pass: host.clocks_per_pass(),
            pairs: (data.train_rows.len() as u64).div_ceil(u64::from(workers)),
            bound: host.bound(),
            form: Form::Full,
            sparse: data.is_sparse(),
        };
        if !self.setup.sparse {
            self.setup.form = self.counts().choose(self.options.exchange, true, host)?;
        }
        let local = host.world().local(host.rank());
        let first = local.start;
        let mut parts: Vec<Part> = local.map(|worker| self.part(worker, &data)).collect();
        if self.setup.form != Form::Full {
            let replica = || {
                let kernel = self.options.precision.kernel();
                Replica::new((self.setup.form, MATRIX), kernel, self.counts(), false, host)
            };
            parts.iter_mut().for_each(|part| part.replica = Some(replica()));
        }
        if let Some(part) = parts.first_mut() {
            debug_assert_eq!(part.worker, first);
            part.matrix = self.initial(&data, rank, host.seed());
        }
        Ok(parts)
    }

    fn begin(
        &self,
        parts: &mut [Part],
        set: &mut dyn FnMut(TableId, u64, Elements) -> Result<()>,
    ) -> Result<()> {
        if self.setup.form != Form::Full {
            let matrix = parts.first().map(|part| part.matrix.clone()).unwrap_or_default();
            for part in parts {
                part.start = Some(matrix.clone());
                part.matrix.clone_from(&matrix);
            }
            return Ok(());
        }
        let matrix = parts.first().map(|part| &part.matrix[..]).unwrap_or_default();
        let mut rows = (0..).zip(matrix.chunks_exact(self.setup.shape().1));
        rows.try_for_each(|(row, values)| set(MATRIX, row, Elements::F32(values.to_vec())))
    }

    fn push(&self, part: &mut Part, _task: (), worker: &mut Worker) -> Result<()> {
        let alone = part.replica.is_some() || worker.in_lockstep() || self.setup.workers == 1;
        if !alone && part.start.is_none() {
            part.start = Some(part.matrix.clone());
        }
        let workers = self.setup.workers as f32;
        let batch = u64::from(self.options.batch);
        let (clock, clocks) = (worker.at() as u64, self.setup.clocks_per_pass);
        let batches = self.setup.pairs.div_ceil(batch);
        let at = |part: u64| batches * part / clocks;
        let lesson = Lesson {
            scale: 1.0 / workers,
            scaling: (!worker.in_lockstep()).then_some(self.scaling),
            // A pass may have more clocks than mini-batches; each of them learns something.
            batches: (at(clock % clocks + 1) - at(clock % clocks)).max(1),
            exchange_every: (!alone).then_some(u64::from(self.options.exchange_every)),
            ..self.lesson()
        };
        part.train(&lesson, worker)
    }

    fn partial(&self, part: &mut Part, worker: &mut Worker) -> Result<Sums> {
        let mut sums = std::mem::take(&mut part.sums);
        sums.add(&part.test(self.options.neighbors as usize, worker)?);
        Ok(sums)
    }

    fn objective(&self, partials: &[Sums]) -> Result<Objective> {
        let sums = Sums::fold(partials);
        let mean = |(sum, count): (f64, u64)| sum / count as f64;
        let value = mean(sums.similar) + self.options.weight * mean(sums.dissimilar);
        if sums.similar.1 > 0 && !value.is_finite() {
            return Err(Error::Diverged(format!(
                "the objective is not finite any more; a smaller --learning-rate than {} may help",
                self.options.learning_rate
            )));
        }
        let part = |some: u64, all: u64| (all > 0).then(|| some as f64 / all as f64);
        Ok(Objective {
            value,
            columns: vec![
                part(sums.violations, sums.dissimilar.1),
                part(sums.right, sums.tested),
                (sums.areas.1 > 0).then(|| mean(sums.areas)),
            ],
        })
    }

    fn finish(&self, part: &mut Part, worker: &mut Worker) -> Result<()> {
        worker.settle();
        self.before_checkpoint(part, worker)
    }

    fn save(&self, parts: Vec<Part>, _host: &Host, model: Option<&mut Model>) -> Result<()> {
        let (Some(model), Some(part)) = (model, parts.first()) else {
            return Ok(());
        };
        let mut matrix = match self.setup.sparse {
            true => transposed(&part.matrix, self.setup.rank),
            false => part.matrix.clone(),
        };
        let scaled = matrix.iter_mut().zip(part.data.scales.iter().cycle());
        scaled.for_each(|(x, scale)| *x = (f64::from(*x) * scale) as f32);
        model.tensors(vec![Tensor::new("L", &[self.setup.rank, self.setup.width], &matrix)]);
        model.json("dimensions", self.setup.rank as u64);
        model.json("inputs", self.setup.width as u64);
        model.json("first_index", part.data.first_index);
        if let Some(names) = &part.data.names {
            model.json("features", names.clone());
        }
        Ok(())
    }

    fn before_checkpoint(&self, part: &mut Part, worker: &mut Worker) -> Result<()> {
        match worker.id() {
            0 => part.read_all(worker),
            _ => Ok(()),
        }
    }

    fn checkpoint(&self, part: &Part) -> Vec<Tensor> {
        let mut tensors = vec![Tensor::new("steps", &[1], &[part.steps])];
        if part.worker == 0 {
            tensors.push(Tensor::new("matrix", &[part.matrix.len()], &part.matrix));
        }
        tensors
    }

    fn restore(&self, part: &mut Part, mut tensors: Vec<Tensor>) -> Result<()> {
        let steps = take(&mut tensors, "steps")?.values::<u64>()?;
        part.steps = steps.first().copied().unwrap_or(0);
        if part.worker == 0 {
            let matrix = take(&mut tensors, "matrix")?.values::<f32>()?;
            if matrix.len() != part.matrix.len() {
                return Err(Error::Other("the checkpoint is of another model".into()));
            }
            part.matrix = matrix;
        }
        Ok(())
    }

    fn rebuild(&self, parts: &mut [Part], _from: Clock, host: &Host) -> Result<()> {
        let mut bytes = Vec::new();
        if host.rank() == 0
            && let Some(part) = parts.first()
        {
            part.matrix.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
        }
        let all = host.all_gather(bytes)?;
        if let (Some(of_first), Some(part)) = (all.first(), parts.first_mut()) {
            let floats = of_first.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
            part.matrix.iter_mut().zip(floats).for_each(|(x, float)| *x = float);
        }
        Ok(())
    }
}

impl Dml {
    fn new(options: Options) -> Dml {
        let setup = Setup {
            width: 0,
            rank: 0,
            workers: 0,
            clocks_per_pass: 1,
            pairs: 0,
            bound: Bound::new(Consistency::Bsp, 0),
            form: Form::Full,
            sparse: false,
        };
        let scaling = Scaling::default();
        Dml { options, scaling, setup }
    }

    /// What L begins with.
    fn initial(&self, data: &Data, rank: usize, seed: u64) -> Vec<f32> {
        let usual = if data.is_sparse() { Initial::Random } else { Initial::Pca };
        match (self.options.initial.unwrap_or(usual), data.is_sparse()) {
            (Initial::Pca, false) => pca::principal(data, rank, seed),
            (Initial::Pca, true) => transposed(&pca::principal(data, rank, seed), data.width),
            (Initial::Random, false) => pca::random(data.width, rank, seed),
            (Initial::Random, true) => pca::random_by_feature(data.width, rank, seed),
        }
    }

    /// What an exchange of L costs.
    fn counts(&self) -> Counts {
        let batches = self.setup.pairs.div_ceil(u64::from(self.options.batch));
        Counts {
            rows: self.setup.rank,
            columns: self.setup.width,
            name: Some(2),
            batch: self.options.batch as usize,
            batches: batches.div_ceil(self.setup.clocks_per_pass),
        }
    }

    fn lesson(&self) -> Lesson {
        Lesson {
            margin: self.options.margin as f32,
            weight: self.options.weight as f32,
            rate: self.options.learning_rate as f32,
            batch: self.options.batch as usize,
            batches: 1,
            exchange_every: None,
            scale: 1.0,
            scaling: None,
        }
    }

    fn part(&self, worker: WorkerId, data: &Arc<Data>) -> Part {
        let Setup { width, rank, workers, .. } = self.setup;
        let batch = self.options.batch as usize;
        let kernel = self.options.precision.kernel();
        let batches = match self.setup.sparse {
            true => Batches::Sparse(Sparse::new(rank, kernel.processor()), Touched::new(width)),
            false => Batches::Dense(Linear::on(kernel, width, rank, batch)),
        };
        let own = data.test_rows.iter().skip(worker as usize);
        Part {
            worker,
            batches,
            progress: Progress::new(PROGRESS),
            late: Lateness::default(),
            matrix: vec![0.0; width * rank],
            start: None,
            replica: None,
            drawn: Vec::new(),
            test_rows: own.step_by(workers as usize).copied().collect(),
            data: Arc::clone(data),
            steps: 0,
            sums: Sums::default(),
            delta: vec![0.0; self.setup.shape().1],
            rank,
        }
    }
}
