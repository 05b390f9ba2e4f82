//! `petuum generate lda`: documents with planted topics.
//!
//! Every document draws its length from a log-normal distribution and its tokens' topics from a
//! Pólya urn, which is the Dirichlet-multinomial with all α_k equal: a token starts an urn's colour
//! afresh with weight Kα, or repeats the topic of an earlier token. Then each token draws a word of
//! its topic.
//!
//! * Without `--words` the topics are [eight walks of life](super::themes) in readable words. With
//!   no option but `-o` this is the corpus that is built in, byte for byte.
//! * With `--words V` they are synthetic: word frequencies follow Zipf's law, as in natural text.
//!   Ranks are cut into octaves (1, 2-3, 4-7, ...) and these into groups of 8 neighbours; a topic
//!   has one word of each group, so its words are 8 times as frequent in it as outside, and
//!   octaves of fewer than 16 words are common to all.
//!
//! Documents depend on the seed and their number alone and are not kept, so any number of them
//! takes the memory of one. They are made twice, because docword's header counts entries.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::{Compression, GzBuilder};
use rand_distr::{Distribution, LogNormal, Zipf};

use super::themes::{COMMON, THEMES};
use crate::error::{Error, Result};
use crate::math::rng::{Rng, mix};
use crate::program::flag::{above, real, whole};
use crate::report::Notes;

/// What the command line says about this generator.
pub const ABOUT: &str = "Documents with planted topics, as UCI docword and vocabulary";

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder for docword.NAME.txt.gz, vocab.NAME.txt and planted.NAME.txt
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// NAME in the files' names
    #[arg(long, default_value = "sample")]
    pub name: String,

    /// Number of documents
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = whole(1..=u32::MAX))]
    pub documents: u32,

    /// Synthetic words, this many, named w1 and on [default: readable words]
    #[arg(long, value_name = "V", value_parser = whole(1..=1u32 << 28))]
    pub words: Option<u32>,

    /// Number of topics [default: 8, or 100 with --words]
    #[arg(short = 'k', long, value_name = "K", value_parser = whole(1..=1u32 << 20))]
    pub topics: Option<u32>,

    /// Mean number of words in a document
    #[arg(long, value_name = "L", default_value_t = 40.0, value_parser = real(1.0..=1e6))]
    pub length: f64,

    /// Prior weight of each topic in each document
    #[arg(long, default_value_t = 0.3, value_parser = above(0.0))]
    pub alpha: f64,

    /// Everything random comes from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Write plain text instead of gzip
    #[arg(long)]
    pub plain: bool,

    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// Spread of document lengths: the standard deviation of their logarithm.
const LENGTH_SIGMA: f64 = 0.5;
/// Part of a readable document's tokens that are common words.
const COMMON_SHARE: f64 = 0.2;
/// Exponent of Zipf's law.
const ZIPF: f64 = 1.05;
/// Neighbouring ranks of which a synthetic topic has one.
const GROUP: u64 = 8;

/// Writes the files. Status 2 if there are not enough readable topics, 73 or 74 if it cannot write.
pub fn run(options: Options, notes: &Notes) -> Result<()> {
    let planted = Planted::new(&options)?;
    let name = &options.name;
    let ending = if options.plain { "txt" } else { "txt.gz" };
    fs::create_dir_all(&options.output).map_err(|e| Error::cannot_create(&options.output, e))?;
    let docword = options.output.join(format!("docword.{name}.{ending}"));
    let vocabulary = options.output.join(format!("vocab.{name}.txt"));
    let truth = options.output.join(format!("planted.{name}.txt"));
    let paths = [&docword, &vocabulary, &truth];
    if let Some(path) = paths.iter().find(|path| !options.force && path.exists()) {
        return Err(Error::cannot_create(
            path,
            "it is there already, --force replaces it",
        ));
    }
    write_file(&vocabulary, |out| planted.write_words(out))?;
    write_file(&truth, |out| planted.write_topics(out))?;
    write_file(&docword, |out| {
        if options.plain {
            return planted.write_documents(out);
        }
        // No name and no time in the header: equal options give equal bytes.
        let mut out = GzBuilder::new().mtime(0).write(out, Compression::best());
        planted.write_documents(&mut out)?;
        out.finish().map(|_| ())
    })?;
    notes.note(&format!(
        "wrote {} and {}",
        docword.display(),
        vocabulary.display()
    ));
    Ok(())
}

fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let file = File::create(path).map_err(|error| Error::cannot_create(path, error))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(|error| Error::cannot_write(path, error))
}

/// Where words come from.
enum Words {
    /// All readable words, sorted; for each topic and last for what is common, word numbers and
    /// the partial sums of their weights.
    Readable {
        names: Vec<&'static str>,
        lists: Vec<(Vec<u32>, Vec<f64>)>,
    },
    /// This many synthetic words.
    Synthetic { words: u32, ranks: Zipf<f64> },
}

/// Everything that documents are drawn from.
struct Planted {
    documents: u32,
    topics: u32,
    alpha: f64,
    seed: u64,
    lengths: LogNormal<f64>,
    words: Words,
}

impl Planted {
    fn new(options: &Options) -> Result<Planted> {
        let topics = options
            .topics
            .unwrap_or(if options.words.is_some() { 100 } else { 8 });
        let words = match options.words {
            None if topics as usize > THEMES.len() => {
                return Err(Error::Usage(format!(
                    "--topics: {topics} is too large, at most {} with readable words; \
                     --words V makes synthetic ones",
                    THEMES.len()
                )));
            }
            None => readable(topics as usize),
            Some(words) => {
                let ranks = Zipf::new(f64::from(words), ZIPF)
                    .map_err(|error| Error::Usage(format!("--words: {error}")))?;
                Words::Synthetic { words, ranks }
            }
        };
        let mu = options.length.ln() - LENGTH_SIGMA * LENGTH_SIGMA / 2.0;
        let lengths = LogNormal::new(mu, LENGTH_SIGMA)
            .map_err(|error| Error::Usage(format!("--length: {error}")))?;
        let Options {
            documents,
            alpha,
            seed,
            ..
        } = *options;
        Ok(Planted {
            documents,
            topics,
            alpha,
            seed,
            lengths,
            words,
        })
    }

    /// Fills `words` with a document's tokens, sorted, and `urn` with their topics.
    fn document(&self, number: u32, words: &mut Vec<u32>, urn: &mut Vec<u32>) {
        let mut rng = Rng::stream(self.seed, 0, u64::from(number), 0);
        let length = self.lengths.sample(&mut rng).round().max(1.0) as usize;
        let fresh = self.alpha * f64::from(self.topics);
        urn.clear();
        words.clear();
        for token in 0..length {
            let at = rng.uniform() * (fresh + token as f64);
            let topic = match at < fresh {
                true => rng.below(u64::from(self.topics)) as u32,
                false => urn[((at - fresh) as usize).min(token - 1)],
            };
            urn.push(topic);
            words.push(self.words.draw(topic, &mut rng));
        }
        words.sort_unstable();
    }

    fn write_documents(&self, out: &mut dyn Write) -> io::Result<()> {
        let (mut words, mut urn) = (Vec::new(), Vec::new());
        let mut entries = 0u64;
        for number in 0..self.documents {
            self.document(number, &mut words, &mut urn);
            entries += words.chunk_by(|a, b| a == b).count() as u64;
        }
        write!(
            out,
            "{}\n{}\n{entries}\n",
            self.documents,
            self.words.count()
        )?;
        let mut lines = Vec::new();
        for number in 0..self.documents {
            self.document(number, &mut words, &mut urn);
            lines.clear();
            for same in words.chunk_by(|a, b| a == b) {
                writeln!(lines, "{} {} {}", number + 1, same[0] + 1, same.len())?;
            }
            out.write_all(&lines)?;
        }
        Ok(())
    }

    fn write_words(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.words {
            Words::Readable { names, .. } => {
                names.iter().try_for_each(|name| writeln!(out, "{name}"))
            }
            Words::Synthetic { words, .. } => (1..=*words).try_for_each(|w| writeln!(out, "w{w}")),
        }
    }

    /// A line for each topic with the words that tell it from others, most frequent first.
    fn write_topics(&self, out: &mut dyn Write) -> io::Result<()> {
        for topic in 0..self.topics {
            match &self.words {
                Words::Readable { names, lists } => {
                    let words: Vec<&str> = lists[topic as usize]
                        .0
                        .iter()
                        .take(20)
                        .map(|&w| names[w as usize])
                        .collect();
                    writeln!(out, "{}: {}", THEMES[topic as usize].0, words.join(" "))?;
                }
                Words::Synthetic { words, .. } => {
                    write!(out, "topic {topic}:")?;
                    // The first ranks of octaves with groups, one of each group.
                    for rank in
                        (2 * GROUP..u64::from(*words).min(20 * GROUP)).step_by(GROUP as usize)
                    {
                        write!(out, " w{}", synthetic(topic, rank + 1, *words) + 1)?;
                    }
                    writeln!(out)?;
                }
            }
        }
        Ok(())
    }
}

impl Words {
    fn count(&self) -> usize {
        match self {
            Words::Readable { names, .. } => names.len(),
            Words::Synthetic { words, .. } => *words as usize,
        }
    }

    fn draw(&self, topic: u32, rng: &mut Rng) -> u32 {
        match self {
            Words::Readable { lists, .. } => {
                let common = rng.uniform() < COMMON_SHARE;
                let list = if common {
                    lists.len() - 1
                } else {
                    topic as usize
                };
                let (words, sums) = &lists[list];
                let at = rng.uniform() * sums[sums.len() - 1];
                words[sums.partition_point(|&sum| sum <= at).min(words.len() - 1)]
            }
            Words::Synthetic { words, ranks } => synthetic(topic, ranks.sample(rng) as u64, *words),
        }
    }
}

/// The word, from 0, that stands at a rank, from 1, of a topic.
fn synthetic(topic: u32, rank: u64, words: u32) -> u32 {
    let first = 1u64 << rank.ilog2();
    let size = first.min(u64::from(words) + 1 - first);
    let groups = size / GROUP;
    if groups < 2 {
        return (rank - 1) as u32;
    }
    let group = (rank - first) % groups;
    let chosen = mix(u64::from(topic) << 32 ^ (first + group)) % GROUP;
    (first - 1 + group * GROUP + chosen) as u32
}

fn readable(topics: usize) -> Words {
    let mut lists: Vec<Vec<&str>> = THEMES[..topics]
        .iter()
        .map(|(_, words)| words.split_whitespace().collect())
        .collect();
    lists.push(COMMON.split_whitespace().collect());
    let mut names: Vec<&str> = lists.iter().flatten().copied().collect();
    names.sort_unstable();
    names.dedup();
    let lists = lists.iter().map(|list| {
        let number = |word: &&str| names.partition_point(|name| name < word) as u32;
        let mut sum = 0.0;
        let weigh = |rank: usize| {
            sum += 1.0 / (rank as f64 + 8.0);
            sum
        };
        (
            list.iter().map(number).collect(),
            (0..list.len()).map(weigh).collect(),
        )
    });
    Words::Readable {
        lists: lists.collect(),
        names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::io::Read;

    fn options(output: &Path) -> Options {
        Options {
            output: output.into(),
            name: "sample".into(),
            documents: 2000,
            words: None,
            topics: None,
            length: 40.0,
            alpha: 0.3,
            seed: 1,
            plain: false,
            force: false,
        }
    }

    fn notes() -> Notes {
        Notes::new(true, false, Box::new(io::sink()))
    }

    fn unpack(bytes: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes)
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn the_built_in_sample_is_what_this_writes() {
        let folder = tempfile::tempdir().unwrap();
        run(options(folder.path()), &notes()).unwrap();
        let made = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let kept = |name: &str| {
            fs::read(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("datasets/sample-lda")
                    .join(name),
            )
            .unwrap()
        };
        for name in ["vocab.sample.txt", "planted.sample.txt"] {
            assert!(made(name) == kept(name), "{name}");
        }
        let (made, kept) = (made("docword.sample.txt.gz"), kept("docword.sample.txt.gz"));
        assert!(unpack(&made) == unpack(&kept));
        assert!(kept.len() < 200_000);
        let refused = run(options(folder.path()), &notes()).unwrap_err();
        assert_eq!(refused.status(), 73);
    }

    #[test]
    fn themes_are_words_of_their_own() {
        for (name, words) in THEMES.iter().chain([&("common", COMMON)]) {
            let list: Vec<&str> = words.split_whitespace().collect();
            let set: BTreeSet<&str> = list.iter().copied().collect();
            assert!(
                list.len() == set.len() && list.len() >= 40,
                "{name}: {}",
                list.len()
            );
            assert!(
                list.iter()
                    .all(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
            );
        }
    }

    #[test]
    fn headers_tell_what_follows_and_synthetic_words_follow_zipf() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            words: Some(5000),
            topics: Some(20),
            documents: 3000,
            plain: true,
            ..options(folder.path())
        };
        run(options, &notes()).unwrap();
        let text = fs::read_to_string(folder.path().join("docword.sample.txt")).unwrap();
        let mut lines = text.lines();
        let mut header = || lines.next().unwrap().parse::<u64>().unwrap();
        let (documents, words, entries) = (header(), header(), header());
        assert_eq!((documents, words), (3000, 5000));
        let mut frequencies = vec![0u64; 5000];
        let (mut seen, mut tokens) = (0, 0);
        for line in lines {
            let f: Vec<u64> = line.split(' ').map(|f| f.parse().unwrap()).collect();
            assert!((1..=documents).contains(&f[0]) && (1..=words).contains(&f[1]) && f[2] > 0);
            frequencies[f[1] as usize - 1] += f[2];
            seen += 1;
            tokens += f[2];
        }
        assert_eq!(seen, entries);
        assert!((105_000..135_000).contains(&tokens), "{tokens}");
        // Each octave has about as many tokens as the one before: Zipf's law.
        let octave = |j: u32| frequencies[(1 << j) - 1..(2 << j) - 1].iter().sum::<u64>() as f64;
        for j in 1..11 {
            assert!(
                (0.7..1.1).contains(&(octave(j + 1) / octave(j))),
                "octave {j}"
            );
        }
    }

    #[test]
    fn a_synthetic_topic_has_one_word_of_each_group() {
        for topic in 0..5 {
            let words: BTreeSet<u32> = (32..64).map(|rank| synthetic(topic, rank, 1000)).collect();
            assert_eq!(words.len(), 4);
            assert!(words.iter().all(|w| (31..63).contains(w)));
        }
        assert!((1..=13).all(|rank| synthetic(3, rank, 13) < 13));
        assert!((1..=1000).all(|rank| synthetic(3, rank, 1000) < 1000));
    }

    #[test]
    fn more_readable_topics_than_there_are_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(
            Options {
                topics: Some(9),
                ..options(folder.path())
            },
            &notes(),
        );
        assert!(
            error
                .unwrap_err()
                .to_string()
                .starts_with("--topics: 9 is too large, at most 8")
        );
    }
}
