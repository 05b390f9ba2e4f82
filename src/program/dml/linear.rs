//! Vectors through L: a mini-batch, its images, and the gradient that errors of the images give.

use crate::math::gemm::{ByFeature, BySample, Kernel, Weights, WeightsMut};

/// Memory for a mini-batch of vectors and their images.
pub(super) struct Linear {
    pub(super) kernel: Kernel,
    pub(super) by_sample: BySample,
    by_feature: ByFeature,
    /// The images; then, if a gradient is wanted, their errors.
    pub(super) images: ByFeature,
    errors: BySample,
}

impl Linear {
    pub(super) fn new(inputs: usize, rank: usize, batch: usize) -> Linear {
        Linear::on(Kernel::new(), inputs, rank, batch)
    }

    /// The same with this kernel.
    pub(super) fn on(kernel: Kernel, inputs: usize, rank: usize, batch: usize) -> Linear {
        Linear {
            kernel,
            by_sample: BySample::zeros(inputs, batch),
            by_feature: ByFeature::zeros(inputs, batch),
            images: ByFeature::zeros(rank, batch),
            errors: BySample::zeros(rank, batch),
        }
    }

    /// Maps the first `count` vectors of `by_sample`.
    pub(super) fn map(&mut self, matrix: &[f32], count: usize) {
        self.by_sample.resize(count);
        self.kernel.by_feature(&self.by_sample, &mut self.by_feature);
        let weights = Weights {
            values: matrix,
            stride: self.by_sample.features(),
            units: self.images.features(),
        };
        self.kernel
            .forward(weights, &self.by_feature, &mut self.images, |_, _, _| ());
    }

    /// What the last gradient was made of: errors of the images, and vectors.
    pub(super) fn factors(&self) -> (&BySample, &BySample) {
        (&self.errors, &self.by_sample)
    }

    /// The gradient that the errors in the place of the images give, by pieces of rows of `matrix`.
    pub(super) fn gradient(
        &mut self,
        matrix: &mut [f32],
        mut visit: impl FnMut(&mut [f32], &[f32]),
    ) {
        self.kernel.by_sample(&self.images, &mut self.errors);
        let weights = WeightsMut {
            values: matrix,
            stride: self.by_sample.features(),
            units: self.images.features(),
        };
        self.kernel.backward(
            weights,
            &self.errors,
            &self.by_sample,
            None,
            |_, _, _| (),
            |_, _, weights, gradient| visit(weights, gradient),
        );
    }
}
