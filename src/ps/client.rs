//! A worker's handle on the tables: reads under the read rule, and updates that leave at the end
//! of the clock.
//!
//! A read is a look into this process's one copy of the row plus the worker's own updates of the
//! running clock. Nothing is cached per worker but those updates.

use std::any::Any;
use std::sync::Arc;

use crate::ps::batch::Chunks;
use crate::ps::consistency::{Bound, observed};
use crate::ps::deltas::Deltas;
use crate::ps::lockstep::{Contents, WorkerClock};
use crate::ps::node::{Node, Outgoing};
use crate::ps::rows::RowRef;
use crate::ps::shared::{Table, Wish};
use crate::ps::table::Element;
use crate::wire::message::{Clock, Message, Rank, STALENESS_COUNTS_MAX, TableId, WorkerId};

/// Most rows that one message asks for: they take 512 KiB at most.
const PULL_ROWS_MAX: usize = 1 << 15;

/// The staleness that reads observed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Staleness {
    /// Sum over reads, in clocks.
    pub sum: u64,
    /// Number of reads.
    pub reads: u64,
    /// The largest, in clocks.
    pub max: u64,
    /// Number of reads by staleness, from 0; the last of [`STALENESS_COUNTS_MAX`] counts has all
    /// that are larger, too.
    pub counts: Vec<u64>,
}

impl Staleness {
    #[inline]
    fn add(&mut self, staleness: u64) {
        self.sum += staleness;
        self.reads += 1;
        self.max = self.max.max(staleness);
        let position = staleness.min(STALENESS_COUNTS_MAX as u64 - 1) as usize;
        if position >= self.counts.len() {
            self.counts.resize(position + 1, 0);
        }
        self.counts[position] += 1;
    }
}

/// A worker's handle on the tables, owned by its thread.
///
/// Methods panic if a table is used against its declaration: another element type, dense instead
/// of sparse, a row or column that does not exist. These are bugs of a program.
pub struct Client {
    node: Arc<Node>,
    worker: WorkerId,
    at: Clock,
    bound: Bound,
    staleness: Staleness,
    /// The staleness that the last read observed.
    last: u64,
    /// By table; nothing for exclusive ones.
    tables: Vec<Option<Box<dyn AnyView>>>,
}

/// A worker's view of one table.
pub(super) struct View<T> {
    table: Arc<Table<T>>,
    /// The worker's updates that have not left yet.
    deltas: Box<Deltas<T>>,
    /// The row that was read last.
    row: Vec<T>,
}

/// What a clock does with a view whatever its elements are.
pub(super) trait AnyView: Any + Send {
    /// Moves the updates, made in `clock`, into the tables and outboxes of the process, whose home
    /// rows have `stamp`.
    fn add(&mut self, clock: Clock, stamp: Clock);
    /// Adds the updates of `home`'s rows to `chunks`.
    fn export(&self, home: Rank, chunks: &mut Chunks);
    /// Gives the updates away and goes on with `spare` memory.
    fn swap(&mut self, spare: Option<Box<dyn Any + Send>>) -> Box<dyn Any + Send>;
}

impl<T: Element> View<T> {
    pub(super) fn new(table: Arc<Table<T>>) -> View<T> {
        let shape = table.shape;
        let width = if shape.sparse {
            0
        } else {
            shape.width as usize
        };
        View {
            deltas: Box::new(table.no_deltas()),
            row: vec![T::default(); width],
            table,
        }
    }
}

impl<T: Element> AnyView for View<T> {
    fn add(&mut self, clock: Clock, stamp: Clock) {
        if !self.deltas.is_empty() {
            self.table.add(&self.deltas, clock, stamp);
            self.deltas.clear();
        }
    }

    fn export(&self, home: Rank, chunks: &mut Chunks) {
        self.table.export(&self.deltas, home, chunks);
    }

    fn swap(&mut self, spare: Option<Box<dyn Any + Send>>) -> Box<dyn Any + Send> {
        let mut spare: Box<Deltas<T>> = match spare.map(|spare| spare.downcast()) {
            Some(Ok(spare)) => spare,
            _ => Box::new(self.table.no_deltas()),
        };
        spare.clear();
        let deltas: Box<Deltas<T>> = std::mem::replace(&mut self.deltas, spare);
        deltas
    }
}

impl Client {
    pub(super) fn new(node: Arc<Node>, worker: WorkerId) -> Client {
        let view = |table: &Option<Arc<_>>| table.clone().map(super::shared::AnyTable::view);
        Client {
            worker,
            at: node.clocks.at(worker),
            bound: node.bound,
            staleness: Staleness::default(),
            last: 0,
            tables: node.tables.iter().map(view).collect(),
            node,
        }
    }

    /// The worker's number.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// The worker's clock: it has completed all clocks before this one.
    pub fn at(&self) -> Clock {
        self.at
    }

    /// The process this worker belongs to.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// May the row be read now? If not, whatever that takes has been asked for: ask again after the
    /// next message was handled or the next local worker turned its clock. An allowed read stays
    /// allowed until this worker's clock ends.
    #[inline]
    pub fn ready(&mut self, table: TableId, row: u64, out: &mut Outgoing) -> bool {
        if self.node.is_local(row) {
            return self.bound.allows(self.at, self.node.clocks.stamp());
        }
        self.copy_is_ready(table, row, out)
    }

    fn copy_is_ready(&mut self, table: TableId, row: u64, out: &mut Outgoing) -> bool {
        let home = self.node.partition.home(row).rank;
        if !self.is_missing(table, row) {
            return true;
        }
        self.ask(table, home, &[row], out);
        self.node.refused(home);
        false
    }

    /// Asks at once for those of `rows` that cannot be read yet, in one message per rank.
    pub fn prefetch(&mut self, table: TableId, rows: &[u64], out: &mut Outgoing) {
        if self.node.alone() {
            return;
        }
        let mut by_home: Vec<Vec<u64>> = vec![Vec::new(); self.node.world().ranks() as usize];
        for row in rows {
            by_home[self.node.partition.home(*row).rank as usize].push(*row);
        }
        for home in self.node.others() {
            let rows = &mut by_home[home as usize];
            rows.sort_unstable();
            rows.dedup();
            self.ask(table, home, rows, out);
        }
    }

    /// True if the copy of another rank's row must not be read yet.
    fn is_missing(&self, table: TableId, row: u64) -> bool {
        let home = self.node.partition.home(row);
        let stamp = self.node.shared_table(table).copy_stamp(row);
        let floor = self.node.floor(home.rank);
        stamp.is_none_or(|stamp| !self.bound.allows(self.at, stamp.max(floor)))
    }

    /// Pulls those of `rows`, ascending rows of `home`, that must not be read yet and have not been
    /// asked for.
    fn ask(&self, table: TableId, home: Rank, rows: &[u64], out: &mut Outgoing) {
        let stamp = self.bound.oldest(self.at);
        let wish = Wish {
            stamp,
            floor: self.node.floor(home),
            eager: self.node.bound.eager(),
        };
        let unasked = self.node.shared_table(table).ask(home, rows, wish);
        pull(table, stamp, &unasked, |message| out.push((home, message)));
    }

    /// A dense row with the worker's own updates; once [`Client::ready`] said yes.
    #[inline]
    pub fn read<T: Element>(&mut self, table: TableId, row: u64) -> &[T] {
        let stamp = {
            let view = view::<T>(&mut self.tables, table);
            let View {
                row: to, deltas, ..
            } = view;
            visit(&self.node, &view.table, row, |value| {
                sum_dense(value, deltas.get(row), to)
            })
        };
        self.observe(stamp);
        &view::<T>(&mut self.tables, table).row
    }

    /// The same into the caller's memory, which has the row's width.
    #[inline]
    pub fn read_into<T: Element>(&mut self, table: TableId, row: u64, to: &mut [T]) {
        let view = view::<T>(&mut self.tables, table);
        let stamp = visit(&self.node, &view.table, row, |value| {
            sum_dense(value, view.deltas.get(row), to);
        });
        self.observe(stamp);
    }

    /// Visits a sparse row's non-zero elements by ascending column; once [`Client::ready`] said
    /// yes. `visit` must not take long: it holds the row's stripe.
    #[inline]
    pub fn read_sparse<T: Element>(&mut self, table: TableId, row: u64, each: impl FnMut(u32, T)) {
        let view = view::<T>(&mut self.tables, table);
        let stamp = visit(&self.node, &view.table, row, |value| {
            sum_sparse(value, view.deltas.get(row), each);
        });
        self.observe(stamp);
    }

    /// Adds `delta` to a dense row.
    #[inline]
    pub fn inc<T: Element>(&mut self, table: TableId, row: u64, delta: &[T]) {
        let view = view::<T>(&mut self.tables, table);
        view.deltas.inc(row, delta);
    }

    /// Adds `delta` to one element of a sparse row.
    #[inline]
    pub fn inc_sparse<T: Element>(&mut self, table: TableId, row: u64, column: u32, delta: T) {
        let view = view::<T>(&mut self.tables, table);
        assert!(
            column < view.table.shape.width,
            "column {column} of {}",
            view.table.shape.width
        );
        view.deltas.inc_sparse(row, column, delta);
    }

    /// Lets the updates so far leave before the clock ends. Under `essp` and `async` what others
    /// have published comes back; under `bsp` nothing happens before the clock.
    pub fn publish(&mut self, out: &mut Outgoing) {
        if !self.node.bound.lockstep() {
            self.hand_in();
            self.node.publish(out);
        }
    }

    /// Ends the worker's clock: its updates leave.
    pub fn clock(&mut self, out: &mut Outgoing) {
        if self.node.bound.lockstep() {
            self.clock_in_lockstep(out);
        } else {
            self.hand_in();
            self.node.turn(self.worker, out);
        }
        self.at += 1;
    }

    fn hand_in(&mut self) {
        let (clock, stamp) = (self.at, self.node.clocks.stamp());
        let views = self.tables.iter_mut().flatten();
        views.for_each(|view| view.add(clock, stamp));
    }

    fn clock_in_lockstep(&mut self, out: &mut Outgoing) {
        let ranks = self.node.world().ranks();
        let exports = (0..ranks).map(|rank| self.exports(rank)).collect();
        let mut spare = self.node.spare_deltas().into_iter();
        let swap = |view: &mut Option<Box<dyn AnyView>>| {
            let spare = spare.next().flatten();
            Some(view.as_mut()?.swap(spare))
        };
        let deltas = self.tables.iter_mut().map(swap).collect();
        let clock = WorkerClock { deltas, exports };
        self.node.turn_in_lockstep(self.worker, clock, out);
    }

    /// The updates of another rank's rows, as messages.
    fn exports(&self, rank: Rank) -> Contents {
        let mut chunks = self.node.chunks();
        if rank != self.node.rank() {
            self.tables
                .iter()
                .flatten()
                .for_each(|view| view.export(rank, &mut chunks));
        }
        chunks.finish()
    }

    /// True if rows that live here can be read in this clock. A worker that reads nothing need not
    /// ask: the rule bounds reads, not workers.
    pub fn may_start(&self) -> bool {
        self.bound.allows(self.at, self.node.clocks.stamp())
    }

    /// From now on reads miss nothing: they wait for every worker's updates of all clocks that this
    /// worker has completed. For the end of a run: under a limited bandwidth, what waits on this
    /// rank leaves now, whatever that costs.
    pub fn settle(&mut self, out: &mut Outgoing) {
        self.bound = self.bound.tightened();
        self.node.settle(out);
    }

    #[inline]
    fn observe(&mut self, stamp: Clock) {
        debug_assert!(
            self.bound.allows(self.at, stamp),
            "a row was read before it was ready"
        );
        self.last = observed(self.at, stamp);
        self.staleness.add(self.last);
    }

    /// The staleness that the last read observed, in clocks.
    pub fn last_staleness(&self) -> u64 {
        self.last
    }

    /// The staleness of the reads since it was last taken.
    pub fn take_staleness(&mut self) -> Staleness {
        std::mem::take(&mut self.staleness)
    }
}

/// Asks for ascending rows, cut so that the home can answer the first while the others are on their
/// way.
pub(super) fn pull(table: TableId, stamp: Clock, rows: &[u64], send: impl FnMut(Message)) {
    let parts = rows.chunks(PULL_ROWS_MAX);
    let message = |rows: &[u64]| Message::Pull {
        table,
        rows: rows.to_vec(),
        stamp,
    };
    parts.map(message).for_each(send);
}

/// The view of a table with elements of type `T`.
#[inline]
fn view<T: Element>(tables: &mut [Option<Box<dyn AnyView>>], table: TableId) -> &mut View<T> {
    let view = tables.get_mut(table as usize).and_then(Option::as_mut);
    let view = view.and_then(|view| (view.as_mut() as &mut dyn Any).downcast_mut());
    match view {
        Some(view) => view,
        None => panic!("table {table} is not a shared table of {:?}", T::TYPE),
    }
}

/// Hands this process's copy of a row to `each`; returns a stamp that the copy has at least.
#[inline]
fn visit<T: Element>(
    node: &Node,
    table: &Table<T>,
    row: u64,
    each: impl FnOnce(RowRef<'_, T>),
) -> Clock {
    let home = table.home(row);
    // Stamps are read before the row is: it may be newer, never older.
    if table.is_local(home) {
        let stamp = node.clocks.stamp();
        table.visit_home(home, each);
        return stamp;
    }
    let floor = node.floor(home.rank);
    let stamp = table.visit_copy(home, |value, stamp| {
        each(value);
        stamp
    });
    match stamp {
        Some(stamp) => stamp.max(floor),
        None => panic!("row {row} was read before it was ready"),
    }
}

/// `to = value + own`.
#[inline]
fn sum_dense<T: Element>(value: RowRef<'_, T>, own: Option<RowRef<'_, T>>, to: &mut [T]) {
    match (value, own) {
        (RowRef::Dense(value), None) => to.copy_from_slice(value),
        (RowRef::Dense(value), Some(RowRef::Dense(own))) => {
            assert!(to.len() == value.len() && own.len() == value.len());
            for ((to, value), own) in to.iter_mut().zip(value).zip(own) {
                *to = value.plus(*own);
            }
        }
        _ => panic!("a sparse row was read as a dense one"),
    }
}

/// Visits the non-zero elements of `value + own`, both sorted by column.
#[inline]
fn sum_sparse<T: Element>(
    value: RowRef<'_, T>,
    own: Option<RowRef<'_, T>>,
    mut each: impl FnMut(u32, T),
) {
    let RowRef::Pairs(value) = value else {
        panic!("a dense row was read as a sparse one");
    };
    let own = match own {
        Some(RowRef::Pairs(own)) => own,
        _ => &[],
    };
    let (mut i, mut j) = (0, 0);
    while i < value.len() && j < own.len() {
        let (column, element) = match value[i].0.cmp(&own[j].0) {
            std::cmp::Ordering::Less => {
                i += 1;
                value[i - 1]
            }
            std::cmp::Ordering::Greater => {
                j += 1;
                own[j - 1]
            }
            std::cmp::Ordering::Equal => {
                (i, j) = (i + 1, j + 1);
                (value[i - 1].0, value[i - 1].1.plus(own[j - 1].1))
            }
        };
        if element != T::default() {
            each(column, element);
        }
    }
    let rest = value[i..].iter().chain(&own[j..]);
    rest.filter(|(_, element)| *element != T::default())
        .for_each(|(c, e)| each(*c, *e));
}
