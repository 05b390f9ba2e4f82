//! A worker's handle on the tables.

use std::sync::Arc;

use crate::ps::node::{Node, Outgoing};
use crate::ps::table::Element;
use crate::wire::message::{Clock, TableId, WorkerId};

/// The staleness that reads observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Staleness {
    /// Sum over reads, in clocks.
    pub sum: u64,
    /// Number of reads.
    pub reads: u64,
    /// The largest, in clocks.
    pub max: u64,
}

/// A worker's handle on the tables, owned by its thread.
pub struct Client {
    node: Arc<Node>,
    worker: WorkerId,
    at: Clock,
}

impl Client {
    pub(super) fn new(node: Arc<Node>, worker: WorkerId) -> Client {
        Client { node, worker, at: 0 }
    }

    /// The worker's number.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// The worker's clock.
    pub fn at(&self) -> Clock {
        self.at
    }

    /// May the row be read now? If not, what it takes has been asked for: ask again after the next
    /// message was handled or the next local worker turned its clock.
    pub fn ready(&mut self, _table: TableId, _row: u64, _out: &mut Outgoing) -> bool {
        false
    }

    /// Asks at once for those of `rows` that cannot be read yet.
    pub fn prefetch(&mut self, _table: TableId, _rows: &[u64], _out: &mut Outgoing) {}

    /// A dense row, with the worker's own updates; once [`Client::ready`] said yes.
    pub fn read<T: Element>(&mut self, _table: TableId, _row: u64) -> &[T] {
        &[]
    }

    /// The same into the caller's memory, which has the row's width.
    pub fn read_into<T: Element>(&mut self, _table: TableId, _row: u64, _to: &mut [T]) {}

    /// Visits a sparse row's non-zero elements by ascending column.
    pub fn read_sparse<T: Element>(
        &mut self,
        _table: TableId,
        _row: u64,
        _visit: impl FnMut(u32, T),
    ) {
    }

    /// Adds `delta` to a dense row.
    pub fn inc<T: Element>(&mut self, _table: TableId, _row: u64, _delta: &[T]) {}

    /// Adds `delta` to one element of a sparse row.
    pub fn inc_sparse<T: Element>(&mut self, _table: TableId, _row: u64, _column: u32, _delta: T) {}

    /// Lets the updates so far leave before the clock ends, and asks for what has changed
    /// meanwhile. Under `bsp` nothing happens before the clock.
    pub fn publish(&mut self, _out: &mut Outgoing) {}

    /// Ends the worker's clock: its updates leave.
    pub fn clock(&mut self, _out: &mut Outgoing) {
        self.at += 1;
    }

    /// Would a read of a home row be allowed in this clock? A worker that reads nothing need not
    /// ask: the rule bounds reads, not workers.
    pub fn may_start(&self) -> bool {
        true
    }

    /// From now on reads miss nothing: they wait for every worker's updates up to this worker's
    /// clock. For the end of a run.
    pub fn settle(&mut self) {}

    /// The staleness of the reads since it was last taken.
    pub fn take_staleness(&mut self) -> Staleness {
        Staleness::default()
    }

    /// The server this worker belongs to.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }
}
