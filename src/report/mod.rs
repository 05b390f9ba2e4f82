//! Numbers out: one record per evaluated clock on stdout, progress and notes on stderr.
