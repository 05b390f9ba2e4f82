//! Bandwidth: grants the parameter server the bytes that time allows.
//!
//! `--bandwidth` is what a host may send and what it may receive, each. No host knows what the
//! others send at the moment, so every pair of hosts gets an equal part: `bandwidth / (hosts − 1)`
//! from one to the other. Then neither direction of any host carries more. Blocks that move and
//! rows share that; what either does not need is the other's. The few bytes of everything else
//! leave at once, and rows wait until they are paid for.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::ps::Limit;
use crate::report::Notes;

use super::link::Link;
use super::settings::Settings;

/// Between two grants.
const INTERVAL: Duration = Duration::from_millis(10);
/// What an idle link can save up, in seconds.
const BURST_SECONDS: f64 = 0.1;
/// And at least, in bytes: a row may be long.
const BURST_BYTES_MIN: f64 = 64.0 * 1024.0;
/// How long a link may be behind what has to leave, and at least in bytes.
const SLACK_SECONDS: f64 = 5.0;
const SLACK_BYTES_MIN: f64 = 4096.0;

/// Bytes a second from one host to one other.
fn rate(megabits: f64, ranks: u32) -> f64 {
    megabits * 1e6 / 8.0 / f64::from(ranks.max(2) - 1)
}

/// Bytes that can be saved up.
fn burst(rate: f64) -> u64 {
    (rate * BURST_SECONDS).max(BURST_BYTES_MIN) as u64
}

/// Bytes beyond what was granted that may have had to leave before somebody is told: a burst is no
/// shortage, but at a few kbit/s what can be saved up would hide a minute of it.
fn slack(rate: f64) -> u64 {
    ((rate * SLACK_SECONDS).max(SLACK_BYTES_MIN) as u64).min(burst(rate))
}

/// What the parameter server has to know of the limit.
pub(super) fn limit(settings: &Settings, ranks: u32) -> Option<Limit> {
    let megabits = settings.bandwidth?;
    Some(Limit {
        priority: settings.priority,
        burst: burst(rate(megabits, ranks)),
        slack: slack(rate(megabits, ranks)),
        seed: settings.seed,
    })
}

/// Grants bytes until `stop` is dropped. Runs on a thread of its own; returns at once if nothing is
/// limited.
pub(super) fn pace(link: &Link, settings: &Settings, notes: &Notes, stop: &Receiver<()>) {
    let Some(megabits) = settings.bandwidth else {
        return;
    };
    let Some(transport) = &link.transport else {
        return;
    };
    transport.limit_blocks();
    let rate = rate(megabits, link.world.ranks());
    let (mut last, mut told, mut bytes) = (Instant::now(), false, 0.0);
    let mut out = Vec::new();
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(INTERVAL) {
        let now = Instant::now();
        let elapsed = now.duration_since(std::mem::replace(&mut last, now));
        let Some(node) = link.node() else {
            continue;
        };
        bytes += rate * elapsed.as_secs_f64();
        let whole = bytes.floor() as u64;
        bytes -= whole as f64;
        for rank in link.everyone_else() {
            let spare = node.grant(rank, whole / 2, &mut out);
            let rest = whole - whole / 2 + spare;
            let blocks = transport.allow_blocks(rank, rest, burst(rate));
            let spare = node.grant(rank, rest - blocks, &mut out);
            node.waste(rank, spare);
        }
        link.send_all(&mut out);
        if node.is_short() && !std::mem::replace(&mut told, true) {
            notes.warning(&format!(
                "--bandwidth: {megabits} Mbit/s is less than what {} must send to report its clocks and \
                 keep --staleness {}; that leaves regardless: raise one of the two",
                link.name(link.rank),
                settings.bound().staleness()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_a_host_are_kept() {
        assert_eq!(rate(80.0, 2), 1e7);
        assert_eq!(rate(80.0, 5), 2.5e6);
        assert_eq!(burst(1e7), 1_000_000);
        assert_eq!(burst(1.0), 64 << 10);
        assert_eq!(
            [1.0, 2e3, 1e6, 1e7].map(slack),
            [4096, 10_000, 100_000, 1_000_000]
        );
    }
}
