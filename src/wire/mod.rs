//! Bytes on the wire, without a socket: frames, messages and the handshake, parsed from slices.
//!
//! ```text
//! message --codec--> bytes --frame--> length, checksum, body --> the socket of transport/
//! ```
//!
//! A connection opens with the handshake of [`hello`]; everything after it is frames. All bytes may
//! come from a stranger or a broken peer: nothing here panics on them, and nothing allocates more
//! than a small multiple of the bytes that have really arrived.

pub mod assembly;
pub mod bf16;
pub mod codec;
mod elements;
pub mod frame;
pub mod hello;
pub mod message;
mod options;
pub mod queue;
mod secret;
pub mod varint;

#[cfg(not(target_endian = "little"))]
compile_error!("petuum's wire format is little-endian and is used from memory as it is");

/// Bytes that are not what they should be; says what was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl From<Malformed> for crate::error::Error {
    fn from(malformed: Malformed) -> Self {
        crate::error::Error::Other(malformed.0.into())
    }
}
