//! A command line's options as plain text, whatever program they belong to: to compare ranks and
//! checkpoints, and to describe a model.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

/// One option: its name as the user knows it, and its values.
pub(super) type Given = (String, Vec<String>);

/// Options that may differ between the ranks of a run.
const OF_ONE_RANK: [&str; 9] = [
    "--workers",
    "--hosts",
    "--rank",
    "--secret-file",
    "--connect-timeout",
    "--output",
    "--force",
    "--records",
    "--quiet",
];

/// Options that may differ between a run and the one that goes on from its checkpoint, besides
/// those of one rank: when to stop and what to write.
const OF_ONE_START: [&str; 16] = [
    "--bandwidth",
    "--priority",
    "--shards",
    "--clocks",
    "--time-limit",
    "--tolerance",
    "--target",
    "--evaluate-every",
    "--checkpoint",
    "--checkpoint-every",
    "--resume",
    "--doc-topics",
    "--left-to-right",
    "--top-words",
    "--topics-every",
    "--topics-folder",
];

/// All options of `command` that have a value, given or by default, in the order of the help.
pub(super) fn options(command: &Command, matches: &ArgMatches) -> Vec<Given> {
    let own = command.get_arguments().filter(|flag| {
        !matches!(
            flag.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        )
    });
    own.filter_map(|flag| Some((name(flag), values(flag, matches)?)))
        .collect()
}

/// What all ranks of a run must have in common, one option a line.
pub(super) fn of_all_ranks(program: &str, options: &[Given]) -> String {
    format!("program {program}\n{}", lines(options, &[&OF_ONE_RANK]))
}

/// What a run and the one that goes on from its checkpoint must have in common.
pub(super) fn of_result(options: &[Given]) -> String {
    lines(options, &[&OF_ONE_RANK, &OF_ONE_START])
}

/// The options as a JSON object, by their names without dashes.
pub(super) fn to_json(options: &[Given]) -> Map<String, Value> {
    let scalar = |text: &String| {
        serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| value.is_number() || value.is_boolean())
            .unwrap_or_else(|| Value::from(text.as_str()))
    };
    let pairs = options.iter().map(|(name, values)| {
        let value = match (name.starts_with("--"), values.as_slice()) {
            (true, [one]) => scalar(one),
            _ => values.iter().map(scalar).collect(),
        };
        (name.trim_start_matches('-').to_owned(), value)
    });
    pairs.collect()
}

fn lines(options: &[Given], without: &[&[&str]]) -> String {
    let kept = options
        .iter()
        .filter(|(name, _)| !without.iter().any(|names| names.contains(&name.as_str())));
    kept.map(|(name, values)| format!("{name} {}\n", values.join(" ")))
        .collect()
}

fn name(flag: &Arg) -> String {
    match flag.get_long() {
        Some(long) => format!("--{long}"),
        None => flag.get_id().as_str().to_owned(),
    }
}

fn values(flag: &Arg, matches: &ArgMatches) -> Option<Vec<String>> {
    let raw = matches.get_raw(flag.get_id().as_str())?;
    Some(raw.map(|value| normal(&value.to_string_lossy())).collect())
}

/// Equal numbers get equal texts, and a value stays on its line.
fn normal(text: &str) -> String {
    if let Ok(whole) = text.parse::<i128>() {
        return whole.to_string();
    }
    match text.parse::<f64>() {
        Ok(real) if real.is_finite() => real.to_string(),
        _ => text.replace('\n', "\\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command::new("lda")
            .arg(Arg::new("data").num_args(0..))
            .arg(Arg::new("alpha").long("alpha").default_value("0.1"))
            .arg(Arg::new("clocks").long("clocks").default_value("100"))
            .arg(Arg::new("target").long("target"))
            .arg(
                Arg::new("optimize")
                    .long("optimize-alpha")
                    .action(ArgAction::SetTrue),
            )
            .arg(Arg::new("quiet").long("quiet").action(ArgAction::SetTrue))
    }

    fn given(line: &str) -> Vec<Given> {
        let mut command = command();
        command.build();
        let matches = command
            .clone()
            .try_get_matches_from(line.split(' '))
            .unwrap();
        options(&command, &matches)
    }

    #[test]
    fn equal_options_are_equal_text_however_they_are_written() {
        let text = of_all_ranks("lda", &given("lda a.txt b.txt --alpha 0.10 --quiet"));
        assert_eq!(
            text,
            "program lda\ndata a.txt b.txt\n--alpha 0.1\n--clocks 100\n--optimize-alpha false\n"
        );
        assert_eq!(
            text,
            of_all_ranks("lda", &given("lda --alpha 1e-1 --clocks 100 a.txt b.txt"))
        );
    }

    #[test]
    fn when_to_stop_may_change_on_resume() {
        let first = of_result(&given("lda --clocks 10"));
        assert_eq!(first, of_result(&given("lda --clocks 20 --target=-8")));
        assert_ne!(first, of_result(&given("lda --alpha 1")));
    }

    #[test]
    fn options_as_json_have_their_types() {
        let json = to_json(&given("lda a.txt --alpha 0.5 --optimize-alpha"));
        assert_eq!(
            Value::from(json),
            serde_json::json!({
                "data": ["a.txt"], "alpha": 0.5, "clocks": 100, "optimize-alpha": true,
                "quiet": false
            })
        );
    }
}
