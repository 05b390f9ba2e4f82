//! Rank 0's second task: fold what the workers report, write records, decide when to stop.
//!
//! It runs beside the workers, so an objective costs them nothing: they hand in their share of a
//! clock and go on as far as the staleness bound lets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;

use crate::error::{Error, Result};
use crate::report::{Record, Recorder};
use crate::snapshot::checkpoint::Elapsed;
use crate::wire::message::{Clock, ClockStats, Message, Payload, Portable, Rank, WorkerId};

use super::board::Verdict;
use super::program::{Objective, Program};
use super::rank::Session;

/// What the coordinator hears.
pub(super) enum Input {
    /// A worker has completed a clock.
    Report(Report),
    /// A user asks for the end.
    Interrupt(u8),
    /// A rank's part of a checkpoint is on disk.
    Checkpointed { rank: Rank, clock: Clock },
    /// The run has failed; the board knows how.
    Failed,
}

/// One worker's account of one clock.
pub(super) struct Report {
    pub(super) worker: WorkerId,
    pub(super) clock: Clock,
    pub(super) stats: Box<ClockStats>,
    pub(super) bytes: [u64; 2],
    pub(super) partial: Option<Payload>,
    pub(super) ended: bool,
}

impl Report {
    pub(super) fn into_message(self) -> Message {
        let Report {
            worker,
            clock,
            stats,
            bytes,
            partial,
            ended,
        } = self;
        Message::Report {
            worker,
            clock,
            stats,
            bytes,
            partial,
            ended,
        }
    }

    pub(super) fn from_message(message: Message) -> Result<Report> {
        match message {
            Message::Report {
                worker,
                clock,
                stats,
                bytes,
                partial,
                ended,
            } => Ok(Report {
                worker,
                clock,
                stats,
                bytes,
                partial,
                ended,
            }),
            other => Err(Error::Bug(format!("{other:?} is no report"))),
        }
    }
}

/// Why a run ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All clocks done, or converged, or out of time.
    Done,
    /// The user asked for it.
    Interrupted(u8),
}

/// Sums over the clocks since the last record.
#[derive(Default)]
struct Interval {
    staleness_sum: u64,
    reads: u64,
    staleness_max: u64,
    staleness_counts: Vec<u64>,
}

/// A checkpoint that is due, or may be if its clock turns out to be the last.
#[derive(Default)]
struct Progress {
    /// The ranks whose parts are on disk.
    written: BTreeSet<Rank>,
    /// Once the clock is folded: the times and the number of records until then. The workers may be
    /// further by the time the last part is there.
    folded: Option<(Elapsed, usize)>,
}

/// Folds, records and decides; see the module.
pub(super) struct Coordinator<'a, P: Program> {
    session: &'a Session<'a, P>,
    recorder: &'a mut Recorder,
    pending: BTreeMap<Clock, Vec<Option<Report>>>,
    finals: Vec<Option<Report>>,
    checkpoints: BTreeMap<Clock, Progress>,
    interval: Interval,
    previous: Option<Objective>,
    /// Times until the clock folded last.
    elapsed: Elapsed,
    recorded: Option<Clock>,
    /// The clock to be folded next; every worker reports its clocks in order.
    next: Clock,
    last: Clock,
    ending: Ending,
    last_checkpoint: Option<Clock>,
}

impl<'a, P: Program> Coordinator<'a, P> {
    pub(super) fn new(session: &'a Session<'a, P>, recorder: &'a mut Recorder) -> Self {
        let Session {
            link,
            plan,
            resumed,
            ..
        } = session;
        let workers = link.world.workers() as usize;
        Coordinator {
            session,
            recorder,
            pending: BTreeMap::new(),
            finals: (0..workers).map(|_| None).collect(),
            checkpoints: BTreeMap::new(),
            interval: Interval::default(),
            previous: None,
            elapsed: resumed.elapsed,
            recorded: None,
            next: plan.from,
            last: plan.clocks.map_or(Clock::MAX, |clocks| clocks - 1),
            ending: Ending::Done,
            last_checkpoint: None,
        }
    }

    /// Listens until every worker has ended.
    pub(super) fn run(&mut self, inputs: &Receiver<Input>) -> Result<Ending> {
        let mut running = self.finals.len();
        while running > 0 {
            match inputs.recv() {
                Ok(Input::Report(report)) if report.ended => {
                    running -= 1;
                    let worker = report.worker as usize;
                    self.finals[worker] = Some(report);
                }
                Ok(Input::Report(report)) => self.take(report)?,
                Ok(Input::Interrupt(signal)) => self.interrupted(signal),
                Ok(Input::Checkpointed { rank, clock }) => self.checkpointed(rank, clock)?,
                Ok(Input::Failed) | Err(_) => return Err(self.failure()),
            }
        }
        // Every rank told of its last checkpoint before its workers told of their end. What is still
        // incomplete is of workers that ended after different clocks: there is no such checkpoint.
        self.record_scattered_end()?;
        Ok(self.ending)
    }

    fn failure(&self) -> Error {
        self.session
            .link
            .board
            .failure()
            .unwrap_or_else(|| Error::Bug("the workers vanished".into()))
    }

    fn take(&mut self, report: Report) -> Result<()> {
        let workers = self.session.link.world.workers() as usize;
        let (clock, worker) = (report.clock, report.worker as usize);
        let reports = self
            .pending
            .entry(clock)
            .or_insert_with(|| (0..workers).map(|_| None).collect());
        reports[worker] = Some(report);
        if reports.iter().all(Option::is_some) {
            let reports = self.pending.remove(&clock).unwrap_or_default();
            self.fold(clock, reports.into_iter().flatten().collect())?;
        }
        Ok(())
    }

    fn fold(&mut self, clock: Clock, mut reports: Vec<Report>) -> Result<()> {
        let partials = take_partials::<P>(&mut reports)?;
        self.account(&reports);
        let mut update = None;
        if let Some(partials) = partials {
            if self.session.plan.evaluates(clock) || clock == self.last {
                let objective = self.session.program.objective(&partials)?;
                self.record(clock, &objective, &reports)?;
            }
            update = self
                .session
                .program
                .pull(clock, &partials)?
                .map(|update| encode(&update));
        }
        if self
            .session
            .settings
            .time_limit
            .is_some_and(|limit| self.elapsed.seconds >= limit)
        {
            self.stop(clock);
        }
        let verdict = Verdict {
            last: self.last,
            update,
        };
        self.session.link.broadcast(|| Message::Verdict {
            clock,
            last: verdict.last,
            update: verdict.update.clone(),
        });
        self.session.link.board.post_verdict(clock, verdict);
        self.next = clock + 1;
        if self.session.checkpoints.is_some() {
            let folded = Some((self.elapsed, self.recorder.records().len()));
            self.progress_of(clock).folded = folded;
            self.complete_checkpoint(clock)?;
        }
        let value = self.previous.as_ref().map(|objective| objective.value);
        self.session
            .notes
            .progress(clock + 1, self.session.plan.clocks, value);
        Ok(())
    }

    fn account(&mut self, reports: &[Report]) {
        let mut waited = 0.0;
        let mut seconds = 0.0f64;
        for Report { stats, .. } in reports {
            seconds = seconds.max(stats.seconds);
            waited += stats.wait_seconds;
            self.interval.staleness_sum += stats.staleness_sum;
            self.interval.reads += stats.reads;
            self.interval.staleness_max = self.interval.staleness_max.max(stats.staleness_max);
            add_counts(&mut self.interval.staleness_counts, &stats.staleness_counts);
        }
        let Elapsed {
            seconds: s,
            wait_seconds: w,
        } = self.session.resumed.elapsed;
        let wait_seconds = w + waited / reports.len().max(1) as f64;
        self.elapsed = Elapsed {
            seconds: s + seconds,
            wait_seconds,
        };
    }

    fn record(&mut self, clock: Clock, objective: &Objective, reports: &[Report]) -> Result<()> {
        let [sent, received] = self.bytes(reports);
        let interval = std::mem::take(&mut self.interval);
        let record = Record {
            clock: (clock + 1) as u64,
            seconds: self.elapsed.seconds,
            objective: objective.value,
            columns: objective.columns.clone(),
            wait_seconds: self.elapsed.wait_seconds,
            bytes_sent: sent,
            bytes_received: received,
            staleness_mean: interval.staleness_sum as f64 / interval.reads.max(1) as f64,
            staleness_max: interval.staleness_max,
            staleness_counts: interval.staleness_counts,
        };
        self.recorded = Some(clock);
        if !self.recorder.record(&record)? {
            // Nobody reads any more: end as if all were done.
            self.stop(clock);
        }
        self.check_finite(clock, objective.value)?;
        if self.reached(objective) {
            self.stop(clock);
        }
        self.previous = Some(objective.clone());
        Ok(())
    }

    fn bytes(&self, reports: &[Report]) -> [u64; 2] {
        let mut total = [0; 2];
        for rank in 0..self.session.link.world.ranks() {
            let local = self.session.link.world.local(rank);
            let of_rank = reports
                .iter()
                .filter(|report| local.contains(&report.worker));
            let newest = of_rank.map(|report| report.bytes).max().unwrap_or_default();
            total = [total[0] + newest[0], total[1] + newest[1]];
        }
        if let Some(last) = self.session.resumed.records.last() {
            total = [total[0] + last.bytes_sent, total[1] + last.bytes_received];
        }
        total
    }

    fn check_finite(&self, clock: Clock, value: f64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let remedy = match (&self.session.settings.checkpoint, self.last_checkpoint) {
            (Some(folder), Some(good)) => {
                format!(
                    "; the last good checkpoint is clock {} in {}",
                    good + 1,
                    folder.display()
                )
            }
            _ => String::new(),
        };
        Err(Error::Diverged(format!(
            "diverged: the objective is {value} after clock {}{remedy}; try {}",
            clock + 1,
            self.session.program.remedy()
        )))
    }

    fn reached(&self, now: &Objective) -> bool {
        let good_enough = self.session.settings.target.is_some_and(|target| {
            if self.session.program.maximises() {
                now.value >= target
            } else {
                now.value <= target
            }
        });
        let settled = match (self.session.settings.tolerance, &self.previous) {
            (Some(tolerance), Some(before)) if tolerance > 0.0 => {
                self.session.program.settled(before, now, tolerance)
            }
            _ => false,
        };
        good_enough || settled
    }

    fn stop(&mut self, clock: Clock) {
        self.last = self.last.min(self.session.plan.last_after(clock));
    }

    fn interrupted(&mut self, signal: u8) {
        if self.ending == Ending::Done {
            self.ending = Ending::Interrupted(signal);
            self.session
                .notes
                .note("interrupted: finishing the clock, then saving; once more ends at once");
            self.stop(self.next);
        }
    }

    /// Workers that never waited for a verdict ended after different clocks: one last record.
    fn record_scattered_end(&mut self) -> Result<()> {
        let mut reports: Vec<Report> = self.finals.iter_mut().filter_map(Option::take).collect();
        let Some(clock) = reports.iter().map(|report| report.clock).max() else {
            return Ok(());
        };
        if self.recorded.is_some_and(|recorded| recorded >= clock) {
            return Ok(());
        }
        if let Some(partials) = take_partials::<P>(&mut reports)? {
            self.account(&reports);
            let objective = self.session.program.objective(&partials)?;
            self.record(clock, &objective, &reports)?;
        }
        Ok(())
    }

    fn progress_of(&mut self, clock: Clock) -> &mut Progress {
        self.checkpoints.entry(clock).or_default()
    }

    fn checkpointed(&mut self, rank: Rank, clock: Clock) -> Result<()> {
        self.progress_of(clock).written.insert(rank);
        self.complete_checkpoint(clock)
    }

    /// Completes the checkpoint after `clock` if nothing of it is missing any more.
    fn complete_checkpoint(&mut self, clock: Clock) -> Result<()> {
        let ranks = self.session.link.world.ranks() as usize;
        let (Some(progress), Some(checkpoints)) =
            (self.checkpoints.get(&clock), &self.session.checkpoints)
        else {
            return Ok(());
        };
        let Some((elapsed, records)) = progress.folded else {
            return Ok(());
        };
        if progress.written.len() < ranks {
            return Ok(());
        }
        let records = &self.recorder.records()[..records];
        checkpoints.complete(clock, elapsed, records)?;
        self.checkpoints = self.checkpoints.split_off(&(clock + 1));
        self.last_checkpoint = Some(clock);
        Ok(())
    }
}

/// `to[i] += from[i]`; what is not there is 0.
fn add_counts(to: &mut Vec<u64>, from: &[u64]) {
    if to.len() < from.len() {
        to.resize(from.len(), 0);
    }
    to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
}

fn encode<T: Portable>(value: &T) -> bytes::Bytes {
    let mut out = Vec::new();
    value.encode(&mut out);
    out.into()
}

/// The partial results of all workers, in worker order, or None if the clock has none.
fn take_partials<P: Program>(reports: &mut [Report]) -> Result<Option<Vec<P::Partial>>> {
    if reports.iter().any(|report| report.partial.is_none()) {
        return Ok(None);
    }
    let payloads = reports
        .iter_mut()
        .filter_map(|report| report.partial.take());
    payloads
        .map(Payload::take)
        .collect::<Result<Vec<_>>>()
        .map(Some)
}
