//! The model folder while it is being written.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::file::{
    create_folders, names, neighbour, parent, sync_folder, write_synced, write_whole,
};
use super::tensor::{Tensor, write_tensors};
use super::{DESCRIPTION, DONE, RECORDS, TENSORS};
use crate::error::{Error, Result};
use crate::report::Recorder;

/// The key in `model.json` that lists the folder's files.
pub(super) const FILES: &str = "files";
/// Name of the staging folder inside a folder that was there before the run.
const STAGING: &str = ".partial";

/// A model on its way to disk.
///
/// [`Model::create`] comes before the long part of a run and finds out whether the model can be
/// written. Everything is then written into a staging folder: beside the model's folder if that is
/// new, inside it if it was there before (it may be a mount point or somebody's working folder, so
/// it is not replaced itself). [`Model::finish`] moves it into place. A model that is dropped
/// before leaves nothing behind; what a killed process leaves is swept by the next run.
pub struct Model {
    folder: PathBuf,
    staging: PathBuf,
    is_new: bool,
    /// Parents that were created for this model, outermost first.
    made: Vec<PathBuf>,
    /// Held while this run writes into `staging`.
    _lock: File,
    tensors: Vec<Tensor>,
    description: Map<String, Value>,
    files: Vec<String>,
    failure: Failure,
    finished: bool,
}

/// The first error of any [`ModelFile`], found when the model is finished.
type Failure = Arc<Mutex<Option<Error>>>;

impl Model {
    /// Begins a model in `folder`, creating parents. Fails with status 73 if the folder cannot be
    /// created, or holds anything and `force` is not given.
    ///
    /// With `force` the files of an earlier model stay until [`Model::finish`] replaces them, and
    /// files that are no part of a model stay for good.
    pub fn create(folder: &Path, force: bool) -> Result<Model> {
        let is_new = is_new(folder, force)?;
        let (made, staging) = if is_new {
            if folder.file_name().is_none() {
                return Err(Error::cannot_create(folder, "not the name of a folder"));
            }
            (
                create_folders(parent(folder))?,
                neighbour(folder, ".", STAGING),
            )
        } else {
            (Vec::new(), folder.join(STAGING))
        };
        let lock = stage(folder, &staging).inspect_err(|_| remove_empty(&made))?;
        Ok(Model {
            folder: folder.to_path_buf(),
            staging,
            is_new,
            made,
            _lock: lock,
            tensors: Vec::new(),
            description: Map::new(),
            files: Vec::new(),
            failure: Failure::default(),
            finished: false,
        })
    }

    /// Adds tensors to `model.safetensors`. They stay in memory until [`Model::finish`].
    pub fn tensors(&mut self, tensors: Vec<Tensor>) {
        self.tensors.extend(tensors);
    }

    /// Sets a key of `model.json`.
    pub fn json(&mut self, key: &str, value: impl Into<Value>) {
        self.description.insert(key.to_owned(), value.into());
    }

    /// Sets every key of `description`, which must be a JSON object, in `model.json`.
    pub fn describe(&mut self, description: &Value) -> Result<()> {
        let Some(description) = description.as_object() else {
            return Err(Error::Bug("a model's description that is no object".into()));
        };
        self.description.extend(description.clone());
        Ok(())
    }

    /// Writes `records.csv`, and the final record into `model.json`.
    pub fn records(&mut self, recorder: &Recorder) -> Result<()> {
        self.json("record", recorder.last_as_json());
        // An error comes up in `finish`.
        let _ = self.file(RECORDS)?.write_all(&recorder.to_csv());
        Ok(())
    }

    /// Begins a further file of the model. Its errors also come up in [`Model::finish`].
    pub fn file(&mut self, name: &str) -> Result<ModelFile> {
        let plain = Path::new(name).file_name().is_some_and(|last| last == name);
        if !plain || [DONE, TENSORS, DESCRIPTION].contains(&name) {
            return Err(Error::Bug(format!("a model's file named `{name}`")));
        }
        let file = File::create(self.staging.join(name))
            .map_err(|error| Error::cannot_create(&self.folder.join(name), error))?;
        self.note_file(name);
        Ok(ModelFile {
            out: Some(BufWriter::new(file)),
            path: self.folder.join(name),
            failure: Arc::clone(&self.failure),
        })
    }

    /// Writes what is left, moves everything into place and writes `DONE` last.
    pub fn finish(mut self) -> Result<()> {
        let failed = self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(error) = failed {
            return Err(error);
        }
        self.write_tensors_and_description()?;
        if self.is_new {
            self.put(DONE, |out| out.write_all(done().as_bytes()))?;
            sync_folder(&self.staging)?;
            self.rename(&self.staging, &self.folder)?;
            sync_folder(parent(&self.folder))?;
        } else {
            self.replace_files()?;
        }
        self.finished = true;
        Ok(())
    }

    fn write_tensors_and_description(&mut self) -> Result<()> {
        if !self.tensors.is_empty() {
            let tensors = std::mem::take(&mut self.tensors);
            self.put(TENSORS, |out| write_tensors(out, &tensors))?;
            self.note_file(TENSORS);
        }
        self.note_file(DESCRIPTION);
        self.description
            .insert(FILES.to_owned(), self.files.clone().into());
        let mut text = serde_json::to_vec_pretty(&self.description)
            .map_err(|error| Error::Bug(error.to_string()))?;
        text.push(b'\n');
        self.put(DESCRIPTION, |out| out.write_all(&text))
    }

    /// Moves the files one by one into a folder that was there before: without `DONE` while it
    /// holds files of two models.
    fn replace_files(&self) -> Result<()> {
        let earlier = earlier_files(&self.folder);
        remove(&self.folder.join(DONE))?;
        for name in earlier.iter().filter(|name| !self.files.contains(name)) {
            remove(&self.folder.join(name))?;
        }
        for name in &self.files {
            self.rename(&self.staging.join(name), &self.folder.join(name))?;
        }
        sync_folder(&self.folder)?;
        write_whole(&self.folder.join(DONE), |out| {
            out.write_all(done().as_bytes())
        })?;
        // Empty by now; a failure here would not make the model less complete.
        let _ = fs::remove_dir(&self.staging);
        Ok(())
    }

    fn put(&self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let path = self.folder.join(name);
        let file = File::create(self.staging.join(name))
            .map_err(|error| Error::cannot_create(&path, error))?;
        write_synced(file, write).map_err(|error| Error::cannot_write(&path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|error| Error::cannot_write(to, error))
    }

    fn note_file(&mut self, name: &str) {
        if !self.files.iter().any(|file| file == name) {
            self.files.push(name.to_owned());
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_dir_all(&self.staging);
            remove_empty(&self.made);
        }
    }
}

/// A file of a model, written through a buffer and synchronised when it is dropped.
pub struct ModelFile {
    out: Option<BufWriter<File>>,
    path: PathBuf,
    failure: Failure,
}

impl ModelFile {
    /// Keeps the first error for [`Model::finish`], so that nobody needs to translate it.
    fn keep<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            let mut slot = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            slot.get_or_insert_with(|| Error::cannot_write(&self.path, error));
        }
        result
    }
}

impl Write for ModelFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.as_mut().map_or(Ok(0), |out| out.write(bytes));
        self.keep(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.as_mut().map_or(Ok(()), Write::flush);
        self.keep(flushed)
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            let file = out.into_inner().map_err(io::IntoInnerError::into_error);
            let _ = self.keep(file.and_then(|file| file.sync_all()));
        }
    }
}

/// False if the folder is there and may be used.
fn is_new(folder: &Path, force: bool) -> Result<bool> {
    let refuse = |reason: &str| Err(Error::cannot_create(folder, reason));
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => refuse(&error.to_string()),
        Ok(metadata) if !metadata.is_dir() => refuse("it is a file, not a folder"),
        Ok(_) => match names(folder) {
            Err(error) => refuse(&error.to_string()),
            Ok(names) if force || names.iter().all(|name| name == STAGING) => Ok(false),
            Ok(_) => refuse("the folder is not empty; choose another one or add --force"),
        },
    }
}

/// Creates the staging folder and locks it; sweeps one that a killed run left.
fn stage(folder: &Path, staging: &Path) -> Result<File> {
    let refuse = |error: io::Error| Error::cannot_create(folder, error);
    if fs::symlink_metadata(staging).is_ok() {
        let left = File::open(staging).map_err(refuse)?;
        if let Err(TryLockError::WouldBlock) = left.try_lock() {
            return Err(Error::cannot_create(folder, "another run is writing it"));
        }
        fs::remove_dir_all(staging).map_err(refuse)?;
    }
    fs::create_dir(staging).map_err(refuse)?;
    let lock = File::open(staging).map_err(refuse)?;
    // Some network file systems know no locks; two runs into one folder are then the user's care.
    let _ = lock.try_lock();
    Ok(lock)
}

/// The files of the model that lies in `folder`, as it lists them itself.
fn earlier_files(folder: &Path) -> Vec<String> {
    let text = fs::read(folder.join(DESCRIPTION)).unwrap_or_default();
    let description: Value = serde_json::from_slice(&text).unwrap_or_default();
    let files = description[FILES].as_array().cloned().unwrap_or_default();
    let names = files.iter().filter_map(Value::as_str);
    // The list is only a file's content: nothing outside the folder is touched for it.
    names
        .filter(|name| {
            Path::new(name)
                .file_name()
                .is_some_and(|last| last == *name)
        })
        .map(str::to_owned)
        .collect()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::cannot_write(path, error))
        }
        _ => Ok(()),
    }
}

fn remove_empty(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
}

fn done() -> String {
    format!("petuum {}\n", env!("CARGO_PKG_VERSION"))
}
