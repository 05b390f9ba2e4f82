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
//! | the same | samples | errors by sample | inputs by sample | gradients, a row for each unit |
//!
//! Whatever is done to a result (bias, activation, a step of the optimiser) is done by a closure
//! while the result is in the nearest cache. One thread computes; workers compute side by side.
//!
//! With [`Precision::Bf16`] operands are rounded to 16 bits on their way into products.
//!
//! The loops exist with AVX-512, with AVX2 and FMA, and in plain Rust, chosen when a [`Kernel`] is
//! made. They sum in different orders, so equal seeds give equal bits on one kind of processor, not
//! across kinds.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod dot;
mod lanes;
mod pairs;
mod panels;
mod processor;
mod tile;
mod transpose;

#[cfg(test)]
mod tests;

pub use panels::{ByFeature, BySample, Floats};
pub use processor::Processor;

use std::ops::Range;

use lanes::Lanes;
use processor::Loops;
use tile::{Strip, strip};

/// Floats in a register.
const LANES: usize = 16;
/// Columns of a panel.
pub const PANEL: usize = 64;
/// Terms of a sum before the next ones are read: 32 KiB of a panel.
const DEPTH: usize = 128;
/// Units whose weights are read for one panel of samples after the other: at most 96 KiB at a time.
const FORWARD_ROWS: usize = 192;
/// Rows of a gradient that are made before they are used.
const GRADIENT_ROWS: usize = 24;
/// Panels of inputs whose weights, errors and gradients are in the nearest caches at once.
const CHUNK: usize = 8;

/// How products are computed on this processor, and memory for it.
#[derive(Clone)]
pub struct Kernel {
    processor: Processor,
    /// A panel of weights.
    packed: Floats,
    /// Some rows of a gradient.
    rows: Floats,
    precision: Precision,
    /// Operands of 16 bits.
    pairs: pairs::Scratch,
}

/// The operands of products; sums are 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats with the range of 32-bit ones (bfloat16).
    Bf16,
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

/// The same, to be changed.
#[derive(Debug)]
pub struct WeightsMut<'a> {
    /// `units` rows.
    pub values: &'a mut [f32],
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
            packed: Floats::zeros(PANEL * PANEL),
            rows: Floats::zeros(GRADIENT_ROWS * CHUNK * PANEL),
            precision: Precision::F32,
            pairs: pairs::Scratch::default(),
        }
    }

    /// The same with operands of this precision.
    pub fn with(self, precision: Precision) -> Kernel {
        Kernel { precision, ..self }
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
        if self.precision == Precision::Bf16 {
            return self.forward_in_pairs(weights, input, output, finish);
        }
        self.processor.run(Forward {
            weights,
            input,
            output,
            finish,
        });
    }

    /// Takes the errors of a layer's units back to its inputs, and says how its weights should change:
    ///
    /// ```text
    /// output[s][i] = Σ_u errors[s][u] · weights[u][i]        for the features of the output
    /// gradient[u][i] = Σ_s errors[s][u] · input[s][i]        for the features of the input
    /// ```
    ///
    /// Both are made block by block, so that weights are read, used and changed while they are in
    /// the nearest caches. `finish` gets, by panel of features and sample, the panel's sums; `visit`
    /// gets, by unit and first input, a piece of the weights with its gradient, each once. What it
    /// does to the weights does not change the output.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn backward(
        &mut self,
        weights: WeightsMut,
        errors: &BySample,
        input: &BySample,
        output: Option<&mut BySample>,
        finish: impl FnMut(usize, usize, &mut [f32]),
        visit: impl FnMut(usize, usize, &mut [f32], &mut [f32]),
    ) {
        weights.view().check(input.features);
        assert!(errors.features == weights.units && errors.samples == input.samples);
        let mut output = output;
        if let Some(output) = &mut output {
            assert!(output.features <= input.features && output.capacity >= errors.samples);
            output.resize(errors.samples);
        }
        if self.precision == Precision::Bf16 {
            return self.backward_in_pairs(weights, errors, input, output, finish, visit);
        }
        self.processor.run(Backward {
            weights,
            errors,
            input,
            output,
            packed: &mut self.packed,
            rows: &mut self.rows,
            finish,
            visit,
        });
    }
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel::new()
    }
}

impl WeightsMut<'_> {
    fn view(&self) -> Weights<'_> {
        Weights {
            values: self.values,
            stride: self.stride,
            units: self.units,
        }
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

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let Weights {
            values,
            stride,
            units,
        } = self.weights;
        let (inputs, samples) = (self.input.features, self.input.samples);
        let rows_of_panel = self.output.features * PANEL;
        let blocks = (0..units).step_by(FORWARD_ROWS);
        let blocks = blocks.flat_map(|unit| (0..inputs).step_by(DEPTH).map(move |at| (unit, at)));
        for (unit, first) in blocks {
            let units = (units - unit).min(FORWARD_ROWS);
            let depth = (inputs - first).min(DEPTH);
            let last = first + depth == inputs;
            for panel in 0..self.input.panels() {
                let width = (samples - panel * PANEL).min(PANEL);
                let right = &self.input.values[(panel * inputs + first) * PANEL..];
                let start = panel * rows_of_panel + unit * PANEL;
                let out = &mut self.output.values[start..][..units * PANEL];
                let out = out.as_mut_ptr();
                let of = Strip {
                    left: values[unit * stride + first..].as_ptr(),
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
                            (self.finish)(panel, unit + row, sums);
                        }
                    }
                };
                // SAFETY: `Weights::check` and the slices above; the processor is the caller's word.
                unsafe { strip::<V>(&of, finish) }
            }
        }
    }
}

struct Backward<'a, F, G> {
    weights: WeightsMut<'a>,
    errors: &'a BySample,
    input: &'a BySample,
    output: Option<&'a mut BySample>,
    packed: &'a mut Floats,
    rows: &'a mut Floats,
    finish: F,
    visit: G,
}

impl<F, G> Loops for Backward<'_, F, G>
where
    F: FnMut(usize, usize, &mut [f32]),
    G: FnMut(usize, usize, &mut [f32], &mut [f32]),
{
    type Output = ();

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let panels = self.input.panels();
        for chunk in (0..panels).step_by(CHUNK) {
            let chunk = chunk..panels.min(chunk + CHUNK);
            for first in (0..self.weights.units).step_by(PANEL) {
                // SAFETY: the processor is the caller's word.
                unsafe {
                    self.send_back::<V>(first, chunk.clone());
                    self.change::<V>(first, chunk.clone());
                }
            }
        }
    }
}

impl<F, G> Backward<'_, F, G>
where
    F: FnMut(usize, usize, &mut [f32]),
    G: FnMut(usize, usize, &mut [f32], &mut [f32]),
{
    /// The errors of 64 units from `first`, sample by sample.
    #[inline(always)]
    fn errors(&self, first: usize) -> &[f32] {
        let errors = &self.errors.values[first / PANEL * self.errors.capacity * PANEL..];
        &errors[..self.errors.samples * PANEL]
    }

    /// Adds what these units send back to some panels of inputs.
    ///
    /// # Safety
    /// The processor has what `V` needs.
    #[inline(always)]
    unsafe fn send_back<V: Lanes>(&mut self, first: usize, chunk: Range<usize>) {
        let Some(output) = self.output.take() else {
            return;
        };
        let WeightsMut { stride, units, .. } = self.weights;
        let (samples, depth) = (self.errors.samples, (units - first).min(PANEL));
        let last = first + depth == units;
        for panel in chunk.start..chunk.end.min(output.panels()) {
            let width = (output.features - panel * PANEL).min(PANEL);
            let block = &self.weights.values[first * stride + panel * PANEL..];
            pack(block, stride, (depth, width), self.packed);
            let out = &mut output.values[panel * output.capacity * PANEL..];
            let out = out[..samples * PANEL].as_mut_ptr();
            let of = Strip {
                left: self.errors(first).as_ptr(),
                left_row: PANEL,
                left_column: 1,
                right: self.packed[..depth * PANEL].as_ptr(),
                depth,
                rows: samples,
                columns: width.div_ceil(LANES),
                out,
                out_row: PANEL,
                add: first > 0,
            };
            let finish = |row: usize, rows: usize| {
                if last {
                    for row in row..row + rows {
                        // SAFETY: row `row` of `samples`; nothing else uses it now.
                        let sums =
                            unsafe { std::slice::from_raw_parts_mut(out.add(row * PANEL), width) };
                        (self.finish)(panel, row, sums);
                    }
                }
            };
            // SAFETY: the slices above; the processor is the caller's word.
            unsafe { strip::<V>(&of, finish) }
        }
        self.output = Some(output);
    }

    /// Computes the gradient of these units for some panels of inputs.
    ///
    /// # Safety
    /// The processor has what `V` needs.
    #[inline(always)]
    unsafe fn change<V: Lanes>(&mut self, first: usize, chunk: Range<usize>) {
        let WeightsMut { stride, units, .. } = self.weights;
        let (samples, row) = (self.errors.samples, chunk.len() * PANEL);
        let (start, end) = (
            chunk.start * PANEL,
            self.input.features.min(chunk.end * PANEL),
        );
        for unit in (first..units.min(first + PANEL)).step_by(GRADIENT_ROWS) {
            let count = GRADIENT_ROWS.min(first + PANEL - unit).min(units - unit);
            for (at, panel) in chunk.clone().enumerate() {
                let right = &self.input.values[panel * self.input.capacity * PANEL..];
                let of = Strip {
                    left: self.errors(first)[unit - first..].as_ptr(),
                    left_row: 1,
                    left_column: PANEL,
                    right: right[..samples * PANEL].as_ptr(),
                    depth: samples,
                    rows: count,
                    columns: (self.input.features - panel * PANEL)
                        .min(PANEL)
                        .div_ceil(LANES),
                    out: self.rows[at * PANEL..count * row].as_mut_ptr(),
                    out_row: row,
                    add: false,
                };
                // SAFETY: the slices above; the processor is the caller's word.
                unsafe { strip::<V>(&of, |_, _| ()) }
            }
            let rows = self.rows.chunks_exact_mut(row).take(count);
            for (unit, gradient) in (unit..).zip(rows) {
                let weights = &mut self.weights.values[unit * stride + start..unit * stride + end];
                (self.visit)(unit, start, weights, &mut gradient[..end - start]);
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
