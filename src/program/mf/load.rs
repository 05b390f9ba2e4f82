//! From the user's ratings to each worker's part.
//!
//! Every rank reads all ratings and keeps those of its own users. So all agree on ids, counts and
//! the partition without a word, and the same number of workers gives the same model however they
//! are spread over ranks.

use std::sync::Arc;

use super::block::Block;
use super::options::{Options, Parallel, StepScaling};
use super::part::{Items, Part, Users};
use super::ratings::{Ordered, Place, SharedPieces};
use super::rotate::Rotating;
use super::share::Shared;
use super::sums::Sums;
use super::Setup;
use crate::data::{NO_ROW, Pieces, Rating, Ratings, RatingsOptions, load_ratings, load_ratings_bytes};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::factors::{Factors, Kernel, Step};
use crate::math::rng::{Rng, mix};
use crate::ps::Consistency;
use crate::scheduler::partition::Partition;
use crate::scheduler::rotation::Rotation;
use crate::wire::message::WorkerId;

/// Part of the ratings that is held out where the user does not say.
const HOLDOUT: f64 = 0.1;
/// Bytes of a block that leave room for other things in a level-2 cache of 1 MiB.
const BLOCK_BYTES: usize = 512 << 10;
/// Most blocks of a worker that are made to fit the cache.
const BLOCKS_MAX: usize = 64;
/// κ of [`Step`]. This, the next two and the default of the learning rate were searched on the 10
/// million ratings of `petuum generate mf`, where 4 passes then do what took 8 with κ half of it and
/// biases three times as fast.
const SHRINKAGE: f64 = 0.1;
/// Length of a bias's first steps, relative to that of factors.
const BIAS_RATE: f64 = 1.0 / 3.0;
/// Factors are drawn between ± this over √k.
const SPREAD: f64 = 0.3;
/// Streams of [`Rng`].
const OF_USERS: u64 = 1;
const OF_ITEMS: u64 = 2;

static SAMPLE: &[u8] = include_bytes!("../../../datasets/sample-mf/ratings.sample.tsv.gz");

/// Reads everything and deals this rank's share out to its workers.
pub(super) fn load(options: &Options, host: &Host) -> Result<(Setup, Vec<Part>)> {
    let ratings = read(options, host)?;
    let setup = setup(options, &ratings, host)?;
    let seed = host.seed();
    let local = host.world().local(host.rank());
    let shared = |pieces: Pieces| -> SharedPieces { pieces.into_iter().map(Arc::new).collect() };
    let pieces = [shared(ratings.train), shared(ratings.test)];
    // The last worker's are the pieces themselves: none must stay behind.
    let copies = vec![pieces; local.len()];
    let mut parts = host.for_workers(copies, |worker, pieces| {
        part(worker, options, &setup, pieces, seed)
    })?;
    if let Some(Items::Shared(items)) = parts.first_mut().map(|part| &mut part.items) {
        items.start = Some(start(options, &setup, seed));
    }
    Ok((setup, parts))
}

fn read(options: &Options, host: &Host) -> Result<Ratings> {
    let how = RatingsOptions {
        threads: host.threads(),
        ..RatingsOptions::default()
    };
    let share = match options.test {
        Some(_) => 0.0,
        None => options.holdout.unwrap_or(HOLDOUT),
    };
    let seed = mix(host.seed() ^ 0x6865_6c64_206f_7574);
    let held_out = |number: u64| {
        share > 0.0 && ((mix(seed ^ number) >> 11) as f64 / (1u64 << 53) as f64) < share
    };
    let ratings = if options.data.is_empty() {
        if options.test.is_some() {
            return Err(Error::Usage("--test: needs DATA, whose ids it is about".into()));
        }
        host.note("no data given: training on the built-in sample (20,000 ratings, 5 planted factors)");
        load_ratings_bytes("the built-in sample", SAMPLE, how, &held_out)?
    } else {
        refuse_shared_input(options, host)?;
        let test: Vec<_> = options.test.iter().cloned().collect();
        load_ratings(&options.data, &test, how, &held_out)?
    };
    if ratings.users.is_empty() {
        return Err(Error::Usage(format!(
            "--holdout: {share} keeps out every rating, nothing is left to train on"
        )));
    }
    Ok(ratings)
}

fn refuse_shared_input(options: &Options, host: &Host) -> Result<()> {
    let is_stdin = options.data.iter().any(|path| path.as_os_str() == "-");
    match is_stdin && host.world().ranks() > 1 {
        true => Err(Error::Usage(
            "-: standard input cannot be shared by several ranks, name a file".into(),
        )),
        false => Ok(()),
    }
}

fn setup(options: &Options, ratings: &Ratings, host: &Host) -> Result<Setup> {
    let workers = host.world().workers();
    let number = |pieces: &Pieces| pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
    let (train, test) = (number(&ratings.train), number(&ratings.test));
    let (mean, scale) = moments(&ratings.train, train);
    let per_worker = match options.parallel {
        Parallel::Model => blocks_per_worker(options, ratings.items.len(), workers),
        Parallel::Data => 1,
    };
    let blocks = workers * per_worker;
    let clocks = host.clocks_per_pass();
    let bound = host.bound();
    let bounded = bound.consistency() != Consistency::Async;
    if options.step_scaling == StepScaling::Staleness && !bounded {
        return Err(Error::Usage(
            "--step-scaling: async has no bound on staleness, say delay or none".into(),
        ));
    }
    if clocks > u64::from(blocks) && options.parallel == Parallel::Model {
        return Err(Error::Usage(format!(
            "--clocks-per-pass: {clocks} is too large, at most {blocks} \
             ({workers} workers with {per_worker} item blocks each; see --blocks-per-worker)"
        )));
    }
    Ok(Setup {
        by_worker: Partition::balanced(ratings.users.counts(), workers),
        by_block: Partition::balanced(ratings.items.counts(), blocks),
        users: ratings.users.clone(),
        items: ratings.items.clone(),
        rotation: Rotation::new(workers, blocks),
        clocks_per_pass: clocks,
        stride: u64::from(per_worker),
        mean,
        scale,
        train,
        test,
        step: step(options, scale),
        scaling: options.step_scaling,
        staleness: bound.staleness(),
        bounded,
    })
}

/// At least what was asked for, more where blocks would not fit the cache.
fn blocks_per_worker(options: &Options, items: usize, workers: u32) -> u32 {
    let bytes = items * options.rank() * size_of::<f32>();
    let fitting = bytes.div_ceil(BLOCK_BYTES).div_ceil(workers as usize);
    options
        .blocks_per_worker
        .max(fitting.min(BLOCKS_MAX) as u32)
}

/// Mean and standard deviation; a deviation of 0 counts as 1.
fn moments(pieces: &Pieces, number: u64) -> (f64, f64) {
    let all = || pieces.iter().flatten().map(|rating| f64::from(rating.value));
    let mean = all().sum::<f64>() / number as f64;
    let variance = all().map(|value| (value - mean).powi(2)).sum::<f64>() / number as f64;
    let scale = variance.sqrt();
    (mean, if scale > 0.0 { scale } else { 1.0 })
}

/// The steps for ratings of standard deviation `scale`. With r = s r', the factors are √s times and
/// the biases s times those inside, so that λ/s weighs inside as λ does outside.
pub(super) fn step(options: &Options, scale: f64) -> Step {
    let bias = if options.no_bias { 0.0 } else { BIAS_RATE };
    Step {
        rate: options.rate() as f32,
        regularization: (options.regularization / scale) as f32,
        shrinkage: SHRINKAGE as f32,
        bias_rate: (bias * options.rate()) as f32,
        bias_regularization: options.regularization as f32,
        others: 1.0,
        nonnegative: options.nonnegative,
    }
}

fn part(
    worker: WorkerId,
    options: &Options,
    setup: &Setup,
    [train, test]: [SharedPieces; 2],
    seed: u64,
) -> Part {
    let rank = options.rank();
    let positions = setup.by_worker.block(worker);
    let rows: Vec<u32> = positions
        .clone()
        .map(|position| setup.by_worker.variable(position))
        .collect();
    let stranger = rows.len() as u32;
    let user_of = |row: u32| match row {
        // Somebody has to predict for users whom nobody knows.
        NO_ROW => (worker == 0).then_some(stranger),
        row => {
            let position = setup.by_worker.position(row);
            positions.contains(&position).then(|| position - positions.start)
        }
    };
    let starts: Vec<u32> = (0..setup.by_block.blocks())
        .map(|block| setup.by_block.block(block).start)
        .collect();
    let place = |rating: &Rating| {
        let user = user_of(rating.user)?;
        let position = (rating.item != NO_ROW).then(|| setup.by_block.position(rating.item))?;
        if options.parallel == Parallel::Data {
            let (block, item) = (0, position);
            return Some(Place { block, user, item });
        }
        let block = starts.partition_point(|start| *start <= position) - 1;
        let item = position - starts[block];
        let block = block as u32;
        Some(Place { block, user, item })
    };
    let center = |value: f32| ((f64::from(value) - setup.mean) / setup.scale) as f32;
    let unseen = test
        .iter()
        .flat_map(|piece| piece.iter())
        .filter(|rating| rating.item == NO_ROW)
        .filter_map(|rating| Some((user_of(rating.user)?, center(rating.value))))
        .collect();
    let order = |pieces| Ordered::new(pieces, place, center, starts.len(), rows.len() + 1);
    let mut users = Factors::zeros(rows.len() + 1, rank);
    for (at, row) in rows.iter().enumerate() {
        draw(users.row_mut(at), OF_USERS, *row, options.nonnegative, seed);
    }
    let users = Users {
        worker,
        factors: Arc::new(users),
        train: order(train),
        test: order(test),
        unseen,
        rows,
        sums: Sums::default(),
        kernel: Kernel::new(),
    };
    let items = match options.parallel {
        Parallel::Model => Items::Rotating(Rotating {
            fresh: fresh(worker, options, setup, seed),
            ..Rotating::default()
        }),
        Parallel::Data => Items::Shared(shared(setup, &users)),
    };
    Part { users, items }
}

fn shared(setup: &Setup, users: &Users) -> Shared {
    let clocks = setup.clocks_per_pass as usize;
    let needed = |segment| {
        let mut items: Vec<u64> = users
            .train
            .segment(segment, clocks)
            .flat_map(|(_, ratings)| ratings.iter().map(|rating| u64::from(rating.row)))
            .collect();
        items.sort_unstable();
        items.dedup();
        items.shrink_to_fit();
        items
    };
    Shared {
        needed: (0..clocks).map(needed).collect(),
        seen: Factors::zeros(setup.by_block.variables(), users.factors.rank()),
        start: None,
        progress: None,
        own: None,
    }
}

/// What all items begin with, by position.
fn start(options: &Options, setup: &Setup, seed: u64) -> Factors {
    let positions = 0..setup.by_block.variables();
    let mut items = Factors::zeros(positions.len(), options.rank());
    for position in positions {
        let row = setup.by_block.variable(position as u32);
        draw(items.row_mut(position), OF_ITEMS, row, options.nonnegative, seed);
    }
    items
}

/// The blocks that a worker is the first to use.
fn fresh(worker: WorkerId, options: &Options, setup: &Setup, seed: u64) -> Vec<(u32, Block)> {
    let make = |turn| {
        let number = setup.rotation.task(worker, turn).block;
        let positions = setup.by_block.block(number);
        let mut items = Factors::zeros(positions.len(), options.rank());
        for (at, position) in positions.enumerate() {
            let row = setup.by_block.variable(position);
            draw(items.row_mut(at), OF_ITEMS, row, options.nonnegative, seed);
        }
        (number, Block(items))
    };
    (0..setup.stride).map(make).collect()
}

/// Draws the first factors of a row, the same wherever the row is.
fn draw(factors: &mut [f32], side: u64, row: u32, nonnegative: bool, seed: u64) {
    let spread = SPREAD / (factors.len() as f64).sqrt();
    let mut rng = Rng::stream(seed, side, u64::from(row), 0);
    for factor in factors {
        let at = rng.uniform();
        let signed = if nonnegative { at } else { 2.0 * at - 1.0 };
        *factor = (spread * signed) as f32;
    }
}
