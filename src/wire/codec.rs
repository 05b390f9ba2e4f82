//! Messages to bytes and back. The table at the top is the format: a message is its fields in the
//! order given there, each written by its type's [`Field`].
//!
//! Integers are varints (signed ones zigzag), row and column numbers ascend and travel as
//! differences, floats travel raw. Large float arrays and payloads are not copied on their way out.

use std::sync::Arc;

use bytes::Bytes;
use zerocopy::IntoBytes;

use super::Malformed;
use super::bf16;
use super::message::{ClockStats, Elements, Message, Payload, RowBatch, STALENESS_COUNTS_MAX};
use super::varint::{self, Reader, put, put_signed};
use crate::math::pages;

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

/// Row numbers, strictly ascending: the first, then each one's distance less one to the one before.
impl Field for Vec<u64> {
    fn bytes_max(&self) -> usize {
        (1 + self.len()) * varint::BYTES_MAX
    }
    fn put(self, out: &mut Encoder) {
        put_rows(&self, &mut out.buffer);
    }
    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        let count = input.count(1)?;
        let mut rows = Vec::with_capacity(count);
        let mut next = Some(0u64);
        for _ in 0..count {
            let distance = input.varint()?;
            let row = next.and_then(|next| next.checked_add(distance));
            let row = row.ok_or(Malformed("a row number of more than 64 bits"))?;
            rows.push(row);
            next = row.checked_add(1);
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

fn put_rows(rows: &[u64], out: &mut Vec<u8>) {
    debug_assert!(rows.is_sorted_by(|a, b| a < b), "rows do not ascend");
    put(out, rows.len() as u64);
    let mut next = 0u64;
    for row in rows {
        put(out, row.wrapping_sub(next));
        next = row.wrapping_add(1);
    }
}

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
        put_rows(&self.rows, out);
        if sparse {
            put_columns(&self.ends, &self.columns, out);
        }
        put(out, self.elements.len() as u64);
    }

    fn take(input: &mut Reader) -> Result<Self, Malformed> {
        let table = u16::take(input)?;
        let form = input.byte()?;
        let rows = Vec::<u64>::take(input)?;
        let (mut ends, mut columns) = (Vec::new(), Vec::new());
        if form & SPARSE != 0 {
            (ends, columns) = take_columns(rows.len(), input)?;
        }
        let elements = Elements::take(form & !SPARSE, input)?;
        let fits = match form & SPARSE {
            0 if rows.is_empty() => elements.is_empty(),
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

impl Elements {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Elements::F32(values) | Elements::Bf16(values) => values.len(),
            Elements::F64(values) => values.len(),
            Elements::I32(values) => values.len(),
            Elements::I64(values) => values.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type's number on the wire.
    fn form(&self) -> u8 {
        match self {
            Elements::F32(_) => 0,
            Elements::F64(_) => 1,
            Elements::I32(_) => 2,
            Elements::I64(_) => 3,
            // The third bit says sparse.
            Elements::Bf16(_) => 8,
        }
    }

    fn bytes_max(&self) -> usize {
        let bytes_each = match self {
            Elements::F32(_) => 4,
            Elements::F64(_) => 8,
            Elements::I32(_) => 5,
            Elements::I64(_) => varint::BYTES_MAX,
            Elements::Bf16(_) => 2,
        };
        varint::BYTES_MAX + self.len() * bytes_each
    }

    /// True if the elements travel as they lie in memory.
    fn is_raw(&self) -> bool {
        matches!(self, Elements::F32(_) | Elements::F64(_))
    }

    /// The elements as they lie in memory, if that is how they travel.
    fn raw(&self) -> &[u8] {
        match self {
            Elements::F32(values) => values.as_bytes(),
            Elements::F64(values) => values.as_bytes(),
            _ => &[],
        }
    }

    /// Writes the elements one by one.
    fn put_each(&self, out: &mut Vec<u8>) {
        match self {
            Elements::I32(values) => {
                values.iter().for_each(|v| put_signed(out, i64::from(*v)));
            }
            Elements::I64(values) => values.iter().for_each(|v| put_signed(out, *v)),
            Elements::Bf16(values) => {
                out.extend(values.iter().flat_map(|v| bf16::upper(*v).to_le_bytes()));
            }
            Elements::F32(_) | Elements::F64(_) => out.extend_from_slice(self.raw()),
        }
    }

    fn take(form: u8, input: &mut Reader) -> Result<Elements, Malformed> {
        Ok(match form {
            0 => Elements::F32(take_raw(input, f32::from_le_bytes)?),
            1 => Elements::F64(take_raw(input, f64::from_le_bytes)?),
            2 => Elements::I32(take_integers(input)?),
            3 => Elements::I64(take_integers(input)?),
            8 => Elements::Bf16(take_raw(input, |b| bf16::whole(u16::from_le_bytes(b)))?),
            _ => return Err(Malformed("elements of unknown type")),
        })
    }
}

/// Raw numbers; generic over `from` so that the whole becomes one copy.
fn take_raw<T, const N: usize>(
    input: &mut Reader,
    from: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Malformed> {
    let count = input.count(N)?;
    let (values, _) = input.take(count * N)?.as_chunks::<N>();
    let mut numbers = Vec::with_capacity(count);
    pages::prefer_large(numbers.spare_capacity_mut());
    numbers.extend(values.iter().map(|bytes| from(*bytes)));
    Ok(numbers)
}

fn take_integers<T: TryFrom<i64>>(input: &mut Reader) -> Result<Vec<T>, Malformed> {
    let count = input.count(1)?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let value = T::try_from(input.signed()?);
        values.push(value.map_err(|_| Malformed("an integer out of range"))?);
    }
    Ok(values)
}
