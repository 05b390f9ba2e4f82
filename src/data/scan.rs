//! The words of a text, sixteen bytes at a time where it is ASCII; `words.rs` says what a word is,
//! and reads whatever is not simple.

use super::intern::Key;
use super::words::Word;

/// What takes the words of a text.
pub(super) trait WordSink {
    /// The next word, if it is short and simple.
    fn key(&mut self, key: Key);

    /// The next word, otherwise.
    fn word(&mut self, word: &str);

    /// A line ends.
    fn line_end(&mut self);
}

/// What a byte behind a run of letters does, as far as bytes alone tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// Ends the word.
    Separator,
    /// Ends the word and the line.
    Newline,
    /// The run of letters is not all of the word, or not certainly.
    More,
}

static BEHIND: [Behind; 256] = {
    let mut table = [Behind::More; 256];
    let mut byte = 0;
    while byte < 128u8 {
        if !byte.is_ascii_alphanumeric() && byte != b'\'' && byte != b'_' {
            table[byte as usize] = Behind::Separator;
        }
        byte += 1;
    }
    table[b'\n' as usize] = Behind::Newline;
    table
};

/// The sixteen bytes at `at`, which is inside; zeros, which separate words, where there are no more.
#[inline(always)]
fn window(bytes: &[u8], at: usize) -> [u8; 16] {
    match bytes[at..].first_chunk() {
        Some(window) => *window,
        None => last_window(&bytes[at..]),
    }
}

#[cold]
fn last_window(rest: &[u8]) -> [u8; 16] {
    let mut window = [0; 16];
    window[..rest.len()].copy_from_slice(rest);
    window
}

/// What follows `at`, which may be the end.
#[inline(always)]
fn behind(bytes: &[u8], at: usize) -> Behind {
    BEHIND[usize::from(*bytes.get(at).unwrap_or(&0))]
}

/// The letters at the start, lower-cased, and how many there are.
#[inline(always)]
fn letters(window: [u8; 16]) -> (u128, usize) {
    let mut others = [0; 16];
    for (other, byte) in others.iter_mut().zip(&window) {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        *other = if letter { 0 } else { 0xFF };
    }
    let others = u128::from_le_bytes(others);
    let before = others.wrapping_sub(1) & !others;
    let lower = u128::from_le_bytes(window) | u128::from_le_bytes([0x20; 16]);
    (lower & before, others.trailing_zeros() as usize / 8)
}

/// Reads what is at `at` if it is ASCII letters and digits with single joiners inside, as in
/// `don't` and `b2b`. Returns where it ends and, unless it is a number, the word.
fn mixed(bytes: &[u8], at: usize) -> Option<(usize, Option<Key>)> {
    let window = window(bytes, at);
    let [mut letters, mut joiners, mut others] = [[0; 16]; 3];
    for (place, byte) in window.iter().enumerate() {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        let joiner = (*byte == b'\'') | (*byte == b'_');
        letters[place] = if letter { 0xFF } else { 0 };
        joiners[place] = if joiner { 0xFF } else { 0 };
        others[place] = if letter | digit | joiner { 0 } else { 0xFF };
    }
    let others = u128::from_le_bytes(others);
    let before = others.wrapping_sub(1) & !others;
    let letters = u128::from_le_bytes(letters) & before;
    let joiners = u128::from_le_bytes(joiners) & before;
    // A joiner is simple if what precedes and what follows it is neither a joiner nor outside.
    let beside = joiners | !before;
    let outer = (beside << 8 | 0xFF) | (beside >> 8 | 0xFF << 120);
    let end = at + others.trailing_zeros() as usize / 8;
    if end == at || joiners & outer != 0 || behind(bytes, end) == Behind::More {
        return None;
    }
    let lower = u128::from_le_bytes(window) | (letters & u128::from_le_bytes([0x20; 16]));
    Some((end, (letters != 0).then(|| Key::from(lower & before))))
}

/// Hands the words and line ends of `text` to `sink`, in order.
pub(super) fn scan(text: &str, sink: &mut impl WordSink) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let (key, length) = letters(window(bytes, at));
        let behind = behind(bytes, at + length);
        if behind == Behind::More {
            at = match mixed(bytes, at) {
                Some((end, word)) => {
                    word.into_iter().for_each(|key| sink.key(key));
                    end
                }
                None => careful(text, at, sink),
            };
            continue;
        }
        if length > 0 {
            sink.key(Key::from(key));
        }
        at += length + 1;
        if behind == Behind::Newline {
            sink.line_end();
        }
    }
    if bytes.last().is_some_and(|last| *last != b'\n') {
        sink.line_end();
    }
}

/// Reads words from `at` on until an ASCII separator is next, and returns where that is.
fn careful(text: &str, at: usize, sink: &mut impl WordSink) -> usize {
    let rest = &text[at..];
    let ends = |byte: &u8| BEHIND[usize::from(*byte)] != Behind::More;
    let end = rest
        .bytes()
        .position(|byte| ends(&byte))
        .unwrap_or(rest.len());
    let mut word = Word::default();
    let mut found = |word: &str| sink.word(word);
    rest[..end].chars().for_each(|c| word.push(c, &mut found));
    word.end(&mut found);
    at + end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::super::words::for_each_word;
    use super::*;

    /// Words as text, and `\n` for line ends.
    #[derive(Default)]
    struct Seen(Vec<String>);

    impl WordSink for Seen {
        fn key(&mut self, Key([low, high]): Key) {
            let bytes = [low.to_le_bytes(), high.to_le_bytes()].concat();
            let word = String::from_utf8(bytes).unwrap();
            self.0.push(word.trim_end_matches('\0').to_string());
        }

        fn word(&mut self, word: &str) {
            self.0.push(word.to_string());
        }

        fn line_end(&mut self) {
            self.0.push("\n".to_string());
        }
    }

    /// The same, one character at a time.
    fn slowly(text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        for line in text.split_inclusive('\n') {
            for_each_word(line, |word| seen.push(word.to_string()));
            seen.push("\n".to_string());
        }
        seen
    }

    fn quickly(text: &str) -> Vec<String> {
        let mut seen = Seen::default();
        scan(text, &mut seen);
        seen.0
    }

    #[test]
    fn every_byte_between_every_two_kinds() {
        for byte in 0..128u8 {
            for (before, after) in [("", ""), ("aB", "Zq"), ("1", "x"), ("é", "é"), ("'", "_")] {
                for length in 0..20 {
                    let text = format!("{}{before}{}{after}", "w".repeat(length), byte as char);
                    assert_eq!(quickly(&text), slowly(&text), "{text:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(7),
            ..ProptestConfig::default() })]

        #[test]
        fn quick_and_slow_agree(pieces in prop::collection::vec(prop_oneof![
            6 => "[a-zA-Z]{1,12}",
            1 => "[a-zA-Z]{13,40}",
            2 => "[a-z0-9'_]{1,8}",
            2 => "[a-zA-Z]{1,9}['_][a-zA-Z]{1,9}",
            2 => "[0-9.,]{1,17}",
            6 => "[ ,.;\n\t\r-]{1,2}",
            1 => "[é’ß日カひ\u{301}½\u{a0}СЛ\u{200d}İ٣]{1,3}",
            1 => "\\PC{1,4}",
        ], 0..40)) {
            let text = pieces.concat();
            prop_assert_eq!(quickly(&text), slowly(&text));
        }
    }
}
