//! Messages in motion between ranks; the only place that knows tokio.
