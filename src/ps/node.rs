//! One process of the parameter server.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ps::client::Client;
use crate::ps::consistency::Bound;
use crate::ps::table::TableSpec;
use crate::ps::world::World;
use crate::wire::message::{Clock, Message, Payload, Rank, RowBatch, TableId, WorkerId};

/// Messages to send, in order, each to its rank.
pub type Outgoing = Vec<(Rank, Message)>;

/// One process of the parameter server.
pub struct Node {
    world: World,
    rank: Rank,
    bound: Bound,
    tables: Vec<TableSpec>,
}

impl Node {
    /// The server's part on `rank`, with at least `shards` stripes per table.
    pub fn new(world: World, rank: Rank, _shards: u32, tables: &[TableSpec], bound: Bound) -> Arc<Node> {
        Arc::new(Node { world, rank, bound, tables: tables.to_vec() })
    }

    /// The handle of one local worker; once per worker.
    pub fn client(self: &Arc<Node>, worker: WorkerId) -> Client {
        Client::new(self.clone(), worker)
    }

    /// All workers begin at `clock` (a resumed run). Before any client is made.
    pub fn start_at(&self, _clock: Clock) {}

    /// Takes in a message from another rank; answers go to `out`. Errors: it is not a message of the
    /// parameter server, or names rows or blocks that do not exist.
    pub fn handle(&self, from: Rank, _message: Message, _out: &mut Outgoing) -> Result<()> {
        Err(Error::Other(format!("rank {from}")))
    }

    /// Repeats what is overdue: call it regularly (say, every second), or never if the transport
    /// loses nothing. What was unanswered for two ticks is repeated, then ever more rarely.
    pub fn tick(&self, _out: &mut Outgoing) {}

    /// The newest clock that all workers of the world have completed and whose updates are all in
    /// this rank's home rows.
    pub fn stamp(&self) -> Clock {
        -1
    }

    /// The exclusive block, if it has arrived for this turn.
    pub fn take_block(&self, _table: TableId, _block: u32, _turn: u64) -> Option<Payload> {
        None
    }

    /// Gives a block to the worker that uses it as number `turn`. Between ranks the payload travels
    /// as it is: encode it first unless the transport can carry values or encodes them itself.
    pub fn hand_over(
        &self,
        _table: TableId,
        _block: u32,
        _turn: u64,
        _to: WorkerId,
        _payload: Payload,
        _out: &mut Outgoing,
    ) {
    }

    /// The home rows of a shared table (sparse: those with elements), ascending.
    pub fn table_rows(&self, _table: TableId) -> Option<RowBatch> {
        None
    }

    /// Sets home rows to the given values; the others keep theirs. Before any client reads.
    pub fn set_rows(&self, _rows: &RowBatch) -> Result<()> {
        Ok(())
    }
}
