//! The options that all programs share, in one struct, and how they become [`Settings`].

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, ValueEnum};

use super::canonical;
use super::rank;
use crate::engine::{Defaults, Settings};
use crate::error::{Error, Result};
use crate::program::flag::{above, real, whole};
use crate::ps::{Consistency, Priority, Wire};
use crate::report::RecordForm;

/// Most worker threads of one process.
const WORKERS_MAX: u32 = 4096;
/// Most ranks of a run.
const RANKS_MAX: u32 = 65_536;
/// Most clocks: they stay exact in every reader of the records.
const CLOCKS_MAX: u64 = 1 << 53;
/// A day, in seconds.
const TIMEOUT_MAX: f64 = 86_400.0;

const HOSTS: &str = "Workers and hosts";
const TRAINING: &str = "Training";
const STOPPING: &str = "When to stop";
const OUTPUT: &str = "Output";
const CHECKPOINTS: &str = "Checkpoints";

/// Flags that mean nothing without another one: identifier, flag, what it needs.
const NEEDS: [(&str, &str, &str); 8] = [
    ("rank", "--rank", "hosts"),
    ("secret_file", "--secret-file", "hosts"),
    ("connect_timeout", "--connect-timeout", "hosts"),
    ("bandwidth", "--bandwidth", "hosts"),
    ("priority", "--priority", "bandwidth"),
    ("wire", "--wire", "hosts"),
    ("checkpoint_every", "--checkpoint-every", "checkpoint"),
    ("resume", "--resume", "checkpoint"),
];

/// The options of every training program.
#[derive(Debug, Clone, Args)]
pub(super) struct Shared {
    /// Worker threads on each host [default: slots= of the hosts file, or the cores]
    #[arg(long, value_name = "N", help_heading = HOSTS, value_parser = whole(1..=WORKERS_MAX))]
    workers: Option<u32>,

    /// Parameter-server shards in each process
    #[arg(long, value_name = "N", help_heading = HOSTS, default_value_t = 1,
          value_parser = whole(1..=WORKERS_MAX))]
    shards: u32,

    /// Train on several hosts, one a line: host[:port] [slots=N]
    ///
    /// `#` begins a comment; blank lines are allowed; a host's rank is its place among the hosts,
    /// from 0. Without --rank, every line that means this machine (localhost, 127.x, its own name)
    /// is started as a child process.
    #[arg(long, value_name = "FILE", help_heading = HOSTS)]
    hosts: Option<PathBuf>,

    /// Start only this rank of --hosts; give the same command on every host
    ///
    /// With --hosts and without --rank the rank is taken, in this order, from Slurm (SLURM_PROCID,
    /// if SLURM_NTASKS is above 1), Open MPI (OMPI_COMM_WORLD_RANK) or a Kubernetes indexed job
    /// (JOB_COMPLETION_INDEX). If none of them is set, all ranks are started from here.
    #[arg(long, value_name = "R", help_heading = HOSTS,
          value_parser = whole(0..RANKS_MAX))]
    rank: Option<u32>,

    /// File with the secret that all ranks share
    ///
    /// For ranks that are started by hand or by a scheduler. White space around it does not count.
    /// Ranks that petuum launches itself get a random one.
    #[arg(long, value_name = "FILE", help_heading = HOSTS)]
    secret_file: Option<PathBuf>,

    /// How long to wait for the other hosts at the start
    #[arg(long, value_name = "SECONDS", help_heading = HOSTS, default_value = "30",
          value_parser = real(0.1..=TIMEOUT_MAX))]
    connect_timeout: f64,

    /// What a read of shared parameters may miss
    #[arg(long, value_enum, help_heading = TRAINING, default_value_t = Form::Essp)]
    consistency: Form,

    /// Clocks that a read may miss
    #[arg(long, value_name = "S", help_heading = TRAINING, value_parser = whole(0..=1_000_000u32))]
    staleness: u32,

    /// Megabits a second that each host may send, and may receive
    ///
    /// Rows of shared tables that change wait for their turn, updates as well as what comes back, and
    /// so do blocks that move to another host. A row that --staleness does not let wait any longer
    /// leaves regardless, and so do the reports of clocks; if that alone takes more than the limit,
    /// each host says so, once. Each pair of hosts gets an equal part. Without --bandwidth nothing
    /// waits.
    #[arg(long, value_name = "MBIT", help_heading = HOSTS, value_parser = above(0.0))]
    bandwidth: Option<f64>,

    /// Which changed rows leave first under --bandwidth
    #[arg(long, value_enum, help_heading = HOSTS, default_value_t = Order::Magnitude)]
    priority: Order,

    /// How 32-bit floats of shared tables travel between hosts; blocks that move travel as they are
    #[arg(long, value_enum, help_heading = HOSTS, default_value_t = Floats::F32)]
    wire: Floats,

    /// Clock boundaries in one pass over the data
    #[arg(long, value_name = "N", help_heading = TRAINING, value_parser = whole(1..=1_000_000u64))]
    clocks_per_pass: u64,

    /// Stop after so many clocks; whichever of these four comes first
    #[arg(long, value_name = "N", help_heading = STOPPING, value_parser = whole(1..=CLOCKS_MAX))]
    clocks: u64,

    /// Stop after so many seconds of training
    #[arg(long, value_name = "SECONDS", help_heading = STOPPING, value_parser = above(0.0))]
    time_limit: Option<f64>,

    /// Stop when the objective has converged by this: unless the description above says otherwise, when
    /// it changes by less than this part of itself between two records; 0: never
    #[arg(long, value_name = "T", help_heading = STOPPING, value_parser = real(0.0..))]
    tolerance: Option<f64>,

    /// Stop when the objective is at least as good as this
    #[arg(long, value_name = "VALUE", help_heading = STOPPING, value_parser = real(..))]
    target: Option<f64>,

    /// Clocks between two objectives, which are also the records
    #[arg(long, value_name = "N", help_heading = OUTPUT, default_value_t = 1,
          value_parser = whole(1..=CLOCKS_MAX))]
    evaluate_every: u64,

    /// Where everything random comes from
    #[arg(long, value_name = "N", help_heading = TRAINING, default_value_t = 1,
          value_parser = whole::<u64>(..))]
    seed: u64,

    /// Save the model in this folder, which must be new or empty
    ///
    /// It appears when it is complete; DONE in it is written last. Without --output the model is
    /// not saved.
    #[arg(short, long, value_name = "DIR", help_heading = OUTPUT)]
    output: Option<PathBuf>,

    /// Replace what an earlier run left in --output or --checkpoint
    ///
    /// An earlier model stays until the new one is complete. Files that petuum did not write are
    /// kept.
    #[arg(long, help_heading = OUTPUT)]
    force: bool,

    /// The form of the records on standard output
    #[arg(long, value_enum, help_heading = OUTPUT, default_value_t = Records::Csv)]
    records: Records,

    /// No progress and no notes on standard error; errors stay
    #[arg(short, long, help_heading = OUTPUT)]
    quiet: bool,

    /// Write checkpoints into this folder, which all hosts must see; the last two are kept
    #[arg(long, value_name = "DIR", help_heading = CHECKPOINTS)]
    checkpoint: Option<PathBuf>,

    /// Clocks between two checkpoints
    #[arg(long, value_name = "N", help_heading = CHECKPOINTS, default_value_t = 10,
          value_parser = whole(1..=CLOCKS_MAX))]
    checkpoint_every: u64,

    /// Go on from the newest complete checkpoint in --checkpoint
    ///
    /// The options that shape the result must be the same as then; when to stop and what to write
    /// may differ.
    #[arg(long, help_heading = CHECKPOINTS)]
    resume: bool,
}

/// The values of `--consistency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Nothing: every clock reads the result of the one before; runs are bit-identical
    Bsp,
    /// The last S clocks; rows that miss more are fetched
    Ssp,
    /// The last S clocks; changed rows are pushed to their readers at once
    Essp,
    /// Anything: reads never wait
    Async,
}

impl From<Form> for Consistency {
    fn from(form: Form) -> Consistency {
        match form {
            Form::Bsp => Consistency::Bsp,
            Form::Ssp => Consistency::Ssp,
            Form::Essp => Consistency::Essp,
            Form::Async => Consistency::Async,
        }
    }
}

/// The values of `--priority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Those that have changed most since they left last, relative to their value: Σ|δ| / Σ|v|
    Magnitude,
    /// Those that have waited longest
    Age,
    /// Any
    Random,
}

impl From<Order> for Priority {
    fn from(order: Order) -> Priority {
        match order {
            Order::Magnitude => Priority::Magnitude,
            Order::Age => Priority::Age,
            Order::Random => Priority::Random,
        }
    }
}

/// The values of `--wire`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Floats {
    /// As they are
    F32,
    /// Rounded to bfloat16, half the bytes; what rounding takes off an update follows with the next
    Bf16,
}

impl From<Floats> for Wire {
    fn from(floats: Floats) -> Wire {
        match floats {
            Floats::F32 => Wire::F32,
            Floats::Bf16 => Wire::Bf16,
        }
    }
}

/// The values of `--records`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Records {
    /// Comma-separated values under a header
    Csv,
    /// One JSON object a line, with the same names, and reads counted by their staleness
    Jsonl,
}

impl From<Records> for RecordForm {
    fn from(records: Records) -> RecordForm {
        match records {
            Records::Csv => RecordForm::Csv,
            Records::Jsonl => RecordForm::Jsonl,
        }
    }
}

/// Adds the shared flags to a program's command, with the program's defaults.
pub(super) fn add_flags(command: Command, defaults: &Defaults) -> Command {
    let default = |name: &str| match name {
        "staleness" => Some(defaults.staleness.to_string()),
        "clocks" => Some(defaults.clocks.to_string()),
        "clocks_per_pass" => Some(defaults.clocks_per_pass.to_string()),
        "tolerance" => defaults.tolerance.map(|tolerance| tolerance.to_string()),
        _ => None,
    };
    Shared::augment_args(command).mut_args(|flag| match default(flag.get_id().as_str()) {
        Some(value) => flag.default_value(value).required(false),
        None => flag,
    })
}

impl Shared {
    /// Checks what single flags cannot and makes the run's settings. `command` and `matches` are
    /// those of the program, `environment` looks a variable up.
    pub(super) fn settings(
        self,
        program: &'static str,
        command: &Command,
        matches: &ArgMatches,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Settings> {
        self.check(matches)?;
        let place = match (&self.hosts, self.rank) {
            (Some(_), None) => rank::of_environment(environment)?,
            (_, rank) => rank::Place { rank, ranks: None },
        };
        let options = canonical::options(command, matches);
        Ok(Settings {
            program,
            workers: self.workers,
            shards: self.shards,
            hosts: self.hosts,
            rank: place.rank,
            ranks: place.ranks,
            secret_file: self.secret_file,
            connect_timeout: self.connect_timeout,
            consistency: self.consistency.into(),
            staleness: self.staleness,
            bandwidth: self.bandwidth,
            priority: self.priority.into(),
            wire: self.wire.into(),
            clocks: Some(self.clocks),
            time_limit: self.time_limit,
            tolerance: self.tolerance,
            target: self.target,
            clocks_per_pass: self.clocks_per_pass,
            evaluate_every: self.evaluate_every,
            seed: self.seed,
            output: self.output,
            force: self.force,
            checkpoint: self.checkpoint,
            checkpoint_every: self.checkpoint_every,
            resume: self.resume,
            records: self.records.into(),
            quiet: self.quiet,
            canonical: canonical::of_all_ranks(program, &options),
            canonical_result: canonical::of_result(&options),
            options: canonical::to_json(&options),
        })
    }

    fn check(&self, matches: &ArgMatches) -> Result<()> {
        let given = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        for (name, flag, needs) in NEEDS {
            if given(name) && !given(needs) {
                return Err(Error::Usage(format!("{flag}: needs --{needs}")));
            }
        }
        if self.consistency == Form::Bsp && self.staleness > 0 && given("staleness") {
            return Err(Error::Usage(format!(
                "--staleness: {} contradicts --consistency bsp, which misses nothing; leave one of \
                 them out",
                self.staleness
            )));
        }
        if self.consistency == Form::Bsp && self.wire == Floats::Bf16 {
            return Err(Error::Usage(
                "--wire: bf16 rounds, --consistency bsp promises equal bits; leave one of them out"
                    .into(),
            ));
        }
        if self.force && self.output.is_none() && self.checkpoint.is_none() {
            return Err(Error::Usage(
                "--force: there is nothing to replace; add --output DIR or --checkpoint DIR".into(),
            ));
        }
        if self.force && self.resume && self.output.is_none() {
            return Err(Error::Usage(
                "--force: would remove the checkpoints that --resume needs; leave one of them out"
                    .into(),
            ));
        }
        Ok(())
    }
}
