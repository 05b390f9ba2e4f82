//! The flags of `petuum mf`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::error::{Error, Result};
use crate::program::flag::{above, real, whole};
use crate::program::staleness::StepScaling;

/// Most factors.
const FACTORS_MAX: u32 = 65_536;
/// Factors where the user does not say, and those that are planted in the built-in sample.
const USUAL: u32 = 32;
const SAMPLE: u32 = 5;
/// Learning rates where the user does not say; the second is for several workers on one item.
const RATE: f64 = 0.3;
const SHARED_RATE: f64 = 0.1;
/// `--confidence` and `--blocks-per-worker` where the user does not say.
const CONFIDENCE: f64 = 40.0;
const BLOCKS: u32 = 2;
/// What `--blocks-per-worker` needs.
const SGD_MODEL: &str = "--method sgd --parallel model";

/// How factors are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Stochastic gradient descent, rating by rating: the fastest
    Sgd,
    /// Alternating least squares: all users exactly, then all items
    Als,
    /// CCD++, coordinate descent: one factor of all users and items after the other
    Ccd,
}

/// What workers share under `--method sgd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Parallel {
    /// Item blocks rotate around the workers; no factor is ever stale
    Model,
    /// All items are shared, as stale as --staleness allows; for comparison
    Data,
}

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Ratings: files, folders (their files in name order), or - for standard input
    ///
    /// Files that end in .gz or .zst are read as they are. Every line is an observation of its own,
    /// also where a user rates an item twice.
    pub data: Vec<PathBuf>,

    /// Number of factors of each user and each item [default: 32; for the built-in sample 5]
    #[arg(short = 'k', long, value_name = "K", value_parser = whole(1..=FACTORS_MAX))]
    pub factors: Option<u32>,

    /// λ: weight of the squared factors and biases, once per rating
    #[arg(long, value_name = "L", default_value_t = 0.05, value_parser = real(0.0..))]
    pub regularization: f64,

    /// How factors are found
    #[arg(long, value_enum, default_value_t = Method::Sgd)]
    pub method: Method,

    /// What was seen was liked, and nothing else was: weighted by --confidence, without biases; with
    /// --method als
    #[arg(long)]
    pub implicit: bool,

    /// A: with --implicit a rating r counts 1 + A r times as much as a pair that was not seen
    /// [default: 40]
    #[arg(long, value_name = "A", value_parser = above(0.0))]
    pub confidence: Option<f64>,

    /// How often each factor goes from the users to the items and back in a pass of --method ccd
    /// [default: 1]
    #[arg(long, value_name = "N", value_parser = whole(1..=1000u32))]
    pub inner_iterations: Option<u32>,

    /// Length of the first steps of --method sgd, whatever the scale of the ratings [default: 0.3;
    /// with --parallel data 0.1]
    #[arg(long, value_name = "R", value_parser = above(0.0))]
    pub learning_rate: Option<f64>,

    /// Ratings to predict: file or folder
    ///
    /// Where the user or the item has no training ratings, the prediction is the mean and the bias
    /// that is known.
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,

    /// Part of the ratings that is kept out and predicted [default: 0.1, without --test]
    #[arg(long, value_name = "PART", conflicts_with = "test", value_parser = real(0.0..1.0))]
    pub holdout: Option<f64>,

    /// Predict from the mean and the factors alone; with --nonnegative from the factors alone
    #[arg(long)]
    pub no_bias: bool,

    /// Keep all factors at 0 or above
    #[arg(long)]
    pub nonnegative: bool,

    /// What workers share
    #[arg(long, value_enum, default_value_t = Parallel::Model)]
    pub parallel: Parallel,

    /// How steps on items become shorter under --parallel data, where several workers take them at once
    /// [default: delay]
    #[arg(long, value_enum)]
    pub step_scaling: Option<StepScaling>,

    /// Least number of item blocks for each worker that rotate under --parallel model; with 2, one
    /// travels while the other is worked on [default: 2]
    #[arg(long, value_name = "N", value_parser = whole(1..=1024u32))]
    pub blocks_per_worker: Option<u32>,
}

/// How the items are held: one way for each method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Rotate,
    Share,
    Gather,
    Descend,
}

impl Options {
    /// How the items are held.
    pub(super) fn way(&self) -> Way {
        match (self.method, self.parallel) {
            (Method::Sgd, Parallel::Model) => Way::Rotate,
            (Method::Sgd, Parallel::Data) => Way::Share,
            (Method::Als, _) => Way::Gather,
            (Method::Ccd, _) => Way::Descend,
        }
    }

    /// What single flags cannot check: a flag that the method would ignore is refused.
    pub(super) fn check(&self) -> Result<()> {
        let (method, data) = (self.method, self.parallel == Parallel::Data);
        let (sgd, als, ccd) = match method {
            Method::Sgd => (true, false, false),
            Method::Als => (false, true, false),
            Method::Ccd => (false, false, true),
        };
        let flags = [
            ("--implicit", self.implicit, als, "--method als"),
            ("--confidence", self.confidence.is_some(), self.implicit, "--implicit"),
            ("--parallel data", data, sgd, "--method sgd"),
            ("--learning-rate", self.learning_rate.is_some(), sgd, "--method sgd"),
            ("--inner-iterations", self.inner_iterations.is_some(), ccd, "--method ccd"),
            ("--step-scaling", self.step_scaling.is_some(), sgd && data, "--parallel data"),
            ("--blocks-per-worker", self.blocks_per_worker.is_some(), sgd && !data, SGD_MODEL),
        ];
        let found = flags.into_iter().find(|(_, given, applies, _)| *given && !applies);
        let reason = match found {
            Some((flag, _, _, needed)) => format!("{flag}: needs {needed}"),
            None if self.implicit && self.no_bias => {
                "--no-bias: --implicit has no biases anyway; leave one of them out".into()
            }
            None => return Ok(()),
        };
        let method = match method {
            Method::Sgd => "sgd",
            Method::Als => "als",
            Method::Ccd => "ccd",
        };
        Err(Error::Usage(format!("{reason}; this is --method {method}")))
    }

    /// The confidence in what was seen, if nothing else was liked.
    pub(super) fn confidence(&self) -> Option<f64> {
        self.implicit.then_some(self.confidence.unwrap_or(CONFIDENCE))
    }

    /// How often a factor goes to and fro.
    pub(super) fn inner_iterations(&self) -> u32 {
        self.inner_iterations.unwrap_or(1)
    }

    /// How steps on shared items become shorter.
    pub(super) fn step_scaling(&self) -> StepScaling {
        self.step_scaling.unwrap_or(StepScaling::Delay)
    }

    /// Least number of item blocks for each worker.
    pub(super) fn blocks_per_worker(&self) -> u32 {
        self.blocks_per_worker.unwrap_or(BLOCKS)
    }

    /// Whether ratings are predicted from their mean on. Without biases, factors of at least 0 are
    /// asked for as parts that make up the whole (Lee & Seung, Nature 1999), so that a mean under
    /// them would take their meaning.
    pub(super) fn centred(&self) -> bool {
        !(self.implicit || self.nonnegative && self.no_bias)
    }

    /// Whether there are biases.
    pub(super) fn biased(&self) -> bool {
        !self.no_bias && !self.implicit
    }

    /// The length of the first steps.
    pub(super) fn rate(&self) -> f64 {
        let usual = match self.parallel {
            Parallel::Model => RATE,
            Parallel::Data => SHARED_RATE,
        };
        self.learning_rate.unwrap_or(usual)
    }

    /// The number of factors.
    pub(super) fn rank(&self) -> usize {
        let usual = if self.data.is_empty() { SAMPLE } else { USUAL };
        self.factors.unwrap_or(usual) as usize
    }
}
