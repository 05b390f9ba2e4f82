//! How the ranks of a run find each other: higher ranks connect to lower ones, everybody shakes
//! hands, strangers are turned away, and at the deadline the missing are named.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::link::{self, Link};
use super::lock;
use super::tcp::Shared;
use crate::error::{Error, Result};
use crate::wire::assembly::Assembler;
use crate::wire::frame::Frame;
use crate::wire::hello::{Handshake, Peer, Step};
use crate::wire::message::{Message, Rank};

/// Connections from outside in their handshake at once; more wait in the listener's backlog.
const HANDSHAKES_MAX: usize = 256;
/// For one attempt to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// Between attempts to connect: at first, and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(400)];
/// How long and how much is read from a peer that was refused, so that it gets to read the refusal.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: u64 = 64 * 1024;

/// News for the rank that waits for others.
#[derive(Debug)]
pub(super) enum Notice {
    /// A rank has connected.
    Joined(Rank),
    /// A try to connect has failed; there will be another.
    Failed { rank: Rank, why: String },
    /// A process that claims to be `rank` does not fit.
    Refused { rank: Rank, error: Error },
    /// A rank that had connected is gone.
    Ended { rank: Rank, reason: String },
    /// A rank that had connected gives up.
    Aborted {
        rank: Rank,
        status: u8,
        message: String,
    },
    /// The user gives up.
    Interrupted { signal: u8 },
}

/// How a handshake failed.
enum Failure {
    Gone(String),
    Refused { rank: Rank, error: Error },
}

/// Waits until every rank is there; returns the number of workers of each.
pub(super) async fn join(
    shared: &Arc<Shared>,
    listener: std::net::TcpListener,
    deadline: Duration,
) -> Result<Vec<u32>> {
    let (notices, news) = unbounded_channel();
    *lock(&shared.notices) = Some(notices);
    let listening = |error| Error::Other(format!("cannot listen: {error}"));
    listener.set_nonblocking(true).map_err(listening)?;
    let listener = TcpListener::from_std(listener).map_err(listening)?;
    spawn(shared, |shared| async move { link::pulse(&shared).await });
    spawn(
        shared,
        |shared| async move { welcome(&shared, &listener).await },
    );
    for rank in 0..shared.identity.rank {
        spawn(
            shared,
            move |shared| async move { connect(&shared, rank).await },
        );
    }
    let mut meeting = Meeting {
        shared,
        news,
        reasons: vec![String::new(); shared.links.len()],
        held: None,
    };
    let all = tokio::select! {
        all = meeting.all() => Some(all),
        () = sleep(deadline) => None,
    };
    match all {
        Some(all) => all.map(|()| shared.workers()),
        None => Err(meeting.missing(deadline)),
    }
}

/// Runs a task that owns its share of the state; it ends with the runtime at the latest.
fn spawn<F: Future<Output = ()> + Send + 'static>(
    shared: &Arc<Shared>,
    task: impl FnOnce(Arc<Shared>) -> F,
) {
    tokio::spawn(task(Arc::clone(shared)));
}

/// The wait for the other ranks.
struct Meeting<'a> {
    shared: &'a Arc<Shared>,
    news: UnboundedReceiver<Notice>,
    /// By rank: what was last seen of it.
    reasons: Vec<String>,
    /// Somebody who does not fit: the rank it claims, and why.
    held: Option<(Rank, Error)>,
}

impl Meeting<'_> {
    async fn all(&mut self) -> Result<()> {
        loop {
            if self.is_complete() {
                return Ok(());
            }
            self.until_held().await?;
            let grace = self.shared.timing.grace;
            if let Ok(result) = timeout(grace, self.until_released()).await {
                result?;
            } else if let Some((_, error)) = self.held.take() {
                return Err(error);
            }
        }
    }

    /// Takes news until somebody who does not fit has come, or everybody is there.
    async fn until_held(&mut self) -> Result<()> {
        while self.held.is_none() && !self.is_complete() {
            self.until_change().await?;
        }
        Ok(())
    }

    /// Takes news until the rank that did not fit has come after all.
    async fn until_released(&mut self) -> Result<()> {
        while self.held.is_some() && !self.is_complete() {
            self.until_change().await?;
        }
        Ok(())
    }

    /// Takes one piece of news.
    async fn until_change(&mut self) -> Result<()> {
        match self.news.recv().await {
            Some(notice) => self.heed(notice),
            None => Err(Error::Bug("nobody is left to meet".into())),
        }
    }

    fn heed(&mut self, notice: Notice) -> Result<()> {
        match notice {
            Notice::Joined(rank) => {
                if self.held.as_ref().is_some_and(|held| held.0 == rank) {
                    self.held = None;
                }
            }
            Notice::Failed { rank, why } => self.reasons[rank as usize] = why,
            Notice::Refused { rank, error } => {
                let known = self.shared.links.get(rank as usize);
                if self.held.is_none() && known.is_none_or(|link| !link.up.load(Acquire)) {
                    self.held = Some((rank, error));
                }
            }
            Notice::Ended { rank, reason } => self.ended(rank, reason)?,
            Notice::Aborted {
                rank,
                status,
                message,
            } => {
                let message = format!("{}: {message}", self.shared.name(rank));
                return Err(Error::Remote { status, message });
            }
            Notice::Interrupted { signal } => return Err(Error::Interrupted { signal }),
        }
        Ok(())
    }

    /// A rank that leaves before the run begins may come again.
    fn ended(&mut self, rank: Rank, reason: String) -> Result<()> {
        let link = &self.shared.links[rank as usize];
        if link.spoken.load(Acquire) {
            return Err(Error::Unavailable(format!(
                "{} {reason}",
                self.shared.name(rank)
            )));
        }
        link.claimed.store(false, Release);
        self.reasons[rank as usize] = reason;
        if rank < self.shared.identity.rank {
            spawn(self.shared, move |shared| async move {
                connect(&shared, rank).await
            });
        }
        Ok(())
    }

    fn is_absent(&self, rank: Rank) -> bool {
        rank != self.shared.identity.rank && !self.shared.links[rank as usize].up.load(Acquire)
    }

    /// True once everybody is there; from then on news are events of the run.
    fn is_complete(&mut self) -> bool {
        if (0..self.shared.links.len() as Rank).any(|rank| self.is_absent(rank)) {
            return false;
        }
        if self.news.is_empty() {
            *lock(&self.shared.notices) = None;
        }
        self.news.is_empty()
    }

    /// The error at the deadline.
    fn missing(&mut self, deadline: Duration) -> Error {
        if let Some((_, error)) = self.held.take() {
            return error;
        }
        let missing = (0..self.shared.links.len() as Rank).filter(|rank| self.is_absent(*rank));
        let lines: Vec<String> = missing
            .map(|rank| match self.reasons[rank as usize].as_str() {
                "" => format!("{} has not connected", self.shared.name(rank)),
                why => format!("{}: {why}", self.shared.name(rank)),
            })
            .collect();
        let seconds = deadline.as_secs_f64();
        Error::Unavailable(format!("missing after {seconds} s: {}", lines.join("; ")))
    }
}

impl Shared {
    fn name(&self, rank: Rank) -> String {
        format!("rank {rank} ({})", self.identity.hosts[rank as usize])
    }

    fn workers(&self) -> Vec<u32> {
        let mut workers: Vec<u32> = self
            .links
            .iter()
            .map(|link| link.workers.load(Acquire))
            .collect();
        workers[self.identity.rank as usize] = self.identity.workers;
        workers
    }

    fn tell(&self, notice: Notice) {
        if let Some(notices) = &*lock(&self.notices) {
            let _ = notices.send(notice);
        }
    }
}

/// The line of an `Abort` in `frame`, if there is one.
pub(super) fn abort_in(frame: &Frame) -> Option<(u8, String)> {
    let mut assembler = Assembler::default();
    assembler.push(frame.clone()).ok()?;
    while let Some(message) = assembler.next().ok()? {
        if let Message::Abort { status, message } = message {
            return Some((status, message));
        }
    }
    None
}

/// Connects to a lower rank, again and again.
async fn connect(shared: &Arc<Shared>, rank: Rank) {
    let [mut pause, longest] = PAUSE;
    loop {
        match attempt(shared, rank).await {
            Ok(()) => return,
            Err(Failure::Gone(why)) => shared.tell(Notice::Failed { rank, why }),
            Err(Failure::Refused { rank, error }) => shared.tell(Notice::Refused { rank, error }),
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

async fn attempt(shared: &Arc<Shared>, rank: Rank) -> Result<(), Failure> {
    let host = &shared.identity.hosts[rank as usize];
    let stream = match timeout(CONNECT, TcpStream::connect(host.as_str())).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Failure::Gone(error.to_string())),
        Err(_) => return Err(Failure::Gone("does not answer".into())),
    };
    let handshake = Handshake::connect(&shared.identity, rank, nonce()?);
    let shaking = shake(shared, stream, handshake, true);
    match timeout(shared.timing.handshake, shaking).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Gone(
            "accepts connections, but does not speak".into(),
        )),
    }
}

/// Takes connections for as long as the run lasts.
async fn welcome(shared: &Arc<Shared>, listener: &TcpListener) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, address)) => spawn(shared, move |shared| async move {
                greet(&shared, stream, address.to_string()).await;
                drop(slot);
            }),
            // Out of file descriptors, say: strangers hold them, and not for long.
            Err(_) => sleep(PAUSE[1]).await,
        }
    }
}

/// Shakes hands with whoever connected. Only a process that speaks the protocol is noticed.
async fn greet(shared: &Arc<Shared>, stream: TcpStream, address: String) {
    let shaking = async {
        let first = timeout(shared.timing.handshake / 2, stream.readable()).await;
        first
            .map_err(|_| Failure::Gone("does not speak".into()))?
            .map_err(gone)?;
        let handshake = Handshake::incoming(&shared.identity, address, nonce()?);
        shake(shared, stream, handshake, false).await
    };
    if let Ok(Err(Failure::Refused { rank, error })) =
        timeout(shared.timing.handshake, shaking).await
    {
        shared.tell(Notice::Refused { rank, error });
    }
}

fn gone(error: std::io::Error) -> Failure {
    Failure::Gone(error.to_string())
}

fn nonce() -> Result<[u8; 32], Failure> {
    let mut nonce = [0; 32];
    match getrandom::fill(&mut nonce) {
        Ok(()) => Ok(nonce),
        Err(error) => Err(Failure::Gone(format!("no random numbers: {error}"))),
    }
}

/// Carries a handshake through; on success the connection serves the run.
async fn shake(
    shared: &Arc<Shared>,
    mut stream: TcpStream,
    mut handshake: Handshake<'_>,
    speaks_first: bool,
) -> Result<(), Failure> {
    stream.set_nodelay(true).map_err(gone)?;
    let (mut input, mut output) = (BytesMut::with_capacity(4096), Vec::new());
    if speaks_first {
        handshake.open(&mut output);
    }
    let mut claim = None;
    loop {
        let step = handshake.step(&mut input, &mut output);
        match step {
            Step::Offered(peer) => match Claim::new(shared, peer.rank) {
                Some(place) => {
                    claim = Some(place);
                    handshake.accept(&mut output);
                }
                None => {
                    let rank = peer.rank;
                    let text = format!("another process already takes part as rank {rank}");
                    handshake.refuse(&Error::Unavailable(text), &mut output);
                    stream.write_all(&output).await.map_err(gone)?;
                    linger(stream).await;
                    return Err(Failure::Gone("came twice".into()));
                }
            },
            Step::More => {
                stream.write_all(&output).await.map_err(gone)?;
                output.clear();
                if stream.read_buf(&mut input).await.map_err(gone)? == 0 {
                    return Err(Failure::Gone("closed the connection".into()));
                }
            }
            Step::Done(peer) => {
                stream.write_all(&output).await.map_err(gone)?;
                return claim
                    .ok_or_else(|| Failure::Gone("not offered".into()))
                    .map(|claim| {
                        claim.keep(shared, peer, stream, input);
                    });
            }
            Step::Stray(why) => return Err(Failure::Gone(why.into())),
            Step::Refused { rank, error } => {
                // The peer may have closed already; that it does not fit is known all the same.
                let _ = stream.write_all(&output).await;
                linger(stream).await;
                return Err(Failure::Refused { rank, error });
            }
        }
    }
}

/// Lets the other side read what was written before the connection goes away.
async fn linger(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut rest = stream.take(LINGER_BYTES);
    let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

/// A rank's place, held for one handshake; free again if that fails.
struct Claim<'a> {
    link: Option<&'a Link>,
}

impl<'a> Claim<'a> {
    fn new(shared: &'a Shared, rank: Rank) -> Option<Claim<'a>> {
        let link = &shared.links[rank as usize];
        let free = !link.claimed.swap(true, AcqRel);
        free.then(|| Claim { link: Some(link) })
    }

    /// The handshake is done: the connection serves the run.
    fn keep(mut self, shared: &Arc<Shared>, peer: Peer, stream: TcpStream, input: BytesMut) {
        if let Some(link) = self.link.take() {
            link.workers.store(peer.workers, Release);
            link.up.store(true, Release);
        }
        let rank = peer.rank;
        spawn(shared, move |shared| async move {
            link::serve(&shared, rank, stream, input).await;
        });
        shared.tell(Notice::Joined(rank));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            link.claimed.store(false, Release);
        }
    }
}
