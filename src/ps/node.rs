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
//! 4. Whatever goes unanswered for two ticks is repeated: updates, pulls, blocks; a gap in the
//!    pushes makes the reader ask for a refresh. Everything may arrive late, twice or not at all.
//!
//! With one rank there are no peers: nothing is encoded, sent or noted for sending.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::ps::batch::{CHUNK_BYTES, Chunks, Shape};
use crate::ps::client::Client;
use crate::ps::clock::Clocks;
use crate::ps::consistency::Bound;
use crate::ps::lockstep::{Contents, DeltaSet, Lockstep, WorkerClock};
use crate::ps::outbox::{Arrived, InFlight, Inbox, Outbox};
use crate::ps::push::{Arrivals, Meta, Pushes};
use crate::ps::relocate::Blocks;
use crate::ps::shared::{AnyTable, new_table};
use crate::ps::table::{Partition, TableKind, TableSpec};
use crate::ps::world::World;
use crate::wire::message::{Clock, Message, Payload, Rank, RowBatch, TableId, WorkerId};

/// Messages to send, in order, each to its rank.
pub type Outgoing = Vec<(Rank, Message)>;

/// One process of the parameter server.
pub struct Node {
    world: World,
    rank: Rank,
    pub(super) bound: Bound,
    pub(super) partition: Partition,
    /// By table; nothing for exclusive ones.
    pub(super) tables: Vec<Option<Arc<dyn AnyTable>>>,
    pub(super) clocks: Clocks,
    /// By rank: a stamp that holds for all copies of that rank's rows (eager consistency).
    floors: Vec<AtomicI64>,
    /// By rank; this rank's own is not used.
    peers: Vec<Mutex<Peer>>,
    lockstep: Mutex<Lockstep>,
    blocks: Mutex<Blocks>,
    chunk_bytes: usize,
}

/// Everything between this rank and another.
struct Peer {
    /// Our updates to its rows.
    outbox: Outbox,
    /// Its updates to our rows.
    inbox: Inbox,
    /// Our rows to it.
    pushes: Pushes,
    /// Its rows to us.
    arrivals: Arrivals,
    /// It has registered rows here.
    reads: bool,
}

/// A poisoned lock means that another worker's thread panicked; its panic ends the run, and must
/// not be hidden behind a second one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// The server's part on `rank`, with at least `shards` stripes per table (a few times the
    /// number of local workers is a good choice).
    ///
    /// # Panics
    /// If there are more tables than a [`TableId`] can number.
    pub fn new(world: World, rank: Rank, shards: u32, tables: &[TableSpec], bound: Bound) -> Node {
        let ranks = world.ranks();
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
                };
                Some(new_table(element, shape, partition, (ranks, rank)))
            }
        };
        let peer = |_| {
            Mutex::new(Peer {
                outbox: Outbox::new(-1),
                inbox: Inbox::default(),
                pushes: Pushes::default(),
                arrivals: Arrivals::default(),
                reads: false,
            })
        };
        let workers = world.local(rank).len();
        Node {
            rank,
            bound,
            partition,
            tables: tables.iter().enumerate().map(table).collect(),
            clocks: Clocks::new(&world, rank),
            floors: (0..ranks).map(|_| AtomicI64::new(Clock::MIN)).collect(),
            peers: (0..ranks).map(peer).collect(),
            lockstep: Mutex::new(Lockstep::new(ranks, rank, workers)),
            blocks: Mutex::new(Blocks::new(tables)),
            chunk_bytes: CHUNK_BYTES,
            world,
        }
    }

    /// Cuts messages with rows at about `bytes`, instead of half a mebibyte.
    pub fn cut_at(mut self, bytes: usize) -> Node {
        self.chunk_bytes = bytes;
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
        self.peers
            .iter()
            .for_each(|peer| lock(peer).outbox = Outbox::new(clock - 1));
    }

    /// The newest clock that all workers of the world have completed and whose updates are all in
    /// this rank's home rows.
    pub fn stamp(&self) -> Clock {
        self.clocks.stamp()
    }

    /// This process's rank.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// The ranks and workers of the run.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Takes in a message from another rank; answers go to `out`. Duplicates and reordering do no
    /// harm.
    ///
    /// # Errors
    /// The message is not for the parameter server, or names tables, rows, columns or blocks that
    /// do not exist or live elsewhere. The run cannot go on then.
    pub fn handle(&self, from: Rank, message: Message, out: &mut Outgoing) -> Result<()> {
        self.dispatch(from, message, out)
            .map_err(|error| match error {
                Error::Bug(what) => Error::Bug(format!("from rank {from}: {what}")),
                other => Error::Other(format!("from rank {from}: {other}")),
            })
    }

    fn dispatch(&self, from: Rank, message: Message, out: &mut Outgoing) -> Result<()> {
        if from == self.rank || from >= self.world.ranks() {
            return Err(Error::Bug("not another rank of this run".into()));
        }
        match message {
            Message::Updates {
                number,
                completes,
                answer,
                batches,
            } => {
                let arrived = Arrived {
                    completes,
                    answer,
                    batches,
                };
                self.updates(from, number, arrived, out)
            }
            Message::Pull { table, rows, stamp } => self.pull(from, table, &rows, stamp, out),
            Message::Rows {
                number,
                covers,
                stamp,
                complete,
                included,
                batches,
            } => {
                let meta = Meta {
                    number,
                    covers,
                    complete: complete.then_some(stamp),
                    included,
                };
                self.rows(from, meta, stamp, &batches)
            }
            Message::Refresh { number } => {
                self.refresh(from, number, out);
                Ok(())
            }
            Message::Block {
                table,
                block,
                turn,
                payload,
                ..
            } => {
                lock(&self.blocks).arrive(table, block, turn, payload)?;
                out.push((from, Message::BlockArrived { table, block, turn }));
                Ok(())
            }
            Message::BlockArrived { table, block, turn } => {
                lock(&self.blocks).forget(table, block, turn);
                Ok(())
            }
            _ => Err(Error::Bug("not a message of the parameter server".into())),
        }
    }

    /// Repeats what is overdue: call it regularly (say, every second), or never if the transport
    /// loses nothing. What was unanswered for two ticks is repeated, then ever more rarely.
    pub fn tick(&self, out: &mut Outgoing) {
        for rank in self.others() {
            let mut peer = lock(&self.peers[rank as usize]);
            peer.outbox.tick(|message| out.push((rank, message)));
            if peer.arrivals.tick() {
                let number = peer.arrivals.next();
                self.pull_again(rank, out);
                out.push((rank, Message::Refresh { number }));
            }
        }
        lock(&self.blocks).tick(out);
    }

    /// The exclusive block, if it waits here for this turn.
    pub fn take_block(&self, table: TableId, block: u32, turn: u64) -> Option<Payload> {
        lock(&self.blocks).take(table, block, turn)
    }

    /// Gives a block to the worker `to`, for its use number `turn` (counted over all workers). To
    /// another rank the payload travels as it is: encode it first unless the transport does.
    ///
    /// # Errors
    /// The table has no such block, or the block is already waiting here: a bug of the program.
    pub fn hand_over(
        &self,
        table: TableId,
        block: u32,
        turn: u64,
        to: WorkerId,
        payload: Payload,
        out: &mut Outgoing,
    ) -> Result<()> {
        let rank = self.world.rank_of(to);
        let mut blocks = lock(&self.blocks);
        if rank == self.rank {
            return blocks.arrive(table, block, turn, payload);
        }
        let message = blocks.leave((table, block, turn), (rank, to), payload);
        out.push((rank, message));
        Ok(())
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
        Chunks::new(self.chunk_bytes)
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

    /// A local worker completes a clock; its updates are already in the tables and outboxes.
    pub(super) fn turn(&self, worker: WorkerId, out: &mut Outgoing) {
        let completed = self.clocks.turn(worker);
        let at_once = self.bound.unbounded();
        if completed || at_once {
            self.others()
                .for_each(|rank| self.flush(rank, at_once, false, out));
        }
        self.advance(out);
    }

    /// Sends all updates that have not left yet, in the middle of a clock.
    pub(super) fn publish(&self, out: &mut Outgoing) {
        self.others()
            .for_each(|rank| self.flush(rank, self.bound.eager(), true, out));
    }

    /// Memory for a worker's next updates, if there is some to spare.
    pub(super) fn spare_deltas(&self) -> DeltaSet {
        lock(&self.lockstep).spare()
    }

    /// A local worker completes a clock under bulk synchrony.
    pub(super) fn turn_in_lockstep(
        &self,
        worker: WorkerId,
        clock: WorkerClock,
        out: &mut Outgoing,
    ) {
        let mut lockstep = lock(&self.lockstep);
        let local = worker - self.world.local(self.rank).start;
        lockstep.hand_in(local as usize, clock);
        self.clocks.turn(worker);
        while let Some((clock, contents)) = lockstep.leave(self.clocks.own()) {
            self.send_in_order(clock, contents, out);
        }
        self.apply_completed(lockstep, out);
    }

    fn others(&self) -> impl Iterator<Item = Rank> + use<> {
        let own = self.rank;
        (0..self.world.ranks()).filter(move |rank| *rank != own)
    }

    fn table(&self, table: TableId) -> Result<&Arc<dyn AnyTable>> {
        match self.tables.get(table as usize) {
            Some(Some(table)) => Ok(table),
            _ => Err(Error::Other(format!("there is no shared table {table}"))),
        }
    }

    fn shared(&self) -> impl Iterator<Item = &Arc<dyn AnyTable>> {
        self.tables.iter().flatten()
    }

    /// Sends `rank` the updates to its rows, if a clock was completed or `always`.
    fn flush(&self, rank: Rank, always: bool, mid_clock: bool, out: &mut Outgoing) {
        let mut peer = lock(&self.peers[rank as usize]);
        // Read before the outboxes are drained: they hold at least these clocks' updates.
        let completes = self.clocks.own();
        if !always && !mid_clock && completes <= peer.outbox.completes() {
            return;
        }
        let mut chunks = self.chunks();
        self.shared()
            .for_each(|table| table.drain(rank, &mut chunks));
        if mid_clock && !always && chunks.is_empty() {
            return;
        }
        peer.outbox
            .send(chunks.finish(), completes, always, |m| out.push((rank, m)));
    }

    /// Sends the other ranks what this rank's workers did in `clock`; the last message to each
    /// completes the clock.
    fn send_in_order(&self, clock: Clock, mut contents: Vec<Contents>, out: &mut Outgoing) {
        for rank in self.others() {
            let mut contents = std::mem::take(&mut contents[rank as usize]);
            contents.retain(|batches| !batches.is_empty());
            if contents.is_empty() {
                contents.push(Vec::new());
            }
            let mut peer = lock(&self.peers[rank as usize]);
            peer.outbox
                .send(contents, clock, false, |m| out.push((rank, m)));
        }
    }

    /// Raises the stamp if all workers of the world have completed another clock, and tells readers.
    fn advance(&self, out: &mut Outgoing) {
        if self.clocks.raise_stamp(self.clocks.all()) {
            self.others().for_each(|rank| self.push(rank, false, out));
        }
    }

    /// The same under bulk synchrony, where completed updates are yet to be added.
    fn apply_completed(&self, mut lockstep: MutexGuard<'_, Lockstep>, out: &mut Outgoing) {
        let applied = lockstep.apply(self.clocks.all(), &self.tables);
        let news = self.clocks.raise_stamp(applied);
        drop(lockstep);
        if news {
            self.others().for_each(|rank| self.push(rank, false, out));
        }
    }

    /// Sends a reader the rows that it wants: eagerly what has changed, if the stamp is news (or
    /// `always`); lazily what it asked for and has now reached its stamp.
    fn push(&self, rank: Rank, always: bool, out: &mut Outgoing) {
        let peer = &mut *lock(&self.peers[rank as usize]);
        // Read before the rows are: they hold at least these clocks' updates.
        let stamp = self.clocks.stamp();
        let mut chunks = self.chunks();
        let eager = self.bound.eager();
        if eager {
            let known = peer
                .pushes
                .complete()
                .is_some_and(|complete| complete >= stamp);
            if !peer.reads || (known && !always) {
                return;
            }
            self.shared()
                .for_each(|table| table.changed(rank, &mut chunks));
        } else {
            self.values(&peer.pushes.reached(stamp), &mut chunks);
            if chunks.is_empty() {
                return;
            }
        }
        let included = peer.inbox.included();
        let send = |message| out.push((rank, message));
        peer.pushes
            .send(chunks.finish(), (stamp, included), eager, None, send);
    }

    fn values(&self, wanted: &[(TableId, Vec<u64>)], chunks: &mut Chunks) {
        for (table, rows) in wanted {
            if let Ok(table) = self.table(*table) {
                table.values(rows, chunks);
            }
        }
    }

    fn updates(&self, from: Rank, number: u64, arrived: Arrived, out: &mut Outgoing) -> Result<()> {
        for batch in arrived.batches.iter() {
            self.table(batch.table)?.check(batch, self.rank)?;
        }
        let lockstep = self.bound.lockstep().then(|| lock(&self.lockstep));
        let mut peer = lock(&self.peers[from as usize]);
        let ready = peer.inbox.arrive(number, arrived)?;
        let repeated = ready.is_empty();
        let answer = ready.iter().any(|arrived| arrived.answer);
        match lockstep {
            Some(mut lockstep) => {
                for arrived in ready {
                    self.clocks.raise(from, arrived.completes);
                    lockstep.arrive(from, arrived);
                }
                drop(peer);
                self.apply_completed(lockstep, out);
            }
            None => {
                ready.iter().for_each(|arrived| self.apply(from, arrived));
                drop(peer);
                self.advance(out);
            }
        }
        self.acknowledge(from, answer, repeated, out);
        Ok(())
    }

    fn apply(&self, from: Rank, arrived: &Arrived) {
        for batch in arrived.batches.iter() {
            if let Ok(table) = self.table(batch.table) {
                // The sender's copies contain its own updates already.
                table.apply(batch, Some(from));
            }
        }
        self.clocks.raise(from, arrived.completes);
    }

    /// Tells a rank that its updates are included, with the changes that it wants or without rows,
    /// unless a push has told it already.
    fn acknowledge(&self, rank: Rank, answer: bool, repeated: bool, out: &mut Outgoing) {
        if answer && self.bound.eager() {
            self.push(rank, true, out);
        }
        let mut peer = lock(&self.peers[rank as usize]);
        let included = peer.inbox.included();
        if repeated || !peer.pushes.told(included) {
            let stamp = self.clocks.stamp();
            let send = |message| out.push((rank, message));
            peer.pushes
                .send(vec![Vec::new()], (stamp, included), false, None, send);
        }
    }

    fn pull(
        &self,
        from: Rank,
        table: TableId,
        rows: &[u64],
        wanted: Clock,
        out: &mut Outgoing,
    ) -> Result<()> {
        let shared = self.table(table)?;
        shared.check_rows(rows, self.rank)?;
        let mut peer = lock(&self.peers[from as usize]);
        let stamp = self.clocks.stamp();
        // An eager reader gets what there is, and whatever it lacks when that is there.
        if self.bound.eager() {
            peer.reads = true;
            shared.register(rows, from);
        } else if stamp < wanted {
            peer.pushes.wait(table, rows, wanted);
            return Ok(());
        }
        let mut chunks = self.chunks();
        shared.values(rows, &mut chunks);
        let included = peer.inbox.included();
        let send = |message| out.push((from, message));
        peer.pushes
            .send(chunks.finish(), (stamp, included), false, None, send);
        Ok(())
    }

    fn rows(&self, from: Rank, meta: Meta, stamp: Clock, batches: &[RowBatch]) -> Result<()> {
        for batch in batches {
            self.table(batch.table)?.check(batch, from)?;
        }
        let mut peer = lock(&self.peers[from as usize]);
        peer.outbox.check(meta.included)?;
        if !peer.arrivals.is_new(meta.number)? {
            return Ok(());
        }
        // Under bulk synchrony own updates are not in the copies before everybody's are.
        let in_flight = match self.bound.lockstep() {
            true => InFlight::default(),
            false => peer.outbox.in_flight(meta.included),
        };
        for batch in batches {
            let table = self.table(batch.table)?;
            table.receive(batch, from, (meta.number, stamp), &in_flight);
        }
        let settled = peer.arrivals.arrive(meta);
        peer.outbox.forget(settled.included);
        if let Some(stamp) = settled.complete {
            self.floors[from as usize].fetch_max(stamp, Ordering::SeqCst);
        }
        Ok(())
    }

    fn refresh(&self, from: Rank, number: u64, out: &mut Outgoing) {
        let peer = &mut *lock(&self.peers[from as usize]);
        if number >= peer.pushes.next() {
            return;
        }
        let stamp = self.clocks.stamp();
        let mut chunks = self.chunks();
        let eager = self.bound.eager();
        if eager {
            for table in self.shared() {
                table.mark_all(from);
                table.changed(from, &mut chunks);
            }
        }
        let included = peer.inbox.included();
        let send = |message| out.push((from, message));
        peer.pushes.send(
            chunks.finish(),
            (stamp, included),
            eager,
            Some(number),
            send,
        );
    }

    /// Repeats the pulls of `rank`'s rows that have not been answered.
    fn pull_again(&self, rank: Rank, out: &mut Outgoing) {
        for (id, table) in self.tables.iter().enumerate() {
            let Some(table) = table else { continue };
            let unanswered = table.unanswered(rank, self.bound.eager());
            for group in unanswered.chunk_by(|a, b| a.0 == b.0) {
                let message = Message::Pull {
                    table: id as TableId,
                    rows: group.iter().map(|(_, row)| *row).collect(),
                    stamp: group[0].0,
                };
                out.push((rank, message));
            }
        }
    }
}
