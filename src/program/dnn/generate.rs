//! `petuum generate dnn`: points of rings.
//!
//! ```text
//! class c of C: a point at distance c + 1 from the origin of a plane, at any angle, plus noise;
//! the plane lies askew in a space of d dimensions, with noise in all of them
//! ```
//!
//! No linear boundary tells the classes apart; a hidden layer does. Of the points whose class is told
//! by the nearest ring, the part that this gets right is told at the end: with the plane known, no
//! method can do much better.

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use rand_distr::{Distribution, StandardNormal};

use crate::error::Result;
use crate::math::rng::Rng;
use crate::program::flag::{real, whole};
use crate::program::generated::write_csv;
use crate::report::Notes;

/// What the command line says about this generator.
pub const ABOUT: &str = "Points of rings, a class each, in a space of many dimensions";

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder for rings.NAME.csv
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// NAME in the file's name
    #[arg(long, default_value = "synthetic")]
    pub name: String,

    /// Number of points
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = whole(1..=1u64 << 40))]
    pub points: u64,

    /// Number of rings
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole(2..=1000u32))]
    pub classes: u32,

    /// Dimensions of the space
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole(2..=100_000u32))]
    pub features: u32,

    /// Standard deviation of the noise, where rings are 1 apart
    #[arg(long, value_name = "S", default_value_t = 0.2, value_parser = real(0.0..=100.0))]
    pub noise: f64,

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
    let (name, how) = (format!("rings.{}", options.name), (options.gzip, options.force));
    let right = write_csv(&options.output, &name, how, notes, |out| write(&options, out))?;
    let part = right as f64 / options.points as f64;
    notes.note(&format!("with the plane known, the nearest ring is right for {part:.4} of the points"));
    Ok(())
}

/// Writes all points; the number of those that are nearest to their own ring.
fn write(options: &Options, out: &mut dyn Write) -> std::io::Result<u64> {
    let width = options.features as usize;
    let plane = plane(options);
    let header: Vec<String> = (0..width).map(|feature| format!("x{feature}")).collect();
    writeln!(out, "class,{}", header.join(","))?;
    let mut right = 0;
    let mut line = String::new();
    for point in 0..options.points {
        let mut rng = Rng::stream(options.seed, point, 0, 1);
        let class = rng.below(u64::from(options.classes));
        let angle = TAU * rng.uniform();
        let radius = class as f64 + 1.0;
        let at = [radius * angle.cos(), radius * angle.sin()];
        line.clear();
        let mut seen = [0.0; 2];
        for (a, b) in plane[0].iter().zip(&plane[1]) {
            let noise: f64 = StandardNormal.sample(&mut rng);
            let value = at[0] * a + at[1] * b + options.noise * noise;
            seen[0] += value * a;
            seen[1] += value * b;
            // Writing to a string cannot fail.
            let _ = write!(line, ",{value:.4}");
        }
        let nearest = (seen[0].hypot(seen[1]) - 1.0).round().max(0.0) as u64;
        right += u64::from(nearest.min(u64::from(options.classes) - 1) == class);
        writeln!(out, "ring{}{line}", class + 1)?;
    }
    Ok(right)
}

/// Two directions at right angles.
fn plane(options: &Options) -> [Vec<f64>; 2] {
    let mut rng = Rng::stream(options.seed, 0, 0, 2);
    let mut draw = || -> Vec<f64> {
        (0..options.features).map(|_| StandardNormal.sample(&mut rng)).collect()
    };
    let (mut a, mut b) = (draw(), draw());
    let scale = |v: &mut Vec<f64>| {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= length);
    };
    scale(&mut a);
    let dot: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
    b.iter_mut().zip(&a).for_each(|(y, x)| *y -= dot * x);
    scale(&mut b);
    [a, b]
}
