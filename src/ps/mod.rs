//! The parameter server as a state machine: message in, messages out. No socket, no wall clock.

mod batch;
mod client;
mod clock;
mod consistency;
mod deltas;
mod handle;
mod lockstep;
mod managed;
#[cfg(all(test, feature = "shuttle"))]
mod model;
mod node;
mod outbox;
mod peer;
mod push;
mod relocate;
mod replica;
mod rows;
mod shard;
mod shared;
pub(crate) mod sync;
mod table;
#[cfg(test)]
mod tests;
mod traffic;
mod turn;
mod world;

pub use client::{Client, Staleness};
pub use consistency::{Bound, Consistency};
pub use node::{Node, Outgoing};
pub use table::{Element, ElementType, Home, Partition, TableKind, TableSpec};
pub use traffic::{Limit, Priority, Traffic, Wire};
pub use world::World;
