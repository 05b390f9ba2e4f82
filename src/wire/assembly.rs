//! Messages out of frames: unpacks rows of small messages, puts fragments together.

use bytes::Bytes;
use zerocopy::FromBytes;

use super::Malformed;
use super::codec::{self, Kind};
use super::frame::{Frame, ITEM_BYTES, ItemHeader};
use super::message::Message;
use super::varint::Reader;
use crate::math::pages;

/// How much memory the first fragment of a message may reserve on the word of its header. It becomes
/// resident as bytes arrive; growing later would take the large pages apart.
const TRUSTED_BYTES: u64 = 1 << 30;

/// The receiving half of one connection, above its frames.
///
/// At most one message of each kind is being put together at any time: the sender finishes one
/// before it begins the next of that kind.
#[derive(Debug, Default)]
pub struct Assembler {
    /// By message kind: the bytes so far, and how many there will be.
    partial: [Option<(Vec<u8>, u64)>; Kind::COUNT],
    /// A message in one piece.
    whole: Option<(Kind, Bytes)>,
    /// A row of small messages, and how far it has been read.
    row: Bytes,
    read: usize,
}

impl Assembler {
    /// Takes a frame in; call [`Assembler::next`] until it returns `None` before the next one.
    pub fn push(&mut self, frame: Frame) -> Result<(), Malformed> {
        debug_assert!(self.whole.is_none() && self.read == self.row.len());
        match frame {
            Frame::Messages(row) => {
                self.row = row;
                self.read = 0;
                Ok(())
            }
            Frame::Fragment { kind, total, body } => self.fragment(kind, total, body),
            Frame::Goodbye => {
                self.whole = Some((Kind::Goodbye, Bytes::new()));
                Ok(())
            }
            Frame::Heartbeat | Frame::Farewell => Ok(()),
        }
    }

    /// The next message of the frames so far.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "frames may bring more after `None`"
    )]
    pub fn next(&mut self) -> Result<Option<Message>, Malformed> {
        if let Some((kind, body)) = self.whole.take() {
            return codec::decode(kind, &mut Reader::shared(&body, &body)).map(Some);
        }
        let rest = &self.row[self.read..];
        if rest.is_empty() {
            self.row = Bytes::new();
            self.read = 0;
            return Ok(None);
        }
        let (header, rest) = ItemHeader::read_from_prefix(rest)
            .map_err(|_| Malformed("a message header that is cut"))?;
        let length = header.length.get() as usize;
        let body = rest
            .get(..length)
            .ok_or(Malformed("a message longer than its frame"))?;
        let kind = Kind::from_byte(header.kind)?;
        let message = codec::decode(kind, &mut Reader::shared(&self.row, body))?;
        self.read += ITEM_BYTES + length;
        Ok(Some(message))
    }

    fn fragment(&mut self, kind: Kind, total: u64, body: Bytes) -> Result<(), Malformed> {
        let partial = &mut self.partial[kind.index()];
        if partial.is_none() && body.len() as u64 == total {
            self.whole = Some((kind, body));
            return Ok(());
        }
        let (bytes, expected) = partial.get_or_insert_with(|| {
            let mut bytes = Vec::with_capacity(total.min(TRUSTED_BYTES) as usize);
            pages::prefer_large(bytes.spare_capacity_mut());
            (bytes, total)
        });
        if *expected != total || bytes.len() as u64 + body.len() as u64 > total {
            return Err(Malformed("a fragment that does not fit its message"));
        }
        if bytes.capacity() - bytes.len() < body.len() {
            // Doubling, but never past the end: memory follows what has arrived.
            let goal = total
                .min(2 * bytes.capacity() as u64)
                .max(bytes.len() as u64);
            let goal = (goal as usize).max(bytes.len() + body.len());
            bytes.reserve_exact(goal - bytes.len());
            pages::prefer_large(bytes.spare_capacity_mut());
        }
        bytes.extend_from_slice(&body);
        if bytes.len() as u64 == total {
            let bytes = partial.take().map(|(bytes, _)| bytes).unwrap_or_default();
            self.whole = Some((kind, bytes.into()));
        }
        Ok(())
    }
}
