//! One factor at a time: what coordinate descent (CCD++) does with the residuals of a row.
//!
//! Ratings are pairs of a row of the other side and the bits of a residual.

/// What the rows of the other side have of one factor: `[before, old, now, 0]`.
pub type Columns = [f32; 4];

/// Sums over the ratings of a row, from which its new value follows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Slope {
    /// Σ e y.
    pub target: f32,
    /// Σ y².
    pub weight: f32,
}

/// Ratings that are worked on at once, so that sums do not wait for each other.
const STEP: usize = 4;

/// Takes the product of the factor before out of the residuals of a row, `before` times each
/// `[before]`, puts that of this factor back, `old` times each `[old]`, and sums up for y = `[now]`.
///
/// # Panics
/// If a rating is of a row that `others` does not have.
pub fn exchange(ratings: &mut [[u32; 2]], others: &[Columns], before: f32, old: f32) -> Slope {
    let mut sums = [Slope::default(); STEP];
    let one = |rating: &mut [u32; 2], sum: &mut Slope| {
        let [of_before, of_old, now, _] = others[rating[0] as usize];
        let error = f32::from_bits(rating[1]) - before * of_before + old * of_old;
        rating[1] = error.to_bits();
        sum.target += error * now;
        sum.weight += now * now;
    };
    let (steps, rest) = ratings.as_chunks_mut::<STEP>();
    for step in steps {
        for (rating, sum) in step.iter_mut().zip(&mut sums) {
            one(rating, sum);
        }
    }
    rest.iter_mut().for_each(|rating| one(rating, &mut sums[0]));
    add_up(sums)
}

/// The sums alone, with the residuals as they are.
///
/// # Panics
/// As [`exchange`].
pub fn slope(ratings: &[[u32; 2]], others: &[Columns]) -> Slope {
    let mut sums = [Slope::default(); STEP];
    let one = |rating: &[u32; 2], sum: &mut Slope| {
        let now = others[rating[0] as usize][2];
        sum.target += f32::from_bits(rating[1]) * now;
        sum.weight += now * now;
    };
    let (steps, rest) = ratings.as_chunks::<STEP>();
    for step in steps {
        for (rating, sum) in step.iter().zip(&mut sums) {
            one(rating, sum);
        }
    }
    rest.iter().for_each(|rating| one(rating, &mut sums[0]));
    add_up(sums)
}

fn add_up(sums: [Slope; STEP]) -> Slope {
    let [a, b, c, d] = sums;
    Slope {
        target: (a.target + b.target) + (c.target + d.target),
        weight: (a.weight + b.weight) + (c.weight + d.weight),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::rng::Rng;

    #[test]
    fn residuals_and_sums_are_those_of_the_formula() {
        let mut rng = Rng::stream(2, 0, 0, 0);
        let mut draw = || rng.uniform() as f32 - 0.5;
        let others: Vec<Columns> = (0..7).map(|_| [draw(), draw(), draw(), 0.0]).collect();
        for number in [0, 1, 3, 4, 9] {
            let errors: Vec<f32> = (0..number).map(|_| draw()).collect();
            let mut ratings: Vec<[u32; 2]> = errors
                .iter()
                .enumerate()
                .map(|(at, error)| [(at * 5 % 7) as u32, error.to_bits()])
                .collect();
            let (before, old) = (draw(), draw());
            let found = exchange(&mut ratings, &others, before, old);
            let (mut target, mut weight) = (0.0f64, 0.0f64);
            for (error, rating) in errors.iter().zip(&ratings) {
                let [b, o, now, _] = others[rating[0] as usize].map(f64::from);
                let error = f64::from(*error) - f64::from(before) * b + f64::from(old) * o;
                assert!((f64::from(f32::from_bits(rating[1])) - error).abs() < 1e-6);
                target += error * now;
                weight += now * now;
            }
            assert!((f64::from(found.target) - target).abs() < 1e-5);
            assert!((f64::from(found.weight) - weight).abs() < 1e-5);
            assert_eq!(slope(&ratings, &others), found);
        }
    }
}
