//! The parameter server between two ranks over loopback, each figure with its target.
//!
//! Scalar keys are rows of one element, or the elements of long rows, as a program would hold them
//! that cares: a row has its own number on the wire, its own stamp and its own look-up.

use std::hint::black_box;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use petuum::ps::{
    Bound, Client, Consistency, ElementType, Node, Outgoing, TableKind, TableSpec, World,
};
use petuum::transport::{Event, TcpSetup, Transport};
use petuum::wire::message::{Message, Payload};

use crate::say;

/// One rank: its server and its end of the network.
struct Host {
    node: Arc<Node>,
    end: Transport,
}

impl Host {
    fn send(&self, out: &mut Outgoing) {
        for (to, message) in out.drain(..) {
            self.end.send(to, message);
        }
    }

    /// Handles the next message; false after the last one.
    fn step(&self, out: &mut Outgoing) -> bool {
        match self.end.receive() {
            Event::Message { from, message } if !matches!(message, Message::Goodbye) => {
                let handled = self.node.handle(from, message, out);
                assert!(handled.is_ok(), "{handled:?}");
                self.send(out);
                true
            }
            _ => false,
        }
    }

    /// Handles messages until everything sent is known to have arrived.
    fn settle(&self, out: &mut Outgoing) {
        while self.node.unacknowledged(1) > 0 {
            assert!(self.step(out), "the other rank has gone");
        }
    }

    /// Handles messages until the row can be read.
    fn wait(&self, client: &mut Client, row: u64, out: &mut Outgoing) {
        while !client.ready(0, row, out) {
            self.send(out);
            assert!(self.step(out), "the other rank has gone");
        }
    }
}

/// Two connected ranks; the worker is on the first, and the rows with odd numbers on the second.
fn pair(rows: u64, width: u32, consistency: Consistency) -> [Host; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let hosts: Vec<String> = listeners
        .iter()
        .map(|l| l.local_addr().expect("an address").to_string())
        .collect();
    let kind = TableKind::Shared {
        rows,
        width,
        element: ElementType::F32,
        sparse: false,
    };
    let blocks = TableKind::Exclusive { blocks: 2 };
    let tables = [("rows", kind), ("blocks", blocks)].map(|(name, kind)| TableSpec { name, kind });
    let threads = [0, 1].map(|rank| {
        let listener = listeners[rank as usize].try_clone().ok();
        let setup = TcpSetup {
            listener,
            ..TcpSetup::new(rank, hosts.clone())
        };
        let bound = Bound::new(consistency, 0);
        let node = Node::new(World::new(&[1, 0]), rank, 1, &tables, bound);
        let end = thread::spawn(|| Transport::tcp(setup));
        (Arc::new(node), end)
    });
    threads.map(|(node, end)| Host {
        node,
        end: end.join().expect("no panic").expect("a connection").0,
    })
}

/// Runs `work` on the first rank while the second serves.
fn with<T>(hosts: &[Host; 2], work: impl FnOnce(&Host) -> T) -> T {
    let [here, there] = hosts;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut out = Vec::new();
            while there.step(&mut out) {}
            there.end.close();
        });
        let result = work(here);
        here.end.close();
        result
    })
}

/// The fastest of `rounds`.
fn best(rounds: u32, mut round: impl FnMut() -> Duration) -> Duration {
    (0..rounds).map(|_| round()).min().unwrap_or_default()
}

/// A pull of one row of another rank, from asking to having it.
fn pull(count: u32) -> Duration {
    let hosts = pair(2, 1, Consistency::Ssp);
    with(&hosts, |here| {
        let mut out = Vec::new();
        best(count, || {
            let start = Instant::now();
            let ask = Message::Pull {
                table: 0,
                rows: vec![1],
                stamp: -1,
            };
            here.end.send(1, ask);
            assert!(here.step(&mut out));
            start.elapsed()
        })
    })
}

/// The same, the mean over all.
fn pulls(count: u32) -> Duration {
    let hosts = pair(2, 1, Consistency::Ssp);
    with(&hosts, |here| {
        let mut out = Vec::new();
        let start = Instant::now();
        for _ in 0..count {
            let ask = Message::Pull {
                table: 0,
                rows: vec![1],
                stamp: -1,
            };
            here.end.send(1, ask);
            assert!(here.step(&mut out));
        }
        start.elapsed() / count
    })
}

/// Time to push a change of `rows` rows of another rank until it is known to be included, and to
/// pull their values: by message, without what the worker does before and after. Of `requests` that
/// are on their way at once, each with as many rows, the mean.
fn push_and_pull((rows, width): (u64, u32), requests: u32, rounds: u32) -> [Duration; 2] {
    let all = rows * u64::from(requests);
    let hosts = pair(2 * all, width, Consistency::Ssp);
    let all: Vec<u64> = (0..all).map(|row| 2 * row + 1).collect();
    let delta = vec![0.5f32; width as usize];
    with(&hosts, |here| {
        let mut client = here.node.client(0);
        let mut out = Vec::new();
        let mut push = Duration::MAX;
        for _ in 0..rounds {
            let mut spent = Duration::ZERO;
            for part in all.chunks(rows as usize) {
                part.iter().for_each(|row| client.inc(0, *row, &delta));
                let start = Instant::now();
                client.clock(&mut out);
                here.send(&mut out);
                spent += start.elapsed();
            }
            let start = Instant::now();
            here.settle(&mut out);
            push = push.min(spent + start.elapsed());
        }
        let pull = best(rounds, || {
            // The copies are a clock too old then.
            client.clock(&mut out);
            here.send(&mut out);
            here.settle(&mut out);
            let start = Instant::now();
            for part in all.chunks(rows as usize) {
                client.prefetch(0, part, &mut out);
                here.send(&mut out);
            }
            // Values arrive in order.
            here.wait(&mut client, all[all.len() - 1], &mut out);
            let spent = start.elapsed();
            assert!(all.iter().all(|row| client.ready(0, *row, &mut out)));
            spent
        });
        [push, pull].map(|time| time / requests)
    })
}

/// A block of 1,000 rows of 100 floats goes to the other rank.
fn relocate(rounds: u32) -> Duration {
    let hosts = pair(2, 1, Consistency::Ssp);
    let mut turn = 0;
    with(&hosts, |here| {
        let mut out = Vec::new();
        let bytes = vec![7u8; 400_000];
        best(rounds, || {
            turn += 1;
            let payload = Payload::Bytes(bytes.clone().into());
            let block = Message::Block {
                table: 1,
                block: 0,
                turn,
                worker: 0,
                payload,
            };
            let start = Instant::now();
            here.end.send(1, block);
            // Its arrival is told.
            assert!(here.step(&mut out));
            let spent = start.elapsed();
            let taken = hosts[1].node.take_block(1, 0, turn);
            black_box(taken.is_some());
            spent
        })
    })
}

/// Bytes of a block that moves while another is computed on.
const BLOCK_BYTES: usize = 4 << 20;

/// The other rank computes `work` on each of `count` blocks, which move there from here: `ahead` of
/// use, while it computes on the one before, or only when it asks. The time per block.
fn compute(count: u64, work: Duration, ahead: bool) -> Duration {
    let hosts = pair(2, 1, Consistency::Ssp);
    let bytes: bytes::Bytes = vec![7u8; BLOCK_BYTES].into();
    let (ask, asked) = std::sync::mpsc::channel();
    with(&hosts, |here| {
        thread::scope(|scope| {
            let there = &hosts[1].node;
            let worker = scope.spawn(move || {
                for turn in 0..count {
                    if !ahead {
                        ask.send(()).expect("a sender");
                    }
                    while there.take_block(1, (turn % 2) as u32, turn).is_none() {
                        thread::yield_now();
                    }
                    if ahead {
                        // It has come; the next may.
                        ask.send(()).expect("a sender");
                    }
                    let start = Instant::now();
                    while start.elapsed() < work {
                        std::hint::spin_loop();
                    }
                }
            });
            let start = Instant::now();
            for turn in 0..count {
                if !ahead || turn > 0 {
                    asked.recv().expect("a worker");
                }
                let block = Message::Block {
                    table: 1,
                    block: (turn % 2) as u32,
                    turn,
                    worker: 0,
                    payload: Payload::Bytes(bytes.clone()),
                };
                here.end.send(1, block);
            }
            worker.join().expect("no panic");
            start.elapsed() / count as u32
        })
    })
}

pub(crate) fn run(small: bool) {
    let line = |name: &str, value: f64, unit: &str, target: &str| {
        say(&format!(
            "{name:<48} {value:>10.2} {unit:<8} target {target}"
        ));
    };
    let count = if small { 50 } else { 20_000 };
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    line(
        "server: pull of one row, fastest",
        micros(pull(count)),
        "us",
        "<= 55",
    );
    line(
        "server: pull of one row, mean",
        micros(pulls(count)),
        "us",
        "<= 55",
    );
    let rounds = if small { 2 } else { 30 };
    let keys: [(u64, u32, u32, &str); 6] = [
        (10_000, 1, 1, ""),
        (10_000, 1, 16, ">= 300"),
        (10, 1000, 1, ""),
        (10, 1000, 16, ">= 300"),
        (1_000_000, 1, 1, ">= 110"),
        (1000, 1000, 1, ">= 110"),
    ];
    for (rows, width, requests, target) in keys {
        let rows = if small { rows.min(1000) } else { rows };
        let elements = rows as f64 * f64::from(width);
        let times = push_and_pull((rows, width), requests, rounds);
        for (what, time) in ["push", "pull"].into_iter().zip(times) {
            let name = format!("server: {what} {rows} rows of {width}, {requests} at once");
            line(&name, elements / micros(time), "Mkey/s", target);
        }
    }
    let relocated = micros(relocate(rounds)) / 1000.0;
    line(
        "server: relocate 1,000 rows of 100",
        relocated,
        "ms",
        "<= 0.5",
    );
    let (count, work) = (if small { 2 } else { 200 }, Duration::from_millis(5));
    for (ahead, how, target) in [(false, "asked for", ""), (true, "ahead of use", "<= 5.25")] {
        let each = micros(compute(count, work, ahead)) / 1000.0;
        let name = format!("server: compute 5 ms on 4 MiB, {how}");
        line(&name, each, "ms", target);
    }
}
