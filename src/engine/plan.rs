//! When things happen: which clocks are evaluated and checkpointed, and when a run stops.

use crate::ps::{Bound, Consistency};
use crate::wire::message::Clock;

/// The part of the settings that every worker and the coordinator must agree on.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// First clock of this run; above 0 after `--resume`.
    pub(super) from: Clock,
    /// The run stops before this clock, if nothing stops it earlier.
    pub(super) clocks: Option<Clock>,
    /// Clocks between objectives.
    pub(super) evaluate_every: Clock,
    /// Clocks between checkpoints, if there are any.
    pub(super) checkpoint_every: Option<Clock>,
    /// The consistency of reads.
    pub(super) bound: Bound,
    /// A worker starts clock `c` only with the verdict on clock `c − lag − 1`. None: it never waits
    /// for one.
    pub(super) lag: Option<Clock>,
}

impl Plan {
    /// How far workers may run ahead of verdicts: as far as of anything else. Under `async` that is
    /// no bound at all, unless blocks move between workers: these must stop after the same clock,
    /// or one would wait for ever for a block that another keeps.
    pub(super) fn lag(bound: Bound, exclusive: bool) -> Option<Clock> {
        match bound.consistency() {
            Consistency::Bsp => Some(0),
            Consistency::Async if !exclusive => None,
            _ => Some(Clock::from(bound.staleness())),
        }
    }

    /// True if an objective is due after `clock`.
    pub(super) fn evaluates(&self, clock: Clock) -> bool {
        (clock + 1) % self.evaluate_every == 0 || Some(clock + 1) == self.clocks
    }

    /// True if a checkpoint is due after `clock`.
    pub(super) fn checkpoints(&self, clock: Clock) -> bool {
        self.checkpoint_every
            .is_some_and(|every| (clock + 1) % every == 0)
    }

    /// The last clock if rank 0 decides after folding `clock` that the run should end: the first
    /// one that no worker can have started without knowing so, or, if that one is evaluated
    /// anyway, the one before.
    pub(super) fn last_after(&self, clock: Clock) -> Clock {
        let Some(lag) = self.lag else { return clock };
        let open = clock + lag;
        let last = if self.evaluates(open) { open } else { open + 1 };
        self.clocks.map_or(last, |clocks| last.min(clocks - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(lag: Clock, evaluate_every: Clock) -> Plan {
        let bound = Bound::new(Consistency::Ssp, lag as u32);
        Plan {
            from: 0,
            clocks: None,
            evaluate_every,
            checkpoint_every: None,
            bound,
            lag: Some(lag),
        }
    }

    #[test]
    fn without_staleness_a_run_stops_at_the_clock_just_evaluated() {
        assert_eq!(plan(0, 1).last_after(7), 7);
    }

    #[test]
    fn the_last_clock_is_always_evaluated_or_not_yet_started() {
        for lag in 0..5 {
            for every in 1..5 {
                let plan = plan(lag, every);
                for clock in 0..20 {
                    let last = plan.last_after(clock);
                    // A worker at `clock + lag + 1` has seen the verdict on `clock`.
                    assert!(last >= clock + lag);
                    assert!(plan.evaluates(last) || last > clock + lag);
                }
            }
        }
    }

    #[test]
    fn a_stop_never_comes_after_the_clocks_asked_for() {
        let plan = Plan {
            clocks: Some(10),
            ..plan(3, 4)
        };
        assert_eq!(plan.last_after(8), 9);
        assert!(plan.evaluates(9));
    }
}
