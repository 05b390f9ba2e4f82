//! Numbers as flags: parsers that say in the user's words what is wrong.
//!
//! ```
//! # use petuum::program::flag;
//! #[derive(clap::Args)]
//! struct Options {
//!     /// Number of topics.
//!     #[arg(short = 'k', long, default_value_t = 100, value_parser = flag::whole(1..=65_536u32))]
//!     topics: u32,
//!     /// Part of the documents that is kept back.
//!     #[arg(long, default_value_t = 0.0, value_parser = flag::real(0.0..1.0))]
//!     holdout: f64,
//! }
//! ```

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

/// A whole number that a flag can take.
pub trait Whole: Copy + Into<i128> + TryFrom<i128> + Send + Sync + 'static {
    /// The smallest and the largest value of the type.
    const LIMITS: (i128, i128);
}

macro_rules! whole {
    ($($type:ident)*) => {$(
        impl Whole for $type {
            const LIMITS: (i128, i128) = ($type::MIN as i128, $type::MAX as i128);
        }
    )*};
}

whole!(u8 u16 u32 u64 i64);

/// A parser of whole numbers in `range`: `0 is too small, at least 1`.
pub fn whole<T: Whole>(
    range: impl RangeBounds<T> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let value = text.parse::<i128>().map_err(|_| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_long = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            match (is_long, text.starts_with('-')) {
                (false, _) => format!("`{text}` is not a whole number"),
                (true, false) => format!("{text} is too large"),
                (true, true) => format!("{text} is too small"),
            }
        })?;
        let widen = |bound: Bound<&T>, default| match bound {
            Bound::Unbounded => Bound::Included(default),
            bound => bound.map(|limit| (*limit).into()),
        };
        let (least, most) = T::LIMITS;
        check(
            value,
            widen(range.start_bound(), least),
            widen(range.end_bound(), most),
        )?;
        T::try_from(value).map_err(|_| format!("{value} is out of range"))
    }
}

/// A parser of finite real numbers in `range`.
pub fn real(
    range: impl RangeBounds<f64> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let value: f64 = text
            .parse()
            .map_err(|_| format!("`{text}` is not a number"))?;
        if !value.is_finite() {
            return Err(format!("{text} is not a finite number"));
        }
        check(
            value,
            range.start_bound().cloned(),
            range.end_bound().cloned(),
        )?;
        Ok(value)
    }
}

/// A parser of finite real numbers above `limit`.
pub fn above(limit: f64) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    real((Bound::Excluded(limit), Bound::Unbounded))
}

fn check<T: PartialOrd + Display>(value: T, least: Bound<T>, most: Bound<T>) -> Result<(), String> {
    match least {
        Bound::Included(least) if value < least => {
            return Err(format!("{value} is too small, at least {least}"));
        }
        Bound::Excluded(least) if value <= least => {
            return Err(format!("{value} is too small, more than {least}"));
        }
        _ => {}
    }
    match most {
        Bound::Included(most) if value > most => {
            Err(format!("{value} is too large, at most {most}"))
        }
        Bound::Excluded(most) if value >= most => {
            Err(format!("{value} is too large, less than {most}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_checked_in_words() {
        let topics = whole(1..=1000u32);
        assert_eq!(topics("100"), Ok(100));
        for (text, words) in [
            ("0", "0 is too small, at least 1"),
            ("-3", "-3 is too small, at least 1"),
            ("1001", "1001 is too large, at most 1000"),
            ("99999999999", "99999999999 is too large, at most 1000"),
            ("1.5", "`1.5` is not a whole number"),
            ("", "`` is not a whole number"),
            ("ten", "`ten` is not a whole number"),
        ] {
            assert_eq!(topics(text).unwrap_err(), words);
        }
        let seed = whole::<u64>(..);
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        let message = seed("18446744073709551616").unwrap_err();
        assert_eq!(
            message,
            "18446744073709551616 is too large, at most 18446744073709551615"
        );
        let huge = "9".repeat(60);
        assert_eq!(seed(&huge).unwrap_err(), format!("{huge} is too large"));
    }

    #[test]
    fn real_numbers_are_finite_and_in_range() {
        let alpha = above(0.0);
        assert_eq!(alpha("1e-3"), Ok(1e-3));
        for (text, words) in [
            ("0", "0 is too small, more than 0"),
            ("-1", "-1 is too small, more than 0"),
            ("NaN", "NaN is not a finite number"),
            ("inf", "inf is not a finite number"),
            ("1e999", "1e999 is not a finite number"),
            ("a", "`a` is not a number"),
        ] {
            assert_eq!(alpha(text).unwrap_err(), words);
        }
        assert_eq!(
            real(0.0..1.0)("1").unwrap_err(),
            "1 is too large, less than 1"
        );
        assert_eq!(real(..)("-2.5"), Ok(-2.5));
    }
}
