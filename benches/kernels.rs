//! Micro-benchmarks: `cargo bench`. Each line is a name and the fastest of several runs, in
//! nanoseconds per operation.

mod ps;

use std::hint::black_box;
use std::io::{Result, Write, stdout};
use std::time::Instant;

/// Runs `operation` `count` times, ninety-nine times over; writes the fastest, per operation.
pub(crate) fn measure(
    out: &mut impl Write,
    name: &str,
    count: u64,
    mut operation: impl FnMut(u64) -> f64,
) -> Result<()> {
    let mut fastest = f64::INFINITY;
    for _ in 0..99 {
        let start = Instant::now();
        for i in 0..count {
            black_box(operation(i));
        }
        fastest = fastest.min(start.elapsed().as_nanos() as f64 / count as f64);
    }
    writeln!(out, "{name:50} {fastest:10.1} ns")
}

fn main() -> Result<()> {
    let mut out = stdout().lock();
    ps::run(&mut out)
}
