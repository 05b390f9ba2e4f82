//! Starts petuum: parse, run, one exit status.

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use petuum::cli::{Streams, main as run};

fn main() -> ExitCode {
    let streams = Streams {
        stdout: Box::new(stdout()),
        stderr: Box::new(stderr()),
        terminal: stderr().is_terminal(),
    };
    ExitCode::from(run(std::env::args_os(), streams))
}
