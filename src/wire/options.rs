//! What all ranks of a run must agree on, as text: one `name value` a line. When two texts differ,
//! says in which names.

/// The most bytes of the text that are told to a peer; the digest covers all of it.
pub(super) const TEXT_BYTES_MAX: usize = 32 * 1024;
/// The most lines that are compared.
const LINES_MAX: usize = 1000;
/// The most bytes of one value in an error line.
const VALUE_BYTES_MAX: usize = 200;

/// The longest prefix of `text` of at most `bytes_max` bytes that ends between characters.
pub(super) fn clip(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Text from outside on its way into one line for people: no control characters, bounded.
pub(super) fn one_line(text: &str, bytes_max: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    clip(&clean, bytes_max).trim().to_owned()
}

/// The first difference between two texts, `here` and `there` (told as from `host`).
pub(super) fn difference(here: &str, there: &str, host: &str) -> String {
    let (ours, theirs) = (lines(here), lines(there));
    let value = |lines: &[(&str, &str)], name: &str| {
        lines
            .iter()
            .find(|line| line.0 == name)
            .map(|line| one_line(line.1, VALUE_BYTES_MAX))
    };
    let mut names: Vec<&str> = ours.iter().chain(&theirs).map(|line| line.0).collect();
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    names.retain(|name| value(&ours, name) != value(&theirs, name));
    let Some(first) = names.first() else {
        return format!("the options here and on {host} differ somewhere in a very long value");
    };
    let say = |value: Option<String>| match value {
        Some(value) if value.is_empty() => "set".to_owned(),
        Some(value) => value,
        None => "not set".to_owned(),
    };
    let more = match names.len() - 1 {
        0 => String::new(),
        1 => " (1 more option differs)".to_owned(),
        more => format!(" ({more} more options differ)"),
    };
    format!(
        "{} is {} here but {} on {host}{more}: give every rank the same options",
        one_line(first, VALUE_BYTES_MAX),
        say(value(&ours, first)),
        say(value(&theirs, first)),
    )
}

fn lines(text: &str) -> Vec<(&str, &str)> {
    let split = |line| str::split_once(line, ' ').unwrap_or((line, ""));
    text.lines()
        .filter(|line| !line.is_empty())
        .take(LINES_MAX)
        .map(split)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_differing_option_is_named_with_both_values() {
        let text = difference(
            "--topics 100\n--alpha 0.1\n",
            "--topics 50\n--alpha 0.1\n",
            "b:1",
        );
        assert!(
            text.starts_with("--topics is 100 here but 50 on b:1: "),
            "{text}"
        );
        let text = difference(
            "--topics 100\n--hard\n",
            "--topics 50\n--alpha 1 2\n",
            "b:1",
        );
        assert!(
            text.starts_with("--topics is 100 here but 50 on b:1 (2 more"),
            "{text}"
        );
        let text = difference("--hard\n", "", "b:1");
        assert!(
            text.starts_with("--hard is set here but not set on b:1: "),
            "{text}"
        );
    }

    #[test]
    fn hostile_text_stays_one_short_line() {
        let text = difference(
            "",
            &format!("a\u{1b}[2J\u{7} {}\nb 2", "é".repeat(9000)),
            "b:1",
        );
        assert!(
            text.len() < 400 && !text.chars().any(char::is_control),
            "{text}"
        );
    }
}
