//! Bytes on the wire, without a socket: frames, messages and the handshake, parsed from slices.

pub mod message;
