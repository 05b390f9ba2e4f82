//! Real numbers in text, fast where they are short.

/// Powers of ten that are exact in 64 bits; as many as a short number has digits behind its point.
const TENS: [f64; 17] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
];
const WHOLE_TENS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];
/// Whole numbers up to this are exact in 64 bits of floating point.
const EXACT: u64 = 1 << 53;

/// The number that starts at `at`, rounded correctly to 64 bits, and where it ends. What follows is
/// not looked at. `None` if none starts here; infinities and `nan` are numbers.
///
/// A short number is a whole number over a power of ten, both exact, so that one division rounds
/// once (Clinger, "How to read floating point numbers accurately", PLDI 1990); all others go to
/// Eisel and Lemire's algorithm.
#[inline(always)]
pub(super) fn real(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let sign = *bytes.get(at)?;
    let start = at + usize::from(sign == b'-' || sign == b'+');
    match short(bytes, start) {
        Some((value, end)) => Some((if sign == b'-' { -value } else { value }, end)),
        None => long(bytes, at),
    }
}

/// At most 7 digits, and at most 15 behind a point.
#[inline(always)]
fn short(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let (mut value, digits) = digits(bytes, at)?;
    let mut end = at + digits;
    if digits == 8 {
        return None;
    }
    let mut behind = 0;
    if bytes.get(end) == Some(&b'.') {
        (value, behind) = fraction(bytes, end + 1, value)?;
        end += 1 + behind;
    }
    let ends = !matches!(bytes.get(end), Some(b'e' | b'E'));
    let whole = digits + behind > 0 && value <= EXACT && ends;
    // Most numbers are whole, and a division costs more than this branch.
    let value = match behind {
        0 => value as f64,
        behind => value as f64 / TENS[behind],
    };
    whole.then_some((value, end))
}

/// `value` followed by the digits at `at`, and how many they are.
#[inline(always)]
fn fraction(bytes: &[u8], at: usize, value: u64) -> Option<(u64, usize)> {
    let (first, count) = digits(bytes, at)?;
    let value = value * WHOLE_TENS[count] + first;
    if count < 8 {
        return Some((value, count));
    }
    let (second, more) = digits(bytes, at + 8)?;
    let value = value.checked_mul(WHOLE_TENS[more])?.checked_add(second)?;
    (more < 8).then_some((value, 8 + more))
}

/// The value of the digits at `at`, of which the first 8 count, and their number; `None` with fewer
/// than 8 bytes left. The method is that of [`super::super::field::small_number`].
#[inline(always)]
fn digits(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let eight: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
    let nibbles = u64::from_le_bytes(eight) ^ 0x3030_3030_3030_3030;
    let not_digit = (nibbles.wrapping_add(0x7676_7676_7676_7676) | nibbles) & 0x8080_8080_8080_8080;
    let bits = not_digit.trailing_zeros() & !7;
    // A shift by 64 is none: without digits the value is 0.
    let value = if bits == 0 { 0 } else { nibbles << (64 - bits) };
    let value = value.wrapping_mul(2561) >> 8;
    let value = (value & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    let value = (value & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32;
    Some((value, bits as usize / 8))
}

#[cold]
#[inline(never)]
fn long(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let plus = bytes.get(at) == Some(&b'+');
    let start = at + usize::from(plus);
    // After a plus only digits: `+-1` is no number.
    if plus
        && bytes
            .get(start)
            .is_none_or(|byte| matches!(byte, b'+' | b'-'))
    {
        return None;
    }
    let (value, length) = fast_float2::parse_partial::<f64, _>(&bytes[start..]).ok()?;
    Some((value, start + length))
}

/// The number that all of `token` is.
pub(super) fn whole_token(token: &[u8]) -> Option<f64> {
    let (value, end) = real(token, 0)?;
    (end == token.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(token: &str) {
        let wanted: f64 = token.trim_start_matches('+').parse().unwrap();
        for tail in ["", ",12345678", "\n12345678", " 1:1", ":........"] {
            let text = format!("{token}{tail}");
            let (value, end) = real(text.as_bytes(), 0).unwrap();
            assert_eq!(value.to_bits(), wanted.to_bits(), "{token}");
            assert_eq!(end, token.len(), "{text}");
        }
    }

    #[test]
    fn every_spelling_is_rounded_correctly() {
        for token in [
            "0",
            "-0",
            "1",
            "+1",
            "-1.5",
            ".5",
            "5.",
            "0.1",
            "1e3",
            "1E-3",
            "-2.5e+10",
            "1234567",
            "12345678",
            "123456789.25",
            "0.123456789012345",
            "0.1234567890123456",
            "0.12345678901234567",
            "1234567.123456789012345",
            "9007199254740993.0",
            "-0.0018820165277910351",
            "0.0380759064334240602",
            "1e308",
            "4.9e-324",
            "0.00000000",
            "9999999.99999999",
            "9999999.999999999999999",
            "1e400",
            "inf",
            "-infinity",
        ] {
            check(token);
        }
        assert!(real(b"nan", 0).unwrap().0.is_nan());
        for token in ["", "+", "-", ".", "x", "+-1", "--1", "e5", ",", "-x", "..1"] {
            assert_eq!(real(token.as_bytes(), 0), None, "{token}");
            assert_eq!(
                real(format!("{token},.......").as_bytes(), 0),
                None,
                "{token}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: f64, digits in 0usize..20) {
            if value.is_finite() {
                check(&format!("{value:e}"));
                let small = value % 1e7;
                check(&format!("{small:.digits$}"));
            }
        }

        #[test]
        fn decimals_are_read(whole in 0u64..100_000_000, tail in "[0-9]{0,18}") {
            check(&format!("{whole}.{tail}"));
        }
    }
}
