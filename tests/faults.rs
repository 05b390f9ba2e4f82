//! Faults of real processes on the loopback: whatever happens to one rank, every rank ends, in time,
//! with the status of the root cause, and nothing that is not a rank can disturb a run.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use petuum::transport::{TcpSetup, Transport};
use petuum::wire::hello::PROTOCOL;
use tempfile::TempDir;

const PETUUM: &str = env!("CARGO_BIN_EXE_petuum");

/// A hosts file of `ranks` lines with ports that were free a moment ago, on a loopback address of
/// the test's own: outgoing connections take ports of 127.0.0.1, so nothing takes these meanwhile.
struct Hosts {
    folder: TempDir,
    address: Ipv4Addr,
    ports: Vec<u16>,
}

/// A loopback address that no other test, of this process or another, is likely to use.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Hosts {
    fn new(ranks: usize) -> Hosts {
        let address = own_address();
        let listeners: Vec<TcpListener> = (0..ranks)
            .map(|_| TcpListener::bind((address, 0)).unwrap())
            .collect();
        let ports = listeners
            .iter()
            .map(|l| l.local_addr().unwrap().port())
            .collect();
        let hosts = Hosts {
            folder: TempDir::new().unwrap(),
            address,
            ports,
        };
        let lines = hosts
            .ports
            .iter()
            .map(|port| format!("{address}:{port} slots=1\n"));
        fs::write(hosts.file(), lines.collect::<String>()).unwrap();
        hosts
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("hosts.txt")
    }

    /// `petuum lda` on the built-in sample as every rank of these hosts.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_of("lda", arguments)
    }

    /// The same of another program.
    fn command_of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(PETUUM);
        command
            .arg(program)
            .arg("--hosts")
            .arg(self.file())
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// One rank of a run that would go on for long.
    fn rank(&self, rank: usize, arguments: &[&str]) -> Rank {
        let mut command = self.command(&["--rank", &rank.to_string(), "--clocks", "1000000"]);
        Rank::start(command.args(arguments))
    }
}

/// A started process; killed if the test ends before it does.
struct Rank {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Rank {
    fn start(command: &mut Command) -> Rank {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Rank { child, stdout }
    }

    /// Waits until the run has written its header and `records` records.
    fn await_records(&mut self, records: usize) {
        for _ in 0..=records {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "ended early: {}",
                self.errors()
            );
        }
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            drop(stderr.read_to_string(&mut text));
        }
        text
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .arg(signal)
            .arg(self.child.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, which must come within `seconds`; returns status and stderr.
    fn end_within(mut self, seconds: u64) -> (ExitStatus, String) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        // Draining stdout ends with the process.
        let mut rest = Vec::new();
        drop(self.stdout.read_to_end(&mut rest));
        let errors = self.errors();
        let status = self.child.wait().unwrap();
        assert!(
            Instant::now() < deadline,
            "took longer than {seconds} s: {errors}"
        );
        (status, errors)
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn assert_status((status, errors): &(ExitStatus, String), expected: i32, names: &[&str]) {
    assert_eq!(status.code(), Some(expected), "{errors}");
    for name in names {
        assert!(errors.contains(name), "{name:?} is not in {errors:?}");
    }
}

#[test]
fn a_killed_rank_ends_every_rank_with_75_and_its_name() {
    let hosts = Hosts::new(3);
    let mut ranks: Vec<Rank> = (0..3).map(|rank| hosts.rank(rank, &[])).collect();
    ranks[0].await_records(1);
    let killed = ranks.remove(1);
    killed.signal("-KILL");
    for rank in ranks {
        assert_status(&rank.end_within(5), 75, &["rank 1"]);
    }
}

#[test]
fn a_frozen_rank_ends_every_other_rank_within_15_seconds() {
    let hosts = Hosts::new(2);
    let mut first = hosts.rank(0, &[]);
    let frozen = hosts.rank(1, &[]);
    first.await_records(1);
    frozen.signal("-STOP");
    assert_status(&first.end_within(15), 75, &["rank 1", "silent"]);
    // Thawed, it finds out that the others are gone.
    frozen.signal("-CONT");
    assert_status(&frozen.end_within(15), 75, &["rank 0"]);
}

#[test]
fn a_launched_run_leaves_no_process_behind_when_a_rank_is_frozen() {
    let hosts = Hosts::new(2);
    let mut launcher = Rank::start(&mut hosts.command(&["--clocks", "1000000"]));
    launcher.await_records(1);
    let children = children_of(launcher.child.id());
    assert_eq!(children.len(), 2);
    kill("-STOP", children[1]);
    assert_status(&launcher.end_within(20), 75, &["silent"]);
    assert!(children.iter().all(|child| has_ended(*child)));
}

/// A cross-validation of very many values of λ goes on for long; rank 1 has no say in it but its columns.
#[test]
fn a_killed_rank_ends_a_lasso_with_75() {
    let hosts = Hosts::new(3);
    let flags = ["--path", "10000", "--folds", "100", "--tolerance", "1e-12"];
    let start = |rank: usize| {
        let rank = rank.to_string();
        Rank::start(hosts.command_of("lasso", &["--rank", &rank]).args(flags))
    };
    let mut ranks: Vec<Rank> = (0..3).map(start).collect();
    ranks[0].await_records(3);
    let killed = ranks.remove(1);
    killed.signal("-KILL");
    for rank in ranks {
        assert_status(&rank.end_within(5), 75, &["rank 1"]);
    }
}

#[test]
fn killing_a_launched_rank_ends_the_launcher_with_75() {
    let hosts = Hosts::new(2);
    let mut launcher = Rank::start(&mut hosts.command(&["--clocks", "1000000"]));
    launcher.await_records(1);
    let children = children_of(launcher.child.id());
    kill("-KILL", children[0]);
    let ended = launcher.end_within(6);
    assert_status(&ended, 75, &["rank 0"]);
    assert!(children.iter().all(|child| has_ended(*child)));
}

#[test]
fn ranks_end_when_their_launcher_is_killed() {
    let hosts = Hosts::new(2);
    let mut launcher = Rank::start(&mut hosts.command(&["--clocks", "1000000"]));
    launcher.await_records(1);
    let children = children_of(launcher.child.id());
    launcher.signal("-KILL");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !children.iter().all(|child| has_ended(*child)) {
        assert!(Instant::now() < deadline, "a rank outlives its launcher");
        std::thread::yield_now();
    }
}

#[test]
fn an_interrupt_saves_the_model_of_a_launched_run() {
    let hosts = Hosts::new(2);
    let model = hosts.folder.path().join("model");
    let output = model.to_str().unwrap();
    let command = &mut hosts.command(&["--clocks", "1000000", "--output", output]);
    let mut launcher = Rank::start(command);
    launcher.await_records(2);
    let children = children_of(launcher.child.id());
    launcher.signal("-INT");
    let (status, errors) = launcher.end_within(10);
    assert_eq!(status.code(), Some(130), "{errors}");
    assert!(model.join("DONE").exists(), "{errors}");
    assert!(children.iter().all(|child| has_ended(*child)));
}

#[test]
fn a_wrong_secret_ends_both_ranks_with_77() {
    let hosts = Hosts::new(2);
    let secrets = ["one", "two"].map(|secret| {
        let path = hosts.folder.path().join(secret);
        fs::write(&path, secret).unwrap();
        path
    });
    let ranks =
        [0, 1].map(|rank| hosts.rank(rank, &["--secret-file", secrets[rank].to_str().unwrap()]));
    for rank in ranks {
        assert_status(&rank.end_within(10), 77, &["secret"]);
    }
}

#[test]
fn other_options_end_both_ranks_with_76_and_both_values() {
    let hosts = Hosts::new(2);
    let ranks = [("0", "0.1"), ("1", "0.2")]
        .map(|(rank, alpha)| hosts.rank(rank.parse().unwrap(), &["--alpha", alpha]));
    for rank in ranks {
        assert_status(&rank.end_within(10), 76, &["alpha", "0.1", "0.2"]);
    }
}

#[test]
fn a_missing_rank_is_named_at_the_deadline() {
    let hosts = Hosts::new(3);
    let ranks = [0, 2].map(|rank| hosts.rank(rank, &["--connect-timeout", "1"]));
    for rank in ranks {
        assert_status(&rank.end_within(5), 69, &["rank 1"]);
    }
}

#[test]
fn garbage_on_the_port_changes_nothing() {
    let hosts = Hosts::new(2);
    let quiet: Output = hosts
        .command(&["--clocks", "5", "--consistency", "bsp"])
        .output()
        .unwrap();
    assert!(quiet.status.success());
    let mut launcher = Rank::start(&mut hosts.command(&["--clocks", "40", "--consistency", "bsp"]));
    let mut lines = String::new();
    for clock in 0..=40 {
        launcher.stdout.read_line(&mut lines).unwrap();
        for (stray, port) in (0..).zip(&hosts.ports) {
            throw_garbage(hosts.address, *port, clock + stray);
        }
    }
    let (status, errors) = launcher.end_within(10);
    assert!(status.success(), "{errors}");
    let objectives = |text: &str| -> Vec<String> {
        text.lines()
            .take(6)
            .map(|l| l.split(',').nth(2).unwrap().to_string())
            .collect()
    };
    assert_eq!(
        objectives(&lines),
        objectives(&String::from_utf8(quiet.stdout).unwrap())
    );
}

fn throw_garbage(address: Ipv4Addr, port: u16, kind: usize) {
    let Ok(mut stream) = TcpStream::connect((address, port)) else {
        return;
    };
    let garbage: &[u8] = match kind % 5 {
        0 => b"",
        1 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        2 => &[0xff; 4096],
        3 => &[0, 0, 0, 1],
        _ => b"petuum",
    };
    // The other side may hang up in the middle: that is its right.
    drop(stream.write_all(garbage));
}

#[test]
fn the_same_ports_serve_again_at_once() {
    let hosts = Hosts::new(2);
    for _ in 0..3 {
        let output = hosts.command(&["--clocks", "2"]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_taken_port_ends_a_launched_run_at_once() {
    let hosts = Hosts::new(4);
    let _taken = TcpListener::bind((hosts.address, hosts.ports[2])).unwrap();
    let launcher = Rank::start(&mut hosts.command(&["--clocks", "1000000"]));
    let (status, errors) = launcher.end_within(5);
    assert_eq!(status.code(), Some(69), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains(&hosts.ports[2].to_string()), "{errors}");
}

#[test]
fn an_interrupted_rank_tells_those_that_it_has_found() {
    let hosts = Hosts::new(3);
    // Rank 2 never comes.
    let waiting = hosts.rank(0, &[]);
    let interrupted = hosts.rank(1, &[]);
    let pair = (hosts.address, hosts.ports[0]);
    await_connections(pair, 1);
    interrupted.signal("-INT");
    for rank in [interrupted, waiting] {
        assert_status(&rank.end_within(5), 130, &["SIGINT"]);
    }
}

/// Waits until so many connections to `address` are established.
fn await_connections(address: (Ipv4Addr, u16), count: usize) {
    let [a, b, c, d] = address.0.octets();
    let local = format!(" {d:02X}{c:02X}{b:02X}{a:02X}:{:04X} ", address.1);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let established = table
            .lines()
            .filter(|line| line.contains(&local) && line.split_whitespace().nth(3) == Some("01"));
        if established.count() >= count {
            return;
        }
        assert!(Instant::now() < deadline, "nobody connects");
        std::thread::yield_now();
    }
}

#[test]
fn a_remote_line_without_rank_is_a_clear_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("hosts.txt");
    fs::write(&file, "localhost\nsomewhere-else.example:7700\n").unwrap();
    let output = Command::new(PETUUM)
        .arg("lda")
        .arg("--hosts")
        .arg(&file)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{errors}");
    assert!(
        errors.contains("hosts.txt:2:1:") && errors.contains("--rank"),
        "{errors}"
    );
}

/// The processes that `parent` started.
fn children_of(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let mut children = numbers(&fs::read_to_string(path).unwrap_or_default());
    if children.is_empty() {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        children = pids.filter(|pid| parent_of(*pid) == Some(parent)).collect();
    }
    children.sort_unstable();
    children
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// State and parent of a process, from `/proc/PID/stat`.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid).map(|(_, parent)| parent)
}

fn has_ended(pid: u32) -> bool {
    stat(pid).is_none_or(|(state, _)| state == 'Z')
}

fn kill(signal: &str, pid: u32) {
    assert!(
        Command::new("kill")
            .arg(signal)
            .arg(pid.to_string())
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn another_version_ends_both_sides_with_76_and_both_versions() {
    let hosts = Hosts::new(2);
    let rank = hosts.rank(0, &[]);
    let addresses = hosts
        .ports
        .iter()
        .map(|port| format!("{}:{port}", hosts.address));
    let mut other = TcpSetup::new(1, addresses.collect());
    other.protocol = PROTOCOL + 1;
    other.deadline = Duration::from_secs(10);
    let error = Transport::tcp(other).expect_err("another version");
    let versions = [PROTOCOL.to_string(), (PROTOCOL + 1).to_string()];
    assert_eq!(error.status(), 76, "{error}");
    assert!(
        versions
            .iter()
            .all(|version| error.to_string().contains(version.as_str())),
        "{error}"
    );
    let names: Vec<&str> = versions.iter().map(String::as_str).collect();
    assert_status(&rank.end_within(15), 76, &names);
}
