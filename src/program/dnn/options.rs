//! The flags of `petuum dnn`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::math::activation::Activation;
use crate::program::examples::ExamplesFlags;
use crate::program::operands::Operands;
use crate::program::factors::Exchange;
use crate::program::flag::{above, real, whole};
use crate::program::staleness::StepScaling;

/// Most units of a layer.
const UNITS_MAX: u32 = 1 << 20;
/// Most samples of a mini-batch.
const BATCH_MAX: u32 = 1 << 16;

/// What hidden units do with their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// max(0, x)
    Relu,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// tanh x
    Tanh,
    /// x Φ(x), with Φ the normal distribution
    Gelu,
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Loss {
    /// Targets are classes: minus the logarithm of the probability of the right one
    CrossEntropy,
    /// Targets are numbers: the squared error
    Squared,
}

/// How a step follows from a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Optimizer {
    /// The gradient itself
    Sgd,
    /// A sum of gradients, older ones weighing less
    Momentum,
    /// The same, looking one step ahead
    Nesterov,
    /// Adam, with decoupled weight decay
    Adam,
}

/// How the learning rate changes with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schedule {
    /// Not at all
    Constant,
    /// To a tenth, after each of three equal parts of the run but the last
    Step,
    /// Along half a cosine, to 0 at the end of the run
    Cosine,
}

/// How features are brought to a common scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Standardize {
    /// Images as a whole, other dense features one by one, sparse ones not
    Auto,
    /// Each feature to mean 0 and standard deviation 1; sparse ones to a mean square of 1
    Features,
    /// All features together to mean 0 and standard deviation 1
    Together,
    /// Not at all
    None,
}

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which examples, and how to read them.
    #[command(flatten)]
    pub examples: ExamplesFlags,

    /// Units of the hidden layers, from the input on; 0 for none
    #[arg(long, value_name = "UNITS", value_delimiter = ',', default_value = "512,512",
          value_parser = whole(0..=UNITS_MAX))]
    pub layers: Vec<u32>,

    /// What hidden units do with their sums
    #[arg(long, value_enum, default_value_t = Unit::Relu)]
    pub activation: Unit,

    /// What is minimised
    #[arg(long, value_enum, default_value_t = Loss::CrossEntropy)]
    pub loss: Loss,

    /// How a step follows from a gradient
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    pub optimizer: Optimizer,

    /// Length of steps [default: 0.1 for sgd, 0.02 for momentum and nesterov, 0.001 for adam]
    #[arg(long, value_name = "R", value_parser = above(0.0))]
    pub learning_rate: Option<f64>,

    /// How much of the last step momentum and nesterov keep, and adam of the last gradients
    #[arg(long, value_name = "PART", default_value_t = 0.9, value_parser = real(0.0..1.0))]
    pub momentum: f64,

    /// How the learning rate changes until the run has done its --clocks
    #[arg(long, value_enum, default_value_t = Schedule::Cosine)]
    pub schedule: Schedule,

    /// Passes in which the learning rate grows from 0
    #[arg(long, value_name = "PASSES", default_value_t = 0.0, value_parser = real(0.0..=1e6))]
    pub warm_up: f64,

    /// Weight of the squared weights, without biases: each step takes this times the learning rate off
    #[arg(long, value_name = "L", default_value_t = 0.0, value_parser = real(0.0..))]
    pub weight_decay: f64,

    /// Part of the hidden units that are switched off at random while training
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = real(0.0..1.0))]
    pub dropout: f64,

    /// Samples of a mini-batch; each worker has its own
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = whole(1..=BATCH_MAX))]
    pub batch: u32,

    /// Mini-batches after which a worker exchanges its changes with the others, within a clock
    ///
    /// Under bsp changes are exchanged at clocks alone: give a number of --clocks-per-pass.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = whole(1..=1_000_000u32))]
    pub exchange_every: u32,

    /// How changes count less where several workers make them at once; under bsp they are averaged
    #[arg(long, value_enum, default_value_t = StepScaling::Delay)]
    pub step_scaling: StepScaling,

    /// Operands of products: bf16 takes half the time where the processor has instructions for it
    ///
    /// Sums, weights and steps are 32-bit floats in any case.
    #[arg(long, value_enum, default_value_t = Operands::F32)]
    pub precision: Operands,

    /// What hosts send each other of each layer
    ///
    /// Other than full it needs --optimizer sgd; changes of such layers are exchanged at clocks alone. A
    /// first layer of sparse examples is always full: of its changes, only the rows that there are
    /// travel.
    #[arg(long, value_enum, default_value_t = Exchange::Auto)]
    pub exchange: Exchange,

    /// How features are brought to a common scale; the saved model takes them as they are
    #[arg(long, value_enum, default_value_t = Standardize::Auto)]
    pub standardize: Standardize,

    /// Examples to predict: file or folder
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,

    /// File with the targets of --test, if they are in a file of their own
    #[arg(long, visible_alias = "test-labels", value_name = "FILE", requires = "test")]
    pub test_targets: Option<PathBuf>,

    /// Part of the examples that is kept out and predicted [default: 0.1, without --test]
    #[arg(long, value_name = "PART", conflicts_with = "test", value_parser = real(0.0..1.0))]
    pub holdout: Option<f64>,

    /// Records without improvement after which --tolerance ends the run
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole(1..=1_000_000u32))]
    pub patience: u32,
}

impl Options {
    /// The learning rate at its highest.
    pub(super) fn rate(&self) -> f64 {
        self.learning_rate.unwrap_or(match self.optimizer {
            Optimizer::Sgd => 0.1,
            Optimizer::Momentum | Optimizer::Nesterov => 0.02,
            Optimizer::Adam => 0.001,
        })
    }

    /// Units of the hidden layers.
    pub(super) fn hidden(&self) -> Vec<usize> {
        let units = self.layers.iter().filter(|units| **units > 0);
        units.map(|units| *units as usize).collect()
    }
}

impl Unit {
    /// The function.
    pub(super) fn activation(self) -> Activation {
        match self {
            Unit::Relu => Activation::Relu,
            Unit::Sigmoid => Activation::Sigmoid,
            Unit::Tanh => Activation::Tanh,
            Unit::Gelu => Activation::Gelu,
        }
    }
}
