//! The commands and their help texts, which are also the man pages.

use clap::{Arg, ArgAction, Args, Command, value_parser};
use clap_complete::Shell;

use super::convert::Convert;
use super::shared;
use crate::program::predict::PredictFlags;
use crate::program::{self, Recipe};

const SUMMARY: &str = "Train large machine-learning models on one machine or on many";

const DESCRIPTION: &str = "\
Each training command reads its data, trains in parallel and prints one record per clock on standard \
output. Without DATA it trains on a small sample that is built in.

Workers share parameters through a parameter server with bounded staleness, and the variables to \
update are chosen by a schedule, in one process or over TCP.";

const STATUSES: &str = "\
Records:
  clock, seconds, objective, the program's columns, wait_seconds,
  bytes_sent, bytes_received, staleness_mean, staleness_max.
  With --records jsonl also staleness_counts: reads that were 0, 1, 2, ... clocks behind.
  `seconds` counts training only. New columns are added at the end.

Exit status:
    0  done, also when the reader of the records went away
    1  something else went wrong
    2  the command line makes no sense
    3  the model diverged
   65  bad data: file:line:column and what was expected there
   66  an input is not there
   69  a host cannot take part
   73  an output cannot be created
   74  an output cannot be written
   75  another host was lost; resume from the last checkpoint
   76  hosts, or a checkpoint, differ in version or options
   77  a host has the wrong secret
   78  the hosts file is wrong
  101  a bug in petuum
  130  interrupted by Ctrl-C, after finishing the clock and saving
  143  the same, by SIGTERM";

/// The whole command line: what parses, helps, completes and is printed as man pages.
pub fn command() -> Command {
    let mut command = Command::new("petuum")
        .version(env!("CARGO_PKG_VERSION"))
        .about(SUMMARY)
        .long_about(format!("{SUMMARY}.\n\n{DESCRIPTION}"))
        .after_long_help(STATUSES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .propagate_version(true)
        .max_term_width(100);
    for recipe in program::all() {
        command = command.subcommand(train(&recipe));
    }
    command = command.subcommand(predict()).subcommand(convert());
    command = command.subcommand(generate());
    command = command.subcommand(completions()).subcommand(man());
    numbers_may_be_negative(command)
}

fn train(recipe: &Recipe) -> Command {
    let about = &recipe.about;
    let command = (recipe.flags)(Command::new(recipe.name));
    // Texts after flags: a struct of flags brings its doc comment as the command's text.
    shared::add_flags(command, &about.defaults)
        .about(about.summary)
        .long_about(format!("{}.\n\n{}", about.summary, about.description))
        .after_long_help(format!(
            "Examples:\n{}\n\nData:\n{}\n\nRecords and exit status are described in petuum(1) and `petuum --help`.",
            indented(about.examples),
            indented(about.data)
        ))
}

fn predict() -> Command {
    let summary = "Use a saved model: predictions for further data, as csv on standard output";
    PredictFlags::augment_args(Command::new("predict"))
        .arg(quiet())
        .about(summary)
        .long_about(format!(
            "{summary}.\n\nWhat the data is depends on the program that made the model. A model of mf \
             reads lines with a user and an item and predicts ratings; with --top it recommends items \
             to the users that are named, or to all. A model of lda reads documents in every format that \
             training takes and finds the proportions of their topics, or with --top the main ones; \
             words that the model does not know are left out. Models of examples read them in every format \
             that training takes; their targets may be there or not. lasso and dnn tell numbers or \
             classes, with --probabilities those of all classes; dml maps examples to vectors, or \
             with --pairs tells distances between them. Without DATA it reads standard \
             input. Lines come in the order of the data, below a header."
        ))
        .after_long_help(
            "Examples:\n  petuum predict --model model pairs.csv\n  petuum predict --model model --top \
             10 > best.csv\n  petuum predict --model network --probabilities images-idx3-ubyte.gz\n  \
             petuum predict --model metric --pairs pairs.csv vectors.csv\n  echo 196,242 | petuum predict --model model\n  \
             petuum predict --model kos --top 3 posts.txt\n\n\
             The exit status is described in petuum(1) and `petuum --help`.",
        )
}

fn convert() -> Command {
    let summary = "Turn data into a binary file that later runs map into memory";
    Convert::augment_args(Command::new("convert"))
        .arg(quiet())
        .about(summary)
        .long_about(format!(
            "{summary}.\n\nDocuments become a cache for `petuum lda`; with --columns, examples become a \
             design for `petuum lasso`, in bounded memory whatever their size. A run with the file as \
             DATA begins at once: nothing is parsed or copied. The file remembers its sources; when \
             one of them has changed, it is refused."
        ))
        .after_long_help(
            "Examples:\n  petuum convert docword.kos.txt.gz -o kos.cache\n  petuum lda kos.cache\n  \
             petuum convert --columns ads.svm.gz -o ads.design\n  petuum lasso ads.design\n\n\
             The exit status is described in petuum(1) and `petuum --help`.",
        )
}

fn generate() -> Command {
    let mut command = Command::new("generate")
        .about("Write synthetic data with a known truth")
        .subcommand_required(true)
        .arg_required_else_help(true);
    for recipe in program::all() {
        if let Some(generate) = recipe.generate {
            let below = (generate.flags)(Command::new(recipe.name)).arg(quiet());
            command = command.subcommand(below.about(generate.summary).long_about(None));
        }
    }
    command
}

fn completions() -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true);
    Command::new("completions")
        .about("Print the completion script of a shell")
        .hide(true)
        .arg(shell.value_parser(value_parser!(Shell)).help("The shell"))
}

fn man() -> Command {
    let folder = Arg::new("folder").value_name("DIR").required(true);
    Command::new("man")
        .about("Write the man pages")
        .hide(true)
        .arg(
            folder
                .value_parser(value_parser!(std::path::PathBuf))
                .help("Where to"),
        )
}

fn quiet() -> Arg {
    Arg::new("quiet")
        .short('q')
        .long("quiet")
        .action(ArgAction::SetTrue)
        .help("No notes on standard error; errors stay")
}

/// So that `--alpha -1` is refused for its value and not as a flag `-1`.
fn numbers_may_be_negative(command: Command) -> Command {
    command
        .mut_args(
            |flag| match flag.get_action().takes_values() && !flag.is_positional() {
                true => flag.allow_negative_numbers(true),
                false => flag,
            },
        )
        .mut_subcommands(numbers_may_be_negative)
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text
        .trim_end()
        .lines()
        .map(|line| format!("  {line}"))
        .collect();
    lines.join("\n")
}
