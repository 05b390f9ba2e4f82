//! Training time of one worker: what counts, what does not.

use std::time::{Duration, Instant};

/// Counts the seconds that a worker trains. Loading comes before it starts; evaluation and
/// checkpoints are taken out; waiting counts, and is also counted apart.
pub(super) struct Stopwatch {
    started: Instant,
    excluded: Duration,
    waited: Duration,
}

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch {
            started: Instant::now(),
            excluded: Duration::ZERO,
            waited: Duration::ZERO,
        }
    }

    /// Takes time out that was measured elsewhere.
    pub(super) fn add_excluded(&mut self, time: Duration) {
        self.excluded += time;
    }

    /// Counts `time` as waiting.
    pub(super) fn add_waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// What was counted as waiting.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// Forgets what was counted as waiting since it was `waited`.
    pub(super) fn set_waited(&mut self, waited: Duration) {
        self.waited = waited;
    }

    /// Seconds of training since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.started
            .elapsed()
            .saturating_sub(self.excluded)
            .as_secs_f64()
    }

    /// Seconds of waiting since the start.
    pub(super) fn wait_seconds(&self) -> f64 {
        self.waited.as_secs_f64()
    }
}
