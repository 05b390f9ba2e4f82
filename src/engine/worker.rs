//! One worker as its program sees it: tables, clock, randomness.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::math::rng::Rng;
use crate::ps::{Client, Element, Node, Outgoing, World};
use crate::wire::message::{
    Clock, ClockStats, Message, Payload, Portable, Rank, TableId, WorkerId,
};

use super::link::Link;
use super::stopwatch::Stopwatch;

/// When nothing has come for so long, what is unacknowledged is repeated. Over TCP nothing is lost
/// short of a lost peer, so this is far above any delay of a healthy run.
const PATIENCE: Duration = Duration::from_secs(5);

/// A worker thread's handle on the engine.
///
/// Reads wait until the staleness bound allows them; waiting is counted and ends with an error when
/// the run fails.
pub struct Worker<'a> {
    id: WorkerId,
    link: &'a Link,
    node: Arc<Node>,
    client: Client,
    seed: u64,
    at: Clock,
    evaluating: bool,
    watch: Stopwatch,
    out: Outgoing,
}

impl<'a> Worker<'a> {
    pub(super) fn new(id: WorkerId, link: &'a Link, node: Arc<Node>, seed: u64, at: Clock) -> Self {
        let client = node.client(id);
        let watch = Stopwatch::start();
        Worker {
            id,
            link,
            node,
            client,
            seed,
            at,
            evaluating: false,
            watch,
            out: Vec::new(),
        }
    }

    /// This worker's number over all ranks.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// All ranks and their workers.
    pub fn world(&self) -> &World {
        &self.link.world
    }

    /// The clock that this worker is at: it has completed clocks `0 .. at`.
    pub fn at(&self) -> Clock {
        self.at
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// True if changes become visible at clocks alone, under `bsp`.
    pub fn in_lockstep(&self) -> bool {
        self.node.in_lockstep()
    }

    /// True if an objective is due at the end of this clock.
    pub fn evaluating(&self) -> bool {
        self.evaluating
    }

    /// A generator for this worker, this clock and `stream`; equal seeds give equal numbers.
    pub fn rng(&self, stream: u64) -> Rng {
        Rng::stream(self.seed, u64::from(self.id), self.at as u64, stream)
    }

    /// A row of a dense shared table, including this worker's own changes.
    pub fn read<T: Element>(&mut self, table: TableId, row: u64) -> Result<&[T]> {
        self.await_row(table, row)?;
        Ok(self.client.read(table, row))
    }

    /// The same into the caller's memory, which has the row's width.
    pub fn read_into<T: Element>(&mut self, table: TableId, row: u64, to: &mut [T]) -> Result<()> {
        self.await_row(table, row)?;
        self.client.read_into(table, row, to);
        Ok(())
    }

    /// How many of the last clocks the row read last may have missed.
    pub fn last_staleness(&self) -> u64 {
        self.client.last_staleness()
    }

    /// The non-zero elements of a row of a sparse shared table, by ascending column.
    pub fn read_sparse(
        &mut self,
        table: TableId,
        row: u64,
        each: impl FnMut(u32, i32),
    ) -> Result<()> {
        self.await_row(table, row)?;
        self.client.read_sparse(table, row, each);
        Ok(())
    }

    /// Asks for rows that will be read soon, so that they travel together.
    pub fn prefetch(&mut self, table: TableId, rows: &[u64]) {
        self.client.prefetch(table, rows, &mut self.out);
        self.link.send_all(&mut self.out);
    }

    /// Adds `delta` to a row of a dense shared table.
    pub fn inc<T: Element>(&mut self, table: TableId, row: u64, delta: &[T]) {
        self.client.inc(table, row, delta);
    }

    /// Adds `delta` to one element of a sparse shared table.
    pub fn inc_sparse(&mut self, table: TableId, row: u64, column: u32, delta: i32) {
        self.client.inc_sparse(table, row, column, delta);
    }

    /// Lets the changes so far leave before the clock ends. Under `bsp` they wait for it.
    pub fn publish(&mut self) {
        self.client.publish(&mut self.out);
        self.link.send_all(&mut self.out);
    }

    /// Takes an exclusive block that was handed over for `turn`, waiting until it arrives.
    pub fn acquire<B: Portable>(&mut self, table: TableId, block: u32, turn: u64) -> Result<B> {
        let node = Arc::clone(&self.node);
        let found = node.take_block(table, block, turn);
        let payload = match found {
            Some(payload) => payload,
            None => self.wait(|_, _| node.take_block(table, block, turn))?,
        };
        payload.take()
    }

    /// Gives an exclusive block to the worker that uses it next, for its `turn`th use.
    pub fn hand_over<B: Portable>(
        &mut self,
        table: TableId,
        block: u32,
        turn: u64,
        to: WorkerId,
        value: B,
    ) {
        let payload = Payload::value(value);
        self.node
            .hand_over(table, block, turn, to, payload, &mut self.out);
        self.link.send_all(&mut self.out);
        self.link.board.notify();
    }

    /// Runs `work` without counting its time as training, nor its waiting: evaluation that needs to
    /// sit inside `push`.
    pub fn off_clock<T>(&mut self, work: impl FnOnce(&mut Worker) -> T) -> T {
        let begun = Instant::now();
        let waited = self.watch.waited();
        let result = work(self);
        self.watch.add_excluded(begun.elapsed());
        self.watch.set_waited(waited);
        result
    }

    /// From now on reads miss nothing: they wait for all changes of all workers up to this
    /// worker's clock. For [`super::Program::finish`].
    pub fn settle(&mut self) {
        self.client.settle(&mut self.out);
        self.link.send_all(&mut self.out);
    }

    fn await_row(&mut self, table: TableId, row: u64) -> Result<()> {
        if self.client.ready(table, row, &mut self.out) {
            return Ok(());
        }
        self.link.send_all(&mut self.out);
        self.wait(|client, out| client.ready(table, row, out).then_some(()))
    }

    fn wait<T>(
        &mut self,
        mut look: impl FnMut(&mut Client, &mut Outgoing) -> Option<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        let Worker {
            link,
            client,
            out,
            node,
            watch,
            ..
        } = self;
        let found = link.board.wait(
            PATIENCE,
            || {
                let found = look(client, out);
                link.send_all(out);
                Ok(found)
            },
            || {
                let mut repeated: Vec<(Rank, Message)> = Vec::new();
                node.tick(&mut repeated);
                link.send_all(&mut repeated);
            },
        );
        watch.add_waited(begun.elapsed());
        found
    }

    /// Takes rank 0's verdict on `clock`, waiting for it; returns its update.
    pub(super) fn take_verdict(&mut self, clock: Clock) -> Result<Option<bytes::Bytes>> {
        if let Some(verdict) = self.link.board.try_take_verdict(clock) {
            return Ok(verdict.update);
        }
        let begun = Instant::now();
        let verdict = self.link.board.take_verdict(clock);
        self.watch.add_waited(begun.elapsed());
        Ok(verdict?.update)
    }

    /// Takes rank 0's verdict on `clock`, if it is there.
    pub(super) fn try_take_verdict(&self, clock: Clock) -> Option<Option<bytes::Bytes>> {
        self.link
            .board
            .try_take_verdict(clock)
            .map(|verdict| verdict.update)
    }

    pub(super) fn begin_clock(&mut self, evaluating: bool) -> Result<()> {
        if let Some(failure) = self.link.board.failure() {
            return Err(failure);
        }
        self.evaluating = evaluating;
        Ok(())
    }

    /// Ends the clock: deltas leave. Returns what it cost.
    pub(super) fn end_clock(&mut self) -> ClockStats {
        self.client.clock(&mut self.out);
        self.link.send_all(&mut self.out);
        self.link.board.notify();
        self.at += 1;
        self.stats()
    }

    /// What the clocks so far cost; the staleness since last asked.
    pub(super) fn stats(&mut self) -> ClockStats {
        let staleness = self.client.take_staleness();
        ClockStats {
            seconds: self.watch.seconds(),
            wait_seconds: self.watch.wait_seconds(),
            staleness_sum: staleness.sum,
            reads: staleness.reads,
            staleness_max: staleness.max,
            staleness_counts: staleness.counts,
        }
    }
}
