//! One shared table on one rank: the home rows that live here and the copies of those that do not.

use std::any::Any;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::Result;
use crate::ps::batch::{CHUNK_BYTES, Checked, Chunks, Filler, Shape, check_rows};
use crate::ps::client::{AnyView, View};
use crate::ps::deltas::Deltas;
use crate::ps::outbox::InFlight;
use crate::ps::replica::Replica;
use crate::ps::rows::{RowRef, Rows};
use crate::ps::shard::Shard;
use crate::ps::table::{Element, ElementType, Home, Partition};
use crate::wire::message::{Clock, Rank, RowBatch};

/// A shared table with elements of type `T`.
pub(super) struct Table<T> {
    pub(super) shape: Shape,
    partition: Partition,
    rank: Rank,
    shards: Vec<RwLock<Shard<T>>>,
    /// By rank, then by shard there; nothing for this rank.
    replicas: Vec<Vec<RwLock<Replica<T>>>>,
}

/// What the protocol does with a table whatever its elements are.
pub(super) trait AnyTable: Any + Send + Sync {
    /// Checks rows that `home` should hold.
    fn check(&self, batch: &RowBatch, home: Rank) -> Result<()>;
    /// Checks row numbers asked of `home`.
    fn check_rows(&self, rows: &[u64], home: Rank) -> Result<()>;
    /// Adds checked changes to home rows; their sender has them already if it is `knows`.
    fn apply(&self, batch: &RowBatch, knows: Option<Rank>);
    /// Adds those changes of a worker (a boxed [`Deltas`]) that are to home rows.
    fn apply_deltas(&self, deltas: &dyn Any);
    /// Takes over checked fresh values of `home`'s rows, from a push with this number and stamp.
    fn receive(&self, batch: &RowBatch, home: Rank, push: (u64, Clock), in_flight: &InFlight);
    /// Moves the changes of `home`'s rows that have not left yet into `chunks`.
    fn drain(&self, home: Rank, chunks: &mut Chunks);
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
    /// Notes that a copy of another rank's row is needed; true if its home has to be told. See
    /// [`Replica::ask`].
    fn ask(&self, row: u64, stamp: Clock, eager: bool) -> bool;
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

impl<T: Element> Table<T> {
    pub(super) fn new(shape: Shape, partition: Partition, ranks: u32, rank: Rank) -> Table<T> {
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

    /// Adds a worker's changes to the home rows, and to the copies and outboxes of the others.
    pub(super) fn add(&self, deltas: &Deltas<T>) {
        for (position, row) in deltas.touched().iter().enumerate() {
            let (home, delta) = (self.partition.home(*row), deltas.at(position));
            if self.is_local(home) {
                write(&self.shards[home.shard]).add(home.slot, delta, None);
            } else {
                write(&self.replicas[home.rank as usize][home.shard]).add(home.slot, delta);
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

    fn apply(&self, batch: &RowBatch, knows: Option<Rank>) {
        let batch = self.again(batch);
        for (position, row) in batch.rows().iter().enumerate() {
            let home = self.partition.home(*row);
            write(&self.shards[home.shard]).add(home.slot, batch.at(position), knows);
        }
    }

    fn apply_deltas(&self, deltas: &dyn Any) {
        let Some(deltas) = deltas.downcast_ref::<Deltas<T>>() else {
            unreachable!("a client's deltas have its table's element type");
        };
        for (position, row) in deltas.touched().iter().enumerate() {
            let home = self.partition.home(*row);
            if self.is_local(home) {
                write(&self.shards[home.shard]).add(home.slot, deltas.at(position), None);
            }
        }
    }

    fn receive(&self, batch: &RowBatch, home: Rank, push: (u64, Clock), in_flight: &InFlight) {
        let batch = self.again(batch);
        let own: Vec<Checked<'_, T>> = in_flight
            .of(self.shape.table)
            .map(|own| self.again(own))
            .collect();
        for (position, row) in batch.rows().iter().enumerate() {
            let Home { shard, slot, .. } = self.partition.home(*row);
            let mut replica = write(&self.replicas[home as usize][shard]);
            replica.receive(slot, batch.at(position), push, |add| {
                own.iter().filter_map(|own| own.find(*row)).for_each(add);
            });
        }
    }

    fn drain(&self, home: Rank, chunks: &mut Chunks) {
        let mut order: Vec<(u64, usize, usize)> = Vec::new();
        let mut held: Vec<_> = self.replicas[home as usize].iter().map(write).collect();
        for (shard, replica) in held.iter_mut().enumerate() {
            let touched = replica.outbox().touched().iter().enumerate();
            order.extend(
                touched.map(|(position, slot)| {
                    (self.row(home, shard, *slot as usize), shard, position)
                }),
            );
        }
        order.sort_unstable();
        let mut filler = Filler::new(chunks, self.shape).expect(order.len());
        for (row, shard, position) in order {
            filler.row(row, held[shard].outbox().at(position));
        }
        filler.end();
        held.iter_mut().for_each(|replica| replica.outbox().clear());
    }

    fn values(&self, rows: &[u64], chunks: &mut Chunks) {
        let mut filler = Filler::new(chunks, self.shape).expect(rows.len());
        for row in rows {
            self.visit_home(self.partition.home(*row), |value| filler.row(*row, value));
        }
        filler.end();
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
            if read(shard).has_changed(reader) {
                let slots = write(shard).take_changed(reader);
                rows.extend(
                    slots
                        .iter()
                        .map(|slot| self.row(self.rank, i, *slot as usize)),
                );
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
        self.values(&rows, &mut chunks);
        chunks.finish().into_iter().flatten().collect()
    }

    fn copy_stamp(&self, row: u64) -> Option<Clock> {
        self.visit_copy(self.home(row), |_, stamp| stamp)
    }

    fn ask(&self, row: u64, stamp: Clock, eager: bool) -> bool {
        let home = self.home(row);
        write(&self.replicas[home.rank as usize][home.shard]).ask(home.slot, stamp, eager)
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
    (ranks, rank): (u32, Rank),
) -> Arc<dyn AnyTable> {
    match element {
        ElementType::F32 => Arc::new(Table::<f32>::new(shape, partition, ranks, rank)),
        ElementType::F64 => Arc::new(Table::<f64>::new(shape, partition, ranks, rank)),
        ElementType::I32 => Arc::new(Table::<i32>::new(shape, partition, ranks, rank)),
        ElementType::I64 => Arc::new(Table::<i64>::new(shape, partition, ranks, rank)),
    }
}
