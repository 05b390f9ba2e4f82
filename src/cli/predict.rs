//! `petuum predict`: what a saved model says about further data.

use std::io::Write;
use std::thread::available_parallelism;

use super::recipe;
use crate::error::{Error, Result};
use crate::program::predict::{PredictFlags, open_model};
use crate::report::Notes;

/// Finds the program that made the model, and lets it predict.
pub(super) fn run(
    flags: &PredictFlags,
    stdout: &mut (dyn Write + Send),
    notes: &Notes,
) -> Result<()> {
    let (model, program) = open_model(&flags.model)?;
    let cores = || available_parallelism().map_or(1, usize::from);
    let threads = flags.workers.map_or_else(cores, |workers| workers as usize);
    match recipe(&program).ok().and_then(|recipe| recipe.predict) {
        Some(predict) => predict(&model, flags, threads, stdout, notes),
        None => Err(Error::Usage(format!(
            "--model: {} holds a model of {program}, which cannot predict",
            flags.model.display()
        ))),
    }
}
