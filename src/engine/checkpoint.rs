//! Checkpoints of a run: every worker's state after the same clock, one file per rank.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::ps::World;
use crate::report::{Notes, Record};
use crate::snapshot::Tensor;
use crate::snapshot::checkpoint::{self, Elapsed, Identity};
use crate::wire::message::{Clock, Rank, WorkerId};

use super::link::Link;
use super::program::Program;
use super::settings::Settings;

/// A worker and what it must remember.
type State = (WorkerId, Vec<Tensor>);

/// Collects the states of a rank's workers; the last one to hand in writes the rank's file.
pub(super) struct Checkpoints<'a> {
    folder: &'a Folder,
    rank: Rank,
    workers: usize,
    pending: Mutex<BTreeMap<Clock, Vec<State>>>,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(folder: &'a Folder, rank: Rank, workers: usize) -> Checkpoints<'a> {
        Checkpoints {
            folder,
            rank,
            workers,
            pending: Mutex::default(),
        }
    }

    /// Takes one worker's state after `clock`.
    pub(super) fn add(
        &self,
        link: &Link,
        worker: WorkerId,
        clock: Clock,
        tensors: Vec<Tensor>,
    ) -> Result<()> {
        let states = {
            let mut pending = self.pending.lock().unwrap_or_else(|p| p.into_inner());
            let states = pending.entry(clock).or_default();
            states.push((worker, tensors));
            if states.len() < self.workers {
                return Ok(());
            }
            pending.remove(&clock).unwrap_or_default()
        };
        let mut tensors = Vec::new();
        for (worker, of_worker) in states {
            for mut tensor in of_worker {
                tensor.name = format!("{worker}/{}", tensor.name);
                tensors.push(tensor);
            }
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        checkpoint::write_part(&self.folder.path, clock + 1, self.rank, &tensors)?;
        link.checkpointed(clock);
        Ok(())
    }

    /// Rank 0: every rank's part of the checkpoint after `clock` is on disk.
    pub(super) fn complete(
        &self,
        clock: Clock,
        elapsed: Elapsed,
        records: &[Record],
    ) -> Result<()> {
        let Folder { path, identity } = self.folder;
        checkpoint::complete(path, clock + 1, identity, elapsed, records)
    }
}

/// The checkpoint folder of a run, and what a run must have in common with it to go on from it.
pub(super) struct Folder {
    path: PathBuf,
    identity: Identity,
}

impl Folder {
    /// The folder that the settings name, if they do.
    pub(super) fn of(settings: &Settings, world: &World) -> Option<Folder> {
        let path = settings.checkpoint.clone()?;
        Some(Folder {
            path,
            identity: settings.identity(world),
        })
    }

    /// Rank 0, before the first clock: see [`checkpoint::prepare`].
    pub(super) fn prepare(&self, settings: &Settings, notes: &Notes) -> Result<()> {
        checkpoint::prepare(&self.path, settings.resume, settings.force, notes)
    }
}

/// Where a run goes on.
#[derive(Default)]
pub(super) struct Resumed {
    /// The first clock to run.
    pub(super) from: Clock,
    /// Times of the clocks before.
    pub(super) elapsed: Elapsed,
    /// Records of the clocks before.
    pub(super) records: Vec<Record>,
}

impl Resumed {
    /// Restores this rank's parts from the newest complete checkpoint.
    pub(super) fn read<P: Program>(
        folder: &Folder,
        notes: &Notes,
        rank: Rank,
        first: WorkerId,
        program: &P,
        parts: &mut [P::Part],
    ) -> Result<Resumed> {
        let found = checkpoint::newest_complete(&folder.path, &folder.identity, notes)?;
        let mut of_worker: BTreeMap<WorkerId, Vec<Tensor>> = BTreeMap::new();
        for mut tensor in found.read_part(rank)? {
            let (worker, name) = split_name(&tensor.name)?;
            tensor.name = name;
            of_worker.entry(worker).or_default().push(tensor);
        }
        for (worker, part) in (first..).zip(parts.iter_mut()) {
            let tensors = of_worker.remove(&worker).ok_or_else(|| {
                Error::Mismatch(format!(
                    "the checkpoint of clock {} was written by other workers: worker {worker} of \
                     rank {rank} is not in it; resume with the same --hosts and --workers",
                    found.clock()
                ))
            })?;
            program.restore(part, tensors)?;
        }
        let records = found.records().to_vec();
        Ok(Resumed {
            from: found.clock(),
            elapsed: found.elapsed(),
            records,
        })
    }
}

fn split_name(name: &str) -> Result<(WorkerId, String)> {
    let parsed = name.split_once('/').and_then(|(worker, rest)| {
        worker
            .parse()
            .ok()
            .map(|worker: WorkerId| (worker, rest.to_string()))
    });
    parsed.ok_or_else(|| Error::Other(format!("{name:?} is no tensor of a checkpoint")))
}
