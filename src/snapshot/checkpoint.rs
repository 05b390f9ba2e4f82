//! Checkpoints: what every rank needs to go on from a clock boundary.
//!
//! ```text
//! DIR/clock-00000012/rank-0000.safetensors   one part per rank, each written by its rank
//! DIR/clock-00000012/rank-0001.safetensors
//! DIR/clock-00000012/checkpoint.json         program, version, workers, options, state of the run
//! DIR/clock-00000012/DONE                    written last, by rank 0, when all parts are there
//! ```
//!
//! With several hosts the folder is one that all of them see. Every file is written beside,
//! synchronised and renamed, so a part is whole or absent; a checkpoint without `DONE` never
//! happened. The last two complete ones are kept.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DONE;
use super::file::{create_folders, names, write_whole};
use super::tensor::{Tensor, check_tensors, read_tensors, write_tensors};
use crate::error::{Error, Result};
use crate::report::Notes;

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

#[derive(Serialize, Deserialize)]
struct Description {
    #[serde(flatten)]
    identity: Identity,
    state: Value,
}

/// The checkpoint folder of one run.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    identity: Identity,
}

/// A complete checkpoint to go on from.
#[derive(Debug)]
pub struct Checkpoint {
    /// The clocks that were completed.
    pub clock: i64,
    /// What rank 0 wrote down for the run as a whole.
    pub state: Value,
    folder: PathBuf,
}

impl Checkpoint {
    /// The part of `rank`. Status 65 if it is damaged.
    pub fn part(&self, rank: u32) -> Result<Vec<Tensor>> {
        read_tensors(&self.folder.join(part_name(rank)))
    }
}

impl Checkpoints {
    /// The checkpoints of a run in `folder`; touches nothing yet.
    pub fn new(folder: &Path, identity: Identity) -> Checkpoints {
        Checkpoints {
            folder: folder.to_path_buf(),
            identity,
        }
    }

    /// Prepares the folder, on rank 0, before the first clock: creates it, and removes what
    /// crashed runs left unfinished.
    ///
    /// A run that starts afresh (`resumes` is false) fails with status 73 if an earlier run's
    /// checkpoints are there; with `force` they are removed.
    pub fn prepare(&self, resumes: bool, force: bool, notes: &Notes) -> Result<()> {
        create_folders(&self.folder)?;
        let found = self.found()?;
        let complete = found.iter().any(|(_, folder)| folder.join(DONE).exists());
        if !resumes && complete && !force {
            return Err(Error::cannot_create(
                &self.folder,
                "it holds checkpoints of an earlier run; go on from them with --resume, or remove \
                 them with --force",
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

    /// Writes the part of `rank` at `clock`. Once it returns, the part is on disk.
    pub fn write(&self, clock: i64, rank: u32, tensors: &[Tensor]) -> Result<()> {
        let folder = self.at(clock);
        create_folders(&folder)?;
        write_whole(&folder.join(part_name(rank)), |out| {
            write_tensors(out, tensors)
        })
    }

    /// Completes the checkpoint of `clock`, on rank 0, once every rank has written its part;
    /// removes all but the last two. `state` comes back in [`Checkpoint::state`].
    pub fn complete(&self, clock: i64, state: Value) -> Result<()> {
        let folder = self.at(clock);
        for rank in 0..self.ranks() {
            if !folder.join(part_name(rank)).is_file() {
                return Err(Error::cannot_write(
                    &folder,
                    format!(
                        "rank {rank} wrote its part elsewhere; --checkpoint must name a folder \
                         that all hosts see"
                    ),
                ));
            }
        }
        let description = Description {
            identity: self.identity.clone(),
            state,
        };
        let text = serde_json::to_vec_pretty(&description)
            .map_err(|error| Error::Bug(error.to_string()))?;
        write_whole(&folder.join(DESCRIPTION), |out| out.write_all(&text))?;
        write_whole(&folder.join(DONE), |out| {
            writeln!(out, "petuum {}", self.identity.version)
        })?;
        self.prune(clock)
    }

    /// The newest complete checkpoint. What is torn or was never finished is passed over with a
    /// note.
    ///
    /// Status 66 if there is none, never a silent fresh start; 76, naming both values, if it was
    /// written by another program, version, world or with other options.
    pub fn newest_complete(&self, notes: &Notes) -> Result<Checkpoint> {
        if !self.folder.is_dir() {
            return Err(Error::no_input(&self.folder, "no such checkpoint folder"));
        }
        for (clock, folder) in self.found()?.into_iter().rev() {
            match self.check(&folder) {
                Ok(description) => {
                    self.compare(&description.identity)?;
                    return Ok(Checkpoint {
                        clock,
                        state: description.state,
                        folder,
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
            &self.folder,
            "no complete checkpoint to resume from; leave --resume out to start afresh",
        ))
    }

    fn ranks(&self) -> u32 {
        self.identity.workers.len() as u32
    }

    fn at(&self, clock: i64) -> PathBuf {
        self.folder.join(format!("clock-{clock:08}"))
    }

    /// All checkpoints, complete or not, oldest first; anything else in the folder is not ours.
    fn found(&self) -> Result<Vec<(i64, PathBuf)>> {
        let names = names(&self.folder).map_err(|error| Error::no_input(&self.folder, error))?;
        let mut found: Vec<(i64, PathBuf)> = names
            .iter()
            .filter_map(|name| name.strip_prefix("clock-"))
            .filter(|digits| digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit()))
            .filter_map(|digits| digits.parse().ok())
            .map(|clock| (clock, self.at(clock)))
            .filter(|(_, folder)| folder.is_dir())
            .collect();
        found.sort();
        Ok(found)
    }

    /// Whether a checkpoint is complete and all its parts are whole.
    fn check(&self, folder: &Path) -> Result<Description> {
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

    fn compare(&self, earlier: &Identity) -> Result<()> {
        let now = &self.identity;
        let mut different = vec![];
        for (what, then, now) in [
            ("program", &earlier.program, &now.program),
            ("version", &earlier.version, &now.version),
        ] {
            if then != now {
                different.push(format!("{what} {then} there, {now} here"));
            }
        }
        if earlier.workers != now.workers {
            different.push(format!(
                "workers of each rank {:?} there, {:?} here",
                earlier.workers, now.workers
            ));
        }
        different.extend(differences(&earlier.options, &now.options));
        if different.is_empty() {
            return Ok(());
        }
        Err(Error::Mismatch(format!(
            "{}: the checkpoint was written by a different run: {}",
            self.folder.display(),
            different.join("; ")
        )))
    }

    fn prune(&self, newest: i64) -> Result<()> {
        let mut complete = 0;
        for (clock, folder) in self.found()?.into_iter().rev() {
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
}

/// How two texts of one `--name value` a line differ, one entry per name, with both values.
pub fn differences(there: &str, here: &str) -> Vec<String> {
    let value = |text: &str, name: &str| {
        let line = text
            .lines()
            .find(|line| line.split(' ').next() == Some(name));
        line.map_or_else(|| format!("no {name}"), str::to_owned)
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

    fn written(folder: &Path, clocks: &[i64]) -> Checkpoints {
        let checkpoints = Checkpoints::new(folder, identity());
        for clock in clocks {
            for rank in 0..2 {
                checkpoints
                    .write(*clock, rank, &part(*clock, rank))
                    .unwrap();
            }
            checkpoints.complete(*clock, Value::from(*clock)).unwrap();
        }
        checkpoints
    }

    #[test]
    fn the_newest_complete_one_is_found_and_two_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("deep/checkpoints");
        let checkpoints = Checkpoints::new(&folder, identity());
        checkpoints.prepare(false, false, &Notes::silent()).unwrap();
        let checkpoints = written(&folder, &[5, 10, 100_000_000]);
        let newest = checkpoints.newest_complete(&Notes::silent()).unwrap();
        assert_eq!(
            (newest.clock, &newest.state),
            (100_000_000, &Value::from(100_000_000))
        );
        assert_eq!(newest.part(1).unwrap(), part(100_000_000, 1));
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
        let checkpoints = written(folder, &[5, 10]);
        checkpoints.write(15, 0, &part(15, 0)).unwrap();
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        fs::create_dir(folder.join("clock-new")).unwrap();
        let newest = || checkpoints.newest_complete(&Notes::silent()).unwrap().clock;
        assert_eq!(newest(), 10);
        let torn = folder.join("clock-00000010").join(part_name(1));
        let bytes = fs::read(&torn).unwrap();
        fs::write(&torn, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(newest(), 5);
        fs::remove_file(folder.join("clock-00000005").join(part_name(0))).unwrap();
        let error = checkpoints.newest_complete(&Notes::silent()).unwrap_err();
        assert_eq!(error.status(), 66);
        assert!(error.to_string().contains("--resume"), "{error}");
    }

    #[test]
    fn a_missing_folder_is_no_fresh_start() {
        let checkpoints = Checkpoints::new(Path::new("/nowhere/at/all"), identity());
        let error = checkpoints.newest_complete(&Notes::silent()).unwrap_err();
        assert_eq!(error.status(), 66);
    }

    #[test]
    fn other_options_are_refused_naming_both_values() {
        let home = tempfile::tempdir().unwrap();
        written(home.path(), &[5]);
        let mut other = identity();
        other.options = "--topics 50\n--seed 1\n--alpha 1\n".into();
        other.workers = vec![4];
        let checkpoints = Checkpoints::new(home.path(), other);
        let error = checkpoints.newest_complete(&Notes::silent()).unwrap_err();
        assert_eq!(error.status(), 76);
        let line = error.to_string();
        assert!(
            line.contains("--topics 100 there, --topics 50 here"),
            "{line}"
        );
        assert!(line.contains("no --alpha there, --alpha 1 here"), "{line}");
        assert!(line.contains("[2, 2] there, [4] here"), "{line}");
        assert!(!line.contains("--seed"), "{line}");
    }

    #[test]
    fn a_fresh_run_does_not_mix_with_an_earlier_one() {
        let home = tempfile::tempdir().unwrap();
        let checkpoints = written(home.path(), &[5, 10]);
        checkpoints.write(15, 0, &part(15, 0)).unwrap();
        let prepare = |resumes, force| checkpoints.prepare(resumes, force, &Notes::silent());
        assert_eq!(prepare(false, false).unwrap_err().status(), 73);
        prepare(true, false).unwrap();
        assert_eq!(
            names(home.path()).unwrap(),
            ["clock-00000005", "clock-00000010"]
        );
        prepare(false, true).unwrap();
        assert!(names(home.path()).unwrap().is_empty());
    }

    #[test]
    fn a_part_written_elsewhere_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(home.path(), identity());
        checkpoints.write(1, 0, &part(1, 0)).unwrap();
        let error = checkpoints.complete(1, Value::Null).unwrap_err();
        assert_eq!(error.status(), 74);
        assert!(error.to_string().contains("rank 1"), "{error}");
    }
}
