//! Managed communication: a budget of bytes for every other rank, spent on the rows that matter
//! most (Wei et al., SoCC 2015).
//!
//! With a budget, changed rows wait where they are, in the outbox of their copy or marked at their
//! home, and leave in the order of their [`Priority`] as bytes are granted. A row whose delay the
//! read rule does not allow any longer leaves regardless and puts the budget into debt: the rows
//! behind it wait until that is paid back. Nothing here knows the time; whoever does grants bytes.
//!
//! The importance of a change is its size relative to the row:
//!
//! ```text
//! importance = Σ|δ| / max(Σ|v|, Σ|δ|)        between 0 and 1
//! ```
//!
//! `δ` is what has changed since the row last left (at a home: the sum of the sizes of all changes
//! since then), `v` the row's value with it. A row whose value is not known here counts as 1.

use crate::math::rng::Rng;
use crate::ps::batch::CHUNK_BYTES;
use crate::wire::message::{Clock, TableId};

/// Which rows leave first when not all can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Those whose pending change is largest, relative to their value.
    Magnitude,
    /// Those that have waited longest.
    Age,
    /// Any.
    Random,
}

/// How floats of `f32` tables travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wire {
    /// As they are.
    #[default]
    F32,
    /// As bfloat16: the upper half of an `f32`, rounded to nearest. What rounding takes off a
    /// change is added to the next change of the same row, so that sums lose nothing. Sparse rows
    /// travel as they are.
    Bf16,
}

/// Bandwidth that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Which rows leave first.
    pub priority: Priority,
    /// Most bytes that can be saved up for one other rank.
    pub burst: u64,
    /// So many more bytes than were granted may have had to leave before the limit counts as too low.
    pub slack: u64,
    /// Where [`Priority::Random`] comes from.
    pub seed: u64,
}

/// How rows travel between ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Messages with rows are cut at about this many bytes.
    pub chunk_bytes: usize,
    /// How floats travel.
    pub wire: Wire,
    /// A limited bandwidth; `None`: rows leave as soon as the consistency lets them.
    pub limit: Option<Limit>,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic {
            chunk_bytes: CHUNK_BYTES,
            wire: Wire::F32,
            limit: None,
        }
    }
}

impl Traffic {
    /// The budget of rank `from` for rank `to` of `ranks`.
    pub(super) fn budget(&self, ranks: u32, from: u32, to: u32) -> Option<Budget> {
        let link = u64::from(ranks) * u64::from(from) + u64::from(to);
        self.limit.map(|limit| Budget::new(limit, link))
    }
}

/// A row that could leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) table: TableId,
    pub(super) row: u64,
    /// The clock that its due time counts from; see `consistency.rs`.
    pub(super) since: Clock,
    /// By [`Priority::Magnitude`] alone.
    pub(super) importance: f32,
    /// About as many bytes as it takes on the wire.
    pub(super) bytes: u32,
}

/// Bytes of a message besides its rows, about: nothing leaves by choice for less.
const MESSAGE_BYTES: i64 = 40;

/// The bytes that may leave for one other rank.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Limit,
    /// What is saved up; negative: a debt.
    tokens: i64,
    /// All that was ever granted, used or not, and all that ever left because it had to.
    granted: u64,
    forced: u64,
    rng: Rng,
    /// Pushes come before updates in the next grant.
    pub(super) pushes_first: bool,
}

impl Budget {
    /// Nothing saved up. `link` numbers the budgets of a process.
    pub(super) fn new(limit: Limit, link: u64) -> Budget {
        Budget {
            limit,
            tokens: 0,
            granted: 0,
            forced: 0,
            rng: Rng::stream(limit.seed, link, 0, 0),
            pushes_first: false,
        }
    }

    /// More bytes may leave. Returns how many of them are too many to be saved up.
    pub(super) fn grant(&mut self, bytes: u64) -> u64 {
        let burst = i64::try_from(self.limit.burst).unwrap_or(i64::MAX);
        let all = self.tokens.saturating_add_unsigned(bytes);
        self.tokens = all.min(burst);
        let spare = all.abs_diff(self.tokens);
        self.granted += bytes - spare;
        spare
    }

    /// Bytes could have left when nothing was there to leave.
    pub(super) fn waste(&mut self, bytes: u64) {
        self.granted += bytes;
    }

    /// Bytes have left.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub_unsigned(bytes);
    }

    /// What was thought to be `charged` bytes is `bytes`.
    pub(super) fn correct(&mut self, charged: u64, bytes: u64) {
        self.tokens = self.tokens.saturating_add_unsigned(charged);
        self.spend(bytes);
    }

    /// Bytes have left because the read rule left no choice.
    pub(super) fn force(&mut self, bytes: u64) {
        self.forced += bytes;
        self.spend(bytes);
    }

    /// True if nothing can leave by choice.
    pub(super) fn is_spent(&self) -> bool {
        self.tokens <= MESSAGE_BYTES
    }

    /// True if the read rule alone has needed more bytes than were ever granted.
    pub(super) fn is_short(&self) -> bool {
        self.forced > self.granted + self.limit.slack
    }

    /// Keeps of `candidates` those that leave now, and pays for them: all that are `due`, then as
    /// many others as there are bytes for, most important first. They are then in table and row
    /// order. Returns what they were charged with.
    pub(super) fn choose(
        &mut self,
        candidates: &mut Vec<Candidate>,
        due: impl Fn(&Candidate) -> bool,
    ) -> u64 {
        // Those that are due come first; their order does not matter.
        let count = partition(candidates, due);
        self.force(candidates[..count].iter().map(|c| u64::from(c.bytes)).sum());
        let rest: i64 = candidates[count..].iter().map(|c| i64::from(c.bytes)).sum();
        let mut chosen = candidates.len();
        if rest > self.tokens {
            self.order(&mut candidates[count..]);
            chosen = count;
            // A row longer than everything that can be saved up leaves when there is no debt.
            while chosen < candidates.len() && self.tokens > 0 {
                self.spend(u64::from(candidates[chosen].bytes));
                chosen += 1;
            }
        } else {
            self.spend(rest as u64);
        }
        candidates.truncate(chosen);
        candidates.sort_unstable_by_key(|c| (c.table, c.row));
        candidates.iter().map(|c| u64::from(c.bytes)).sum()
    }

    /// The most important first; what is equal by age, then by place, so that runs repeat.
    fn order(&mut self, candidates: &mut [Candidate]) {
        if self.limit.priority == Priority::Random {
            for candidate in candidates.iter_mut() {
                candidate.importance = self.rng.uniform() as f32;
            }
        }
        let aged = self.limit.priority == Priority::Age;
        candidates.sort_unstable_by(|a, b| {
            let weight = match aged {
                true => std::cmp::Ordering::Equal,
                false => b.importance.total_cmp(&a.importance),
            };
            let place = |c: &Candidate| (c.since, c.table, c.row);
            weight.then_with(|| place(a).cmp(&place(b)))
        });
    }
}

/// Moves those that are `due` to the front; returns how many they are.
fn partition(candidates: &mut [Candidate], due: impl Fn(&Candidate) -> bool) -> usize {
    let mut count = 0;
    for i in 0..candidates.len() {
        if due(&candidates[i]) {
            candidates.swap(count, i);
            count += 1;
        }
    }
    count
}

/// The importance of a change of size `delta` to a row whose value then has size `value`.
pub(super) fn importance(delta: f64, value: Option<f64>) -> f32 {
    match value {
        Some(value) if value > delta => (delta / value) as f32,
        _ if delta > 0.0 => 1.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(row: u64, since: Clock, importance: f32) -> Candidate {
        Candidate {
            table: 0,
            row,
            since,
            importance,
            bytes: 100,
        }
    }

    fn rows(priority: Priority, tokens: u64) -> Vec<u64> {
        let limit = Limit {
            priority,
            burst: 1000,
            slack: 1000,
            seed: 1,
        };
        let mut budget = Budget::new(limit, 0);
        budget.grant(tokens);
        let mut candidates = vec![
            candidate(1, 7, 0.5),
            candidate(2, 3, 0.1),
            candidate(3, 5, 0.9),
            candidate(4, 0, 0.0),
        ];
        budget.choose(&mut candidates, |c| c.since < 1);
        candidates.iter().map(|c| c.row).collect()
    }

    #[test]
    fn what_is_due_leaves_and_then_the_most_important() {
        assert_eq!(rows(Priority::Magnitude, 0), [4]);
        assert_eq!(rows(Priority::Magnitude, 200), [3, 4]);
        assert_eq!(rows(Priority::Magnitude, 300), [1, 3, 4]);
        assert_eq!(rows(Priority::Age, 200), [2, 4]);
        assert_eq!(rows(Priority::Random, 200).len(), 2);
        assert_eq!(rows(Priority::Random, 1000), [1, 2, 3, 4]);
    }

    #[test]
    fn a_debt_is_paid_back_and_only_a_lasting_one_is_short() {
        let limit = Limit {
            priority: Priority::Age,
            burst: 200,
            slack: 200,
            seed: 1,
        };
        let mut budget = Budget::new(limit, 0);
        let spare = budget.grant(1000);
        budget.waste(spare);
        budget.force(600);
        assert!(budget.is_spent() && !budget.is_short());
        budget.grant(300);
        assert!(budget.is_spent());
        budget.grant(300);
        assert!(!budget.is_spent());
        budget.force(1300);
        assert!(budget.is_short());
    }

    #[test]
    fn what_cannot_be_saved_up_comes_back_and_a_wrong_charge_is_corrected() {
        let limit = Limit {
            priority: Priority::Age,
            burst: 200,
            slack: 200,
            seed: 1,
        };
        let mut budget = Budget::new(limit, 0);
        assert_eq!([budget.grant(150), budget.grant(150)], [0, 100]);
        budget.spend(700);
        budget.correct(700, 150);
        assert_eq!([budget.grant(100), budget.grant(60)], [0, 10]);
    }

    #[test]
    fn importance_is_relative_and_bounded() {
        assert_eq!(importance(1.0, Some(4.0)), 0.25);
        assert_eq!(importance(5.0, Some(4.0)), 1.0);
        assert_eq!(importance(1.0, None), 1.0);
        assert_eq!(importance(0.0, Some(0.0)), 0.0);
        assert_eq!(importance(f64::NAN, Some(1.0)), 0.0);
    }
}
