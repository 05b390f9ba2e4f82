//! One process of the parameter server: a state machine that takes messages in and gives messages
//! out.
//!
//! Its worker threads (through [`Client`]) and the thread that handles messages use it at the same
//! time. Rows lie in stripes with a lock each; what is between this rank and another lies in one
//! [`Peer`] with a lock; clocks are atomics. Locks are taken in the order lockstep, peer, stripe,
//! and never two peers at once.
//!
//! Between two ranks, in both directions:
//!
//! 1. `Updates` are numbered. The home of the rows applies each number once and in order, and so
//!    knows at any moment which of them its rows include.
//! 2. `Rows` are numbered and say which updates they include; the reader adds its own updates that
//!    they do not include yet. A row only ever changes to the value of a later push.
//! 3. When a clock is complete, eager homes push what has changed. The stamp of such a push holds
//!    for all rows of its reader, once every push before it has arrived or is covered.
//! 4. Under a limited bandwidth rows are kept back in both directions (see `managed.rs`); clocks
//!    and stamps then count as complete when nothing of them is kept back any more.
//! 5. Whatever goes unanswered for two ticks is repeated: updates, pulls, blocks; a gap in the
//!    pushes makes the reader ask for a refresh. Everything may arrive late, twice or not at all.
//!
//! With one rank there are no peers: nothing is encoded, sent or noted for sending.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::error::{Error, Result};
use crate::ps::batch::{Chunks, Shape};
use crate::ps::client::Client;
use crate::ps::clock::Clocks;
use crate::ps::consistency::Bound;
use crate::ps::lockstep::Lockstep;
use crate::ps::peer::Peer;
use crate::ps::relocate::Blocks;
use crate::ps::shared::{AnyTable, new_table};
use crate::ps::sync::{AtomicBool, AtomicI64, Mutex, MutexGuard};
use crate::ps::table::{Partition, TableKind, TableSpec};
use crate::ps::traffic::{Priority, Traffic, Wire};
use crate::ps::world::World;
use crate::wire::message::{Clock, Elements, Message, Payload, Rank, RowBatch, TableId, WorkerId};

/// Messages to send, in order, each to its rank.
pub type Outgoing = Vec<(Rank, Message)>;

/// One process of the parameter server.
pub struct Node {
    pub(super) world: World,
    pub(super) rank: Rank,
    pub(super) bound: Bound,
    pub(super) partition: Partition,
    /// By table; nothing for exclusive ones.
    pub(super) tables: Vec<Option<Arc<dyn AnyTable>>>,
    pub(super) clocks: Clocks,
    /// By rank: a stamp that holds for all copies of that rank's rows (eager consistency).
    pub(super) floors: Vec<AtomicI64>,
    /// By rank; this rank's own is not used.
    pub(super) peers: Vec<Mutex<Peer>>,
    pub(super) lockstep: Mutex<Lockstep>,
    pub(super) blocks: Mutex<Blocks>,
    /// A local worker has settled: nothing waits any longer.
    pub(super) settled: AtomicBool,
    /// The read rule alone needs more than the bandwidth.
    pub(super) short: AtomicBool,
    pub(super) traffic: Traffic,
}

/// A poisoned lock means that another worker's thread panicked; its panic ends the run, and must
/// not be hidden behind a second one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
impl Node {
    /// The server's part on `rank`, with at least `shards` stripes per table (a few times the
    /// number of local workers is a good choice).
    ///
    /// # Panics
    /// If there are more tables than a [`TableId`] can number.
    pub fn new(world: World, rank: Rank, shards: u32, tables: &[TableSpec], bound: Bound) -> Node {
        Node::with(world, rank, shards, tables, bound, Traffic::default())
    }

    /// The same with a say in how rows travel. With a limit nothing leaves by choice before
    /// [`Node::grant`]. Under `bsp` floats travel as they are.
    ///
    /// # Panics
    /// If there are more tables than a [`TableId`] can number.
    pub fn with(
        world: World,
        rank: Rank,
        shards: u32,
        tables: &[TableSpec],
        bound: Bound,
        traffic: Traffic,
    ) -> Node {
        let ranks = world.ranks();
        let weigh = traffic
            .limit
            .is_some_and(|limit| limit.priority == Priority::Magnitude);
        let partition = Partition::new(ranks, shards);
        let table = |(id, spec): (usize, &TableSpec)| match spec.kind {
            TableKind::Exclusive { .. } => None,
            TableKind::Shared {
                rows,
                width,
                element,
                sparse,
            } => {
                let shape = Shape {
                    table: TableId::try_from(id).expect("at most 65,536 tables"),
                    rows,
                    width,
                    sparse,
                    half: traffic.wire == Wire::Bf16 && !bound.lockstep(),
                };
                Some(new_table(element, shape, partition, (ranks, rank), weigh))
            }
        };
        let workers = world.local(rank).len();
        Node {
            rank,
            bound,
            partition,
            tables: tables.iter().enumerate().map(table).collect(),
            clocks: Clocks::new(&world, rank),
            floors: (0..ranks).map(|_| AtomicI64::new(Clock::MIN)).collect(),
            peers: (0..ranks)
                .map(|to| Mutex::new(Peer::new(-1, traffic.budget(ranks, rank, to))))
                .collect(),
            lockstep: Mutex::new(Lockstep::new(ranks, rank, workers)),
            blocks: Mutex::new(Blocks::new(tables)),
            settled: AtomicBool::new(false),
            short: AtomicBool::new(false),
            traffic,
            world,
        }
    }

    /// Cuts messages with rows at about `bytes`, instead of half a mebibyte.
    pub fn cut_at(mut self, bytes: usize) -> Node {
        self.traffic.chunk_bytes = bytes;
        self
    }

    /// The handle of one local worker; make one per worker.
    ///
    /// # Panics
    /// If the worker lives on another rank.
    pub fn client(self: &Arc<Node>, worker: WorkerId) -> Client {
        assert!(
            self.world.local(self.rank).contains(&worker),
            "worker {worker} lives elsewhere"
        );
        Client::new(self.clone(), worker)
    }

    /// All workers of the world begin at `clock` (a resumed run). Before any client is made or
    /// message handled, on every rank alike.
    pub fn start_at(&self, clock: Clock) {
        self.clocks.start_at(clock);
        lock(&self.lockstep).start_at(clock);
        for peer in &self.peers {
            let mut peer = lock(peer);
            let budget = peer.budget.take();
            *peer = Peer::new(clock - 1, budget);
        }
    }

    /// The newest clock that all workers of the world have completed and whose updates are all in
    /// this rank's home rows.
    pub fn stamp(&self) -> Clock {
        self.clocks.stamp()
    }

    /// Batches of updates that have left for `rank` and are not known to be in its rows yet.
    pub fn unacknowledged(&self, rank: Rank) -> usize {
        lock(&self.peers[rank as usize]).outbox.unacknowledged()
    }

    /// This process's rank.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// The ranks and workers of the run.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The exclusive block, if it waits here for this turn.
    pub fn take_block(&self, table: TableId, block: u32, turn: u64) -> Option<Payload> {
        lock(&self.blocks).take(table, block, turn)
    }

    /// Gives a block to the worker `to`, for its use number `turn` (counted over all workers). To
    /// another rank the payload travels as it is: encode it first unless the transport does.
    ///
    /// # Panics
    /// If the table has no such block, or the block already waits here: a bug of the program.
    pub fn hand_over(
        &self,
        table: TableId,
        block: u32,
        turn: u64,
        to: WorkerId,
        payload: Payload,
        out: &mut Outgoing,
    ) {
        let rank = self.world.rank_of(to);
        let mut blocks = lock(&self.blocks);
        if rank != self.rank {
            let message = blocks.leave((table, block, turn), (rank, to), payload);
            out.push((rank, message));
        } else if let Err(error) = blocks.arrive(table, block, turn, payload) {
            panic!("{error}");
        }
    }

    /// This rank's home rows of a shared table, ascending, cut into batches of moderate size; of a
    /// sparse table only rows with elements. For checkpoints and models; complete up to
    /// [`Node::stamp`].
    pub fn table_rows(&self, table: TableId) -> Vec<RowBatch> {
        match self.tables.get(table as usize) {
            Some(Some(table)) => table.home_rows(),
            _ => Vec::new(),
        }
    }

    /// True if changes become visible at clocks alone.
    pub fn in_lockstep(&self) -> bool {
        self.bound.lockstep()
    }

    /// Sets home rows to the given values; rows that are not mentioned keep theirs. Before any
    /// client reads.
    ///
    /// # Errors
    /// The rows do not fit the table or live elsewhere.
    pub fn set_rows(&self, rows: &RowBatch) -> Result<()> {
        let table = self.table(rows.table)?;
        table.check(rows, self.rank)?;
        table.set(rows);
        Ok(())
    }

    /// Sets a dense row if it lives here, as [`Node::set_rows`] does.
    ///
    /// # Errors
    /// As there.
    pub fn set_row(&self, table: TableId, row: u64, elements: Elements) -> Result<()> {
        if !self.is_local(row) {
            return Ok(());
        }
        self.set_rows(&RowBatch {
            table,
            rows: vec![row],
            ends: Vec::new(),
            columns: Vec::new(),
            elements,
        })
    }

    /// The stamp that holds for all copies of `rank`'s rows; of this rank's own, its stamp.
    #[inline]
    pub(super) fn floor(&self, rank: Rank) -> Clock {
        self.floors[rank as usize].load(Ordering::SeqCst)
    }

    /// The shared table.
    ///
    /// # Panics
    /// If there is none with this number: a bug of a program.
    pub(super) fn shared_table(&self, table: TableId) -> &dyn AnyTable {
        match self.tables.get(table as usize) {
            Some(Some(table)) => table.as_ref(),
            _ => panic!("there is no shared table {table}"),
        }
    }

    /// Room for rows to be sent.
    pub(super) fn chunks(&self) -> Chunks {
        Chunks::new(self.traffic.chunk_bytes)
    }

    /// True if there is no other rank.
    pub(super) fn alone(&self) -> bool {
        self.peers.len() == 1
    }

    /// True if the row lives here.
    #[inline]
    pub(super) fn is_local(&self, row: u64) -> bool {
        self.alone() || self.partition.home(row).rank == self.rank
    }
    /// A read of one of `rank`'s rows had to be refused.
    pub(super) fn refused(&self, rank: Rank) {
        lock(&self.peers[rank as usize]).arrivals.refuse();
    }

    pub(super) fn others(&self) -> impl Iterator<Item = Rank> + use<> {
        let own = self.rank;
        (0..self.world.ranks()).filter(move |rank| *rank != own)
    }

    pub(super) fn table(&self, table: TableId) -> Result<&Arc<dyn AnyTable>> {
        match self.tables.get(table as usize) {
            Some(Some(table)) => Ok(table),
            _ => Err(Error::Other(format!("there is no shared table {table}"))),
        }
    }

    pub(super) fn shared(&self) -> impl Iterator<Item = &Arc<dyn AnyTable>> {
        self.tables.iter().flatten()
    }
    pub(super) fn values(&self, wanted: &[(TableId, Vec<u64>)], chunks: &mut Chunks) {
        for (table, rows) in wanted {
            if let Ok(table) = self.table(*table) {
                table.values(rows, chunks);
            }
        }
    }
}
