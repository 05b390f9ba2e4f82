//! Which variables to update next, and which are safe to update together.
//!
//! [`all`] updates everything at once; [`rotation`] sends blocks around a ring of workers,
//! and [`partition`] says which variables make a block.

pub mod all;
pub mod partition;
pub mod rotation;
