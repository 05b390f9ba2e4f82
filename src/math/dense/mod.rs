//! Products of dense matrices for layers of units, as training needs them.
//!
//! Weights lie as they are kept: one row for each unit, its inputs one after the other. Of a
//! mini-batch both layouts exist, features below each other ([`ByFeature`]) and samples below each
//! other ([`BySample`]), in panels 64 wide. Each of the three products of a layer then has a side
//! that is read 64 floats at a time and one that is read float by float where it lies, so that
//! weights are not packed for the forward pass and copied in blocks of the nearest cache for the
//! backward pass:
//!
//! | product | sums over | float by float | 64 at a time | gives |
//! |---|---|---|---|---|
//! | [`Kernel::forward`] | inputs | weights | inputs by feature | outputs by feature |
//! | [`Kernel::backward`] | units | errors by sample | weights | errors of the inputs by sample |
//! | [`Kernel::gradient`] | samples | errors by sample | inputs by sample | a row for each unit |
//!
//! Whatever is done to a result (bias, activation, a step of the optimiser) is done by a closure
//! while the result is in the nearest cache. One thread computes; workers compute side by side.
//!
//! The loops exist with AVX-512, with AVX2 and FMA, and in plain Rust, chosen when a [`Kernel`] is
//! made. They sum in different orders, so equal seeds give equal bits on one kind of processor, not
//! across kinds.
#![allow(unsafe_code)]

mod lanes;
mod panels;
mod processor;
mod tile;
mod transpose;

#[cfg(test)]
mod tests;

pub use panels::{ByFeature, BySample, Floats};
pub use processor::Processor;

use lanes::Lanes;
use processor::Loops;
use tile::{Strip, strip};

/// Floats in a register.
const LANES: usize = 16;
/// Columns of a panel.
pub const PANEL: usize = 64;
/// Terms of a sum before the next ones are read: 32 KiB of a panel.
const DEPTH: usize = 128;
/// Rows of a gradient that are in the nearest caches at once.
const GRADIENT_ROWS: usize = 24;

/// How products are computed on this processor, and memory for it.
#[derive(Clone)]
pub struct Kernel {
    processor: Processor,
    /// A panel of weights.
    packed: Floats,
    /// Some rows of a gradient.
    rows: Floats,
}

/// The weights of a layer: row u has what unit u does with its inputs.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// `units` rows.
    pub values: &'a [f32],
    /// Floats from one row to the next.
    pub stride: usize,
    /// Number of rows.
    pub units: usize,
}

impl Kernel {
    /// The best that this processor has.
    pub fn new() -> Kernel {
        Kernel::on(Processor::detect())
    }

    pub(crate) fn on(processor: Processor) -> Kernel {
        Kernel {
            processor,
            packed: Floats::zeros(DEPTH * PANEL),
            rows: Floats::default(),
        }
    }

    /// What the loops are compiled for.
    pub fn processor(&self) -> Processor {
        self.processor
    }

    /// Sums each unit's inputs, weighted: `output[u] = Σ_i weights[u][i] · input[i]` for all features
    /// of the input. `finish` gets, by panel of samples and unit, the panel's sums.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn forward(
        &mut self,
        weights: Weights,
        input: &ByFeature,
        output: &mut ByFeature,
        finish: impl FnMut(usize, usize, &mut [f32]),
    ) {
        weights.check(input.features);
        assert!(output.features >= weights.units && output.capacity >= input.samples);
        output.resize(input.samples);
        self.processor.run(Forward {
            weights,
            input,
            output,
            finish,
        });
    }

    /// Takes the errors of a layer's units back to its inputs:
    /// `output[s][i] = Σ_u errors[s][u] · weights[u][i]` for the features of the output. `finish`
    /// gets, by panel of features and sample, the panel's sums.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn backward(
        &mut self,
        weights: Weights,
        errors: &BySample,
        output: &mut BySample,
        finish: impl FnMut(usize, usize, &mut [f32]),
    ) {
        weights.check(output.features);
        assert!(errors.features == weights.units && output.capacity >= errors.samples);
        output.resize(errors.samples);
        self.processor.run(Backward {
            weights,
            errors,
            output,
            packed: &mut self.packed,
            finish,
        });
    }

    /// How weights should change: `Σ_s errors[s][u] · input[s]` for every unit. `visit` gets each
    /// unit with its row, once.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn gradient(
        &mut self,
        errors: &BySample,
        input: &BySample,
        visit: impl FnMut(usize, &mut [f32]),
    ) {
        assert_eq!(errors.samples, input.samples);
        let needed = GRADIENT_ROWS * input.panels() * PANEL;
        if self.rows.len() < needed {
            self.rows = Floats::zeros(needed);
        }
        self.processor.run(Gradient {
            errors,
            input,
            rows: &mut self.rows,
            visit,
        });
    }
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel::new()
    }
}

impl Weights<'_> {
    fn check(&self, inputs: usize) {
        assert!(self.units > 0 && inputs <= self.stride);
        assert!((self.units - 1) * self.stride + inputs <= self.values.len());
    }
}

struct Forward<'a, F> {
    weights: Weights<'a>,
    input: &'a ByFeature,
    output: &'a mut ByFeature,
    finish: F,
}

impl<F: FnMut(usize, usize, &mut [f32])> Loops for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let Weights {
            values,
            stride,
            units,
        } = self.weights;
        let (inputs, samples) = (self.input.features, self.input.samples);
        let rows_of_panel = self.output.features * PANEL;
        for first in (0..inputs).step_by(DEPTH) {
            let depth = (inputs - first).min(DEPTH);
            let last = first + depth == inputs;
            for panel in 0..self.input.panels() {
                let width = (samples - panel * PANEL).min(PANEL);
                let right = &self.input.values[(panel * inputs + first) * PANEL..];
                let out = &mut self.output.values[panel * rows_of_panel..][..units * PANEL];
                let out = out.as_mut_ptr();
                let of = Strip {
                    left: values[first..].as_ptr(),
                    left_row: stride,
                    left_column: 1,
                    right: right[..depth * PANEL].as_ptr(),
                    depth,
                    rows: units,
                    columns: width.div_ceil(LANES),
                    out,
                    out_row: PANEL,
                    add: first > 0,
                };
                let finish = |row: usize, rows: usize| {
                    if last {
                        for row in row..row + rows {
                            // SAFETY: row `row` of `units` of the panel; nothing else uses it now.
                            let sums = unsafe {
                                std::slice::from_raw_parts_mut(out.add(row * PANEL), width)
                            };
                            (self.finish)(panel, row, sums);
                        }
                    }
                };
                // SAFETY: `Weights::check` and the slices above; the processor is the caller's word.
                unsafe { strip::<V>(&of, finish) }
            }
        }
    }
}

struct Backward<'a, F> {
    weights: Weights<'a>,
    errors: &'a BySample,
    output: &'a mut BySample,
    packed: &'a mut Floats,
    finish: F,
}

impl<F: FnMut(usize, usize, &mut [f32])> Loops for Backward<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let Weights {
            values,
            stride,
            units,
        } = self.weights;
        let samples = self.errors.samples;
        let (outputs, capacity) = (self.output.features, self.output.capacity);
        for first in (0..units).step_by(DEPTH) {
            let depth = (units - first).min(DEPTH);
            let last = first + depth == units;
            for panel in 0..self.output.panels() {
                let width = (outputs - panel * PANEL).min(PANEL);
                let block = &values[first * stride + panel * PANEL..];
                pack(block, stride, (depth, width), self.packed);
                let out = &mut self.output.values[panel * capacity * PANEL..];
                let out = out[..samples * PANEL].as_mut_ptr();
                // Errors lie in panels of 64 units: one after the other.
                for start in (0..depth).step_by(PANEL) {
                    let units = (depth - start).min(PANEL);
                    let left = &self.errors.values
                        [(first + start) / PANEL * self.errors.capacity * PANEL..];
                    let of = Strip {
                        left: left[..samples * PANEL].as_ptr(),
                        left_row: PANEL,
                        left_column: 1,
                        right: self.packed[start * PANEL..][..units * PANEL].as_ptr(),
                        depth: units,
                        rows: samples,
                        columns: width.div_ceil(LANES),
                        out,
                        out_row: PANEL,
                        add: first + start > 0,
                    };
                    let finished = last && start + units == depth;
                    let finish = |row: usize, rows: usize| {
                        if finished {
                            for row in row..row + rows {
                                // SAFETY: row `row` of `samples`; nothing else uses it now.
                                let sums = unsafe {
                                    std::slice::from_raw_parts_mut(out.add(row * PANEL), width)
                                };
                                (self.finish)(panel, row, sums);
                            }
                        }
                    };
                    // SAFETY: the slices above; the processor is the caller's word.
                    unsafe { strip::<V>(&of, finish) }
                }
            }
        }
    }
}

/// Copies `depth` rows of `width` floats, `stride` apart, to rows of 64.
#[inline(always)]
fn pack(from: &[f32], stride: usize, (depth, width): (usize, usize), to: &mut [f32]) {
    for (t, to) in to.chunks_exact_mut(PANEL).take(depth).enumerate() {
        to[..width].copy_from_slice(&from[t * stride..][..width]);
        to[width..].fill(0.0);
    }
}

struct Gradient<'a, F> {
    errors: &'a BySample,
    input: &'a BySample,
    rows: &'a mut Floats,
    visit: F,
}

impl<F: FnMut(usize, &mut [f32])> Loops for Gradient<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let (units, inputs) = (self.errors.features, self.input.features);
        let samples = self.errors.samples;
        let row = self.input.panels() * PANEL;
        let mut first = 0;
        while first < units {
            // Within a panel of errors.
            let count = GRADIENT_ROWS.min(PANEL - first % PANEL).min(units - first);
            let left = &self.errors.values[first / PANEL * self.errors.capacity * PANEL..];
            let left = &left[..samples * PANEL];
            for panel in 0..self.input.panels() {
                let right = &self.input.values[panel * self.input.capacity * PANEL..];
                let of = Strip {
                    left: left[first % PANEL..].as_ptr(),
                    left_row: 1,
                    left_column: PANEL,
                    right: right[..samples * PANEL].as_ptr(),
                    depth: samples,
                    rows: count,
                    columns: (inputs - panel * PANEL).min(PANEL).div_ceil(LANES),
                    out: self.rows[panel * PANEL..count * row].as_mut_ptr(),
                    out_row: row,
                    add: false,
                };
                // SAFETY: the slices above; the processor is the caller's word.
                unsafe { strip::<V>(&of, |_, _| ()) }
            }
            for (unit, sums) in (first..).zip(self.rows.chunks_exact_mut(row).take(count)) {
                (self.visit)(unit, &mut sums[..inputs]);
            }
            first += count;
        }
    }
}
