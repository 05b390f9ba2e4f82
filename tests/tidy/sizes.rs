//! Sizes, and the top of the tree.

use super::rule::Violation;
use super::source::Source;

/// Most lines of a file.
const FILE_LINES: usize = 700;
/// Most lines of a function, with its head.
const FUNCTION_LINES: usize = 90;

/// The top of the tree, as it is and stays.
const TOP: [&str; 15] = [
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "bin",
    "clippy.toml",
    "datasets",
    "deny.toml",
    "man",
    "rustfmt.toml",
    "src",
];
/// This folder is the only one more.
const TESTS: &str = "tests";

/// Files can be read in one sitting.
pub(super) fn files_are_short(sources: &[Source]) -> Vec<Violation> {
    let long = sources
        .iter()
        .filter(|source| source.is_rust())
        .filter_map(|source| {
            let lines = source.text.lines().count();
            (lines > FILE_LINES).then(|| {
                let what = format!("{lines} lines, at most {FILE_LINES}");
                source.violation(
                    FILE_LINES + 1,
                    what,
                    "find the two things that it does, and split it",
                )
            })
        });
    long.collect()
}

/// Functions fit on a screen.
pub(super) fn functions_are_short(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        for (name, first, last) in source.functions() {
            let lines = last - first + 1;
            if lines > FUNCTION_LINES {
                let what = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES}");
                found.push(source.violation(first, what, "name its steps and make them functions"));
            }
        }
    }
    found
}

/// The top level holds what it is to hold, and nothing else. `names` are all entries that git would
/// see.
pub(super) fn top_level_is_fixed(names: &[String]) -> Vec<Violation> {
    let at = |path: &str, what: &str, remedy| Violation {
        path: path.to_owned(),
        line: 1,
        what: what.to_owned(),
        remedy,
    };
    let fixed = || TOP.into_iter().chain([TESTS]);
    let more = names
        .iter()
        .filter(|name| fixed().all(|entry| entry != name.as_str()));
    let more = more.map(|name| {
        at(
            name,
            "is new at the top level",
            "find its place in the tree",
        )
    });
    let missing = fixed().filter(|entry| names.iter().all(|name| name != entry));
    let missing = missing.map(|entry| at(entry, "is missing at the top level", "bring it back"));
    more.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rule::shows;
    use super::*;

    #[test]
    fn long_files_and_functions_are_found() {
        let long = "\n".repeat(FILE_LINES + 1);
        let allowed = "\n".repeat(FILE_LINES);
        shows(files_are_short, ("src/a.rs", &long), ("src/a.rs", &allowed));
        let function = |lines: usize| format!("fn f() {{{}}}\n", "\n".repeat(lines - 1));
        let (bad, good) = (function(FUNCTION_LINES + 1), function(FUNCTION_LINES));
        shows(functions_are_short, ("src/a.rs", &bad), ("src/a.rs", &good));
    }

    #[test]
    fn a_changed_top_level_is_found() {
        let mut names: Vec<String> = TOP.iter().map(|name| (*name).to_owned()).collect();
        names.push(TESTS.to_owned());
        assert!(top_level_is_fixed(&names).is_empty());
        names.push("scripts".to_owned());
        assert_eq!(top_level_is_fixed(&names).len(), 1);
        names.retain(|name| name != "scripts" && name != "man");
        assert_eq!(top_level_is_fixed(&names).len(), 1);
    }
}
