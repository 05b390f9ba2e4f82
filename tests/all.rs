//! Every integration test, one binary: one link, one run.

/// Messages reach the other ranks, and no stranger or broken peer does more harm than it must.
mod transport;
/// Messages survive the wire, nonsense does not, and the handshake tells ranks from strangers.
mod wire;
