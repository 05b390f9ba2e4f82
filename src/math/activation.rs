//! What units do with their sums, in loops that a compiler turns into vector instructions.
//!
//! Nothing here calls the mathematics library: e^x is a polynomial after range reduction (relative
//! error below 2·10⁻⁷), erf is 7.1.26 of Abramowitz & Stegun (1964; error below 2·10⁻⁷).

/// What a hidden unit does with its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// tanh x
    Tanh,
    /// x Φ(x), with Φ the normal distribution
    Gelu,
}

impl Activation {
    /// True if the slope follows from the output.
    pub fn slope_follows(self) -> bool {
        self != Activation::Gelu
    }

    /// Replaces sums by outputs.
    #[inline(always)]
    pub fn apply(self, sums: &mut [f32]) {
        match self {
            Activation::Relu => sums.iter_mut().for_each(|x| *x = x.max(0.0)),
            Activation::Sigmoid => sums.iter_mut().for_each(|x| *x = sigmoid(*x)),
            Activation::Tanh => sums.iter_mut().for_each(|x| *x = tanh(*x)),
            Activation::Gelu => sums.iter_mut().for_each(|x| *x *= normal(*x)),
        }
    }

    /// The slopes at `sums`.
    #[inline(always)]
    pub fn slopes(self, sums: &[f32], slopes: &mut [f32]) {
        let pairs = slopes.iter_mut().zip(sums);
        match self {
            Activation::Relu => pairs.for_each(|(s, x)| *s = if *x > 0.0 { 1.0 } else { 0.0 }),
            Activation::Sigmoid => pairs.for_each(|(s, x)| {
                let y = sigmoid(*x);
                *s = y * (1.0 - y);
            }),
            Activation::Tanh => pairs.for_each(|(s, x)| {
                let y = tanh(*x);
                *s = 1.0 - y * y;
            }),
            Activation::Gelu => pairs.for_each(|(s, x)| {
                const DENSITY: f32 = 0.398_942_3;
                *s = normal(*x) + *x * DENSITY * exp(-0.5 * *x * *x);
            }),
        }
    }

    /// Multiplies errors by the slopes that belong to `outputs`.
    #[inline(always)]
    pub fn multiply_slopes(self, outputs: &[f32], errors: &mut [f32]) {
        let pairs = errors.iter_mut().zip(outputs);
        match self {
            Activation::Relu => pairs.for_each(|(e, y)| *e = if *y > 0.0 { *e } else { 0.0 }),
            Activation::Sigmoid => pairs.for_each(|(e, y)| *e *= *y * (1.0 - *y)),
            Activation::Tanh => pairs.for_each(|(e, y)| *e *= 1.0 - *y * *y),
            Activation::Gelu => {}
        }
    }
}

/// e^x; 0 and infinity come out as the smallest and largest normal numbers.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, the first of few bits.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding it rounds to whole numbers, which are then in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.3);
    let shifted = x * LOG2_E + ROUNDER;
    let whole = shifted - ROUNDER;
    let r = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUNDER.to_bits()) << 23;
    f32::from_bits(p.to_bits().wrapping_add(exponent))
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// Φ(x), the normal distribution.
#[inline(always)]
fn normal(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = 1.061_405_4 * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * exp(-z * z);
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-4000..=4000).map(|i| i as f32 * 0.005)
    }

    #[test]
    fn exp_is_exact_to_a_few_units_in_the_last_place() {
        for x in grid().map(|x| x * 4.0) {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(error < 3e-7, "{x} {error}");
        }
        assert!(exp(-1e30) < 1.3e-38 && exp(1e30) > 1e38);
    }

    #[test]
    fn outputs_are_those_of_the_library() {
        for x in grid() {
            let y = f64::from(x);
            let erf_part = 0.5 * (1.0 + libm::erf(y / 2f64.sqrt()));
            let expected = [y.max(0.0), 1.0 / (1.0 + (-y).exp()), y.tanh(), y * erf_part];
            for (activation, expected) in ALL.into_iter().zip(expected) {
                let mut found = [x];
                activation.apply(&mut found);
                let tolerance = 4e-7 * (1.0 + y.abs());
                assert!(
                    (f64::from(found[0]) - expected).abs() < tolerance,
                    "{activation:?} {x}"
                );
            }
        }
    }

    #[test]
    fn slopes_are_differences() {
        let of = |activation: Activation, x: f64| match activation {
            Activation::Relu => x.max(0.0),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Tanh => x.tanh(),
            Activation::Gelu => x * 0.5 * (1.0 + libm::erf(x / 2f64.sqrt())),
        };
        for x in grid().filter(|x| x.abs() > 0.01) {
            for activation in ALL {
                let (y, h) = (f64::from(x), 1e-5);
                let expected = (of(activation, y + h) - of(activation, y - h)) / (2.0 * h);
                let mut found = [0.0];
                activation.slopes(&[x], &mut found);
                assert!(
                    (f64::from(found[0]) - expected).abs() < 1e-5,
                    "{activation:?} {x}"
                );
                if activation.slope_follows() {
                    let (mut output, mut error) = ([x], [1.0]);
                    activation.apply(&mut output);
                    activation.multiply_slopes(&output, &mut error);
                    assert!(
                        (f64::from(error[0]) - expected).abs() < 1e-5,
                        "{activation:?} {x}"
                    );
                }
            }
        }
    }

    const ALL: [Activation; 4] = [
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Gelu,
    ];
}
