//! Names of users and items: numbers where files number them, any text otherwise.
//!
//! An id is text, so `007` and `7` are two ids. Small numbers without leading zeros, which nearly
//! all files use, never meet a hash table: the number itself is the key, and a table that is
//! indexed by it counts how often it was seen.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Numbers below this are keys themselves; everything else is a name.
pub(super) const NUMBERS: u32 = 1 << 24;
/// The bit of a key that is an index into the names of a piece of a file.
const LOCAL: u32 = 1 << 31;
/// Row of an id that has none.
pub const NO_ROW: u32 = u32::MAX;

/// Texts one after the other.
#[derive(Debug, Clone, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1],
        };
        &self.bytes[start..self.ends[index]]
    }

    fn len(&self) -> usize {
        self.ends.len()
    }
}

/// The names in a piece of a file, each once.
#[derive(Debug, Default)]
pub(super) struct LocalNames<'a> {
    known: HashMap<Cow<'a, [u8]>, u32, FixedState>,
    texts: Texts,
}

impl<'a> LocalNames<'a> {
    /// The key of an id within the piece.
    pub(super) fn key(&mut self, id: impl Into<Cow<'a, [u8]>>) -> u32 {
        let id = id.into();
        if let Some(number) = number(&id) {
            return number;
        }
        if let Some(key) = self.known.get(&id) {
            return *key;
        }
        self.texts.push(&id);
        let key = LOCAL | (self.texts.len() - 1) as u32;
        self.known.insert(id, key);
        key
    }

    /// The names as [`IdTable::adopt`] wants them.
    pub(super) fn finish(self) -> PieceNames {
        PieceNames(self.texts)
    }
}

/// The names of a piece by their numbers in it.
#[derive(Debug)]
pub(super) struct PieceNames(Texts);

/// The value of an id that is its own key.
pub(super) fn number(id: &[u8]) -> Option<u32> {
    if id.is_empty() || id.len() > 8 || (id[0] == b'0' && id.len() > 1) {
        return None;
    }
    let value = id.iter().try_fold(0u32, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value * 10 + u32::from(digit))
    })?;
    (value < NUMBERS).then_some(value)
}

/// All ids of one kind, while files are read.
#[derive(Debug, Default)]
pub(super) struct IdTable {
    /// How often each number was seen in training data; as long as the largest asks for.
    numbers: Vec<u64>,
    known: HashMap<Vec<u8>, u32, FixedState>,
    texts: Texts,
    /// How often each name was seen in training data.
    names: Vec<u64>,
}

impl IdTable {
    /// The keys of a piece's names.
    pub(super) fn adopt(&mut self, piece: &PieceNames) -> Vec<u32> {
        (0..piece.0.len())
            .map(|index| self.name(piece.0.get(index)))
            .collect()
    }

    fn name(&mut self, name: &[u8]) -> u32 {
        if let Some(&key) = self.known.get(name) {
            return key;
        }
        let key = NUMBERS + self.names.len() as u32;
        self.known.insert(name.to_vec(), key);
        self.texts.push(name);
        self.names.push(0);
        key
    }

    /// The key of what a piece calls `key`.
    #[inline]
    pub(super) fn global(key: u32, adopted: &[u32]) -> u32 {
        match key & LOCAL {
            0 => key,
            _ => adopted[(key ^ LOCAL) as usize],
        }
    }

    /// Counts a training rating of `key`.
    #[inline]
    pub(super) fn count(&mut self, key: u32) {
        if key >= NUMBERS {
            self.names[(key - NUMBERS) as usize] += 1;
            return;
        }
        let at = key as usize;
        if at >= self.numbers.len() {
            self.numbers.resize((at + 1).next_power_of_two(), 0);
        }
        self.numbers[at] += 1;
    }

    /// Gives each id with a training rating a row: numbers ascending, then names ascending.
    pub(super) fn finish(self) -> (Ids, Rows) {
        let mut ids = Ids::default();
        let mut rows = Rows {
            numbers: vec![NO_ROW; self.numbers.len()],
            names: vec![NO_ROW; self.names.len()],
        };
        for (number, &count) in self.numbers.iter().enumerate().filter(|(_, n)| **n > 0) {
            rows.numbers[number] = ids.counts.len() as u32;
            ids.numbers.push(number as u32);
            ids.counts.push(count);
        }
        let mut order: Vec<u32> = (0..self.names.len() as u32)
            .filter(|&index| self.names[index as usize] > 0)
            .collect();
        order.sort_unstable_by_key(|&index| self.texts.get(index as usize));
        for index in order.into_iter().map(|index| index as usize) {
            rows.names[index] = ids.counts.len() as u32;
            ids.names.push(self.texts.get(index));
            ids.counts.push(self.names[index]);
        }
        (ids, rows)
    }
}

/// From keys to rows.
#[derive(Debug)]
pub(super) struct Rows {
    numbers: Vec<u32>,
    names: Vec<u32>,
}

impl Rows {
    /// The row of a key; [`NO_ROW`] if it was not seen in training data.
    #[inline]
    pub(super) fn row(&self, key: u32) -> u32 {
        let row = match key < NUMBERS {
            true => self.numbers.get(key as usize),
            false => self.names.get((key - NUMBERS) as usize),
        };
        row.copied().unwrap_or(NO_ROW)
    }
}

/// The ids of all rows, in row order: numbers ascending, then other texts ascending.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    numbers: Vec<u32>,
    names: Texts,
    counts: Vec<u64>,
}

impl Ids {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many training ratings each row has.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The id of a row, byte for byte as the files write it: it need not be UTF-8.
    pub fn name(&self, row: usize) -> Cow<'_, [u8]> {
        match self.numbers.get(row) {
            Some(number) => Cow::Owned(number.to_string().into_bytes()),
            None => Cow::Borrowed(self.names.get(row - self.numbers.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_small_numbers_are_numbers() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"16777215"), Some(NUMBERS - 1));
        for text in ["", "007", "-1", "+1", "16777216", "999999999", "1.0", "a"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn rows_are_numbers_then_names_and_only_of_training_data() {
        let mut local = LocalNames::default();
        let keys: Vec<u32> = ["7", "zoe", "007", "adam", "zoe", "3", "ghost"]
            .iter()
            .map(|id| local.key(id.as_bytes()))
            .collect();
        assert_eq!(keys[1], keys[4]);
        let mut table = IdTable::default();
        let adopted = table.adopt(&local.finish());
        let keys: Vec<u32> = keys
            .iter()
            .map(|&key| IdTable::global(key, &adopted))
            .collect();
        keys[..6].iter().for_each(|&key| table.count(key));
        let (ids, rows) = table.finish();
        let names: Vec<String> = (0..ids.len())
            .map(|row| String::from_utf8(ids.name(row).into_owned()).unwrap())
            .collect();
        assert_eq!(names, ["3", "7", "007", "adam", "zoe"]);
        assert_eq!(ids.counts(), [1, 1, 1, 1, 2]);
        assert_eq!(
            keys.iter().map(|&key| rows.row(key)).collect::<Vec<_>>(),
            [1, 4, 2, 3, 4, 0, NO_ROW]
        );
        assert_eq!(rows.row(12_345), NO_ROW);
    }
}
