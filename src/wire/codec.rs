//! Messages to bytes and back. The table at the top is the format: a message is its fields in the
//! order given there, each written by its type's [`Field`].
//!
//! Integers are varints (signed ones zigzag), row and column numbers ascend and travel as
//! differences, floats travel raw. Large float arrays and payloads are not copied on their way out.

use std::sync::Arc;

use bytes::Bytes;

use super::Malformed;
use super::message::{ClockStats, Elements, Message, Payload, RowBatch, STALENESS_COUNTS_MAX};
use super::varint::{self, Reader, put, put_signed};

/// Declares the message kinds: their number on the wire and the order of their fields.
macro_rules! messages {
    ($($number:literal $name:ident { $($field:ident),* })*) => {
        /// A message's kind, as one byte on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Kind {
            $(#[doc = concat!("`Message::", stringify!($name), "`")] $name = $number,)*
        }

        impl Kind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            /// The kind of `message`.
            pub fn of(message: &Message) -> Kind {
                match message {
                    $(Message::$name { .. } => Kind::$name,)*
                }
            }

            /// The kind whose number is `byte`.
            pub fn from_byte(byte: u8) -> Result<Kind, Malformed> {
                match byte {
                    $($number => Ok(Kind::$name),)*
                    _ => Err(Malformed("a message of unknown kind")),
                }
            }
        }

        /// At least as many bytes as `message` takes on the wire. Payloads must be bytes.
        pub fn bytes_max(message: &Message) -> usize {
            match message {
                $(Message::$name { $($field),* } => 0 $(+ $field.bytes_max())*,)*
            }
        }

        /// Writes `message`'s fields. Payloads must be bytes.
        pub fn encode(message: Message, out: &mut Encoder) {
            match message {
                $(Message::$name { $($field),* } => { $($field.put(out);)* })*
            }
        }

        /// Reads a message of this kind; it must take all that `input` holds.
        pub fn decode(kind: Kind, input: &mut Reader) -> Result<Message, Malformed> {
            let message = match kind {
                $(Kind::$name => { $(let $field = Field::take(input)?;)* Message::$name { $($field),* } })*
            };
            input.finish()?;
            Ok(message)
        }
    };
}

messages! {
    1 Updates { number, completes, answer, batches }
    2 Pull { table, rows, stamp }
    3 Rows { number, covers, stamp, complete, included, batches }
    4 Refresh { number }
    5 Block { table, block, turn, worker, payload }
    6 BlockArrived { table, block, turn }
    7 Report { worker, clock, stats, bytes, partial, ended }
    8 Verdict { clock, last, update }
    9 Gather { number, payload }
    10 Gathered { number, payloads }
    11 Interrupt { signal }
    12 Abort { status, message }
    13 Goodbye {}
    14 Checkpointed { clock }
}

impl Kind {
    /// Number of kinds.
    pub const COUNT: usize = Kind::ALL.len();

    /// The kind's position in [`Kind::ALL`].
    pub fn index(self) -> usize {
        self as usize - 1
    }
}

/// Where a message's bytes go: one growing buffer, and, for large messages, payloads between its
/// parts that are passed on as they are.
#[derive(Debug)]
pub struct Encoder {
    /// What follows the last segment.
    buffer: Vec<u8>,
    segments: Vec<Bytes>,
    /// Payloads of at least this many bytes become segments of their own.
    share_bytes_min: usize,
}

impl Encoder {
    /// Appends to `buffer` and copies everything into it: for small messages.
    pub fn append(buffer: Vec<u8>) -> Encoder {
        Encoder {
            buffer,
            segments: Vec::new(),
            share_bytes_min: usize::MAX,
        }
    }

    /// Keeps payloads of at least `share_bytes_min` bytes where they are: for large messages.
    pub fn share(share_bytes_min: usize) -> Encoder {
        Encoder {
            buffer: Vec::new(),
            segments: Vec::new(),
            share_bytes_min,
        }
    }

    /// The buffer of an encoder made by [`Encoder::append`].
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The message's bytes, in order.
    pub fn into_segments(mut self) -> Vec<Bytes> {
        if !self.buffer.is_empty() {
            self.segments.push(self.buffer.into());
        }
        self.segments
    }

    fn payload(&mut self, bytes: Bytes) {
        if bytes.len() < self.share_bytes_min {
            self.buffer.extend_from_slice(&bytes);
        } else {
            self.segment(bytes);
        }
    }

    /// Writes the raw elements of batch `index`, from where they lie if they are many.
    fn raw(&mut self, batches: &Arc<Vec<RowBatch>>, index: usize) {
        let bytes = batches[index].elements.raw();
        if bytes.len() < self.share_bytes_min {
            self.buffer.extend_from_slice(bytes);
        } else {
            let batches = Arc::clone(batches);
            self.segment(Bytes::from_owner(Raw { batches, index }));
        }
    }

    fn segment(&mut self, bytes: Bytes) {
        if !self.buffer.is_empty() {
            self.segments.push(std::mem::take(&mut self.buffer).into());
        }
        self.segments.push(bytes);
    }
}

/// Elements that are sent from where they lie, in batches that their sender may keep.
struct Raw {
    batches: Arc<Vec<RowBatch>>,
    index: usize,
}

impl AsRef<[u8]> for Raw {
    fn as_ref(&self) -> &[u8] {
        self.batches[self.index].elements.raw()
    }
}

/// How a value of this type travels.
trait Field: Sized {
    /// At least as many bytes as the value takes.
    fn bytes_max(&self) -> usize;
    /// Writes the value.
    fn put(self, out: &mut Encoder);
    /// Reads it back.
    fn take(input: &mut Reader) -> Result<Self, Malformed>;
}

macro_rules! integer_fields {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn bytes_max(&self) -> usize {
                varint::BYTES_MAX
            }
            fn put(self, out: &mut Encoder) {
                put(&mut out.buffer, u64::from(self));
            }
            fn take(input: &mut Reader) -> Result<Self, Malformed> {
                Self::try_from(input.varint()?).map_err(|_| Malformed("an integer out of range"))
            }
        }
    )*};
}
integer_fields! { u8 u16 u32 u64 }

impl Field for i64 {
    fn bytes_max(&self) -> usize {
        varint::BYTES_MAX
    }
    fn put(self, out: &mut Encoder) {
        put_signed(&mut out.buffer, self);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        input.signed()
    }
}

impl Field for bool {
    fn bytes_max(&self) -> usize {
        1
    }
    fn put(self, out: &mut Encoder) {
        out.buffer.push(u8::from(self));
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither true nor false")),
        }
    }
}

impl<T: Field> Field for Box<T> {
    fn bytes_max(&self) -> usize {
        self.as_ref().bytes_max()
    }
    fn put(self, out: &mut Encoder) {
        (*self).put(out);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        T::take(input).map(Box::new)
    }
}

impl Field for f64 {
    fn bytes_max(&self) -> usize {
        size_of::<f64>()
    }
    fn put(self, out: &mut Encoder) {
        out.buffer.extend_from_slice(&self.to_le_bytes());
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        let bytes = input.take(size_of::<f64>())?;
        Ok(f64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }
}

impl<T: Field> Field for Option<T> {
    fn bytes_max(&self) -> usize {
        1 + self.as_ref().map_or(0, Field::bytes_max)
    }
    fn put(self, out: &mut Encoder) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        Ok(match bool::take(input)? {
            true => Some(T::take(input)?),
            false => None,
        })
    }
}

impl Field for Bytes {
    fn bytes_max(&self) -> usize {
        varint::BYTES_MAX + self.len()
    }
    fn put(self, out: &mut Encoder) {
        put(&mut out.buffer, self.len() as u64);
        out.payload(self);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        let length = input.count(1)?;
        input.take_bytes(length)
    }
}

impl Field for String {
    fn bytes_max(&self) -> usize {
        varint::BYTES_MAX + self.len()
    }
    fn put(self, out: &mut Encoder) {
        Bytes::from(self).put(out);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        let length = input.count(1)?;
        match std::str::from_utf8(input.take(length)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Malformed("a text that is not UTF-8")),
        }
    }
}

impl Field for Payload {
    fn bytes_max(&self) -> usize {
        match self {
            Payload::Bytes(bytes) => bytes.bytes_max(),
            Payload::Value(_) => varint::BYTES_MAX,
        }
    }
    fn put(self, out: &mut Encoder) {
        self.into_bytes().put(out);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        Bytes::take(input).map(Payload::Bytes)
    }
}

impl Field for [u64; 2] {
    fn bytes_max(&self) -> usize {
        2 * varint::BYTES_MAX
    }
    fn put(self, out: &mut Encoder) {
        for value in self {
            value.put(out);
        }
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        Ok([input.varint()?, input.varint()?])
    }
}

impl Field for ClockStats {
    fn bytes_max(&self) -> usize {
        2 * size_of::<f64>() + (5 + 2 * self.staleness_counts.len()) * varint::BYTES_MAX
    }
    fn put(self, out: &mut Encoder) {
        self.seconds.put(out);
        self.wait_seconds.put(out);
        self.staleness_sum.put(out);
        self.reads.put(out);
        self.staleness_max.put(out);
        put_counts(&self.staleness_counts, &mut out.buffer);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        Ok(ClockStats {
            seconds: f64::take(input)?,
            wait_seconds: f64::take(input)?,
            staleness_sum: u64::take(input)?,
            reads: u64::take(input)?,
            staleness_max: u64::take(input)?,
            staleness_counts: take_counts(input)?,
        })
    }
}

/// How many counts there are, then those that are not 0, each after the number of zeros before it.
fn put_counts(counts: &[u64], out: &mut Vec<u8>) {
    put(out, counts.len() as u64);
    let mut zeros = 0;
    for &count in counts {
        if count == 0 {
            zeros += 1;
        } else {
            put(out, std::mem::take(&mut zeros));
            put(out, count);
        }
    }
    if zeros > 0 {
        put(out, zeros);
    }
}

fn take_counts(input: &mut Reader) -> Result<Vec<u64>, Malformed> {
    const TOO_MANY: Malformed = Malformed("more counts of staleness than there are");
    let length = input.varint()?;
    let length = usize::try_from(length).map_err(|_| TOO_MANY)?;
    if length > STALENESS_COUNTS_MAX {
        return Err(TOO_MANY);
    }
    let mut counts = Vec::with_capacity(length);
    while counts.len() < length {
        let zeros = input.varint()?;
        if zeros > (length - counts.len()) as u64 {
            return Err(TOO_MANY);
        }
        counts.resize(counts.len() + zeros as usize, 0);
        if counts.len() < length {
            counts.push(input.varint()?);
        }
    }
    Ok(counts)
}

/// Row numbers, strictly ascending: their count and the first; then, if all distances are equal, the
/// distance, or else 0 and each one's distance less one to the one before.
impl Field for Vec<u64> {
    fn bytes_max(&self) -> usize {
        (2 + self.len()) * varint::BYTES_MAX
    }
    fn put(self, out: &mut Encoder) {
        put_rows(&self, EVEN_ROWS_MAX, &mut out.buffer);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        const TOO_LONG: Malformed = Malformed("a row number of more than 64 bits");
        let count = input.count_within(EVEN_ROWS_MAX)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = input.varint()?;
        let step = if count == 1 { 1 } else { input.varint()? };
        if step > 0 {
            let way = step.checked_mul(count as u64 - 1);
            way.and_then(|way| first.checked_add(way)).ok_or(TOO_LONG)?;
            return Ok((0..count as u64).map(|i| first + i * step).collect());
        }
        let mut rows = Vec::with_capacity(count);
        rows.push(first);
        let mut last = first;
        for _ in 1..count {
            let distance = input.varint()?;
            let next = last
                .checked_add(1)
                .and_then(|next| next.checked_add(distance));
            last = next.ok_or(TOO_LONG)?;
            rows.push(last);
        }
        Ok(rows)
    }
}

macro_rules! list_fields {
    ($($type:ty)*) => {$(
        impl Field for Vec<$type> {
            fn bytes_max(&self) -> usize {
                varint::BYTES_MAX + self.iter().map(Field::bytes_max).sum::<usize>()
            }
            fn put(self, out: &mut Encoder) {
                put(&mut out.buffer, self.len() as u64);
                for value in self {
                    value.put(out);
                }
            }
            fn take(input: &mut Reader) -> Result<Self, Malformed> {
                let count = input.count(1)?;
                (0..count).map(|_| Field::take(input)).collect()
            }
        }
    )*};
}
list_fields! { Bytes }

/// Writes row numbers; more than `even_max` of them one by one.
fn put_rows(rows: &[u64], even_max: usize, out: &mut Vec<u8>) {
    debug_assert!(rows.is_sorted_by(|a, b| a < b), "rows do not ascend");
    put(out, rows.len() as u64);
    let Some(first) = rows.first() else { return };
    put(out, *first);
    let Some(second) = rows.get(1) else { return };
    let step = second - first;
    if rows.len() <= even_max && rows.windows(2).all(|pair| pair[1] - pair[0] == step) {
        put(out, step);
        return;
    }
    out.push(0);
    for pair in rows.windows(2) {
        put(out, pair[1].wrapping_sub(pair[0]).wrapping_sub(1));
    }
}

/// Most rows that may be told by their distance alone: what no byte stands for must claim little
/// memory.
const EVEN_ROWS_MAX: usize = 1 << 16;

/// The bit of a batch's form byte that says it is sparse; the others are the element type.
const SPARSE: u8 = 4;

impl Field for Arc<Vec<RowBatch>> {
    fn bytes_max(&self) -> usize {
        varint::BYTES_MAX + self.iter().map(RowBatch::bytes_max).sum::<usize>()
    }
    fn put(self, out: &mut Encoder) {
        put(&mut out.buffer, self.len() as u64);
        for (index, batch) in self.iter().enumerate() {
            batch.put_places(&mut out.buffer);
            match batch.elements.is_raw() {
                true => out.raw(&self, index),
                false => batch.elements.put_each(&mut out.buffer),
            }
        }
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        Vec::take(input).map(Arc::new)
    }
}

impl Field for Vec<RowBatch> {
    fn bytes_max(&self) -> usize {
        varint::BYTES_MAX + self.iter().map(RowBatch::bytes_max).sum::<usize>()
    }
    fn put(self, out: &mut Encoder) {
        Arc::new(self).put(out);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        let count = input.count(1)?;
        (0..count).map(|_| RowBatch::take(input)).collect()
    }
}

impl RowBatch {
    fn bytes_max(&self) -> usize {
        2 * varint::BYTES_MAX
            + self.rows.bytes_max()
            + (self.ends.len() + self.columns.len()) * varint::BYTES_MAX
            + self.elements.bytes_max()
    }

    /// Writes everything but the elements themselves.
    fn put_places(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.table));
        let sparse = !self.ends.is_empty();
        out.push(self.elements.form() | if sparse { SPARSE } else { 0 });
        let even_max = if self.elements.is_empty() {
            2
        } else {
            EVEN_ROWS_MAX
        };
        put_rows(&self.rows, even_max, out);
        if sparse {
            put_columns(&self.ends, &self.columns, out);
        }
        put(out, self.elements.len() as u64);
    }

    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        let table = u16::take(input)?;
        let form = input.byte()?;
        let before = input.remaining();
        let rows = Vec::<u64>::take(input)?;
        let rows_bytes = before - input.remaining();
        let (mut ends, mut columns) = (Vec::new(), Vec::new());
        if form & SPARSE != 0 {
            (ends, columns) = take_columns(rows.len(), input)?;
        }
        let elements = Elements::take(form & !SPARSE, input)?;
        let fits = match form & SPARSE {
            0 if rows.is_empty() => elements.is_empty(),
            // Rows that no byte stands for would claim memory for nothing.
            0 if elements.is_empty() => rows.len() <= rows_bytes,
            0 => elements.len().is_multiple_of(rows.len()),
            _ => elements.len() == columns.len() && !rows.is_empty(),
        };
        match fits {
            true => Ok(RowBatch {
                table,
                rows,
                ends,
                columns,
                elements,
            }),
            false => Err(Malformed("elements that do not fit their rows")),
        }
    }
}

/// Each row's number of columns, then its columns as [`Vec<u64>`] writes rows.
fn put_columns(ends: &[u32], columns: &[u32], out: &mut Vec<u8>) {
    let mut start = 0;
    for &end in ends {
        let row = &columns[start as usize..end as usize];
        put(out, row.len() as u64);
        let mut next = 0u32;
        for &column in row {
            put(out, u64::from(column.wrapping_sub(next)));
            next = column.wrapping_add(1);
        }
        start = end;
    }
}

fn take_columns(rows: usize, input: &mut Reader) -> Result<(Vec<u32>, Vec<u32>), Malformed> {
    let mut ends = Vec::with_capacity(rows);
    let mut columns: Vec<u32> = Vec::new();
    for _ in 0..rows {
        let mut next = 0u64;
        let count = input.count(1)?;
        columns.reserve(count);
        for _ in 0..count {
            let column = next
                .checked_add(input.varint()?)
                .and_then(|c| u32::try_from(c).ok());
            let column = column.ok_or(Malformed("a column number of more than 32 bits"))?;
            columns.push(column);
            next = u64::from(column) + 1;
        }
        let end = u32::try_from(columns.len()).map_err(|_| Malformed("too many columns"))?;
        ends.push(end);
    }
    Ok((ends, columns))
}
