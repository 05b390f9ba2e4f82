//! What README and module docs name exists.

use std::path::Path;

use super::rule::Violation;
use super::source::Source;

/// Flags of other tools that README may show.
const FOREIGN: [&str; 7] = [
    "--release",
    "--check",
    "--all-targets",
    "--test",
    "--bench",
    "--benches",
    "--locked",
];

/// Lines of README and of module docs.
fn lines(source: &Source) -> Vec<(usize, &str)> {
    if source.path == "README.md" {
        source
            .text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .collect()
    } else if source.is_rust() && source.is_in(&["src/", "bin/", "tests/", "benches/"]) {
        source.module_docs().collect()
    } else {
        Vec::new()
    }
}

/// A path in backticks exists: from the repository's root, from `src/`, or beside the file.
pub(super) fn named_paths_exist(
    sources: &[Source],
    exists: impl Fn(&str) -> bool,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
        for (line, text) in lines(source) {
            for path in in_backticks(text).filter(|text| is_path(text)) {
                let beside = folder.join(path);
                let candidates = [
                    path.to_owned(),
                    format!("src/{path}"),
                    beside.display().to_string(),
                ];
                if !candidates
                    .iter()
                    .any(|candidate| exists(candidate.trim_end_matches('/')))
                {
                    let remedy = "name a file that is there";
                    found.push(source.violation(line, format!("`{path}` does not exist"), remedy));
                }
            }
        }
    }
    found
}

/// A flag that is named exists in the definition of the command line.
pub(super) fn named_flags_exist(sources: &[Source], flags: &[String]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        for (line, text) in lines(source) {
            for flag in flags_in(text) {
                let known = flags.contains(&flag) || FOREIGN.contains(&flag.as_str());
                if !known {
                    let remedy = "name a flag of `petuum --help`";
                    found.push(source.violation(line, format!("no flag `{flag}`"), remedy));
                }
            }
        }
    }
    found
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A file of the sources, or something below one of the top-level folders.
fn is_path(text: &str) -> bool {
    let plain = text
        .chars()
        .all(|c| c.is_alphanumeric() || "/._-".contains(c));
    let folders = [
        "src/",
        "bin/",
        "tests/",
        "benches/",
        "datasets/",
        "man/",
        ".ci/",
    ];
    plain
        && (text.ends_with(".rs") || folders.iter().any(|folder| text.starts_with(folder)))
        && !text.contains("..")
}

/// Words like `--topics`.
fn flags_in(text: &str) -> Vec<String> {
    let is_flag = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = text.split(|c: char| !is_flag(c));
    words
        .filter(|word| {
            word.strip_prefix("--")
                .is_some_and(|rest| rest.starts_with(char::is_alphabetic) && !rest.ends_with('-'))
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::rule::shows;
    use super::*;

    #[test]
    fn paths_that_are_gone_are_found() {
        let rule = |sources: &[Source]| {
            let there = [
                "src/ps/clock.rs",
                "benches/runs",
                "README.md",
                "src/ps/outbox.rs",
            ];
            named_paths_exist(sources, |path| there.contains(&path))
        };
        let good = "See `src/ps/clock.rs`, `ps/clock.rs`, `benches/runs/` and `docword.kos.txt`.";
        shows(
            rule,
            ("README.md", "See `src/ps/gone.rs`."),
            ("README.md", good),
        );
        shows(
            rule,
            ("src/ps/mod.rs", "//! `table.rs`"),
            ("src/ps/mod.rs", "//! `outbox.rs`"),
        );
        shows(
            rule,
            ("README.md", "`datasets/gone`"),
            ("src/ps/mod.rs", "// `gone.rs`"),
        );
    }

    #[test]
    fn flags_that_are_gone_are_found() {
        let rule = |sources: &[Source]| named_flags_exist(sources, &["--topics".to_owned()]);
        let good = "    cargo run --release -- lda --topics 5\n| --- | a--b | `--topics=5` --box--";
        shows(
            rule,
            ("README.md", "petuum lda --topic 5"),
            ("README.md", good),
        );
        shows(
            rule,
            ("src/cli/mod.rs", "//! `--gone`"),
            ("src/cli/mod.rs", "// `--gone`"),
        );
    }
}
