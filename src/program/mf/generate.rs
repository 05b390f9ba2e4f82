//! `petuum generate mf`: ratings with a planted low rank.
//!
//! ```text
//! r_ui = 3.5 + b_u + c_i + p_u·q_i + noise, to the nearest half star between 0.5 and 5
//! b_u ~ N(0, 0.4²)   c_i ~ N(0, 0.5²)   p_u·q_i: variance 0.5², component j with weight ∝ 1/√j
//! ```
//!
//! With no option but the output, the marginals are those of MovieLens-10M: 10 million ratings, 70
//! thousand users of log-normal activity (median half the mean, as there), 10 thousand items of
//! popularity after Zipf and Mandelbrot (the most popular one is rated by nearly half of the users,
//! the median one a sixth as often as the mean). No user rates an item twice. Users depend on the
//! seed and their number alone, so any number of them takes the memory of one and of the items.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::{Compression, GzBuilder};
use rand_distr::{Distribution, LogNormal, StandardNormal};

use crate::error::{Error, Result};
use crate::math::rng::Rng;
use crate::program::flag::{real, whole};
use crate::report::Notes;

/// What the command line says about this generator.
pub const ABOUT: &str = "Ratings with a planted low rank and the marginals of MovieLens-10M";

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder for ratings.NAME.tsv, test.NAME.tsv and planted.NAME.txt
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// NAME in the files' names
    #[arg(long, default_value = "synthetic")]
    pub name: String,

    /// Number of ratings, those for the test included
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = whole(1..=1u64 << 40))]
    pub ratings: u64,

    /// Number of users
    #[arg(long, value_name = "N", default_value_t = 70_000, value_parser = whole(1..=1u32 << 31))]
    pub users: u32,

    /// Number of items
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = whole(1..=1u32 << 28))]
    pub items: u32,

    /// Number of planted factors
    #[arg(short = 'k', long, value_name = "K", default_value_t = 40, value_parser = whole(1..=1000u32))]
    pub rank: u32,

    /// Standard deviation of what no model can explain, before ratings are rounded
    #[arg(long, value_name = "S", default_value_t = 0.7, value_parser = real(0.0..=100.0))]
    pub noise: f64,

    /// Part of the ratings that goes into test.NAME.tsv
    #[arg(long, value_name = "PART", default_value_t = 0.1, value_parser = real(0.0..1.0))]
    pub holdout: f64,

    /// Everything random comes from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Write gzip instead of plain text
    #[arg(long)]
    pub gzip: bool,

    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// Mean rating.
const MEAN: f64 = 3.5;
/// Standard deviation of b_u.
const USER_BIAS: f64 = 0.4;
/// Standard deviation of c_i.
const ITEM_BIAS: f64 = 0.5;
/// Standard deviation of p_u·q_i.
const TASTE: f64 = 0.5;
/// Spread of the activity of users: the standard deviation of its logarithm.
const ACTIVITY: f64 = 1.2;
/// Exponent of the popularity of items, and its offset as a part of their number: steeper than what
/// comes out, because nobody rates an item twice and so active users reach far down the list.
const ZIPF: f64 = 1.75;
const ZIPF_OFFSET: f64 = 0.011;
/// Most of the items that a user rates, as a part of all: more would bend the marginals.
const RATED_MAX: f64 = 0.6;
/// Streams of [`Rng`]: one for each purpose.
const OF_ITEMS: u64 = 1;
const OF_ACTIVITY: u64 = 2;
const OF_USER: u64 = 3;

/// Writes the files. Status 73 or 74 if it cannot.
pub fn run(options: Options, notes: &Notes) -> Result<()> {
    let capacity = (f64::from(options.items) * RATED_MAX).max(1.0) * f64::from(options.users);
    if options.ratings as f64 > capacity {
        return Err(Error::Usage(format!(
            "--ratings: {} is too large, at most {capacity:.0} with {} users and {} items",
            options.ratings, options.users, options.items
        )));
    }
    fs::create_dir_all(&options.output).map_err(|e| Error::cannot_create(&options.output, e))?;
    let ending = if options.gzip { "tsv.gz" } else { "tsv" };
    let path = |kind: &str, ending: &str| {
        let name = &options.name;
        options.output.join(format!("{kind}.{name}.{ending}"))
    };
    let (train, test) = (path("ratings", ending), path("test", ending));
    let truth = path("planted", "txt");
    for path in [&train, &test, &truth] {
        if !options.force && path.exists() {
            let reason = "it is there already, --force replaces it";
            return Err(Error::cannot_create(path, reason));
        }
    }
    let mut out = Out::create(&train, options.gzip)?;
    let mut test_out = match options.holdout > 0.0 {
        true => Some(Out::create(&test, options.gzip)?),
        false => None,
    };
    let planted = Planted::new(&options)?;
    let summary = planted.write(&mut out, test_out.as_mut())?;
    out.finish()?;
    test_out.map_or(Ok(()), Out::finish)?;
    let text = summary.text(&options);
    fs::write(&truth, &text).map_err(|error| Error::cannot_write(&truth, error))?;
    notes.note(&format!("wrote {}", train.display()));
    text.lines().for_each(|line| notes.note(line));
    Ok(())
}

/// A file of ratings.
struct Out {
    path: PathBuf,
    out: Sink,
    lines: Vec<u8>,
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(flate2::write::GzEncoder<BufWriter<File>>),
}

impl Out {
    fn create(path: &Path, gzip: bool) -> Result<Out> {
        let file = File::create(path).map_err(|error| Error::cannot_create(path, error))?;
        let out = BufWriter::with_capacity(1 << 20, file);
        let out = match gzip {
            // No name and no time in the header: equal options give equal bytes.
            true => Sink::Gzip(GzBuilder::new().mtime(0).write(out, Compression::best())),
            false => Sink::Plain(out),
        };
        Ok(Out {
            path: path.to_path_buf(),
            out,
            lines: Vec::new(),
        })
    }

    /// Adds a line; `halves` is the rating in half stars.
    fn line(&mut self, user: u32, item: u32, halves: u32) {
        push_number(&mut self.lines, user);
        self.lines.push(b'\t');
        push_number(&mut self.lines, item);
        self.lines.push(b'\t');
        push_number(&mut self.lines, halves / 2);
        if halves % 2 == 1 {
            self.lines.extend_from_slice(b".5");
        }
        self.lines.push(b'\n');
    }

    fn flush_lines(&mut self) -> Result<()> {
        let written = match &mut self.out {
            Sink::Plain(out) => out.write_all(&self.lines),
            Sink::Gzip(out) => out.write_all(&self.lines),
        };
        self.lines.clear();
        written.map_err(|error| Error::cannot_write(&self.path, error))
    }

    fn finish(mut self) -> Result<()> {
        self.flush_lines()?;
        let flushed: io::Result<()> = match self.out {
            Sink::Plain(mut out) => out.flush(),
            Sink::Gzip(out) => out.finish().and_then(|mut out| out.flush()),
        };
        flushed.map_err(|error| Error::cannot_write(&self.path, error))
    }
}

fn push_number(out: &mut Vec<u8>, mut number: u32) {
    let (mut digits, mut at) = ([0u8; 10], 10);
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// What was written.
#[derive(Debug, Default)]
struct Summary {
    train: u64,
    test: u64,
    /// Sums over test (or, without, training) ratings of the squared error of the planted model,
    /// before its prediction is clipped.
    error: f64,
    measured: u64,
}

impl Summary {
    fn text(&self, options: &Options) -> String {
        let Options {
            users,
            items,
            rank,
            noise,
            ..
        } = options;
        format!(
            "{} training and {} test ratings of {users} users and {items} items; \
             {rank} planted factors, noise {noise}\n\
             RMSE of the planted model itself: {:.4}\n",
            self.train,
            self.test,
            (self.error / self.measured.max(1) as f64).sqrt()
        )
    }
}

/// Everything that ratings are drawn from.
struct Planted {
    options: Options,
    /// The item at each rank of popularity.
    by_rank: Vec<u32>,
    biases: Vec<f32>,
    /// Items × rank, components weighted.
    factors: Vec<f32>,
    popularity: Popularity,
}

impl Planted {
    fn new(options: &Options) -> Result<Planted> {
        let (items, rank) = (options.items as usize, options.rank as usize);
        let mut rng = Rng::stream(options.seed, OF_ITEMS, 0, 0);
        let weights: Vec<f64> = (1..=rank).map(|j| 1.0 / j as f64).collect();
        let total: f64 = weights.iter().sum();
        let weights: Vec<f32> = weights
            .iter()
            .map(|w| (TASTE * (w / total).sqrt()) as f32)
            .collect();
        let mut by_rank: Vec<u32> = (1..=options.items).collect();
        for at in (1..items).rev() {
            by_rank.swap(at, rng.below(at as u64 + 1) as usize);
        }
        let biases = (0..items)
            .map(|_| (ITEM_BIAS * normal(&mut rng)) as f32)
            .collect();
        let factors = (0..items * rank)
            .map(|at| weights[at % rank] * normal(&mut rng) as f32)
            .collect();
        Ok(Planted {
            options: options.clone(),
            by_rank,
            biases,
            factors,
            popularity: Popularity::new(items),
        })
    }

    fn write(&self, out: &mut Out, mut test: Option<&mut Out>) -> Result<Summary> {
        let Options { rank, .. } = self.options;
        let mut summary = Summary::default();
        let mut taste = vec![0.0f32; rank as usize];
        let mut user = UserItems::new(self.by_rank.len());
        let activity = self.activity()?;
        let mut left: usize = activity.iter().sum();
        for (number, ratings) in (1..).zip(activity) {
            let mut rng = Rng::stream(self.options.seed, OF_USER, number, 0);
            let bias = USER_BIAS * normal(&mut rng);
            taste.fill_with(|| normal(&mut rng) as f32);
            for &item in user.draw(ratings, &self.popularity, &mut rng) {
                let truth = MEAN + bias + self.item_part(item as usize, &taste);
                let seen = truth + self.options.noise * normal(&mut rng);
                let halves = (2.0 * seen).round().clamp(1.0, 10.0);
                left -= 1;
                // There is something to train on, however little.
                let is_needed = left == 0 && summary.train == 0;
                let is_test = rng.uniform() < self.options.holdout && !is_needed;
                if is_test || self.options.holdout == 0.0 {
                    summary.error += (truth - halves / 2.0).powi(2);
                    summary.measured += 1;
                }
                let item = self.by_rank[item as usize];
                match &mut test {
                    Some(test) if is_test => {
                        test.line(number as u32, item, halves as u32);
                        summary.test += 1;
                    }
                    _ => {
                        out.line(number as u32, item, halves as u32);
                        summary.train += 1;
                    }
                }
            }
            out.flush_lines()?;
            test.as_mut().map_or(Ok(()), |test| test.flush_lines())?;
        }
        Ok(summary)
    }

    fn item_part(&self, item: usize, taste: &[f32]) -> f64 {
        let row = &self.factors[item * taste.len()..][..taste.len()];
        let product: f32 = row.iter().zip(taste).map(|(q, p)| q * p).sum();
        f64::from(self.biases[item] + product)
    }

    /// The number of ratings of each user: log-normal, summing up to all.
    fn activity(&self) -> Result<Vec<usize>> {
        let Options {
            users,
            items,
            ratings,
            seed,
            ..
        } = self.options;
        let most = (f64::from(items) * RATED_MAX).max(1.0).floor();
        let law = LogNormal::new(0.0, ACTIVITY).map_err(|e| Error::Bug(e.to_string()))?;
        let mut rng = Rng::stream(seed, OF_ACTIVITY, 0, 0);
        let weights: Vec<f64> = (0..users).map(|_| law.sample(&mut rng)).collect();
        // Raised until what the limit takes from the most active is given to the others.
        let sum = |scale: f64| weights.iter().map(|w| (w * scale).min(most)).sum::<f64>();
        let wanted = ratings as f64;
        let (mut low, mut high) = (0.0, 1.0);
        while sum(high) < wanted && high < 1e18 {
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            match sum(middle) < wanted {
                true => low = middle,
                false => high = middle,
            }
        }
        let (mut exact, mut given) = (0.0, 0.0);
        Ok(weights
            .iter()
            .map(|weight| {
                exact += (weight * high).min(most);
                let now = (exact - given).round().clamp(0.0, most);
                given += now;
                now as usize
            })
            .collect())
    }
}

/// The items that one user rates.
struct UserItems {
    drawn: Vec<u32>,
    /// The user that drew each item last.
    drawn_by: Vec<u32>,
    user: u32,
}

impl UserItems {
    fn new(items: usize) -> UserItems {
        UserItems {
            drawn: Vec::new(),
            drawn_by: vec![0; items],
            user: 0,
        }
    }

    /// Draws `wanted` items by popularity, none twice.
    fn draw(&mut self, wanted: usize, popularity: &Popularity, rng: &mut Rng) -> &[u32] {
        self.user += 1;
        self.drawn.clear();
        while self.drawn.len() < wanted {
            let item = popularity.draw(rng);
            let by = &mut self.drawn_by[item as usize];
            if *by != self.user {
                *by = self.user;
                self.drawn.push(item);
            }
        }
        &self.drawn
    }
}

/// Zipf–Mandelbrot: the item at rank x, from 0, has weight (x + offset)^−s.
struct Popularity {
    items: usize,
    offset: f64,
    /// The integral of the weight up to the first and the last rank, up to a factor.
    ends: [f64; 2],
}

impl Popularity {
    fn new(items: usize) -> Popularity {
        let offset = (items as f64 * ZIPF_OFFSET).max(1.0);
        let ends = [offset, offset + items as f64].map(|x| x.powf(1.0 - ZIPF));
        Popularity {
            items,
            offset,
            ends,
        }
    }

    fn draw(&self, rng: &mut Rng) -> u32 {
        let [first, last] = self.ends;
        let at = first + rng.uniform() * (last - first);
        let rank = at.powf(1.0 / (1.0 - ZIPF)) - self.offset;
        (rank as usize).min(self.items - 1) as u32
    }
}

fn normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}
