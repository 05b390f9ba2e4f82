//! One run: the program trait, workers, clocks, ranks, launch and checkpoint.

pub mod hosts;
