//! The parameter server as a state machine: message in, messages out. No socket, no wall clock.

mod world;

pub use world::World;
