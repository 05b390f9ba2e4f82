//! The elements of rows to bytes and back: floats as they lie in memory, integers as varints.

use zerocopy::IntoBytes;

use super::Malformed;
use super::bf16;
use super::message::Elements;
use super::varint::{self, Reader, put_signed};
use crate::math::pages;

impl Elements {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Elements::F32(values) | Elements::Bf16(values) => values.len(),
            Elements::F64(values) => values.len(),
            Elements::I32(values) => values.len(),
            Elements::I64(values) => values.len(),
            Elements::U32(values) => values.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type's number on the wire.
    pub(super) fn form(&self) -> u8 {
        match self {
            Elements::F32(_) => 0,
            Elements::F64(_) => 1,
            Elements::I32(_) => 2,
            Elements::I64(_) => 3,
            // The third bit says sparse.
            Elements::Bf16(_) => 8,
            Elements::U32(_) => 9,
        }
    }

    pub(super) fn bytes_max(&self) -> usize {
        let bytes_each = match self {
            Elements::F32(_) | Elements::U32(_) => 4,
            Elements::F64(_) => 8,
            Elements::I32(_) => 5,
            Elements::I64(_) => varint::BYTES_MAX,
            Elements::Bf16(_) => 2,
        };
        varint::BYTES_MAX + self.len() * bytes_each
    }

    /// True if the elements travel as they lie in memory.
    pub(super) fn is_raw(&self) -> bool {
        matches!(self, Elements::F32(_) | Elements::F64(_) | Elements::U32(_))
    }

    /// The elements as they lie in memory, if that is how they travel.
    pub(super) fn raw(&self) -> &[u8] {
        match self {
            Elements::F32(values) => values.as_bytes(),
            Elements::F64(values) => values.as_bytes(),
            Elements::U32(values) => values.as_bytes(),
            _ => &[],
        }
    }

    /// Writes the elements one by one.
    pub(super) fn put_each(&self, out: &mut Vec<u8>) {
        match self {
            Elements::I32(values) => {
                values.iter().for_each(|v| put_signed(out, i64::from(*v)));
            }
            Elements::I64(values) => values.iter().for_each(|v| put_signed(out, *v)),
            Elements::Bf16(values) => {
                out.extend(values.iter().flat_map(|v| bf16::upper(*v).to_le_bytes()));
            }
            Elements::F32(_) | Elements::F64(_) | Elements::U32(_) => {
                out.extend_from_slice(self.raw())
            }
        }
    }

    pub(super) fn take(form: u8, input: &mut Reader) -> Result<Elements, Malformed> {
        Ok(match form {
            0 => Elements::F32(take_raw(input, f32::from_le_bytes)?),
            1 => Elements::F64(take_raw(input, f64::from_le_bytes)?),
            2 => Elements::I32(take_integers(input)?),
            3 => Elements::I64(take_integers(input)?),
            9 => Elements::U32(take_raw(input, u32::from_le_bytes)?),
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
