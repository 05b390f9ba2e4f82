//! Matrices of a mini-batch, laid out for [`super::Kernel`].

use std::ops::{Deref, DerefMut};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::PANEL;

/// A cache line of floats.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Floats that begin at a cache line.
#[derive(Clone, Default)]
pub struct Floats(Vec<Line>);

impl Floats {
    /// At least `length` zeros, filled up to whole lines.
    pub fn zeros(length: usize) -> Floats {
        Floats(vec![Line([0.0; 16]); length.div_ceil(16)])
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // A line is sixteen floats and nothing else, so this is never empty unless there are none.
        <[f32]>::ref_from_bytes(self.0.as_bytes()).unwrap_or_default()
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        <[f32]>::mut_from_bytes(self.0.as_mut_bytes()).unwrap_or_default()
    }
}

/// A samples × features matrix with features one below the other: for each panel of 64 samples, for
/// each feature, the panel's values. Samples that a last panel lacks have values without meaning.
#[derive(Clone, Default)]
pub struct ByFeature {
    pub(super) values: Floats,
    pub(super) features: usize,
    pub(super) samples: usize,
    pub(super) capacity: usize,
}

/// A samples × features matrix with samples one below the other: for each panel of 64 features, for
/// each sample, the panel's values. Features that a last panel lacks are zero.
#[derive(Clone, Default)]
pub struct BySample {
    pub(super) values: Floats,
    pub(super) features: usize,
    pub(super) samples: usize,
    pub(super) capacity: usize,
}

impl ByFeature {
    /// Zeros; room for `capacity` samples.
    pub fn zeros(features: usize, capacity: usize) -> ByFeature {
        ByFeature {
            values: Floats::zeros(capacity.div_ceil(PANEL) * features * PANEL),
            features,
            samples: capacity,
            capacity,
        }
    }

    /// Goes on with so many samples; at most the capacity.
    pub fn resize(&mut self, samples: usize) {
        assert!(samples <= self.capacity);
        self.samples = samples;
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Sets a feature to one value for all samples there can be.
    pub fn fill_feature(&mut self, feature: usize, value: f32) {
        let size = self.features * PANEL;
        for panel in self.values.chunks_exact_mut(size) {
            panel[feature * PANEL..(feature + 1) * PANEL].fill(value);
        }
    }

    /// The values of a feature for a panel of samples.
    pub fn feature(&self, panel: usize, feature: usize) -> &[f32] {
        let width = (self.samples - panel * PANEL).min(PANEL);
        &self.values[(panel * self.features + feature) * PANEL..][..width]
    }

    /// The values of a feature for a panel of samples.
    pub fn feature_mut(&mut self, panel: usize, feature: usize) -> &mut [f32] {
        let width = (self.samples - panel * PANEL).min(PANEL);
        &mut self.values[(panel * self.features + feature) * PANEL..][..width]
    }

    /// Panels of samples.
    pub fn panels(&self) -> usize {
        self.samples.div_ceil(PANEL)
    }

    /// One value.
    pub fn at(&self, sample: usize, feature: usize) -> f32 {
        self.values[(sample / PANEL * self.features + feature) * PANEL + sample % PANEL]
    }

    /// One value.
    pub fn at_mut(&mut self, sample: usize, feature: usize) -> &mut f32 {
        &mut self.values[(sample / PANEL * self.features + feature) * PANEL + sample % PANEL]
    }
}

impl BySample {
    /// Zeros; room for `capacity` samples.
    pub fn zeros(features: usize, capacity: usize) -> BySample {
        BySample {
            values: Floats::zeros(features.div_ceil(PANEL) * capacity * PANEL),
            features,
            samples: capacity,
            capacity,
        }
    }

    /// Goes on with so many samples; at most the capacity.
    pub fn resize(&mut self, samples: usize) {
        assert!(samples <= self.capacity);
        self.samples = samples;
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Panels of features.
    pub fn panels(&self) -> usize {
        self.features.div_ceil(PANEL)
    }

    /// A sample's values of a panel of features: 64, or fewer in the last one.
    pub fn piece(&self, panel: usize, sample: usize) -> &[f32] {
        let width = (self.features - panel * PANEL).min(PANEL);
        &self.values[(panel * self.capacity + sample) * PANEL..][..width]
    }

    /// A sample's values of a panel of features.
    pub fn piece_mut(&mut self, panel: usize, sample: usize) -> &mut [f32] {
        let width = (self.features - panel * PANEL).min(PANEL);
        &mut self.values[(panel * self.capacity + sample) * PANEL..][..width]
    }

    /// One value.
    pub fn at(&self, sample: usize, feature: usize) -> f32 {
        self.piece(feature / PANEL, sample)[feature % PANEL]
    }

    /// Sets a sample's values of its first features.
    pub fn set_sample(&mut self, sample: usize, values: &[f32]) {
        for (panel, values) in values.chunks(PANEL).enumerate() {
            self.piece_mut(panel, sample)[..values.len()].copy_from_slice(values);
        }
    }

    /// Sets one value.
    pub fn set(&mut self, sample: usize, feature: usize, value: f32) {
        self.piece_mut(feature / PANEL, sample)[feature % PANEL] = value;
    }
}
