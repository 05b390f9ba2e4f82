//! What one worker holds, and what it does in a clock.

use std::sync::Arc;

use super::linear::Linear;
use super::mapper::Mapper;
use super::neighbors::{self, BLOCK, Images};
use super::samples::Data;
use super::sparse::{Sparse, Touched};
use super::sums::Sums;
use crate::engine::Worker;
use crate::error::{Error, Result};
use crate::math::gemm::{BySample, Kernel, PANEL, Processor};
use crate::math::rng::Rng;
use crate::program::factors::{self, Copies, Replica};
use crate::program::staleness::{Lateness, Progress, Scaling};
use crate::wire::message::{TableId, WorkerId};

/// The table of L, a row for each of its rows; for sparse examples for each of its columns.
pub(super) const MATRIX: TableId = 0;
/// The table of [`Scaling`].
pub(super) const PROGRESS: TableId = 1;
/// Streams of [`Rng`].
const OF_PAIRS: u64 = 21;
const OF_TEST: u64 = 22;

/// One worker's part.
pub(super) struct Part {
    pub(super) worker: WorkerId,
    pub(super) data: Arc<Data>,
    pub(super) batches: Batches,
    pub(super) rank: usize,
    /// L as this worker sees it, laid out as in the table.
    pub(super) matrix: Vec<f32>,
    /// L at the last exchange, if others change the table meanwhile.
    pub(super) start: Option<Vec<f32>>,
    pub(super) progress: Progress,
    /// Of reads since the last clock began.
    pub(super) late: Lateness,
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

/// How mini-batches go through L.
pub(super) enum Batches {
    /// All values.
    Dense(Linear),
    /// The values that are not 0.
    Sparse(Sparse, Touched),
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
    /// Part of a worker's change that counts, unless there is a rule.
    pub(super) scale: f32,
    pub(super) scaling: Option<Scaling>,
}

impl Part {
    /// Trains for one clock.
    pub(super) fn train(&mut self, lesson: &Lesson, worker: &mut Worker) -> Result<()> {
        if let Some(replica) = &mut self.replica {
            replica.scale = lesson.scale;
        }
        self.refresh(worker)?;
        let scale = self.scale(lesson, worker)?;
        for number in 1..=lesson.batches {
            let mut rng = Rng::stream(worker.seed(), u64::from(worker.id()), self.steps, OF_PAIRS);
            self.draw(lesson, &mut rng);
            self.read_met(worker)?;
            let sums = self.step(lesson);
            self.sums.add(&sums);
            if let (Some(replica), Batches::Dense(linear)) = (&mut self.replica, &self.batches) {
                let drawn = &self.drawn;
                let name = |sample: usize, words: &mut Vec<u32>| words.extend(drawn[sample]);
                replica.note(linear.factors(), lesson.rate, name);
            }
            self.steps += 1;
            let is_last = number == lesson.batches;
            if is_last || lesson.exchange_every.is_some_and(|every| number % every == 0) {
                self.send(scale, worker)?;
                if !is_last {
                    self.refresh(worker)?;
                }
            }
        }
        Ok(())
    }

    /// Part of this clock's change that counts.
    fn scale(&mut self, lesson: &Lesson, worker: &mut Worker) -> Result<f32> {
        let Some(scaling) = lesson.scaling else {
            return Ok(lesson.scale);
        };
        if let Some(replica) = &mut self.replica {
            self.late.add(replica.take_lateness());
        }
        let scale = self.progress.scale(scaling, self.late.take(), worker)? as f32;
        if let Some(replica) = &mut self.replica {
            replica.scale = scale;
        }
        Ok(scale)
    }

    /// Draws the pairs of a mini-batch, similar ones first, and takes their differences in.
    pub(super) fn draw(&mut self, lesson: &Lesson, rng: &mut Rng) {
        let similar = lesson.batch / 2;
        let kinds = (0..lesson.batch).map(|sample| usize::from(sample >= similar));
        self.drawn.clear();
        self.drawn.extend(kinds.map(|kind| self.data.pairs.draw(kind, rng)));
        let drawn = self.drawn.iter();
        match &mut self.batches {
            Batches::Dense(linear) => {
                linear.by_sample.resize(lesson.batch);
                drawn.enumerate().for_each(|(sample, pair)| self.data.subtract(*pair, &mut linear.by_sample, sample));
            }
            Batches::Sparse(sparse, _) => {
                sparse.clear();
                drawn.for_each(|pair| sparse.subtract(&self.data.features, *pair));
            }
        }
    }

    /// Measures the mini-batch that was taken in, and steps.
    pub(super) fn step(&mut self, lesson: &Lesson) -> Sums {
        let (matrix, rate) = (&mut self.matrix, lesson.rate);
        match &mut self.batches {
            Batches::Dense(linear) => {
                linear.map(matrix, lesson.batch);
                let sums = measure(linear, lesson);
                let processor = linear.kernel.processor();
                linear.gradient(matrix, |weights, gradient| {
                    processor.compiled(
                        #[inline(always)]
                        || weights.iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate * g),
                    );
                });
                sums
            }
            Batches::Sparse(sparse, touched) => {
                sparse.map(matrix);
                let mut judge = Judge::new(lesson);
                sparse.judge(|sample, square| judge.factor(sample, square));
                sparse.step(matrix, rate, |row| touched.change(row));
                judge.sums
            }
        }
    }

    /// Takes over what is in the table now.
    pub(super) fn refresh(&mut self, worker: &mut Worker) -> Result<()> {
        if let Batches::Sparse(_, touched) = &mut self.batches {
            touched.forget();
            return Ok(());
        }
        if let (Some(replica), Some(start), Batches::Dense(linear)) =
            (&mut self.replica, &mut self.start, &self.batches)
        {
            let recipe = Recipe(&self.data, linear.kernel.processor());
            let now = &mut self.matrix;
            return replica.take_over(Copies { now, start }, &recipe, worker);
        }
        let rows = (self.matrix.len() / self.delta.len()) as u64;
        self.read(&(0..rows).collect::<Vec<u64>>(), worker)
    }

    /// Takes over all of L: that is more than [`Part::refresh`] if examples are sparse.
    pub(super) fn read_all(&mut self, worker: &mut Worker) -> Result<()> {
        self.refresh(worker)?;
        let Batches::Sparse(_, touched) = &mut self.batches else {
            return Ok(());
        };
        let rows = touched.read_now(0..self.data.width as u32);
        self.read(&rows, worker)
    }

    /// Takes over those rows of L that the mini-batch of sparse examples needs.
    fn read_met(&mut self, worker: &mut Worker) -> Result<()> {
        let Batches::Sparse(sparse, touched) = &mut self.batches else {
            return Ok(());
        };
        let rows = touched.read_now(sparse.met());
        self.read(&rows, worker)
    }

    fn read(&mut self, rows: &[u64], worker: &mut Worker) -> Result<()> {
        let width = self.delta.len();
        worker.prefetch(MATRIX, rows);
        for row in rows {
            let place = *row as usize * width..(*row as usize + 1) * width;
            worker.read_into(MATRIX, *row, &mut self.matrix[place.clone()])?;
            self.late.note(worker);
            if let Some(start) = &mut self.start {
                start[place.clone()].copy_from_slice(&self.matrix[place]);
            }
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
        let width = self.delta.len();
        let rows = match &mut self.batches {
            Batches::Dense(_) => (0..(self.matrix.len() / width) as u32).collect(),
            Batches::Sparse(_, touched) => touched.take_changed(),
        };
        for row in rows {
            let now = &self.matrix[row as usize * width..][..width];
            let delta = &mut self.delta;
            match &self.start {
                Some(start) => delta.copy_from_slice(&start[row as usize * width..][..width]),
                // Nobody has changed it meanwhile: under `bsp`, or alone.
                None => worker.read_into(MATRIX, u64::from(row), delta)?,
            }
            for (delta, now) in delta.iter_mut().zip(now) {
                *delta = (now - *delta) * scale;
            }
            worker.inc(MATRIX, u64::from(row), delta);
        }
        worker.publish();
        Ok(())
    }

    /// How well classes keep together with what is in the table now.
    pub(super) fn test(&mut self, k: usize, worker: &mut Worker) -> Result<Sums> {
        self.read_all(worker)?;
        let Part {
            matrix,
            data,
            test_rows,
            rank,
            ..
        } = self;
        let mut sums = Sums::default();
        if test_rows.is_empty() {
            return Ok(sums);
        }
        let kernel = Kernel::new();
        let mut mapper = Mapper::new(&data.features, kernel, *rank, BLOCK);
        let known = Images::new(&mut mapper, (matrix, *rank), &data.features, &data.train_rows);
        let images = Images::new(&mut mapper, (matrix, *rank), data.test_features(), test_rows);
        let classes: Vec<u32> = data.train_rows.iter().map(|row| data.classes[*row as usize]).collect();
        let truth: Vec<u32> = test_rows.iter().map(|row| data.test_class(*row)).collect();
        sums.right = neighbors::right(&mut Kernel::new(), (&known, &classes), (&images, &truth), k);
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

/// Measures pairs by the squares of their images' lengths, similar ones first.
struct Judge {
    sums: Sums,
    similar: usize,
    margin: f32,
    pull: f32,
    push: f32,
}

impl Judge {
    fn new(lesson: &Lesson) -> Judge {
        let similar = lesson.batch / 2;
        let dissimilar = lesson.batch - similar;
        Judge {
            sums: Sums {
                similar: (0.0, similar as u64),
                dissimilar: (0.0, dissimilar as u64),
                ..Sums::default()
            },
            similar,
            margin: lesson.margin,
            pull: 2.0 / similar as f32,
            push: -2.0 * lesson.weight / dissimilar as f32,
        }
    }

    /// What the derivative of the mini-batch's objective by an image is that image's multiple of.
    fn factor(&mut self, sample: usize, square: f32) -> f32 {
        if sample < self.similar {
            self.sums.similar.0 += f64::from(square);
            self.pull
        } else if square < self.margin {
            self.sums.dissimilar.0 += f64::from(self.margin - square);
            self.sums.violations += 1;
            self.push
        } else {
            if square.is_nan() {
                self.sums.dissimilar.0 = f64::NAN;
            }
            0.0
        }
    }
}

/// Measures pairs by their images, similar ones first, and replaces the images by the derivatives of the
/// mini-batch's objective.
pub(super) fn measure(linear: &mut Linear, lesson: &Lesson) -> Sums {
    let rank = linear.images.features();
    let mut judge = Judge::new(lesson);
    for panel in 0..linear.images.panels() {
        let mut squares = [0.0f32; PANEL];
        for r in 0..rank {
            let images = linear.images.feature(panel, r);
            squares.iter_mut().zip(images).for_each(|(square, x)| *square += x * x);
        }
        let mut factors = [0.0f32; PANEL];
        let samples = (panel * PANEL..lesson.batch).zip(factors.iter_mut().zip(squares));
        samples.for_each(|(sample, (factor, square))| *factor = judge.factor(sample, square));
        for r in 0..rank {
            let images = linear.images.feature_mut(panel, r);
            images.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
        }
    }
    judge.sums
}
