//! What a saved map makes of further examples: their images, or distances of pairs of them.

use std::fmt::{Display, Formatter};
use std::io::Write;
use std::path::Path;

use super::mapper::Mapper;
use super::samples::{fitting, read_pairs};
use super::sparse::transposed;
use crate::data::{Features, Trained};
use crate::error::{Error, Result};
use crate::math::gemm::Kernel;
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
    let first = model.json("first_index")?.as_u64().unwrap_or_default() as u32;
    let read = |inputs| flags.read_examples(threads, inputs, first, Trained::default());
    let (mut map, features) = Map::load(model, |inputs| Ok(fitting(read(inputs)?.features)))?;
    match &flags.pairs {
        Some(path) => distances(&mut map, &features, path, out),
        None => images(&mut map, &features, out),
    }
}

fn images(map: &mut Map, features: &Features, out: &mut (dyn Write + Send)) -> Result<()> {
    let names: Vec<String> = (1..=map.rank).map(|number| format!("x{number}")).collect();
    let mut predictions = Predictions::begin(out, &names.join(","))?;
    let rows: Vec<u32> = (0..features.rows() as u32).collect();
    for rows in rows.chunks(BATCH) {
        let mut written = Ok(());
        map.mapper.map(&map.matrix, features, rows, |_, image| {
            if written.is_ok() {
                written = predictions.line(format_args!("{}", Image(image)));
            }
        });
        written?;
        if predictions.is_closed() {
            break;
        }
    }
    predictions.finish()
}

fn distances(
    map: &mut Map,
    features: &Features,
    path: &Path,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let pairs = read_pairs(path, features.rows())?;
    let mut predictions = Predictions::begin(out, "one,two,distance")?;
    for pairs in pairs.chunks(BATCH) {
        let mut written = Ok(());
        map.mapper.map_pairs(&map.matrix, features, pairs, |at, image| {
            let squares = image.iter().map(|x| f64::from(*x).powi(2));
            let distance = squares.sum::<f64>().sqrt() as f32;
            let [one, two] = pairs[at];
            if written.is_ok() {
                written = predictions.line(format_args!("{one},{two},{distance}"));
            }
        });
        written?;
        if predictions.is_closed() {
            break;
        }
    }
    predictions.finish()
}

/// L, and vectors on their way through it.
struct Map {
    /// By row, or by feature if examples are sparse.
    matrix: Vec<f32>,
    rank: usize,
    mapper: Mapper,
}

impl Map {
    fn load(model: &SavedModel, features: impl FnOnce(usize) -> Result<Features>) -> Result<(Map, Features)> {
        let whole = |key: &str| Ok::<_, Error>(model.json(key)?.as_u64().unwrap_or_default() as usize);
        let (inputs, rank) = (whole("inputs")?, whole("dimensions")?);
        let tensor = take(&mut model.tensors()?, "L")?;
        if inputs == 0 || rank == 0 || tensor.shape != [rank, inputs] {
            let expected = format!("expected `L` of shape [{rank}, {inputs}], found {:?}", tensor.shape);
            return Err(Error::data(&model.path("model.safetensors"), 0, 0, expected));
        }
        let features = features(inputs)?;
        let mut matrix: Vec<f32> = tensor.values()?;
        if matches!(features, Features::Sparse { .. }) {
            matrix = transposed(&matrix, inputs);
        }
        let mapper = Mapper::new(&features, Kernel::new(), rank, BATCH);
        Ok((Map { matrix, rank, mapper }, features))
    }
}

/// An image, with commas between its numbers.
struct Image<'a>(&'a [f32]);

impl Display for Image<'_> {
    fn fmt(&self, to: &mut Formatter) -> std::fmt::Result {
        for (r, x) in self.0.iter().enumerate() {
            let comma = if r > 0 { "," } else { "" };
            write!(to, "{comma}{x}")?;
        }
        Ok(())
    }
}
