//! Exclusive blocks: owned by one worker at a time, moved to the next before it needs them.
//!
//! A block's *turn* counts its uses. It makes every transfer recognisable: what has been here is
//! not taken in again, whatever the network repeats, and a block can never be in two places.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::ps::outbox::due;
use crate::ps::table::{TableKind, TableSpec};
use crate::wire::message::{Message, Payload, Rank, TableId, WorkerId};

/// The blocks that are waiting on this rank, and those that have left and may have to be repeated.
#[derive(Debug)]
pub(super) struct Blocks {
    /// By table (empty for shared ones), then by block.
    places: Vec<Vec<Place>>,
    leaving: BTreeMap<(TableId, u32, u64), Leaving>,
}

#[derive(Debug, Default)]
struct Place {
    /// The newest turn for which the block was ever here.
    newest: Option<u64>,
    /// The block, if it waits here, and its turn.
    waiting: Option<(u64, Payload)>,
}

/// A block on its way to another rank.
#[derive(Debug)]
struct Leaving {
    to: Rank,
    worker: WorkerId,
    bytes: Bytes,
    /// Ticks since it was sent.
    age: u32,
}

impl Blocks {
    pub(super) fn new(tables: &[TableSpec]) -> Blocks {
        let places = |table: &TableSpec| match table.kind {
            TableKind::Exclusive { blocks } => (0..blocks).map(|_| Place::default()).collect(),
            TableKind::Shared { .. } => Vec::new(),
        };
        Blocks {
            places: tables.iter().map(places).collect(),
            leaving: BTreeMap::new(),
        }
    }

    /// The block, if it waits here for this turn.
    pub(super) fn take(&mut self, table: TableId, block: u32, turn: u64) -> Option<Payload> {
        let waiting = &mut self.place(table, block).ok()?.waiting;
        match waiting {
            Some((at, _)) if *at == turn => waiting.take().map(|(_, payload)| payload),
            _ => None,
        }
    }

    /// A block arrives for a turn, from a local worker or another rank. One that has been here
    /// before is ignored.
    pub(super) fn arrive(
        &mut self,
        table: TableId,
        block: u32,
        turn: u64,
        payload: Payload,
    ) -> Result<()> {
        let place = self.place(table, block)?;
        if place.newest.is_some_and(|newest| turn <= newest) {
            return Ok(());
        }
        if place.waiting.is_some() {
            return Err(Error::Bug(format!(
                "block {block} of table {table} is in two places"
            )));
        }
        place.newest = Some(turn);
        place.waiting = Some((turn, payload));
        Ok(())
    }

    /// A block leaves for a worker of another rank. Bytes are kept until they have arrived; a value
    /// can only travel on a transport that loses nothing.
    pub(super) fn leave(
        &mut self,
        (table, block, turn): (TableId, u32, u64),
        (to, worker): (Rank, WorkerId),
        payload: Payload,
    ) -> Message {
        if let Payload::Bytes(bytes) = &payload {
            let leaving = Leaving {
                to,
                worker,
                bytes: bytes.clone(),
                age: 0,
            };
            self.leaving.insert((table, block, turn), leaving);
        }
        Message::Block {
            table,
            block,
            turn,
            worker,
            payload,
        }
    }

    /// The block has arrived where it went.
    pub(super) fn forget(&mut self, table: TableId, block: u32, turn: u64) {
        self.leaving.remove(&(table, block, turn));
    }

    /// A tick has passed: repeats what is overdue.
    pub(super) fn tick(&mut self, out: &mut Vec<(Rank, Message)>) {
        for (&(table, block, turn), leaving) in &mut self.leaving {
            leaving.age += 1;
            if due(leaving.age) {
                let message = Message::Block {
                    table,
                    block,
                    turn,
                    worker: leaving.worker,
                    payload: Payload::Bytes(leaving.bytes.clone()),
                };
                out.push((leaving.to, message));
            }
        }
    }

    fn place(&mut self, table: TableId, block: u32) -> Result<&mut Place> {
        let places = self.places.get_mut(table as usize);
        let place = places.and_then(|places| places.get_mut(block as usize));
        place.ok_or_else(|| Error::Other(format!("table {table} has no block {block}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Blocks {
        let kind = TableKind::Exclusive { blocks: 2 };
        Blocks::new(&[TableSpec { name: "ring", kind }])
    }

    fn bytes(text: &'static str) -> Payload {
        Payload::Bytes(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_block_is_taken_once_and_a_repetition_is_ignored() {
        let mut blocks = blocks();
        blocks.arrive(0, 1, 3, bytes("a")).unwrap();
        blocks.arrive(0, 1, 3, bytes("b")).unwrap();
        assert!(blocks.take(0, 1, 2).is_none() && blocks.take(0, 0, 3).is_none());
        assert_eq!(blocks.take(0, 1, 3).unwrap().into_bytes(), "a");
        blocks.arrive(0, 1, 3, bytes("c")).unwrap();
        assert!(blocks.take(0, 1, 3).is_none());
        assert!(blocks.arrive(0, 2, 0, bytes("d")).is_err());
        assert!(blocks.arrive(1, 0, 0, bytes("d")).is_err());
    }

    #[test]
    fn a_block_that_left_is_repeated_until_it_has_arrived() {
        let mut blocks = blocks();
        blocks.leave((0, 1, 4), (2, 5), bytes("a"));
        let mut out = Vec::new();
        blocks.tick(&mut out);
        assert!(out.is_empty());
        blocks.tick(&mut out);
        assert!(matches!(
            out[..],
            [(
                2,
                Message::Block {
                    turn: 4,
                    worker: 5,
                    ..
                }
            )]
        ));
        blocks.forget(0, 1, 4);
        (0..20).for_each(|_| blocks.tick(&mut out));
        assert_eq!(out.len(), 1);
    }
}
