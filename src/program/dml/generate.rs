//! `petuum generate dml`: classes in a few directions among many that tell nothing.
//!
//! ```text
//! class c has a centre in r dimensions, normal; a point is its class's centre plus noise there, and
//! louder noise in all other dimensions; then all of them are mixed by a random matrix
//! ```
//!
//! Nearest neighbours in all dimensions mostly see the noise; in the r dimensions that matter they see
//! the classes.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use rand_distr::{Distribution, StandardNormal};

use crate::error::{Error, Result};
use crate::math::rng::Rng;
use crate::program::flag::{real, whole};
use crate::program::generated::write_csv;
use crate::report::Notes;

/// What the command line says about this generator.
pub const ABOUT: &str = "Classes in a few directions among many that tell nothing";

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder for clusters.NAME.csv
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// NAME in the file's name
    #[arg(long, default_value = "synthetic")]
    pub name: String,

    /// Number of points
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = whole(1..=1u64 << 40))]
    pub points: u64,

    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole(2..=100_000u32))]
    pub classes: u32,

    /// Dimensions
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole(1..=10_000u32))]
    pub features: u32,

    /// Dimensions that tell classes apart
    #[arg(short = 'k', long, value_name = "K", default_value_t = 5, value_parser = whole(1..=10_000u32))]
    pub dimensions: u32,

    /// Standard deviation of points of a class, where that of centres is 1
    #[arg(long, value_name = "S", default_value_t = 0.3, value_parser = real(0.0..=100.0))]
    pub noise: f64,

    /// Standard deviation in the dimensions that tell nothing
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = real(0.0..=100.0))]
    pub distraction: f64,

    /// Everything random comes from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Write gzip instead of plain text
    #[arg(long)]
    pub gzip: bool,

    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Writes the file. Status 73 or 74 if it cannot.
pub fn run(options: Options, notes: &Notes) -> Result<()> {
    if options.dimensions > options.features {
        return Err(Error::Usage(format!(
            "--dimensions: {} is too large, at most {} features",
            options.dimensions, options.features
        )));
    }
    let (name, how) = (format!("clusters.{}", options.name), (options.gzip, options.force));
    write_csv(&options.output, &name, how, notes, |out| write(&options, out))
}

/// Streams of [`Rng`].
const OF_POINTS: u64 = 1;
const OF_CENTRES: u64 = 2;
const OF_MIX: u64 = 3;

fn write(options: &Options, out: &mut dyn Write) -> std::io::Result<()> {
    let (width, rank) = (options.features as usize, options.dimensions as usize);
    let normals = |stream: u64, number: u64, count: usize| -> Vec<f64> {
        let mut rng = Rng::stream(options.seed, number, 0, stream);
        (0..count).map(|_| StandardNormal.sample(&mut rng)).collect()
    };
    let mix = normals(OF_MIX, 0, width * width);
    let mut line = String::new();
    for point in 0..options.points {
        let class = Rng::stream(options.seed, point, 1, OF_POINTS).below(u64::from(options.classes));
        let centre = normals(OF_CENTRES, class, rank);
        let mut inner = normals(OF_POINTS, point, width);
        for (at, x) in inner.iter_mut().enumerate() {
            *x = match centre.get(at) {
                Some(centre) => centre + options.noise * *x,
                None => options.distraction * *x,
            };
        }
        line.clear();
        for row in mix.chunks_exact(width) {
            let sum: f64 = row.iter().zip(&inner).map(|(a, x)| a * x).sum();
            // Writing to a string cannot fail.
            let _ = write!(line, ",{sum:.3}");
        }
        writeln!(out, "{class}{line}")?;
    }
    Ok(())
}
