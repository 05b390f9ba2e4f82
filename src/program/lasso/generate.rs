//! `petuum generate lasso`: examples with planted coefficients.
//!
//! ```text
//! y = X b + noise     var(X b) / var(noise) = --signal
//! ```
//!
//! Dense features are standard normal: independent, a chain in which neighbours have correlation
//! `--correlation` (AR(1)), or blocks within which all have it. Sparse ones have Zipf frequencies, as
//! words do: feature j is in a number of examples in proportion to 1/(j + p/1000), `--nonzeros` on
//! average, with values of tf-idf or 1. A feature depends on the seed and its number alone.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use flate2::{Compression, GzBuilder};
use rand_distr::{Distribution, StandardNormal};

use crate::data::{DesignKind, DesignWriter, Targets};
use crate::error::{Error, Result};
use crate::math::rng::Rng;
use crate::program::flag::{above, real, whole};
use crate::report::Notes;

/// What the command line says about this generator.
pub const ABOUT: &str = "Examples whose targets follow from a few planted features";

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder for examples.NAME.FORMAT and planted.NAME.csv
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// NAME in the files' names
    #[arg(long, default_value = "synthetic")]
    pub name: String,

    /// Number of examples
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = whole(2..=1u32 << 30))]
    pub samples: u32,

    /// Number of features
    #[arg(long, value_name = "P", default_value_t = 10_000, value_parser = whole(1..=1u32 << 31))]
    pub features: u32,

    /// Number of features with a planted coefficient
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = whole(1..=1u32 << 24))]
    pub planted: u32,

    /// What the features are like
    #[arg(long, value_enum, default_value_t = Kind::Chain)]
    pub design: Kind,

    /// Correlation of neighbours in a chain, or of all features in a block
    #[arg(long, value_name = "R", default_value_t = 0.5, value_parser = real(0.0..1.0))]
    pub correlation: f64,

    /// Features in a block
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = whole(1..=1u32 << 20))]
    pub block: u32,

    /// Examples in which a sparse feature is, on average
    #[arg(long, value_name = "N", default_value_t = 25.0, value_parser = above(0.0))]
    pub nonzeros: f64,

    /// Variance that the features explain, over variance that they do not
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = above(0.0))]
    pub signal: f64,

    /// The form of the examples: design is written feature by feature, in little memory
    #[arg(long, value_enum, default_value_t = Form::Design)]
    pub format: Form,

    /// Write gzip instead of plain text
    #[arg(long)]
    pub gzip: bool,

    /// Everything random comes from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// The values of `--design`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Dense and independent
    Independent,
    /// Dense, each correlated with the one before
    Chain,
    /// Dense, correlated within blocks
    Blocks,
    /// Sparse, with values of tf-idf
    Sparse,
    /// Sparse, every value that is not 0 is 1
    Ones,
}

/// The values of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The binary form that petuum maps
    Design,
    /// Text, target first, with a header
    Csv,
    /// Text, index:value
    Libsvm,
}

/// Streams of [`Rng`].
const OF_FEATURE: u64 = 1;
const OF_PLANTED: u64 = 2;
const OF_NOISE: u64 = 3;
const OF_BLOCK: u64 = 4;
/// Exponent and offset (as a part of the features) of the frequencies of sparse features, and the
/// largest part of all examples that one is in.
const ZIPF_OFFSET: f64 = 1e-3;
const FREQUENT_MAX: f64 = 0.5;

/// Writes the files. Status 73 or 74 if it cannot.
pub fn run(options: Options, notes: &Notes) -> Result<()> {
    if options.gzip && options.format == Form::Design {
        return Err(Error::Usage("--gzip: a design is mapped, it cannot be packed".into()));
    }
    if options.planted > options.features {
        return Err(Error::Usage(format!(
            "--planted: {} is too large, there are {} features",
            options.planted, options.features
        )));
    }
    std::fs::create_dir_all(&options.output).map_err(|e| Error::cannot_create(&options.output, e))?;
    let ending = match (options.format, options.gzip) {
        (Form::Design, _) => "design",
        (Form::Csv, false) => "csv",
        (Form::Csv, true) => "csv.gz",
        (Form::Libsvm, false) => "svm",
        (Form::Libsvm, true) => "svm.gz",
    };
    let examples = options.output.join(format!("examples.{}.{ending}", options.name));
    let truth = options.output.join(format!("planted.{}.csv", options.name));
    for path in [&examples, &truth] {
        if path.exists() && !options.force {
            return Err(Error::cannot_create(path, "it is there already, --force replaces it"));
        }
    }
    let planted = planted(&options);
    match options.format {
        Form::Design => write_design(&options, &planted, &examples)?,
        Form::Csv | Form::Libsvm => write_text(&options, &planted, &examples)?,
    }
    let rows: String = planted.iter().map(|(feature, b)| format!("{},{b}\n", feature + 1)).collect();
    std::fs::write(&truth, format!("feature,coefficient\n{rows}"))
        .map_err(|error| Error::cannot_write(&truth, error))?;
    notes.note(&format!("wrote {}", examples.display()));
    Ok(())
}

/// Features and their coefficients, ascending. Of sparse features the more frequent ones are drawn.
fn planted(options: &Options) -> Vec<(u32, f64)> {
    let mut rng = Rng::stream(options.seed, OF_PLANTED, 0, 0);
    let features = u64::from(options.features);
    let among = match options.design {
        Kind::Sparse | Kind::Ones => (features / 10).max(u64::from(options.planted)).min(features),
        _ => features,
    };
    let mut chosen = std::collections::BTreeMap::new();
    while (chosen.len() as u64) < u64::from(options.planted).min(among) {
        let b: f64 = StandardNormal.sample(&mut rng);
        chosen.insert(rng.below(among) as u32, b);
    }
    chosen.into_iter().collect()
}

/// The features, one after the other.
struct Features<'a> {
    options: &'a Options,
    next: u32,
    /// The feature before, of a chain; what all features of a block share.
    shared: Vec<f32>,
    zipf: f64,
    rows: Vec<u32>,
    values: Vec<f32>,
}

impl<'a> Features<'a> {
    fn new(options: &'a Options) -> Features<'a> {
        let features = f64::from(options.features);
        let offset = ZIPF_OFFSET * features;
        // Σ 1/(j + offset), as an integral.
        let sum = ((features + offset) / offset).ln();
        Features {
            options,
            next: 0,
            shared: Vec::new(),
            zipf: options.nonzeros * features / sum,
            rows: Vec::new(),
            values: Vec::new(),
        }
    }

    fn is_sparse(&self) -> bool {
        matches!(self.options.design, Kind::Sparse | Kind::Ones)
    }

    /// The next feature: its rows (of a dense one: none) and its values.
    fn draw(&mut self) -> (&[u32], &[f32]) {
        let mut rng = Rng::stream(self.options.seed, OF_FEATURE, u64::from(self.next), 0);
        match self.is_sparse() {
            true => self.draw_sparse(&mut rng),
            false => self.draw_dense(&mut rng),
        }
        self.next += 1;
        (&self.rows, &self.values)
    }

    fn draw_dense(&mut self, rng: &mut Rng) {
        let samples = self.options.samples as usize;
        let correlation = self.options.correlation;
        self.values.clear();
        let normal = |rng: &mut Rng| -> f64 { StandardNormal.sample(rng) };
        self.values.extend((0..samples).map(|_| normal(rng) as f32));
        let (of_shared, of_own) = match self.options.design {
            Kind::Chain => (correlation, (1.0 - correlation * correlation).sqrt()),
            Kind::Blocks => (correlation.sqrt(), (1.0 - correlation).sqrt()),
            _ => return,
        };
        if self.options.design == Kind::Blocks && self.next.is_multiple_of(self.options.block) {
            let block = u64::from(self.next / self.options.block);
            let mut rng = Rng::stream(self.options.seed, OF_BLOCK, block, 0);
            self.shared = (0..samples).map(|_| normal(&mut rng) as f32).collect();
        }
        for (value, shared) in self.values.iter_mut().zip(&self.shared) {
            *value = (of_shared * f64::from(*shared) + of_own * f64::from(*value)) as f32;
        }
        if self.options.design == Kind::Chain {
            self.shared.clone_from(&self.values);
        }
    }

    fn draw_sparse(&mut self, rng: &mut Rng) {
        let samples = f64::from(self.options.samples);
        let offset = ZIPF_OFFSET * f64::from(self.options.features);
        let expected = (self.zipf / (f64::from(self.next) + offset)).min(FREQUENT_MAX * samples);
        // To one of the whole numbers beside, so that the mean is right.
        let count = (expected + rng.uniform()) as usize;
        self.rows.clear();
        let all = u64::from(self.options.samples);
        self.rows.extend((0..count).map(|_| rng.below(all) as u32));
        self.rows.sort_unstable();
        self.rows.dedup();
        self.values.clear();
        let inverse = (samples / self.rows.len().max(1) as f64).ln().max(0.1);
        let ones = self.options.design == Kind::Ones;
        self.values.extend(self.rows.iter().map(|_| {
            // 1 + ln of a geometric number of occurrences.
            let occurrences = 1.0 + (rng.uniform().max(1e-12).ln() / 0.4f64.ln()).floor();
            if ones { 1.0 } else { ((1.0 + occurrences.ln()) * inverse * 0.1) as f32 }
        }));
    }
}

/// Adds up Σ x b while features come by, and makes the targets of it.
struct Sum<'a> {
    planted: std::iter::Peekable<std::slice::Iter<'a, (u32, f64)>>,
    sums: Vec<f64>,
}

impl<'a> Sum<'a> {
    fn new(planted: &'a [(u32, f64)], samples: u32) -> Sum<'a> {
        Sum {
            planted: planted.iter().peekable(),
            sums: vec![0.0; samples as usize],
        }
    }

    fn add(&mut self, feature: u32, rows: &[u32], values: &[f32], is_sparse: bool) {
        let Some((_, b)) = self.planted.next_if(|(planted, _)| *planted == feature) else {
            return;
        };
        match is_sparse {
            true => {
                for (row, value) in rows.iter().zip(values) {
                    self.sums[*row as usize] += b * f64::from(*value);
                }
            }
            false => {
                for (sum, value) in self.sums.iter_mut().zip(values) {
                    *sum += b * f64::from(*value);
                }
            }
        }
    }

    fn targets(mut self, options: &Options) -> Vec<f64> {
        let count = self.sums.len() as f64;
        let mean = self.sums.iter().sum::<f64>() / count;
        let variance = self.sums.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / count;
        let spread = (variance / options.signal).sqrt();
        let mut rng = Rng::stream(options.seed, OF_NOISE, 0, 0);
        for sum in &mut self.sums {
            let noise: f64 = StandardNormal.sample(&mut rng);
            *sum += spread * noise;
        }
        self.sums
    }
}

fn write_design(options: &Options, planted: &[(u32, f64)], path: &Path) -> Result<()> {
    let kind = match options.design {
        Kind::Sparse => DesignKind::Sparse,
        Kind::Ones => DesignKind::SparseOnes,
        _ => DesignKind::Dense,
    };
    let mut writer = DesignWriter::create(path, options.samples as usize, kind)?;
    let mut features = Features::new(options);
    let mut sum = Sum::new(planted, options.samples);
    let is_sparse = features.is_sparse();
    for feature in 0..options.features {
        let (rows, values) = features.draw();
        sum.add(feature, rows, values, is_sparse);
        match is_sparse {
            true => writer.push_sparse(rows, values)?,
            false => writer.push_dense(values)?,
        }
    }
    writer.finish(&Targets::Numbers(sum.targets(options)), None, None)
}

fn write_text(options: &Options, planted: &[(u32, f64)], path: &Path) -> Result<()> {
    let mut rows: Vec<Vec<(u32, f32)>> = vec![Vec::new(); options.samples as usize];
    let mut features = Features::new(options);
    let mut sum = Sum::new(planted, options.samples);
    let is_sparse = features.is_sparse();
    for feature in 0..options.features {
        let (of, values) = features.draw();
        sum.add(feature, of, values, is_sparse);
        for (at, value) in values.iter().enumerate() {
            let row = if is_sparse { of[at] as usize } else { at };
            rows[row].push((feature, *value));
        }
    }
    let targets = sum.targets(options);
    let file = File::create(path).map_err(|error| Error::cannot_create(path, error))?;
    let out = BufWriter::new(file);
    let written = match options.gzip {
        // Without the time of day, so that equal seeds give equal files.
        true => {
            let mut out = GzBuilder::new().mtime(0).write(out, Compression::best());
            write_rows(options, &targets, &rows, &mut out).and_then(|()| out.finish()?.flush())
        }
        false => {
            let mut out = out;
            write_rows(options, &targets, &rows, &mut out).and_then(|()| out.flush())
        }
    };
    written.map_err(|error| Error::cannot_write(path, error))
}

fn write_rows(
    options: &Options,
    targets: &[f64],
    rows: &[Vec<(u32, f32)>],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if options.format == Form::Csv {
        write!(out, "y")?;
        (1..=options.features).try_for_each(|feature| write!(out, ",x{feature}"))?;
        writeln!(out)?;
    }
    for (target, row) in targets.iter().zip(rows) {
        write!(out, "{target:.4}")?;
        match options.format {
            Form::Csv => {
                let mut rest = row.iter().peekable();
                for feature in 0..options.features {
                    match rest.next_if(|(other, _)| *other == feature) {
                        Some((_, value)) => write!(out, ",{value:.3}")?,
                        None => write!(out, ",0")?,
                    }
                }
            }
            _ => {
                for (feature, value) in row {
                    write!(out, " {}:{value:.4}", feature + 1)?;
                }
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
