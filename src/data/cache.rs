//! The binary cache that `petuum convert` writes and later runs use in place.
//!
//! Little-endian, every section aligned to 64 bytes:
//!
//! ```text
//! header       256 bytes: magic, version, sizes, where the sections are, checksums
//! offsets      u64 x (documents + 1): entries of document d are offsets[d]..offsets[d + 1]
//! words        u32 x entries
//! counts       u32 x entries
//! marks        u64 x (documents / 256 + 1): tokens before documents 0, 256, 512 ...
//! names        the words of the vocabulary, one after the other; may be empty
//! name ends    u64 x words: where each ends
//! sources      JSON: the fingerprints of the files it was made from
//! checksums    u32 each: CRC-32 of every MiB of what is between header and checksums
//! ```
//!
//! A rank verifies the checksums of what it uses and that the values fit together, then trusts them.

use std::ops::Range;
use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::corpus::{Corpus, MappedArrays, Store, Totals};
use super::fingerprint::{Fingerprint, SourceFile};
use super::format::CACHE_MAGIC;
use super::mmap::Mapping;
use super::share::Share;
use super::source::{Body, Region, Source};
use super::spread::spread;
use super::vocabulary::{Vocabulary, WORDS_MAX};
use crate::error::{Error, Result};

/// Version of the layout.
pub(super) const VERSION: u32 = 1;

/// Sections begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 64;

/// Bytes under one checksum.
pub(super) const BLOCK_BYTES: u64 = 1 << 20;

/// Documents between two token marks.
pub(super) const MARK_DOCUMENTS: usize = 256;

/// Where a section lies, in bytes from the start of the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Section {
    pub(super) start: u64,
    pub(super) bytes: u64,
}

impl Section {
    /// The section as a range; `None` if it does not lie within `length` bytes.
    pub(super) fn range(self, length: usize) -> Option<Range<usize>> {
        let end = self.start.checked_add(self.bytes)?;
        let fits = end <= length as u64 && self.start.is_multiple_of(ALIGNMENT);
        fits.then_some(self.start as usize..end as usize)
    }
}

/// The first bytes of a cache.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Header {
    pub(super) magic: [u8; 8],
    pub(super) version: u32,
    /// CRC-32 of the header with this field 0.
    pub(super) header_crc32: u32,
    /// Size of the file.
    pub(super) file_bytes: u64,
    pub(super) documents: u64,
    pub(super) words: u64,
    pub(super) entries: u64,
    pub(super) tokens: u64,
    pub(super) offsets: Section,
    pub(super) word: Section,
    pub(super) count: Section,
    pub(super) marks: Section,
    pub(super) names: Section,
    pub(super) name_ends: Section,
    pub(super) sources: Section,
    pub(super) checksums: Section,
    /// CRC-32 of the checksums.
    pub(super) checksums_crc32: u32,
    /// 1 if there is a vocabulary.
    pub(super) has_names: u32,
    /// Zeros, room for later versions.
    pub(super) reserved: [u64; 8],
}

/// Size of the header.
pub(super) const HEADER_BYTES: usize = size_of::<Header>();

const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGNMENT as usize));

impl Header {
    /// The CRC-32 that `header_crc32` should hold.
    pub(super) fn crc32(mut self) -> u32 {
        self.header_crc32 = 0;
        crc32fast::hash(self.as_bytes())
    }
}

/// Opens a rank's share of a cache: documents from the first whose tokens begin in it.
///
/// # Errors
/// Status 65 if it is not a cache of this version, damaged, or older than its sources.
pub(super) fn load(source: &mut Source, share: Share, threads: usize) -> Result<Corpus> {
    let path = source.path().to_path_buf();
    let refuse = |message: String| Error::data(&path, 0, 0, message);
    if cfg!(target_endian = "big") {
        return Err(refuse(
            "expected a little-endian machine, train from the text".to_string(),
        ));
    }
    let Body::Plain(Region::Mapped(mapping)) = source.open()? else {
        return Err(refuse(
            "expected a file that can be mapped; unpack the cache first".to_string(),
        ));
    };
    let file = CacheFile::open(&mapping).map_err(&refuse)?;
    let prints = file.sources().map_err(&refuse)?;
    for print in &prints {
        print.require_fresh(&path, "petuum convert")?;
    }
    let documents = file.documents(share).map_err(&refuse)?;
    let (store, tokens) = file.rows(documents, threads).map_err(&refuse)?;
    Ok(Corpus {
        vocabulary: file.vocabulary().map_err(&refuse)?,
        words: file.header.words as usize,
        store: Store::Mapped(store),
        tokens,
        first_document: 0,
        totals: Totals::default(),
        checks: Vec::new(),
        sources: prints.iter().map(SourceFile::from_print).collect(),
    })
}

/// What is wrong with a cache.
type Wrong = String;

/// What to do about a cache that is damaged.
const REMEDY: &str = "make it again with `petuum convert`";

/// A cache whose header holds together.
struct CacheFile<'a> {
    mapping: &'a Arc<Mapping>,
    header: Header,
    checksums: &'a [u32],
}

impl<'a> CacheFile<'a> {
    fn open(mapping: &'a Arc<Mapping>) -> Result<CacheFile<'a>, Wrong> {
        let bytes = mapping.bytes();
        if !bytes.starts_with(CACHE_MAGIC) {
            return Err(format!(
                "expected a cache that `petuum convert` wrote, saw another file; {REMEDY}"
            ));
        }
        let Ok((header, _)) = Header::read_from_prefix(bytes) else {
            return Err(format!(
                "expected {HEADER_BYTES} bytes or more, the cache is cut; {REMEDY}"
            ));
        };
        if header.version != VERSION {
            return Err(format!(
                "expected a cache of version {VERSION}, saw version {}; {REMEDY}",
                header.version
            ));
        }
        if header.crc32() != header.header_crc32 {
            return Err(format!(
                "expected an intact header, its checksum is wrong; {REMEDY}"
            ));
        }
        if header.file_bytes != bytes.len() as u64 {
            return Err(format!(
                "expected {} bytes, saw {}: the cache is cut; {REMEDY}",
                header.file_bytes,
                bytes.len()
            ));
        }
        let mut file = CacheFile {
            mapping,
            header,
            checksums: &[],
        };
        let range = file.range(header.checksums)?;
        if crc32fast::hash(&bytes[range.clone()]) != header.checksums_crc32 {
            return Err(format!("expected intact checksums; {REMEDY}"));
        }
        file.checksums = values(&bytes[range])?;
        file.require_sizes()?;
        Ok(file)
    }

    /// The sections hold as many values as the header says there are.
    fn require_sizes(&self) -> Result<(), Wrong> {
        let Header {
            documents,
            entries,
            words,
            ..
        } = self.header;
        let names = if self.header.has_names == 1 { words } else { 0 };
        let body = self.header.checksums.start.checked_sub(HEADER_BYTES as u64);
        let blocks = body.map(|body| body.div_ceil(BLOCK_BYTES));
        let marks = (documents / MARK_DOCUMENTS as u64).checked_add(1);
        let sizes = [
            (self.header.offsets, documents.checked_add(1), 8),
            (self.header.word, Some(entries), 4),
            (self.header.count, Some(entries), 4),
            (self.header.marks, marks, 8),
            (self.header.name_ends, Some(names), 8),
            (self.header.checksums, blocks, 4),
        ];
        let fits = |(section, values, bytes): (Section, Option<u64>, u64)| {
            values.and_then(|values| values.checked_mul(bytes)) == Some(section.bytes)
        };
        match sizes.into_iter().all(fits) && words <= WORDS_MAX {
            true => Ok(()),
            false => Err(inconsistent()),
        }
    }

    /// A section's place in the file.
    fn range(&self, section: Section) -> Result<Range<usize>, Wrong> {
        section
            .range(self.mapping.bytes().len())
            .ok_or_else(inconsistent)
    }

    /// Verifies the checksums of all blocks that `range` touches.
    fn verify(&self, range: &Range<usize>, threads: usize) -> Result<(), Wrong> {
        let body = &self.mapping.bytes()[HEADER_BYTES..self.header.checksums.start as usize];
        let block = BLOCK_BYTES as usize;
        let first = range.start.saturating_sub(HEADER_BYTES) / block;
        let end = range
            .end
            .saturating_sub(HEADER_BYTES)
            .min(body.len())
            .div_ceil(block);
        spread(threads, end.saturating_sub(first), |index| {
            let start = (first + index) * block;
            let bytes = &body[start..body.len().min(start + block)];
            match self.checksums.get(first + index) == Some(&crc32fast::hash(bytes)) {
                true => Ok(()),
                false => Err(format!(
                    "expected an intact cache, the checksum of byte {} and on is wrong; {REMEDY}",
                    start + HEADER_BYTES
                )),
            }
        })?;
        Ok(())
    }

    /// The verified values of a section.
    fn section<T: FromBytes + Immutable + KnownLayout>(
        &self,
        section: Section,
    ) -> Result<&'a [T], Wrong> {
        let range = self.range(section)?;
        self.verify(&range, 1)?;
        values(&self.mapping.bytes()[range])
    }

    /// The fingerprints of its sources.
    fn sources(&self) -> Result<Vec<Fingerprint>, Wrong> {
        serde_json::from_slice(self.section::<u8>(self.header.sources)?).map_err(|_| inconsistent())
    }

    /// The words.
    fn vocabulary(&self) -> Result<Option<Vocabulary>, Wrong> {
        if self.header.has_names != 1 {
            return Ok(None);
        }
        let text = self.section::<u8>(self.header.names)?;
        let ends = self.section::<u64>(self.header.name_ends)?;
        Vocabulary::from_parts(text, ends)
            .map(Some)
            .ok_or_else(inconsistent)
    }

    /// The documents of a share.
    fn documents(&self, share: Share) -> Result<Range<usize>, Wrong> {
        let documents = self.header.documents as usize;
        if share.of <= 1 {
            return Ok(0..documents);
        }
        let marks = self.section::<u64>(self.header.marks)?;
        let start = self.document_at(marks, share.start(self.header.tokens))?;
        let end = match share.index + 1 == share.of {
            true => documents,
            false => self.document_at(marks, share.end(self.header.tokens))?,
        };
        Ok(start.min(end)..end)
    }

    /// The first document that begins at or after token `at`; documents before the first token are
    /// the first share's.
    fn document_at(&self, marks: &[u64], at: u64) -> Result<usize, Wrong> {
        if at == 0 {
            return Ok(0);
        }
        let mark = marks
            .partition_point(|tokens| *tokens < at)
            .saturating_sub(1);
        let first = mark * MARK_DOCUMENTS;
        let last = (first + MARK_DOCUMENTS).min(self.header.documents as usize);
        let (rows, _) = self.rows(first..last, 1)?;
        let store = Store::Mapped(rows);
        let (offsets, counts) = (store.offsets(), store.counts());
        let mut tokens = marks.get(mark).copied().unwrap_or(0);
        for document in first..last {
            if tokens >= at {
                return Ok(document);
            }
            let entries =
                offsets[document - first] as usize..offsets[document - first + 1] as usize;
            tokens += counts[entries]
                .iter()
                .map(|count| u64::from(*count))
                .sum::<u64>();
        }
        Ok(last)
    }

    /// The verified rows of some documents and the number of their tokens.
    fn rows(&self, documents: Range<usize>, threads: usize) -> Result<(MappedArrays, u64), Wrong> {
        let start = self.range(self.header.offsets)?.start;
        let rows = MappedArrays {
            mapping: Arc::clone(self.mapping),
            offsets: start + documents.start * 8..start + (documents.end + 1) * 8,
            words: self.range(self.header.word)?,
            counts: self.range(self.header.count)?,
        };
        self.verify(&rows.offsets, threads)?;
        let store = Store::Mapped(rows);
        let offsets = store.offsets();
        let rises = offsets.is_sorted()
            && offsets
                .last()
                .is_some_and(|last| *last <= self.header.entries);
        if !rises || store.words().len() != store.counts().len() {
            return Err(inconsistent());
        }
        let entries = offsets[0] as usize..offsets[documents.len()] as usize;
        let tokens = self.verify_entries(&store, &entries, threads)?;
        match store {
            Store::Mapped(rows) => Ok((rows, tokens)),
            Store::Owned(_) => Err(inconsistent()),
        }
    }

    /// Verifies the words and counts of some entries and sums up the counts.
    fn verify_entries(
        &self,
        store: &Store,
        entries: &Range<usize>,
        threads: usize,
    ) -> Result<u64, Wrong> {
        for section in [self.header.word, self.header.count] {
            let start = self.range(section)?.start;
            self.verify(
                &(start + entries.start * 4..start + entries.end * 4),
                threads,
            )?;
        }
        let (words, counts) = (
            &store.words()[entries.clone()],
            &store.counts()[entries.clone()],
        );
        let chunk = BLOCK_BYTES as usize;
        let sums = spread(threads, entries.len().div_ceil(chunk), |index| {
            let range = index * chunk..entries.len().min((index + 1) * chunk);
            let largest = words[range.clone()]
                .iter()
                .fold(0, |largest, word| *word.max(&largest));
            let smallest = counts[range.clone()]
                .iter()
                .fold(u32::MAX, |smallest, count| *count.min(&smallest));
            match u64::from(largest) < self.header.words && smallest > 0 {
                true => Ok(counts[range]
                    .iter()
                    .map(|count| u64::from(*count))
                    .sum::<u64>()),
                false => Err(inconsistent()),
            }
        })?;
        Ok(sums.iter().sum())
    }
}

/// The bytes as values.
fn values<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> Result<&[T], Wrong> {
    <[T]>::ref_from_bytes(bytes).map_err(|_| inconsistent())
}

/// What is said of a cache that contradicts itself although its checksums hold.
fn inconsistent() -> Wrong {
    format!("expected a cache whose parts fit together; {REMEDY}")
}
