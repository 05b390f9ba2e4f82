//! The transport within one process: a channel per rank.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::{Bytes, BytesMut};

use super::{Event, lock};
use crate::wire::assembly::Assembler;
use crate::wire::message::{Message, Rank};
use crate::wire::queue::{Batch, Prepared, Queue};
use crate::wire::{Malformed, frame};

/// One rank's end.
#[derive(Debug)]
pub struct Channels {
    rank: Rank,
    coded: bool,
    peers: Vec<Sender<Parcel>>,
    inbox: Mutex<Inbox>,
    closed: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
}

/// What lies in a channel.
#[derive(Debug)]
enum Parcel {
    Event(Event),
    /// Frames from a rank.
    Frames(Rank, Vec<u8>),
}

#[derive(Debug)]
struct Inbox {
    parcels: Receiver<Parcel>,
    /// By rank: whether anything may still come from it.
    over: Vec<bool>,
    closed: bool,
}

/// The connected ends of `ranks` ranks.
pub(super) fn channels(ranks: u32, coded: bool) -> Vec<Channels> {
    let (peers, inboxes): (Vec<_>, Vec<_>) = (0..ranks).map(|_| channel()).unzip();
    let end = |(rank, parcels)| Channels {
        rank,
        coded,
        peers: peers.clone(),
        inbox: Mutex::new(Inbox {
            parcels,
            over: vec![false; ranks as usize],
            closed: false,
        }),
        closed: AtomicBool::new(false),
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
    };
    (0..).zip(inboxes).map(end).collect()
}

impl Channels {
    pub(super) fn send(&self, to: Rank, message: Message) -> u64 {
        if self.closed.load(Relaxed) {
            return 0;
        }
        if !self.coded || to == self.rank {
            let from = self.rank;
            self.put(to, Parcel::Event(Event::Message { from, message }));
            return 0;
        }
        let frames = encode(message);
        let bytes = frames.len() as u64;
        self.sent.fetch_add(bytes, Relaxed);
        self.put(to, Parcel::Frames(self.rank, frames));
        bytes
    }

    /// A rank whose end was dropped receives nothing.
    fn put(&self, to: Rank, parcel: Parcel) {
        let _ = self.peers[to as usize].send(parcel);
    }

    pub(super) fn receive(&self) -> Event {
        let mut inbox = lock(&self.inbox);
        while !inbox.closed {
            let event = match inbox.parcels.recv() {
                Ok(Parcel::Event(event)) => event,
                Ok(Parcel::Frames(from, frames)) => {
                    self.received.fetch_add(frames.len() as u64, Relaxed);
                    decode(from, &frames)
                }
                Err(_) => Event::Closed,
            };
            if inbox.admits(&event) {
                return event;
            }
        }
        Event::Closed
    }

    pub(super) fn bytes(&self) -> [u64; 2] {
        [self.sent.load(Relaxed), self.received.load(Relaxed)]
    }

    pub(super) fn close(&self) {
        if self.closed.load(Relaxed) {
            return;
        }
        for rank in (0..self.peers.len() as Rank).filter(|rank| *rank != self.rank) {
            self.send(rank, Message::Goodbye);
        }
        if !self.closed.swap(true, Relaxed) {
            self.put(self.rank, Parcel::Event(Event::Closed));
        }
    }
}

impl Inbox {
    /// False for what comes from a rank that is lost or has said goodbye.
    fn admits(&mut self, event: &Event) -> bool {
        let (rank, last) = match event {
            Event::Message { from, message } => (*from, matches!(message, Message::Goodbye)),
            Event::Lost { rank, .. } => (*rank, true),
            Event::Closed => {
                self.closed = true;
                return true;
            }
        };
        let over = &mut self.over[rank as usize];
        let admitted = !*over;
        *over |= last;
        admitted
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        if self.closed.load(Relaxed) {
            return;
        }
        for to in (0..self.peers.len() as Rank).filter(|rank| *rank != self.rank) {
            let reason = "closed the connection".to_owned();
            let rank = self.rank;
            self.put(to, Parcel::Event(Event::Lost { rank, reason }));
        }
    }
}

/// The message as the bytes that TCP would carry.
fn encode(message: Message) -> Vec<u8> {
    let (mut queue, mut batch) = (Queue::default(), Batch::default());
    let mut chunks: VecDeque<Bytes> = VecDeque::new();
    queue.push(Prepared::new(message));
    while queue.take(usize::MAX, &mut batch) {
        batch.frames(&mut chunks);
    }
    chunks.iter().flatten().copied().collect()
}

fn decode(from: Rank, frames: &[u8]) -> Event {
    match decode_one(frames) {
        Ok(message) => Event::Message { from, message },
        Err(malformed) => Event::Lost {
            rank: from,
            reason: format!("sent a corrupt frame: {malformed}"),
        },
    }
}

fn decode_one(frames: &[u8]) -> Result<Message, Malformed> {
    let mut buffer = BytesMut::from(frames);
    let mut assembler = Assembler::default();
    while let Some(frame) = frame::decode(&mut buffer)? {
        assembler.push(frame)?;
        if let Some(message) = assembler.next()? {
            return Ok(message);
        }
    }
    Err(Malformed("frames without a message"))
}
