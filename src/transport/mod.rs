//! Messages in motion between ranks; the only place that knows tokio.
//!
//! [`Transport`] is one rank's end of the run's network, in one of three forms: channels within a
//! process, the same through the codec, and TCP. What holds for all three:
//!
//! * messages of one kind from one rank to another arrive once and in the order of sending; a message
//!   may overtake a larger one of another kind (see [`crate::wire::queue`]);
//! * nothing arrives from a rank after its [`Event::Lost`] or its [`Message::Goodbye`];
//! * sending never waits for the network.

mod channel;
mod join;
mod link;
mod tcp;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::wire::message::{Message, Rank};

pub use tcp::{TcpSetup, Timing};

/// One rank's end of the network. Shared by all threads of its process.
#[derive(Debug)]
pub enum Transport {
    /// Values over channels, as they are.
    Local(channel::Channels),
    /// Values over channels, through the codec: for tests.
    Coded(channel::Channels),
    /// Frames over TCP.
    Tcp(tcp::Tcp),
}

/// What [`Transport::receive`] returns.
#[derive(Debug)]
pub enum Event {
    /// A message from another rank, or from this one to itself.
    Message {
        /// Who sent it.
        from: Rank,
        /// What it says.
        message: Message,
    },
    /// A rank is gone without a `Goodbye`. Told once for each rank.
    Lost {
        /// Which.
        rank: Rank,
        /// What was seen, to follow the rank's name: `closed the connection`, `silent for 10 s`.
        reason: String,
    },
    /// This end was closed, and everything that had arrived has been received.
    Closed,
}

impl Transport {
    /// The ends of `ranks` ranks within one process.
    pub fn local(ranks: u32) -> Vec<Transport> {
        channel::channels(ranks, false)
            .into_iter()
            .map(Transport::Local)
            .collect()
    }

    /// The same, but each message is encoded, framed, and decoded again.
    pub fn coded(ranks: u32) -> Vec<Transport> {
        channel::channels(ranks, true)
            .into_iter()
            .map(Transport::Coded)
            .collect()
    }

    /// Connects to every other rank; returns when all are there, with the number of workers on each
    /// rank. Lower ranks are connected to, higher ones are waited for.
    ///
    /// Fails with `Unavailable` (a rank is missing at the deadline, or the port is taken),
    /// `Mismatch`, `WrongSecret`, `Interrupted`, or with the error of a rank that failed first.
    pub fn tcp(setup: TcpSetup) -> Result<(Transport, Vec<u32>)> {
        let (tcp, workers) = tcp::start(setup)?;
        Ok((Transport::Tcp(tcp), workers))
    }

    /// Sends `message`. It is forgotten if `to` is lost or this end is closed. `Abort` overtakes and
    /// discards everything else on its way to `to`. Returns how many bytes it takes.
    pub fn send(&self, to: Rank, message: Message) -> u64 {
        match self {
            Transport::Local(end) | Transport::Coded(end) => end.send(to, message),
            Transport::Tcp(end) => end.send(to, message),
        }
    }

    /// From now on [`Message::Block`] leaves only as far as [`Transport::allow_blocks`] allows, and
    /// [`Transport::send`] counts nothing for it. Within one process nothing is held back.
    pub fn limit_blocks(&self) {
        if let Transport::Tcp(end) = self {
            end.limit_blocks();
        }
    }

    /// So many more `bytes` of blocks may leave for `to`, of which `burst` can be saved up; returns
    /// how many of them are needed.
    pub fn allow_blocks(&self, to: Rank, bytes: u64, burst: u64) -> u64 {
        match self {
            Transport::Local(_) | Transport::Coded(_) => 0,
            Transport::Tcp(end) => end.allow_blocks(to, bytes, burst),
        }
    }

    /// The next event; waits for it. Events go to one thread.
    pub fn receive(&self) -> Event {
        match self {
            Transport::Local(end) | Transport::Coded(end) => end.receive(),
            Transport::Tcp(end) => end.receive(),
        }
    }

    /// Bytes sent and received so far, framing included; 0 for `Local`.
    pub fn bytes(&self) -> [u64; 2] {
        match self {
            Transport::Local(end) | Transport::Coded(end) => end.bytes(),
            Transport::Tcp(end) => end.bytes(),
        }
    }

    /// Delivers what was sent, says `Goodbye` to every rank and ends; waits a few seconds at most.
    /// An end that is dropped without this is lost to the others.
    pub fn close(&self) {
        match self {
            Transport::Local(end) | Transport::Coded(end) => end.close(),
            Transport::Tcp(end) => end.close(),
        }
    }
}

/// Locks; a thread that panicked while it held the lock left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
