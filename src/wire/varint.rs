//! Variable-length integers (LEB128, seven bits a byte), zigzag for signed ones, and a cursor that
//! reads them back with every bound checked.

use bytes::Bytes;

use super::Malformed;

/// The most bytes a 64-bit integer takes.
pub const BYTES_MAX: usize = 10;

/// Payloads shorter than this are copied out of the receive buffer, so that a few bytes kept by a
/// program do not hold a whole buffer in memory.
const SHARED_BYTES_MIN: usize = 4096;

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` so that small magnitudes of either sign are short.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Bytes that [`put_signed`] writes.
pub fn signed_bytes(value: i64) -> usize {
    (64 - (zigzag(value) | 1).leading_zeros() as usize).div_ceil(7)
}

/// 0, −1, 1, −2, … become 0, 1, 2, 3, ….
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A cursor over one message's bytes. Every read fails with [`Malformed`] past the end.
pub struct Reader<'a> {
    /// The buffer that `rest` lies in, for payloads that are shared instead of copied.
    whole: Option<&'a Bytes>,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads a slice; payloads are copied out of it.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            whole: None,
            rest: bytes,
        }
    }

    /// Reads `part`, which lies in `whole`; large payloads share `whole`'s memory.
    pub fn shared(whole: &'a Bytes, part: &'a [u8]) -> Reader<'a> {
        Reader {
            whole: Some(whole),
            rest: part,
        }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(CUT)?;
        self.rest = rest;
        Ok(first)
    }

    /// Exactly `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CUT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Exactly `count` bytes that may outlive the message.
    pub fn take_bytes(&mut self, count: usize) -> Result<Bytes, Malformed> {
        let taken = self.take(count)?;
        Ok(match self.whole {
            Some(whole) if count >= SHARED_BYTES_MIN => whole.slice_ref(taken),
            _ => Bytes::copy_from_slice(taken),
        })
    }

    /// An unsigned integer written by [`put`].
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (i, &byte) in self.rest.iter().take(BYTES_MAX).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if i == BYTES_MAX - 1 && byte > 1 {
                return Err(Malformed("an integer of more than 64 bits"));
            }
            value |= bits << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(CUT)
    }

    /// A signed integer written by [`put_signed`].
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        self.varint().map(unzigzag)
    }

    /// A count of things of which each still takes at least `bytes_each` of the remaining bytes.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, Malformed> {
        let count = self.varint()?;
        let room = self.rest.len() / bytes_each.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= room => Ok(count),
            _ => Err(NO_ROOM),
        }
    }

    /// A count of things of which each still takes a byte, if they are more than `free`.
    pub fn count_within(&mut self, free: usize) -> Result<usize, Malformed> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= free.max(self.rest.len()) => Ok(count),
            _ => Err(NO_ROOM),
        }
    }

    /// Nothing may be left.
    pub fn finish(&self) -> Result<(), Malformed> {
        match self.rest {
            [] => Ok(()),
            _ => Err(Malformed("bytes after the end of a message")),
        }
    }
}

const NO_ROOM: Malformed = Malformed("a count that its message has no room for");
const CUT: Malformed = Malformed("a message that ends too early");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put(&mut out, value);
                assert!(out.len() <= BYTES_MAX);
                let mut reader = Reader::new(&out);
                assert_eq!(reader.varint(), Ok(value));
                assert_eq!(reader.finish(), Ok(()));
                assert_eq!(zigzag(unzigzag(value)), value);
                assert_eq!(signed_bytes(unzigzag(value)), out.len());
            }
        }
        assert_eq!(zigzag(i64::MIN), u64::MAX);
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
    }

    #[test]
    fn overlong_and_cut_integers_are_refused() {
        assert!(Reader::new(&[0x80; 9]).varint().is_err());
        assert!(Reader::new(&[0x80; 10]).varint().is_err());
        assert!(Reader::new(&[0xff; 10]).varint().is_err());
        let mut two = [0x80u8; 10];
        two[9] = 2;
        assert!(Reader::new(&two).varint().is_err(), "bit 64");
        assert!(Reader::new(&[]).byte().is_err());
        assert!(Reader::new(&[200, 1, 0]).count(1).is_err());
    }
}
