//! What happens when a message arrives, and what is repeated when none does.

use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::ps::batch::Chunks;
use crate::ps::client::pull;
use crate::ps::node::{Node, Outgoing, lock};
use crate::ps::outbox::{Arrived, InFlight};
use crate::ps::peer::Peer;
use crate::ps::push::Meta;
use crate::wire::message::{Clock, Message, Rank, RowBatch, TableId};

impl Node {
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
                table.apply(batch, Some(from), self.clocks.stamp());
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
        let peer = &mut *lock(&self.peers[from as usize]);
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
        self.answer(peer, wanted, &chunks);
        let included = peer.inbox.included();
        let send = |message| out.push((from, message));
        peer.pushes
            .send(chunks.finish(), (stamp, included), false, None, send);
        Ok(())
    }

    /// Pays for rows that were asked for. The first copies are no matter of the read rule.
    fn answer(&self, peer: &mut Peer, wanted: Clock, chunks: &Chunks) {
        if !self.bound.eager() && wanted >= 0 {
            self.force(peer, chunks.wire_bytes());
        } else if let Some(budget) = &mut peer.budget {
            budget.spend(chunks.wire_bytes());
        }
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
        if let Some(budget) = &mut peer.budget {
            budget.spend(chunks.wire_bytes());
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
                let rows: Vec<u64> = group.iter().map(|(_, row)| *row).collect();
                pull(id as TableId, group[0].0, &rows, |message| {
                    out.push((rank, message))
                });
            }
        }
    }
}
