//! What a saved map makes of further examples: their images, or distances of pairs of them.

use std::fmt::{Display, Formatter};
use std::io::Write;
use std::path::Path;

use super::linear::Linear;
use super::samples::read_pairs;
use crate::data::{Examples, Features, Trained};
use crate::error::{Error, Result};
use crate::program::predict::{PredictFlags, Predictions};
use crate::report::Notes;
use crate::snapshot::{SavedModel, take};

/// Vectors that are mapped at once.
const BATCH: usize = 256;

/// Writes a line for each example: its image L x, under `x1`, `x2`, ..; or with `--pairs`, for each
/// pair, its two examples and their `distance` ‖L (x − y)‖.
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
    flags.refuse_others("dml", &["--format", "--pairs"])?;
    let mut map = Map::load(model)?;
    let first = model.json("first_index")?.as_u64().unwrap_or_default() as u32;
    let examples = flags.read_examples(threads, map.inputs, first, Trained::default())?;
    match &flags.pairs {
        Some(path) => distances(&mut map, &examples, path, out),
        None => images(&mut map, &examples, out),
    }
}

fn images(map: &mut Map, examples: &Examples, out: &mut (dyn Write + Send)) -> Result<()> {
    let names: Vec<String> = (1..=map.rank).map(|number| format!("x{number}")).collect();
    let mut predictions = Predictions::begin(out, &names.join(","))?;
    let rows: Vec<u32> = (0..examples.rows() as u32).collect();
    for rows in rows.chunks(BATCH) {
        for (sample, row) in rows.iter().enumerate() {
            map.add(sample, &examples.features, *row, 1.0);
        }
        map.run(rows.len());
        for sample in 0..rows.len() {
            predictions.line(format_args!("{}", Image(map, sample)))?;
        }
        if predictions.is_closed() {
            break;
        }
    }
    predictions.finish()
}

fn distances(
    map: &mut Map,
    examples: &Examples,
    path: &Path,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let pairs = read_pairs(path, examples.rows())?;
    let mut predictions = Predictions::begin(out, "one,two,distance")?;
    for pairs in pairs.chunks(BATCH) {
        for (sample, [one, two]) in pairs.iter().enumerate() {
            map.add(sample, &examples.features, *one, 1.0);
            map.add(sample, &examples.features, *two, -1.0);
        }
        map.run(pairs.len());
        for (sample, [one, two]) in pairs.iter().enumerate() {
            let square = |r: usize| f64::from(map.linear.images.at(sample, r)).powi(2);
            let distance = (0..map.rank).map(square).sum::<f64>().sqrt() as f32;
            predictions.line(format_args!("{one},{two},{distance}"))?;
        }
        if predictions.is_closed() {
            break;
        }
    }
    predictions.finish()
}

/// L, and vectors on their way through it.
struct Map {
    matrix: Vec<f32>,
    inputs: usize,
    rank: usize,
    linear: Linear,
    /// The vectors of a mini-batch, then zeros again.
    vectors: Vec<f32>,
}

impl Map {
    fn load(model: &SavedModel) -> Result<Map> {
        let whole = |key: &str| Ok::<_, Error>(model.json(key)?.as_u64().unwrap_or_default() as usize);
        let (inputs, rank) = (whole("inputs")?, whole("dimensions")?);
        let tensor = take(&mut model.tensors()?, "L")?;
        if inputs == 0 || rank == 0 || tensor.shape != [rank, inputs] {
            let expected = format!("expected `L` of shape [{rank}, {inputs}], found {:?}", tensor.shape);
            return Err(Error::data(&model.path("model.safetensors"), 0, 0, expected));
        }
        Ok(Map {
            matrix: tensor.values()?,
            inputs,
            rank,
            linear: Linear::new(inputs, rank, BATCH),
            vectors: vec![0.0; BATCH * inputs],
        })
    }

    /// Adds an example to a vector of the mini-batch, times `sign`.
    fn add(&mut self, sample: usize, features: &Features, row: u32, sign: f32) {
        let to = &mut self.vectors[sample * self.inputs..][..self.inputs];
        if let Some(values) = features.dense_row(row as usize) {
            to.iter_mut().zip(values).for_each(|(to, value)| *to += sign * value);
        } else if let Some((columns, values)) = features.sparse_row(row as usize) {
            let pairs = columns.iter().zip(values);
            pairs.for_each(|(column, value)| to[*column as usize] += sign * value);
        }
    }

    /// Maps the first `count` vectors.
    fn run(&mut self, count: usize) {
        let vectors = self.vectors.chunks_exact_mut(self.inputs).take(count);
        self.linear.by_sample.resize(count);
        for (sample, vector) in vectors.enumerate() {
            self.linear.by_sample.set_sample(sample, vector);
            vector.fill(0.0);
        }
        self.linear.map(&self.matrix, count);
    }
}

/// An image, with commas between its numbers.
struct Image<'a>(&'a Map, usize);

impl Display for Image<'_> {
    fn fmt(&self, to: &mut Formatter) -> std::fmt::Result {
        for r in 0..self.0.rank {
            let comma = if r > 0 { "," } else { "" };
            write!(to, "{comma}{}", self.0.linear.images.at(self.1, r))?;
        }
        Ok(())
    }
}
