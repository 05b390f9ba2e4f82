//! Starts petuum.

fn main() {}
