//! One rank's connection to the others, and the thread that takes in what they say.

use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::ps::{Node, World};
use crate::transport::{Event, Transport};
use crate::wire::message::{Clock, Message, Rank};

use super::board::{Board, Verdict};
use super::coordinator::{Input, Report};

/// What every thread of a rank shares.
pub(super) struct Link {
    pub(super) rank: Rank,
    pub(super) world: World,
    pub(super) board: Board,
    /// None in a run of one rank: then nothing is ever sent.
    pub(super) transport: Option<Transport>,
    /// This rank's parameter server, once the tables are known.
    node: OnceLock<Arc<Node>>,
    /// Rank 0: where the coordinator listens.
    coordinator: Option<Sender<Input>>,
    /// How a rank is called in messages to the user, by rank.
    names: Vec<String>,
}

impl Link {
    pub(super) fn new(
        rank: Rank,
        world: World,
        transport: Option<Transport>,
        coordinator: Option<Sender<Input>>,
        names: Vec<String>,
    ) -> Link {
        let board = Board::new(world.ranks(), world.local(rank).len());
        Link {
            rank,
            world,
            board,
            transport,
            node: OnceLock::new(),
            coordinator,
            names,
        }
    }

    /// Makes the parameter server known to the receiving thread.
    pub(super) fn install(&self, node: Arc<Node>) {
        // A second node would be a bug of the engine's own start-up.
        assert!(
            self.node.set(node).is_ok(),
            "the parameter server is installed once"
        );
    }

    /// The parameter server, once there is one.
    pub(super) fn node(&self) -> Option<&Arc<Node>> {
        self.node.get()
    }

    /// How the user knows a rank: `rank 2 (host:port)`.
    pub(super) fn name(&self, rank: Rank) -> String {
        match self.names.get(rank as usize) {
            Some(name) => format!("rank {rank} ({name})"),
            None => format!("rank {rank}"),
        }
    }

    /// Sends to another rank; within a run of one rank there is nobody to send to.
    pub(super) fn send(&self, to: Rank, message: Message) {
        let Some(transport) = &self.transport else {
            return;
        };
        let Some(node) = self.node.get() else {
            transport.send(to, message);
            return;
        };
        let charged = node.charged(&message);
        node.charge(to, charged, transport.send(to, message));
    }

    /// Sends what is queued, takes leave of the other ranks, and ends the receiving thread.
    pub(super) fn close(&self) {
        if let Some(transport) = &self.transport {
            transport.close();
        }
    }

    /// Sends everything in `out`.
    pub(super) fn send_all(&self, out: &mut Vec<(Rank, Message)>) {
        for (to, message) in out.drain(..) {
            self.send(to, message);
        }
    }

    pub(super) fn everyone_else(&self) -> impl Iterator<Item = Rank> + '_ {
        (0..self.world.ranks()).filter(|rank| *rank != self.rank)
    }

    /// Sends a message, made anew for each, to every other rank.
    pub(super) fn broadcast(&self, message: impl Fn() -> Message) {
        for rank in self.everyone_else() {
            self.send(rank, message());
        }
    }

    /// Bytes sent and received so far.
    pub(super) fn bytes(&self) -> [u64; 2] {
        self.transport.as_ref().map_or([0, 0], Transport::bytes)
    }

    /// Hands a worker's report to the coordinator, wherever it is.
    pub(super) fn report(&self, report: Report) {
        match self.rank {
            0 => self.tell_coordinator(Input::Report(report)),
            _ => self.send(0, report.into_message()),
        }
    }

    /// Tells the coordinator that the user wants the run to end.
    pub(super) fn interrupt(&self, signal: u8) {
        match self.rank {
            0 => self.tell_coordinator(Input::Interrupt(signal)),
            _ => self.send(0, Message::Interrupt { signal }),
        }
    }

    /// The run fails on this rank: every wait here ends, and every other rank is told.
    pub(super) fn fail(&self, error: Error) {
        if self.board.failure().is_none() {
            let (status, text) = (error.status(), error.to_string());
            self.broadcast(|| Message::Abort {
                status,
                message: text.clone(),
            });
        }
        self.end_waits(error);
    }

    /// The run has failed, here or elsewhere: every wait on this rank ends.
    fn end_waits(&self, error: Error) {
        self.board.fail(error);
        self.tell_coordinator(Input::Failed);
    }

    fn tell_coordinator(&self, input: Input) {
        if let Some(coordinator) = &self.coordinator {
            // A coordinator that no longer listens has ended its run.
            drop(coordinator.send(input));
        }
    }

    /// This rank's part of the checkpoint after `clock` is on disk.
    pub(super) fn checkpointed(&self, clock: Clock) {
        match self.rank {
            0 => self.tell_coordinator(Input::Checkpointed { rank: 0, clock }),
            _ => self.send(0, Message::Checkpointed { clock }),
        }
    }

    /// Takes in messages until the transport closes. Runs on a thread of its own.
    pub(super) fn receive_all(&self) {
        let Some(transport) = &self.transport else {
            return;
        };
        let mut out = Vec::new();
        loop {
            match transport.receive() {
                Event::Closed => return,
                Event::Lost { rank, reason } => {
                    let name = self.name(rank);
                    self.fail(Error::PeerLost(format!(
                        "{name} was lost: {reason}; resume from the last checkpoint with --resume"
                    )));
                }
                Event::Message { from, message } => {
                    if let Err(error) = self.take(from, message, &mut out) {
                        self.fail(error);
                    }
                    self.send_all(&mut out);
                }
            }
        }
    }

    fn take(&self, from: Rank, message: Message, out: &mut Vec<(Rank, Message)>) -> Result<()> {
        match message {
            Message::Report { .. } => self.take_report(from, message)?,
            Message::Interrupt { signal } => self.tell_coordinator(Input::Interrupt(signal)),
            Message::Checkpointed { clock } => {
                self.tell_coordinator(Input::Checkpointed { rank: from, clock });
            }
            Message::Verdict {
                clock,
                last,
                update,
            } => {
                self.board.post_verdict(clock, Verdict { last, update });
            }
            Message::Gather { number, payload } => self.board.post_part(number, from, payload),
            Message::Gathered { number, payloads } => self.board.post_gathered(number, payloads),
            Message::Abort { status, message } => {
                self.end_waits(Error::Remote { status, message });
            }
            Message::Goodbye => {}
            parameters => {
                let node = self.node.get().ok_or_else(|| {
                    Error::Bug(format!(
                        "{} sent parameters before the start",
                        self.name(from)
                    ))
                })?;
                node.handle(from, parameters, out)?;
                self.board.notify();
            }
        }
        Ok(())
    }

    fn take_report(&self, from: Rank, message: Message) -> Result<()> {
        let report = Report::from_message(message)?;
        if self.world.rank_of_checked(report.worker) != Some(from) {
            let text = format!("{} reports for a worker of another rank", self.name(from));
            return Err(Error::Bug(text));
        }
        self.tell_coordinator(Input::Report(report));
        Ok(())
    }
}
