//! The parameter server under a hostile network.
//!
//! Each seed is a whole run: some ranks with some workers each, a consistency, a network that
//! delays, reorders, drops and repeats messages, workers that step in random order. Every read is
//! checked against the read rule, the end against the sum of all updates. A failure prints its
//! seed; `PETUUM_SEED=17 cargo test staleness` plays it again.

mod network;
mod oracle;
mod simulation;

use std::panic::{AssertUnwindSafe, catch_unwind};

use petuum::ps::Consistency;
use petuum::wire::message::Message;

use network::Weather;
use simulation::{Outcome, Setup, Simulation};

fn simulate(seed: u64, setup: Setup) -> Result<Outcome, String> {
    let run = || Simulation::new(seed, setup).run();
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(_) => Err("it panicked".into()),
    }
}

fn add(sum: &mut Outcome, run: Outcome) {
    sum.reads += run.reads;
    sum.waits += run.waits;
    sum.stale_reads += run.stale_reads;
    sum.turns += run.turns;
    sum.dropped += run.dropped;
    sum.repeated += run.repeated;
    sum.refreshes += run.refreshes;
    sum.steps += run.steps;
}

/// The seeds to run: all of them, or the one in `PETUUM_SEED`.
fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("PETUUM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

#[test]
fn a_thousand_runs_keep_the_read_rule_and_apply_each_delta_once() {
    let mut sum = Outcome::default();
    for seed in seeds(1000) {
        match simulate(seed, Setup::default()) {
            Ok(run) => add(&mut sum, run),
            Err(wrong) => panic!("PETUUM_SEED={seed}: {wrong}"),
        }
    }
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
