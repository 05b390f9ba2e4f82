//! The transport in its three forms, and what TCP does when something is wrong.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use petuum::error::{Error, Result};
use petuum::transport::{Event, TcpSetup, Timing, Transport};
use petuum::wire::frame::{self, FrameKind};
use petuum::wire::hello::{Handshake, Identity, MAGIC, PROTOCOL, Step};
use petuum::wire::message::{Elements, Message, Payload, Rank, RowBatch};

/// How ranks find each other, and who is turned away.
mod joining;

/// Setups of ranks that find each other on loopback, with times for tests.
fn setups(ranks: usize) -> Vec<TcpSetup> {
    let listeners: Vec<TcpListener> = (0..ranks)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let hosts: Vec<String> = listeners
        .iter()
        .map(|l| l.local_addr().unwrap().to_string())
        .collect();
    let setup = |(rank, listener)| TcpSetup {
        listener: Some(listener),
        run_id: [7; 16],
        options: "petuum 0.1.0\nprogram lda\n--topics 100\n".into(),
        secret: b"the secret".to_vec(),
        workers: rank + 1,
        timing: Timing {
            heartbeat: Duration::from_millis(50),
            silence: Duration::from_secs(8),
            handshake: Duration::from_secs(1),
            grace: Duration::from_millis(100),
            close: Duration::from_secs(3),
        },
        ..TcpSetup::new(rank, hosts.clone())
    };
    (0..).zip(listeners).map(setup).collect()
}

type Joined = Result<(Transport, Vec<u32>)>;

fn join_all(setups: Vec<TcpSetup>) -> Vec<Joined> {
    let threads: Vec<_> = setups
        .into_iter()
        .map(|setup| thread::spawn(|| Transport::tcp(setup)))
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

fn connected(setups: Vec<TcpSetup>) -> Vec<Transport> {
    join_all(setups)
        .into_iter()
        .map(|joined| joined.unwrap().0)
        .collect()
}

/// Runs `body` over each kind of transport with so many ranks.
fn over_all(ranks: u32, body: impl Fn(Vec<Transport>)) {
    body(Transport::local(ranks));
    body(Transport::coded(ranks));
    body(connected(setups(ranks as usize)));
}

fn interrupt(signal: u8) -> Message {
    Message::Interrupt { signal }
}

fn rows(floats: usize) -> Message {
    let elements = Elements::F32((0..floats).map(|i| i as f32).collect());
    let batch = RowBatch {
        table: 3,
        rows: vec![5],
        ends: vec![],
        columns: vec![],
        elements,
    };
    Message::Rows {
        number: 1,
        covers: 1,
        stamp: -1,
        complete: true,
        included: 9,
        batches: vec![batch],
    }
}

fn gather(number: u64, bytes: usize) -> Message {
    Message::Gather {
        number,
        payload: Bytes::from(vec![number as u8; bytes]),
    }
}

/// The next message, which must come from `from`.
fn message(end: &Transport, from: Rank) -> Message {
    match end.receive() {
        Event::Message {
            from: sender,
            message,
        } if sender == from => message,
        event => panic!("expected a message from {from}: {event:?}"),
    }
}

fn lost(end: &Transport, expected: Rank) -> String {
    match end.receive() {
        Event::Lost { rank, reason } if rank == expected => reason,
        event => panic!("expected the loss of {expected}: {event:?}"),
    }
}

/// The error of a failed start, with its status.
fn failure(joined: Joined) -> (u8, String) {
    let error = joined.expect_err("an error");
    (error.status(), error.to_string())
}

fn close_all(ends: Vec<Transport>) {
    let closing = ends
        .into_iter()
        .map(|end| thread::spawn(move || end.close()));
    closing
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn messages_of_all_sizes_arrive_in_order_from_everybody() {
    over_all(3, |ends| {
        let sizes = [0, 1, 100, 4096, 17_000, 530_000, 3_000_000, 10];
        for (rank, end) in (0..).zip(&ends) {
            for (number, bytes) in (0..).zip(sizes) {
                for to in (0..3).filter(|to| *to != rank) {
                    end.send(to, gather(number, bytes));
                }
            }
        }
        for (rank, end) in (0..3).zip(&ends) {
            let mut next = [0u64; 3];
            for _ in 0..2 * sizes.len() {
                let Event::Message { from, message } = end.receive() else {
                    panic!()
                };
                let Message::Gather { number, payload } = message else {
                    panic!()
                };
                assert_ne!(from, rank);
                assert_eq!(number, next[from as usize]);
                assert_eq!(payload, vec![number as u8; sizes[number as usize]]);
                next[from as usize] += 1;
            }
        }
        close_all(ends);
    });
}

#[test]
fn many_threads_send_at_once() {
    over_all(2, |ends| {
        let each = 2000;
        thread::scope(|scope| {
            for sender in 0..4u64 {
                let end = &ends[0];
                scope.spawn(move || {
                    for i in 0..each {
                        end.send(
                            1,
                            Message::Refresh {
                                number: sender << 32 | i,
                            },
                        );
                    }
                });
            }
            let mut next = [0; 4];
            for _ in 0..4 * each {
                let Message::Refresh { number } = message(&ends[1], 0) else {
                    panic!()
                };
                assert_eq!(number & 0xffff_ffff, next[(number >> 32) as usize]);
                next[(number >> 32) as usize] += 1;
            }
        });
        close_all(ends);
    });
}

#[test]
fn a_small_message_does_not_wait_for_a_large_one() {
    let ends = connected(setups(2));
    for number in 0..8 {
        ends[0].send(1, gather(number, 32 << 20));
    }
    ends[0].send(1, interrupt(2));
    let mut before = 0;
    while let Message::Gather { .. } = message(&ends[1], 0) {
        before += 1;
    }
    assert!(before < 8, "the small message came last");
    close_all(ends);
}

#[test]
fn goodbye_comes_last_and_is_no_loss() {
    over_all(2, |ends| {
        ends[0].send(1, gather(0, 5_000_000));
        ends[0].send(1, interrupt(2));
        let mut ends = ends.into_iter();
        let (first, second) = (ends.next().unwrap(), ends.next().unwrap());
        first.close();
        first.send(1, interrupt(15));
        assert!(matches!(first.receive(), Event::Closed));
        drop(first);
        let both = [message(&second, 0), message(&second, 0)];
        assert!(both.iter().any(|m| matches!(m, Message::Gather { .. })));
        assert!(
            both.iter()
                .any(|m| matches!(m, Message::Interrupt { signal: 2 }))
        );
        assert!(matches!(message(&second, 0), Message::Goodbye));
        second.send(0, rows(10));
        second.close();
        second.close();
        assert!(matches!(second.receive(), Event::Closed));
        assert!(matches!(second.receive(), Event::Closed));
    });
}

#[test]
fn an_end_that_is_dropped_is_lost_at_once() {
    over_all(3, |mut ends| {
        drop(ends.remove(1));
        assert_eq!(lost(&ends[0], 1), "closed the connection");
        assert_eq!(lost(&ends[1], 1), "closed the connection");
        ends[0].send(1, interrupt(2));
        ends[0].send(2, interrupt(2));
        assert!(matches!(
            message(&ends[1], 0),
            Message::Interrupt { signal: 2 }
        ));
        close_all(ends);
    });
}

#[test]
fn one_rank_alone_speaks_to_itself_and_closes() {
    over_all(1, |ends| {
        ends[0].send(0, interrupt(2));
        assert!(matches!(
            message(&ends[0], 0),
            Message::Interrupt { signal: 2 }
        ));
        assert_eq!(ends[0].bytes(), [0, 0]);
        ends[0].close();
        assert!(matches!(ends[0].receive(), Event::Closed));
    });
}

#[test]
fn values_stay_values_within_a_process_only() {
    let block = |payload| Message::Block {
        table: 0,
        block: 1,
        turn: 2,
        worker: 3,
        payload,
    };
    over_all(2, |ends| {
        ends[0].send(1, block(Payload::value(Text("words".into()))));
        let Message::Block { payload, .. } = message(&ends[1], 0) else {
            panic!()
        };
        assert_eq!(
            matches!(payload, Payload::Value(_)),
            matches!(ends[0], Transport::Local(_))
        );
        assert_eq!(payload.take::<Text>().unwrap().0, "words");
        close_all(ends);
    });
}

struct Text(String);

impl petuum::wire::message::Portable for Text {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
    fn decode(bytes: &[u8]) -> Result<Text> {
        Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
    }
}

#[test]
fn bytes_are_counted_on_both_ends() {
    let ends = Transport::coded(2);
    ends[0].send(1, rows(1000));
    message(&ends[1], 0);
    assert_eq!(ends[0].bytes()[0], ends[1].bytes()[1]);
    assert!(
        (4000..4100).contains(&ends[0].bytes()[0]),
        "{:?}",
        ends[0].bytes()
    );
    let ends = connected(setups(2));
    ends[0].send(1, rows(1_000_000));
    message(&ends[1], 0);
    assert!(
        (4_000_000..4_010_000).contains(&ends[1].bytes()[1]),
        "{:?}",
        ends[1].bytes()
    );
    close_all(ends);
}

#[test]
fn an_abort_reaches_the_living_although_one_is_stuck() {
    let mut all = setups(3);
    let stuck = all.pop().unwrap();
    let silent = thread::spawn(move || Silent::joins(stuck));
    let ends = connected(all);
    let silent = silent.join().unwrap();
    for end in &ends {
        // More than any socket buffer holds.
        end.send(2, gather(0, 64 << 20));
    }
    ends[0].send(1, gather(1, 64 << 20));
    ends[0].send(
        1,
        Message::Abort {
            status: 3,
            message: "diverged".into(),
        },
    );
    ends[0].send(
        2,
        Message::Abort {
            status: 3,
            message: "diverged".into(),
        },
    );
    let closing = thread::spawn({
        let mut ends = ends;
        let second = ends.pop().unwrap();
        move || {
            ends[0].close();
            second
        }
    });
    let second = closing.join().unwrap();
    loop {
        match second.receive() {
            Event::Message {
                message: Message::Abort { status: 3, .. },
                ..
            } => break,
            Event::Message { .. } | Event::Lost { rank: 2, .. } => {}
            event => panic!("{event:?}"),
        }
    }
    second.close();
    drop(silent);
}

#[test]
fn a_silent_peer_is_lost_in_time() {
    let mut all = setups(2);
    all[0].timing.silence = Duration::from_millis(500);
    let mute = all.pop().unwrap();
    let silent = thread::spawn(move || Silent::joins(mute));
    let ends = connected(all);
    let silent = silent.join().unwrap();
    assert_eq!(lost(&ends[0], 1), "silent for 0.5 s");
    drop(silent);
}

#[test]
fn a_peer_that_is_heard_is_not_lost_however_long_it_computes() {
    let mut all = setups(2);
    all[0].timing.silence = Duration::from_secs(1);
    let ends = connected(all);
    // Not a way to meet: what is tested is that nothing happens for so long.
    thread::sleep(Duration::from_secs(3));
    ends[0].send(1, interrupt(2));
    assert!(matches!(message(&ends[1], 0), Message::Interrupt { .. }));
    close_all(ends);
}

#[test]
fn nonsense_from_a_living_peer_is_its_loss() {
    let mut wrong_sum = frame::bare(FrameKind::Heartbeat).to_vec();
    wrong_sum[4] ^= 1;
    let mut not_a_message = vec![0; frame::HEADER_BYTES];
    not_a_message.extend_from_slice(&[9, 0, 0, 0, 1, 0, 0, 0, 1]);
    frame::seal(&mut not_a_message);
    let huge = [0xff; 64].to_vec();
    for bytes in [wrong_sum, not_a_message, huge] {
        let mut all = setups(2);
        let mad = all.pop().unwrap();
        let peer = thread::spawn(move || Silent::joins(mad));
        let ends = connected(all);
        let mut peer = peer.join().unwrap();
        peer.stream.write_all(&bytes).unwrap();
        let reason = lost(&ends[0], 1);
        assert!(reason.starts_with("sent a corrupt "), "{reason}");
    }
}

/// A peer that shakes hands and then does only what a test makes it do.
struct Silent {
    stream: TcpStream,
    /// Held so that the port stays taken.
    _listener: Option<TcpListener>,
}

impl Silent {
    /// Connects to all lower ranks and returns the connection to rank 0; the others stay open for
    /// the length of the test.
    fn joins(mut setup: TcpSetup) -> Silent {
        let identity = Identity {
            protocol: PROTOCOL,
            run_id: setup.run_id,
            rank: setup.rank,
            hosts: setup.hosts.clone(),
            workers: 1,
            options: setup.options.clone(),
            secret: setup.secret.clone(),
        };
        let mut streams: Vec<TcpStream> = (0..setup.rank)
            .map(|rank| shake_hands(&identity, rank))
            .collect();
        let stream = streams.remove(0);
        std::mem::forget(streams);
        Silent {
            stream,
            _listener: setup.listener.take(),
        }
    }
}

fn shake_hands(identity: &Identity, rank: Rank) -> TcpStream {
    let mut stream = TcpStream::connect(&identity.hosts[rank as usize]).unwrap();
    let mut handshake = Handshake::connect(identity, rank, [rank as u8; 32]);
    let (mut input, mut output) = (BytesMut::new(), Vec::new());
    handshake.open(&mut output);
    loop {
        match handshake.step(&mut input, &mut output) {
            Step::More => {
                stream.write_all(&output).unwrap();
                output.clear();
                let mut some = [0; 1000];
                let count = stream.read(&mut some).unwrap();
                assert!(count > 0, "closed in the handshake");
                input.extend_from_slice(&some[..count]);
            }
            Step::Offered(_) => handshake.accept(&mut output),
            Step::Done(_) => return stream,
            step => panic!("{step:?}"),
        }
    }
}
