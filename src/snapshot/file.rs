//! Files that are whole or absent, also after a power cut.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes `path` through a temporary neighbour: synchronised to disk, then renamed into place.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let temporary = neighbour(path, ".", ".tmp");
    let file = File::create(&temporary).map_err(|error| Error::cannot_create(path, error))?;
    let written = write_synced(file, write).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(Error::cannot_write(path, error));
    }
    sync_folder(parent(path))
}

/// Writes and synchronises an open file.
pub(super) fn write_synced(
    file: File,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out)?;
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

/// Makes renames and new names in `folder` last.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::cannot_write(folder, error))
}

/// `path` with its name between `before` and `after`.
pub(super) fn neighbour(path: &Path, before: &str, after: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{before}{name}{after}"))
}

/// The folder that `path` lies in; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates `folder` and its parents; returns those that were not there, outermost first.
pub(super) fn create_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let missing = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && matches!(path.try_exists(), Ok(false)));
    let mut made: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    made.reverse();
    fs::create_dir_all(folder).map_err(|error| Error::cannot_create(folder, error))?;
    Ok(made)
}

/// The names in `folder`, sorted.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
