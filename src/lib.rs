//! petuum trains large machine-learning models on one machine or on many.
//!
//! This page is the map. Modules are declared from the ground up, and **a module uses only modules
//! declared above it**; `tests/tidy.rs` holds that order.
//!
//! | floor | what it is | what is *absent* |
//! |---|---|---|
//! | [`error`] | every way a run can end, and its exit status | |
//! | [`math`] | numbers without state: kernels, special functions, samplers, seeded randomness | files |
//! | [`data`] | files in: mapped, split by byte range, one file per format, the binary cache | threads of the engine |
//! | [`report`] | numbers out: one record per clock, progress on stderr | |
//! | [`snapshot`] | models and checkpoints on disk | |
//! | [`wire`] | bytes: frames, messages, the handshake | sockets |
//! | [`ps`] | the parameter server as a state machine: message in, messages out | sockets, threads, the wall clock |
//! | [`scheduler`] | which variables next | sockets, threads, the wall clock |
//! | [`transport`] | messages in motion; the only place that knows tokio | what a message means |
//! | [`engine`] | one run: the program trait, workers, clocks, ranks, launch, checkpoint | what a program computes |
//! | [`program`] | the recipes; none knows another | frames, sockets, threads |
//! | [`cli`] | flags, help, man pages, completions | |

pub mod error;
pub mod math;
pub mod data;
pub mod report;
pub mod snapshot;
pub mod wire;
pub mod ps;
pub mod scheduler;
pub mod transport;
pub mod engine;
pub mod program;
pub mod cli;
