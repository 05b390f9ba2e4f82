//! Every integration test, one binary: one link, one run.

// The read rule under a hostile network: a seeded simulator of whole runs.
mod staleness;
