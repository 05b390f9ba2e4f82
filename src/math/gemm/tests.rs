//! All products against sums written out, for every kind of processor and awkward shapes.

use super::lanes::rounded;
use super::{ByFeature, BySample, Floats, Kernel, Precision, Processor, Weights, WeightsMut};
use crate::math::rng::Rng;

struct Case {
    samples: usize,
    inputs: usize,
    units: usize,
    input: Vec<f32>,
    weights: Vec<f32>,
    errors: Vec<f32>,
    precision: Precision,
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
            precision: Precision::F32,
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

    /// What a product makes of an operand.
    fn operand(&self, x: f32) -> f64 {
        match self.precision {
            Precision::F32 => f64::from(x),
            Precision::Bf16 => f64::from(f32::from_bits(rounded(x) << 16)),
        }
    }

    fn input(&self, sample: usize, input: usize) -> f64 {
        self.operand(self.input[sample * self.inputs + input])
    }

    fn weight(&self, unit: usize, input: usize) -> f64 {
        self.operand(self.weights[unit * (self.inputs + 3) + input])
    }

    fn error(&self, sample: usize, unit: usize) -> f64 {
        self.operand(self.errors[sample * self.units + unit])
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
        for precision in [Precision::F32, Precision::Bf16] {
            for case in cases() {
                let case = Case { precision, ..case };
                check(&mut Kernel::on(processor).with(precision), &case);
            }
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
                let unchanged = case.weights[unit * (case.inputs + 3) + i];
                assert_eq!(*weight, unchanged, "weights are kept in 32 bits");
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

/// Instructions, compiled loops and the definition round alike: to the nearest number of 16 bits, to the
/// even one of two.
#[test]
fn operands_are_rounded_alike_everywhere() {
    assert_eq!(
        rounded(1.0 + 1.0 / 256.0),
        0x3f80,
        "a tie goes to the even one"
    );
    assert_eq!(
        rounded(1.0 + 3.0 / 256.0),
        0x3f82,
        "a tie goes to the even one"
    );
    assert_eq!(rounded(f32::MAX), 0x7f80);
    assert_eq!(
        rounded(f32::from_bits(0x7f80_0001)),
        0x7fc0,
        "what is no number stays none"
    );
    let mut rng = Rng::stream(9, 0, 0, 0);
    let mut bits = || rng.below(1 << 32) as u32;
    for _ in 0..2000 {
        let mut values = [0.0f32; 32];
        // What is denormal may come out as 0.
        values.fill_with(|| f32::from_bits(bits()));
        values
            .iter_mut()
            .filter(|x| x.is_subnormal() || x.is_nan())
            .for_each(|x| *x = 0.5);
        let halves: Vec<u32> = values.iter().map(|x| rounded(*x)).collect();
        for processor in Processor::all() {
            let (mut narrow, mut interleaved) = (Floats::zeros(16), Floats::zeros(16));
            processor.pair(&values, &mut narrow, &mut interleaved);
            for at in 0..16 {
                let neighbours = halves[2 * at + 1] << 16 | halves[2 * at];
                assert_eq!(narrow[at].to_bits(), neighbours, "{processor:?}");
                let rows = halves[16 + at] << 16 | halves[at];
                assert_eq!(interleaved[at].to_bits(), rows, "{processor:?}");
            }
        }
    }
}
