//! Which of the columns that promise something are worked on next: the schedule, and the dependency
//! filter of [`crate::scheduler`].

use std::collections::BTreeSet;

use super::correlations::Correlations;
use super::options::Schedule;
use super::part::Data;
use super::problem::Problem;
use crate::math::rng::Rng;
use crate::scheduler::dependency::Dependency;

/// If more columns may join at a time, their correlations would take longer than they save.
const FILTERED_MAX: usize = 1024;
/// So many columns join in a round, if so many promise something, whatever the filter says: as what
/// is worked on is solved as a whole, the filter saves work and is not needed to be right, and a
/// threshold that refuses nearly everything would take a round for every column.
const JOIN_LEAST: usize = 32;
/// Candidates for each column that may join.
const CANDIDATES: usize = 2;
/// Stream of [`Rng`].
const OF_SCHEDULE: u64 = 2;

/// Chooses columns, round after round.
#[derive(Debug)]
pub(super) struct Chooser {
    schedule: Schedule,
    seed: u64,
    /// Keeps columns that say the same from joining together.
    pub(super) filter: Dependency,
    /// Where the cyclic schedule goes on.
    pub(super) next_column: u32,
    /// Choices so far.
    pub(super) rounds: u64,
}

impl Chooser {
    pub(super) fn new(schedule: Schedule, threshold: f64, seed: u64) -> Chooser {
        Chooser {
            schedule,
            seed,
            filter: Dependency::new(threshold),
            next_column: 0,
            rounds: 0,
        }
    }

    /// Up to `most` of the columns that promise something, which come best first, in the order of the
    /// schedule.
    pub(super) fn choose(
        &mut self,
        mut promising: Vec<u32>,
        most: usize,
        data: &Data,
        problem: &Problem,
        threads: usize,
    ) -> Vec<u32> {
        self.rounds += 1;
        self.order(&mut promising);
        let chosen = match most > FILTERED_MAX {
            true => {
                promising.truncate(most);
                promising
            }
            false => self.filtered(&promising, most, data, problem, threads),
        };
        self.next_column = chosen.iter().max().map_or(0, |last| last + 1);
        chosen
    }

    fn order(&self, promising: &mut [u32]) {
        match self.schedule {
            Schedule::Priority => {}
            Schedule::Cyclic => {
                promising.sort_unstable();
                let next = promising.partition_point(|column| *column < self.next_column);
                promising.rotate_left(next);
            }
            Schedule::Random => {
                let mut rng = Rng::stream(self.seed, OF_SCHEDULE, self.rounds, 0);
                for last in (1..promising.len()).rev() {
                    promising.swap(last, rng.below(last as u64 + 1) as usize);
                }
            }
        }
    }

    fn filtered(
        &mut self,
        promising: &[u32],
        most: usize,
        data: &Data,
        problem: &Problem,
        threads: usize,
    ) -> Vec<u32> {
        let again = self.filter.take_refused();
        if promising.len() <= JOIN_LEAST.min(most) {
            return promising.to_vec();
        }
        let still: BTreeSet<u32> = promising.iter().copied().collect();
        let mut candidates: Vec<u32> = again.into_iter().filter(|c| still.contains(c)).collect();
        let first: BTreeSet<u32> = candidates.iter().copied().collect();
        candidates.extend(promising.iter().filter(|column| !first.contains(column)));
        candidates.truncate(CANDIDATES * most);
        let correlations = Correlations::new(data, problem, &candidates, threads);
        let mut correlation = |a, b| correlations.of(a, b);
        let mut chosen = self.filter.choose(&candidates, &[], most, &mut correlation);
        let missing = JOIN_LEAST.min(most).saturating_sub(chosen.len());
        let there: BTreeSet<u32> = chosen.iter().copied().collect();
        chosen.extend(candidates.iter().filter(|column| !there.contains(column)).take(missing));
        chosen
    }
}
