//! What the recipes' tests share: options from a line of flags, settings, and records to compare.

use clap::{Args, Command};

use crate::engine::Settings;
use crate::report::Record;

/// What the flags in `line` say.
pub(super) fn options<O: Args>(line: &str) -> O {
    let command = O::augment_args(Command::new("trial").no_binary_name(true));
    let matches = command
        .try_get_matches_from(line.split_whitespace())
        .unwrap();
    O::from_arg_matches(&matches).unwrap()
}

/// A run of `program` under bsp that ends after so many clocks.
pub(super) fn settings(program: &'static str, clocks: u64) -> Settings {
    Settings {
        program,
        clocks: Some(clocks),
        ..Settings::default()
    }
}

/// What does not depend on the wall clock or the network.
pub(super) fn values(records: &[Record]) -> Vec<(u64, f64, Vec<Option<f64>>)> {
    let value = |record: &Record| (record.clock, record.objective, record.columns.clone());
    records.iter().map(value).collect()
}
