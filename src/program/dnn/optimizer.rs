//! From gradients to steps.

use std::f64::consts::PI;

use super::options::{Optimizer, Options, Schedule};

/// How much of the last squared gradients Adam keeps, and what keeps it from dividing by zero.
const SQUARES: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// The rule by which weights change.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    method: Optimizer,
    momentum: f32,
    decay: f32,
}

/// One step's part of the rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) rate: f32,
    /// Of Adam: what brings its sums to the size of means.
    scales: [f32; 2],
}

impl Rule {
    pub(super) fn new(options: &Options) -> Rule {
        Rule {
            method: options.optimizer,
            momentum: options.momentum as f32,
            decay: options.weight_decay as f32,
        }
    }

    /// Numbers that the rule remembers for each weight.
    pub(super) fn states(&self) -> usize {
        match self.method {
            Optimizer::Sgd => 0,
            Optimizer::Momentum | Optimizer::Nesterov => 1,
            Optimizer::Adam => 2,
        }
    }

    /// The step after `steps` others.
    pub(super) fn step(&self, rate: f64, steps: u64) -> Step {
        let done = steps as f64 + 1.0;
        let scale = |kept: f64| (1.0 / (1.0 - kept.powf(done))) as f32;
        Step {
            rate: rate as f32,
            scales: [scale(f64::from(self.momentum)), scale(SQUARES)],
        }
    }

    /// Changes weights by the rule; `states` are those of the weights. All slices are equally long.
    #[inline(always)]
    pub(super) fn apply(
        &self,
        step: Step,
        weights: &mut [f32],
        states: &mut [&mut [f32]],
        gradient: &[f32],
        decays: bool,
    ) {
        let decay = if decays { self.decay } else { 0.0 };
        let (rate, momentum) = (step.rate, self.momentum);
        match (self.method, states) {
            (Optimizer::Momentum, [velocity, ..]) => {
                for ((w, v), g) in weights.iter_mut().zip(velocity.iter_mut()).zip(gradient) {
                    *v = momentum * *v + (*g + decay * *w);
                    *w -= rate * *v;
                }
            }
            (Optimizer::Nesterov, [velocity, ..]) => {
                for ((w, v), g) in weights.iter_mut().zip(velocity.iter_mut()).zip(gradient) {
                    let g = *g + decay * *w;
                    *v = momentum * *v + g;
                    *w -= rate * (g + momentum * *v);
                }
            }
            (Optimizer::Adam, [mean, square, ..]) => {
                let [first, second] = step.scales;
                let squares = SQUARES as f32;
                let moments = mean.iter_mut().zip(square.iter_mut());
                for ((w, (m, v)), g) in weights.iter_mut().zip(moments).zip(gradient) {
                    *m = momentum * *m + (1.0 - momentum) * *g;
                    *v = squares * *v + (1.0 - squares) * *g * *g;
                    let root = (*v * second).sqrt() + EPSILON;
                    *w -= rate * (*m * first / root + decay * *w);
                }
            }
            _ => {
                for (w, g) in weights.iter_mut().zip(gradient) {
                    *w -= rate * (*g + decay * *w);
                }
            }
        }
    }
}

/// The learning rate by time.
#[derive(Debug, Clone)]
pub(super) struct Rates {
    schedule: Schedule,
    highest: f64,
    warm_up: f64,
    /// Passes of the run, if that is known.
    passes: Option<f64>,
}

impl Rates {
    /// The rates of a run of so many passes.
    pub(super) fn new(options: &Options, passes: Option<f64>) -> Rates {
        Rates {
            schedule: options.schedule,
            highest: options.rate(),
            warm_up: options.warm_up,
            passes,
        }
    }

    /// The rate after so many passes.
    pub(super) fn at(&self, passes: f64) -> f64 {
        let part = match self.passes {
            Some(all) => ((passes - self.warm_up) / (all - self.warm_up).max(1e-9)).clamp(0.0, 1.0),
            None => 0.0,
        };
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Step => 0.1f64.powi((part * 3.0).floor().min(2.0) as i32),
            Schedule::Cosine => 0.5 * (1.0 + (PI * part).cos()),
        };
        let warm = match passes < self.warm_up {
            true => passes / self.warm_up,
            false => 1.0,
        };
        self.highest * factor * warm
    }
}
