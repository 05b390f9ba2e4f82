//! Every integration test, one binary: one link, one run.

// What a user types and what scripts rely on: flags, help, records, exit statuses.
mod cli;
