//! Everything a run can be told, apart from what its program can be told.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::ps::{Bound, Consistency, Priority, Wire, World};
use crate::report::RecordForm;
use crate::snapshot::checkpoint::Identity;

/// The shared options of a run, checked, with the program's defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program's name.
    pub program: &'static str,
    /// Worker threads of this process; `None`: the hosts file's `slots=`, or the cores.
    pub workers: Option<u32>,
    /// Parameter-server shards of each process.
    pub shards: u32,
    /// The hosts file; `None`: this process alone.
    pub hosts: Option<PathBuf>,
    /// This process's rank; `None` with `hosts`: launch them all.
    pub rank: Option<u32>,
    /// How many ranks the scheduler that numbered this process has started, to be compared with the
    /// hosts file.
    pub ranks: Option<u32>,
    /// File with the secret shared by all ranks.
    pub secret_file: Option<PathBuf>,
    /// Seconds until a host that is not there is missing.
    pub connect_timeout: f64,
    /// Which reads are allowed; see [`Settings::bound`].
    pub consistency: Consistency,
    /// Clocks that a read may miss.
    pub staleness: u32,
    /// Megabits a second that each host may send and may receive; `None`: not limited.
    pub bandwidth: Option<f64>,
    /// Which rows leave first under a limit.
    pub priority: Priority,
    /// How floats travel.
    pub wire: Wire,
    /// The run stops after this many clocks.
    pub clocks: Option<u64>,
    /// The run stops after this many seconds of training.
    pub time_limit: Option<f64>,
    /// The run stops when the objective changes by less than this part of itself.
    pub tolerance: Option<f64>,
    /// The run stops when the objective is as good as this.
    pub target: Option<f64>,
    /// Clock boundaries in one pass over the data.
    pub clocks_per_pass: u64,
    /// Clocks between objectives.
    pub evaluate_every: u64,
    /// Where everything random comes from.
    pub seed: u64,
    /// The model's folder; `None`: not saved.
    pub output: Option<PathBuf>,
    /// An earlier model or earlier checkpoints may be replaced.
    pub force: bool,
    /// The checkpoints' folder.
    pub checkpoint: Option<PathBuf>,
    /// Clocks between checkpoints, if there are any.
    pub checkpoint_every: u64,
    /// Go on from the newest checkpoint.
    pub resume: bool,
    /// The form of stdout.
    pub records: RecordForm,
    /// Nothing but errors on stderr.
    pub quiet: bool,
    /// All options that must be equal on all ranks, one `--name value` a line.
    pub canonical: String,
    /// Those of them that must be equal when a run goes on from a checkpoint: all but when to stop
    /// and what to write.
    pub canonical_result: String,
    /// All options with their values, for `model.json`.
    pub options: Map<String, Value>,
}

/// A program's defaults for shared options.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// Default of `--staleness`.
    pub staleness: u32,
    /// Default of `--clocks`.
    pub clocks: u64,
    /// Default of `--clocks-per-pass`.
    pub clocks_per_pass: u64,
    /// Default of `--tolerance`; `None`: the objective does not stop the run.
    pub tolerance: Option<f64>,
}

/// A run of this process alone under `bsp` that writes nothing but records, until its program stops it.
impl Default for Settings {
    fn default() -> Settings {
        Settings {
            program: "",
            workers: None,
            shards: 1,
            hosts: None,
            rank: None,
            ranks: None,
            secret_file: None,
            connect_timeout: 30.0,
            consistency: Consistency::Bsp,
            staleness: 0,
            bandwidth: None,
            priority: Priority::Magnitude,
            wire: Wire::F32,
            clocks: None,
            time_limit: None,
            tolerance: None,
            target: None,
            clocks_per_pass: 1,
            evaluate_every: 1,
            seed: 1,
            output: None,
            force: false,
            checkpoint: None,
            checkpoint_every: 1,
            resume: false,
            records: RecordForm::Csv,
            quiet: true,
            canonical: String::new(),
            canonical_result: String::new(),
            options: Map::new(),
        }
    }
}

impl Settings {
    /// The read rule of the run.
    pub fn bound(&self) -> Bound {
        Bound::new(self.consistency, self.staleness)
    }

    /// Clocks between checkpoints; `None` without `--checkpoint`.
    pub fn checkpoint_every(&self) -> Option<i64> {
        self.checkpoint
            .as_ref()
            .map(|_| self.checkpoint_every as i64)
    }

    /// What a checkpoint and the run that goes on from it must have in common.
    pub fn identity(&self, world: &World) -> Identity {
        Identity {
            program: self.program.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workers: (0..world.ranks())
                .map(|rank| world.local(rank).len() as u32)
                .collect(),
            options: self.canonical_result.clone(),
        }
    }

    /// The part of `model.json` that tells how the model was made.
    pub fn description(&self) -> Value {
        json!({
            "program": self.program,
            "version": env!("CARGO_PKG_VERSION"),
            "options": self.options,
        })
    }
}
