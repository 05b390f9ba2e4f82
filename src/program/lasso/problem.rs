//! The loss, its slope and its dual, for one set of sample weights.

use super::options::Loss;

/// What is to be explained, and how much each sample counts.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    /// The targets; for the logistic loss 0 or 1.
    pub(super) targets: Vec<f64>,
    /// The samples' weights; they sum up to 1.
    pub(super) weights: Vec<f64>,
    pub(super) loss: Loss,
    pub(super) intercept: bool,
}

/// Steps of Newton's method for an intercept: it converges quadratically from anywhere near.
const INTERCEPT_STEPS: usize = 60;

/// A fitted value for each sample, and what follows from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Fit {
    /// Intercept plus Σ x b.
    pub(super) fitted: Vec<f64>,
    /// Minus the slope of the loss by each fitted value: weight × (target − prediction).
    pub(super) pull: Vec<f64>,
    /// √Σ pull² / weight: what the product of `pull` with a column is at most, for each unit of the
    /// column's weighted norm.
    pub(super) length: f64,
}

impl Problem {
    /// With weights scaled so that they sum up to 1.
    pub(super) fn new(targets: Vec<f64>, weights: Vec<f64>, loss: Loss, intercept: bool) -> Self {
        let sum: f64 = weights.iter().sum();
        let scale = if sum > 0.0 { 1.0 / sum } else { 0.0 };
        Problem {
            targets,
            weights: weights.into_iter().map(|weight| weight * scale).collect(),
            loss,
            intercept,
        }
    }

    /// The samples that are not in `left_out`.
    pub(super) fn without(&self, left_out: impl Fn(usize) -> bool) -> Problem {
        let keep = |(row, weight): (usize, &f64)| if left_out(row) { 0.0 } else { *weight };
        let weights = self.weights.iter().enumerate().map(keep).collect();
        Problem::new(self.targets.clone(), weights, self.loss, self.intercept)
    }

    /// Number of samples.
    pub(super) fn samples(&self) -> usize {
        self.targets.len()
    }

    /// The fit of no coefficients, and its intercept.
    pub(super) fn null(&self) -> (Fit, f64) {
        let mut fit = Fit {
            fitted: vec![0.0; self.samples()],
            ..Fit::default()
        };
        let intercept = self.settle(&mut fit);
        (fit, intercept)
    }

    /// What follows from fitted values whose intercept is as good as it can be.
    pub(super) fn fit(&self, fitted: Vec<f64>) -> Fit {
        let pull: Vec<f64> = self.residuals(&fitted).collect();
        Fit {
            length: self.length(&pull),
            fitted,
            pull,
        }
    }

    /// Moves the intercept to where it is best and computes what follows from the fitted values.
    /// Returns how far the intercept moved.
    pub(super) fn settle(&self, fit: &mut Fit) -> f64 {
        let shift = match (self.intercept, self.loss) {
            (false, _) => 0.0,
            (true, Loss::Squared) => self.residuals(&fit.fitted).sum(),
            (true, Loss::Logistic) => self.best_shift(&fit.fitted),
        };
        if shift != 0.0 {
            fit.fitted.iter_mut().for_each(|fitted| *fitted += shift);
        }
        fit.pull.clear();
        fit.pull.extend(self.residuals(&fit.fitted));
        fit.length = self.length(&fit.pull);
        shift
    }

    /// Weight × (target − prediction) of each sample.
    fn residuals<'a>(&'a self, fitted: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let samples = self.targets.iter().zip(&self.weights).zip(fitted);
        samples.map(|((target, weight), fitted)| match self.loss {
            Loss::Squared => weight * (target - fitted),
            Loss::Logistic => weight * (target - probability(*fitted)),
        })
    }

    /// √Σ v² / weight over samples that count.
    pub(super) fn length(&self, v: &[f64]) -> f64 {
        let counted = v.iter().zip(&self.weights).filter(|(_, w)| **w > 0.0);
        counted.map(|(v, weight)| v * v / weight).sum::<f64>().sqrt()
    }

    /// √Σ (v − u)² / weight.
    pub(super) fn distance(&self, v: &[f64], u: &[f64]) -> f64 {
        let pairs = v.iter().zip(u).zip(&self.weights);
        let counted = pairs.filter(|(_, w)| **w > 0.0);
        counted.map(|((v, u), weight)| (v - u) * (v - u) / weight).sum::<f64>().sqrt()
    }

    fn best_shift(&self, fitted: &[f64]) -> f64 {
        let slopes = |shift: f64| {
            let samples = self.targets.iter().zip(&self.weights).zip(fitted);
            samples.fold((0.0, 0.0), |(slope, curve), ((target, weight), fitted)| {
                let p = probability(fitted + shift);
                (slope + weight * (target - p), curve + weight * p * (1.0 - p))
            })
        };
        // Between these the slope changes its sign, so bisection is always possible.
        let (mut low, mut high, mut shift) = (-1e3, 1e3, 0.0);
        for _ in 0..INTERCEPT_STEPS {
            let (slope, curve) = slopes(shift);
            if slope.abs() <= 1e-17 {
                break;
            }
            match slope > 0.0 {
                true => low = shift,
                false => high = shift,
            }
            let newton = shift + slope / curve.max(f64::MIN_POSITIVE);
            let next = match newton > low && newton < high {
                true => newton,
                false => 0.5 * (low + high),
            };
            if next == shift {
                break;
            }
            shift = next;
        }
        shift
    }

    /// The loss: ½ Σ w (y − z)², or Σ w (ln(1 + e^z) − y z).
    pub(super) fn value(&self, fit: &Fit) -> f64 {
        let samples = self.targets.iter().zip(&self.weights).zip(&fit.fitted);
        let one = |((target, weight), fitted): ((&f64, &f64), &f64)| match self.loss {
            Loss::Squared => 0.5 * weight * (target - fitted) * (target - fitted),
            Loss::Logistic => weight * (softplus(*fitted) - target * fitted),
        };
        samples.map(one).sum()
    }

    /// The deviance of one sample: squared error, or twice the negative log-likelihood.
    pub(super) fn deviance(&self, row: usize, fitted: f64) -> f64 {
        let target = self.targets[row];
        match self.loss {
            Loss::Squared => (target - fitted) * (target - fitted),
            Loss::Logistic => 2.0 * (softplus(fitted) - target * fitted),
        }
    }

    /// The largest dual value along the pull, of which at most the part `limit` is feasible;
    /// `ridge` is λ₂‖b‖². Returns it with the part that was taken.
    ///
    /// Squared loss with the ridge as further rows of the design: D(s) = s (y, r) − ½ s² (‖r‖² +
    /// λ₂‖b‖²). Logistic: D(s) = Σ w H(t − s ρ) − ½ s² λ₂‖b‖², H the entropy.
    pub(super) fn dual(&self, fit: &Fit, limit: f64, ridge: f64) -> (f64, f64) {
        match self.loss {
            Loss::Squared => {
                let along: f64 = fit.pull.iter().zip(&self.targets).map(|(p, y)| p * y).sum();
                let squares = fit.length * fit.length + ridge;
                let best = if squares > 0.0 { along / squares } else { 0.0 };
                let part = best.clamp(0.0, limit);
                (part * along - 0.5 * part * part * squares, part)
            }
            Loss::Logistic => {
                let part = limit.min(1.0);
                let samples = self.targets.iter().zip(&self.weights).zip(&fit.fitted);
                let entropies = samples.map(|((target, weight), fitted)| {
                    let p = probability(*fitted);
                    weight * entropy(target - part * (target - p))
                });
                (entropies.sum::<f64>() - 0.5 * part * part * ridge, part)
            }
        }
    }

    /// The weights of the quadratic that the loss looks like near the fit.
    pub(super) fn curvature(&self, fit: &Fit) -> Vec<f64> {
        match self.loss {
            Loss::Squared => self.weights.clone(),
            Loss::Logistic => {
                let pairs = self.weights.iter().zip(&fit.fitted);
                // Samples that are fitted perfectly would have no curvature at all.
                let curve = |(weight, fitted): (&f64, &f64)| {
                    let p = probability(*fitted);
                    weight * (p * (1.0 - p)).max(1e-5)
                };
                pairs.map(curve).collect()
            }
        }
    }
}

/// 1 / (1 + e^−z).
pub(super) fn probability(z: f64) -> f64 {
    match z >= 0.0 {
        true => 1.0 / (1.0 + (-z).exp()),
        false => {
            let e = z.exp();
            e / (1.0 + e)
        }
    }
}

/// ln(1 + e^z).
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// −q ln q − (1 − q) ln(1 − q).
fn entropy(q: f64) -> f64 {
    let part = |q: f64| if q > 0.0 { -q * q.ln() } else { 0.0 };
    part(q) + part(1.0 - q)
}
