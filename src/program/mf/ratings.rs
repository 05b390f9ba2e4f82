//! A worker's ratings in the order in which they are met: block by block, user by user.

use std::sync::Arc;

use crate::data::Rating;
use crate::math::factors::Observed;

/// Ratings in the order of the files, in pieces that are freed when nobody needs them any more.
pub(super) type SharedPieces = Vec<Arc<Vec<Rating>>>;

/// The ratings of one user in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// The user's row on this worker.
    user: u32,
    /// Where the run ends.
    end: u32,
}

/// Ratings by block, in a block by user, of a user by item: 8 bytes each, and 8 for each user and
/// block that meet.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    blocks: Vec<BlockRatings>,
}

#[derive(Debug, Default)]
struct BlockRatings {
    runs: Vec<Run>,
    /// As numbers, because room for numbers takes memory only as it is filled.
    ratings: Vec<[u32; 2]>,
}

/// Where a rating belongs: the block, the user's row on its worker, the item's row in its block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) block: u32,
    pub(super) user: u32,
    pub(super) item: u32,
}

impl Ordered {
    /// Orders the ratings that `place` gives a place, and lets go of each piece once it is done. So
    /// where users come one after the other in the files, there is never a second copy of all.
    pub(super) fn new(
        pieces: SharedPieces,
        place: impl Fn(&Rating) -> Option<Place>,
        center: impl Fn(f32) -> f32,
        blocks: usize,
        users: usize,
    ) -> Ordered {
        // Where the next rating of each user goes, block by block.
        let mut next = vec![vec![0u32; users]; blocks];
        for Place { block, user, .. } in pieces.iter().flat_map(|piece| piece.iter()).filter_map(&place) {
            next[block as usize][user as usize] += 1;
        }
        let mut ordered: Vec<BlockRatings> =
            next.iter_mut().map(|n| BlockRatings::room(n)).collect();
        for piece in pieces {
            for rating in piece.iter() {
                if let Some(Place { block, user, item }) = place(rating) {
                    let at = &mut next[block as usize][user as usize];
                    let value = center(rating.value).to_bits();
                    ordered[block as usize].ratings[*at as usize] = [item, value];
                    *at += 1;
                }
            }
        }
        drop(next);
        ordered.iter_mut().for_each(BlockRatings::sort);
        Ordered { blocks: ordered }
    }

    /// Of the first block's users, those of segment `number` of `of`, which have about as many
    /// ratings each: each user's row and ratings.
    pub(super) fn segment(
        &self,
        number: usize,
        of: usize,
    ) -> impl Iterator<Item = (usize, &[Observed])> {
        let total = self.blocks.first().map_or(0, |block| block.ratings.len());
        let mut before = 0;
        self.block(0).filter(move |(_, ratings)| {
            // A user belongs where the first of its ratings is.
            let segment = before * of / total.max(1);
            before += ratings.len();
            segment == number
        })
    }

    /// The items of all ratings of the first block, some of them more than once.
    pub(super) fn items(&self) -> impl Iterator<Item = u32> {
        self.block(0).flat_map(|(_, ratings)| ratings.iter().map(|rating| rating.row))
    }

    /// The ratings of a block: each user's row and ratings.
    pub(super) fn block(&self, block: u32) -> impl Iterator<Item = (usize, &[Observed])> {
        let (runs, ratings) = match self.blocks.get(block as usize) {
            Some(block) => (&block.runs[..], Observed::of_numbers(&block.ratings)),
            None => (&[][..], &[][..]),
        };
        let mut start = 0;
        runs.iter().map(move |run| {
            let range = start..run.end as usize;
            start = run.end as usize;
            (run.user as usize, &ratings[range])
        })
    }
}

impl BlockRatings {
    /// Room for as many ratings of each user as `counts` says; turns counts into starts.
    fn room(counts: &mut [u32]) -> BlockRatings {
        let mut runs = Vec::new();
        let mut total = 0;
        for (user, count) in (0..).zip(counts) {
            let start = total;
            total += *count;
            if *count > 0 {
                runs.push(Run { user, end: total });
            }
            *count = start;
        }
        runs.shrink_to_fit();
        BlockRatings {
            runs,
            ratings: vec![[0; 2]; total as usize],
        }
    }

    fn sort(&mut self) {
        let mut start = 0;
        for run in &self.runs {
            // Stable: ratings of the same item stay in the order of the files.
            self.ratings[start..run.end as usize].sort_by_key(|rating| rating[0]);
            start = run.end as usize;
        }
    }
}
