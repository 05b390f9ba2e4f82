//! What a launching petuum and the ranks it started say to each other, over the ranks' stdin and the
//! first line of their stdout.
//!
//! ```text
//! launcher -> rank   secret HEX
//!                    run HEX
//! rank -> launcher   port N                      then nothing but records (rank 0)
//! launcher -> rank   hosts HOST:PORT HOST:PORT ..
//!                    interrupt SIGNAL            when the launcher is interrupted
//!                    failed STATUS               when another rank has ended, badly
//! ```
//!
//! The end of stdin tells a rank that its launcher is gone, however it went.

use std::io::{BufRead, Write, stdin};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::error::{Error, Result};

/// Set in the environment of launched ranks.
pub(super) const LAUNCHED: &str = "PETUUM_LAUNCHED";

/// A launched rank's end of the conversation.
#[derive(Clone)]
pub(super) struct Control(Arc<Inner>);

struct Inner {
    secret: Vec<u8>,
    run_id: [u8; 16],
    hosts: Mutex<Receiver<Vec<String>>>,
    state: Arc<State>,
}

/// What the listening thread leaves for the watcher.
#[derive(Default)]
struct State {
    interrupt: AtomicU8,
    failed: AtomicU8,
    orphaned: AtomicBool,
}

impl Control {
    /// The conversation with the launcher, if this process was launched by one.
    pub(super) fn of_launched_rank() -> Result<Option<Control>> {
        if std::env::var_os(LAUNCHED).is_none() {
            return Ok(None);
        }
        let secret = expect_hex(&read_line()?, "secret")?;
        let run_id = expect_hex(&read_line()?, "run")?;
        let run_id = run_id
            .try_into()
            .map_err(|_| broken("a run id of 16 bytes"))?;
        let (sender, hosts) = channel();
        let state = Arc::new(State::default());
        let of_thread = Arc::clone(&state);
        thread::spawn(move || listen(&sender, &of_thread));
        let inner = Inner {
            secret,
            run_id,
            hosts: Mutex::new(hosts),
            state,
        };
        Ok(Some(Control(Arc::new(inner))))
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.0.secret
    }

    pub(super) fn run_id(&self) -> [u8; 16] {
        self.0.run_id
    }

    /// Tells the launcher this rank's port and learns everyone's address.
    pub(super) fn exchange_ports(&self, port: u16, stdout: &mut dyn Write) -> Result<Vec<String>> {
        writeln!(stdout, "port {port}")
            .and_then(|()| stdout.flush())
            .map_err(|_| gone())?;
        let hosts = self
            .0
            .hosts
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        hosts.recv().map_err(|_| gone())
    }

    /// The signal with which the launcher was interrupted.
    pub(super) fn interrupt(&self) -> Option<u8> {
        match self.0.state.interrupt.load(Ordering::Acquire) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// The status with which another rank has ended the run. That rank, or the launcher, has told
    /// the user why.
    pub(super) fn failed(&self) -> Option<u8> {
        match self.0.state.failed.load(Ordering::Acquire) {
            0 => None,
            status => Some(status),
        }
    }

    /// True once the launcher is gone.
    pub(super) fn orphaned(&self) -> bool {
        self.0.state.orphaned.load(Ordering::Acquire)
    }
}

fn gone() -> Error {
    Error::PeerLost("the launching petuum is gone; the run ends".into())
}

fn broken(expected: &str) -> Error {
    Error::Other(format!(
        "{LAUNCHED} is set, but stdin does not bring {expected}; unset it"
    ))
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    match stdin().lock().read_line(&mut line) {
        Ok(read) if read > 0 => Ok(line.trim_end().to_string()),
        _ => Err(gone()),
    }
}

fn expect_hex(line: &str, word: &str) -> Result<Vec<u8>> {
    let digits = line
        .strip_prefix(word)
        .map(str::trim)
        .ok_or_else(|| broken(word))?;
    from_hex(digits).ok_or_else(|| broken(word))
}

/// Listens to the launcher until it goes away.
fn listen(hosts: &Sender<Vec<String>>, state: &State) {
    while let Ok(line) = read_line() {
        let mut words = line.split(' ');
        match words.next() {
            // Nobody waits for hosts any more when the run has failed meanwhile.
            Some("hosts") => drop(hosts.send(words.map(str::to_string).collect())),
            Some("interrupt") => {
                let signal = words.next().and_then(|word| word.parse().ok()).unwrap_or(2);
                state.interrupt.store(signal, Ordering::Release);
            }
            Some("failed") => {
                let status = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
                state.failed.store(status, Ordering::Release);
            }
            _ => {}
        }
    }
    state.orphaned.store(true, Ordering::Release);
}

/// Bytes as hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex("abc"), None);
        assert_eq!(from_hex("zz"), None);
        assert_eq!(from_hex("é"), None);
    }
}
