//! Rows that leave under a limited bandwidth: which, when, and what their readers may then believe.
//!
//! A clock is complete for the other side only when every row of it has left. So a batch of updates
//! `completes` the clock before the oldest that any waiting change belongs to, and a push holds for
//! all rows of its reader with the oldest stamp that any row kept back still has there. Both are
//! found after the chosen rows have left and under the peer's lock; changes that are made meanwhile
//! belong to clocks that are not completed.

use std::sync::atomic::Ordering;

use crate::ps::batch::{Chunks, wire_bytes};
use crate::ps::node::{Node, Outgoing, lock};
use crate::ps::peer::Peer;
use crate::ps::traffic::Candidate;
use crate::wire::message::{Clock, Message, Rank};

impl Node {
    /// `bytes` more may leave for the other rank `to`; what waits leaves as far as they go. Call it
    /// regularly with what the bandwidth allows. Returns how many of them are too many to be saved
    /// up; without a limit all.
    pub fn grant(&self, to: Rank, bytes: u64, out: &mut Outgoing) -> u64 {
        let peer = &mut *lock(&self.peers[to as usize]);
        let Some(budget) = &mut peer.budget else {
            return bytes;
        };
        let spare = budget.grant(bytes);
        // Neither direction starves the other.
        let first = budget.pushes_first;
        budget.pushes_first = !first;
        for pushes in [first, !first] {
            if pushes {
                self.push_more(peer, to, out);
            } else {
                self.update_more(peer, to, out);
            }
        }
        spare
    }

    /// So many of the bytes that could not be saved up were not needed by anything else either: the
    /// bandwidth was not too small then.
    pub fn waste(&self, to: Rank, bytes: u64) {
        if let Some(budget) = &mut lock(&self.peers[to as usize]).budget {
            budget.waste(bytes);
        }
    }

    /// What the rows in a message that has come from this node were charged with, 0 of one without
    /// rows; see [`Node::charge`].
    pub fn charged(&self, message: &Message) -> u64 {
        let batches = match message {
            _ if self.traffic.limit.is_none() => return 0,
            Message::Updates { batches, .. } => batches.iter(),
            Message::Rows { batches, .. } => batches.iter(),
            _ => return 0,
        };
        batches.map(wire_bytes).sum()
    }

    /// A message that was `charged` so far has left for `to`, and takes `bytes`; rows wait for what
    /// it takes beyond that.
    pub fn charge(&self, to: Rank, charged: u64, bytes: u64) {
        if self.traffic.limit.is_none() || charged == bytes {
            return;
        }
        let peer = &mut *lock(&self.peers[to as usize]);
        match &mut peer.budget {
            Some(budget) if charged > 0 => budget.correct(charged, bytes),
            // No row, so nobody has had a choice.
            _ => self.force(peer, bytes),
        }
    }

    /// True once the read rule alone has needed more bytes than were granted.
    pub fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// A local worker has made its last change: nothing waits any longer.
    pub(super) fn settle(&self, out: &mut Outgoing) {
        self.settled.store(true, Ordering::SeqCst);
        if self.bound.lockstep() {
            return;
        }
        for rank in self.others() {
            let peer = &mut *lock(&self.peers[rank as usize]);
            let own = self.clocks.own();
            for table in self.shared() {
                table.restore_residue(rank, own);
            }
            self.update_more(peer, rank, out);
            self.push_more(peer, rank, out);
        }
    }

    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::SeqCst)
    }

    pub(super) fn may_send(&self, peer: &Peer) -> bool {
        let spent = peer.budget.as_ref().is_some_and(|budget| budget.is_spent());
        self.is_settled() || !spent
    }

    /// Sends waiting updates of clocks that this rank has completed.
    fn update_more(&self, peer: &mut Peer, rank: Rank, out: &mut Outgoing) {
        // In lockstep updates wait elsewhere, and a clock counts as completed with the last of them.
        if self.bound.lockstep() || !self.may_send(peer) {
            return;
        }
        let own = self.clocks.own();
        let mut chunks = self.chunks();
        let completes = self.leave(peer, rank, (own, own), &mut chunks);
        if !chunks.is_empty() || completes > peer.outbox.completes() {
            let send = |message| out.push((rank, message));
            peer.outbox.send(chunks.finish(), completes, false, send);
        }
    }

    /// Moves those updates into `chunks` that must or may leave, if a part of them is as old as
    /// `newest`. Returns the clock that is then complete; this rank has completed `own`.
    pub(super) fn leave(
        &self,
        peer: &mut Peer,
        rank: Rank,
        (own, newest): (Clock, Clock),
        chunks: &mut Chunks,
    ) -> Clock {
        let whole = self.is_settled();
        let mut candidates = Vec::new();
        for table in self.shared() {
            table.waiting(rank, newest, &mut candidates);
        }
        let due = |c: &Candidate| whole || self.bound.update_is_due(c.since, own);
        let charged = self.choose(peer, &mut candidates, due);
        for rows in candidates.chunk_by(|a, b| a.table == b.table) {
            let table = self.shared_table(rows[0].table);
            table.drain_rows(rank, rows, whole, chunks);
        }
        if let Some(budget) = &mut peer.budget {
            budget.correct(charged, chunks.wire_bytes());
        }
        let oldest = self.shared().map(|table| table.oldest_waiting(rank)).min();
        own.min(oldest.unwrap_or(Clock::MAX).saturating_sub(1))
    }

    /// Pushes rows that were kept back.
    fn push_more(&self, peer: &mut Peer, rank: Rank, out: &mut Outgoing) {
        if peer.budget.is_some() && self.bound.eager() && peer.reads && self.may_send(peer) {
            self.push_managed(peer, rank, false, out);
        }
    }

    /// Pushes those changed rows that must or may leave to a reader of eager rows: of those that its
    /// copies lack something of a complete clock of, or (`always`) of all.
    pub(super) fn push_managed(
        &self,
        peer: &mut Peer,
        rank: Rank,
        always: bool,
        out: &mut Outgoing,
    ) {
        // Read before the rows are: they hold at least these clocks' updates.
        let stamp = self.clocks.stamp();
        let newest = if always { Clock::MAX } else { stamp - 1 };
        let settled = self.is_settled();
        let mut candidates = Vec::new();
        for table in self.shared() {
            table.owed(rank, newest, &mut candidates);
        }
        let due = |c: &Candidate| settled || self.bound.push_is_due(c.since, stamp);
        let charged = self.choose(peer, &mut candidates, due);
        let mut chunks = self.chunks();
        for rows in candidates.chunk_by(|a, b| a.table == b.table) {
            self.shared_table(rows[0].table)
                .take_owed(rank, rows, &mut chunks);
        }
        if let Some(budget) = &mut peer.budget {
            budget.correct(charged, chunks.wire_bytes());
        }
        let oldest = self.shared().map(|table| table.oldest_owed(rank)).min();
        let told = peer.pushes.complete();
        // A change made meanwhile may count as older than it is; what was said once holds.
        let complete = Some(stamp.min(oldest.unwrap_or(Clock::MAX))).max(told);
        let (all, news) = (complete >= Some(stamp), complete > told);
        let included = peer.inbox.included();
        let mut send = |message| out.push((rank, message));
        if !chunks.is_empty() || always || (all && news) {
            let chunks = chunks.finish();
            peer.pushes
                .send(chunks, (stamp, included), all, None, &mut send);
        }
        if let (false, true, Some(complete)) = (all, news, complete) {
            let nothing = vec![Vec::new()];
            peer.pushes
                .send(nothing, (complete, included), true, None, &mut send);
        }
    }

    /// Keeps the candidates that leave now, in table and row order; returns what the budget was
    /// charged for them.
    fn choose(
        &self,
        peer: &mut Peer,
        candidates: &mut Vec<Candidate>,
        due: impl Fn(&Candidate) -> bool,
    ) -> u64 {
        let Some(budget) = &mut peer.budget else {
            candidates.sort_unstable_by_key(|c| (c.table, c.row));
            return 0;
        };
        let charged = budget.choose(candidates, due);
        if budget.is_short() {
            self.short.store(true, Ordering::Relaxed);
        }
        charged
    }

    /// Rows have left because the read rule demands them, whatever the budget.
    pub(super) fn force(&self, peer: &mut Peer, bytes: u64) {
        if let Some(budget) = &mut peer.budget {
            budget.force(bytes);
            if budget.is_short() {
                self.short.store(true, Ordering::Relaxed);
            }
        }
    }
}
