//! The read rule, and nothing else knows it.
//!
//! A worker *at* clock `c` has completed clocks `0 .. c`. A row's *stamp* is the newest clock all of
//! whose updates, by every worker of the world, the row contains (−1: none yet). Under staleness
//! `s` (Ho et al., NIPS 2013) a worker at clock `c` may read a row if and only if
//!
//! ```text
//! stamp >= c - s - 1
//! ```
//!
//! and always sees its own updates (read-my-writes), completed or not. A worker that reads nothing
//! is held up by nothing: the rule speaks about reads alone.
//!
//! | | bound | newer updates visible | how fresh rows come |
//! |---|---|---|---|
//! | `bsp` | s = 0 | never: reads see exactly the state after clock c − 1 | pushed when a clock completes |
//! | `ssp` | s | yes | pulled, when a read needs them |
//! | `essp` | s | yes | pushed when a clock completes (Wei et al., SoCC 2015) |
//! | `async` | none | yes | pushed in answer to every update |
//!
//! `async` waits only for the first copy of a row, without which there is nothing to read.
//!
//! # Delays that the rule allows
//!
//! Under a limited bandwidth a changed row may wait before it leaves (see `traffic.rs`). Let every
//! worker of the world have completed clock `c`; those at `c + 1`, the slowest, must be able to read
//! rows with stamp `c − s`, or nobody could go on. The `s` clocks are shared between the two ways
//! that a change goes, `s = u + p`:
//!
//! * a rank that has completed `c` keeps no update of clock `c − u` or older: its home's stamp is at
//!   least `c − u`;
//! * a home with stamp `t` keeps no change back that made a copy older than stamp `t − p`: the copy
//!   has at least stamp `c − u − p`.
//!
//! Faster workers may have to wait where they would not without the limit: the same `s` clocks
//! cannot be spent twice. Lazy homes answer when they are asked and nothing waits there: `u = s`.
//! Under `async` everything may wait for ever, under `bsp` nothing.

use crate::wire::message::Clock;

/// How old a row may be when it is read, and how fresh rows travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Bulk synchronous: every clock reads exactly the result of the one before.
    Bsp,
    /// Stale synchronous: rows may miss the last `s` clocks, and are pulled when they miss more.
    Ssp,
    /// Eager stale synchronous: the same bound, but changed rows are pushed to their readers as
    /// soon as a clock completes.
    Essp,
    /// No bound.
    Async,
}

/// A consistency with its staleness; the whole read rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    consistency: Consistency,
    staleness: u32,
}

impl Bound {
    /// The rule of `consistency` with `staleness` clocks; `bsp` forces 0, `async` ignores it.
    pub fn new(consistency: Consistency, staleness: u32) -> Bound {
        let staleness = match consistency {
            Consistency::Bsp => 0,
            _ => staleness,
        };
        Bound {
            consistency,
            staleness,
        }
    }

    /// The consistency.
    pub fn consistency(self) -> Consistency {
        self.consistency
    }

    /// The staleness *s*, in clocks.
    pub fn staleness(self) -> u32 {
        self.staleness
    }

    /// The oldest stamp that a worker at clock `at` may read.
    pub fn oldest(self, at: Clock) -> Clock {
        match self.consistency {
            Consistency::Async => -1,
            _ => (at - i64::from(self.staleness) - 1).max(-1),
        }
    }

    /// The read rule: may a worker at clock `at` read a row with this stamp?
    pub fn allows(self, at: Clock, stamp: Clock) -> bool {
        stamp >= self.oldest(at)
    }

    /// Updates wait until every worker of the world has completed their clock.
    pub(super) fn lockstep(self) -> bool {
        self.consistency == Consistency::Bsp
    }

    /// Changed rows are pushed to their readers when a clock completes.
    pub(super) fn eager(self) -> bool {
        self.consistency != Consistency::Ssp
    }

    /// Every worker's updates leave at the end of its clock, without waiting for the other workers
    /// of its rank, and are answered with what has changed.
    pub(super) fn unbounded(self) -> bool {
        self.consistency == Consistency::Async
    }

    /// How many of the staleness's clocks an update may wait on its rank: *u* above.
    fn update_delay(self) -> Clock {
        match self.consistency {
            Consistency::Bsp => 0,
            Consistency::Ssp => Clock::from(self.staleness),
            Consistency::Essp => Clock::from(self.staleness / 2),
            Consistency::Async => Clock::MAX,
        }
    }

    /// Updates of clock `since` must leave a rank whose workers have all completed `completed`.
    pub(super) fn update_is_due(self, since: Clock, completed: Clock) -> bool {
        since <= completed.saturating_sub(self.update_delay())
    }

    /// A changed row whose copy has stamp `since` must leave a home with stamp `stamp`.
    pub(super) fn push_is_due(self, since: Clock, stamp: Clock) -> bool {
        let delay = match self.consistency {
            Consistency::Async => Clock::MAX,
            _ => Clock::from(self.staleness) - self.update_delay(),
        };
        since < stamp.saturating_sub(delay)
    }

    /// The same rule with nothing missing: s = 0.
    pub(super) fn tightened(self) -> Bound {
        match self.consistency {
            Consistency::Bsp => self,
            Consistency::Async => Bound::new(Consistency::Essp, 0),
            other => Bound::new(other, 0),
        }
    }
}

/// How stale a read at clock `at` of a row with this stamp is: the completed clocks it may miss.
pub(super) fn observed(at: Clock, stamp: Clock) -> u64 {
    (at - 1 - stamp).max(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_by_cases() {
        let ssp = Bound::new(Consistency::Ssp, 3);
        for at in 0..10 {
            for stamp in -1..10 {
                assert_eq!(ssp.allows(at, stamp), stamp >= at - 4, "{at} {stamp}");
            }
        }
        let bsp = Bound::new(Consistency::Bsp, 7);
        assert!(bsp.allows(5, 4) && !bsp.allows(5, 3) && bsp.staleness() == 0);
        assert!(Bound::new(Consistency::Async, 0).allows(1000, -1));
    }

    #[test]
    fn the_slowest_can_always_read_what_delays_leave_it() {
        for mode in [Consistency::Bsp, Consistency::Ssp, Consistency::Essp] {
            for staleness in 0..7 {
                let bound = Bound::new(mode, staleness);
                let completed = 20;
                let kept = (0..=completed).find(|c| !bound.update_is_due(*c, completed));
                let stamp = kept.unwrap_or(completed + 1) - 1;
                let copy = (-1..=stamp).find(|since| !bound.push_is_due(*since, stamp));
                let copy = if mode == Consistency::Ssp {
                    stamp
                } else {
                    copy.unwrap_or(stamp)
                };
                assert!(bound.allows(completed + 1, copy), "{mode:?} {staleness}");
                // No clock of the bound is wasted.
                let older = !bound.allows(completed + 1, copy - 1);
                assert!(older || copy == -1, "{mode:?} {staleness}");
            }
        }
        let never = Bound::new(Consistency::Async, 3);
        assert!(!never.update_is_due(0, 1 << 40) && !never.push_is_due(-1, 1 << 40));
    }

    #[test]
    fn observed_staleness_is_never_negative() {
        assert_eq!(observed(0, -1), 0);
        assert_eq!(observed(5, 3), 1);
        assert_eq!(observed(2, 9), 0);
    }
}
