//! The command line as scripts and people meet it: real processes, their output and exit statuses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use petuum::cli;

/// Training on the built-in sample that takes a moment and says nothing on stderr.
const SHORT: [&str; 8] = ["lda", "-q", "-k", "8", "--workers", "1", "--clocks", "2"];
/// The same, without an end.
const ENDLESS: [&str; 8] = [
    "lda",
    "-q",
    "-k",
    "8",
    "--workers",
    "1",
    "--clocks",
    "1000000000",
];

fn petuum(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
    command.args(arguments).stdin(Stdio::null());
    for variable in [
        "SLURM_PROCID",
        "OMPI_COMM_WORLD_RANK",
        "JOB_COMPLETION_INDEX",
    ] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    petuum(arguments).output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The status and the only line on stderr, without `petuum: `.
fn refusal(arguments: &[&str]) -> (i32, String) {
    let output = run(arguments);
    assert_eq!(out(&output), "", "{arguments:?} wrote to stdout");
    let line = err(&output).strip_suffix('\n').unwrap();
    assert!(
        !line.contains('\n'),
        "{arguments:?} said more than one line: {line}"
    );
    (
        output.status.code().unwrap(),
        line.strip_prefix("petuum: ").unwrap().to_owned(),
    )
}

#[test]
fn flags_are_refused_in_words_with_status_2() {
    for (line, words) in [
        ("lda --topics 0", "--topics: 0 is too small, at least 1"),
        ("lda --topics -1", "--topics: -1 is too small, at least 1"),
        ("lda --topics 1.5", "--topics: `1.5` is not a whole number"),
        ("lda --topics", "--topics: needs a value"),
        ("lda --alpha 0", "--alpha: 0 is too small, more than 0"),
        ("lda --alpha nan", "--alpha: nan is not a finite number"),
        ("lda --workers 0", "--workers: 0 is too small, at least 1"),
        (
            "lda --workers 5000",
            "--workers: 5000 is too large, at most 4096",
        ),
        ("lda --shards 0", "--shards: 0 is too small, at least 1"),
        (
            "lda --staleness -1",
            "--staleness: -1 is too small, at least 0",
        ),
        ("lda --clocks 0", "--clocks: 0 is too small, at least 1"),
        (
            "lda --clocks-per-pass 0",
            "--clocks-per-pass: 0 is too small, at least 1",
        ),
        (
            "lda --time-limit 0",
            "--time-limit: 0 is too small, more than 0",
        ),
        (
            "lda --tolerance -1",
            "--tolerance: -1 is too small, at least 0",
        ),
        ("lda --target inf", "--target: inf is not a finite number"),
        (
            "lda --evaluate-every 0",
            "--evaluate-every: 0 is too small, at least 1",
        ),
        ("lda --seed -1", "--seed: -1 is too small, at least 0"),
        (
            "lda --checkpoint-every 0",
            "--checkpoint-every: 0 is too small, at least 1",
        ),
        (
            "lda --connect-timeout 0",
            "--connect-timeout: 0 is too small, at least 0.1",
        ),
        (
            "lda --records jsnl",
            "--records: `jsnl` is none of csv, jsonl; did you mean jsonl?",
        ),
        (
            "lda --topic 5",
            "--topic: no such option; did you mean --topics?",
        ),
        ("lda -x", "-x: no such option; see `petuum lda --help`"),
        (
            "lda --zzz 5",
            "--zzz: no such option; see `petuum lda --help`",
        ),
        ("lda -k 5 -k 6", "--topics: is given twice; leave one out"),
        ("lda --quiet=yes", "--quiet: takes no value, found `yes`"),
        ("lda --rank 0", "--rank: needs --hosts"),
        ("lda --secret-file x", "--secret-file: needs --hosts"),
        (
            "lda --hosts x --bandwidth 0",
            "--bandwidth: 0 is too small, more than 0",
        ),
        ("lda --resume", "--resume: needs --checkpoint"),
        (
            "lda --checkpoint-every 5",
            "--checkpoint-every: needs --checkpoint",
        ),
        (
            "convert x",
            "--output <FILE> is missing; see `petuum convert --help`",
        ),
        ("generate ldb", "ldb: no such command; did you mean lda?"),
        ("conver", "conver: no such command; did you mean convert?"),
        (
            "completions fsh",
            "SHELL: `fsh` is none of bash, elvish, fish, powershell, zsh; did you \
                             mean fish?",
        ),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_eq!(refusal(&arguments), (2, words.to_owned()), "petuum {line}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for (line, begin) in [
        (
            "lda --consistency bsp --staleness 2",
            "--staleness: 2 contradicts",
        ),
        ("lda --force", "--force: there is nothing to replace"),
        ("lda --bandwidth 10", "--bandwidth: needs --hosts"),
        ("lda --priority age", "--priority: needs --bandwidth"),
        (
            "lda --hosts x --wire bf16 --consistency bsp",
            "--wire: bf16 rounds",
        ),
        (
            "lda --force --resume --checkpoint x",
            "--force: would remove the checkpoints",
        ),
        ("convert -o x", "DATA: is missing"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (status, words) = refusal(&arguments);
        assert_eq!(status, 2, "petuum {line}");
        assert!(words.starts_with(begin), "petuum {line}: {words}");
    }
}

#[test]
fn a_bad_rank_in_the_environment_is_named() {
    let output = petuum(&["lda", "--hosts", "hosts.txt"])
        .env("SLURM_PROCID", "one")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("SLURM_PROCID: expected a number"),
        "{}",
        err(&output)
    );
}

#[test]
fn without_a_command_the_help_comes_with_status_2() {
    let output = run(&[]);
    assert_eq!((output.status.code(), out(&output)), (Some(2), ""));
    assert!(err(&output).contains("Usage: petuum <COMMAND>"));
}

#[test]
fn the_version_is_one_line_on_stdout() {
    for flag in ["-V", "--version"] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(
            out(&output),
            concat!("petuum ", env!("CARGO_PKG_VERSION"), "\n")
        );
    }
}

#[test]
fn help_is_short_with_h_and_complete_with_help() {
    let short = run(&["lda", "-h"]);
    let long = run(&["lda", "--help"]);
    for output in [&short, &long] {
        assert_eq!((output.status.code(), err(output)), (Some(0), ""));
        assert!(out(output).lines().all(|line| line.chars().count() <= 100));
    }
    assert!(
        out(&short).lines().count() < 80,
        "-h is to fit on a screen or two"
    );
    assert!(out(&long).lines().count() > 150, "--help is to explain");
    assert!(!out(&short).contains("Examples:"));
    let parts = [
        "Usage: petuum lda",
        "Options:",
        "Workers and hosts:",
        "When to stop:",
        "Examples:",
        "Data:",
    ];
    let places: Vec<usize> = parts
        .iter()
        .map(|part| out(&long).find(part).unwrap())
        .collect();
    assert!(
        places.is_sorted(),
        "program's options first, then the shared ones, then examples"
    );
    for status in ["65", "69", "75", "78", "130"] {
        assert!(
            out(&run(&["--help"])).contains(&format!(" {status}  ")),
            "status {status}"
        );
    }
}

/// The contract: long words everywhere, and only these short ones.
#[test]
fn only_five_flags_have_a_short_form() {
    fn shorts(command: &clap::Command, found: &mut Vec<char>) {
        found.extend(command.get_arguments().filter_map(clap::Arg::get_short));
        command
            .get_subcommands()
            .for_each(|below| shorts(below, found));
    }
    let mut found = Vec::new();
    let mut command = cli::command();
    command.build();
    shorts(&command, &mut found);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, ['V', 'h', 'k', 'o', 'q']);
}

#[test]
fn the_definition_of_the_flags_holds() {
    cli::command().debug_assert();
}

#[test]
fn completions_come_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(out(&output).contains("staleness"), "{shell}");
    }
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), run(&["completions", "bash"]).stdout).unwrap();
    if let Ok(checked) = Command::new("bash").arg("-n").arg(script.path()).status() {
        assert!(checked.success());
    }
}

#[test]
fn the_committed_man_pages_and_completions_are_those_of_the_flags() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let pages = cli::pages(cli::command()).unwrap();
    let remedy = "regenerate with `cargo run --release -- man man` and commit";
    for (name, text) in &pages {
        let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            committed == *text,
            "man/{name} is not what the flags say: {remedy}"
        );
    }
    let files = fs::read_dir(&folder).unwrap().count();
    assert_eq!(
        files,
        pages.len(),
        "man/ has pages of commands that are gone: {remedy}"
    );
}

#[test]
fn help_and_completions_do_not_mind_a_closed_pipe() {
    for arguments in [&["--help"][..], &["completions", "bash"]] {
        let mut child = petuum(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), err(&output)),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_run_prints_records_and_nothing_else_on_stdout() {
    let output = run(&SHORT);
    assert_eq!((output.status.code(), err(&output)), (Some(0), ""));
    let header = out(&output).lines().next().unwrap();
    assert!(header.starts_with("clock,seconds,objective,"), "{header}");
    assert!(
        header.ends_with(",wait_seconds,bytes_sent,bytes_received,staleness_mean,staleness_max")
    );
    assert_eq!(out(&output).lines().count(), 3);
    let clocks: Vec<&str> = out(&output)
        .lines()
        .skip(1)
        .map(|line| &line[..2])
        .collect();
    assert_eq!(clocks, ["1,", "2,"]);
}

#[test]
fn json_lines_carry_the_same_names() {
    let csv = run(&SHORT);
    let header: Vec<&str> = out(&csv).lines().next().unwrap().split(',').collect();
    let json = run(&[&SHORT[..], &["--records", "jsonl"]].concat());
    assert_eq!(out(&json).lines().count(), 2);
    for line in out(&json).lines() {
        let record: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        assert!(
            header.iter().all(|name| record.contains_key(*name)),
            "{line}"
        );
        // A list has no place in CSV.
        let counts = record["staleness_counts"].as_array();
        assert!(counts.is_some_and(|counts| counts.len() <= 1024), "{line}");
        assert_eq!(record.len(), header.len() + 1);
    }
}

#[test]
fn a_model_is_saved_whole_with_what_stdout_said() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    let name = folder.to_str().unwrap();
    let output = run(&[&SHORT[..], &["-o", name]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        fs::read_to_string(folder.join("records.csv")).unwrap(),
        out(&output)
    );
    assert!(folder.join("DONE").is_file() && folder.join("model.safetensors").is_file());
    let saved = petuum::snapshot::SavedModel::open(&folder).unwrap();
    assert_eq!(saved.program().unwrap(), "lda");
    assert_eq!(saved.json("options").unwrap()["topics"], 8);

    let (status, words) = refusal(&[&SHORT[..], &["-o", name]].concat());
    assert_eq!(status, 73, "{words}");
    assert!(words.contains("--force"), "{words}");
    let again = run(&[&SHORT[..], &["-o", name, "--force"]].concat());
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
}

#[test]
fn a_run_that_cannot_save_ends_before_it_begins() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("model");
    let (status, _) = refusal(&[&ENDLESS[..], &["-o", inside.to_str().unwrap()]].concat());
    assert_eq!(status, 73);
}

#[test]
fn a_resume_without_a_checkpoint_is_no_fresh_start() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("nothing");
    let flags = ["--resume", "--checkpoint", folder.to_str().unwrap()];
    assert_eq!(refusal(&[&SHORT[..], &flags].concat()).0, 66);
}

#[test]
fn data_that_is_not_there_is_status_66() {
    let (status, words) = refusal(&["lda", "-q", "/nowhere/docword.txt"]);
    assert_eq!(status, 66, "{words}");
    assert!(words.starts_with("/nowhere/docword.txt: "), "{words}");
}

#[test]
fn convert_replaces_files_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("posts.txt");
    fs::write(&text, "the cat\nthe dog\n").unwrap();
    let folder = home.path().to_str().unwrap();
    let (status, words) = refusal(&["convert", text.to_str().unwrap(), "-o", folder, "--force"]);
    assert_eq!(status, 73, "{words}");
    assert!(words.contains("no regular file"), "{words}");
}

#[test]
fn a_closed_pipe_ends_the_run_quietly_after_saving() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    let mut child = started(&[&ENDLESS[..], &["-o", folder.to_str().unwrap()]].concat());
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), ""));
    assert!(folder.join("DONE").is_file());
}

#[test]
fn an_interrupted_run_saves_and_says_so_by_its_status() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("model");
        let mut child = started(&[&ENDLESS[..], &["-o", folder.to_str().unwrap()]].concat());
        first_record(&mut child);
        kill(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", err(&output));
        assert!(
            folder.join("DONE").is_file(),
            "SIG{signal}: the model is saved first"
        );
    }
}

#[test]
fn a_second_interrupt_ends_within_a_second() {
    let mut child = started(&ENDLESS);
    first_record(&mut child);
    kill(&child, "INT");
    kill(&child, "INT");
    let since = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
}

fn started(arguments: &[&str]) -> Child {
    petuum(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads the header and the first record: training has begun. The rest is read by a thread, so that
/// the run never waits for its reader.
fn first_record(child: &mut Child) {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..2 {
        assert!(
            lines.read_line(&mut String::new()).unwrap() > 0,
            "no record came"
        );
    }
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
}

fn kill(child: &Child, signal: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-s", signal, &id])
        .status()
        .unwrap();
    assert!(sent.success());
}
