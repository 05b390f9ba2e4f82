//! Frames and connections: what one core, or one connection, can do.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use petuum::transport::{Event, TcpSetup, Transport};
use petuum::wire::assembly::Assembler;
use petuum::wire::frame;
use petuum::wire::message::{Elements, Message, Payload, RowBatch};
use petuum::wire::queue::{Batch, Prepared, Queue};

use crate::say;

pub(crate) fn run(small: bool) {
    let line = |name: &str, value: f64, unit: &str, target: &str| {
        say(&format!("{name:<44} {value:>10.2} {unit:<5}{target}"));
    };
    line(
        "wire: 64 B frame, both ends, no socket",
        frames(if small { 3 } else { 3000 }),
        "ns",
        "target <= 65",
    );
    let (cpu, wall) = tcp_small(if small { 10_000 } else { 10_000_000 });
    line("tcp: 64 B frame, both ends, CPU", cpu, "ns", "");
    line("tcp: 64 B frame, wall", wall, "ns", "");
    let total = if small { 40_000_000 } else { 4_000_000_000 };
    for kilobytes in [4, 100, 500, 10_000] {
        let (rate, cpu) = tcp_rows(kilobytes * 1000, total);
        line(
            &format!("tcp: rows of {kilobytes} KB, floats, one way"),
            rate,
            "GB/s",
            if kilobytes < 100 { "" } else { "target >= 3" },
        );
        line("    CPU, both ends", cpu, "s/GB", "");
    }
    for megabytes in if small { [1, 2] } else { [1, 100] } {
        let (rate, cpu) = tcp_blocks(megabytes << 20, total);
        line(
            &format!("tcp: blocks of {megabytes} MiB, one way"),
            rate,
            "GB/s",
            "target >= 3",
        );
        line("    CPU, both ends", cpu, "s/GB", "");
    }
    line(
        "tcp: there and back, 64 B",
        tcp_round_trip(if small { 100 } else { 20_000 }),
        "us",
        "",
    );
}

/// A message whose frame part is 64 bytes: 8 of header, 56 of body.
fn small(number: u64) -> Message {
    Message::Gather {
        number: 100 + number % 20,
        payload: Bytes::from_static(&[7; 54]),
    }
}

/// What a message with rows carries; the memory is the sender's, who keeps it.
fn rows(bytes: usize) -> Arc<Vec<RowBatch>> {
    let (width, count) = (100, bytes / 400);
    Arc::new(vec![RowBatch {
        table: 0,
        rows: (0..count as u64).map(|row| row * 3).collect(),
        ends: vec![],
        columns: vec![],
        elements: Elements::F32(vec![0.25; width * count]),
    }])
}

fn updates(batches: &Arc<Vec<RowBatch>>) -> Message {
    Message::Updates {
        number: 1,
        completes: 1,
        answer: false,
        batches: Arc::clone(batches),
    }
}

fn block(bytes: &Bytes) -> Message {
    let payload = Payload::Bytes(bytes.clone());
    Message::Block {
        table: 0,
        block: 0,
        turn: 0,
        worker: 0,
        payload,
    }
}

/// Nanoseconds to queue, seal, check and decode one small message, in batches of 1,000.
fn frames(rounds: u64) -> f64 {
    let each = 1000;
    let (mut queue, mut batch) = (Queue::default(), Batch::default());
    let (mut chunks, mut stream) = (VecDeque::new(), BytesMut::new());
    let mut assembler = Assembler::default();
    let start = Instant::now();
    for _ in 0..rounds {
        for number in 0..each {
            queue.push(Prepared::new(small(number)));
        }
        while queue.take(1 << 20, &mut batch) {
            batch.frames(&mut chunks);
        }
        chunks
            .drain(..)
            .for_each(|chunk: Bytes| stream.extend_from_slice(&chunk));
        while let Ok(Some(frame)) = frame::decode(&mut stream) {
            let _ = black_box(assembler.push(frame));
            while let Ok(Some(message)) = assembler.next() {
                black_box(message);
            }
        }
    }
    start.elapsed().as_secs_f64() * 1e9 / (rounds * each) as f64
}

/// Two connected ends on loopback.
fn pair() -> [Transport; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let hosts: Vec<String> = listeners
        .iter()
        .map(|l| l.local_addr().expect("an address").to_string())
        .collect();
    let threads = [0, 1].map(|rank| {
        let listener = listeners[rank as usize].try_clone().ok();
        let setup = TcpSetup {
            listener,
            ..TcpSetup::new(rank, hosts.clone())
        };
        thread::spawn(|| Transport::tcp(setup))
    });
    threads.map(|thread| thread.join().expect("no panic").expect("a connection").0)
}

/// Seconds of CPU this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| -> f64 {
        after
            .split_whitespace()
            .nth(field)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

/// Sends `count` messages one way, at most `ahead` of the receiver; returns wall and CPU seconds.
fn one_way(count: u64, ahead: u64, message: impl Fn(u64) -> Message + Send) -> (f64, f64) {
    let ends = pair();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    thread::scope(|scope| {
        let [sender, receiver] = &ends;
        scope.spawn(move || {
            for number in 0..count {
                sender.send(1, message(number));
                if number % ahead == ahead - 1 {
                    black_box(sender.receive());
                }
            }
        });
        let mut number = 0;
        while number < count {
            if let Event::Message { message, .. } = receiver.receive() {
                black_box(message);
                if number % ahead == ahead / 2 {
                    receiver.send(0, Message::Interrupt { signal: 2 });
                }
                number += 1;
            }
        }
    });
    let spent = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    thread::scope(|scope| {
        ends.iter()
            .for_each(|end| drop(scope.spawn(|| end.close())))
    });
    spent
}

fn tcp_small(count: u64) -> (f64, f64) {
    let (wall, cpu) = one_way(count, 100_000, small);
    (cpu * 1e9 / count as f64, wall * 1e9 / count as f64)
}

fn tcp_rows(bytes: usize, total: u64) -> (f64, f64) {
    let count = (total / bytes as u64 / 64).max(1) * 64;
    let ahead = (16_000_000 / bytes as u64).clamp(2, 64);
    let batches = rows(bytes);
    let (wall, cpu) = one_way(count, ahead, |_| updates(&batches));
    let gigabytes = count as f64 * bytes as f64 / 1e9;
    (gigabytes / wall, cpu / gigabytes)
}

fn tcp_blocks(bytes: usize, total: u64) -> (f64, f64) {
    let count = (total / bytes as u64 / 2).max(1) * 2;
    let payload = Bytes::from(vec![7; bytes]);
    let (wall, cpu) = one_way(count, 2, |_| block(&payload));
    let gigabytes = count as f64 * bytes as f64 / 1e9;
    (gigabytes / wall, cpu / gigabytes)
}

/// Microseconds from sending a small message to its answer.
fn tcp_round_trip(count: u64) -> f64 {
    let ends = pair();
    let mut spent = Duration::ZERO;
    thread::scope(|scope| {
        let [here, there] = &ends;
        scope.spawn(move || {
            for number in 0..count {
                black_box(there.receive());
                there.send(0, small(number));
            }
        });
        let start = Instant::now();
        for number in 0..count {
            here.send(1, small(number));
            black_box(here.receive());
        }
        spent = start.elapsed();
    });
    thread::scope(|scope| {
        ends.iter()
            .for_each(|end| drop(scope.spawn(|| end.close())))
    });
    spent.as_secs_f64() * 1e6 / count as f64
}
