//! Where the threads of one rank wait for each other: verdicts, gathers, failures, and the news that
//! something in the parameter server changed.
//!
//! Waiting never polls. A waiter notes the board's generation, looks whether what it needs is there,
//! and sleeps until the generation moves on; whoever changes anything moves it on afterwards. A
//! change between the look and the sleep is therefore never missed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::ps::sync::{AtomicU64, Condvar, Mutex, MutexGuard};
use crate::wire::message::{Clock, Rank};

/// What rank 0 decided after a clock.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// Workers stop after completing this clock; `Clock::MAX` while the run goes on.
    pub(super) last: Clock,
    /// What the program's `pull` made of the clock.
    pub(super) update: Option<Bytes>,
}

struct State {
    failure: Option<Error>,
    /// Verdicts, each with the number of workers here that have not taken it yet.
    verdicts: BTreeMap<Clock, (usize, Verdict)>,
    /// The earliest stop that any verdict so far demands.
    last: Clock,
    /// Parts of gathers on rank 0, by number; one slot per rank.
    parts: BTreeMap<u64, Vec<Option<Bytes>>>,
    /// Complete gathers as rank 0 sent them to everyone.
    gathered: BTreeMap<u64, Vec<Bytes>>,
}

impl State {
    fn take_verdict(&mut self, clock: Clock) -> Option<Verdict> {
        let (left, verdict) = self.verdicts.get_mut(&clock)?;
        *left -= 1;
        if *left > 0 {
            return Some(verdict.clone());
        }
        self.verdicts.remove(&clock).map(|(_, verdict)| verdict)
    }
}

/// The board of one rank.
pub(super) struct Board {
    ranks: usize,
    /// Workers on this rank: each takes each verdict once.
    workers: usize,
    generation: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Board {
    pub(super) fn new(ranks: u32, workers: usize) -> Board {
        Board {
            ranks: ranks as usize,
            workers,
            generation: AtomicU64::new(0),
            state: Mutex::new(State {
                failure: None,
                verdicts: BTreeMap::new(),
                last: Clock::MAX,
                parts: BTreeMap::new(),
                gathered: BTreeMap::new(),
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not hide the failure it is about to report.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn changed(&self, state: MutexGuard<'_, State>) {
        self.generation.fetch_add(1, Ordering::Release);
        drop(state);
        self.changed.notify_all();
    }

    /// Something outside the board changed: rows or blocks arrived, a clock advanced.
    pub(super) fn notify(&self) {
        let state = self.lock();
        self.changed(state);
    }

    /// Ends every wait with `error`. The first failure stays: it is the root cause.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.failure.get_or_insert(error);
        self.changed(state);
    }

    /// The failure, if there is one.
    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// Waits until `look` finds something. `overdue` is called whenever `patience` passes without it.
    pub(super) fn wait<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
        mut overdue: impl FnMut(),
    ) -> Result<T> {
        loop {
            let seen = self.generation.load(Ordering::Acquire);
            if let Some(found) = look()? {
                return Ok(found);
            }
            let mut state = self.lock();
            let mut late = false;
            while self.generation.load(Ordering::Acquire) == seen
                && state.failure.is_none()
                && !late
            {
                let (next, timeout) = self
                    .changed
                    .wait_timeout(state, patience)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                state = next;
                late = timeout.timed_out();
            }
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            drop(state);
            if late {
                overdue();
            }
        }
    }

    /// Waits for something that only the board itself can bring.
    fn wait_state<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> Result<T> {
        self.wait(
            Duration::from_secs(3600),
            || Ok(look(&mut self.lock())),
            || (),
        )
    }

    /// Rank 0's decision on `clock` is known.
    pub(super) fn post_verdict(&self, clock: Clock, verdict: Verdict) {
        let mut state = self.lock();
        state.last = state.last.min(verdict.last);
        state.verdicts.insert(clock, (self.workers, verdict));
        self.changed(state);
    }

    /// The verdict on `clock`, waiting for it. Each worker takes each verdict once; then it is
    /// forgotten.
    pub(super) fn take_verdict(&self, clock: Clock) -> Result<Verdict> {
        self.wait_state(|state| state.take_verdict(clock))
    }

    /// The verdict on `clock`, if it is there; see [`Board::take_verdict`].
    pub(super) fn try_take_verdict(&self, clock: Clock) -> Option<Verdict> {
        self.lock().take_verdict(clock)
    }

    /// The earliest stop that any verdict so far demands.
    pub(super) fn last(&self) -> Clock {
        self.lock().last
    }

    /// Rank 0: one rank's part of a gather has arrived.
    pub(super) fn post_part(&self, number: u64, rank: Rank, part: Bytes) {
        let mut state = self.lock();
        let parts = state
            .parts
            .entry(number)
            .or_insert_with(|| vec![None; self.ranks]);
        if let Some(slot) = parts.get_mut(rank as usize) {
            *slot = Some(part);
        }
        self.changed(state);
    }

    /// Rank 0: all parts of a gather, in rank order, waiting for them.
    pub(super) fn parts(&self, number: u64) -> Result<Vec<Bytes>> {
        self.wait_state(|state| {
            let complete = state
                .parts
                .get(&number)
                .is_some_and(|parts| parts.iter().all(Option::is_some));
            let parts = if complete {
                state.parts.remove(&number)
            } else {
                None
            };
            parts.map(|parts| parts.into_iter().flatten().collect())
        })
    }

    /// Other ranks: a complete gather has arrived.
    pub(super) fn post_gathered(&self, number: u64, parts: Vec<Bytes>) {
        let mut state = self.lock();
        state.gathered.insert(number, parts);
        self.changed(state);
    }

    /// Other ranks: the complete gather, waiting for it.
    pub(super) fn gathered(&self, number: u64) -> Result<Vec<Bytes>> {
        self.wait_state(|state| state.gathered.remove(&number))
    }
}
