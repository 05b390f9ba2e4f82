//! One record: what a clock brought and what it cost.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The figures of one evaluated clock. See [`crate::report`] for the meaning of each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Clocks that every worker has completed.
    pub clock: u64,
    /// Seconds of training since the first clock began.
    pub seconds: f64,
    /// The program's objective.
    pub objective: f64,
    /// The program's own columns, in the order of their names; `None` is an empty cell.
    pub columns: Vec<Option<f64>>,
    /// Seconds that a worker was blocked since the first clock began, mean over all workers.
    pub wait_seconds: f64,
    /// Bytes that left processes since the run began, over all hosts.
    pub bytes_sent: u64,
    /// Bytes that entered processes since the run began, over all hosts.
    pub bytes_received: u64,
    /// Mean staleness of the reads since the record before, in clocks.
    pub staleness_mean: f64,
    /// Largest staleness of a read since the record before, in clocks.
    pub staleness_max: u64,
    /// Number of these reads by their staleness, from 0 clocks; as JSON alone.
    #[serde(default)]
    pub staleness_counts: Vec<u64>,
}

/// The name of what only JSON has; it comes last.
pub(super) const COUNTS: &str = "staleness_counts";

/// Columns that come before the program's own.
const FIRST: [&str; 3] = ["clock", "seconds", "objective"];
/// Columns that come after the program's own.
const LAST: [&str; 5] = [
    "wait_seconds",
    "bytes_sent",
    "bytes_received",
    "staleness_mean",
    "staleness_max",
];

/// All column names, in order.
pub(super) fn header(columns: &[String]) -> Vec<&str> {
    let own = columns.iter().map(String::as_str);
    FIRST.into_iter().chain(own).chain(LAST).collect()
}

/// All values, in the order of [`header`]. A value that does not exist or is not finite is null.
pub(super) fn values(record: &Record) -> Vec<Value> {
    let mut values = vec![
        json!(record.clock),
        json!(record.seconds),
        json!(record.objective),
    ];
    values.extend(record.columns.iter().map(|value| json!(value)));
    values.extend([
        json!(record.wait_seconds),
        json!(record.bytes_sent),
        json!(record.bytes_received),
        json!(record.staleness_mean),
        json!(record.staleness_max),
    ]);
    values
}

/// All values as cells: the shortest text that reads back as the same number, or nothing for null.
pub(super) fn cells(record: &Record) -> impl Iterator<Item = String> {
    values(record).into_iter().map(|value| match value {
        Value::Null => String::new(),
        number => number.to_string(),
    })
}
