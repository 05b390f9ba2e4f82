//! The topics for people: their top words.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use super::save::Counts;
use crate::data::Vocabulary;

/// One topic in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Description {
    /// The topic's part of all tokens.
    pub(super) share: f64,
    /// Words and φ_wk, the most probable first; of equals the first in the vocabulary.
    pub(super) words: Vec<(u32, f64)>,
}

/// A count and its word; the largest is the least frequent word, of equals the last.
type Ranked = Reverse<(u32, Reverse<u32>)>;

/// Describes all topics by their `top` most probable words that occur in them.
pub(super) fn describe(counts: &Counts, beta: f64, top: usize) -> Vec<Description> {
    let mut best: Vec<BinaryHeap<Ranked>> = vec![BinaryHeap::new(); counts.totals.len()];
    for word in 0..counts.words() {
        for (topic, count) in counts.row(word) {
            let heap = &mut best[topic as usize];
            heap.push(Reverse((count, Reverse(word as u32))));
            if heap.len() > top {
                heap.pop();
            }
        }
    }
    let tokens = counts.totals.iter().sum::<u64>().max(1) as f64;
    let beta_sum = beta * counts.words() as f64;
    best.into_iter()
        .zip(&counts.totals)
        .map(|(heap, &total)| {
            let phi = |count: u32| (f64::from(count) + beta) / (total as f64 + beta_sum);
            let words = heap.into_sorted_vec();
            let words = words
                .into_iter()
                .map(|Reverse((n, Reverse(w)))| (w, phi(n)))
                .collect();
            Description {
                share: total as f64 / tokens,
                words,
            }
        })
        .collect()
}

/// A word as people read it; `#17` where it has no name.
pub(super) fn name(vocabulary: Option<&Vocabulary>, word: u32) -> String {
    let known = vocabulary.and_then(|vocabulary| vocabulary.word(word));
    known.map_or_else(|| format!("#{word}"), str::to_string)
}

/// `topics.txt`: a line for each topic with its part of all tokens, then a line for each top word
/// with its probability.
pub(super) fn write(
    out: &mut impl Write,
    topics: &[Description],
    alpha: &[f64],
    vocabulary: Option<&Vocabulary>,
) -> io::Result<()> {
    for (number, topic) in topics.iter().enumerate() {
        let share = 100.0 * topic.share;
        writeln!(
            out,
            "topic {number}: {share:.2} % of tokens, alpha {:.4}",
            alpha[number]
        )?;
        for &(word, phi) in &topic.words {
            writeln!(out, "  {phi:.5} {}", name(vocabulary, word))?;
        }
    }
    Ok(())
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
        write(&mut out, &topics[1..], &[0.1], Some(&vocabulary)).unwrap();
        let text = "topic 0: 9.52 % of tokens, alpha 0.1000\n  0.62500 oven\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
