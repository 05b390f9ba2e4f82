//! Text that arrives bit by bit: unpacked from `.gz` or `.zst`, or read from a pipe, and handed on
//! in chunks of whole lines. At most a chunk of it is in memory here.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::field::BOM;
use crate::error::{Error, Result};

/// The longest line that is accepted from a stream: a file without line ends must not fill the
/// memory.
const LINE_BYTES_MAX: usize = 256 << 20;

/// How a file is packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not at all.
    None,
    /// gzip, of one or more members.
    Gzip,
    /// Zstandard, of one or more frames.
    Zstd,
}

/// First bytes of formats that petuum does not unpack, what they are, and the command that does.
const OTHER_PACKERS: [(&[u8], &str, &str); 4] = [
    (b"\xFD7zXZ\0", "xz", "xz -d"),
    (b"BZh", "bzip2", "bzip2 -d"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"7z\xBC\xAF\x27\x1C", "7z", "7z x"),
];

impl Compression {
    /// The packing of the file `path` that starts with `head`.
    ///
    /// # Errors
    /// Status 65 for a packing that petuum does not know how to undo.
    pub(super) fn of(path: &Path, head: &[u8]) -> Result<Compression> {
        if head.starts_with(b"\x1F\x8B") {
            return Ok(Compression::Gzip);
        }
        if head.starts_with(b"\x28\xB5\x2F\xFD") || skippable_bytes(head).is_some() {
            return Ok(Compression::Zstd);
        }
        for (magic, name, command) in OTHER_PACKERS {
            if head.starts_with(magic) {
                let message = format!(
                    "expected text, gzip or Zstandard, saw a {name} file; unpack it with `{command}`"
                );
                return Err(Error::data(path, 1, 1, message));
            }
        }
        Ok(Compression::None)
    }
}

/// Number of bytes after the header of a Zstandard frame that holds no data, if `head` starts one.
fn skippable_bytes(head: &[u8]) -> Option<u64> {
    let header: [u8; 8] = head.get(..8)?.try_into().ok()?;
    let (magic, length) = header.split_at(4);
    let is_skippable = magic[0] & 0xF0 == 0x50 && magic[1..] == [0x2A, 0x4D, 0x18];
    is_skippable.then(|| {
        u64::from(u32::from_le_bytes([
            length[0], length[1], length[2], length[3],
        ]))
    })
}

/// Some whole lines of a text.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The lines; all end with a newline, but for the last of the text.
    pub(super) bytes: Vec<u8>,
    /// Number of the first one, from 1.
    pub(super) first_line: u64,
    /// Where on disk they were unpacked from.
    pub(super) positions: Range<u64>,
}

/// A text, unpacked chunk by chunk.
pub(super) struct Stream {
    path: PathBuf,
    text: Box<dyn Read + Send>,
    /// Bytes taken from the source so far.
    consumed: Arc<AtomicU64>,
    /// Size of the source, if it is known.
    disk_bytes: Option<u64>,
    chunk_bytes: usize,
    /// Text that is unpacked and not handed on yet.
    pending: Vec<u8>,
    /// Number of the next line.
    line: u64,
    /// Where on disk the next line comes from.
    position: u64,
    /// True when all text is unpacked.
    ended: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Stream");
        shown
            .field("path", &self.path)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// The text of `source`, called `path` in error messages, of `disk_bytes` if that is known.
    pub(super) fn new(
        path: &Path,
        source: Box<dyn BufRead + Send>,
        compression: Compression,
        disk_bytes: Option<u64>,
        chunk_bytes: usize,
    ) -> Stream {
        let consumed = Arc::new(AtomicU64::new(0));
        let source = Counted {
            source,
            consumed: Arc::clone(&consumed),
        };
        let text: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(source),
            Compression::Gzip => Box::new(MultiGzDecoder::new(source)),
            Compression::Zstd => Box::new(Frames::new(source)),
        };
        Stream {
            path: path.to_path_buf(),
            text,
            consumed,
            disk_bytes,
            chunk_bytes: chunk_bytes.max(1),
            pending: Vec::new(),
            line: 1,
            position: 0,
            ended: false,
        }
    }

    /// The next `bytes` of the text, fewer if it ends; they stay to be read.
    ///
    /// # Errors
    /// Status 65 if they cannot be unpacked.
    pub(super) fn head(&mut self, bytes: usize) -> Result<&[u8]> {
        self.fill(bytes)?;
        Ok(&self.pending)
    }

    /// The next `bytes` of something that has no lines, fewer if it ends.
    ///
    /// # Errors
    /// Status 65 if they cannot be unpacked.
    pub(super) fn take(&mut self, bytes: usize) -> Result<Vec<u8>> {
        self.fill(bytes)?;
        let rest = self.pending.split_off(bytes.min(self.pending.len()));
        Ok(std::mem::replace(&mut self.pending, rest))
    }

    /// The next lines, about a chunk of them; `None` after the last.
    ///
    /// # Errors
    /// Status 65 if the text cannot be unpacked any further, with the line and column where it
    /// breaks off, or if a line does not end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut goal = self.chunk_bytes;
        let length = loop {
            self.fill(goal)?;
            if self.ended {
                break self.pending.len();
            }
            match memchr::memrchr(b'\n', &self.pending) {
                Some(newline) => break newline + 1,
                None if self.pending.len() > LINE_BYTES_MAX => return Err(self.endless_line()),
                None => goal = self.pending.len() * 2,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let rest = self.pending.split_off(length);
        let bytes = std::mem::replace(&mut self.pending, rest);
        Ok(Some(self.chunk(bytes)))
    }

    /// Labels `bytes`, which are handed on.
    fn chunk(&mut self, bytes: Vec<u8>) -> Chunk {
        let start = self.position;
        // After the last line everything on disk is behind, whatever trailer the packer left.
        self.position = match (self.ended, self.disk_bytes) {
            (true, Some(disk_bytes)) => disk_bytes,
            _ => self.consumed.load(Ordering::Relaxed),
        };
        let first_line = self.line;
        self.line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        Chunk {
            bytes,
            first_line,
            positions: start..self.position,
        }
    }

    /// Unpacks until `goal` bytes are pending or the text ends.
    fn fill(&mut self, goal: usize) -> Result<()> {
        let mut filled = self.pending.len();
        if self.ended || filled >= goal {
            return Ok(());
        }
        self.pending.resize(goal, 0);
        while filled < goal && !self.ended {
            match self.text.read(&mut self.pending[filled..]) {
                Ok(0) => self.ended = true,
                Ok(bytes) => filled += bytes,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => {
                    self.pending.truncate(filled);
                    return Err(self.broken(&why));
                }
            }
        }
        self.pending.truncate(filled);
        Ok(())
    }

    /// The error of a text that cannot be unpacked beyond what is pending.
    fn broken(&self, why: &io::Error) -> Error {
        let after = memchr::memrchr(b'\n', &self.pending).map_or(0, |newline| newline + 1);
        let line = self.line + memchr::memchr_iter(b'\n', &self.pending).count() as u64;
        let mut last = &self.pending[after..];
        if line == 1 {
            last = last.strip_prefix(BOM).unwrap_or(last);
        }
        let column = last.len() as u64 + 1;
        let message = match why.kind() {
            io::ErrorKind::UnexpectedEof => {
                "expected more compressed data, the file is cut off here; fetch it again"
                    .to_string()
            }
            _ => format!("expected intact compressed data ({why}); fetch the file again"),
        };
        Error::data(&self.path, line, column, message)
    }

    fn endless_line(&self) -> Error {
        let message = format!("expected a line end within {LINE_BYTES_MAX} bytes");
        Error::data(&self.path, self.line, 1, message)
    }
}

/// A source that counts what is taken from it.
struct Counted {
    source: Box<dyn BufRead + Send>,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.source.read(buffer)?;
        self.consumed.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.source.consume(bytes);
        self.consumed.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Zstandard frames, one after the other, each verified by its checksum if it has one.
struct Frames {
    decoder: FrameDecoder,
    source: Option<Counted>,
    /// The frame that is being read.
    frame: Option<StreamingDecoder<Counted, FrameDecoder>>,
}

impl Frames {
    fn new(source: Counted) -> Frames {
        Frames {
            decoder: FrameDecoder::new(),
            source: Some(source),
            frame: None,
        }
    }

    /// Starts the next frame; false at the end of the source.
    fn start(&mut self) -> io::Result<bool> {
        let Some(mut source) = self.source.take() else {
            return Ok(false);
        };
        while let Some(bytes) = peek_skippable(&mut source)? {
            let skipped = io::copy(&mut (&mut source).take(bytes), &mut io::sink())?;
            if skipped < bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if source.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let decoder = std::mem::take(&mut self.decoder);
        let frame = StreamingDecoder::new_with_decoder(source, decoder).map_err(zstd_error)?;
        self.frame = Some(frame);
        Ok(true)
    }

    /// Ends the frame that was read.
    fn finish(&mut self) -> io::Result<()> {
        let Some(frame) = self.frame.take() else {
            return Ok(());
        };
        let (source, decoder) = frame.into_parts();
        let stated = decoder.get_checksum_from_data();
        if stated.is_some() && stated != decoder.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "wrong checksum"));
        }
        self.source = Some(source);
        self.decoder = decoder;
        Ok(())
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.frame.is_none() && !self.start()? {
                return Ok(0);
            }
            if let Some(frame) = &mut self.frame {
                let bytes = frame.read(buffer).map_err(zstd_error)?;
                if bytes > 0 {
                    return Ok(bytes);
                }
            }
            self.finish()?;
        }
    }
}

/// Takes the header of a frame that holds no data, if one is next, and returns its length.
fn peek_skippable(source: &mut Counted) -> io::Result<Option<u64>> {
    // A region shows all that is left of it. A pipe may show less than a header; then the frame
    // decoder refuses the frame, and nothing is read wrongly.
    let found = skippable_bytes(source.fill_buf()?);
    if found.is_some() {
        source.consume(8);
    }
    Ok(found)
}

/// What a decoder says, told apart into cut and damaged.
fn zstd_error(why: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&why);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::UnexpectedEof
        {
            return io::ErrorKind::UnexpectedEof.into();
        }
        // An io::Error hides what it was made from one step further down.
        cause = match error
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref())
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}
