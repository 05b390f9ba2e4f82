//! What one worker holds, and what it does in a clock.

use std::sync::Arc;

use super::loss::{Measured, measure};
use super::network::{Layer, Network, Piece, Visitor};
use super::optimizer::{Rule, Step};
use super::samples::{Data, Samples};
use crate::engine::Worker;
use crate::error::{Error, Result};
use crate::math::gemm::{BySample, Processor};
use crate::math::rng::Rng;
use crate::program::factors::{self, Copies, Replica};
use crate::program::staleness::{Lateness, Progress, Scaling};
use crate::wire::message::{TableId, WorkerId};

/// Streams of [`Rng`].
const OF_ORDER: u64 = 11;
const OF_DROPOUT: u64 = 12;

/// One worker's part.
pub(super) struct Part {
    pub(super) worker: WorkerId,
    pub(super) network: Network,
    pub(super) data: Arc<Data>,
    /// The samples that this worker trains on, and those that it tests.
    pub(super) rows: Vec<u32>,
    pub(super) test_rows: Vec<u32>,
    /// The first in the order of the pass.
    pub(super) order: Vec<u32>,
    pub(super) pass: Option<u64>,
    /// Steps of this worker so far.
    pub(super) steps: u64,
    pub(super) exchange: Exchange,
    pub(super) rule: Rule,
    /// Of training, since it was last asked for.
    pub(super) measured: Measured,
}

/// What a worker knows of exchanging weights with the tables.
pub(super) struct Exchange {
    /// Part of a worker's change that counts.
    pub(super) scale: f32,
    pub(super) progress: Progress,
    /// Of reads since the last clock began.
    pub(super) late: Lateness,
    /// Of a sparse layer: the exchange after which a row was read, and which rows have changed
    /// since the last one.
    pub(super) read: Vec<u64>,
    pub(super) changed: Vec<u32>,
    pub(super) is_changed: Vec<bool>,
    /// Counts exchanges, from 1.
    pub(super) number: u64,
    pub(super) delta: Vec<f32>,
    pub(super) start: Vec<f32>,
    /// By layer: its exchange by factors.
    pub(super) replicas: Vec<Option<Replica>>,
}

impl Exchange {
    pub(super) fn new(layers: &[Layer], progress: Progress) -> Exchange {
        let width = layers.iter().map(|layer| layer.width()).max().unwrap_or(0);
        let sparse = layers.first().filter(|layer| layer.sparse);
        let rows = sparse.map_or(0, |layer| layer.rows());
        Exchange {
            scale: 1.0,
            progress,
            late: Lateness::default(),
            read: vec![0; rows],
            changed: Vec::new(),
            is_changed: vec![false; rows],
            number: 1,
            delta: vec![0.0; width],
            start: vec![0.0; width],
            replicas: layers.iter().map(|_| None).collect(),
        }
    }

    /// Sets which part of a worker's change counts.
    pub(super) fn set_scale(&mut self, scale: f32) {
        self.scale = scale;
        let replicas = self.replicas.iter_mut().flatten();
        replicas.for_each(|replica| replica.scale = scale);
    }

    /// The same by what others do.
    fn rescale(&mut self, scaling: Scaling, worker: &mut Worker) -> Result<()> {
        let replicas = self.replicas.iter_mut().flatten();
        replicas.for_each(|replica| self.late.add(replica.take_lateness()));
        let scale = self.progress.scale(scaling, self.late.take(), worker)?;
        self.set_scale(scale as f32);
        Ok(())
    }

    /// Reads a row of a layer's table.
    fn read(&mut self, table: TableId, layer: &mut Layer, row: usize, worker: &mut Worker) -> Result<()> {
        let place = row * layer.width()..(row + 1) * layer.width();
        let to = &mut layer.weights[place.clone()];
        worker.read_into(table, row as u64, to)?;
        self.late.note(worker);
        if let Some(start) = &mut layer.start {
            start[place.clone()].copy_from_slice(&layer.weights[place]);
        }
        Ok(())
    }

    /// Adds what has changed in a row since the last exchange to its table.
    fn send(&mut self, table: TableId, layer: &Layer, row: usize, worker: &mut Worker) -> Result<()> {
        let width = layer.width();
        let delta = &mut self.delta[..width];
        let start = match &layer.start {
            Some(start) => &start[row * width..][..width],
            None => {
                // Nobody has changed it meanwhile: under `bsp`, or alone.
                worker.read_into(table, row as u64, &mut self.start[..width])?;
                &self.start[..width]
            }
        };
        let pairs = layer.row(row).iter().zip(start);
        for (delta, (now, start)) in delta.iter_mut().zip(pairs) {
            *delta = (now - start) * self.scale;
        }
        worker.inc(table, row as u64, delta);
        Ok(())
    }
}

/// Changes weights while gradients come, and sends what has changed if it is time to.
struct Learner<'a, 'w> {
    rule: &'a Rule,
    step: Step,
    processor: Processor,
    exchange: &'a mut Exchange,
    exchanges: bool,
    /// The clock's last mini-batch, and its samples.
    is_last: bool,
    rows: &'a [u32],
    worker: &'a mut Worker<'w>,
    failed: Option<Error>,
}

impl Learner<'_, '_> {
    fn learn(&self, piece: Piece) {
        let Piece {
            layer,
            row,
            first,
            weights,
            states,
            gradient,
            ..
        } = piece;
        // Biases are the last row of a sparse layer and the last of each row of a dense one.
        let split = match layer.sparse {
            true if row == layer.inputs => 0,
            true => weights.len(),
            false => weights.len().min(layer.inputs - first),
        };
        let start = row * layer.width() + first;
        let place = start..start + weights.len();
        let (weights, biases) = weights.split_at_mut(split);
        let (mut of_weights, mut of_biases): ([&mut [f32]; 2], [&mut [f32]; 2]) = Default::default();
        let count = states.len();
        for (number, state) in states.iter_mut().enumerate() {
            (of_weights[number], of_biases[number]) = state[place.clone()].split_at_mut(split);
        }
        self.processor.compiled(
            #[inline(always)]
            || {
                let (of_weights, of_biases) = (&mut of_weights[..count], &mut of_biases[..count]);
                self.rule.apply(self.step, weights, of_weights, &gradient[..split], true);
                self.rule.apply(self.step, biases, of_biases, &gradient[split..], false);
            },
        );
    }

    fn send(&mut self, number: usize, layer: &Layer, row: usize) {
        if self.failed.is_none() {
            let sent = self.exchange.send(number as TableId, layer, row, self.worker);
            self.failed = sent.err();
        }
    }
}

impl Visitor for Learner<'_, '_> {
    fn piece(&mut self, piece: Piece) {
        if piece.layer.sparse {
            let is_changed = &mut self.exchange.is_changed[piece.row];
            if !std::mem::replace(is_changed, true) {
                self.exchange.changed.push(piece.row as u32);
            }
        }
        self.learn(piece);
    }

    fn factors(&mut self, number: usize, errors: &BySample, input: &BySample) {
        if let Some(replica) = &mut self.exchange.replicas[number] {
            let rows = self.rows;
            let name = |sample: usize, words: &mut Vec<u32>| words.push(rows[sample]);
            replica.note((errors, input), self.step.rate, name);
        }
    }

    /// The layer's changes leave while those before it are still to come.
    fn done(&mut self, number: usize, layer: &mut Layer) {
        if let Some(replica) = &mut self.exchange.replicas[number] {
            if let (true, Some(start)) = (self.is_last, &mut layer.start) {
                let now = &mut layer.weights;
                replica.send(Copies { now, start }, self.worker);
            }
            return;
        }
        if !self.exchanges {
            return;
        }
        if layer.sparse {
            let changed = std::mem::take(&mut self.exchange.changed);
            for row in &changed {
                self.exchange.is_changed[*row as usize] = false;
                self.send(number, layer, *row as usize);
            }
        } else {
            (0..layer.rows()).for_each(|row| self.send(number, layer, row));
        }
        self.worker.publish();
    }
}

/// How a worker trains in one clock.
pub(super) struct Lesson<'a> {
    pub(super) rule: &'a Rule,
    /// The learning rate after so many passes.
    pub(super) rate: &'a dyn Fn(f64) -> f64,
    pub(super) pass: u64,
    /// Which part of the pass, of how many.
    pub(super) part: (u64, u64),
    pub(super) batch: usize,
    /// Mini-batches between exchanges; `None`: at the end alone.
    pub(super) exchange_every: Option<usize>,
    /// Which part of changes counts; `None`: that which was set.
    pub(super) scaling: Option<Scaling>,
}

impl Part {
    /// Trains for one clock.
    pub(super) fn train(&mut self, lesson: &Lesson, worker: &mut Worker) -> Result<()> {
        self.begin_pass(lesson.pass, worker);
        let batches = self.order.len().div_ceil(lesson.batch);
        let at = |part: u64| (batches as u64 * part / lesson.part.1) as usize;
        let (first, end) = (at(lesson.part.0), at(lesson.part.0 + 1));
        self.refresh(worker)?;
        if let Some(scaling) = lesson.scaling {
            self.exchange.rescale(scaling, worker)?;
        }
        for number in first..end {
            let is_last = number + 1 == end;
            let every = lesson.exchange_every;
            let exchanges = is_last || every.is_some_and(|every| (number + 1 - first) % every == 0);
            let passes = lesson.pass as f64 + number as f64 / batches as f64;
            let rate = (lesson.rate)(passes);
            self.step(lesson, number, rate, (exchanges, is_last), worker)?;
            if exchanges && !is_last {
                self.refresh(worker)?;
            }
        }
        Ok(())
    }

    fn begin_pass(&mut self, pass: u64, worker: &Worker) {
        if self.pass == Some(pass) {
            return;
        }
        self.pass = Some(pass);
        self.order.clone_from(&self.rows);
        let mut rng = Rng::stream(worker.seed(), u64::from(worker.id()), pass, OF_ORDER);
        for at in (1..self.order.len()).rev() {
            self.order.swap(at, rng.below(at as u64 + 1) as usize);
        }
    }

    /// Takes over what is in the tables now; rows of a sparse layer only when they are needed.
    pub(super) fn refresh(&mut self, worker: &mut Worker) -> Result<()> {
        self.exchange.number += 1;
        let processor = self.network.kernel.processor();
        for (table, layer) in (0..).zip(&mut self.network.layers) {
            if let Some(replica) = &mut self.exchange.replicas[table as usize] {
                let recipe = Recipe {
                    data: &self.data,
                    rule: &self.rule,
                    processor,
                    inputs: layer.inputs,
                };
                let (now, start) = (&mut layer.weights[..], layer.start.as_deref_mut());
                if let Some(start) = start {
                    replica.take_over(Copies { now, start }, &recipe, worker)?;
                }
            } else if !layer.sparse {
                let rows: Vec<u64> = (0..layer.rows() as u64).collect();
                worker.prefetch(table, &rows);
                for row in 0..layer.rows() {
                    self.exchange.read(table, layer, row, worker)?;
                }
            }
        }
        Ok(())
    }

    /// Takes over those rows of a sparse first layer that the mini-batch needs.
    fn refresh_met(&mut self, worker: &mut Worker) -> Result<()> {
        let Some(layer) = self.network.layers.first().filter(|layer| layer.sparse) else {
            return Ok(());
        };
        debug_assert!(layer.rows() == self.exchange.read.len());
        let number = self.exchange.number;
        let stale = |row: &&u32| self.exchange.read[**row as usize] != number;
        let stale: Vec<u64> = self.network.met().iter().filter(stale).map(|row| u64::from(*row)).collect();
        worker.prefetch(0, &stale);
        for row in stale {
            self.exchange.read(0, &mut self.network.layers[0], row as usize, worker)?;
            self.exchange.read[row as usize] = number;
        }
        Ok(())
    }

    /// One mini-batch.
    fn step(
        &mut self,
        lesson: &Lesson,
        number: usize,
        rate: f64,
        (exchanges, is_last): (bool, bool),
        worker: &mut Worker,
    ) -> Result<()> {
        let first = number * lesson.batch;
        let end = self.order.len().min(first + lesson.batch);
        let data = Arc::clone(&self.data);
        self.network.take(&data.train.features, &self.order[first..end]);
        self.refresh_met(worker)?;
        let seed = Rng::stream(worker.seed(), u64::from(worker.id()), self.steps, OF_DROPOUT).below(u64::MAX);
        self.network.forward(Some(seed));
        let rows = &self.order[first..end];
        let measured = measured(&mut self.network, &data.train, rows);
        self.measured.add(&measured);
        let mut learner = Learner {
            rule: lesson.rule,
            step: lesson.rule.step(rate, self.steps),
            processor: self.network.kernel.processor(),
            exchange: &mut self.exchange,
            exchanges,
            is_last,
            rows: &self.order[first..end],
            worker,
            failed: None,
        };
        self.network.backward(&mut learner);
        self.steps += 1;
        learner.failed.map_or(Ok(()), Err)
    }

    /// Measures this worker's test samples with the weights that are in the tables now.
    pub(super) fn test(&mut self, batch: usize, worker: &mut Worker) -> Result<Measured> {
        self.refresh(worker)?;
        let rows = std::mem::take(&mut self.test_rows);
        let data = Arc::clone(&self.data);
        let mut all = Measured::default();
        for rows in rows.chunks(batch) {
            self.network.take(&data.test.features, rows);
            self.refresh_met(worker)?;
            self.network.forward(None);
            all.add(&measured(&mut self.network, &data.test, rows));
        }
        self.test_rows = rows;
        Ok(all)
    }

    /// Reads all weights.
    pub(super) fn read_all(&mut self, worker: &mut Worker) -> Result<()> {
        self.refresh(worker)?;
        if let Some(layer) = self.network.layers.first_mut().filter(|layer| layer.sparse) {
            let rows: Vec<u64> = (0..layer.rows() as u64).collect();
            worker.prefetch(0, &rows);
            for row in 0..layer.rows() {
                self.exchange.read(0, layer, row, worker)?;
            }
        }
        Ok(())
    }
}

/// How others' steps are done again.
struct Recipe<'a> {
    data: &'a Data,
    rule: &'a Rule,
    processor: Processor,
    inputs: usize,
}

impl factors::Recipe for Recipe<'_> {
    fn set(&self, name: &[u32], input: &mut BySample, sample: usize) -> Result<()> {
        let row = name[0] as usize;
        let features = &self.data.train.features;
        let values = (row < features.rows()).then(|| features.dense_row(row));
        let values = values.flatten();
        let missing = || Error::Other("an example that this rank has not".into());
        input.set_sample(sample, values.ok_or_else(missing)?);
        Ok(())
    }

    fn step(&self, rate: f32, first: usize, weights: &mut [f32], gradient: &[f32]) {
        let split = weights.len().min(self.inputs - first);
        let (weights, biases) = weights.split_at_mut(split);
        let step = self.rule.step(f64::from(rate), 0);
        self.processor.compiled(
            #[inline(always)]
            || {
                self.rule.apply(step, weights, &mut [], &gradient[..split], true);
                self.rule.apply(step, biases, &mut [], &gradient[split..], false);
            },
        );
    }
}

fn measured(network: &mut Network, samples: &Samples, rows: &[u32]) -> Measured {
    let processor = network.kernel.processor();
    let outputs = &mut network.outputs;
    processor.compiled(
        #[inline(always)]
        || measure(outputs, &samples.labels, samples.weights.as_deref(), rows),
    )
}
