//! The one vocabulary that ranks speak, as plain Rust values.
//!
//! A message that stays in its process is passed as it is; one that leaves is encoded by
//! `wire::frame`. Clocks count from 0; a *stamp* is the newest clock whose updates are all
//! included, −1 before any.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;

/// The position of a process in the run, from 0: its line in the hosts file.
pub type Rank = u32;
/// A worker's position in the run, from 0, counted over all ranks in rank order.
pub type WorkerId = u32;
/// A logical clock of a worker. A worker *at* clock `c` has completed clocks `0 .. c`.
pub type Clock = i64;
/// A table's number: its position in `Program::tables`.
pub type TableId = u16;

/// A value that can leave its process: exclusive blocks, partial results, updates.
///
/// `decode(encode(x)) == x`. `decode` meets bytes from a peer that passed the handshake, but must
/// still return an error, never panic, on bytes that are not an encoding.
pub trait Portable: Any + Send + Sized {
    /// Appends the value's bytes.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads the value back from exactly `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self>;
}

/// The object-safe half of [`Portable`], so that a message can carry any of them.
pub trait AnyPortable: Any + Send {
    /// See [`Portable::encode`].
    fn encode_any(&self, out: &mut Vec<u8>);
    /// The value itself, to downcast.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

impl<T: Portable> AnyPortable for T {
    fn encode_any(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// A [`Portable`] on its way: the value itself inside a process, its bytes between processes.
pub enum Payload {
    /// The value; only ever within one process.
    Value(Box<dyn AnyPortable>),
    /// The value's encoding.
    Bytes(Bytes),
}

impl Payload {
    /// Wraps a value without encoding it.
    pub fn value<T: Portable>(value: T) -> Payload {
        Payload::Value(Box::new(value))
    }

    /// The value back, decoded if it travelled as bytes. A value of another type is a bug.
    pub fn take<T: Portable>(self) -> Result<T> {
        match self {
            Payload::Bytes(bytes) => T::decode(&bytes),
            Payload::Value(value) => match value.into_any().downcast::<T>() {
                Ok(value) => Ok(*value),
                Err(_) => Err(crate::error::Error::Bug("a payload of another type".into())),
            },
        }
    }

    /// The same payload as bytes.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Payload::Bytes(bytes) => bytes,
            Payload::Value(value) => {
                let mut out = Vec::new();
                value.encode_any(&mut out);
                out.into()
            }
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Value(_) => f.write_str("Payload::Value"),
            Payload::Bytes(b) => write!(f, "Payload::Bytes({})", b.len()),
        }
    }
}

/// The elements of a batch of rows, one type per table.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// 32 bits each that travel as they are.
    U32(Vec<u32>),
    /// 32-bit floats whose lower halves are zero: they travel as bfloat16.
    Bf16(Vec<f32>),
}

/// Some rows of one table: deltas going to a shard, or values coming from one.
///
/// Dense tables leave `columns` and `ends` empty: row `i` is `elements[i*width .. (i+1)*width]`.
/// Sparse tables have row `i` at `ends[i-1] .. ends[i]` of `columns` and `elements`, its columns
/// strictly ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct RowBatch {
    /// The table.
    pub table: TableId,
    /// Row numbers, strictly ascending.
    pub rows: Vec<u64>,
    /// Sparse only: where each row ends in `columns` and `elements`.
    pub ends: Vec<u32>,
    /// Sparse only: column numbers.
    pub columns: Vec<u32>,
    /// The elements.
    pub elements: Elements,
}

/// Most counts in [`ClockStats::staleness_counts`].
pub const STALENESS_COUNTS_MAX: usize = 1024;

/// What one worker did in one clock; summed into the record of that clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClockStats {
    /// Seconds of training since the first clock: without loading, without evaluation.
    pub seconds: f64,
    /// Of these, seconds spent waiting for rows, blocks or verdicts, in this clock alone.
    pub wait_seconds: f64,
    /// Sum over reads of the observed staleness, in clocks.
    pub staleness_sum: u64,
    /// Number of reads of shared rows.
    pub reads: u64,
    /// Largest observed staleness, in clocks.
    pub staleness_max: u64,
    /// Number of reads by observed staleness, from 0; at most [`STALENESS_COUNTS_MAX`], of which the
    /// last has all that are larger, too.
    pub staleness_counts: Vec<u64>,
}

/// Everything one rank can say to another.
#[derive(Debug)]
pub enum Message {
    /// Deltas of one rank for the shards of another. Batches are numbered from 0 per (sender,
    /// receiver); a receiver applies each number once and in order. `completes` is the newest
    /// clock that all workers of the sender have completed and all of whose changes have left with
    /// this batch and those before it (−1: none yet). Changes of later clocks may have left, too.
    Updates {
        /// This batch's number.
        number: u64,
        /// Newest clock completed by every worker of the sender, of which nothing is kept back.
        completes: Clock,
        /// The sender wants the changes of its registered rows at once, without waiting for the
        /// clock of all workers to advance.
        answer: bool,
        /// The deltas, at most one batch per table. Shared with the sender, which keeps them until
        /// they come back in `Rows::included`.
        batches: Arc<Vec<RowBatch>>,
    },
    /// The sender needs these rows, and wants to be pushed their changes from now on (under essp).
    Pull {
        /// The table.
        table: TableId,
        /// The rows, strictly ascending.
        rows: Vec<u64>,
        /// The answer must include all updates up to this clock. (Eager shards answer at once and
        /// push what is missing later.)
        stamp: Clock,
    },
    /// Fresh rows, eager or in answer to `Pull`; without rows, the acknowledgement of `Updates`.
    /// Numbered from 0 per (sender, receiver).
    Rows {
        /// This push's number.
        number: u64,
        /// Pushes `covers .. number`, if they have not arrived, need not arrive any more
        /// (`number` itself: there are none such).
        covers: u64,
        /// These rows include all updates of all workers up to this clock.
        stamp: Clock,
        /// The stamp holds for *every* row that the receiver holds from this sender, pushed here or
        /// not, once pushes `0 ..= number` are applied (eager pushes).
        complete: bool,
        /// The receiver's own update batches `0 .. included` are in these rows (under bsp: have
        /// arrived, and are in the rows once the stamp says so).
        included: u64,
        /// The rows' values, at most one batch per table.
        batches: Vec<RowBatch>,
    },
    /// Pushes from `number` on have not arrived: if there are any, send all registered rows afresh.
    Refresh {
        /// The first push that is missing.
        number: u64,
    },
    /// An exclusive block moves to the worker that uses it next.
    Block {
        /// The table.
        table: TableId,
        /// The block.
        block: u32,
        /// How often the block has been used: the turn for which it is now ready.
        turn: u64,
        /// The worker it goes to.
        worker: WorkerId,
        /// The block itself.
        payload: Payload,
    },
    /// The block of that turn has arrived; the sender may forget it.
    BlockArrived {
        /// The table.
        table: TableId,
        /// The block.
        block: u32,
        /// The turn of the `Block` message.
        turn: u64,
    },
    /// A worker has completed `clock`; sent to rank 0.
    Report {
        /// Who.
        worker: WorkerId,
        /// The completed clock.
        clock: Clock,
        /// What the system did. Boxed: every message would be as long as the longest.
        stats: Box<ClockStats>,
        /// Bytes this rank had sent and received when the clock completed.
        bytes: [u64; 2],
        /// The worker's part of the objective and of `pull`, when this clock has one.
        partial: Option<Payload>,
        /// The worker ends here.
        ended: bool,
    },
    /// Rank 0 has folded the partial results of `clock`; sent to every rank.
    Verdict {
        /// The folded clock.
        clock: Clock,
        /// Workers stop after completing this clock (`Clock::MAX`: go on).
        last: Clock,
        /// What `pull` made of the partial results.
        update: Option<Bytes>,
    },
    /// A rank's part of the gather numbered `number`; sent to rank 0.
    Gather {
        /// Gathers are numbered from 0 in program order.
        number: u64,
        /// This rank's bytes.
        payload: Bytes,
    },
    /// All ranks' parts of a gather, in rank order; sent by rank 0.
    Gathered {
        /// The gather's number.
        number: u64,
        /// One entry per rank.
        payloads: Vec<Bytes>,
    },
    /// The sender's part of the checkpoint after `clock` is on disk; sent to rank 0.
    Checkpointed {
        /// The checkpoint's clock.
        clock: Clock,
    },
    /// A user asked the sender to stop (SIGINT 2, SIGTERM 15); rank 0 decides when.
    Interrupt {
        /// The signal's number.
        signal: u8,
    },
    /// The sender fails; every rank ends with this status.
    Abort {
        /// Exit status of the root cause.
        status: u8,
        /// Its line.
        message: String,
    },
    /// The sender has nothing more to say; a closed connection is then no loss.
    Goodbye,
}
