//! Micro-benchmarks.

fn main() {}
