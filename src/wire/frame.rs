//! Frames: the unit of the wire, at most [`FRAME_BYTES_MAX`] long, each with a length and a CRC.
//!
//! ```text
//! offset 0        4          8      9         10              18
//!        length   checksum   kind   message   total           body: `length` bytes
//! ```
//!
//! A frame of kind [`FrameKind::Messages`] is a row of whole small messages, each with an
//! [`ItemHeader`], so that one checksum and one write serve many of them. A larger message travels
//! as one or more [`FrameKind::Fragment`]s; fragments of messages of different kinds, and small
//! messages, may lie between them, so nothing starves behind a large block.

use bytes::{Buf, Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Malformed;
use super::codec::Kind;

/// The longest body of a frame, in bytes.
pub const BODY_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = size_of::<Header>();
/// The longest frame, in bytes.
pub const FRAME_BYTES_MAX: usize = HEADER_BYTES + BODY_BYTES_MAX;
/// Bytes of the header of one small message within a frame.
pub const ITEM_BYTES: usize = size_of::<ItemHeader>();
/// The longest message, in bytes. Memory for it grows only as its bytes arrive.
pub const MESSAGE_BYTES_MAX: u64 = 16 << 30;

/// A frame's header as it lies on the wire; integers are little-endian.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    /// Bytes of the body, at most [`BODY_BYTES_MAX`].
    length: U32,
    /// CRC-32 (IEEE) of the header's other fields and the body.
    checksum: U32,
    /// A [`FrameKind`].
    kind: u8,
    /// Of a fragment: the [`Kind`] of the message. Otherwise 0.
    message: u8,
    /// Of a fragment: bytes of the whole message. Otherwise 0.
    total: U64,
}

/// The header of one small message within a frame.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ItemHeader {
    /// Bytes of the message, without this header.
    pub length: U32,
    /// The message's [`Kind`].
    pub kind: u8,
    /// Always 0.
    pub reserved: [u8; 3],
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Whole small messages, one after the other.
    Messages = 1,
    /// A part of one larger message, or all of it.
    Fragment = 2,
    /// A sign of life; no body.
    Heartbeat = 3,
    /// The sender has nothing more to say; no body.
    Goodbye = 4,
    /// The sender has received everything up to the other side's `Goodbye`; no body.
    Farewell = 5,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Result<FrameKind, Malformed> {
        Ok(match byte {
            1 => FrameKind::Messages,
            2 => FrameKind::Fragment,
            3 => FrameKind::Heartbeat,
            4 => FrameKind::Goodbye,
            5 => FrameKind::Farewell,
            _ => return Err(Malformed("a frame of unknown kind")),
        })
    }
}

/// A frame whose length and checksum were right.
#[derive(Debug, Clone)]
pub enum Frame {
    /// The body of [`FrameKind::Messages`].
    Messages(Bytes),
    /// A part of a message of kind `kind` and `total` bytes.
    Fragment {
        /// The message's kind.
        kind: Kind,
        /// Bytes of the whole message, at most [`MESSAGE_BYTES_MAX`].
        total: u64,
        /// This part's bytes.
        body: Bytes,
    },
    /// See [`FrameKind::Heartbeat`].
    Heartbeat,
    /// See [`FrameKind::Goodbye`].
    Goodbye,
    /// See [`FrameKind::Farewell`].
    Farewell,
}

/// Takes the first frame off `buffer`, if all its bytes are there; its body is not copied.
///
/// An error means that the stream cannot be trusted any further. It is found as soon as the header
/// is there, before room is made for a body.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some((header, kind)) = peek(buffer)? else {
        return Ok(None);
    };
    let length = header.length.get() as usize;
    if buffer.len() < HEADER_BYTES + length {
        return Ok(None);
    }
    let mut body = buffer.split_to(HEADER_BYTES + length).freeze();
    body.advance(HEADER_BYTES);
    if header.checksum != checksum(&header, [&body[..]]) {
        return Err(Malformed("a frame with a wrong checksum"));
    }
    Ok(Some(match kind {
        FrameKind::Messages => Frame::Messages(body),
        FrameKind::Fragment => fragment(&header, body)?,
        FrameKind::Heartbeat => Frame::Heartbeat,
        FrameKind::Goodbye => Frame::Goodbye,
        FrameKind::Farewell => Frame::Farewell,
    }))
}

/// How many more bytes the first frame in `buffer` needs, as far as is known: 0 once it is whole.
pub fn missing(buffer: &[u8]) -> usize {
    match peek(buffer) {
        Ok(Some((header, _))) => {
            (HEADER_BYTES + header.length.get() as usize).saturating_sub(buffer.len())
        }
        _ => HEADER_BYTES.saturating_sub(buffer.len()),
    }
}

/// The header at the start of `buffer`, if it is there, checked as far as it can be.
fn peek(buffer: &[u8]) -> Result<Option<(Header, FrameKind)>, Malformed> {
    let Ok((header, _)) = Header::read_from_prefix(buffer) else {
        return Ok(None);
    };
    let kind = FrameKind::from_byte(header.kind)?;
    if header.length.get() as usize > BODY_BYTES_MAX {
        return Err(Malformed("a frame that is longer than allowed"));
    }
    Ok(Some((header, kind)))
}

fn fragment(header: &Header, body: Bytes) -> Result<Frame, Malformed> {
    let total = header.total.get();
    if body.is_empty() || total < body.len() as u64 || total > MESSAGE_BYTES_MAX {
        return Err(Malformed("a fragment that does not fit its message"));
    }
    Ok(Frame::Fragment {
        kind: Kind::from_byte(header.message)?,
        total,
        body,
    })
}

fn checksum<'a>(header: &Header, body: impl IntoIterator<Item = &'a [u8]>) -> U32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header.length.as_bytes());
    crc.update(&[header.kind, header.message]);
    crc.update(header.total.as_bytes());
    for part in body {
        crc.update(part);
    }
    crc.finalize().into()
}

/// Fills in the header of a frame of whole messages: `frame` begins with [`HEADER_BYTES`] of any
/// value, its body follows.
pub fn seal(frame: &mut [u8]) {
    let (head, body) = frame.split_at_mut(HEADER_BYTES);
    head.copy_from_slice(&header(FrameKind::Messages, 0, 0, body.len(), [&*body]));
}

/// The header of a fragment whose body is the concatenation of `parts`, `length` bytes in all.
pub fn fragment_header<'a>(
    kind: Kind,
    total: u64,
    length: usize,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> [u8; HEADER_BYTES] {
    header(FrameKind::Fragment, kind as u8, total, length, parts)
}

/// A whole frame without a body.
pub fn bare(kind: FrameKind) -> [u8; HEADER_BYTES] {
    header(kind, 0, 0, 0, [])
}

fn header<'a>(
    kind: FrameKind,
    message: u8,
    total: u64,
    length: usize,
    body: impl IntoIterator<Item = &'a [u8]>,
) -> [u8; HEADER_BYTES] {
    debug_assert!(length <= BODY_BYTES_MAX);
    let mut header = Header {
        length: (length as u32).into(),
        checksum: 0.into(),
        kind: kind as u8,
        message,
        total: total.into(),
    };
    header.checksum = checksum(&header, body);
    let mut bytes = [0; HEADER_BYTES];
    bytes.copy_from_slice(header.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> BytesMut {
        let mut frame = vec![0; HEADER_BYTES];
        frame.extend_from_slice(body);
        seal(&mut frame);
        BytesMut::from(&frame[..])
    }

    #[test]
    fn a_frame_comes_back_however_it_is_cut() {
        let whole = frame(b"some bytes");
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::from(&whole[..cut]);
            assert!(matches!(decode(&mut buffer), Ok(None)));
            assert!(missing(&buffer) > 0 && missing(&buffer) <= whole.len() - cut);
            buffer.extend_from_slice(&whole[cut..]);
            buffer.extend_from_slice(&bare(FrameKind::Heartbeat));
            let Ok(Some(Frame::Messages(body))) = decode(&mut buffer) else {
                panic!("no frame");
            };
            assert_eq!(&body[..], b"some bytes");
            assert!(matches!(decode(&mut buffer), Ok(Some(Frame::Heartbeat))));
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_or_waits_for_more() {
        let whole = frame(b"some bytes");
        for bit in 0..whole.len() * 8 {
            let mut buffer = whole.clone();
            buffer[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&mut buffer), Ok(Some(_))), "bit {bit}");
        }
    }

    #[test]
    fn an_oversized_length_is_refused_by_the_header_alone() {
        let mut buffer = frame(b"x");
        buffer[..4].copy_from_slice(&(BODY_BYTES_MAX as u32 + 1).to_le_bytes());
        buffer.truncate(HEADER_BYTES);
        assert_eq!(
            decode(&mut buffer).unwrap_err(),
            Malformed("a frame that is longer than allowed")
        );
    }
}
