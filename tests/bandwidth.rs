//! `--bandwidth` with real processes on the loopback: what two ranks really send each other in a
//! second, and what they say when that cannot be kept.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// One record: seconds of training, and the bytes that all ranks have sent until then.
#[derive(Debug, Clone, Copy)]
struct Sent {
    seconds: f64,
    bytes: f64,
}

/// `petuum lda` on the built-in sample as two processes of one worker; the records and stderr.
fn train(arguments: &str) -> (Vec<Sent>, String) {
    let folder = TempDir::new().unwrap();
    let hosts = folder.path().join("hosts.txt");
    fs::write(&hosts, "localhost slots=1\nlocalhost slots=1\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
    command
        .args(["lda", "--clocks", "1000000", "--hosts"])
        .arg(&hosts);
    let output = command
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name| header.iter().position(|column| *column == name).unwrap();
    let (seconds, bytes) = (column("seconds"), column("bytes_sent"));
    let sent = |line: Vec<&str>| Sent {
        seconds: line[seconds].parse().unwrap(),
        bytes: line[bytes].parse().unwrap(),
    };
    (lines.map(sent).collect(), stderr)
}

/// Megabits a second that one of the two ranks has sent, without the first second: copies that
/// nobody had yet leave at once.
fn rate(records: &[Sent]) -> f64 {
    let first = records.iter().find(|sent| sent.seconds > 1.0).unwrap();
    let last = records.last().unwrap();
    assert!(last.seconds > 2.5, "{last:?}");
    (last.bytes - first.bytes) * 8.0 / 2.0 / 1e6 / (last.seconds - first.seconds)
}

/// Everything that the sample's worker pairs could send is several times the limit.
const LONG: &str = "--topics 100 --time-limit 3 --evaluate-every 20 --quiet";

#[test]
fn rows_keep_the_bandwidth() {
    for limit in [2.0, 5.0] {
        let (records, _) = train(&format!(
            "{LONG} --parallel data --consistency async --bandwidth {limit}"
        ));
        let rate = rate(&records);
        assert!(
            (0.8 * limit..1.06 * limit).contains(&rate),
            "{rate} of {limit}"
        );
    }
}

#[test]
fn blocks_keep_the_bandwidth() {
    let limit = 2.0;
    let (records, _) = train(&format!("{LONG} --bandwidth {limit}"));
    let rate = rate(&records);
    assert!(
        (0.8 * limit..1.06 * limit).contains(&rate),
        "{rate} of {limit}"
    );
}

#[test]
fn what_must_leave_leaves_and_is_announced() {
    let with = |bandwidth: &str| {
        let (records, stderr) = train(&format!(
            "--topics 100 --time-limit 2 --parallel data --staleness 1 --bandwidth {bandwidth}"
        ));
        let warnings = stderr.lines().filter(|line| line.contains("--bandwidth"));
        (
            records.len(),
            warnings.map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let (records, warnings) = with("0.5");
    // The run goes on as if there were no limit, and each rank says so, once.
    assert!(records > 20, "{records} records");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for warning in warnings {
        assert!(
            warning.contains("--staleness 1") && warning.contains("rank "),
            "{warning}"
        );
    }
    assert_eq!(with("100000").1, [""; 0]);
}
