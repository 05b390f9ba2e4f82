//! By what a cache knows the files that it was made from.
//!
//! A source has changed if its size differs; or its time of change differs *and* its content does.
//! Content is compared by a checksum of all of it, so a file that was merely touched or copied is
//! still the same, and the whole of it is read only in that case.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::source::{Source, Stat};
use crate::error::{Error, Result};

/// A file that was read, as it was when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFile {
    path: PathBuf,
    stat: Stat,
}

impl SourceFile {
    /// What is known of `source`; `None` if it is not a file.
    pub(super) fn of(source: &Source) -> Option<SourceFile> {
        Some(SourceFile {
            path: source.path().to_path_buf(),
            stat: source.stat()?,
        })
    }

    /// A file whose fingerprint is known.
    pub(super) fn from_print(print: &Fingerprint) -> SourceFile {
        SourceFile {
            path: print.path.clone(),
            stat: print.stat(),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The fingerprint of the file.
    ///
    /// # Errors
    /// Status 65 if it is no longer the file that was opened, 66 if it is gone.
    pub(super) fn fingerprint(&self) -> Result<Fingerprint> {
        let refuse = |why: std::io::Error| Error::no_input(&self.path, why);
        let path = self.path.canonicalize().map_err(refuse)?;
        let now = Stat::of(&fs::metadata(&path).map_err(refuse)?);
        if now != self.stat {
            let message = "expected the file not to change while it is read; convert it again";
            return Err(Error::data(&self.path, 0, 0, message));
        }
        Ok(Fingerprint {
            crc32: checksum(&path)?,
            path,
            bytes: now.bytes,
            changed_ns: now.changed_ns,
        })
    }
}

/// What a cache records of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// Where it was, from the root.
    pub(super) path: PathBuf,
    /// Its size.
    bytes: u64,
    /// When it was last changed, nanoseconds since 1970.
    changed_ns: u64,
    /// CRC-32 of its content.
    crc32: u32,
}

impl Fingerprint {
    fn stat(&self) -> Stat {
        Stat {
            bytes: self.bytes,
            changed_ns: self.changed_ns,
        }
    }

    /// Refuses `cache`, which `command` made, if the source has changed since. A source that is gone
    /// is fine: it is looked for where it was, and by its name beside the cache.
    ///
    /// # Errors
    /// Status 65, naming the source and the remedy.
    pub(super) fn require_fresh(&self, cache: &Path, command: &str) -> Result<()> {
        let beside = self.path.file_name().map(|name| cache.with_file_name(name));
        let places = [Some(self.path.clone()), beside];
        let Some(path) = places.into_iter().flatten().find(|path| path.is_file()) else {
            return Ok(());
        };
        let metadata = fs::metadata(&path).map_err(|why| Error::no_input(&path, why))?;
        let now = Stat::of(&metadata);
        if now == self.stat() {
            return Ok(());
        }
        if now.bytes != self.bytes {
            let change = format!("it has {} bytes now and had {}", now.bytes, self.bytes);
            return Err(stale(cache, &path, &change, command));
        }
        match checksum(&path)? == self.crc32 {
            true => Ok(()),
            false => Err(stale(cache, &path, "its content is another", command)),
        }
    }
}

/// CRC-32 of a file's content.
fn checksum(path: &Path) -> Result<u32> {
    Source::on_disk(path).map(|region| crc32fast::hash(region.as_ref()))
}

/// The error of a cache whose source has changed.
fn stale(cache: &Path, source: &Path, change: &str, command: &str) -> Error {
    let message = format!(
        "expected a cache of {source} as it is, but {change}; make the cache again with \
         `{command} {source} --output {cache}`",
        source = source.display(),
        cache = cache.display()
    );
    Error::data(cache, 0, 0, message)
}
