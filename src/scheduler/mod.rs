//! Which variables to update next, and which are safe to update together.
//!
//! [`all`] updates everything at once; [`rotation`] sends blocks around a ring of workers.

pub mod all;
pub mod rotation;
