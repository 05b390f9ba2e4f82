//! The file that `petuum generate` writes where a recipe needs no more than one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use crate::error::{Error, Result};
use crate::report::Notes;

/// Has `write` fill the file `name`.csv in `folder`, with `gzip` `name`.csv.gz, and says so; one that
/// is there is replaced with `force` alone. Returns what `write` does.
///
/// # Errors
/// Status 73 if the file cannot be made, 74 if it cannot be written.
pub(super) fn write_csv<T>(
    folder: &Path,
    name: &str,
    (gzip, force): (bool, bool),
    notes: &Notes,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T> {
    fs::create_dir_all(folder).map_err(|error| Error::cannot_create(folder, error))?;
    let ending = if gzip { "csv.gz" } else { "csv" };
    let path = folder.join(format!("{name}.{ending}"));
    if !force && path.exists() {
        return Err(Error::cannot_create(
            &path,
            "it is there already, --force replaces it",
        ));
    }
    let file = File::create(&path).map_err(|error| Error::cannot_create(&path, error))?;
    let mut file = BufWriter::new(file);
    let written = if gzip {
        let mut out = GzBuilder::new().write(file, Compression::best());
        write(&mut out).and_then(|found| out.finish()?.flush().map(|()| found))
    } else {
        write(&mut file).and_then(|found| file.flush().map(|()| found))
    };
    let found = written.map_err(|error| Error::cannot_write(&path, error))?;
    notes.note(&format!("wrote {}", path.display()));
    Ok(found)
}
