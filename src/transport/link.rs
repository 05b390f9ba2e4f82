//! One connection to one peer: a task that reads and writes frames, and the pulse that keeps all
//! connections alive and notices when one is not.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Mutex;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::lock;
use super::tcp::{Arrival, Shared};
use crate::wire::frame::{self, Frame};
use crate::wire::message::Rank;
use crate::wire::queue::{Batch, Prepared, Queue};

/// How much is taken out of a queue at a time, in bytes: enough to make system calls cheap, little
/// enough that a heartbeat or a small message does not wait long.
const WRITE_BYTES: usize = 1 << 20;
/// Room made for a read, at least, in bytes.
const READ_BYTES_MIN: usize = 256 * 1024;
/// Size of a buffer that is read into, in bytes.
const BUFFER_BYTES: usize = 2 << 20;
/// Such buffers per connection, besides the one that is read into.
const BUFFERS_MAX: usize = 4;
/// Chunks in one vectored write.
const SLICES_MAX: usize = 64;

/// What all threads know about one peer.
#[derive(Debug, Default)]
pub(super) struct Link {
    outgoing: Mutex<Outgoing>,
    /// Wakes the writing half.
    wake: Notify,
    /// Ends the connection from outside its task.
    cut: Notify,
    /// Some handshake has taken the peer's place.
    pub(super) claimed: AtomicBool,
    /// The peer is connected.
    pub(super) up: AtomicBool,
    /// The peer has begun its run, or ended it, while this rank still waits for others.
    pub(super) spoken: AtomicBool,
    /// The peer is lost, or has closed after its goodbye.
    pub(super) gone: AtomicBool,
    /// The peer has said goodbye.
    pub(super) goodbye: AtomicBool,
    /// The peer has everything that was sent to it, up to our goodbye.
    pub(super) farewell: AtomicBool,
    /// Heartbeats of our own since the peer was last heard. Counting in beats, not in time, means
    /// that a process that was stopped or starved does not blame the others for it.
    beats: AtomicU32,
    /// Worker threads of the peer.
    pub(super) workers: AtomicU32,
}

#[derive(Debug, Default)]
struct Outgoing {
    queue: Queue,
    /// The writing half waits to be woken.
    idle: bool,
}

impl Link {
    /// Queues a message; returns the bytes it takes.
    #[inline]
    pub(super) fn push(&self, message: Prepared) -> u64 {
        self.change(|queue| queue.push(message))
    }

    /// Changes the queue and lets the writing half know, if it sleeps.
    #[inline]
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut outgoing = lock(&self.outgoing);
        let result = change(&mut outgoing.queue);
        let wake = std::mem::take(&mut outgoing.idle);
        drop(outgoing);
        if wake {
            self.wake.notify_one();
        }
        result
    }

    /// Ends the connection.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Nothing more has to be delivered to the peer.
    pub(super) fn is_settled(&self) -> bool {
        let done = [&self.farewell, &self.gone]
            .iter()
            .any(|flag| flag.load(Acquire));
        done || !self.up.load(Acquire)
    }

    fn take(&self, batch: &mut Batch) -> bool {
        let mut outgoing = lock(&self.outgoing);
        let some = outgoing.queue.take(WRITE_BYTES, batch);
        outgoing.idle = !some;
        some
    }
}

/// Serves the connection to `rank` until it ends. `buffer` holds what came with the handshake.
pub(super) async fn serve(shared: &Shared, rank: Rank, stream: TcpStream, buffer: BytesMut) {
    let link = &shared.links[rank as usize];
    let (reading, writing) = stream.into_split();
    tokio::select! {
        reason = read(shared, rank, reading, buffer) => shared.ended(rank, reason),
        () = write(shared, link, writing) => {}
        () = link.cut.notified() => {}
    }
}

/// Reads until the connection ends or carries nonsense; returns the reason.
async fn read(
    shared: &Shared,
    rank: Rank,
    mut stream: OwnedReadHalf,
    mut buffer: BytesMut,
) -> String {
    let link = &shared.links[rank as usize];
    let mut buffers = Buffers::default();
    loop {
        loop {
            match frame::decode(&mut buffer) {
                Ok(Some(frame)) => received(shared, rank, link, frame),
                Ok(None) => break,
                Err(malformed) => return format!("sent a corrupt frame: {malformed}"),
            }
        }
        shared.room().await;
        buffers.make_room(&mut buffer);
        match stream.read_buf(&mut buffer).await {
            Ok(0) => return "closed the connection".into(),
            Ok(count) => shared.received.fetch_add(count as u64, Relaxed),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return "closed the connection".into();
            }
            Err(error) => return format!("the connection failed: {error}"),
        };
        link.beats.store(0, Relaxed);
    }
}

/// Buffers whose frames may still be in use; a buffer is used again once they are not. Fresh memory
/// for every read would cost more than the read.
#[derive(Default)]
struct Buffers {
    resting: Vec<BytesMut>,
}

impl Buffers {
    /// Makes room in `buffer` for what its first frame still needs, and for more.
    fn make_room(&mut self, buffer: &mut BytesMut) {
        let room = frame::missing(buffer).max(READ_BYTES_MIN);
        if buffer.capacity() - buffer.len() >= room || buffer.try_reclaim(room) {
            return;
        }
        let needed = buffer.len() + room;
        let free = self
            .resting
            .iter_mut()
            .position(|resting| resting.try_reclaim(needed));
        let mut next = match free {
            Some(free) => self.resting.swap_remove(free),
            None => BytesMut::with_capacity(needed.max(BUFFER_BYTES)),
        };
        next.extend_from_slice(buffer);
        let mut used = std::mem::replace(buffer, next);
        used.clear();
        if self.resting.len() < BUFFERS_MAX {
            self.resting.push(used);
        }
    }
}

fn received(shared: &Shared, rank: Rank, link: &Link, frame: Frame) {
    match frame {
        Frame::Heartbeat => {}
        Frame::Farewell => {
            link.farewell.store(true, Release);
            shared.settled.notify_one();
        }
        Frame::Goodbye => {
            link.goodbye.store(true, Release);
            link.spoken.store(true, Release);
            link.change(Queue::farewell);
            shared.arrived(Arrival::Frame(rank, Frame::Goodbye));
        }
        frame => shared.frame(rank, frame),
    }
}

/// Writes what is queued until the connection fails; then leaves the last word to the reading half,
/// which may still find out why.
async fn write(shared: &Shared, link: &Link, mut stream: OwnedWriteHalf) {
    let mut batch = Batch::default();
    let mut chunks = VecDeque::new();
    loop {
        if !link.take(&mut batch) {
            link.wake.notified().await;
            continue;
        }
        batch.frames(&mut chunks);
        let written = write_all(shared, &mut stream, &mut chunks, &mut batch).await;
        if written.is_err() {
            link.change(Queue::close);
            return std::future::pending().await;
        }
    }
}

async fn write_all(
    shared: &Shared,
    stream: &mut OwnedWriteHalf,
    chunks: &mut VecDeque<Bytes>,
    batch: &mut Batch,
) -> io::Result<()> {
    while !chunks.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&*chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let written = stream.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        shared.sent.fetch_add(written as u64, Relaxed);
        consume(chunks, written, batch);
    }
    Ok(())
}

/// Drops the first `count` bytes.
fn consume(chunks: &mut VecDeque<Bytes>, mut count: usize, batch: &mut Batch) {
    while let Some(mut chunk) = chunks.pop_front() {
        let taken = count.min(chunk.len());
        chunk.advance(taken);
        count -= taken;
        if !chunk.is_empty() {
            chunks.push_front(chunk);
            return;
        }
        batch.recycle(chunk);
    }
}

/// Says "alive" to every peer once a heartbeat, and gives up the peers that do not.
pub(super) async fn pulse(shared: &Shared) {
    let timing = &shared.timing;
    let beats_max = timing.silence.div_duration_f64(timing.heartbeat).ceil() as u32;
    let mut beat = interval(timing.heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let hears = shared.hears();
        for (rank, link) in (0..).zip(&shared.links) {
            if !link.up.load(Acquire) || link.gone.load(Acquire) {
                continue;
            }
            link.change(Queue::heartbeat);
            let silent = link.beats.fetch_add(1, AcqRel) >= beats_max;
            if !hears {
                link.beats.store(0, Release);
            } else if silent && !link.goodbye.load(Acquire) {
                shared.lose(
                    rank,
                    format!("silent for {} s", timing.silence.as_secs_f64()),
                );
            }
        }
    }
}
