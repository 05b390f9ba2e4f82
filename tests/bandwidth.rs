//! `--bandwidth` with real processes on the loopback: what two ranks really send each other in a
//! second, and what they say when that cannot be kept.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

/// `petuum lda` on the built-in sample as two processes of one worker.
struct Run {
    child: Child,
    records: Lines<BufReader<ChildStdout>>,
    /// Where the hosts file lies.
    _folder: TempDir,
}

impl Run {
    fn start(arguments: &str) -> Run {
        let folder = TempDir::new().unwrap();
        let hosts = folder.path().join("hosts.txt");
        fs::write(&hosts, "localhost slots=1\nlocalhost slots=1\n").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_petuum"));
        command
            .args(["lda", "--clocks", "1000000", "--hosts"])
            .arg(&hosts)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let records = BufReader::new(child.stdout.take().unwrap()).lines();
        Run {
            child,
            records,
            _folder: folder,
        }
    }

    /// Reads records until `seconds` have passed.
    fn go_on(&mut self, seconds: f64) {
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < seconds {
            self.records.next().expect("the run goes on").unwrap();
        }
    }

    /// What all processes have written so far, to sockets for the most part, by the system's count.
    fn written(&self) -> u64 {
        let mut processes = vec![self.child.id()];
        let mut sum = 0;
        while let Some(id) = processes.pop() {
            let io = fs::read_to_string(format!("/proc/{id}/io")).unwrap();
            let count = io.lines().find_map(|line| line.strip_prefix("wchar: "));
            sum += count.unwrap().parse::<u64>().unwrap();
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
            processes.extend(
                children
                    .split_whitespace()
                    .map(|id| id.parse::<u32>().unwrap()),
            );
        }
        sum
    }

    /// Bytes a second that each of the two ranks sends, without the first second: copies that nobody
    /// had yet leave at once. And for how many seconds that was measured.
    fn rate(&mut self) -> (f64, f64) {
        self.records.next().expect("a header").unwrap();
        self.records.next().expect("a record").unwrap();
        self.go_on(1.0);
        let (start, before) = (Instant::now(), self.written());
        self.go_on(2.0);
        let written = self.written() - before;
        let seconds = start.elapsed().as_secs_f64();
        (written as f64 / 2.0 / seconds, seconds)
    }

    /// Waits for the end; the number of lines on stdout that were not read, and stderr.
    fn end(mut self) -> (usize, String) {
        let lines = self.records.by_ref().count();
        let output = self.child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        (lines, stderr)
    }
}

/// Each of two ranks sends what the limit allows, and of that a good part also on a busy machine.
fn keeps(megabits: f64, arguments: &str) {
    let mut run = Run::start(&format!("{LONG} --bandwidth {megabits} {arguments}"));
    let (rate, seconds) = run.rate();
    run.end();
    let limit = megabits * 1e6 / 8.0;
    // What was saved up for rows and for blocks may leave on top, once.
    let most = 1.02 * limit + 2.0 * f64::from(64 << 10) / seconds;
    assert!((0.3 * limit..most).contains(&rate), "{rate} of {limit}");
}

/// Everything that the sample's worker pairs could send is several times the limit.
const LONG: &str = "--topics 100 --time-limit 5 --evaluate-every 20 --quiet";

#[test]
fn rows_keep_the_bandwidth() {
    for limit in [2.0, 5.0] {
        keeps(limit, "--parallel data --consistency async");
    }
}

#[test]
fn blocks_keep_the_bandwidth() {
    keeps(2.0, "");
}

#[test]
fn what_must_leave_leaves_and_is_announced() {
    let with = |bandwidth: &str| {
        let (lines, stderr) = Run::start(&format!(
            "--topics 100 --time-limit 2 --parallel data --staleness 1 --bandwidth {bandwidth}"
        ))
        .end();
        let warnings = stderr.lines().filter(|line| line.contains("--bandwidth"));
        (lines, warnings.map(str::to_owned).collect::<Vec<_>>())
    };
    let (lines, warnings) = with("0.5");
    // The run goes on as if there were no limit, and each rank says so, once.
    assert!(lines > 20, "{lines} records");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for warning in warnings {
        assert!(
            warning.contains("--staleness 1") && warning.contains("rank "),
            "{warning}"
        );
    }
    assert_eq!(with("100000").1, [""; 0]);
}
