//! Writing the cache that `cache.rs` describes: into a temporary file beside, then renamed, so that
//! nobody ever sees half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zerocopy::IntoBytes;

use super::cache::{
    ALIGNMENT, BLOCK_BYTES, HEADER_BYTES, Header, MARK_DOCUMENTS, Section, VERSION,
};
use super::corpus::Corpus;
use super::fingerprint::{Fingerprint, SourceFile};
use super::format::CACHE_MAGIC;
use super::source::file_name;
use crate::error::{Error, Result};

/// Writes a whole corpus to `path`, replacing what is there. The files it was read from are
/// fingerprinted, so that a later run refuses the cache when one of them has changed.
///
/// # Errors
/// Status 73 or 74 if it cannot be written, 65 if a source has changed since it was read.
pub fn write_cache(corpus: &Corpus, path: &Path) -> Result<()> {
    let prints = corpus.sources.iter().map(SourceFile::fingerprint);
    let prints = prints.collect::<Result<Vec<Fingerprint>>>()?;
    let beside = Beside::create(path)?;
    let written = write(corpus, &prints, &beside.file);
    written.map_err(|why| Error::cannot_write(path, why))?;
    beside.rename_to(path)
}

/// A temporary file in the folder of the file it will become; gone again if it does not.
pub(super) struct Beside {
    pub(super) file: File,
    path: PathBuf,
}

impl Beside {
    /// A file that will become `target`, readable too.
    pub(super) fn create(target: &Path) -> Result<Beside> {
        Beside::named(target, "tmp")
    }

    /// A file for a part of what will become `target`.
    pub(super) fn named(target: &Path, part: &str) -> Result<Beside> {
        let name = format!(".{}.{}.{part}", file_name(target), std::process::id());
        let path = target.with_file_name(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        Ok(Beside {
            file: file.map_err(|why| Error::cannot_create(target, why))?,
            path,
        })
    }

    /// Gives it its name.
    pub(super) fn rename_to(self, target: &Path) -> Result<()> {
        fs::rename(&self.path, target).map_err(|why| Error::cannot_create(target, why))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

fn write(corpus: &Corpus, prints: &[Fingerprint], file: &File) -> io::Result<()> {
    let mut out = Sections::new(BufWriter::with_capacity(1 << 20, file), HEADER_BYTES)?;
    let (words, counts) = (corpus.store.words(), corpus.store.counts());
    let (names, name_ends) = corpus
        .vocabulary
        .as_ref()
        .map_or(("", &[][..]), |v| v.parts());
    let mut header = Header {
        magic: *CACHE_MAGIC,
        version: VERSION,
        documents: corpus.documents() as u64,
        words: corpus.words() as u64,
        entries: corpus.entries() as u64,
        tokens: corpus.tokens(),
        has_names: u32::from(corpus.vocabulary.is_some()),
        ..Header::default()
    };
    let offsets = corpus.store.offsets();
    let base = offsets.first().copied().unwrap_or(0);
    let entries = base as usize..base as usize + corpus.entries();
    let offsets: Vec<u64> = offsets.iter().map(|offset| offset - base).collect();
    header.offsets = out.section(offsets.as_bytes())?;
    header.word = out.section(words[entries.clone()].as_bytes())?;
    header.count = out.section(counts[entries].as_bytes())?;
    header.marks = out.section(marks(corpus).as_bytes())?;
    header.names = out.section(names.as_bytes())?;
    header.name_ends = out.section(name_ends.as_bytes())?;
    header.sources = out.section(&serde_json::to_vec(prints)?)?;
    out.finish(|ending| {
        header.checksums = ending.checksums;
        header.checksums_crc32 = ending.checksums_crc32;
        header.file_bytes = ending.file_bytes;
        header.header_crc32 = header.crc32();
        header.as_bytes().to_vec()
    })?;
    file.sync_all()
}

/// Tokens before every 256th document, document 0 included.
fn marks(corpus: &Corpus) -> Vec<u64> {
    let mut marks = vec![0];
    let mut tokens = 0;
    for document in 0..corpus.documents() {
        tokens += corpus
            .document(document)
            .map(|(_, count)| u64::from(count))
            .sum::<u64>();
        if (document + 1) % MARK_DOCUMENTS == 0 {
            marks.push(tokens);
        }
    }
    marks
}

/// Sections, aligned, with a checksum for every block of them.
pub(super) struct Sections<W> {
    out: W,
    /// Bytes written so far, the header included.
    pub(super) at: u64,
    block: crc32fast::Hasher,
    /// Bytes in the block so far.
    block_bytes: u64,
    checksums: Vec<u32>,
}

impl<W: Write + Seek> Sections<W> {
    /// Leaves room for a header of so many bytes.
    pub(super) fn new(mut out: W, header_bytes: usize) -> io::Result<Sections<W>> {
        out.write_all(&vec![0; header_bytes])?;
        Ok(Sections {
            out,
            at: header_bytes as u64,
            block: crc32fast::Hasher::new(),
            block_bytes: 0,
            checksums: Vec::new(),
        })
    }

    /// Writes a section and says where it is.
    pub(super) fn section(&mut self, bytes: &[u8]) -> io::Result<Section> {
        let start = self.at;
        self.put(bytes)?;
        self.end(start)
    }

    /// Ends the section that began at `start`.
    pub(super) fn end(&mut self, start: u64) -> io::Result<Section> {
        let bytes = self.at - start;
        let padding = self.at.next_multiple_of(ALIGNMENT) - self.at;
        self.put(&[0; ALIGNMENT as usize][..padding as usize])?;
        Ok(Section { start, bytes })
    }

    /// Writes some bytes of a section.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = (BLOCK_BYTES - self.block_bytes) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.update(now);
            self.block_bytes += now.len() as u64;
            if self.block_bytes == BLOCK_BYTES {
                self.end_block();
            }
            bytes = later;
        }
        Ok(())
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.checksums.push(block.finalize());
        self.block_bytes = 0;
    }

    /// Writes the checksums, and at the start the header that `header` makes of where they are.
    pub(super) fn finish(mut self, header: impl FnOnce(&Ending) -> Vec<u8>) -> io::Result<()> {
        if self.block_bytes > 0 {
            self.end_block();
        }
        let checksums = self.checksums.as_bytes();
        let ending = Ending {
            checksums: Section {
                start: self.at,
                bytes: checksums.len() as u64,
            },
            checksums_crc32: crc32fast::hash(checksums),
            file_bytes: self.at + checksums.len() as u64,
        };
        self.out.write_all(checksums)?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(&ending))?;
        self.out.flush()
    }
}

/// What a header says of the end of its file.
pub(super) struct Ending {
    pub(super) checksums: Section,
    pub(super) checksums_crc32: u32,
    pub(super) file_bytes: u64,
}
