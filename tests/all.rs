//! Every integration test, one binary: one link, one run.

// `petuum lda` as a user runs it: planted topics found, the objective checked, runs resumed.
mod lda;
