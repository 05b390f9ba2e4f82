//! Every integration test, one binary: one link, one run.

// What a user types and what scripts rely on: flags, help, records, exit statuses.
mod cli;
// The house rules: order of the floors, walls, sizes, and that what documents name exists.
mod tidy;
