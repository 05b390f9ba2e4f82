//! What is between this rank and another, in both directions.

use crate::ps::outbox::{Inbox, Outbox};
use crate::ps::push::{Arrivals, Pushes};
use crate::ps::traffic::Budget;
use crate::wire::message::Clock;

/// Everything between this rank and another.
pub(super) struct Peer {
    /// Our updates to its rows.
    pub(super) outbox: Outbox,
    /// Its updates to our rows.
    pub(super) inbox: Inbox,
    /// Our rows to it.
    pub(super) pushes: Pushes,
    /// Its rows to us.
    pub(super) arrivals: Arrivals,
    /// It has registered rows here.
    pub(super) reads: bool,
    /// What may leave for it, if bandwidth is limited.
    pub(super) budget: Option<Budget>,
}

impl Peer {
    /// Nothing sent and nothing arrived; both know that all workers have completed `completed`.
    pub(super) fn new(completed: Clock, budget: Option<Budget>) -> Peer {
        Peer {
            outbox: Outbox::new(completed),
            inbox: Inbox::default(),
            pushes: Pushes::default(),
            arrivals: Arrivals::default(),
            reads: false,
            budget,
        }
    }
}
