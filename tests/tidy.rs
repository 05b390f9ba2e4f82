//! The house rules, held by a test. Every rule is a function from sources to the places where it is
//! broken, each with a remedy; beside each rule a test shows that it finds what it should and
//! nothing else.
//!
//! | file | rules |
//! |---|---|
//! | `tidy/floors.rs` | the order of the floors, the walls between programs, pure state machines |
//! | `tidy/words.rs` | what is written nowhere, or only in one place |
//! | `tidy/texts.rs` | paths and flags in README and module docs exist |
//! | `tidy/sizes.rs` | lengths of files and functions, the top of the tree |
//! | `tidy/source.rs`, `tidy/rule.rs` | how rules see a source, and what they say |

mod floors;
mod rule;
mod sizes;
mod source;
mod texts;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use rule::Violation;
use source::Source;

/// From all sources to the places where a rule is broken.
type Rule = fn(&[Source]) -> Vec<Violation>;

#[test]
fn the_repository_is_tidy() {
    let sources = sources();
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"));
    let rules: [Rule; 14] = [
        floors::declared_in_order,
        floors::uses_only_lower_floors,
        floors::programs_keep_to_themselves,
        floors::state_machines_are_pure,
        words::tokio_only_in_transport,
        words::unsafe_only_with_a_contract,
        words::no_forbidden_macros,
        words::no_unfinished_marks,
        words::clock_only_in_engine_and_report,
        words::no_process_exit,
        words::no_vague_modules,
        words::no_commented_out_code,
        sizes::files_are_short,
        sizes::functions_are_short,
    ];
    let mut found: Vec<Violation> = rules.iter().flat_map(|rule| rule(&sources)).collect();
    found.extend(texts::named_paths_exist(&sources, |path| {
        root().join(path).exists()
    }));
    found.extend(texts::named_flags_exist(&sources, &flags()));
    found.extend(sizes::top_level_is_fixed(&top_level()));
    found.sort();
    let lines: Vec<String> = found.iter().map(Violation::to_string).collect();
    assert!(
        lines.is_empty(),
        "the house is not tidy:\n{}",
        lines.join("\n")
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust sources, and README.
fn sources() -> Vec<Source> {
    let mut paths = vec![root().join("README.md")];
    for folder in ["src", "bin", "tests", "benches"] {
        add_files(&root().join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root()).ok()?.to_str()?.replace('\\', "/");
        Some(Source::new(&name, &fs::read_to_string(path).ok()?))
    };
    paths.iter().filter_map(read).collect()
}

fn add_files(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Names at the top level, without what `.gitignore` names.
fn top_level() -> Vec<String> {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let is_ignored = |name: &str| {
        name == ".git"
            || ignored
                .lines()
                .any(|line| match line.trim_start_matches('/').split_once('*') {
                    Some((before, after)) => name.starts_with(before) && name.ends_with(after),
                    None => name == line.trim_start_matches('/'),
                })
    };
    let entries = fs::read_dir(root()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !is_ignored(name)).collect()
}

/// All long flags of the command line, with their dashes.
fn flags() -> Vec<String> {
    fn add(command: &clap::Command, flags: &mut Vec<String>) {
        let own = command.get_arguments().filter_map(clap::Arg::get_long);
        flags.extend(own.map(|flag| format!("--{flag}")));
        command
            .get_subcommands()
            .for_each(|below| add(below, flags));
    }
    let mut command = petuum::cli::command();
    command.build();
    let mut flags = Vec::new();
    add(&command, &mut flags);
    flags
}
