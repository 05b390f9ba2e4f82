//! The model on disk.
//!
//! | tensor | type, shape | what |
//! |---|---|---|
//! | `columns` | u32, k | the features whose coefficients are not 0, from 0, ascending |
//! | `coefficients` | f64, k | their coefficients |
//! | `intercept` | f64, 1 | b₀; 0 with `--no-intercept` |
//! | `path_lambdas`, `path_intercepts` | f64, N | a path: every λ, with its intercept |
//! | `path_starts` | u64, N + 1 | where each λ begins in the next two, and where the last one ends |
//! | `path_columns`, `path_coefficients` | u32, f64 | features and coefficients of all λ |
//! | `heldout_mean`, `heldout_error` | f64, N | cross-validation: mean deviance, and its standard error |
//!
//! `names.txt` has the names of all features, a line each, if they have names.
//! `coefficients.csv` tells the same by the features' names, `path.csv` what a path's records say.
//! Of a path the model is that of the last λ, or of the λ that cross-validation chose.

use std::io::Write;

use super::leader::{Leader, Solution};
use super::load::Names;
use super::options::{Choice, Loss, Options};
use crate::engine::Host;
use crate::error::Result;
use crate::program::predict::quoted;
use crate::snapshot::{Model, Tensor};

const COEFFICIENTS: &str = "coefficients.csv";
const PATH: &str = "path.csv";
const NAMES: &str = "names.txt";
/// Keys of `model.json`: the file of the features' names, and what was said of columns.
pub(super) const FEATURE_NAMES: &str = "feature_names";
pub(super) const TARGET_COLUMN: &str = "target_column";
pub(super) const WEIGHT_COLUMN: &str = "weight_column";
pub(super) const DROPPED_COLUMNS: &str = "dropped_columns";

/// What cross-validation found, by λ.
struct Validation {
    mean: Vec<f64>,
    error: Vec<f64>,
    /// The λ of the least mean, and the largest within one standard error of it.
    least: usize,
    simplest: usize,
}

impl Validation {
    /// As glmnet does: folds weigh as their samples do.
    fn of(leader: &Leader) -> Option<Validation> {
        let folds = leader.complete_folds();
        if folds.len() < 2 {
            return None;
        }
        let total: f64 = folds.iter().map(|(weight, _)| weight).sum();
        let lambdas = leader.path.len();
        let mean_of = |of: &dyn Fn(&[f64]) -> f64| {
            folds.iter().map(|(weight, deviances)| weight * of(deviances)).sum::<f64>() / total
        };
        let mean: Vec<f64> = (0..lambdas).map(|at| mean_of(&|fold| fold[at])).collect();
        let error: Vec<f64> = (0..lambdas)
            .map(|at| {
                let variance = mean_of(&|fold| (fold[at] - mean[at]).powi(2));
                (variance / (folds.len() - 1) as f64).sqrt()
            })
            .collect();
        let least = (0..lambdas).min_by(|a, b| mean[*a].total_cmp(&mean[*b]))?;
        let limit = mean[least] + error[least];
        let simplest = (0..lambdas).find(|at| mean[*at] <= limit)?;
        Some(Validation {
            mean,
            error,
            least,
            simplest,
        })
    }
}

/// Writes the model, if one is wanted, and says what cross-validation chose.
pub(super) fn save(
    options: &Options,
    leader: &Leader,
    names: &Names,
    host: &Host,
    model: Option<&mut Model>,
) -> Result<()> {
    if let Some(shortfall) = leader.shortfall() {
        host.note(&shortfall);
    }
    let validation = Validation::of(leader);
    if let Some(found) = &validation {
        for (what, at) in [("the least", found.least), ("within one standard error", found.simplest)] {
            let solution = &leader.path[at];
            host.note(&format!(
                "cross-validation: deviance {} ± {} ({what}) at λ = {}, {} features",
                found.mean[at],
                found.error[at],
                solution.lambda,
                solution.coefficients.len()
            ));
        }
    }
    let chosen = validation.as_ref().map(|found| match options.choose {
        Choice::Least => found.least,
        Choice::OneError => found.simplest,
    });
    let solution = match chosen {
        Some(at) => leader.path[at].clone(),
        None => leader.path.last().cloned().unwrap_or_else(|| leader.current()),
    };
    let Some(model) = model else { return Ok(()) };
    describe(options, &solution, names, model);
    write_names(names, model)?;
    write_coefficients(&solution, names, model)?;
    if options.is_path() {
        write_path(leader, validation.as_ref(), model)?;
    }
    if let Some(found) = validation {
        let lambda = |at: usize| leader.path[at].lambda;
        model.json("lambda_min", lambda(found.least));
        model.json("lambda_1se", lambda(found.simplest));
    }
    Ok(())
}

fn describe(options: &Options, solution: &Solution, names: &Names, model: &mut Model) {
    let (columns, values): (Vec<u32>, Vec<f64>) = solution.coefficients.iter().copied().unzip();
    model.tensors(vec![
        Tensor::new("columns", &[columns.len()], &columns),
        Tensor::new("coefficients", &[values.len()], &values),
        Tensor::new("intercept", &[1], &[solution.intercept]),
    ]);
    let loss = match options.loss {
        Loss::Squared => "squared",
        Loss::Logistic => "logistic",
    };
    model.json("loss", loss);
    model.json("classes", names.classes.clone());
    model.json("features", names.features() as u64);
    model.json("first_index", names.first_index());
    let said = &options.examples.columns;
    if let Some(target) = &said.target_column {
        model.json(TARGET_COLUMN, target.to_string());
    }
    if let Some(weight) = &said.weight_column {
        model.json(WEIGHT_COLUMN, weight.to_string());
    }
    let dropped: Vec<String> = said.drop_columns.iter().map(ToString::to_string).collect();
    model.json(DROPPED_COLUMNS, dropped);
    model.json("nonzeros", columns.len() as u64);
    model.json("lambda", solution.lambda);
    model.json("gap", solution.gap);
    model.json("deviance_explained", solution.explained);
}

/// The names of all features, for data to come whose columns lie in another order.
fn write_names(names: &Names, model: &mut Model) -> Result<()> {
    if !names.given() {
        return Ok(());
    }
    model.json(FEATURE_NAMES, NAMES);
    let mut file = model.file(NAMES)?;
    // Errors of a model's files come up when it is finished.
    let mut line = |column| writeln!(file, "{}", names.of(column));
    let _ = (0..names.features() as u32).try_for_each(&mut line);
    Ok(())
}

/// All features if they have names and are not too many, else those that are not 0.
fn write_coefficients(solution: &Solution, names: &Names, model: &mut Model) -> Result<()> {
    let mut file = model.file(COEFFICIENTS)?;
    // Errors of a model's files come up when it is finished.
    let _ = writeln!(file, "name,value\n(intercept),{}", solution.intercept);
    let mut row = |column: u32, value: f64| {
        let _ = writeln!(file, "{},{value}", quoted(&names.of(column)));
    };
    if names.given() && names.features() <= NAMED_MAX {
        let mut rest = solution.coefficients.iter().peekable();
        for column in 0..names.features() as u32 {
            let value = rest.next_if(|(other, _)| *other == column).map_or(0.0, |(_, value)| *value);
            row(column, value);
        }
    } else {
        solution.coefficients.iter().for_each(|(column, value)| row(*column, *value));
    }
    Ok(())
}

/// Up to so many named features, those with coefficient 0 are told as well.
const NAMED_MAX: usize = 10_000;

fn write_path(leader: &Leader, validation: Option<&Validation>, model: &mut Model) -> Result<()> {
    let path = &leader.path;
    let of = |value: fn(&Solution) -> f64| path.iter().map(value).collect::<Vec<f64>>();
    let mut starts = vec![0u64];
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for solution in path {
        for (column, value) in &solution.coefficients {
            columns.push(*column);
            values.push(*value);
        }
        starts.push(columns.len() as u64);
    }
    model.tensors(vec![
        Tensor::new("path_lambdas", &[path.len()], &of(|solution| solution.lambda)),
        Tensor::new("path_intercepts", &[path.len()], &of(|solution| solution.intercept)),
        Tensor::new("path_starts", &[starts.len()], &starts),
        Tensor::new("path_columns", &[columns.len()], &columns),
        Tensor::new("path_coefficients", &[values.len()], &values),
    ]);
    if let Some(found) = validation {
        model.tensors(vec![
            Tensor::new("heldout_mean", &[found.mean.len()], &found.mean),
            Tensor::new("heldout_error", &[found.error.len()], &found.error),
        ]);
    }
    let mut file = model.file(PATH)?;
    let _ = writeln!(
        file,
        "lambda,objective,gap,nonzeros,deviance_explained,heldout_mean,heldout_error"
    );
    for (at, solution) in path.iter().enumerate() {
        let heldout = validation.map(|found| (found.mean[at], found.error[at]));
        let heldout = heldout.map_or(",".into(), |(mean, error)| format!("{mean},{error}"));
        let _ = writeln!(
            file,
            "{},{},{},{},{},{heldout}",
            solution.lambda,
            solution.objective,
            solution.gap,
            solution.coefficients.len(),
            solution.explained
        );
    }
    Ok(())
}
