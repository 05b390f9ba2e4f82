//! From one layout to the other, 16 × 16 values at a time.
#![allow(unsafe_code)]

use super::lanes::Lanes;
use super::processor::Loops;
use super::{ByFeature, BySample, Kernel, LANES, PANEL};

impl Kernel {
    /// Puts a matrix into the other layout.
    ///
    /// # Panics
    /// If `to` has more features than `from`, or too little room.
    pub fn by_sample(&self, from: &ByFeature, to: &mut BySample) {
        assert!(to.features <= from.features && to.capacity >= from.samples);
        to.resize(from.samples);
        self.processor.run(ToSamples { from, to });
    }

    /// Puts a matrix into the other layout.
    ///
    /// # Panics
    /// If `to` has fewer features than `from`, or too little room.
    pub fn by_feature(&self, from: &BySample, to: &mut ByFeature) {
        assert!(to.features >= from.features && to.capacity >= from.samples);
        to.resize(from.samples);
        self.processor.run(ToFeatures { from, to });
    }
}

struct ToSamples<'a> {
    from: &'a ByFeature,
    to: &'a mut BySample,
}

impl Loops for ToSamples<'_> {
    type Output = ();

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let ToSamples { from, to } = self;
        for panel in 0..from.panels() {
            let width = (from.samples - panel * PANEL).min(PANEL);
            for feature in (0..to.features).step_by(LANES) {
                let features = (to.features - feature).min(LANES);
                let start = (panel * from.features + feature) * PANEL;
                let column = feature / PANEL * to.capacity * PANEL + feature % PANEL;
                for sample in (0..width).step_by(LANES) {
                    let rows = &from.values[start + sample..];
                    let out = &mut to.values[column + (panel * PANEL + sample) * PANEL..];
                    let samples = (width - sample).min(LANES);
                    // SAFETY: the processor is the caller's word.
                    unsafe { block::<V>(rows, features, out, samples) }
                }
            }
        }
    }
}

struct ToFeatures<'a> {
    from: &'a BySample,
    to: &'a mut ByFeature,
}

impl Loops for ToFeatures<'_> {
    type Output = ();

    // SAFETY: the trait's contract is the caller's.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let ToFeatures { from, to } = self;
        for panel in 0..to.panels() {
            let width = (from.samples - panel * PANEL).min(PANEL);
            for feature in (0..from.features).step_by(LANES) {
                let features = (from.features - feature).min(LANES);
                let start = (panel * to.features + feature) * PANEL;
                let column = feature / PANEL * from.capacity * PANEL + feature % PANEL;
                for sample in (0..width).step_by(LANES) {
                    let rows = &from.values[column + (panel * PANEL + sample) * PANEL..];
                    let out = &mut to.values[start + sample..];
                    let samples = (width - sample).min(LANES);
                    // SAFETY: the processor is the caller's word.
                    unsafe { block::<V>(rows, samples, out, features) }
                }
            }
        }
    }
}

/// Makes `columns` rows of up to sixteen values, 64 apart, of the columns of `rows` such rows;
/// what a row lacks becomes zero.
///
/// # Safety
/// The processor has what `V` needs.
#[inline(always)]
unsafe fn block<V: Lanes>(from: &[f32], rows: usize, to: &mut [f32], columns: usize) {
    assert!(from.len() >= (rows - 1) * PANEL + LANES && to.len() >= (columns - 1) * PANEL + LANES);
    // SAFETY: the assertion covers all rows; both begin at a multiple of sixteen floats of memory
    // that begins at a cache line.
    unsafe {
        let mut lanes = [V::zero(); LANES];
        for (row, lanes) in lanes.iter_mut().enumerate().take(rows) {
            *lanes = V::load(from.as_ptr().add(row * PANEL));
        }
        let out = V::transpose(lanes);
        for (row, lanes) in out.into_iter().enumerate().take(columns) {
            lanes.store(to.as_mut_ptr().add(row * PANEL));
        }
    }
}
