//! Changes of a matrix as what they are made of: `--exchange`.
//!
//! The gradient of a matrix of m rows and n columns over a mini-batch of B samples is Σ_b u_b v_bᵀ:
//! instead of its m n numbers, the B (m + n) of its sufficient factors can travel, and where every host
//! maps the same data the v of a first layer is a sample's number (Xie et al., UAI 2016). With P hosts,
//! factors go to each of the others while changes of rows go to their homes and come back as rows, so
//! a host sends about 2 m n (P − 1) / P numbers or B (m + n)(P − 1): factors win while
//! P < 2 m n / (B (m + n)); against one central server, as there, while P − 1 is less than that. The
//! choice (Poseidon: Zhang et al., USENIX ATC 2017) is by these bytes, for every matrix by itself; nothing
//! that they depend on changes from clock to clock, so it is made once. It counts one exchange a clock:
//! without `bsp` a matrix in full goes more often than that (`--exchange-every`), factors never. A sample's
//! number is never longer than its features, so that factors are chosen only where samples have none: in
//! hidden layers. With one host nothing travels, and matrices are exchanged in full.
//!
//! Factors travel as rows of a table of words, each overwritten some clocks later; every worker keeps the
//! matrix itself and takes what the others have done again, step by step, from the same start. Under
//! `bsp` the changes are added in the order of workers, as a home would: the matrices are those of a
//! run that exchanges them in full, to the bit, on processors of one kind. Otherwise each worker adds
//! changes as they come; the order differs among them, and so do last bits.

use clap::ValueEnum;

use crate::engine::{Host, Worker};
use crate::error::{Error, Result};
use crate::math::gemm::{BySample, Kernel, WeightsMut};
use crate::program::staleness::Lateness;
use crate::ps::{Bound, Consistency, ElementType, TableKind, TableSpec, World};
use crate::wire::message::{Clock, TableId, WorkerId};

/// What travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Exchange {
    /// indices (in hidden layers factors) where a clock's are fewer bytes than one exchange in full, by
    /// the number of hosts, else full; full under async and for other steps than plain ones
    Auto,
    /// Changes of all numbers of a matrix
    Full,
    /// What the gradients of mini-batches are made of
    Factors,
    /// The same, with the numbers of examples in the place of their features
    Indices,
}

/// What travels of one matrix, for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    #[default]
    Full,
    Factors,
    Indices,
}

/// What the bytes of an exchange follow from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Words that name a sample; none where samples have no names, as in a hidden layer.
    pub(super) name: Option<usize>,
    /// Samples of a mini-batch, and mini-batches of a worker in a clock, at most.
    pub(super) batch: usize,
    pub(super) batches: u64,
}

impl Counts {
    /// Words of the factors of a clock.
    pub(super) fn words(&self, form: Form) -> usize {
        let each = match (form, self.name) {
            (Form::Indices, Some(name)) => self.rows + name,
            _ => self.rows + self.columns,
        };
        self.batches as usize * (HEAD + self.batch * each) + 1
    }

    /// Bytes that a host sends in a clock, about.
    fn bytes(&self, form: Form, world: &World) -> f64 {
        let ranks = f64::from(world.ranks());
        let local = (f64::from(world.workers()) / ranks).ceil();
        match form {
            Form::Full => {
                4.0 * (local + 1.0) * (self.rows * self.columns) as f64 * (ranks - 1.0) / ranks
            }
            _ => 4.0 * local * self.words(form) as f64 * (ranks - 1.0),
        }
    }

    /// The form to use; `plain` if steps follow from one gradient alone.
    ///
    /// # Errors
    /// Status 2 for a form that cannot be.
    pub(super) fn choose(&self, how: Exchange, plain: bool, host: &Host) -> Result<Form> {
        let bounded = host.bound().consistency() != Consistency::Async;
        let refuse = |why: &str| Err(Error::Usage(format!("--exchange: {why}")));
        let named = if self.name.is_some() {
            Form::Indices
        } else {
            Form::Factors
        };
        match how {
            Exchange::Full => Ok(Form::Full),
            Exchange::Auto if !plain || !bounded => Ok(Form::Full),
            Exchange::Auto => {
                let fewer = self.bytes(named, host.world()) < self.bytes(Form::Full, host.world());
                Ok(if fewer { named } else { Form::Full })
            }
            _ if !plain => refuse(
                "factors need --optimizer sgd: other steps follow from more than one gradient",
            ),
            _ if !bounded => refuse("factors need a bound on staleness, which async has not"),
            Exchange::Factors => Ok(Form::Factors),
            Exchange::Indices => Ok(named),
        }
    }
}

/// Words before a mini-batch's factors: samples, how its step is made, and which part of it counts.
const HEAD: usize = 3;
/// Words of a row before its own: the clock, from 1.
const STAMP: usize = 1;
/// Words of a row at most: several leave in one frame.
const ROW_WORDS: usize = 1 << 14;

/// The factors of all workers' clocks, on their way through a table.
struct Stream {
    table: TableId,
    layout: Layout,
    /// By slot: what this worker wrote there last.
    written: Vec<Vec<u32>>,
    /// By worker: the next clock to take.
    next: Vec<Option<Clock>>,
    /// Of this clock.
    words: Vec<u32>,
    last: Vec<u32>,
    late: Lateness,
}

/// Where words lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Clocks that have a place of their own: a worker is at most s + 1 clocks ahead of one that has not
    /// read what it wrote s + 1 clocks ago.
    slots: u64,
    pieces: u64,
    width: usize,
}

impl Layout {
    fn new(words: usize, bound: Bound) -> Layout {
        let pieces = words.div_ceil(ROW_WORDS).max(1);
        Layout {
            slots: 2 * u64::from(bound.staleness()) + 3,
            pieces: pieces as u64,
            width: words.div_ceil(pieces) + STAMP,
        }
    }

    /// The rows of a worker's clock; they live with it.
    fn rows(self, world: &World, worker: WorkerId, clock: Clock) -> Vec<u64> {
        let rank = world.rank_of(worker);
        let local = u64::from(worker - world.local(rank).start);
        let first = (local * self.slots + clock as u64 % self.slots) * self.pieces;
        let row = |piece| (first + piece) * u64::from(world.ranks()) + u64::from(rank);
        (0..self.pieces).map(row).collect()
    }
}

/// The table for so many words a clock.
pub(super) fn table(words: usize, bound: Bound, world: &World) -> TableSpec {
    let layout = Layout::new(words, bound);
    let most = (0..world.ranks())
        .map(|rank| world.local(rank).len())
        .max()
        .unwrap_or(1);
    TableSpec {
        name: "factors",
        kind: TableKind::Shared {
            rows: most as u64 * layout.slots * layout.pieces * u64::from(world.ranks()),
            width: layout.width as u32,
            element: ElementType::U32,
            sparse: false,
        },
    }
}

impl Stream {
    fn new(table: TableId, words: usize, bound: Bound, world: &World) -> Stream {
        let layout = Layout::new(words, bound);
        Stream {
            table,
            layout,
            written: vec![vec![0; layout.width * layout.pieces as usize]; layout.slots as usize],
            next: vec![None; world.workers() as usize],
            words: Vec::new(),
            last: Vec::new(),
            late: Lateness::default(),
        }
    }

    /// Adds words to this clock's.
    fn put(&mut self, words: impl IntoIterator<Item = u32>) {
        self.words.extend(words);
    }

    /// Sends this clock's words; nobody but other workers reads them.
    fn send(&mut self, worker: &mut Worker) {
        let (at, Layout { width, slots, .. }) = (worker.at(), self.layout);
        let rows = self.layout.rows(worker.world(), worker.id(), at);
        let written = &mut self.written[(at as u64 % slots) as usize];
        let mut pieces = self.words.chunks(width - STAMP);
        for (row, old) in rows.into_iter().zip(written.chunks_exact_mut(width)) {
            let words = pieces.next().unwrap_or_default().iter().copied();
            let new = std::iter::once(at as u32 + 1)
                .chain(words)
                .chain(std::iter::repeat(0));
            self.last.clear();
            for (old, new) in old.iter_mut().zip(new) {
                self.last.push(new.wrapping_sub(*old));
                *old = new;
            }
            worker.inc(self.table, row, &self.last);
        }
        self.words.clear();
    }

    /// What `of` did in the next of its clocks, if that is there; then it is taken. The clocks before
    /// the first call are in the matrix already.
    fn take(&mut self, of: WorkerId, worker: &mut Worker) -> Result<Option<Vec<u32>>> {
        let at = worker.at();
        let clock = *self.next[of as usize].get_or_insert(at);
        if clock >= at {
            return Ok(None);
        }
        let rows = self.layout.rows(worker.world(), of, clock);
        worker.prefetch(self.table, &rows);
        let mut words = Vec::with_capacity(rows.len() * self.layout.width);
        for row in rows {
            let piece = worker.read::<u32>(self.table, row)?;
            let is_there = piece[0] == clock as u32 + 1;
            words.extend_from_slice(&piece[STAMP..]);
            self.late.note(worker);
            if !is_there {
                return Ok(None);
            }
        }
        self.next[of as usize] = Some(clock + 1);
        Ok(Some(words))
    }
}

/// A mini-batch among a clock's words.
struct Batch<'a> {
    samples: usize,
    rate: f32,
    scale: f32,
    words: &'a [u32],
    at: usize,
}

impl Batch<'_> {
    /// The next words.
    ///
    /// # Errors
    /// If there are fewer.
    fn words(&mut self, count: usize) -> Result<&[u32]> {
        let end = self.at + count;
        let words = self.words.get(self.at..end).ok_or_else(damaged)?;
        self.at = end;
        Ok(words)
    }
}

fn damaged() -> Error {
    Error::Other("factors of another length than the matrix has".into())
}

/// The head of a mini-batch of one sample or more.
fn head(samples: usize, rate: f32, scale: f32) -> [u32; HEAD] {
    [samples as u32, rate.to_bits(), scale.to_bits()]
}

/// Hands the mini-batches of a clock to `each`, which takes the words of all of its samples.
///
/// # Errors
/// Those of `each`, and that of words that do not fit.
fn batches(words: &[u32], mut each: impl FnMut(&mut Batch) -> Result<()>) -> Result<()> {
    let mut at = 0;
    while let Some([samples, rate, scale]) = words.get(at..at + HEAD).filter(|head| head[0] > 0) {
        let mut batch = Batch {
            samples: *samples as usize,
            rate: f32::from_bits(*rate),
            scale: f32::from_bits(*scale),
            words,
            at: at + HEAD,
        };
        each(&mut batch)?;
        at = batch.at;
    }
    Ok(())
}

/// One worker's copy of a matrix whose changes travel as factors.
pub(super) struct Replica {
    form: Form,
    stream: Stream,
    /// Part of this worker's change that counts.
    pub(super) scale: f32,
    kernel: Kernel,
    errors: BySample,
    input: BySample,
    shape: Counts,
    sum: Vec<f32>,
    other: Vec<f32>,
}

/// The weights as they are, and as they were at the last exchange.
pub(super) struct Copies<'a> {
    pub(super) now: &'a mut [f32],
    pub(super) start: &'a mut [f32],
}

/// How a recipe reads names and steps.
pub(super) trait Recipe {
    /// Puts the sample of this name to its place.
    fn set(&self, name: &[u32], input: &mut BySample, sample: usize) -> Result<()>;

    /// A step of some weights, which begin at this column, by their gradient.
    fn step(&self, rate: f32, first: usize, weights: &mut [f32], gradient: &[f32]);
}

impl Replica {
    /// A copy whose factors go through `table`; with `bias`, a last column is met by a 1.
    pub(super) fn new(
        (form, table): (Form, TableId),
        kernel: Kernel,
        shape: Counts,
        bias: bool,
        host: &Host,
    ) -> Replica {
        let mut input = BySample::zeros(shape.columns + usize::from(bias), shape.batch);
        if bias {
            (0..shape.batch).for_each(|sample| input.set(sample, shape.columns, 1.0));
        }
        Replica {
            form,
            stream: Stream::new(table, shape.words(form), host.bound(), host.world()),
            scale: 1.0,
            kernel,
            errors: BySample::zeros(shape.rows, shape.batch),
            input,
            shape,
            sum: Vec::new(),
            other: Vec::new(),
        }
    }

    /// Notes a mini-batch's factors; `name` says what a sample is called.
    pub(super) fn note(
        &mut self,
        (errors, input): (&BySample, &BySample),
        rate: f32,
        mut name: impl FnMut(usize, &mut Vec<u32>),
    ) {
        let samples = errors.samples();
        let mut words = head(samples, rate, self.scale).to_vec();
        let put = |of: &BySample, features: usize, sample: usize, words: &mut Vec<u32>| {
            for panel in 0..of.panels() {
                words.extend(of.piece(panel, sample).iter().map(|x| x.to_bits()));
            }
            words.truncate(words.len() - (of.features() - features));
        };
        for sample in 0..samples {
            put(errors, self.shape.rows, sample, &mut words);
            match self.form {
                Form::Indices => name(sample, &mut words),
                _ => put(input, self.shape.columns, sample, &mut words),
            }
        }
        self.stream.put(words);
    }

    /// Ends the clock's changes: they leave.
    pub(super) fn send(&mut self, copies: Copies, worker: &mut Worker) {
        self.stream.send(worker);
        if !worker.in_lockstep() {
            for (now, start) in copies.now.iter_mut().zip(copies.start) {
                *start += (*now - *start) * self.scale;
                *now = *start;
            }
        }
        worker.publish();
    }

    /// Takes over what the other workers have done.
    ///
    /// # Errors
    /// If the run has failed, or words do not fit.
    pub(super) fn take_over(
        &mut self,
        copies: Copies,
        recipe: &impl Recipe,
        worker: &mut Worker,
    ) -> Result<()> {
        match worker.in_lockstep() {
            true => self.in_order(copies, recipe, worker),
            false => self.as_they_come(copies, recipe, worker),
        }
    }

    fn in_order(
        &mut self,
        copies: Copies,
        recipe: &impl Recipe,
        worker: &mut Worker,
    ) -> Result<()> {
        let mut sum = std::mem::take(&mut self.sum);
        sum.clear();
        sum.extend_from_slice(copies.start);
        let scale = self.scale;
        let add = |sum: &mut [f32], now: &[f32], start: &[f32]| {
            for (sum, (now, start)) in sum.iter_mut().zip(now.iter().zip(start)) {
                *sum += (now - start) * scale;
            }
        };
        for of in 0..worker.world().workers() {
            if of == worker.id() {
                add(&mut sum, copies.now, copies.start);
            } else if let Some(words) = self.stream.take(of, worker)? {
                self.again(&words, copies.start, recipe)?;
                add(&mut sum, &self.other, copies.start);
            }
        }
        copies.now.copy_from_slice(&sum);
        copies.start.copy_from_slice(&sum);
        self.sum = sum;
        Ok(())
    }

    fn as_they_come(
        &mut self,
        copies: Copies,
        recipe: &impl Recipe,
        worker: &mut Worker,
    ) -> Result<()> {
        let (workers, own) = (worker.world().workers(), worker.id());
        for of in (0..workers).filter(|of| *of != own) {
            while let Some(words) = self.stream.take(of, worker)? {
                let scale = self.again(&words, copies.now, recipe)?;
                let both = copies.now.iter_mut().zip(copies.start.iter_mut());
                for ((now, start), other) in both.zip(&self.other) {
                    let change = (other - *now) * scale;
                    *now += change;
                    *start += change;
                }
            }
        }
        Ok(())
    }

    /// The staleness of what was read since this was last asked.
    pub(super) fn take_lateness(&mut self) -> Lateness {
        std::mem::take(&mut self.stream.late)
    }

    /// Does a clock's mini-batches again, from `from` on; the part of them that counts.
    fn again(&mut self, words: &[u32], from: &[f32], recipe: &impl Recipe) -> Result<f32> {
        self.other.clear();
        self.other.extend_from_slice(from);
        let Replica {
            form,
            kernel,
            errors,
            input,
            shape,
            other,
            ..
        } = self;
        let stride = input.features();
        let mut scale = 1.0;
        batches(words, |batch| {
            let (samples, rate) = (batch.samples, batch.rate);
            scale = batch.scale;
            if samples > shape.batch {
                return Err(damaged());
            }
            errors.resize(samples);
            input.resize(samples);
            let mut floats = Vec::new();
            let mut set = |words: &[u32], to: &mut BySample, sample: usize| {
                floats.clear();
                floats.extend(words.iter().map(|word| f32::from_bits(*word)));
                to.set_sample(sample, &floats);
            };
            for sample in 0..samples {
                set(batch.words(shape.rows)?, errors, sample);
                match (*form, shape.name) {
                    (Form::Indices, Some(name)) => recipe.set(batch.words(name)?, input, sample)?,
                    _ => set(batch.words(shape.columns)?, input, sample),
                }
            }
            let weights = WeightsMut {
                values: other,
                stride,
                units: shape.rows,
            };
            let step = |_: usize, first: usize, weights: &mut [f32], gradient: &mut [f32]| {
                recipe.step(rate, first, weights, gradient);
            };
            kernel.backward(weights, errors, input, None, |_, _, _| (), step);
            Ok(())
        })?;
        Ok(scale)
    }
}
