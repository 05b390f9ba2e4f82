//! The parameter server as a state machine: message in, messages out. No socket, no wall clock.

mod client;
mod consistency;
mod node;
mod table;
mod world;

pub use client::{Client, Staleness};
pub use consistency::{Bound, Consistency};
pub use node::{Node, Outgoing};
pub use table::{Element, ElementType, Home, Partition, TableKind, TableSpec};
pub use world::World;
