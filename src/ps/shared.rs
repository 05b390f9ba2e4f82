//! One shared table on one rank: the home rows that live here and the copies of those that do not.

use std::any::Any;
use std::sync::{Arc, PoisonError};

use crate::error::Result;
use crate::ps::batch::{CHUNK_BYTES, Checked, Chunks, Filler, Shape, check_rows};
use crate::ps::client::{AnyView, View};
use crate::ps::deltas::Deltas;
use crate::ps::outbox::InFlight;
use crate::ps::replica::Replica;
use crate::ps::rows::{RowRef, Rows};
use crate::ps::shard::{Mark, Owed, Shard};
use crate::ps::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::ps::table::{Element, ElementType, Home, Partition};
use crate::ps::traffic::{Candidate, importance};
use crate::wire::message::{Clock, Rank, RowBatch};

/// A shared table with elements of type `T`.
pub(super) struct Table<T> {
    pub(super) shape: Shape,
    partition: Partition,
    rank: Rank,
    shards: Vec<RwLock<Shard<T>>>,
    /// By rank, then by shard there; nothing for this rank.
    replicas: Vec<Vec<RwLock<Replica<T>>>>,
    /// Changes are weighed, to tell which leave first.
    weigh: bool,
}

/// What copies a reader needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// They have at least this stamp.
    pub(super) stamp: Clock,
    /// A stamp that they all have at least, if they are there.
    pub(super) floor: Clock,
    /// Asking once is enough.
    pub(super) eager: bool,
}

/// What the protocol does with a table whatever its elements are.
pub(super) trait AnyTable: Any + Send + Sync {
    /// Checks rows that `home` should hold.
    fn check(&self, batch: &RowBatch, home: Rank) -> Result<()>;
    /// Checks row numbers asked of `home`.
    fn check_rows(&self, rows: &[u64], home: Rank) -> Result<()>;
    /// Adds checked changes to home rows; their sender has them already if it is `knows`. All of
    /// them belong to later clocks than `stamp`.
    fn apply(&self, batch: &RowBatch, knows: Option<Rank>, stamp: Clock);
    /// Adds those changes of a worker (a boxed [`Deltas`]) that are to home rows.
    fn apply_deltas(&self, deltas: &dyn Any, stamp: Clock);
    /// Takes over checked fresh values of `home`'s rows, from a push with this number and stamp.
    fn receive(&self, batch: &RowBatch, home: Rank, push: (u64, Clock), in_flight: &InFlight);
    /// Moves the changes of `home`'s rows that have not left yet into `chunks`.
    fn drain(&self, home: Rank, chunks: &mut Chunks);
    /// The rows of `home` whose changes wait to leave, if a part of them is as old as `newest`.
    fn waiting(&self, home: Rank, newest: Clock, to: &mut Vec<Candidate>);
    /// Moves the changes of those rows into `chunks`; `whole`: they are not rounded.
    fn drain_rows(&self, home: Rank, rows: &[Candidate], whole: bool, chunks: &mut Chunks);
    /// The oldest clock of any change to `home`'s rows that waits.
    fn oldest_waiting(&self, home: Rank) -> Clock;
    /// Puts what rounding took off changes back to those that wait, as changes of `clock`.
    fn restore_residue(&self, home: Rank, clock: Clock);
    /// The home rows that `reader` wants and that have changed since it got them; its copy lacks
    /// changes of clocks after `newest`, or older ones.
    fn owed(&self, reader: Rank, newest: Clock, to: &mut Vec<Candidate>);
    /// Moves the values of those rows into `chunks`.
    fn take_owed(&self, reader: Rank, rows: &[Candidate], chunks: &mut Chunks);
    /// `reader`'s copies of home rows lack changes of later clocks than this alone.
    fn oldest_owed(&self, reader: Rank) -> Clock;
    /// Adds the values of home rows to `chunks`.
    fn values(&self, rows: &[u64], chunks: &mut Chunks);
    /// Registers rows for `reader`.
    fn register(&self, rows: &[u64], reader: Rank);
    /// Marks all registered rows of `reader` as changed.
    fn mark_all(&self, reader: Rank);
    /// Moves the values of the registered rows of `reader` that have changed into `chunks`.
    fn changed(&self, reader: Rank, chunks: &mut Chunks);
    /// The rows of `home` that were asked for in vain so far, by the oldest stamp that helps.
    fn unanswered(&self, home: Rank, eager: bool) -> Vec<(Clock, u64)>;
    /// All home rows, ascending; of a sparse table those with elements.
    fn home_rows(&self) -> Vec<RowBatch>;
    /// Sets checked home rows.
    fn set(&self, batch: &RowBatch);
    /// The stamp that the copy of another rank's row came with, if there is a copy.
    fn copy_stamp(&self, row: u64) -> Option<Clock>;
    /// Notes that copies of `home`'s rows are needed with this stamp; those that `home` has to be
    /// told of. A stamp that holds for all of them is `floor`. See [`Replica::ask`].
    fn ask(&self, home: Rank, rows: &[u64], wish: Wish) -> Vec<u64>;
    /// A worker's view of the table.
    fn view(self: Arc<Self>) -> Box<dyn AnyView>;
}

/// A poisoned lock means that another worker's thread panicked; its panic ends the run, and must
/// not be hidden behind a second one.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// A stripe's lock, kept while row after row lies in the same stripe. One stripe at a time.
struct Kept<'a, S> {
    stripes: &'a [RwLock<S>],
    at: usize,
    guard: Option<RwLockWriteGuard<'a, S>>,
}

impl<'a, S> Kept<'a, S> {
    fn new(stripes: &'a [RwLock<S>]) -> Kept<'a, S> {
        Kept {
            stripes,
            at: 0,
            guard: None,
        }
    }

    #[inline]
    fn at(&mut self, stripe: usize) -> &mut S {
        if self.at != stripe {
            self.guard = None;
            self.at = stripe;
        }
        self.guard
            .get_or_insert_with(|| write(&self.stripes[stripe]))
    }
}

impl<T: Element> Table<T> {
    pub(super) fn new(
        shape: Shape,
        partition: Partition,
        (ranks, rank): (u32, Rank),
        weigh: bool,
    ) -> Table<T> {
        let half = shape.half && !shape.sparse && T::TYPE == ElementType::F32;
        let shape = Shape { half, ..shape };
        let slots = |rank, shard| partition.slots(shape.rows, rank, shard);
        let (sparse, width) = (shape.sparse, shape.width);
        let shard = |i| RwLock::new(Shard::new(Rows::new(sparse, width, slots(rank, i))));
        let replica = |r, i| RwLock::new(Replica::new(sparse, width, slots(r, i)));
        let replicas = |r| match r == rank {
            true => Vec::new(),
            false => (0..partition.shards()).map(|i| replica(r, i)).collect(),
        };
        Table {
            shape,
            partition,
            rank,
            shards: (0..partition.shards()).map(shard).collect(),
            replicas: (0..ranks).map(replicas).collect(),
            weigh,
        }
    }

    /// Where a row lives.
    #[inline]
    pub(super) fn home(&self, row: u64) -> Home {
        assert!(row < self.shape.rows, "row {row} of {}", self.shape.rows);
        self.partition.home(row)
    }

    /// True if the row lives on this rank.
    #[inline]
    pub(super) fn is_local(&self, home: Home) -> bool {
        home.rank == self.rank
    }

    /// Hands a row of this rank to `visit`.
    #[inline]
    pub(super) fn visit_home<R>(&self, home: Home, visit: impl FnOnce(RowRef<'_, T>) -> R) -> R {
        visit(read(&self.shards[home.shard]).get(home.slot))
    }

    /// Hands the copy of another rank's row to `visit`, with the stamp it came with; `None` if
    /// there is no copy yet.
    #[inline]
    pub(super) fn visit_copy<R>(
        &self,
        home: Home,
        visit: impl FnOnce(RowRef<'_, T>, Clock) -> R,
    ) -> Option<R> {
        let replica = read(&self.replicas[home.rank as usize][home.shard]);
        replica.get(home.slot).map(|(row, stamp)| visit(row, stamp))
    }

    /// No changes to any row.
    pub(super) fn no_deltas(&self) -> Deltas<T> {
        // Row numbers and memory sizes are both 64 bits wide.
        Deltas::new(
            self.shape.sparse,
            self.shape.width,
            self.shape.rows as usize,
        )
    }

    /// Adds a worker's changes of `clock` to the home rows, and to the copies and outboxes of the
    /// others. The home had `stamp` before.
    pub(super) fn add(&self, deltas: &Deltas<T>, clock: Clock, stamp: Clock) {
        let mark = self.mark(None, stamp);
        let touched = deltas.touched();
        let mut positions: Vec<Vec<u32>> = vec![Vec::new(); self.replicas.len()];
        for (position, row) in (0..).zip(touched) {
            positions[self.partition.home(*row).rank as usize].push(position);
        }
        // One rank after the other: no lock is taken while another is kept.
        for (rank, positions) in positions.into_iter().enumerate() {
            let mut shards = Kept::new(&self.shards);
            let mut replicas = Kept::new(&self.replicas[rank]);
            for position in positions {
                let position = position as usize;
                let (home, delta) = (self.partition.home(touched[position]), deltas.at(position));
                if self.is_local(home) {
                    shards.at(home.shard).add(home.slot, delta, mark);
                } else {
                    replicas.at(home.shard).add(home.slot, delta, clock);
                }
            }
        }
    }

    /// Adds those of a worker's changes that are to `home`'s rows to `chunks`.
    pub(super) fn export(&self, deltas: &Deltas<T>, home: Rank, chunks: &mut Chunks) {
        let rows = deltas.touched().iter().enumerate();
        let mut order: Vec<(u64, usize)> = rows
            .filter(|(_, row)| self.partition.home(**row).rank == home)
            .map(|(position, row)| (*row, position))
            .collect();
        order.sort_unstable();
        let mut filler = Filler::new(chunks, self.shape).expect(order.len());
        for (row, position) in order {
            filler.row(row, deltas.at(position));
        }
        filler.end();
    }

    fn mark(&self, knows: Option<Rank>, stamp: Clock) -> Mark {
        Mark {
            knows,
            stamp,
            weigh: self.weigh,
        }
    }

    fn candidate(&self, row: u64, since: Clock, bytes: u32, importance: f32) -> Candidate {
        Candidate {
            table: self.shape.table,
            row,
            since,
            importance,
            bytes,
        }
    }

    /// Adds the values of home rows to `chunks`, to travel as `shape` says.
    fn values_as(&self, shape: Shape, rows: impl ExactSizeIterator<Item = u64>, to: &mut Chunks) {
        let mut filler = Filler::new(to, shape).expect(rows.len());
        let (mut at, mut shard) = (0, None);
        for row in rows {
            let home = self.partition.home(row);
            if home.shard != at {
                shard = None;
                at = home.shard;
            }
            let shard = shard.get_or_insert_with(|| read(&self.shards[at]));
            filler.row(row, shard.get(home.slot));
        }
        filler.end();
    }

    fn again<'a>(&self, batch: &'a RowBatch) -> Checked<'a, T> {
        Checked::again(batch, self.shape)
    }

    fn row(&self, rank: Rank, shard: usize, slot: usize) -> u64 {
        self.partition.row(Home { rank, shard, slot })
    }
}

impl<T: Element> AnyTable for Table<T> {
    fn check(&self, batch: &RowBatch, home: Rank) -> Result<()> {
        Checked::<T>::new(batch, self.shape, self.partition, home).map(|_| ())
    }

    fn check_rows(&self, rows: &[u64], home: Rank) -> Result<()> {
        check_rows(rows, self.shape, self.partition, home)
    }

    fn apply(&self, batch: &RowBatch, knows: Option<Rank>, stamp: Clock) {
        let (batch, mark) = (self.again(batch), self.mark(knows, stamp));
        let mut shards = Kept::new(&self.shards);
        for (position, row) in batch.rows().iter().enumerate() {
            let home = self.partition.home(*row);
            let shard = shards.at(home.shard);
            shard.add(home.slot, batch.at(position), mark);
        }
    }

    fn apply_deltas(&self, deltas: &dyn Any, stamp: Clock) {
        let Some(deltas) = deltas.downcast_ref::<Deltas<T>>() else {
            unreachable!("a client's deltas have its table's element type");
        };
        let mark = self.mark(None, stamp);
        for (position, row) in deltas.touched().iter().enumerate() {
            let home = self.partition.home(*row);
            if self.is_local(home) {
                write(&self.shards[home.shard]).add(home.slot, deltas.at(position), mark);
            }
        }
    }

    fn receive(&self, batch: &RowBatch, home: Rank, push: (u64, Clock), in_flight: &InFlight) {
        let batch = self.again(batch);
        let own: Vec<Checked<'_, T>> = in_flight
            .of(self.shape.table)
            .map(|own| self.again(own))
            .collect();
        let mut replicas = Kept::new(&self.replicas[home as usize]);
        for (position, row) in batch.rows().iter().enumerate() {
            let Home { shard, slot, .. } = self.partition.home(*row);
            let replica = replicas.at(shard);
            replica.receive(slot, batch.at(position), push, |add| {
                own.iter().filter_map(|own| own.find(*row)).for_each(add);
            });
        }
    }

    fn drain(&self, home: Rank, chunks: &mut Chunks) {
        let mut order: Vec<(u64, u32)> = Vec::new();
        let mut held: Vec<_> = self.replicas[home as usize].iter().map(write).collect();
        for (shard, replica) in held.iter().enumerate() {
            let slots = replica.waiting().map(|(slot, _)| slot);
            order.extend(
                (0..)
                    .zip(slots)
                    .map(|(i, slot)| (i, self.row(home, shard, slot)))
                    .map(|(i, row)| (row, i)),
            );
        }
        order.sort_unstable();
        let mut filler = Filler::new(chunks, self.shape).expect(order.len());
        for (row, position) in order {
            let Home { shard, slot, .. } = self.partition.home(row);
            if self.shape.half {
                held[shard].round(slot);
            }
            filler.row(row, held[shard].outbox().at(position as usize));
        }
        filler.end();
        held.iter_mut().for_each(|replica| replica.clear());
    }

    fn waiting(&self, home: Rank, newest: Clock, to: &mut Vec<Candidate>) {
        for (shard, replica) in self.replicas[home as usize].iter().enumerate() {
            let replica = read(replica);
            for (slot, since) in replica.waiting().filter(|(_, since)| *since <= newest) {
                let Some(delta) = replica.outbox().get(slot as u64) else {
                    continue;
                };
                let weight = || {
                    let value = replica.get(slot).map(|(value, _)| value.magnitude());
                    importance(delta.magnitude(), value)
                };
                let weight = if self.weigh { weight() } else { 0.0 };
                let (row, bytes) = (self.row(home, shard, slot), self.shape.wire_bytes(delta));
                to.push(self.candidate(row, since, bytes, weight));
            }
        }
    }

    fn drain_rows(&self, home: Rank, rows: &[Candidate], whole: bool, chunks: &mut Chunks) {
        let shape = if whole {
            self.shape.whole()
        } else {
            self.shape
        };
        let mut filler = Filler::new(chunks, shape).expect(rows.len());
        let mut replicas = Kept::new(&self.replicas[home as usize]);
        for Candidate { row, .. } in rows {
            let Home { shard, slot, .. } = self.partition.home(*row);
            let replica = replicas.at(shard);
            if shape.half {
                replica.round(slot);
            }
            if let Some(delta) = replica.outbox().get(slot as u64) {
                filler.row(*row, delta);
            }
            replica.left(slot);
        }
        filler.end();
    }

    fn oldest_waiting(&self, home: Rank) -> Clock {
        let oldest =
            |replica: &RwLock<Replica<T>>| read(replica).waiting().map(|(_, since)| since).min();
        let oldest = self.replicas[home as usize].iter().filter_map(oldest).min();
        oldest.unwrap_or(Clock::MAX)
    }

    fn restore_residue(&self, home: Rank, clock: Clock) {
        if self.shape.half {
            let replicas = self.replicas[home as usize].iter();
            replicas.for_each(|replica| write(replica).restore_residue(clock));
        }
    }

    fn owed(&self, reader: Rank, newest: Clock, to: &mut Vec<Candidate>) {
        for (i, shard) in self.shards.iter().enumerate() {
            let shard = read(shard);
            for owed in shard.owed(reader).iter().filter(|o| o.since <= newest) {
                let slot = owed.slot as usize;
                let value = shard.get(slot);
                let weight = match self.weigh {
                    true => importance(owed.size, Some(value.magnitude())),
                    false => 0.0,
                };
                let (row, bytes) = (self.row(self.rank, i, slot), self.shape.wire_bytes(value));
                to.push(self.candidate(row, owed.since, bytes, weight));
            }
        }
    }

    fn take_owed(&self, reader: Rank, rows: &[Candidate], chunks: &mut Chunks) {
        for Candidate { row, .. } in rows {
            let home = self.partition.home(*row);
            write(&self.shards[home.shard]).take_one(reader, home.slot);
        }
        self.values_as(self.shape, rows.iter().map(|c| c.row), chunks);
    }

    fn oldest_owed(&self, reader: Rank) -> Clock {
        let oldest =
            |shard: &RwLock<Shard<T>>| read(shard).owed(reader).iter().map(|owed| owed.since).min();
        let oldest = self.shards.iter().filter_map(oldest).min();
        oldest.unwrap_or(Clock::MAX)
    }

    fn values(&self, rows: &[u64], chunks: &mut Chunks) {
        self.values_as(self.shape, rows.iter().copied(), chunks);
    }

    fn register(&self, rows: &[u64], reader: Rank) {
        for row in rows {
            let home = self.partition.home(*row);
            write(&self.shards[home.shard]).register(reader, home.slot);
        }
    }

    fn mark_all(&self, reader: Rank) {
        self.shards
            .iter()
            .for_each(|shard| write(shard).mark_all(reader));
    }

    fn changed(&self, reader: Rank, chunks: &mut Chunks) {
        let mut rows: Vec<u64> = Vec::new();
        for (i, shard) in self.shards.iter().enumerate() {
            if !read(shard).owed(reader).is_empty() {
                let owed = write(shard).take_owed(reader);
                let row = |owed: &Owed| self.row(self.rank, i, owed.slot as usize);
                rows.extend(owed.iter().map(row));
            }
        }
        rows.sort_unstable();
        self.values(&rows, chunks);
    }

    fn unanswered(&self, home: Rank, eager: bool) -> Vec<(Clock, u64)> {
        let mut rows = Vec::new();
        for (shard, replica) in self.replicas[home as usize].iter().enumerate() {
            let replica = read(replica);
            let slots = replica.unanswered(eager);
            rows.extend(slots.map(|(slot, stamp)| (stamp, self.row(home, shard, slot))));
        }
        rows.sort_unstable();
        rows
    }

    fn home_rows(&self) -> Vec<RowBatch> {
        let step = self.replicas.len();
        let rows: Vec<u64> = (u64::from(self.rank)..self.shape.rows)
            .step_by(step)
            .filter(|row| self.visit_home(self.partition.home(*row), |value| value.held() > 0))
            .collect();
        let mut chunks = Chunks::new(CHUNK_BYTES);
        self.values_as(self.shape.whole(), rows.iter().copied(), &mut chunks);
        chunks.finish().into_iter().flatten().collect()
    }

    fn copy_stamp(&self, row: u64) -> Option<Clock> {
        self.visit_copy(self.home(row), |_, stamp| stamp)
    }

    fn ask(&self, home: Rank, rows: &[u64], wish: Wish) -> Vec<u64> {
        let mut replicas = Kept::new(&self.replicas[home as usize]);
        let mut unasked = Vec::new();
        for row in rows {
            let Home { shard, slot, .. } = self.home(*row);
            let replica = replicas.at(shard);
            let stamp = replica.get(slot).map(|(_, stamp)| stamp.max(wish.floor));
            let missing = stamp.is_none_or(|stamp| stamp < wish.stamp);
            if missing && replica.ask(slot, wish.stamp, wish.eager) {
                unasked.push(*row);
            }
        }
        unasked
    }

    fn view(self: Arc<Self>) -> Box<dyn AnyView> {
        Box::new(View::new(self))
    }

    fn set(&self, batch: &RowBatch) {
        let batch = self.again(batch);
        for (position, row) in batch.rows().iter().enumerate() {
            let home = self.partition.home(*row);
            write(&self.shards[home.shard]).set(home.slot, batch.at(position));
        }
    }
}

/// The table of the right element type behind the trait.
pub(super) fn new_table(
    element: ElementType,
    shape: Shape,
    partition: Partition,
    ranks: (u32, Rank),
    weigh: bool,
) -> Arc<dyn AnyTable> {
    match element {
        ElementType::F32 => Arc::new(Table::<f32>::new(shape, partition, ranks, weigh)),
        ElementType::F64 => Arc::new(Table::<f64>::new(shape, partition, ranks, weigh)),
        ElementType::I32 => Arc::new(Table::<i32>::new(shape, partition, ranks, weigh)),
        ElementType::U32 => Arc::new(Table::<u32>::new(shape, partition, ranks, weigh)),
        ElementType::I64 => Arc::new(Table::<i64>::new(shape, partition, ranks, weigh)),
    }
}
