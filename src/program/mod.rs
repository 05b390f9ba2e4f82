//! The recipes. None knows another; none sees a frame, a socket or a thread.
//!
//! A further program is one file in this folder and one word in `programs!` below. The file has
//!
//! * `pub const ABOUT: About`: its texts and its defaults for shared options;
//! * `pub struct Options`, a [`clap::Args`]: its flags, whose doc comments are help and man page;
//! * `pub fn new(options: Options) -> Result<impl Program>`: checks what single flags cannot.
//!
//! and what it can do besides training, named after a colon: `generate` is a submodule with
//! `ABOUT`, `Options` and `pub fn run(options: Options, notes: &Notes) -> Result<()>`; `predict` is one
//! with a function `run` of type [`Predict`].

pub mod corpus;
pub mod examples;
mod factors;
pub mod flag;
mod generated;
mod holdout;
mod operands;
pub mod predict;
mod staleness;
#[cfg(test)]
mod trial;

use std::io::Write;

use clap::{ArgMatches, Command};

use crate::engine::{self, Defaults, Io, Settings};
use crate::error::Result;
use crate::report::Notes;
use crate::snapshot::SavedModel;
use predict::PredictFlags;

/// What a recipe says about itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// One line, without a full stop: `Topic models: latent Dirichlet allocation`.
    pub summary: &'static str,
    /// One paragraph: the problem, the method, the objective and which way is better.
    pub description: &'static str,
    /// What the data may look like, one format a line.
    pub data: &'static str,
    /// Command lines that work, each with its purpose behind a `#`.
    pub examples: &'static str,
    /// Its defaults for shared options.
    pub defaults: Defaults,
}

/// A recipe as the command line sees it.
pub struct Recipe {
    /// Its name: the subcommand.
    pub name: &'static str,
    /// What it says about itself.
    pub about: About,
    /// Adds its flags to a command.
    pub flags: fn(Command) -> Command,
    /// Checks its flags and trains.
    pub train: fn(&ArgMatches, Settings, Io) -> Result<()>,
    /// Makes synthetic data with a known truth, if it can.
    pub generate: Option<Generate>,
    /// Says what a saved model of its own predicts, if it can.
    pub predict: Option<Predict>,
}

/// Predicts with a model on so many threads and writes csv; the rest it has to say goes to the notes.
pub type Predict =
    fn(&SavedModel, &PredictFlags, usize, &mut (dyn Write + Send), &Notes) -> Result<()>;

/// A generator as the command line sees it.
pub struct Generate {
    /// One line.
    pub summary: &'static str,
    /// Adds its flags to a command.
    pub flags: fn(Command) -> Command,
    /// Checks its flags and writes the data.
    pub run: fn(&ArgMatches, &Notes) -> Result<()>,
}

macro_rules! programs {
    ($($name:ident $(: $($ability:ident)+)?),*) => {
        $(pub mod $name;)*

        /// All recipes, in the order of the help.
        pub fn all() -> Vec<Recipe> {
            vec![$(Recipe {
                $($($ability: ability!($name $ability),)+)?
                ..Recipe {
                    name: stringify!($name),
                    about: $name::ABOUT,
                    flags: <$name::Options as clap::Args>::augment_args,
                    train: |matches, settings, io| {
                        let options = parsed::<$name::Options>(matches)?;
                        start($name::new(options)?, settings, io)
                    },
                    generate: None,
                    predict: None,
                }
            }),*]
        }
    };
}

macro_rules! ability {
    ($name:ident generate) => {
        Some(Generate {
            summary: $name::generate::ABOUT,
            flags: <$name::generate::Options as clap::Args>::augment_args,
            run: |matches, notes| {
                $name::generate::run(parsed::<$name::generate::Options>(matches)?, notes)
            },
        })
    };
    ($name:ident predict) => {
        Some($name::predict::run)
    };
}

programs! { dml: generate predict, dnn: generate predict, lasso: generate predict, lda: generate predict, mf: generate predict }

fn parsed<T: clap::FromArgMatches>(matches: &ArgMatches) -> Result<T> {
    // The flags were added by the same type, so this fails only if its definition contradicts
    // itself.
    T::from_arg_matches(matches).map_err(|error| crate::error::Error::Bug(error.to_string()))
}

/// Runs this process's rank, or launches all ranks of a hosts file.
fn start<P: engine::Program>(program: P, settings: Settings, io: Io) -> Result<()> {
    if settings.hosts.is_some() && settings.rank.is_none() {
        engine::launch(&settings, io)
    } else {
        engine::run(program, settings, io)
    }
}
