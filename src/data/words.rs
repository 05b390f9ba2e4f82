//! What a word of plain text is.
//!
//! A word is a run of letters, digits and combining marks, with apostrophes and underscores only
//! inside it (`don't`, `new_york`); the typographic apostrophe is written as `'`. It is lower-cased
//! character by character. Everything else separates words, hyphens too. A run without a letter
//! (`2024`, `3.14`, `10_000`) is no word. Each ideograph and each Hiragana character is a word of
//! its own, as in UAX 29; languages that need a dictionary to find words should be segmented first.

/// What a character does to words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    /// Belongs to the letter before it.
    Mark,
    /// Belongs to the word if it goes on behind it.
    Joiner(char),
    /// A word of its own.
    Alone,
    Separator,
}

impl Class {
    fn of(c: char) -> Class {
        match c {
            'a'..='z' | 'A'..='Z' => Class::Letter,
            '0'..='9' => Class::Digit,
            '\'' | '\u{2019}' => Class::Joiner('\''),
            '_' => Class::Joiner('_'),
            c if c.is_ascii() => Class::Separator,
            c if is_mark(c) => Class::Mark,
            c if is_alone(c) => Class::Alone,
            c if c.is_alphabetic() => Class::Letter,
            c if c.is_numeric() => Class::Digit,
            _ => Class::Separator,
        }
    }
}

/// Combining marks that stand inside words but are not letters to the standard library: accents in
/// decomposed text, joiners, viramas, Thai and Lao tones.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}' | '\u{200C}' | '\u{200D}'
        | '\u{0591}'..='\u{05BD}' | '\u{0658}'..='\u{065F}' | '\u{093C}' | '\u{094D}'
        | '\u{09BC}' | '\u{09CD}' | '\u{0A3C}' | '\u{0A4D}' | '\u{0ABC}' | '\u{0ACD}'
        | '\u{0B3C}' | '\u{0B4D}' | '\u{0BCD}' | '\u{0C4D}' | '\u{0CBC}' | '\u{0CCD}'
        | '\u{0D4D}' | '\u{0DCA}' | '\u{0E3A}' | '\u{0E47}'..='\u{0E4E}'
        | '\u{0EC8}'..='\u{0ECD}' | '\u{0F39}' | '\u{1039}' | '\u{103A}' | '\u{17D2}')
}

/// Ideographs and Hiragana.
fn is_alone(c: char) -> bool {
    matches!(c,
        '\u{3041}'..='\u{3096}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Calls `found` with each word of `text`, lower-cased, in order.
pub(super) fn for_each_word(text: &str, mut found: impl FnMut(&str)) {
    let mut word = Word::default();
    text.chars().for_each(|c| word.push(c, &mut found));
    word.end(&mut found);
}

/// The word being read.
#[derive(Debug, Default)]
pub(super) struct Word {
    text: String,
    has_letter: bool,
    /// A joiner that counts if a letter or digit follows.
    joiner: Option<char>,
}

impl Word {
    /// Takes the joiner before what follows.
    fn push_joiner(&mut self) {
        if let Some(joiner) = self.joiner.take() {
            self.text.push(joiner);
        }
    }

    /// Takes any character.
    pub(super) fn push(&mut self, c: char, found: &mut impl FnMut(&str)) {
        match Class::of(c) {
            class @ (Class::Letter | Class::Digit) => {
                self.push_joiner();
                self.text.extend(c.to_lowercase());
                self.has_letter |= class == Class::Letter;
            }
            Class::Mark if !self.text.is_empty() && self.joiner.is_none() => self.text.push(c),
            Class::Joiner(joiner) if !self.text.is_empty() && self.joiner.is_none() => {
                self.joiner = Some(joiner);
            }
            Class::Alone => {
                self.end(found);
                found(c.encode_utf8(&mut [0; 4]));
            }
            Class::Mark | Class::Joiner(_) | Class::Separator => self.end(found),
        }
    }

    /// Ends the word, if there is one.
    pub(super) fn end(&mut self, found: &mut impl FnMut(&str)) {
        if self.has_letter {
            found(&self.text);
        }
        self.text.clear();
        self.has_letter = false;
        self.joiner = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.to_string()));
        words
    }

    #[test]
    fn words_are_lower_cased_runs_of_letters_and_digits() {
        assert_eq!(
            words("The CAT sat, on B2B mats."),
            ["the", "cat", "sat", "on", "b2b", "mats"]
        );
        assert_eq!(
            words("Ünïcode СЛОВО Ελλάδα été"),
            ["ünïcode", "слово", "ελλάδα", "été"]
        );
        assert_eq!(words("state-of-the-art"), ["state", "of", "the", "art"]);
    }

    #[test]
    fn joiners_stay_inside_only() {
        assert_eq!(
            words("'Don't' rock’n’roll dogs' a''b"),
            ["don't", "rock'n'roll", "dogs", "a", "b"]
        );
        assert_eq!(words("_new_york_ x__y"), ["new_york", "x", "y"]);
    }

    #[test]
    fn numbers_alone_are_no_words() {
        assert_eq!(words("2024 3.14 10_000 1e9 4th ½ ٣"), ["1e9", "4th"]);
    }

    #[test]
    fn marks_stay_with_their_letters() {
        assert_eq!(
            words("e\u{301}te\u{301} हिन्दी \u{301}"),
            ["e\u{301}te\u{301}", "हिन्दी"]
        );
    }

    #[test]
    fn ideographs_are_words() {
        assert_eq!(
            words("日本語 カタカナ ひら"),
            ["日", "本", "語", "カタカナ", "ひ", "ら"]
        );
    }
}
