//! Models and checkpoints on disk: written beside, renamed into place, `DONE` last.
//!
//! A model is a folder that appears whole or not at all:
//!
//! | file | what |
//! |---|---|
//! | `model.safetensors` | named tensors; `safetensors.numpy.load_file(path)` reads them in Python |
//! | `model.json` | program, version, options, dimensions, names of things, final record, files |
//! | `records.csv` | what stdout said |
//! | `DONE` | written last: the rest is complete |
//!
//! and whatever text view the program adds. A checkpoint folder is described in [`checkpoint`].

pub mod checkpoint;
mod file;
mod model;
mod saved;
mod tensor;

pub use model::{Model, ModelFile};
pub use saved::SavedModel;
pub use tensor::{Dtype, Number, Tensor, read_tensors, take};

/// The marker that is written last into a complete model or checkpoint.
pub const DONE: &str = "DONE";
/// The tensors of a model.
pub const TENSORS: &str = "model.safetensors";
/// The description of a model.
pub const DESCRIPTION: &str = "model.json";
/// The records of the run that made a model.
pub const RECORDS: &str = "records.csv";
