//! Which variables to update next, and which are safe to update together.
