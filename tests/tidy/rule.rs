//! What a rule finds: a place, what is wrong there, and what to do.

use std::fmt;

use super::source::Source;

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    pub(super) path: String,
    /// From 1.
    pub(super) line: usize,
    pub(super) what: String,
    pub(super) remedy: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.path, self.line, self.what, self.remedy
        )
    }
}

impl Source {
    /// A broken rule in this file.
    pub(super) fn violation(
        &self,
        line: usize,
        what: impl Into<String>,
        remedy: &'static str,
    ) -> Violation {
        Violation {
            path: self.path.clone(),
            line,
            what: what.into(),
            remedy,
        }
    }

    /// True if the line belongs to a test.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.test_lines().iter().any(|lines| lines.contains(&line))
    }

    /// True if the file is, or lies under, one of `places`.
    pub(super) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

/// Holds that `rule` finds something in `bad` and nothing in `good`; both are a path and a text.
pub(super) fn shows(
    rule: impl Fn(&[Source]) -> Vec<Violation>,
    bad: (&str, &str),
    good: (&str, &str),
) {
    let found = rule(&[Source::new(bad.0, bad.1)]);
    assert!(!found.is_empty(), "not found in {}: {}", bad.0, bad.1);
    assert!(
        found
            .iter()
            .all(|violation| violation.line > 0 && !violation.remedy.is_empty())
    );
    let found = rule(&[Source::new(good.0, good.1)]);
    assert!(
        found.is_empty(),
        "found in {}: {}: {found:?}",
        good.0,
        good.1
    );
}
