//! Predictions of a saved network: the likeliest class, the probabilities of all, or a number.

use std::io::Write;

use super::network::{Network, Shape};
use super::options::Unit;
use crate::data::{Examples, Features, Trained};
use crate::error::{Error, Result};
use crate::math::gemm::Kernel;
use crate::program::predict::{Answers, PredictFlags, Predictions};
use crate::report::Notes;
use crate::snapshot::{SavedModel, Tensor, take};

/// Examples that go through the network at once.
const BATCH: usize = 256;
/// Most layers of a network that is read.
const LAYERS_MAX: usize = 1 << 12;

/// Writes a line for each example: `class`, or with `--probabilities` the probability of each class
/// under its name; `prediction` where the network predicts numbers.
///
/// # Errors
/// Status 65 or 66 for a model or data that is not as it should be, 74 if nobody can be told.
pub fn run(
    model: &SavedModel,
    flags: &PredictFlags,
    threads: usize,
    out: &mut (dyn Write + Send),
    _notes: &Notes,
) -> Result<()> {
    flags.refuse_others("dnn", &["--format", "--probabilities"])?;
    let saved = Saved::load(model)?;
    let Answers { names, header } = flags.answers(&saved.classes)?;
    let examples = flags.read_examples(threads, saved.sizes[0], saved.first_index, Trained::default())?;
    let mut network = saved.network(&examples);
    let mut predictions = Predictions::begin(out, &header)?;
    let rows: Vec<u32> = (0..examples.rows() as u32).collect();
    let mut probabilities = Vec::new();
    for rows in rows.chunks(BATCH) {
        network.take(&examples.features, rows);
        network.forward(None);
        for sample in 0..rows.len() {
            let outputs = (0..saved.outputs()).map(|output| network.outputs.at(sample, output));
            match (names.is_empty(), flags.probabilities) {
                (true, _) => predictions.line(format_args!("{}", network.outputs.at(sample, 0)))?,
                (false, false) => predictions.line(format_args!("{}", names[likeliest(outputs)]))?,
                (false, true) => {
                    softmax(outputs, &mut probabilities);
                    predictions.line(format_args!("{}", Joined(&probabilities)))?;
                }
            }
        }
        if predictions.is_closed() {
            break;
        }
    }
    predictions.finish()
}

/// Numbers with commas between.
struct Joined<'a>(&'a [f64]);

impl std::fmt::Display for Joined<'_> {
    fn fmt(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        for (at, number) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(to, "{comma}{number}")?;
        }
        Ok(())
    }
}

/// The first of the largest.
fn likeliest(outputs: impl Iterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, output) in outputs.enumerate() {
        if output > best.1 {
            best = (at, output);
        }
    }
    best.0
}

fn softmax(outputs: impl Iterator<Item = f32> + Clone, to: &mut Vec<f64>) {
    let highest = outputs.clone().fold(f32::NEG_INFINITY, f32::max);
    to.clear();
    to.extend(outputs.map(|output| f64::from(output - highest).exp()));
    let sum: f64 = to.iter().sum();
    to.iter_mut().for_each(|probability| *probability /= sum);
}

/// A network as its folder holds it.
struct Saved {
    /// Inputs, units of the hidden layers, outputs.
    sizes: Vec<usize>,
    unit: Unit,
    classes: Vec<String>,
    first_index: u32,
    /// Weights and biases by layer.
    layers: Vec<[Vec<f32>; 2]>,
}

impl Saved {
    fn load(model: &SavedModel) -> Result<Saved> {
        let damaged = |expected: &str| Error::data(&model.path("model.json"), 0, 0, expected);
        let list = |key: &str| Ok::<_, Error>(model.json(key)?.as_array().cloned().unwrap_or_default());
        let sizes = list("sizes")?;
        let sizes: Option<Vec<usize>> =
            sizes.iter().map(|size| size.as_u64().filter(|size| *size > 0).map(|size| size as usize)).collect();
        let sizes = sizes.filter(|sizes| (2..LAYERS_MAX).contains(&sizes.len()));
        let sizes = sizes.ok_or_else(|| damaged("expected `sizes`: inputs, units by layer, outputs"))?;
        let classes = list("classes")?;
        let classes: Vec<String> =
            classes.iter().filter_map(|class| class.as_str().map(str::to_owned)).collect();
        if classes.len().max(1) != sizes[sizes.len() - 1] {
            return Err(damaged("expected a class for each output"));
        }
        let activation = model.json("activation")?.as_str().unwrap_or_default();
        let unit = <Unit as clap::ValueEnum>::from_str(activation, false);
        let mut tensors = model.tensors()?;
        let layers = sizes.windows(2).enumerate();
        let layers = layers.map(|(number, pair)| layer(&mut tensors, number, pair));
        Ok(Saved {
            layers: layers.collect::<Result<_>>()?,
            unit: unit.map_err(|_| damaged("expected a known `activation`"))?,
            first_index: model.json("first_index")?.as_u64().unwrap_or_default() as u32,
            sizes,
            classes,
        })
    }

    fn outputs(&self) -> usize {
        self.classes.len().max(1)
    }

    /// The network, for examples like these.
    fn network(&self, examples: &Examples) -> Network {
        let shape = Shape {
            sizes: self.sizes.clone(),
            sparse: matches!(examples.features, Features::Sparse { .. }),
            activation: self.unit.activation(),
            dropout: 0.0,
            batch: BATCH,
        };
        let mut network = Network::new(&shape, Kernel::new());
        for (layer, [weights, biases]) in network.layers.iter_mut().zip(&self.layers) {
            let inputs = layer.inputs;
            for (unit, (weights, bias)) in weights.chunks_exact(inputs).zip(biases).enumerate() {
                for (input, weight) in weights.iter().chain([bias]).enumerate() {
                    *layer.weight_mut(unit, input) = *weight;
                }
            }
        }
        network
    }
}

/// Weights and biases of a layer between so many inputs and units.
fn layer(tensors: &mut Vec<Tensor>, number: usize, pair: &[usize]) -> Result<[Vec<f32>; 2]> {
    let [inputs, units] = [pair[0], pair[1]];
    let mut get = |name: &str, shape: &[usize]| {
        let tensor = take(tensors, &format!("layers.{number}.{name}"))?;
        match tensor.shape == shape {
            true => tensor.values::<f32>(),
            false => Err(Error::data(
                std::path::Path::new("model.safetensors"),
                0,
                0,
                format!("expected `{}` of shape {shape:?}, found {:?}", tensor.name, tensor.shape),
            )),
        }
    };
    Ok([get("weight", &[units, inputs])?, get("bias", &[units])?])
}
