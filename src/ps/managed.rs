//! Rows that leave under a limited bandwidth: which, when, and what their readers may then believe.
//!
//! A clock is complete for the other side only when every row of it has left. So a batch of updates
//! `completes` the clock before the oldest that any waiting change belongs to, and a push holds for
//! all rows of its reader with the oldest stamp that any row kept back still has there. Both are
//! found after the chosen rows have left and under the peer's lock; changes that are made meanwhile
//! belong to clocks that are not completed.

use std::sync::atomic::Ordering;

use crate::ps::batch::Chunks;
use crate::ps::node::{Node, Outgoing, lock};
use crate::ps::peer::Peer;
use crate::ps::traffic::Candidate;
use crate::wire::message::{Clock, Rank};

impl Node {
    /// `bytes` more may leave for each other rank; what waits leaves as far as they go. Call it
    /// regularly with what the bandwidth allows. Without a limit nothing happens.
    pub fn grant(&self, bytes: u64, out: &mut Outgoing) {
        for rank in self.others() {
            let peer = &mut *lock(&self.peers[rank as usize]);
            let Some(budget) = &mut peer.budget else {
                return;
            };
            budget.grant(bytes);
            // Neither direction starves the other.
            let first = budget.pushes_first;
            budget.pushes_first = !first;
            for pushes in [first, !first] {
                if pushes {
                    self.push_more(peer, rank, out);
                } else {
                    self.update_more(peer, rank, out);
                }
            }
        }
    }

    /// Something else of `bytes` has left for `to`; rows wait for it.
    pub fn spend(&self, to: Rank, bytes: u64) {
        if let Some(budget) = &mut lock(&self.peers[to as usize]).budget {
            budget.spend(bytes);
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

    fn may_send(&self, peer: &Peer) -> bool {
        let spent = peer.budget.as_ref().is_some_and(|budget| budget.is_spent());
        self.is_settled() || !spent
    }

    /// Sends waiting updates of clocks that this rank has completed.
    fn update_more(&self, peer: &mut Peer, rank: Rank, out: &mut Outgoing) {
        if !self.may_send(peer) {
            return;
        }
        let own = self.clocks.own();
        let mut chunks = self.chunks();
        let completes = self.leave(peer, rank, (own, own), &mut chunks);
        if !chunks.is_empty() {
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
        self.choose(peer, &mut candidates, due);
        for rows in candidates.chunk_by(|a, b| a.table == b.table) {
            let table = self.shared_table(rows[0].table);
            table.drain_rows(rank, rows, whole, chunks);
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
        self.choose(peer, &mut candidates, due);
        let mut chunks = self.chunks();
        for rows in candidates.chunk_by(|a, b| a.table == b.table) {
            self.shared_table(rows[0].table)
                .take_owed(rank, rows, &mut chunks);
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

    /// Keeps the candidates that leave now, in table and row order.
    fn choose(
        &self,
        peer: &mut Peer,
        candidates: &mut Vec<Candidate>,
        due: impl Fn(&Candidate) -> bool,
    ) {
        match &mut peer.budget {
            Some(budget) => {
                budget.choose(candidates, due);
                if budget.is_short() {
                    self.short.store(true, Ordering::Relaxed);
                }
            }
            None => candidates.sort_unstable_by_key(|c| (c.table, c.row)),
        }
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
