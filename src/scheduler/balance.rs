//! Work dealt out anew by what it was measured to cost.
//!
//! Variables lie in a row and every worker has a stretch of them. What a stretch costs is known only
//! once it was worked on: some variables are cheap because they are screened out, some workers are
//! slow. The cuts move so that all would have taken equally long, and only if that is worth it.

use std::ops::Range;

/// The slowest worker may take so many times the mean before anything moves.
const WORTH_MOVING: f64 = 1.2;

/// New stretches for workers whose stretches took `seconds`, or None if it is not worth it. A
/// stretch is taken to cost the same all over.
///
/// # Panics
/// If there are not as many stretches as measurements.
pub fn balance(stretches: &[Range<usize>], seconds: &[f64]) -> Option<Vec<Range<usize>>> {
    assert_eq!(
        stretches.len(),
        seconds.len(),
        "a measurement for each stretch"
    );
    let total: f64 = seconds.iter().sum();
    let mean = total / seconds.len().max(1) as f64;
    let slowest = seconds
        .iter()
        .fold(0.0f64, |most, seconds| most.max(*seconds));
    if !slowest.is_finite() || slowest <= WORTH_MOVING * mean {
        return None;
    }
    let cut = |part: f64| {
        let goal = part * total;
        let mut before = 0.0;
        for (stretch, seconds) in stretches.iter().zip(seconds) {
            if before + seconds >= goal && *seconds > 0.0 {
                let inside = (goal - before) / seconds * stretch.len() as f64;
                return stretch.start + (inside.round() as usize).min(stretch.len());
            }
            before += seconds;
        }
        stretches.last().map_or(0, |last| last.end)
    };
    let (first, last) = (stretches.first()?.start, stretches.last()?.end);
    let count = stretches.len();
    let mut cuts = vec![first];
    for worker in 1..count {
        let at = cut(worker as f64 / count as f64);
        cuts.push(at.clamp(cuts[worker - 1], last));
    }
    cuts.push(last);
    Some(cuts.windows(2).map(|cuts| cuts[0]..cuts[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_give_to_the_fast() {
        let moved = balance(&[0..100, 100..200], &[3.0, 1.0]).unwrap();
        // The first 67 took two seconds.
        assert_eq!(moved, [0..67, 67..200]);
        let moved = balance(&[0..10, 10..20, 20..30, 30..40], &[0.0, 0.0, 0.0, 4.0]).unwrap();
        assert_eq!(moved, [0..33, 33..35, 35..38, 38..40]);
    }

    #[test]
    fn what_is_nearly_equal_stays() {
        assert_eq!(balance(&[0..100, 100..200], &[1.0, 1.1]), None);
        let one: [Range<usize>; 1] = std::array::from_fn(|_| 0..100);
        assert_eq!(balance(&one, &[5.0]), None);
        assert_eq!(balance(&[0..0, 0..0], &[0.0, 0.0]), None);
    }
}
