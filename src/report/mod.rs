//! Numbers out: one record per evaluated clock on stdout, progress and notes on stderr.
//!
//! # What the records mean
//!
//! | column | meaning |
//! |---|---|
//! | `clock` | clocks that every worker has completed |
//! | `seconds` | seconds of training since the first clock began: no loading, no evaluation, no saving |
//! | `objective` | the program's one objective; its help states the formula and which way is better |
//! | the program's columns | as listed in its help; empty (`null` as JSON) where a value does not exist |
//! | `wait_seconds` | the part of `seconds` in which a worker was blocked, mean over all workers |
//! | `bytes_sent`, `bytes_received` | bytes that left and entered processes since the run began, summed over all hosts; 0 in one process |
//! | `staleness_mean`, `staleness_max` | by how many clocks the reads since the record before were behind their reader |
//!
//! As JSON a record has one field more, at the end: `staleness_counts`, how many of these reads
//! were behind by 0, 1, 2, … clocks (the last of at most 1,024 counts has all that were further
//! behind, too). A list has no place in CSV, which stays as it is.
//!
//! The header and the order are an interface: new columns are only ever added at the end. Every
//! record is flushed when it is written. Nothing but records goes to stdout.

mod notes;
mod record;
mod recorder;

pub use notes::Notes;
pub use record::Record;
pub use recorder::{RecordForm, Recorder};
