//! Products of layers: `cargo bench -- gemm`. GFLOP/s of one thread, beside what the processor
//! does when nothing has to be read.

use std::hint::black_box;
use std::time::Instant;

use petuum::math::gemm::{ByFeature, BySample, Kernel, Precision, Weights, WeightsMut};

use super::say;

pub(crate) fn run(small: bool) {
    let mut kernel = Kernel::new();
    say(&format!("gemm: {:?}", kernel.processor()));
    let peak = fastest(small, || {
        black_box(kernel.processor().peak(black_box(1 << 16)));
    });
    let flops = kernel.processor().peak_flops(1 << 16);
    say(&format!(
        "{:50} {:8.1} GFLOP/s",
        "gemm/peak",
        flops / peak / 1e9
    ));
    let peak = fastest(small, || {
        kernel.processor().peak_of_pairs(black_box(1 << 16));
    });
    let (rate, has) = (2.0 * flops / peak / 1e9, kernel.processor().has_bf16());
    let how = if has {
        "gemm/peak of bf16"
    } else {
        "gemm/peak of bf16, without instructions"
    };
    say(&format!("{how:50} {rate:8.1} GFLOP/s"));
    let shapes = [
        (128, 784, 1024),
        (128, 1024, 1024),
        (128, 2048, 2048),
        (128, 2048, 2001),
        (64, 1024, 1024),
    ];
    for precision in [Precision::F32, Precision::Bf16] {
        kernel = kernel.with(precision);
        say(&format!("gemm, operands of {precision:?}:"));
        for (samples, inputs, units) in shapes {
            one(small, &mut kernel, samples, inputs, units);
        }
    }
}

fn one(small: bool, kernel: &mut Kernel, samples: usize, inputs: usize, units: usize) {
    let values = vec![0.01f32; units * (inputs + 1)];
    let weights = Weights {
        values: &values,
        stride: inputs + 1,
        units,
    };
    let input = ByFeature::zeros(inputs + 1, samples);
    let mut output = ByFeature::zeros(units + 1, samples);
    let mut rows = BySample::zeros(inputs + 1, samples);
    let errors = BySample::zeros(units, samples);
    let mut back = BySample::zeros(inputs, samples);
    let flops = 2.0 * (samples * inputs * units) as f64;
    let tell = |what: &str, seconds: f64| {
        let name = format!("gemm/{what} {samples} x {inputs} x {units}");
        say(&format!("{name:50} {:8.1} GFLOP/s", flops / seconds / 1e9));
    };
    tell(
        "forward",
        fastest(small, || {
            kernel.forward(weights, &input, &mut output, |_, _, sums| {
                sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
            });
        }),
    );
    tell(
        "transpose",
        fastest(small, || kernel.by_sample(&input, &mut rows)),
    );
    let mut next = values.clone();
    let seconds = fastest(small, || {
        let weights = WeightsMut {
            values: &mut next,
            stride: inputs + 1,
            units,
        };
        let step = |_: usize, _: usize, weights: &mut [f32], gradient: &mut [f32]| {
            weights
                .iter_mut()
                .zip(gradient)
                .for_each(|(w, g)| *w -= 0.01 * *g);
        };
        kernel.backward(weights, &errors, &rows, Some(&mut back), |_, _, _| (), step);
    });
    tell("backward and gradient (each)", seconds / 2.0);
}

/// Seconds of the fastest of some calls.
fn fastest(small: bool, mut call: impl FnMut()) -> f64 {
    let rounds = if small { 1 } else { 200 };
    let mut fastest = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        call();
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    fastest
}
