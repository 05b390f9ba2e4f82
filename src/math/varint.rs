//! Unsigned integers in as few bytes as they need (LEB128): seven bits a byte, low bits first, the
//! high bit set on all bytes but the last.

/// Appends `value`.
#[inline]
pub fn push(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a value off the front of `bytes`; None if they end early or the value needs more than 64
/// bits. `bytes` then stays at an unspecified place.
#[inline]
pub fn pop(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    if first < 0x80 {
        return Some(u64::from(first));
    }
    pop_long(bytes, u64::from(first & 0x7F))
}

fn pop_long(bytes: &mut &[u8], mut value: u64) -> Option<u64> {
    for shift in (7..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7F);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_size() {
        let values = [
            0,
            1,
            127,
            128,
            300,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX,
        ];
        let mut bytes = vec![];
        for value in values {
            push(&mut bytes, value);
        }
        assert_eq!(bytes.len(), 1 + 1 + 1 + 2 + 2 + 2 + 3 + 5 + 10);
        let mut rest = &bytes[..];
        for value in values {
            assert_eq!(pop(&mut rest), Some(value));
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        assert_eq!(pop(&mut &[][..]), None);
        assert_eq!(pop(&mut &[0x80][..]), None);
        assert_eq!(pop(&mut &[0xFF; 11][..]), None);
        assert_eq!(
            pop(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02][..]),
            None
        );
    }
}
