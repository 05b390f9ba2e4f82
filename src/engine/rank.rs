//! One rank's run from load to save.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::error::{Error, Result};
use crate::ps::{Node, TableKind, TableSpec, Traffic};
use crate::report::{Notes, Recorder};
use crate::snapshot::Model;
use crate::wire::message::Clock;

use super::checkpoint::{Checkpoints, Folder, Resumed};
use super::coordinator::{Coordinator, Ending, Input};
use super::host::Host;
use super::link::Link;
use super::pace::{limit, pace};
use super::plan::Plan;
use super::program::Program;
use super::settings::Settings;
use super::work::work;
use super::worker::Worker;

/// Everything a rank's run needs besides its program.
pub(super) struct Rank<'a> {
    pub(super) link: &'a Link,
    pub(super) settings: &'a Settings,
    pub(super) notes: &'a Notes,
    /// Rank 0 only: what the coordinator hears.
    pub(super) inputs: Option<Receiver<Input>>,
    /// Rank 0 only: where records go.
    pub(super) recorder: Option<Recorder>,
    /// Turned on while clocks run: from then on an interrupt waits for the clock's end.
    pub(super) training: &'a AtomicBool,
}

/// What the threads of a rank share while clocks run.
pub(super) struct Session<'a, P: Program> {
    pub(super) program: &'a P,
    pub(super) link: &'a Link,
    pub(super) plan: &'a Plan,
    pub(super) settings: &'a Settings,
    pub(super) notes: &'a Notes,
    /// Where workers hand in their states, if the run has checkpoints.
    pub(super) checkpoints: Option<Checkpoints<'a>>,
    /// The run that this one goes on from.
    pub(super) resumed: &'a Resumed,
}

impl Rank<'_> {
    /// Runs the program to its end. Whatever fails here is told to every other rank.
    pub(super) fn run<P: Program>(self, program: P) -> Result<Recorder> {
        let link = self.link;
        thread::scope(|scope| {
            let (pacing, stop) = channel();
            let (settings, notes) = (self.settings, self.notes);
            scope.spawn(move || pace(link, settings, notes, &stop));
            scope.spawn(|| {
                // Nobody else would notice: everybody waits for what this thread brings.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| link.receive_all())) {
                    link.fail(panicked(&panic));
                }
            });
            let result = catch_unwind(AssertUnwindSafe(|| self.train(program)));
            let result = result.unwrap_or_else(|panic| Err(panicked(&panic)));
            // An interrupted run has ended in good order, and all ranks know.
            if let Err(error) = &result
                && !matches!(error, Error::Interrupted { .. })
            {
                link.fail(error.clone());
            }
            drop::<Sender<()>>(pacing);
            link.close();
            // The root cause may have come first from elsewhere.
            result.map_err(|error| link.board.failure().unwrap_or(error))
        })
    }

    fn train<P: Program>(mut self, mut program: P) -> Result<Recorder> {
        let model = self.create_model()?;
        let folder = Folder::of(self.settings, &self.link.world);
        if let Some(folder) = folder.as_ref().filter(|_| self.link.rank == 0) {
            folder.prepare(self.settings, self.notes)?;
        }
        let next_gather = Cell::new(0);
        let host = Host::new(self.link, self.notes, self.settings, &next_gather);
        let mut parts = program.load(&host)?;
        let tables = program.tables(&self.link.world);
        same_tables(&host, &tables)?;
        let resumed = self.restore(&program, &mut parts, folder.as_ref(), &host)?;
        let plan = self.plan(&tables, resumed.from);
        let world = self.link.world.clone();
        let shards = self.settings.shards;
        let traffic = Traffic {
            wire: self.settings.wire,
            limit: limit(self.settings, world.ranks()),
            ..Traffic::default()
        };
        let rank = self.link.rank;
        let node = Node::with(world, rank, shards, &tables, plan.bound, traffic);
        let node = Arc::new(node);
        program.begin(&mut parts, &mut |table, row, elements| {
            node.set_row(table, row, elements)
        })?;
        node.start_at(plan.from);
        self.link.install(Arc::clone(&node));
        host.meet(0)?;

        self.training.store(true, Ordering::Release);
        let mut recorder = self.recorder.take().unwrap_or_else(Recorder::none);
        recorder.continue_from(resumed.records.clone());
        recorder.begin()?;
        let workers = self.link.world.local(self.link.rank).len();
        let session = Session {
            program: &program,
            link: self.link,
            plan: &plan,
            settings: self.settings,
            notes: self.notes,
            checkpoints: folder
                .as_ref()
                .map(|f| Checkpoints::new(f, self.link.rank, workers)),
            resumed: &resumed,
        };
        let ending = self.clocks(&session, &mut parts, &node, &mut recorder)?;
        let ending = host.meet(ending)?;

        self.save(&program, parts, &host, model, &recorder)?;
        host.meet(0)?;
        match ending {
            0 => Ok(recorder),
            signal => Err(Error::Interrupted { signal }),
        }
    }

    fn create_model(&self) -> Result<Option<Model>> {
        match &self.settings.output {
            Some(folder) if self.link.rank == 0 => {
                Model::create(folder, self.settings.force).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn plan(&self, tables: &[TableSpec], from: Clock) -> Plan {
        let settings = self.settings;
        let bound = settings.bound();
        let exclusive = tables
            .iter()
            .any(|t| matches!(t.kind, TableKind::Exclusive { .. }));
        Plan {
            from,
            clocks: settings.clocks.map(|clocks| clocks as Clock),
            evaluate_every: settings.evaluate_every as Clock,
            checkpoint_every: settings.checkpoint_every(),
            bound,
            lag: Plan::lag(bound, exclusive),
        }
    }

    /// Runs the workers, and on rank 0 the coordinator, until the last clock is done. Returns the
    /// signal that ended the run early, or 0.
    fn clocks<P: Program>(
        &mut self,
        session: &Session<P>,
        parts: &mut [P::Part],
        node: &Arc<Node>,
        recorder: &mut Recorder,
    ) -> Result<u8> {
        let link = session.link;
        let local = link.world.local(link.rank);
        if parts.len() != local.len() {
            return Err(Error::Bug(format!(
                "{} parts for {} workers",
                parts.len(),
                local.len()
            )));
        }
        thread::scope(|scope| {
            for (id, part) in local.zip(parts.iter_mut()) {
                let node = Arc::clone(node);
                scope.spawn(move || {
                    let result = catch_unwind(AssertUnwindSafe(|| {
                        let (seed, from) = (session.settings.seed, session.plan.from);
                        let mut worker = Worker::new(id, link, node, seed, from);
                        work(session, part, &mut worker)
                    }));
                    let result = result.unwrap_or_else(|panic| Err(panicked(&panic)));
                    if let Err(error) = result {
                        link.fail(error);
                    }
                });
            }
            let Some(inputs) = &self.inputs else {
                return Ok(0);
            };
            let mut coordinator = Coordinator::new(session, recorder);
            // A panic here would wait for the workers before it goes on, and they for a verdict.
            let ending = catch_unwind(AssertUnwindSafe(|| coordinator.run(inputs)));
            let ending = ending.unwrap_or_else(|panic| Err(panicked(&panic)));
            if let Err(error) = &ending {
                // Before the scope joins the workers: they may be waiting for a verdict.
                link.fail(error.clone());
            }
            ending.map(|ending| match ending {
                Ending::Done => 0,
                Ending::Interrupted(signal) => signal,
            })
        })
        .and_then(|signal| match link.board.failure() {
            Some(failure) => Err(failure),
            None => Ok(signal),
        })
    }

    fn restore<P: Program>(
        &self,
        program: &P,
        parts: &mut [P::Part],
        folder: Option<&Folder>,
        host: &Host,
    ) -> Result<Resumed> {
        match folder {
            Some(folder) if self.settings.resume => {
                let (rank, first) = (host.rank(), self.link.world.local(host.rank()).start);
                let resumed = Resumed::read(folder, self.notes, rank, first, program, parts)?;
                program.rebuild(parts, resumed.from, host)?;
                Ok(resumed)
            }
            _ => Ok(Resumed::default()),
        }
    }

    fn save<P: Program>(
        &self,
        program: &P,
        parts: Vec<P::Part>,
        host: &Host,
        model: Option<Model>,
        recorder: &Recorder,
    ) -> Result<()> {
        if self.settings.output.is_none() {
            host.note("the model was not saved: give a folder with --output DIR to keep it");
        }
        let mut model = model;
        program.save(parts, host, model.as_mut())?;
        let Some(mut model) = model else {
            return Ok(());
        };
        model.describe(&self.settings.description())?;
        model.records(recorder)?;
        model.finish()
    }
}

/// Every rank must have made the same tables: the same vocabulary size, the same blocks.
fn same_tables(host: &Host, tables: &[TableSpec]) -> Result<()> {
    let mine = format!("{tables:?}");
    for (rank, theirs) in host
        .all_gather(mine.clone().into_bytes())?
        .iter()
        .enumerate()
    {
        if theirs[..] != *mine.as_bytes() {
            return Err(Error::Mismatch(format!(
                "rank {rank} has loaded other data: its tables are {}, here {mine}; every host \
                 needs the same files",
                String::from_utf8_lossy(theirs)
            )));
        }
    }
    Ok(())
}

fn panicked(panic: &Box<dyn std::any::Any + Send>) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic");
    Error::Bug(text.to_string())
}
