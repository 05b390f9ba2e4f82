//! What the readers of examples take and what they refuse.

mod faults;
mod files;
mod spellings;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;

/// Files in a folder of their own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// What is said of data that is refused, without the folder.
    fn refusal(&self, paths: &[PathBuf], options: &ExamplesOptions) -> String {
        let error = load_examples(paths, options).unwrap_err();
        let folder = format!("{}/", self.0.path().display());
        error.to_string().replace(&folder, "")
    }
}

fn read(text: impl AsRef<[u8]>, options: &ExamplesOptions) -> Result<Examples> {
    let folder = Folder::new();
    load_examples(&[folder.put("data", text)], options)
}

fn refusal(text: impl AsRef<[u8]>, options: &ExamplesOptions) -> String {
    let folder = Folder::new();
    folder.refusal(&[folder.put("data", text)], options)
}

fn dense(width: usize, values: &[f32]) -> Features {
    Features::Dense {
        width,
        values: values.to_vec(),
    }
}

fn sparse(width: usize, rows: &[&[(u32, f32)]]) -> Features {
    let mut starts = vec![0];
    let all = || rows.iter().flat_map(|row| row.iter());
    for row in rows {
        starts.push(starts[starts.len() - 1] + row.len() as u64);
    }
    Features::Sparse {
        width,
        starts,
        columns: all().map(|pair| pair.0).collect(),
        values: all().map(|pair| pair.1).collect(),
    }
}

fn of(format: ExamplesFormat) -> ExamplesOptions {
    ExamplesOptions {
        format: Some(format),
        ..ExamplesOptions::default()
    }
}

/// A file as `numpy.save` writes it.
fn npy(descr: &str, fortran: bool, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
