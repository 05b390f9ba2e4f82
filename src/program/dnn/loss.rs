//! The losses, and the errors that they send back.

use crate::math::activation::exp;
use crate::math::gemm::{ByFeature, PANEL};

/// What is predicted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Labels {
    /// A class each; one that training does not know is no class of the network.
    Classes(Vec<u32>),
    /// A number each.
    Numbers(Vec<f32>),
}

/// Losses of some samples.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Measured {
    /// Sum of the samples' losses, times their weights.
    pub(super) loss: f64,
    /// Sum of the weights.
    pub(super) weight: f64,
    /// Samples whose class was the most probable one.
    pub(super) right: u64,
    /// Samples.
    pub(super) count: u64,
}

impl Measured {
    pub(super) fn add(&mut self, other: &Measured) {
        self.loss += other.loss;
        self.weight += other.weight;
        self.right += other.right;
        self.count += other.count;
    }
}

/// Measures the outputs for the samples `rows`, and replaces them by errors: the derivatives of the
/// mean loss of these samples.
#[inline(always)]
pub(super) fn measure(
    outputs: &mut ByFeature,
    labels: &Labels,
    weights: Option<&[f32]>,
    rows: &[u32],
) -> Measured {
    let mut all = Measured::default();
    let scale = 1.0 / rows.len() as f32;
    for (panel, rows) in rows.chunks(PANEL).enumerate() {
        let weight = |row: &u32| weights.map_or(1.0, |weights| weights[*row as usize]);
        let mut factors = [0.0; PANEL];
        for (factor, row) in factors.iter_mut().zip(rows) {
            *factor = weight(row);
            all.weight += f64::from(*factor);
        }
        all.count += rows.len() as u64;
        match labels {
            Labels::Classes(of) => {
                let classes = |at: usize| of[rows[at] as usize] as usize;
                cross_entropy(outputs, panel, classes, &factors, &mut all);
            }
            Labels::Numbers(of) => {
                let number = |at: usize| of[rows[at] as usize];
                squared(outputs, panel, number, &factors, &mut all);
            }
        }
        for output in 0..outputs.features() {
            let errors = outputs.feature_mut(panel, output);
            errors
                .iter_mut()
                .zip(&factors)
                .for_each(|(error, factor)| *error *= *factor * scale);
        }
    }
    all
}

/// Replaces a panel's outputs by probabilities, less 1 for the right class.
#[inline(always)]
fn cross_entropy(
    outputs: &mut ByFeature,
    panel: usize,
    class: impl Fn(usize) -> usize,
    factors: &[f32; PANEL],
    all: &mut Measured,
) {
    let (mut highest, mut best) = ([f32::NEG_INFINITY; PANEL], [0u32; PANEL]);
    for output in 0..outputs.features() {
        let values = outputs.feature(panel, output);
        for ((value, highest), best) in values.iter().zip(&mut highest).zip(&mut best) {
            *best = if *value > *highest { output as u32 } else { *best };
            *highest = highest.max(*value);
        }
    }
    let count = outputs.feature(panel, 0).len();
    let mut logits = [0.0f32; PANEL];
    for (at, logit) in logits.iter_mut().enumerate().take(count) {
        let class = class(at);
        if class < outputs.features() {
            *logit = outputs.feature(panel, class)[at];
        }
    }
    let mut sums = [0.0f32; PANEL];
    for output in 0..outputs.features() {
        let values = outputs.feature_mut(panel, output);
        for ((value, highest), sum) in values.iter_mut().zip(&highest).zip(&mut sums) {
            *value = exp(*value - *highest);
            *sum += *value;
        }
    }
    let inverse: [f32; PANEL] = std::array::from_fn(|at| 1.0 / sums[at]);
    for output in 0..outputs.features() {
        let values = outputs.feature_mut(panel, output);
        values.iter_mut().zip(&inverse).for_each(|(value, inverse)| *value *= *inverse);
    }
    for at in 0..count {
        let class = class(at);
        if class < outputs.features() {
            let loss = f64::from(sums[at]).ln() + f64::from(highest[at]) - f64::from(logits[at]);
            all.loss += loss * f64::from(factors[at]);
            all.right += u64::from(best[at] as usize == class);
            outputs.feature_mut(panel, class)[at] -= 1.0;
        } else {
            all.weight -= f64::from(factors[at]);
        }
    }
}

/// Replaces a panel's outputs by twice their errors.
#[inline(always)]
fn squared(
    outputs: &mut ByFeature,
    panel: usize,
    number: impl Fn(usize) -> f32,
    factors: &[f32; PANEL],
    all: &mut Measured,
) {
    let values = outputs.feature_mut(panel, 0);
    for (at, value) in values.iter_mut().enumerate() {
        let error = *value - number(at);
        // A network that left the finite numbers must be seen to have done so.
        all.loss += f64::from(error * error) * f64::from(factors[at]);
        *value = 2.0 * error;
    }
}
