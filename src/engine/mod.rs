//! One run: the program trait, workers, clocks, ranks, launch and checkpoint.
//!
//! | file | what it is |
//! |---|---|
//! | `program.rs` | what a recipe has to say |
//! | `worker.rs`, `host.rs` | what a recipe sees of the engine: during clocks, and around them |
//! | `run.rs`, `rank.rs`, `work.rs` | the life of a process, of its rank, of a worker thread |
//! | `coordinator.rs`, `plan.rs` | rank 0 folds reports, writes records, decides when to stop |
//! | `launch.rs`, `control.rs` | starting the ranks of a hosts file on this machine |
//! | `connect.rs`, `hosts.rs` | finding the other ranks |
//! | `board.rs`, `link.rs` | where threads wait for each other; what other ranks say |
//! | `spread.rs` | work of a rank over threads, outside of clocks |
//! | `pace.rs` | what may leave under `--bandwidth` |
//! | `model.rs` | the board and small runs, under a model checker |
//! | `checkpoint.rs` | states of all workers after the same clock |

mod board;
mod checkpoint;
mod connect;
mod control;
mod coordinator;
mod host;
pub mod hosts;
mod interrupt;
mod launch;
mod link;
#[cfg(all(test, feature = "shuttle"))]
mod model;
mod pace;
mod plan;
mod program;
mod rank;
mod run;
mod settings;
mod spread;
mod stopwatch;
mod work;
mod worker;

pub use host::Host;
pub use launch::launch;
pub use program::{Objective, Program};
pub use run::{InProcess, Io, run, run_in_process};
pub use settings::{Defaults, Settings};
pub use spread::spread;
pub use worker::Worker;
