//! The topics for people: their top words.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use super::block::Block;
use super::save::Counts;
use crate::data::Vocabulary;
use crate::error::{Error, Result};
use crate::scheduler::partition::Partition;

/// The most topics that a text holds: nobody reads more.
const TOPICS_MAX: usize = 100_000;

/// One topic in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Description {
    /// The topic's part of all tokens.
    pub(super) share: f64,
    /// Words and φ_wk, the most probable first; of equals the first in the vocabulary.
    pub(super) words: Vec<(u32, f64)>,
    /// UMass and NPMI of the first words, if that was found out.
    pub(super) coherence: Option<[f64; 2]>,
}

/// A count and its word; the largest is the least frequent word, of equals the last.
type Ranked = Reverse<(u32, Reverse<u32>)>;

/// The most frequent words of each topic, met one by one in any order.
pub(super) struct Best {
    top: usize,
    heaps: Vec<BinaryHeap<Ranked>>,
}

impl Best {
    /// Keeps `top` words of each topic.
    pub(super) fn new(topics: usize, top: usize) -> Best {
        Best {
            top,
            heaps: vec![BinaryHeap::new(); topics],
        }
    }

    /// Meets a word that the topic has `count` tokens of.
    pub(super) fn meet(&mut self, topic: u32, word: u32, count: u32) {
        if let Some(heap) = self.heaps.get_mut(topic as usize) {
            let ranked = Reverse((count, Reverse(word)));
            if heap.len() < self.top {
                heap.push(ranked);
            } else if let Some(mut last) = heap.peek_mut().filter(|last| ranked < **last) {
                *last = ranked;
            }
        }
    }

    /// Meets the words of a block at these positions.
    pub(super) fn meet_block(&mut self, block: &Block, at: Range<u32>, partition: &Partition) {
        for (position, row) in at.zip(block.rows()) {
            let word = partition.variable(position);
            row.for_each(|(topic, count)| self.meet(topic, word, count));
        }
    }

    /// What was kept: topic, word, count.
    pub(super) fn into_entries(self) -> Vec<[u32; 3]> {
        let entry = |topic: u32| move |Reverse((count, Reverse(word)))| [topic, word, count];
        let heaps = (0..).zip(self.heaps);
        heaps
            .flat_map(|(topic, heap)| heap.into_iter().map(entry(topic)))
            .collect()
    }

    /// The topics, given n_k, β and the number of words.
    pub(super) fn describe(self, totals: &[u64], beta: f64, words: usize) -> Vec<Description> {
        let tokens = totals.iter().sum::<u64>().max(1) as f64;
        let beta_sum = beta * words as f64;
        let heaps = self.heaps.into_iter().zip(totals);
        heaps
            .map(|(heap, &total)| {
                let phi = |count: u32| (f64::from(count) + beta) / (total as f64 + beta_sum);
                let words = heap.into_sorted_vec().into_iter();
                Description {
                    share: total as f64 / tokens,
                    words: words.map(|Reverse((n, Reverse(w)))| (w, phi(n))).collect(),
                    coherence: None,
                }
            })
            .collect()
    }
}

/// Describes all topics by their `top` most probable words that occur in them.
pub(super) fn describe(counts: &Counts, beta: f64, top: usize) -> Vec<Description> {
    let mut best = Best::new(counts.totals.len(), top);
    for word in 0..counts.words() {
        let row = counts.row(word);
        row.for_each(|(topic, count)| best.meet(topic, word as u32, count));
    }
    best.describe(&counts.totals, beta, counts.words())
}

/// Writes [`write()`]'s text to a file that is there as a whole or not at all.
///
/// # Errors
/// Status 74 if it cannot be written.
pub(super) fn write_file(
    path: &Path,
    topics: &[Description],
    alpha: &[f64],
    vocabulary: Option<&Vocabulary>,
) -> Result<()> {
    let partial = path.with_extension("partial");
    let written = File::create(&partial).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out, topics, alpha, vocabulary)?;
        out.flush()?;
        fs::rename(&partial, path)
    });
    written.map_err(|error| Error::cannot_write(path, error))
}

/// A word as people read it; `#17` where it has no name.
pub(super) fn name(vocabulary: Option<&Vocabulary>, word: u32) -> String {
    let known = vocabulary.and_then(|vocabulary| vocabulary.word(word));
    known.map_or_else(|| format!("#{word}"), str::to_string)
}

/// `topics.txt`: a line for each topic with its part of all tokens and its coherence, then a line for each top word
/// with its probability.
pub(super) fn write(
    out: &mut impl Write,
    topics: &[Description],
    alpha: &[f64],
    vocabulary: Option<&Vocabulary>,
) -> io::Result<()> {
    for (number, topic) in topics.iter().enumerate().take(TOPICS_MAX) {
        let share = 100.0 * topic.share;
        let alpha = alpha[number];
        write!(out, "topic {number}: {share:.2} % of tokens, alpha {alpha:.4}")?;
        if let Some([umass, npmi]) = topic.coherence {
            write!(out, ", UMass {umass:.3}, NPMI {npmi:.3}")?;
        }
        writeln!(out)?;
        for &(word, phi) in &topic.words {
            writeln!(out, "  {phi:.5} {}", name(vocabulary, word))?;
        }
    }
    match topics.len().saturating_sub(TOPICS_MAX) {
        0 => Ok(()),
        others => writeln!(out, "and {others} more topics, in the counts alone"),
    }
}

/// One topic as a line on stderr.
pub(super) fn line(number: usize, topic: &Description, vocabulary: Option<&Vocabulary>) -> String {
    let words: Vec<String> = topic
        .words
        .iter()
        .map(|&(word, _)| name(vocabulary, word))
        .collect();
    format!(
        "topic {number} ({:.1} %): {}",
        100.0 * topic.share,
        words.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_words_come_by_weight_then_by_number() {
        let counts = Counts {
            offsets: vec![0, 2, 3, 4, 4],
            topics: vec![0, 1, 0, 0],
            counts: vec![5, 2, 9, 5],
            totals: vec![19, 2],
        };
        let topics = describe(&counts, 0.5, 2);
        let words = |k: usize| topics[k].words.iter().map(|w| w.0).collect::<Vec<_>>();
        assert_eq!((words(0), words(1)), (vec![1, 0], vec![0]));
        assert!((topics[0].words[0].1 - 9.5 / 21.0).abs() < 1e-12);
        let vocabulary = Vocabulary::new(["oven", "garlic"]);
        assert_eq!(
            line(0, &topics[0], Some(&vocabulary)),
            "topic 0 (90.5 %): garlic oven"
        );
        assert_eq!(line(1, &topics[1], None), "topic 1 (9.5 %): #0");
        let mut out = vec![];
        let mut last = topics[1].clone();
        write(&mut out, &[last.clone()], &[0.1], Some(&vocabulary)).unwrap();
        last.coherence = Some([-1.5, 0.25]);
        write(&mut out, &[last], &[0.1], Some(&vocabulary)).unwrap();
        let text = "topic 0: 9.52 % of tokens, alpha 0.1000\n  0.62500 oven\n\
                    topic 0: 9.52 % of tokens, alpha 0.1000, UMass -1.500, NPMI 0.250\n  0.62500 oven\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
