//! From the user's ratings to each worker's part.
//!
//! Every rank reads all ratings and keeps those of its own users. So all agree on ids, counts and
//! the partition without a word, and the same number of workers gives the same model however they
//! are spread over ranks.

use std::path::PathBuf;
use std::sync::Arc;

use super::options::{Options, Parallel, Way};
use super::part::{Items, Part};
use super::ratings::SharedPieces;
use super::{Setup, ccd, deal};
use crate::data::{Pieces, Ratings, RatingsOptions, load_ratings, load_ratings_bytes};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::math::factors::Step;
use crate::program::holdout::is_held_out;
use crate::program::staleness::Scaling;
use crate::scheduler::partition::Partition;
use crate::scheduler::rotation::Rotation;

/// Part of the ratings that is held out where the user does not say.
const HOLDOUT: f64 = 0.1;
/// Bytes of a block that leave room for other things in a level-2 cache of 1 MiB.
const BLOCK_BYTES: usize = 512 << 10;
/// Most blocks of a worker that are made to fit the cache.
const BLOCKS_MAX: usize = 64;
/// κ of [`Step`] for users and for items, and the length of a bias's first steps relative to that of
/// factors. These and the first factors' spread were searched by passes to one test RMSE on the 10
/// million ratings of `petuum generate mf` and on Jester's 1.6 million at once, k = 32 and 128: items
/// of Jester have 16,000 ratings each, users 70.
const PACE: [f64; 3] = [0.05, 0.15, 0.5];
/// The same where workers step from the same old items: slower, so that their sum does not overshoot.
const SHARED_PACE: [f64; 3] = [0.1, 0.1, 1.0 / 3.0];

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
        deal::part(worker, options, &setup, pieces, seed)
    })?;
    if let Some(Items::Shared(items)) = parts.first_mut().map(|part| &mut part.items) {
        items.start = Some(deal::all_items(options, &setup, seed));
    }
    Ok((setup, parts))
}

fn read(options: &Options, host: &Host) -> Result<Ratings> {
    let how = RatingsOptions {
        threads: host.threads(),
        nonnegative: options.implicit,
        ..RatingsOptions::default()
    };
    let share = match options.test {
        Some(_) => 0.0,
        None => options.holdout.unwrap_or(HOLDOUT),
    };
    let seed = host.seed();
    let held_out = |number| is_held_out(seed, number, share);
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
    if ratings.users.is_empty() && ratings.test.iter().any(|piece| !piece.is_empty()) {
        return Err(Error::Usage(format!(
            "--holdout: {share} keeps out every rating, nothing is left to train on"
        )));
    }
    if ratings.users.is_empty() {
        return Err(no_ratings(&options.data));
    }
    match &options.test {
        Some(test) if ratings.test.iter().all(Vec::is_empty) => {
            Err(no_ratings(std::slice::from_ref(test)))
        }
        _ => Ok(ratings),
    }
}

/// Files that are nothing but a header.
fn no_ratings(files: &[PathBuf]) -> Error {
    let path = files.first().cloned().unwrap_or_default();
    Error::data(&path, 1, 1, "expected ratings after the header, there are none")
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
    let (mean, scale) = match (options.implicit, options.centred()) {
        (true, _) => (0.0, 1.0),
        (false, centred) => moments(&ratings.train, train, centred),
    };
    let way = options.way();
    let per_worker = match way {
        Way::Rotate => blocks_per_worker(options, ratings.items.len(), workers),
        _ => 1,
    };
    let blocks = workers * per_worker;
    let clocks = host.clocks_per_pass();
    let bound = host.bound();
    let scaling = Scaling::new(options.step_scaling(), bound)?;
    let turns = match way {
        Way::Rotate => u64::from(blocks),
        Way::Share => clocks,
        Way::Gather => 2,
        Way::Descend => ccd::components(options.rank(), options.biased()),
    };
    if clocks > turns {
        let why = match way {
            Way::Rotate => format!(
                "{workers} workers with {per_worker} item blocks each; see --blocks-per-worker"
            ),
            Way::Descend => "factors and biases".to_owned(),
            _ => "the users' half and the items'".to_owned(),
        };
        return Err(Error::Usage(format!(
            "--clocks-per-pass: {clocks} is too large, at most {turns} ({why})"
        )));
    }
    Ok(Setup {
        by_worker: Partition::balanced(ratings.users.counts(), workers),
        by_block: Partition::balanced(ratings.items.counts(), blocks),
        users: ratings.users.clone(),
        items: ratings.items.clone(),
        rotation: Rotation::new(workers, blocks),
        clocks_per_pass: clocks,
        turns_per_pass: turns,
        stride: u64::from(per_worker),
        rank: options.rank(),
        mean,
        scale,
        train,
        test,
        step: step(options, scale, workers),
        biased: options.biased(),
        iterations: options.inner_iterations(),
        confidence: options.confidence(),
        scaling,
    })
}

/// At least what was asked for, more where blocks would not fit the cache.
fn blocks_per_worker(options: &Options, items: usize, workers: u32) -> u32 {
    let bytes = items * options.rank() * size_of::<f32>();
    let fitting = bytes.div_ceil(BLOCK_BYTES).div_ceil(workers as usize);
    options
        .blocks_per_worker()
        .max(fitting.min(BLOCKS_MAX) as u32)
}

/// Mean and standard deviation, about 0 if not `centred`; a deviation of 0 counts as 1.
fn moments(pieces: &Pieces, number: u64, centred: bool) -> (f64, f64) {
    let all = || pieces.iter().flatten().map(|rating| f64::from(rating.value));
    let mean = if centred { all().sum::<f64>() / number as f64 } else { 0.0 };
    let variance = all().map(|value| (value - mean).powi(2)).sum::<f64>() / number as f64;
    let scale = variance.sqrt();
    (mean, if scale > 0.0 { scale } else { 1.0 })
}

/// The steps for ratings of standard deviation `scale`. With r = s r', the factors are √s times and
/// the biases s times those inside, so that λ/s weighs factors inside as λ does outside, and biases
/// as λ/s does.
pub(super) fn step(options: &Options, scale: f64, workers: u32) -> Step {
    let [users, items, biases] = match (options.parallel, workers) {
        (Parallel::Data, 2..) => SHARED_PACE,
        _ => PACE,
    };
    let bias = if options.biased() { biases } else { 0.0 };
    Step {
        rate: options.rate() as f32,
        regularization: (options.regularization / scale) as f32,
        shrinkage: users as f32,
        others_shrinkage: items as f32,
        bias_rate: (bias * options.rate()) as f32,
        bias_regularization: (options.regularization / scale) as f32,
        others: 1.0,
        nonnegative: options.nonnegative,
    }
}
