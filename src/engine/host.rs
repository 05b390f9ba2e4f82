//! What a program sees of its rank while it loads and saves.

use std::cell::Cell;
use std::thread;

use bytes::Bytes;

use crate::data::Share;
use crate::error::{Error, Result};
use crate::ps::{Bound, World};
use crate::report::Notes;
use crate::wire::message::{Message, Rank, WorkerId};

use super::link::Link;
use super::settings::Settings;

/// This rank's place in the run, and the ways to talk to the other ranks outside of clocks.
///
/// Gathers are collective: every rank calls the same gathers in the same order.
pub struct Host<'a> {
    link: &'a Link,
    notes: &'a Notes,
    seed: u64,
    threads: usize,
    clocks_per_pass: u64,
    clocks: Option<u64>,
    bound: Bound,
    tolerance: Option<f64>,
    next_gather: &'a Cell<u64>,
}

impl<'a> Host<'a> {
    pub(super) fn new(
        link: &'a Link,
        notes: &'a Notes,
        settings: &Settings,
        next_gather: &'a Cell<u64>,
    ) -> Host<'a> {
        let threads = link.world.local(link.rank).len();
        let clocks_per_pass = settings.clocks_per_pass;
        Host {
            link,
            notes,
            seed: settings.seed,
            threads,
            clocks_per_pass,
            clocks: settings.clocks,
            bound: settings.bound(),
            tolerance: settings.tolerance,
            next_gather,
        }
    }

    /// This rank.
    pub fn rank(&self) -> Rank {
        self.link.rank
    }

    /// All ranks and their workers.
    pub fn world(&self) -> &World {
        &self.link.world
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Threads that may compute at once while loading and saving: this rank's workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Clock boundaries in one pass over the data.
    pub fn clocks_per_pass(&self) -> u64 {
        self.clocks_per_pass
    }

    /// Clocks after which the run ends if nothing ends it earlier.
    pub fn clocks(&self) -> Option<u64> {
        self.clocks
    }

    /// The read rule of the run.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// `--tolerance`, for programs that have more than one thing to bring to it.
    pub fn tolerance(&self) -> Option<f64> {
        self.tolerance
    }

    /// The share of the data that this rank reads.
    pub fn share(&self) -> Share {
        Share {
            index: self.link.rank,
            of: self.link.world.ranks(),
        }
    }

    /// Makes something for each worker of this rank from its number and its input, all at once on
    /// threads of their own; in the order of the workers.
    ///
    /// # Errors
    /// If `make` panics: a bug.
    pub fn for_workers<I: Send, T: Send>(
        &self,
        inputs: Vec<I>,
        make: impl Fn(WorkerId, I) -> T + Sync,
    ) -> Result<Vec<T>> {
        let make = &make;
        let workers = self.link.world.local(self.link.rank);
        thread::scope(|scope| {
            let making: Vec<_> = workers
                .zip(inputs)
                .map(|(worker, input)| scope.spawn(move || make(worker, input)))
                .collect();
            let join = |made: thread::ScopedJoinHandle<'_, T>| {
                made.join()
                    .map_err(|_| Error::Bug("a worker's part could not be made".into()))
            };
            making.into_iter().map(join).collect()
        })
    }

    /// A line for the user on stderr; only rank 0's are shown.
    pub fn note(&self, line: &str) {
        if self.link.rank == 0 {
            self.notes.note(line);
        }
    }

    /// Every rank's bytes, in rank order, for every rank.
    pub fn all_gather(&self, part: Vec<u8>) -> Result<Vec<Bytes>> {
        let number = self.contribute(part)?;
        if self.link.rank != 0 {
            return self.link.board.gathered(number);
        }
        let payloads = self.link.board.parts(number)?;
        self.link.broadcast(|| Message::Gathered {
            number,
            payloads: payloads.clone(),
        });
        Ok(payloads)
    }

    /// Every rank's bytes, in rank order, for rank 0; None on the other ranks.
    pub fn gather(&self, part: Vec<u8>) -> Result<Option<Vec<Bytes>>> {
        let number = self.contribute(part)?;
        if self.link.rank == 0 {
            self.link.board.parts(number).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Returns once every rank has come here. `word` is what rank 0 tells the others.
    pub(super) fn meet(&self, word: u8) -> Result<u8> {
        let words = self.all_gather(vec![word])?;
        match words.first().and_then(|word| word.first()) {
            Some(word) => Ok(*word),
            None => Err(Error::Bug("rank 0 came to a meeting without a word".into())),
        }
    }

    fn contribute(&self, part: Vec<u8>) -> Result<u64> {
        if let Some(failure) = self.link.board.failure() {
            return Err(failure);
        }
        let number = self.next_gather.get();
        self.next_gather.set(number + 1);
        let payload = Bytes::from(part);
        match self.link.rank {
            0 => self.link.board.post_part(number, 0, payload),
            _ => self.link.send(0, Message::Gather { number, payload }),
        }
        Ok(number)
    }
}
