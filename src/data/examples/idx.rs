//! Bytes in the format of MNIST: `00 00 08 n`, `n` sizes of 32 bits, values from 0 to 255. An images
//! file finds its labels beside it.

use std::path::{Path, PathBuf};

use super::super::source::{Source, file_name};
use super::binary::{Bytes, wrong};
use crate::error::Result;

/// The type of values that is read: bytes.
const BYTES: u8 = 8;
/// Most dimensions.
const DIMENSIONS_MAX: u8 = 4;

/// A file that is open; the first dimension counts examples.
pub(super) struct Cube {
    bytes: Bytes,
    pub(super) rows: usize,
    /// 1 if there is no other dimension.
    pub(super) width: usize,
}

/// Opens a file.
///
/// # Errors
/// Status 65 if it is none of this format.
pub(super) fn open(source: &mut Source) -> Result<Cube> {
    let path = source.path().to_path_buf();
    let mut bytes = Bytes::open(source)?;
    let dimensions = match *bytes.take_all(4, "the header of an idx file")? {
        [0, 0, BYTES, dimensions @ 1..=DIMENSIONS_MAX] => dimensions,
        [0, 0, kind, 1..=DIMENSIONS_MAX] => {
            let message = format!("expected bytes (idx type 8), saw idx type {kind}");
            return Err(wrong(&path, message));
        }
        _ => {
            return Err(wrong(
                &path,
                "expected an idx file, which begins with 00 00 08 and the number of its dimensions",
            ));
        }
    };
    let sizes = bytes.take_all(usize::from(dimensions) * 4, "its sizes")?;
    let sizes: Vec<u64> = sizes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|size| u64::from(u32::from_be_bytes(*size)))
        .collect();
    let width = sizes[1..]
        .iter()
        .try_fold(1u64, |width, size| width.checked_mul(*size));
    let items = width
        .and_then(|width| width.checked_mul(sizes[0]))
        .filter(|items| *items > 0);
    let (Some(width), Some(_)) = (width, items) else {
        return Err(wrong(
            &path,
            format!("expected examples times features, saw sizes {sizes:?}"),
        ));
    };
    Ok(Cube {
        bytes,
        rows: sizes[0] as usize,
        width: width as usize,
    })
}

impl Cube {
    /// Hands all values to `sink`, some at a time.
    ///
    /// # Errors
    /// Status 65 if the file is cut, or longer than its header states.
    pub(super) fn each(mut self, mut sink: impl FnMut(&[u8])) -> Result<()> {
        let items = self.rows as u64 * self.width as u64;
        self.bytes.items(items, 1, |taken| {
            sink(taken);
            Ok(())
        })
    }
}

/// What the names of images and labels differ by.
const KINDS: [(&str, &str); 3] = [
    ("images-idx3", "labels-idx1"),
    ("images.idx3", "labels.idx1"),
    ("images", "labels"),
];

/// The file of labels beside an images file, if there is one: packed or not.
pub(super) fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = file_name(images);
    let plain = name
        .strip_suffix(".gz")
        .or(name.strip_suffix(".zst"))
        .unwrap_or(&name);
    let (from, to) = KINDS
        .into_iter()
        .find(|(images, _)| plain.contains(images))?;
    let labels = plain.replacen(from, to, 1);
    ["", ".gz", ".zst"]
        .iter()
        .map(|end| images.with_file_name(format!("{labels}{end}")))
        .find(|path| path.is_file())
}

/// True for the name of a file of labels.
pub(super) fn is_labels(path: &Path) -> bool {
    let name = file_name(path);
    KINDS[..2].iter().any(|(_, labels)| name.contains(labels))
}

/// True for the name of a file of test images, by custom.
pub(super) fn is_test(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with("t10k-") || name.starts_with("test-")
}
