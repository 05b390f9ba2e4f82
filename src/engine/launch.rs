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
use std::sync::mpsc::{Receiver, Sender, channel};
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
/// How long the others may go on after one rank has failed. They are told at once, by the rank itself
/// or by the launcher: only a frozen one is still there then.
const FAILED_RUN: Duration = Duration::from_secs(4);
/// How long the last rank may go on after the others: only a frozen one needs it.
const LAST_RANK: Duration = Duration::from_secs(2);
/// How often the launcher looks whether the last records are out.
const PASSING: Duration = Duration::from_millis(1);
/// How long a failed run waits for whoever reads its records.
const LAST_RECORDS: Duration = Duration::from_secs(1);

/// Runs the same command as every rank of `settings.hosts`, on this machine.
pub fn launch(settings: &Settings, io: Io) -> Result<()> {
    let interrupt = Interrupt::patient()?;
    let path = settings
        .hosts
        .as_deref()
        .ok_or_else(|| Error::Bug("no hosts to launch".into()))?;
    let hosts = Hosts::read(path)?;
    let hosts = hosts.lines();
    refuse_remote(path, hosts)?;
    let secret = read_secret(settings)?;
    let mut ranks = Ranks::new(io.stdout);
    for (rank, host) in hosts.iter().enumerate() {
        ranks.launched.push(Launched::start(rank, host)?);
    }
    ranks.introduce(secret)?;
    let deadline = Instant::now() + Duration::from_secs_f64(settings.connect_timeout);
    ranks.wait(hosts, &interrupt, deadline)
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
struct Ranks {
    launched: Vec<Launched>,
    /// Where rank 0's records go, until rank 0 is there.
    stdout: Option<Box<dyn Write + Send>>,
    /// What comes on each rank's stdout first: its port.
    introductions: (Sender<Introduced>, Receiver<Introduced>),
    /// The ranks know each other's ports.
    acquainted: bool,
}

struct Launched {
    child: Child,
    stdin: Option<ChildStdin>,
    port: Option<u16>,
    passing: Option<thread::JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

/// A rank's port, and the records that follow; None from a rank that ends instead.
type Introduction = Option<(u16, BufReader<ChildStdout>)>;
/// A rank and how it introduces itself.
type Introduced = (usize, Introduction);

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
            port: None,
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

    fn has_failed(&self) -> bool {
        self.ended.is_some_and(|status| !status.success())
    }
}

impl Ranks {
    fn new(stdout: Box<dyn Write + Send>) -> Ranks {
        Ranks {
            launched: Vec::new(),
            stdout: Some(stdout),
            introductions: channel(),
            acquainted: false,
        }
    }

    fn tell(&mut self, line: &str) {
        for rank in &mut self.launched {
            rank.tell(line);
        }
    }

    /// Hands out the secret and listens for the ports.
    fn introduce(&mut self, secret: Option<Vec<u8>>) -> Result<()> {
        let (mut fresh, mut run_id) = ([0; 32], [0; 16]);
        let random = getrandom::fill(&mut fresh).and_then(|()| getrandom::fill(&mut run_id));
        random.map_err(|error| Error::Other(format!("no randomness for a secret: {error}")))?;
        let secret = secret.unwrap_or_else(|| fresh.to_vec());
        self.tell(&format!(
            "secret {}\nrun {}\n",
            to_hex(&secret),
            to_hex(&run_id)
        ));
        for (rank, launched) in self.launched.iter_mut().enumerate() {
            if let Some(stdout) = launched.child.stdout.take() {
                let sender = self.introductions.0.clone();
                thread::spawn(move || drop(sender.send((rank, read_port(stdout)))));
            }
        }
        Ok(())
    }

    /// Takes in the ports that have come; once all are there, every rank learns them.
    fn acquaint(&mut self, hosts: &[Host]) {
        while let Ok((rank, introduction)) = self.introductions.1.try_recv() {
            // A rank that ends instead tells why itself.
            let Some((port, records)) = introduction else {
                continue;
            };
            let writer = if rank == 0 { self.stdout.take() } else { None };
            let launched = &mut self.launched[rank];
            launched.port = Some(port);
            launched.passing = Some(thread::spawn(move || pass_records(records, writer)));
        }
        let ports: Option<Vec<u16>> = self.launched.iter().map(|rank| rank.port).collect();
        if let Some(ports) = ports.filter(|_| !self.acquainted) {
            self.acquainted = true;
            let addresses = hosts.iter().zip(ports);
            let addresses: Vec<String> = addresses
                .map(|(host, port)| format!("{}:{port}", host.name))
                .collect();
            self.tell(&format!("hosts {}\n", addresses.join(" ")));
        }
    }

    /// Sees every rank to its end and returns the root cause of a failure.
    fn wait(mut self, hosts: &[Host], interrupt: &Interrupt, deadline: Instant) -> Result<()> {
        let mut told = false;
        let mut root: Option<(Instant, usize)> = None;
        let mut last: Option<Instant> = None;
        loop {
            self.acquaint(hosts);
            if let Some(signal) = interrupt.take() {
                if told {
                    // The second one: dropping the ranks kills them.
                    return Err(Error::Interrupted { signal });
                }
                told = true;
                self.tell(&format!("interrupt {signal}\n"));
            }
            let mut running = 0;
            for rank in 0..self.launched.len() {
                if !self.launched[rank].has_ended() {
                    running += 1;
                } else if root.is_none() && self.launched[rank].has_failed() {
                    root = Some((Instant::now(), rank));
                    let status = self.describe(rank, hosts).status();
                    self.tell(&format!("failed {status}\n"));
                }
            }
            if running == 0 {
                break;
            }
            if !self.acquainted && root.is_none() && Instant::now() > deadline {
                return Err(self.mute(hosts));
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
        self.finish_passing(root.is_some(), interrupt);
        root.map_or(Ok(()), |(_, rank)| Err(self.describe(rank, hosts)))
    }

    /// The error of ranks that do not even say their port.
    fn mute(&self, hosts: &[Host]) -> Error {
        let mute = self.launched.iter().zip(hosts).enumerate();
        let names: Vec<String> = mute
            .filter(|(_, (rank, _))| rank.port.is_none())
            .map(|(rank, (_, host))| {
                format!("rank {rank} ({host}) was started but does not answer")
            })
            .collect();
        Error::Unavailable(names.join("; "))
    }

    fn kill(&mut self) {
        for rank in &mut self.launched {
            if !rank.has_ended() {
                drop(rank.child.kill());
            }
        }
    }

    /// Lets the last records out. A reader that does not read holds up a good run, as always, but not
    /// the end of a failed one.
    fn finish_passing(&mut self, failed: bool, interrupt: &Interrupt) {
        let since = Instant::now();
        let passing = self
            .launched
            .iter()
            .filter_map(|rank| rank.passing.as_ref());
        for passing in passing {
            while !passing.is_finished() {
                if failed && since.elapsed() > LAST_RECORDS || interrupt.take().is_some() {
                    return;
                }
                thread::sleep(PASSING);
            }
        }
    }

    /// What the rank that ended first, badly, means for the run. It has told its own story on
    /// stderr, unless it was killed.
    fn describe(&self, rank: usize, hosts: &[Host]) -> Error {
        let status = self.launched[rank].ended.unwrap_or_default();
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
        for rank in &mut self.launched {
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
