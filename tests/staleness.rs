//! The parameter server under a hostile network.
//!
//! Each seed is a whole run: some ranks with some workers each, a consistency, a network that
//! delays, reorders, drops and repeats messages, workers that step in random order. Every read is
//! checked against the read rule, the end against the sum of all updates. A failure prints its
//! seed; `PETUUM_SEED=17 cargo test staleness` plays it again. Every test run plays 1,000 seeds, a
//! nightly one 10,000: `PETUUM_SEEDS=10000 cargo test --release staleness`. Threads are not simulated
//! here; the models in `src/ps/model.rs` and `src/engine/model.rs` run through their interleavings.

mod network;
mod oracle;
mod simulation;
mod spread;
mod tables;
mod threads;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use petuum::ps::{Bound, Consistency};
use petuum::wire::message::Message;

use network::{Forgery, Weather};
use simulation::{Outcome, Setup, Simulation};

const MODES: [Consistency; 4] = [
    Consistency::Bsp,
    Consistency::Ssp,
    Consistency::Essp,
    Consistency::Async,
];

fn simulate(seed: u64, setup: Setup) -> Result<Outcome, String> {
    let run = || Simulation::new(seed, setup).run();
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("it panicked".into()))
}

/// The seeds to run: all of them, or the one in `PETUUM_SEED`, or as many as `PETUUM_SEEDS` says
/// where the usual number is a thousand.
fn seeds(count: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    match (number("PETUUM_SEED"), number("PETUUM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) if count == 1000 => 0..seeds,
        _ => 0..count,
    }
}

/// Runs all seeds; adds up what happened.
fn simulate_all(count: u64, setup: Setup) -> Outcome {
    let mut sum = Outcome::default();
    for seed in seeds(count) {
        match simulate(seed, setup) {
            Ok(run) => sum.add(run),
            Err(wrong) => panic!("PETUUM_SEED={seed}: {wrong}"),
        }
    }
    sum
}

#[test]
fn a_thousand_runs_keep_the_read_rule_and_apply_each_delta_once() {
    let sum = simulate_all(1000, Setup::default());
    if seeds(1000).count() > 1 {
        // The runs were not idle: there was something to get wrong.
        assert!(
            sum.reads > 50_000 && sum.stale_reads > 5_000 && sum.waits > 50_000,
            "{sum:?}"
        );
        assert!(
            sum.dropped > 5_000 && sum.repeated > 5_000 && sum.turns > 10_000,
            "{sum:?}"
        );
        assert!(sum.refreshes > 100, "{sum:?}");
    }
}

#[test]
fn a_thousand_runs_with_limited_bandwidth_keep_the_read_rule() {
    let setup = Setup {
        managed: true,
        apart: true,
        ..Setup::default()
    };
    let sum = simulate_all(1000, setup);
    if seeds(1000).count() >= 1000 {
        assert!(
            sum.reads > 50_000 && sum.stale_reads > 5_000 && sum.turns > 10_000,
            "{sum:?}"
        );
        // Something waited for a grant, and something could not wait.
        assert!(sum.grants > 2_000 && sum.short > 100, "{sum:?}");
        assert!(sum.dropped > 5_000 && sum.refreshes > 100, "{sum:?}");
    }
}

#[test]
fn a_limited_bandwidth_without_losses_needs_no_repetition() {
    for mode in MODES {
        let weather = Weather {
            drop_per_mille: 0,
            repeat_per_mille: 0,
            delay: 50,
            ordered: true,
            ticks: false,
            crashes: false,
        };
        let setup = Setup {
            weather: Some(weather),
            managed: true,
            apart: true,
            consistency: Some(mode),
            ..Setup::default()
        };
        assert_eq!(simulate_all(100, setup).refreshes, 0);
    }
}

#[test]
fn nothing_is_repeated_on_a_network_that_loses_nothing() {
    for ordered in [true, false] {
        let weather = Weather {
            drop_per_mille: 0,
            repeat_per_mille: 0,
            delay: 50,
            ordered,
            ticks: false,
            crashes: false,
        };
        // Without ticks a run would be stuck if it needed them; `run` then ticks and wants silence.
        let setup = Setup {
            weather: Some(weather),
            apart: true,
            ..Setup::default()
        };
        assert_eq!(simulate_all(200, setup).refreshes, 0);
    }
}

/// How many of some runs on several ranks are found to be wrong.
fn caught(setup: Setup) -> usize {
    let setup = Setup {
        apart: true,
        ..setup
    };
    (0..60)
        .filter(|seed| simulate(*seed, setup).is_err())
        .count()
}

#[test]
fn a_bound_one_clock_tighter_is_seen_to_be_broken() {
    for mode in [Consistency::Ssp, Consistency::Essp] {
        for managed in [false, true] {
            let setup = |tighter| Setup {
                tighter,
                managed,
                consistency: Some(mode),
                ..Setup::default()
            };
            assert_eq!(caught(setup(0)), 0);
            assert!(caught(setup(1)) > 10, "{mode:?} {managed}");
        }
    }
}

#[test]
fn every_lie_in_a_message_is_seen() {
    let lies: [(&str, Forgery); 8] = [
        ("updates count as another clock's", |m| {
            if let Message::Updates { completes, .. } = m {
                *completes += 1;
            }
        }),
        ("two batches with one number", |m| {
            if let Message::Updates { number, .. } = m {
                *number /= 2;
            }
        }),
        ("updates never arrive", |m| {
            if let Message::Updates { batches, .. } = m {
                *batches = Default::default();
            }
        }),
        ("rows are newer than they are", |m| {
            if let Message::Rows { stamp, .. } = m {
                *stamp += 1;
            }
        }),
        ("one update more is included", |m| {
            if let Message::Rows { included, .. } = m {
                *included += 1;
            }
        }),
        ("one update less is included", |m| {
            if let Message::Rows { included, .. } = m {
                *included = included.saturating_sub(1);
            }
        }),
        ("a stamp holds for all rows in spite of a gap", |m| {
            if let Message::Rows { covers, .. } = m {
                *covers = 0;
            }
        }),
        ("a block is for another turn", |m| {
            if let Message::Block { turn, .. } = m {
                *turn += 1;
            }
        }),
    ];
    for (lie, forgery) in lies {
        let setup = Setup {
            forgery: Some(forgery),
            ..Setup::default()
        };
        let seen = caught(setup);
        assert!(seen > 5, "{lie}: only {seen} of 60 runs saw it");
        let managed = Setup {
            managed: true,
            ..setup
        };
        let seen = caught(managed);
        assert!(seen > 5, "{lie}: only {seen} of 60 managed runs saw it");
    }
}

#[test]
fn a_lossy_network_without_repetition_gets_nowhere() {
    let weather = Weather {
        drop_per_mille: 100,
        repeat_per_mille: 0,
        delay: 5,
        ordered: true,
        ticks: false,
        crashes: false,
    };
    let setup = Setup {
        weather: Some(weather),
        ..Setup::default()
    };
    assert!(caught(setup) > 50);
}

#[test]
fn threads_keep_the_read_rule() {
    for mode in MODES {
        for workers in [&[3][..], &[2, 2], &[1, 1, 1]] {
            threads::run(workers, Bound::new(mode, 2));
        }
    }
}

#[test]
fn bsp_is_bit_identical_however_workers_are_spread() {
    let bits = spread::run(&[4], Consistency::Bsp, 0);
    for (seed, workers) in [&[4][..], &[2, 2], &[1, 1, 1, 1], &[1, 3], &[3, 0, 1]]
        .iter()
        .enumerate()
    {
        assert!(
            spread::run(workers, Consistency::Bsp, seed as u64) == bits,
            "{workers:?}"
        );
    }
    // That is no accident: without lockstep the order of events shows.
    let differs = |seed| spread::run(&[4], Consistency::Async, seed) != bits;
    assert!((0..10).any(differs));
}
