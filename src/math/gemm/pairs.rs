//! The products of layers with operands of 16 bits (bfloat16) and sums of 32.
//!
//! A register has sixteen pairs of operands; what it multiplies by another one is added to sixteen
//! sums, two products each. So the loops over tiles are those of 32-bit floats, with half as many
//! terms: both sides of a product are rounded (to nearest, ties to even) and paired along the terms of
//! its sums, which costs one pass over weights that the product reads anyway. Weights stay in 32 bits
//! where they are kept, as do gradients and what `finish` and `visit` see.
//!
//! Processors without such instructions do the same with two multiplications of 32-bit floats: equal
//! rounding of operands, sums in another order.
#![allow(unsafe_code)]

use std::ops::Range;

use super::lanes::Pairing;
use super::panels::Floats;
use super::processor::PairLoops;
use super::tile::{Strip, strip};
use super::{ByFeature, DEPTH};
use super::{
    BySample, CHUNK, FORWARD_ROWS, GRADIENT_ROWS, Kernel, LANES, PANEL, Weights, WeightsMut,
};

/// Memory for operands in pairs.
#[derive(Clone, Default)]
pub(super) struct Scratch {
    /// Inputs, paired by feature (forward) or by sample (backward).
    input: Floats,
    /// A block of weights, or a panel of them.
    weights: Floats,
    /// Errors, paired by unit and by sample.
    errors: [Floats; 2],
    /// A row that ends before its last pair.
    tail: Floats,
}

/// `length` floats, whatever they are.
fn sized(floats: &mut Floats, length: usize) -> &mut [f32] {
    if floats.len() < length {
        *floats = Floats::zeros(length);
    }
    &mut floats[..length]
}

impl Kernel {
    pub(super) fn forward_in_pairs(
        &mut self,
        weights: Weights,
        input: &ByFeature,
        output: &mut ByFeature,
        finish: impl FnMut(usize, usize, &mut [f32]),
    ) {
        let pairs = input.features.div_ceil(2);
        sized(&mut self.pairs.input, input.panels() * pairs * PANEL);
        sized(&mut self.pairs.weights, FORWARD_ROWS * DEPTH);
        sized(&mut self.pairs.tail, 2 * PANEL);
        self.processor.run_pairs(Forward {
            weights,
            input,
            output,
            scratch: &mut self.pairs,
            finish,
        });
    }

    pub(super) fn backward_in_pairs(
        &mut self,
        weights: WeightsMut,
        errors: &BySample,
        input: &BySample,
        output: Option<&mut BySample>,
        finish: impl FnMut(usize, usize, &mut [f32]),
        visit: impl FnMut(usize, usize, &mut [f32], &mut [f32]),
    ) {
        let samples = errors.samples.div_ceil(2);
        sized(&mut self.pairs.input, input.panels() * samples * PANEL);
        sized(&mut self.pairs.weights, PANEL * PANEL / 2);
        let [by_unit, by_sample] = &mut self.pairs.errors;
        sized(by_unit, errors.panels() * errors.samples * PANEL / 2);
        sized(by_sample, errors.panels() * samples * PANEL);
        sized(&mut self.pairs.tail, 2 * PANEL);
        self.processor.run_pairs(Backward {
            weights,
            errors,
            input,
            output,
            scratch: &mut self.pairs,
            rows: &mut self.rows,
            finish,
            visit,
        });
    }
}

/// Pairs two rows of 64, of which the second may be missing.
///
/// # Safety
/// The processor has what `V` needs; `to` has 64 writable floats.
#[inline(always)]
unsafe fn interleave<V: Pairing>(one: &[f32], two: Option<&[f32]>, to: *mut f32) {
    const ZEROS: [f32; PANEL] = [0.0; PANEL];
    let (one, two) = (&one[..PANEL], two.map_or(&ZEROS[..], |two| &two[..PANEL]));
    for at in (0..PANEL).step_by(LANES) {
        // SAFETY: 64 floats each, by the slices above and the caller's contract.
        unsafe { V::interleave(one.as_ptr().add(at), two.as_ptr().add(at), to.add(at)) }
    }
}

/// Pairs neighbours of a row; `to` gets whole sixteens of pairs, zeros after the row's end.
///
/// # Safety
/// The processor has what `V` needs; `to` is writable that far.
#[inline(always)]
unsafe fn narrow<V: Pairing>(row: &[f32], tail: &mut [f32], to: *mut f32) {
    let mut pieces = row.chunks_exact(2 * LANES);
    let mut to = to;
    for piece in pieces.by_ref() {
        // SAFETY: a piece has 32 floats; sixteen are written for it.
        unsafe {
            V::narrow(piece.as_ptr(), to);
            to = to.add(LANES);
        }
    }
    let rest = pieces.remainder();
    if !rest.is_empty() {
        tail[..2 * LANES].fill(0.0);
        tail[..rest.len()].copy_from_slice(rest);
        // SAFETY: the tail has 32 floats; sixteen are written for it.
        unsafe { V::narrow(tail.as_ptr(), to) }
    }
}

struct Forward<'a, F> {
    weights: Weights<'a>,
    input: &'a ByFeature,
    output: &'a mut ByFeature,
    scratch: &'a mut Scratch,
    finish: F,
}

impl<F: FnMut(usize, usize, &mut [f32])> PairLoops for Forward<'_, F> {
    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Pairing>(mut self) {
        // SAFETY: the processor is the caller's word.
        unsafe {
            self.pair_input::<V>();
            let (inputs, units) = (self.input.features, self.weights.units);
            for unit in (0..units).step_by(FORWARD_ROWS) {
                for first in (0..inputs).step_by(2 * DEPTH) {
                    let units = unit..units.min(unit + FORWARD_ROWS);
                    self.block::<V>(units, first..inputs.min(first + 2 * DEPTH));
                }
            }
        }
    }
}

impl<F: FnMut(usize, usize, &mut [f32])> Forward<'_, F> {
    /// # Safety
    /// The processor has what `V` needs.
    #[inline(always)]
    unsafe fn pair_input<V: Pairing>(&mut self) {
        let features = self.input.features;
        let panels = self.input.values.chunks_exact(features * PANEL);
        let to = self
            .scratch
            .input
            .chunks_exact_mut(features.div_ceil(2) * PANEL);
        for (panel, to) in panels.zip(to).take(self.input.panels()) {
            for (rows, to) in panel.chunks(2 * PANEL).zip(to.chunks_exact_mut(PANEL)) {
                let two = rows.get(PANEL..).filter(|two| !two.is_empty());
                // SAFETY: `to` has 64 floats.
                unsafe { interleave::<V>(rows, two, to.as_mut_ptr()) }
            }
        }
    }

    /// Adds what some units have of some inputs.
    ///
    /// # Safety
    /// The processor has what `V` needs.
    #[inline(always)]
    unsafe fn block<V: Pairing>(&mut self, units: Range<usize>, inputs: Range<usize>) {
        let Weights { values, stride, .. } = self.weights;
        let Scratch {
            weights,
            tail,
            input,
            ..
        } = &mut *self.scratch;
        for (unit, to) in units.clone().zip(weights.chunks_exact_mut(DEPTH)) {
            let row = &values[unit * stride..][inputs.clone()];
            // SAFETY: a row of 2 · DEPTH floats at most has DEPTH pairs, whole sixteens.
            unsafe { narrow::<V>(row, tail, to.as_mut_ptr()) }
        }
        let (features, samples) = (self.input.features, self.input.samples);
        let depth = inputs.len().div_ceil(2);
        for panel in 0..self.input.panels() {
            let width = (samples - panel * PANEL).min(PANEL);
            let start = panel * features.div_ceil(2) + inputs.start / 2;
            let out = &mut self.output.values;
            let start_out = (panel * self.output.features + units.start) * PANEL;
            let out = out[start_out..][..units.len() * PANEL].as_mut_ptr();
            let of = Strip {
                left: weights[..units.len() * DEPTH].as_ptr(),
                left_row: DEPTH,
                left_column: 1,
                right: input[start * PANEL..][..depth * PANEL].as_ptr(),
                depth,
                rows: units.len(),
                columns: width.div_ceil(LANES),
                out,
                out_row: PANEL,
                add: inputs.start > 0,
            };
            let last = inputs.end == features;
            let finish = |row: usize, rows: usize| {
                if last {
                    for row in row..row + rows {
                        // SAFETY: row `row` of the panel's units; nothing else uses it now.
                        let sums =
                            unsafe { std::slice::from_raw_parts_mut(out.add(row * PANEL), width) };
                        (self.finish)(panel, units.start + row, sums);
                    }
                }
            };
            // SAFETY: the slices above; the processor is the caller's word.
            unsafe { strip::<V>(&of, finish) }
        }
    }
}

struct Backward<'a, F, G> {
    weights: WeightsMut<'a>,
    errors: &'a BySample,
    input: &'a BySample,
    output: Option<&'a mut BySample>,
    scratch: &'a mut Scratch,
    rows: &'a mut Floats,
    finish: F,
    visit: G,
}

impl<F, G> PairLoops for Backward<'_, F, G>
where
    F: FnMut(usize, usize, &mut [f32]),
    G: FnMut(usize, usize, &mut [f32], &mut [f32]),
{
    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Pairing>(mut self) {
        // SAFETY: the processor is the caller's word.
        unsafe {
            let [by_unit, by_sample] = &mut self.scratch.errors;
            for panel in 0..self.errors.panels() {
                let rows = sample_rows(self.errors, panel);
                let to = &mut by_unit[panel * rows.len() / 2..][..rows.len() / 2];
                narrow::<V>(rows, &mut self.scratch.tail, to.as_mut_ptr());
            }
            pair_samples::<V>(self.errors, by_sample);
            pair_samples::<V>(self.input, &mut self.scratch.input);
            let panels = self.input.panels();
            for chunk in (0..panels).step_by(CHUNK) {
                let chunk = chunk..panels.min(chunk + CHUNK);
                for first in (0..self.weights.units).step_by(PANEL) {
                    self.send_back::<V>(first, chunk.clone());
                    self.change::<V>(first, chunk.clone());
                }
            }
        }
    }
}

/// A panel's rows of 64, sample by sample.
#[inline(always)]
fn sample_rows(of: &BySample, panel: usize) -> &[f32] {
    &of.values[panel * of.capacity * PANEL..][..of.samples * PANEL]
}

/// Pairs the samples of each panel.
///
/// # Safety
/// The processor has what `V` needs.
#[inline(always)]
unsafe fn pair_samples<V: Pairing>(of: &BySample, to: &mut [f32]) {
    let pairs = of.samples.div_ceil(2) * PANEL;
    for (panel, to) in to.chunks_exact_mut(pairs).take(of.panels()).enumerate() {
        let rows = sample_rows(of, panel);
        for (rows, to) in rows.chunks(2 * PANEL).zip(to.chunks_exact_mut(PANEL)) {
            let two = rows.get(PANEL..).filter(|two| !two.is_empty());
            // SAFETY: `to` has 64 floats.
            unsafe { interleave::<V>(rows, two, to.as_mut_ptr()) }
        }
    }
}

impl<F, G> Backward<'_, F, G>
where
    F: FnMut(usize, usize, &mut [f32]),
    G: FnMut(usize, usize, &mut [f32], &mut [f32]),
{
    /// Adds what 64 units from `first` send back to some panels of inputs.
    ///
    /// # Safety
    /// The processor has what `V` needs.
    #[inline(always)]
    unsafe fn send_back<V: Pairing>(&mut self, first: usize, chunk: Range<usize>) {
        let Some(output) = self.output.take() else {
            return;
        };
        let WeightsMut { stride, units, .. } = self.weights;
        let (samples, count) = (self.errors.samples, (units - first).min(PANEL));
        let last = first + count == units;
        for panel in chunk.start..chunk.end.min(output.panels()) {
            let width = (output.features - panel * PANEL).min(PANEL);
            let at = |unit: usize| (first + unit) * stride + panel * PANEL;
            for pair in 0..count.div_ceil(2) {
                let tail = &mut self.scratch.tail[..2 * PANEL];
                tail.fill(0.0);
                let mut row = |unit: usize| {
                    tail[unit % 2 * PANEL..][..width]
                        .copy_from_slice(&self.weights.values[at(unit)..][..width]);
                };
                row(2 * pair);
                if 2 * pair + 1 < count {
                    row(2 * pair + 1);
                }
                let to = self.scratch.weights[pair * PANEL..][..PANEL].as_mut_ptr();
                let (one, two) = tail.split_at(PANEL);
                // SAFETY: `to` has 64 floats; the processor is the caller's word.
                unsafe { interleave::<V>(one, Some(two), to) }
            }
            let depth = count.div_ceil(2);
            let out = &mut output.values[panel * output.capacity * PANEL..];
            let out = out[..samples * PANEL].as_mut_ptr();
            let left = &self.scratch.errors[0][first / 2 * samples..];
            let of = Strip {
                left: left[..samples * PANEL / 2].as_ptr(),
                left_row: PANEL / 2,
                left_column: 1,
                right: self.scratch.weights[..depth * PANEL].as_ptr(),
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
    unsafe fn change<V: Pairing>(&mut self, first: usize, chunk: Range<usize>) {
        let WeightsMut { stride, units, .. } = self.weights;
        let (depth, row) = (self.errors.samples.div_ceil(2), chunk.len() * PANEL);
        let (start, end) = (
            chunk.start * PANEL,
            self.input.features.min(chunk.end * PANEL),
        );
        let errors = &self.scratch.errors[1][first / PANEL * depth * PANEL..][..depth * PANEL];
        for unit in (first..units.min(first + PANEL)).step_by(GRADIENT_ROWS) {
            let count = GRADIENT_ROWS.min(first + PANEL - unit).min(units - unit);
            for (at, panel) in chunk.clone().enumerate() {
                let of = Strip {
                    left: errors[unit - first..].as_ptr(),
                    left_row: 1,
                    left_column: PANEL,
                    right: self.scratch.input[panel * depth * PANEL..][..depth * PANEL].as_ptr(),
                    depth,
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
