//! Rust sources as the rules see them: code without comments and strings, comments without code,
//! the paths that code names, and which lines are tests.

use std::ops::Range;

/// One file of the repository.
pub(super) struct Source {
    /// Its path from the repository's root, with `/`.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
    /// Its code: comments and the insides of strings are blank, lines stay where they are.
    code: String,
    /// Its comments by line, from 1, with their slashes.
    pub(super) comments: Vec<(usize, String)>,
}

/// A word or a sign of code, and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// The word, or one sign; `::` is one.
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
}

/// A path as code names it, a `use` group taken apart: `crate`, `error`, `Result`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NamedPath {
    pub(super) parts: Vec<String>,
    pub(super) line: usize,
    /// Modules written inside the file around this place.
    pub(super) inside: Vec<String>,
}

impl NamedPath {
    /// True if the path has these parts next to each other, anywhere.
    pub(super) fn names(&self, parts: &[&str]) -> bool {
        self.parts
            .windows(parts.len())
            .any(|window| window == parts)
    }

    /// True if the path begins with these parts.
    pub(super) fn begins(&self, parts: &[&str]) -> bool {
        self.parts
            .iter()
            .map(String::as_str)
            .take(parts.len())
            .eq(parts.iter().copied())
    }
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Source {
        let (code, comments) = separate(text);
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            comments,
        }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The floor of a file under `src/`: the first name below it. None for `src/lib.rs` and files
    /// elsewhere.
    pub(super) fn floor(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let name = below.split('/').next()?.trim_end_matches(".rs");
        (name != "lib").then_some(name)
    }

    /// The file's module path: `src/ps/table.rs` is `ps`, `table`.
    pub(super) fn module(&self) -> Vec<String> {
        let Some(below) = self.path.strip_prefix("src/") else {
            return Vec::new();
        };
        let names = below.trim_end_matches(".rs").split('/').map(str::to_owned);
        names
            .filter(|name| name != "mod" && name != "lib")
            .collect()
    }

    /// The text of module documentation (`//!`) by line.
    pub(super) fn module_docs(&self) -> impl Iterator<Item = (usize, &str)> {
        let docs = self.comments.iter();
        docs.filter_map(|(line, text)| Some((*line, text.strip_prefix("//!")?)))
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        let mut tokens: Vec<Token> = Vec::new();
        for (index, line) in self.code.lines().enumerate() {
            let mut rest = line.trim_start();
            while let Some(first) = rest.chars().next() {
                let length = match first {
                    _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                    ':' if rest.starts_with("::") => 2,
                    _ => first.len_utf8(),
                };
                let (text, after) = rest.split_at(length);
                tokens.push(Token {
                    text: text.to_owned(),
                    line: index + 1,
                });
                rest = after.trim_start();
            }
        }
        tokens
    }

    /// All paths of at least two parts that the code names.
    pub(super) fn paths(&self) -> Vec<NamedPath> {
        let tokens = self.tokens();
        let mut paths = Vec::new();
        let mut inside: Vec<(String, usize)> = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while at < tokens.len() {
            let text = tokens[at].text.as_str();
            match text {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    inside.retain(|(_, within)| *within <= depth);
                }
                "mod" if text_at(&tokens, at + 2) == "{" => {
                    inside.push((text_at(&tokens, at + 1).to_owned(), depth + 1));
                }
                _ => {}
            }
            if text.starts_with(is_word) && text_at(&tokens, at + 1) == "::" {
                let names: Vec<String> = inside.iter().map(|(name, _)| name.clone()).collect();
                at = path_at(&tokens, at, &[], &names, &mut paths);
            } else {
                at += 1;
            }
        }
        paths
    }

    /// Lines of tests: items under `#[cfg(test)]`, files named `tests.rs`, and all of `tests/`.
    pub(super) fn test_lines(&self) -> Vec<Range<usize>> {
        let whole = 0..usize::MAX;
        if self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") {
            return vec![whole];
        }
        let tokens = self.tokens();
        let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
        let starts = (0..tokens.len()).filter(|at| {
            let here = mark.iter().enumerate();
            here.into_iter()
                .all(|(i, text)| text_at(&tokens, at + i) == *text)
        });
        starts
            .map(|at| tokens[at].line..item_end(&tokens, at + mark.len()).unwrap_or(usize::MAX) + 1)
            .collect()
    }

    /// Name, first and last line of every function with a body.
    pub(super) fn functions(&self) -> Vec<(String, usize, usize)> {
        let tokens = self.tokens();
        let heads = (0..tokens.len())
            .filter(|at| tokens[*at].text == "fn" && text_at(&tokens, at + 1).starts_with(is_word));
        heads
            .filter_map(|at| {
                let end = item_end(&tokens, at)?;
                Some((tokens[at + 1].text.clone(), tokens[at].line, end))
            })
            .collect()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn text_at(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// Line of the end of the item at `at`: its closing brace, or its semicolon.
fn item_end(tokens: &[Token], at: usize) -> Option<usize> {
    let (mut braces, mut others) = (0, 0);
    for token in &tokens[at..] {
        match token.text.as_str() {
            "(" | "[" => others += 1,
            ")" | "]" => others -= 1,
            ";" if braces == 0 && others == 0 => return Some(token.line),
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                if braces == 0 && others == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

/// Reads the path that begins at `at`, behind `before`, and returns where it ends. A group in
/// braces gives one path for each of its members.
fn path_at(
    tokens: &[Token],
    mut at: usize,
    before: &[String],
    inside: &[String],
    paths: &mut Vec<NamedPath>,
) -> usize {
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut parts = before.to_vec();
    while text_at(tokens, at).starts_with(is_word) || text_at(tokens, at) == "*" {
        parts.push(tokens[at].text.clone());
        at += 1;
        if text_at(tokens, at) != "::" {
            break;
        }
        at += 1;
        if text_at(tokens, at) == "{" {
            at += 1;
            while at < tokens.len() && tokens[at].text != "}" {
                at = match tokens[at].text.as_str() {
                    "as" => at + 2,
                    text if text.starts_with(is_word) || text == "*" => {
                        path_at(tokens, at, &parts, inside, paths)
                    }
                    _ => at + 1,
                };
            }
            return at + 1;
        }
    }
    if parts.len() > 1 {
        paths.push(NamedPath {
            parts,
            line,
            inside: inside.to_vec(),
        });
    }
    at
}

/// Splits a text into code and comments.
fn separate(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut comments = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = piece(rest, code.chars().next_back());
        let (taken, after) = rest.split_at(length.max(first.len_utf8()));
        match kind {
            Kind::Code => code.push_str(taken),
            Kind::Comment => {
                for (offset, part) in taken.split('\n').enumerate() {
                    comments.push((line + offset, part.trim().to_owned()));
                }
                code.extend(taken.chars().filter(|c| *c == '\n'));
            }
            Kind::Text => {
                code.push('"');
                code.extend(taken.chars().filter(|c| *c == '\n'));
                code.push('"');
            }
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    (code, comments)
}

enum Kind {
    Code,
    Comment,
    Text,
}

/// What `rest` begins with, and how many bytes of it.
fn piece(rest: &str, before: Option<char>) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    let in_word = before.is_some_and(is_word);
    if !in_word && let Some(length) = raw_string(rest) {
        return (Kind::Text, length);
    }
    if rest.starts_with('"') {
        return (Kind::Text, quoted(rest, '"'));
    }
    if rest.starts_with('\'') && is_char(rest) {
        return (Kind::Text, quoted(rest, '\''));
    }
    (Kind::Code, 1)
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of a raw string with its `r`, `br` or `cr` and its hashes.
fn raw_string(rest: &str) -> Option<usize> {
    let inner = rest
        .strip_prefix(['b', 'c'])
        .unwrap_or(rest)
        .strip_prefix('r')?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let body = inner[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body
        .find(&close)
        .map_or(body.len(), |end| end + close.len());
    Some(rest.len() - body.len() + end)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character, not a lifetime.
fn is_char(rest: &str) -> bool {
    let mut inner = rest.chars().skip(1);
    inner.next() == Some('\\') || inner.next() == Some('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        let text = "let a = \"unsafe // x\"; // tokio\nlet b = r#\"\"unsafe\"\"#; /* a\n/* b */ */ c\n\
                    let d = '\"'; let e: &'a str = b\"\\\"unsafe\"; '\\'';\n";
        let source = Source::new("src/a.rs", text);
        assert!(!source.code.contains("unsafe") && !source.code.contains("tokio"));
        assert_eq!(source.code.lines().count(), 4);
        assert_eq!(source.comments[0], (1, "// tokio".to_owned()));
        let words: Vec<Token> = source
            .tokens()
            .into_iter()
            .filter(|t| t.text == "c")
            .collect();
        assert_eq!(
            words,
            [Token {
                text: "c".into(),
                line: 3
            }]
        );
        assert!(source.code.contains("&'a str"));
    }

    #[test]
    fn use_groups_are_taken_apart() {
        let text = "use crate::{error::{Error, Result}, math, data::*};\nmod t { use super::x as y; }\n\
                    fn f() { a::b::<c::D>() }\n";
        let paths = Source::new("src/a.rs", text).paths();
        let joined: Vec<String> = paths.iter().map(|path| path.parts.join("::")).collect();
        assert_eq!(
            joined,
            [
                "crate::error::Error",
                "crate::error::Result",
                "crate::math",
                "crate::data::*",
                "super::x",
                "a::b",
                "c::D"
            ]
        );
        assert_eq!(
            (paths[4].line, paths[4].inside.as_slice()),
            (2, &["t".to_owned()][..])
        );
        assert!(paths[5].inside.is_empty());
    }

    #[test]
    fn tests_and_functions_are_found() {
        let text = "fn a(x: [u8; 2]) -> u8 {\n  1\n}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n\
                    #[cfg(test)]\nmod more;\nfn c();\n";
        let source = Source::new("src/a.rs", text);
        assert_eq!(source.test_lines(), [4..8, 8..10]);
        let functions = source.functions();
        assert_eq!(functions[0], ("a".to_owned(), 1, 3));
        let whole = Source::new("src/lda/tests.rs", "").test_lines();
        assert!(whole.iter().any(|lines| lines.contains(&1_000_000)));
    }
}
