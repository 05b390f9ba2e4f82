//! The transport over TCP: one connection per pair of ranks, all of them served by one thread.
//!
//! Worker threads write small messages into the peer's queue under a short lock and wake the
//! thread only when it sleeps, so that whatever piles up leaves in one large write. What arrives is
//! checked and cut into frames by the thread, and decoded by the thread that receives.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::join::{self, Notice};
use super::link::Link;
use super::{Event, lock};
use crate::error::{Error, Result};
use crate::wire::assembly::Assembler;
use crate::wire::frame::{Frame, MESSAGE_BYTES_MAX};
use crate::wire::hello::{Identity, PROTOCOL};
use crate::wire::message::{Message, Rank};
use crate::wire::queue::{Prepared, Queue};

/// While more than this has arrived and not been received, nothing more is read, in bytes. Little:
/// what is received soon is still in the cache, and lies in buffers that are used again.
const INBOX_BYTES_MAX: usize = 4 << 20;
/// How often a wait for the other ranks looks for Ctrl-C.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);
/// How long peers are told why this rank cannot take part.
const FAREWELL: Duration = Duration::from_millis(500);

/// Who this rank is and whom it wants to meet.
pub struct TcpSetup {
    /// This rank.
    pub rank: Rank,
    /// `host:port` of every rank.
    pub hosts: Vec<String>,
    /// A listener to use instead of one on the port given in `hosts`: for tests and launchers.
    pub listener: Option<TcpListener>,
    /// Equal on all ranks of a run, different for another run.
    pub run_id: [u8; 16],
    /// What all ranks must agree on: one `name value` a line, names unique.
    pub options: String,
    /// The shared secret.
    pub secret: Vec<u8>,
    /// Worker threads on this rank.
    pub workers: u32,
    /// How long to wait for the other ranks.
    pub deadline: Duration,
    /// Becomes the number of a signal when the user wants to stop waiting; 0 before.
    pub interrupt: Arc<AtomicUsize>,
    /// When to give up on what.
    pub timing: Timing,
    /// [`PROTOCOL`]; anything else is a test.
    pub protocol: u32,
}

impl TcpSetup {
    /// A setup with the usual times, no secret, one worker and no options.
    pub fn new(rank: Rank, hosts: Vec<String>) -> TcpSetup {
        TcpSetup {
            rank,
            hosts,
            listener: None,
            run_id: [0; 16],
            options: String::new(),
            secret: Vec::new(),
            workers: 1,
            deadline: Duration::from_secs(30),
            interrupt: Arc::default(),
            timing: Timing::default(),
            protocol: PROTOCOL,
        }
    }
}

impl fmt::Debug for TcpSetup {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSetup")
            .field("rank", &self.rank)
            .field("hosts", &self.hosts)
            .finish()
    }
}

/// When to give up on what; the default is for people, tests are faster.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// A peer from which nothing came for so long is lost. A multiple of `heartbeat`.
    pub silence: Duration,
    /// For one handshake; half of it for the first bytes.
    pub handshake: Duration,
    /// A peer that does not fit ends the run only if none that fits comes within this time: it may
    /// be left over from an earlier run.
    pub grace: Duration,
    /// For [`super::Transport::close`].
    pub close: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(10),
            handshake: Duration::from_secs(5),
            grace: Duration::from_secs(2),
            close: Duration::from_secs(3),
        }
    }
}

/// One rank's end.
#[derive(Debug)]
pub struct Tcp {
    shared: Arc<Shared>,
    inbox: Mutex<Inbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What has arrived, on its way to the receiving thread.
#[derive(Debug)]
pub(super) enum Arrival {
    Frame(Rank, Frame),
    Own(Message),
    Lost(Rank, String),
    Closed,
}

/// The receiving side; one thread at a time.
#[derive(Debug)]
struct Inbox {
    arrivals: Receiver<Arrival>,
    assemblers: Vec<Assembler>,
    /// Whose frame is being unpacked.
    current: Option<Rank>,
    /// By rank: whether anything may still come from it.
    over: Vec<bool>,
    closed: bool,
}

/// What worker threads, the receiving thread and the transport's own thread share.
pub(super) struct Shared {
    pub(super) identity: Identity,
    pub(super) timing: Timing,
    pub(super) links: Vec<Link>,
    /// Where news go while ranks are still missing; `None` once the run is on.
    pub(super) notices: Mutex<Option<UnboundedSender<Notice>>>,
    arrivals: Sender<Arrival>,
    /// Bytes that arrived and were not received yet.
    unread: AtomicUsize,
    drained: Notify,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    /// Some link came one step closer to its end.
    pub(super) settled: Notify,
    /// The end has begun, in good order or not.
    ending: Notify,
    closing: AtomicBool,
    abandoned: AtomicBool,
    /// The run has failed: do not wait long for anybody.
    failed: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

/// Starts the thread and waits until every rank is there.
pub(super) fn start(mut setup: TcpSetup) -> Result<(Tcp, Vec<u32>)> {
    let ranks = setup.hosts.len();
    if setup.rank as usize >= ranks {
        return Err(Error::Bug(format!("rank {} of {ranks}", setup.rank)));
    }
    let listener = match setup.listener.take() {
        Some(listener) => listener,
        None => listen(setup.rank, &setup.hosts[setup.rank as usize])?,
    };
    let (arrivals, inbox) = mpsc::channel();
    let shared = Arc::new(Shared::new(&setup, arrivals));
    let (tell, told) = mpsc::channel();
    let (deadline, theirs) = (setup.deadline, Arc::clone(&shared));
    let run = move || thread_main(&theirs, listener, deadline, &tell);
    let thread = thread::Builder::new().name("transport".into()).spawn(run);
    let thread = thread.map_err(|error| Error::Other(format!("cannot start a thread: {error}")))?;
    let tcp = Tcp {
        shared,
        inbox: Mutex::new(Inbox {
            arrivals: inbox,
            assemblers: (0..ranks).map(|_| Assembler::default()).collect(),
            current: None,
            over: vec![false; ranks],
            closed: false,
        }),
        thread: Mutex::new(Some(thread)),
    };
    let workers = tcp.wait(&told, &setup.interrupt)?;
    Ok((tcp, workers))
}

/// The listener on this rank's own port. Loopback names listen on loopback alone; other names may
/// stand for any of the host's addresses, so all of them listen.
fn listen(rank: Rank, host: &str) -> Result<TcpListener> {
    let failed = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is taken: is another run still on? If not, give the line another port"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        Error::Unavailable(format!("rank {rank} cannot listen on {host}: {why}"))
    };
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let Ok(port) = port.parse::<u16>() else {
        return Err(Error::Bug(format!("{host} is not host:port")));
    };
    match name {
        "localhost" => TcpListener::bind((Ipv4Addr::LOCALHOST, port)),
        "[::1]" => TcpListener::bind((Ipv6Addr::LOCALHOST, port)),
        _ if name.starts_with("127.") => TcpListener::bind(host),
        _ => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Err(error),
            _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
        }),
    }
    .map_err(failed)
}

/// The transport's thread, from the first connection to the last.
fn thread_main(
    shared: &Arc<Shared>,
    listener: TcpListener,
    deadline: Duration,
    tell: &Sender<Result<Vec<u32>>>,
) {
    let _ending = Ending(shared);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell.send(Err(Error::Other(format!(
                "cannot start the transport: {error}"
            ))));
            return;
        }
    };
    runtime.block_on(async {
        let joined = join::join(shared, listener, deadline).await;
        if let Err(error) = &joined {
            shared.tell_failure(error);
            shared.settle(FAREWELL).await;
        }
        let go_on = joined.is_ok();
        if tell.send(joined).is_ok() && go_on {
            shared.run().await;
        }
    });
    // Dropping it would wait for name look-ups that hang.
    runtime.shutdown_background();
}

/// Tells the receiving thread that nothing will come any more, however the transport's thread ends.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.arrived(Arrival::Closed);
    }
}

impl Shared {
    fn new(setup: &TcpSetup, arrivals: Sender<Arrival>) -> Shared {
        Shared {
            identity: Identity {
                protocol: setup.protocol,
                run_id: setup.run_id,
                rank: setup.rank,
                hosts: setup.hosts.clone(),
                workers: setup.workers,
                options: setup.options.clone(),
                secret: setup.secret.clone(),
            },
            timing: setup.timing.clone(),
            links: setup.hosts.iter().map(|_| Link::default()).collect(),
            notices: Mutex::new(None),
            arrivals,
            unread: AtomicUsize::new(0),
            drained: Notify::new(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            settled: Notify::new(),
            ending: Notify::new(),
            closing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// Passes something on to the receiving thread; when there is none left, nobody misses it.
    pub(super) fn arrived(&self, arrival: Arrival) {
        let _ = self.arrivals.send(arrival);
    }

    /// A frame with messages has arrived. While ranks are still missing, only failures are looked
    /// for.
    pub(super) fn frame(&self, rank: Rank, frame: Frame) {
        if let Some(notices) = &*lock(&self.notices) {
            self.links[rank as usize].spoken.store(true, Release);
            if let Some((status, message)) = join::abort_in(&frame) {
                let _ = notices.send(Notice::Aborted {
                    rank,
                    status,
                    message,
                });
            }
        }
        self.unread.fetch_add(bytes_of(&frame), AcqRel);
        self.arrived(Arrival::Frame(rank, frame));
    }

    /// Waits until the receiving thread has caught up.
    pub(super) async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.hears() {
                return;
            }
            drained.await;
        }
    }

    /// False while connections are not read because the receiving thread is behind.
    pub(super) fn hears(&self) -> bool {
        self.unread.load(Acquire) <= INBOX_BYTES_MAX
    }

    /// The connection to `rank` has ended by itself.
    pub(super) fn ended(&self, rank: Rank, reason: String) {
        let link = &self.links[rank as usize];
        if let Some(notices) = &*lock(&self.notices) {
            link.up.store(false, Release);
            let _ = notices.send(Notice::Ended { rank, reason });
            self.settled.notify_one();
            return;
        }
        if link.gone.swap(true, AcqRel) {
            return;
        }
        link.change(Queue::close);
        if !link.goodbye.load(Acquire) {
            self.arrived(Arrival::Lost(rank, reason));
        }
        self.settled.notify_one();
    }

    /// Gives `rank` up and ends its connection.
    pub(super) fn lose(&self, rank: Rank, reason: String) {
        self.ended(rank, reason);
        self.links[rank as usize].cut();
    }

    fn tell_failure(&self, error: &Error) {
        for link in &self.links {
            let (status, message) = (error.status(), error.to_string());
            link.push(Prepared::new(Message::Abort { status, message }));
            link.change(Queue::goodbye);
        }
    }

    /// Serves until the end, and until everybody has everything if it is a good end.
    async fn run(&self) {
        self.ending.notified().await;
        if !self.abandoned.load(Acquire) {
            let hurry = FAREWELL.min(self.timing.close);
            let patience = if self.failed.load(Acquire) {
                hurry
            } else {
                self.timing.close
            };
            self.settle(patience).await;
        }
    }

    /// Waits until every peer has everything, but not longer than `patience`.
    async fn settle(&self, patience: Duration) {
        let all = async {
            while !self.links.iter().all(Link::is_settled) {
                self.settled.notified().await;
            }
        };
        let _ = tokio::time::timeout(patience, all).await;
    }
}

impl Tcp {
    /// Waits for the thread's word that all ranks are there.
    fn wait(&self, told: &Receiver<Result<Vec<u32>>>, interrupt: &AtomicUsize) -> Result<Vec<u32>> {
        loop {
            match told.recv_timeout(INTERRUPT_POLL) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Bug("the transport's thread has ended".into()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let signal = interrupt.load(Relaxed);
            if signal != 0
                && let Some(notices) = &*lock(&self.shared.notices)
            {
                let _ = notices.send(Notice::Interrupted {
                    signal: signal as u8,
                });
            }
        }
    }

    pub(super) fn send(&self, to: Rank, message: Message) -> u64 {
        let shared = &self.shared;
        if matches!(message, Message::Abort { .. }) {
            shared.failed.store(true, Release);
        }
        if to == shared.identity.rank {
            shared.arrived(Arrival::Own(message));
            return 0;
        }
        let message = Prepared::new(message);
        let bytes = message.bytes();
        if bytes > MESSAGE_BYTES_MAX {
            shared.lose(to, format!("cannot be sent a message of {bytes} bytes"));
            return 0;
        }
        shared.links[to as usize].push(message)
    }

    pub(super) fn limit_blocks(&self) {
        let links = self.shared.links.iter();
        links.for_each(|link| link.change(Queue::limit_blocks));
    }

    pub(super) fn allow_blocks(&self, to: Rank, bytes: u64, burst: u64) -> u64 {
        self.shared.links[to as usize].change(|queue| queue.allow_blocks(bytes, burst))
    }

    pub(super) fn receive(&self) -> Event {
        let mut inbox = lock(&self.inbox);
        while !inbox.closed {
            let event = match inbox.current {
                Some(from) => inbox.unpack(from, &self.shared),
                None => inbox.arrival(&self.shared),
            };
            if let Some(event) = event {
                self.note(&event);
                return event;
            }
        }
        Event::Closed
    }

    /// Remembers a failure of the run, so that the end does not wait long.
    fn note(&self, event: &Event) {
        let failed = match event {
            Event::Message { message, .. } => matches!(message, Message::Abort { .. }),
            Event::Lost { .. } => true,
            Event::Closed => false,
        };
        if failed {
            self.shared.failed.store(true, Release);
        }
    }

    pub(super) fn bytes(&self) -> [u64; 2] {
        [
            self.shared.sent.load(Relaxed),
            self.shared.received.load(Relaxed),
        ]
    }

    pub(super) fn close(&self) {
        if !self.shared.closing.swap(true, AcqRel) {
            self.shared
                .links
                .iter()
                .for_each(|link| link.change(Queue::goodbye));
            self.shared.ending.notify_one();
        }
        self.join();
    }

    fn join(&self) {
        if let Some(thread) = lock(&self.thread).take() {
            // A panic there has been reported by the panic hook; the inbox says `Closed`.
            let _ = thread.join();
        }
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Release);
        self.shared.ending.notify_one();
        self.join();
    }
}

impl Inbox {
    /// Takes the next arrival; an event if it is one by itself.
    fn arrival(&mut self, shared: &Shared) -> Option<Event> {
        match self.arrivals.recv() {
            Ok(Arrival::Frame(from, frame)) => {
                shared.taken(bytes_of(&frame));
                if !self.over[from as usize] {
                    let pushed = self.assemblers[from as usize].push(frame);
                    self.current = Some(from);
                    if let Err(malformed) = pushed {
                        self.broken(from, &malformed.to_string(), shared);
                    }
                }
                None
            }
            Ok(Arrival::Own(message)) => {
                let from = shared.identity.rank;
                Some(Event::Message { from, message })
            }
            Ok(Arrival::Lost(rank, reason)) => {
                self.over[rank as usize] = true;
                Some(Event::Lost { rank, reason })
            }
            Ok(Arrival::Closed) | Err(_) => {
                self.closed = true;
                Some(Event::Closed)
            }
        }
    }

    /// The next message of the frame that came last.
    fn unpack(&mut self, from: Rank, shared: &Shared) -> Option<Event> {
        match self.assemblers[from as usize].next() {
            Ok(Some(message)) => {
                self.over[from as usize] |= matches!(message, Message::Goodbye);
                Some(Event::Message { from, message })
            }
            Ok(None) => {
                self.current = None;
                None
            }
            Err(malformed) => {
                self.broken(from, &malformed.to_string(), shared);
                None
            }
        }
    }

    /// Nothing of a peer that sends nonsense is believed any more; its loss arrives by itself.
    fn broken(&mut self, from: Rank, why: &str, shared: &Shared) {
        self.over[from as usize] = true;
        self.current = None;
        shared.lose(from, format!("sent a corrupt message: {why}"));
    }
}

impl Shared {
    /// The receiving thread has taken so many bytes out of the inbox.
    fn taken(&self, bytes: usize) {
        let before = self.unread.fetch_sub(bytes, AcqRel);
        if before > INBOX_BYTES_MAX && before - bytes <= INBOX_BYTES_MAX {
            self.drained.notify_waiters();
        }
    }
}

fn bytes_of(frame: &Frame) -> usize {
    match frame {
        Frame::Messages(body) | Frame::Fragment { body, .. } => body.len(),
        Frame::Heartbeat | Frame::Goodbye | Frame::Farewell => 0,
    }
}
