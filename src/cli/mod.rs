//! Flags, help, man pages and completions.
//!
//! | file | what it is |
//! |---|---|
//! | `help.rs` | the commands and their help texts |
//! | `shared.rs` | the options of every program, in one struct |
//! | `rank.rs` | the rank, as a job scheduler says it |
//! | `canonical.rs` | options as plain text, to compare ranks and checkpoints |
//! | `convert.rs` | the `convert` command |
//! | `predict.rs` | the `predict` command |
//! | `usage.rs` | what is wrong with a command line |
//! | `manual.rs` | man pages and completions |

mod canonical;
mod convert;
mod help;
mod manual;
mod predict;
mod rank;
mod shared;
mod usage;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};
use clap_complete::Shell;

pub use help::command;
pub use manual::pages;

use crate::engine::Io;
use crate::error::{Error, Result};
use crate::program::predict::PredictFlags;
use crate::program::{self, Recipe};
use crate::report::Notes;
use convert::Convert;
use shared::Shared;

/// Where a process writes, and whether a person is looking.
pub struct Streams {
    /// Records, or what was asked for.
    pub stdout: Box<dyn Write + Send>,
    /// Notes and errors.
    pub stderr: Box<dyn Write + Send>,
    /// True if stderr is a terminal: progress is shown.
    pub terminal: bool,
}

/// Does what the command line says and returns the exit status. `arguments` begin with the
/// program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>, streams: Streams) -> u8 {
    let parsed = command().try_get_matches_from(arguments);
    let quiet = parsed.as_ref().is_ok_and(is_quiet);
    let notes = Notes::new(quiet, streams.terminal, streams.stderr);
    let result = match parsed {
        Ok(matches) => dispatch(&matches, streams.stdout, &notes),
        Err(error) => refuse(&error, streams.stdout, &notes),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            // A launched rank has told its own story; several errors are several lines.
            for line in error.to_string().lines() {
                notes.error(line);
            }
            error.status()
        }
    }
}

fn is_quiet(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, below)) => is_quiet(below),
        None => matches!(matches.try_get_one("quiet"), Ok(Some(true))),
    }
}

fn dispatch(matches: &ArgMatches, mut stdout: Box<dyn Write + Send>, notes: &Notes) -> Result<()> {
    match matches.subcommand() {
        Some(("convert", below)) => convert::run(parsed::<Convert>(below)?, notes),
        Some(("predict", below)) => {
            predict::run(&parsed::<PredictFlags>(below)?, &mut stdout, notes)
        }
        Some(("generate", below)) => generate(below, notes),
        Some(("completions", below)) => match below.get_one::<Shell>("shell") {
            Some(shell) => manual::show(&mut stdout, &manual::completions(command(), *shell)),
            None => Err(unknown("completions")),
        },
        Some(("man", below)) => match below.get_one::<PathBuf>("folder") {
            Some(folder) => manual::write_pages(command(), folder),
            None => Err(unknown("man")),
        },
        Some((name, below)) => {
            let notes = notes.clone();
            train(&recipe(name)?, below, Io { stdout, notes })
        }
        None => Err(unknown("")),
    }
}

fn train(recipe: &Recipe, matches: &ArgMatches, io: Io) -> Result<()> {
    let command = command();
    let own = command
        .find_subcommand(recipe.name)
        .ok_or_else(|| unknown(recipe.name))?;
    let environment = |name: &str| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
    let shared = parsed::<Shared>(matches)?;
    let settings = shared.settings(recipe.name, own, matches, &environment)?;
    (recipe.train)(matches, settings, io)
}

fn generate(matches: &ArgMatches, notes: &Notes) -> Result<()> {
    let (name, below) = matches.subcommand().ok_or_else(|| unknown("generate"))?;
    let generate = recipe(name)?.generate.ok_or_else(|| unknown(name))?;
    (generate.run)(below, notes)
}

fn recipe(name: &str) -> Result<Recipe> {
    program::all()
        .into_iter()
        .find(|recipe| recipe.name == name)
        .ok_or_else(|| unknown(name))
}

fn parsed<T: FromArgMatches>(matches: &ArgMatches) -> Result<T> {
    T::from_arg_matches(matches).map_err(|error| Error::Bug(error.to_string()))
}

/// A command that is parsed but that nobody does.
fn unknown(name: &str) -> Error {
    Error::Bug(format!("no command `{name}`"))
}

/// Shows help or the version if they were asked for; otherwise says what is wrong.
fn refuse(error: &clap::Error, mut stdout: Box<dyn Write + Send>, notes: &Notes) -> Result<()> {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            manual::show(&mut stdout, text.as_bytes())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            notes.note(&text);
            Err(Error::Usage("a command is missing".into()))
        }
        _ => Err(Error::Usage(usage::describe(error))),
    }
}
