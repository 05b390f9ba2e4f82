//! What is to be predicted: numbers, or texts that name classes.

use std::collections::HashMap;
use std::path::Path;

use foldhash::fast::FixedState;

use super::super::field::{Fault, shown};
use super::number::whole_token;
use crate::error::Error;

/// The class of a target that training did not see.
pub const UNKNOWN_CLASS: u32 = u32::MAX;

/// Spellings of "nobody knows", in lower case.
const MISSING: [&[u8]; 6] = [b"", b"?", b"na", b"n/a", b"null", b"none"];

/// The targets of all examples, as the files have them.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Targets {
    /// There are none.
    #[default]
    None,
    /// Every target is a finite number.
    Numbers(Vec<f64>),
    /// Some are not; numbers among them are spelt as short as can be, so that `1`, `+1` and `1.0`
    /// are one class.
    Texts {
        /// The different texts in the order in which they first occur.
        names: Vec<String>,
        /// The text of each example, an index into `names`.
        of: Vec<u32>,
    },
}

/// Targets as classes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    /// The classes' names: in numeric order if all are numbers, else in the order of their bytes.
    pub names: Vec<String>,
    /// The class of each example, an index into `names`.
    pub of: Vec<u32>,
}

impl Targets {
    /// Number of targets.
    pub fn len(&self) -> usize {
        match self {
            Targets::None => 0,
            Targets::Numbers(numbers) => numbers.len(),
            Targets::Texts { of, .. } => of.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The targets as numbers, if they are.
    pub fn numbers(&self) -> Option<&[f64]> {
        match self {
            Targets::Numbers(numbers) => Some(numbers),
            _ => None,
        }
    }

    /// The first example whose target is no number, from 0, and that target.
    pub fn first_text(&self) -> Option<(usize, &str)> {
        let Targets::Texts { names, of } = self else {
            return None;
        };
        let is_text = |at: &u32| whole_token(names[*at as usize].as_bytes()).is_none();
        let row = of.iter().position(is_text)?;
        Some((row, &names[of[row] as usize]))
    }

    /// The targets of `path`, which must be numbers.
    ///
    /// # Errors
    /// Status 65 if there are none, or one is a text.
    pub(in crate::data) fn require_numbers(&self, path: &Path) -> Result<&[f64], Error> {
        if let Some((row, text)) = self.first_text() {
            let row = row + 1;
            let message = format!("expected numbers as targets, saw `{text}` in example {row}");
            return Err(Error::data(path, 0, 0, message));
        }
        self.numbers().ok_or_else(|| no_targets(path))
    }

    /// The targets of `path` as classes: two or more.
    ///
    /// # Errors
    /// Status 65 if there are no targets, or all are the same.
    pub(in crate::data) fn require_classes(&self, path: &Path) -> Result<Classes, Error> {
        let classes = self.classes();
        match &classes.names[..] {
            [] => Err(no_targets(path)),
            [only] => {
                let message = format!("expected two or more classes, saw `{only}` alone");
                Err(Error::data(path, 0, 0, message))
            }
            _ => Ok(classes),
        }
    }

    /// The targets as classes of their own.
    pub fn classes(&self) -> Classes {
        let (names, of) = self.texts();
        let mut order: Vec<u32> = (0..names.len() as u32).collect();
        let values: Option<Vec<f64>> = names
            .iter()
            .map(|name| whole_token(name.as_bytes()))
            .collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (a as usize, b as usize);
            match &values {
                Some(values) => values[a].total_cmp(&values[b]),
                None => names[a].cmp(&names[b]),
            }
        });
        let mut place = vec![0; names.len()];
        for (class, &name) in order.iter().enumerate() {
            place[name as usize] = class as u32;
        }
        Classes {
            names: order.iter().map(|&at| names[at as usize].clone()).collect(),
            of: of.iter().map(|&at| place[at as usize]).collect(),
        }
    }

    /// The targets as the classes `known` of a trained model, an index for each example;
    /// [`UNKNOWN_CLASS`] for those that it does not know.
    pub fn classes_among(&self, known: &[String]) -> Vec<u32> {
        let (names, of) = self.texts();
        let place = |name: &String| known.iter().position(|known| known == name);
        let places: Vec<u32> = names
            .iter()
            .map(|name| place(name).map_or(UNKNOWN_CLASS, |class| class as u32))
            .collect();
        of.iter().map(|&at| places[at as usize]).collect()
    }

    /// The different texts, and which of them each example has.
    fn texts(&self) -> (Vec<String>, Vec<u32>) {
        match self {
            Targets::None => (Vec::new(), Vec::new()),
            Targets::Texts { names, of } => (names.clone(), of.clone()),
            Targets::Numbers(numbers) => {
                let mut builder = TargetBuilder::default();
                numbers
                    .iter()
                    .for_each(|number| builder.push_text(&spelt(*number)));
                match builder.texts {
                    Some(texts) => (texts.names, texts.of),
                    None => (Vec::new(), Vec::new()),
                }
            }
        }
    }
}

fn no_targets(path: &Path) -> Error {
    let message = "expected targets; name their file with --targets, or their column with \
                   --target-column";
    Error::data(path, 0, 0, message)
}

/// A number, spelt as short as can be.
fn spelt(number: f64) -> String {
    // Minus zero is the class of zero.
    format!("{}", number + 0.0)
}

/// Targets while files are read; numbers until the first that is none.
#[derive(Debug, Default)]
pub(super) struct TargetBuilder {
    numbers: Vec<f64>,
    texts: Option<Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    known: HashMap<String, u32, FixedState>,
    names: Vec<String>,
    of: Vec<u32>,
}

impl Texts {
    fn key(&mut self, text: &str) -> u32 {
        if let Some(&key) = self.known.get(text) {
            return key;
        }
        let key = self.names.len() as u32;
        self.known.insert(text.to_owned(), key);
        self.names.push(text.to_owned());
        key
    }

    fn push(&mut self, text: &str) {
        let key = self.key(text);
        self.of.push(key);
    }
}

impl TargetBuilder {
    /// A finite number.
    #[inline]
    pub(super) fn push_number(&mut self, number: f64) {
        match &mut self.texts {
            None => self.numbers.push(number),
            Some(texts) => texts.push(&spelt(number)),
        }
    }

    fn push_text(&mut self, text: &str) {
        self.as_texts().push(text);
    }

    /// What `token`, which stands at offset `at`, says.
    ///
    /// # Errors
    /// A fault if it says that there is no target.
    pub(super) fn push_token(&mut self, token: &[u8], at: usize) -> Result<(), Fault> {
        let number = whole_token(token);
        let is_missing = MISSING.iter().any(|text| token.eq_ignore_ascii_case(text));
        match number {
            Some(number) if number.is_finite() => self.push_number(number),
            None if !is_missing => self.push_text(&String::from_utf8_lossy(token)),
            _ => {
                let seen = if token.is_empty() {
                    "nothing".to_owned()
                } else {
                    shown(token)
                };
                let message = format!("expected a target, saw {seen}; leave such lines out");
                return Err(Fault::new(at, message));
            }
        }
        Ok(())
    }

    /// Adds the targets of the lines behind.
    pub(super) fn append(&mut self, mut later: TargetBuilder) {
        if self.texts.is_none() && later.texts.is_none() {
            self.numbers.append(&mut later.numbers);
            return;
        }
        let later = std::mem::take(later.as_texts());
        let texts = self.as_texts();
        let keys: Vec<u32> = later.names.iter().map(|name| texts.key(name)).collect();
        texts
            .of
            .extend(later.of.iter().map(|&at| keys[at as usize]));
    }

    /// The same targets, as texts from now on.
    fn as_texts(&mut self) -> &mut Texts {
        let numbers = std::mem::take(&mut self.numbers);
        let texts = self.texts.get_or_insert_default();
        numbers
            .iter()
            .for_each(|number| texts.push(&spelt(*number)));
        texts
    }

    /// All of them.
    pub(super) fn finish(self) -> Targets {
        match self.texts {
            Some(texts) if !texts.of.is_empty() => Targets::Texts {
                names: texts.names,
                of: texts.of,
            },
            _ if self.numbers.is_empty() => Targets::None,
            _ => Targets::Numbers(self.numbers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(tokens: &[&str]) -> Targets {
        let mut builder = TargetBuilder::default();
        for token in tokens {
            builder.push_token(token.as_bytes(), 0).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn numbers_stay_numbers_and_are_classes_in_numeric_order() {
        let read = targets(&["10", "+2", "-1", "2.0", "-0", "0"]);
        assert_eq!(read.numbers(), Some(&[10.0, 2.0, -1.0, 2.0, 0.0, 0.0][..]));
        let classes = read.classes();
        assert_eq!(classes.names, ["-1", "0", "2", "10"]);
        assert_eq!(classes.of, [3, 2, 0, 2, 1, 1]);
        let known = ["10".to_owned(), "2".to_owned()];
        let wanted = [0, 1, UNKNOWN_CLASS, 1, UNKNOWN_CLASS, UNKNOWN_CLASS];
        assert_eq!(read.classes_among(&known), wanted);
        assert_eq!(read.first_text(), None);
    }

    #[test]
    fn one_text_makes_all_of_them_texts_wherever_it_stands() {
        let tokens = ["10", "b", "1.0", "a", "1", "b"];
        let whole = targets(&tokens);
        assert_eq!(whole.first_text(), Some((1, "b")));
        let classes = whole.classes();
        assert_eq!(classes.names, ["1", "10", "a", "b"]);
        assert_eq!(classes.of, [1, 3, 0, 2, 0, 3]);
        for cut in 0..=tokens.len() {
            let mut all = TargetBuilder::default();
            for part in [&tokens[..cut], &tokens[cut..]] {
                let mut builder = TargetBuilder::default();
                part.iter()
                    .for_each(|t| builder.push_token(t.as_bytes(), 0).unwrap());
                all.append(builder);
            }
            assert_eq!(all.finish(), whole, "{cut}");
        }
    }

    #[test]
    fn a_missing_target_is_refused() {
        for token in ["", "?", "NA", "nan", "inf", "None"] {
            let mut builder = TargetBuilder::default();
            let fault = builder.push_token(token.as_bytes(), 7).unwrap_err();
            assert_eq!(fault.at, 7, "{token}");
        }
        assert!(targets(&[]).is_empty());
    }
}
