//! What is wrong with a command line, in the user's words, on one line, with the remedy.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The line for a command line that `clap` refuses.
pub(super) fn describe(error: &clap::Error) -> String {
    let command = &command(error);
    let flag = flag(error);
    let value = text(error, ContextKind::InvalidValue);
    let remedy = suggestion(error).unwrap_or_else(|| format!("; see `{command} --help`"));
    match error.kind() {
        ErrorKind::UnknownArgument => format!("{flag}: no such option{remedy}"),
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand);
            format!("{word}: no such command{remedy}")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{flag}: needs a value"),
        ErrorKind::InvalidValue => {
            let allowed = list(error, ContextKind::ValidValue).join(", ");
            let near = suggestion(error).unwrap_or_default();
            format!("{flag}: `{value}` is none of {allowed}{near}")
        }
        ErrorKind::ValueValidation => match error.source() {
            Some(reason) => format!("{flag}: {reason}"),
            None => format!("{flag}: `{value}` is not allowed here"),
        },
        ErrorKind::MissingRequiredArgument => {
            let needed = list(error, ContextKind::InvalidArg).join(" and ");
            format!("{needed} is missing; see `{command} --help`")
        }
        ErrorKind::ArgumentConflict => {
            let others = list(error, ContextKind::PriorArg);
            if others.is_empty() || others.iter().all(|other| option(other) == flag) {
                format!("{flag}: is given twice; leave one out")
            } else {
                format!(
                    "{flag}: does not go with {}; leave one out",
                    others.join(", ")
                )
            }
        }
        ErrorKind::TooManyValues => format!("{flag}: takes no value, found `{value}`"),
        _ => first_line(error),
    }
}

/// `petuum lda` for a fault in its flags: what to ask for help.
fn command(error: &clap::Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let words = usage
        .split_whitespace()
        .skip_while(|word| *word != "petuum");
    let names: Vec<&str> = words
        .take_while(|word| !word.starts_with(['[', '<', '-']))
        .collect();
    if names.is_empty() {
        "petuum".to_owned()
    } else {
        names.join(" ")
    }
}

fn flag(error: &clap::Error) -> String {
    option(&text(error, ContextKind::InvalidArg))
}

/// `--topics <N>` without its value's name; `<SHELL>` without its brackets.
fn option(text: &str) -> String {
    let name = text.split([' ', '=', '[']).next().unwrap_or_default();
    name.trim_matches(['<', '>']).to_owned()
}

fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    let near = kinds.into_iter().flat_map(|kind| list(error, kind)).next();
    near.map(|near| format!("; did you mean {near}?"))
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    list(error, kind).join(" ")
}

fn list(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
