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

    /// Number of ratings in a block.
    pub(super) fn len(&self, block: u32) -> usize {
        let block = self.blocks.get(block as usize);
        block.map_or(0, |block| block.ratings.len())
    }

    /// Hands out user by user what it has in each block: the user's row, and blocks with ratings.
    pub(super) fn by_row(&self, mut each: impl FnMut(usize, &[(usize, &[Observed])])) {
        let mut blocks: Vec<_> = (0..self.blocks.len() as u32)
            .map(|block| self.block(block).peekable())
            .collect();
        let mut segments = Vec::new();
        loop {
            let first = blocks.iter_mut().filter_map(|runs| Some(runs.peek()?.0));
            let Some(row) = first.min() else { return };
            segments.clear();
            for (block, runs) in blocks.iter_mut().enumerate() {
                if let Some((_, ratings)) = runs.next_if(|run| run.0 == row) {
                    segments.push((block, ratings));
                }
            }
            each(row, &segments);
        }
    }

    /// Hands out the first block user by user: the user's row, and pairs of an item and the bits of a
    /// number.
    pub(super) fn each_row(&mut self, mut each: impl FnMut(usize, &mut [[u32; 2]])) {
        let Some(BlockRatings { runs, ratings }) = self.blocks.first_mut() else {
            return;
        };
        let mut start = 0;
        for run in runs {
            each(run.user as usize, &mut ratings[start..run.end as usize]);
            start = run.end as usize;
        }
    }

    /// The numbers of the first block.
    pub(super) fn numbers(&self) -> Vec<f32> {
        let ratings = self.blocks.first().map_or(&[][..], |block| &block.ratings);
        ratings.iter().map(|rating| f32::from_bits(rating[1])).collect()
    }

    /// Sets the numbers of the first block; None if they are not as many.
    pub(super) fn set_numbers(&mut self, numbers: &[f32]) -> Option<()> {
        let ratings = self.blocks.first_mut().map_or(&mut [][..], |block| &mut block.ratings);
        (ratings.len() == numbers.len()).then(|| {
            for (rating, number) in ratings.iter_mut().zip(numbers) {
                rating[1] = number.to_bits();
            }
        })
    }

    /// The sum of the squares of the numbers of the first block.
    pub(super) fn squares(&self) -> f64 {
        let ratings = self.blocks.first().map_or(&[][..], |block| &block.ratings);
        ratings
            .iter()
            .map(|rating| f64::from(f32::from_bits(rating[1])).powi(2))
            .sum()
    }

    /// Adds up the ratings of each pair.
    pub(super) fn merge_pairs(&mut self) {
        self.blocks.iter_mut().for_each(BlockRatings::merge_pairs);
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

    fn merge_pairs(&mut self) {
        let (mut start, mut kept) = (0, 0);
        for run in &mut self.runs {
            let first = kept;
            for at in start..run.end as usize {
                let [item, value] = self.ratings[at];
                if kept > first && self.ratings[kept - 1][0] == item {
                    let sum = f32::from_bits(self.ratings[kept - 1][1]) + f32::from_bits(value);
                    self.ratings[kept - 1][1] = sum.to_bits();
                } else {
                    self.ratings[kept] = [item, value];
                    kept += 1;
                }
            }
            start = run.end as usize;
            run.end = kept as u32;
        }
        self.ratings.truncate(kept);
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
