//! Checkpoints: what every rank needs to go on from a clock boundary.
//!
//! ```text
//! DIR/clock-00000012/rank-0000.safetensors   one part per rank, each written by its rank
//! DIR/clock-00000012/rank-0001.safetensors
//! DIR/clock-00000012/checkpoint.json         program, version, workers, options, times, records
//! DIR/clock-00000012/DONE                    written last, by rank 0, when all parts are there
//! ```
//!
//! With several hosts the folder is one that all of them see. Every file is written beside,
//! synchronised and renamed, so a part is whole or absent; a checkpoint without `DONE` never
//! happened. The last two complete ones are kept.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DONE;
use super::file::{create_folders, names, write_whole};
use super::tensor::{Tensor, check_tensors, read_tensors, write_tensors};
use crate::error::{Error, Result};
use crate::report::{Notes, Record};

const DESCRIPTION: &str = "checkpoint.json";
/// Complete checkpoints that are kept.
const KEPT: usize = 2;

/// What must be the same in the run that writes a checkpoint and in the one that goes on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The program's name.
    pub program: String,
    /// petuum's version.
    pub version: String,
    /// Workers of each rank.
    pub workers: Vec<u32>,
    /// The options that shape the result, one `--name value` a line.
    pub options: String,
}

/// The times of the clocks before a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Elapsed {
    /// Seconds of training.
    pub seconds: f64,
    /// Seconds blocked, mean over all workers.
    pub wait_seconds: f64,
}

/// `checkpoint.json`.
#[derive(Serialize, Deserialize)]
struct Description {
    #[serde(flatten)]
    identity: Identity,
    elapsed: Elapsed,
    records: Vec<Record>,
}

/// A complete checkpoint to go on from.
pub struct Checkpoint {
    folder: PathBuf,
    clock: i64,
    description: Description,
}

impl Checkpoint {
    /// The clocks that were completed, which is the first clock to run.
    pub fn clock(&self) -> i64 {
        self.clock
    }

    /// The times of the clocks before.
    pub fn elapsed(&self) -> Elapsed {
        self.description.elapsed
    }

    /// The records of the clocks before.
    pub fn records(&self) -> &[Record] {
        &self.description.records
    }

    /// The part of `rank`. Status 65 if it is damaged.
    pub fn read_part(&self, rank: u32) -> Result<Vec<Tensor>> {
        read_tensors(&self.folder.join(part_name(rank)))
    }
}

/// Prepares `folder`, on rank 0, before the first clock: creates it, and removes what crashed runs
/// left unfinished.
///
/// A run that starts afresh (`resumes` is false) fails with status 73 if an earlier run's
/// checkpoints are there; with `force` they are removed.
pub fn prepare(folder: &Path, resumes: bool, force: bool, notes: &Notes) -> Result<()> {
    create_folders(folder)?;
    let found = found(folder)?;
    let complete = found.iter().any(|(_, folder)| folder.join(DONE).exists());
    if !resumes && complete && !force {
        return Err(Error::cannot_create(
            folder,
            "it holds checkpoints of an earlier run; go on from them with --resume, or remove them \
             with --force",
        ));
    }
    for (clock, folder) in found {
        if !folder.join(DONE).exists() {
            notes.note(&format!(
                "removing the unfinished checkpoint of clock {clock}"
            ));
            discard(&folder)?;
        } else if !resumes {
            discard(&folder)?;
        }
    }
    Ok(())
}

/// Writes the part of `rank` after `clock` clocks. Once it returns, the part is on disk.
pub fn write_part(folder: &Path, clock: i64, rank: u32, tensors: &[Tensor]) -> Result<()> {
    let folder = at(folder, clock);
    create_folders(&folder)?;
    write_whole(&folder.join(part_name(rank)), |out| {
        write_tensors(out, tensors)
    })
}

/// Completes the checkpoint of `clock`, on rank 0, once every rank has written its part; removes
/// all but the last two.
pub fn complete(
    folder: &Path,
    clock: i64,
    identity: &Identity,
    elapsed: Elapsed,
    records: &[Record],
) -> Result<()> {
    let this = at(folder, clock);
    let ranks = 0..identity.workers.len() as u32;
    if let Some(rank) = ranks
        .into_iter()
        .find(|rank| !this.join(part_name(*rank)).is_file())
    {
        return Err(Error::cannot_write(
            &this,
            format!(
                "rank {rank} wrote its part elsewhere; --checkpoint must name a folder that all \
                 hosts see"
            ),
        ));
    }
    let description = Description {
        identity: identity.clone(),
        elapsed,
        records: records.to_vec(),
    };
    let text =
        serde_json::to_vec_pretty(&description).map_err(|error| Error::Bug(error.to_string()))?;
    write_whole(&this.join(DESCRIPTION), |out| out.write_all(&text))?;
    write_whole(&this.join(DONE), |out| {
        writeln!(out, "petuum {}", identity.version)
    })?;
    prune(folder, clock)
}

/// The newest complete checkpoint in `folder`. What is torn or was never finished is passed over
/// with a note.
///
/// Status 66 if there is none, never a silent fresh start; 76, naming both values, if it was
/// written by another program, version, world or with other options.
pub fn newest_complete(folder: &Path, identity: &Identity, notes: &Notes) -> Result<Checkpoint> {
    if !folder.is_dir() {
        return Err(Error::no_input(folder, "no such checkpoint folder"));
    }
    for (clock, this) in found(folder)?.into_iter().rev() {
        match check(&this) {
            Ok(description) => {
                compare(folder, &description.identity, identity)?;
                return Ok(Checkpoint {
                    folder: this,
                    clock,
                    description,
                });
            }
            Err(reason) => {
                notes.note(&format!(
                    "passing over the checkpoint of clock {clock}: {reason}"
                ));
            }
        }
    }
    Err(Error::no_input(
        folder,
        "no complete checkpoint to resume from; leave --resume out to start afresh",
    ))
}

/// How two texts of one `--name value` a line differ, one entry per name, with both values.
pub fn differences(there: &str, here: &str) -> Vec<String> {
    let value = |text: &str, name: &str| {
        let line = text
            .lines()
            .find(|line| line.split(' ').next() == Some(name));
        line.map_or_else(|| format!("{name} by default"), str::to_owned)
    };
    let mut names: Vec<&str> = Vec::new();
    for line in there.lines().chain(here.lines()) {
        let name = line.split(' ').next().unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let both = names
        .iter()
        .map(|name| (value(there, name), value(here, name)));
    both.filter(|(there, here)| there != here)
        .map(|(there, here)| format!("{there} there, {here} here"))
        .collect()
}

/// The folder of the checkpoint after `clock` clocks.
fn at(folder: &Path, clock: i64) -> PathBuf {
    folder.join(format!("clock-{clock:08}"))
}

/// All checkpoints, complete or not, oldest first; anything else in the folder is not ours.
fn found(folder: &Path) -> Result<Vec<(i64, PathBuf)>> {
    let names = names(folder).map_err(|error| Error::no_input(folder, error))?;
    let clocks = names
        .iter()
        .filter_map(|name| name.strip_prefix("clock-")?.parse().ok());
    let mut found: Vec<(i64, PathBuf)> = clocks
        .map(|clock| (clock, at(folder, clock)))
        .filter(|(_, folder)| names.iter().any(|name| folder.ends_with(name)) && folder.is_dir())
        .collect();
    found.sort();
    Ok(found)
}

/// Whether a checkpoint is complete and all its parts are whole.
fn check(folder: &Path) -> Result<Description> {
    if !folder.join(DONE).is_file() {
        return Err(Error::Other("it was never finished".into()));
    }
    let path = folder.join(DESCRIPTION);
    let text = fs::read(&path).map_err(|error| Error::no_input(&path, error))?;
    let description: Description = serde_json::from_slice(&text)
        .map_err(|error| Error::data(&path, error.line() as u64, 0, error.to_string()))?;
    for rank in 0..description.identity.workers.len() as u32 {
        check_tensors(&folder.join(part_name(rank)))?;
    }
    Ok(description)
}

fn compare(folder: &Path, there: &Identity, here: &Identity) -> Result<()> {
    let lines = |identity: &Identity| {
        let Identity {
            program, version, ..
        } = identity;
        let workers: Vec<String> = identity.workers.iter().map(u32::to_string).collect();
        let workers = workers.join(",");
        format!(
            "program {program}\nversion {version}\nworkers {workers}\n{}",
            identity.options
        )
    };
    let different = differences(&lines(there), &lines(here));
    if different.is_empty() {
        return Ok(());
    }
    Err(Error::Mismatch(format!(
        "{}: the checkpoint was written by a different run: {}",
        folder.display(),
        different.join("; ")
    )))
}

fn prune(folder: &Path, newest: i64) -> Result<()> {
    let mut complete = 0;
    for (clock, folder) in found(folder)?.into_iter().rev() {
        if clock > newest {
            // The other ranks may already be writing the next one.
            continue;
        }
        let keep = folder.join(DONE).exists() && complete < KEPT;
        complete += usize::from(keep);
        if !keep {
            discard(&folder)?;
        }
    }
    Ok(())
}

/// Removes a checkpoint, `DONE` first: a torn removal is an unfinished checkpoint.
fn discard(folder: &Path) -> Result<()> {
    let _ = fs::remove_file(folder.join(DONE));
    fs::remove_dir_all(folder).map_err(|error| Error::cannot_write(folder, error))
}

fn part_name(rank: u32) -> String {
    format!("rank-{rank:04}.safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            program: "lda".into(),
            version: "0.1.0".into(),
            workers: vec![2, 2],
            options: "--topics 100\n--seed 1\n".into(),
        }
    }

    fn part(clock: i64, rank: u32) -> Vec<Tensor> {
        vec![Tensor::new("counts", &[2], &[clock, i64::from(rank)])]
    }

    fn records(clock: i64) -> Vec<Record> {
        vec![Record {
            clock: clock as u64,
            seconds: 0.1 + 0.2,
            columns: vec![None, Some(1.0 / 3.0)],
            ..Record::default()
        }]
    }

    fn write(folder: &Path, clocks: &[i64]) {
        for clock in clocks {
            for rank in 0..2 {
                write_part(folder, *clock, rank, &part(*clock, rank)).unwrap();
            }
            let elapsed = Elapsed {
                seconds: 1.0 / 3.0,
                wait_seconds: 0.7,
            };
            complete(folder, *clock, &identity(), elapsed, &records(*clock)).unwrap();
        }
    }

    fn newest(folder: &Path) -> Result<Checkpoint> {
        newest_complete(folder, &identity(), &Notes::silent())
    }

    fn failure(found: Result<Checkpoint>) -> Error {
        found.err().unwrap()
    }

    #[test]
    fn the_newest_complete_one_is_found_and_two_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("deep/checkpoints");
        prepare(&folder, false, false, &Notes::silent()).unwrap();
        write(&folder, &[5, 10, 100_000_000]);
        let found = newest(&folder).unwrap();
        assert_eq!(found.clock(), 100_000_000);
        assert_eq!(found.records(), records(100_000_000));
        assert_eq!(found.elapsed().seconds, 1.0 / 3.0);
        assert_eq!(found.read_part(1).unwrap(), part(100_000_000, 1));
        assert_eq!(
            names(&folder).unwrap(),
            ["clock-00000010", "clock-100000000"]
        );
        assert_eq!(
            names(&folder.join("clock-00000010")).unwrap(),
            [
                DONE,
                DESCRIPTION,
                "rank-0000.safetensors",
                "rank-0001.safetensors"
            ]
        );
    }

    #[test]
    fn unfinished_torn_and_stray_things_are_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        write(folder, &[5, 10]);
        write_part(folder, 15, 0, &part(15, 0)).unwrap();
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        fs::create_dir(folder.join("clock-new")).unwrap();
        fs::create_dir(folder.join("clock-99")).unwrap();
        fs::write(folder.join("clock-00000099"), "a file").unwrap();
        assert_eq!(newest(folder).unwrap().clock(), 10);
        let torn = folder.join("clock-00000010").join(part_name(1));
        let bytes = fs::read(&torn).unwrap();
        fs::write(&torn, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(newest(folder).unwrap().clock(), 5);
        fs::remove_file(folder.join("clock-00000005").join(part_name(0))).unwrap();
        let error = failure(newest(folder));
        assert_eq!(error.status(), 66);
        assert!(error.to_string().contains("--resume"), "{error}");
    }

    #[test]
    fn a_missing_folder_is_no_fresh_start() {
        assert_eq!(failure(newest(Path::new("/nowhere/at/all"))).status(), 66);
    }

    #[test]
    fn other_options_are_refused_naming_both_values() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &[5]);
        let other = Identity {
            options: "--topics 50\n--seed 1\n--alpha 1\n".into(),
            workers: vec![4],
            ..identity()
        };
        let error = failure(newest_complete(home.path(), &other, &Notes::silent()));
        assert_eq!(error.status(), 76);
        let line = error.to_string();
        assert!(
            line.contains("--topics 100 there, --topics 50 here"),
            "{line}"
        );
        assert!(
            line.contains("--alpha by default there, --alpha 1 here"),
            "{line}"
        );
        assert!(line.contains("workers 2,2 there, workers 4 here"), "{line}");
        assert!(
            !line.contains("--seed") && !line.contains("version"),
            "{line}"
        );
    }

    #[test]
    fn a_fresh_run_does_not_mix_with_an_earlier_one() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        write(folder, &[5, 10]);
        write_part(folder, 15, 0, &part(15, 0)).unwrap();
        let prepare = |resumes, force| prepare(folder, resumes, force, &Notes::silent());
        assert_eq!(prepare(false, false).unwrap_err().status(), 73);
        prepare(true, false).unwrap();
        assert_eq!(names(folder).unwrap(), ["clock-00000005", "clock-00000010"]);
        prepare(false, true).unwrap();
        assert!(names(folder).unwrap().is_empty());
    }

    #[test]
    fn a_part_written_elsewhere_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        write_part(home.path(), 1, 0, &part(1, 0)).unwrap();
        let error = complete(home.path(), 1, &identity(), Elapsed::default(), &[]).unwrap_err();
        assert_eq!(error.status(), 74);
        assert!(error.to_string().contains("rank 1"), "{error}");
    }
}
