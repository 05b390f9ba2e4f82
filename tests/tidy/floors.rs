//! The order of the floors and the walls between programs.

use super::rule::Violation;
use super::source::{NamedPath, Source};

/// The floors from the ground up. Moving one is a decision: change the code, this list and the map
/// in `src/lib.rs` together, and say why in the commit.
pub(super) const FLOORS: [&str; 12] = [
    "error",
    "math",
    "data",
    "report",
    "snapshot",
    "wire",
    "ps",
    "scheduler",
    "transport",
    "engine",
    "program",
    "cli",
];

/// `src/lib.rs` declares exactly the floors, in order.
pub(super) fn declared_in_order(sources: &[Source]) -> Vec<Violation> {
    let map = sources.iter().filter(|source| source.path == "src/lib.rs");
    map.filter_map(|source| {
        let tokens = source.tokens();
        let declared = tokens.windows(2).filter(|pair| pair[0].text == "mod");
        let names: Vec<&str> = declared.map(|pair| pair[1].text.as_str()).collect();
        (names != FLOORS).then(|| {
            let remedy = "declare the modules from the ground up as in tests/tidy/floors.rs";
            source.violation(1, format!("modules {}", names.join(", ")), remedy)
        })
    })
    .collect()
}

/// A module uses only modules of its own floor and of the floors below.
pub(super) fn uses_only_lower_floors(sources: &[Source]) -> Vec<Violation> {
    let height = |name: &str| FLOORS.iter().position(|floor| *floor == name);
    let mut found = Vec::new();
    for source in sources {
        let Some(own) = source.floor() else { continue };
        for path in source.paths() {
            let Some(target) = from_root(source, &path).into_iter().next() else {
                continue;
            };
            if height(&target) > height(own) {
                found.push(source.violation(
                    path.line,
                    format!("`{own}` uses `{target}`, which is above it"),
                    "move what both need down, or pass it in from above",
                ));
            }
        }
    }
    found
}

/// The path from the crate's root, if it leads inside the crate.
fn from_root(source: &Source, path: &NamedPath) -> Vec<String> {
    let module: Vec<String> = source
        .module()
        .into_iter()
        .chain(path.inside.clone())
        .collect();
    match path.parts[0].as_str() {
        "crate" => path.parts[1..].to_vec(),
        "petuum" if source.path.starts_with("src/") => path.parts[1..].to_vec(),
        "super" => {
            let up = path
                .parts
                .iter()
                .take_while(|part| *part == "super")
                .count();
            let kept = module.len().saturating_sub(up);
            module[..kept]
                .iter()
                .chain(&path.parts[up..])
                .cloned()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// A program names no other program, and sees no frames, sockets or threads.
pub(super) fn programs_keep_to_themselves(sources: &[Source]) -> Vec<Violation> {
    let programs = programs(sources);
    let mut found = Vec::new();
    for source in sources {
        let module = source.module();
        if module.first().is_none_or(|floor| floor != "program") {
            continue;
        }
        for path in source.paths() {
            let target = from_root(source, &path);
            let other = (target.first().is_some_and(|floor| floor == "program"))
                .then(|| target.get(1).cloned())
                .flatten()
                .filter(|name| programs.contains(name) && module.get(1) != Some(name));
            if let Some(other) = other.filter(|_| module.len() > 1) {
                found.push(source.violation(
                    path.line,
                    format!("a program names `{other}`"),
                    "move what both need to a floor below `program`",
                ));
            }
            if sees_machinery(&path, &target) && !source.is_test(path.line) {
                found.push(source.violation(
                    path.line,
                    format!("a program uses `{}`", path.parts.join("::")),
                    "frames, sockets and threads belong to the engine: use `Worker` and `Host`",
                ));
            }
        }
    }
    found
}

fn sees_machinery(path: &NamedPath, target: &[String]) -> bool {
    let target: Vec<&str> = target.iter().take(2).map(String::as_str).collect();
    matches!(
        target[..],
        ["wire", "frame" | "hello" | "codec"] | ["transport", ..]
    ) || path.begins(&["std", "thread"])
        || path.begins(&["std", "net"])
}

/// The names in `programs! { .. }`, and for a text without it every module below `program`.
fn programs(sources: &[Source]) -> Vec<String> {
    let mut names = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.path == "src/program/mod.rs")
    {
        let tokens = source.tokens();
        let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
        let Some(at) = texts
            .windows(3)
            .position(|texts| texts == ["programs", "!", "{"])
        else {
            continue;
        };
        let list = texts[at + 3..].iter().take_while(|text| **text != "}");
        let list: Vec<&str> = list.copied().collect();
        let entries = list.split(|text| *text == ",");
        names.extend(
            entries
                .filter_map(|entry| entry.first())
                .map(|name| (*name).to_owned()),
        );
    }
    names
}

/// The state machines have no socket, no thread and no runtime, so that a simulator can drive them.
pub(super) fn state_machines_are_pure(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        if !source.is_in(&["src/ps/", "src/scheduler/", "src/wire/"]) {
            continue;
        }
        for path in source.paths() {
            let impure = path.begins(&["std", "net"]) || path.begins(&["std", "thread"]);
            if impure && !source.is_test(path.line) {
                found.push(source.violation(
                    path.line,
                    format!("`{}` in a state machine", path.parts.join("::")),
                    "message in, messages out: let `transport` or `engine` do it",
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::rule::shows;
    use super::*;

    #[test]
    fn the_declared_order_is_held() {
        let good: String = FLOORS
            .iter()
            .map(|floor| format!("pub mod {floor};\n"))
            .collect();
        let bad = good
            .replace("math", "x")
            .replace("data", "math")
            .replace("x;", "data;");
        shows(
            declared_in_order,
            ("src/lib.rs", &bad),
            ("src/lib.rs", &good),
        );
    }

    #[test]
    fn a_use_of_a_higher_floor_is_found_however_it_is_written() {
        let good = "use crate::error::Error; use super::super::math; use std::fmt; // crate::cli";
        for bad in [
            "use crate::engine::Worker;",
            "use crate::{error::Error, engine};",
            "fn f() { crate::cli::main() }",
            "use super::super::transport::Transport;",
            "mod tests { use super::super::super::program; }",
            "use petuum::engine;",
        ] {
            let path = "src/ps/table.rs";
            shows(uses_only_lower_floors, (path, bad), (path, good));
        }
        shows(
            uses_only_lower_floors,
            ("src/ps/mod.rs", "use super::engine::Worker;"),
            (
                "src/cli/mod.rs",
                "use crate::engine::Worker; use super::program;",
            ),
        );
    }

    #[test]
    fn a_program_that_knows_too_much_is_found() {
        let list = Source::new("src/program/mod.rs", "programs! { lda: generate, mf }");
        let check = |path: &str, text: &str| {
            programs_keep_to_themselves(&[
                Source::new(path, text),
                Source::new("src/program/mod.rs", &list.text),
            ])
            .len()
        };
        for bad in [
            "use crate::program::mf::Model;",
            "use super::mf;",
            "use crate::wire::frame;",
            "use crate::transport::Transport;",
            "use std::{fmt, thread};",
            "use std::net::TcpStream;",
        ] {
            assert!(check("src/program/lda.rs", bad) > 0, "{bad}");
        }
        for good in [
            "use crate::program::lda::Options; use super::flag;",
            "use crate::wire::message::Clock; use crate::engine::Worker;",
            "#[cfg(test)] mod tests { use std::thread; }",
        ] {
            assert_eq!(check("src/program/lda.rs", good), 0, "{good}");
        }
        assert_eq!(check("src/program/lda/mod.rs", "use super::lda;"), 0);
        assert!(check("src/program/lda/mod.rs", "use super::mf;") > 0);
    }

    #[test]
    fn a_thread_in_the_parameter_server_is_found() {
        shows(
            state_machines_are_pure,
            ("src/ps/node.rs", "use std::{sync::Mutex, thread};"),
            (
                "src/ps/node.rs",
                "use std::sync::Mutex; #[cfg(test)] mod tests { use std::thread; }",
            ),
        );
    }
}
