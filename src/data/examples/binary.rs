//! Files that are no text: bytes taken in order, from a map or from what is unpacked.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::super::source::{Body, Region, Source};
use crate::error::{Error, Result};

/// Bytes that are taken at a time: no header makes anybody reserve more than it then fills.
pub(super) const TAKEN_BYTES: usize = 1 << 20;

/// The bytes of a source.
pub(super) struct Bytes {
    path: PathBuf,
    body: Body,
    at: usize,
}

impl Bytes {
    /// Opens a source.
    ///
    /// # Errors
    /// As for [`Source::open`].
    pub(super) fn open(source: &mut Source) -> Result<Bytes> {
        Ok(Bytes {
            path: source.path().to_path_buf(),
            body: source.open()?,
            at: 0,
        })
    }

    /// The next `bytes`, fewer if there are no more.
    ///
    /// # Errors
    /// Status 65 if they cannot be unpacked.
    pub(super) fn take(&mut self, bytes: usize) -> Result<Cow<'_, [u8]>> {
        match &mut self.body {
            Body::Plain(region) => {
                let region: &Region = region;
                let all = region.as_ref();
                let start = self.at.min(all.len());
                self.at = start.saturating_add(bytes).min(all.len());
                Ok(Cow::Borrowed(&all[start..self.at]))
            }
            Body::Stream(stream) => stream.take(bytes).map(Cow::Owned),
        }
    }

    /// The next `bytes`, all of them.
    ///
    /// # Errors
    /// Status 65 if there are fewer.
    pub(super) fn take_all(&mut self, bytes: usize, what: &str) -> Result<Cow<'_, [u8]>> {
        let path = self.path.clone();
        let taken = self.take(bytes)?;
        match taken.len() == bytes {
            true => Ok(taken),
            false => Err(wrong(
                &path,
                format!("expected {what}, the file ends within it"),
            )),
        }
    }

    /// Hands `items` of `item_bytes` each to `sink`, some at a time, and refuses what is left.
    ///
    /// # Errors
    /// Status 65 if there are fewer or more; what `sink` says.
    pub(super) fn items(
        &mut self,
        items: u64,
        item_bytes: usize,
        mut sink: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<()> {
        let path = self.path.clone();
        let some = TAKEN_BYTES / item_bytes.max(1);
        let mut left = items;
        while left > 0 {
            let now = left.min(some as u64);
            let taken = self.take(now as usize * item_bytes)?;
            if taken.len() < now as usize * item_bytes {
                let seen = items - left + (taken.len() / item_bytes) as u64;
                return Err(wrong(
                    &path,
                    format!("expected {items} values as its header states, saw {seen}"),
                ));
            }
            sink(&taken).map_err(|message| wrong(&path, message))?;
            left -= now;
        }
        match self.take(1)?.is_empty() {
            true => Ok(()),
            false => Err(wrong(
                &path,
                format!("expected {items} values as its header states, saw more"),
            )),
        }
    }
}

/// The error of a file that has no lines.
pub(super) fn wrong(path: &Path, message: impl Into<String>) -> Error {
    Error::data(path, 0, 0, message)
}
