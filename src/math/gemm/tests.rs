//! All products against sums written out, for every kind of processor and awkward shapes.

use super::{ByFeature, BySample, Kernel, Processor, Weights, WeightsMut};
use crate::math::rng::Rng;

struct Case {
    samples: usize,
    inputs: usize,
    units: usize,
    input: Vec<f32>,
    weights: Vec<f32>,
    errors: Vec<f32>,
}

fn cases() -> Vec<Case> {
    let shapes = [
        (1, 1, 1),
        (3, 5, 2),
        (16, 64, 6),
        (17, 65, 7),
        (64, 130, 13),
        (100, 300, 70),
        (129, 257, 133),
        (30, 700, 65),
    ];
    let case = |(samples, inputs, units): (usize, usize, usize)| {
        let mut rng = Rng::stream(1, samples as u64, inputs as u64, units as u64);
        let mut draw = |n: usize| (0..n).map(|_| (rng.uniform() - 0.5) as f32).collect();
        Case {
            samples,
            inputs,
            units,
            input: draw(samples * inputs),
            weights: draw(units * (inputs + 3)),
            errors: draw(samples * units),
        }
    };
    shapes.into_iter().map(case).collect()
}

impl Case {
    fn weights(&self) -> Weights<'_> {
        Weights {
            values: &self.weights,
            stride: self.inputs + 3,
            units: self.units,
        }
    }

    fn input(&self, sample: usize, input: usize) -> f64 {
        f64::from(self.input[sample * self.inputs + input])
    }

    fn weight(&self, unit: usize, input: usize) -> f64 {
        f64::from(self.weights[unit * (self.inputs + 3) + input])
    }

    fn error(&self, sample: usize, unit: usize) -> f64 {
        f64::from(self.errors[sample * self.units + unit])
    }
}

fn by_sample(values: &[f32], features: usize, samples: usize) -> BySample {
    let mut all = BySample::zeros(features, samples + 5);
    all.resize(samples);
    for (sample, values) in values.chunks_exact(features).enumerate() {
        all.set_sample(sample, values);
    }
    all
}

fn by_feature(values: &[f32], features: usize, samples: usize) -> ByFeature {
    let mut all = ByFeature::zeros(features, samples + 70);
    all.resize(samples);
    for (at, value) in values.iter().enumerate() {
        *all.at_mut(at / features, at % features) = *value;
    }
    all
}

fn assert_near(found: f32, expected: f64, terms: usize) {
    let tolerance = 1e-6 * (terms as f64).sqrt() + 1e-6;
    assert!(
        (f64::from(found) - expected).abs() < tolerance,
        "{found} {expected}"
    );
}

fn everywhere(check: impl Fn(&mut Kernel, &Case)) {
    for processor in Processor::all() {
        for case in cases() {
            check(&mut Kernel::on(processor), &case);
        }
    }
}

#[test]
fn forward_sums_inputs_of_every_unit() {
    everywhere(|kernel, case| {
        let input = by_feature(&case.input, case.inputs, case.samples);
        let mut output = ByFeature::zeros(case.units + 1, case.samples);
        let mut finished = 0;
        kernel.forward(case.weights(), &input, &mut output, |_, _, sums| {
            finished += sums.len();
            sums.iter_mut().for_each(|sum| *sum += 1.0);
        });
        assert_eq!(finished, case.samples * case.units);
        for sample in 0..case.samples {
            for unit in 0..case.units {
                let terms = (0..case.inputs).map(|i| case.input(sample, i) * case.weight(unit, i));
                let expected = 1.0 + terms.sum::<f64>();
                assert_near(output.at(sample, unit), expected, case.inputs);
            }
        }
    });
}

#[test]
fn backward_sums_errors_of_all_units_and_gradients_over_samples() {
    everywhere(|kernel, case| {
        let errors = by_sample(&case.errors, case.units, case.samples);
        let input = by_sample(&case.input, case.inputs, case.samples);
        let mut output = BySample::zeros(case.inputs, case.samples);
        let (mut finished, mut weights) = (0, case.weights.clone());
        let mut visited = vec![0; case.units * case.inputs];
        let values = WeightsMut {
            values: &mut weights,
            stride: case.inputs + 3,
            units: case.units,
        };
        let finish = |panel: usize, sample: usize, sums: &mut [f32]| {
            assert!(panel < case.inputs.div_ceil(64) && sample < case.samples);
            finished += sums.len();
            sums.iter_mut().for_each(|sum| *sum *= 2.0);
        };
        let visit = |unit: usize, first: usize, weights: &mut [f32], gradient: &mut [f32]| {
            for ((i, found), weight) in (first..).zip(gradient).zip(weights) {
                let terms = (0..case.samples).map(|s| case.error(s, unit) * case.input(s, i));
                assert_near(*found, terms.sum(), case.samples);
                assert_eq!(f64::from(*weight), case.weight(unit, i));
                *weight = 100.0;
                visited[unit * case.inputs + i] += 1;
            }
        };
        kernel.backward(values, &errors, &input, Some(&mut output), finish, visit);
        assert_eq!(finished, case.samples * case.inputs);
        assert!(visited.iter().all(|times| *times == 1));
        for sample in 0..case.samples {
            for input in 0..case.inputs {
                let terms = (0..case.units).map(|u| case.error(sample, u) * case.weight(u, input));
                let expected = 2.0 * terms.sum::<f64>();
                assert_near(output.at(sample, input), expected, case.units);
            }
        }
    });
}

#[test]
fn layouts_are_turned_into_each_other() {
    everywhere(|kernel, case| {
        let features = by_feature(&case.input, case.inputs, case.samples);
        let mut samples = BySample::zeros(case.inputs, case.samples + 1);
        kernel.by_sample(&features, &mut samples);
        let mut back = ByFeature::zeros(case.inputs + 1, case.samples);
        kernel.by_feature(&samples, &mut back);
        for sample in 0..case.samples {
            for input in 0..case.inputs {
                let expected = case.input[sample * case.inputs + input];
                assert_eq!(samples.at(sample, input), expected);
                assert_eq!(back.at(sample, input), expected);
            }
        }
    });
}
