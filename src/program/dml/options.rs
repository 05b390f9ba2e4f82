//! The flags of `petuum dml`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::program::examples::ExamplesFlags;
use crate::program::operands::Operands;
use crate::program::factors::Exchange;
use crate::program::flag::{above, real, whole};
use crate::program::staleness::StepScaling;

/// Most rows of L.
const DIMENSIONS_MAX: u32 = 65_536;
/// Most pairs of a mini-batch.
const BATCH_MAX: u32 = 1 << 20;

/// What L begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Initial {
    /// The directions in which the examples differ most
    Pca,
    /// Random directions
    Random,
}

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which examples, and how to read them.
    #[command(flatten)]
    pub examples: ExamplesFlags,

    /// Dimensions of the space that L maps to [default: 100, or the features if they are fewer]
    #[arg(short = 'k', long, value_name = "K", value_parser = whole(1..=DIMENSIONS_MAX))]
    pub dimensions: Option<u32>,

    /// Squared distance that dissimilar pairs should have at least
    #[arg(long, value_name = "M", default_value_t = 1.0, value_parser = above(0.0))]
    pub margin: f64,

    /// Weight of dissimilar pairs, relative to that of similar ones
    #[arg(long, value_name = "W", default_value_t = 1.0, value_parser = above(0.0))]
    pub weight: f64,

    /// Length of steps, for features of which pairs are 1 apart in the mean square
    #[arg(long, value_name = "R", default_value_t = 0.3, value_parser = above(0.0))]
    pub learning_rate: f64,

    /// Pairs of a mini-batch, half of them similar; each worker has its own
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = whole(2..=BATCH_MAX))]
    pub batch: u32,

    /// Mini-batches after which a worker exchanges its changes with the others, within a clock
    ///
    /// Under bsp changes are exchanged at clocks alone: give a number of --clocks-per-pass.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = whole(1..=1_000_000u32))]
    pub exchange_every: u32,

    /// How changes count less where several workers make them at once; under bsp they are averaged
    #[arg(long, value_enum, default_value_t = StepScaling::Delay)]
    pub step_scaling: StepScaling,

    /// Operands of products: bf16 takes half the time where the processor has instructions for it
    ///
    /// Sums, L and steps are 32-bit floats in any case, as are products of sparse examples.
    #[arg(long, value_enum, default_value_t = Operands::F32)]
    pub precision: Operands,

    /// What hosts send each other
    ///
    /// Where it is not full, changes are exchanged at clocks alone. Sparse examples are always full: of
    /// the changes, only those of the features that there are travel.
    #[arg(long, value_enum, default_value_t = Exchange::Auto)]
    pub exchange: Exchange,

    /// What L begins with [default: pca; random for sparse examples, of many features and few values]
    #[arg(long, value_enum)]
    pub initial: Option<Initial>,

    /// Similar pairs instead of labels: two examples a line, numbered from 0
    #[arg(long, value_name = "FILE", requires = "dissimilar")]
    pub similar: Option<PathBuf>,

    /// Dissimilar pairs, likewise
    #[arg(long, value_name = "FILE", requires = "similar")]
    pub dissimilar: Option<PathBuf>,

    /// Labelled examples whose neighbours are looked for among the others: file or folder
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,

    /// Part of the examples that is kept out and looked for [default: 0.1, without --test]
    #[arg(long, value_name = "PART", conflicts_with = "test", value_parser = real(0.0..1.0))]
    pub holdout: Option<f64>,

    /// Neighbours that vote on the class of a test example
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = whole(1..=1000u32))]
    pub neighbors: u32,
}
