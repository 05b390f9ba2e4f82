//! The engine without any real program: a toy that counts, over one rank and over several, must see
//! every change exactly once and stop where it is told to.

use std::fs;
use std::path::Path;

use clap::{Args, Command, FromArgMatches};
use petuum::engine::{Host, InProcess, Objective, Program, Settings, Worker, run_in_process};
use petuum::error::{Error, Result};
use petuum::program::lda;
use petuum::ps::{Consistency, ElementType, TableKind, TableSpec, World};
use petuum::report::Record;
use petuum::scheduler::rotation::Rotation;
use petuum::snapshot::{Model, Tensor, take};
use petuum::wire::message::{Clock, Portable};
use tempfile::TempDir;

const SUMS: u16 = 0;
const RING: u16 = 1;
const WIDTH: usize = 5;

/// Every worker adds 1 to every element of a shared row in every clock, and signs every block of a
/// ring once per pass.
struct Counting {
    blocks: u32,
}

/// The clocks of one worker, and the signatures it has seen.
#[derive(Default)]
struct Counter {
    clocks: i64,
    turn: u64,
    holds: u64,
    factor: i64,
    /// Clocks of the run that this one goes on from; tables begin at 0 again.
    before: i64,
}

/// Bytes as they are.
#[derive(Clone, Debug, PartialEq)]
struct Numbers(Vec<i64>);

impl Portable for Numbers {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0
            .iter()
            .for_each(|number| out.extend(number.to_le_bytes()));
    }
    fn decode(bytes: &[u8]) -> Result<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        if rest.is_empty() {
            Ok(Numbers(
                numbers
                    .iter()
                    .map(|number| i64::from_le_bytes(*number))
                    .collect(),
            ))
        } else {
            Err(Error::Other("not numbers".into()))
        }
    }
}

impl Program for Counting {
    type Part = Counter;
    type Task = ();
    type Partial = Numbers;
    type Update = Numbers;

    fn columns(&self) -> Vec<&'static str> {
        vec!["factor"]
    }

    fn tables(&self, _world: &World) -> Vec<TableSpec> {
        let sums = TableKind::Shared {
            rows: 3,
            width: WIDTH as u32,
            element: ElementType::I64,
            sparse: false,
        };
        vec![
            TableSpec {
                name: "sums",
                kind: sums,
            },
            TableSpec {
                name: "ring",
                kind: TableKind::Exclusive {
                    blocks: self.blocks,
                },
            },
        ]
    }

    fn load(&mut self, host: &Host) -> Result<Vec<Counter>> {
        let everyone = host.all_gather(vec![host.rank() as u8])?;
        for (rank, bytes) in everyone.iter().enumerate() {
            assert_eq!(bytes[..], [rank as u8]);
        }
        Ok(host
            .world()
            .local(host.rank())
            .map(|_| Counter::default())
            .collect())
    }

    fn push(&self, part: &mut Counter, (): (), worker: &mut Worker) -> Result<()> {
        let rotation = Rotation::new(worker.world().workers(), self.blocks);
        for _ in 0..self.blocks {
            let turn = rotation.task(worker.id(), part.turn);
            part.turn += 1;
            let mut block = match turn.first {
                true => Numbers(Vec::new()),
                false => worker.acquire(RING, turn.block, turn.turn)?,
            };
            assert_eq!(block.0.len() as u64, turn.turn, "one signature per use");
            block.0.push(i64::from(worker.id()));
            worker.hand_over(RING, turn.block, turn.turn + 1, turn.next, block);
        }
        for row in 0..3 {
            let workers = i64::from(worker.world().workers());
            let at = worker.at();
            let own = part.clocks - part.before;
            for value in worker.read::<i64>(SUMS, row)? {
                assert!(
                    *value >= own && *value <= workers * (at + 2),
                    "{value} at {at}"
                );
            }
            worker.inc(SUMS, row, &[1i64; WIDTH]);
        }
        part.clocks += 1;
        Ok(())
    }

    fn partial(&self, part: &mut Counter, _worker: &mut Worker) -> Result<Numbers> {
        Ok(Numbers(vec![part.clocks, part.factor]))
    }

    fn maximises(&self) -> bool {
        true
    }

    fn objective(&self, partials: &[Numbers]) -> Result<Objective> {
        let value = partials.iter().map(|numbers| numbers.0[0] as f64).sum();
        Ok(Objective {
            value,
            columns: vec![Some(partials[0].0[1] as f64)],
        })
    }

    fn pull(&self, _clock: Clock, partials: &[Numbers]) -> Result<Option<Numbers>> {
        Ok(Some(Numbers(vec![partials[0].0[1] + 2])))
    }

    fn commit(&self, part: &mut Counter, update: &Numbers) {
        part.factor = update.0[0];
    }

    fn finish(&self, part: &mut Counter, worker: &mut Worker) -> Result<()> {
        worker.settle();
        for row in 0..3 {
            for value in worker.read::<i64>(SUMS, row)? {
                part.holds += *value as u64;
            }
        }
        Ok(())
    }

    fn save(&self, parts: Vec<Counter>, host: &Host, _model: Option<&mut Model>) -> Result<()> {
        let workers = u64::from(host.world().workers());
        for part in parts {
            let clocks = (part.clocks - part.before) as u64;
            assert_eq!(part.holds, 3 * WIDTH as u64 * workers * clocks);
        }
        Ok(())
    }

    fn checkpoint(&self, part: &Counter) -> Vec<Tensor> {
        vec![Tensor::new("numbers", &[2], &[part.clocks, part.factor])]
    }

    fn restore(&self, part: &mut Counter, mut tensors: Vec<Tensor>) -> Result<()> {
        let numbers = take(&mut tensors, "numbers")?.values::<i64>()?;
        (part.clocks, part.factor) = (numbers[0], numbers[1]);
        part.before = numbers[0];
        Ok(())
    }
}

fn settings(consistency: Consistency, staleness: u32, clocks: u64) -> Settings {
    Settings {
        program: "counting",
        shards: 2,
        consistency,
        staleness,
        clocks: Some(clocks),
        ..Settings::default()
    }
}

fn count(kind: InProcess, ranks: u32, workers: u32, settings: &Settings) -> Vec<Record> {
    let blocks = ranks * workers * 2;
    run_in_process(kind, ranks, workers, settings, || Ok(Counting { blocks })).unwrap()
}

#[test]
fn every_change_is_seen_once_under_every_consistency_and_transport() {
    use Consistency::{Async, Bsp, Essp, Ssp};
    for (consistency, staleness) in [
        (Bsp, 0),
        (Ssp, 0),
        (Ssp, 2),
        (Essp, 1),
        (Essp, 5),
        (Async, 0),
    ] {
        for (ranks, workers) in [(1, 1), (1, 3), (2, 1), (3, 2)] {
            for kind in [InProcess::Local, InProcess::Coded] {
                let records = count(kind, ranks, workers, &settings(consistency, staleness, 12));
                assert_eq!(
                    records.len(),
                    12,
                    "{consistency:?} {staleness} {ranks} x {workers}"
                );
                for (record, clock) in records.iter().zip(1..) {
                    assert_eq!(record.clock, clock);
                    assert_eq!(record.objective, f64::from(ranks * workers) * clock as f64);
                }
            }
        }
    }
}

#[test]
fn a_limited_bandwidth_delays_changes_and_loses_none() {
    use Consistency::{Async, Bsp, Essp, Ssp};
    for (consistency, staleness) in [(Bsp, 0), (Ssp, 2), (Essp, 3), (Async, 0)] {
        for bandwidth in [0.01, 1000.0] {
            let settings = Settings {
                bandwidth: Some(bandwidth),
                ..settings(consistency, staleness, 12)
            };
            let records = count(InProcess::Coded, 3, 2, &settings);
            let last = records.last().unwrap();
            assert_eq!((last.clock, last.objective), (12, 72.0));
            for record in &records {
                let counts = &record.staleness_counts;
                assert_eq!(record.staleness_max as usize + 1, counts.len());
                let bounded = consistency != Async;
                assert!(!bounded || counts.len() <= staleness as usize + 1);
                // Every worker reads three rows in every clock.
                assert!(!bounded || counts.iter().sum::<u64>() == 18, "{counts:?}");
            }
        }
    }
}

#[test]
fn what_pull_finds_reaches_every_worker_after_the_staleness() {
    for staleness in [0, 2] {
        let settings = settings(Consistency::Ssp, staleness, 10);
        let records = count(InProcess::Local, 2, 2, &settings);
        for (record, clock) in records.iter().zip(0u64..) {
            // Clock c works with what was pulled in clock c - s - 1, which is 2 more than that one
            // worked with.
            let pulls = clock / (u64::from(staleness) + 1);
            assert_eq!(record.columns, [Some(2.0 * pulls as f64)], "clock {clock}");
        }
    }
}

#[test]
fn a_target_stops_the_run_after_an_evaluated_clock() {
    for (staleness, evaluate_every) in [(0, 1), (0, 4), (3, 1), (3, 4)] {
        let target = Some(20.0);
        let base = settings(Consistency::Ssp, staleness, 1000);
        let settings = Settings {
            target,
            evaluate_every,
            ..base
        };
        let records = count(InProcess::Local, 2, 1, &settings);
        let last = records.last().unwrap();
        assert!(
            last.clock <= 10 + u64::from(staleness) + 2 * evaluate_every,
            "{last:?}"
        );
        let counted: Vec<f64> = records.iter().map(|r| r.clock as f64 * 2.0).collect();
        assert_eq!(
            counted,
            records.iter().map(|r| r.objective).collect::<Vec<_>>()
        );
    }
}

/// The clocks whose checkpoints in `folder` are complete.
fn checkpoints(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let complete = entries.filter(|entry| entry.path().join("DONE").exists());
    let mut clocks: Vec<u64> = complete
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_prefix("clock-")?
                .parse()
                .ok()
        })
        .collect();
    clocks.sort_unstable();
    clocks
}

#[test]
fn a_run_that_ends_early_leaves_a_checkpoint_of_its_last_clock() {
    for (staleness, evaluate_every) in [(0, 1), (0, 3), (1, 1), (3, 1), (3, 4)] {
        for ranks in [1, 2] {
            let folder = TempDir::new().unwrap();
            let settings = Settings {
                target: Some(40.0),
                evaluate_every,
                checkpoint: Some(folder.path().to_path_buf()),
                checkpoint_every: 1000,
                ..settings(Consistency::Ssp, staleness, 1000)
            };
            let records = count(InProcess::Coded, ranks, 2, &settings);
            let last = records.last().unwrap().clock;
            assert_eq!(checkpoints(folder.path()), [last]);
        }
    }
}

#[test]
fn a_resumed_run_goes_on_as_if_it_had_never_ended() {
    let folder = TempDir::new().unwrap();
    let with = |clocks, checkpoint: bool, resume| Settings {
        checkpoint: checkpoint.then(|| folder.path().to_path_buf()),
        checkpoint_every: 5,
        resume,
        ..settings(Consistency::Bsp, 0, clocks)
    };
    let strip = |records: Vec<Record>| -> Vec<(u64, f64, Vec<Option<f64>>)> {
        let parts = records.into_iter();
        parts.map(|r| (r.clock, r.objective, r.columns)).collect()
    };
    // The ring of blocks is not saved by this toy: it goes round once per clock.
    let whole = strip(count(InProcess::Local, 2, 2, &with(20, false, false)));
    count(InProcess::Local, 2, 2, &with(10, true, false));
    assert_eq!(checkpoints(folder.path()), [5, 10]);
    let resumed = count(InProcess::Local, 2, 2, &with(20, true, true));
    assert_eq!(strip(resumed), whole);
}

#[test]
fn a_checkpoint_holds_the_records_until_its_clock_and_no_more() {
    let folder = TempDir::new().unwrap();
    let settings = Settings {
        checkpoint: Some(folder.path().to_path_buf()),
        checkpoint_every: 2,
        ..settings(Consistency::Ssp, 6, 40)
    };
    count(InProcess::Coded, 3, 2, &settings);
    for clock in checkpoints(folder.path()) {
        let path = folder
            .path()
            .join(format!("clock-{clock:08}/checkpoint.json"));
        let text = fs::read(path).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let records = json["records"].as_array().unwrap();
        assert_eq!(records.len() as u64, clock);
        assert_eq!(records.last().unwrap()["clock"], clock);
    }
}

#[test]
fn a_time_limit_ends_every_worker_after_the_same_clock() {
    for consistency in [Consistency::Bsp, Consistency::Essp, Consistency::Async] {
        let settings = Settings {
            time_limit: Some(0.02),
            evaluate_every: 7,
            ..settings(consistency, 2, u64::MAX >> 2)
        };
        let records = count(InProcess::Coded, 2, 2, &settings);
        let last = records.last().unwrap();
        assert!(last.seconds >= 0.02, "{last:?}");
        assert_eq!(last.objective, 4.0 * last.clock as f64);
    }
}

#[test]
fn one_worker_per_rank_gives_the_same_bits_over_channels_and_codec() {
    let settings = Settings {
        program: "lda",
        clocks_per_pass: 1,
        ..settings(Consistency::Bsp, 0, 6)
    };
    let options = ["lda", "--topics", "8"];
    let train = |kind| {
        let records = run_in_process(kind, 2, 1, &settings, || {
            let command = lda::Options::augment_args(Command::new("lda"));
            let matches = command.get_matches_from(options);
            lda::new(lda::Options::from_arg_matches(&matches).unwrap())
        });
        let objectives = records.unwrap().into_iter().map(|r| (r.clock, r.objective));
        objectives.collect::<Vec<_>>()
    };
    let local = train(InProcess::Local);
    assert_eq!(local, train(InProcess::Coded));
    assert_eq!(local, over_tcp(&options));
}

/// The same over TCP: two processes with one worker each.
fn over_tcp(options: &[&str]) -> Vec<(u64, f64)> {
    let folder = TempDir::new().unwrap();
    let hosts = folder.path().join("hosts.txt");
    fs::write(&hosts, "localhost slots=1\nlocalhost slots=1\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_petuum"))
        .args(options)
        .args([
            "--consistency",
            "bsp",
            "--clocks",
            "6",
            "--quiet",
            "--hosts",
        ])
        .arg(&hosts)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let fields = text.lines().skip(1).map(|line| line.split(',').collect());
    fields
        .map(|fields: Vec<&str>| (fields[0].parse().unwrap(), fields[2].parse().unwrap()))
        .collect()
}
