//! The words of one document put in order.

/// Orders words with ids up to a limit. Instead of sorting, which costs a mispredicted branch or two
/// for each word, it marks ids in a bit set, and words of the set in another.
#[derive(Debug)]
pub(super) struct Bag {
    /// By id; what is not in the set means nothing.
    counts: Vec<u32>,
    /// The ids held.
    set: Vec<u64>,
    /// The words of `set` that are not zero.
    top: Vec<u64>,
    /// The entries of a document too short to go through `top` for.
    short: Vec<(u32, u32)>,
}

impl Bag {
    /// A bag for ids up to `last`, which is that of words to leave out.
    pub(super) fn new(last: u32) -> Bag {
        let last = last as usize;
        Bag {
            counts: vec![0; last + 1],
            set: vec![0; last / 64 + 1],
            top: vec![0; last / 4096 + 1],
            short: Vec::new(),
        }
    }

    /// Replaces the document's different words by `ids[word]` and puts its entries in the order of
    /// ids; those that are left out go to the end and get a count of 0.
    pub(super) fn arrange(&mut self, words: &mut [u32], counts: &mut [u32], ids: &[u32]) {
        let kept = match words.len() < self.top.len() {
            true => self.sort(words, counts, ids),
            false => {
                for (word, count) in words.iter().zip(counts.iter()) {
                    self.put(ids[*word as usize], *count);
                }
                self.take(words, counts)
            }
        };
        counts[kept..].fill(0);
    }

    /// The last id.
    fn left_out(&self) -> usize {
        self.counts.len() - 1
    }

    fn sort(&mut self, words: &mut [u32], counts: &mut [u32], ids: &[u32]) -> usize {
        let left_out = self.left_out() as u32;
        let entries = words.iter().zip(counts.iter());
        let entries = entries.map(|(word, count)| (ids[*word as usize], *count));
        self.short.clear();
        self.short.extend(entries.filter(|(id, _)| *id != left_out));
        self.short.sort_unstable_by_key(|(id, _)| *id);
        for (place, (id, count)) in self.short.iter().enumerate() {
            (words[place], counts[place]) = (*id, *count);
        }
        self.short.len()
    }

    #[inline(always)]
    fn put(&mut self, id: u32, count: u32) {
        let id = id as usize;
        self.counts[id] = count;
        self.set[id / 64] |= 1 << (id % 64);
        self.top[id / 4096] |= 1 << (id / 64 % 64);
    }

    /// Moves everything but the last id into the slices and returns how much that was.
    fn take(&mut self, words: &mut [u32], counts: &mut [u32]) -> usize {
        let left_out = self.left_out();
        self.set[left_out / 64] &= !(1 << (left_out % 64));
        let mut entries = words.iter_mut().zip(counts.iter_mut());
        let mut taken = 0;
        for (high, top) in self.top.iter_mut().enumerate() {
            let mut middles = std::mem::take(top);
            while middles != 0 {
                let middle = high * 64 + middles.trailing_zeros() as usize;
                middles &= middles - 1;
                let mut lows = std::mem::take(&mut self.set[middle]);
                while lows != 0 {
                    let id = middle * 64 + lows.trailing_zeros() as usize;
                    lows &= lows - 1;
                    if let Some((word, count)) = entries.next() {
                        (*word, *count) = (id as u32, self.counts[id]);
                        taken += 1;
                    }
                }
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_any_length_are_put_in_order() {
        let last = 20_000;
        let mut bag = Bag::new(last);
        let mut ids: Vec<u32> = (0..last).map(|word| word * 7_919 % last).collect();
        ids[5..9].fill(last);
        for length in [0, 1, 3, 4, 5, 6, 50, 3_000] {
            let mut words: Vec<u32> = (0..length).collect();
            let mut counts: Vec<u32> = (1..=length).collect();
            let mut expected: Vec<(u32, u32)> = words
                .iter()
                .map(|word| (ids[*word as usize], word + 1))
                .filter(|(id, _)| *id != last)
                .collect();
            expected.sort_unstable();
            bag.arrange(&mut words, &mut counts, &ids);
            let kept = counts.iter().take_while(|count| **count > 0).count();
            assert!(counts[kept..].iter().all(|count| *count == 0));
            let read: Vec<(u32, u32)> = words.into_iter().zip(counts).take(kept).collect();
            assert_eq!(read, expected);
        }
    }
}
