//! What one rank still has to say to another, as frames in the making.
//!
//! Small messages are written straight into the frame that leaves next, so that many of them share
//! one checksum and one write. Large ones wait in a lane per message kind and leave in fragments,
//! lanes in turn. So **messages of one kind arrive in the order in which they were sent; a message
//! may overtake a larger one of another kind.** `Abort` overtakes and discards everything;
//! `Goodbye` comes last.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::codec::{self, Encoder, Kind};
use super::frame::{self, BODY_BYTES_MAX, FrameKind, HEADER_BYTES, ITEM_BYTES, ItemHeader};
use super::message::{Message, Payload};
use zerocopy::IntoBytes;

/// Messages up to this size are copied into a shared frame; larger ones have frames of their own.
pub const SMALL_BYTES_MAX: usize = 16 * 1024;
/// Payloads from this size on are sent from where they lie.
const SHARE_BYTES_MIN: usize = 16 * 1024;
/// A shared frame is not grown past this: the first of its messages should not wait for the last.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// Buffers kept for later rows.
const SPARES_MAX: usize = 32;
/// Buffers of other sizes are not worth keeping.
const SPARE_BYTES_MIN: usize = 1024;
const SPARE_BYTES_MAX: usize = 2 * ROW_BYTES_MAX;

/// A message on its way into the queue, encoded as far as that needs no lock.
#[derive(Debug)]
pub enum Prepared {
    /// To be written into the shared frame; takes at most so many bytes.
    Small(Message, usize),
    /// Encoded.
    Large(Large),
}

/// The bytes of a message that has frames of its own.
#[derive(Debug)]
pub struct Large {
    kind: Kind,
    total: u64,
    segments: VecDeque<Bytes>,
}

impl Prepared {
    /// Encodes `message` unless it is small.
    #[inline]
    pub fn new(message: Message) -> Prepared {
        let message = with_bytes(message);
        let bytes_max = codec::bytes_max(&message);
        if bytes_max <= SMALL_BYTES_MAX {
            return Prepared::Small(message, bytes_max);
        }
        Prepared::Large(Large::new(message))
    }

    /// Bytes of the message, or an upper bound of them.
    pub fn bytes(&self) -> u64 {
        match self {
            Prepared::Small(_, bytes_max) => *bytes_max as u64,
            Prepared::Large(large) => large.total,
        }
    }
}

impl Large {
    fn new(message: Message) -> Large {
        let kind = Kind::of(&message);
        let mut encoder = Encoder::share(SHARE_BYTES_MIN);
        codec::encode(message, &mut encoder);
        let segments = VecDeque::from(encoder.into_segments());
        Large {
            kind,
            total: segments.iter().map(|s| s.len() as u64).sum(),
            segments,
        }
    }

    /// Takes a frame's worth of bytes off, at most `bytes_max`, without copying them.
    fn split(&mut self, bytes_max: usize) -> Part {
        let (mut segments, mut length) = (Vec::new(), 0);
        while let Some(segment) = self.segments.front_mut() {
            let taken = segment.split_to(segment.len().min(bytes_max - length));
            length += taken.len();
            if !taken.is_empty() {
                segments.push(taken);
            }
            if segment.has_remaining() {
                break;
            }
            self.segments.pop_front();
        }
        Part {
            kind: self.kind,
            total: self.total,
            segments,
            length,
        }
    }
}

/// The body of one fragment.
#[derive(Debug)]
struct Part {
    kind: Kind,
    total: u64,
    segments: Vec<Bytes>,
    length: usize,
}

/// What was taken out of a queue in one go, in the order in which it leaves.
#[derive(Debug, Default)]
pub struct Batch {
    /// Buffers that the queue can use again.
    spares: Vec<Vec<u8>>,
    heartbeat: bool,
    farewell: bool,
    rows: Vec<Vec<u8>>,
    parts: Vec<Part>,
    goodbye: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.parts.is_empty()
            && !(self.heartbeat || self.farewell || self.goodbye)
    }

    /// Appends the batch as finished frames; a frame may be several chunks.
    pub fn frames(&mut self, out: &mut VecDeque<Bytes>) {
        let mut bare = |due: bool, kind| {
            if due {
                out.push_back(Bytes::copy_from_slice(&frame::bare(kind)));
            }
        };
        bare(self.heartbeat, FrameKind::Heartbeat);
        bare(self.farewell, FrameKind::Farewell);
        for mut row in self.rows.drain(..) {
            frame::seal(&mut row);
            out.push_back(row.into());
        }
        for part in self.parts.drain(..) {
            let body = part.segments.iter().map(|segment| &segment[..]);
            let header = frame::fragment_header(part.kind, part.total, part.length, body);
            out.push_back(Bytes::copy_from_slice(&header));
            out.extend(part.segments);
        }
        if self.goodbye {
            out.push_back(Bytes::copy_from_slice(&frame::bare(FrameKind::Goodbye)));
        }
        (self.heartbeat, self.farewell, self.goodbye) = (false, false, false);
    }

    /// Takes back a chunk that was sent: fresh memory for each row would cost more than the rest.
    pub fn recycle(&mut self, chunk: Bytes) {
        if self.spares.len() >= SPARES_MAX || !chunk.is_unique() {
            return;
        }
        let mut spare = Vec::from(chunk);
        if (SPARE_BYTES_MIN..=SPARE_BYTES_MAX).contains(&spare.capacity()) {
            spare.clear();
            self.spares.push(spare);
        }
    }
}

/// Payloads as bytes; their values' sizes are not known before.
fn with_bytes(mut message: Message) -> Message {
    let payload = match &mut message {
        Message::Block { payload, .. } => Some(payload),
        Message::Report { partial, .. } => partial.as_mut(),
        _ => None,
    };
    if let Some(payload) = payload {
        let value = std::mem::replace(payload, Payload::Bytes(Bytes::new()));
        *payload = Payload::Bytes(value.into_bytes());
    }
    message
}

/// Everything queued for one peer.
#[derive(Debug, Default)]
pub struct Queue {
    /// Frames of small messages that are full.
    rows: VecDeque<Vec<u8>>,
    /// The frame that small messages are being written to; empty, or at least a header long.
    row: Vec<u8>,
    /// Empty buffers for rows.
    spares: Vec<Vec<u8>>,
    /// Large messages, and small ones that must not overtake them, by message kind.
    lanes: [VecDeque<Large>; Kind::COUNT],
    /// Messages in all lanes.
    waiting: usize,
    /// The lane whose turn it is.
    turn: usize,
    /// How many bytes of blocks may leave, if these are limited.
    blocks_allowed: Option<u64>,
    /// Bytes of the blocks that wait.
    blocks_waiting: u64,
    /// Frames without a body that are due.
    heartbeat: bool,
    farewell: bool,
    goodbye: bool,
    /// Nothing is queued any more.
    closed: bool,
}

impl Queue {
    /// Queues a message; returns the bytes that it takes with its frames, 0 of a block if these are
    /// limited. A closed queue forgets it.
    #[inline]
    pub fn push(&mut self, message: Prepared) -> u64 {
        if self.closed {
            return 0;
        }
        match message {
            Prepared::Small(Message::Goodbye, _) => {
                self.goodbye();
                0
            }
            Prepared::Small(message @ Message::Abort { .. }, bytes_max) => {
                self.clear();
                self.small(message, bytes_max)
            }
            Prepared::Small(message, bytes_max) => {
                let kind = Kind::of(&message);
                let limited = kind == Kind::Block && self.blocks_allowed.is_some();
                if self.lanes[kind.index()].is_empty() && !limited {
                    self.small(message, bytes_max)
                } else {
                    self.large(Large::new(message))
                }
            }
            Prepared::Large(large) => self.large(large),
        }
    }

    /// From now on blocks leave only as far as is allowed.
    pub fn limit_blocks(&mut self) {
        self.blocks_allowed = Some(0);
    }

    /// So many more `bytes` of blocks may leave, of which `burst` can be saved up for blocks to
    /// come; returns how many of them are needed.
    pub fn allow_blocks(&mut self, bytes: u64, burst: u64) -> u64 {
        let Some(allowed) = &mut self.blocks_allowed else {
            return 0;
        };
        let room = (self.blocks_waiting + burst).saturating_sub(*allowed);
        let needed = bytes.min(room);
        *allowed += needed;
        needed
    }

    /// A sign of life is due.
    pub fn heartbeat(&mut self) {
        self.heartbeat = true;
    }

    /// The other side's `Goodbye` has arrived.
    pub fn farewell(&mut self) {
        self.farewell = true;
    }

    /// `Goodbye` follows what is queued, without any limit; nothing can be queued any more.
    pub fn goodbye(&mut self) {
        self.goodbye |= !self.closed;
        self.closed = true;
        self.blocks_allowed = None;
    }

    /// Forgets what is queued, now and later.
    pub fn close(&mut self) {
        self.clear();
        self.closed = true;
        self.goodbye = false;
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.row.clear();
        self.lanes.iter_mut().for_each(VecDeque::clear);
        self.waiting = 0;
        self.blocks_waiting = 0;
    }

    #[inline]
    fn small(&mut self, message: Message, bytes_max: usize) -> u64 {
        if self.row.len() + ITEM_BYTES + bytes_max > HEADER_BYTES + ROW_BYTES_MAX {
            let next = self.spares.pop().unwrap_or_default();
            self.rows.push_back(std::mem::replace(&mut self.row, next));
        }
        let mut row = std::mem::take(&mut self.row);
        let before = row.len();
        if row.is_empty() {
            row.resize(HEADER_BYTES, 0);
        }
        let start = row.len();
        let kind = Kind::of(&message) as u8;
        row.extend_from_slice(&[0; ITEM_BYTES]);
        let mut encoder = Encoder::append(row);
        codec::encode(message, &mut encoder);
        row = encoder.into_buffer();
        let header = ItemHeader {
            length: ((row.len() - start - ITEM_BYTES) as u32).into(),
            kind,
            reserved: [0; 3],
        };
        row[start..start + ITEM_BYTES].copy_from_slice(header.as_bytes());
        let bytes = row.len() - before;
        self.row = row;
        bytes as u64
    }

    fn large(&mut self, large: Large) -> u64 {
        let frames = large.total.div_ceil(BODY_BYTES_MAX as u64);
        let mut bytes = large.total + frames * HEADER_BYTES as u64;
        if large.kind == Kind::Block {
            self.blocks_waiting += large.total;
            if self.blocks_allowed.is_some() {
                bytes = 0;
            }
        }
        self.lanes[large.kind.index()].push_back(large);
        self.waiting += 1;
        bytes
    }

    /// Moves about `bytes` of what is due into `batch`, fair between lanes. Short: the work that
    /// grows with the bytes is left to [`Batch::frames`]. False if there was nothing.
    pub fn take(&mut self, bytes: usize, batch: &mut Batch) -> bool {
        let mut taken = 0;
        if self.spares.is_empty() {
            std::mem::swap(&mut self.spares, &mut batch.spares);
        }
        batch.heartbeat = std::mem::take(&mut self.heartbeat);
        batch.farewell = std::mem::take(&mut self.farewell);
        while taken < bytes {
            let Some(row) = self.rows.pop_front() else {
                break;
            };
            taken += row.len();
            batch.rows.push(row);
        }
        if taken >= bytes {
            // Large messages may not overtake small ones of their kind.
            return true;
        }
        if !self.row.is_empty() {
            let next = self.spares.pop().unwrap_or_default();
            batch.rows.push(std::mem::replace(&mut self.row, next));
        }
        self.take_large(bytes, batch);
        batch.goodbye = self.goodbye && self.is_drained();
        self.goodbye &= !batch.goodbye;
        !batch.is_empty()
    }

    /// One fragment of each lane in turn. Small messages leave with every round, whatever waits here.
    fn take_large(&mut self, bytes: usize, batch: &mut Batch) {
        let (mut taken, mut idle) = (0, 0);
        while self.waiting > 0 && taken < bytes && idle < Kind::COUNT {
            let length = self.take_part(batch);
            taken += length;
            idle = if length == 0 { idle + 1 } else { 0 };
        }
    }

    /// A fragment of the lane whose turn it is, if something there may leave; returns its bytes.
    fn take_part(&mut self, batch: &mut Batch) -> usize {
        let block = self.turn == Kind::Block.index();
        let lane = &mut self.lanes[self.turn];
        self.turn = (self.turn + 1) % Kind::COUNT;
        let allowed = self.blocks_allowed.filter(|_| block);
        let bytes_max = allowed.map_or(BODY_BYTES_MAX, |a| a.min(BODY_BYTES_MAX as u64) as usize);
        let Some(large) = lane.front_mut().filter(|_| bytes_max > 0) else {
            return 0;
        };
        let part = large.split(bytes_max);
        let length = part.length;
        if block {
            self.blocks_waiting -= length as u64;
            self.blocks_allowed = self.blocks_allowed.map(|allowed| allowed - length as u64);
        }
        batch.parts.push(part);
        if large.segments.is_empty() {
            lane.pop_front();
            self.waiting -= 1;
        }
        length
    }

    fn is_drained(&self) -> bool {
        self.rows.is_empty() && self.row.is_empty() && self.waiting == 0
    }
}
