//! A text of lines read in parallel: a mapped file in pieces on all threads, a stream as its chunks
//! arrive. A format only says what to make of some whole lines; this file deals them out, keeps to
//! the rank's part, and finds the place of the first fault.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::field::Fault;
use super::share::{Gates, Part, key_before, pieces};
use super::source::{Body, Region, Source};
use super::spread::{InOrder, locked, spread_into};
use super::stream::{Chunk, Stream};
use crate::error::{Error, Result};

/// What a format makes of lines.
pub(super) trait LineFormat: Sync {
    /// What becomes of some lines.
    type Block: Send;

    /// Names the record that a line belongs to; see [`super::share::Key`].
    fn key(&self, _line: &[u8]) -> Option<u64> {
        None
    }

    /// True if the lines outside of the rank's part are read as well.
    fn reads_all(&self) -> bool {
        false
    }

    /// Reads `lines`, whole lines all, of which the first follows a line with key `before`. `kept`
    /// is false for lines outside of the rank's part.
    fn read(&self, lines: &[u8], before: Option<u64>, kept: bool) -> Result<Self::Block, Fault>;
}

/// Takes blocks in file order.
pub(super) type Sink<'a, B> = dyn FnMut(B) + Send + 'a;

/// How to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Threads that parse.
    pub(super) threads: usize,
    /// Size of the pieces that a mapped file is dealt out in.
    pub(super) piece_bytes: usize,
}

/// Reads the rank's `part` of `source`, whose lines begin `start` bytes into the text, and hands
/// the blocks to `sink` in file order. Returns the key of the line before the part; `None` if the
/// part begins with the file.
///
/// # Errors
/// The first fault in file order, at its place; what [`Stream::next_chunk`] says.
pub(super) fn read_lines<F: LineFormat>(
    source: &mut Source,
    start: usize,
    part: &Part,
    format: &F,
    effort: Effort,
    sink: &mut Sink<F::Block>,
) -> Result<Option<u64>> {
    match source.open()? {
        Body::Plain(region) => {
            read_region(&region, source.path(), start, part, format, effort, sink)
        }
        Body::Stream(stream) => {
            let mut jobs = Jobs {
                stream: *stream,
                format,
                gates: Gates::new(part),
                skip: start,
                before: None,
                number: 0,
            };
            match effort.threads {
                0 | 1 => read_here(&mut jobs, source.path(), sink)?,
                threads => read_beside(&mut jobs, source.path(), threads - 1, sink)?,
            }
            Ok(jobs.gates.before(jobs.before))
        }
    }
}

/// Some of the lines at hand.
struct Slice {
    range: Range<usize>,
    kept: bool,
}

/// The slices of `lines` that are read, given which are kept.
fn slices(lines: &[u8], keep: Range<usize>, reads_all: bool) -> impl Iterator<Item = Slice> {
    let outside = |range| Slice { range, kept: false };
    let [before, after] = [0..keep.start, keep.end..lines.len()].map(outside);
    let kept = Slice {
        range: keep,
        kept: true,
    };
    let wanted = move |slice: &Slice| !slice.range.is_empty() && (slice.kept || reads_all);
    [before, kept, after].into_iter().filter(wanted)
}

fn read_region<F: LineFormat>(
    region: &Region,
    path: &Path,
    start: usize,
    part: &Part,
    format: &F,
    effort: Effort,
    sink: &mut Sink<F::Block>,
) -> Result<Option<u64>> {
    let bytes = region.as_ref();
    let lines = &bytes[start.min(bytes.len())..];
    let key = |line: &[u8]| format.key(line);
    let mut gates = Gates::new(part);
    let keep = gates.keep(lines, &(0..part.length()), None, &key);
    let mut work = Vec::new();
    for slice in slices(lines, keep, format.reads_all()) {
        for range in pieces(lines, slice.range, effort.piece_bytes) {
            work.push(Slice { range, ..slice });
        }
    }
    let read = |index: usize| {
        let Slice { range, kept } = &work[index];
        let before = key_before(&lines[..range.start], None, &key);
        let block = format.read(&lines[range.clone()], before, *kept);
        region.release(start + range.start..start + range.end);
        block.map_err(|fault| fault.shifted(start + range.start))
    };
    let done = spread_into(effort.threads, work.len(), read, sink);
    done.map_err(|fault| fault.locate(path, bytes, 1))?;
    Ok(gates.before(None))
}

/// A chunk and what to read of it.
struct Job {
    number: usize,
    chunk: Chunk,
    slices: Vec<(Slice, Option<u64>)>,
}

/// Makes jobs of a stream's chunks.
struct Jobs<'a, F> {
    stream: Stream,
    format: &'a F,
    gates: Gates,
    /// Bytes still to come that are not lines of the format.
    skip: usize,
    /// Key of the last line so far.
    before: Option<u64>,
    number: usize,
}

impl<F: LineFormat> Jobs<'_, F> {
    fn next(&mut self) -> Result<Option<Job>> {
        if self.gates.done() && !self.format.reads_all() {
            return Ok(None);
        }
        let Some(chunk) = self.stream.next_chunk()? else {
            return Ok(None);
        };
        let skip = self.skip.min(chunk.bytes.len());
        self.skip -= skip;
        let lines = &chunk.bytes[skip..];
        let key = |line: &[u8]| self.format.key(line);
        let keep = self.gates.keep(lines, &chunk.positions, self.before, &key);
        let mut work = Vec::new();
        for Slice { range, kept } in slices(lines, keep, self.format.reads_all()) {
            let before = key_before(&lines[..range.start], self.before, &key);
            let range = range.start + skip..range.end + skip;
            work.push((Slice { range, kept }, before));
        }
        self.before = key_before(lines, self.before, &key);
        self.number += 1;
        Ok(Some(Job {
            number: self.number - 1,
            chunk,
            slices: work,
        }))
    }
}

impl Job {
    /// Reads the job's lines.
    fn read<F: LineFormat>(&self, path: &Path, format: &F) -> Result<Vec<F::Block>> {
        let Chunk {
            bytes, first_line, ..
        } = &self.chunk;
        let read = |(slice, before): &(Slice, Option<u64>)| {
            let block = format.read(&bytes[slice.range.clone()], *before, slice.kept);
            block.map_err(|fault| {
                fault
                    .shifted(slice.range.start)
                    .locate(path, bytes, *first_line)
            })
        };
        self.slices.iter().map(read).collect()
    }
}

/// Unpacks and reads in turns.
fn read_here<F: LineFormat>(
    jobs: &mut Jobs<F>,
    path: &Path,
    sink: &mut Sink<F::Block>,
) -> Result<()> {
    while let Some(job) = jobs.next()? {
        job.read(path, jobs.format)?
            .into_iter()
            .for_each(&mut *sink);
    }
    Ok(())
}

/// Unpacks on this thread while `readers` others read.
fn read_beside<F: LineFormat>(
    jobs: &mut Jobs<F>,
    path: &Path,
    readers: usize,
    sink: &mut Sink<F::Block>,
) -> Result<()> {
    let format = jobs.format;
    let done = InOrder::new(|blocks: Vec<F::Block>| blocks.into_iter().for_each(&mut *sink));
    let (done, failed) = (Mutex::new(done), AtomicBool::new(false));
    let (sender, receiver) = sync_channel::<Job>(readers);
    // Shared by the readers alone: when the last of them is gone, sending fails instead of waiting.
    let receiver = Arc::new(Mutex::new(receiver));
    let unpacked = std::thread::scope(|scope| {
        for receiver in vec![receiver; readers] {
            let (done, failed) = (&done, &failed);
            scope.spawn(move || {
                while let Some(job) = take(&receiver) {
                    let blocks = job.read(path, format);
                    failed.fetch_or(blocks.is_err(), Ordering::Relaxed);
                    locked(done).put(job.number, blocks);
                }
            });
        }
        let sender = sender;
        while !failed.load(Ordering::Relaxed) {
            let Some(job) = jobs.next()? else {
                break;
            };
            if sender.send(job).is_err() {
                return Err(Error::Bug("all readers of a stream ended".to_string()));
            }
        }
        Ok(())
    });
    done.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .finish()?;
    // What cannot be unpacked lies behind everything that could be read.
    unpacked
}

/// The next job; `None` when there will be no more.
fn take(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    locked(receiver).recv().ok()
}
