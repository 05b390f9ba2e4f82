//! Neural networks: layers of units between features and a class or a number.
//!
//! Layer l turns the outputs of the one before into `a_l = f(W_l a_{l−1} + b_l)`; the last one has no
//! f. With z its outputs for sample i, minimise the mean over the training samples of
//!
//! ```text
//! cross-entropy   −ln p_i,  p = softmax(z) at the sample's class
//! squared         (z_i − y_i)²
//! ```
//!
//! **Objective**: that mean over the samples trained on since the last record, each as it was met
//! (with dropout, if there is any); lower is better. `test_loss` and `test_accuracy` are those of
//! the test samples with the weights after the clock. **Expected**: Fashion-MNIST with the defaults,
//! a test accuracy of 0.895 or more after 15 passes.
//!
//! **Stochastic gradient descent by back-propagation, data-parallel** (Dean et al., NIPS 2012; with
//! bounded staleness: Dai et al., AAAI 2015). Each layer is a table, a row for each unit. A worker
//! steps on mini-batches of its own samples and exchanges the sum of its steps with the tables every
//! few of them; what a layer has learned leaves while the gradients of the layers before it are
//! still being computed (wait-free back-propagation: Zhang et al., USENIX ATC 2017). Under `bsp` the
//! changes of W workers are averaged: with one mini-batch a clock and plain gradient steps that is a
//! mini-batch W times as large. Otherwise they count less by the rule of `--step-scaling`
//! (`program/staleness.rs`): 1/√W each if all workers are equally quick and see each other's last clocks.
//!
//! With plain gradient steps, `--exchange` lets what a gradient is made of travel in the place of a
//! layer's changes, where that is less: `program/factors.rs`. Momentum and Adam step by what they remember
//! of many gradients; every worker applies them to its own mini-batches, and their changes travel in full.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the flags |
//! | `samples.rs` | from files to samples on a common scale |
//! | `network.rs`, `sparse.rs` | forward and backward |
//! | `loss.rs` | the losses and their errors |
//! | `optimizer.rs` | steps and learning rates |
//! | `part.rs` | what one worker holds, and what it does in a clock |
//! | `sums.rs` | the objective |
//! | `checkpoint.rs` | what a run goes on from |
//! | `save.rs` | the model |
//! | `predict.rs` | what a saved model says of further examples |
//! | `generate.rs` | points of rings in a space of many dimensions |

mod checkpoint;
pub mod generate;
mod loss;
mod network;
mod optimizer;
mod options;
mod part;
pub mod predict;
mod samples;
mod save;
mod sparse;
mod sums;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use rand_distr::{Distribution, StandardNormal};

use super::About;
use super::factors::{self, Counts, Form, Replica};
use super::staleness::{Progress, Scaling};
use crate::engine::{Defaults, Host, Objective, Program, Worker};
use crate::error::{Error, Result};
use crate::math::activation::Activation;
use crate::math::rng::Rng;
use crate::ps::{ElementType, TableKind, TableSpec, World};
use crate::snapshot::{Model, Tensor};
use crate::wire::message::{Clock, Elements, TableId, WorkerId};
use loss::Measured;
use network::{Layer, Network, Shape};
use optimizer::{Rates, Rule};
pub use options::{Loss, Optimizer, Options, Schedule, Standardize, Unit};
use part::{Exchange, Lesson, Part};
use samples::{Data, Known};
use sums::Sums;

/// What the command line says about this recipe.
pub const ABOUT: About = About {
    summary: "Neural networks: classes or numbers from features",
    description: "Trains a multi-layer perceptron by stochastic gradient descent. The objective is the mean loss over the samples trained on since the last record, lower is better; test_loss and test_accuracy are of the examples in --test or kept out by --holdout. --tolerance stops the run when the test loss (without one, the objective) has not improved by this part of itself for --patience records. One clock is one pass over all examples unless --clocks-per-pass says otherwise; workers exchange what they have learned every few mini-batches, under bsp at clocks alone.",
    data: "idx      images as in MNIST; labels are found beside them\ncsv      target in the first column, or --target-column\nlibsvm   `target index:value ..`, sparse\nnpy      arrays of NumPy, with --targets",
    examples: "petuum dnn                                  # the built-in sample\npetuum dnn train-images-idx3-ubyte.gz --test t10k-images-idx3-ubyte.gz -o model\npetuum dnn train.csv --layers 256,256,256 --activation gelu --optimizer adam --dropout 0.2\npetuum dnn houses.csv --loss squared --target-column last",
    defaults: Defaults {
        staleness: 1,
        clocks: 15,
        clocks_per_pass: 1,
        tolerance: None,
    },
};

/// Stream of [`Rng`].
const OF_WEIGHTS: u64 = 10;

/// The recipe, from flags that were checked.
pub fn new(options: Options) -> Result<impl Program> {
    Ok(Dnn::new(options))
}

/// Neural networks.
struct Dnn {
    rule: Rule,
    rates: Rates,
    setup: Setup,
    /// Records since the best one, and its value.
    waiting: Mutex<(u32, f64)>,
    options: Options,
}

/// What all ranks know once the data are loaded.
#[derive(Default)]
struct Setup {
    known: Known,
    /// Inputs, units of the hidden layers, outputs.
    sizes: Vec<usize>,
    clocks_per_pass: u64,
    workers: u32,
    scaling: Scaling,
    /// Test samples are there.
    tests: bool,
    /// By layer: its table, if what travels are factors.
    factors: Vec<Option<TableSpec>>,
}

impl Program for Dnn {
    type Part = Part;
    type Task = ();
    type Partial = Sums;
    type Update = Sums;

    fn columns(&self) -> Vec<&'static str> {
        vec!["test_loss", "test_accuracy"]
    }

    fn tables(&self, world: &World) -> Vec<TableSpec> {
        let layers = self.setup.sizes.windows(2).enumerate();
        let table = |(number, pair): (usize, &[usize])| {
            let (inputs, units) = (pair[0] as u64 + 1, pair[1] as u64);
            if let Some(Some(spec)) = self.setup.factors.get(number) {
                return spec.clone();
            }
            let sparse = self.setup.known.sparse && number == 0;
            let (rows, width) = if sparse { (inputs, units) } else { (units, inputs) };
            TableSpec {
                name: "layer",
                kind: TableKind::Shared {
                    rows,
                    width: width as u32,
                    element: ElementType::F32,
                    sparse: false,
                },
            }
        };
        layers.map(table).chain([Scaling::table(world)]).collect()
    }

    fn load(&mut self, host: &Host) -> Result<Vec<Part>> {
        self.options.precision.explain(host);
        let data = Arc::new(Data::read(&self.options, host)?);
        let outputs = data.known.classes.len().max(1);
        let hidden = self.options.hidden();
        self.setup = Setup {
            known: data.known.clone(),
            sizes: [vec![data.known.inputs], hidden, vec![outputs]].concat(),
            clocks_per_pass: host.clocks_per_pass(),
            workers: host.world().workers(),
            scaling: Scaling::new(self.options.step_scaling, host.bound())?,
            tests: !data.test_rows.is_empty(),
            factors: Vec::new(),
        };
        let forms = self.forms(data.train_rows.len(), host)?;
        let spec = |(counts, form): &(Counts, Form)| {
            let words = counts.words(*form);
            (*form != Form::Full).then(|| factors::table(words, host.bound(), host.world()))
        };
        self.setup.factors = forms.iter().map(spec).collect();
        let passes = |clocks: u64| clocks as f64 / host.clocks_per_pass() as f64;
        self.rates = Rates::new(&self.options, host.clocks().map(passes));
        let local = host.world().local(host.rank());
        let first = local.start;
        Ok(local
            .map(|worker| {
                let mut part = self.part(worker, &data);
                let replicas = part.exchange.replicas.iter_mut().zip(&forms);
                for (table, (replica, (counts, form))) in (0..).zip(replicas) {
                    *replica = (*form != Form::Full).then(|| {
                        let kernel = self.options.precision.kernel();
                        Replica::new((*form, table), kernel, *counts, true, host)
                    });
                }
                if worker == first {
                    draw(&mut part.network.layers, self.options.activation.activation(), host.seed());
                }
                part
            })
            .collect())
    }

    fn begin(
        &self,
        parts: &mut [Part],
        set: &mut dyn FnMut(TableId, u64, Elements) -> Result<()>,
    ) -> Result<()> {
        for number in 0..self.setup.factors.len() {
            if self.setup.factors[number].is_some() {
                let weights = parts.first().map(|part| part.network.layers[number].weights.clone());
                for layer in parts.iter_mut().map(|part| &mut part.network.layers[number]) {
                    layer.weights.clone_from(weights.as_ref().unwrap_or(&Vec::new()));
                    layer.start.clone_from(&weights);
                }
            }
        }
        let layers = parts.first().map(|part| &part.network.layers[..]).unwrap_or_default();
        (0..).zip(layers).try_for_each(|(table, layer)| {
            if self.setup.factors[table as usize].is_some() {
                return Ok(());
            }
            let mut rows = 0..layer.rows();
            rows.try_for_each(|row| set(table, row as u64, Elements::F32(layer.row(row).to_vec())))
        })
    }

    fn push(&self, part: &mut Part, _task: (), worker: &mut Worker) -> Result<()> {
        let (clock, clocks) = (worker.at() as u64, self.setup.clocks_per_pass);
        let alone = worker.in_lockstep() || self.setup.workers == 1;
        if !alone {
            for layer in &mut part.network.layers {
                let length = layer.weights.len();
                layer.start.get_or_insert_with(|| vec![0.0; length]);
            }
        }
        if worker.in_lockstep() {
            part.exchange.set_scale(1.0 / self.setup.workers as f32);
        }
        let lesson = Lesson {
            rule: &self.rule,
            rate: &|passes| self.rates.at(passes),
            pass: clock / clocks,
            part: (clock % clocks, clocks),
            batch: self.options.batch as usize,
            exchange_every: (!alone).then_some(self.options.exchange_every as usize),
            scaling: (!worker.in_lockstep()).then_some(self.setup.scaling),
        };
        part.train(&lesson, worker)
    }

    fn partial(&self, part: &mut Part, worker: &mut Worker) -> Result<Sums> {
        let train = std::mem::take(&mut part.measured);
        let test = match self.setup.tests {
            true => part.test(self.options.batch as usize, worker)?,
            false => Measured::default(),
        };
        Ok(Sums { train, test })
    }

    fn objective(&self, partials: &[Sums]) -> Result<Objective> {
        let Sums { train, test } = Sums::fold(partials);
        let deviation = self.setup.known.target_scaling.1;
        let mean = |measured: &Measured| measured.loss / measured.weight * deviation * deviation;
        let value = mean(&train);
        if train.count > 0 && !value.is_finite() {
            return Err(Error::Diverged(format!(
                "the loss is not finite any more; a smaller --learning-rate than {} may help",
                self.options.rate()
            )));
        }
        let right = test.right as f64 / test.count as f64;
        let is_tested = test.count > 0;
        let has_classes = !self.setup.known.classes.is_empty();
        Ok(Objective {
            value,
            columns: vec![
                is_tested.then(|| mean(&test)),
                (is_tested && has_classes).then_some(right),
            ],
        })
    }

    fn settled(&self, before: &Objective, now: &Objective, tolerance: f64) -> bool {
        let watched = |objective: &Objective| objective.columns[0].unwrap_or(objective.value);
        let (before, now) = (watched(before), watched(now));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let best = waiting.1.min(before);
        let improves = best - now > tolerance * best.abs();
        *waiting = if improves { (0, now) } else { (waiting.0 + 1, best) };
        waiting.0 >= self.options.patience
    }

    fn finish(&self, part: &mut Part, worker: &mut Worker) -> Result<()> {
        worker.settle();
        match worker.id() {
            0 => part.read_all(worker),
            _ => Ok(()),
        }
    }

    fn save(&self, parts: Vec<Part>, _host: &Host, model: Option<&mut Model>) -> Result<()> {
        if let (Some(model), Some(part)) = (model, parts.first()) {
            let activation = format!("{:?}", self.options.activation).to_lowercase();
            save::save(&part.network.layers, &self.setup.known, &activation, model);
            model.json("train_examples", part.data.train_rows.len() as u64);
            model.json("test_examples", part.data.test_rows.len() as u64);
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
        checkpoint::write(part)
    }

    fn restore(&self, part: &mut Part, tensors: Vec<Tensor>) -> Result<()> {
        checkpoint::read(part, tensors)
    }

    fn rebuild(&self, parts: &mut [Part], _from: Clock, host: &Host) -> Result<()> {
        checkpoint::share(parts, host)
    }
}

impl Dnn {
    fn new(options: Options) -> Dnn {
        Dnn {
            rule: Rule::new(&options),
            rates: Rates::new(&options, None),
            setup: Setup::default(),
            waiting: Mutex::new((0, f64::INFINITY)),
            options,
        }
    }

    /// What travels of each layer, and what that follows from.
    fn forms(&self, rows: usize, host: &Host) -> Result<Vec<(Counts, Form)>> {
        let own = (rows as u64).div_ceil(u64::from(host.world().workers()));
        let batches = own.div_ceil(u64::from(self.options.batch));
        let layers = self.setup.sizes.windows(2).enumerate();
        let form = |(number, pair): (usize, &[usize])| {
            let counts = Counts {
                rows: pair[1],
                columns: pair[0],
                name: (number == 0).then_some(1),
                batch: self.options.batch as usize,
                batches: batches.div_ceil(host.clocks_per_pass()),
            };
            let how = match self.setup.known.sparse && number == 0 {
                true => factors::Exchange::Full,
                false => self.options.exchange,
            };
            Ok((counts, counts.choose(how, self.rule.states() == 0, host)?))
        };
        layers.map(form).collect()
    }

    fn part(&self, worker: WorkerId, data: &Arc<Data>) -> Part {
        let shape = Shape {
            sizes: self.setup.sizes.clone(),
            sparse: self.setup.known.sparse,
            activation: self.options.activation.activation(),
            dropout: self.options.dropout as f32,
            batch: self.options.batch as usize,
        };
        let mut network = Network::new(&shape, self.options.precision.kernel());
        for layer in &mut network.layers {
            layer.states = vec![vec![0.0; layer.weights.len()]; self.rule.states()];
        }
        let share = |rows: &[u32]| -> Vec<u32> {
            let skipped = rows.iter().skip(worker as usize);
            skipped.step_by(self.setup.workers as usize).copied().collect()
        };
        Part {
            worker,
            exchange: Exchange::new(&network.layers, Progress::new(network.layers.len() as TableId)),
            network,
            rows: share(&data.train_rows),
            test_rows: share(&data.test_rows),
            data: Arc::clone(data),
            order: Vec::new(),
            pass: None,
            steps: 0,
            rule: self.rule.clone(),
            measured: Measured::default(),
        }
    }
}

/// Draws the first weights: normal, with variance 2/inputs before units that are off half of the time
/// (He et al., ICCV 2015), else 2/(inputs + units) (Glorot & Bengio, AISTATS 2010). Biases are 0.
fn draw(layers: &mut [Layer], activation: Activation, seed: u64) {
    let last = layers.len() - 1;
    for (number, layer) in layers.iter_mut().enumerate() {
        let rectifies = matches!(activation, Activation::Relu | Activation::Gelu);
        let sum = match rectifies && number < last {
            true => layer.inputs,
            false => layer.inputs + layer.units,
        };
        let deviation = (2.0 / sum as f64).sqrt();
        for unit in 0..layer.units {
            let mut rng = Rng::stream(seed, number as u64, unit as u64, OF_WEIGHTS);
            for input in 0..layer.inputs {
                let normal: f64 = StandardNormal.sample(&mut rng);
                *layer.weight_mut(unit, input) = (deviation * normal) as f32;
            }
        }
    }
}
