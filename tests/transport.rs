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

/// Setups of ranks that find each other on loopback, with times for tests.
fn setups(ranks: usize) -> Vec<TcpSetup> {
    let listeners: Vec<TcpListener> =
        (0..ranks).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: Vec<String> =
        listeners.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
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
    let threads: Vec<_> =
        setups.into_iter().map(|setup| thread::spawn(|| Transport::tcp(setup))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn connected(setups: Vec<TcpSetup>) -> Vec<Transport> {
    join_all(setups).into_iter().map(|joined| joined.unwrap().0).collect()
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
    let batch = RowBatch { table: 3, rows: vec![5], ends: vec![], columns: vec![], elements };
    Message::Rows { number: 1, covers: 1, stamp: -1, complete: true, included: 9, batches: vec![batch] }
}

fn gather(number: u64, bytes: usize) -> Message {
    Message::Gather { number, payload: Bytes::from(vec![number as u8; bytes]) }
}

/// The next message, which must come from `from`.
fn message(end: &Transport, from: Rank) -> Message {
    match end.receive() {
        Event::Message { from: sender, message } if sender == from => message,
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
    let error = joined.err().expect("an error");
    (error.status(), error.to_string())
}

fn close_all(ends: Vec<Transport>) {
    let closing = ends.into_iter().map(|end| thread::spawn(move || end.close()));
    closing.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn messages_of_all_sizes_arrive_in_order_from_everybody() {
    over_all(3, |ends| {
        let sizes = [0, 1, 100, 4096, 17_000, 530_000, 3_000_000, 10];
        for (rank, end) in (0..).zip(&ends) {
            for (number, bytes) in (0..).zip(sizes) {
                (0..3).filter(|to| *to != rank).for_each(|to| end.send(to, gather(number, bytes)));
            }
        }
        for (rank, end) in (0..3).zip(&ends) {
            let mut next = [0u64; 3];
            for _ in 0..2 * sizes.len() {
                let Event::Message { from, message } = end.receive() else { panic!() };
                let Message::Gather { number, payload } = message else { panic!() };
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
                        end.send(1, Message::Refresh { number: sender << 32 | i });
                    }
                });
            }
            let mut next = [0; 4];
            for _ in 0..4 * each {
                let Message::Refresh { number } = message(&ends[1], 0) else { panic!() };
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
        assert!(both.iter().any(|m| matches!(m, Message::Interrupt { signal: 2 })));
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
        assert!(matches!(message(&ends[1], 0), Message::Interrupt { signal: 2 }));
        close_all(ends);
    });
}

#[test]
fn one_rank_alone_speaks_to_itself_and_closes() {
    over_all(1, |ends| {
        ends[0].send(0, interrupt(2));
        assert!(matches!(message(&ends[0], 0), Message::Interrupt { signal: 2 }));
        assert_eq!(ends[0].bytes(), [0, 0]);
        ends[0].close();
        assert!(matches!(ends[0].receive(), Event::Closed));
    });
}

#[test]
fn values_stay_values_within_a_process_only() {
    let block = |payload| Message::Block { table: 0, block: 1, turn: 2, worker: 3, payload };
    over_all(2, |ends| {
        ends[0].send(1, block(Payload::value(Text("words".into()))));
        let Message::Block { payload, .. } = message(&ends[1], 0) else { panic!() };
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
    assert!((4000..4100).contains(&ends[0].bytes()[0]), "{:?}", ends[0].bytes());
    let ends = connected(setups(2));
    ends[0].send(1, rows(1_000_000));
    message(&ends[1], 0);
    assert!((4_000_000..4_010_000).contains(&ends[1].bytes()[1]), "{:?}", ends[1].bytes());
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
    ends[0].send(1, Message::Abort { status: 3, message: "diverged".into() });
    ends[0].send(2, Message::Abort { status: 3, message: "diverged".into() });
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
            Event::Message { message: Message::Abort { status: 3, .. }, .. } => break,
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
        let mut streams: Vec<TcpStream> =
            (0..setup.rank).map(|rank| shake_hands(&identity, rank)).collect();
        let stream = streams.remove(0);
        std::mem::forget(streams);
        Silent { stream, _listener: setup.listener.take() }
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

#[test]
fn everybody_learns_how_many_workers_there_are() {
    for joined in join_all(setups(4)) {
        assert_eq!(joined.unwrap().1, [1, 2, 3, 4]);
    }
}

#[test]
fn a_wrong_secret_ends_both_sides_with_77() {
    let mut all = setups(2);
    all[1].secret = b"another".to_vec();
    let hosts = all[0].hosts.clone();
    for (joined, other) in join_all(all).into_iter().zip([1, 0]) {
        let (status, line) = failure(joined);
        assert_eq!(status, 77, "{line}");
        assert!(line.starts_with(&format!("rank {other} ({}) holds another", hosts[other])), "{line}");
    }
}

#[test]
fn other_options_end_both_sides_with_76_and_name_both_values() {
    let mut all = setups(2);
    all[1].options = all[1].options.replace("100", "50");
    let hosts = all[0].hosts.clone();
    let lines: Vec<_> = join_all(all).into_iter().map(failure).collect();
    let expected = [
        format!("--topics is 100 here but 50 on rank 1 ({})", hosts[1]),
        format!("--topics is 50 here but 100 on rank 0 ({})", hosts[0]),
    ];
    for ((status, line), expected) in lines.iter().zip(expected) {
        assert_eq!(*status, 76, "{line}");
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn another_version_ends_both_sides_with_76() {
    let mut all = setups(2);
    all[1].protocol = PROTOCOL + 1;
    for (joined, other) in join_all(all).into_iter().zip([1, 0]) {
        let (status, line) = failure(joined);
        assert_eq!(status, 76, "{line}");
        assert!(line.starts_with(&format!("rank {other} (127.0.0.1:")), "{line}");
        assert!(line.contains("(protocol 1)") && line.contains("(protocol 2)"), "{line}");
    }
}

#[test]
fn another_run_or_world_ends_both_sides_with_76() {
    let mut all = setups(2);
    all[1].run_id = [8; 16];
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert!(status == 76 && line.contains(" belongs to run 0"), "{status} {line}");
    }
    let mut all = setups(2);
    all[1].hosts.push("127.0.0.1:1".into());
    all[1].deadline = Duration::from_secs(5);
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert!(status == 76 && line.contains("use one hosts file"), "{status} {line}");
    }
}

#[test]
fn the_others_end_with_the_status_of_the_root_cause() {
    let mut all = setups(3);
    // Rank 2 is wrong about what only rank 0 will ever see.
    all[2].hosts[1] = "127.0.0.1:1".into();
    all[2].run_id = [8; 16];
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert!(status == 76, "{status} {line}");
    }
}

#[test]
fn missing_ranks_are_named_at_the_deadline() {
    let mut all = setups(4);
    let _held = all.split_off(2);
    for setup in &mut all {
        setup.deadline = Duration::from_millis(400);
    }
    let hosts = all[0].hosts.clone();
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert_eq!(status, 69, "{line}");
        for rank in [2, 3] {
            assert!(line.contains(&format!("rank {rank} ({})", hosts[rank])), "{line}");
        }
        assert!(!line.contains("rank 0") && !line.contains("rank 1"), "{line}");
    }
}

#[test]
fn a_missing_lower_rank_is_named_with_the_reason() {
    let mut all = setups(2);
    drop(all.remove(0));
    all[0].deadline = Duration::from_millis(300);
    let (status, line) = failure(Transport::tcp(all.remove(0)));
    assert_eq!(status, 69, "{line}");
    assert!(line.contains("rank 0 (127.0.0.1:") && line.contains("refused"), "{line}");
}

#[test]
fn a_second_process_of_the_same_rank_is_turned_away() {
    let mut all = setups(3);
    let (_absent, second, first) = (all.pop(), all.pop().unwrap(), all.pop().unwrap());
    let mut twin = setups(1).remove(0);
    twin.rank = 1;
    twin.hosts = second.hosts.clone();
    let (stop, tell) = (Arc::clone(&first.interrupt), mpsc::channel());
    let first = thread::spawn(|| Transport::tcp(first));
    let spawn = |setup| {
        let told = tell.0.clone();
        thread::spawn(move || told.send(failure(Transport::tcp(setup))).unwrap())
    };
    let pair = [spawn(second), spawn(twin)];
    // All wait for rank 2, so only the one that came too late ends.
    let (status, line) = tell.1.recv().unwrap();
    assert_eq!(status, 69, "{line}");
    assert!(line.contains("another process already takes part as rank 1"), "{line}");
    stop.store(2, Relaxed);
    assert_eq!(failure(first.join().unwrap()).0, 130);
    assert_eq!(tell.1.recv().unwrap().0, 130);
    pair.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, line) = failure(Transport::tcp(TcpSetup::new(0, vec![address.clone()])));
    assert_eq!(status, 69);
    assert!(line.starts_with(&format!("rank 0 cannot listen on {address}: the port is taken")));
}

#[test]
fn the_same_ports_can_be_used_again_at_once() {
    let hosts = {
        let all = setups(2);
        all[0].hosts.clone()
    };
    for _ in 0..3 {
        let again = (0..2).map(|rank| TcpSetup::new(rank, hosts.clone())).collect();
        let ends = connected(again);
        ends[0].send(1, interrupt(2));
        message(&ends[1], 0);
        close_all(ends);
    }
}

#[test]
fn ctrl_c_ends_the_wait() {
    let mut all = setups(2);
    let interrupt = Arc::clone(&all[0].interrupt);
    let waiting = thread::spawn(move || Transport::tcp(all.remove(0)));
    interrupt.store(2, Relaxed);
    assert_eq!(waiting.join().unwrap().err(), Some(Error::Interrupted { signal: 2 }));
}

/// Everything a stranger may do to a port, then whatever it gets back until it is turned away.
fn strangers(address: &str) -> Vec<TcpStream> {
    let mut kept = Vec::new();
    let mut cut = MAGIC.to_vec();
    cut.extend_from_slice(&PROTOCOL.to_le_bytes());
    let mut oversized = cut.clone();
    oversized.resize(84, 0);
    oversized.extend_from_slice(&[1, 0xff, 0xff, 0xff, 0xff]);
    let says: [&[u8]; 7] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        &MAGIC[..5],
        &cut,
        &oversized,
        &[0; 100_000],
    ];
    for said in says.iter().cycle().take(70) {
        let mut stream = TcpStream::connect(address).unwrap();
        // It may be cut off while it still speaks.
        let _ = stream.write_all(said);
        if said.len() % 2 == 0 {
            let _ = stream.shutdown(Shutdown::Both);
        } else {
            kept.push(stream);
        }
    }
    kept
}

#[test]
fn strangers_change_nothing_before_and_during_the_run() {
    let all = setups(2);
    let hosts = all[0].hosts.clone();
    let before: Vec<_> = hosts.iter().map(|host| strangers(host)).collect();
    let ends = connected(all);
    let during: Vec<_> = hosts.iter().map(|host| strangers(host)).collect();
    for number in 0..200 {
        ends[0].send(1, gather(number, 1000));
        assert!(matches!(message(&ends[1], 0), Message::Gather { number: n, .. } if n == number));
    }
    // They are all shown the door.
    for mut stream in before.into_iter().chain(during).flatten() {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 200);
    }
    ends[1].send(0, interrupt(15));
    assert!(matches!(message(&ends[0], 1), Message::Interrupt { signal: 15 }));
    close_all(ends);
}

#[test]
fn hundreds_of_mute_connections_do_not_keep_a_rank_out() {
    let mut all = setups(2);
    let host = all[0].hosts[0].clone();
    let late = all.pop().unwrap();
    let first = thread::spawn(|| connected(all));
    let crowd: Vec<_> = (0..300).map(|_| TcpStream::connect(&host).unwrap()).collect();
    let mut ends = connected(vec![late]);
    ends.extend(first.join().unwrap());
    drop(crowd);
    close_all(ends);
}

#[test]
fn a_rank_of_another_secret_is_turned_away_during_the_run() {
    let mut all = setups(2);
    let mut late = setups(1).remove(0);
    late.rank = 1;
    late.hosts = all[0].hosts.clone();
    late.secret = b"another".to_vec();
    all[0].timing.silence = Duration::from_secs(5);
    let ends = connected(all);
    assert_eq!(failure(Transport::tcp(late)).0, 77);
    ends[0].send(1, interrupt(2));
    assert!(matches!(message(&ends[1], 0), Message::Interrupt { .. }));
    close_all(ends);
}
