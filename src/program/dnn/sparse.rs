//! A first layer whose inputs are mostly 0: work and memory traffic follow the values there are.

use super::network::Layer;
use crate::data::Features;
use crate::math::gemm::{ByFeature, BySample, Kernel, PANEL};

/// A mini-batch of sparse samples.
pub(super) struct SparseInput {
    inputs: usize,
    /// Where each sample begins among the values, and where the last one ends.
    starts: Vec<usize>,
    /// Place among `met` and value.
    values: Vec<(u32, f32)>,
    /// Inputs that some sample has, ascending; the last one is the bias.
    met: Vec<u32>,
    /// By input: its place among `met` in this mini-batch, if it is there.
    places: Vec<u32>,
    sums: BySample,
    /// By place: a row of the gradient.
    gradient: Vec<f32>,
    units: usize,
}

const ABSENT: u32 = u32::MAX;

impl SparseInput {
    pub(super) fn new(inputs: usize, units: usize, batch: usize) -> SparseInput {
        SparseInput {
            inputs,
            starts: Vec::new(),
            values: Vec::new(),
            met: Vec::new(),
            places: vec![ABSENT; inputs + 1],
            sums: BySample::zeros(units, batch),
            gradient: Vec::new(),
            units,
        }
    }

    pub(super) fn met(&self) -> &[u32] {
        &self.met
    }

    pub(super) fn take(&mut self, features: &Features, rows: &[u32]) {
        for input in self.met.drain(..) {
            self.places[input as usize] = ABSENT;
        }
        self.values.clear();
        self.starts.clear();
        for row in rows {
            let (columns, _) = features.sparse_row(*row as usize).unwrap_or_default();
            for column in columns {
                let place = &mut self.places[*column as usize];
                if *place == ABSENT {
                    *place = 0;
                    self.met.push(*column);
                }
            }
        }
        self.met.sort_unstable();
        self.met.push(self.inputs as u32);
        for (place, input) in (0..).zip(&self.met) {
            self.places[*input as usize] = place;
        }
        for row in rows {
            self.starts.push(self.values.len());
            let (columns, values) = features.sparse_row(*row as usize).unwrap_or_default();
            let places = columns.iter().map(|column| self.places[*column as usize]);
            self.values.extend(places.zip(values.iter().copied()));
            self.values.push((self.met.len() as u32 - 1, 1.0));
        }
        self.starts.push(self.values.len());
        self.sums.resize(rows.len());
    }

    /// The units' sums, finished.
    pub(super) fn forward(
        &mut self,
        kernel: &Kernel,
        layer: &Layer,
        output: &mut ByFeature,
        mut finish: impl FnMut(usize, usize, &mut [f32]),
    ) {
        let SparseInput {
            starts,
            values,
            met,
            sums,
            ..
        } = self;
        kernel.processor().compiled(
            #[inline(always)]
            || {
                for (sample, range) in starts.windows(2).enumerate() {
                    for panel in 0..sums.panels() {
                        let sums = sums.piece_mut(panel, sample);
                        sums.fill(0.0);
                        for (place, value) in &values[range[0]..range[1]] {
                            let row = layer.row(met[*place as usize] as usize);
                            let row = &row[panel * PANEL..][..sums.len()];
                            sums.iter_mut().zip(row).for_each(|(s, w)| *s += value * w);
                        }
                    }
                }
            },
        );
        kernel.by_feature(sums, output);
        kernel.processor().compiled(
            #[inline(always)]
            || {
                for panel in 0..output.panels() {
                    for unit in 0..layer.units {
                        finish(panel, unit, output.feature_mut(panel, unit));
                    }
                }
            },
        );
    }

    /// The rows of the gradient that are not 0, ascending.
    pub(super) fn gradient(
        &mut self,
        errors: &BySample,
        weights: &mut [f32],
        mut visit: impl FnMut(usize, usize, &mut [f32], &mut [f32]),
    ) {
        let units = self.units;
        self.gradient.clear();
        self.gradient.resize(self.met.len() * units, 0.0);
        for (sample, range) in self.starts.windows(2).enumerate() {
            for (place, value) in &self.values[range[0]..range[1]] {
                let row = &mut self.gradient[*place as usize * units..][..units];
                for (panel, row) in row.chunks_mut(PANEL).enumerate() {
                    let errors = errors.piece(panel, sample);
                    row.iter_mut().zip(errors).for_each(|(g, e)| *g += value * e);
                }
            }
        }
        for (input, row) in self.met.iter().zip(self.gradient.chunks_exact_mut(units)) {
            let weights = &mut weights[*input as usize * units..][..units];
            visit(*input as usize, 0, weights, row);
        }
    }
}
