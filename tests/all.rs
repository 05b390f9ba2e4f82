//! Every integration test, one binary: one link, one run.

/// Messages reach the other ranks, and no stranger or broken peer does more harm than it must.
mod transport;

// The engine with a toy program: every change seen once, over every transport.
mod engine;
