//! Starts one child process per line of the hosts file and sees every one of them to its end.
//!
//! The launcher is no rank. It hands each child its number, the run's secret and the others' ports
//! (see [`super::control`]), passes rank 0's records through, and ends with the status of the root
//! cause. A child whose launcher dies sees its stdin end and ends too.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write, copy, sink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

use super::connect::read_secret;
use super::control::{LAUNCHED, to_hex};
use super::hosts::{Host, Hosts};
use super::interrupt::Interrupt;
use super::run::Io;
use super::settings::Settings;

/// How often the launcher looks at its children.
const WATCH: Duration = Duration::from_millis(20);
/// How long the others may go on after one rank has failed: longer than a silent peer takes to be
/// noticed.
const FAILED_RUN: Duration = Duration::from_secs(14);
/// How long the last rank may go on after the others: only a frozen one needs it.
const LAST_RANK: Duration = Duration::from_secs(2);

/// Runs the same command as every rank of `settings.hosts`, on this machine.
pub fn launch(settings: &Settings, io: Io) -> Result<()> {
    let interrupt = Interrupt::install()?;
    let path = settings
        .hosts
        .as_deref()
        .ok_or_else(|| Error::Bug("no hosts to launch".into()))?;
    let hosts = Hosts::read(path)?;
    let hosts = hosts.lines();
    refuse_remote(path, hosts)?;
    let mut ranks = Ranks(Vec::new());
    for rank in 0..hosts.len() {
        ranks.0.push(Launched::start(rank, &hosts[rank])?);
    }
    let mut stdout = Some(io.stdout);
    let secret = read_secret(settings)?;
    let introductions = ranks.introduce(secret)?;
    let ports = introductions.into_iter().zip(&mut ranks.0).enumerate();
    let mut addresses = Vec::new();
    for (rank, (introduction, launched)) in ports {
        let Some((port, records)) = introduction else {
            continue;
        };
        addresses.push(format!("{}:{port}", hosts[rank].name));
        let writer = if rank == 0 { stdout.take() } else { None };
        launched.passing = Some(thread::spawn(move || pass_records(records, writer)));
    }
    if addresses.len() == hosts.len() {
        ranks.tell(&format!("hosts {}\n", addresses.join(" ")));
    }
    ranks.wait(hosts, &interrupt)
}

fn refuse_remote(path: &std::path::Path, hosts: &[Host]) -> Result<()> {
    let remote = hosts.iter().filter(|host| !host.is_local());
    let errors: Vec<String> = remote
        .map(|host| {
            format!(
                "{}:{}:1: {:?} is another machine, and starting ranks there is not built in yet: \
                 give the same command with --rank R on every host",
                path.display(),
                host.line,
                host.name
            )
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Hosts(errors.join("\n")))
    }
}

/// The children; whatever happens to the launcher, dropping them leaves none behind.
struct Ranks(Vec<Launched>);

struct Launched {
    child: Child,
    stdin: Option<ChildStdin>,
    passing: Option<thread::JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

type Introduction = Option<(u16, BufReader<ChildStdout>)>;

impl Launched {
    fn start(rank: usize, host: &Host) -> Result<Launched> {
        let unavailable =
            |error| Error::Unavailable(format!("rank {rank} ({host}): cannot start: {error}"));
        let program = env::current_exe().map_err(unavailable)?;
        let arguments: Vec<OsString> = env::args_os().skip(1).collect();
        let mut child = Command::new(program)
            .args(arguments)
            .args(["--rank", &rank.to_string()])
            .env(LAUNCHED, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(unavailable)?;
        let stdin = child.stdin.take();
        Ok(Launched {
            child,
            stdin,
            passing: None,
            ended: None,
        })
    }

    /// Says something to the rank; one that has ended no longer listens.
    fn tell(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            drop(
                stdin
                    .write_all(line.as_bytes())
                    .and_then(|()| stdin.flush()),
            );
        }
    }

    fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_some()
    }
}

impl Ranks {
    fn tell(&mut self, line: &str) {
        for rank in &mut self.0 {
            rank.tell(line);
        }
    }

    /// Hands out the secret and collects the ports; None for a child that ends instead.
    fn introduce(&mut self, secret: Option<Vec<u8>>) -> Result<Vec<Introduction>> {
        let (mut fresh, mut run_id) = ([0; 32], [0; 16]);
        let random = getrandom::fill(&mut fresh).and_then(|()| getrandom::fill(&mut run_id));
        random.map_err(|error| Error::Other(format!("no randomness for a secret: {error}")))?;
        let secret = secret.unwrap_or_else(|| fresh.to_vec());
        self.tell(&format!(
            "secret {}\nrun {}\n",
            to_hex(&secret),
            to_hex(&run_id)
        ));
        let waiting: Vec<Receiver<Introduction>> = self
            .0
            .iter_mut()
            .filter_map(|rank| rank.child.stdout.take())
            .map(|stdout| {
                let (sender, receiver) = channel();
                thread::spawn(move || drop(sender.send(read_port(stdout))));
                receiver
            })
            .collect();
        Ok(waiting
            .into_iter()
            .map(|port| port.recv().ok().flatten())
            .collect())
    }

    /// Sees every rank to its end and returns the root cause of a failure.
    fn wait(mut self, hosts: &[Host], interrupt: &Interrupt) -> Result<()> {
        let mut told = false;
        let mut root: Option<(Instant, usize)> = None;
        let mut last: Option<Instant> = None;
        loop {
            if let Some(signal) = interrupt.signal()
                && !told
            {
                told = true;
                self.tell(&format!("interrupt {signal}\n"));
            }
            let mut running = 0;
            for (rank, launched) in self.0.iter_mut().enumerate() {
                if !launched.has_ended() {
                    running += 1;
                } else if launched.ended.is_some_and(|status| !status.success()) && root.is_none() {
                    root = Some((Instant::now(), rank));
                }
            }
            if running == 0 {
                break;
            }
            let failing = root.is_some_and(|(since, _)| since.elapsed() > FAILED_RUN);
            if running == 1 && root.is_some() {
                last.get_or_insert_with(Instant::now);
            }
            if failing || last.is_some_and(|since| since.elapsed() > LAST_RANK) {
                self.kill();
            }
            thread::sleep(WATCH);
        }
        self.finish_passing();
        root.map_or(Ok(()), |(_, rank)| Err(self.describe(rank, hosts)))
    }

    fn kill(&mut self) {
        for rank in &mut self.0 {
            if !rank.has_ended() {
                drop(rank.child.kill());
            }
        }
    }

    fn finish_passing(&mut self) {
        for rank in &mut self.0 {
            if let Some(passing) = rank.passing.take() {
                drop(passing.join());
            }
        }
    }

    /// What the rank that ended first, badly, means for the run. It has told its own story on
    /// stderr, unless it was killed.
    fn describe(&self, rank: usize, hosts: &[Host]) -> Error {
        let status = self.0[rank].ended.unwrap_or_default();
        if let Some(signal) = status.signal() {
            return Error::PeerLost(format!(
                "rank {rank} ({}) was killed by signal {signal}; resume from the last checkpoint \
                 with --resume",
                hosts[rank]
            ));
        }
        let status = status.code().unwrap_or(1).clamp(1, 255) as u8;
        Error::Remote {
            status,
            message: String::new(),
        }
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        self.kill();
        for rank in &mut self.0 {
            drop(rank.child.wait());
        }
    }
}

fn read_port(stdout: ChildStdout) -> Introduction {
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    // A rank's first line is short; anything else is not one of ours.
    let read = (&mut stdout).take(64).read_line(&mut line);
    let port = line
        .trim_end()
        .strip_prefix("port ")
        .and_then(|port| port.parse().ok());
    match (read, port) {
        (Ok(_), Some(port)) => Some((port, stdout)),
        _ => None,
    }
}

/// Passes rank 0's records through, each as it comes. When nobody reads them any more the pipe to
/// rank 0 closes, and rank 0 ends the run quietly.
fn pass_records(mut records: BufReader<ChildStdout>, writer: Option<Box<dyn Write + Send>>) {
    let Some(mut writer) = writer else {
        drop(copy(&mut records, &mut sink()));
        return;
    };
    loop {
        let length = match records.fill_buf() {
            Ok([]) => return,
            Ok(bytes) => match writer.write_all(bytes).and_then(|()| writer.flush()) {
                Ok(()) => bytes.len(),
                Err(_) => return,
            },
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(_) => return,
        };
        records.consume(length);
    }
}
