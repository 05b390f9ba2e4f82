//! Where bytes come from: a mapped file, a pipe, bytes compiled in; plain or compressed.
//!
//! [`find`] turns what the user named into [`Source`]s in the order they are read; [`Source::open`]
//! gives the text of one, mapped where it is plain and as a stream of chunks where it has to be
//! unpacked or comes from a pipe.

use std::fs::{self, File, Metadata};
use std::io::{BufRead, BufReader, Cursor};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::mmap::Mapping;
use super::stream::{Compression, Stream};
use crate::error::{Error, Result};

/// Bytes at the start of a file by which its format is guessed and in which a header must end.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// Most bytes at the start of a file that are looked at because its lines are long.
const LONGEST_HEAD_BYTES: usize = 256 << 20;

/// What standard input is called in error messages.
const STANDARD_INPUT: &str = "-";

/// Bytes in memory that many may read: a mapped file, or bytes that are part of the program.
#[derive(Debug, Clone)]
pub(super) enum Region {
    /// A mapped file.
    Mapped(Arc<Mapping>),
    /// Compiled in.
    Static(&'static [u8]),
}

impl AsRef<[u8]> for Region {
    fn as_ref(&self) -> &[u8] {
        match self {
            Region::Mapped(mapping) => mapping.bytes(),
            Region::Static(bytes) => bytes,
        }
    }
}

impl Region {
    /// Says that these bytes were read and will hardly be read again.
    pub(super) fn release(&self, range: Range<usize>) {
        if let Region::Mapped(mapping) = self {
            mapping.release(range);
        }
    }
}

/// The text of a source.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it, in place.
    Plain(Region),
    /// Chunk by chunk.
    Stream(Box<Stream>),
}

/// One thing to read.
#[derive(Debug)]
pub(super) struct Source {
    /// As the user named it.
    path: PathBuf,
    origin: Origin,
    /// Size of the text that is unpacked at a time.
    chunk_bytes: usize,
    /// Size and time of change when it was opened; `None` if it is not a file.
    stat: Option<Stat>,
}

#[derive(Debug)]
enum Origin {
    /// Can be read again from the start.
    Region(Region, Compression),
    /// Can be read once; `None` when it was.
    Pipe(Option<Box<Stream>>),
}

/// What a look at a file from outside tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its size.
    pub(super) bytes: u64,
    /// When it was last changed, nanoseconds since 1970; 0 if the system does not tell.
    pub(super) changed_ns: u64,
}

impl Stat {
    /// The size and time of change of a file.
    pub(super) fn of(metadata: &Metadata) -> Stat {
        let changed = metadata.modified().ok();
        let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Stat {
            bytes: metadata.len(),
            changed_ns: since.map_or(0, |since| since.as_nanos() as u64),
        }
    }
}

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// Status 66 if it is not there or may not be read, 65 if it is empty or compressed in a way
    /// that petuum cannot unpack.
    pub(super) fn at(path: &Path, chunk_bytes: usize) -> Result<Source> {
        if path == Path::new(STANDARD_INPUT) {
            let bytes = Box::new(BufReader::with_capacity(1 << 16, std::io::stdin()));
            return Source::pipe(path, bytes, chunk_bytes);
        }
        let refuse = |why: std::io::Error| Error::no_input(path, why);
        let file = File::open(path).map_err(refuse)?;
        let metadata = file.metadata().map_err(refuse)?;
        if metadata.is_dir() {
            return Err(Error::no_input(path, "is a folder, expected a file"));
        }
        if !metadata.is_file() {
            let bytes = Box::new(BufReader::with_capacity(1 << 16, file));
            return Source::pipe(path, bytes, chunk_bytes);
        }
        if metadata.len() == 0 {
            return Err(empty(path));
        }
        let mapping = Mapping::of(&file).map_err(refuse)?;
        let mut source = Source::region(path, Region::Mapped(Arc::new(mapping)), chunk_bytes)?;
        source.stat = Some(Stat::of(&metadata));
        Ok(source)
    }

    /// Bytes compiled in, called `path` in error messages.
    ///
    /// # Errors
    /// Status 65 as for [`Source::at`].
    pub(super) fn compiled_in(
        path: &Path,
        bytes: &'static [u8],
        chunk_bytes: usize,
    ) -> Result<Source> {
        if bytes.is_empty() {
            return Err(empty(path));
        }
        Source::region(path, Region::Static(bytes), chunk_bytes)
    }

    /// The bytes of a file as they lie on disk.
    ///
    /// # Errors
    /// Status 66 if it cannot be mapped.
    pub(super) fn on_disk(path: &Path) -> Result<Region> {
        let mapping = File::open(path).and_then(|file| Mapping::of(&file));
        let mapping = mapping.map_err(|why| Error::no_input(path, why))?;
        Ok(Region::Mapped(Arc::new(mapping)))
    }

    fn region(path: &Path, region: Region, chunk_bytes: usize) -> Result<Source> {
        let compression = Compression::of(path, region.as_ref())?;
        Ok(Source {
            path: path.to_path_buf(),
            origin: Origin::Region(region, compression),
            chunk_bytes,
            stat: None,
        })
    }

    fn pipe(path: &Path, mut bytes: Box<dyn BufRead + Send>, chunk_bytes: usize) -> Result<Source> {
        let head = bytes.fill_buf().map_err(|why| Error::no_input(path, why))?;
        if head.is_empty() {
            return Err(empty(path));
        }
        let compression = Compression::of(path, head)?;
        let stream = Stream::new(path, bytes, compression, None, chunk_bytes);
        Ok(Source {
            path: path.to_path_buf(),
            origin: Origin::Pipe(Some(Box::new(stream))),
            chunk_bytes,
            stat: None,
        })
    }

    /// The file as the user named it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Size on disk; `None` for a pipe.
    pub(super) fn disk_bytes(&self) -> Option<u64> {
        match &self.origin {
            Origin::Region(region, _) => Some(region.as_ref().len() as u64),
            Origin::Pipe(_) => None,
        }
    }

    /// Size and time of change when it was opened; `None` if it is not a file.
    pub(super) fn stat(&self) -> Option<Stat> {
        self.stat
    }

    /// True if the bytes on disk are not the text.
    pub(super) fn is_compressed(&self) -> bool {
        matches!(&self.origin, Origin::Region(_, compression) if *compression != Compression::None)
    }

    /// The first bytes of the text, at most 64 KiB.
    ///
    /// # Errors
    /// Status 65 if it cannot be unpacked.
    pub(super) fn head(&mut self) -> Result<Vec<u8>> {
        self.head_of(HEAD_BYTES)
    }

    /// The first bytes of the text, as many as make `is_short` false or all there are, at most 256
    /// MiB.
    ///
    /// # Errors
    /// Status 65 if they cannot be unpacked.
    pub(super) fn head_while(&mut self, is_short: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        let mut bytes = HEAD_BYTES;
        loop {
            let head = self.head_of(bytes)?;
            if head.len() < bytes || bytes >= LONGEST_HEAD_BYTES || !is_short(&head) {
                return Ok(head);
            }
            bytes *= 4;
        }
    }

    fn head_of(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let (path, chunk_bytes) = (&self.path, self.chunk_bytes);
        let clip = |head: &[u8]| head[..head.len().min(bytes)].to_vec();
        match &mut self.origin {
            Origin::Region(region, Compression::None) => Ok(clip(region.as_ref())),
            Origin::Region(region, compression) => {
                let mut stream = unpack(path, region, *compression, chunk_bytes);
                Ok(clip(stream.head(bytes)?))
            }
            Origin::Pipe(Some(stream)) => Ok(clip(stream.head(bytes)?)),
            Origin::Pipe(None) => Ok(Vec::new()),
        }
    }

    /// The text. A pipe can be opened once, everything else again and again.
    ///
    /// # Errors
    /// Status 66 if it is a pipe that was read already.
    pub(super) fn open(&mut self) -> Result<Body> {
        match &mut self.origin {
            Origin::Region(region, Compression::None) => Ok(Body::Plain(region.clone())),
            Origin::Region(region, compression) => {
                let stream = unpack(&self.path, region, *compression, self.chunk_bytes);
                Ok(Body::Stream(Box::new(stream)))
            }
            Origin::Pipe(stream) => {
                let read = || Error::no_input(&self.path, "can be read only once");
                stream.take().map(Body::Stream).ok_or_else(read)
            }
        }
    }

    /// The whole text at once, for files that are small by nature.
    ///
    /// # Errors
    /// Status 65 if it cannot be unpacked.
    pub(super) fn read_all(&mut self) -> Result<Vec<u8>> {
        match self.open()? {
            Body::Plain(region) => Ok(region.as_ref().to_vec()),
            Body::Stream(mut stream) => {
                let mut all = Vec::new();
                while let Some(chunk) = stream.next_chunk()? {
                    all.extend_from_slice(&chunk.bytes);
                }
                Ok(all)
            }
        }
    }
}

/// The stream that unpacks a region.
fn unpack(path: &Path, region: &Region, compression: Compression, chunk_bytes: usize) -> Stream {
    let disk_bytes = region.as_ref().len() as u64;
    let bytes = Box::new(Cursor::new(region.clone()));
    Stream::new(path, bytes, compression, Some(disk_bytes), chunk_bytes)
}

/// The error of a file without a byte.
fn empty(path: &Path) -> Error {
    Error::data(path, 1, 1, "expected data, the file is empty")
}

/// The files that the user's paths stand for, in the order they are read: a file is itself, a
/// folder is its data files in name order.
///
/// In a folder, names that begin with a dot are passed over, and so are folders, `vocab*`,
/// `*.vocab`, `README*`, `LICENSE*` and the files in `aside`. If any file left is called
/// `docword*`, only those count.
///
/// # Errors
/// Status 66 if a path does not exist or a folder holds no data file.
pub(super) fn find(paths: &[PathBuf], aside: &[&Path]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path == Path::new(STANDARD_INPUT) {
            files.push(path.clone());
            continue;
        }
        let metadata = fs::metadata(path).map_err(|why| Error::no_input(path, why))?;
        match metadata.is_dir() {
            true => files.extend(data_files(path, aside)?),
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

/// The data files of a folder in name order.
fn data_files(folder: &Path, aside: &[&Path]) -> Result<Vec<PathBuf>> {
    let refuse = |why: std::io::Error| Error::no_input(folder, why);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        let set_aside = aside.iter().any(|other| same_file(&path, other));
        if !path.is_dir() && !is_beside_data(&file_name(&path)) && !set_aside {
            files.push(path);
        }
    }
    if files
        .iter()
        .any(|path| file_name(path).starts_with("docword"))
    {
        files.retain(|path| file_name(path).starts_with("docword"));
    }
    files.sort();
    match files.is_empty() {
        true => Err(Error::no_input(folder, "the folder holds no data file")),
        false => Ok(files),
    }
}

/// True for names of files that lie beside data without being data.
fn is_beside_data(name: &str) -> bool {
    let name = name.to_lowercase();
    let starts = [".", "vocab", "readme", "license"];
    starts.iter().any(|start| name.starts_with(start)) || name.ends_with(".vocab")
}

/// True if both paths lead to the same file.
fn same_file(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The last part of a path, as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
