//! Words by number: each different word gets the next one when it is first seen.
//!
//! Nearly all words have at most 16 bytes. Such a word is a [`Key`], two integers that are compared
//! without following a pointer; only longer ones are strings.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::rows::Block;

/// No number.
const FREE: u32 = u32::MAX;

/// Slots of a table at first; always a power of two.
const SLOTS: usize = 1 << 12;

/// Words that are looked up together.
const BATCH: usize = 256;

/// Odd constants with well-mixed bits (from pi and e); no word has these bytes.
const MIX: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xB7E1_5162_8AED_2A6B];

/// A word of 1 to 16 bytes, none of them zero: its bytes from the lowest on, then zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(pub(super) [u64; 2]);

impl From<u128> for Key {
    /// The word whose first byte is the lowest.
    #[inline(always)]
    fn from(bytes: u128) -> Key {
        Key([bytes as u64, (bytes >> 64) as u64])
    }
}

impl PartialEq for Key {
    /// By halves: whole keys would be compared in memory, waiting for halves just written there.
    #[inline(always)]
    fn eq(&self, other: &Key) -> bool {
        (self.0[0] ^ other.0[0]) | (self.0[1] ^ other.0[1]) == 0
    }
}

impl Key {
    /// What stands for a word that is too long; these bytes are not UTF-8.
    const LONG: Key = Key([u64::MAX; 2]);

    /// The word, if it is short enough.
    fn of(word: &str) -> Option<Key> {
        let mut bytes = [0; 16];
        bytes
            .get_mut(..word.len())?
            .copy_from_slice(word.as_bytes());
        Some(Key::from(u128::from_le_bytes(bytes)))
    }

    /// The bytes of the word, then zeros.
    fn bytes(self) -> [u8; 16] {
        let [low, high] = self.0;
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    #[inline(always)]
    fn hash(self) -> usize {
        let [low, high] = self.0;
        let product = u128::from(low ^ MIX[0]) * u128::from(high ^ MIX[1]);
        (product as u64 ^ (product >> 64) as u64) as usize
    }
}

/// A word and how often it was seen, within one cache line.
#[derive(Debug)]
#[repr(align(32))]
struct Entry {
    key: Key,
    /// In the document that is open.
    here: u32,
    /// In documents that ended.
    count: u64,
}

/// The different words of some text, numbered from 0 as they came.
#[derive(Debug)]
pub(super) struct Interner {
    /// Numbers by the hash of their key, each in the first free slot from there on; half are free.
    slots: Vec<u32>,
    /// By number.
    entries: Vec<Entry>,
    /// Numbers of words that are no keys.
    long: HashMap<Box<str>, u32, FixedState>,
    /// Numbers of the words in the document that is open, as they came; the first `held` count.
    document: Vec<u32>,
    held: usize,
    /// Words that are to be looked up; the first `waiting` count. Looking up many at a time lets
    /// their cache misses overlap.
    keys: [Key; BATCH],
    waiting: usize,
}

impl Interner {
    /// No words.
    pub(super) fn new() -> Interner {
        Interner {
            slots: vec![FREE; SLOTS],
            entries: Vec::new(),
            long: HashMap::default(),
            document: vec![0; 1024],
            held: 0,
            keys: [Key::LONG; BATCH],
            waiting: 0,
        }
    }

    /// Number of different words.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a short word to the document.
    #[inline(always)]
    pub(super) fn add_key(&mut self, key: Key) {
        self.keys[self.waiting % BATCH] = key;
        self.waiting += 1;
        if self.waiting == BATCH {
            self.look_up();
        }
    }

    /// Counts the words that wait, in steps without branches on what was loaded: a misprediction
    /// would keep all later loads waiting for this one.
    fn look_up(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).min(BATCH);
        let mask = self.slots.len() - 1;
        let mut numbers = [FREE; BATCH];
        for (number, key) in numbers.iter_mut().zip(&self.keys[..waiting]) {
            *number = self.slots[key.hash() & mask];
        }
        if let Some(last) = self.entries.len().checked_sub(1) {
            for (number, key) in numbers.iter_mut().zip(&self.keys[..waiting]) {
                let entry = &self.entries[last.min(*number as usize)];
                *number = if entry.key == *key { *number } else { FREE };
            }
        }
        for (place, number) in numbers.into_iter().enumerate().take(waiting) {
            match number {
                FREE => self.search(self.keys[place]),
                number => self.count(number),
            }
        }
    }

    /// Counts a word that is not in the slot that its hash names, or was not yet.
    #[inline(never)]
    fn search(&mut self, key: Key) {
        let mut slot = key.hash();
        loop {
            slot &= self.slots.len() - 1;
            let number = self.slots[slot];
            match self.entries.get(number as usize) {
                Some(entry) if entry.key == key => return self.count(number),
                Some(_) => slot += 1,
                None => return self.add_new(key, slot),
            }
        }
    }

    /// Adds any word to the document.
    pub(super) fn add(&mut self, word: &str) {
        if let Some(key) = Key::of(word) {
            return self.add_key(key);
        }
        let number = match self.long.get(word) {
            Some(number) => *number,
            None => {
                let number = self.next(Key::LONG);
                self.long.insert(word.into(), number);
                number
            }
        };
        self.count(number);
    }

    /// Ends the document and adds its words, each with the number of times it stands there, to
    /// `block`, if there is one.
    pub(super) fn end_document(&mut self, block: Option<&mut Block>) {
        self.look_up();
        let numbers = &self.document[..std::mem::take(&mut self.held)];
        let count = |number: &u32| {
            let entry = &mut self.entries[*number as usize];
            let here = std::mem::take(&mut entry.here);
            entry.count += u64::from(here);
            here
        };
        let counts = numbers.iter().map(count);
        match block {
            None => counts.for_each(drop),
            Some(block) => {
                block.counts.extend(counts);
                block.words.extend_from_slice(numbers);
                block.end_document();
            }
        }
    }

    #[inline(always)]
    fn count(&mut self, number: u32) {
        if self.held == self.document.len() {
            self.document.resize(self.held * 2, 0);
        }
        // Whether a word is new to its document is hard to predict: no branch on it.
        self.document[self.held] = number;
        let here = &mut self.entries[number as usize].here;
        self.held += usize::from(*here == 0);
        *here = here.saturating_add(1);
    }

    /// Gives `key`, which belongs into `slot`, a number.
    #[cold]
    fn add_new(&mut self, key: Key, slot: usize) {
        let number = self.next(key);
        self.slots[slot] = number;
        let used = self.entries.len() - self.long.len();
        if used * 2 > self.slots.len() {
            self.grow();
        }
        self.count(number);
    }

    fn next(&mut self, key: Key) -> u32 {
        self.entries.push(Entry {
            key,
            here: 0,
            count: 0,
        });
        self.entries.len() as u32 - 1
    }

    /// Doubles the slots.
    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![FREE; mask + 1];
        let numbered = (0u32..).zip(&self.entries);
        for (number, entry) in numbered.filter(|(_, entry)| entry.key != Key::LONG) {
            let mut slot = entry.key.hash() & mask;
            while slots[slot] != FREE {
                slot = (slot + 1) & mask;
            }
            slots[slot] = number;
        }
        self.slots = slots;
    }

    /// All words, in any order; they are said to be of interner `index`.
    fn words(&self, index: usize) -> impl Iterator<Item = Listed<'_>> {
        let listed = move |prefix, rest, number: u32| Listed {
            prefix,
            rest,
            interner: index,
            number,
            count: self.entries[number as usize].count,
        };
        let short = (0u32..).zip(&self.entries);
        let short = short.filter(|(_, entry)| entry.key != Key::LONG);
        let short = short.map(move |(number, entry)| {
            listed(u128::from_be_bytes(entry.key.bytes()), &[][..], number)
        });
        let long = self.long.iter().filter_map(move |(word, number)| {
            let (prefix, rest) = word.as_bytes().split_first_chunk()?;
            Some(listed(u128::from_be_bytes(*prefix), rest, *number))
        });
        short.chain(long)
    }
}

/// One of an interner's words.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    /// The word's first bytes, then zeros, the first one highest: in the order of the bytes.
    prefix: u128,
    /// Its bytes from the 17th on.
    rest: &'a [u8],
    /// Index of the interner.
    pub(super) interner: usize,
    /// Its number there.
    pub(super) number: u32,
    /// How often it was seen there.
    pub(super) count: u64,
}

impl Listed<'_> {
    /// True if both are the same word.
    pub(super) fn same(&self, other: &Listed) -> bool {
        (self.prefix, self.rest) == (other.prefix, other.rest)
    }

    /// Puts the word in place of what is in `text`.
    pub(super) fn write<'a>(&self, text: &'a mut Vec<u8>) -> &'a str {
        let bytes = self.prefix.to_be_bytes();
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(16);
        text.clear();
        text.extend_from_slice(&bytes[..length]);
        text.extend_from_slice(self.rest);
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// The words of all interners in the order of their bytes.
pub(super) fn list(interners: &[Interner]) -> Vec<Listed<'_>> {
    let numbered = interners.iter().enumerate();
    let mut words: Vec<Listed> = numbered
        .flat_map(|(index, interner)| interner.words(index))
        .collect();
    words.sort_unstable_by(|one, other| (one.prefix, one.rest).cmp(&(other.prefix, other.rest)));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_numbers_and_are_counted() {
        let mut interner = Interner::new();
        let words: Vec<String> = (0..20_000u32)
            .map(|number| "äb".repeat(number as usize % 9) + &number.to_string())
            .collect();
        for _ in 0..2 {
            words.iter().for_each(|word| interner.add(word));
            let mut block = Block::default();
            interner.end_document(Some(&mut block));
            let mut numbers = block.words;
            assert_eq!(block.counts, vec![1; words.len()]);
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..words.len() as u32));
        }
        let interners = [interner];
        let listed = list(&interners);
        let mut in_order: Vec<&str> = words.iter().map(String::as_str).collect();
        in_order.sort_unstable();
        assert_eq!(listed.len(), words.len());
        for (word, expected) in listed.iter().zip(in_order) {
            assert_eq!(word.write(&mut Vec::new()), expected);
            assert_eq!(word.count, 2);
        }
    }

    #[test]
    fn length_tells_words_apart() {
        let mut interner = Interner::new();
        for length in (1..40).chain(1..40).chain(20..40) {
            interner.add(&"a".repeat(length));
        }
        let mut block = Block::default();
        interner.end_document(Some(&mut block));
        block.counts.sort_unstable();
        assert_eq!(block.counts, [vec![2; 19], vec![3; 20]].concat());
        interner.end_document(Some(&mut block));
        assert_eq!(block.ends, [39, 39]);
    }
}
