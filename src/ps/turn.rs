//! What happens when a worker ends its clock or publishes: updates leave, and when that completes a
//! clock of the whole world, readers are told.

use crate::ps::batch::wire_bytes;
use crate::ps::lockstep::{Contents, DeltaSet, Lockstep, WorkerClock};
use crate::ps::node::{Node, Outgoing, lock};
use crate::ps::sync::MutexGuard;
use crate::wire::message::{Clock, Rank, WorkerId};

impl Node {
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

    /// Sends `rank` the updates to its rows, if a clock was completed or `always`.
    fn flush(&self, rank: Rank, always: bool, mid_clock: bool, out: &mut Outgoing) {
        let peer = &mut *lock(&self.peers[rank as usize]);
        // Read before the outboxes are drained: they hold at least these clocks' updates.
        let completes = self.clocks.own();
        if !always && !mid_clock && completes <= peer.outbox.completes() {
            return;
        }
        if self.bound.unbounded() && !self.may_send(peer) {
            // Nobody waits for the clock's end either.
            return;
        }
        let mut chunks = self.chunks();
        let completes = if peer.budget.is_some() {
            let newest = if always || mid_clock {
                Clock::MAX
            } else {
                completes
            };
            self.leave(peer, rank, (completes, newest), &mut chunks)
        } else {
            self.shared()
                .for_each(|table| table.drain(rank, &mut chunks));
            completes
        };
        let news = completes > peer.outbox.completes() && !mid_clock;
        if !always && !news && chunks.is_empty() {
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
            let peer = &mut *lock(&self.peers[rank as usize]);
            if peer.budget.is_some() {
                self.force(peer, contents.iter().flatten().map(wire_bytes).sum());
            }
            peer.outbox
                .send(contents, clock, false, |m| out.push((rank, m)));
        }
    }

    /// Raises the stamp if all workers of the world have completed another clock, and tells readers.
    pub(super) fn advance(&self, out: &mut Outgoing) {
        if self.clocks.raise_stamp(self.clocks.all()) {
            self.others().for_each(|rank| self.push(rank, false, out));
        }
    }

    /// The same under bulk synchrony, where completed updates are yet to be added.
    pub(super) fn apply_completed(
        &self,
        mut lockstep: MutexGuard<'_, Lockstep>,
        out: &mut Outgoing,
    ) {
        let applied = lockstep.apply(self.clocks.all(), &self.tables);
        let news = self.clocks.raise_stamp(applied);
        drop(lockstep);
        if news {
            self.others().for_each(|rank| self.push(rank, false, out));
        }
    }

    /// Sends a reader the rows that it wants: eagerly what has changed, if the stamp is news (or
    /// `always`); lazily what it asked for and has now reached its stamp.
    pub(super) fn push(&self, rank: Rank, always: bool, out: &mut Outgoing) {
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
            if peer.budget.is_some() {
                return self.push_managed(peer, rank, always, out);
            }
            self.shared()
                .for_each(|table| table.changed(rank, &mut chunks));
        } else {
            self.values(&peer.pushes.reached(stamp), &mut chunks);
            if chunks.is_empty() {
                return;
            }
            self.force(peer, chunks.wire_bytes());
        }
        let included = peer.inbox.included();
        let send = |message| out.push((rank, message));
        peer.pushes
            .send(chunks.finish(), (stamp, included), eager, None, send);
    }
}
