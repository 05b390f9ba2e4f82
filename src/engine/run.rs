//! The life of a process: connect, run its rank, watch for signals, end with one result.
//!
//! The run has its own thread, and this one only watches. So a rank that is deep in a long
//! computation when its peer dies still ends in time: the watcher returns, and with it the process.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::report::{Notes, Record, Recorder};
use crate::transport::Transport;

use super::connect::{self, Connection};
use super::control::Control;
use super::interrupt::Interrupt;
use super::link::Link;
use super::program::Program;
use super::rank::Rank;
use super::settings::Settings;

/// How often the watcher looks for signals.
const WATCH: Duration = Duration::from_millis(50);
/// How long a rank that is interrupted while it looks for the others may take to tell them.
const LEAVING: Duration = Duration::from_millis(800);
/// How long a rank goes on that should have heard of a failed run from the others.
const HEARSAY: Duration = Duration::from_secs(1);
/// How long a failed run may take to end by itself.
const GRACE: Duration = Duration::from_millis(2500);

/// Where a run writes.
pub struct Io {
    /// Records, and nothing else.
    pub stdout: Box<dyn Write + Send>,
    /// Notes and progress for people.
    pub notes: Notes,
}

/// Runs `program` as this process's rank, alone or with others.
pub fn run<P: Program>(program: P, settings: Settings, io: Io) -> Result<()> {
    let interrupt = Interrupt::install()?;
    let Io { mut stdout, notes } = io;
    let control = Control::of_launched_rank()?;
    let (shared, training) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::new(false)));
    let (done, outcome) = channel();
    let (for_run, for_control) = (
        (Arc::clone(&shared), Arc::clone(&training)),
        control.clone(),
    );
    let (rank, flag) = (settings.rank, interrupt.flag());
    thread::spawn(move || {
        let (shared, training) = for_run;
        let result = connect::connect(&settings, for_control.as_ref(), &mut stdout, &notes, flag)
            .and_then(|connection| {
                let recorder = Recorder::new(settings.records, &program.columns(), stdout);
                run_connected(
                    program, &settings, &notes, connection, recorder, &shared, &training,
                )
            })
            .map(drop);
        // The watcher may have given up on this thread.
        drop(done.send(result));
    });
    let result = watch(&outcome, &shared, &interrupt, control.as_ref(), &training);
    result.map_err(|error| match (&control, &error) {
        // On one terminal one line is enough: another rank has told it, or rank 0 tells it.
        // Interrupts reach all of them; rank 0 tells it, wherever it came first.
        (Some(_), _) if error.status() > 128 && rank == Some(0) => error,
        (Some(_), Error::Remote { .. } | Error::Interrupted { .. }) => told(error.status()),
        _ => error,
    })
}

/// An error that the user knows of already.
fn told(status: u8) -> Error {
    Error::Remote {
        status,
        message: String::new(),
    }
}

fn run_connected<P: Program>(
    program: P,
    settings: &Settings,
    notes: &Notes,
    connection: Connection,
    recorder: Recorder,
    shared: &OnceLock<Arc<Link>>,
    training: &AtomicBool,
) -> Result<Recorder> {
    let Connection {
        rank,
        world,
        transport,
        names,
    } = connection;
    let (sender, inputs) = channel();
    let (coordinator, inputs) = if rank == 0 {
        (Some(sender), Some(inputs))
    } else {
        (None, None)
    };
    let link = Arc::new(Link::new(rank, world, transport, coordinator, names));
    let link = shared.get_or_init(|| link);
    let recorder = (rank == 0).then_some(recorder);
    Rank {
        link,
        settings,
        notes,
        inputs,
        recorder,
        training,
    }
    .run(program)
}

/// Waits for the run's result; passes signals on; gives up on a failed run that does not end.
fn watch(
    outcome: &Receiver<Result<()>>,
    shared: &OnceLock<Arc<Link>>,
    interrupt: &Interrupt,
    control: Option<&Control>,
    training: &AtomicBool,
) -> Result<()> {
    let (mut asked, mut leaving, mut hearsay) = (false, None, None);
    let mut failed: Option<(Instant, Error)> = None;
    loop {
        match outcome.recv_timeout(WATCH) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Bug("the run ended without a result".into()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let link = shared.get();
        if let Some(signal) = control.and_then(Control::interrupt) {
            interrupt.remember(signal);
        }
        if let Some(signal) = interrupt.signal()
            && !asked
        {
            match link {
                Some(link) if training.load(Ordering::Acquire) => link.interrupt(signal),
                Some(link) => link.fail(Error::Interrupted { signal }),
                None if has_passed(&mut leaving, LEAVING) => {
                    return Err(Error::Interrupted { signal });
                }
                None => {}
            }
            asked = link.is_some();
        }
        if control.is_some_and(Control::orphaned) {
            if let Some(signal) = interrupt.signal() {
                // A second Ctrl-C, which the launcher did not survive.
                return Err(Error::Interrupted { signal });
            }
            let error = Error::PeerLost("the launching petuum is gone; the run ends".into());
            match link {
                Some(link) => link.fail(error),
                None => return Err(error),
            }
        }
        if let Some(status) = control.and_then(Control::failed) {
            match link {
                Some(link) if has_passed(&mut hearsay, HEARSAY) => link.fail(told(status)),
                Some(_) => {}
                None => return Err(told(status)),
            }
        }
        if failed.is_none() {
            failed = link
                .and_then(|link| link.board.failure())
                .map(|e| (Instant::now(), e));
        }
        if let Some((since, error)) = &failed
            && since.elapsed() > GRACE
        {
            return Err(error.clone());
        }
    }
}

/// True once `patience` has passed since the first call.
fn has_passed(since: &mut Option<Instant>, patience: Duration) -> bool {
    since.get_or_insert_with(Instant::now).elapsed() > patience
}

/// How ranks of one process talk to each other, for [`run_in_process`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InProcess {
    /// Values, passed as they are.
    Local,
    /// Values through the codec of the wire.
    Coded,
}

/// Runs several ranks of `workers` workers each inside this process and returns rank 0's records:
/// what tests compare a distributed run with.
pub fn run_in_process<P: Program>(
    kind: InProcess,
    ranks: u32,
    workers: u32,
    settings: &Settings,
    make: impl Fn() -> Result<P>,
) -> Result<Vec<Record>> {
    let transports = match kind {
        InProcess::Local => Transport::local(ranks),
        InProcess::Coded => Transport::coded(ranks),
    };
    let counts = vec![workers; ranks as usize];
    thread::scope(|scope| {
        let mut runs = Vec::new();
        for (rank, transport) in (0..).zip(transports) {
            let program = make()?;
            let connection = Connection::in_process(rank, &counts, transport);
            runs.push(scope.spawn(move || {
                let (notes, shared) = (Notes::silent(), OnceLock::new());
                let recorder = Recorder::none();
                let training = AtomicBool::new(false);
                run_connected(
                    program, settings, &notes, connection, recorder, &shared, &training,
                )
            }));
        }
        let mut records = Vec::new();
        for (rank, run) in runs.into_iter().enumerate() {
            let recorder = run
                .join()
                .map_err(|_| Error::Bug("a rank panicked".into()))??;
            if rank == 0 {
                records = recorder.records().to_vec();
            }
        }
        Ok(records)
    })
}
