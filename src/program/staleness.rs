//! Steps that know of staleness: `--step-scaling`.
//!
//! P workers that add up steps which they have computed from the same old parameters go P times as far as
//! one. Under the bound s at most (s+1)P clocks' updates are missing, and descent with steps σ/√t
//! converges with σ ∝ 1/√((s+1)P) (Ho et al., NIPS 2013, theorem 1): `staleness` divides steps by
//! √((s+1)P). That is the worst case, which eager pushes rarely meet. What the proof bounds is the number
//! of updates that are missing when one is made; with the number n itself in its place (delay-tolerant
//! AdaGrad: McMahan & Streeter, NIPS 2014) `delay` divides by √(1+n). n is measured, as in DynSGD (Jiang
//! et al., SIGMOD 2017), by the clocks that other workers completed while the last clock of this one was
//! computed, plus those that its reads may have missed: with equal workers and fresh reads n is P−1, for
//! one four times as slow as the others 4(P−1).

use clap::ValueEnum;

use crate::engine::Worker;
use crate::error::{Error, Result};
use crate::ps::{Bound, Consistency, ElementType, TableKind, TableSpec, World};
use crate::wire::message::TableId;

/// How steps on what is shared know of the other workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StepScaling {
    /// Not at all
    None,
    /// Divided by √((s+1) P): s of --staleness, P workers
    Staleness,
    /// Divided by √(1 + updates by others that a clock of this worker missed)
    Delay,
}

/// The rule of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaling {
    how: StepScaling,
    staleness: u32,
    bounded: bool,
}

impl Default for Scaling {
    fn default() -> Scaling {
        Scaling {
            how: StepScaling::None,
            staleness: 0,
            bounded: true,
        }
    }
}

impl Scaling {
    /// The rule under this bound.
    ///
    /// # Errors
    /// Status 2 for one that there cannot be.
    pub(super) fn new(how: StepScaling, bound: Bound) -> Result<Scaling> {
        let bounded = bound.consistency() != Consistency::Async;
        if how == StepScaling::Staleness && !bounded {
            return Err(Error::Usage(
                "--step-scaling: async has no bound on staleness, say delay or none".into(),
            ));
        }
        Ok(Scaling {
            how,
            staleness: bound.staleness(),
            bounded,
        })
    }

    /// The table of the clocks that each worker has completed; `delay` needs it.
    pub(super) fn table(world: &World) -> TableSpec {
        TableSpec {
            name: "progress",
            kind: TableKind::Shared {
                rows: u64::from(world.workers()),
                width: 1,
                element: ElementType::I64,
                sparse: false,
            },
        }
    }
}

/// What a worker knows of the clocks of others.
#[derive(Debug)]
pub(super) struct Progress {
    /// [`Scaling::table`].
    table: TableId,
    /// Those that were completed when it last looked.
    seen: Option<u64>,
}

impl Progress {
    pub(super) fn new(table: TableId) -> Progress {
        Progress { table, seen: None }
    }

    /// How many times as long as usual the steps of a clock are, once in each; `late` is the mean
    /// staleness of what was read for it.
    pub(super) fn scale(
        &mut self,
        scaling: Scaling,
        late: f64,
        worker: &mut Worker,
    ) -> Result<f64> {
        let workers = f64::from(worker.world().workers());
        let missing = match scaling.how {
            StepScaling::None => 0.0,
            StepScaling::Staleness => (f64::from(scaling.staleness) + 1.0) * workers - 1.0,
            StepScaling::Delay => {
                // Without a bound a worker that is ahead cannot tell late updates from those that
                // were never made.
                let late = if scaling.bounded { late } else { 0.0 };
                self.overtaken(worker)? + late * (workers - 1.0)
            }
        };
        Ok(1.0 / (1.0 + missing).sqrt())
    }

    /// The clocks that other workers have completed since this was last asked; before the first
    /// time, one of each.
    fn overtaken(&mut self, worker: &mut Worker) -> Result<f64> {
        let mut clocks = 0;
        let own = u64::from(worker.id());
        for other in (0..u64::from(worker.world().workers())).filter(|other| *other != own) {
            clocks += worker.read::<i64>(self.table, other)?[0] as u64;
        }
        worker.inc::<i64>(self.table, own, &[1]);
        let others = worker.world().workers() - 1;
        let since = self.seen.map_or(u64::from(others), |last| clocks - last);
        self.seen = Some(clocks);
        Ok(since as f64)
    }
}

/// The staleness of what was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lateness {
    clocks: u64,
    reads: u64,
}

impl Lateness {
    /// Notes the read that was made last.
    pub(super) fn note(&mut self, worker: &Worker) {
        self.clocks += worker.last_staleness();
        self.reads += 1;
    }

    pub(super) fn add(&mut self, other: Lateness) {
        self.clocks += other.clocks;
        self.reads += other.reads;
    }

    /// The mean of the reads since this was last asked.
    pub(super) fn take(&mut self) -> f64 {
        let Lateness { clocks, reads } = std::mem::take(self);
        clocks as f64 / reads.max(1) as f64
    }
}
