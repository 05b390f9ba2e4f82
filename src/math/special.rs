//! Special functions of the Dirichlet and Gamma families, and sums that do not lose digits.

/// ln Γ(x) for x > 0, to a few units in the last place.
#[inline]
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// ln Γ(x + n) − ln Γ(x) = Σ_{i<n} ln(x + i) for x > 0: the log of the rising factorial.
///
/// Short products are multiplied out, which for tiny x keeps digits that the difference of two
/// ln Γ would lose.
pub fn ln_rising(x: f64, n: u64) -> f64 {
    if n <= 8 {
        (0..n).map(|i| x + i as f64).product::<f64>().ln()
    } else {
        ln_gamma(x + n as f64) - ln_gamma(x)
    }
}

/// ψ(x) = d ln Γ(x) / dx for x > 0, to about 1e-14 relative (Bernardo, AS 103, 1976, with more terms).
pub fn digamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 12.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = r
        * (1.0 / 12.0
            - r * (1.0 / 120.0
                - r * (1.0 / 252.0
                    - r * (1.0 / 240.0 - r * (1.0 / 132.0 - r * (691.0 / 32760.0 - r / 12.0))))));
    shift + x.ln() - 0.5 / x - series
}

/// ψ(x + n) − ψ(x) = Σ_{i<n} 1/(x + i) for x > 0, without cancellation for small n.
pub fn digamma_rising(x: f64, n: u64) -> f64 {
    if n <= 24 {
        (0..n).map(|i| 1.0 / (x + i as f64)).sum()
    } else {
        digamma(x + n as f64) - digamma(x)
    }
}

/// A running sum that carries its rounding error along (Neumaier, 1974): as exact as if summed in
/// twice the precision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds one term.
    pub fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() {
            (self.sum - sum) + term
        } else {
            (term - sum) + self.sum
        };
        self.sum = sum;
    }

    /// The sum so far.
    pub fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn known_values() {
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-15);
        close(ln_gamma(11.0), 3_628_800f64.ln(), 1e-15);
        close(digamma(1.0), -0.577_215_664_901_532_9, 1e-14);
        close(digamma(0.5), -1.963_510_026_021_423_5, 1e-14);
        close(digamma(0.01), -100.560_885_457_868_7, 1e-13);
        close(digamma(100.0), 4.600_161_852_738_087, 1e-14);
    }

    #[test]
    fn rising_forms_agree_with_their_sums() {
        for x in [1e-3, 0.01, 0.1, 1.0, 50.0, 3000.0] {
            for n in [0, 1, 2, 8, 9, 24, 25, 1000] {
                let mut logs = Sum::default();
                let mut inverses = Sum::default();
                for i in 0..n {
                    logs.add((x + i as f64).ln());
                    inverses.add(1.0 / (x + i as f64));
                }
                close(ln_rising(x, n), logs.value(), 1e-12);
                close(digamma_rising(x, n), inverses.value(), 1e-12);
            }
        }
    }

    #[test]
    fn digamma_is_the_slope_of_ln_gamma() {
        for x in [0.1, 0.7, 3.0, 11.9, 12.1, 400.0] {
            let h = x * 1e-5;
            close(
                digamma(x),
                (ln_gamma(x + h) - ln_gamma(x - h)) / (2.0 * h),
                1e-8,
            );
        }
    }

    #[test]
    fn compensated_sum_keeps_small_terms() {
        let mut sum = Sum::default();
        sum.add(1e16);
        for _ in 0..1000 {
            sum.add(0.25);
        }
        sum.add(-1e16);
        assert_eq!(sum.value(), 250.0);
    }
}
