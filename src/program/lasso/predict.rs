//! Predictions of a saved model: ŷ, or of a logistic model the class or the probabilities.

use std::io::Write;

use super::problem::probability;
use crate::data::Features;
use crate::error::{Error, Result};
use crate::program::predict::{PredictFlags, Predictions, quoted};
use crate::report::Notes;
use crate::snapshot::{SavedModel, take};

/// Writes a line for each example: `prediction`, or `class`, or with `--probabilities` the
/// probability of each class under its name.
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
    flags.refuse_others("lasso", &["--format", "--probabilities"])?;
    let linear = Linear::load(model)?;
    if flags.probabilities && linear.classes.is_empty() {
        let message = "--probabilities: the model predicts numbers, not classes";
        return Err(Error::Usage(message.into()));
    }
    let whole = |key: &str| Ok::<_, Error>(model.json(key)?.as_u64().unwrap_or_default());
    let (features, first) = (whole("features")? as usize, whole("first_index")? as u32);
    let examples = flags.read_examples(threads, features, first)?;
    let names: Vec<String> = linear.classes.iter().map(|class| quoted(class)).collect();
    let header = match (names.is_empty(), flags.probabilities) {
        (true, _) => "prediction".to_owned(),
        (false, false) => "class".to_owned(),
        (false, true) => names.join(","),
    };
    let mut predictions = Predictions::begin(out, &header)?;
    for row in 0..examples.rows() {
        let z = linear.of(&examples.features, row);
        match (&names[..], flags.probabilities) {
            ([zero, one], false) => {
                predictions.line(format_args!("{}", if z > 0.0 { one } else { zero }))?;
            }
            ([_, _], true) => {
                predictions.line(format_args!("{},{}", probability(-z), probability(z)))?;
            }
            _ => predictions.line(format_args!("{z}"))?,
        }
    }
    predictions.finish()
}

/// A model.
struct Linear {
    columns: Vec<u32>,
    coefficients: Vec<f64>,
    intercept: f64,
    /// None, or two.
    classes: Vec<String>,
}

impl Linear {
    fn load(model: &SavedModel) -> Result<Linear> {
        let mut tensors = model.tensors()?;
        let columns: Vec<u32> = take(&mut tensors, "columns")?.values()?;
        let coefficients: Vec<f64> = take(&mut tensors, "coefficients")?.values()?;
        let intercept: Vec<f64> = take(&mut tensors, "intercept")?.values()?;
        let classes = model.json("classes")?.as_array().cloned().unwrap_or_default();
        let classes = classes.iter().filter_map(|class| class.as_str().map(str::to_owned));
        Ok(Linear {
            columns,
            coefficients,
            intercept: intercept.first().copied().unwrap_or(0.0),
            classes: classes.collect(),
        })
    }

    fn of(&self, features: &Features, row: usize) -> f64 {
        let pairs = self.columns.iter().zip(&self.coefficients);
        let sum: f64 = match (features.dense_row(row), features.sparse_row(row)) {
            (Some(values), _) => {
                let product = |(column, b): (&u32, &f64)| {
                    values.get(*column as usize).map_or(0.0, |x| f64::from(*x) * b)
                };
                pairs.map(product).sum()
            }
            (None, Some((columns, values))) => {
                let product = |(column, x): (&u32, &f32)| {
                    let found = self.columns.binary_search(column);
                    found.map_or(0.0, |at| f64::from(*x) * self.coefficients[at])
                };
                columns.iter().zip(values).map(product).sum()
            }
            (None, None) => 0.0,
        };
        self.intercept + sum
    }
}
