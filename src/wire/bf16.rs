//! bfloat16: the upper half of an `f32`. Eight bits of precision, the whole range.

/// The nearest `f32` whose lower half is zero, ties to even; what would round to infinity is cut
/// instead.
#[inline]
pub fn rounded(value: f32) -> f32 {
    let bits = value.to_bits();
    if !value.is_finite() {
        // A NaN must stay one when its lower half is gone.
        let quiet = u32::from(value.is_nan()) << 22;
        return f32::from_bits((bits | quiet) & 0xffff_0000);
    }
    let nearest = bits + 0x7fff + (bits >> 16 & 1);
    let nearest = f32::from_bits(nearest & 0xffff_0000);
    match nearest.is_finite() {
        true => nearest,
        false => f32::from_bits(bits & 0xffff_0000),
    }
}

/// The upper half; nothing is lost of what [`rounded`] returns.
#[inline]
pub fn upper(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}

/// The number whose upper half this is.
#[inline]
pub fn whole(upper: u16) -> f32 {
    f32::from_bits(u32::from(upper) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_the_nearest() {
        for i in 0..2_000_000u32 {
            let value = f32::from_bits(i.wrapping_mul(2_654_435_761));
            let there = rounded(value);
            if value.is_nan() {
                assert!(there.is_nan());
                continue;
            }
            assert_eq!(whole(upper(there)).to_bits(), there.to_bits());
            if value.is_infinite() || there.abs() >= whole(0x7f7f) {
                continue;
            }
            // The neighbours are no nearer.
            let bits = upper(there);
            for other in [bits.wrapping_sub(1), bits.wrapping_add(1)].map(whole) {
                let far = |x: f32| (f64::from(value) - f64::from(x)).abs();
                let (d, e) = (far(there), far(other));
                assert!(other.is_nan() || d <= e, "{value} {there} {other}");
            }
        }
        assert!(rounded(f32::MAX).is_finite() && rounded(f32::NAN).is_nan());
        assert_eq!(rounded(f32::NEG_INFINITY), f32::NEG_INFINITY);
    }
}
