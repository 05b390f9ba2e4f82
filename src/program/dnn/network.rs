//! A worker's network: weights, and the memory of a mini-batch on its way through the layers.

use super::sparse::SparseInput;
use crate::data::Features;
use crate::math::activation::Activation;
use crate::math::gemm::{ByFeature, BySample, Kernel, PANEL, Weights, WeightsMut};
use crate::math::rng::mix;

/// The weights of a layer as this worker sees them, and what the optimiser remembers of them.
///
/// A dense layer has a row for each unit: its inputs' weights, then its bias. A sparse first layer
/// has a row for each input and a last one of biases: a mini-batch only meets a few of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) shape: LayerShape,
    pub(super) weights: Vec<f32>,
    /// The weights at the last exchange, if others change the tables meanwhile.
    pub(super) start: Option<Vec<f32>>,
    /// As long as the weights each.
    pub(super) states: Vec<Vec<f32>>,
}

/// What a layer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LayerShape {
    pub(super) units: usize,
    /// Without the one that is always 1.
    pub(super) inputs: usize,
    pub(super) sparse: bool,
}

/// What a network looks like.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Inputs, units of the hidden layers, outputs.
    pub(super) sizes: Vec<usize>,
    pub(super) sparse: bool,
    pub(super) activation: Activation,
    pub(super) dropout: f32,
    /// Most samples of a mini-batch.
    pub(super) batch: usize,
}

/// Some weights of a row, one after the other, and their gradient.
pub(super) struct Piece<'a> {
    pub(super) layer: &'a LayerShape,
    pub(super) row: usize,
    /// The first of them.
    pub(super) first: usize,
    pub(super) weights: &'a mut [f32],
    /// What the optimiser remembers of the layer.
    pub(super) states: &'a mut [Vec<f32>],
    pub(super) gradient: &'a [f32],
}

/// What is done with a piece of a gradient while it is in the cache.
pub(super) trait Visitor {
    /// A piece of a layer's weights with its gradient; each that has one comes once.
    fn piece(&mut self, piece: Piece);

    /// What the gradient of a dense layer is about to be made of.
    fn factors(&mut self, _number: usize, _errors: &BySample, _input: &BySample) {}

    /// The layer's last row has come.
    fn done(&mut self, _number: usize, _layer: &mut Layer) {}
}

/// The network of one worker.
pub(super) struct Network {
    pub(super) kernel: Kernel,
    pub(super) layers: Vec<Layer>,
    activation: Activation,
    /// Part of the units that are switched off while training.
    dropout: f32,
    input: Input,
    hidden: Vec<Hidden>,
    /// Outputs, then their errors.
    pub(super) outputs: ByFeature,
    errors: BySample,
}

enum Input {
    Dense {
        by_sample: BySample,
        by_feature: ByFeature,
    },
    Sparse(SparseInput),
}

/// A hidden layer's mini-batch.
struct Hidden {
    /// With a last feature that is always 1.
    by_feature: ByFeature,
    by_sample: BySample,
    /// Slopes of the units, where they do not follow from the outputs.
    slopes: Option<(ByFeature, BySample)>,
    errors: BySample,
}

impl LayerShape {
    /// Rows of the layer's table.
    pub(super) fn rows(&self) -> usize {
        if self.sparse { self.inputs + 1 } else { self.units }
    }

    /// Floats of a row.
    pub(super) fn width(&self) -> usize {
        if self.sparse { self.units } else { self.inputs + 1 }
    }
}

impl std::ops::Deref for Layer {
    type Target = LayerShape;

    fn deref(&self) -> &LayerShape {
        &self.shape
    }
}

impl Layer {
    pub(super) fn new(inputs: usize, units: usize, sparse: bool) -> Layer {
        Layer {
            shape: LayerShape {
                units,
                inputs,
                sparse,
            },
            weights: vec![0.0; units * (inputs + 1)],
            start: None,
            states: Vec::new(),
        }
    }

    /// A row of the weights.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.weights[row * self.width()..][..self.width()]
    }

    /// The weight of a unit's input; that of the input after the last one is the bias.
    pub(super) fn weight_mut(&mut self, unit: usize, input: usize) -> &mut f32 {
        let width = self.width();
        match self.sparse {
            true => &mut self.weights[input * width + unit],
            false => &mut self.weights[unit * width + input],
        }
    }

    fn view(&self) -> Weights<'_> {
        Weights {
            values: &self.weights,
            stride: self.width(),
            units: self.units,
        }
    }
}

impl Hidden {
    fn new(units: usize, shape: &Shape) -> Hidden {
        let mut by_feature = ByFeature::zeros(units + 1, shape.batch);
        by_feature.fill_feature(units, 1.0);
        let follows = shape.activation.slope_follows();
        // A unit of relu that is switched off looks like one that is off by itself.
        let stored = !follows || (shape.dropout > 0.0 && shape.activation != Activation::Relu);
        let slopes = || {
            (
                ByFeature::zeros(units, shape.batch),
                BySample::zeros(units, shape.batch),
            )
        };
        Hidden {
            by_feature,
            by_sample: BySample::zeros(units + 1, shape.batch),
            slopes: stored.then(slopes),
            errors: BySample::zeros(units, shape.batch),
        }
    }
}

impl Network {
    /// A network with weights of 0.
    pub(super) fn new(shape: &Shape, kernel: Kernel) -> Network {
        let pairs = shape.sizes.windows(2).enumerate();
        let layers = pairs.map(|(at, pair)| Layer::new(pair[0], pair[1], shape.sparse && at == 0));
        let layers: Vec<Layer> = layers.collect();
        let (inputs, outputs) = (shape.sizes[0], shape.sizes[shape.sizes.len() - 1]);
        let input = if shape.sparse {
            Input::Sparse(SparseInput::new(inputs, shape.sizes[1], shape.batch))
        } else {
            let mut by_sample = BySample::zeros(inputs + 1, shape.batch);
            (0..shape.batch).for_each(|sample| by_sample.set(sample, inputs, 1.0));
            let by_feature = ByFeature::zeros(inputs + 1, shape.batch);
            Input::Dense {
                by_sample,
                by_feature,
            }
        };
        let hidden = &shape.sizes[1..shape.sizes.len() - 1];
        Network {
            kernel,
            layers,
            activation: shape.activation,
            dropout: shape.dropout,
            input,
            hidden: hidden.iter().map(|units| Hidden::new(*units, shape)).collect(),
            outputs: ByFeature::zeros(outputs, shape.batch),
            errors: BySample::zeros(outputs, shape.batch),
        }
    }

    /// Takes the samples `rows` in. The rows of a sparse first layer that they meet are then in
    /// [`Network::met`].
    pub(super) fn take(&mut self, features: &Features, rows: &[u32]) {
        match &mut self.input {
            Input::Sparse(input) => input.take(features, rows),
            Input::Dense {
                by_sample,
                by_feature,
            } => {
                by_sample.resize(rows.len());
                for (sample, row) in rows.iter().enumerate() {
                    if let Some(values) = features.dense_row(*row as usize) {
                        by_sample.set_sample(sample, values);
                    }
                }
                self.kernel.by_feature(by_sample, by_feature);
            }
        }
        self.outputs.resize(rows.len());
    }

    /// Rows of the first layer that the samples need, ascending; of a dense layer none in
    /// particular.
    pub(super) fn met(&self) -> &[u32] {
        match &self.input {
            Input::Sparse(input) => input.met(),
            Input::Dense { .. } => &[],
        }
    }

    /// Computes the outputs; with `seed`, for training: the memory for [`Network::backward`] is
    /// filled, and units are switched off by that seed.
    pub(super) fn forward(&mut self, seed: Option<u64>) {
        let Network {
            kernel,
            layers,
            hidden,
            ..
        } = self;
        let (last, samples) = (layers.len() - 1, self.outputs.samples());
        for (number, layer) in layers.iter().enumerate() {
            let (before, after) = hidden.split_at_mut(number.min(last));
            let finish = Finish {
                activation: self.activation,
                drop: seed
                    .filter(|_| self.dropout > 0.0)
                    .map(|seed| Dropout::new(seed, number, self.dropout)),
            };
            let (output, mut slopes) = match after.first_mut() {
                Some(hidden) => (&mut hidden.by_feature, hidden.slopes.as_mut()),
                None => (&mut self.outputs, None),
            };
            let ends = number == last;
            if let Some((slopes, _)) = &mut slopes {
                slopes.resize(samples);
            }
            let done = |panel: usize, unit: usize, sums: &mut [f32]| {
                if !ends {
                    let slopes = slopes.as_mut().map(|(all, _)| all.feature_mut(panel, unit));
                    finish.unit(panel, unit, sums, slopes);
                }
            };
            match (&mut self.input, before.last()) {
                (_, Some(before)) => kernel.forward(layer.view(), &before.by_feature, output, done),
                (Input::Dense { by_feature, .. }, None) => {
                    kernel.forward(layer.view(), by_feature, output, done);
                }
                (Input::Sparse(input), None) => input.forward(kernel, layer, output, done),
            }
        }
        if seed.is_some() {
            for hidden in &mut self.hidden {
                self.kernel.by_sample(&hidden.by_feature, &mut hidden.by_sample);
                if let Some((from, to)) = &mut hidden.slopes {
                    self.kernel.by_sample(from, to);
                }
            }
        }
    }

    /// Takes the errors, which are in the place of the outputs, back through the layers.
    pub(super) fn backward(&mut self, visitor: &mut impl Visitor) {
        let Network {
            kernel,
            layers,
            hidden,
            outputs,
            errors,
            ..
        } = self;
        kernel.by_sample(outputs, errors);
        for (number, layer) in layers.iter_mut().enumerate().rev() {
            let (before, after) = hidden.split_at_mut(number);
            let errors = after.first().map_or(&*errors, |hidden| &hidden.errors);
            match (&self.input, before.last()) {
                (_, Some(before)) => visitor.factors(number, errors, &before.by_sample),
                (Input::Dense { by_sample, .. }, None) => {
                    visitor.factors(number, errors, by_sample);
                }
                (Input::Sparse(_), None) => {}
            }
            let Layer {
                shape,
                weights,
                states,
                ..
            } = layer;
            let visit = |row: usize, first: usize, weights: &mut [f32], gradient: &mut [f32]| {
                visitor.piece(Piece {
                    layer: shape,
                    row,
                    first,
                    weights,
                    states,
                    gradient,
                });
            };
            if let (Input::Sparse(input), None) = (&mut self.input, before.last()) {
                input.gradient(errors, weights, visit);
                visitor.done(number, layer);
                continue;
            }
            let weights = WeightsMut {
                values: weights,
                stride: shape.width(),
                units: shape.units,
            };
            match (&self.input, before.last_mut()) {
                (_, Some(before)) => {
                    let back = Back {
                        activation: self.activation,
                        outputs: &before.by_sample,
                        slopes: before.slopes.as_ref().map(|(_, slopes)| slopes),
                        scale: 1.0 / (1.0 - self.dropout),
                    };
                    let finish = |panel: usize, sample: usize, sums: &mut [f32]| {
                        back.unit(panel, sample, sums);
                    };
                    let to = Some(&mut before.errors);
                    kernel.backward(weights, errors, &before.by_sample, to, finish, visit);
                }
                (Input::Dense { by_sample, .. }, None) => {
                    kernel.backward(weights, errors, by_sample, None, |_, _, _| (), visit);
                }
                (Input::Sparse(_), None) => {}
            }
            visitor.done(number, layer);
        }
    }
}

/// What happens to the errors that come back to hidden units.
struct Back<'a> {
    activation: Activation,
    outputs: &'a BySample,
    slopes: Option<&'a BySample>,
    /// Of the units that are not switched off.
    scale: f32,
}

impl Back<'_> {
    #[inline(always)]
    fn unit(&self, panel: usize, sample: usize, errors: &mut [f32]) {
        if let Some(slopes) = self.slopes {
            let slopes = slopes.piece(panel, sample);
            errors.iter_mut().zip(slopes).for_each(|(error, slope)| *error *= *slope);
            return;
        }
        let outputs = self.outputs.piece(panel, sample);
        self.activation.multiply_slopes(outputs, errors);
        if self.scale > 1.0 {
            errors.iter_mut().for_each(|error| *error *= self.scale);
        }
    }
}

/// What happens to a hidden unit's sums.
struct Finish {
    activation: Activation,
    drop: Option<Dropout>,
}

/// Which units are switched off.
struct Dropout {
    seed: u32,
    /// Of 2³²: below it a unit is off.
    limit: u32,
    scale: f32,
}

impl Dropout {
    fn new(seed: u64, layer: usize, part: f32) -> Dropout {
        Dropout {
            seed: mix(seed ^ mix(layer as u64)) as u32,
            limit: (f64::from(part) * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - part),
        }
    }

    /// 0 or what makes up for the units that are off.
    #[inline(always)]
    fn factor(&self, place: u32) -> f32 {
        // The finaliser of MurmurHash3: enough to be unrelated to its neighbours.
        let x = place.wrapping_mul(0x9E37_79B9) ^ self.seed;
        let x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        let x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        if (x ^ (x >> 16)) < self.limit { 0.0 } else { self.scale }
    }
}

impl Finish {
    #[inline(always)]
    fn unit(&self, panel: usize, unit: usize, sums: &mut [f32], slopes: Option<&mut [f32]>) {
        let first = ((unit as u32) << 10).wrapping_add((panel * PANEL) as u32);
        if let Some(slopes) = slopes {
            self.activation.slopes(sums, slopes);
            if let Some(drop) = &self.drop {
                for (place, slope) in (first..).zip(slopes) {
                    *slope *= drop.factor(place);
                }
            }
        }
        self.activation.apply(sums);
        if let Some(drop) = &self.drop {
            for (place, sum) in (first..).zip(sums) {
                *sum *= drop.factor(place);
            }
        }
    }
}
