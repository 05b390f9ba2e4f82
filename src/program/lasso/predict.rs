//! Predictions of a saved model: ŷ, or of a logistic model the class or the probabilities.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::io::Write;
use std::path::Path;

use foldhash::fast::FixedState;
use serde_json::Value;

use super::problem::probability;
use super::save::{DROPPED_COLUMNS, FEATURE_NAMES, TARGET_COLUMN, WEIGHT_COLUMN};
use crate::data::{Design, Features, Trained};
use crate::error::{Error, Result};
use crate::program::predict::{Answers, PredictFlags, Predictions};
use crate::report::Notes;
use crate::snapshot::{SavedModel, take};

/// Writes a line for each example: `prediction`, or `class`, or with `--probabilities` the
/// probability of each class under its name. Where the model and the data name their features, they
/// are known by name; else by their place. Targets and weights may be there, as in training, or not.
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
    let Answers { names, header } = flags.answers(&linear.classes)?;
    let fitted = linear.fitted(model, flags, threads)?;
    let mut predictions = Predictions::begin(out, &header)?;
    for z in fitted {
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
    /// Number of features.
    features: usize,
    first_index: u32,
    /// Features and their coefficients, those that are not 0, ascending.
    terms: Vec<(u32, f64)>,
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
        let whole = |key: &str| Ok::<_, Error>(model.json(key)?.as_u64().unwrap_or_default());
        Ok(Linear {
            features: whole("features")? as usize,
            first_index: whole("first_index")? as u32,
            terms: columns.into_iter().zip(coefficients).collect(),
            intercept: intercept.first().copied().unwrap_or(0.0),
            classes: texts(model.json("classes")?),
        })
    }

    /// The fitted value of each example.
    fn fitted(mut self, model: &SavedModel, flags: &PredictFlags, threads: usize) -> Result<Vec<f64>> {
        let trained = trained(model)?;
        if let [path] = &flags.data[..]
            && Design::is_at(path)
        {
            let needed = "examples that are read: a design has this already";
            if flags.format.is_some() {
                return Err(Error::Usage(format!("--format: means nothing without {needed}")));
            }
            flags.columns.refuse_all(needed)?;
            return self.of_design(&Design::open(path, threads)?, &trained.names);
        }
        let names = trained.names.clone();
        let examples = flags.read_examples(threads, self.features, self.first_index, trained)?;
        if let Some(given) = examples.names.as_ref().filter(|_| !names.is_empty()) {
            let path = examples.files().next().unwrap_or(Path::new("-"));
            self.move_to(&names, given.iter().map(String::as_str), path)?;
        }
        Ok((0..examples.rows()).map(|row| self.of(&examples.features, row)).collect())
    }

    /// Moves the terms to the places that the data's names have.
    fn move_to<'a>(
        &mut self,
        names: &[String],
        given: impl Iterator<Item = &'a str>,
        path: &Path,
    ) -> Result<()> {
        let mut places: HashMap<&str, u32, FixedState> = HashMap::default();
        for (name, place) in given.zip(0..) {
            places.entry(name).or_insert(place);
        }
        for (column, _) in &mut self.terms {
            let name = names.get(*column as usize).map_or("", String::as_str);
            let place = places.get(name).ok_or_else(|| {
                let message = format!("expected a feature `{name}`, as the model was trained with");
                Error::data(path, 0, 0, message)
            })?;
            *column = *place;
        }
        self.terms.sort_unstable_by_key(|(column, _)| *column);
        Ok(())
    }

    fn of_design(mut self, design: &Design, names: &[String]) -> Result<Vec<f64>> {
        let columns = design.columns();
        if design.has_names() && !names.is_empty() {
            let given = (0..columns).map(|column| design.name(column).unwrap_or_default());
            self.move_to(names, given, design.path())?;
        } else if design.is_dense() && columns != self.features {
            let message = format!(
                "expected {} features as the model was trained with, saw {columns}",
                self.features
            );
            return Err(Error::data(design.path(), 0, 0, message));
        }
        let mut fitted = vec![self.intercept; design.rows()];
        for (column, b) in &self.terms {
            // The same index may be another column where indices begin elsewhere.
            let index = u64::from(*column) + u64::from(self.first_index);
            let place = match names.is_empty() {
                true => index.checked_sub(u64::from(design.first_index())),
                false => Some(u64::from(*column)),
            };
            if let Some(place) = place.filter(|place| *place < columns as u64) {
                let column = design.column(place as usize);
                column.for_each(|row, x| fitted[row] += f64::from(x) * b);
            }
        }
        Ok(fitted)
    }

    fn of(&self, features: &Features, row: usize) -> f64 {
        let sum: f64 = match (features.dense_row(row), features.sparse_row(row)) {
            (Some(values), _) => {
                let product = |(column, b): &(u32, f64)| {
                    values.get(*column as usize).map_or(0.0, |x| f64::from(*x) * b)
                };
                self.terms.iter().map(product).sum()
            }
            (None, Some((columns, values))) => {
                let product = |(column, x): (&u32, &f32)| {
                    let found = self.terms.binary_search_by_key(column, |(column, _)| *column);
                    found.map_or(0.0, |at| f64::from(*x) * self.terms[at].1)
                };
                columns.iter().zip(values).map(product).sum()
            }
            (None, None) => 0.0,
        };
        self.intercept + sum
    }
}

/// What the model knows of columns.
fn trained(model: &SavedModel) -> Result<Trained> {
    let names = match model.json(FEATURE_NAMES).ok().and_then(Value::as_str) {
        None => Vec::new(),
        Some(file) => {
            let path = model.path(file);
            let text = fs::read_to_string(&path).map_err(|why| Error::no_input(&path, why))?;
            text.lines().map(str::to_owned).collect()
        }
    };
    let text = |key: &str| model.json(key).ok().and_then(Value::as_str);
    let target = text(TARGET_COLUMN).map(str::parse).transpose();
    let weight = text(WEIGHT_COLUMN).map(str::parse).transpose();
    let dropped = model.json(DROPPED_COLUMNS).map(texts).unwrap_or_default();
    let dropped: std::result::Result<_, Infallible> = dropped.iter().map(|name| name.parse()).collect();
    let (Ok(target), Ok(weight), Ok(dropped)) = (target, weight, dropped);
    Ok(Trained {
        names,
        target,
        weight,
        dropped,
    })
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
