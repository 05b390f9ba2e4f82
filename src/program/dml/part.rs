//! What one worker holds, and what it does in a clock.

use std::sync::Arc;

use super::linear::Linear;
use super::neighbors::{self, BLOCK, Images};
use super::samples::Data;
use super::sums::Sums;
use crate::engine::Worker;
use crate::error::{Error, Result};
use crate::math::gemm::{BySample, PANEL, Processor};
use crate::math::rng::Rng;
use crate::program::factors::{self, Copies, Replica};
use crate::wire::message::{TableId, WorkerId};

/// The table of L, a row for each of its rows.
pub(super) const MATRIX: TableId = 0;
/// Streams of [`Rng`].
const OF_PAIRS: u64 = 21;
const OF_TEST: u64 = 22;

/// One worker's part.
pub(super) struct Part {
    pub(super) worker: WorkerId,
    pub(super) data: Arc<Data>,
    pub(super) linear: Linear,
    /// L as this worker sees it.
    pub(super) matrix: Vec<f32>,
    /// L at the last exchange, if others change the table meanwhile.
    pub(super) start: Option<Vec<f32>>,
    /// Its exchange by factors.
    pub(super) replica: Option<Replica>,
    /// The pairs of the mini-batch.
    pub(super) drawn: Vec<[u32; 2]>,
    /// The test examples that this worker looks for.
    pub(super) test_rows: Vec<u32>,
    /// Mini-batches so far.
    pub(super) steps: u64,
    pub(super) sums: Sums,
    pub(super) delta: Vec<f32>,
}

/// How a worker trains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lesson {
    pub(super) margin: f32,
    pub(super) weight: f32,
    pub(super) rate: f32,
    pub(super) batch: usize,
    /// Mini-batches of a clock.
    pub(super) batches: u64,
    /// Mini-batches between exchanges; `None`: at the end alone.
    pub(super) exchange_every: Option<u64>,
    /// Part of a worker's change that counts.
    pub(super) scale: f32,
}

impl Part {
    /// Trains for one clock.
    pub(super) fn train(&mut self, lesson: &Lesson, worker: &mut Worker) -> Result<()> {
        if let Some(replica) = &mut self.replica {
            replica.scale = lesson.scale;
        }
        self.refresh(worker)?;
        for number in 1..=lesson.batches {
            let mut rng = Rng::stream(worker.seed(), u64::from(worker.id()), self.steps, OF_PAIRS);
            self.draw(lesson, &mut rng);
            let sums = self.step(lesson);
            self.sums.add(&sums);
            if let Some(replica) = &mut self.replica {
                let drawn = &self.drawn;
                let name = |sample: usize, words: &mut Vec<u32>| words.extend(drawn[sample]);
                replica.note(self.linear.factors(), lesson.rate, name);
            }
            self.steps += 1;
            let is_last = number == lesson.batches;
            if is_last || lesson.exchange_every.is_some_and(|every| number % every == 0) {
                self.send(lesson.scale, worker)?;
                if !is_last {
                    self.refresh(worker)?;
                }
            }
        }
        Ok(())
    }

    /// Draws the pairs of a mini-batch, similar ones first, and takes their differences in.
    pub(super) fn draw(&mut self, lesson: &Lesson, rng: &mut Rng) {
        let similar = lesson.batch / 2;
        self.linear.by_sample.resize(lesson.batch);
        self.drawn.clear();
        for sample in 0..lesson.batch {
            let pair = self.data.pairs.draw(usize::from(sample >= similar), rng);
            self.drawn.push(pair);
            self.data.subtract(pair, &mut self.linear.by_sample, sample);
        }
    }

    /// Measures the mini-batch that was taken in, and steps.
    pub(super) fn step(&mut self, lesson: &Lesson) -> Sums {
        let Part {
            linear, matrix, ..
        } = self;
        linear.map(matrix, lesson.batch);
        let sums = measure(linear, lesson);
        let (rate, processor) = (lesson.rate, linear.kernel.processor());
        linear.gradient(matrix, |weights, gradient| {
            processor.compiled(
                #[inline(always)]
                || weights.iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate * g),
            );
        });
        sums
    }

    /// Takes over what is in the table now.
    pub(super) fn refresh(&mut self, worker: &mut Worker) -> Result<()> {
        let recipe = Recipe(&self.data, self.linear.kernel.processor());
        if let (Some(replica), Some(start)) = (&mut self.replica, &mut self.start) {
            let now = &mut self.matrix;
            return replica.take_over(Copies { now, start }, &recipe, worker);
        }
        let width = self.data.width;
        let rows: Vec<u64> = (0..(self.matrix.len() / width) as u64).collect();
        worker.prefetch(MATRIX, &rows);
        for (row, to) in rows.iter().zip(self.matrix.chunks_exact_mut(width)) {
            worker.read_into(MATRIX, *row, to)?;
        }
        if let Some(start) = &mut self.start {
            start.copy_from_slice(&self.matrix);
        }
        Ok(())
    }

    /// Adds what has changed since the last exchange to the table.
    fn send(&mut self, scale: f32, worker: &mut Worker) -> Result<()> {
        if let (Some(replica), Some(start)) = (&mut self.replica, &mut self.start) {
            let now = &mut self.matrix;
            replica.send(Copies { now, start }, worker);
            return Ok(());
        }
        let width = self.data.width;
        for (row, now) in self.matrix.chunks_exact(width).enumerate() {
            let delta = &mut self.delta;
            match &self.start {
                Some(start) => delta.copy_from_slice(&start[row * width..][..width]),
                // Nobody has changed it meanwhile: under `bsp`, or alone.
                None => worker.read_into(MATRIX, row as u64, delta)?,
            }
            for (delta, now) in delta.iter_mut().zip(now) {
                *delta = (now - *delta) * scale;
            }
            worker.inc(MATRIX, row as u64, delta);
        }
        worker.publish();
        Ok(())
    }

    /// How well classes keep together with what is in the table now.
    pub(super) fn test(&mut self, k: usize, worker: &mut Worker) -> Result<Sums> {
        self.refresh(worker)?;
        let Part {
            linear,
            matrix,
            data,
            test_rows,
            ..
        } = self;
        let mut sums = Sums::default();
        if test_rows.is_empty() {
            return Ok(sums);
        }
        let mut testing = Linear::new(data.width, linear.images.features(), BLOCK);
        let known = Images::new(&mut testing, matrix, &data.train_rows, |row| data.row(row));
        let classes: Vec<u32> = data.train_rows.iter().map(|row| data.classes[*row as usize]).collect();
        let (images, truth) = neighbors::test_images(&mut testing, matrix, data, test_rows);
        let of_known = (&known, &classes[..]);
        sums.right = neighbors::right(&mut testing, of_known, (&images, &truth), k);
        sums.tested = truth.len() as u64;
        let mut rng = Rng::stream(worker.seed(), u64::from(worker.id()), 0, OF_TEST);
        if let Some(area) = neighbors::pair_auc(&images, &truth, &mut rng) {
            sums.areas = (area, 1);
        }
        Ok(sums)
    }
}

/// How others' steps are done again.
struct Recipe<'a>(&'a Data, Processor);

impl factors::Recipe for Recipe<'_> {
    fn set(&self, name: &[u32], input: &mut BySample, sample: usize) -> Result<()> {
        match name {
            [one, two] if self.0.has(*one) && self.0.has(*two) => {
                self.0.subtract([*one, *two], input, sample);
                Ok(())
            }
            _ => Err(Error::Other("a pair of examples that this rank has not".into())),
        }
    }

    fn step(&self, rate: f32, _first: usize, weights: &mut [f32], gradient: &[f32]) {
        self.1.compiled(
            #[inline(always)]
            || weights.iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate * g),
        );
    }
}

/// Measures pairs by their images, similar ones first, and replaces the images by the derivatives of the
/// mini-batch's objective.
pub(super) fn measure(linear: &mut Linear, lesson: &Lesson) -> Sums {
    let (rank, similar) = (linear.images.features(), lesson.batch / 2);
    let mut sums = Sums {
        similar: (0.0, similar as u64),
        dissimilar: (0.0, (lesson.batch - similar) as u64),
        ..Sums::default()
    };
    let pull = 2.0 / similar as f32;
    let push = -2.0 * lesson.weight / (lesson.batch - similar) as f32;
    for panel in 0..linear.images.panels() {
        let mut squares = [0.0f32; PANEL];
        for r in 0..rank {
            let images = linear.images.feature(panel, r);
            squares.iter_mut().zip(images).for_each(|(square, x)| *square += x * x);
        }
        let mut factors = [0.0f32; PANEL];
        let samples = (panel * PANEL..lesson.batch).zip(factors.iter_mut().zip(squares));
        for (sample, (factor, square)) in samples {
            if sample < similar {
                sums.similar.0 += f64::from(square);
                *factor = pull;
            } else if square < lesson.margin {
                sums.dissimilar.0 += f64::from(lesson.margin - square);
                sums.violations += 1;
                *factor = push;
            } else if square.is_nan() {
                sums.dissimilar.0 = f64::NAN;
            }
        }
        for r in 0..rank {
            let images = linear.images.feature_mut(panel, r);
            images.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
        }
    }
    sums
}
