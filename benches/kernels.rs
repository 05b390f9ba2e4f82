//! Micro-benchmarks: `cargo bench [-- NAME]`. Without `--bench`, as under `cargo test --benches`,
//! each one runs at a small size, so that none can rot.

mod examples;
mod gemm;
mod parse;
mod ps;
mod server;
mod wire;

use std::hint::black_box;
use std::time::Instant;

/// A name, and what to run; true for a small size.
type Bench = (&'static str, fn(bool));

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let small = !arguments.iter().any(|argument| argument == "--bench");
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let benches: [Bench; 6] = [
        ("examples", examples::run),
        ("gemm", gemm::run),
        ("parse", parse::run),
        ("ps", ps::run),
        ("server", server::run),
        ("wire", wire::run),
    ];
    for (name, bench) in benches {
        if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            bench(small);
        }
    }
}

/// Runs `operation` `count` times, ninety-nine times over; prints the fastest, in nanoseconds per operation.
pub(crate) fn measure(small: bool, name: &str, count: u64, mut operation: impl FnMut(u64) -> f64) {
    let (rounds, count) = if small { (1, count / 100) } else { (99, count) };
    let mut fastest = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        for i in 0..count {
            black_box(operation(i));
        }
        fastest = fastest.min(start.elapsed().as_nanos() as f64 / count as f64);
    }
    say(&format!("{name:50} {fastest:10.1} ns"));
}

/// Prints one line; a reader that went away wants no more.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
