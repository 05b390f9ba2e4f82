//! The recipes. None knows another; none sees a frame, a socket or a thread.

pub mod lda;
