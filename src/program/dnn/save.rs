//! The model on disk.
//!
//! | tensor | type, shape | what |
//! |---|---|---|
//! | `layers.0.weight`, `layers.1.weight`, .. | f32, units × inputs | weights, from the input on |
//! | `layers.0.bias`, `layers.1.bias`, .. | f32, units | biases |
//!
//! The names and shapes are those of a `ModuleList` of `Linear` layers in PyTorch. Features go in as
//! they are in the files: what brings them to a common scale is in the first layer, and what brings
//! numbers back to theirs is in the last.

use super::network::Layer;
use super::samples::Known;
use crate::snapshot::{Model, Tensor};

/// Writes the weights and what belongs to them.
pub(super) fn save(layers: &[Layer], known: &Known, activation: &str, model: &mut Model) {
    let last = layers.len().saturating_sub(1);
    for (number, layer) in layers.iter().enumerate() {
        let (mut weights, mut biases) = plain(layer);
        if number == 0 {
            unscale_inputs(known, layer, &mut weights, &mut biases);
        }
        if number == last {
            let (mean, deviation) = known.target_scaling;
            weights.iter_mut().for_each(|w| *w *= deviation);
            biases.iter_mut().for_each(|b| *b = *b * deviation + mean);
        }
        let floats = |values: &[f64]| -> Vec<f32> { values.iter().map(|v| *v as f32).collect() };
        let (units, inputs) = (layer.units, layer.inputs);
        model.tensors(vec![
            Tensor::new(format!("layers.{number}.weight"), &[units, inputs], &floats(&weights)),
            Tensor::new(format!("layers.{number}.bias"), &[units], &floats(&biases)),
        ]);
    }
    let sizes = layers.iter().map(|layer| layer.units as u64);
    let sizes: Vec<u64> = std::iter::once(known.inputs as u64).chain(sizes).collect();
    model.json("sizes", sizes);
    model.json("activation", activation);
    model.json("classes", known.classes.clone());
    model.json("first_index", known.first_index);
    if let Some(names) = &known.names {
        model.json("features", names.clone());
    }
}

/// Units × inputs weights, and biases.
fn plain(layer: &Layer) -> (Vec<f64>, Vec<f64>) {
    let (units, inputs) = (layer.units, layer.inputs);
    let at = |unit: usize, input: usize| {
        let place = match layer.sparse {
            true => input * units + unit,
            false => unit * (inputs + 1) + input,
        };
        f64::from(layer.weights[place])
    };
    let weights = (0..units).flat_map(|unit| (0..inputs).map(move |input| (unit, input)));
    let weights = weights.map(|(unit, input)| at(unit, input)).collect();
    (weights, (0..units).map(|unit| at(unit, inputs)).collect())
}

/// `w (x − m) s = (w s) x − (w s) m`
fn unscale_inputs(known: &Known, layer: &Layer, weights: &mut [f64], biases: &mut [f64]) {
    let Some(scaling) = &known.scaling else {
        return;
    };
    for (row, bias) in weights.chunks_exact_mut(layer.inputs).zip(biases) {
        for (w, (mean, scale)) in row.iter_mut().zip(scaling.means.iter().zip(&scaling.scales)) {
            *w *= scale;
            *bias -= *w * mean;
        }
    }
}
