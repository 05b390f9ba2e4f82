//! What must not be written, or only in one place.

use super::rule::Violation;
use super::source::Source;

/// tokio only in `transport/`.
pub(super) fn tokio_only_in_transport(sources: &[Source]) -> Vec<Violation> {
    words(
        sources,
        &["tokio", "tokio_util"],
        &["src/transport/"],
        |_| "move what awaits into `transport/` and pass messages through channels",
    )
}

/// `unsafe` only where files are mapped and in kernels, each with its contract beside it.
pub(super) fn unsafe_only_with_a_contract(sources: &[Source]) -> Vec<Violation> {
    let places = ["src/data/mmap.rs", "src/math/"];
    let mut found = words(
        sources,
        &["unsafe"],
        &places,
        |_| "write it safely, or move it to a kernel in `math/`",
    );
    for source in sources.iter().filter(|source| source.is_in(&places)) {
        for token in source
            .tokens()
            .iter()
            .filter(|token| token.text == "unsafe")
        {
            let near = token.line.saturating_sub(12)..=token.line;
            let contract = |text: &str| text.contains("SAFETY:") || text.contains("# Safety");
            if !source
                .comments
                .iter()
                .any(|(line, text)| near.contains(line) && contract(text))
            {
                let remedy = "write the contract above it: `// SAFETY: ..`";
                found.push(source.violation(token.line, "`unsafe` without its contract", remedy));
            }
        }
    }
    found
}

/// Nothing prints, exits or is left to be done.
pub(super) fn no_forbidden_macros(sources: &[Source]) -> Vec<Violation> {
    let printing = ["println", "eprintln", "print", "eprint", "dbg"];
    let unfinished = ["todo", "unimplemented"];
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        for pair in source
            .tokens()
            .windows(2)
            .filter(|pair| pair[1].text == "!")
        {
            let name = pair[0].text.as_str();
            let remedy = if printing.contains(&name) {
                "write to the writer that was passed in, or through `report::Notes`"
            } else if unfinished.contains(&name) {
                "finish it, or return an error that says what is missing"
            } else {
                continue;
            };
            found.push(source.violation(pair[0].line, format!("`{name}!`"), remedy));
        }
    }
    found
}

/// No mark of unfinished work in a comment.
pub(super) fn no_unfinished_marks(sources: &[Source]) -> Vec<Violation> {
    let marks = [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X"),
    ];
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        for (line, text) in &source.comments {
            let mut words = text.split(|c: char| !c.is_alphanumeric());
            if let Some(word) = words.find(|word| marks.contains(word)) {
                let remedy = "do it, or open an issue";
                found.push(source.violation(*line, format!("`{word}` in a comment"), remedy));
            }
        }
    }
    found
}

/// The wall clock only in `engine/` and `report/`; tests may look at it.
pub(super) fn clock_only_in_engine_and_report(sources: &[Source]) -> Vec<Violation> {
    let places = ["src/engine/", "src/report/", "benches/"];
    let is_clock = |path: &super::source::NamedPath| {
        path.names(&["Instant", "now"]) || path.names(&["SystemTime", "now"])
    };
    named(
        sources,
        is_clock,
        &places,
        true,
        "take the time in `engine/` and pass it in",
    )
}

/// A process ends by returning from `main`.
pub(super) fn no_process_exit(sources: &[Source]) -> Vec<Violation> {
    let ends = |path: &super::source::NamedPath| {
        path.names(&["process", "exit"]) || path.names(&["process", "abort"])
    };
    named(
        sources,
        ends,
        &[],
        false,
        "return an error; `main` turns it into the exit status",
    )
}

/// Names say what is in a module, not that something is.
pub(super) fn no_vague_modules(sources: &[Source]) -> Vec<Violation> {
    let vague = [
        "util",
        "utils",
        "common",
        "helper",
        "helpers",
        "base",
        "mgr",
        "manager",
        "misc",
        "shared_util",
    ];
    let remedy = "name the module after what it does, in the papers' words";
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let mut names = source
            .path
            .split('/')
            .map(|name| name.trim_end_matches(".rs"));
        if let Some(name) = names.find(|name| vague.contains(name)) {
            found.push(source.violation(1, format!("a file or folder named `{name}`"), remedy));
        }
        for pair in source
            .tokens()
            .windows(2)
            .filter(|pair| pair[0].text == "mod")
        {
            if vague.contains(&pair[1].text.as_str()) {
                let what = format!("a module named `{}`", pair[1].text);
                found.push(source.violation(pair[1].line, what, remedy));
            }
        }
    }
    found
}

/// Comments say why; code that is not compiled is not kept in them.
pub(super) fn no_commented_out_code(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        for (line, comment) in &source.comments {
            let plain = comment
                .strip_prefix("//")
                .filter(|text| !text.starts_with(['/', '!']));
            if plain.is_some_and(|text| is_code(text.trim())) {
                let remedy = "delete it; git remembers";
                found.push(source.violation(*line, "commented-out code", remedy));
            }
        }
    }
    found
}

/// Whether a line of a comment is a statement rather than prose.
fn is_code(text: &str) -> bool {
    let openings = [
        "let ",
        "use ",
        "pub ",
        "fn ",
        "impl ",
        "struct ",
        "enum ",
        "mod ",
        "const ",
        "static ",
        "return ",
        "if ",
        "for ",
        "while ",
        "match ",
        "loop {",
        "else {",
        "} else",
        "#[",
        "assert!",
        "assert_eq!",
        "self.",
    ];
    let opens = openings.iter().any(|opening| text.starts_with(opening));
    let ends = text.ends_with([';', '{']) || text.ends_with("},") || text.ends_with(")]");
    opens && ends
        || is_call(text)
        || is_assignment(text)
        || ["}", "};", "});", "})"].contains(&text)
}

/// `name.of::it(..);`
fn is_call(text: &str) -> bool {
    let Some((name, rest)) = text.split_once('(') else {
        return false;
    };
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_.:!".contains(c))
        && (rest.ends_with(");") || rest.ends_with(")?;"))
}

/// `name = ..;`, `name += ..;`
fn is_assignment(text: &str) -> bool {
    let mut words = text.split(' ');
    let name = words.next().unwrap_or_default();
    let sign = words.next().unwrap_or_default();
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_.[]*".contains(c))
        && ["=", "+=", "-=", "*=", "|="].contains(&sign)
        && text.ends_with(';')
}

fn words(
    sources: &[Source],
    banned: &[&str],
    places: &[&str],
    remedy: impl Fn(&str) -> &'static str,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_rust() && !source.is_in(places))
    {
        for token in source
            .tokens()
            .iter()
            .filter(|t| banned.contains(&t.text.as_str()))
        {
            let what = format!("`{}` outside {}", token.text, places.join(" and "));
            found.push(source.violation(token.line, what, remedy(&token.text)));
        }
    }
    found
}

fn named(
    sources: &[Source],
    is_banned: impl Fn(&super::source::NamedPath) -> bool,
    places: &[&str],
    tests_may: bool,
    remedy: &'static str,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_rust() && !source.is_in(places))
    {
        for path in source.paths().iter().filter(|path| is_banned(path)) {
            if !(tests_may && source.is_test(path.line)) {
                let what = format!("`{}`", path.parts.join("::"));
                found.push(source.violation(path.line, what, remedy));
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
    fn tokio_elsewhere_is_found() {
        let text = "use tokio::net::TcpStream;";
        shows(
            tokio_only_in_transport,
            ("src/engine/run.rs", text),
            ("src/transport/tcp.rs", text),
        );
        shows(
            tokio_only_in_transport,
            ("src/ps/a.rs", text),
            ("src/ps/a.rs", "// no tokio here"),
        );
    }

    #[test]
    fn unsafe_elsewhere_or_without_a_contract_is_found() {
        let good = "// SAFETY: the slice is as long as the row.\nunsafe { f() }";
        shows(
            unsafe_only_with_a_contract,
            ("src/ps/a.rs", good),
            ("src/math/dot.rs", good),
        );
        shows(
            unsafe_only_with_a_contract,
            ("src/math/dot.rs", "unsafe { f() }"),
            (
                "src/data/mmap.rs",
                "#![allow(unsafe_code)]\n/// # Safety\n/// x\nunsafe fn f() {}",
            ),
        );
    }

    #[test]
    fn printing_and_unfinished_macros_are_found() {
        let good = "writeln!(out, \"println!\")?; // dbg! is not for here\nlet todo = 1;";
        for bad in [
            "println!(\"x\");",
            "eprintln!();",
            "dbg!(x);",
            "print!(\"\");",
            "todo!()",
        ] {
            shows(no_forbidden_macros, ("src/a.rs", bad), ("src/a.rs", good));
        }
        shows(
            no_forbidden_macros,
            ("tests/a.rs", "unimplemented!()"),
            ("tests/a.rs", good),
        );
    }

    #[test]
    fn unfinished_marks_are_found() {
        let bad = concat!("// FIX", "ME: later");
        shows(
            no_unfinished_marks,
            ("src/a.rs", bad),
            ("src/a.rs", "// fixed later"),
        );
        let bad = concat!("/// TO", "DO");
        shows(
            no_unfinished_marks,
            ("src/a.rs", bad),
            ("src/a.rs", "let x = \"todo\";"),
        );
    }

    #[test]
    fn the_wall_clock_elsewhere_is_found() {
        let text = "fn f() { let t = std::time::Instant::now(); }";
        let rule = clock_only_in_engine_and_report;
        shows(rule, ("src/ps/a.rs", text), ("src/engine/run.rs", text));
        let test = "#[cfg(test)] mod tests { fn f() { Instant::now(); } }";
        shows(
            rule,
            ("src/data/a.rs", "SystemTime::now()"),
            ("src/data/a.rs", test),
        );
    }

    #[test]
    fn process_exit_is_found() {
        let good = "use std::process::ExitCode;";
        shows(
            no_process_exit,
            ("bin/a.rs", "std::process::exit(1)"),
            ("bin/a.rs", good),
        );
        shows(
            no_process_exit,
            ("src/a.rs", "use std::process::{exit, id};"),
            ("src/a.rs", good),
        );
    }

    #[test]
    fn vague_names_are_found() {
        shows(
            no_vague_modules,
            ("src/ps/util.rs", ""),
            ("src/ps/table.rs", ""),
        );
        shows(
            no_vague_modules,
            ("src/helpers/a.rs", ""),
            ("src/ps/table.rs", "mod clock;"),
        );
        shows(
            no_vague_modules,
            ("src/a.rs", "mod common;"),
            ("src/a.rs", "let common = 1;"),
        );
    }

    #[test]
    fn commented_out_code_is_found() {
        let good = "// Waits for the rest (see above);\n// a row at its bound leaves first.\n\
                    /// let x = 1;\n//! use petuum::engine;\n// for readers that map the file.";
        for bad in [
            "// let x = 1;",
            "    // for row in rows {",
            "// }",
            "// self.rows.push(row);",
            "// worker.clock();",
            "// count += 1;",
            "// #[cfg(test)]",
            "// return Ok(());",
        ] {
            shows(no_commented_out_code, ("src/a.rs", bad), ("src/a.rs", good));
        }
    }
}
