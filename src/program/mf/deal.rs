//! One worker's part: its users' ratings in order, first factors, and the items as its method has
//! them.

use std::ops::Range;
use std::sync::Arc;

use super::Setup;
use super::als::Gathered;
use super::block::Block;
use super::ccd::Descending;
use super::options::{Options, Way};
use super::part::{Items, Part, Users};
use super::ratings::{Ordered, Place, SharedPieces};
use super::rotate::Rotating;
use super::share::{PROGRESS, Shared};
use super::sums::Sums;
use crate::data::{NO_ROW, Rating};
use crate::math::factors::{Factors, Kernel};
use crate::math::rng::Rng;
use crate::program::staleness::Progress;
use crate::scheduler::partition::Partition;
use crate::wire::message::WorkerId;

/// Factors are drawn between ± this over √k.
const SPREAD: f64 = 0.6;
/// Streams of [`Rng`].
const OF_USERS: u64 = 1;
const OF_ITEMS: u64 = 2;

/// Rows of one side of the model that belong together.
struct Own<'a> {
    partition: &'a Partition,
    positions: Range<u32>,
}

impl Own<'_> {
    fn of(partition: &Partition, block: u32) -> Own<'_> {
        let positions = partition.block(block);
        Own {
            partition,
            positions,
        }
    }

    /// Where a row of the model is among these.
    fn place(&self, row: u32) -> Option<u32> {
        let position = self.partition.position(row);
        let inside = self.positions.contains(&position);
        inside.then(|| position - self.positions.start)
    }
}

/// Rows of the other side: by block, or all as one block by position.
struct Others<'a> {
    partition: &'a Partition,
    starts: Vec<u32>,
}

impl Others<'_> {
    fn of(partition: &Partition, as_one: bool) -> Others<'_> {
        let blocks = if as_one { 1 } else { partition.blocks() };
        let starts = (0..blocks).map(|block| partition.block(block).start);
        Others {
            partition,
            starts: starts.collect(),
        }
    }

    fn place(&self, row: u32) -> (u32, u32) {
        let position = self.partition.position(row);
        let block = self.starts.partition_point(|start| *start <= position) - 1;
        (block as u32, position - self.starts[block])
    }
}

/// Makes the part of `worker`.
pub(super) fn part(
    worker: WorkerId,
    options: &Options,
    setup: &Setup,
    [train, test]: [SharedPieces; 2],
    seed: u64,
) -> Part {
    let way = options.way();
    let of_items = match way {
        Way::Rotate | Way::Share => None,
        Way::Gather => Some(item_ratings(worker, setup, train.clone(), false)),
        Way::Descend => Some(item_ratings(worker, setup, train.clone(), true)),
    };
    let users = users(worker, options, setup, [train, test], seed);
    let items = match way {
        Way::Rotate => Items::Rotating(Rotating {
            fresh: fresh(worker, options, setup, seed),
            ..Rotating::default()
        }),
        Way::Share => Items::Shared(shared(setup, &users)),
        Way::Gather => Items::Gathered(Gathered::new(
            block(worker, options, setup, seed),
            of_items.unwrap_or_default(),
        )),
        Way::Descend => Items::Descending(Descending::new(
            block(worker, options, setup, seed).0,
            of_items.unwrap_or_default(),
        )),
    };
    Part { users, items }
}

fn users(
    worker: WorkerId,
    options: &Options,
    setup: &Setup,
    [train, test]: [SharedPieces; 2],
    seed: u64,
) -> Users {
    let own = Own::of(&setup.by_worker, worker);
    let others = Others::of(&setup.by_block, matches!(options.way(), Way::Share | Way::Descend));
    let rows: Vec<u32> = own
        .positions
        .clone()
        .map(|position| setup.by_worker.variable(position))
        .collect();
    let stranger = rows.len() as u32;
    let user_of = |row: u32| match row {
        // Somebody has to predict for users whom nobody knows.
        NO_ROW => (worker == 0).then_some(stranger),
        row => own.place(row),
    };
    let place = |rating: &Rating| {
        let user = user_of(rating.user)?;
        let (block, item) = (rating.item != NO_ROW).then(|| others.place(rating.item))?;
        Some(Place { block, user, item })
    };
    let wanted = |value: f32| match setup.confidence {
        Some(_) => f32::from(u8::from(value > 0.0)),
        None => setup.center(value),
    };
    let unseen = test
        .iter()
        .flat_map(|piece| piece.iter())
        .filter(|rating| rating.item == NO_ROW)
        .filter_map(|rating| Some((user_of(rating.user)?, wanted(rating.value))))
        .collect();
    let blocks = others.starts.len();
    let mut train = Ordered::new(train, place, |r| setup.center(r), blocks, rows.len() + 1);
    if setup.confidence.is_some() {
        train.merge_pairs();
    }
    let mut factors = Factors::zeros(rows.len() + 1, setup.rank);
    // What coordinate descent begins with are residuals of nothing.
    let drawn = if options.way() == Way::Descend { &[][..] } else { &rows[..] };
    for (at, row) in drawn.iter().enumerate() {
        draw(factors.row_mut(at), OF_USERS, *row, options.nonnegative, seed);
    }
    Users {
        worker,
        factors: Arc::new(factors),
        train,
        test: Ordered::new(test, place, wanted, blocks, rows.len() + 1),
        unseen,
        rows,
        sums: Sums::default(),
        kernel: Kernel::new(),
    }
}

/// The ratings of a worker's items by the workers' users.
fn item_ratings(
    worker: WorkerId,
    setup: &Setup,
    pieces: SharedPieces,
    as_one: bool,
) -> Ordered {
    let own = Own::of(&setup.by_block, worker);
    let others = Others::of(&setup.by_worker, as_one);
    let place = |rating: &Rating| {
        let row = own.place(rating.item)?;
        let (block, other) = others.place(rating.user);
        Some(Place {
            block,
            user: row,
            item: other,
        })
    };
    let blocks = others.starts.len();
    let mut ratings =
        Ordered::new(pieces, place, |r| setup.center(r), blocks, own.positions.len());
    if setup.confidence.is_some() {
        ratings.merge_pairs();
    }
    ratings
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
        seen: Factors::zeros(setup.by_block.variables(), setup.rank),
        start: None,
        progress: Progress::new(PROGRESS),
        own: None,
    }
}

/// What all items begin with, by position.
pub(super) fn all_items(options: &Options, setup: &Setup, seed: u64) -> Factors {
    items(0..setup.by_block.variables() as u32, options, setup, seed)
}

/// The blocks that a worker is the first to use.
fn fresh(worker: WorkerId, options: &Options, setup: &Setup, seed: u64) -> Vec<(u32, Block)> {
    (0..setup.stride)
        .map(|turn| setup.rotation.task(worker, turn).block)
        .map(|number| (number, block(number, options, setup, seed)))
        .collect()
}

/// A block as it begins.
fn block(number: u32, options: &Options, setup: &Setup, seed: u64) -> Block {
    Block(items(setup.by_block.block(number), options, setup, seed))
}

fn items(positions: Range<u32>, options: &Options, setup: &Setup, seed: u64) -> Factors {
    let mut items = Factors::zeros(positions.len(), setup.rank);
    for (at, position) in positions.enumerate() {
        let row = setup.by_block.variable(position);
        draw(items.row_mut(at), OF_ITEMS, row, options.nonnegative, seed);
    }
    items
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
