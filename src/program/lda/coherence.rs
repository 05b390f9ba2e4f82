//! How well the top words of a topic go together: UMass and NPMI over the training documents.
//!
//! ```text
//! UMass  =  mean over pairs, w_j before w_i in the topic's order, of  ln ( (D(w_i,w_j) + 1) / D(w_j) )
//! NPMI   =  mean over pairs of  ln ( P(w_i,w_j) / (P(w_i) P(w_j)) ) / −ln P(w_i,w_j),   P = D(·) / D
//! ```
//!
//! D(·) is the number of training documents that hold the words, D that of all of them. UMass is
//! Mimno, Wallach, Talley, Leenders & McCallum (EMNLP 2011), as a mean over pairs instead of a sum, as
//! in Röder, Both & Hinneburg (WSDM 2015); NPMI is Bouma (GSCL 2009) with whole documents as windows.
//! A pair that is never together has NPMI −1, its limit; one that is in every document 1. Higher is
//! better in both.
//!
//! Only the documents of top words are looked at: those of a topic's words are brought together and
//! sorted, and each document then says which pairs it holds.

use super::part::Part;
use crate::engine::spread;
use crate::math::varint;
use crate::scheduler::partition::Partition;

/// The first so many words of a topic are looked at.
pub(super) const WORDS: usize = 10;
/// The most topics for which this is found out: more have few documents each, and cost long.
pub(super) const TOPICS_MAX: usize = 20_000;
/// Topics that a thread takes at a time.
const SHARE: usize = 16;

/// In how many documents the words of a topic are, and each pair of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Together {
    words: Vec<u64>,
    /// Of words 0 and 1, 0 and 2, 1 and 2, 0 and 3 ...
    pairs: Vec<u64>,
}

impl Together {
    fn new(words: usize) -> Together {
        Together {
            words: vec![0; words],
            pairs: vec![0; words * words.saturating_sub(1) / 2],
        }
    }

    /// Notes one document that holds the words whose bits are set.
    fn note(&mut self, held: u16) {
        for later in (0..self.words.len()).filter(|word| held >> word & 1 == 1) {
            self.words[later] += 1;
            for earlier in (0..later).filter(|word| held >> word & 1 == 1) {
                self.pairs[later * (later - 1) / 2 + earlier] += 1;
            }
        }
    }

    fn add(&mut self, other: &Together) {
        let own = self.words.iter_mut().chain(&mut self.pairs);
        own.zip(other.words.iter().chain(&other.pairs)).for_each(|(own, other)| *own += other);
    }

    /// UMass and NPMI among `documents` documents; None for fewer than two words.
    pub(super) fn coherence(&self, documents: u64) -> Option<[f64; 2]> {
        let (mut umass, mut npmi) = (0.0, 0.0);
        for later in 1..self.words.len() {
            for earlier in 0..later {
                let both = self.pairs[later * (later - 1) / 2 + earlier];
                let [one, other] = [self.words[later], self.words[earlier]];
                umass += ((both + 1) as f64 / other.max(1) as f64).ln();
                npmi += normalized(both, one, other, documents);
            }
        }
        let pairs = self.pairs.len() as f64;
        (pairs > 0.0).then(|| [umass / pairs, npmi / pairs])
    }
}

/// Normalised pointwise mutual information of two words.
fn normalized(both: u64, one: u64, other: u64, documents: u64) -> f64 {
    let p = |count: u64| count as f64 / documents as f64;
    match both {
        0 => -1.0,
        _ if both == documents => 1.0,
        _ => (p(both) / (p(one) * p(other))).ln() / -p(both).ln(),
    }
}

/// Counts in these parts for each topic, given by its words.
pub(super) fn count(
    parts: &[Part],
    partition: &Partition,
    topics: &[Vec<u32>],
    threads: usize,
) -> Vec<Together> {
    let shares = spread(threads, topics.len().div_ceil(SHARE), |share| {
        let topics = &topics[share * SHARE..topics.len().min((share + 1) * SHARE)];
        let count = |words: &Vec<u32>| count_topic(parts, partition, words);
        topics.iter().map(count).collect::<Vec<Together>>()
    });
    shares.into_iter().flatten().collect()
}

fn count_topic(parts: &[Part], partition: &Partition, words: &[u32]) -> Together {
    let mut together = Together::new(words.len());
    let mut held: Vec<u64> = Vec::new();
    for part in parts {
        held.clear();
        for (number, &word) in (0u64..).zip(words) {
            let tokens = part.tokens.find(partition.position(word));
            let documents = part.tokens.documents[tokens].chunk_by(|one, other| one == other);
            held.extend(documents.map(|same| u64::from(same[0]) << 4 | number));
        }
        // Each word's documents come in order; merging such runs is what this sort is good at.
        held.sort();
        for same in held.chunk_by(|one, other| one >> 4 == other >> 4) {
            together.note(same.iter().fold(0, |bits, word| bits | 1 << (word & 15)));
        }
    }
    together
}

/// Topics' words as bytes for other ranks.
pub(super) fn encode_words(topics: &[Vec<u32>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for words in topics {
        varint::push(&mut bytes, words.len() as u64);
        words.iter().for_each(|&word| varint::push(&mut bytes, u64::from(word)));
    }
    bytes
}

/// What [`encode_words`] gave, of `words` words; None if it is not that.
pub(super) fn decode_words(mut bytes: &[u8], words: usize) -> Option<Vec<Vec<u32>>> {
    let mut topics = Vec::new();
    while !bytes.is_empty() {
        let count = varint::pop(&mut bytes).filter(|&count| count <= WORDS as u64)?;
        let mut word = |_| {
            let word = varint::pop(&mut bytes).filter(|&word| word < words as u64)?;
            Some(word as u32)
        };
        topics.push((0..count).map(&mut word).collect::<Option<Vec<u32>>>()?);
    }
    Some(topics)
}

/// Counts as bytes for rank 0, after the number of documents.
pub(super) fn encode_counts(documents: u64, topics: &[Together]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::push(&mut bytes, documents);
    for together in topics {
        let counts = together.words.iter().chain(&together.pairs);
        counts.for_each(|&count| varint::push(&mut bytes, count));
    }
    bytes
}

/// The sums of what [`encode_counts`] gave on each rank, for topics with these words; None if it is
/// not that.
pub(super) fn add_counts<'a>(
    ranks: impl Iterator<Item = &'a [u8]>,
    topics: &[Vec<u32>],
) -> Option<(u64, Vec<Together>)> {
    let mut sums: Vec<Together> = topics.iter().map(|words| Together::new(words.len())).collect();
    let mut documents = 0;
    for mut bytes in ranks {
        documents += varint::pop(&mut bytes)?;
        for sum in &mut sums {
            let mut own = Together::new(sum.words.len());
            for count in own.words.iter_mut().chain(&mut own.pairs) {
                *count = varint::pop(&mut bytes).filter(|&count| count < 1 << 40)?;
            }
            sum.add(&own);
        }
        bytes.is_empty().then_some(())?;
    }
    Some((documents, sums))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::lda::sampler::Sampler;

    const WORDS_OF_ALL: [&str; 8] = [
        "oven", "garlic", "butter", "flour", "star", "orbit", "planet", "galaxy",
    ];
    /// As in `benches/lda_coherence_reference.py`.
    const DOCUMENTS: [&str; 12] = [
        "oven garlic butter",
        "oven garlic flour",
        "garlic butter oven flour",
        "star planet orbit",
        "star orbit",
        "planet star galaxy",
        "oven star",
        "butter flour",
        "galaxy orbit star planet",
        "garlic",
        "orbit planet",
        "flour oven butter garlic star",
    ];

    fn number(word: &str) -> u32 {
        WORDS_OF_ALL.iter().position(|known| *known == word).unwrap() as u32
    }

    fn parts(partition: &Partition, workers: usize) -> Vec<Part> {
        let shares = DOCUMENTS.chunks(DOCUMENTS.len().div_ceil(workers));
        let part = |documents: &[&str]| {
            let visit = |f: &mut dyn FnMut(usize, u32, u32)| {
                for (d, text) in documents.iter().enumerate() {
                    text.split(' ').for_each(|word| f(d, number(word), 2));
                }
            };
            let sampler = Sampler::new(vec![0.1; 3], 0.1, 8);
            Part::build(vec![false; documents.len()], partition, sampler, visit).unwrap()
        };
        shares.map(part).collect()
    }

    /// tomotopy's NPMI with whole documents; UMass by going through all documents for each pair.
    #[test]
    fn coherence_is_that_of_tomotopy_and_of_brute_force() {
        let partition = Partition::balanced(&[5, 4, 3, 2, 9, 1, 7, 1], 3);
        let topics = ["oven garlic butter flour", "star orbit planet galaxy", "oven planet galaxy", "star", ""];
        let topics: Vec<Vec<&str>> = topics.map(|t| t.split_whitespace().collect()).to_vec();
        let ids: Vec<Vec<u32>> = topics.iter().map(|t| t.iter().map(|w| number(w)).collect()).collect();
        let tomotopy = [0.479_121_381_113, 0.388_849_360_747];
        let holds = |words: &[&str]| {
            let holds = |text: &&&str| words.iter().all(|word| text.split(' ').any(|w| w == *word));
            DOCUMENTS.iter().filter(holds).count() as f64
        };
        for workers in [1, 2, 3] {
            let parts = parts(&partition, workers);
            let bytes: Vec<Vec<u8>> = parts
                .chunks(1)
                .map(|part| {
                    let counts = count(part, &partition, &ids, 2);
                    encode_counts(part[0].documents.count() as u64, &counts)
                })
                .collect();
            let (documents, sums) = add_counts(bytes.iter().map(|b| &b[..]), &ids).unwrap();
            assert_eq!(documents, 12);
            for (topic, (together, words)) in sums.iter().zip(&topics).enumerate() {
                let Some([umass, npmi]) = together.coherence(documents) else {
                    assert!(words.len() < 2);
                    continue;
                };
                let (mut wanted, mut pairs) = (0.0, 0.0);
                for later in 1..words.len() {
                    for earlier in 0..later {
                        let both = holds(&[words[later], words[earlier]]);
                        wanted += ((both + 1.0) / holds(&[words[earlier]])).ln();
                        pairs += 1.0;
                    }
                }
                assert!((umass - wanted / pairs).abs() < 1e-12);
                if let Some(wanted) = tomotopy.get(topic) {
                    assert!((npmi - wanted).abs() < 1e-9, "{npmi} {wanted}");
                }
            }
            // Oven is never with planet or galaxy, which tomotopy's small number cannot say.
            let [_, npmi] = sums[2].coherence(documents).unwrap();
            assert!((npmi + 0.462_284_269_078).abs() < 1e-9, "{npmi}");
        }
    }

    #[test]
    fn words_survive_the_wire_and_nonsense_does_not() {
        let topics = vec![vec![3, 500], vec![], vec![7]];
        let bytes = encode_words(&topics);
        assert_eq!(decode_words(&bytes, 501), Some(topics.clone()));
        assert_eq!(decode_words(&bytes, 500), None);
        assert_eq!(decode_words(&bytes[..bytes.len() - 1], 501), None);
        let counts = encode_counts(5, &topics.iter().map(|t| Together::new(t.len())).collect::<Vec<_>>());
        assert!(add_counts([&counts[..]].into_iter(), &topics).is_some());
        assert!(add_counts([&counts[1..]].into_iter(), &topics).is_none());
    }
}
